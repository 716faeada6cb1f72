/*
 * Supervisor
 *
 * Which places are to be filled, and when. All in the loop's thread but for what says
 * otherwise. How a worker comes to be stands in birth.c, what is done when one is gone in
 * burial.c, whether it is replaced in restart_policy.c, how a pool ends in supervisor_end.c.
 *
 *   S1  A place has at most one current process, and at most one in the making.
 *   S2  The replacement allocates values from the other half of the arena than the
 *       process it replaces: if a thread of that one still writes for an instant,
 *       it writes where nobody reads.
 *   S3  Whatever happens to its workers, a pool either has one that is alive, or one
 *       that is in the making, or a timer after which it will be tried again, or it
 *       is broken, which answers everybody.
 *   S4  A process takes no work before it is held here. One that cannot be, for want
 *       of a descriptor, is killed before the supervisor hears of it; what it had
 *       begun by then would stay begun for ever.
 *   S5  The timer for trying again is always set, if only for the end of time: then to
 *       set it for another time takes no memory.
 *   S6  The first error keeps a pool from being started. Those of its workers that nobody
 *       was asked for yet are not made then: each would cost a fork, to be killed at once.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/log.h"
#include "core/time.h"
#include "core/trace.h"
#include "pool/answer.h"
#include "pool/burial.h"
#include "pool/event.h"
#include "pool/isolation.h"
#include "pool/pool_private.h"

#define START_ATTEMPTS_MAX 3 /* of births for a new pool whose fork server dies */

static void request_worker(struct worker *worker);

enum pool_state carom_pool_state_now(struct carom_pool *pool)
{
	enum pool_state state;

	pthread_mutex_lock(&pool->lock);
	state = pool->state;
	pthread_mutex_unlock(&pool->lock);
	return state;
}

/* ---- whether a place is to be filled ---- */

static bool may_live(struct carom_pool *pool)
{
	enum pool_state state = carom_pool_state_now(pool);

	return state == POOL_RUNNING || state == POOL_CLOSED;
}

/* with the lock */
static bool wants_workers(const struct carom_pool *pool)
{
	return pool->state == POOL_RUNNING ||
	       (pool->state == POOL_CLOSED && carom_lane_anything_ready(pool->lane));
}

static bool is_open(struct worker *worker)
{
	bool open;

	pthread_mutex_lock(&worker->pool->lock);
	open = worker->is_open;
	pthread_mutex_unlock(&worker->pool->lock);
	return open;
}

/* of the loop's thread alone */
static bool is_empty(const struct worker *worker)
{
	return !worker->current && !worker->next;
}

/* the places that somebody is to be made for, a bit each. Return: up to which place */
static uint32_t find_gaps(struct carom_pool *pool, uint64_t *ret_gaps)
{
	uint32_t wanted, place_count;

	pthread_mutex_lock(&pool->lock);
	place_count = pool->place_count;
	wanted = wants_workers(pool) ? carom_lazy_count(pool) : 0;
	for (uint32_t i = 0; i < place_count && wanted; i++) {
		const struct worker *worker = &pool->workers[i];

		if (!worker->is_open || !is_empty(worker))
			continue;
		ret_gaps[i / 64] |= UINT64_C(1) << (i % 64);
		wanted--;
	}
	pthread_mutex_unlock(&pool->lock);
	return place_count;
}

void carom_supervisor_fill(struct carom_pool *pool)
{
	uint64_t gaps[CAROM_LANE_MASK_WORDS] = { 0 };
	uint32_t place_count = find_gaps(pool, gaps);

	/* whatever comes of one that cannot be asked for: the others may be filled by now; S6 */
	for (uint32_t i = 0; i < place_count; i++)
		if (gaps[i / 64] >> (i % 64) & 1 && is_empty(&pool->workers[i]) &&
		    !pool->start_error)
			request_worker(&pool->workers[i]);
}

static void fill_poked(struct carom_poke *poke)
{
	carom_supervisor_fill(poke->userdata);
}

static void retry_expired(struct carom_loop_timer *timer)
{
	struct carom_pool *pool = timer->userdata;

	carom_loop_timer_set(carom_service_loop(pool->service), timer, CAROM_NO_DEADLINE); /* S5 */
	carom_supervisor_fill(pool);
}

