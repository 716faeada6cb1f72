/*
 * Limits
 *
 * A task's time counts from when a worker began it, which only the worker knows:
 * it notes the time in the slot. So nothing is set up per task; the supervisor
 * looks at all running tasks when the first of them may be due, does what is due,
 * and looks again when the next may be. An idle pool is not looked at, and one that
 * never had a task with a limit has no timer.
 *
 *   T1  What is done to a task, or to an item of a batch, does not hit the next: the
 *       worker is held to it by a flag in the slot's word (P6 and P7 of the lane).
 *   T2  Soft: the flag, then the signal, and both again at growing intervals until the
 *       task has looked: a signal that comes between a function's last look and its
 *       next blocking call interrupts nothing. Which task was told is known by the time
 *       at which it began.
 *   T3  Hard: the answer comes first, and does not depend on the worker's death: the
 *       slot is LOST (evicted), and kept until the worker can no more write to it. Of a
 *       batch only the item is answered; if others are left, the worker is doomed, and
 *       the sweep after its death gives them out again.
 *   T4  Then the worker is killed by an execution, with all it has started: they are
 *       stopped, found and held, get SIGTERM, go on, and after the grace get SIGKILL. An
 *       execution outlives the worker if that ends at once and its children do not. A
 *       worker that gets to the end of an evicted task ends by itself.
 *   T5  Executions are begun without the pool's lock, by the loop's thread, to which
 *       incarnations belong: looking through /proc takes its time.
 *   T6  An isolated worker may say that it is between two items of a batch for as long as it
 *       likes, or that it has not begun the first one. So there the parent has a clock of
 *       its own: since it saw that so many have ended. When that has run for the limit, or
 *       for REST_NS if this is more, the next item is answered, begun or not; and an item
 *       is known by how many have ended before it, which a worker cannot take back, and not
 *       by its beginning, which it can. Who is held up there and means well is hit with the
 *       limit as one who is held up in an item.
 */
#include <signal.h>
#include <stdlib.h>

#include "core/cgroup_group.h"
#include "core/log.h"
#include "core/origin.h"
#include "core/points.h"
#include "core/process_tree.h"
#include "core/time.h"
#include "core/trace.h"
#include "pool/answer.h"
#include "pool/pool_private.h"

#define WARN_AGAIN_NS CAROM_MILLISECONDS(1) /* and then twice as much each time */
#define WARN_MAX      32                    /* which takes some days */
#define REST_NS       CAROM_MILLISECONDS(100)

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- which limits hold ---- */

/* row TO-09 */
static void warn_of_order(uint64_t soft_ns, uint64_t hard_ns)
{
	if (soft_ns && hard_ns && soft_ns >= hard_ns)
		carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_SOFT_LIMIT_UNUSED,
				"the soft time limit of %.3f s is not below the hard limit of "
				"%.3f s: only the hard limit holds",
				(double)soft_ns / (double)CAROM_NS_PER_SEC,
				(double)hard_ns / (double)CAROM_NS_PER_SEC);
}

void carom_limits_check_order(struct carom_pool *pool, uint64_t soft_ns, uint64_t hard_ns)
{
	uint64_t pool_soft_ns, pool_hard_ns;

	if ((!soft_ns && !hard_ns) || !carom_origin_is(pool->origin))
		return; /* the pool's: said when they were set */
	pthread_mutex_lock(&pool->lock);
	pool_soft_ns = pool->options.soft_limit_ns;
	pool_hard_ns = pool->options.hard_limit_ns;
	pthread_mutex_unlock(&pool->lock);
	warn_of_order(limits_choose(soft_ns, pool_soft_ns), limits_choose(hard_ns, pool_hard_ns));
}

void carom_limits_begin(const struct carom_pool *pool)
{
	warn_of_order(limits_choose(pool->options.soft_limit_ns, 0),
		      limits_choose(pool->options.hard_limit_ns, 0));
}

