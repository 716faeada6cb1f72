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

#include "core/backtrace.h"
#include "core/points.h"
#include "core/shutdown.h"
#include "core/time.h"
#include "pool/call_private.h"
#include "pool/ending.h"
#include "pool/outcome.h"
#include "pool/soft_limit_private.h"

/* ---- what the function may do ---- */

const void *carom_call_data(const struct carom_call *call, size_t *ret_size)
{
	if (ret_size)
		*ret_size = call->size;
	return call->data;
}

const void *carom_call_argument(const struct carom_call *call, size_t position, size_t *ret_size)
{
	if (!call->columns || position == 0)
		return position == 0 ? carom_call_data(call, ret_size) : NULL;
	if (position >= call->columns->count)
		return NULL;
	if (ret_size)
		*ret_size = call->columns->column[position].size;
	return carom_columns_at(call->columns, position, call->row);
}

size_t carom_call_argument_count(const struct carom_call *call)
{
	return call->columns ? call->columns->count : 1;
}

/* numbers are what is most often copied: that needs no call */
static inline void copy(void *to, const void *from, size_t size)
{
	if (size == sizeof(uint64_t))
		memcpy(to, from, sizeof(uint64_t));
	else if (size)
		memcpy(to, from, size);
}

int carom_call_read(const struct carom_call *call, void *buffer, size_t size)
{
	if (size != call->size)
		return -EMSGSIZE;
	copy(buffer, call->data, size);
	return 0;
}

