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
 *   I4  What carom_heap_alloc_owned() gave is in the ring of the process that owns it
 *       (shm/owners.h), from the change that takes it on.
 *
 * What a death costs, by the instruction it hits:
 *
 *	before the commit of an alloc      nothing
 *	after it, before the return        nothing: the next one finds the block in
 *	                                   `giving`, and gives it back; or the word in the
 *	                                   heap that was to name it does
 *	before the commit of a dealloc     nothing: the block is still in use, and
 *	                                   whoever knows its address may free it
 *	after it                           nothing
 *	before pages are given back        nothing: what the block may hold is still
 *	                                   counted, and the next give nearby does it
 *	while a realloc copies             nothing: the new block is in `giving`
 *	while a block is being reclaimed   nothing: each is one dealloc
 *
 * A realloc that moves copies under the lock. Outside, the old block could be changed or
 * freed by others while it is copied, and the new one would have to be known as given for
 * longer than one holds the lock.
 *
 * Reclaiming takes one block of a dead owner at a time and lets others in between. An owner
 * who is found dead stays dead: a later process with its number began at another time, and
 * has another row.
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
#include "core/origin.h"
#include "core/pid_namespace.h"
#include "core/pidfd.h"
#include "core/points.h"
#include "core/time.h"
#include "shm/blocks.h"
#include "shm/heap_check.h"
#include "shm/memfd.h"
#include "shm/mutex.h"
#include "shm/owners.h"

#define SIZE_DEFAULT CAROM_GIB(64)
#define SIZE_MIN     CAROM_KIB(128)
#define MAGIC        UINT64_C(0x32306d6f72616368) /* "hcarom02" in memory */

/**
 * struct heap_file - what stands at the start of the file
 * @address: where every process maps it
 * @size:    of the file
 * @owners:  of blocks that are reclaimed when they die
 */
struct heap_file {
	struct carom_blocks blocks;
	uint64_t magic;
	uint64_t address;
	uint64_t size;
	struct carom_mutex lock;
	struct carom_owners owners;
};

/**
 * struct carom_heap - one process's handle
 * @file: NULL while half-built
 * @size: bytes mapped
 * @fd:   -1 while half-built
 * @origin, @pid, @born: which process this is, learned when it first owned something; of
 *        no use in a child made by fork() since
 */
