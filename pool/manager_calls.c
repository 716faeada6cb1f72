/*
 * Manager's calls: the type Pool
 *
 * Arguments are Python's, by position. What cannot go to a server, keywords and callbacks, may
 * stand there as what means nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/context.h"
#include "ipc/object_private.h"
#include "ipc/serializer.h"
#include "pool/manager_pool.h"

static bool is_nothing(const struct carom_object *object)
{
	int kind = carom_object_kind(object);

	return !object || kind == CAROM_OBJECT_NONE ||
	       (kind == CAROM_OBJECT_DICT && carom_object_count(object) == 0);
}

static bool is_nothing_from(const struct carom_request *request, size_t index)
{
	for (; index < carom_request_argument_count(request); index++)
		if (!is_nothing(carom_request_argument(request, index)))
			return false;
	return true;
}

/* ---- making one: what it is made of ---- */

static int take_count(const struct carom_object *object, uint64_t highest, uint64_t *count)
{
	int64_t number;

	if (is_nothing(object))
		return 0;
	if (carom_object_int(object, &number) < 0 || number < 1 || (uint64_t)number > highest)
		return -EINVAL;
	*count = (uint64_t)number;
	return 0;
}

static int take_seconds(const struct carom_object *object, uint64_t *ns)
{
	double seconds;

	if (is_nothing(object))
		return 0;
	if (carom_object_float(object, &seconds) < 0 || !(seconds > 0 && seconds < 1e9))
		return -EINVAL;
	*ns = (uint64_t)(seconds * 1e9) + 1; /* 0 is none */
	return 0;
}

static int take_limit(struct carom_request *request, const char *name,
		      const struct carom_object *value, struct carom_pool_options *options)
{
	if (strcmp(name, "soft_limit") == 0)
		return take_seconds(value, &options->soft_limit_ns);
	if (strcmp(name, "hard_limit") == 0)
		return take_seconds(value, &options->hard_limit_ns);
	return carom_request_fail(request, -EINVAL, "there is no limit %.64s", name);
}

static int take_limits(struct carom_request *request, const struct carom_object *limits,
		       struct carom_pool_options *options)
{
	const char *name;
	int r = 0;

	if (!is_nothing(limits) && carom_object_kind(limits) != CAROM_OBJECT_DICT)
		return -EINVAL;
	for (size_t i = 0; r == 0 && !is_nothing(limits) && i < carom_object_count(limits); i++) {
		if (carom_object_text(carom_object_key(limits, i), &name, NULL) < 0)
			return -EINVAL;
		r = take_limit(request, name, carom_object_item(limits, i), options);
	}
	return r;
}

/* A pool of threads would be waited for at its end. */
static int take_context(const struct carom_object *object, struct carom_pool_options *options)
{
	const char *method = carom_get_start_method(true);

	if (!is_nothing(object) && carom_object_text(object, &method, NULL) < 0)
		return -EINVAL;
	if (method && strcmp(method, "thread") == 0)
		return -EOPNOTSUPP;
	return is_nothing(object) ? 0 : carom_context_get(method, &options->context);
}

static int take_name(struct carom_request *request, size_t index, const char **ret_name)
{
	return carom_object_text(carom_request_argument(request, index), ret_name, NULL) < 0
		       ? -EINVAL
		       : 0;
}

static int take_initializer(struct carom_request *request, struct carom_pool_options *options)
{
	const char *name;
	int r = 0;

	if (is_nothing(carom_request_argument(request, 1)))
		return 0;
	r = take_name(request, 1, &name);
	if (r < 0)
		return r;
	options->initializer = carom_offered_initializer(name);
	return options->initializer ? 0
				    : carom_request_fail(request, -ENOENT,
							 "no initializer %.64s is offered", name);
}

/* One argument alone is the argument. */
static int take_initializer_arguments(const struct carom_object *row,
				      struct carom_pool_options *options, void **ret_data)
{
	const struct carom_serializer *serializer;
	size_t count = carom_object_count(row);
	int r;

