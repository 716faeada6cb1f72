/*
 * Supervisor
 *
 * Births, deaths and replacements, all in the loop's thread.
 *
 * A death is announced by the life word, which comes first by far where a worker
 * holds much memory, and confirmed by the pidfd. Whichever comes first is acted on
 * once: the process is killed for certain (task code may have threads of its own),
 * its place in the lane is swept, which answers its task, and the replacement is
 * asked for. How it ended is known at that moment too, from /proc; where that
 * cannot be read, the life word is ignored and the pidfd is waited for, because a
 * late answer with the real cause is better than an early one without.
 *
 *   S1  A place has at most one current process, and at most one in the making.
 *   S2  The replacement allocates values from the other half of the arena than the
 *       process it replaces: if a thread of that one still writes for an instant,
 *       it writes where nobody reads.
 *   S3  Workers that cannot be made, or die before they are ready, are replaced with
 *       growing pauses, and in the end the pool is broken, which answers everybody.
 *       All that fail before a pause is over are one failure: a pool of many workers
 *       has as much time as one of few.
 *   S4  A process takes no work before it is held here. One that cannot be, for want
 *       of a descriptor, is killed before the supervisor hears of it; what it had
 *       begun by then would stay begun for ever.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/log.h"
#include "core/points.h"
#include "core/time.h"
#include "pool/pool_private.h"
#include "pool/value.h"

#define FAILURES_FREE 3  /* so many failures to start in a row are tried again at once */
#define FAILURES_MAX  20 /* and so many break the pool: about 10 s later */
#define PAUSE_MAX     10 /* 1 ms << 10 */

static void request_worker(struct worker *worker);

/* ---- whether a place is to be filled ---- */

static bool wants_workers(struct carom_pool *pool)
{
	bool wanted;

	pthread_mutex_lock(&pool->lock);
	wanted = pool->state == POOL_RUNNING ||
		 (pool->state == POOL_CLOSED && carom_lane_anything_ready(pool->lane));
	pthread_mutex_unlock(&pool->lock);
	return wanted;
}

static void fill_places(struct carom_pool *pool)
{
	if (!wants_workers(pool))
		return;
	for (uint32_t i = 0; i < pool->options.worker_count; i++)
		if (!pool->workers[i].current && !pool->workers[i].next)
			request_worker(&pool->workers[i]);
}

static void retry_expired(struct carom_loop_timer *timer)
{
	struct carom_pool *pool = timer->userdata;

	pool->retry_pending = false;
	fill_places(pool);
}

/* S3; true if the place may be filled at once */
static bool count_start_failure(struct carom_pool *pool)
{
	uint32_t failures;
	uint32_t pause;

	if (pool->retry_pending)
		return false;
	failures = ++pool->start_failures;
	pause = failures - FAILURES_FREE;
	if (failures <= FAILURES_FREE)
		return true;
	if (failures > FAILURES_MAX) {
		if (failures == FAILURES_MAX + 1)
			carom_log_event(
				CAROM_LOG_ERROR, CAROM_LOG_EVENT_POOL_BROKEN,
				"pool is broken: %u times in a row no worker came to be ready",
				failures);
		carom_supervisor_kill(pool, POOL_BROKEN);
		return false;
	}
	pool->retry_pending =
		carom_loop_timer_set(
			carom_service_loop(pool->service), &pool->retry_timer,
			carom_deadline_after(CAROM_MILLISECONDS(
				UINT64_C(1) << (pause < PAUSE_MAX ? pause : PAUSE_MAX)))) == 0;
	return false;
}

/* ---- sweeping ---- */

