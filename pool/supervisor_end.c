/*
 * Supervisor: the end of a pool
 *
 * A pool is closed by who has it, or breaks because it cannot go on. Either way what
 * nobody has begun is answered, and its workers end. All in the loop's thread but for what
 * says otherwise.
 *
 *   E1  A pool breaks once, for one reason, which stands there from then on.
 *   E2  A pool that is ended answers first what nobody has begun. Idle workers end by
 *       themselves; those that run a task are asked by SIGTERM. Whoever is still there when
 *       the grace is over is killed, also one that is stopped, or hangs in an exit handler.
 *   E3  A pool whose service is broken lets go of all descriptors, and is broken itself, at
 *       once; its processes are killed by burial.c, without a grace: no timer expires.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/process_private.h"
#include "core/time.h"
#include "pool/burial.h"
#include "pool/pool_private.h"

/* ---- halting ---- */

/* answers all that nobody has begun; with the lock */
static uint64_t withdraw_all(struct carom_pool *pool, const struct carom_outcome *cause)
{
	uint64_t count = 0;

	for (uint32_t slot = 0; slot < carom_lane_taken_count(pool->lane); slot++) {
		const struct task *task = &pool->tasks[slot];

		if (carom_task_withdraw_for(pool, slot, cause)) /* else it is swept later */
			count += task->map ? task->count - task->accounted : 1;
	}
	return count;
}

/* with the lock; true if the pool was still running, or being drained */
static bool halt(struct carom_pool *pool, enum pool_state state, const struct carom_outcome *cause)
{
	if (pool->state != POOL_RUNNING && pool->state != POOL_CLOSED)
		return false;
	if (pool->state == POOL_RUNNING)
		carom_pool_admit_all(pool);
	carom_pool_enter_state(pool, state);
	pool->undone_count += withdraw_all(pool, cause);
	carom_lane_stop(pool->lane, CAROM_LANE_HALT);
	carom_lane_announce(pool->lane);
	carom_lane_announce_ready(pool->lane);
	pthread_cond_broadcast(&pool->settled);
	return true;
}

/* those that run a task, or their initializer: they may have processes of their own */
static void find_engaged(struct carom_pool *pool, uint64_t *ret_mask)
{
	pthread_mutex_lock(&pool->lock);
	carom_pool_find_busy(pool, ret_mask);
	pthread_mutex_unlock(&pool->lock);
	for (uint32_t i = 0; i < pool->place_count; i++)
		if (!carom_lane_is_ready(pool->lane, i))
			ret_mask[i / 64] |= UINT64_C(1) << (i % 64);
}

/* those that are at something, with all they have started; @idle_too: and SIGKILL for the others */
static void signal_workers(struct carom_pool *pool, int signal_number, bool idle_too)
{
	uint64_t engaged[CAROM_LANE_MASK_WORDS];

	find_engaged(pool, engaged);
	for (uint32_t i = 0; i < pool->place_count; i++) {
		struct incarnation *current = pool->workers[i].current;

		if (current && engaged[i / 64] >> (i % 64) & 1)
			carom_limits_kill_by(current, signal_number);
		else if (current && idle_too)
			carom_pidfd_signal(current->pidfd, SIGKILL);
	}
}

static void kill_workers(struct carom_pool *pool)
{
	carom_limits_end(pool);
	signal_workers(pool, SIGKILL, true);
}

static void grace_expired(struct carom_loop_timer *timer)
{
	kill_workers(timer->userdata);
}

/* E2. Those that are idle have been told to end, see halt(). */
static void end_workers(struct carom_pool *pool)
{
	bool at_once = pool->options.grace_ns == CAROM_NO_GRACE;
	uint64_t grace_ns = at_once ? POOL_GRACE_NS : pool->options.grace_ns;

	if (carom_loop_timer_set(carom_service_loop(pool->service), &pool->grace_timer,
				 carom_deadline_after(grace_ns)) < 0)
		kill_workers(pool);
	else
		signal_workers(pool, at_once ? SIGKILL : carom_term_signal(), false);
}

static bool halt_for_good(struct carom_pool *pool)
{
	struct carom_outcome cause = { .kind = CAROM_OUTCOME_POOL_CLOSED,
				       .exit_status = -1,
				       .worker_index = -1 };
	bool first;

	pthread_mutex_lock(&pool->lock);
	first = halt(pool, POOL_TERMINATED, &cause);
	pthread_mutex_unlock(&pool->lock);
	return first;
}

void carom_supervisor_terminate(struct carom_pool *pool)
{
	if (halt_for_good(pool))
		end_workers(pool);
}

void carom_supervisor_kill(struct carom_pool *pool)
{
	halt_for_good(pool);
	kill_workers(pool);
}

/* ---- breaking ---- */

void carom_pool_describe_break(const struct carom_pool *pool, struct carom_outcome *outcome)
{
	outcome->kind = CAROM_OUTCOME_POOL_BROKEN;
	outcome->code = (int32_t)pool->broken.reason;
	memcpy(outcome->message, pool->broken.text, sizeof(outcome->message));
}

static void note_break(struct carom_pool *pool, enum carom_broken_reason reason, int error,
		       const char *text)
{
	if (pool->broken.reason != CAROM_BROKEN_NOT)
		return; /* E1 */
	pool->broken.reason = reason;
	pool->broken.error = error;
	snprintf(pool->broken.text, sizeof(pool->broken.text), "%s",
		 text ? text : carom_broken_reason_name(reason));
}

void carom_supervisor_break(struct carom_pool *pool, enum carom_broken_reason reason, int error,
			    const char *text)
{
	struct carom_outcome cause = { .exit_status = -1, .worker_index = -1 };
	bool first;

	pthread_mutex_lock(&pool->lock);
	if (pool->state == POOL_RUNNING || pool->state == POOL_CLOSED)
		note_break(pool, reason, error, text);
	carom_pool_describe_break(pool, &cause);
	first = halt(pool, POOL_BROKEN, &cause);
	pthread_mutex_unlock(&pool->lock);
	if (!first)
		return;
	carom_service_poke(pool->service, &pool->break_poke);
	carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_POOL_BROKEN, "pool is broken: %s: %s",
			carom_broken_reason_name(reason), cause.message);
	if (pool->options.kill_self_on_break)
		kill(getpid(), SIGTERM);
}

/* E3 */
static void loop_lost(struct carom_service_user *user, int error)
{
	struct carom_pool *pool = user->userdata;

	pthread_mutex_lock(&pool->lock);
	carom_private_fd_remove(&pool->private_lane_fd);
	carom_private_fd_remove(&pool->private_bell_fd);
	carom_lane_lose_fds(pool->lane);
	carom_tally_lose_fd(pool->tally);
	carom_groups_lose(pool);
	pool->lane_fd = -1;
	pool->bell_fd = -1;
	for (uint32_t i = 0; i < pool->place_count; i++)
		if (pool->workers[i].current)
			carom_burial_lose_fd(pool->workers[i].current);
	pthread_mutex_unlock(&pool->lock);
	carom_limits_lose(pool);
	carom_supervisor_break(pool, CAROM_BROKEN_LOOP, error, NULL);
}

static void break_poked(struct carom_poke *poke)
{
	end_workers(poke->userdata);
}

void carom_supervisor_prepare_end(struct carom_pool *pool)
{
	pool->break_poke.function = break_poked;
	pool->break_poke.userdata = pool;
	pool->grace_timer.expired = grace_expired;
	pool->grace_timer.userdata = pool;
	pool->loss.broken = loop_lost;
	pool->loss.userdata = pool;
}
