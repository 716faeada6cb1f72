/*
 * Wait list
 *
 * The threads that wait in a condition or at a barrier, each in a slot of shared memory, with
 * a word of its own to sleep on: so as many are woken as shall be, the longest waiting
 * first, and what became of each stands there until it has looked.
 *
 * Changes are made under the lock of whoever has the list; sleeping and looking are not.
 * Each change is one store, or one step with its wake-up. A slot belongs to the process of
 * its name (shm/roll.h), and is free again once that is dead and the slot was forgotten.
 */
#ifndef CAROM_SHM_WAIT_LIST_H
#define CAROM_SHM_WAIT_LIST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/roll.h"

#define CAROM_WAIT_LIST_CAPACITY 1024

/* No slot: slots count from 0. */
#define CAROM_WAIT_LIST_NOBODY UINT32_MAX

/**
 * enum carom_wait_state - of a slot; bits, and 0 is free
 * @CAROM_WAIT_WAITING: somebody has it
 * @CAROM_WAIT_CALLED:  and is to go on
 * @CAROM_WAIT_BROKEN:  what it waits for does not come
 */
enum carom_wait_state {
	CAROM_WAIT_WAITING = 1,
	CAROM_WAIT_CALLED = 2,
	CAROM_WAIT_BROKEN = 4,
};

/**
 * struct carom_wait_slot
 * @word:   enum carom_wait_state
 * @name:   of the process
 * @ticket: the smaller, the longer it waits
 */
struct carom_wait_slot {
	_Atomic uint32_t word;
	_Atomic uint32_t name;
	_Atomic uint64_t ticket;
};

/**
 * struct carom_wait_list - zeroed at first
 * @clock:      tickets given out
 * @slot_count: slots that were ever used
 */
struct carom_wait_list {
	_Atomic uint64_t clock;
	_Atomic uint32_t slot_count;
	uint32_t reserved;
	struct carom_wait_slot slots[CAROM_WAIT_LIST_CAPACITY];
};

/** carom_wait_list_add() - the process called @name waits. Return: 0, -EUSERS (as many wait already). */
int carom_wait_list_add(struct carom_wait_list *list, uint32_t name, uint32_t *ret_slot);

/** carom_wait_list_remove() - it does not any more: by itself, or because it is dead */
void carom_wait_list_remove(struct carom_wait_list *list, uint32_t slot);

/** carom_wait_list_state() - acquire: who was called sees what the caller wrote */
static inline uint32_t carom_wait_list_state(const struct carom_wait_list *list, uint32_t slot)
{
	return atomic_load_explicit(&list->slots[slot].word, memory_order_acquire);
}

/** carom_wait_list_call() - one that waits is to go on, or hears that it is in vain; it is woken */
void carom_wait_list_call(struct carom_wait_list *list, uint32_t slot, enum carom_wait_state how);

/** carom_wait_list_call_all() - all that wait. Return: how many. */
uint32_t carom_wait_list_call_all(struct carom_wait_list *list, enum carom_wait_state how);

/** carom_wait_list_count() - those that wait and were not called */
uint32_t carom_wait_list_count(const struct carom_wait_list *list);

/** carom_wait_list_oldest() - of those that wait, were not called, and live; or CAROM_WAIT_LIST_NOBODY */
uint32_t carom_wait_list_oldest(const struct carom_wait_list *list, const struct carom_roll *roll);

/** carom_wait_list_next_dead() - the first slot from @slot on whose process is dead; or nobody's */
uint32_t carom_wait_list_next_dead(const struct carom_wait_list *list,
				   const struct carom_roll *roll, uint32_t slot);

/**
 * carom_wait_list_sleep() - sleep until the slot is called, or somebody dies
 *
 * Return: as carom_roll_sleep().
 */
int carom_wait_list_sleep(struct carom_wait_list *list, uint32_t slot, struct carom_roll *roll,
			  uint32_t row, uint64_t deadline_ns, unsigned int flags);

#endif