struct autopsy {
	struct carom_pool *pool;
	const struct incarnation *dead;
	const struct carom_exit *exit;
};

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
		.submitted_ns = task->submitted_ns,
		.started_ns = lines->flags & CAROM_TASK_TIMED ? lines->started_ns : 0,
		.ended_ns = task->submitted_ns ? carom_now() : 0,
	};
	if (task->condemned) {
		ret_cause->kind = CAROM_OUTCOME_HARD_LIMIT;
		ret_cause->limit_ns = task->limit_ns;
	} else if (autopsy->pool->state == POOL_TERMINATED) {
		ret_cause->kind = CAROM_OUTCOME_TERMINATED;
	} else if (autopsy->pool->state == POOL_BROKEN) {
		ret_cause->kind = CAROM_OUTCOME_POOL_BROKEN;
	}
}

static enum carom_sweep_verdict decide(uint32_t slot, void *userdata)
{
	const struct autopsy *autopsy = userdata;
	struct task *task = &autopsy->pool->tasks[slot];
	struct carom_outcome cause;

	describe_cause(autopsy, slot, &cause);
	if (task->map && task->count > 1)
		return carom_map_lost(task->map, slot, &cause);
	task->cause = cause;
	return CAROM_SWEEP_LOST;
}

/* values that the dead process left stay where they are; its place in the arena goes on without */
static void orphan_values(struct carom_pool *pool, uint32_t index)
{
	for (uint32_t slot = 0; slot < carom_lane_slot_count(pool->lane); slot++) {
		uint64_t word = atomic_load(&carom_lane_slot(pool->lane, slot)->word);

		if (carom_slot_state(word) == CAROM_SLOT_DONE && carom_slot_owner(word) == index)
			pool->tasks[slot].orphaned = true;
	}
}

static void sweep(struct incarnation *dead, const struct carom_exit *exit)
{
	struct carom_pool *pool = dead->worker->pool;
	struct autopsy autopsy = { .pool = pool, .dead = dead, .exit = exit };

	pthread_mutex_lock(&pool->lock);
	carom_lane_sweep(pool->lane, dead->worker->index, decide, &autopsy);
	orphan_values(pool, dead->worker->index);
	pthread_mutex_unlock(&pool->lock);
	CAROM_POINT("supervisor.swept");
}

/* ---- deaths ---- */

/* A pool that goes on has lost one; in a pool that ends it was to be. */
static void say_end(const struct incarnation *dead, const struct carom_exit *exit)
{
	static const char *const ways[] = {
		[CAROM_EXIT_EXITED] = "status",
		[CAROM_EXIT_KILLED] = "signal",
		[CAROM_EXIT_DUMPED] = "signal",
		[CAROM_EXIT_TAKEN] = "unknown status",
	};
	struct carom_pool *pool = dead->worker->pool;
	bool is_loss;

	pthread_mutex_lock(&pool->lock);
	is_loss = pool->state == POOL_RUNNING;
	pthread_mutex_unlock(&pool->lock);
	carom_log_event(is_loss ? CAROM_LOG_INFO : CAROM_LOG_DEBUG, CAROM_LOG_EVENT_WORKER_ENDED,
			"worker %u (pid %d) ended: %s %d", dead->worker->index, (int)dead->pid,
			ways[exit->kind], exit->status);
}

/* once for each process, by whichever announcement comes first */
static void bury(struct incarnation *dead, const struct carom_exit *exit)
{
	struct worker *worker = dead->worker;
	struct carom_pool *pool = worker->pool;
	bool was_ready = atomic_load(&carom_lane_worker(pool->lane, worker->index)->ready_ns) != 0;
	bool at_once = true;

	if (dead->dead)
		return;
	dead->dead = true;
	worker->died_ns = carom_now();
	say_end(dead, exit);
	carom_pidfd_signal(dead->pidfd, SIGKILL);
	sweep(dead, exit);
	pthread_mutex_lock(&pool->lock);
	worker->current = NULL;
	pthread_mutex_unlock(&pool->lock);
	carom_loop_unwatch_word(carom_service_loop(pool->service), &dead->life_watch);
	if (was_ready)
		pool->start_failures = 0;
	else
		at_once = count_start_failure(pool);
	if (at_once)
		fill_places(pool);
}

