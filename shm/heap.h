/**
 * DOC: heap
 *
 * Memory to allocate from that a whole tree of processes shares: what one
 * allocates, another may free, and a pointer into it means the same in all of
 * them, because every process has the heap at the same address.
 *
 *	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = NULL;
 *	struct message *message;
 *
 *	r = carom_heap_new(NULL, &heap);
 *	...
 *	r = carom_heap_alloc(heap, sizeof(*message), (void **)&message);
 *	...				// a forked child may use it, link it, free it
 *	carom_heap_dealloc(heap, message);
 *
 * The heap is one sealed memfd of its full size. Memory is taken as it is used and
 * given back when large blocks become free, so the size is a limit and costs
 * nothing: it grows in place, and no pointer ever changes.
 *
 * A process may be killed at any instruction of these calls. Whoever makes the next one
 * completes or undoes what it had begun, so it costs the others nothing:
 *
 * - A call that was not complete gives no block away. If @ret_block of an alloc or realloc
 *   points into the heap itself, the pointer there and the blocks change together: either
 *   it names the new block, or nothing has happened.
 * - A block that is known only to the dead process's own memory is lost, as it was the
 *   process's to free. carom_heap_alloc_owned() gives blocks that can be had back:
 *
 *	r = carom_heap_alloc_owned(heap, sizeof(*job), 1, (void **)&job);
 *	...				// killed from here on: reclaimed
 *	queue->last = job;
 *	carom_heap_disown(heap, job);	// from here on it is the queue's
 *
 *	carom_heap_reclaim(heap, pid, NULL);	// by whoever learns of the death
 *
 *   What the process has linked before it died must be taken out of its place first.
 */
#ifndef CAROM_SHM_HEAP_H
#define CAROM_SHM_HEAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../core/api.h"
#include "../core/cleanup.h"

CAROM_BEGIN_DECLS

struct carom_heap;

/**
 * struct carom_heap_options - what carom_heap_new() makes
 * @size_bytes: size of this struct; CAROM_HEAP_OPTIONS() fills it in
 * @name:       shown in /proc/PID/maps; copied; NULL means "heap"
 * @size:       bytes that can be in use at most, with 16 for each block; rounded
 *              up to whole pages and to 128 KiB at least; 0 means 64 GiB
 */
struct carom_heap_options {
	size_t size_bytes;
	const char *name;
	uint64_t size;
};
#define CAROM_HEAP_OPTIONS(...) CAROM_OPTIONS(carom_heap_options, __VA_ARGS__)

/**
 * struct carom_heap_stats - a heap at one moment
 * @size:          bytes of the heap
 * @used_size:     bytes in blocks, 16 for each included
 * @used_count:    blocks
 * @free_size:     bytes that can still be allocated, though perhaps not in one piece
 * @resident_size: bytes of memory the heap takes from the machine
 */
struct carom_heap_stats {
	uint64_t size;
	uint64_t used_size;
	uint64_t used_count;
	uint64_t free_size;
	uint64_t resident_size;
};

/**
 * carom_heap_new() - make a heap
 * @options:  read during the call only; NULL for all defaults
 * @ret_heap: the caller owns it and ends it with carom_heap_free(); in a forked
 *            child, the child's copy is the child's
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_heap untouched,
 *	-EOVERFLOW  @options->size is above 64 TiB
 *	-E2BIG   @options sets a field newer than this library
 *	-EINVAL  @options was not made by CAROM_HEAP_OPTIONS()
 *	-ENOMEM, -EMFILE, -ENFILE, -EFBIG  from memfd_create(2), ftruncate(2), mmap(2)
 */
CAROM_API int carom_heap_new(const struct carom_heap_options *options,
			     struct carom_heap **ret_heap);

/**
 * carom_heap_attach_dup() - join a heap that another process made
 * @fd:       what carom_heap_fd() gave there; stays the caller's, a duplicate is kept
 * @ret_heap: the caller owns it
 *
 * For processes that did not inherit the heap by fork(). All processes that share
 * a heap must trust each other.
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_heap untouched,
 *	-EADDRINUSE  this process has something else where the heap must lie (also
 *	             the heap itself)
 *	-EBADF, -EBADMSG (no heap)
 *	-EOPNOTSUPP  its lock stands on a list that this process's C library does not have
 *	-ENOMEM, -EMFILE
 */
CAROM_API int carom_heap_attach_dup(int fd, struct carom_heap **ret_heap);

/**
 * carom_heap_free() - unmap and close; other processes keep theirs
 * @heap: NULL is allowed. No thread of this process is inside a call for it, and
 *        none of its blocks is used in this process any more. They are not freed.
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: NULL.
 */
CAROM_API struct carom_heap *carom_heap_free(struct carom_heap *heap);
CAROM_API void carom_heap_freep(struct carom_heap **heap);

