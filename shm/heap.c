/*
 * Heap
 *
 * One file, sealed at its full size and mapped whole, rather than one that grows:
 * pages that nobody touched cost nothing, so room for growth is free, and a size
 * that never changes needs no agreement between the processes that map it.
 *
 *	+--------+----------+------+-----------------------------------+
 *	| blocks | identity | lock | block, block, ...         end mark |
 *	+--------+----------+------+-----------------------------------+
 *
 *   I1  `identity` is written before anybody else can have the descriptor, and
 *       never again.
 *   I2  Blocks change under the lock only, and only through their journal. A
 *       process that is killed inside leaves the lock with OWNER_DIED; the next
 *       one, whoever it is, carries out what the journal holds (all of a change or
 *       nothing of it was committed) before it looks at anything.
 *   I3  Memory is taken from free pages under the same lock as the give that freed
 *       them: nobody can be using them again yet.
 *
 * What a death costs, by the instruction it hits:
 *
 *	before the commit of an alloc      nothing
 *	after it, before the return        the block: nobody knows its address
 *	before the commit of a dealloc     nothing: the block is still in use, and
 *	                                   whoever knows its address may free it
 *	after it                           nothing
 *	before pages are given back        nothing: what the block may hold is still
 *	                                   counted, and the next give nearby does it
 *
 * A child forked while another thread is inside does not inherit a held lock, as
 * it would with malloc(): the lock is the parent thread's, which goes on to
 * release it.
 */
#include "shm/heap.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/options.h"
#include "core/points.h"
#include "core/time.h"
#include "shm/blocks.h"
#include "shm/heap_check.h"
#include "shm/mutex.h"
#include "shm/memfd.h"

#define SIZE_DEFAULT CAROM_GIB(64)
#define SIZE_MIN     CAROM_KIB(64)
#define MAGIC        UINT64_C(0x31306d6f72616368) /* "hcarom01" in memory */

/**
 * struct heap_file - what stands at the start of the file
 * @address: where every process maps it
 * @size:    of the file
 */
struct heap_file {
	struct carom_blocks blocks;
	uint64_t magic;
	uint64_t address;
	uint64_t size;
	struct carom_mutex lock;
};

/**
 * struct carom_heap - one process's handle
 * @file: NULL while half-built
 * @size: bytes mapped
 * @fd:   -1 while half-built
 */
struct carom_heap {
	struct heap_file *file;
	uint64_t size;
	int fd;
};

static struct carom_heap *new_handle(uint64_t size)
{
	struct carom_heap *heap = calloc(1, sizeof(*heap));

	if (heap) {
		heap->size = size;
		heap->fd = -1;
	}
	return heap;
}

/* ---- where it lies ---- */

/*
 * An address chosen by the kernel is near the stack and the libraries, where
 * another program's are likely to be in the way. Between 32 and 80 TiB there is
 * nothing unless somebody asked for it. Only a wish: where an address space is
 * smaller, the kernel's choice has to do.
 */
static void *wished_address(void)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		return NULL;
	return (void *)(uintptr_t)((CAROM_GIB(1) << 15) + random % (48 << 10) * CAROM_GIB(1));
}

/* Learn from the file where it wants to lie. */
static int read_address(const struct carom_heap *heap, void **ret_address)
{
	struct heap_file *file;
	uint64_t magic, address, size;
	void *data;
	int r;

	if (heap->size < SIZE_MIN)
		return -EBADMSG;
	r = carom_memfd_map(heap->fd, NULL, SIZE_MIN, &data);
	if (r < 0)
		return r;
	file = data;
	magic = file->magic;
	address = file->address;
	size = file->size;
	munmap(data, SIZE_MIN);
	if (magic != MAGIC || size != heap->size || !address ||
	    address % (uint64_t)sysconf(_SC_PAGESIZE) != 0)
		return -EBADMSG;
	*ret_address = (void *)(uintptr_t)address;
	return 0;
}

/* ---- made, joined, left ---- */

static int write_file(struct carom_heap *heap)
{
	struct heap_file *file = heap->file;

	carom_blocks_init(&file->blocks, sizeof(*file), heap->size);
	file->address = (uintptr_t)file;
	file->size = heap->size;
	file->magic = MAGIC;
	return carom_mutex_init(&file->lock);
}

int carom_heap_new(const struct carom_heap_options *options, struct carom_heap **ret_heap)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = NULL;
	struct carom_heap_options o;
	uint64_t size;
	void *data;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r < 0)
		return r;
	size = carom_page_ceil(o.size ? o.size : SIZE_DEFAULT);
	if (size == 0 || size > CAROM_BLOCKS_SIZE_MAX)
		return -EOVERFLOW;
	heap = new_handle(size > SIZE_MIN ? size : SIZE_MIN);
	if (!heap)
		return -ENOMEM;
	r = carom_memfd_new(o.name ? o.name : "heap", heap->size, &heap->fd);
	if (r < 0)
		return r;
	r = carom_memfd_map(heap->fd, wished_address(), heap->size, &data);
	if (r < 0)
		return r;
	heap->file = data;
	r = write_file(heap);
	if (r < 0)
		return r;
	*ret_heap = carom_take_ptr(heap);
	return 0;
}

