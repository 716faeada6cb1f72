/*
 * Types: Semaphore, BoundedSemaphore
 *
 * Units that a client has when it goes come back. Who releases without having one gives back
 * one that another has, and only if nobody has any there is one more than before: as
 * shm/semaphore.h has it.
 *
 *   I1  Nobody waits while there is a unit.
 *   I2  No more than `maximum` units are there and had together.
 */
#include <errno.h>
#include <stdlib.h>

#include "ipc/types.h"
#include "ipc/waiting.h"

struct holder {
	uint64_t session;
	uint64_t count;
};

struct semaphore {
	uint64_t value;
	uint64_t maximum;
	struct holder *holders; /* each session at most once, @holder_count of them */
	size_t holder_count;
	size_t holder_capacity;
	struct carom_waiting waiting;
};

/* ---- who has what ---- */

static struct holder *find_holder(struct semaphore *semaphore, uint64_t session)
{
	for (size_t i = 0; i < semaphore->holder_count; i++)
		if (semaphore->holders[i].session == session)
			return &semaphore->holders[i];
	return NULL;
}

static int reserve_holder(struct semaphore *semaphore)
{
	size_t capacity = semaphore->holder_capacity ? 2 * semaphore->holder_capacity : 4;
	void *grown;

	if (semaphore->holder_count < semaphore->holder_capacity)
		return 0;
	grown = realloc(semaphore->holders, capacity * sizeof(*semaphore->holders));
	if (!grown)
		return -ENOMEM;
	semaphore->holders = grown;
	semaphore->holder_capacity = capacity;
	return 0;
}

/* A unit that is there becomes this session's; 0, -ENOMEM: it is nobody's still. */
static int take(struct semaphore *semaphore, uint64_t session)
{
	struct holder *holder = find_holder(semaphore, session);

	if (!holder && reserve_holder(semaphore) < 0)
		return -ENOMEM;
	if (!holder) {
		holder = &semaphore->holders[semaphore->holder_count++];
		*holder = (struct holder){ .session = session };
	}
	holder->count++;
	semaphore->value--;
	return 0;
}

/* One that this session has, or else any other that has one. */
static void put_back(struct semaphore *semaphore, uint64_t session)
{
	struct holder *holder = find_holder(semaphore, session);

	semaphore->value++;
	if (!holder)
		holder = &semaphore->holders[0];
	if (--holder->count == 0)
		*holder = semaphore->holders[--semaphore->holder_count];
}

static uint64_t had_count(const struct semaphore *semaphore)
{
	uint64_t count = 0;

	for (size_t i = 0; i < semaphore->holder_count; i++)
		count += semaphore->holders[i].count;
	return count;
}

/* I1 */
static void hand_on(struct semaphore *semaphore)
{
	while (semaphore->value > 0 && semaphore->waiting.first) {
		struct carom_waiter *waiter = semaphore->waiting.first;
		int r = take(semaphore, waiter->caller.session);

		if (r == 0)
			r = carom_request_reply(waiter->request, "p", 1);
		carom_waiter_finish(waiter, r);
	}
}

static void left(void *object, uint64_t session)
{
	struct semaphore *semaphore = object;
	struct holder *holder = find_holder(semaphore, session);

	if (!holder)
		return;
	semaphore->value += holder->count;
	*holder = semaphore->holders[--semaphore->holder_count];
	hand_on(semaphore);
}

/* ---- beginning and end ---- */

static int make_any(struct carom_request *request, bool is_bounded, void **ret_object)
{
	const struct carom_object *argument = carom_request_argument(request, 0);
	struct semaphore *semaphore;
	int64_t value = 1;

	if (carom_request_argument_count(request) > 1 ||
	    (argument && carom_object_int(argument, &value) < 0) || value < 0)
		return -EINVAL;
	semaphore = calloc(1, sizeof(*semaphore));
	if (!semaphore)
		return -ENOMEM;
	semaphore->value = (uint64_t)value;
	semaphore->maximum = is_bounded ? (uint64_t)value : INT64_MAX;
	*ret_object = semaphore;
	return 0;
}

static int make_semaphore(struct carom_request *request, void **ret_object)
{
	return make_any(request, false, ret_object);
}

static int make_bounded(struct carom_request *request, void **ret_object)
{
	return make_any(request, true, ret_object);
}

static void end_semaphore(void *object)
{
	struct semaphore *semaphore = object;

	free(semaphore->holders);
	free(semaphore);
}

/* ---- methods ---- */

static int do_acquire(void *object, struct carom_request *request)
{
	struct semaphore *semaphore = object;
	uint64_t deadline_ns;
	int r = carom_take_patience(request, 0, &deadline_ns);

	if (r < 0)
		return r;
	if (semaphore->value == 0)
		return carom_waiting_add_patient(&semaphore->waiting, request, deadline_ns,
						 semaphore, NULL);
	r = take(semaphore, carom_request_caller(request).session);
	return r < 0 ? r : carom_request_reply(request, "p", 1);
}

static int do_release(void *object, struct carom_request *request)
{
	const struct carom_object *argument = carom_request_argument(request, 0);
	struct semaphore *semaphore = object;
	uint64_t had = had_count(semaphore), more;
	int64_t count = 1;

	if ((argument && carom_object_int(argument, &count) < 0) || count < 1)
		return -EINVAL;
	more = (uint64_t)count > had ? (uint64_t)count - had : 0;
	if (semaphore->value + had + more > semaphore->maximum)
		return -EOVERFLOW; /* I2 */
	for (uint64_t i = more; i < (uint64_t)count; i++)
		put_back(semaphore, carom_request_caller(request).session);
	semaphore->value += more;
	hand_on(semaphore);
	return 0;
}

static int do_get_value(void *object, struct carom_request *request)
{
	const struct semaphore *semaphore = object;

	return carom_request_reply(request, "L", (int64_t)semaphore->value);
}

static int do_locked(void *object, struct carom_request *request)
{
	const struct semaphore *semaphore = object;

	return carom_request_reply(request, "p", semaphore->value == 0);
}

static const struct carom_method methods[] = {
	CAROM_METHOD("acquire", do_acquire, 0, 2),
	CAROM_METHOD("release", do_release, 0, 1),
	CAROM_METHOD("get_value", do_get_value, 0, 0),
	CAROM_METHOD("locked", do_locked, 0, 0),
};

const struct carom_type carom_type_semaphore = {
	.name = "Semaphore",
	.make = make_semaphore,
	.end = end_semaphore,
	.left = left,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};

const struct carom_type carom_type_bounded_semaphore = {
	.name = "BoundedSemaphore",
	.make = make_bounded,
	.end = end_semaphore,
	.left = left,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};
