/*
 * Pool state
 *
 * Questions about a pool, answered under its lock.
 */
#include "pool/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/origin.h"
#include "core/time.h"
#include "pool/pool_private.h"

int carom_pool_state(struct carom_pool *pool)
{
	static const int public_states[] = {
		[POOL_RUNNING] = CAROM_POOL_RUNNING,
		[POOL_CLOSED] = CAROM_POOL_CLOSED,
		[POOL_TERMINATED] = CAROM_POOL_TERMINATED,
		[POOL_BROKEN] = CAROM_POOL_BROKEN,
	};

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	return public_states[carom_pool_state_now(pool)];
}

const char *carom_broken_reason_name(enum carom_broken_reason reason)
{
	static const char *const names[] = {
		[CAROM_BROKEN_NOT] = "not broken",
		[CAROM_BROKEN_RESTART_LIMIT] = "restart limit",
		[CAROM_BROKEN_INIT_FAILED] = "initializer failed",
		[CAROM_BROKEN_INIT_TIMEOUT] = "initializer timed out",
		[CAROM_BROKEN_START_FAILED] = "workers die before they are ready",
		[CAROM_BROKEN_NO_PROCESS] = "no process can be made",
		[CAROM_BROKEN_LOSS] = "a worker was lost",
		[CAROM_BROKEN_CALLBACK] = "a callback failed",
		[CAROM_BROKEN_LOOP] = "the loop is broken",
		[CAROM_BROKEN_MEMORY_LIMIT] = "memory limit exceeded before a worker is ready",
	};

	return (unsigned int)reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";
}

int carom_pool_broken(struct carom_pool *pool, struct carom_broken *ret_broken)
{
	int is_broken;

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	pthread_mutex_lock(&pool->lock);
	is_broken = pool->state == POOL_BROKEN;
	if (is_broken)
		*ret_broken = pool->broken;
	pthread_mutex_unlock(&pool->lock);
	return is_broken;
}

/* ---- are they there? ---- */

/* with the lock. With lazy_start only who is to prove that workers can live. */
static bool is_missed(const struct carom_pool *pool, uint32_t index)
{
	bool is_wanted =
		!pool->options.lazy_start || (index == 0 && carom_containment_wants_proof(pool));

	return is_wanted && pool->workers[index].is_open && !pool->workers[index].current;
}

/* with the lock */
static bool all_are_ready(const struct carom_pool *pool)
{
	for (uint32_t i = 0; i < pool->place_count; i++) {
		const struct worker *worker = &pool->workers[i];

		if (is_missed(pool, i) ||
		    (worker->is_open && worker->current && !carom_lane_is_ready(pool->lane, i)))
			return false;
	}
	return true;
}

/* with the lock. 1: not yet */
static int readiness(const struct carom_pool *pool)
{
	switch (pool->state) {
	case POOL_RUNNING:
		return all_are_ready(pool) ? 0 : 1;
	case POOL_BROKEN:
		return -ENOTRECOVERABLE;
	default:
		return -ESHUTDOWN;
	}
}

static int look_for_readiness(struct carom_pool *pool, int waiter)
{
	int r;

	pthread_mutex_lock(&pool->lock);
	pool->readiness_waiter_count += (uint32_t)waiter;
	r = readiness(pool);
	pthread_mutex_unlock(&pool->lock);
	return r;
}

int carom_pool_wait_ready(struct carom_pool *pool, uint64_t deadline_ns)
{
	int waited = 0;
	int r;

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	look_for_readiness(pool, 1);
	for (;;) {
		uint32_t ticket = carom_lane_ready_ticket(pool->lane);

		r = look_for_readiness(pool, 0);
		if (r != 1 || waited < 0)
			break;
		waited = carom_pool_await_ready(pool, ticket, deadline_ns);
	}
	look_for_readiness(pool, -1);
	return r == 1 ? waited : r;
}

int carom_pool_did_start_ok(struct carom_pool *pool)
{
	int ok;

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	pthread_mutex_lock(&pool->lock);
	ok = pool->loss_count == 0 && pool->refusal_error == 0;
	pthread_mutex_unlock(&pool->lock);
	return ok;
}

static void maintain_errand(void *userdata)
{
	struct carom_pool *pool = userdata;

	if (carom_now() >= pool->policy.resume_ns)
		carom_supervisor_fill(pool);
}

/* with the lock */
static int what_is_missing(const struct carom_pool *pool)
{
	if (pool->state == POOL_BROKEN)
		return -ENOTRECOVERABLE;
	for (uint32_t i = 0; pool->state == POOL_RUNNING && i < pool->place_count; i++)
		if (is_missed(pool, i))
			return pool->refusal_error;
	return 0;
}

int carom_pool_maintain(struct carom_pool *pool)
{
	int r;

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	carom_service_run(pool->service, maintain_errand, pool);
	pthread_mutex_lock(&pool->lock);
	while (pool->request_count)
		carom_pool_sleep(pool, CAROM_NO_DEADLINE);
	r = what_is_missing(pool);
	pthread_mutex_unlock(&pool->lock);
	return r;
}

/* ---- how is it? ---- */

struct state_errand {
	struct carom_pool *pool;
	struct carom_restart_state state;
};

static void read_policy(void *userdata)
{
	struct state_errand *errand = userdata;
	const struct carom_pool *pool = errand->pool;

	errand->state = (struct carom_restart_state){
		.max_restarts = pool->options.max_restarts,
		.window_ns = pool->options.restart_window_ns,
		.restart_count = pool->policy.restart_count,
		.failure_count = pool->policy.failure_count,
		.refusal_count = pool->policy.refusal_count,
	};
}

int carom_pool_restart_state(struct carom_pool *pool, struct carom_restart_state *ret_state)
{
	struct state_errand errand = { .pool = pool };

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	carom_service_run(pool->service, read_policy, &errand);
	pthread_mutex_lock(&pool->lock);
	errand.state.loss_count = pool->loss_count;
	pthread_mutex_unlock(&pool->lock);
	*ret_state = errand.state;
	return 0;
}

int carom_pool_get_options(struct carom_pool *pool, struct carom_pool_options *ret_options)
{
	size_t size = ret_options->size_bytes;
	struct carom_pool_options options;

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	if (size < sizeof(size))
		return -EINVAL;
	pthread_mutex_lock(&pool->lock);
	options = pool->options;
	options.worker_count = pool->worker_count;
	pthread_mutex_unlock(&pool->lock);
	options.initializer_data = NULL; /* the caller's; it was copied */
	options.size_bytes = size;
	memcpy(ret_options, &options, size < sizeof(options) ? size : sizeof(options));
	return 0;
}

char *carom_pool_describe(struct carom_pool *pool, char *text, size_t size)
{
	static const char *const names[] = {
		[POOL_RUNNING] = "running",
		[POOL_CLOSED] = "closed",
		[POOL_TERMINATED] = "terminated",
		[POOL_BROKEN] = "broken",
	};
	const char *name = pool->tally->head->name;
	enum pool_state state;
	uint32_t count;

	if (!carom_origin_is(pool->origin)) {
		snprintf(text, size, "<Pool '%s' of another process>", name);
		return text;
	}
	pthread_mutex_lock(&pool->lock);
	state = pool->state;
	count = pool->worker_count;
	pthread_mutex_unlock(&pool->lock);
	snprintf(text, size, "<Pool '%s' state=%s workers=%u>", name, names[state], count);
	return text;
}
