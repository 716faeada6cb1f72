/*
 * Types: Lock, RLock
 *
 *   I1  Nobody waits while it is free: who releases it hands it to the first that waits, in the
 *       same step, so that nobody who came later is faster.
 *   I2  An owner's session lives: when it goes its requests are cancelled first, and then what
 *       it owned is handed on.
 */
#include <errno.h>
#include <stdlib.h>

#include "ipc/served_lock.h"
#include "ipc/types.h"

static bool is_same(struct carom_caller a, struct carom_caller b)
{
	return a.session == b.session && a.thread == b.thread;
}

struct carom_served_lock *carom_served_lock_of(const struct carom_type *type, void *object)
{
	return type == &carom_type_lock || type == &carom_type_rlock ? object : NULL;
}

struct carom_served_lock *carom_served_lock_new(bool is_recursive)
{
	struct carom_served_lock *lock = calloc(1, sizeof(*lock));

	if (lock)
		lock->is_recursive = is_recursive;
	return lock;
}

bool carom_served_lock_is_owned(const struct carom_served_lock *lock,
				const struct carom_request *request)
{
	return lock->depth > 0 && is_same(lock->owner, carom_request_caller(request));
}

/* ---- handing on ---- */

static void give(struct carom_served_lock *lock, struct carom_waiter *waiter)
{
	lock->owner = waiter->caller;
	lock->depth = waiter->count;
	carom_waiter_finish(waiter, carom_request_reply(waiter->request, "p", (int)waiter->flag));
}

/* I1 */
static void hand_on(struct carom_served_lock *lock)
{
	if (lock->depth == 0 && lock->waiting.first)
		give(lock, lock->waiting.first);
}

void carom_served_lock_give(struct carom_served_lock *lock, struct carom_waiter *waiter)
{
	carom_waiter_move(waiter, &lock->waiting);
	hand_on(lock);
}

uint64_t carom_served_lock_drop(struct carom_served_lock *lock)
{
	uint64_t depth = lock->depth;

	lock->depth = 0;
	hand_on(lock);
	return depth;
}

void carom_served_lock_left(struct carom_served_lock *lock, uint64_t session)
{
	if (lock->depth > 0 && lock->owner.session == session)
		carom_served_lock_drop(lock);
}

/* ---- acquire and release ---- */

static int wait_for(struct carom_served_lock *lock, struct carom_request *request,
		    uint64_t deadline_ns)
{
	struct carom_waiter *waiter;
	int r = carom_waiting_add_patient(&lock->waiting, request, deadline_ns, lock, &waiter);

	if (r == CAROM_REQUEST_LATER) {
		waiter->count = 1;
		waiter->flag = true;
	}
	return r;
}

int carom_served_lock_acquire(struct carom_served_lock *lock, struct carom_request *request)
{
	uint64_t deadline_ns;
	int r = carom_take_patience(request, 0, &deadline_ns);

	if (r < 0)
		return r;
	if (lock->depth > 0 && !(lock->is_recursive && carom_served_lock_is_owned(lock, request)))
		return wait_for(lock, request, deadline_ns);
	r = carom_request_reply(request, "p", 1);
	if (r == 0) {
		lock->owner = carom_request_caller(request);
		lock->depth++;
	}
	return r;
}

int carom_served_lock_release(struct carom_served_lock *lock, const struct carom_request *request)
{
	if (lock->depth == 0)
		return -EOVERFLOW;
	if (lock->is_recursive && !carom_served_lock_is_owned(lock, request))
		return -EPERM;
	lock->depth--;
	hand_on(lock);
	return 0;
}

/* ---- the types ---- */

static int make_any(struct carom_request *request, bool is_recursive, void **ret_object)
{
	if (carom_request_argument_count(request) > 0)
		return -EINVAL;
	*ret_object = carom_served_lock_new(is_recursive);
	return *ret_object ? 0 : -ENOMEM;
}

static int make_lock(struct carom_request *request, void **ret_object)
{
	return make_any(request, false, ret_object);
}

static int make_rlock(struct carom_request *request, void **ret_object)
{
	return make_any(request, true, ret_object);
}

static void left(void *object, uint64_t session)
{
	carom_served_lock_left(object, session);
}

static int do_acquire(void *object, struct carom_request *request)
{
	return carom_served_lock_acquire(object, request);
}

static int do_release(void *object, struct carom_request *request)
{
	return carom_served_lock_release(object, request);
}

static int do_locked(void *object, struct carom_request *request)
{
	const struct carom_served_lock *lock = object;

	return carom_request_reply(request, "p", lock->depth > 0);
}

static const struct carom_method methods[] = {
	CAROM_METHOD("acquire", do_acquire, 0, 2),
	CAROM_METHOD("release", do_release, 0, 0),
	CAROM_METHOD("locked", do_locked, 0, 0),
};

const struct carom_type carom_type_lock = {
	.name = "Lock",
	.make = make_lock,
	.end = free,
	.left = left,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};

const struct carom_type carom_type_rlock = {
	.name = "RLock",
	.make = make_rlock,
	.end = free,
	.left = left,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};
