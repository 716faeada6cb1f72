/*
 * Control
 *
 * What the program may do to a task that it has submitted, by its handle: never to the
 * worker that runs it, which may run another one by now.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "core/origin.h"
#include "core/process_private.h"
#include "pool/pool_private.h"
#include "pool/result.h"

/* ---- leave to begin ---- */

bool carom_task_give_leave(struct carom_pool *pool, uint32_t slot, uint32_t generation,
			   bool granted)
{
	if (!carom_lane_give_leave(pool->lane, slot, generation, granted))
		return false;
	pool->tasks[slot].is_refused = !granted;
	return true;
}

/* ---- beginning again ---- */

bool carom_task_retry(struct task *task, const struct carom_outcome *cause)
{
	if (cause->kind != CAROM_OUTCOME_LOST || task->attempt >= task->retry_count)
		return false;
	task->attempt++;
	return true;
}

/* ---- cancelling ---- */

/* nobody has begun it: it ends here; with the lock */
bool carom_task_withdraw_for(struct carom_pool *pool, uint32_t slot,
			     const struct carom_outcome *cause)
{
	struct task *task = &pool->tasks[slot];
	uint64_t word = carom_lane_word(pool->lane, slot);

	if (task->filling || carom_slot_state(word) != CAROM_SLOT_READY)
		return false;
	task->cause = *cause;
	task->cause.attempt = task->attempt;
	task->cause.submitted_ns = task->submitted_ns;
	if (!carom_lane_withdraw(pool->lane, slot))
		return false; /* a worker has it now */
	carom_pool_count_end(pool, cause->kind);
	return true;
}

bool carom_task_withdraw(struct carom_pool *pool, uint32_t slot, enum carom_outcome_kind kind,
			 int signal)
{
	struct carom_outcome cause = {
		.kind = kind, .signal = signal, .exit_status = -1, .worker_index = -1
	};

	return carom_task_withdraw_for(pool, slot, &cause);
}

static int cancel_slot(struct carom_pool *pool, uint32_t slot)
{
	uint64_t word;

	if (slot == CAROM_LANE_NO_SLOT)
		return -EALREADY;
	if (carom_task_withdraw(pool, slot, CAROM_OUTCOME_CANCELLED, 0))
		return 0;
	word = carom_lane_word(pool->lane, slot);
	if (carom_slot_ended(word))
		return -EALREADY;
	if (carom_lane_slot(pool->lane, slot)->flags & CAROM_TASK_LEAVE &&
	    carom_task_give_leave(pool, slot, carom_slot_generation(word), false))
		return 0;
	return -EBUSY;
}

int carom_result_cancel(struct carom_result *result)
{
	int r;

	if (!carom_origin_is(result->origin))
		return -ECHILD;
	pthread_mutex_lock(&result->pool->lock);
	r = result->map ? carom_map_cancel(result->map)
			: cancel_slot(result->pool, carom_result_slot(result));
	pthread_mutex_unlock(&result->pool->lock);
	return r;
}

/* tasks and chunks alike; what is being submitted at this moment is not there yet */
int carom_pool_flush(struct carom_pool *pool)
{
	int count = 0;

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	pthread_mutex_lock(&pool->lock);
	for (uint32_t slot = 0; slot < carom_lane_taken_count(pool->lane); slot++)
		count += carom_task_withdraw(pool, slot, CAROM_OUTCOME_CANCELLED, 0);
	pthread_mutex_unlock(&pool->lock);
	return count;
}

int carom_result_discard(struct carom_result *result)
{
	if (!carom_origin_is(result->origin))
		return -ECHILD;
	pthread_mutex_lock(&result->pool->lock);
	if (result->calls)
		carom_calls_drop(result->calls);
	pthread_mutex_unlock(&result->pool->lock);
	return 0;
}

/* ---- terminating ---- */

/**
 * struct termination - what is to be ended, in the loop's thread
 * @result: a task's or map's; or NULL: what worker @pid runs
 */
struct termination {
	struct carom_pool *pool;
	struct carom_result *result;
	int64_t pid;
	int signal;
	int answer;
};

static bool terminate_slot(const struct termination *wish, uint32_t slot)
{
	uint64_t word = carom_lane_word(wish->pool->lane, slot);

	return carom_task_withdraw(wish->pool, slot, CAROM_OUTCOME_TERMINATED, wish->signal) ||
	       carom_limits_terminate(wish->pool, slot, carom_slot_generation(word),
				      CAROM_OUTCOME_TERMINATED, wish->signal) == 0;
}

