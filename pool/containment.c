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
 *       like those; if the program has grown so that they are not, the pool breaks. A pool
 *       that starts lazily has one worker from the beginning, for the proof.
 */
#include "pool/containment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/cgroup_group.h"
#include "core/cgroup_limits_private.h"
#include "core/error.h"
#include "core/log.h"
#include "core/origin.h"
#include "core/time.h"
#include "pool/pool_private.h"

#define PROOF_MAX_NS CAROM_SECONDS(30) /* for initializers that take their time */

#define RUNGS_ALL (CAROM_RUNG_CGROUP | CAROM_RUNG_RLIMIT | CAROM_RUNG_SAMPLING | CAROM_RUNG_RECYCLE)

/* ---- what is asked for ---- */

static bool is_below(uint64_t limit, uint64_t other)
{
	return limit && other && limit < other;
}

/* NULL: nothing is wrong with it */
static const char *find_fault(const struct carom_pool_options *options)
{
	static const struct carom_cgroup_limits none;
	const struct carom_cgroup_limits *worker =
		options->worker_limits ? options->worker_limits : &none;
	const struct carom_cgroup_limits *whole =
		options->pool_limits ? options->pool_limits : &none;
	uint64_t rungs = options->memory_rungs | options->required_rungs;
	uint64_t bytes = options->max_memory_per_child_bytes;
	const struct {
		bool is_wrong;
		const char *why;
	} rules[] = {
		{ options->memory_rungs & ~(uint64_t)RUNGS_ALL,
		  "memory_rungs has a bit that is none of enum carom_memory_rung" },
		{ options->required_rungs & ~(uint64_t)RUNGS_ALL,
		  "required_rungs has a bit that is none of enum carom_memory_rung" },
		{ rungs && !bytes,
		  "there are means to keep a memory limit, but no max_memory_per_child_bytes" },
		{ options->memory_rungs && options->required_rungs & ~options->memory_rungs,
		  "a rung is required that memory_rungs does not allow" },
		{ worker->memory_bytes && rungs & CAROM_RUNG_CGROUP,
		  "a control group is to keep both max_memory_per_child_bytes and the "
		  "memory_bytes of worker_limits" },
		{ is_below(worker->memory_bytes, bytes),
		  "the memory_bytes of worker_limits are below max_memory_per_child_bytes, which "
		  "would never be reached" },
		{ is_below(whole->memory_bytes, bytes),
		  "the memory_bytes of pool_limits are below max_memory_per_child_bytes" },
		{ is_below(whole->memory_bytes, worker->memory_bytes),
		  "the memory_bytes of pool_limits are below those of worker_limits" },
		{ is_below(whole->process_count, options->worker_count),
		  "the process_count of pool_limits is below worker_count" },
		{ is_below(whole->process_count, worker->process_count),
		  "the process_count of pool_limits is below that of worker_limits" },
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (rules[i].is_wrong)
			return rules[i].why;
	return NULL;
}

static int refuse(const char *what, const char *why, int error)
{
	carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_LIMITS_REFUSED, "%s: %s", what, why);
	return error;
}

/* in place; the program's own are read during the call only */
static int take_limits(const struct carom_cgroup_limits **limits, struct carom_cgroup_limits *ours)
{
	char reason[CAROM_CGROUP_REASON_SIZE];
	int r;

	if (!*limits)
		return 0;
	r = carom_cgroup_limits_take(*limits, reason, ours);
	if (r < 0)
		return refuse("limits of a pool that make no sense", reason, r);
	*limits = ours;
	return 0;
}

/* what has no other meaning: a limit of memory that the group keeps is one already */
static uint64_t usual_rungs(const struct carom_pool_options *options)
{
	if (options->worker_limits && options->worker_limits->memory_bytes)
		return CAROM_RUNG_RECYCLE;
	return CAROM_RUNGS_USUAL;
}

