/*
 * Call
 *
 * What a task function may do, and what is done around it. Values of up to 32 bytes
 * stand in the slot. Larger ones, and those of a batch, are written in place in this
 * worker's arena.
 */
#include "pool/call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/points.h"
#include "core/time.h"
#include "pool/call_private.h"
#include "pool/outcome.h"

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
void carom_call_leave_message(struct carom_call *call)
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

void carom_call_run(struct carom_call *call)
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
	slot->code = carom_call_function(slot)(call);
	CAROM_POINT("worker.call.after");
	if (slot->code < 0)
		carom_call_leave_message(call);
	leave_value(call);
	if (timed)
		slot->ended_ns = carom_now();
}
