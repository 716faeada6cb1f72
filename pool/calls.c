/*
 * Calls
 *
 * A result is in the queue of notices at most once; `due` says what of it is to be
 * told. Its end is told last, and gives back the reference that the calls hold on it.
 *
 *   D1  A task's end is seen once: when the teller looks at its slot, or when the slot
 *       is given back, whichever comes first. A value is moved into the handle before
 *       its slot is given back, so the callbacks find it there.
 *   D2  A task that is begun again, because its worker was lost, is told as begun again.
 *   D3  Leave to begin is given or refused by the first answer: of the accept callback, or
 *       of who cancels it meanwhile. A callback's answer is about the beginning that it was
 *       told of: if that worker has died meanwhile, and another one asks, it is told again.
 *   D4  A slot of the pool's gate is free again before the callbacks are called, so that
 *       one may submit.
 */
#include "pool/calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/time.h"
#include "pool/pool_private.h"

#define SLOW_NS CAROM_MILLISECONDS(100)

/* ---- making ---- */

static void tell_calls(struct carom_pool *pool, struct carom_notice *notice);

static bool pool_wants_calls(const struct carom_pool *pool)
{
	return pool->options.synack || pool->hooks.on_job_ready || pool->hooks.on_timeout_set ||
	       pool->hooks.on_timeout_cancel || pool->hooks.on_job_process_lost;
}

static bool wants_calls(const struct carom_pool *pool, const struct carom_task_options *options)
{
	return options->callback || options->error_callback || options->accept_callback ||
	       options->timeout_callback || options->correlation_id || pool_wants_calls(pool);
}

bool carom_calls_are_none(const struct carom_pool *pool)
{
	return !pool_wants_calls(pool) && !pool->options.put_locks && !pool->options.semaphore &&
	       !pool->options.retry_on_loss;
}

int carom_calls_new(struct carom_pool *pool, const struct carom_task_options *options,
		    struct calls **ret_calls)
{
	struct calls *calls;

	*ret_calls = NULL;
	if (!wants_calls(pool, options))
		return 0;
	calls = calloc(1, sizeof(*calls));
	if (!calls)
		return -ENOMEM;
	calls->notice.tell = tell_calls;
	calls->callback = options->callback;
	calls->error_callback = options->error_callback;
	calls->accept_callback = options->accept_callback;
	calls->timeout_callback = options->timeout_callback;
	calls->userdata = options->userdata;
	calls->propagate = options->callbacks_propagate || pool->options.callbacks_propagate;
	calls->asks_leave = pool->options.synack;
	if (options->correlation_id) {
		calls->correlation_id = strdup(options->correlation_id);
		if (!calls->correlation_id) {
			free(calls);
			return -ENOMEM;
		}
	}
	*ret_calls = calls;
	return 0;
}

struct calls *carom_calls_free(struct calls *calls)
{
	if (calls)
		free(calls->correlation_id);
	free(calls);
	return NULL;
}

void carom_calls_drop(struct calls *calls)
{
	calls->callback = NULL;
	calls->error_callback = NULL;
	calls->accept_callback = NULL;
	calls->timeout_callback = NULL;
}

uint32_t carom_calls_flags(const struct carom_pool *pool, const struct calls *calls)
{
	uint32_t flags = pool->options.polled ? CAROM_TASK_END : 0;

	if (!calls)
		return flags;
	flags |= CAROM_TASK_END | CAROM_TASK_TIMED;
	if (calls->asks_leave)
		flags |= CAROM_TASK_LEAVE;
	else if (calls->accept_callback || pool->hooks.on_timeout_set)
		flags |= CAROM_TASK_BEGIN;
	return flags;
}

/* ---- what has happened ---- */

static void post(struct carom_pool *pool, struct calls *calls, enum calls_due what, uint64_t at_ns)
{
	calls->due |= what;
	carom_notice_post(pool, &calls->notice, at_ns);
}

static void see_begin(struct carom_pool *pool, uint32_t slot)
{
	const struct carom_slot *lines = carom_lane_slot(pool->lane, slot);
	struct task *task = &pool->tasks[slot];
	struct calls *calls = task->result ? task->result->calls : NULL;

	if (task->begin_seen || !calls || !*(const volatile uint64_t *)&lines->started_ns)
		return; /* its worker has claimed it, and leaves a notice when it begins */
	task->begin_seen = true;
	calls->slot = slot;
	calls->generation = carom_lane_generation(pool->lane, slot);
	calls->pid = *(const volatile int32_t *)&lines->pid;
	calls->begun_ns = *(const volatile uint64_t *)&lines->started_ns;
	post(pool, calls, CALLS_BEGIN, calls->begun_ns);
}

static uint64_t end_of(const struct carom_pool *pool, uint32_t slot)
{
	struct carom_outcome outcome;

	carom_outcome_of_slot(pool, slot, &outcome);
	return outcome.ended_ns ? outcome.ended_ns : carom_now();
}

void carom_calls_end(struct carom_pool *pool, uint32_t slot)
{
	struct task *task = &pool->tasks[slot];
	struct calls *calls = task->result ? task->result->calls : NULL;

	if (task->end_seen)
		return;
	task->end_seen = true;
	if (task->is_gated)
		carom_pool_dismiss(pool); /* D4 */
	if (!calls)
		carom_notice_kept(pool);
	else
		post(pool, calls, CALLS_END, end_of(pool, slot));
}

void carom_calls_end_map(struct carom_pool *pool, struct calls *calls)
{
	post(pool, calls, CALLS_END, carom_now());
}

