/*
 * Burial
 *
 * A death is announced by the life word, which comes first by far where a worker
 * holds much memory, and confirmed by the pidfd. Whichever comes first is acted on
 * once: the process is killed for certain (task code may have threads of its own),
 * and its place in the lane is swept, which answers its task. How it ended is known at
 * that moment too, from /proc; where that cannot be read, the life word is ignored and
 * the pidfd is waited for, because a late answer with the real cause is better than an
 * early one without.
 * The pidfd is waited for, too, where the worker was in a control group: it may have been
 * killed for want of memory. To look at files takes some of the kernel's, and so does the
 * next worker. While the dead one still has its own, and is past being chosen for it once
 * more, the kernel would choose whom else there is, which may be this program.
 *
 *   U1  Each process is buried once, by whichever announcement comes first, and
 *       forgotten once, by the pidfd.
 *   U2  Its place is empty (worker->current) before its pidfd is closed: who finds a
 *       pidfd there under the lock may send it a signal.
 *   U3  Why it ended is decided by who wanted it to end, if anybody did, and only then
 *       by what the kernel says.
 *   U4  A pool that has ended has answered everything, whatever its workers have done to
 *       the memory that they share with it.
 *   U5  Once the loop is lost pidfds are not touched, their numbers may be somebody else's:
 *       each process is killed by its pid, reaped, buried and forgotten at once.
 */
#include "pool/burial.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/points.h"
#include "core/time.h"
#include "core/trace.h"
#include "pool/event.h"
#include "pool/exit_code.h"
#include "pool/isolation.h"
#include "pool/pool_private.h"
#include "pool/thread_worker.h"

/* ---- its tasks ---- */

/**
 * struct autopsy - what is known of a dead worker
 * @was_busy:  it ended with a task that it had begun: whatever it exited with is the task's
 * @verdict:   of its group, about its memory; @peak_bytes: as carom_group_judge() says
 */
struct autopsy {
	struct carom_pool *pool;
	const struct incarnation *dead;
	const struct carom_exit *exit;
	bool was_busy;
	enum carom_group_verdict verdict;
	uint64_t peak_bytes;
};

/* what it was is the worker's word: a number, and the name that belongs to it */
static bool violated(const struct autopsy *autopsy, struct carom_outcome *ret_cause)
{
	struct carom_violation violation;

	if (!autopsy->dead->page ||
	    !carom_sandbox_page_violation(autopsy->dead->page, autopsy->exit, &violation))
		return false;
	ret_cause->system_call = violation.number;
	snprintf(ret_cause->message, sizeof(ret_cause->message), "%s", violation.name);
	return true;
}

static bool is_at_limit(const struct autopsy *autopsy)
{
	return autopsy->verdict == CAROM_GROUP_OWN_LIMIT ||
	       autopsy->verdict == CAROM_GROUP_POOL_LIMIT;
}

static uint64_t limit_of(const struct autopsy *autopsy)
{
	const struct carom_pool_limits *limits = &autopsy->pool->limits;

	return autopsy->verdict == CAROM_GROUP_POOL_LIMIT ? limits->pool.memory_bytes
							  : limits->worker.memory_bytes;
}

static void describe_memory(const struct autopsy *autopsy, struct carom_outcome *ret_cause)
{
	ret_cause->kind = CAROM_OUTCOME_MEMORY_LIMIT;
	ret_cause->signal = 0;
	ret_cause->limit_bytes = limit_of(autopsy);
	ret_cause->peak_bytes = autopsy->peak_bytes;
	if (autopsy->verdict == CAROM_GROUP_POOL_LIMIT)
		snprintf(ret_cause->message, sizeof(ret_cause->message),
			 "the limit of all workers together");
}

static void describe_cause(const struct autopsy *autopsy, uint32_t slot,
			   struct carom_outcome *ret_cause)
{
	const struct task *task = &autopsy->pool->tasks[slot];
	const struct carom_slot *lines = carom_lane_slot(autopsy->pool->lane, slot);
	const struct carom_exit *exit = autopsy->exit;
	bool killed = exit->kind == CAROM_EXIT_KILLED || exit->kind == CAROM_EXIT_DUMPED;

