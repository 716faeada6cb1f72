/*
 * Close
 *
 * How a pool ends: by itself when its work is done, or by force. The force is the
 * supervisor's: a worker that runs a task gets SIGTERM, and SIGKILL when its grace is over;
 * one that is idle is told to end, and so does that of itself at once.
 *
 *   O1  Who ends a pool from one of its callbacks does not wait for what comes after them:
 *       for their own end it need not, and workers end without them.
 *   O2  What a pool that is closed has accepted, it does: see wants_workers().
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>

#include "core/log.h"
#include "core/origin.h"
#include "core/time.h"
#include "pool/pool_private.h"
#include "pool/thread_worker.h"

static void terminate_errand(void *userdata)
{
	carom_supervisor_terminate(userdata);
}

static void kill_errand(void *userdata)
{
	carom_supervisor_kill(userdata);
}

static void end_errand(void *userdata)
{
	carom_supervisor_end(userdata);
}

/* a worker that nobody has asked for yet may be on its way to what was accepted: O2 */
static bool has_ended(const struct carom_pool *pool)
{
	return !pool->process_count && !pool->request_count &&
	       (pool->state != POOL_CLOSED || !carom_lane_anything_ready(pool->lane));
}

/* waits until no worker is left and none is being made; with the lock */
static int await_end(struct carom_pool *pool, uint64_t deadline_ns)
{
	int r = 0;

	while (!has_ended(pool)) {
		if (r < 0)
			return r;
		r = carom_pool_sleep(pool, deadline_ns);
	}
	return 0;
}

/* ---- in good order ---- */

int carom_pool_close(struct carom_pool *pool)
{
	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	carom_log_event(CAROM_LOG_DEBUG, CAROM_LOG_EVENT_POOL_CLOSING, "closing pool");
	pthread_mutex_lock(&pool->lock);
	if (pool->state == POOL_RUNNING) {
		carom_pool_enter_state(pool, POOL_CLOSED);
		carom_pool_admit_all(pool);
		carom_service_poke(pool->service, &pool->drain_poke);
		carom_lane_announce_ready(pool->lane);
	}
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

int carom_pool_join(struct carom_pool *pool, uint64_t deadline_ns)
{
	int r;

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	if (carom_thread_worker_is_of(pool))
		return -EDEADLK;
	pthread_mutex_lock(&pool->lock);
	r = pool->state == POOL_RUNNING ? -EINVAL : await_end(pool, deadline_ns);
	if (r == 0 && !carom_notice_is_teller(pool)) /* O1 */
		r = carom_notice_settle(pool, deadline_ns);
	pthread_mutex_unlock(&pool->lock);
	return r;
}

/* ---- by force ---- */

static uint64_t count_undone(struct carom_pool *pool)
{
	uint64_t count;

	pthread_mutex_lock(&pool->lock);
	count = pool->undone_count;
	pthread_mutex_unlock(&pool->lock);
	return count;
}

static int end_by(struct carom_pool *pool, void (*errand)(void *userdata))
{
	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	if (carom_thread_worker_is_of(pool))
		return -EDEADLK;
	carom_log_event(CAROM_LOG_DEBUG, CAROM_LOG_EVENT_POOL_TERMINATING, "terminating pool");
	carom_service_run(pool->service, errand, pool);
	if (carom_service_is_here(pool->service))
		return 0; /* nobody else would see the workers' end */
	pthread_mutex_lock(&pool->lock);
	await_end(pool, CAROM_NO_DEADLINE);
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

void carom_pool_begin_termination(struct carom_pool *pool)
{
	if (carom_origin_is(pool->origin))
		carom_service_run(pool->service, terminate_errand, pool);
}

int carom_pool_terminate(struct carom_pool *pool)
{
	return end_by(pool, terminate_errand);
}

int carom_pool_kill(struct carom_pool *pool)
{
	return end_by(pool, kill_errand);
}

int carom_pool_drain(struct carom_pool *pool, uint64_t deadline_ns)
{
	uint64_t before, count;
	int r = carom_thread_worker_is_of(pool) ? -EDEADLK : carom_pool_close(pool);

	if (r < 0)
		return r;
	if (carom_pool_join(pool, deadline_ns) == 0)
		return carom_pool_state_now(pool) == POOL_BROKEN ? -ENOTRECOVERABLE : 0;
	before = count_undone(pool);
	carom_pool_terminate(pool);
	count = count_undone(pool) - before;
	return count < INT_MAX ? (int)count : INT_MAX;
}

/* what there is to tell is told before the pool is gone, but for a callback that frees it */
static void settle(struct carom_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	if (!carom_notice_is_teller(pool))
		carom_notice_settle(pool, CAROM_NO_DEADLINE);
	pthread_mutex_unlock(&pool->lock);
}

/* Row PH-23 */
static void say_what_it_cost(struct carom_pool *pool, uint64_t undone_count)
{
	if (undone_count)
		carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_POOL_UNFINISHED,
				"pool was freed with %" PRIu64 " tasks not done", undone_count);
}

struct carom_pool *carom_pool_free(struct carom_pool *pool)
{
	enum pool_state state;
	uint64_t before;

	if (!pool || !carom_origin_is(pool->origin))
		return NULL;
	assert(!carom_thread_worker_is_of(pool)); /* it would wait for itself */
	carom_log_event(CAROM_LOG_DEBUG, CAROM_LOG_EVENT_POOL_FINALIZING, "finalizing pool");
	state = carom_pool_state_now(pool);
	before = count_undone(pool);
	carom_pool_terminate(pool);
	if (state == POOL_RUNNING)
		say_what_it_cost(pool, count_undone(pool) - before);
	settle(pool);
	carom_notice_end(pool);
	carom_service_run(pool->service, end_errand, pool);
	if (pool->options.polled)
		carom_pool_end_polled(pool);
	pthread_mutex_lock(&pool->lock);
	carom_pool_unref_unlock(pool);
	return NULL;
}

void carom_pool_freep(struct carom_pool **pool)
{
	*pool = carom_pool_free(*pool);
}
