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
#include "pool/column.h"
#include "pool/ending.h"
#include "pool/function.h"
#include "pool/soft_limit_private.h"
#include "pool/worker.h"

/**
 * struct carom_call - one call of a task function; a worker has one, for all its tasks
 * @columns:   where further arguments stand, in row @row; NULL if there is but one
 * @place:     where an item of a batch leaves its value; NULL for a single task
 * @place_size: room there
 * @offset, @reserved: the room in the arena or the slot that was reserved last
 * @reply_error: why the last reply could not be left, 0 if it could; @value_size is of what
 *             was to be left then
 * @message:   what carom_call_fail() was given; it counts only if the function fails.
 *             Apart, so that a task does not pay for clearing it
 * @trace_size: of the text in the worker's @trace, with its NUL; 0 none
 */
struct carom_call {
	struct carom_lane *lane;
	struct carom_slot *slot;
	const struct carom_worker *worker;
	uint64_t index;
	const void *data;
	uint64_t size;
	const struct carom_columns *columns;
	uint64_t row;
	void *place;
	uint64_t place_size;
	uint64_t offset;
	uint64_t reserved;
	uint64_t value_size;
	bool has_room;
	int reply_error;
	uint32_t message_size;
	uint32_t trace_size;
	char *message;
};

/** carom_call_renew() - for the task in @slot; what is not set here is set before it is looked at */
static inline void carom_call_renew(struct carom_call *call, struct carom_slot *slot)
{
	call->slot = slot;
	call->columns = NULL;
	call->place = NULL;
	call->value_size = 0;
	call->has_room = false;
	call->reply_error = 0;
	call->message_size = 0;
	call->trace_size = 0;
}

/** carom_call_settle() - the function has returned @code: that there is a value, or a message */
int carom_call_settle(struct carom_call *call, int code);

/**
 * carom_call_invoke() - call the function, and see to it that there is a value or a message
 * Return: the code of the task, or of the item.
 */
static inline int carom_call_invoke(struct carom_call *call)
{
	carom_task_fn *function = carom_function_of(call->slot->function);
	struct carom_ending *ending = call->worker->ending;
	int code;

	if (ending)
		carom_ending_enter(ending);
	carom_soft_limit_begin();
	code = carom_soft_limit_end(function(call));
	if (ending)
		carom_ending_leave(ending);
	if (code < 0 || call->reply_error < 0 || call->worker->plan->hooks.prepare_result)
		return carom_call_settle(call, code);
	return code;
}

/** carom_call_take_row() - the arguments are this row */
static inline void carom_call_take_row(struct carom_call *call, const struct carom_columns *columns,
				       uint64_t row)
{
	call->columns = columns;
	call->row = row;
	call->data = carom_columns_at(columns, 0, row);
	call->size = columns->column[0].size;
}

/** carom_call_run() - a single task, from its argument to its value in the slot */
void carom_call_run(struct carom_call *call);

/**
 * carom_call_run_batch() - the items of a batch, one after the other. See batch.c.
 * Return: false: this worker is to end before all are done, and others do the rest.
 */
bool carom_call_run_batch(struct carom_call *call, uint32_t slot_index);

#endif