	*ret_cause = (struct carom_outcome){
		.kind = CAROM_OUTCOME_LOST,
		.signal = killed ? exit->status : 0,
		.exit_status = exit->kind == CAROM_EXIT_EXITED ? exit->status : -1,
		.worker_index = (int32_t)autopsy->dead->worker->index,
		.worker_pid = autopsy->dead->pid,
		.attempt = task->attempt,
		.submitted_ns = task->submitted_ns,
		.started_ns = lines->flags & CAROM_TASK_TIMED ? lines->started_ns : 0,
		.ended_ns = task->submitted_ns ? carom_now() : 0,
	};
	if (violated(autopsy, ret_cause))
		ret_cause->kind = CAROM_OUTCOME_SANDBOX_VIOLATION;
	if (task->is_refused) { /* whoever cancelled it was told so */
		ret_cause->kind = CAROM_OUTCOME_CANCELLED;
	} else if (autopsy->dead->foul) {
		carom_isolation_describe(autopsy->dead, ret_cause);
	} else if (autopsy->pool->state == POOL_TERMINATED) {
		ret_cause->kind = CAROM_OUTCOME_TERMINATED;
	} else if (autopsy->pool->state == POOL_BROKEN) {
		carom_pool_describe_break(autopsy->pool, ret_cause);
	} else if (is_at_limit(autopsy)) {
		describe_memory(autopsy, ret_cause);
	} else if (autopsy->verdict == CAROM_GROUP_OUTSIDE) {
		snprintf(ret_cause->message, sizeof(ret_cause->message),
			 "by the kernel, for want of memory outside of its limits");
	}
}

/* it asked for leave to begin, and had no answer: the function was not called */
static bool was_waiting(const struct autopsy *autopsy, uint32_t slot)
{
	const struct carom_slot *lines = carom_lane_slot(autopsy->pool->lane, slot);
	uint64_t answered = CAROM_SLOT_GRANTED | CAROM_SLOT_REFUSED;

	return lines->flags & CAROM_TASK_LEAVE && !(atomic_load(&lines->word) & answered);
}

/* whoever sees it run from now on sees nothing of the worker that is dead */
static enum carom_sweep_verdict put_back(const struct autopsy *autopsy, uint32_t slot)
{
	autopsy->pool->tasks[slot].begin_seen = false;
	carom_lane_slot(autopsy->pool->lane, slot)->started_ns = 0;
	return CAROM_SWEEP_AGAIN;
}

static enum carom_sweep_verdict judge(struct autopsy *autopsy, uint32_t slot,
				      const struct carom_outcome *cause)
{
	struct task *task = &autopsy->pool->tasks[slot];

	autopsy->was_busy = true;
	if (autopsy->pool->options.backtraces && !task->map)
		carom_task_take_crash(task, autopsy->dead->worker);
	if (task->map && task->batch)
		return carom_map_lost(task->map, slot, cause);
	task->cause = *cause;
	if (cause->kind == CAROM_OUTCOME_LOST && was_waiting(autopsy, slot))
		return put_back(autopsy, slot);
	return carom_task_retry(task, cause) ? put_back(autopsy, slot) : CAROM_SWEEP_LOST;
}

/* how many items of a batch the dead worker had done, as far as that can be believed */
static uint64_t items_done(const struct carom_pool *pool, uint32_t slot)
{
	const struct task *task = &pool->tasks[slot];
	uint64_t ended =
		atomic_load(&carom_lane_slot(pool->lane, slot)->value.progress) & UINT32_MAX;

	if (task->condemned)
		return task->stopped_items;
	if (!task->batch || ended < task->accounted || ended > task->end)
		return 0;
	return ended - task->accounted;
}

static uint64_t items_left(const struct carom_pool *pool, uint32_t slot)
{
	const struct task *task = &pool->tasks[slot];

	return task->map ? task->count - task->accounted - items_done(pool, slot) : 1;
}

static enum carom_sweep_verdict decide(uint32_t slot, void *userdata)
{
	struct autopsy *autopsy = userdata;
	struct carom_pool *pool = autopsy->pool;
	uint64_t undone = items_left(pool, slot);
	enum carom_sweep_verdict verdict;
	struct carom_outcome cause;