	if (is_nothing(row) || count == 0)
		return 0;
	if (carom_object_kind(row) != CAROM_OBJECT_TUPLE &&
	    carom_object_kind(row) != CAROM_OBJECT_LIST)
		return -EINVAL;
	r = carom_serializer_of(options->context, &serializer);
	if (r == 0)
		r = serializer->dump(count == 1 ? carom_object_item(row, 0) : row, ret_data,
				     &options->initializer_size);
	if (r == 0)
		options->initializer_data = *ret_data;
	return r;
}

static int take_options(struct carom_request *request, struct carom_pool_options *options,
			void **ret_data)
{
	int r = take_count(carom_request_argument(request, 0), CAROM_WORKERS_MAX,
			   &options->worker_count);

	if (r == 0)
		r = take_initializer(request, options);
	if (r == 0)
		r = take_count(carom_request_argument(request, 3), UINT64_MAX,
			       &options->max_tasks_per_child);
	if (r == 0)
		r = take_context(carom_request_argument(request, 4), options);
	if (r == 0)
		r = take_limits(request, carom_request_argument(request, 5), options);
	if (r == 0)
		r = take_initializer_arguments(carom_request_argument(request, 2), options,
					       ret_data);
	return r;
}

static int make_pool(struct carom_request *request, void **ret_object)
{
	struct carom_pool_options options =
		CAROM_POOL_OPTIONS(.worker_count = CAROM_ALL_CPUS, .name = "manager");
	struct manager_pool *pool;
	void *data = NULL;
	int r = carom_request_argument_count(request) > 6 ? -EINVAL : 0;

	if (r == 0)
		r = take_options(request, &options, &data);
	if (r == 0)
		r = carom_manager_pool_new(carom_request_server(request), &options, &pool);
	free(data);
	if (r == 0)
		*ret_object = pool;
	return r;
}

static void end_pool(void *object)
{
	carom_manager_pool_unkeep(object);
}

/* ---- work ---- */

static int take_function(struct carom_request *request, carom_task_fn **ret_function)
{
	const char *name;
	int r = take_name(request, 0, &name);

	if (r < 0)
		return r;
	*ret_function = carom_offered_task(name);
	return *ret_function
		       ? 0
		       : carom_request_fail(request, -ENOENT, "no task %.64s is offered", name);
}

/* (function, arguments=(), keywords={}, callback=None, error_callback=None) */
static int begin_one(struct manager_pool *pool, struct carom_request *request,
		     struct manager_job **ret_job)
{
	static const struct carom_object empty = { .kind = CAROM_OBJECT_TUPLE,
						   .is_hashable = true,
						   .depth = 1 };
	const struct carom_object *arguments = carom_request_argument(request, 1);
	carom_task_fn *function;
	int r = pool->error;

	if (r == 0)
		r = is_nothing_from(request, 2) ? take_function(request, &function) : -EINVAL;
	if (r < 0)
		return r;
	return carom_manager_job_new(pool, request, MANAGER_ONE, function,
				     is_nothing(arguments) ? &empty : arguments, ret_job);
}

/* (function, items, chunksize=None, callback=None, error_callback=None) */
static int begin_many(struct manager_pool *pool, struct carom_request *request,
		      enum manager_shape shape, struct manager_job **ret_job)
{
	carom_task_fn *function;
	uint64_t chunk_size;
	int r = pool->error;

	if (r == 0)
		r = take_count(carom_request_argument(request, 2), UINT64_MAX, &chunk_size);
	if (r == 0)
		r = is_nothing_from(request, 3) ? take_function(request, &function) : -EINVAL;
	if (r < 0)
		return r;
	return carom_manager_job_new(pool, request, shape, function,
				     carom_request_argument(request, 1), ret_job);
}

