/*
 * Worker
 *
 * The loop is: claim, call, finish. A single task is one call. A batch is a call
 * per item, with its progress noted around each, so that whoever finds the batch
 * after this worker's death knows which items have values, which one was running,
 * and which were never begun:
 *
 *	begun k+1 | call item k | value and code | ended k+1
 *
 *   B1  `begun` is stored before the function sees the item, `ended` after its
 *       value is complete.
 *   B2  In a batch with a time limit, `begun` is stored before the word is looked
 *       at for CONDEMNED, in one total order with the parent's compare-and-swap
 *       and its look at `begun`: either the parent sees that another item has
 *       begun, and pardons, or this worker sees that it is condemned, and stands
 *       still before the function sees that item.
 *
 * Values of up to 32 bytes stand in the slot. Larger ones, and those of a batch,
 * are written in place in this worker's arena.
 */
#include "pool/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/points.h"
#include "core/time.h"
#include "ipc/lane.h"
#include "pool/call.h"
#include "pool/outcome.h"
#include "pool/value.h"

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

/* ---- what the function may do ---- */

const void *carom_call_data(const struct carom_call *call, size_t *ret_size)
{
	if (ret_size)
		*ret_size = call->size;
	return call->data;
}

int carom_call_read(const struct carom_call *call, void *buffer, size_t size)
{
	if (size != call->size)
		return -EMSGSIZE;
	if (size)
		memcpy(buffer, call->data, size);
	return 0;
}

int carom_call_worker(const struct carom_call *call)
{
	return (int)call->worker;
}

uint64_t carom_call_index(const struct carom_call *call)
{
	return call->index;
}

static void drop_room(struct carom_call *call)
{
	if (call->has_room && call->reserved > CAROM_LANE_INLINE && !call->place)
		carom_arena_free(carom_lane_arena(call->lane), call->offset, call->reserved);
	call->has_room = false;
	call->value_size = 0;
}

int carom_reply_reserve(struct carom_call *call, size_t size, void **ret_buffer)
{
	void *room = call->place ? call->place : call->slot->value.bytes;
	uint64_t offset = 0;

	if (call->place && size > call->place_size)
		return -EMSGSIZE;
	drop_room(call);
	if (!call->place && size > CAROM_LANE_INLINE) {
		int r = carom_arena_alloc(carom_lane_arena(call->lane), size, &offset);

		if (r < 0)
			return r;
		room = (unsigned char *)carom_lane_values(call->lane, call->worker) + offset;
	}
	call->has_room = true;
	call->reserved = size;
	call->offset = offset;
	*ret_buffer = room;
	return 0;
}

int carom_reply_commit(struct carom_call *call, size_t size)
{
	if (!call->has_room || size > call->reserved)
		return -EINVAL;
	call->value_size = size;
	return 0;
}

int carom_reply(struct carom_call *call, const void *data, size_t size)
{
	void *room;
	int r = carom_reply_reserve(call, size, &room);

	if (r < 0)
		return r;
	if (size)
		memcpy(room, data, size);
	return carom_reply_commit(call, size);
}

int carom_call_fail(struct carom_call *call, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(call->message, CAROM_OUTCOME_MESSAGE_MAX, format, arguments);
	va_end(arguments);
	call->message_size = (uint32_t)strlen(call->message) + 1;
	return code < 0 ? code : -EINVAL;
}

/* a task that failed has its message in the place of a value, and nothing else */
static void leave_message(struct carom_call *call)
{
	uint64_t size = call->message_size;

	if (call->place && size > call->place_size)
		size = call->place_size;
	if (size)
		call->message[size - 1] = '\0';
	if (carom_reply(call, call->message, size) < 0)
		drop_room(call); /* no room: it fails without words */
}

/* ---- single tasks ---- */

/* a reserved room that only a part was used of moves into the slot if it fits there */
static void leave_value(struct carom_call *call)
{
	struct carom_slot *slot = call->slot;

	if (call->value_size > CAROM_LANE_INLINE) {
		slot->value.offset = call->offset;
		slot->value.reserved = call->reserved;
	} else if (call->has_room && call->reserved > CAROM_LANE_INLINE) {
		memcpy(slot->value.bytes,
		       (unsigned char *)carom_lane_values(call->lane, call->worker) + call->offset,
		       call->value_size);
		carom_arena_free(carom_lane_arena(call->lane), call->offset, call->reserved);
	}
	slot->value_size = call->value_size;
}

static carom_task_fn *function_of(const struct carom_slot *slot)
{
	return (carom_task_fn *)(uintptr_t)slot->function;
}