/**
 * carom_heap_alloc() - get a block
 * @size:      bytes, not 0
 * @ret_block: aligned to 16 bytes; the content is undefined. Ended by any process
 *             with carom_heap_dealloc(); outlives the process that allocated it
 *
 * Context: MT-Safe, AS-Unsafe lock. Any process that has the heap. Blocks while
 * another one is inside a call.
 * Return: 0, or, with *@ret_block untouched, -EINVAL (@size is 0) or -ENOMEM.
 */
CAROM_API int carom_heap_alloc(struct carom_heap *heap, uint64_t size, void **ret_block);

/**
 * carom_heap_alloc_aligned() - the same, at an aligned address
 * @alignment: a power of two
 *
 * Context: as carom_heap_alloc().
 * Return: 0, -EINVAL (@size is 0, @alignment is not a power of two), -ENOMEM.
 */
CAROM_API int carom_heap_alloc_aligned(struct carom_heap *heap, uint64_t size, uint64_t alignment,
				       void **ret_block);

/**
 * carom_heap_realloc() - make a block larger or smaller
 * @block:     NULL: as carom_heap_alloc()
 * @size:      bytes, not 0
 * @ret_block: the block, where it was if that could be done; else elsewhere, aligned to 16
 *             bytes, with its content, and @block is freed. May be where @block stands
 *
 * The block stays owned by whom it was. Where it has to move, all others wait while it is
 * copied.
 *
 * Context: as carom_heap_alloc().
 * Return: 0, or, with @block as it was,
 *	-EINVAL  @size is 0; @block is no block of this heap, or was given back already
 *	-ENOMEM
 */
CAROM_API int carom_heap_realloc(struct carom_heap *heap, void *block, uint64_t size,
				 void **ret_block);

/**
 * carom_heap_dealloc() - give a block back
 * @block: NULL is allowed
 *
 * Context: as carom_heap_alloc().
 * Return: 0, or -EINVAL: no block of this heap, or given back already (noticed
 * unless its room is in use again).
 */
CAROM_API int carom_heap_dealloc(struct carom_heap *heap, void *block);

/**
 * carom_heap_block_size() - bytes that fit into a block: what was asked for, or some more
 *
 * Context: as carom_heap_alloc().
 * Return: that size; 0: it is no block.
 */
CAROM_API uint64_t carom_heap_block_size(struct carom_heap *heap, const void *block);

/**
 * carom_heap_alloc_owned() - get a block that goes with this process
 * @alignment: a power of two
 * @ret_block: as carom_heap_alloc(); takes 16 bytes more
 *
 * Nothing happens to it by itself when the process ends, in whatever way:
 * carom_heap_reclaim() frees it then. Children made by fork() own nothing of their parent's;
 * a program that replaces itself by execve(2) is the same process.
 *
 * Context: as carom_heap_alloc().
 * Return: as carom_heap_alloc_aligned(), or -ENOSPC: 1024 processes own blocks already.
 */
CAROM_API int carom_heap_alloc_owned(struct carom_heap *heap, uint64_t size, uint64_t alignment,
				     void **ret_block);

/**
 * carom_heap_own() - from now on the block is this process's
 * @block: one from carom_heap_alloc_owned(), whoever owns it, or nobody
 *
 * Context: as carom_heap_alloc().
 * Return: 0, -EINVAL (no such block), -ENOSPC (as above).
 */
CAROM_API int carom_heap_own(struct carom_heap *heap, void *block);

/**
 * carom_heap_disown() - from now on the block is nobody's, and outlives all
 * @block: one from carom_heap_alloc_owned(), whoever owns it
 *
 * Context: as carom_heap_alloc().
 * Return: 0, or -EINVAL: no such block.
 */
CAROM_API int carom_heap_disown(struct carom_heap *heap, void *block);

/**
 * carom_heap_reclaim() - free what the dead own
 * @pid:       one process that has ended, reaped or not; 0: all that have
 * @ret_count: how many blocks were freed; may be NULL
 *
 * One after the other, with others in between. None of those blocks may be in use by
 * anybody else. Without /proc, @pid is taken for alive while anybody has the number.
 *
 * Context: as carom_heap_alloc(). AS-Unsafe fd.
 * Return: 0, or, with *@ret_count untouched, -EBUSY: @pid lives.
 */
CAROM_API int carom_heap_reclaim(struct carom_heap *heap, pid_t pid, uint64_t *ret_count);

/**
 * carom_heap_stats() - how full it is
 *
 * Context: MT-Safe, AS-Unsafe lock. Blocks while another one is inside a call.
 * Return: 0, or -EIO if fstat(2) does not answer.
 */
CAROM_API int carom_heap_stats(struct carom_heap *heap, struct carom_heap_stats *ret_stats);

/** carom_heap_fd() - its descriptor, CLOEXEC; stays the heap's. MT-Safe, AS-Safe. */
CAROM_API int carom_heap_fd(const struct carom_heap *heap);

CAROM_END_DECLS

#endif
