/*
 * Resize
 *
 * Which places are open is state; what is done about it follows. The supervisor fills
 * every open place that is empty, and nobody fills one that is closed. Sending a worker
 * away is a word that it looks at when it has no task (carom_lane_dismiss()); what comes
 * after its end is decided by whether its place is still open: so shrinking and
 * restarting differ by one flag, and a worker that dies on its way out makes no difference.
 *
 *   Z1  worker->is_open changes under the lock only, and worker_count is how many are.
 *       At least one is.
 *   Z2  Below place_count is every place that was ever open. It only grows, and the lane
 *       knows it before the first process of a new place is asked for.
 *   Z3  Who is told to go is marked (may_leave) before it is told, so that its end is
 *       known as wanted.
 */
#include "pool/resize.h"

#include <errno.h>
#include <stdlib.h>

#include "core/origin.h"
#include "pool/event.h"
#include "pool/pool_private.h"

/* with the lock taken, or an error and without it */
static int begin(struct carom_pool *pool)
{
	enum pool_state state;

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	pthread_mutex_lock(&pool->lock);
	state = pool->state;
	if (state == POOL_RUNNING)
		return 0;
	pthread_mutex_unlock(&pool->lock);
	return state == POOL_BROKEN ? -ENOTRECOVERABLE : -ESHUTDOWN;
}

/* ---- growing ---- */

/* with the lock */
static void set_worker_count(struct carom_pool *pool, uint32_t count)
{
	pool->worker_count = count;
	tally_set(&pool->tally->head->worker_count, count);
}

static void open_place(struct carom_pool *pool, uint32_t index)
{
	struct worker *worker = &pool->workers[index];

	if (!worker->pool) { /* once: a place's last worker may be on its way out, and reads it */
		worker->pool = pool;
		worker->index = index;
	}
	worker->is_open = true;
	worker->opened_birth_count = worker->birth_count;
	set_worker_count(pool, pool->worker_count + 1);
	if (index < pool->place_count)
		return;
	pool->place_count = index + 1;
	carom_lane_use(pool->lane, pool->place_count); /* Z2 */
}

/* a process that has been told to go, and has no task, is as good as gone */
static bool is_free(const struct worker *worker, const uint64_t *busy)
{
	return !worker->is_open &&
	       (!worker->current || !(busy[worker->index / 64] >> (worker->index % 64) & 1));
}

/* with the lock; @ret_opened: the places that will have somebody soon, a bit each */
static void open_places(struct carom_pool *pool, uint64_t count, uint64_t *ret_opened)
{
	uint32_t limit = (uint32_t)pool->options.worker_limit;
	uint64_t busy[CAROM_LANE_MASK_WORDS];

	carom_pool_find_busy(pool, busy);
	for (uint32_t i = 0; i < limit && count; i++)
		if (is_free(&pool->workers[i], busy)) {
			open_place(pool, i);
			ret_opened[i / 64] |= UINT64_C(1) << (i % 64);
			count--;
		}
	for (uint32_t i = 0; i < limit && count; i++)
		if (!pool->workers[i].is_open) {
			open_place(pool, i);
			count--;
		}
}

void carom_pool_open_places(struct carom_pool *pool)
{
	for (uint32_t i = 0; i < pool->options.worker_count; i++)
		open_place(pool, i);
}

/* with the lock; true if they are there, or it is for the supervisor to try again */
static bool are_filled(const struct carom_pool *pool, const uint64_t *opened)
{
	if (pool->state != POOL_RUNNING || pool->refusal_error || pool->options.lazy_start)
		return true;
	for (uint32_t i = 0; i < pool->place_count; i++) {
		const struct worker *worker = &pool->workers[i];

		if (opened[i / 64] >> (i % 64) & 1 && worker->is_open &&
		    worker->birth_count == worker->opened_birth_count)
			return false;
	}
	return true;
}

static void fill_errand(void *userdata)
{
	carom_supervisor_fill(userdata);
}