	if (carom_tally_is_on(pool->tally))
		carom_tally_interrupted(pool->tally, autopsy->dead->worker->index, slot,
					carom_lane_generation(pool->lane, slot),
					items_done(pool, slot));
	describe_cause(autopsy, slot, &cause);
	carom_event_task_down(pool, pool->tasks[slot].id, autopsy->dead->pid);
	verdict = judge(autopsy, slot, &cause);
	if (verdict == CAROM_SWEEP_LOST) {
		CAROM_TRACE(lost, pool->tasks[slot].id, slot, autopsy->dead->worker->index,
			    cause.kind, autopsy->dead->pid);
		carom_pool_count_end(pool, cause.kind);
		if (cause.kind == CAROM_OUTCOME_TERMINATED)
			pool->undone_count += undone;
	}
	return verdict;
}

/* values that the dead process left stay where they are; its place in the arena goes on without */
static void orphan_values(struct carom_pool *pool, uint32_t index)
{
	if (carom_lane_deals(pool->lane))
		return; /* they were copied */
	for (uint32_t slot = 0; slot < carom_lane_taken_count(pool->lane); slot++) {
		uint64_t word = atomic_load(&carom_lane_slot(pool->lane, slot)->word);

		if (carom_slot_state(word) == CAROM_SLOT_DONE && carom_slot_owner(word) == index)
			pool->tasks[slot].orphaned = true;
	}
}

static void sweep(struct autopsy *autopsy)
{
	struct carom_pool *pool = autopsy->pool;
	struct worker *worker = autopsy->dead->worker;

	pthread_mutex_lock(&pool->lock);
	carom_lane_sweep(pool->lane, worker->index, decide, autopsy);
	orphan_values(pool, worker->index);
	carom_limits_swept(pool, worker->index);
	worker->current = NULL; /* U2 */
	pthread_mutex_unlock(&pool->lock);
	CAROM_POINT("supervisor.swept");
}

/* ---- why ---- */

/* by its word, or by a crash, but not because somebody outside has killed it */
static bool failed_to_initialize(const struct autopsy *autopsy)
{
	const struct carom_exit *exit = autopsy->exit;

	return autopsy->pool->plan.initializer && exit->kind != CAROM_EXIT_TAKEN &&
	       (exit->kind == CAROM_EXIT_EXITED || exit->status != SIGKILL);
}

static enum carom_exit_reason reason_of(const struct autopsy *autopsy, bool was_ready)
{
	const struct carom_exit *exit = autopsy->exit;
	int status = exit->kind == CAROM_EXIT_EXITED ? exit->status : -1;
	enum pool_state state = carom_pool_state_now(autopsy->pool);

	if (autopsy->dead->is_doomed)
		return autopsy->dead->doom;
	if ((status == 0 || exit->kind == CAROM_EXIT_TAKEN) && was_ready && !autopsy->was_busy &&
	    (state == POOL_CLOSED || autopsy->dead->may_leave))
		return CAROM_EXIT_REASON_ENDED;
	if (state == POOL_TERMINATED || state == POOL_BROKEN)
		return CAROM_EXIT_REASON_TERMINATED;
	if (is_at_limit(autopsy))
		return CAROM_EXIT_REASON_MEMORY_LIMIT;
	if (!was_ready && failed_to_initialize(autopsy))
		return CAROM_EXIT_REASON_INIT_FAILED;
	if (status == CAROM_WORKER_EXIT_RECYCLE && was_ready && !autopsy->was_busy &&
	    carom_isolation_believes_recycling(autopsy->dead))
		return CAROM_EXIT_REASON_RECYCLED;
	return CAROM_EXIT_REASON_LOST;
}

static void say_limit(const struct autopsy *autopsy)
{
	const struct incarnation *dead = autopsy->dead;

	if (!is_at_limit(autopsy))
		return;
	CAROM_TRACE(limit, CAROM_TRACE_MEMORY_LIMIT, dead->worker->index, dead->pid,
		    limit_of(autopsy));
	carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_MEMORY_LIMIT,
			"worker %u (pid %d) exceeded %s memory limit of %lluKiB, and was "
			"killed; it had %lluKiB",
			dead->worker->index, (int)dead->pid,
			autopsy->verdict == CAROM_GROUP_OWN_LIMIT ? "its" : "the pool's",
			(unsigned long long)limit_of(autopsy) / 1024,
			(unsigned long long)autopsy->peak_bytes / 1024);
}

