/* Heap: memory that a tree of processes allocates from, and that a death does not tear. */
#include "tests/shm/help.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "core/points.h"
#include "shm/heap.h"
#include "shm/heap_check.h"
#include "tests/needs.h"

static struct carom_heap *new_heap(uint64_t size)
{
	struct carom_heap *heap = NULL;

	cr_assert(zero(int, carom_heap_new(&CAROM_HEAP_OPTIONS(.size = size), &heap)));
	return heap;
}

static struct carom_heap_stats stats_of(struct carom_heap *heap)
{
	struct carom_heap_stats stats = { 0 };

	cr_assert(zero(int, carom_heap_stats(heap, &stats)));
	return stats;
}

/* NULL, for the assertions */
static void *alloc(struct carom_heap *heap, uint64_t size)
{
	void *block = NULL;

	return carom_heap_alloc(heap, size, &block) == 0 ? block : NULL;
}

static void expect_whole(struct carom_heap *heap)
{
	const char *fault = carom_heap_check(heap);

	cr_expect(eq(ptr, (void *)fault, NULL), "%s", fault ? fault : "");
}

struct message {
	struct message *next;
	int number;
};

Test(heap, shares_pointers_with_children, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = NULL;
	struct message *first = NULL;
	pid_t pid;

	cr_assert(zero(int, carom_heap_new(NULL, &heap)));
	cr_assert(zero(int, carom_heap_alloc(heap, sizeof(*first), (void **)&first)));
	first->number = 1;
	pid = child();
	if (pid == 0) {
		first->next = alloc(heap, sizeof(*first));
		first->next->number = first->number + 1;
		_exit(0);
	}
	cr_assert(zero(int, ended(pid)));
	cr_expect(eq(int, first->next->number, 2)); /* the child is gone, its block is not */
	cr_expect(zero(int, carom_heap_dealloc(heap, first->next)));
	cr_expect(zero(int, carom_heap_dealloc(heap, first)));
	cr_expect(zero(u64, stats_of(heap).used_count));
	expect_whole(heap);
}

Test(heap, is_attached_at_the_same_address, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(1));
	struct message *message = alloc(heap, sizeof(*message));
	pid_t pid;

	message->number = 5;
	pid = child();
	if (pid == 0) {
		struct carom_heap *other = NULL;
		int fd = dup(carom_heap_fd(heap));

		if (carom_heap_attach_dup(fd, &other) != -EADDRINUSE || other)
			_exit(1);
		heap = carom_heap_free(heap); /* as if it had never been inherited */
		if (carom_heap_attach_dup(fd, &other) != 0)
			_exit(2);
		message->number++;
		message->next = alloc(other, sizeof(*message));
		_exit(carom_heap_free(other) ? 3 : 0);
	}
	cr_assert(zero(int, ended(pid)));
	cr_expect(eq(int, message->number, 6));
	cr_expect(zero(int, carom_heap_dealloc(heap, message->next)));
	expect_whole(heap);
}

Test(heap, attaches_nothing_but_heaps, .timeout = 60)
{
	struct carom_heap *heap = NULL;
	int before = open_fd_count(), fd, i = 0;
	/* too small, and large enough but without the mark of a heap */
	const off_t sizes[] = { 4096, 1 << 20 };

	for (i = 0; i < 2; i++) {
		fd = memfd_create("no heap", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		cr_assert(zero(int, ftruncate(fd, sizes[i])));
		cr_expect(eq(int, carom_heap_attach_dup(fd, &heap), -EBADMSG));
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
		cr_expect(eq(int, carom_heap_attach_dup(fd, &heap), -EBADMSG));
		close(fd);
	}
	cr_expect(eq(int, carom_heap_attach_dup(-1, &heap), -EBADF));
	cr_expect(eq(ptr, heap, NULL));
	cr_expect(eq(int, open_fd_count(), before));
}

Test(heap, refuses_what_it_cannot_do, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(1));
	unsigned char *block = alloc(heap, 100);
	void *none = NULL;
	int local;

	cr_expect(eq(int, carom_heap_alloc(heap, 0, &none), -EINVAL));
	cr_expect(eq(int, carom_heap_alloc(heap, UINT64_MAX, &none), -ENOMEM));
	cr_expect(eq(int, carom_heap_alloc(heap, UINT64_MAX - 7, &none), -ENOMEM));
	cr_expect(eq(int, carom_heap_alloc(heap, CAROM_MIB(1), &none), -ENOMEM));
	cr_expect(eq(int, carom_heap_alloc_aligned(heap, 8, 0, &none), -EINVAL));
	cr_expect(eq(int, carom_heap_alloc_aligned(heap, 8, 48, &none), -EINVAL));
	cr_expect(eq(int, carom_heap_alloc_aligned(heap, 8, UINT64_C(1) << 63, &none), -ENOMEM));
	cr_expect(eq(ptr, none, NULL));

	memset(block, 0, 100);
	cr_expect(zero(int, carom_heap_dealloc(heap, NULL)));
	cr_expect(eq(int, carom_heap_dealloc(heap, &local), -EINVAL));
	cr_expect(eq(int, carom_heap_dealloc(heap, block + 16), -EINVAL));
	cr_expect(eq(int, carom_heap_dealloc(heap, block + 1), -EINVAL));
	cr_expect(zero(int, carom_heap_dealloc(heap, block)));
	cr_expect(eq(int, carom_heap_dealloc(heap, block), -EINVAL));
	expect_whole(heap);
}

