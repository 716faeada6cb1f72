/*
 * Timer heap
 *
 * The timers of one loop, earliest first. A binary heap of pointers to the
 * caller's timers: each knows its place (heap_index), so that any of them is
 * moved or taken out in O(log n), and no timer costs memory but its pointer.
 */
#ifndef CAROM_CORE_TIMER_HEAP_H
#define CAROM_CORE_TIMER_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "core/loop.h"

/**
 * struct carom_timer_heap - all zero is an empty heap
 * @timers:   places 1 to @count; a timer's heap_index is its place
 * @capacity: the highest place there is memory for
 */
struct carom_timer_heap {
	struct carom_loop_timer **timers;
	size_t count;
	size_t capacity;
};

void carom_timer_heap_deinit(struct carom_timer_heap *heap);

/** carom_timer_heap_first() - the earliest timer, or NULL */
struct carom_loop_timer *carom_timer_heap_first(const struct carom_timer_heap *heap);

/** carom_timer_heap_set() - put @timer in, or move it, to @deadline_ns. 0 or -ENOMEM. */
int carom_timer_heap_set(struct carom_timer_heap *heap, struct carom_loop_timer *timer,
			 uint64_t deadline_ns);

/** carom_timer_heap_remove() - take @timer out, if it is in */
void carom_timer_heap_remove(struct carom_timer_heap *heap, struct carom_loop_timer *timer);

#endif
