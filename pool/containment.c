/*
 * Containment
 *
 * What is asked for is checked, the means are chosen, once for the pool, and what came of
 * that is kept to be told.
 *
 *   K1  A limit that nobody keeps is no limit: if none of the allowed rungs can be had, or
 *       one that is required cannot, there is no pool.
 *   K2  What is chosen is there for every worker of the pool, or that worker is not made.
 *   K3  Limits that no worker can live with are found out before the pool is handed out: its
 *       first workers have to be ready, or to fail for another reason. Later ones are
 *       like those; if the program has grown so that they are not, the pool breaks.
 */
#include "pool/containment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/log.h"
#include "core/origin.h"
#include "core/time.h"
#include "pool/pool_private.h"

#define PROOF_MAX_NS CAROM_SECONDS(30) /* for initializers that take their time */

#define RUNGS_ALL (CAROM_RUNG_CGROUP | CAROM_RUNG_RLIMIT | CAROM_RUNG_SAMPLING | CAROM_RUNG_RECYCLE)

/* ---- what is asked for ---- */

/* NULL: nothing is wrong with it */
static const char *find_fault(const struct carom_pool_options *options)
{
	const struct {
		bool is_wrong;
		const char *why;
	} rules[] = {
		{ options->memory_rungs & ~(uint64_t)RUNGS_ALL,
		  "memory_rungs has a bit that is none of enum carom_memory_rung" },
		{ options->required_rungs & ~(uint64_t)RUNGS_ALL,
		  "required_rungs has a bit that is none of enum carom_memory_rung" },
		{ (options->memory_rungs || options->required_rungs) &&
			  !options->max_memory_per_child_bytes,
		  "there are means to keep a memory limit, but no max_memory_per_child_bytes" },
		{ options->memory_rungs && options->required_rungs & ~options->memory_rungs,
		  "a rung is required that memory_rungs does not allow" },
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (rules[i].is_wrong)
			return rules[i].why;
	return NULL;
}

int carom_containment_check(struct carom_pool_options *options)
{
	const char *fault;

	if (options->max_memory_per_child_bytes == CAROM_NO_LIMIT)
		options->max_memory_per_child_bytes = 0;
	fault = find_fault(options);
	if (fault) {
		carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_LIMITS_REFUSED,
				"limits of a pool that make no sense: %s", fault);
		return -EINVAL;
	}
	if (!options->memory_rungs && options->max_memory_per_child_bytes)
		options->memory_rungs = CAROM_RUNGS_USUAL | options->required_rungs;
	return 0;
}

/* ---- by which means ---- */

/* a process can be kept from outside, or by itself; a thread only leaves after its task */
static uint64_t possible_rungs(const struct carom_pool *pool)
{
	if (pool->context.method == CAROM_START_THREAD)
		return CAROM_RUNG_RECYCLE;
	return CAROM_RUNG_RLIMIT | CAROM_RUNG_SAMPLING | CAROM_RUNG_RECYCLE;
}

static int refuse(const struct carom_pool *pool, const char *what, int error)
{
	carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_LIMITS_REFUSED, "%s: %s", what,
			pool->limits.reason);
	return error;
}

static int choose_rungs(struct carom_pool *pool)
{
	const struct carom_pool_options *options = &pool->options;
	uint64_t rungs = options->memory_rungs & possible_rungs(pool);

	if (rungs & CAROM_RUNG_CGROUP && !(options->required_rungs & CAROM_RUNG_SAMPLING))
		rungs &= ~(uint64_t)CAROM_RUNG_SAMPLING; /* the kernel sees more than it would */
	if (options->required_rungs & ~rungs)
		return refuse(pool, "the memory limit of workers cannot be kept as is required",
			      -EOPNOTSUPP);
	if (options->memory_rungs && !rungs) /* K1 */
		return refuse(pool, "the memory limit of workers cannot be kept", -EOPNOTSUPP);
	pool->limits.memory_rungs = rungs;
	pool->limits.max_memory_per_child_bytes = options->max_memory_per_child_bytes;
	pool->is_sampled = rungs & CAROM_RUNG_SAMPLING;
	pool->limits.sampling_period_ns = pool->is_sampled ? CAROM_SAMPLING_PERIOD_NS : 0;
	return 0;
}

static void explain(struct carom_pool *pool, const char *reason)
{
	snprintf(pool->limits.reason, sizeof(pool->limits.reason), "%s", reason);
}