/* Row ER-09 */
static void describe_limit(const struct carom_restart_policy *policy, char *text, size_t size)
{
	if (policy->window_ns % CAROM_NS_PER_SEC == 0)
		snprintf(text, size, "%" PRIu64 " in %" PRIu64 "s", policy->max_restarts,
			 policy->window_ns / CAROM_NS_PER_SEC);
	else
		snprintf(text, size, "%" PRIu64 " in %gs", policy->max_restarts,
			 (double)policy->window_ns / (double)CAROM_NS_PER_SEC);
}

static void follow(struct carom_pool *pool, enum carom_restart verdict,
		   enum carom_broken_reason reason, int error)
{
	if (verdict == CAROM_RESTART_NEVER)
		carom_supervisor_break(pool, reason, error, NULL);
	else if (verdict == CAROM_RESTART_NOW)
		carom_supervisor_fill(pool);
	else
		carom_loop_timer_set(carom_service_loop(pool->service), &pool->retry_timer,
				     pool->policy.resume_ns);
}

void carom_pool_find_busy(struct carom_pool *pool, uint64_t ret_busy[CAROM_LANE_MASK_WORDS])
{
	memset(ret_busy, 0, CAROM_LANE_MASK_WORDS * sizeof(*ret_busy));
	for (uint32_t slot = 0; slot < carom_lane_taken_count(pool->lane); slot++) {
		uint64_t word = carom_lane_word(pool->lane, slot);
		uint32_t owner = carom_slot_owner(word);

		if (carom_slot_state(word) == CAROM_SLOT_RUNNING && owner < CAROM_LANE_WORKERS_MAX)
			ret_busy[owner / 64] |= UINT64_C(1) << (owner % 64);
	}
}

/* is there anybody who could do work? */
static bool somebody_is_ready(struct carom_pool *pool)
{
	bool is_ready = false;

	pthread_mutex_lock(&pool->lock);
	for (uint32_t i = 0; i < pool->place_count; i++)
		is_ready |= pool->workers[i].current && carom_lane_is_ready(pool->lane, i);
	pthread_mutex_unlock(&pool->lock);
	return is_ready;
}

static bool somebody_waits(struct carom_pool *pool)
{
	bool waits;

	pthread_mutex_lock(&pool->lock);
	waits = pool->readiness_waiter_count || carom_lane_anything_ready(pool->lane);
	pthread_mutex_unlock(&pool->lock);
	return waits;
}

/* a worker could not be made */
static void refused(struct carom_pool *pool, int error)
{
	bool is_urgent = !somebody_is_ready(pool) && somebody_waits(pool);

	pthread_mutex_lock(&pool->lock);
	pool->refusal_error = error;
	pthread_cond_broadcast(&pool->settled);
	pthread_mutex_unlock(&pool->lock);
	follow(pool, carom_restart_policy_refused(&pool->policy, carom_now(), is_urgent),
	       CAROM_BROKEN_NO_PROCESS, error);
}

static enum carom_broken_reason why_it_breaks(enum carom_exit_reason reason)
{
	switch (reason) {
	case CAROM_EXIT_REASON_INIT_FAILED:
		return CAROM_BROKEN_INIT_FAILED;
	case CAROM_EXIT_REASON_INIT_TIMEOUT:
		return CAROM_BROKEN_INIT_TIMEOUT;
	case CAROM_EXIT_REASON_MEMORY_LIMIT:
		return CAROM_BROKEN_MEMORY_LIMIT;
	default:
		return CAROM_BROKEN_START_FAILED;
	}
}

/* one died before it was ready. While others are, it may be tried for ever. */
static void failed_to_start(struct carom_pool *pool, enum carom_exit_reason reason)
{
	bool is_costly = reason == CAROM_EXIT_REASON_INIT_TIMEOUT ||
			 reason == CAROM_EXIT_REASON_MEMORY_LIMIT;
	uint64_t most = is_costly ? CAROM_RESTART_TIMEOUTS_MAX : CAROM_RESTART_FAILURES_MAX;

	if (somebody_is_ready(pool) || pool->options.max_restarts == CAROM_NO_LIMIT)
		most = UINT64_MAX;
	follow(pool, carom_restart_policy_failed(&pool->policy, carom_now(), most),
	       why_it_breaks(reason), -ENOTRECOVERABLE);
}