int carom_call_worker(const struct carom_call *call)
{
	return (int)call->worker->index;
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

/* what was replied before is dropped, also where the new value finds no room */
static int reserve(struct carom_call *call, size_t size, void **ret_buffer)
{
	void *room = call->place ? call->place : call->slot->value.bytes;
	uint64_t offset = 0;

	drop_room(call);
	if (call->place && size > call->place_size)
		return -EMSGSIZE;
	if (!call->place && size > CAROM_LANE_INLINE) {
		int r = carom_arena_alloc(carom_lane_arena(call->lane), size, &offset);

		if (r < 0)
			return r;
		room = (unsigned char *)carom_lane_values(call->lane, call->worker->index) + offset;
	}
	call->has_room = true;
	call->reserved = size;
	call->offset = offset;
	*ret_buffer = room;
	return 0;
}

int carom_reply_reserve(struct carom_call *call, size_t size, void **ret_buffer)
{
	call->reply_error = reserve(call, size, ret_buffer);
	if (call->reply_error < 0)
		call->reserved = size; /* for the message */
	return call->reply_error;
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
	void *room = call->place;
	int r;

	/* an item's place is its own, and there is nothing to give back */
	if (room && size <= call->place_size) {
		call->reply_error = 0;
		call->has_room = true;
		call->reserved = size;
		call->value_size = size;
		copy(room, data, size);
		return 0;
	}
	r = carom_reply_reserve(call, size, &room);
	if (r < 0)
		return r;
	copy(room, data, size);
	return carom_reply_commit(call, size);
}

static __attribute__((format(printf, 2, 0))) void set_message(struct carom_call *call,
							      const char *format, va_list arguments)
{
	vsnprintf(call->message, CAROM_OUTCOME_MESSAGE_MAX, format, arguments);
	call->message_size = (uint32_t)strlen(call->message) + 1;
}

static void trace(struct carom_call *call, const void *first)
{
	struct carom_backtrace backtrace;

	carom_backtrace_capture(&backtrace, (uint64_t)(uintptr_t)first);
	call->trace_size = (uint32_t)carom_backtrace_format(&backtrace, call->worker->trace,
							    CAROM_BACKTRACE_TEXT_MAX) +
			   1;
}

int carom_call_fail(struct carom_call *call, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	set_message(call, format, arguments);
	va_end(arguments);
	if (call->worker->trace && !call->place)
		trace(call, __builtin_return_address(0));
	return code < 0 ? code : -EINVAL;
}

void *carom_call_value(struct carom_call *call, size_t *ret_size)
{
	if (ret_size)
		*ret_size = call->value_size;
	if (!call->value_size)
		return NULL;
	if (call->place)
		return call->place;
	if (call->reserved <= CAROM_LANE_INLINE)
		return call->slot->value.bytes;
	return (unsigned char *)carom_lane_values(call->lane, call->worker->index) + call->offset;
}

int carom_call_on_shutdown(struct carom_call *call, carom_call_shutdown_fn *function,
			   void *userdata)
{
	if (!call->worker->ending)
		return -EOPNOTSUPP;
	carom_ending_tell(call->worker->ending, function, userdata);
	return 0;
}

int carom_call_shutdown(const struct carom_call *call)
{
	return call->worker->ending ? carom_shutdown_signal() : 0;
}

/* ---- around the function ---- */

/*
 * A task that failed has its message in the place of a value, and behind it its backtrace. If
 * there is no room for both, the message; if there is none in the arena, its beginning: so
 * much there always is.
 */
static void leave_message(struct carom_call *call)
{
	uint64_t size = call->message_size;
	uint64_t trace_size = size ? call->trace_size : 0;
	void *place = NULL;
	char *room;

	if (call->place && size > call->place_size)
		size = call->place_size;
	if (trace_size && reserve(call, size + trace_size, &place) < 0)
		trace_size = 0;
	if (!trace_size && reserve(call, size, &place) < 0) {
		size = CAROM_LANE_INLINE;
		if (reserve(call, size, &place) < 0)
			return;
	}
	room = place;
	if (!size)
		return;
	memcpy(room, call->message, size);
	room[size - 1] = '\0';
	if (trace_size)
		memcpy(room + size, call->worker->trace, trace_size);
	call->value_size = size + trace_size;
}

static void set_own_message(struct carom_call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void set_own_message(struct carom_call *call, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	set_message(call, format, arguments);
	va_end(arguments);
}

/* a value that found no room fails the task, also if the function did not mind: rows PM-15, WK-22 */
static int complain(struct carom_call *call, int code)
{
	if (!call->message_size)
		set_own_message(call, "no room for %llu bytes", (unsigned long long)call->reserved);
	return code < 0 ? code : call->reply_error;
}

static int prepare_result(struct carom_call *call)
{
	const struct carom_pool_hooks *hooks = &call->worker->plan->hooks;

	return hooks->prepare_result ? hooks->prepare_result(call, hooks->userdata) : 0;
}

int carom_call_settle(struct carom_call *call, int code)
{
	if (code >= 0)
		code = prepare_result(call);
	if (call->reply_error < 0)
		code = complain(call, code);
	if (code < 0)
		leave_message(call);
	return code;
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
		       (unsigned char *)carom_lane_values(call->lane, call->worker->index) +
			       call->offset,
		       call->value_size);
		carom_arena_free(carom_lane_arena(call->lane), call->offset, call->reserved);
	}
	slot->value_size = call->value_size;
}

/* false: its program does not give leave to begin it */
static bool tell_begin(struct carom_call *call)
{
	uint32_t index = (uint32_t)(call->slot - carom_lane_slot(call->lane, 0));

	if (call->slot->flags & CAROM_TASK_LEAVE)
		return carom_lane_ask_leave(call->lane, index);
	carom_lane_notice(call->lane, index);
	return true;
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
	if (slot->flags & CAROM_TASK_COLUMNS)
		carom_call_take_row(call, call->data, 0);
	call->index = slot->index;
	if (timed)
		slot->started_ns = carom_now();
	if (slot->flags & (CAROM_TASK_BEGIN | CAROM_TASK_LEAVE) && !tell_begin(call)) {
		slot->code = -ECANCELED;
		slot->value_size = 0;
		if (timed)
			slot->ended_ns = carom_now();
		return;
	}
	CAROM_POINT("worker.call.before");
	slot->code = carom_call_invoke(call);
	CAROM_POINT("worker.call.after");
	leave_value(call);
	if (timed)
		slot->ended_ns = carom_now();
}