int carom_containment_check(struct carom_pool *pool)
{
	struct carom_pool_options *options = &pool->options;
	const char *fault;
	int r = take_limits(&options->worker_limits, &pool->worker_limits);

	if (r == 0)
		r = take_limits(&options->pool_limits, &pool->pool_limits);
	if (r < 0)
		return r;
	if (options->max_memory_per_child_bytes == CAROM_NO_LIMIT)
		options->max_memory_per_child_bytes = 0;
	fault = find_fault(options);
	if (fault)
		return refuse("limits of a pool that make no sense", fault, -EINVAL);
	if (!options->memory_rungs && options->max_memory_per_child_bytes)
		options->memory_rungs = usual_rungs(options) | options->required_rungs;
	return 0;
}

/* ---- by which means ---- */

static bool is_of_threads(const struct carom_pool *pool)
{
	return pool->context.method == CAROM_START_THREAD;
}

/* the groups that were asked for as such. 0: they are there, or none was */
static int begin_groups(struct carom_pool *pool, uint64_t memory_bytes)
{
	const struct carom_pool_options *options = &pool->options;
	struct carom_cgroup_limits limits = pool->worker_limits;
	int r;

	if (memory_bytes)
		limits.memory_bytes = memory_bytes;
	limits.oom_group = limits.memory_bytes || pool->pool_limits.memory_bytes;
	if (is_of_threads(pool)) {
		snprintf(pool->limits.reason, sizeof(pool->limits.reason),
			 "workers that are threads have their memory in common");
		return -EOPNOTSUPP;
	}
	r = carom_groups_begin(pool, &limits, options->pool_limits, pool->limits.reason);
	pool->limits.is_grouped = r == 0;
	return r;
}

/* K1; a limit of memory may be kept otherwise, all others not */
static int choose_groups(struct carom_pool *pool, uint64_t *ret_rungs)
{
	const struct carom_pool_options *options = &pool->options;
	uint64_t bytes = options->max_memory_per_child_bytes;
	int r = -EOPNOTSUPP;

	*ret_rungs = RUNGS_ALL & ~(uint64_t)CAROM_RUNG_CGROUP;
	if (options->memory_rungs & CAROM_RUNG_CGROUP)
		r = begin_groups(pool, bytes);
	if (r == 0) {
		*ret_rungs |= CAROM_RUNG_CGROUP;
		return 0;
	}
	if (options->required_rungs & CAROM_RUNG_CGROUP)
		return refuse("the memory limit of workers cannot be kept by a control group",
			      pool->limits.reason, r);
	if (!options->worker_limits && !options->pool_limits)
		return 0;
	r = begin_groups(pool, 0);
	return r < 0 ? refuse("the limits of workers cannot be kept", pool->limits.reason, r) : 0;
}

static int choose_rungs(struct carom_pool *pool, uint64_t possible)
{
	const struct carom_pool_options *options = &pool->options;
	uint64_t rungs = options->memory_rungs & possible;

	if (rungs & CAROM_RUNG_CGROUP && !(options->required_rungs & CAROM_RUNG_SAMPLING))
		rungs &= ~(uint64_t)CAROM_RUNG_SAMPLING; /* the kernel sees more than it would */
	if (options->required_rungs & ~rungs || (options->memory_rungs && !rungs))
		return refuse("the memory limit of workers cannot be kept", pool->limits.reason,
			      -EOPNOTSUPP);
	pool->limits.memory_rungs = rungs;
	pool->limits.max_memory_per_child_bytes = options->max_memory_per_child_bytes;
	pool->is_sampled = rungs & CAROM_RUNG_SAMPLING;
	pool->limits.sampling_period_ns = pool->is_sampled ? CAROM_SAMPLING_PERIOD_NS : 0;
	return 0;
}

static void tell_weaker(const struct carom_pool *pool)
{
	if (pool->limits.reason[0])
		carom_log_event(CAROM_LOG_INFO, CAROM_LOG_EVENT_MEMORY_RUNG,
				"the memory limit of workers is %s: %s",
				pool->is_sampled ? "looked at each 10 ms while they run tasks"
						 : "not kept by a control group",
				pool->limits.reason);
}

int carom_containment_choose(struct carom_pool *pool)
{
	uint64_t possible;
	int r = choose_groups(pool, &possible);

	if (r < 0)
		return r;
	if (is_of_threads(pool))
		possible = CAROM_RUNG_RECYCLE;
	r = choose_rungs(pool, possible);
	if (r == 0)
		tell_weaker(pool);
	return r;
}