/* Row RP-08. What was to be is of no concern to anybody. */
static void say_end(const struct autopsy *autopsy, enum carom_exit_reason reason)
{
	const struct incarnation *dead = autopsy->dead;
	bool is_loss = reason == CAROM_EXIT_REASON_LOST ||
		       reason == CAROM_EXIT_REASON_INIT_FAILED ||
		       reason == CAROM_EXIT_REASON_PROTOCOL;
	struct carom_outcome cause = { 0 };
	bool is_violation = violated(autopsy, &cause);
	char text[32];

	carom_log_event(is_loss ? CAROM_LOG_ERROR : CAROM_LOG_DEBUG, CAROM_LOG_EVENT_WORKER_ENDED,
			"Process '%s' pid:%d exited with '%s'%s%s", dead->worker->start.self.name,
			(int)dead->pid, carom_exit_text(autopsy->exit, text, sizeof(text)),
			is_violation ? ": its sandbox does not have " : "", cause.message);
}

/* ---- burying ---- */

/* or perhaps: somebody else has taken its status */
static bool was_killed(const struct carom_exit *exit)
{
	return exit->kind == CAROM_EXIT_TAKEN ||
	       (exit->kind == CAROM_EXIT_KILLED && exit->status == SIGKILL);
}

static void bury(struct incarnation *dead, const struct carom_exit *exit)
{
	struct worker *worker = dead->worker;
	struct carom_pool *pool = worker->pool;
	struct autopsy autopsy = { .pool = pool, .dead = dead, .exit = exit };
	bool was_ready = carom_lane_ready_ns(pool->lane, worker->index) != 0;
	enum carom_exit_reason reason;

	if (dead->dead)
		return;
	dead->dead = true; /* U1 */
	pthread_mutex_lock(&pool->lock);
	worker->died_ns = carom_now();
	pthread_mutex_unlock(&pool->lock);
	if (was_killed(exit))
		autopsy.verdict = carom_group_judge(dead, &autopsy.peak_bytes);
	if (!dead->execution)
		carom_group_kill(dead);
	carom_start_timeout_end(dead);
	sweep(&autopsy);
	reason = reason_of(&autopsy, was_ready);
	CAROM_TRACE(exit, worker->index, dead->pid, reason);
	say_limit(&autopsy);
	say_end(&autopsy, reason);
	pthread_mutex_lock(&pool->lock);
	carom_event_down(pool, dead, exit, reason);
	pthread_mutex_unlock(&pool->lock);
	carom_tally_ended(pool->tally, worker->index, reason);
	if (!dead->thread) {
		carom_loop_unwatch_word(carom_service_loop(pool->service), &dead->life_watch);
		carom_isolation_unwatch(dead);
	}
	carom_supervisor_ended(worker, reason, was_ready);
}

/* Where all are to end, nobody waits for how one of them did: it is not looked at twice. */
static bool knows_exit(const struct incarnation *dying, struct carom_exit *ret_exit)
{
	return !dying->group && carom_pool_state_now(dying->worker->pool) != POOL_TERMINATED &&
	       carom_pid_peek(dying->pid, ret_exit) == 0 && ret_exit->kind != CAROM_EXIT_RUNNING;
}

static void life_changed(struct carom_loop_word *watch)
{
	struct incarnation *dying = watch->userdata;
	struct carom_exit exit;
	bool is_known = knows_exit(dying, &exit); /* before it is killed, which may change it */

	carom_pidfd_signal(dying->pidfd, SIGKILL); /* of its threads the main one is gone */
	if (is_known)
		bury(dying, &exit);
}

/* does anybody want to know of it? */
static bool is_awaited(const struct task *task)
{
	return !task->filling && (task->result || task->map || !task->end_seen);
}

/*
 * U4: what is not answered when no worker is left is answered now. With the lock. That a
 * death was not swept from a slot means that the slot was written over.
 */
