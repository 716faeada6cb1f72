/*
 * Waiting
 *
 *   I1  A waiter is as long as its request is deferred, and stands in one line, or in none
 *       while an object moves it or waits for something else with it.
 *   I2  Its request leaves once: by carom_waiter_finish(), or by on_cancelled().
 */
#include "ipc/waiting.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "core/time.h"

static void take_out(struct carom_waiter *waiter)
{
	struct carom_waiting *line = waiter->line;

	if (!line)
		return;
	*(waiter->previous ? &waiter->previous->next : &line->first) = waiter->next;
	*(waiter->next ? &waiter->next->previous : &line->last) = waiter->previous;
	line->count--;
	waiter->line = NULL;
	waiter->previous = waiter->next = NULL;
}

void carom_waiter_move(struct carom_waiter *waiter, struct carom_waiting *line)
{
	take_out(waiter);
	if (!line)
		return;
	waiter->line = line;
	waiter->previous = line->last;
	*(line->last ? &line->last->next : &line->first) = waiter;
	line->last = waiter;
	line->count++;
}

static int on_cancelled(struct carom_request *request, void *userdata, int reason)
{
	struct carom_waiter *waiter = userdata;
	int r = reason;

	(void)request;
	take_out(waiter);
	if (waiter->leave)
		r = waiter->leave(waiter, reason);
	free(waiter);
	return r;
}

int carom_waiting_add(struct carom_waiting *line, struct carom_request *request,
		      uint64_t deadline_ns, carom_waiter_leave_fn *leave, void *object,
		      struct carom_waiter **ret_waiter)
{
	struct carom_waiter *waiter = calloc(1, sizeof(*waiter));
	int r;

	if (!waiter)
		return -ENOMEM;
	waiter->request = request;
	waiter->object = object;
	waiter->caller = carom_request_caller(request);
	waiter->leave = leave;
	r = carom_request_defer(request, deadline_ns, on_cancelled, waiter);
	if (r != CAROM_REQUEST_LATER) {
		free(waiter);
		return r;
	}
	carom_waiter_move(waiter, line);
	if (ret_waiter)
		*ret_waiter = waiter;
	return r;
}

static int leave_with_false(struct carom_waiter *waiter, int reason)
{
	return reason == -ETIMEDOUT ? carom_request_reply(waiter->request, "p", 0) : reason;
}

int carom_waiting_add_patient(struct carom_waiting *line, struct carom_request *request,
			      uint64_t deadline_ns, void *object, struct carom_waiter **ret_waiter)
{
	int r = carom_waiting_add(line, request, deadline_ns, leave_with_false, object, ret_waiter);

	return r == -ETIMEDOUT ? carom_request_reply(request, "p", 0) : r;
}

void carom_waiter_finish(struct carom_waiter *waiter, int result)
{
	struct carom_request *request = waiter->request;

	take_out(waiter);
	free(waiter);
	carom_request_finish(request, result);
}

size_t carom_waiting_finish_all(struct carom_waiting *line, int result)
{
	size_t count = line->count;

	for (size_t i = 0; i < count; i++)
		carom_waiter_finish(line->first, result);
	return count;
}

/* ---- arguments ---- */

static bool is_none(const struct carom_object *object)
{
	return !object || carom_object_kind(object) == CAROM_OBJECT_NONE;
}

int carom_take_timeout(const struct carom_object *timeout, uint64_t *ret_deadline_ns)
{
	double seconds;

	*ret_deadline_ns = CAROM_NO_DEADLINE;
	if (is_none(timeout))
		return 0;
	if (carom_object_float(timeout, &seconds) < 0 || isnan(seconds))
		return -EINVAL;
	if (seconds <= 0)
		*ret_deadline_ns = CAROM_PASSED;
	else if (seconds < 1e9)
		*ret_deadline_ns = carom_deadline_after((uint64_t)(seconds * 1e9));
	return 0;
}

int carom_take_patience(const struct carom_request *request, size_t index,
			uint64_t *ret_deadline_ns)
{
	const struct carom_object *blocking = carom_request_argument(request, index);
	const struct carom_object *timeout = carom_request_argument(request, index + 1);
	bool blocks = true;
	int64_t number;
	double seconds;

	if (blocking && carom_object_bool(blocking, &blocks) < 0) {
		if (carom_object_int(blocking, &number) < 0)
			return -EINVAL;
		blocks = number != 0;
	}
	if (!is_none(timeout) && carom_object_float(timeout, &seconds) == 0 && seconds < 0)
		timeout = NULL;
	if (!blocks && !is_none(timeout))
		return -EINVAL;
	if (carom_take_timeout(timeout, ret_deadline_ns) < 0)
		return -EINVAL;
	if (!blocks)
		*ret_deadline_ns = CAROM_PASSED;
	return 0;
}
