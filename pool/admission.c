/*
 * Admission
 *
 * Whether one more task is accepted where that is limited to as many as there are
 * workers (put_locks), by the pool's own gate or by the program's semaphore.
 *
 * A task is admitted before it has a slot, and without the lock, because a semaphore of
 * the program's may wait. Each admission is given back once: when the task has ended,
 * or when it could not be submitted after all.
 *
 * A task's end is seen by the thread that tells of it. If that thread itself waits for a
 * place, in a callback, it goes on looking for ends meanwhile, or it would wait for itself;
 * so does the only thread of a polled pool. The program's semaphore cannot be waited in
 * then: it is asked again and again, after each end, and every RETRY_NS for those who share
 * it.
 */
#include <errno.h>

#include "core/time.h"
#include "pool/pool_private.h"

#define RETRY_NS CAROM_MILLISECONDS(5)

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

/* with the lock: who waits for a place may look again */
static void tell(struct carom_pool *pool)
{
	pthread_cond_broadcast(&pool->settled);
	carom_notice_rouse(pool);
}

/* with the lock */
static void await_place(struct carom_pool *pool, uint64_t deadline_ns)
{
	if (carom_notice_is_teller(pool) && !pool->options.polled)
		carom_notice_await(pool, deadline_ns);
	else
		carom_pool_sleep(pool, deadline_ns);
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
		await_place(pool, CAROM_NO_DEADLINE);
	}
	pthread_mutex_unlock(&pool->lock);
	return r;
}

static bool gives_back_itself(struct carom_pool *pool)
{
	bool does;

	pthread_mutex_lock(&pool->lock);
	does = pool->options.polled || carom_notice_is_teller(pool);
	pthread_mutex_unlock(&pool->lock);
	return does;
}

static int acquire_again(struct carom_pool *pool)
{
	const struct carom_semaphore_hooks *theirs = &pool->semaphore;
	int r;

	while (r = theirs->acquire(theirs->userdata, false), r == -EAGAIN) {
		int entered = carom_pool_enter(pool);

		if (entered < 0)
			return entered;
		await_place(pool, carom_deadline_after(RETRY_NS));
		carom_pool_leave(pool);
	}
	return r;
}

static int acquire(struct carom_pool *pool, bool may_wait)
{
	const struct carom_semaphore_hooks *theirs = &pool->semaphore;

	return may_wait && gives_back_itself(pool) ? acquire_again(pool)
						   : theirs->acquire(theirs->userdata, may_wait);
}

int carom_pool_admit(struct carom_pool *pool, enum carom_wait_for_slot wait, bool *ret_gated)
{
	bool may_wait = wait != CAROM_SLOT_WAIT_NEVER;
	int r;

	*ret_gated = is_guarded(pool, wait);
	if (!*ret_gated)
		return 0;
	r = pool->semaphore.acquire ? acquire(pool, may_wait) : pass_gate(pool, may_wait);
	return r < 0 ? r : 0;
}

void carom_pool_dismiss(struct carom_pool *pool)
{
	if (pool->semaphore.release) {
		pool->semaphore.release(pool->semaphore.userdata);
		return;
	}
	carom_gate_give(&pool->gate);
	tell(pool);
}

void carom_pool_admit_all(struct carom_pool *pool)
{
	if (pool->semaphore.clear)
		pool->semaphore.clear(pool->semaphore.userdata);
	carom_gate_clear(&pool->gate);
	tell(pool);
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
	tell(pool);
}
