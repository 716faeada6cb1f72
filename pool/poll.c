/*
 * Poll
 *
 * Every wait of a pool is here, so that a pool without threads can do in each of them
 * what the library's thread does for others: a worker's death that nobody looks at would
 * leave its task without an answer, and whoever waits for that without an end.
 *
 * What it costs a pool with threads: one branch in each wait, none for a task.
 */
#include <errno.h>
#include <time.h>

#include "core/time.h"
#include "pool/pool_private.h"

/* ---- waiting ---- */

static bool is_polled(const struct carom_pool *pool)
{
	return pool->options.polled;
}

/* one round; what is to be waited for may have come, or not. Without the lock. */
static int drive(struct carom_pool *pool, uint64_t deadline_ns)
{
	if (carom_service_drive(pool->service, deadline_ns) == 0 && carom_now() >= deadline_ns)
		return -ETIMEDOUT;
	return 0;
}

static int sleep_on_condition(struct carom_pool *pool, uint64_t deadline_ns)
{
	struct timespec until = { .tv_sec = (time_t)(deadline_ns / CAROM_NS_PER_SEC),
				  .tv_nsec = (long)(deadline_ns % CAROM_NS_PER_SEC) };

	if (deadline_ns == CAROM_NO_DEADLINE)
		return -pthread_cond_wait(&pool->settled, &pool->lock);
	return -pthread_cond_timedwait(&pool->settled, &pool->lock, &until);
}

int carom_pool_sleep(struct carom_pool *pool, uint64_t deadline_ns)
{
	int r;

	if (!is_polled(pool))
		return sleep_on_condition(pool, deadline_ns);
	pthread_mutex_unlock(&pool->lock);
	r = drive(pool, deadline_ns);
	pthread_mutex_lock(&pool->lock);
	return r;
}

static bool has_ended(struct carom_pool *pool, uint32_t slot, uint32_t generation)
{
	return carom_lane_await(pool->lane, slot, generation, CAROM_PASSED, false) == 0;
}

int carom_pool_await(struct carom_pool *pool, uint32_t slot, uint32_t generation,
		     uint64_t deadline_ns, bool may_spin)
{
	int r = 0;

	if (!is_polled(pool))
		return carom_lane_await(pool->lane, slot, generation, deadline_ns, may_spin);
	while (!has_ended(pool, slot, generation)) {
		if (r < 0)
			return r;
		r = deadline_ns == CAROM_PASSED ? -ETIMEDOUT : drive(pool, deadline_ns);
	}
	return 0;
}

int carom_pool_await_any(struct carom_pool *pool, uint32_t ticket, uint64_t deadline_ns)
{
	return is_polled(pool) ? drive(pool, deadline_ns)
			       : carom_lane_await_any(pool->lane, ticket, deadline_ns);
}