int carom_pool_grow(struct carom_pool *pool, uint64_t count)
{
	uint64_t opened[CAROM_LANE_MASK_WORDS] = { 0 };
	int r = begin(pool);

	if (r < 0)
		return r;
	if (count > pool->options.worker_limit - pool->worker_count) {
		pthread_mutex_unlock(&pool->lock);
		return -ENOSPC;
	}
	open_places(pool, count, opened);
	carom_pool_admit_more(pool, (int64_t)count);
	carom_event_resized(pool, (int64_t)count);
	pthread_mutex_unlock(&pool->lock);
	carom_service_run(pool->service, fill_errand, pool);
	pthread_mutex_lock(&pool->lock);
	while (!are_filled(pool, opened))
		carom_pool_sleep(pool, CAROM_NO_DEADLINE);
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

/* ---- sending away ---- */

/* with the lock */
static void send_away(struct worker *worker)
{
	if (!worker->current)
		return;
	worker->current->may_leave = true; /* Z3 */
	carom_lane_dismiss(worker->pool->lane, worker->index);
}

static void close_place(struct worker *worker)
{
	worker->is_open = false;
	set_worker_count(worker->pool, worker->pool->worker_count - 1);
	send_away(worker);
}

static uint64_t close_some(struct carom_pool *pool, uint64_t count, const uint64_t *busy,
			   bool may_be_busy)
{
	uint64_t closed = 0;

	for (uint32_t i = pool->place_count; i-- > 0 && closed < count && pool->worker_count > 1;) {
		bool is_busy = busy[i / 64] >> (i % 64) & 1;

		if (!pool->workers[i].is_open || (is_busy && !may_be_busy))
			continue;
		close_place(&pool->workers[i]);
		closed++;
	}
	return closed;
}

int carom_pool_shrink(struct carom_pool *pool, uint64_t count, enum carom_shrink how)
{
	uint64_t busy[CAROM_LANE_MASK_WORDS];
	uint64_t closed;
	int r;

	if (how != CAROM_SHRINK_AFTER_TASK && how != CAROM_SHRINK_IDLE_ONLY)
		return -EINVAL;
	r = begin(pool);
	if (r < 0)
		return r;
	carom_pool_find_busy(pool, busy);
	closed = close_some(pool, count, busy, false);
	if (how == CAROM_SHRINK_AFTER_TASK)
		closed += close_some(pool, count - closed, busy, true);
	carom_pool_admit_more(pool, -(int64_t)closed);
	carom_event_resized(pool, -(int64_t)closed);
	pthread_mutex_unlock(&pool->lock);
	return (int)closed;
}

/* ---- replacing all ---- */

/* with the lock; which one in its place the worker is to be that comes after the one there now; 0: any */
static uint64_t call_for_new(struct worker *worker)
{
	if (!worker->current && worker->pool->options.lazy_start)
		return 0; /* there is none that is to be another */
	send_away(worker);
	return worker->replaced_count + 1;
}

static int await_new(struct worker *worker, uint64_t wanted, uint64_t deadline_ns)
{
	struct carom_pool *pool = worker->pool;
	int waited = 0;

	for (;;) {
		uint32_t ticket = carom_lane_ready_ticket(pool->lane);
		int r = begin(pool);
		bool is_there;

		if (r < 0)
			return r;
		is_there =
			!worker->is_open || (worker->current && worker->replaced_count >= wanted &&
					     carom_lane_is_ready(pool->lane, worker->index));
		pthread_mutex_unlock(&pool->lock);
		if (is_there || waited < 0)
			return is_there ? 0 : waited;
		waited = carom_pool_await_ready(pool, ticket, deadline_ns);
	}
}

static int restart_at_once(struct carom_pool *pool, uint64_t *wanted, uint64_t deadline_ns)
{
	uint32_t count;
	int r = begin(pool);

	if (r < 0)
		return r;
	count = pool->place_count;
	for (uint32_t i = 0; i < count; i++)
		if (pool->workers[i].is_open)
			wanted[i] = call_for_new(&pool->workers[i]);
	pthread_mutex_unlock(&pool->lock);
	for (uint32_t i = 0; i < count && r == 0; i++)
		if (wanted[i])
			r = await_new(&pool->workers[i], wanted[i], deadline_ns);
	return r;
}

static int restart_rolling(struct carom_pool *pool, uint64_t deadline_ns)
{
	uint32_t count = 1;
	int r = 0;

	for (uint32_t i = 0; i < count && r == 0; i++) {
		uint64_t wanted = 0;

		r = begin(pool);
		if (r < 0)
			return r;
		if (i == 0)
			count = pool->place_count; /* who comes later is new */
		if (pool->workers[i].is_open)
			wanted = call_for_new(&pool->workers[i]);
		pthread_mutex_unlock(&pool->lock);
		if (wanted)
			r = await_new(&pool->workers[i], wanted, deadline_ns);
	}
	return r;
}

int carom_pool_restart(struct carom_pool *pool, enum carom_restart_order order,
		       uint64_t deadline_ns)
{
	uint64_t *wanted;
	int r;

	if (order == CAROM_RESTART_ROLLING)
		return restart_rolling(pool, deadline_ns);
	if (order != CAROM_RESTART_AT_ONCE)
		return -EINVAL;
	wanted = calloc(pool->options.worker_limit, sizeof(*wanted));
	if (!wanted)
		return -ENOMEM;
	r = restart_at_once(pool, wanted, deadline_ns);
	free(wanted);
	return r;
}