Test(heap, is_not_made_from_bad_options, .timeout = 60)
{
	struct carom_heap *heap = NULL;
	struct {
		struct carom_heap_options known;
		uint64_t unknown;
	} newer = { .known = CAROM_HEAP_OPTIONS(.size = 4096), .unknown = 1 };
	struct rlimit files, limit;
	int before = open_fd_count();

	cr_expect(eq(int, carom_heap_new(&CAROM_HEAP_OPTIONS(.size = UINT64_MAX), &heap),
		     -EOVERFLOW));
	cr_expect(eq(int,
		     carom_heap_new(&CAROM_HEAP_OPTIONS(.size = CAROM_GIB(64 << 10) + 1), &heap),
		     -EOVERFLOW));
	newer.known.size_bytes = sizeof(newer);
	cr_expect(eq(int, carom_heap_new(&newer.known, &heap), -E2BIG));
	newer.known.size_bytes = 0;
	cr_expect(eq(int, carom_heap_new(&newer.known, &heap), -EINVAL));

	cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &files)));
	limit = (struct rlimit){ .rlim_cur = 1, .rlim_max = files.rlim_max };
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
	cr_expect(eq(int, carom_heap_new(NULL, &heap), -EMFILE));
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &files)));

	cr_assert(zero(int, getrlimit(RLIMIT_AS, &files)));
	limit = (struct rlimit){ .rlim_cur = CAROM_GIB(4), .rlim_max = files.rlim_max };
	cr_assert(zero(int, setrlimit(RLIMIT_AS, &limit)));
	cr_expect(eq(int, carom_heap_new(NULL, &heap), -ENOMEM));
	cr_assert(zero(int, setrlimit(RLIMIT_AS, &files)));

	cr_expect(eq(ptr, heap, NULL));
	cr_expect(eq(int, open_fd_count(), before));
	cr_expect(eq(ptr, carom_heap_free(NULL), NULL));
}

Test(heap, aligns, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(64));

	for (uint64_t alignment = 1; alignment <= CAROM_MIB(4); alignment *= 2) {
		for (uint64_t size = 1; size < 3 * 4096; size = size * 3 + 1) {
			void *block = NULL, *between;

			cr_assert(
				zero(int, carom_heap_alloc_aligned(heap, size, alignment, &block)));
			cr_expect(zero(u64, (uintptr_t)block % alignment));
			cr_expect(zero(u64, (uintptr_t)block % 16));
			memset(block, 0xff, size);
			between = alloc(heap, 24); /* so that the next gap is another one */
			cr_expect(zero(u64, (uintptr_t)between % 16));
			if (size % 2)
				carom_heap_dealloc(heap, block);
		}
		expect_whole(heap);
	}
}

/* ---- any sequence of calls ---- */

enum { SLOTS = 256 };

/**
 * struct slot - what the test knows of one block
 * @size:  bytes, each of which holds @fill
 */
struct slot {
	unsigned char *block;
	uint64_t size;
	unsigned char fill;
};

/* Small ones mostly, some of pages, few of many pages. */
static uint64_t random_size(uint64_t *seed)
{
	uint32_t kind = chance(seed) % 100;

	if (kind < 70)
		return 1 + chance(seed) % 300;
	return 1 + chance(seed) % (kind < 97 ? 20000 : 3000000);
}