void carom_limits_set(struct carom_pool *pool, uint64_t soft_ns, uint64_t hard_ns)
{
	warn_of_order(limits_choose(soft_ns, 0), limits_choose(hard_ns, 0));
	pthread_mutex_lock(&pool->lock);
	pool->options.soft_limit_ns = soft_ns;
	pool->options.hard_limit_ns = hard_ns;
	tally_set(&pool->tally->head->soft_limit_ns, soft_ns);
	tally_set(&pool->tally->head->hard_limit_ns, hard_ns);
	pthread_mutex_unlock(&pool->lock);
}

/* of the limits of a task, the one that comes first */
static uint64_t first_limit(const struct task *task)
{
	return task->soft_ns ? task->soft_ns : task->limit_ns;
}

uint64_t carom_limits_first_due(const struct task *task)
{
	return task->submitted_ns + first_limit(task);
}

/* ---- looking at a task ---- */

static bool is_batch(const struct task *task)
{
	return task->batch;
}

static uint64_t ended_items(uint64_t progress)
{
	return progress & UINT32_MAX;
}

/* T6; 0: it is at an item, or its pool believes it */
static uint64_t see_rest(const struct carom_pool *pool, const struct sight *sight)
{
	struct task *task = sight->task;
	uint64_t ended = ended_items(sight->progress);

	if (!is_batch(task) || !carom_lane_deals(pool->lane))
		return 0;
	if (!task->rest_ns || task->rest_count != ended)
		task->rest_ns = sight->now_ns;
	task->rest_count = ended;
	return sight->progress >> 32 == ended ? task->rest_ns : 0;
}

static struct sight look(struct carom_pool *pool, uint32_t slot, uint64_t now_ns)
{
	struct sight sight = { .slot = slot, .task = &pool->tasks[slot], .now_ns = now_ns };

	sight.word = carom_lane_word(pool->lane, slot);
	sight.progress = carom_lane_item_progress(pool->lane, slot);
	sight.started_ns = carom_lane_started_ns(pool->lane, slot);
	sight.rest_ns = see_rest(pool, &sight);
	return sight;
}

/* does the worker run the same item still? To be asked while it is held there. */
static bool is_same_item(const struct carom_pool *pool, const struct sight *sight)
{
	return !is_batch(sight->task) ||
	       (carom_lane_item_progress(pool->lane, sight->slot) == sight->progress &&
		sight->progress >> 32 != (sight->progress & UINT32_MAX));
}

/* likewise, for what is not to be put off by what an isolated worker says (T6) */
static bool may_be_struck(const struct carom_pool *pool, const struct sight *sight)
{
	if (!is_batch(sight->task) || !carom_lane_deals(pool->lane))
		return is_same_item(pool, sight);
	if (sight->rest_ns && sight->now_ns - sight->rest_ns < REST_NS)
		return false;
	return ended_items(carom_lane_item_progress(pool->lane, sight->slot)) ==
	       ended_items(sight->progress);
}

/*
 * NULL if it is so new that it has not been handed over yet: then its arrival is the time
 * to look
 */
static struct incarnation *runner_of(const struct carom_pool *pool, const struct sight *sight)
{
	uint32_t owner = carom_slot_owner(sight->word);

	return owner < pool->place_count ? pool->workers[owner].current : NULL;
}

/* a limit of a task was hit: to be told to whom it may concern */
static void note_hit(struct carom_pool *pool, const struct sight *sight, bool soft,
		     uint64_t limit_ns)
{
	const struct incarnation *runner = runner_of(pool, sight);

	CAROM_TRACE(limit, soft ? CAROM_TRACE_SOFT_LIMIT : CAROM_TRACE_HARD_LIMIT,
		    carom_slot_owner(sight->word), runner ? runner->pid : 0, limit_ns);
	carom_calls_limit(pool, sight->slot, soft);
	carom_log_event(
		CAROM_LOG_INFO, soft ? CAROM_LOG_EVENT_SOFT_LIMIT : CAROM_LOG_EVENT_TASK_TIMED_OUT,
		"worker %u (pid %d) exceeded its %stime limit of %.3f s%s",
		carom_slot_owner(sight->word), runner ? (int)runner->pid : 0, soft ? "soft " : "",
		(double)limit_ns / (double)CAROM_NS_PER_SEC, soft ? "" : ": killing it");
}

