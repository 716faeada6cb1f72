/*
 * Manager's result: AsyncResult, and Iterators over values that are still to come
 *
 * Each is a handle of a job, and wants its pool as long as not all of that has ended.
 */
#include <errno.h>

#include "pool/manager_pool.h"

/* ---- handles ---- */

static void take(struct manager_job *job)
{
	if (carom_manager_job_has_ended(job))
		return;
	job->keeps_pool = true;
	carom_manager_pool_keep(job->pool);
}

static void end_handle(void *object)
{
	struct manager_job *job = object;

	carom_waiting_finish_all(&job->waiting, -ENODATA);
	carom_manager_job_let_go(job);
	carom_manager_job_unref(job);
}

int carom_manager_reply_result(struct carom_request *request, struct manager_job *job)
{
	int r = carom_request_reply_object(request, carom_type_async_result.name, job);

	if (r == 0)
		take(job);
	return r;
}

/* ---- AsyncResult ---- */

static int ask(struct manager_job *job, struct carom_request *request, enum manager_wish wish)
{
	uint64_t deadline_ns;
	int r = carom_take_timeout(carom_request_argument(request, 0), &deadline_ns);

	return r < 0 ? r : carom_manager_job_ask(job, request, wish, deadline_ns);
}

static int do_get(void *object, struct carom_request *request)
{
	return ask(object, request, MANAGER_WISH_VALUE);
}

static int do_wait(void *object, struct carom_request *request)
{
	return ask(object, request, MANAGER_WISH_END);
}

static int do_ready(void *object, struct carom_request *request)
{
	return carom_request_reply(request, "p", carom_manager_job_has_ended(object));
}

static int do_successful(void *object, struct carom_request *request)
{
	const struct manager_job *job = object;
	bool is_successful = true;

	if (!carom_manager_job_has_ended(job))
		return -EINPROGRESS;
	for (size_t i = 0; i < job->count; i++)
		is_successful &= !job->items[i].has_failed;
	return carom_request_reply(request, "p", is_successful);
}

static const struct carom_method methods[] = {
	CAROM_METHOD("get", do_get, 0, 1),
	CAROM_METHOD("wait", do_wait, 0, 1),
	CAROM_METHOD("ready", do_ready, 0, 0),
	CAROM_METHOD("successful", do_successful, 0, 0),
};

const struct carom_type carom_type_async_result = {
	.name = "AsyncResult",
	.end = end_handle,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};

/* ---- Iterator ---- */

static int next_of_job(void *object, struct carom_request *request)
{
	return ask(object, request, MANAGER_WISH_NEXT);
}

static const struct carom_iteration over_job = { .next = next_of_job, .end = end_handle };

int carom_manager_reply_iterator(struct carom_request *request, struct manager_job *job)
{
	int r = carom_reply_iteration(request, &over_job, job);

	if (r == 0)
		take(job);
	return r;
}
