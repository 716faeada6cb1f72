/*
 * Submit
 *
 * A slot is taken and filled first and published after, so that several can be
 * published with one wake-up. Whoever finds none free harvests (harvest.c). Only if
 * there is nothing to harvest, it waits, for a task's end or until somebody lets go of a
 * slot that could not be harvested.
 *
 * The lock is let go of while a large argument is copied and while waiting. A slot
 * that is being filled meanwhile belongs to its filler alone (Q1).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/origin.h"
#include "core/time.h"
#include "core/trace.h"
#include "pool/column.h"
#include "pool/pool_private.h"

#define COPY_LOCKED_MAX 4096
#define ID_BLOCK        65536

/* ---- entering ---- */

static int state_error(enum pool_state state)
{
	switch (state) {
	case POOL_RUNNING:
		return 0;
	case POOL_BROKEN:
		return -ENOTRECOVERABLE;
	default:
		return -ESHUTDOWN;
	}
}

int carom_pool_enter(struct carom_pool *pool)
{
	int r;

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	pthread_mutex_lock(&pool->lock);
	r = state_error(pool->state);
	if (r < 0) {
		pthread_mutex_unlock(&pool->lock);
		return r;
	}
	pool->submitter_count++;
	return 0;
}

void carom_pool_leave(struct carom_pool *pool)
{
	pool->submitter_count--;
	if (pool->state == POOL_CLOSED && pool->submitter_count == 0)
		carom_service_poke(pool->service, &pool->drain_poke);
	pthread_mutex_unlock(&pool->lock);
}

/* as for who has entered: closing does not stop it any more */
static int still_open(const struct carom_pool *pool)
{
	return pool->state == POOL_CLOSED ? 0 : state_error(pool->state);
}

/* ---- taking slots ---- */

static int wait_for_any(struct carom_pool *pool)
{
	uint32_t ticket = carom_lane_expect(pool->lane);

	if (!carom_pool_harvest(pool) && still_open(pool) == 0) {
		atomic_fetch_add(&pool->slot_waiter_count, 1);
		pthread_mutex_unlock(&pool->lock);
		carom_pool_await_any(pool, ticket, CAROM_NO_DEADLINE);
		pthread_mutex_lock(&pool->lock);
		atomic_fetch_sub(&pool->slot_waiter_count, 1);
	}
	carom_lane_unexpect(pool->lane);
	return still_open(pool);
}

static int take_slot(struct carom_pool *pool, bool may_wait, uint32_t *ret_slot)
{
	for (;;) {
		int r;

		*ret_slot = carom_lane_take(pool->lane);
		if (*ret_slot != CAROM_LANE_NO_SLOT)
			return 0;
		if (carom_pool_harvest(pool))
			continue;
		if (!may_wait)
			return -EAGAIN;
		r = wait_for_any(pool);
		if (r < 0)
			return r;
	}
}

/* the calls hold the handle too, until they are told */
static void attach_calls(struct carom_pool *pool, uint32_t slot, struct calls *calls)
{
	struct carom_result *result = pool->tasks[slot].result;

	result->calls = calls;
	result->reference_count++;
	calls->result = result;
	calls->soft_ns = pool->tasks[slot].soft_ns;
	calls->hard_ns = pool->tasks[slot].limit_ns;
}

static int attach_result(struct carom_pool *pool, const struct submission *submission,
			 uint32_t slot)
{
	struct carom_result *result = pool->spare[slot];

	if (!result)
		result = carom_result_new(pool);
	if (!result)
		return -ENOMEM;
	pool->spare[slot] = NULL;
	result->pinned = false;
	result->reader_count = 0;
	result->value = NULL;
	result->error = 0;
	result->reference_count = submission->wanted;
	result->id = pool->tasks[slot].id;
	result->userdata = submission->userdata;
	atomic_store_explicit(&result->slot, slot, memory_order_relaxed);
	pool->tasks[slot].result = result;
	pool->reference_count++; /* Q3 */
	if (submission->calls)
		attach_calls(pool, slot, submission->calls);
	return 0;
}

/* a block of them at a time, so that pools do not share a line for each task */
uint64_t carom_pool_take_id(struct carom_pool *pool)
{
	static _Atomic uint64_t blocks;

	if (pool->next_id == pool->last_id) {
		pool->next_id = atomic_fetch_add(&blocks, 1) * ID_BLOCK;
		pool->last_id = pool->next_id + ID_BLOCK;
	}
	return pool->next_id++;
}

/* ---- filling ---- */