/* ---- the soft limit ---- */

/* false if the task, or the item, has ended meanwhile */
static bool warn(struct carom_pool *pool, const struct sight *sight)
{
	struct incarnation *runner = runner_of(pool, sight);
	bool same;

	if (!runner || !carom_lane_warn(pool->lane, sight->slot, sight->word))
		return false;
	CAROM_POINT("limits.warn");
	same = is_same_item(pool, sight);
	if (same && !sight->task->warn_count)
		note_hit(pool, sight, true, sight->task->soft_ns);
	if (same && !runner->thread)
		carom_pidfd_signal(runner->pidfd, SIGUSR1);
	CAROM_POINT("limits.signalled");
	carom_lane_warned(pool->lane, sight->slot, same);
	return same;
}

/* when it is to be told (again); T2 */
static uint64_t warning_due(struct sight *sight, bool by_signal)
{
	struct task *task = sight->task;

	if (task->warned_ns != sight->started_ns)
		task->warn_count = 0;
	if (!task->warn_count)
		return sight->started_ns + task->soft_ns;
	if (task->warn_count == WARN_MAX || sight->word & CAROM_SLOT_TOLD || !by_signal)
		return CAROM_NO_DEADLINE;
	return task->warn_next_ns;
}

/* when the soft limit of this task, or of its next item, is to be seen to */
static uint64_t check_soft(struct carom_pool *pool, struct sight *sight)
{
	struct task *task = sight->task;
	uint64_t next_item = is_batch(task) ? sight->now_ns + task->soft_ns : CAROM_NO_DEADLINE;
	uint64_t due;

	if (!task->soft_ns)
		return CAROM_NO_DEADLINE;
	due = warning_due(sight, pool->context.method != CAROM_START_THREAD);
	if (due > sight->now_ns)
		return earlier(due, next_item);
	if (!warn(pool, sight))
		return sight->now_ns + task->soft_ns;
	task->warned_ns = sight->started_ns;
	task->warn_next_ns = sight->now_ns + (WARN_AGAIN_NS << task->warn_count++);
	return earlier(task->warn_next_ns, next_item);
}

/* ---- the hard limit ---- */

static void doom(struct carom_pool *pool, struct incarnation *runner, int signal_number,
		 enum carom_exit_reason reason)
{
	if (runner->is_doomed)
		return;
	runner->is_doomed = true;
	runner->doom = reason;
	runner->kill_signal = signal_number;
	pool->anybody_doomed = true;
}

static bool evict(struct carom_pool *pool, const struct sight *sight, int32_t kind)
{
	if (!carom_lane_evict(pool->lane, sight->slot, sight->word))
		return false;
	carom_pool_count_end(pool, kind);
	sight->task->evicted = true;
	sight->task->evicted_worker = carom_slot_owner(sight->word);
	CAROM_POINT("limits.answered");
	return true;
}

/* T3: answers what runs there, and all the rest of a batch if that is meant too */
static bool answer(struct carom_pool *pool, const struct sight *sight,
		   const struct carom_outcome *cause, bool all)
{
	struct task *task = sight->task;
	uint64_t ended = ended_items(sight->progress);
	uint64_t progress = carom_progress(ended + (ended < task->end), ended);

	if (!is_batch(task)) {
		task->cause = *cause;
		return evict(pool, sight, cause->kind);
	}
	if (!carom_lane_condemn(pool->lane, sight->slot, sight->word))
		return false;
	CAROM_POINT("limits.condemned");
	if (!all && !may_be_struck(pool, sight)) {
		carom_lane_pardon(pool->lane, sight->slot);
		return false;
	}
	if (all)
		progress = carom_lane_item_progress(pool->lane, sight->slot);
	task->condemned = true;
	task->cause = *cause;
	/* a batch that is no map's any more is of interest to nobody, but as its worker's deed */
	if (!task->map || carom_map_stopped(task->map, sight->slot, progress, cause, all))
		return evict(pool, sight, cause->kind);
	carom_lane_doom(pool->lane, sight->slot);
	return true;
}