static bool holds_fill(const struct slot *slot)
{
	for (uint64_t i = 0; i < slot->size; i += i < 64 || i + 64 > slot->size ? 1 : 61)
		if (slot->block[i] != slot->fill)
			return false;
	return slot->block[slot->size - 1] == slot->fill;
}

/* Fill or empty one slot. Return: false if a block was not as it was left. */
static bool turn(struct carom_heap *heap, struct slot *slot, uint64_t *seed)
{
	uint64_t alignment = UINT64_C(1) << (chance(seed) % 4 ? 4 : chance(seed) % 14);

	if (slot->block) {
		bool good = holds_fill(slot);

		good &= carom_heap_dealloc(heap, slot->block) == 0;
		slot->block = NULL;
		return good;
	}
	slot->size = random_size(seed);
	slot->fill = (unsigned char)chance(seed);
	if (carom_heap_alloc_aligned(heap, slot->size, alignment, (void **)&slot->block) != 0) {
		slot->block = NULL; /* full, at times */
		return true;
	}
	memset(slot->block, slot->fill, slot->size);
	return (uintptr_t)slot->block % alignment == 0;
}

static void empty(struct carom_heap *heap, struct slot *slots)
{
	for (int i = 0; i < SLOTS; i++)
		if (slots[i].block)
			cr_expect(zero(int, carom_heap_dealloc(heap, slots[i].block)));
}

/* SC-10 */
Test(heap, keeps_blocks_apart, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(24));
	struct slot slots[SLOTS] = { 0 };
	uint64_t seed = new_seed();

	for (int step = 0; step < 30000; step++) {
		cr_assert(turn(heap, &slots[chance(&seed) % SLOTS], &seed));
		if (step % 500 == 0)
			expect_whole(heap);
	}
	empty(heap, slots);
	expect_whole(heap);
	cr_expect(zero(u64, stats_of(heap).used_count));
	cr_expect(zero(u64, stats_of(heap).used_size));
}

Test(heap, keeps_blocks_of_several_processes_apart, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(24));
	struct slot *slots = share(4 * SLOTS * sizeof(*slots));
	uint64_t seed = new_seed();
	pid_t pids[4];

	for (uint32_t i = 0; i < 4; i++) {
		pids[i] = child();
		if (pids[i] == 0) {
			bool good = true;

			seed += i;
			for (int step = 0; step < 5000; step++)
				good &= turn(heap, &slots[i * SLOTS + chance(&seed) % SLOTS],
					     &seed);
			_exit(good ? 0 : 1);
		}
	}
	for (int i = 0; i < 4; i++)
		cr_expect(zero(int, ended(pids[i])));
	expect_whole(heap);
	for (int i = 0; i < 4; i++) /* freed by another one than allocated them */
		empty(heap, slots + i * SLOTS);
	cr_expect(zero(u64, stats_of(heap).used_count));
	expect_whole(heap);
}

/**
 * struct worker - a thread that has slots of its own
 */
struct worker {
	struct carom_heap *heap;
	struct slot slots[SLOTS];
	uint64_t seed;
	bool good;
};

static void *work(void *userdata)
{
	struct worker *worker = userdata;

	worker->good = true;
	for (int step = 0; step < 3000; step++)
		worker->good &= turn(worker->heap, &worker->slots[chance(&worker->seed) % SLOTS],
				     &worker->seed);
	return NULL;
}

Test(heap, keeps_blocks_of_several_threads_apart, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(24));
	static struct worker workers[3];
	uint64_t seed = new_seed();
	pthread_t threads[3];

	for (uint64_t i = 0; i < 3; i++) {
		workers[i].heap = heap;
		workers[i].seed = seed + i;
		cr_assert(zero(int, pthread_create(&threads[i], NULL, work, &workers[i])));
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 3; i++) {
		cr_expect(workers[i].good);
		empty(heap, workers[i].slots);
	}
	cr_expect(zero(u64, stats_of(heap).used_count));
	expect_whole(heap);
}

/* ---- larger and smaller ---- */