static void copy_argument(unsigned char *room, const struct submission *submission)
{
	if (submission->prefix_size)
		memcpy(room, submission->prefix, submission->prefix_size);
	if (submission->column_count)
		carom_columns_put(room + submission->prefix_size, submission->columns,
				  submission->column_count, submission->count);
	else if (submission->size)
		memcpy(room + submission->prefix_size, submission->data, submission->size);
}

static int fill_argument(struct carom_pool *pool, const struct submission *submission,
			 uint32_t slot)
{
	struct carom_slot *lines = carom_lane_slot(pool->lane, slot);
	struct task *task = &pool->tasks[slot];
	uint64_t size = submission->prefix_size + submission->size;
	unsigned char *room;

	lines->argument_size = size;
	if (size <= CAROM_LANE_INLINE) {
		copy_argument(lines->argument.bytes, submission);
		return 0;
	}
	if (carom_arena_alloc(&pool->arguments, size, &task->argument_offset) < 0 &&
	    (!carom_pool_harvest(pool) ||
	     carom_arena_alloc(&pool->arguments, size, &task->argument_offset) < 0))
		return -ENOMEM;
	task->argument_size = size;
	lines->argument.offset = task->argument_offset;
	room = (unsigned char *)carom_lane_arguments(pool->lane) + task->argument_offset;
	if (size <= COPY_LOCKED_MAX) {
		copy_argument(room, submission);
		return 0;
	}
	pthread_mutex_unlock(&pool->lock);
	copy_argument(room, submission);
	pthread_mutex_lock(&pool->lock);
	return still_open(pool);
}

static void fill_slot(struct carom_pool *pool, const struct submission *submission,
		      uint64_t function, uint32_t slot)
{
	struct carom_slot *lines = carom_lane_slot(pool->lane, slot);
	struct task *task = &pool->tasks[slot];
	uint32_t flags = carom_calls_flags(pool, submission->calls);
	bool counted = carom_tally_is_on(pool->tally);
	bool timed = task->limit_ns || task->soft_ns || pool->options.timestamps ||
		     flags & CAROM_TASK_TIMED;
	uint64_t now = timed || counted ? carom_now() : 0;

	if (submission->batch)
		flags |= CAROM_TASK_BATCH;
	if (submission->column_count)
		flags |= CAROM_TASK_COLUMNS;
	if (submission->is_gated || submission->noticed)
		flags |= CAROM_TASK_END;
	if (submission->awaited && !pool->options.polled) /* who waits there drives the loop */
		flags |= CAROM_TASK_AWAITED;
	if (pool->options.task_usage && !submission->batch)
		flags |= CAROM_TASK_METERED;
	lines->function = function;
	lines->flags =
		(flags | (timed ? CAROM_TASK_TIMED : 0)) & ((1u << CAROM_TASK_FLAG_BITS) - 1);
	lines->index = submission->index & ((UINT64_C(1) << CAROM_TASK_INDEX_BITS) - 1);
	task->submitted_ns = timed ? now : 0;
	/* the worker's line is written only where the parent may look before the task ended */
	if (timed)
		lines->started_ns = 0;
	if (counted)
		lines->ended_ns = now; /* until it has ended: see carom_tally_begin() */
	if (submission->batch)
		atomic_store_explicit(&lines->value.progress, 0, memory_order_relaxed);
}

static bool has_hard_limit(const struct carom_pool *pool, const struct submission *submission)
{
	uint64_t soft_ns = submission->soft_ns, hard_ns = submission->limit_ns;

	carom_limits_resolve(pool, &soft_ns, &hard_ns);
	return hard_ns;
}

/* as a worker finds it; what its method cannot do is refused here as well */
static int name_function(struct carom_pool *pool, const struct submission *submission,
			 uint64_t *ret_function)
{
	if (pool->context.method == CAROM_START_SPAWN)
		return carom_function_number(&pool->functions, submission->function, ret_function);
	if (pool->context.method == CAROM_START_THREAD && has_hard_limit(pool, submission))
		return -EOPNOTSUPP;
	*ret_function = (uint64_t)(uintptr_t)submission->function;
	return 0;
}

