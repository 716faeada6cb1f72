/*
 * Result
 *
 * A handle refers to its slot until it is harvested; from then on it has its own
 * copy. The slot number is read without the lock to wait on the slot's word: if
 * the handle is harvested meanwhile, the generation no longer fits and the wait is
 * over, and what there is to read is read under the lock.
 *
 * The handle of a slot is kept with it when the program lets go of it, so a task
 * costs no allocation.
 */
#include "pool/result.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/origin.h"
#include "pool/answer.h"
#include "pool/pool_private.h"

uint32_t carom_result_slot(const struct carom_result *result)
{
	/* relaxed: see above; a stale number is caught by the generation */
	return atomic_load_explicit(&result->slot, memory_order_relaxed);
}

/* ---- outcomes ---- */

static void take_message(const struct carom_pool *pool, uint32_t slot,
			 struct carom_outcome *outcome)
{
	struct carom_answer value;
	size_t length;

	if (carom_answer_of(pool->lane, slot, false, &value) < 0)
		return;
	length = value.size < sizeof(outcome->message) ? value.size : sizeof(outcome->message) - 1;
	memcpy(outcome->message, value.data, length);
	outcome->message[length] = '\0';
}

void carom_outcome_fail(struct carom_outcome *outcome, int32_t code, uint64_t soft_ns)
{
	outcome->kind = CAROM_OUTCOME_FAILED;
	outcome->code = code;
	if (!carom_code_is_soft_limit(code, &outcome->code))
		return;
	outcome->kind = CAROM_OUTCOME_SOFT_LIMIT;
	outcome->limit_ns = soft_ns;
}

void carom_outcome_of_slot(const struct carom_pool *pool, uint32_t slot,
			   struct carom_outcome *ret_outcome)
{
	const struct carom_slot *lines = carom_lane_slot(pool->lane, slot);
	const volatile struct carom_lane_usage *usage = carom_lane_usage(pool->lane, slot);
	const struct task *task = &pool->tasks[slot];
	uint64_t word = atomic_load(&lines->word);
	struct carom_outcome outcome = { .kind = CAROM_OUTCOME_OK };

	if (carom_slot_state(word) == CAROM_SLOT_LOST) {
		*ret_outcome = task->cause;
		return;
	}
	outcome.code = *(const volatile int32_t *)&lines->code;
	outcome.worker_index = (int32_t)carom_slot_owner(word);
	outcome.worker_pid = lines->pid;
	outcome.attempt = task->attempt;
	outcome.submitted_ns = task->submitted_ns;
	if (lines->flags & CAROM_TASK_TIMED) {
		outcome.started_ns = lines->started_ns;
		outcome.ended_ns = lines->ended_ns;
	}
	if (lines->flags & CAROM_TASK_METERED && !task->is_refused) {
		outcome.cpu_ns = usage->cpu_ns;
		outcome.peak_bytes = usage->peak_bytes;
	}
	if (task->is_refused) {
		outcome.kind = CAROM_OUTCOME_CANCELLED;
		outcome.code = 0;
	} else if (outcome.code < 0) {
		carom_outcome_fail(&outcome, outcome.code, task->soft_ns);
		if (task->count <= 1)
			take_message(pool, slot, &outcome);
	} else {
		outcome.code = 0;
	}
	*ret_outcome = outcome;
}

int64_t carom_slot_pid(const struct carom_pool *pool, uint32_t slot)
{
	const struct carom_slot *lines = carom_lane_slot(pool->lane, slot);
	uint64_t word = carom_lane_word(pool->lane, slot);
	uint32_t owner = carom_slot_owner(word);

	switch (carom_slot_state(word)) {
	case CAROM_SLOT_RUNNING:
		if (owner >= pool->place_count || !pool->workers[owner].current)
			return 0;
		return pool->workers[owner].current->pid;
	case CAROM_SLOT_DONE:
		return *(const volatile int32_t *)&lines->pid;
	case CAROM_SLOT_LOST:
		return pool->tasks[slot].cause.worker_pid;
	default:
		return 0;
	}
}

/* ---- moving into the handle ---- */

static int copy_value(struct carom_result *result, uint32_t slot)
{
	struct carom_answer value;

	result->value = result->inline_value;
	result->value_size = 0;
	result->error = carom_answer_of(result->pool->lane, slot, false, &value);
	if (result->error < 0)
		return 0;
	if (value.size > sizeof(result->inline_value)) {
		result->value = malloc(value.size);
		if (!result->value)
			return -ENOMEM;
	}
	memcpy(result->value, value.data, value.size);
	result->value_size = value.size;
	return 0;
}