static struct carom_outcome cause_of(const struct carom_pool *pool, const struct sight *sight,
				     enum carom_outcome_kind kind)
{
	const struct incarnation *runner = runner_of(pool, sight);

	return (struct carom_outcome){
		.kind = (int32_t)kind,
		.exit_status = -1,
		.worker_index = (int32_t)carom_slot_owner(sight->word),
		.worker_pid = runner->pid,
		.submitted_ns = sight->task->submitted_ns,
		.started_ns = sight->started_ns,
		.ended_ns = sight->task->submitted_ns ? sight->now_ns : 0,
	};
}

/* false if the task, or the item, has ended meanwhile */
static bool execute(struct carom_pool *pool, const struct sight *sight)
{
	struct incarnation *runner = runner_of(pool, sight);
	struct carom_outcome cause;

	if (!runner)
		return false;
	cause = cause_of(pool, sight, CAROM_OUTCOME_HARD_LIMIT);
	cause.limit_ns = sight->task->limit_ns;
	if (!answer(pool, sight, &cause, false))
		return false;
	note_hit(pool, sight, false, cause.limit_ns);
	doom(pool, runner, SIGTERM, CAROM_EXIT_REASON_LIMIT);
	return true;
}

/* ---- memory: see sampler.c ---- */

bool carom_limits_see(struct carom_pool *pool, uint32_t slot, struct sight *ret_sight)
{
	const struct task *task = &pool->tasks[slot];

	if (task->filling || task->evicted || task->condemned)
		return false;
	*ret_sight = look(pool, slot, carom_now());
	return carom_slot_state(ret_sight->word) == CAROM_SLOT_RUNNING;
}

bool carom_limits_overrun(struct carom_pool *pool, const struct sight *sight, uint64_t limit_bytes,
			  uint64_t peak_bytes)
{
	struct incarnation *runner = runner_of(pool, sight);
	struct carom_outcome cause;

	if (!runner)
		return false;
	cause = cause_of(pool, sight, CAROM_OUTCOME_MEMORY_LIMIT);
	cause.limit_bytes = limit_bytes;
	cause.peak_bytes = peak_bytes;
	cause.attempt = sight->task->attempt;
	if (!(carom_lane_slot(pool->lane, sight->slot)->flags & CAROM_TASK_TIMED))
		cause.started_ns = 0;
	if (!answer(pool, sight, &cause, false))
		return false;
	doom(pool, runner, SIGKILL, CAROM_EXIT_REASON_MEMORY_LIMIT);
	return true;
}

/* ---- the look at everything ---- */

static uint64_t hard_limit_due(const struct sight *sight)
{
	uint64_t limit_ns = sight->task->limit_ns;

	if (!limit_ns)
		return CAROM_NO_DEADLINE;
	if (!sight->rest_ns)
		return sight->started_ns + limit_ns;
	return sight->rest_ns + (limit_ns > REST_NS ? limit_ns : REST_NS);
}

static uint64_t check_running(struct carom_pool *pool, struct sight *sight)
{
	const struct task *task = sight->task;
	uint64_t due = hard_limit_due(sight);

	if (due > sight->now_ns)
		return earlier(due, check_soft(pool, sight));
	if (execute(pool, sight))
		return CAROM_NO_DEADLINE;
	return sight->now_ns + first_limit(task);
}

