/*
 * Wait list
 *
 * A slot is taken by its word alone: name and ticket are written before it says WAITING, so
 * one whose owner died on the way is free. It is called by FUTEX_WAKE_OP, which sets the bit
 * and wakes in one step: whoever dies has done both or neither.
 *
 * All slots that were ever used are looked at, one line of memory for four of them. That is
 * as many as threads have waited at one time.
 */
#include "shm/wait_list.h"

#include <errno.h>

#include "core/points.h"
#include "shm/futex.h"

#define CALLED_MASK (CAROM_WAIT_CALLED | CAROM_WAIT_BROKEN)

/* relaxed: under the lock */
static uint32_t count_of(const struct carom_wait_list *list)
{
	return atomic_load_explicit(&list->slot_count, memory_order_relaxed);
}

static uint32_t word_of(const struct carom_wait_list *list, uint32_t slot)
{
	return atomic_load_explicit(&list->slots[slot].word, memory_order_relaxed);
}

static uint32_t find_free(struct carom_wait_list *list)
{
	uint32_t count = count_of(list);

	for (uint32_t slot = 0; slot < count; slot++)
		if (word_of(list, slot) == 0)
			return slot;
	if (count == CAROM_WAIT_LIST_CAPACITY)
		return CAROM_WAIT_LIST_NOBODY;
	atomic_store_explicit(&list->slot_count, count + 1, memory_order_relaxed);
	return count;
}

int carom_wait_list_add(struct carom_wait_list *list, uint32_t name, uint32_t *ret_slot)
{
	uint32_t slot = find_free(list);
	struct carom_wait_slot *mine;
	uint64_t ticket;

	if (slot == CAROM_WAIT_LIST_NOBODY)
		return -EUSERS;
	mine = &list->slots[slot];
	ticket = atomic_fetch_add_explicit(&list->clock, 1, memory_order_relaxed);
	atomic_store_explicit(&mine->name, name, memory_order_relaxed);
	atomic_store_explicit(&mine->ticket, ticket, memory_order_relaxed);
	CAROM_POINT("wait_list.signed");
	atomic_store_explicit(&mine->word, CAROM_WAIT_WAITING, memory_order_release);
	CAROM_POINT("wait_list.waiting");
	*ret_slot = slot;
	return 0;
}

void carom_wait_list_remove(struct carom_wait_list *list, uint32_t slot)
{
	atomic_store_explicit(&list->slots[slot].word, 0, memory_order_relaxed);
}

void carom_wait_list_call(struct carom_wait_list *list, uint32_t slot, enum carom_wait_state how)
{
	carom_futex_or_and_wake_all(&list->slots[slot].word, how);
	CAROM_POINT("wait_list.called");
}

uint32_t carom_wait_list_call_all(struct carom_wait_list *list, enum carom_wait_state how)
{
	uint32_t count = count_of(list), called = 0;

	for (uint32_t slot = 0; slot < count; slot++)
		if (word_of(list, slot) == CAROM_WAIT_WAITING) {
			carom_wait_list_call(list, slot, how);
			called++;
		}
	return called;
}

uint32_t carom_wait_list_count(const struct carom_wait_list *list)
{
	uint32_t count = count_of(list), waiting = 0;

	for (uint32_t slot = 0; slot < count; slot++)
		waiting += word_of(list, slot) == CAROM_WAIT_WAITING;
	return waiting;
}

static bool lives(const struct carom_wait_slot *slot, const struct carom_roll *roll)
{
	return carom_roll_lives(roll, atomic_load_explicit(&slot->name, memory_order_relaxed));
}

uint32_t carom_wait_list_oldest(const struct carom_wait_list *list, const struct carom_roll *roll)
{
	uint32_t count = count_of(list), oldest = CAROM_WAIT_LIST_NOBODY;
	uint64_t best = UINT64_MAX;

	for (uint32_t slot = 0; slot < count; slot++) {
		uint64_t ticket =
			atomic_load_explicit(&list->slots[slot].ticket, memory_order_relaxed);

		if (word_of(list, slot) == CAROM_WAIT_WAITING && ticket < best &&
		    lives(&list->slots[slot], roll)) {
			best = ticket;
			oldest = slot;
		}
	}
	return oldest;
}

uint32_t carom_wait_list_next_dead(const struct carom_wait_list *list,
				   const struct carom_roll *roll, uint32_t slot)
{
	uint32_t count = count_of(list);

	for (; slot < count; slot++)
		if (word_of(list, slot) != 0 && !lives(&list->slots[slot], roll))
			return slot;
	return CAROM_WAIT_LIST_NOBODY;
}

int carom_wait_list_sleep(struct carom_wait_list *list, uint32_t slot, struct carom_roll *roll,
			  uint32_t row, uint64_t deadline_ns, unsigned int flags)
{
	if (carom_wait_list_state(list, slot) & CALLED_MASK)
		return 0;
	return carom_roll_sleep(roll, row, &list->slots[slot].word, CAROM_WAIT_WAITING, deadline_ns,
				flags);
}
