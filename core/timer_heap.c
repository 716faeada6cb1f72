/*
 * Timer heap
 *
 *   I1  For 1 <= i <= count: timers[i]->heap_index == i.
 *   I2  For 2 <= i <= count: timers[i / 2] is due no later than timers[i].
 *   I3  A timer that is not in the heap has heap_index 0.
 */
#include "core/timer_heap.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define CAPACITY_MIN 16

static void place(struct carom_timer_heap *heap, size_t index, struct carom_loop_timer *timer)
{
	heap->timers[index] = timer;
	timer->heap_index = index;
}

static void rise(struct carom_timer_heap *heap, struct carom_loop_timer *timer)
{
	size_t index = timer->heap_index;

	while (index > 1 && heap->timers[index / 2]->deadline_ns > timer->deadline_ns) {
		place(heap, index, heap->timers[index / 2]);
		index /= 2;
	}
	place(heap, index, timer);
}

static size_t earlier_child(const struct carom_timer_heap *heap, size_t index)
{
	size_t left = index * 2;
	size_t right = left + 1;

	if (right <= heap->count &&
	    heap->timers[right]->deadline_ns < heap->timers[left]->deadline_ns)
		return right;
	return left;
}

static void sink(struct carom_timer_heap *heap, struct carom_loop_timer *timer)
{
	size_t index = timer->heap_index;

	while (index * 2 <= heap->count) {
		size_t child = earlier_child(heap, index);

		if (heap->timers[child]->deadline_ns >= timer->deadline_ns)
			break;
		place(heap, index, heap->timers[child]);
		index = child;
	}
	place(heap, index, timer);
}

static int reserve(struct carom_timer_heap *heap)
{
	size_t capacity = heap->capacity ? heap->capacity * 2 : CAPACITY_MIN;
	struct carom_loop_timer **timers;

	if (heap->count < heap->capacity)
		return 0;
	timers = reallocarray(heap->timers, capacity + 1, sizeof(*timers)); /* place 0 is unused */
	if (!timers)
		return -ENOMEM;
	heap->timers = timers;
	heap->capacity = capacity;
	return 0;
}

void carom_timer_heap_deinit(struct carom_timer_heap *heap)
{
	free(heap->timers);
	*heap = (struct carom_timer_heap){ 0 };
}

struct carom_loop_timer *carom_timer_heap_first(const struct carom_timer_heap *heap)
{
	return heap->count ? heap->timers[1] : NULL;
}

int carom_timer_heap_set(struct carom_timer_heap *heap, struct carom_loop_timer *timer,
			 uint64_t deadline_ns)
{
	if (timer->heap_index == 0) {
		int r = reserve(heap);

		if (r < 0)
			return r;
		place(heap, ++heap->count, timer);
	}
	timer->deadline_ns = deadline_ns;
	/* at most one of the two moves it */
	rise(heap, timer);
	sink(heap, timer);
	return 0;
}

void carom_timer_heap_remove(struct carom_timer_heap *heap, struct carom_loop_timer *timer)
{
	size_t index = timer->heap_index;
	struct carom_loop_timer *last;

	if (index == 0)
		return;
	assert(index <= heap->count && heap->timers[index] == timer); /* set in another loop? */
	last = heap->timers[heap->count--];
	timer->heap_index = 0;
	if (last == timer)
		return;
	place(heap, index, last);
	rise(heap, last);
	sink(heap, last);
}