static void life_changed(struct carom_loop_word *watch)
{
	struct incarnation *dying = watch->userdata;
	struct carom_exit exit;

	if (carom_pid_peek(dying->pid, &exit) == 0 && exit.kind != CAROM_EXIT_RUNNING)
		bury(dying, &exit);
	else
		carom_pidfd_signal(dying->pidfd, SIGKILL); /* its main thread is gone */
}

static void forget(struct incarnation *dead)
{
	struct carom_pool *pool = dead->worker->pool;

	carom_loop_unwatch_fd(carom_service_loop(pool->service), &dead->exit_watch);
	carom_private_fd_remove(&dead->private_pidfd);
	close(dead->pidfd);
	free(dead);
	pthread_mutex_lock(&pool->lock);
	pool->process_count--;
	pthread_cond_broadcast(&pool->settled);
	pthread_mutex_unlock(&pool->lock);
}

static void exit_readable(struct carom_loop_fd *watch)
{
	struct incarnation *dead = watch->userdata;
	struct carom_exit exit;

	if (carom_pidfd_reap(dead->pidfd, &exit) < 0)
		exit = (struct carom_exit){ .kind = CAROM_EXIT_TAKEN, .status = -1 };
	if (exit.kind == CAROM_EXIT_RUNNING)
		return;
	bury(dead, &exit);
	forget(dead);
}

/* ---- births ---- */