int carom_containment_choose(struct carom_pool *pool)
{
	int r;

	if (!(pool->options.memory_rungs & ~possible_rungs(pool)))
		return choose_rungs(pool);
	explain(pool, pool->context.method == CAROM_START_THREAD
			      ? "workers that are threads have their memory in common"
			      : "this version has no control groups");
	r = choose_rungs(pool);
	if (r == 0)
		carom_log_event(CAROM_LOG_INFO, CAROM_LOG_EVENT_MEMORY_RUNG,
				"the memory limit of workers is %s: %s",
				pool->is_sampled ? "looked at each 10 ms while they run tasks"
						 : "not kept by a control group",
				pool->limits.reason);
	return r;
}

uint64_t carom_containment_has(const struct carom_pool *pool, enum carom_memory_rung rung)
{
	return pool->limits.memory_rungs & rung ? pool->limits.max_memory_per_child_bytes : 0;
}

/* ---- whether a worker can live so ---- */

static bool is_kept_by_force(const struct carom_pool *pool)
{
	return pool->limits.memory_rungs & ~(uint64_t)CAROM_RUNG_RECYCLE;
}

static int too_small(const struct carom_pool *pool, uint64_t bytes)
{
	carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_LIMITS_REFUSED,
			"a memory limit of %lluKiB is below what a worker needs to be ready: "
			"it had %lluKiB",
			(unsigned long long)pool->limits.max_memory_per_child_bytes / 1024,
			(unsigned long long)bytes / 1024);
	return -ERANGE;
}

/* what is sampled is not yet, while no task runs */
struct proof {
	struct carom_pool *pool;
	uint64_t bytes;
};

static void measure_errand(void *userdata)
{
	struct proof *proof = userdata;
	struct carom_pool *pool = proof->pool;

	for (uint32_t i = 0; i < pool->place_count; i++) {
		struct incarnation *worker = pool->workers[i].current;

		if (worker && carom_sampler_measure(worker) == 0 &&
		    worker->sample.bytes > proof->bytes)
			proof->bytes = worker->sample.bytes;
	}
}

/* 1: not yet known; 0: all are ready, or it will not be known; -ERANGE */
static int look_at_starts(struct carom_pool *pool)
{
	bool is_too_small, is_hopeless;

	pthread_mutex_lock(&pool->lock);
	is_too_small = pool->is_too_small;
	is_hopeless = pool->state != POOL_RUNNING || pool->loss_count || pool->refusal_error;
	pthread_mutex_unlock(&pool->lock);
	if (is_too_small)
		return -ERANGE;
	return !is_hopeless && carom_pool_wait_ready(pool, CAROM_PASSED) == -ETIMEDOUT;
}

static int await_starts(struct carom_pool *pool)
{
	uint64_t deadline_ns = carom_deadline_after(PROOF_MAX_NS);
	int waited = 0;

	for (;;) {
		uint32_t ticket = carom_lane_ready_ticket(pool->lane);
		int r = look_at_starts(pool);

		if (r != 1 || waited < 0)
			return r == 1 ? 0 : r;
		waited = carom_pool_await_ready(pool, ticket, deadline_ns);
	}
}

static int prove(struct carom_pool *pool)
{
	struct proof proof = { .pool = pool };

	if (await_starts(pool) < 0)
		return too_small(pool, 0);
	if (pool->is_sampled)
		carom_service_run(pool->service, measure_errand, &proof);
	return proof.bytes > pool->limits.max_memory_per_child_bytes ? too_small(pool, proof.bytes)
								     : 0;
}

/* K3 */
int carom_containment_prove(struct carom_pool *pool)
{
	int r = 0;

	if (is_kept_by_force(pool) && !pool->options.lazy_start)
		r = prove(pool);
	pthread_mutex_lock(&pool->lock);
	pool->is_proven = true;
	pthread_mutex_unlock(&pool->lock);
	return r;
}

bool carom_containment_refutes(struct carom_pool *pool)
{
	bool refutes;

	pthread_mutex_lock(&pool->lock);
	refutes = !pool->is_proven;
	pool->is_too_small |= refutes;
	if (refutes)
		carom_lane_announce_ready(pool->lane);
	pthread_mutex_unlock(&pool->lock);
	return refutes;
}

/* ---- what came of it ---- */

int carom_pool_limits(struct carom_pool *pool, struct carom_pool_limits *ret_limits)
{
	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	*ret_limits = pool->limits;
	return 0;
}