Test(heap, resizes_a_block_where_it_is_or_moves_it, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(8));
	unsigned char *block = alloc(heap, 100), *same = NULL, *behind, *moved = NULL;

	for (int i = 0; i < 100; i++)
		block[i] = (unsigned char)i;
	cr_expect(zero(int, carom_heap_realloc(heap, block, 5000, (void **)&same)));
	cr_expect(eq(ptr, same, block));
	cr_expect(ge(u64, carom_heap_block_size(heap, block), 5000));
	behind = alloc(heap, 16);
	cr_expect(zero(int, carom_heap_realloc(heap, block, 50, (void **)&same)));
	cr_expect(eq(ptr, same, block));
	cr_expect(lt(u64, carom_heap_block_size(heap, block), 100));
	cr_expect(zero(int, carom_heap_realloc(heap, block, 6000, (void **)&moved)));
	cr_expect(ne(ptr, moved, block));
	cr_expect(moved > behind);
	for (int i = 0; i < 50; i++)
		cr_expect(eq(int, moved[i], i));
	cr_expect(eq(u64, stats_of(heap).used_count, 2));
	expect_whole(heap);
}

Test(heap, resizes_nothing_that_is_no_block, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(1));
	void *block = NULL, *none = NULL;

	cr_expect(zero(int, carom_heap_realloc(heap, NULL, 64, &block)));
	cr_expect(eq(int, carom_heap_realloc(heap, block, 0, &none), -EINVAL));
	cr_expect(eq(int, carom_heap_realloc(heap, (char *)block + 16, 64, &none), -EINVAL));
	cr_expect(eq(int, carom_heap_realloc(heap, &none, 64, &none), -EINVAL));
	cr_expect(eq(int, carom_heap_realloc(heap, block, CAROM_MIB(1), &none), -ENOMEM));
	cr_expect(eq(int, carom_heap_realloc(heap, block, UINT64_MAX, &none), -ENOMEM));
	cr_expect(zero(u64, carom_heap_block_size(heap, &none)));
	cr_expect(zero(int, carom_heap_dealloc(heap, block)));
	cr_expect(eq(int, carom_heap_realloc(heap, block, 64, &none), -EINVAL));
	cr_expect(eq(ptr, none, NULL));
	expect_whole(heap);
}

Test(heap, gives_memory_back_when_a_block_shrinks, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(64));
	unsigned char *block = alloc(heap, CAROM_MIB(32));

	memset(block, 1, CAROM_MIB(32));
	cr_expect(zero(int, carom_heap_realloc(heap, block, CAROM_MIB(1), (void **)&block)));
	cr_expect(lt(u64, stats_of(heap).resident_size, CAROM_MIB(2)));
	cr_expect(eq(int, block[CAROM_MIB(1) - 1], 1));
	expect_whole(heap);
}

/* Fill, resize or empty one slot. Return: false if a block was not as it was left. */
static bool resizing_turn(struct carom_heap *heap, struct slot *slot, uint64_t *seed)
{
	uint64_t size = random_size(seed);
	bool good;

	if (!slot->block || chance(seed) % 3 == 0)
		return turn(heap, slot, seed);
	good = holds_fill(slot);
	if (carom_heap_realloc(heap, slot->block, size, (void **)&slot->block) != 0)
		return good;
	slot->size = slot->size < size ? slot->size : size;
	good &= holds_fill(slot);
	slot->size = size;
	memset(slot->block, slot->fill, slot->size);
	return good;
}

/* SC-10 */
Test(heap, loses_nothing_over_any_sequence_of_calls, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(24));
	struct slot slots[SLOTS] = { 0 };
	uint64_t seed = new_seed(), all = stats_of(heap).free_size;

	for (int step = 0; step < 20000; step++) {
		cr_assert(resizing_turn(heap, &slots[chance(&seed) % SLOTS], &seed));
		if (step % 500 == 0)
			expect_whole(heap);
	}
	empty(heap, slots);
	expect_whole(heap);
	cr_expect(zero(u64, stats_of(heap).used_count));
	cr_expect(eq(u64, stats_of(heap).free_size, all));
}

/* Slots of its own, and blocks that it owns for a while. */
static void *resize_and_own(void *userdata)
{
	struct worker *worker = userdata;
	void *owned;

	worker->good = true;
	for (int step = 0; step < 2000; step++) {
		worker->good &= resizing_turn(
			worker->heap, &worker->slots[chance(&worker->seed) % SLOTS], &worker->seed);
		if (carom_heap_alloc_owned(worker->heap, 100, 1, &owned) != 0)
			continue;
		memset(owned, 1, 100);
		worker->good &= carom_heap_disown(worker->heap, owned) == 0;
		worker->good &= carom_heap_own(worker->heap, owned) == 0;
		worker->good &= carom_heap_dealloc(worker->heap, owned) == 0;
	}
	return NULL;
}