static bool counts_as_death(enum carom_exit_reason reason)
{
	return reason == CAROM_EXIT_REASON_LOST || reason == CAROM_EXIT_REASON_INIT_FAILED ||
	       reason == CAROM_EXIT_REASON_INIT_TIMEOUT ||
	       reason == CAROM_EXIT_REASON_MEMORY_LIMIT || reason == CAROM_EXIT_REASON_PROTOCOL;
}

/* Rows RP-01, RP-02, RP-04; false: the pool is broken */
static bool count_death(struct carom_pool *pool)
{
	uint64_t progress = carom_lane_progress(pool->lane);
	char text[CAROM_OUTCOME_MESSAGE_MAX];

	if (progress != pool->progress_seen)
		carom_restart_policy_progress(&pool->policy);
	pool->progress_seen = progress;
	if (carom_restart_policy_step(&pool->policy, carom_now()))
		return true;
	describe_limit(&pool->policy, text, sizeof(text));
	carom_supervisor_break(pool, CAROM_BROKEN_RESTART_LIMIT, -ENOTRECOVERABLE, text);
	return false;
}

void carom_supervisor_ended(struct worker *worker, enum carom_exit_reason reason, bool was_ready)
{
	struct carom_pool *pool = worker->pool;

	if (was_ready)
		carom_restart_policy_ready(&pool->policy);
	else if (reason == CAROM_EXIT_REASON_MEMORY_LIMIT && carom_containment_refutes(pool))
		return;
	if (counts_as_death(reason)) {
		pthread_mutex_lock(&pool->lock);
		pool->loss_count++;
		pthread_mutex_unlock(&pool->lock);
	}
	if (!may_live(pool))
		return;
	if (reason == CAROM_EXIT_REASON_LOST && pool->options.break_on_loss)
		carom_supervisor_break(pool, CAROM_BROKEN_LOSS, -EOWNERDEAD, NULL);
	else if (counts_as_death(reason) && !count_death(pool))
		return;
	else if (reason == CAROM_EXIT_REASON_ENDED && is_open(worker) &&
		 carom_pool_state_now(pool) == POOL_RUNNING)
		request_worker(worker); /* sent away for another: with lazy_start, too */
	else if (was_ready || !counts_as_death(reason))
		carom_supervisor_fill(pool);
	else
		failed_to_start(pool, reason);
}

/* ---- births ---- */

/* S2: the larger free end of the half that the last process did not use */
static void choose_value_range(struct worker *worker)
{
	struct carom_pool *pool = worker->pool;
	uint64_t half = carom_lane_payload_size(pool->lane) / 2 & ~UINT64_C(4095);
	uint64_t begin, end, first, last;

	if (carom_lane_deals(pool->lane)) { /* its arena is new */
		worker->start.begin = 0;
		worker->start.end = carom_lane_payload_size(pool->lane);
		return;
	}
	worker->upper_half = !worker->upper_half;
	begin = worker->upper_half ? half : 0;
	end = begin + half;
	first = end;
	last = begin;
	for (uint32_t slot = 0; slot < carom_lane_taken_count(pool->lane); slot++) {
		uint64_t word = carom_lane_word(pool->lane, slot);
		bool batch = pool->tasks[slot].batch;
		struct carom_answer value;

		if (carom_slot_state(word) != CAROM_SLOT_DONE ||
		    carom_slot_owner(word) != worker->index ||
		    carom_answer_of(pool->lane, slot, batch, &value) < 0 || !value.reserved ||
		    value.offset < begin || value.offset >= end)
			continue;
		first = value.offset < first ? value.offset : first;
		last = value.offset + carom_arena_room(value.reserved) > last
			       ? value.offset + carom_arena_room(value.reserved)
			       : last;
	}
	if (end - last >= first - begin)
		begin = last;
	else
		end = first;
	worker->start.begin = begin;
	worker->start.end = end;
	carom_arena_discard(carom_lane_values(pool->lane, worker->index), begin, end - begin);
}

/* who is not held to its limits does not begin */
static bool may_work(struct incarnation *child)
{
	int r = carom_group_admit(child);

	if (r == 0)
		return true;
	carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_LIMITS_REFUSED,
			"worker %u (pid %d) cannot be moved to its control group: %s",
			child->worker->index, (int)child->pid, carom_strerror(r));
	carom_pidfd_signal(child->pidfd, SIGKILL);
	return false;
}

