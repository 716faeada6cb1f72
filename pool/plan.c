/*
 * Plan: what all workers of a pool are told
 *
 * Made once, with the pool, and sent with each birth. The data of the initializer may be
 * of any size: it stands in the lane's argument arena, where every worker has it mapped,
 * for as long as the pool lives.
 *
 * To a worker that is another program image functions travel as tasks' do: by numbers,
 * in the places of their addresses. See function.h.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "core/membarrier.h"
#include "core/log.h"
#include "pool/pool_private.h"

/* how many CPUs a worker can be pinned to: those on which this thread may run */
static void note_cpus(struct carom_pool *pool)
{
	if (!pool->options.pin_workers)
		return;
	if (sched_getaffinity(0, sizeof(pool->cpus), &pool->cpus) < 0)
		CPU_ZERO(&pool->cpus); /* more than the set can hold: nobody is pinned */
}

int64_t carom_pool_cpu(const struct carom_pool *pool, uint32_t index)
{
	uint32_t count = pool->options.pin_workers ? (uint32_t)CPU_COUNT(&pool->cpus) : 0;
	uint32_t left = count ? index % count : 0;

	for (int64_t cpu = 0; count && cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((size_t)cpu, &pool->cpus) && left-- == 0)
			return cpu;
	return -1;
}

static int place_initializer_data(struct carom_pool *pool)
{
	const struct carom_pool_options *options = &pool->options;
	struct carom_worker_plan *plan = &pool->plan;
	int r;

	if (!options->initializer_size)
		return 0;
	r = carom_arena_alloc(&pool->arguments, options->initializer_size,
			      &plan->initializer_offset);
	if (r < 0)
		return r;
	memcpy((unsigned char *)carom_lane_arguments(pool->lane) + plan->initializer_offset,
	       options->initializer_data, options->initializer_size);
	plan->initializer_size = options->initializer_size;
	if (carom_lane_deals(pool->lane))
		carom_lane_keep(pool->lane, plan->initializer_offset, plan->initializer_size);
	return 0;
}

/* ---- functions, for workers of another program image ---- */

typedef void any_fn(void);

/* in place; -ENOENT: not registered here */
static int number(any_fn **function)
{
	uint64_t number;

	if (!*function)
		return 0;
	number = carom_registered_number((carom_process_fn *)*function);
	if (!number)
		return -ENOENT;
	*function = (any_fn *)(uintptr_t)number;
	return 0;
}

static int resolve(any_fn **function)
{
	uint64_t word = (uint64_t)(uintptr_t)*function;

	if (!(word & CAROM_REGISTRY_NUMBER))
		return 0;
	*function = (any_fn *)carom_registered_as(word);
	return *function ? 0 : -ENOENT;
}

/* all that are called in a worker */
static int each_function(struct carom_worker_plan *plan, int (*what)(any_fn **function))
{
	any_fn *functions[] = { (any_fn *)plan->initializer, (any_fn *)plan->hooks.on_loop_start,
				(any_fn *)plan->hooks.prepare_result,
				(any_fn *)plan->hooks.on_process_exit };

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		int r = what(&functions[i]);

		if (r < 0)
			return r;
	}
	plan->initializer = (carom_initializer_fn *)functions[0];
	plan->hooks.on_loop_start = (void (*)(int64_t, void *))functions[1];
	plan->hooks.prepare_result = (int (*)(struct carom_call *, void *))functions[2];
	plan->hooks.on_process_exit = (void (*)(int64_t, int, void *))functions[3];
	return 0;
}

int carom_plan_resolve(struct carom_worker_plan *plan)
{
	int r = each_function(plan, resolve);

	if (r < 0)
		carom_log(CAROM_LOG_ERROR,
			  "the initializer or a hook is not registered in the worker's program");
	return r;
}

/* what it points to is not there, in another program */
static int number_functions(struct carom_pool *pool)
{
	if (pool->context.method != CAROM_START_SPAWN)
		return 0;
	pool->plan.hooks.userdata = NULL;
	return each_function(&pool->plan, number);
}

/* ---- all of it ---- */

int carom_pool_plan(struct carom_pool *pool)
{
	const struct carom_pool_options *options = &pool->options;
	int r;

	pool->plan = (struct carom_worker_plan){
		.initializer = options->initializer,
		.limits = { .max_tasks = options->max_tasks_per_child,
			    .counts_items = options->max_tasks_counts_items,
			    .max_bytes = carom_containment_has(pool, CAROM_RUNG_RECYCLE),
			    .memory_measure = options->memory_measure },
		.ceiling_bytes = carom_containment_has(pool, CAROM_RUNG_RLIMIT),
		.signals = options->worker_signals,
		.backtraces = options->backtraces,
		.barrier = carom_membarrier_is_possible(),
		.measures = options->task_usage,
		.hooks = pool->hooks,
	};
	note_cpus(pool);
	r = number_functions(pool);
	return r < 0 ? r : place_initializer_data(pool);
}