static void run_single(struct carom_call *call)
{
	struct carom_slot *slot = call->slot;
	bool timed = slot->flags & CAROM_TASK_TIMED;

	call->size = slot->argument_size;
	call->data =
		call->size <= CAROM_LANE_INLINE
			? (const void *)slot->argument.bytes
			: (unsigned char *)carom_lane_arguments(call->lane) + slot->argument.offset;
	call->index = slot->index;
	if (timed)
		slot->started_ns = carom_now();
	CAROM_POINT("worker.call.before");
	slot->code = function_of(slot)(call);
	CAROM_POINT("worker.call.after");
	if (slot->code < 0)
		leave_message(call);
	leave_value(call);
	if (timed)
		slot->ended_ns = carom_now();
}

/* ---- batches ---- */

static int make_room_for_batch(struct carom_call *call, const struct carom_batch *batch)
{
	uint64_t size = carom_batch_values_size(batch->item_count, batch->value_size);
	uint64_t offset;
	int r;

	/* always in the arena, where the parent looks for it, however small */
	if (size <= CAROM_LANE_INLINE)
		size = CAROM_LANE_INLINE + 1;
	r = carom_arena_alloc(carom_lane_arena(call->lane), size, &offset);
	if (r < 0)
		return r;
	call->slot->value.offset = offset;
	call->slot->value_size = size;
	return 0;
}

static void run_item(struct carom_call *call, const struct carom_batch *batch, void *values,
		     uint64_t item)
{
	struct carom_slot *slot = call->slot;
	const unsigned char *items = (const unsigned char *)(batch + 1);

	call->index = batch->first_index + item;
	call->data = items + item * batch->item_size;
	call->size = batch->item_size;
	call->place = carom_batch_value(values, batch->item_count, batch->value_size, item);
	call->place_size = batch->value_size;
	call->has_room = false;
	call->value_size = 0;
	call->message_size = 0;
	*carom_batch_code(values, item) = function_of(slot)(call);
	if (*carom_batch_code(values, item) < 0)
		leave_message(call);
	if (call->value_size < batch->value_size)
		memset((unsigned char *)call->place + call->value_size, 0,
		       batch->value_size - call->value_size);
}

static void begin_item(struct carom_call *call, uint32_t slot_index, uint64_t item)
{
	struct carom_slot *slot = call->slot;

	if (slot->flags & CAROM_TASK_TIMED) {
		slot->started_ns = carom_now();
		atomic_store(&slot->value.progress, carom_progress(item + 1, item)); /* B2 */
		carom_lane_stand_if_condemned(call->lane, slot_index);
	} else {
		/* release: as for `ended`; read after this process's death */
		atomic_store_explicit(&slot->value.progress, carom_progress(item + 1, item),
				      memory_order_release);
	}
}

static void run_batch(struct carom_call *call, uint32_t slot_index)
{
	struct carom_slot *slot = call->slot;
	const struct carom_batch *batch =
		(const void *)((unsigned char *)carom_lane_arguments(call->lane) +
			       slot->argument.offset);
	void *values;

	slot->code = make_room_for_batch(call, batch);
	if (slot->code < 0) {
		slot->value_size = 0;
		return;
	}
	values = (unsigned char *)carom_lane_values(call->lane, call->worker) + slot->value.offset;
	for (uint64_t item = batch->begin; item < batch->item_count; item++) {
		begin_item(call, slot_index, item);
		CAROM_POINT("worker.item.begun");
		run_item(call, batch, values, item);
		CAROM_POINT("worker.item.called");
		atomic_store_explicit(&slot->value.progress, carom_progress(item + 1, item + 1),
				      memory_order_release);
	}
	if (slot->flags & CAROM_TASK_TIMED)
		slot->ended_ns = carom_now();
}

/* ---- the process ---- */

static void run_task(struct carom_lane *lane, uint32_t worker, int32_t pid, uint32_t index)
{
	struct carom_slot *slot = carom_lane_slot(lane, index);
	char message[CAROM_OUTCOME_MESSAGE_MAX];
	struct carom_call call = {
		.lane = lane,
		.slot = slot,
		.worker = worker,
		.message = message,
	};

	slot->pid = pid;
	if (slot->flags & CAROM_TASK_BATCH)
		run_batch(&call, index);
	else
		run_single(&call);
}

int carom_worker_main(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct carom_worker_start start;
	struct carom_lane *lane;
	int32_t pid = getpid();
	uint32_t slot;

	if (size != sizeof(start) || fd_count != 1)
		return 70;
	memcpy(&start, argument, sizeof(start));
	carom_self_become(&start.self);
	carom_log_import(&start.log);
	if (carom_lane_attach(fds[0], (uint32_t)start.index, start.begin, start.end, &lane) < 0)
		return 71;
	close(fds[0]);
	signal(SIGINT, SIG_IGN); /* ^C is for the program: it decides what becomes of its workers */
	carom_lane_await_admission(lane);
	carom_lane_ready(lane); /* without the life word the pidfd alone announces the death */
	while (carom_lane_claim(lane, &slot) == 0) {
		run_task(lane, (uint32_t)start.index, pid, slot);
		carom_lane_finish(lane, slot);
	}
	return 0;
}
