/*
 * Poll
 *
 * Every wait of a pool is here, so that a pool without threads can do in each of them
 * what the library's thread does for others: a worker's death that nobody looks at would
 * leave its task without an answer, and whoever waits for that without an end.
 *
 * In a polled pool each task leaves a notice when it has ended, and its worker rings the
 * bell, an eventfd, if that is armed; it is armed whenever the pool's thread is outside of
 * bell_rings(), so the first notice after a look makes the descriptor readable, and a
 * burst of them costs one write.
 *
 *   E1  Where something is to be done or told, the descriptor is readable, or somebody is
 *       inside a call who will see to it before the call returns.
 *   E2  Nothing is read from a descriptor but by running the loop, which knows why it is
 *       readable, so it never stays so for nothing.
 *   E3  Functions of the program are called outside of the loop, without a lock, and one
 *       not inside another. No more than CALLS_AT_ONCE in a row, so that callbacks that
 *       submit what calls them again do not keep the host's loop for themselves.
 *
 * What it costs a pool with threads: one branch in each wait, none for a task.
 */
#include "pool/poll.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/cond_wait.h"
#include "core/origin.h"
#include "core/time.h"
#include "pool/pool_private.h"

#define CALLS_AT_ONCE 64

/* ---- waiting ---- */

static bool is_polled(const struct carom_pool *pool)
{
	return pool->options.polled;
}

/*
 * One round; number of things done. Without the lock. What is left to be told is told before
 * anything is waited for.
 */
static int run_round(struct carom_pool *pool, uint64_t deadline_ns)
{
	int count = carom_notice_run(pool, CALLS_AT_ONCE);

	if (!pool->service)
		return count; /* a callback has freed the pool */
	count += carom_service_drive(pool->service, count ? CAROM_PASSED : deadline_ns);
	return count + carom_notice_run(pool, CALLS_AT_ONCE);
}

/* With the lock. */
static bool is_over(const struct carom_pool *pool)
{
	if (pool->state == POOL_RUNNING || pool->process_count || pool->request_count ||
	    pool->notices.untold_count || pool->notices.first)
		return false;
	return pool->state != POOL_CLOSED || !carom_lane_anything_ready(pool->lane);
}

/* With the lock. 0 if there is nothing to tell. */
static int news(const struct carom_pool *pool)
{
	if (pool->state == POOL_BROKEN && !pool->told_broken)
		return -ENOTRECOVERABLE;
	return is_over(pool) && !pool->told_over ? -ESHUTDOWN : 0;
}

/* E1, for what only carom_pool_poll() can tell */
static void owe_poll(struct carom_pool *pool)
{
	bool owed;

	pthread_mutex_lock(&pool->lock);
	owed = news(pool) != 0;
	pthread_mutex_unlock(&pool->lock);
	if (owed)
		carom_service_poke(pool->service, &pool->poll_poke);
}

/* a round inside a wait: what is waited for may have come, or not. Without the lock. */
static int drive(struct carom_pool *pool, uint64_t deadline_ns)
{
	int r = run_round(pool, deadline_ns);

	owe_poll(pool);
	return r == 0 && carom_now() >= deadline_ns ? -ETIMEDOUT : 0;
}

int carom_pool_sleep(struct carom_pool *pool, uint64_t deadline_ns)
{
	int r;

	if (!is_polled(pool))
		return carom_cond_wait(&pool->settled, &pool->lock, deadline_ns);
	pthread_mutex_unlock(&pool->lock);
	r = drive(pool, deadline_ns);
	pthread_mutex_lock(&pool->lock);
	return r;
}

/* in a lane that deals, who waits also sees that the task has ended */
static int await_end(struct carom_pool *pool, uint32_t slot, uint32_t generation,
		     uint64_t deadline_ns, bool may_spin)
{
	int r;

	while (r = carom_lane_await(pool->lane, slot, generation, deadline_ns, may_spin),
	       r == -EAGAIN) {
		pthread_mutex_lock(&pool->lock);
		carom_lane_look(pool->lane, slot);
		pthread_mutex_unlock(&pool->lock);
	}
	return r;
}

static bool has_ended(struct carom_pool *pool, uint32_t slot, uint32_t generation)
{
	return await_end(pool, slot, generation, CAROM_PASSED, false) == 0;
}

int carom_pool_await(struct carom_pool *pool, uint32_t slot, uint32_t generation,
		     uint64_t deadline_ns, bool may_spin)
{
	int r = 0;

	if (!is_polled(pool))
		return await_end(pool, slot, generation, deadline_ns, may_spin);
	while (!has_ended(pool, slot, generation)) {
		if (r < 0)
			return r;
		r = deadline_ns == CAROM_PASSED ? -ETIMEDOUT : drive(pool, deadline_ns);
	}
	return 0;
}

void carom_pool_do_due(struct carom_pool *pool)
{
	drive(pool, CAROM_PASSED);
}

void carom_pool_watch_ends(struct carom_pool *pool)
{
	if (!carom_lane_deals(pool->lane))
		return;
	pthread_mutex_lock(&pool->lock);
	carom_lane_watch_ends(pool->lane);
	pthread_mutex_unlock(&pool->lock);
}

