/*
 * Backtrace: of a task, as its result has it
 *
 * One that failed by its own word has left the text, behind the message, in the place of a
 * value. One that crashed has left addresses, which are taken when it is buried, and named
 * when somebody asks: in that thread and without the pool's lock, because the dynamic
 * linker's is taken, and whoever holds that may be waiting for this pool.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/origin.h"
#include "pool/answer.h"
#include "pool/crash.h"
#include "pool/pool_private.h"

/* ---- crashes ---- */

void carom_task_take_crash(struct task *task, const struct worker *worker)
{
	const struct carom_pool *pool = worker->pool;
	const unsigned char *values = carom_lane_deals(pool->lane)
					      ? carom_lane_hand_values(pool->lane, worker->index)
					      : carom_lane_values(pool->lane, worker->index);
	const struct carom_backtrace *left = (const void *)(values + worker->start.crash_offset);

	free(task->crash);
	task->crash = NULL;
	if (!pool->options.backtraces || !worker->start.has_crash_place ||
	    *(const volatile uint32_t *)&left->count == 0)
		return;
	task->crash = malloc(sizeof(*left));
	if (task->crash)
		*task->crash = *left;
}

/* ---- reading ---- */

/* what stands behind the message of a task that failed, copied; NULL if there is nothing, or no memory */
static char *copy_behind_message(const char *value, uint64_t size)
{
	const char *end = size ? memchr(value, '\0', size) : NULL;
	uint64_t left = end ? size - (uint64_t)(end + 1 - value) : 0;

	return left > 1 ? strndup(end + 1, left) : NULL;
}

/* with the lock */
static void outcome_of(struct carom_result *result, uint32_t slot,
		       struct carom_outcome *ret_outcome)
{
	if (slot == CAROM_LANE_NO_SLOT)
		*ret_outcome = result->outcome;
	else
		carom_outcome_of_slot(result->pool, slot, ret_outcome);
}

/* with the lock */
static char *copy_text(struct carom_result *result)
{
	uint32_t slot = carom_result_slot(result);
	struct carom_outcome outcome;
	struct carom_answer value;

	outcome_of(result, slot, &outcome);
	if (outcome.kind != CAROM_OUTCOME_FAILED)
		return NULL;
	if (slot == CAROM_LANE_NO_SLOT)
		return copy_behind_message(result->value, result->value_size);
	if (carom_answer_of(result->pool->lane, slot, false, &value) < 0)
		return NULL;
	return copy_behind_message(value.data, value.size);
}

/* with the lock; of the last time that it was begun */
static bool copy_crash(struct carom_result *result, struct carom_backtrace *ret_crash)
{
	uint32_t slot = carom_result_slot(result);
	const struct carom_backtrace *crash =
		slot == CAROM_LANE_NO_SLOT ? result->crash : result->pool->tasks[slot].crash;
	struct carom_outcome outcome;

	outcome_of(result, slot, &outcome);
	if (!crash ||
	    (outcome.kind != CAROM_OUTCOME_LOST && outcome.kind != CAROM_OUTCOME_SANDBOX_VIOLATION))
		return false;
	*ret_crash = *crash;
	return true;
}

static char *name_crash(const struct carom_backtrace *crash)
{
	char text[CAROM_BACKTRACE_TEXT_MAX];

	carom_backtrace_format(crash, text, sizeof(text));
	return strdup(text);
}

/* with the lock; lets go of it meanwhile */
static int find_text(struct carom_result *result)
{
	struct carom_backtrace crash;
	char *text = copy_text(result);

	if (!text && copy_crash(result, &crash)) {
		pthread_mutex_unlock(&result->pool->lock);
		text = name_crash(&crash);
		pthread_mutex_lock(&result->pool->lock);
		if (!text)
			return -ENOMEM;
	}
	if (result->backtrace) /* another thread was faster */
		free(text);
	else
		result->backtrace = text;
	return result->backtrace ? 0 : -ENODATA;
}

int carom_result_backtrace(struct carom_result *result, const char **ret_text, size_t *ret_size)
{
	int r = carom_result_wait(result, CAROM_PASSED);

	if (r < 0)
		return r == -ETIMEDOUT ? -EINPROGRESS : r;
	if (result->map)
		return -ENODATA;
	pthread_mutex_lock(&result->pool->lock);
	r = result->backtrace ? 0 : find_text(result);
	pthread_mutex_unlock(&result->pool->lock);
	if (r < 0)
		return r;
	*ret_text = result->backtrace;
	*ret_size = strlen(result->backtrace);
	return 0;
}

void carom_result_forget_backtrace(struct carom_result *result)
{
	free(result->crash);
	free(result->backtrace);
	result->crash = NULL;
	result->backtrace = NULL;
}