Test(heap, keeps_threads_apart_that_resize_and_own, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(24));
	static struct worker workers[3];
	uint64_t seed = new_seed();
	pthread_t threads[3];

	for (uint64_t i = 0; i < 3; i++) {
		workers[i].heap = heap;
		workers[i].seed = seed + i;
		cr_assert(
			zero(int, pthread_create(&threads[i], NULL, resize_and_own, &workers[i])));
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 3; i++) {
		cr_expect(workers[i].good);
		empty(heap, workers[i].slots);
	}
	cr_expect(zero(u64, stats_of(heap).used_count));
	expect_whole(heap);
}

/* ---- pointers that stand in the heap, and owners ---- */

Test(heap, writes_a_pointer_in_itself, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(1));
	struct message *message = alloc(heap, sizeof(*message)), *old;

	cr_expect(zero(int, carom_heap_alloc(heap, 100, (void **)&message->next)));
	old = message->next;
	old->number = 4;
	alloc(heap, 16);
	cr_expect(zero(int, carom_heap_realloc(heap, old, 1000, (void **)&message->next)));
	cr_expect(ne(ptr, message->next, old));
	cr_expect(eq(int, message->next->number, 4));
	cr_expect(zero(int, carom_heap_dealloc(heap, message->next)));
	expect_whole(heap);
}

Test(heap, frees_what_a_dead_process_owned, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(8));
	uint64_t count = 99;
	pid_t pid = child();

	if (pid == 0) {
		void *block;

		for (uint64_t i = 1; i <= 100; i++)
			if (carom_heap_alloc_owned(heap, i * 50, 1, &block) != 0)
				_exit(1);
		if (carom_heap_disown(heap, block) != 0 || !alloc(heap, 64))
			_exit(2);
		_exit(0);
	}
	cr_assert(zero(int, ended(pid)));
	cr_expect(eq(u64, stats_of(heap).used_count, 101));
	cr_expect(zero(int, carom_heap_reclaim(heap, pid, &count)));
	cr_expect(eq(u64, count, 99));
	cr_expect(eq(u64, stats_of(heap).used_count, 2)); /* disowned, and never owned */
	expect_whole(heap);
	cr_expect(zero(int, carom_heap_reclaim(heap, pid, &count)));
	cr_expect(zero(u64, count));
}

Test(heap, frees_nothing_of_a_process_that_lives, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(1));
	uint64_t count = 99;
	void *block = NULL;
	pid_t pid;

	cr_assert(zero(int, carom_heap_alloc_owned(heap, 64, 64, &block)));
	cr_expect(zero(u64, (uintptr_t)block % 64));
	pid = child();
	if (pid == 0) /* a copy of the handle is the copy's own */
		_exit(carom_heap_alloc_owned(heap, 64, 1, &block) != 0);
	cr_assert(zero(int, ended(pid)));
	cr_expect(eq(int, carom_heap_reclaim(heap, getpid(), &count), -EBUSY));
	cr_expect(eq(u64, count, 99));
	cr_expect(zero(int, carom_heap_reclaim(heap, 0, &count)));
	cr_expect(eq(u64, count, 1)); /* the child's */
	cr_expect(eq(u64, stats_of(heap).used_count, 1));
	cr_expect(zero(int, carom_heap_dealloc(heap, block)));
	expect_whole(heap);
}

Test(heap, passes_a_block_from_one_owner_to_another, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(1));
	void *mine = NULL, *plain = alloc(heap, 64);
	uint64_t count = 0;
	pid_t pid;

	cr_assert(zero(int, carom_heap_alloc_owned(heap, 64, 1, &mine)));
	pid = child();
	if (pid == 0)
		_exit(-carom_heap_own(heap, mine));
	cr_assert(zero(int, ended(pid)));
	cr_expect(eq(int, carom_heap_own(heap, plain), -EINVAL));
	cr_expect(eq(int, carom_heap_disown(heap, plain), -EINVAL));
	cr_expect(eq(int, carom_heap_own(heap, &count), -EINVAL));
	cr_expect(zero(int, carom_heap_own(heap, mine))); /* back from the dead */
	cr_expect(zero(int, carom_heap_reclaim(heap, pid, &count)));
	cr_expect(zero(u64, count));
	expect_whole(heap);
	cr_expect(zero(int, carom_heap_disown(heap, mine)));
	cr_expect(zero(int, carom_heap_realloc(heap, mine, 8000, &mine))); /* nobody's still */
	expect_whole(heap);
	cr_expect(zero(int, carom_heap_dealloc(heap, mine)));
	expect_whole(heap);
}

