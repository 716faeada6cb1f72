/*
 * Notice
 *
 * The queue is ordered by when things happened. Who tells takes one notice at a time
 * and lets go of the lock: what is posted meanwhile, by the callback too, finds its
 * place behind.
 *
 *   C1  One thread tells at a time: the pool's, or in a polled pool its owner.
 *   C2  A ring follows each post, and the teller looks at the queue after it has armed
 *       the bell: so none is left lying while the teller sleeps.
 *   C3  The thread counts as a reference to the pool: a callback may free the pool.
 *   C4  A task is the pool's until it was told: no more of them than there are slots, but
 *       for those that callbacks submit. So callbacks that are slower than the workers
 *       hold up who submits, and memory does not grow.
 *
 * A task without notices pays nothing. One with them pays a bit in the lane, and per
 * burst a wake-up of the thread.
 */
#include "pool/notice.h"

#include <errno.h>
#include <limits.h>

#include "core/thread_private.h"
#include "core/time.h"
#include "pool/pool_private.h"

/* ---- the queue ---- */

static void insert_after(struct carom_notices *notices, struct carom_notice *before,
			 struct carom_notice *notice)
{
	struct carom_notice *after = before ? before->next : notices->first;

	notice->previous = before;
	notice->next = after;
	*(before ? &before->next : &notices->first) = notice;
	*(after ? &after->previous : &notices->last) = notice;
}

static struct carom_notice *take_first(struct carom_notices *notices)
{
	struct carom_notice *notice = notices->first;

	if (!notice)
		return NULL;
	notices->first = notice->next;
	*(notice->next ? &notice->next->previous : &notices->last) = NULL;
	notice->queued = false;
	return notice;
}

void carom_notice_post(struct carom_pool *pool, struct carom_notice *notice, uint64_t at_ns)
{
	struct carom_notice *before = pool->notices.last;

	if (notice->queued)
		return;
	notice->queued = true;
	notice->at_ns = at_ns;
	while (before && before->at_ns > at_ns)
		before = before->previous;
	insert_after(&pool->notices, before, notice);
	carom_lane_ring(pool->lane); /* C2 */
}

/* ---- telling ---- */

void carom_notice_look(struct carom_pool *pool)
{
	uint32_t slot = carom_lane_noticed(pool->lane, 0);

	for (; slot != CAROM_LANE_NO_SLOT; slot = carom_lane_noticed(pool->lane, slot))
		carom_calls_look(pool, slot);
}

bool carom_notice_is_teller(const struct carom_pool *pool)
{
	return pool->notices.is_telling && pthread_equal(pool->notices.teller, pthread_self());
}

static void tell(struct carom_pool *pool, struct carom_notice *notice)
{
	pool->notices.is_telling = true;
	pool->notices.teller = pthread_self();
	pthread_mutex_unlock(&pool->lock);
	notice->tell(pool, notice);
	pthread_mutex_lock(&pool->lock);
	pool->notices.is_telling = false;
}

int carom_notice_run(struct carom_pool *pool, int most)
{
	int count = 0;

	pthread_mutex_lock(&pool->lock);
	while (count < most) {
		struct carom_notice *notice;

		carom_notice_look(pool);
		/* C1: a callback that polls leaves the rest to who called it */
		notice = pool->notices.is_telling ? NULL : take_first(&pool->notices);
		if (!notice)
			break;
		tell(pool, notice);
		count++;
	}
	if (pool->notices.first && !pool->notices.is_telling)
		carom_lane_ring(pool->lane);
	pthread_mutex_unlock(&pool->lock);
	return count;
}

/* C2: the bell is armed with the lock held, so that what happens from now on rings it */
void carom_notice_await(struct carom_pool *pool, uint64_t deadline_ns)
{
	pool->notices.is_waiting = true;
	if (carom_lane_arm(pool->lane)) {
		pthread_mutex_unlock(&pool->lock);
		carom_lane_await_notice(pool->lane, deadline_ns);
		pthread_mutex_lock(&pool->lock);
	}
	pool->notices.is_waiting = false;
	carom_notice_look(pool);
}

void carom_notice_rouse(struct carom_pool *pool)
{
	if (pool->notices.is_waiting)
		carom_lane_ring(pool->lane);
}

/* ---- promises ---- */

static void *run_thread(void *userdata);

static int start_thread(struct carom_pool *pool)
{
	int r = carom_thread_create(&pool->notices.thread, run_thread, pool);

	if (r < 0)
		return r;
	pool->notices.has_thread = true;
	pool->reference_count++; /* C3 */
	return 0;
}

int carom_notice_promise(struct carom_pool *pool)
{
	int r = pool->options.polled || pool->notices.has_thread ? 0 : start_thread(pool);

	if (r == 0)
		pool->notices.untold_count++;
	return r;
}

void carom_notice_kept(struct carom_pool *pool)
{
	uint64_t left = --pool->notices.untold_count;

	if (left == 0 || left == pool->options.slot_count - 1) /* C4 */
		pthread_cond_broadcast(&pool->settled);
}

bool carom_notice_is_full(const struct carom_pool *pool)
{
	return pool->notices.untold_count >= pool->options.slot_count &&
	       !carom_notice_is_teller(pool);
}

int carom_notice_settle(struct carom_pool *pool, uint64_t deadline_ns)
{
	int r = 0;

	while (pool->notices.untold_count) {
		if (r < 0)
			return r;
		r = carom_pool_sleep(pool, deadline_ns);
	}
	return 0;
}

/* ---- the thread ---- */

static bool may_sleep(struct carom_pool *pool)
{
	bool nothing = carom_lane_arm(pool->lane);

	pthread_mutex_lock(&pool->lock);
	nothing &= !pool->notices.first && !pool->notices.is_ending;
	pthread_mutex_unlock(&pool->lock);
	return nothing;
}

static bool is_over(struct carom_pool *pool)
{
	bool over;

	pthread_mutex_lock(&pool->lock);
	over = pool->notices.is_ending && !pool->notices.untold_count;
	pthread_mutex_unlock(&pool->lock);
	return over;
}

static void *run_thread(void *userdata)
{
	struct carom_pool *pool = userdata;

	while (carom_notice_run(pool, INT_MAX), !is_over(pool))
		if (may_sleep(pool))
			carom_lane_await_notice(pool->lane, CAROM_NO_DEADLINE);
	pthread_mutex_lock(&pool->lock);
	carom_pool_unref_unlock(pool);
	return NULL;
}

void carom_notice_end(struct carom_pool *pool)
{
	pthread_t thread = pool->notices.thread;
	bool has_thread, is_self;

	pthread_mutex_lock(&pool->lock);
	has_thread = pool->notices.has_thread;
	is_self = carom_notice_is_teller(pool);
	pool->notices.is_ending = true;
	carom_lane_ring(pool->lane);
	pthread_mutex_unlock(&pool->lock);
	if (has_thread && is_self)
		pthread_detach(thread);
	else if (has_thread)
		pthread_join(thread, NULL);
}
