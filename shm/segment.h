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

/**
 * struct carom_segment_options - what carom_segment_new() makes
 * @size_bytes: size of this struct; CAROM_SEGMENT_OPTIONS() fills it in
 * @name:       shown in /proc/PID/maps as "memfd:NAME"; copied; NULL means "carom"
 * @size:       bytes; rounded up to whole pages; not 0. Pages cost memory only
 *              once they are touched
 * @populate_size: so many bytes from the start are given their pages now, so
 *              that no access to them faults (charged to this process's cgroup);
 *              more than @size means all
 */
struct carom_segment_options {
	size_t size_bytes;
	const char *name;
	uint64_t size;
	uint64_t populate_size;
};
#define CAROM_SEGMENT_OPTIONS(...) CAROM_OPTIONS(carom_segment_options, __VA_ARGS__)

/**
 * carom_segment_new() - make a segment and map it for reading and writing
 * @options:     read during the call only
 * @ret_segment: the caller owns it and ends it with carom_segment_free()
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_segment untouched,
 *	-EINVAL  no options, or @options->size is 0
 *	-EOVERFLOW  @options->size does not fit an address space or a file
 *	-E2BIG   @options sets a field newer than this library
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
 * growing: its maker could take the memory away), -ENOMEM, -EMFILE.
 */
CAROM_API int carom_segment_attach_dup(int fd, uint64_t populate_size,
				       struct carom_segment **ret_segment);

/**
 * carom_segment_free() - unmap and close; other processes keep theirs
 * @segment: NULL is allowed
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: NULL.
 */
CAROM_API struct carom_segment *carom_segment_free(struct carom_segment *segment);
CAROM_API void carom_segment_freep(struct carom_segment **segment);

/** carom_segment_data() - where it is mapped in this process; page-aligned. MT-Safe, AS-Safe. */
CAROM_API void *carom_segment_data(const struct carom_segment *segment);

/** carom_segment_size() - bytes, whole pages. MT-Safe, AS-Safe. */
CAROM_API uint64_t carom_segment_size(const struct carom_segment *segment);

/** carom_segment_fd() - its descriptor, CLOEXEC; stays the segment's. MT-Safe, AS-Safe. */
CAROM_API int carom_segment_fd(const struct carom_segment *segment);

CAROM_END_DECLS

#endif