Test(heap, resizes_blocks_that_are_owned, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(24));
	void *blocks[20] = { NULL };
	uint64_t seed = new_seed(), count = 0;
	pid_t pid = child();

	if (pid == 0) {
		for (int i = 0; i < 2000; i++) {
			void **block = &blocks[chance(&seed) % 20];
			uint64_t size = 1 + chance(&seed) % 5000;
			int r = *block ? carom_heap_realloc(heap, *block, size, block)
				       : carom_heap_alloc_owned(heap, size, 1, block);

			if (r != 0 || (i % 100 == 0 && carom_heap_check(heap)))
				_exit(1);
		}
		_exit(0);
	}
	cr_assert(zero(int, ended(pid)));
	cr_expect(eq(u64, stats_of(heap).used_count, 20));
	cr_expect(zero(int, carom_heap_reclaim(heap, pid, &count)));
	cr_expect(eq(u64, count, 20));
	cr_expect(zero(u64, stats_of(heap).used_count));
	expect_whole(heap);
}

Test(heap, has_room_for_so_many_owners, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(1));
	uint64_t count = 0;
	void *block = NULL;

	for (int i = 0; i < 1024; i++) {
		pid_t pid = child();

		if (pid == 0)
			_exit(-carom_heap_alloc_owned(heap, 64, 1, &block));
		cr_assert(zero(int, ended(pid)));
	}
	cr_expect(eq(int, carom_heap_alloc_owned(heap, 64, 1, &block), -ENOSPC));
	cr_expect(eq(ptr, block, NULL));
	cr_expect(zero(int, carom_heap_reclaim(heap, 0, &count)));
	cr_expect(eq(u64, count, 1024));
	cr_expect(zero(int, carom_heap_alloc_owned(heap, 64, 1, &block)));
	expect_whole(heap);
}

/* ---- full and empty ---- */

Test(heap, is_used_to_the_last_byte_and_recovers, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(1));
	uint64_t all = stats_of(heap).free_size - 16;
	void *blocks[20000], *whole = NULL;
	int count = 0, r;

	while ((r = carom_heap_alloc(heap, 64 + (uint64_t)count % 100, &blocks[count])) == 0)
		count++;
	cr_expect(eq(int, r, -ENOMEM));
	cr_expect(lt(u64, stats_of(heap).free_size, 256));
	expect_whole(heap);
	for (int i = 0; i < count; i += 2)
		cr_expect(zero(int, carom_heap_dealloc(heap, blocks[i])));
	cr_expect(eq(int, carom_heap_alloc(heap, 4096, &whole), -ENOMEM)); /* free, but in pieces */
	expect_whole(heap);
	for (int i = 1; i < count; i += 2)
		cr_expect(zero(int, carom_heap_dealloc(heap, blocks[i])));

	cr_expect(eq(u64, stats_of(heap).free_size, all + 16));
	cr_expect(eq(int, carom_heap_alloc(heap, all + 1, &whole), -ENOMEM));
	cr_expect(zero(int, carom_heap_alloc(heap, all, &whole)));
	cr_expect(zero(u64, stats_of(heap).free_size));
	expect_whole(heap);
}

Test(heap, finds_the_one_block_that_is_aligned_enough, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(1));
	void *block = NULL, *rest = NULL;

	cr_assert(zero(int, carom_heap_alloc_aligned(heap, 8192, 8192, &block)));
	while (carom_heap_alloc(heap, 1, &rest) == 0)
		;
	cr_expect(zero(int, carom_heap_dealloc(heap, block)));
	cr_expect(eq(int, carom_heap_alloc_aligned(heap, 8192, 16384 << 5, &rest), -ENOMEM));
	cr_expect(zero(int, carom_heap_alloc_aligned(heap, 8192, 8192, &rest)));
	cr_expect(eq(ptr, rest, block));
	expect_whole(heap);
}