/* ---- inside ---- */

/* A holder that died may have left a change half done: finish it (I2). */
static int try_enter(struct carom_heap *heap)
{
	int r = carom_mutex_acquire(&heap->file->lock, CAROM_NO_DEADLINE);

	if (r == -EOWNERDEAD) {
		carom_blocks_redo(&heap->file->blocks);
		CAROM_POINT("heap.repaired");
		r = carom_mutex_consistent(&heap->file->lock);
	}
	return r;
}

static void enter(struct carom_heap *heap)
{
	int r = try_enter(heap);

	assert(r == 0); /* not from a signal handler that interrupted one of these calls */
	CAROM_POINT("heap.entered");
}

static void leave(struct carom_heap *heap)
{
	CAROM_POINT("heap.leaving");
	carom_mutex_release(&heap->file->lock);
}

/* ---- joining ---- */

int carom_heap_attach_dup(int fd, struct carom_heap **ret_heap)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = NULL;
	void *address;
	uint64_t size;
	int r = carom_memfd_check(fd, &size);

	if (r < 0)
		return r;
	heap = new_handle(size);
	if (!heap)
		return -ENOMEM;
	heap->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (heap->fd < 0)
		return -errno;
	r = read_address(heap, &address);
	if (r < 0)
		return r;
	r = carom_memfd_map_at(heap->fd, address, heap->size);
	if (r < 0)
		return r;
	heap->file = address;
	r = try_enter(heap); /* its lock may be of a kind that this process cannot hold */
	if (r < 0)
		return r;
	leave(heap);
	*ret_heap = carom_take_ptr(heap);
	return 0;
}

struct carom_heap *carom_heap_free(struct carom_heap *heap)
{
	if (!heap)
		return NULL;
	if (heap->file)
		munmap(heap->file, heap->size);
	carom_closep(&heap->fd);
	free(heap);
	return NULL;
}

void carom_heap_freep(struct carom_heap **heap)
{
	*heap = carom_heap_free(*heap);
}

/* ---- blocks ---- */

int carom_heap_alloc(struct carom_heap *heap, uint64_t size, void **ret_block)
{
	return carom_heap_alloc_aligned(heap, size, CAROM_BLOCKS_ALIGNMENT, ret_block);
}

int carom_heap_alloc_aligned(struct carom_heap *heap, uint64_t size, uint64_t alignment,
			     void **ret_block)
{
	uint64_t offset;
	int r;

	if (size == 0 || alignment == 0 || (alignment & (alignment - 1)) != 0)
		return -EINVAL;
	if (alignment < CAROM_BLOCKS_ALIGNMENT)
		alignment = CAROM_BLOCKS_ALIGNMENT;
	enter(heap);
	r = carom_blocks_take(&heap->file->blocks, size, alignment, &offset);
	leave(heap);
	if (r == 0)
		*ret_block = (unsigned char *)heap->file + offset;
	return r;
}

/* Where the kernel refuses, the pages stay: what they may hold stays counted. */
static void give_back(struct carom_heap *heap, const struct carom_pages *pages)
{
	CAROM_POINT("heap.giving_back");
	if (madvise((unsigned char *)heap->file + pages->offset, pages->size, MADV_REMOVE) < 0)
		return;
	CAROM_POINT("heap.given_back");
	carom_blocks_emptied(&heap->file->blocks, pages);
}

int carom_heap_dealloc(struct carom_heap *heap, void *block)
{
	int saved_errno = errno;
	struct carom_pages pages;
	int r;

	if (!block)
		return 0;
	enter(heap);
	r = carom_blocks_give(&heap->file->blocks, (uintptr_t)block - (uintptr_t)heap->file,
			      &pages);
	if (r == 0 && pages.size)
		give_back(heap, &pages);
	leave(heap);
	errno = saved_errno;
	return r;
}

int carom_heap_stats(struct carom_heap *heap, struct carom_heap_stats *ret_stats)
{
	const struct carom_blocks *blocks = &heap->file->blocks;
	struct carom_heap_stats stats = { .size = heap->size };
	struct stat file;

	if (fstat(heap->fd, &file) < 0)
		return -EIO;
	enter(heap);
	stats.used_size = blocks->used_size;
	stats.used_count = blocks->used_count;
	stats.free_size = carom_blocks_room(blocks) - blocks->used_size;
	leave(heap);
	stats.resident_size = (uint64_t)file.st_blocks * 512;
	*ret_stats = stats;
	return 0;
}

int carom_heap_fd(const struct carom_heap *heap)
{
	return heap->fd;
}

const char *carom_heap_check(struct carom_heap *heap)
{
	const char *fault;

	enter(heap);
	fault = carom_blocks_fault(&heap->file->blocks);
	leave(heap);
	return fault;
}
