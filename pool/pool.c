/*
 * Pool
 *
 * The public face: checks what is asked, and asks the submitting side (submit.c)
 * or the supervising side (supervisor.c) to do it.
 */
#include "pool/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "core/log.h"
#include "core/options.h"
#include "core/origin.h"
#include "pool/isolation.h"
#include "pool/pool_private.h"

#define SLOTS_DEFAULT 4096
#define LIMIT_LEAST   64 /* so many workers may be had by growing, if nobody says otherwise */

/* CAROM_SCHEDULE_THROUGHPUT: so many tasks wait for who is awake before another one is woken */
#define BACKLOG_MAX 16

#define ISOLATED_PAYLOAD CAROM_GIB(1)

/* ---- making ---- */

static uint64_t usual_worker_count(const struct carom_pool *pool)
{
	const struct carom_pool_hooks *hooks = &pool->hooks;
	uint64_t count = hooks->cpu_count ? hooks->cpu_count(hooks->userdata)
					  : (uint64_t)carom_cpu_count(CAROM_CPU_USABLE);

	return count < CAROM_WORKERS_MAX ? count : CAROM_WORKERS_MAX;
}

static bool worker_options_are_good(const struct carom_pool_options *options)
{
	return (options->initializer_data || !options->initializer_size) &&
	       options->memory_measure <= CAROM_MEMORY_PEAK &&
	       options->worker_signals <= CAROM_WORKER_SIGNALS_FEW;
}

/* the program's own are read during the call only */
static int take_hooks(struct carom_pool *pool)
{
	struct carom_pool_options *options = &pool->options;
	int r = carom_options_take(options->hooks, &pool->hooks, sizeof(pool->hooks));

	if (r == 0)
		r = carom_options_take(options->semaphore, &pool->semaphore,
				       sizeof(pool->semaphore));
	if (r == 0 && options->semaphore && (!pool->semaphore.acquire || !pool->semaphore.release))
		r = -EINVAL;
	options->hooks = &pool->hooks;
	options->semaphore = options->semaphore ? &pool->semaphore : NULL;
	return r;
}

static int check_options(struct carom_pool *pool, const struct carom_pool_options *theirs)
{
	struct carom_pool_options *ret = &pool->options;
	struct carom_pool_options defaults = CAROM_POOL_OPTIONS(.worker_count = CAROM_ALL_CPUS);
	int r = carom_options_take(theirs ? theirs : &defaults, ret, sizeof(*ret));

	if (r == 0)
		r = take_hooks(pool);
	if (r < 0)
		return r;
	pool->sandbox = carom_sandbox_ref(ret->sandbox);
	pool->is_plain = carom_calls_are_none(pool);
	if (ret->worker_count == CAROM_ALL_CPUS)
		ret->worker_count = usual_worker_count(pool);
	if (ret->worker_count < 1 || ret->worker_count > CAROM_WORKERS_MAX)
		return -EINVAL;
	if (ret->slot_count > CAROM_LANE_SLOTS_MAX || ret->schedule > CAROM_SCHEDULE_THROUGHPUT)
		return -EINVAL;
	if (!worker_options_are_good(ret))
		return -EINVAL;
	r = carom_containment_check(pool);
	if (r < 0)
		return r;
	if (!ret->slot_count)
		ret->slot_count = SLOTS_DEFAULT;
	if (!ret->grace_ns)
		ret->grace_ns = POOL_GRACE_NS;
	if (ret->payload_size > UINT64_MAX / 2)
		return -EOVERFLOW;
	return 0;
}

static int get_service(struct carom_pool *pool)
{
	int r;

	if (pool->options.polled)
		return carom_service_new_polled(&pool->service);
	r = carom_service_get(&pool->service);
	if (r == 0)
		carom_service_use(pool->service);
	return r;
}

static void let_service_go(struct carom_pool *pool)
{
	if (pool->options.polled)
		carom_pool_end_polled(pool);
	else if (pool->service)
		carom_service_leave(pool->service);
}

