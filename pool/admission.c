/*
 * Admission
 *
 * Whether one more task is accepted where that is limited to as many as there are
 * workers (put_locks), by the pool's own gate or by the program's semaphore.
 *
 * A task is admitted before it has a slot, and without the lock, because a semaphore of
 * the program's may wait. Each admission is given back once: when the task has ended,
 * or when it could not be submitted after all.
 */
#include <errno.h>

#include "pool/pool_private.h"

static bool is_guarded(const struct carom_pool *pool, enum carom_wait_for_slot wait)
{
	switch (wait) {
	case CAROM_SLOT_WAIT_ALWAYS:
		return true;
	case CAROM_SLOT_WAIT_IGNORE:
		return false;
	default:
		return pool->options.put_locks || pool->options.semaphore;
	}
}

static int pass_gate(struct carom_pool *pool, bool may_wait)
{
	int r = 0;

	pthread_mutex_lock(&pool->lock);
	while (pool->state == POOL_RUNNING && !carom_gate_take(&pool->gate)) {
		if (!may_wait) {
			r = -EAGAIN;
			break;
		}
		carom_pool_sleep(pool, CAROM_NO_DEADLINE);
	}
	pthread_mutex_unlock(&pool->lock);
	return r;
}

int carom_pool_admit(struct carom_pool *pool, enum carom_wait_for_slot wait, bool *ret_gated)
{
	const struct carom_semaphore_hooks *theirs = &pool->semaphore;
	bool may_wait = wait != CAROM_SLOT_WAIT_NEVER;
	int r;

	*ret_gated = is_guarded(pool, wait);
	if (!*ret_gated)
		return 0;
	r = theirs->acquire ? theirs->acquire(theirs->userdata, may_wait)
			    : pass_gate(pool, may_wait);
	return r < 0 ? r : 0;
}

void carom_pool_dismiss(struct carom_pool *pool)
{
	if (pool->semaphore.release) {
		pool->semaphore.release(pool->semaphore.userdata);
		return;
	}
	carom_gate_give(&pool->gate);
	pthread_cond_broadcast(&pool->settled);
}

void carom_pool_admit_all(struct carom_pool *pool)
{
	if (pool->semaphore.clear)
		pool->semaphore.clear(pool->semaphore.userdata);
	carom_gate_clear(&pool->gate);
	pthread_cond_broadcast(&pool->settled);
}

void carom_pool_admit_more(struct carom_pool *pool, int64_t count)
{
	const struct carom_semaphore_hooks *theirs = &pool->semaphore;

	if (count > 0 && theirs->grow)
		theirs->grow(theirs->userdata, (uint64_t)count);
	else if (count < 0 && theirs->shrink)
		theirs->shrink(theirs->userdata, (uint64_t)-count);
	if (count > 0)
		carom_gate_grow(&pool->gate, (uint64_t)count);
	else
		carom_gate_shrink(&pool->gate, (uint64_t)-count);
	pthread_cond_broadcast(&pool->settled);
}
