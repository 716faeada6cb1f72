/*
 * Arena
 *
 * Size classes are powers of two from 64 bytes on. In sparse memory a class that
 * is twice as large as its block costs address space, not memory: pages that are
 * not touched do not exist. Free blocks of a class are a stack, linked through
 * their first words; blocks of several pages give all but the first back once more
 * than KEPT_MAX of free memory is held, so the next use of those faults anew
 * (2.2 us a page) and a burst of large payloads does not stay for ever.
 *
 * A class that has run out takes half of a larger block; blocks are joined again only
 * when none is handed out.
 *
 *   I1  A block is on a free stack, on the returned stack, or held by one holder.
 *   I2  Only the owner follows links. Whoever returns a block writes its link and
 *       reads none, so links can mislead nobody but the owner.
 */
#include "ipc/arena.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define SMALLEST UINT64_C(64)
#define PAGE     UINT64_C(4096)

/* the values of a worker's chunks of a map, and halves of them: five blocks of 2 MiB, and smaller ones */
#define KEPT_MAX (UINT64_C(16) << 20)

/* returned blocks of other classes than those in use hold memory until they are collected */
#define ALLOCS_PER_COLLECT 64

/* what stands at the start of a free block: on the returned stack its size, on a free
 * stack the memory that it holds while it lies there */
struct link {
	uint64_t next;
	uint64_t size;
};

static unsigned size_class(uint64_t size)
{
	if (size <= SMALLEST)
		return 0;
	return 64 - 6 - (unsigned)__builtin_clzll(size - 1);
}

static struct link *link_at(const struct carom_arena *arena, uint64_t offset)
{
	return (struct link *)(void *)(arena->base + offset);
}

uint64_t carom_arena_room(uint64_t size)
{
	unsigned class = size_class(size);

	return class < CAROM_ARENA_CLASSES ? SMALLEST << class : 0;
}

void carom_arena_init(struct carom_arena *arena, void *base, uint64_t begin, uint64_t end,
		      _Atomic uint64_t *returned)
{
	*arena = (struct carom_arena){
		.base = base,
		.bump = begin < SMALLEST ? SMALLEST : begin,
		.begin = begin < SMALLEST ? SMALLEST : begin,
		.end = end,
		.returned = returned,
	};
}

/* takes everything that others gave back; the exchange pairs with A1 in carom_arena_return() */
static void collect_returned(struct carom_arena *arena)
{
	uint64_t offset;

	if (!arena->returned || !atomic_load_explicit(arena->returned, memory_order_relaxed))
		return;
	offset = atomic_exchange_explicit(arena->returned, 0, memory_order_acquire);
	while (offset) {
		struct link link = *link_at(arena, offset);

		carom_arena_free(arena, offset, link.size);
		offset = link.next;
	}
}

static uint64_t pop_free(struct carom_arena *arena, unsigned class)
{
	uint64_t offset = arena->free[class];

	if (!offset)
		return 0;
	arena->free[class] = link_at(arena, offset)->next;
	arena->kept -= link_at(arena, offset)->size;
	return offset;
}

static uint64_t take_new(struct carom_arena *arena, unsigned class)
{
	uint64_t room = SMALLEST << class;
	uint64_t alignment = room < PAGE ? room : PAGE;
	uint64_t offset = (arena->bump + alignment - 1) & ~(alignment - 1);

	if (offset > arena->end || arena->end - offset < room)
		return 0;
	arena->bump = offset + room;
	return offset;
}

/* halves a larger free block until it fits: sizes are powers of two, so the halves are blocks */
static uint64_t split_larger(struct carom_arena *arena, unsigned class)
{
	unsigned larger = class + 1;
	uint64_t offset;

	while (larger < CAROM_ARENA_CLASSES && !arena->free[larger])
		larger++;
	if (larger == CAROM_ARENA_CLASSES)
		return 0;
	offset = pop_free(arena, larger);
	while (larger-- > class) {
		uint64_t half = offset + (SMALLEST << larger);

		*link_at(arena, half) = (struct link){ .next = arena->free[larger] };
		arena->free[larger] = half;
	}
	return offset;
}

/* nothing is handed out: whatever it was cut into, it is one piece again */
static uint64_t begin_anew(struct carom_arena *arena, unsigned class)
{
	if (arena->held_count)
		return 0;
	carom_arena_discard(arena->base, arena->begin, arena->bump - arena->begin);
	carom_arena_init(arena, arena->base, arena->begin, arena->end, arena->returned);
	return take_new(arena, class);
}

static uint64_t find_room(struct carom_arena *arena, unsigned class)
{
	uint64_t offset = pop_free(arena, class);

	if (offset)
		return offset;
	collect_returned(arena);
	offset = pop_free(arena, class);
	if (!offset)
		offset = take_new(arena, class);
	if (!offset)
		offset = split_larger(arena, class);
	return offset ? offset : begin_anew(arena, class);
}

int carom_arena_alloc(struct carom_arena *arena, uint64_t size, uint64_t *ret_offset)
{
	unsigned class = size_class(size);
	uint64_t offset;

	if (class >= CAROM_ARENA_CLASSES)
		return -ENOMEM;
	if (++arena->alloc_count % ALLOCS_PER_COLLECT == 0)
		collect_returned(arena);
	offset = find_room(arena, class);
	if (!offset)
		return -ENOMEM;
	arena->held_count++;
	*ret_offset = offset;
	return 0;
}

void carom_arena_discard(void *base, uint64_t offset, uint64_t size)
{
	uint64_t begin = (offset + PAGE - 1) & ~(PAGE - 1);
	uint64_t end = (offset + size) & ~(PAGE - 1);

	if (begin < end)
		madvise((unsigned char *)base + begin, end - begin, MADV_REMOVE);
}

void carom_arena_free(struct carom_arena *arena, uint64_t offset, uint64_t size)
{
	unsigned class = size_class(size);
	uint64_t room = SMALLEST << class;
	uint64_t held = room > PAGE ? room - PAGE : 0; /* the first page holds the link */

	if (arena->kept + held > KEPT_MAX) {
		carom_arena_discard(arena->base, offset + PAGE, held);
		held = 0;
	}
	*link_at(arena, offset) = (struct link){ .next = arena->free[class], .size = held };
	arena->held_count--;
	arena->kept += held;
	arena->free[class] = offset;
}

void carom_arena_return(void *base, _Atomic uint64_t *returned, uint64_t offset, uint64_t size)
{
	struct link *link = (struct link *)(void *)((unsigned char *)base + offset);
	uint64_t first = atomic_load_explicit(returned, memory_order_relaxed);

	link->size = size;
	do {
		link->next = first;
		/* A1: publishes the link; pairs with the exchange in collect_returned() */
	} while (!atomic_compare_exchange_weak_explicit(
		returned, &first, offset, memory_order_release, memory_order_relaxed));
}