/* Who asks waits for all of it. */
static int reply_later(struct manager_job *job, struct carom_request *request)
{
	int r;

	carom_manager_pool_enqueue(job->pool, job);
	r = carom_manager_job_ask(job, request, MANAGER_WISH_VALUE, CAROM_NO_DEADLINE);
	carom_manager_job_unref(job);
	return r;
}

/* Who asks gets a handle: then it is begun. */
static int reply_handle(struct manager_job *job, struct carom_request *request,
			int (*reply)(struct carom_request *request, struct manager_job *job))
{
	int r = reply(request, job);

	if (r < 0)
		carom_manager_job_unref(job);
	else
		carom_manager_pool_enqueue(job->pool, job);
	return r;
}

static int do_apply(void *object, struct carom_request *request)
{
	struct manager_job *job;
	int r = begin_one(object, request, &job);

	return r < 0 ? r : reply_later(job, request);
}

static int do_apply_async(void *object, struct carom_request *request)
{
	struct manager_job *job;
	int r = begin_one(object, request, &job);

	return r < 0 ? r : reply_handle(job, request, carom_manager_reply_result);
}

static int map(void *object, struct carom_request *request, enum manager_shape shape)
{
	struct manager_job *job;
	int r = begin_many(object, request, shape, &job);

	return r < 0 ? r : reply_later(job, request);
}

static int map_async(void *object, struct carom_request *request, enum manager_shape shape)
{
	struct manager_job *job;
	int r = begin_many(object, request, shape, &job);

	return r < 0 ? r : reply_handle(job, request, carom_manager_reply_result);
}

static int imap(void *object, struct carom_request *request, bool is_ordered)
{
	struct manager_job *job;
	int r = begin_many(object, request, MANAGER_MAP, &job);

	if (r < 0)
		return r;
	job->is_ordered = is_ordered;
	return reply_handle(job, request, carom_manager_reply_iterator);
}

static int do_map(void *object, struct carom_request *request)
{
	return map(object, request, MANAGER_MAP);
}

static int do_map_async(void *object, struct carom_request *request)
{
	return map_async(object, request, MANAGER_MAP);
}

static int do_starmap(void *object, struct carom_request *request)
{
	return map(object, request, MANAGER_STAR);
}

static int do_starmap_async(void *object, struct carom_request *request)
{
	return map_async(object, request, MANAGER_STAR);
}

static int do_imap(void *object, struct carom_request *request)
{
	return imap(object, request, true);
}

static int do_imap_unordered(void *object, struct carom_request *request)
{
	return imap(object, request, false);
}

/* ---- the end ---- */

static int do_close(void *object, struct carom_request *request)
{
	(void)request;
	carom_manager_pool_close(object);
	return 0;
}

static int do_terminate(void *object, struct carom_request *request)
{
	carom_manager_pool_terminate(object);
	return carom_manager_pool_join(object, request);
}

static int do_join(void *object, struct carom_request *request)
{
	return carom_manager_pool_join(object, request);
}

static const struct carom_method methods[] = {
	CAROM_METHOD("apply", do_apply, 1, 3),
	CAROM_METHOD("apply_async", do_apply_async, 1, 5),
	CAROM_METHOD("close", do_close, 0, 0),
	CAROM_METHOD("imap", do_imap, 2, 3),
	CAROM_METHOD("imap_unordered", do_imap_unordered, 2, 3),
	CAROM_METHOD("join", do_join, 0, 0),
	CAROM_METHOD("map", do_map, 2, 3),
	CAROM_METHOD("map_async", do_map_async, 2, 5),
	CAROM_METHOD("starmap", do_starmap, 2, 3),
	CAROM_METHOD("starmap_async", do_starmap_async, 2, 5),
	CAROM_METHOD("terminate", do_terminate, 0, 0),
};

const struct carom_type carom_type_pool = {
	.name = "Pool",
	.make = make_pool,
	.end = end_pool,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};