Test(heap, costs_no_memory_before_it_is_used, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_GIB(512));
	void *block = alloc(heap, CAROM_GIB(400));

	cr_expect(ne(ptr, block, NULL));
	cr_expect(lt(u64, stats_of(heap).resident_size, CAROM_MIB(1)));
	expect_whole(heap);
}

Test(heap, gives_memory_back, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(256));
	unsigned char *block = alloc(heap, CAROM_MIB(64));

	memset(block, 1, CAROM_MIB(64));
	cr_expect(ge(u64, stats_of(heap).resident_size, CAROM_MIB(64)));
	cr_expect(zero(int, carom_heap_dealloc(heap, block)));
	cr_expect(lt(u64, stats_of(heap).resident_size, CAROM_MIB(1)));
	expect_whole(heap);
}

Test(heap, gives_memory_of_many_small_blocks_back, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(256));
	static void *blocks[32000];
	uint64_t seed = new_seed();

	for (int i = 0; i < 32000; i++) {
		blocks[i] = alloc(heap, 2000);
		memset(blocks[i], 1, 2000);
	}
	cr_expect(ge(u64, stats_of(heap).resident_size, CAROM_MIB(60)));
	for (uint32_t left = 32000; left > 0; left--) {
		uint32_t i = chance(&seed) % left;

		cr_assert(zero(int, carom_heap_dealloc(heap, blocks[i])));
		blocks[i] = blocks[left - 1];
	}
	cr_expect(lt(u64, stats_of(heap).resident_size, CAROM_MIB(2)));
	expect_whole(heap);
}

/* ---- deaths ---- */

/**
 * struct victim - what a process that may die has done, in shared memory
 * @leaving: the block it is giving back; it is in use or it is not
 */
struct victim {
	struct slot slots[SLOTS];
	void *leaving;
};

/* Fill or empty slots until it is killed. */
static void run_until_killed(struct carom_heap *heap, struct victim *victim, uint64_t seed)
{
	for (;;) {
		struct slot *slot = &victim->slots[chance(&seed) % 32];
		void *block;

		if (slot->block) {
			bool grows = chance(&seed) % 3 == 0;

			victim->leaving = slot->block;
			slot->block = NULL;
			block = NULL;
			if (!grows || carom_heap_realloc(heap, victim->leaving, random_size(&seed),
							 &block) != 0)
				carom_heap_dealloc(heap, victim->leaving);
			victim->leaving = NULL;
			slot->block = block;
			continue;
		}
		if (carom_heap_alloc(heap, random_size(&seed), &block) == 0)
			slot->block = block;
	}
}

/* After a death: all is whole, and one block is lost at the most. */
static void expect_recovered(struct carom_heap *heap, struct victim *victim, const char *point)
{
	const char *fault = carom_heap_check(heap);
	uint64_t known = 0, used;

	cr_expect(eq(ptr, (void *)fault, NULL), "after a death at %s: %s", point,
		  fault ? fault : "");
	carom_heap_dealloc(heap, victim->leaving); /* NULL; or in use; or given back already */
	for (int i = 0; i < SLOTS; i++)
		known += victim->slots[i].block != NULL;
	used = stats_of(heap).used_count;
	cr_expect(ge(u64, used, known), "after a death at %s", point);
	cr_expect(le(u64, used, known + 1), "after a death at %s", point);

	empty(heap, victim->slots);
	fault = carom_heap_check(heap);
	cr_expect(eq(ptr, (void *)fault, NULL), "after a death at %s: %s", point,
		  fault ? fault : "");
	cr_expect(le(u64, stats_of(heap).used_count, 1), "after a death at %s", point);
}

/* so often at each step; AddressSanitizer looks at every byte that is forked and mapped */
#ifdef __SANITIZE_ADDRESS__
#define ROUNDS 25
#else
#define ROUNDS 100
#endif

/* A process that dies while it repairs needs one before it that left something to repair. */
static bool is_repair(const char *point)
{
	return strncmp(point, "journal.redo", 12) == 0 || strcmp(point, "heap.repaired") == 0;
}