static void adopt(struct worker *worker, struct incarnation *child)
{
	struct carom_pool *pool = worker->pool;

	bool may_stay = may_live(pool);
	bool is_limited;

	pthread_mutex_lock(&pool->lock);
	pool->process_count++;
	worker->replaced_count += pool->started && worker->birth_count > 0;
	worker->birth_count++;
	worker->current = child;
	pool->refusal_error = 0;
	CAROM_TRACE(spawn, worker->index, child->pid);
	carom_event_up(pool, child);
	if (!worker->is_open || !may_stay) {
		child->is_doomed = true;
		child->doom = may_stay ? CAROM_EXIT_REASON_ENDED : CAROM_EXIT_REASON_TERMINATED;
		carom_pidfd_signal(child->pidfd, SIGKILL);
		carom_lane_dismiss(pool->lane, worker->index); /* a thread cannot be killed */
	}
	is_limited = pool->limit_next_ns != CAROM_NO_DEADLINE;
	pthread_mutex_unlock(&pool->lock);
	carom_tally_born(pool->tally, worker->index, child->thread ? getpid() : child->pid);
	if (may_work(child))
		carom_lane_admit(pool->lane, worker->index, child->pid,
				 carom_incarnation_tid(child)); /* S4 */
	carom_burial_expect(child);
	if (is_limited)
		carom_loop_timer_set(carom_service_loop(pool->service), &pool->limit_timer,
				     CAROM_PASSED); /* see limits.c */
}

/* S6 */
static void fail_to_start(struct carom_pool *pool, int error)
{
	if (pool->start_error)
		return;
	pool->start_error = error;
	for (uint32_t i = 0; i < pool->place_count; i++)
		if (pool->workers[i].next)
			carom_birth_give_up(&pool->workers[i]);
}

static void not_born(struct worker *worker, int error)
{
	struct carom_pool *pool = worker->pool;

	if (pool->started)
		refused(pool, error);
	else if (error == -EPIPE && pool->start_attempt_count++ < START_ATTEMPTS_MAX)
		request_worker(worker); /* the fork server died, and there is a new one */
	else
		fail_to_start(pool, error);
}

static void born(struct worker *worker, const struct carom_newborn *newborn)
{
	struct carom_pool *pool = worker->pool;
	struct incarnation *child = worker->next;

	if (carom_lane_deals(pool->lane))
		carom_lane_handed_over(pool->lane, worker->index);
	worker->next = NULL;
	carom_sandbox_page_close(child->page);
	carom_closep(&child->peak_fd);
	if (newborn->error < 0) {
		carom_sandbox_page_free(child->page);
		carom_group_forget(child);
		free(child);
		not_born(worker, newborn->error);
	} else {
		child->worker = worker;
		child->pid = newborn->pid;
		child->pidfd = newborn->pidfd;
		child->thread = newborn->thread;
		if (!child->thread)
			carom_private_fd_add(&child->private_pidfd, child->pidfd);
		adopt(worker, child);
	}
	pthread_mutex_lock(&pool->lock);
	pool->request_count--;
	if (pool->started || !pool->request_count)
		pthread_cond_broadcast(&pool->settled);
	pthread_mutex_unlock(&pool->lock);
}

static int prepare_lane(struct worker *worker)
{
	struct carom_pool *pool = worker->pool;
	int r;

	pthread_mutex_lock(&pool->lock);
	r = carom_lane_prepare(pool->lane, worker->index);
	pthread_mutex_unlock(&pool->lock);
	return r;
}

/* its lane, memory for the next process, the page of its sandbox, its group */
static int prepare(struct worker *worker)
{
	struct incarnation *next = calloc(1, sizeof(*next));
	int r;

	if (!next)
		return -ENOMEM;
	next->peak_fd = -1;
	r = prepare_lane(worker);
	if (r == 0 && !carom_sandbox_is_none(worker->pool->sandbox))
		r = carom_sandbox_page_new(worker->pool->sandbox, &next->page);
	if (r == 0)
		r = carom_group_make(next, worker->pool);
	if (r < 0) {
		carom_sandbox_page_free(next->page);
		free(next);
	} else {
		worker->next = next;
	}
	return r;
}

