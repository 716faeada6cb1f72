/*
 * Plan: what all workers of a pool are told
 *
 * Made once, with the pool, and sent with each birth. The data of the initializer may be
 * of any size: it stands in the lane's argument arena, where every worker has it mapped,
 * for as long as the pool lives.
 */
#include <sched.h>
#include <string.h>

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
	return 0;
}

int carom_pool_plan(struct carom_pool *pool)
{
	const struct carom_pool_options *options = &pool->options;

	pool->plan = (struct carom_worker_plan){
		.initializer = options->initializer,
		.limits = { .max_tasks = options->max_tasks_per_child,
			    .counts_items = options->max_tasks_counts_items,
			    .max_bytes = options->max_memory_per_child_bytes,
			    .memory_measure = options->memory_measure },
		.signals = options->worker_signals,
		.backtraces = options->backtraces,
		.hooks = pool->hooks,
	};
	note_cpus(pool);
	return place_initializer_data(pool);
}
