/*
 * Module: libuv
 *
 * The thread pool inside the caller's own process (uv_queue_work), driven as its
 * manual has it: submit, run the loop, take what is complete in callbacks. No
 * process boundary, no copy; a crash takes the program along.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "bench/machine.h"
#include "bench/module.h"

struct uv_pool {
	uv_loop_t loop;
	uv_work_t *free_requests[BENCH_WINDOW]; /* a stack */
	uint64_t free_count;
	uv_work_t requests[BENCH_WINDOW];
};

static void no_op(uv_work_t *request)
{
}

static void collect(uv_work_t *request, int status)
{
	struct uv_pool *pool = request->data;

	pool->free_requests[pool->free_count++] = request;
}

static int submit(struct uv_pool *pool)
{
	uv_work_t *request = pool->free_requests[--pool->free_count];

	return uv_queue_work(&pool->loop, request, no_op, collect);
}

static int operate(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct uv_pool *pool = state;

	while (task_count > 0 || pool->free_count < BENCH_WINDOW) {
		while (task_count > 0 && pool->free_count > 0) {
			int r = submit(pool);

			if (r < 0)
				return r;
			task_count--;
		}
		uv_run(&pool->loop, UV_RUN_ONCE);
	}
	return 0;
}

/* The threads start with the first task and run where its submitter may run at that time. */
static int start_threads(struct uv_pool *pool, const struct bench_job *job)
{
	char count[24];

	snprintf(count, sizeof(count), "%lu", (unsigned long)job->worker_count);
	setenv("UV_THREADPOOL_SIZE", count, 1);
	bench_place(0, job->worker_cpu);
	return operate(pool, 1, NULL);
}

static int setup(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	struct uv_pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool)
		return -ENOMEM;
	r = uv_loop_init(&pool->loop);
	if (r < 0)
		return r;
	for (int i = 0; i < BENCH_WINDOW; i++) {
		pool->requests[i].data = pool;
		pool->free_requests[pool->free_count++] = &pool->requests[i];
	}
	*ret_state = pool;
	return start_threads(pool, job);
}

static void teardown(void *state)
{
	struct uv_pool *pool = state;

	uv_loop_close(&pool->loop);
	free(pool);
}

BENCH_MODULE_EXPORT const struct bench_act bench_module = {
	.setup = setup,
	.operate = operate,
	.teardown = teardown,
};