int carom_result_move(struct carom_result *result)
{
	uint32_t slot = carom_result_slot(result);
	int r;

	carom_outcome_of_slot(result->pool, slot, &result->outcome);
	if (result->outcome.kind == CAROM_OUTCOME_OK ||
	    (result->outcome.kind == CAROM_OUTCOME_FAILED && result->pool->options.backtraces)) {
		r = copy_value(result, slot);
		if (r < 0)
			return r;
	}
	result->crash = result->pool->tasks[slot].crash;
	result->pool->tasks[slot].crash = NULL;
	atomic_store_explicit(&result->slot, CAROM_LANE_NO_SLOT, memory_order_relaxed);
	carom_pool_release(result->pool, slot);
	return 0;
}

/* ---- waiting ---- */

static int await_end(struct carom_result *result, uint64_t deadline_ns)
{
	uint32_t slot = carom_result_slot(result);

	if (!carom_origin_is(result->origin))
		return -ECHILD;
	if (result->map)
		return carom_map_wait(result->map, deadline_ns);
	if (slot == CAROM_LANE_NO_SLOT)
		return 0;
	return carom_pool_await(result->pool, slot, result->generation, deadline_ns,
				result->may_spin);
}

static bool waits_for_calls(const struct carom_result *result)
{
	return result->calls && result->pool->options.callbacks_first;
}

/* within its callbacks it can be read, though it does not count as ready yet */
static int await_calls(struct carom_result *result, uint64_t deadline_ns)
{
	struct carom_pool *pool = result->pool;
	int r = 0;

	pthread_mutex_lock(&pool->lock);
	while (!result->calls->is_told && !carom_notice_is_teller(pool) && r == 0)
		r = deadline_ns == CAROM_PASSED ? -ETIMEDOUT : carom_pool_sleep(pool, deadline_ns);
	pthread_mutex_unlock(&pool->lock);
	return r;
}

int carom_result_wait(struct carom_result *result, uint64_t deadline_ns)
{
	int r = await_end(result, deadline_ns);

	return r == 0 && waits_for_calls(result) ? await_calls(result, deadline_ns) : r;
}

bool carom_result_ready(struct carom_result *result)
{
	bool told = true;

	if (carom_result_wait(result, CAROM_PASSED) < 0)
		return false;
	if (waits_for_calls(result)) {
		pthread_mutex_lock(&result->pool->lock);
		told = result->calls->is_told;
		pthread_mutex_unlock(&result->pool->lock);
	}
	return told;
}

/* ---- reading ---- */

/* finds the value, in the slot or in the handle; with the lock */
static int find_value(struct carom_result *result, const void **ret_data, size_t *ret_size)
{
	uint32_t slot = carom_result_slot(result);
	struct carom_answer value;
	int r;

	if (slot == CAROM_LANE_NO_SLOT) {
		if (result->outcome.kind != CAROM_OUTCOME_OK)
			return -EREMOTEIO;
		*ret_data = result->value;
		*ret_size = result->value_size;
		return result->error;
	}
	if (!carom_slot_succeeded(result->pool, slot))
		return -EREMOTEIO;
	r = carom_answer_of(result->pool->lane, slot, false, &value);
	if (r < 0)
		return r;
	*ret_data = value.data;
	*ret_size = value.size;
	return 0;
}

static int map_verdict(struct carom_result *result)
{
	struct carom_outcome outcome;

	carom_map_outcome(result->map, &outcome);
	return outcome.kind == CAROM_OUTCOME_OK ? 0 : -EREMOTEIO;
}

/* large values are copied without the lock: nobody harvests them meanwhile */
static void copy_unlocked(struct carom_result *result, void *buffer, const void *data,
			  size_t length)
{
	result->reader_count++;
	pthread_mutex_unlock(&result->pool->lock);
	memcpy(buffer, data, length);
	pthread_mutex_lock(&result->pool->lock);
	if (--result->reader_count == 0)
		carom_pool_tell_slot(result->pool); /* somebody may have passed it by */
}

static int copy_out(struct carom_result *result, void *buffer, size_t size, size_t *ret_size)
{
	const void *data;
	size_t length;
	int r = find_value(result, &data, &length);

	if (r < 0)
		return r;
	if (ret_size)
		*ret_size = length;
	if (length > size)
		return -EMSGSIZE;
	if (length > 4096)
		copy_unlocked(result, buffer, data, length);
	else if (length)
		memcpy(buffer, data, length);
	return 0;
}

int carom_result_get(struct carom_result *result, uint64_t deadline_ns, void *buffer, size_t size,
		     size_t *ret_size)
{
	int r = carom_result_wait(result, deadline_ns);

	if (r < 0)
		return r;
	if (result->map) {
		r = map_verdict(result);
		if (r == 0 && ret_size)
			*ret_size = 0;
		return r;
	}
	pthread_mutex_lock(&result->pool->lock);
	r = copy_out(result, buffer, size, ret_size);
	pthread_mutex_unlock(&result->pool->lock);
	return r;
}