struct carom_heap {
	struct heap_file *file;
	uint64_t size;
	int fd;
	uint64_t origin;
	pid_t pid;
	uint64_t born;
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

/*
 * The word in the heap that @ret_block is, which then changes together with the blocks; 0:
 * it is elsewhere.
 */
static uint64_t place_of(const struct carom_heap *heap, void **ret_block)
{
	uint64_t offset = (uintptr_t)ret_block - (uintptr_t)heap->file;

	if (offset < heap->file->blocks.first || offset > heap->size - sizeof(*ret_block) ||
	    offset % sizeof(uint64_t) != 0)
		return 0;
	return offset;
}

static void *at(const struct carom_heap *heap, uint64_t offset)
{
	return (unsigned char *)heap->file + offset;
}

static uint64_t offset_of(const struct carom_heap *heap, const void *block)
{
	return (uintptr_t)block - (uintptr_t)heap->file;
}

/* Inside. What is not written down in the heap is the caller's from here on. */
static int take(struct carom_heap *heap, uint64_t size, uint64_t alignment, uint64_t owner,
		void **ret_block)
{
	struct carom_request request = { .size = size,
					 .alignment = alignment,
					 .owner = owner,
					 .place = place_of(heap, ret_block) };
	uint64_t offset;
	int r = carom_blocks_take(&heap->file->blocks, &request, &offset);

	if (r < 0 || request.place)
		return r;
	CAROM_POINT("heap.giving");
	carom_blocks_given(&heap->file->blocks);
	*ret_block = at(heap, offset);
	return 0;
}

/* Return: @alignment, or a stricter one; 0: there is no block like that. */
static uint64_t take_alignment(uint64_t size, uint64_t alignment)
{
	if (size == 0 || alignment == 0 || (alignment & (alignment - 1)) != 0)
		return 0;
	return alignment < CAROM_BLOCKS_ALIGNMENT ? CAROM_BLOCKS_ALIGNMENT : alignment;
}

int carom_heap_alloc(struct carom_heap *heap, uint64_t size, void **ret_block)
{
	return carom_heap_alloc_aligned(heap, size, CAROM_BLOCKS_ALIGNMENT, ret_block);
}

int carom_heap_alloc_aligned(struct carom_heap *heap, uint64_t size, uint64_t alignment,
			     void **ret_block)
{
	int r;

	alignment = take_alignment(size, alignment);
	if (!alignment)
		return -EINVAL;
	enter(heap);
	r = take(heap, size, alignment, 0, ret_block);
	leave(heap);
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

/* Inside. */
static int give(struct carom_heap *heap, uint64_t offset)
{
	struct carom_pages pages;
	int r = carom_blocks_give(&heap->file->blocks, offset, &pages);

	if (r == 0 && pages.size)
		give_back(heap, &pages);
	return r;
}

int carom_heap_dealloc(struct carom_heap *heap, void *block)
{
	int saved_errno = errno, r;

	if (!block)
		return 0;
	enter(heap);
	r = give(heap, offset_of(heap, block));
	leave(heap);
	errno = saved_errno;
	return r;
}

/* Inside: the content comes to stand in another block. */
static int move(struct carom_heap *heap, uint64_t offset, uint64_t size, uint64_t place,
		uint64_t *ret_offset, struct carom_pages *ret_pages)
{
	struct carom_blocks *blocks = &heap->file->blocks;
	struct carom_request request = { .size = size,
					 .alignment = CAROM_BLOCKS_ALIGNMENT,
					 .owner = carom_blocks_link(blocks, offset) };
	uint64_t old_size = carom_blocks_size(blocks, offset), by;
	int r = carom_blocks_take(blocks, &request, &by);

	if (r < 0)
		return r;
	CAROM_POINT("heap.moving");
	memcpy(at(heap, by), at(heap, offset), old_size < size ? old_size : size);
	CAROM_POINT("heap.moved");
	carom_blocks_replace(blocks, offset, by, place, ret_pages);
	*ret_offset = by;
	return 0;
}

/* Inside: where it is, if that can be. */
static int resize(struct carom_heap *heap, uint64_t offset, uint64_t size, void **ret_block)
{
	uint64_t place = place_of(heap, ret_block);
	struct carom_pages pages;
	int r = carom_blocks_resize(&heap->file->blocks, offset, size, place, &pages);

	if (r == -ENOMEM)
		r = move(heap, offset, size, place, &offset, &pages);
	if (r < 0)
		return r;
	if (!place)
		*ret_block = at(heap, offset);
	if (pages.size)
		give_back(heap, &pages);
	return 0;
}

int carom_heap_realloc(struct carom_heap *heap, void *block, uint64_t size, void **ret_block)
{
	int saved_errno = errno, r;

	if (!block)
		return carom_heap_alloc(heap, size, ret_block);
	if (size == 0)
		return -EINVAL;
	enter(heap);
	r = resize(heap, offset_of(heap, block), size, ret_block);
	leave(heap);
	errno = saved_errno;
	return r;
}

uint64_t carom_heap_block_size(struct carom_heap *heap, const void *block)
{
	uint64_t size;

	enter(heap);
	size = carom_blocks_size(&heap->file->blocks, offset_of(heap, block));
	leave(heap);
	return size;
}

/* ---- owners ---- */

/* Inside. Asks /proc once a process; without it a number is all that a process has. */
static void learn_self(struct carom_heap *heap)
{
	if (heap->origin && carom_origin_is(heap->origin))
		return;
	heap->pid = carom_pid_outside();
	if (carom_pid_born(heap->pid, &heap->born) < 0)
		heap->born = 0;
	heap->origin = carom_origin();
}

/* Inside. *@ret_head: the ring of what this process owns */
static int join(struct carom_heap *heap, uint64_t *ret_head)
{
	struct heap_file *file = heap->file;
	struct carom_change change;

	learn_self(heap);
	carom_change_begin(&change, &file->blocks.journal, &file->blocks);
	return carom_owners_join(&file->owners, &change, heap->pid, heap->born, ret_head);
}

int carom_heap_alloc_owned(struct carom_heap *heap, uint64_t size, uint64_t alignment,
			   void **ret_block)
{
	int saved_errno = errno, r;
	uint64_t head;

	alignment = take_alignment(size, alignment);
	if (!alignment)
		return -EINVAL;
	enter(heap);
	r = join(heap, &head);
	if (r == 0)
		r = take(heap, size, alignment, head, ret_block);
	leave(heap);
	errno = saved_errno;
	return r;
}

int carom_heap_own(struct carom_heap *heap, void *block)
{
	int saved_errno = errno, r = -EINVAL;
	uint64_t head, link;

	enter(heap);
	link = carom_blocks_link(&heap->file->blocks, offset_of(heap, block));
	if (link)
		r = join(heap, &head);
	if (r == 0)
		carom_blocks_pass(&heap->file->blocks, link, head);
	leave(heap);
	errno = saved_errno;
	return r;
}

int carom_heap_disown(struct carom_heap *heap, void *block)
{
	uint64_t link;

	enter(heap);
	link = carom_blocks_link(&heap->file->blocks, offset_of(heap, block));
	if (link)
		carom_blocks_pass(&heap->file->blocks, link, 0);
	leave(heap);
	return link ? 0 : -EINVAL;
}

/* Return: does this row have anything? Then *@ret_owner says who it is. */
static bool look_at_owner(struct carom_heap *heap, uint64_t index, struct carom_owner *ret_owner)
{
	struct heap_file *file = heap->file;
	bool is_there;

	enter(heap);
	is_there = carom_owners_first(&file->owners, &file->blocks, index) != 0;
	if (is_there)
		*ret_owner = file->owners.rows[index];
	leave(heap);
	return is_there;
}

/* One block of a dead owner. Return: false if it had none any more, or one that cannot be given back. */
static bool reclaim_one(struct carom_heap *heap, uint64_t index, const struct carom_owner *owner)
{
	struct heap_file *file = heap->file;
	const struct carom_owner *row = &file->owners.rows[index];
	bool is_given = false;
	uint64_t link;

	enter(heap);
	link = row->pid == owner->pid && row->born == owner->born
		       ? carom_owners_first(&file->owners, &file->blocks, index)
		       : 0;
	if (link)
		is_given = give(heap, carom_blocks_linked(&file->blocks, link)) == 0;
	leave(heap);
	return is_given;
}

int carom_heap_reclaim(struct carom_heap *heap, pid_t pid, uint64_t *ret_count)
{
	int saved_errno = errno, r = 0;
	struct carom_owner owner;
	uint64_t count = 0, row_count;

	enter(heap);
	row_count = heap->file->owners.count; /* the dead are among these */
	leave(heap);
	for (uint64_t i = 0; i < row_count; i++) {
		if (!look_at_owner(heap, i, &owner) || (pid && owner.pid != (uint64_t)pid))
			continue;
		if (carom_pid_lives((pid_t)owner.pid, owner.born)) {
			r = pid ? -EBUSY : r;
			continue;
		}
		while (reclaim_one(heap, i, &owner))
			count++;
	}
	errno = saved_errno;
	if (r == 0 && ret_count)
		*ret_count = count;
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