int carom_pool_await_any(struct carom_pool *pool, uint32_t ticket, uint64_t deadline_ns)
{
	if (is_polled(pool))
		return drive(pool, deadline_ns);
	carom_pool_watch_ends(pool);
	return carom_lane_await_any(pool->lane, ticket, deadline_ns);
}

int carom_pool_await_ready(struct carom_pool *pool, uint32_t ticket, uint64_t deadline_ns)
{
	return is_polled(pool) ? drive(pool, deadline_ns)
			       : carom_lane_await_ready(pool->lane, ticket, deadline_ns);
}

/* ---- the bell ---- */

static void bell_rings(struct carom_loop_fd *watch)
{
	struct carom_pool *pool = watch->userdata;
	eventfd_t count;

	(void)eventfd_read(watch->fd, &count);
	pthread_mutex_lock(&pool->lock);
	do
		carom_notice_look(pool);
	while (!carom_lane_arm(pool->lane));
	pthread_mutex_unlock(&pool->lock);
}

static void poll_poked(struct carom_poke *poke)
{
	(void)poke; /* that the descriptor was readable is all */
}

int carom_pool_begin_polled(struct carom_pool *pool)
{
	pool->poll_poke.function = poll_poked;
	pool->bell_watch = (struct carom_loop_fd){ .ready = bell_rings, .userdata = pool };
	pool->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->bell_fd < 0)
		return -errno;
	carom_private_fd_add(&pool->private_bell_fd, pool->bell_fd);
	pool->bell_watch.fd = pool->bell_fd;
	carom_lane_set_bell(pool->lane, pool->bell_fd);
	carom_lane_arm(pool->lane);
	return carom_loop_watch_fd(carom_service_loop(pool->service), &pool->bell_watch);
}

void carom_pool_end_polled(struct carom_pool *pool)
{
	if (!pool->service)
		return;
	if (pool->bell_watch.ready) {
		carom_loop_unwatch_fd(carom_service_loop(pool->service), &pool->bell_watch);
		carom_lane_set_bell(pool->lane, -1);
		carom_private_fd_remove(&pool->private_bell_fd);
		carom_closep(&pool->bell_fd);
	}
	pool->service = carom_service_free_polled(pool->service);
}

/* ---- the host's side ---- */

static int check(const struct carom_pool *pool)
{
	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	return is_polled(pool) ? 0 : -EINVAL;
}

int carom_pool_fd(struct carom_pool *pool)
{
	int r = check(pool);

	return r < 0 ? r : carom_service_fd(pool->service);
}

/* what is told in place of @count, if anything */
static int tell(struct carom_pool *pool, int count)
{
	int r;

	if (!pool->service)
		return -ESHUTDOWN;
	pthread_mutex_lock(&pool->lock);
	r = news(pool);
	pool->told_broken |= r == -ENOTRECOVERABLE;
	pool->told_over |= r == -ESHUTDOWN;
	if (r == 0 && pool->told_over)
		r = -ESHUTDOWN;
	pthread_mutex_unlock(&pool->lock);
	owe_poll(pool);
	return r < 0 ? r : count;
}

static bool has_news(struct carom_pool *pool)
{
	bool has;

	pthread_mutex_lock(&pool->lock);
	has = news(pool) != 0 || pool->told_over;
	pthread_mutex_unlock(&pool->lock);
	return has;
}

static int enter(struct carom_pool *pool)
{
	int r = check(pool);

	if (r < 0)
		return r;
	pthread_mutex_lock(&pool->lock);
	if (carom_notice_is_teller(pool))
		r = -EDEADLK;
	else
		pool->reference_count++; /* a callback may free it */
	pthread_mutex_unlock(&pool->lock);
	return r;
}

static void leave(struct carom_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	carom_pool_unref_unlock(pool);
}

int carom_pool_poll(struct carom_pool *pool, uint64_t deadline_ns)
{
	int r = enter(pool);

	if (r < 0)
		return r;
	r = tell(pool, run_round(pool, has_news(pool) ? CAROM_PASSED : deadline_ns));
	while (r == -ESHUTDOWN && pool->service && run_round(pool, CAROM_PASSED) > 0)
		; /* E2: also what rang on the way to the end */
	leave(pool);
	return r;
}

/* ---- sentinels ---- */

static int dup_sentinel(const struct worker *worker, int *ret_fd)
{
	*ret_fd = worker->current ? fcntl(worker->current->pidfd, F_DUPFD_CLOEXEC, 3) : -1;
	return worker->current && *ret_fd < 0 ? -errno : 0;
}

int carom_pool_dup_sentinels(struct carom_pool *pool, int *fds, size_t count)
{
	size_t found = 0;
	uint32_t i;
	int r = 0;

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	pthread_mutex_lock(&pool->lock);
	for (i = 0; r == 0 && i < pool->place_count && found < count; i++)
		if (pool->workers[i].is_open)
			r = dup_sentinel(&pool->workers[i], &fds[found++]);
	i = pool->worker_count;
	pthread_mutex_unlock(&pool->lock);
	if (r == 0)
		return (int)i;
	while (found-- > 0)
		carom_closep(&fds[found]);
	return r;
}