/* when this task may be due; CAROM_NO_DEADLINE if it is of no concern any more */
static uint64_t check_task(struct carom_pool *pool, uint32_t slot, uint64_t now_ns)
{
	struct task *task = &pool->tasks[slot];
	struct sight sight;

	if (task->filling || task->evicted || task->condemned || !first_limit(task))
		return CAROM_NO_DEADLINE;
	sight = look(pool, slot, now_ns);
	if (carom_slot_state(sight.word) == CAROM_SLOT_READY)
		return now_ns + first_limit(task);
	if (carom_slot_state(sight.word) != CAROM_SLOT_RUNNING)
		return CAROM_NO_DEADLINE;
	if (sight.started_ns < task->submitted_ns || sight.started_ns > now_ns)
		return now_ns + first_limit(task); /* not noted yet */
	return check_running(pool, &sight);
}

uint64_t carom_limits_check(struct carom_pool *pool, uint64_t now_ns)
{
	uint64_t next = CAROM_NO_DEADLINE;

	for (uint32_t slot = 0; slot < carom_lane_taken_count(pool->lane); slot++)
		next = earlier(next, check_task(pool, slot, now_ns));
	return next;
}

int carom_limits_terminate(struct carom_pool *pool, uint32_t slot, uint32_t generation,
			   enum carom_outcome_kind kind, int signal_number)
{
	struct sight sight = look(pool, slot, carom_now());
	struct incarnation *runner = runner_of(pool, &sight);
	struct carom_outcome cause;

	if (carom_slot_state(sight.word) != CAROM_SLOT_RUNNING ||
	    carom_slot_generation(sight.word) != generation || !runner)
		return -ESRCH;
	cause = cause_of(pool, &sight, kind);
	cause.signal = signal_number;
	if (!answer(pool, &sight, &cause, true))
		return -ESRCH;
	doom(pool, runner, signal_number, CAROM_EXIT_REASON_TERMINATED);
	return 0;
}

/* ---- executions (T4) ---- */

/**
 * struct execution - a worker that is being killed, and all that it has started
 * @victim: NULL once it is gone
 * @group:  what its group was; NULL: it is there still, or was in none
 */
struct execution {
	struct carom_pool *pool;
	struct carom_cgroup *group;
	struct incarnation *victim;
	struct carom_process_tree *tree;
	struct carom_loop_timer timer;
	struct execution *next;
};

static void end_execution(struct execution *execution)
{
	struct carom_pool *pool = execution->pool;
	struct execution **link = &pool->executions;

	while (*link != execution)
		link = &(*link)->next;
	*link = execution->next;
	if (execution->victim)
		execution->victim->execution = NULL;
	carom_loop_timer_clear(carom_service_loop(pool->service), &execution->timer);
	carom_process_tree_kill(execution->tree);
	if (execution->group)
		carom_cgroup_kill(execution->group);
	carom_cgroup_free(execution->group);
	free(execution);
}

void carom_limits_lose(struct carom_pool *pool)
{
	while (pool->executions) {
		pool->executions->tree = carom_process_tree_lose(pool->executions->tree);
		pool->executions->group = carom_cgroup_lose(pool->executions->group);
		end_execution(pool->executions);
	}
}

static void grace_expired(struct carom_loop_timer *timer)
{
	struct execution *execution = timer->userdata;

	if (execution->victim && !execution->victim->dead)
		carom_log_event(CAROM_LOG_DEBUG, CAROM_LOG_EVENT_KILL_SENT,
				"TERM timed-out, now sending KILL to worker %u (pid %d)",
				execution->victim->worker->index, (int)execution->victim->pid);
	end_execution(execution);
}

static uint64_t grace_of(const struct carom_pool *pool)
{
	return pool->options.grace_ns == CAROM_NO_GRACE ? 0 : pool->options.grace_ns;
}

