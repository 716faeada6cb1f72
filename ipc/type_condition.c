/*
 * Type: Condition
 *
 * A waiter has given its lock up, and gets it back with its answer, whatever that is: it waits
 * for the notice first and for the lock then, in the line of those who acquire it. So its time
 * is this file's to measure: a waiter whose time has passed still has to wait for the lock.
 *
 *   I1  In `waiting` stands who was not notified; in the lock's line who was, or whose time
 *       has passed.
 *   I2  A notice is lost with nobody: who was notified and goes before it has the lock has
 *       another notified in its stead.
 *
 * Only a waiter whose client does not wait any longer, or has gone, leaves without the lock.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/time.h"
#include "ipc/served_lock.h"
#include "ipc/server_private.h"
#include "ipc/types.h"

struct condition {
	struct carom_served_lock *lock;
	struct carom_referent *lock_referent; /* NULL: the lock is the condition's own */
	struct carom_server *server;
	struct carom_waiting waiting;
};

/* struct deadline - of a waiter: its data */
struct deadline {
	struct carom_waiter *waiter;
	struct carom_loop_timer timer;
};

/* ---- beginning and end ---- */

/* The lock that an argument stands for. 0, -EINVAL: it is none. */
static int take_lock(struct condition *condition, const struct carom_object *argument)
{
	struct carom_referent *referent;
	const char *type;
	uint64_t id;

	if (carom_object_proxy(argument, &id, &type) < 0)
		return -EINVAL;
	referent = carom_referent_find(condition->server, id);
	if (!referent)
		return -ESTALE;
	condition->lock = carom_served_lock_of(referent->kind->type, referent->object);
	if (!condition->lock)
		return -EINVAL;
	carom_referent_ref(referent);
	condition->lock_referent = referent;
	return 0;
}

static void end_condition(void *object)
{
	struct condition *condition = object;

	if (condition->lock_referent)
		carom_referent_unref(condition->server, condition->lock_referent);
	else
		free(condition->lock);
	free(condition);
}

static int make_condition(struct carom_request *request, void **ret_object)
{
	const struct carom_object *argument = carom_request_argument(request, 0);
	struct condition *condition;
	int r = 0;

	if (carom_request_argument_count(request) > 1)
		return -EINVAL;
	condition = calloc(1, sizeof(*condition));
	if (!condition)
		return -ENOMEM;
	condition->server = carom_request_server(request);
	if (argument && carom_object_kind(argument) != CAROM_OBJECT_NONE)
		r = take_lock(condition, argument);
	else
		condition->lock = carom_served_lock_new(true);
	if (r == 0 && !condition->lock)
		r = -ENOMEM;
	if (r < 0)
		end_condition(condition);
	else
		*ret_object = condition;
	return r;
}

/* A lock of others is told of it by itself. */
static void left(void *object, uint64_t session)
{
	struct condition *condition = object;

	if (!condition->lock_referent)
		carom_served_lock_left(condition->lock, session);
}

/* ---- waiting ---- */

static void forget_deadline(struct carom_waiter *waiter)
{
	struct condition *condition = waiter->object;
	struct deadline *deadline = waiter->data;

	if (deadline)
		carom_loop_timer_clear(condition->server->loop, &deadline->timer);
	free(deadline);
	waiter->data = NULL;
}

/* I1: @is_notified is what it is told when it has the lock. */
static void get_lock_back(struct carom_waiter *waiter, bool is_notified)
{
	struct condition *condition = waiter->object;

	forget_deadline(waiter);
	waiter->flag = is_notified;
	carom_served_lock_give(condition->lock, waiter);
}

static void notify(struct condition *condition, size_t count)
{
	for (; count > 0 && condition->waiting.first; count--)
		get_lock_back(condition->waiting.first, true);
}

static void on_deadline(struct carom_loop_timer *timer)
{
	const struct deadline *deadline = timer->userdata;

	get_lock_back(deadline->waiter, false);
}

/* I2 */
static int leave(struct carom_waiter *waiter, int reason)
{
	struct condition *condition = waiter->object;

	forget_deadline(waiter);
	if (waiter->flag && reason != -ECANCELED)
		notify(condition, 1);
	return reason;
}

static int set_deadline(struct carom_waiter *waiter, uint64_t deadline_ns)
{
	struct condition *condition = waiter->object;
	struct deadline *deadline;

	if (deadline_ns == CAROM_NO_DEADLINE)
		return 0;
	deadline = calloc(1, sizeof(*deadline));
	if (!deadline)
		return -ENOMEM;
	deadline->waiter = waiter;
	deadline->timer = (struct carom_loop_timer){ .expired = on_deadline, .userdata = deadline };
	waiter->data = deadline;
	return carom_loop_timer_set(condition->server->loop, &deadline->timer, deadline_ns);
}

static int do_wait(void *object, struct carom_request *request)
{
	struct condition *condition = object;
	struct carom_waiter *waiter;
	uint64_t deadline_ns;
	int r = carom_take_timeout(carom_request_argument(request, 0), &deadline_ns);

	if (r < 0)
		return r;
	if (!carom_served_lock_is_owned(condition->lock, request))
		return -EPERM;
	r = carom_waiting_add(&condition->waiting, request, CAROM_NO_DEADLINE, leave, condition,
			      &waiter);
	if (r != CAROM_REQUEST_LATER)
		return r;
	waiter->count = condition->lock->depth;
	r = set_deadline(waiter, deadline_ns);
	if (r < 0) {
		forget_deadline(waiter);
		carom_waiter_finish(waiter, r);
		return CAROM_REQUEST_LATER;
	}
	carom_served_lock_drop(condition->lock);
	return CAROM_REQUEST_LATER;
}

static int do_notify(void *object, struct carom_request *request)
{
	const struct carom_object *argument = carom_request_argument(request, 0);
	struct condition *condition = object;
	int64_t count = 1;

	if (argument && carom_object_int(argument, &count) < 0)
		return -EINVAL;
	if (!carom_served_lock_is_owned(condition->lock, request))
		return -EPERM;
	notify(condition, count > 0 ? (size_t)count : 0);
	return 0;
}

static int do_notify_all(void *object, struct carom_request *request)
{
	struct condition *condition = object;

	if (!carom_served_lock_is_owned(condition->lock, request))
		return -EPERM;
	notify(condition, SIZE_MAX);
	return 0;
}

static int do_acquire(void *object, struct carom_request *request)
{
	struct condition *condition = object;

	return carom_served_lock_acquire(condition->lock, request);
}

static int do_release(void *object, struct carom_request *request)
{
	struct condition *condition = object;

	return carom_served_lock_release(condition->lock, request);
}

static const struct carom_method methods[] = {
	CAROM_METHOD("acquire", do_acquire, 0, 2),
	CAROM_METHOD("release", do_release, 0, 0),
	CAROM_METHOD("wait", do_wait, 0, 1),
	CAROM_METHOD("notify", do_notify, 0, 1),
	CAROM_METHOD("notify_all", do_notify_all, 0, 0),
};

const struct carom_type carom_type_condition = {
	.name = "Condition",
	.make = make_condition,
	.end = end_condition,
	.left = left,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};
