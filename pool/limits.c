/*
 * Limits
 *
 * A task's time counts from when a worker began it, which only the worker knows:
 * it notes the time in the slot. So nothing is set up per task; the supervisor
 * looks at all running tasks when the first of them may be due, kills those that
 * are, and looks again when the next may be. An idle pool is not looked at.
 *
 * The kill must not hit the task after. Between the look and the signal the worker
 * may finish: so it is condemned first, by a compare-and-swap on the slot's word,
 * and a condemned worker does not get past its task, nor, in a batch, past its item
 * (B2 in batch.c). If another item has begun by then, it is pardoned.
 */
#include <signal.h>

#include "core/log.h"
#include "core/points.h"
#include "core/time.h"
#include "pool/pool_private.h"
#include "pool/value.h"

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * false if the task, or the item, has ended meanwhile, or if the process that runs it
 * is so new that it has not been handed over yet: then its arrival is the time to look
 */
static bool execute(struct carom_pool *pool, uint32_t slot, uint64_t word, uint64_t progress)
{
	struct carom_slot *lines = carom_lane_slot(pool->lane, slot);
	struct task *task = &pool->tasks[slot];
	bool batch = task->batch;
	uint32_t owner = carom_slot_owner(word);
	struct incarnation *current;

	if (owner >= pool->place_count)
		return false;
	current = pool->workers[owner].current;
	if (!current || !carom_lane_condemn(pool->lane, slot, word))
		return false;
	CAROM_POINT("limits.condemned");
	if (batch && (atomic_load(&lines->value.progress) != progress ||
		      progress >> 32 == (progress & UINT32_MAX))) {
		carom_lane_pardon(pool->lane, slot);
		return false;
	}
	task->condemned = true;
	task->condemned_item = progress & UINT32_MAX;
	carom_log_event(CAROM_LOG_INFO, CAROM_LOG_EVENT_TASK_TIMED_OUT,
			"worker %u (pid %d) exceeded its time limit: killing it", owner,
			current->pid);
	carom_pidfd_signal(current->pidfd, SIGKILL);
	return true;
}

/* when this task may be due; CAROM_NO_DEADLINE if it is of no concern any more */
static uint64_t check_task(struct carom_pool *pool, uint32_t slot, uint64_t now_ns)
{
	struct carom_slot *lines = carom_lane_slot(pool->lane, slot);
	struct task *task = &pool->tasks[slot];
	uint64_t word = atomic_load(&lines->word);
	uint64_t progress = atomic_load(&lines->value.progress);
	uint64_t started = *(volatile uint64_t *)&lines->started_ns;

	if (task->filling || !task->limit_ns || task->condemned)
		return CAROM_NO_DEADLINE;
	if (carom_slot_state(word) == CAROM_SLOT_READY)
		return now_ns + task->limit_ns;
	if (carom_slot_state(word) != CAROM_SLOT_RUNNING)
		return CAROM_NO_DEADLINE;
	if (started < task->submitted_ns || started > now_ns)
		return now_ns + task->limit_ns; /* not noted yet */
	if (started + task->limit_ns > now_ns)
		return started + task->limit_ns;
	if (execute(pool, slot, word, progress))
		return CAROM_NO_DEADLINE;
	return now_ns + task->limit_ns;
}

uint64_t carom_limits_check(struct carom_pool *pool, uint64_t now_ns)
{
	uint64_t next = CAROM_NO_DEADLINE;

	for (uint32_t slot = 0; slot < carom_lane_taken_count(pool->lane); slot++)
		next = earlier(next, check_task(pool, slot, now_ns));
	return next;
}