static void begin_task(struct carom_pool *pool, const struct submission *submission,
		       struct task *task)
{
	task->filling = true;
	task->orphaned = false;
	task->condemned = false;
	task->left = false;
	task->held = false;
	task->is_refused = false;
	task->begin_seen = false;
	task->end_seen = true;
	task->batch = submission->batch;
	task->is_gated = submission->is_gated;
	task->result = NULL;
	task->map = submission->map;
	task->id = carom_pool_take_id(pool);
	task->argument_size = 0;
	task->attempt = 0;
	task->accounted = 0;
	task->retry_count = submission->retry_count;
	task->limit_ns = submission->limit_ns;
	task->soft_ns = submission->soft_ns;
	task->first = submission->index;
	task->count = submission->count;
	task->end = submission->count;
	task->part = submission->part;
	if (submission->batch)
		task->rest_ns = 0;
	carom_limits_resolve(pool, &task->soft_ns, &task->limit_ns);
}

int carom_pool_prepare(struct carom_pool *pool, const struct submission *submission, bool may_wait,
		       uint32_t *ret_slot)
{
	struct task *task;
	uint64_t function;
	uint32_t slot;
	int r = name_function(pool, submission, &function);

	if (r < 0)
		return r;
	r = take_slot(pool, may_wait, &slot);
	if (r < 0)
		return r;
	task = &pool->tasks[slot];
	begin_task(pool, submission, task);
	r = fill_argument(pool, submission, slot);
	if (r == 0 && (submission->wanted || submission->calls))
		r = attach_result(pool, submission, slot);
	if (r < 0) {
		carom_pool_release(pool, slot);
		return r;
	}
	task->end_seen = !submission->calls && !submission->is_gated;
	fill_slot(pool, submission, function, slot);
	if (carom_tally_is_on(pool->tally))
		carom_tally_name(pool->tally, slot, task->id);
	CAROM_TRACE(submit, task->id, slot, submission->size);
	*ret_slot = slot;
	return 0;
}

/* ---- publishing ---- */

static void note_limits(struct carom_pool *pool, const uint32_t *slots, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct task *task = &pool->tasks[slots[i]];

		if (task->soft_ns || task->limit_ns)
			carom_supervisor_limit(pool, carom_limits_first_due(task));
	}
}

static void count_submitted(struct carom_pool *pool, const uint32_t *slots, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		carom_tally_submitted(pool->tally, pool->tasks[slots[i]].count);
}

int carom_pool_publish(struct carom_pool *pool, const uint32_t *slots, uint32_t count,
		       bool *ret_woke)
{
	int r = still_open(pool);

	while (r == 0) {
		r = carom_lane_submit(pool->lane, slots, count, ret_woke);
		if (r != -EAGAIN)
			break;
		r = wait_for_any(pool);
	}
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < count; i++)
		pool->tasks[slots[i]].filling = false;
	note_limits(pool, slots, count);
	if (pool->is_sampled)
		carom_sampler_note(pool);
	if (pool->options.lazy_start)
		carom_lazy_note(pool);
	if (carom_tally_is_on(pool->tally))
		count_submitted(pool, slots, count);
	return 0;
}

/* what a submission promises to tell, and who holds the handle; with the lock */
static void hand_over(struct carom_pool *pool, const struct submission *submission, uint32_t slot,
		      bool woke, struct carom_result **ret_result)
{
	struct carom_result *result = pool->tasks[slot].result;

	if (!result)
		return;
	result->generation = carom_lane_generation(pool->lane, slot);
	result->may_spin = !woke;
	if (submission->wanted)
		*ret_result = result;
}

static int promise(struct carom_pool *pool, const struct submission *submission, bool may_wait)
{
	if (!submission->calls && !submission->is_gated)
		return 0;
	while (carom_notice_is_full(pool)) {
		if (!may_wait)
			return -EAGAIN;
		carom_pool_sleep(pool, CAROM_NO_DEADLINE);
	}
	return carom_notice_promise(pool);
}

static int submit_locked(struct carom_pool *pool, const struct submission *submission,
			 bool may_wait, struct carom_result **ret_result)
{
	uint32_t slot;
	bool woke;
	int r = carom_pool_prepare(pool, submission, may_wait, &slot);

	if (r < 0)
		return r;
	r = carom_pool_publish(pool, &slot, 1, &woke);
	if (r < 0)
		carom_pool_abandon(pool, slot);
	else
		hand_over(pool, submission, slot, woke, ret_result);
	return r;
}

int carom_pool_submit(struct carom_pool *pool, const struct submission *submission, bool may_wait,
		      struct carom_result **ret_result)
{
	int r = carom_pool_enter(pool);

	if (r < 0)
		return r;
	r = promise(pool, submission, may_wait);
	if (r == 0) {
		r = submit_locked(pool, submission, may_wait, ret_result);
		if (r < 0 && (submission->calls || submission->is_gated))
			carom_notice_kept(pool);
	}
	carom_pool_leave(pool);
	return r;
}