/* S2: the larger free end of the half that the last process did not use */
static void choose_value_range(struct worker *worker)
{
	struct carom_pool *pool = worker->pool;
	uint64_t half = carom_lane_payload_size(pool->lane) / 2 & ~UINT64_C(4095);
	uint64_t begin, end, first, last;

	worker->upper_half = !worker->upper_half;
	begin = worker->upper_half ? half : 0;
	end = begin + half;
	first = end;
	last = begin;
	for (uint32_t slot = 0; slot < carom_lane_slot_count(pool->lane); slot++) {
		uint64_t word = atomic_load(&carom_lane_slot(pool->lane, slot)->word);
		bool batch = pool->tasks[slot].map && pool->tasks[slot].count > 1;
		struct carom_value value;

		if (carom_slot_state(word) != CAROM_SLOT_DONE ||
		    carom_slot_owner(word) != worker->index ||
		    carom_value_of(pool->lane, slot, batch, &value) < 0 || !value.reserved ||
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

static void adopt(struct worker *worker, struct incarnation *child)
{
	struct carom_pool *pool = worker->pool;
	struct carom_lane_worker *entry = carom_lane_worker(pool->lane, worker->index);
	struct carom_loop *loop = carom_service_loop(pool->service);

	child->exit_watch = (struct carom_loop_fd){ .fd = child->pidfd,
						    .ready = exit_readable,
						    .userdata = child };
	/* S4; and from now on one may wait for the life word to change */
	carom_lane_admit(pool->lane, worker->index, child->pid);
	child->life_watch = (struct carom_loop_word){ .word = &entry->life.word,
						      .expected = carom_life_word(child->pid),
						      .changed = life_changed,
						      .userdata = child };
	pthread_mutex_lock(&pool->lock);
	pool->process_count++;
	worker->current = child;
	pthread_mutex_unlock(&pool->lock);
	if (carom_loop_watch_fd(loop, &child->exit_watch) < 0) {
		struct carom_exit exit;

		/* no memory to watch it: then it may not live */
		carom_pidfd_signal(child->pidfd, SIGKILL);
		carom_pidfd_wait(child->pidfd, CAROM_NO_DEADLINE, &exit);
		bury(child, &exit);
		forget(child);
		return;
	}
	carom_loop_watch_word(loop, &child->life_watch); /* without it the pidfd does */
	if (pool->limit_next_ns != CAROM_NO_DEADLINE)
		carom_loop_timer_set(loop, &pool->limit_timer, CAROM_PASSED); /* see limits.c */
}

static bool may_live(struct carom_pool *pool)
{
	bool may;

	pthread_mutex_lock(&pool->lock);
	may = pool->state == POOL_RUNNING || pool->state == POOL_CLOSED;
	pthread_mutex_unlock(&pool->lock);
	return may;
}

static void born(struct worker *worker, const struct carom_child_reply *reply)
{
	struct carom_pool *pool = worker->pool;
	struct incarnation *child = worker->next;

	worker->next = NULL;
	if (reply->error < 0) {
		free(child);
		if (!pool->started && reply->error == -EPIPE &&
		    pool->start_failures++ < FAILURES_FREE)
			request_worker(worker); /* the fork server died, and there is a new one */
		else if (!pool->started)
			pool->start_error = reply->error;
		else if (may_live(pool) && count_start_failure(pool))
			fill_places(pool);
	} else {
		child->worker = worker;
		child->pid = reply->pid;
		child->pidfd = reply->pidfd;
		carom_private_fd_add(&child->private_pidfd, child->pidfd);
		if (pool->started)
			worker->replaced_count++;
		if (!may_live(pool))
			carom_pidfd_signal(child->pidfd, SIGKILL);
		adopt(worker, child);
	}
	pthread_mutex_lock(&pool->lock);
	pool->request_count--;
	pthread_cond_broadcast(&pool->settled);
	pthread_mutex_unlock(&pool->lock);
}

static void request_worker(struct worker *worker)
{
	struct carom_pool *pool = worker->pool;

	worker->next = calloc(1, sizeof(*worker->next));
	if (!worker->next) {
		count_start_failure(pool);
		return;
	}
	pthread_mutex_lock(&pool->lock);
	carom_lane_prepare(pool->lane, worker->index);
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
	pool->limit_next_ns = CAROM_NO_DEADLINE;
	for (uint32_t i = 0; i < pool->options.worker_count; i++)
		request_worker(&pool->workers[i]);
}

void carom_supervisor_drain(struct carom_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	if (pool->state == POOL_CLOSED && pool->submitter_count == 0)
		carom_lane_stop(pool->lane, CAROM_LANE_DRAIN);
	pthread_mutex_unlock(&pool->lock);
	fill_places(pool);
}

static void withdraw_everything(struct carom_pool *pool, enum carom_outcome_kind kind)
{
	for (uint32_t slot = 0; slot < carom_lane_slot_count(pool->lane); slot++) {
		struct task *task = &pool->tasks[slot];
		uint64_t word = atomic_load(&carom_lane_slot(pool->lane, slot)->word);

		if (task->filling || carom_slot_state(word) != CAROM_SLOT_READY)
			continue;
		task->cause = (struct carom_outcome){ .kind = kind,
						      .exit_status = -1,
						      .worker_index = -1,
						      .submitted_ns = task->submitted_ns };
		carom_lane_withdraw(pool->lane, slot); /* or a worker has it now: swept later */
	}
}

void carom_supervisor_kill(struct carom_pool *pool, enum pool_state state)
{
	bool broken = state == POOL_BROKEN;

	pthread_mutex_lock(&pool->lock);
	if (pool->state == POOL_RUNNING || pool->state == POOL_CLOSED) {
		pool->state = state;
		withdraw_everything(pool,
				    broken ? CAROM_OUTCOME_POOL_BROKEN : CAROM_OUTCOME_POOL_CLOSED);
		carom_lane_stop(pool->lane, CAROM_LANE_HALT);
		carom_lane_announce(pool->lane);
	}
	for (uint32_t i = 0; i < pool->options.worker_count; i++)
		if (pool->workers[i].current)
			carom_pidfd_signal(pool->workers[i].current->pidfd, SIGKILL);
	pthread_cond_broadcast(&pool->settled);
	pthread_mutex_unlock(&pool->lock);
}

void carom_supervisor_end(struct carom_pool *pool)
{
	struct carom_loop *loop = carom_service_loop(pool->service);

	carom_loop_timer_clear(loop, &pool->retry_timer);
	carom_loop_timer_clear(loop, &pool->limit_timer);
	carom_service_unpoke(pool->service, &pool->limit_poke);
	carom_service_unpoke(pool->service, &pool->drain_poke);
}