static void destroy(struct carom_pool *pool)
{
	carom_groups_end(pool);
	let_service_go(pool);
	for (uint32_t slot = 0; pool->spare && slot < pool->options.slot_count; slot++)
		free(pool->spare[slot]);
	carom_private_fd_remove(&pool->private_lane_fd);
	carom_lane_free(pool->lane);
	carom_tally_free(pool->tally);
	free(pool->spare);
	free(pool->task_memory);
	free(pool->workers);
	carom_sandbox_free(pool->sandbox);
	pthread_cond_destroy(&pool->settled);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

void carom_pool_unref_unlock(struct carom_pool *pool)
{
	bool last = --pool->reference_count == 0;

	pthread_mutex_unlock(&pool->lock);
	if (last)
		destroy(pool);
}

static void init_locks(struct carom_pool *pool)
{
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->settled, NULL);
}

static int set_limit(struct carom_pool *pool)
{
	struct carom_pool_options *options = &pool->options;
	uint64_t limit = options->worker_count * 4;

	pool->limit_was_given = options->worker_limit != 0;
	if (pool->limit_was_given)
		limit = options->worker_limit;
	else if (limit < LIMIT_LEAST)
		limit = LIMIT_LEAST;
	else if (limit > CAROM_WORKERS_MAX)
		limit = CAROM_WORKERS_MAX;
	options->worker_limit = limit;
	return limit < options->worker_count || limit > CAROM_WORKERS_MAX ? -EINVAL : 0;
}

/* Rows PC-08, PC-09 */
static void set_policy(struct carom_pool *pool)
{
	struct carom_pool_options *options = &pool->options;

	if (!options->max_restarts)
		options->max_restarts = 100 * options->worker_count;
	if (!options->restart_window_ns)
		options->restart_window_ns = CAROM_NS_PER_SEC;
	if (!options->restart_backoff_ns)
		options->restart_backoff_ns = CAROM_MILLISECONDS(1);
	pool->policy = (struct carom_restart_policy){
		.max_restarts = options->max_restarts == CAROM_NO_LIMIT ? 0 : options->max_restarts,
		.window_ns = options->restart_window_ns,
		.backoff_ns = options->restart_backoff_ns,
	};
}

/* room for many workers is not asked for at the cost of those that are */
static int make_lane(struct carom_pool *pool, struct carom_lane_options *options)
{
	int r = carom_lane_new(options, &pool->lane);

	if (r == 0 || pool->limit_was_given ||
	    pool->options.worker_limit == pool->options.worker_count)
		return r;
	pool->options.worker_limit = pool->options.worker_count;
	options->worker_count = (uint32_t)pool->options.worker_count;
	return carom_lane_new(options, &pool->lane);
}

/* by calloc(), which does not touch what is zero already: no pages for tasks and workers that never were */
static int make_tasks(struct carom_pool *pool)
{
	size_t line = _Alignof(struct task);
	uintptr_t begin;

	pool->task_memory = calloc(1, pool->options.slot_count * sizeof(*pool->tasks) + line - 1);
	if (!pool->task_memory)
		return -ENOMEM;
	begin = ((uintptr_t)pool->task_memory + line - 1) / line * line;
	pool->tasks = (struct task *)begin;
	return 0;
}

static int make_memory(struct carom_pool *pool)
{
	struct carom_lane_options options = {
		.worker_count = (uint32_t)pool->options.worker_limit,
		.slot_count = (uint32_t)pool->options.slot_count,
		.backlog_max =
			pool->options.schedule == CAROM_SCHEDULE_THROUGHPUT ? BACKLOG_MAX : 0,
		.payload_size = pool->options.payload_size,
		.spin_ns = pool->options.spin_ns,
		.kind = pool->options.isolated ? CAROM_LANE_DEALING : CAROM_LANE_SHARED,
	};
	int r;

	if (pool->options.isolated && !options.payload_size)
		options.payload_size = ISOLATED_PAYLOAD;
	r = make_lane(pool, &options);
	if (r < 0)
		return r;
	carom_isolation_begin(pool);
	r = carom_tally_new(&pool->options, carom_lane_worker_count(pool->lane), &pool->tally);
	if (r < 0)
		return r;
	pool->options.name = NULL; /* the caller's; it was copied */
	pool->lane_fd = carom_lane_fd(pool->lane);
	carom_private_fd_add(&pool->private_lane_fd, pool->lane_fd);
	carom_gate_init(&pool->gate, pool->options.worker_count);
	carom_arena_init(&pool->arguments, carom_lane_arguments(pool->lane), 0,
			 carom_lane_payload_size(pool->lane), NULL);
	r = make_tasks(pool);
	if (r < 0)
		return r;
	pool->spare = calloc(pool->options.slot_count, sizeof(struct carom_result *));
	pool->workers = calloc(pool->options.worker_limit, sizeof(*pool->workers));
	if (!pool->spare || !pool->workers)
		return -ENOMEM;
	carom_pool_open_places(pool);
	return carom_pool_plan(pool);
}

