/*
 * Type: Barrier
 *
 *   I1  Fewer than `parties` wait, and nobody while it is broken.
 *
 * A party that goes while it waits breaks it, as one whose time has passed: the others would
 * wait for somebody who does not come.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "ipc/types.h"
#include "ipc/waiting.h"

struct barrier {
	uint64_t parties;
	double timeout_seconds;
	bool has_timeout;
	bool is_broken;
	struct carom_waiting waiting;
};

/* (parties, action=None, timeout=None): nothing can be run here for somebody else. */
static int make_barrier(struct carom_request *request, void **ret_object)
{
	const struct carom_object *action = carom_request_argument(request, 1);
	const struct carom_object *timeout = carom_request_argument(request, 2);
	struct barrier *barrier;
	int64_t parties;
	double seconds = 0;

	if (carom_request_argument_count(request) < 1 ||
	    carom_request_argument_count(request) > 3 ||
	    carom_object_int(carom_request_argument(request, 0), &parties) < 0 || parties < 1)
		return -EINVAL;
	if (action && carom_object_kind(action) != CAROM_OBJECT_NONE)
		return carom_request_fail(request, -EINVAL, "a barrier here has no action");
	if (timeout && carom_object_kind(timeout) != CAROM_OBJECT_NONE &&
	    carom_object_float(timeout, &seconds) < 0)
		return -EINVAL;
	barrier = calloc(1, sizeof(*barrier));
	if (!barrier)
		return -ENOMEM;
	barrier->parties = (uint64_t)parties;
	barrier->has_timeout = timeout && carom_object_kind(timeout) != CAROM_OBJECT_NONE;
	barrier->timeout_seconds = seconds;
	*ret_object = barrier;
	return 0;
}

static void break_it(struct barrier *barrier)
{
	barrier->is_broken = true;
	carom_waiting_finish_all(&barrier->waiting, -ECANCELED);
}

static int leave(struct carom_waiter *waiter, int reason)
{
	break_it(waiter->object);
	return reason;
}

/* Each has the number of those who came before it. */
static void let_go(struct barrier *barrier)
{
	size_t count = barrier->waiting.count;

	for (size_t i = 0; i < count; i++) {
		struct carom_waiter *waiter = barrier->waiting.first;

		carom_waiter_finish(waiter, carom_request_reply(waiter->request, "L", (int64_t)i));
	}
}

static uint64_t usual_deadline(const struct barrier *barrier)
{
	if (!barrier->has_timeout)
		return CAROM_NO_DEADLINE;
	if (!(barrier->timeout_seconds > 0))
		return CAROM_PASSED;
	return barrier->timeout_seconds < 1e9
		       ? carom_deadline_after((uint64_t)(barrier->timeout_seconds * 1e9))
		       : CAROM_NO_DEADLINE;
}

static int do_wait(void *object, struct carom_request *request)
{
	const struct carom_object *timeout = carom_request_argument(request, 0);
	struct barrier *barrier = object;
	uint64_t deadline_ns = usual_deadline(barrier);
	int r = 0;

	if (timeout && carom_object_kind(timeout) != CAROM_OBJECT_NONE)
		r = carom_take_timeout(timeout, &deadline_ns);
	if (r < 0)
		return r;
	if (barrier->is_broken)
		return -ECANCELED;
	if (barrier->waiting.count + 1 == barrier->parties) {
		r = carom_request_reply(request, "L", (int64_t)barrier->waiting.count);
		if (r == 0)
			let_go(barrier);
		return r;
	}
	r = carom_waiting_add(&barrier->waiting, request, deadline_ns, leave, barrier, NULL);
	if (r == -ETIMEDOUT)
		break_it(barrier);
	return r;
}

static int do_abort(void *object, struct carom_request *request)
{
	(void)request;
	break_it(object);
	return 0;
}

static int do_reset(void *object, struct carom_request *request)
{
	struct barrier *barrier = object;

	(void)request;
	break_it(barrier);
	barrier->is_broken = false;
	return 0;
}

static int do_parties(void *object, struct carom_request *request)
{
	const struct barrier *barrier = object;

	return carom_request_reply(request, "L", (int64_t)barrier->parties);
}

static int do_n_waiting(void *object, struct carom_request *request)
{
	const struct barrier *barrier = object;

	return carom_request_reply(request, "L", (int64_t)barrier->waiting.count);
}

static int do_broken(void *object, struct carom_request *request)
{
	const struct barrier *barrier = object;

	return carom_request_reply(request, "p", (int)barrier->is_broken);
}

/* How Python's proxies ask for what is no method there. */
static int do_getattribute(void *object, struct carom_request *request)
{
	const char *name;

	if (carom_object_text(carom_request_argument(request, 0), &name, NULL) < 0)
		return -EINVAL;
	if (strcmp(name, "parties") == 0)
		return do_parties(object, request);
	if (strcmp(name, "n_waiting") == 0)
		return do_n_waiting(object, request);
	return strcmp(name, "broken") == 0 ? do_broken(object, request) : -ENOENT;
}

static const struct carom_method methods[] = {
	CAROM_METHOD("__getattribute__", do_getattribute, 1, 1),
	CAROM_METHOD("wait", do_wait, 0, 1),
	CAROM_METHOD("abort", do_abort, 0, 0),
	CAROM_METHOD("reset", do_reset, 0, 0),
	CAROM_METHOD("parties", do_parties, 0, 0),
	CAROM_METHOD("n_waiting", do_n_waiting, 0, 0),
	CAROM_METHOD("broken", do_broken, 0, 0),
};

const struct carom_type carom_type_barrier = {
	.name = "Barrier",
	.make = make_barrier,
	.end = free,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};