/* false if there is no memory, or no descriptor, or no time for a grace */
static bool begin_grace(struct incarnation *victim)
{
	struct carom_pool *pool = victim->worker->pool;
	struct execution *execution = grace_of(pool) ? calloc(1, sizeof(*execution)) : NULL;

	if (!execution)
		return false;
	execution->pool = pool;
	execution->timer.expired = grace_expired;
	execution->timer.userdata = execution;
	if (carom_loop_timer_set(carom_service_loop(pool->service), &execution->timer,
				 carom_deadline_after(grace_of(pool))) < 0 ||
	    carom_process_tree_hold(victim->pid, victim->pidfd, &execution->tree) < 0) {
		carom_loop_timer_clear(carom_service_loop(pool->service), &execution->timer);
		free(execution);
		return false;
	}
	execution->victim = victim;
	execution->next = pool->executions;
	pool->executions = execution;
	victim->execution = execution;
	return true;
}

void carom_limits_kill_by(struct incarnation *victim, int signal_number)
{
	if (victim->execution || victim->thread)
		return; /* a thread ends by itself when it comes to the end of its task */
	if (signal_number == SIGKILL || !begin_grace(victim)) {
		if (!carom_group_kill(victim))
			carom_process_tree_kill_now(victim->pid, victim->pidfd);
		return;
	}
	carom_log_event(CAROM_LOG_DEBUG, CAROM_LOG_EVENT_TERM_SENT,
			"timeout: sending TERM to worker %u (pid %d)", victim->worker->index,
			(int)victim->pid);
	CAROM_POINT("limits.held");
	carom_process_tree_signal(victim->execution->tree, signal_number);
	carom_process_tree_signal(victim->execution->tree, SIGCONT);
}

void carom_limits_kill(struct carom_pool *pool)
{
	bool anybody;

	pthread_mutex_lock(&pool->lock);
	anybody = pool->anybody_doomed;
	pool->anybody_doomed = false;
	pthread_mutex_unlock(&pool->lock);
	if (!anybody)
		return;
	for (uint32_t i = 0; i < pool->place_count; i++) {
		struct incarnation *current = pool->workers[i].current;

		if (current && current->kill_signal) {
			carom_limits_kill_by(current, current->kill_signal);
			current->kill_signal = 0;
		}
	}
}

/* ---- afterwards ---- */

static bool is_on_its_way(const struct carom_pool *pool, uint32_t slot)
{
	uint64_t word = carom_lane_word(pool->lane, slot);

	return carom_slot_state(word) == CAROM_SLOT_READY ||
	       carom_slot_state(word) == CAROM_SLOT_RUNNING;
}

static void give_slot_back(struct carom_pool *pool, uint32_t slot, uint32_t worker_index)
{
	struct task *task = &pool->tasks[slot];

	if (!task->evicted || task->evicted_worker != worker_index)
		return;
	task->evicted = false;
	if (carom_tally_is_on(pool->tally))
		carom_tally_interrupted(pool->tally, worker_index, slot,
					carom_lane_generation(pool->lane, slot),
					task->condemned ? task->stopped_items : 0);
	if (task->left)
		carom_pool_release(pool, slot);
}

void carom_limits_swept(struct carom_pool *pool, uint32_t worker_index)
{
	bool anything_limited = false;

	for (uint32_t slot = 0; slot < carom_lane_taken_count(pool->lane); slot++) {
		give_slot_back(pool, slot, worker_index);
		anything_limited |= first_limit(&pool->tasks[slot]) && is_on_its_way(pool, slot);
	}
	if (anything_limited) /* it may have been given out again */
		carom_supervisor_limit(pool, carom_now());
}

/* nobody may be left of what it has started: then a descriptor is not kept for the grace */
void carom_limits_gone(struct incarnation *dead)
{
	struct execution *execution = dead->execution;

	if (!execution)
		return;
	execution->victim = NULL;
	execution->group = carom_group_take(dead);
	if (!carom_process_tree_is_there(execution->tree))
		end_execution(execution);
}

void carom_limits_end(struct carom_pool *pool)
{
	while (pool->executions)
		end_execution(pool->executions);
}