static bool is_run_by(const struct carom_pool *pool, uint32_t slot, int64_t pid)
{
	uint64_t word = carom_lane_word(pool->lane, slot);
	uint32_t owner = carom_slot_owner(word);

	return carom_slot_state(word) == CAROM_SLOT_RUNNING &&
	       owner < carom_lane_worker_count(pool->lane) && pool->workers[owner].current &&
	       pool->workers[owner].current->pid == pid;
}

/* is the task in this slot meant? Not one that is not submitted yet. */
static bool is_meant(const struct termination *wish, uint32_t slot)
{
	const struct task *task = &wish->pool->tasks[slot];

	if (task->filling)
		return false;
	if (!wish->result)
		return is_run_by(wish->pool, slot, wish->pid);
	return wish->result->map ? task->map == wish->result->map : task->result == wish->result;
}

static void terminate_errand(void *userdata)
{
	struct termination *wish = userdata;
	struct carom_pool *pool = wish->pool;

	pthread_mutex_lock(&pool->lock);
	for (uint32_t slot = 0; slot < carom_lane_taken_count(pool->lane); slot++)
		if (is_meant(wish, slot) && terminate_slot(wish, slot))
			wish->answer = 0;
	pthread_mutex_unlock(&pool->lock);
	carom_limits_kill(pool);
}

static int terminate(struct termination *wish)
{
	if (wish->signal < 0 || wish->signal > SIGRTMAX)
		return -EINVAL;
	if (!wish->signal)
		wish->signal = carom_term_signal();
	wish->answer = -ESRCH;
	carom_service_run(wish->pool->service, terminate_errand, wish);
	return wish->answer;
}

int carom_result_terminate(struct carom_result *result, int signal_number)
{
	struct termination wish = { .result = result, .signal = signal_number };

	if (!carom_origin_is(result->origin))
		return -ECHILD;
	wish.pool = result->pool;
	return terminate(&wish);
}

int carom_pool_terminate_job(struct carom_pool *pool, int64_t pid, int signal_number)
{
	struct termination wish = { .pool = pool, .pid = pid, .signal = signal_number };

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	return pid > 0 ? terminate(&wish) : -ESRCH;
}

/* ---- looking ---- */

/* has a worker begun the task in this slot, or the one whose outcome this is? */
static bool was_begun(const struct carom_result *result)
{
	uint32_t slot = carom_result_slot(result);
	struct carom_outcome outcome;
	uint64_t word;

	if (slot == CAROM_LANE_NO_SLOT)
		return result->outcome.worker_index >= 0;
	word = carom_lane_word(result->pool->lane, slot);
	if (!carom_slot_ended(word))
		return carom_slot_state(word) == CAROM_SLOT_RUNNING;
	carom_outcome_of_slot(result->pool, slot, &outcome);
	return outcome.worker_index >= 0;
}

static int64_t worker_pid(const struct carom_result *result)
{
	uint32_t slot = carom_result_slot(result);

	return slot == CAROM_LANE_NO_SLOT ? result->outcome.worker_pid
					  : carom_slot_pid(result->pool, slot);
}

int carom_result_accepted(struct carom_result *result)
{
	bool begun;

	if (!carom_origin_is(result->origin))
		return -ECHILD;
	pthread_mutex_lock(&result->pool->lock);
	begun = result->map ? carom_map_is_accepted(result->map) : was_begun(result);
	pthread_mutex_unlock(&result->pool->lock);
	return begun;
}

int carom_result_worker_pids(struct carom_result *result, int64_t *pids, size_t count)
{
	int found;

	if (!carom_origin_is(result->origin))
		return -ECHILD;
	pthread_mutex_lock(&result->pool->lock);
	if (result->map) {
		found = carom_map_worker_pids(result->map, pids, count);
	} else {
		found = was_begun(result);
		if (found && count)
			pids[0] = worker_pid(result);
	}
	pthread_mutex_unlock(&result->pool->lock);
	return found;
}

uint64_t carom_result_id(const struct carom_result *result)
{
	return result->id;
}

const char *carom_result_correlation_id(const struct carom_result *result)
{
	return result->calls ? result->calls->correlation_id : NULL;
}

void *carom_result_userdata(const struct carom_result *result)
{
	return result->userdata;
}

char *carom_result_describe(struct carom_result *result, char *text, size_t size)
{
	int ready = carom_result_ready(result);

	snprintf(text, size, "task %llu: %s, %s", (unsigned long long)result->id,
		 carom_result_accepted(result) > 0 ? "accepted" : "not accepted",
		 ready ? "ready" : "not ready");
	return text;
}