static void kill_once_at(const char *point, uint64_t seed)
{
	struct carom_heap *heap = new_heap(CAROM_MIB(16));
	struct victim *victim = share(sizeof(*victim));
	uint32_t nth = 1 + chance(&seed) % (strcmp(point, "journal.word") == 0 ? 500 : 20);
	pid_t pid;

	if (is_repair(point)) {
		cr_assert(zero(int, carom_point_arm_once("journal.word", nth * 10, SIGKILL)));
		nth = 1;
	}
	cr_assert(zero(int, carom_point_arm_once(point, nth, SIGKILL)));
	for (int deaths = is_repair(point) ? 2 : 1; deaths > 0; deaths--) {
		pid = child();
		if (pid == 0)
			run_until_killed(heap, victim, seed);
		cr_assert(eq(int, ended(pid), -SIGKILL));
	}
	carom_point_disarm_all();
	expect_recovered(heap, victim, point);
	munmap(victim, sizeof(*victim));
	carom_heap_free(heap);
}

static bool is_about_heaps(const char *point)
{
	static const char *const alone[] = { "mutex.pending",  "mutex.taken",
					     "mutex.linked",   "mutex.release_pending",
					     "mutex.unlinked", "mutex.given" };

	for (size_t i = 0; i < sizeof(alone) / sizeof(*alone); i++)
		if (strcmp(point, alone[i]) == 0)
			return true;
	return strncmp(point, "heap.", 5) == 0 || strncmp(point, "journal.", 8) == 0;
}

Test(heap, survives_a_death_at_every_step, .timeout = 600)
{
	bool has_lock = !is_denied("get_robust_list", "the steps of the own lock");
	uint64_t seed = new_seed();
	const char *name;
	int points = 0;

	if (!carom_point_name(0))
		cr_skip_test("built without -Dpoints=true");
	for (size_t i = 0; (name = carom_point_name(i)); i++) {
		bool is_of_lock = strncmp(name, "mutex.", 6) == 0;

		if (!is_about_heaps(name))
			continue;
		points++;
		if (is_of_lock && !has_lock)
			continue;
		for (int round = 0; round < ROUNDS; round++)
			kill_once_at(name, seed + (uint64_t)round * 7919);
	}
	cr_expect(ge(int, points, 20));
}

enum { CROWD = 3, RANDOM_DEATHS = 200 };

Test(heap, survives_deaths_at_random, .timeout = 60)
{
	CAROM_CLEANUP(carom_heap_freep) struct carom_heap *heap = new_heap(CAROM_MIB(64));
	struct victim *victims = share(CROWD * sizeof(*victims));
	uint64_t seed = new_seed(), known = 0;
	pid_t pids[CROWD];

	for (uint32_t i = 0; i < CROWD + RANDOM_DEATHS; i++) {
		uint32_t who = i < CROWD ? i : chance(&seed) % CROWD;
		struct victim *victim = &victims[who];

		if (i >= CROWD) {
			for (uint32_t spin = chance(&seed) % 20000; spin > 0; spin--)
				__asm__ volatile("");
			cr_assert(eq(int, killed(pids[who]), -SIGKILL));
			expect_whole(heap);
		}
		victim->leaving = NULL; /* lost, if it is still in use: one for this death */
		pids[who] = child();
		if (pids[who] == 0)
			run_until_killed(heap, victim, seed + i);
	}
	for (int i = 0; i < CROWD; i++)
		killed(pids[i]);
	expect_whole(heap);
	for (int i = 0; i < CROWD * SLOTS; i++)
		known += victims[i / SLOTS].slots[i % SLOTS].block != NULL;
	cr_expect(ge(u64, stats_of(heap).used_count, known));
	cr_expect(le(u64, stats_of(heap).used_count, known + CROWD + RANDOM_DEATHS));
}

Test(heap, works_without_the_robust_list, .timeout = 60)
{
	struct carom_heap *heap;
	struct victim *victim = share(sizeof(*victim));
	pid_t pid;

	setenv("CAROM_DENY", "robust_list", 1);
	heap = new_heap(CAROM_MIB(16));
	for (int death = 0; death < 20; death++) {
		uint64_t used = stats_of(heap).used_count;

		pid = child();
		if (pid == 0)
			run_until_killed(heap, victim, (uint64_t)death);
		await(stats_of(heap).used_count != used); /* it is at work */
		cr_assert(eq(int, killed(pid), -SIGKILL));
		expect_whole(heap);
	}
	carom_heap_free(heap);
}