static void request_worker(struct worker *worker)
{
	struct carom_pool *pool = worker->pool;
	int r = prepare(worker);

	if (r < 0) {
		not_born(worker, r);
		return;
	}
	pthread_mutex_lock(&pool->lock);
	choose_value_range(worker);
	pool->request_count++;
	pthread_mutex_unlock(&pool->lock);
	carom_birth_begin(worker, born);
}

/* ---- time limits ---- */

static void limit_expired(struct carom_loop_timer *timer)
{
	struct carom_pool *pool = timer->userdata;
	uint64_t next;

	pthread_mutex_lock(&pool->lock);
	next = carom_limits_check(pool, carom_now());
	pool->limit_next_ns = next;
	pthread_mutex_unlock(&pool->lock);
	if (next != CAROM_NO_DEADLINE)
		carom_loop_timer_set(carom_service_loop(pool->service), timer, next);
	carom_limits_kill(pool);
}

static void limit_poked(struct carom_poke *poke)
{
	struct carom_pool *pool = poke->userdata;
	uint64_t next;

	pthread_mutex_lock(&pool->lock);
	next = pool->limit_next_ns;
	pthread_mutex_unlock(&pool->lock);
	if (next != CAROM_NO_DEADLINE)
		carom_loop_timer_set(carom_service_loop(pool->service), &pool->limit_timer, next);
}

void carom_supervisor_limit(struct carom_pool *pool, uint64_t due_ns)
{
	if (due_ns >= pool->limit_next_ns)
		return;
	pool->limit_next_ns = due_ns;
	carom_service_poke(pool->service, &pool->limit_poke);
}

/* ---- beginning and ending ---- */

static void drain_poked(struct carom_poke *poke)
{
	carom_supervisor_drain(poke->userdata);
}

void carom_supervisor_start(struct carom_pool *pool)
{
	pool->retry_timer.expired = retry_expired;
	pool->retry_timer.userdata = pool;
	pool->limit_timer.expired = limit_expired;
	pool->limit_timer.userdata = pool;
	pool->limit_poke.function = limit_poked;
	pool->limit_poke.userdata = pool;
	pool->drain_poke.function = drain_poked;
	pool->drain_poke.userdata = pool;
	pool->fill_poke.function = fill_poked;
	pool->fill_poke.userdata = pool;
	pool->limit_next_ns = CAROM_NO_DEADLINE;
	carom_supervisor_prepare_end(pool);
	carom_service_attach(pool->service, &pool->loss);
	if (carom_loop_is_lost(carom_service_loop(pool->service))) { /* since the pool has it */
		pool->loss.broken(&pool->loss, -EBADF);
		pool->start_error = -ENOTRECOVERABLE;
		return;
	}
	/* S5 */
	pool->start_error = carom_loop_timer_set(carom_service_loop(pool->service),
						 &pool->retry_timer, CAROM_NO_DEADLINE);
	if (pool->start_error == 0)
		pool->start_error = carom_sampler_begin(pool);
	if (pool->start_error < 0)
		return;
	carom_supervisor_fill(pool);
}

void carom_supervisor_drain(struct carom_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	if (pool->state == POOL_CLOSED && pool->submitter_count == 0)
		carom_lane_stop(pool->lane, CAROM_LANE_DRAIN);
	pthread_mutex_unlock(&pool->lock);
	carom_supervisor_fill(pool);
}

void carom_supervisor_end(struct carom_pool *pool)
{
	struct carom_loop *loop = carom_service_loop(pool->service);

	carom_limits_end(pool);
	carom_sampler_end(pool);
	carom_service_detach(pool->service, &pool->loss);
	carom_loop_timer_clear(loop, &pool->retry_timer);
	carom_loop_timer_clear(loop, &pool->limit_timer);
	carom_isolation_end(pool);
	carom_service_unpoke(pool->service, &pool->limit_poke);
	carom_loop_timer_clear(loop, &pool->grace_timer);
	carom_service_unpoke(pool->service, &pool->drain_poke);
	carom_service_unpoke(pool->service, &pool->break_poke);
	carom_service_unpoke(pool->service, &pool->fill_poke);
}