uint64_t carom_containment_has(const struct carom_pool *pool, enum carom_memory_rung rung)
{
	return pool->limits.memory_rungs & rung ? pool->limits.max_memory_per_child_bytes : 0;
}

/* ---- whether a worker can live so ---- */

static bool is_kept_by_force(const struct carom_pool *pool)
{
	return pool->limits.memory_rungs & ~(uint64_t)CAROM_RUNG_RECYCLE ||
	       pool->limits.worker.memory_bytes || pool->limits.pool.memory_bytes;
}

/* with the lock */
bool carom_containment_wants_proof(const struct carom_pool *pool)
{
	return !pool->is_proven && !pool->is_too_small && is_kept_by_force(pool);
}

/* the one that is in the way */
static uint64_t memory_limit(const struct carom_pool *pool)
{
	const struct carom_pool_limits *limits = &pool->limits;

	if (limits->worker.memory_bytes)
		return limits->worker.memory_bytes;
	return limits->memory_rungs & ~(uint64_t)CAROM_RUNG_RECYCLE
		       ? limits->max_memory_per_child_bytes
		       : limits->pool.memory_bytes;
}

static int too_small(const struct carom_pool *pool, uint64_t bytes)
{
	carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_LIMITS_REFUSED,
			"a memory limit of %lluKiB is below what a worker needs to be ready: "
			"it had %lluKiB",
			(unsigned long long)memory_limit(pool) / 1024,
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
	/* asked first: who is refuted is missed no more */
	bool is_ready = carom_pool_wait_ready(pool, CAROM_PASSED) != -ETIMEDOUT;
	bool is_too_small, is_hopeless;

	pthread_mutex_lock(&pool->lock);
	is_too_small = pool->is_too_small;
	is_hopeless = pool->state != POOL_RUNNING || pool->loss_count || pool->refusal_error;
	pthread_mutex_unlock(&pool->lock);
	if (is_too_small)
		return -ERANGE;
	return !is_hopeless && !is_ready;
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
		return too_small(pool, memory_limit(pool));
	if (pool->is_sampled)
		carom_service_run(pool->service, measure_errand, &proof);
	return proof.bytes > pool->limits.max_memory_per_child_bytes ? too_small(pool, proof.bytes)
								     : 0;
}

/* K3 */
int carom_containment_prove(struct carom_pool *pool, int start_error)
{
	int r = start_error;

	/* where the first workers have filled it, there is no room for the next one's group */
	if (r == -ENOMEM && carom_groups_are_full(pool))
		r = too_small(pool, memory_limit(pool));
	if (r < 0)
		return r;
	if (is_kept_by_force(pool))
		r = prove(pool);
	pthread_mutex_lock(&pool->lock);
	pool->is_proven = r == 0; /* a worker that dies after that was refuted breaks nothing */
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

/** struct usage_errand - asked in the loop's thread, to which workers belong */
struct usage_errand {
	struct carom_pool *pool;
	uint32_t index;
	struct carom_worker_usage usage;
	int r;
};

static void read_usage(void *userdata)
{
	struct usage_errand *errand = userdata;
	struct incarnation *worker = errand->pool->workers[errand->index].current;

	if (!worker)
		return;
	errand->r = 0;
	errand->usage.pid = worker->pid;
	if (errand->pool->is_sampled && carom_sampler_measure(worker) == 0) {
		errand->usage.memory_bytes = worker->sample.bytes;
		errand->usage.memory_peak_bytes = worker->sample.peak_bytes;
	}
	carom_group_look(worker, &errand->usage);
}

int carom_pool_worker_usage(struct carom_pool *pool, uint64_t index,
			    struct carom_worker_usage *ret_usage)
{
	struct usage_errand errand = { .pool = pool, .index = (uint32_t)index, .r = -ESRCH };

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	if (index >= pool->options.worker_limit)
		return -EINVAL;
	if (is_of_threads(pool))
		return -EOPNOTSUPP;
	memset(&errand.usage, 0xff, sizeof(errand.usage));
	carom_service_run(pool->service, read_usage, &errand);
	if (errand.r == 0)
		*ret_usage = errand.usage;
	return errand.r;
}
