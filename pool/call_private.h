/*
 * A call from inside
 *
 * What the worker makes for each call of a task function, and what it does with it
 * around the function. All of it is the worker's main thread's.
 */
#ifndef CAROM_POOL_CALL_PRIVATE_H
#define CAROM_POOL_CALL_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/lane.h"
#include "pool/call.h"

/**
 * struct carom_call - one call of a task function
 * @place:     where an item of a batch leaves its value; NULL for a single task
 * @place_size: room there
 * @offset, @reserved: the room in the arena or the slot that was reserved last
 * @message:   what carom_call_fail() was given; it counts only if the function fails.
 *             Apart, so that a task does not pay for clearing it
 */
struct carom_call {
	struct carom_lane *lane;
	struct carom_slot *slot;
	uint32_t worker;
	uint64_t index;
	const void *data;
	uint64_t size;
	void *place;
	uint64_t place_size;
	uint64_t offset;
	uint64_t reserved;
	uint64_t value_size;
	bool has_room;
	uint32_t message_size;
	char *message;
};

/** carom_call_function() - what a slot says is to be called */
static inline carom_task_fn *carom_call_function(const struct carom_slot *slot)
{
	return (carom_task_fn *)(uintptr_t)slot->function;
}

/** carom_call_run() - a single task, from its argument to its value in the slot */
void carom_call_run(struct carom_call *call);

/** carom_call_run_batch() - the items of a batch, one after the other. See batch.c. */
void carom_call_run_batch(struct carom_call *call, uint32_t slot_index);

/** carom_call_leave_message() - the function failed: its message takes the value's place */
void carom_call_leave_message(struct carom_call *call);

#endif