void carom_calls_look(struct carom_pool *pool, uint32_t slot)
{
	struct task *task = &pool->tasks[slot];
	struct carom_slot *lines = carom_lane_slot(pool->lane, slot);
	uint64_t word = carom_lane_word(pool->lane, slot);
	bool ended = carom_slot_ended(word);

	if (task->filling || (!ended && carom_slot_state(word) != CAROM_SLOT_RUNNING))
		return;
	if (ended && task->map && !task->held) {
		carom_map_collect(task->map, slot);
		return;
	}
	if (lines->flags & (CAROM_TASK_BEGIN | CAROM_TASK_LEAVE) &&
	    (!ended || carom_slot_state(word) == CAROM_SLOT_DONE))
		see_begin(pool, slot);
	if (ended)
		carom_calls_end(pool, slot);
}

void carom_calls_limit(struct carom_pool *pool, uint32_t slot, bool is_soft)
{
	const struct task *task = &pool->tasks[slot];
	struct carom_result *result = task->end_seen ? NULL : task->result;

	if (result && result->calls)
		post(pool, result->calls, is_soft ? CALLS_SOFT : CALLS_HARD, carom_now());
}

/* ---- telling; without the lock ---- */

static void check_answer(struct carom_pool *pool, const struct calls *calls, int answer,
			 uint64_t begun_ns)
{
	uint64_t took = carom_now() - begun_ns;

	if (took > SLOW_NS)
		carom_log(CAROM_LOG_WARNING,
			  "a callback took %llu ms, and all others of its pool waited for it",
			  (unsigned long long)(took / CAROM_MILLISECONDS(1)));
	if (answer >= 0)
		return;
	carom_log(CAROM_LOG_ERROR, "Pool callback failed: %d", answer);
	if (calls->propagate)
		carom_pool_break(pool);
}

/* D3 */
static void answer_leave(struct carom_pool *pool, const struct calls *told, bool granted)
{
	const struct carom_slot *lines = carom_lane_slot(pool->lane, told->slot);

	pthread_mutex_lock(&pool->lock);
	if (*(const volatile int32_t *)&lines->pid == told->pid &&
	    *(const volatile uint64_t *)&lines->started_ns == told->begun_ns)
		carom_task_give_leave(pool, told->slot, told->generation, granted);
	pthread_mutex_unlock(&pool->lock);
}

/* @told: as it was when this was due */
static void tell_begin(struct carom_pool *pool, struct calls *calls, const struct calls *told)
{
	carom_accept_callback_fn *accept = told->accept_callback;
	uint64_t now = carom_now();
	int answer = 0;

	if (pool->hooks.on_timeout_set && (calls->soft_ns || calls->hard_ns)) {
		calls->is_limit_told = true;
		pool->hooks.on_timeout_set(calls->result, calls->soft_ns, calls->hard_ns,
					   pool->hooks.userdata);
	}
	if (accept) {
		answer = accept(calls->result, told->pid, told->begun_ns, calls->userdata);
		if (answer >= 0 || !calls->asks_leave)
			check_answer(pool, calls, answer, now);
	}
	if (calls->asks_leave)
		answer_leave(pool, told, answer >= 0);
}

static void tell_limit(struct carom_pool *pool, struct calls *calls,
		       carom_timeout_callback_fn *timeout, bool is_soft)
{
	uint64_t now = carom_now();

	if (timeout)
		check_answer(pool, calls,
			     timeout(calls->result, is_soft,
				     is_soft ? calls->soft_ns : calls->hard_ns, calls->userdata),
			     now);
}

static void tell_hooks(struct carom_pool *pool, struct calls *calls,
		       const struct carom_outcome *outcome)
{
	const struct carom_pool_hooks *hooks = &pool->hooks;
	uint64_t id = carom_result_id(calls->result);

	if (hooks->on_timeout_cancel && calls->is_limit_told)
		hooks->on_timeout_cancel(calls->result, hooks->userdata);
	if (hooks->on_job_process_lost && outcome->kind == CAROM_OUTCOME_LOST)
		hooks->on_job_process_lost(id, outcome, hooks->userdata);
	if (hooks->on_job_ready)
		hooks->on_job_ready(id, outcome, hooks->userdata);
}

static void tell_end(struct carom_pool *pool, struct calls *calls, carom_callback_fn *succeeded,
		     carom_callback_fn *failed)
{
	struct carom_outcome outcome;
	carom_callback_fn *callback;
	uint64_t now;

	carom_result_ended_as(calls->result, &outcome);
	tell_hooks(pool, calls, &outcome);
	callback = outcome.kind == CAROM_OUTCOME_OK ? succeeded : failed;
	now = carom_now();
	if (callback)
		check_answer(pool, calls, callback(calls->result, calls->userdata), now);
	pthread_mutex_lock(&pool->lock);
	calls->is_told = true;
	pthread_cond_broadcast(&pool->settled);
	carom_lane_tell_expecting(pool->lane);
	carom_notice_kept(pool);
	carom_result_drop_unlock(calls->result);
}

/* the first that is due; the rest has its turn behind what happened before it */
static void tell_calls(struct carom_pool *pool, struct carom_notice *notice)
{
	struct calls *calls = (struct calls *)(void *)notice;
	struct calls seen;
	uint32_t what;

	pthread_mutex_lock(&pool->lock);
	seen = *calls; /* what is dropped from now on may still be called */
	what = calls->due & -calls->due;
	calls->due &= ~what;
	if (calls->due)
		carom_notice_post(pool, notice, carom_now());
	pthread_mutex_unlock(&pool->lock);
	if (what == CALLS_BEGIN)
		tell_begin(pool, calls, &seen);
	else if (what == CALLS_SOFT || what == CALLS_HARD)
		tell_limit(pool, calls, seen.timeout_callback, what == CALLS_SOFT);
	else if (what == CALLS_END)
		tell_end(pool, calls, seen.callback, seen.error_callback);
}