int carom_result_data(struct carom_result *result, const void **ret_data, size_t *ret_size)
{
	int r = carom_result_wait(result, CAROM_PASSED);

	if (r < 0)
		return r == -ETIMEDOUT ? -EINPROGRESS : r;
	if (result->map) {
		r = map_verdict(result);
		if (r == 0) {
			*ret_data = NULL;
			*ret_size = 0;
		}
		return r;
	}
	pthread_mutex_lock(&result->pool->lock);
	r = find_value(result, ret_data, ret_size);
	if (r == 0)
		result->pinned = true;
	pthread_mutex_unlock(&result->pool->lock);
	return r;
}

void carom_result_ended_as(struct carom_result *result, struct carom_outcome *ret_outcome)
{
	if (result->map) {
		carom_map_outcome(result->map, ret_outcome);
		return;
	}
	pthread_mutex_lock(&result->pool->lock);
	if (carom_result_slot(result) == CAROM_LANE_NO_SLOT)
		*ret_outcome = result->outcome;
	else
		carom_outcome_of_slot(result->pool, carom_result_slot(result), ret_outcome);
	pthread_mutex_unlock(&result->pool->lock);
}

int carom_result_outcome(struct carom_result *result, struct carom_outcome *ret_outcome)
{
	int r = carom_result_wait(result, CAROM_PASSED);

	if (r == -ECHILD)
		return r;
	if (r < 0) {
		*ret_outcome =
			(struct carom_outcome){ .kind = CAROM_OUTCOME_PENDING, .worker_index = -1 };
		return 0;
	}
	carom_result_ended_as(result, ret_outcome);
	return 0;
}

int64_t carom_result_pid(struct carom_result *result)
{
	int64_t pid;

	pthread_mutex_lock(&result->pool->lock);
	if (carom_result_slot(result) == CAROM_LANE_NO_SLOT)
		pid = result->outcome.worker_pid;
	else
		pid = carom_slot_pid(result->pool, carom_result_slot(result));
	pthread_mutex_unlock(&result->pool->lock);
	return pid;
}

int carom_result_successful(struct carom_result *result)
{
	struct carom_outcome outcome;
	int r = carom_result_outcome(result, &outcome);

	if (r < 0)
		return r;
	if (outcome.kind == CAROM_OUTCOME_PENDING)
		return -EINPROGRESS;
	return outcome.kind == CAROM_OUTCOME_OK;
}

int carom_result_finish(struct carom_result *result, void *out, size_t out_size,
			struct carom_outcome *ret_outcome)
{
	uint32_t slot;
	int r;

	carom_result_wait(result, CAROM_NO_DEADLINE);
	pthread_mutex_lock(&result->pool->lock);
	r = copy_out(result, out, out_size, NULL);
	slot = carom_result_slot(result);
	if (ret_outcome && slot == CAROM_LANE_NO_SLOT)
		*ret_outcome = result->outcome;
	else if (ret_outcome)
		carom_outcome_of_slot(result->pool, slot, ret_outcome);
	carom_result_drop_unlock(result);
	return r;
}

/* ---- the handle ---- */

struct carom_result *carom_result_new(struct carom_pool *pool)
{
	struct carom_result *result = aligned_alloc(_Alignof(struct carom_result), sizeof(*result));

	if (!result)
		return NULL;
	memset(result, 0, sizeof(*result));
	result->pool = pool;
	result->origin = pool->origin;
	result->waitable.kind = &carom_result_waitable_kind;
	return result;
}

struct carom_result *carom_result_new_for_map(struct carom_pool *pool, struct map *map)
{
	struct carom_result *result = carom_result_new(pool);

	if (!result)
		return NULL;
	result->map = map;
	result->reference_count = 1;
	atomic_init(&result->slot, CAROM_LANE_NO_SLOT);
	pool->reference_count++; /* Q3 */
	return result;
}

void carom_result_drop_unlock(struct carom_result *result)
{
	struct carom_pool *pool = result->pool;
	uint32_t slot = carom_result_slot(result);

	if (--result->reference_count) {
		pthread_mutex_unlock(&pool->lock);
		return;
	}
	result->calls = carom_calls_free(result->calls);
	if (result->map)
		carom_map_free(result->map);
	if (pool->options.backtraces)
		carom_result_forget_backtrace(result);
	if (slot == CAROM_LANE_NO_SLOT) {
		if (result->value != result->inline_value)
			free(result->value);
		free(result);
	} else {
		uint64_t word = atomic_load(&carom_lane_slot(pool->lane, slot)->word);

		pool->tasks[slot].result = NULL;
		if (carom_slot_ended(word))
			carom_pool_release(pool, slot); /* else: when it is harvested */
		assert(!pool->spare[slot]);
		pool->spare[slot] = result;
	}
	carom_pool_unref_unlock(pool);
}

struct carom_result *carom_result_free(struct carom_result *result)
{
	if (!result || !carom_origin_is(result->origin))
		return NULL;
	if (result->map)
		carom_map_wait(result->map, CAROM_NO_DEADLINE);
	pthread_mutex_lock(&result->pool->lock);
	carom_result_drop_unlock(result);
	return NULL;
}

void carom_result_freep(struct carom_result **result)
{
	*result = carom_result_free(*result);
}
