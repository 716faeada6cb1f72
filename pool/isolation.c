/*
 * Isolation
 *
 * A pool that isolates its workers has a lane that deals (ipc/lane_dealer.c); here stands
 * what that needs of the loop, and what becomes of a worker that plays foul: it is killed at
 * once, by whichever thread has seen it, and its burial answers its task. Nothing that it
 * does in between is heard.
 */
#include "pool/isolation.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/sandbox_private.h"
#include "core/time.h"
#include "pool/pool_private.h"

static void stall_expired(struct carom_loop_timer *timer);
static void stall_poked(struct carom_poke *poke);
static void unattended(bool any, void *userdata);

/* with the lock, which also keeps its pidfd open: U2 in burial.c */
static void played_foul(uint32_t index, const char *what, void *userdata)
{
	struct carom_pool *pool = userdata;
	struct incarnation *culprit = pool->workers[index].current;

	if (!culprit)
		return; /* it is dead */
	culprit->foul = what;
	if (!culprit->is_doomed) {
		culprit->is_doomed = true;
		culprit->doom = CAROM_EXIT_REASON_PROTOCOL;
	}
	carom_pidfd_signal(culprit->pidfd, SIGKILL);
	carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_PROTOCOL_VIOLATION,
			"worker %u (pid %d) is killed for a protocol violation: %s", index,
			(int)culprit->pid, what);
}

int carom_isolation_choose(struct carom_pool *pool)
{
	const char *forced = getenv("CAROM_ISOLATED");
	bool is_possible = pool->context.method != CAROM_START_THREAD && !pool->options.statistics;

	if (pool->options.isolated)
		return is_possible ? 0 : -EOPNOTSUPP;
	if (!carom_sandbox_is_none(pool->sandbox) && is_possible) {
		pool->options.isolated = 1;
		return 0;
	}
	pool->options.isolated = forced && strcmp(forced, "1") == 0 && is_possible;
	return 0;
}

void carom_isolation_begin(struct carom_pool *pool)
{
	pool->stall_timer.expired = stall_expired;
	pool->stall_timer.userdata = pool;
	pool->stall_poke.function = stall_poked;
	pool->stall_poke.userdata = pool;
	if (!carom_lane_deals(pool->lane))
		return;
	carom_lane_on_foul(pool->lane, played_foul, pool);
	carom_lane_on_unattended(pool->lane, unattended, pool);
}

void carom_isolation_end(struct carom_pool *pool)
{
	carom_service_unpoke(pool->service, &pool->stall_poke);
	carom_loop_timer_clear(carom_service_loop(pool->service), &pool->stall_timer);
}

/* ---- workers that stand still ---- */

/*
 * As long as there is a task that was dealt, was not begun, and that nobody waits for, the loop
 * looks whether it is taken up, first after the time that this should take at most.
 *
 *   I1  stall_is_awaited, with the lock: the timer is set, or the poke that sets it is queued.
 *   I2  Where there are threads the timer may outlast the last such task, for once: to take it
 *       back would cost each task more than that. A pool that is polled wakes its host for
 *       something that is to be done, or not at all: there the timer goes with the task.
 */

/* with the lock, in the loop's thread. It may fail for want of memory: the next task tries again */
static void set_timer(struct carom_pool *pool, uint64_t deadline_ns)
{
	pool->stall_is_awaited = deadline_ns != CAROM_NO_DEADLINE &&
				 carom_loop_timer_set(carom_service_loop(pool->service),
						      &pool->stall_timer, deadline_ns) == 0;
}

static void clear_timer(struct carom_pool *pool)
{
	carom_loop_timer_clear(carom_service_loop(pool->service), &pool->stall_timer);
	pool->stall_is_awaited = false;
}

/* with the lock; any thread that holds it, which is the loop's where the pool is polled */
static void unattended(bool any, void *userdata)
{
	struct carom_pool *pool = userdata;

	if (!any && pool->options.polled)
		clear_timer(pool);
	if (!any || pool->stall_is_awaited)
		return;
	pool->stall_is_awaited = true;
	if (pool->options.polled || carom_service_is_here(pool->service))
		set_timer(pool, carom_deadline_after(CAROM_LANE_STALLED_NS));
	else
		carom_service_poke(pool->service, &pool->stall_poke);
}

static void stall_poked(struct carom_poke *poke)
{
	struct carom_pool *pool = poke->userdata;
	bool any;

	pthread_mutex_lock(&pool->lock);
	any = carom_lane_has_unattended(pool->lane);
	set_timer(pool, any ? carom_deadline_after(CAROM_LANE_STALLED_NS) : CAROM_NO_DEADLINE);
	pthread_mutex_unlock(&pool->lock);
}

static void stall_expired(struct carom_loop_timer *timer)
{
	struct carom_pool *pool = timer->userdata;

	pthread_mutex_lock(&pool->lock);
	pool->stall_is_awaited = true; /* what is dealt from here on is seen below */
	set_timer(pool, carom_lane_move_stalled(pool->lane));
	pthread_mutex_unlock(&pool->lock);
}

/* ---- the bell ---- */

static void bell_rings(struct carom_loop_fd *watch)
{
	struct incarnation *alive = watch->userdata;
	struct carom_pool *pool = alive->worker->pool;
	int r;

	pthread_mutex_lock(&pool->lock);
	r = carom_lane_hand_rang(pool->lane, alive->worker->index);
	pthread_mutex_unlock(&pool->lock);
	if (r == 0)
		return;
	/* it is ending, and this comes too late to change how; or it has closed the bell itself */
	carom_pidfd_signal(alive->pidfd, SIGKILL);
	carom_isolation_unwatch(alive);
}

int carom_isolation_watch(struct incarnation *alive)
{
	struct carom_pool *pool = alive->worker->pool;

	if (!carom_lane_deals(pool->lane))
		return 0;
	alive->bell_watch = (struct carom_loop_fd){
		.fd = carom_lane_hand_bell(pool->lane, alive->worker->index),
		.ready = bell_rings,
		.userdata = alive,
	};
	return carom_loop_watch_fd(carom_service_loop(pool->service), &alive->bell_watch);
}

void carom_isolation_unwatch(struct incarnation *dead)
{
	struct carom_pool *pool = dead->worker->pool;

	if (carom_lane_deals(pool->lane))
		carom_loop_unwatch_fd(carom_service_loop(pool->service), &dead->bell_watch);
}

/* ---- its end ---- */

void carom_isolation_describe(const struct incarnation *dead, struct carom_outcome *outcome)
{
	if (dead->foul)
		snprintf(outcome->message, sizeof(outcome->message), "protocol violation: %s",
			 dead->foul);
}

bool carom_isolation_believes_recycling(const struct incarnation *dead)
{
	const struct carom_pool *pool = dead->worker->pool;
	const struct carom_recycle_limits *limits = &pool->plan.limits;

	return !carom_lane_deals(pool->lane) ||
	       ((limits->max_tasks || limits->max_bytes) &&
		carom_lane_done_count(pool->lane, dead->worker->index));
}
