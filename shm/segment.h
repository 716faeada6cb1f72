/**
 * DOC: segment
 *
 * Memory that processes share: an unnamed memfd, sealed so that nobody can
 * shrink or grow it under the others (a shrunken file is SIGBUS at the next
 * access). Nothing of it appears in /dev/shm, and it is gone with the last
 * process that holds it, however that process ended.
 *
 *	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
 *
 *	r = carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = CAROM_MIB(4)), &segment);
 *	...
 *	memset(carom_segment_data(segment), 0, carom_segment_size(segment));
 *
 * A child made by fork() has the mapping at the same address. A child that was
 * not, is given the descriptor and attaches.
 */
#ifndef CAROM_SHM_SEGMENT_H
#define CAROM_SHM_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"

CAROM_BEGIN_DECLS

struct carom_segment;

/** enum carom_huge_pages - what a segment is made of; the machine's administrator sets some apart */
enum carom_huge_pages {
	CAROM_HUGE_PAGES_NONE,
	CAROM_HUGE_PAGES_WISHED,
	CAROM_HUGE_PAGES_REQUIRED,
};

/**
 * struct carom_segment_options - what carom_segment_new() makes
 * @size_bytes: size of this struct; CAROM_SEGMENT_OPTIONS() fills it in
 * @name:       shown in /proc/PID/maps as "memfd:NAME"; copied; NULL means "carom"
 * @size:       bytes; rounded up to whole pages; not 0. Pages cost memory only
 *              once they are touched
 * @populate_size: so many bytes from the start are given their pages now, so
 *              that no access to them faults (charged to this process's cgroup);
 *              more than @size means all
 * @reserve:    1: the memory for all of @size is taken from the machine now. Else a page is
 *              taken when it is first touched, and if there is none then, the kernel kills
 *              somebody (or, of huge pages, sends SIGBUS). Row SC-11
 * @huge_pages: CAROM_HUGE_PAGES_WISHED: of huge pages, if there are as many; else of
 *              ordinary ones: carom_segment_huge_page_size() tells. _REQUIRED: or not at
 *              all. @size is rounded up to whole ones of them. Row SC-15
 * @others_read: 1: nobody can write to it but through this mapping, and what children made
 *              by fork() inherit of it. Whoever gets the descriptor attaches with
 *              carom_segment_attach_read_only_dup()
 */
struct carom_segment_options {
	size_t size_bytes;
	const char *name;
	uint64_t size;
	uint64_t populate_size;
	uint64_t reserve;
	uint64_t huge_pages;
	uint64_t others_read;
};
#define CAROM_SEGMENT_OPTIONS(...) CAROM_OPTIONS(carom_segment_options, __VA_ARGS__)

/**
 * carom_segment_new() - make a segment and map it for reading and writing
 * @options:     read during the call only
 * @ret_segment: the caller owns it and ends it with carom_segment_free()
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_segment untouched,
 *	-EINVAL  no options, @options->size is 0, or no such @options->huge_pages
 *	-EOVERFLOW  @options->size does not fit an address space or a file
 *	-E2BIG   @options sets a field newer than this library
 *	-ENOMEM  with @options->reserve: the machine, or a control group around this
 *	         process, has not so much left. Or not so many huge pages, required
 *	-EOPNOTSUPP  @options->others_read, before Linux 5.1; or this kernel has no huge
 *	         pages, required
 *	-ENOMEM, -EMFILE, -ENFILE, -EFBIG  from memfd_create(2), ftruncate(2), mmap(2)
 */
CAROM_API int carom_segment_new(const struct carom_segment_options *options,
				struct carom_segment **ret_segment);

/**
 * carom_segment_attach_dup() - map a segment that another process made
 * @fd:          stays the caller's; a duplicate is kept
 * @populate_size: as in the options, for this process's page tables
 * @ret_segment: the caller owns it
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, -EBADF, -EBADMSG (no memfd, or not sealed against shrinking and
 * growing: its maker could take the memory away; or only to be read), -ENOMEM, -EMFILE.
 */
CAROM_API int carom_segment_attach_dup(int fd, uint64_t populate_size,
				       struct carom_segment **ret_segment);

/**
 * carom_segment_attach_read_only_dup() - the same, to read
 * @fd:          stays the caller's; a duplicate is kept
 * @ret_segment: the caller owns it. A write to its memory is SIGSEGV
 *
 * What was made with @others_read stays closed to this process, whatever it does: it can
 * neither make its mapping writable nor get another one. Any other segment is only mapped
 * for reading here. Either way its content may change while it is read.
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, -EBADF, -EBADMSG (no memfd, or not sealed against shrinking and growing),
 * -ENOMEM, -EMFILE.
 */
CAROM_API int carom_segment_attach_read_only_dup(int fd, struct carom_segment **ret_segment);

/**
 * carom_segment_free() - unmap and close; other processes keep theirs
 * @segment: NULL is allowed
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: NULL.
 */
CAROM_API struct carom_segment *carom_segment_free(struct carom_segment *segment);
CAROM_API void carom_segment_freep(struct carom_segment **segment);

/** carom_segment_data() - where it is mapped, until it is freed; page-aligned. MT-Safe, AS-Safe. */
CAROM_API void *carom_segment_data(const struct carom_segment *segment);

/** carom_segment_size() - bytes, whole pages. MT-Safe, AS-Safe. */
CAROM_API uint64_t carom_segment_size(const struct carom_segment *segment);

/** carom_segment_fd() - its descriptor, CLOEXEC; stays the segment's. MT-Safe, AS-Safe. */
CAROM_API int carom_segment_fd(const struct carom_segment *segment);

/** carom_segment_huge_page_size() - bytes of its pages; 0: ordinary ones. MT-Safe, AS-Safe. */
CAROM_API uint64_t carom_segment_huge_page_size(const struct carom_segment *segment);

/**
 * carom_segment_offset() - where in it a pointer points, which means the same in every process
 * @pointer: into this mapping of it
 *
 * Context: MT-Safe, AS-Safe.
 * Return: bytes from its start; UINT64_MAX: somewhere else.
 */
CAROM_API uint64_t carom_segment_offset(const struct carom_segment *segment, const void *pointer);

/**
 * carom_segment_at() - what stands at an offset that another process gave
 * @size: bytes that are needed there
 *
 * Context: MT-Safe, AS-Safe.
 * Return: in this process's mapping; NULL: they are not all inside.
 */
CAROM_API void *carom_segment_at(const struct carom_segment *segment, uint64_t offset,
				 uint64_t size);

CAROM_END_DECLS

#endif