static void answer_rest(struct carom_pool *pool)
{
	struct carom_outcome cause = { .kind = CAROM_OUTCOME_LOST,
				       .exit_status = -1,
				       .worker_index = -1 };

	if (pool->state == POOL_RUNNING || pool->process_count || pool->request_count ||
	    (pool->state == POOL_CLOSED && carom_lane_anything_ready(pool->lane)))
		return;
	if (pool->state == POOL_TERMINATED)
		cause.kind = CAROM_OUTCOME_TERMINATED;
	else if (pool->state == POOL_BROKEN)
		carom_pool_describe_break(pool, &cause);
	for (uint32_t slot = 0; slot < carom_lane_taken_count(pool->lane); slot++) {
		struct task *task = &pool->tasks[slot];

		if (!is_awaited(task) || !carom_lane_force_end(pool->lane, slot))
			continue;
		task->cause = cause;
		task->cause.submitted_ns = task->submitted_ns;
		carom_pool_count_end(pool, cause.kind);
	}
}

static void forget(struct incarnation *dead)
{
	struct carom_pool *pool = dead->worker->pool;

	carom_limits_gone(dead);
	carom_group_gone(dead);
	carom_group_forget(dead);
	if (dead->thread) {
		carom_thread_worker_free(dead->thread);
	} else {
		carom_loop_unwatch_fd(carom_service_loop(pool->service), &dead->exit_watch);
		carom_private_fd_remove(&dead->private_pidfd);
		carom_closep(&dead->pidfd);
	}
	carom_sandbox_page_free(dead->page);
	free(dead);
	pthread_mutex_lock(&pool->lock);
	pool->process_count--;
	answer_rest(pool);
	if (!pool->process_count)
		pthread_cond_broadcast(&pool->settled);
	pthread_mutex_unlock(&pool->lock);
	if (pool->options.lazy_start)
		carom_supervisor_fill(pool); /* it counted until now: see lazy.c */
}

void carom_burial_lose_fd(struct incarnation *child)
{
	carom_private_fd_remove(&child->private_pidfd);
	child->pidfd = -1;
	carom_group_lose(child);
}

/* U5 */
static void end_without_pidfd(struct incarnation *doomed)
{
	struct carom_pool *pool = doomed->worker->pool;
	struct carom_exit exit;

	pthread_mutex_lock(&pool->lock);
	carom_burial_lose_fd(doomed);
	pthread_mutex_unlock(&pool->lock);
	carom_pid_end(doomed->pid, &exit);
	bury(doomed, &exit);
	forget(doomed);
}

static void exit_readable(struct carom_loop_fd *watch)
{
	struct incarnation *dead = watch->userdata;
	struct carom_exit exit;

	if (carom_loop_is_lost(carom_service_loop(dead->worker->pool->service))) {
		end_without_pidfd(dead);
		return;
	}

	if (carom_pidfd_reap(dead->pidfd, &exit) < 0)
		exit = (struct carom_exit){ .kind = CAROM_EXIT_TAKEN, .status = -1 };
	if (exit.kind == CAROM_EXIT_RUNNING)
		return;
	bury(dead, &exit);
	forget(dead);
}

static void thread_ended(void *userdata, const struct carom_exit *exit)
{
	bury(userdata, exit);
	forget(userdata);
}

static void expect_process(struct incarnation *alive)
{
	struct carom_pool *pool = alive->worker->pool;
	struct carom_loop *loop = carom_service_loop(pool->service);
	struct carom_life *life = carom_lane_life(pool->lane, alive->worker->index);
	struct carom_exit exit;

	alive->exit_watch = (struct carom_loop_fd){ .fd = alive->pidfd,
						    .ready = exit_readable,
						    .userdata = alive };
	alive->life_watch =
		(struct carom_loop_word){ .word = &life->word,
					  .expected = carom_life_word(carom_incarnation_tid(alive)),
					  .changed = life_changed,
					  .userdata = alive };
	if (carom_isolation_watch(alive) == 0 &&
	    carom_loop_watch_fd(loop, &alive->exit_watch) == 0) {
		carom_loop_watch_word(loop, &alive->life_watch); /* without it the pidfd does */
		carom_start_timeout_begin(alive);
		return;
	}
	carom_pidfd_signal(alive->pidfd, SIGKILL);
	carom_pidfd_wait(alive->pidfd, CAROM_NO_DEADLINE, &exit);
	bury(alive, &exit);
	forget(alive);
}

void carom_burial_expect(struct incarnation *alive)
{
	if (alive->thread)
		carom_thread_worker_watch(alive->thread, thread_ended, alive);
	else
		expect_process(alive);
}
