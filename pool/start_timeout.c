/*
 * Start time-out
 *
 * Counted from when the supervisor has a new worker in hand. Nobody is told when a worker
 * is ready, so the timer of each runs to its end, and looks then. Between that look and the
 * kill the worker may become ready, and claim a task: so it is given up first, by one
 * compare-and-swap against the worker's own, and who is given up claims nothing.
 *
 * A start that goes well costs a timer, later one expiry; a pool without the option nothing.
 */
#include <signal.h>

#include "core/log.h"
#include "core/points.h"
#include "core/time.h"
#include "pool/pool_private.h"

static void start_expired(struct carom_loop_timer *timer)
{
	struct incarnation *child = timer->userdata;
	struct carom_pool *pool = child->worker->pool;

	if (child->dead || !carom_lane_give_up(pool->lane, child->worker->index))
		return;
	CAROM_POINT("start.given_up");
	pthread_mutex_lock(&pool->lock);
	child->is_doomed = true;
	child->doom = CAROM_EXIT_REASON_INIT_TIMEOUT;
	pthread_mutex_unlock(&pool->lock);
	carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_START_TIMED_OUT,
			"worker %u (pid %d) was not ready in time: killing it",
			child->worker->index, (int)child->pid);
	carom_pidfd_signal(child->pidfd, SIGKILL);
}

void carom_start_timeout_begin(struct incarnation *child)
{
	struct carom_pool *pool = child->worker->pool;

	child->start_timer.expired = start_expired;
	child->start_timer.userdata = child;
	if (pool->options.start_timeout_ns)
		carom_loop_timer_set(carom_service_loop(pool->service), &child->start_timer,
				     carom_deadline_after(pool->options.start_timeout_ns));
}

void carom_start_timeout_end(struct incarnation *child)
{
	if (child->worker->pool->options.start_timeout_ns)
		carom_loop_timer_clear(carom_service_loop(child->worker->pool->service),
				       &child->start_timer);
}