static void start_errand(void *userdata)
{
	carom_supervisor_start(userdata);
}

static void break_errand(void *userdata)
{
	carom_supervisor_break(userdata, CAROM_BROKEN_CALLBACK, -ENOTRECOVERABLE, NULL);
}

void carom_pool_break(struct carom_pool *pool)
{
	if (pool->service) /* else it is polled, and the callback has freed it */
		carom_service_run(pool->service, break_errand, pool);
}

static int start_workers(struct carom_pool *pool)
{
	carom_service_run(pool->service, start_errand, pool);
	pthread_mutex_lock(&pool->lock);
	while (pool->request_count)
		carom_pool_sleep(pool, CAROM_NO_DEADLINE);
	pool->started = true;
	pthread_mutex_unlock(&pool->lock);
	return pool->start_error;
}

int carom_pool_new(const struct carom_pool_options *options, struct carom_pool **ret_pool)
{
	struct carom_pool *pool = aligned_alloc(_Alignof(struct carom_pool), sizeof(*pool));
	int r;

	if (!pool)
		return -ENOMEM;
	memset(pool, 0, sizeof(*pool));
	init_locks(pool);
	pool->origin = carom_origin();
	pool->reference_count = 1;
	r = check_options(pool, options);
	carom_limits_begin(pool);
	set_policy(pool);
	if (r == 0)
		r = set_limit(pool);
	if (r == 0)
		r = carom_birth_choose(pool);
	if (r == 0)
		r = carom_containment_choose(pool);
	if (r == 0)
		r = carom_isolation_choose(pool);
	if (r == 0)
		r = get_service(pool);
	if (r == 0)
		r = make_memory(pool);
	if (r == 0 && pool->options.polled)
		r = carom_pool_begin_polled(pool);
	if (r < 0) {
		destroy(pool);
		return r;
	}
	r = carom_containment_prove(pool, start_workers(pool));
	if (r < 0) {
		carom_pool_free(pool);
		return r;
	}
	*ret_pool = pool;
	return 0;
}

/* ---- looking ---- */

static void look_at(struct carom_pool *pool, uint32_t index, struct carom_worker_info *info)
{
	struct worker *worker = &pool->workers[index];
	uint64_t ready = carom_lane_ready_ns(pool->lane, index);

	*info = (struct carom_worker_info){
		.index = index,
		.pid = worker->current ? worker->current->pid : 0,
		.replaced_count = worker->replaced_count,
	};
	/* a replacement may be ready before it was handed over: then that is still to come */
	if (worker->current && worker->replaced_count && ready > worker->died_ns)
		info->replaced_ns = ready - worker->died_ns;
}

int carom_pool_workers(struct carom_pool *pool, struct carom_worker_info *infos, size_t count)
{
	size_t found = 0;
	uint32_t worker_count;

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	pthread_mutex_lock(&pool->lock);
	for (uint32_t i = 0; i < pool->place_count && found < count; i++)
		if (pool->workers[i].is_open)
			look_at(pool, i, &infos[found++]);
	worker_count = pool->worker_count;
	pthread_mutex_unlock(&pool->lock);
	return (int)worker_count;
}

int carom_pool_set_limits(struct carom_pool *pool, uint64_t soft_ns, uint64_t hard_ns)
{
	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	if (pool->context.method == CAROM_START_THREAD && hard_ns && hard_ns != CAROM_NO_LIMIT)
		return -EOPNOTSUPP;
	carom_limits_set(pool, soft_ns, hard_ns);
	return 0;
}
