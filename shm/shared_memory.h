/**
 * DOC: shared_memory
 *
 * Memory that processes share by a name, which is what Python's
 * multiprocessing.shared_memory.SharedMemory is: either side attaches to the same bytes.
 *
 *	r = carom_shared_memory_new(&CAROM_SHARED_MEMORY_OPTIONS(.name = "frames",
 *								 .size = 1 << 20), &memory);
 *	...				// Python: SharedMemory(name="frames")
 *	carom_shared_memory_unlink(memory);
 *	memory = carom_shared_memory_free(memory);
 *
 * Within one program a segment does better (shm/segment.h): it has no name that could be
 * left behind, and nobody can take its pages away. Here any process of the same user can
 * truncate the file, and an access beyond its end is SIGBUS: share it with those who are
 * trusted.
 *
 * A name lasts until somebody unlinks it: whoever has the handle that made it, or the
 * tracker (core/tracker.h) once the whole program has ended without having done so, in
 * whatever way. Who attaches never unlinks by accident. (Python before 3.13 does: its own
 * tracker takes an attached name away when that Python ends. There `track=False` helps, or
 * a tracker that both use.)
 */
#ifndef CAROM_SHM_SHARED_MEMORY_H
#define CAROM_SHM_SHARED_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"

CAROM_BEGIN_DECLS

struct carom_shared_memory;

/* The longest name, in bytes. */
#define CAROM_SHARED_MEMORY_NAME_MAX 254

/**
 * struct carom_shared_memory_options - what carom_shared_memory_new() makes
 * @size_bytes: size of this struct; CAROM_SHARED_MEMORY_OPTIONS() fills it in
 * @name:       without a slash, or with a leading one, which does not count; copied. NULL:
 *              a random one, "psm_" and eight digits, as Python makes them
 * @size:       bytes; not 0; what carom_shared_memory_size() says, here and elsewhere
 * @untracked:  1: the name outlives the program unless it is unlinked. Row SM-06
 * @name_size:  bytes of @name, if it has come from elsewhere and need not end with a NUL;
 *              none of them may be one. 0: all up to its NUL. Row SM-08
 */
struct carom_shared_memory_options {
	size_t size_bytes;
	const char *name;
	uint64_t size;
	uint64_t untracked;
	uint64_t name_size;
};
#define CAROM_SHARED_MEMORY_OPTIONS(...) CAROM_OPTIONS(carom_shared_memory_options, __VA_ARGS__)

/**
 * carom_shared_memory_new() - make memory with a name that nobody has yet
 * @options:    read during the call only
 * @ret_memory: the caller owns it and ends it with carom_shared_memory_free()
 *
 * All of it is zero, and is there: what the machine cannot give is an error here, and not
 * SIGBUS later. Only this user may open it (mode 0600). Rows SM-01, SM-07, SM-10
 *
 * Context: MT-Safe, AS-Unsafe heap lock. Takes as long as clearing the memory does.
 * Return: 0, or, with nothing left behind,
 *	-EINVAL  no options; the size is 0; an empty name, ".", "..", or one with a slash or a
 *	         NUL inside
 *	-ENAMETOOLONG  more than CAROM_SHARED_MEMORY_NAME_MAX bytes
 *	-EEXIST  the name is taken
 *	-ENOSPC  /dev/shm is too small for it
 *	-ENOMEM  the machine, or the cgroup, is; or address space
 *	-EFBIG   above RLIMIT_FSIZE, or what a file can be
 *	-E2BIG   @options sets a field newer than this library
 *	-EACCES, -ENOENT  there is no /dev/shm to write to
 *	-EMFILE, -ENFILE, and what carom_tracker_register() says
 */
CAROM_API int carom_shared_memory_new(const struct carom_shared_memory_options *options,
				      struct carom_shared_memory **ret_memory);

/**
 * carom_shared_memory_attach() - map what somebody else has made
 * @name:       as above
 * @size:       so many bytes are needed; 0: any number
 * @ret_memory: the caller owns it
 *
 * The name stays whoever made it's to unlink. All of the file is mapped, however much of
 * it was asked for. Rows SM-01, SM-02
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or
 *	-EINVAL, -ENAMETOOLONG  as above; no name
 *	-ENOENT  there is none
 *	-EACCES  it is another user's
 *	-EBADMSG it is no plain file, has fewer than @size bytes, or none at all: its maker
 *	         may be about to say how many
 *	-ENOMEM, -EMFILE, -ENFILE
 */
CAROM_API int carom_shared_memory_attach(const char *name, uint64_t size,
					 struct carom_shared_memory **ret_memory);

/**
 * carom_shared_memory_attach_sized() - the same, by a name that need not end with a NUL
 * @name:      in a message from another process, say, that sent it with
 *             carom_shared_memory_size(): its bytes as they came
 * @name_size: how many they are
 *
 * Nothing of a name behind a NUL is lost unnoticed: who could write such a name would have
 * another one checked than is used. Rows SM-08, SM-09
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: as carom_shared_memory_attach(); -EINVAL too if one of the bytes is a NUL.
 */
CAROM_API int carom_shared_memory_attach_sized(const char *name, size_t name_size, uint64_t size,
					       struct carom_shared_memory **ret_memory);

/**
 * carom_shared_memory_unlink() - take the name away
 *
 * Whoever has the memory keeps it; nobody else can attach any more. Row SM-05
 *
 * Context: MT-Safe, AS-Unsafe lock. Any handle, also one that was attached.
 * Return: 0, or -ENOENT (it is gone already; or another's now), -EACCES.
 */
CAROM_API int carom_shared_memory_unlink(struct carom_shared_memory *memory);

/**
 * carom_shared_memory_free() - unmap it; the name stays. NULL is allowed. Row SM-04
 *
 * Context: MT-Safe, AS-Unsafe heap. A forked child frees its own copy.
 * Return: NULL.
 */
CAROM_API struct carom_shared_memory *carom_shared_memory_free(struct carom_shared_memory *memory);
CAROM_API void carom_shared_memory_freep(struct carom_shared_memory **memory);

/** carom_shared_memory_data() - where it is mapped, until it is freed; page-aligned. MT-Safe, AS-Safe. Row SM-03 */
CAROM_API void *carom_shared_memory_data(const struct carom_shared_memory *memory);

/** carom_shared_memory_size() - bytes, as the file had when it was mapped. MT-Safe, AS-Safe. */
CAROM_API uint64_t carom_shared_memory_size(const struct carom_shared_memory *memory);

/** carom_shared_memory_name() - without a slash; stays the memory's. MT-Safe, AS-Safe. */
CAROM_API const char *carom_shared_memory_name(const struct carom_shared_memory *memory);

CAROM_END_DECLS

#endif
