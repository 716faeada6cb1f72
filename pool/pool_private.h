/*
 * The pool from inside
 *
 * Everything here is private to the parent and decides; what stands in the lane is
 * data. One lock guards it. It is held for moments: never across a wait, never
 * while a payload is copied that is larger than a page.
 *
 *   Q1  A slot that was taken has a struct task, and is one of: being filled
 *       (`filling`), submitted, ended. It is given back when its result is freed,
 *       collected by its map, or moved into its result's own memory (harvested).
 *   Q2  What ended a task that has no value is decided here, under the lock, before
 *       the slot's word says LOST.
 *   Q3  Each result that the program holds counts as a reference to the pool, and
 *       so does the program's handle of the pool itself.
 */
#ifndef CAROM_POOL_POOL_PRIVATE_H
#define CAROM_POOL_POOL_PRIVATE_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/backtrace.h"
#include "core/pidfd.h"
#include "core/private_fd.h"
#include "core/sandbox_private.h"
#include "core/service.h"
#include "ipc/arena.h"
#include "ipc/lane.h"
#include "ipc/waitable.h"
#include "pool/birth.h"
#include "pool/calls.h"
#include "pool/containment_private.h"
#include "pool/function.h"
#include "pool/gate.h"
#include "pool/group.h"
#include "pool/map.h"
#include "pool/notice.h"
#include "pool/pool.h"
#include "pool/starmap.h"
#include "pool/restart_policy.h"
#include "pool/sampler.h"
#include "pool/state.h"
#include "pool/tally.h"
#include "pool/semaphore.h"
#include "pool/worker.h"

struct map;

#define POOL_GRACE_NS CAROM_MILLISECONDS(100) /* by default: grace_ns of the options is never 0 */

enum pool_state {
	POOL_RUNNING,
	POOL_CLOSED,     /* takes no more; ends when nothing is left */
	POOL_TERMINATED, /* everything was answered; workers are being killed */
	POOL_BROKEN,     /* as terminated, because workers do not live */
};

/**
 * struct task - what the parent knows of a slot in use
 * @result:    the handle of a single task; NULL once nobody wants its value
 * @map:       or the map that this is a part of
 * @crash:     where it was when it crashed; NULL
 * @argument_size: as allocated in the argument arena, if above CAROM_LANE_INLINE
 * @part:      which of the map's
 * @first, @count: the items of a map's part; the first one's index
 * @end:       those from here on were taken back, and are another part's; else @count
 * @accounted: how many of them have their outcome already
 * @batch:     they are a batch, also once it is no longer a map's
 * @held:      somebody reads its argument: it is not to be collected
 * @orphaned:  the worker that left its value is gone, and its arena is another's
 * @filling:   taken, not yet submitted
 * @limit_ns, @soft_ns: for it, or for each item; 0 none
 * @warned_ns: when what was told of its soft limit last had begun
 * @warn_next_ns, @warn_count: when it is to be told again; how often it was
 * @evicted:   answered, but its worker may still write to the slot: kept until
 *             @evicted_worker's process is dead
 * @left:      and nobody refers to it any more
 * @condemned: its worker is being killed for an item, but others are left
 * @stopped_items: how many of a batch it had done by then
 * @cause:     why it has no value, once its word is LOST
 * @id:        counted over all pools of the program
 * @attempt:   how often it was begun and lost before
 * @retry_count: how often it, or each of its items, may be begun again
 * @attempt_item: the item of a batch that @attempt is about
 * @begin_seen, @end_seen: see calls.c
 * @is_gated:  it was admitted, see admission.c
 * @is_refused: its worker was not given leave to begin it
 */
struct task {
	/* what each submission writes, in few lines and in this order */
	_Alignas(64) bool filling;
	bool orphaned;
	bool condemned;
	bool left;
	bool held;
	bool is_refused;
	bool begin_seen;
	bool end_seen;
	bool batch;
	bool is_gated;
	bool evicted;
	struct carom_result *result;
	struct map *map;
	uint64_t id;
	uint64_t argument_size;
	uint32_t attempt;
	uint32_t retry_count;
	uint64_t accounted;
	uint64_t limit_ns;
	uint64_t soft_ns;
	uint64_t first;
	uint64_t count;
	uint64_t end;
	uint64_t part;
	uint64_t submitted_ns;

	uint64_t argument_offset;
	uint64_t warned_ns;
	uint64_t warn_next_ns;
	uint64_t stopped_items;
	uint64_t attempt_item;
	uint64_t rest_ns; /* T6 of limits.c, as the next */
	uint64_t rest_count;
	uint32_t warn_count;
	uint32_t evicted_worker;
	struct carom_backtrace *crash;
	struct carom_outcome cause;
};

/**
 * struct incarnation - one process, or thread, that is or was a worker
 * @pid:    0 for a thread
 * @pidfd:  -1 for a thread: a signal to it goes nowhere
 * @thread: NULL for a process
 * @dead: swept; only its pidfd is waited for
 * @is_doomed: somebody here ends it, for the reason @doom. With the lock
 * @may_leave: it was asked to end after its task. With the lock
 * @kill_signal: it is to be killed for a task, beginning with this one; then 0 again
 * @execution: its killing, once that has begun
 * @page: of its sandbox; NULL: it has none
 * @group: its control group, which it is in; NULL: none
 * @peak_fd: a peak of that group's memory, until its worker has it; -1: none
 * @sample: its memory, where that is sampled. The loop's thread
 * @bell_watch: of a worker that has a lane of its own
 * @foul: what it has written there and may not; NULL: nothing
 */
struct incarnation {
	struct worker *worker;
	pid_t pid;
	int pidfd;
	struct carom_private_fd private_pidfd;
	struct carom_thread_worker *thread;
	bool dead;
	bool is_doomed;
	bool may_leave;
	enum carom_exit_reason doom;
	struct carom_loop_timer start_timer;
	int kill_signal;
	struct execution *execution;
	struct carom_sandbox_page *page;
	struct carom_cgroup *group;
	int peak_fd;
	struct carom_sample sample;
	struct carom_loop_fd exit_watch;
	struct carom_loop_word life_watch;
	struct carom_loop_fd bell_watch;
	const char *foul;
};

/**
 * struct worker - a place in the pool
 * @is_open:   somebody is to be there; see resize.c. With the lock
 * @current:   the process that fills it; NULL while there is none
 * @next:      memory for the one that is being made; NULL while none is
 * @born, @birth, @start: see birth.c
 * @birth_count: how many came to be here; when the place was opened last
 * @upper_half: which half of the value arena the current process allocates from
 */
struct worker {
	struct carom_pool *pool;
	uint32_t index;
	struct incarnation *current;
	struct incarnation *next;
	bool is_open;
	bool upper_half;
	carom_born_fn *born;
	struct carom_birth birth;
	struct carom_worker_start start;
	int fds[5];
	uint64_t died_ns;
	uint64_t replaced_count;
	uint64_t birth_count;
	uint64_t opened_birth_count;
};

struct carom_pool {
	/* what every task reads, and what it writes, stand in a line each */
	_Alignas(64) uint64_t origin;
	struct carom_lane *lane;
	struct carom_tally *tally;
	struct task *tasks;          /* in task_memory, where a line begins */
	struct carom_result **spare; /* per slot, the handle that was used with it last */
	bool is_plain;   /* a task without options has nothing beside its function and argument */
	bool is_sampled; /* see sampler.c */

	_Alignas(64) pthread_mutex_t lock;
	enum pool_state state;
	uint32_t submitter_count;
	uint64_t reference_count;
	_Atomic uint32_t slot_waiter_count; /* raised before the lock is let go of, or taken */

	_Alignas(64) uint64_t next_id;
	uint64_t last_id; /* of those that were taken for this pool */
	struct carom_arena arguments;
	struct carom_gate gate;
	struct carom_notices notices;

	struct carom_service *service;
	struct carom_pool_options options;
	struct carom_context_settings context; /* how workers are made */
	struct carom_pool_hooks hooks;
	struct carom_worker_plan plan;
	cpu_set_t cpus; /* for pin_workers */
	struct carom_semaphore_hooks semaphore;
	struct carom_sandbox *sandbox; /* NULL: none */
	pthread_cond_t settled; /* a worker was born or refused, the last ended, or all was told */
	struct carom_functions functions; /* for workers made by "spawn" */
	void *task_memory;

	/* supervision: the loop's thread */
	struct worker *workers;
	int lane_fd;
	struct carom_private_fd private_lane_fd;
	bool limit_was_given;
	uint32_t place_count;  /* of the workers, those that were ever open */
	uint32_t worker_count; /* those that are: as many as are wanted now */
	uint32_t process_count;
	uint32_t request_count;
	uint32_t start_attempt_count;
	int start_error;
	bool started;
	struct carom_restart_policy policy;
	uint64_t progress_seen;          /* of the lane, when a death was counted last */
	uint32_t readiness_waiter_count; /* with the lock */
	uint64_t loss_count;             /* workers that ended and should not have. With the lock */
	int refusal_error;               /* why none could be made the last time. With the lock */
	struct carom_broken broken;      /* with the lock */
	uint64_t undone_count;           /* tasks that a forced end has answered. With the lock */
	struct carom_loop_timer retry_timer;
	struct carom_loop_timer grace_timer;
	struct carom_poke break_poke;
	struct carom_loop_timer limit_timer;
	struct carom_loop_timer stall_timer; /* see isolation.c */
	struct carom_poke stall_poke;
	bool stall_is_awaited; /* with the lock */
	struct carom_poke limit_poke;
	struct carom_poke drain_poke;
	struct carom_poke fill_poke;
	uint64_t limit_next_ns;
	bool anybody_doomed;
	struct execution *executions;

	struct carom_pool_limits limits;          /* in force: see containment.c */
	bool is_proven;                           /* with the lock, as the next */
	bool is_too_small;                        /* a worker cannot live within them */
	struct carom_cgroup_limits worker_limits; /* as asked for */
	struct carom_cgroup_limits pool_limits;
	struct carom_groups groups;
	struct carom_sampler sampler;

	/* a polled pool: see poll.c */
	int bell_fd;
	struct carom_private_fd private_bell_fd;
	struct carom_loop_fd bell_watch;
	struct carom_poke poll_poke;
	struct carom_service_user loss;
	bool told_broken;
	bool told_over;
};

/**
 * struct carom_result - a handle that the program holds
 * @slot:      where the task is; CAROM_LANE_NO_SLOT once harvested
 * @map:       a map's; then no slot
 * @pinned:    the program has the value in place, until it frees the result
 * @reader_count: who copies it at this moment; with the lock
 * @reference_count: the program's, and that of its calls until they are told
 * @calls:     its callbacks; or NULL
 * @outcome, @value*: the result's own copy, once harvested
 */
struct carom_result {
	/* what each submission writes stands in two lines */
	_Alignas(64) struct carom_pool *pool;
	uint64_t origin;
	struct map *map;
	_Atomic uint32_t slot;
	uint32_t generation;
	bool may_spin;
	bool pinned;
	uint32_t reader_count;
	uint32_t reference_count;
	int error;
	uint64_t id;
	void *userdata;
	struct calls *calls;
	void *value;
	uint64_t value_size;
	struct carom_backtrace *crash;
	char *backtrace; /* as text, once somebody has asked */
	struct carom_waitable waitable;

	struct carom_outcome outcome;
	unsigned char inline_value[CAROM_LANE_INLINE];
};

/* ---- what is counted ---- */

/* With the lock. */
static inline void carom_pool_enter_state(struct carom_pool *pool, enum pool_state state)
{
	pool->state = state;
	tally_set(&pool->tally->head->state, state);
}

/** carom_pool_count_end() - a task was answered, by no worker. With the lock. */
static inline void carom_pool_count_end(struct carom_pool *pool, int32_t kind)
{
	if (carom_tally_is_on(pool->tally))
		carom_tally_answered(pool->tally, (uint64_t)kind);
}

/* ---- submit.c ---- */

/**
 * struct submission - one task to be submitted
 * @prefix: bytes that go before the rest (a batch's header); may be NULL
 * @calls: callbacks and so on, or NULL; the pool's once it is submitted
 * @is_gated: it was admitted; if it is not submitted, that is given back by the caller
 * @data:   the argument, or with @columns all of them in @count rows, @size bytes in all
 * @limit_ns, @soft_ns: as asked for: 0 the pool's, CAROM_NO_LIMIT none
 */
struct submission {
	carom_task_fn *function;
	const void *prefix;
	uint64_t prefix_size;
	const void *data;
	const struct carom_column *columns;
	uint64_t column_count;
	uint64_t size;
	uint64_t limit_ns;
	uint64_t soft_ns;
	uint64_t index;
	uint64_t count;
	uint64_t part;
	struct map *map;
	bool batch;
	bool wanted;  /* there shall be a result to hold */
	bool noticed; /* its end is to be noticed, also without calls */
	bool awaited; /* who submits it waits for its end at once, and for as long as it takes */
	bool is_gated;
	struct calls *calls;
	void *userdata;
	uint32_t retry_count;
};

/**
 * carom_pool_enter() - begin to submit; takes the lock
 *
 * What was begun before the pool was closed is accepted as a whole.
 * Return: 0 with the lock held, or without it: -ECHILD, -ESHUTDOWN, -ENOTRECOVERABLE.
 */
int carom_pool_enter(struct carom_pool *pool);

/** carom_pool_leave() - submitted; lets go of the lock */
void carom_pool_leave(struct carom_pool *pool);

/**
 * carom_pool_prepare() - take a slot, fill it, but do not submit it yet
 *
 * With the lock; lets go of it while it waits for a slot (if @may_wait) or copies.
 * Return: 0, -ESHUTDOWN, -ENOTRECOVERABLE, -ENOMEM, -EAGAIN (no slot, may not wait), -ENOENT
 * (not registered, where it must be), -EOPNOTSUPP (a hard limit for a thread).
 */
int carom_pool_prepare(struct carom_pool *pool, const struct submission *submission, bool may_wait,
		       uint32_t *ret_slot);

/** carom_pool_publish() - submit prepared slots. With the lock; lets go of it if it must wait. */
int carom_pool_publish(struct carom_pool *pool, const uint32_t *slots, uint32_t count,
		       bool *ret_woke);

/** carom_pool_take_id() - the next number, counted over all pools of the program. With the lock. */
uint64_t carom_pool_take_id(struct carom_pool *pool);

/** carom_pool_submit() - all of that for a single task. Without the lock. */
int carom_pool_submit(struct carom_pool *pool, const struct submission *submission, bool may_wait,
		      struct carom_result **ret_result);

/* ---- harvest.c; with the lock ---- */

/** carom_pool_tell_slot() - one was given back, or can be harvested now. */
void carom_pool_tell_slot(struct carom_pool *pool);

/** carom_pool_release() - the slot's task is over and done with. */
void carom_pool_release(struct carom_pool *pool, uint32_t slot);

/** carom_pool_abandon() - a prepared slot is not submitted after all. */
void carom_pool_abandon(struct carom_pool *pool, uint32_t slot);

/** carom_pool_harvest() - give slots back that nobody needs to hold; true if there were any */
bool carom_pool_harvest(struct carom_pool *pool);

/* ---- result_wait.c ---- */

extern const struct carom_waitable_kind carom_result_waitable_kind;

/* ---- result.c ---- */

/** carom_result_move() - from the slot into the handle's own memory. With the lock. */
int carom_result_move(struct carom_result *result);

/** carom_result_drop() - free a handle; lets go of the lock, and of a reference to the pool */
void carom_result_drop_unlock(struct carom_result *result);

/** carom_result_finish() - wait for a result, take its value, free it: the end of an apply */
int carom_result_finish(struct carom_result *result, void *out, size_t out_size,
			struct carom_outcome *ret_outcome);

/** carom_result_new() - with what is the same for each task that it serves. NULL: no memory. */
struct carom_result *carom_result_new(struct carom_pool *pool);

/** carom_result_new_for_map() - the handle of a map. With the lock. NULL: no memory. */
struct carom_result *carom_result_new_for_map(struct carom_pool *pool, struct map *map);

/** carom_result_pid() - of the process that works, or worked, on a single task; 0: none yet. Without the lock. */
int64_t carom_result_pid(struct carom_result *result);

/** carom_slot_pid() - of the process that works, or worked, on a slot's task; 0: none yet. With the lock. */
int64_t carom_slot_pid(const struct carom_pool *pool, uint32_t slot);

/**
 * carom_outcome_fail() - a function returned @code, below 0, as a worker left it
 * @soft_ns: its soft limit
 */
void carom_outcome_fail(struct carom_outcome *outcome, int32_t code, uint64_t soft_ns);

/** carom_slot_succeeded() - did the task in an ended slot end with a value? With the lock. */
static inline bool carom_slot_succeeded(const struct carom_pool *pool, uint32_t slot)
{
	const struct carom_slot *lines = carom_lane_slot(pool->lane, slot);

	return carom_slot_state(atomic_load(&lines->word)) == CAROM_SLOT_DONE &&
	       *(const volatile int32_t *)&lines->code >= 0;
}

/** carom_outcome_of_slot() - how the task in an ended slot ended. With the lock. */
void carom_outcome_of_slot(const struct carom_pool *pool, uint32_t slot,
			   struct carom_outcome *ret_outcome);

/** carom_result_slot() - where its task is; or CAROM_LANE_NO_SLOT. With the lock. */
uint32_t carom_result_slot(const struct carom_result *result);

/** carom_result_ended_as() - its outcome, also while callbacks keep it from being ready */
void carom_result_ended_as(struct carom_result *result, struct carom_outcome *ret_outcome);

/* ---- control.c; with the lock ---- */

/** carom_task_give_leave() - let a worker begin the task that it asks for, or not; true if that counts */
bool carom_task_give_leave(struct carom_pool *pool, uint32_t slot, uint32_t generation,
			   bool granted);

/** carom_task_retry() - is it to be begun again after it was lost for @cause? Counts the attempt. */
bool carom_task_retry(struct task *task, const struct carom_outcome *cause);

/** carom_pool_retries() - how often may a task that asked for @asked be begun again? Any thread. */
uint32_t carom_pool_retries(const struct carom_pool *pool, uint64_t asked);

/** carom_task_withdraw_for() - end a task that no worker has begun, for @cause; false if one has */
bool carom_task_withdraw_for(struct carom_pool *pool, uint32_t slot,
			     const struct carom_outcome *cause);

/** carom_task_withdraw() - end a task that no worker has begun; false if one has */
bool carom_task_withdraw(struct carom_pool *pool, uint32_t slot, enum carom_outcome_kind kind,
			 int signal);

/* ---- admission.c ---- */

/**
 * carom_pool_admit() - may one more task be accepted?
 * @ret_gated: it is to be given back by carom_pool_dismiss()
 *
 * Without the lock. Return: 0, -EAGAIN, or what the program's semaphore says.
 */
int carom_pool_admit(struct carom_pool *pool, enum carom_wait_for_slot wait, bool *ret_gated);

/** carom_pool_dismiss() - it has ended. With the lock. */
void carom_pool_dismiss(struct carom_pool *pool);

/** carom_pool_admit_all() - nobody shall wait any more. With the lock. */
void carom_pool_admit_all(struct carom_pool *pool);

/** carom_pool_admit_more() - the pool has @count workers more, or less. With the lock. */
void carom_pool_admit_more(struct carom_pool *pool, int64_t count);

/* ---- map.c; see also map_private.h ---- */

/** struct map_request - what carom_pool_map() and its like are asked for */
struct map_request {
	struct carom_pool *pool;
	carom_task_fn *function;
	const struct carom_column *columns;
	size_t column_count;
	size_t item_count;
	void *out;
	size_t out_size;
	const struct carom_map_options *options;
};

/** carom_map_run() - do it. See carom_pool_map(). Without the lock. */
int carom_map_run(const struct map_request *request);

/** carom_map_begin() - begin it. See carom_pool_map_async(). Without the lock. */
int carom_map_begin(const struct map_request *request, struct carom_result **ret_result);

/** carom_map_is_accepted() - were all chunks begun? With the lock. */
bool carom_map_is_accepted(const struct map *map);

/** carom_map_worker_pids() - who runs, or ran, each item; how many are known. With the lock. */
int carom_map_worker_pids(const struct map *map, int64_t *pids, size_t count);

/** carom_map_outcome() - its verdict, as far as it has come. Without the lock. */
void carom_map_outcome(struct map *map, struct carom_outcome *ret_outcome);

/** carom_map_free() - no slot is a part of it any more */
void carom_map_free(struct map *map);

/* ---- map_collect.c ---- */

/** carom_map_collect() - take the values of an ended slot of a map, and release it. With the lock. */
void carom_map_collect(struct map *map, uint32_t slot);

/**
 * carom_map_lost() - the worker that ran this batch is dead: take what it left
 * @cause: why; for the item that it was at
 * Return: CAROM_SWEEP_AGAIN if items are left that were never begun. With the lock.
 */
enum carom_sweep_verdict carom_map_lost(struct map *map, uint32_t slot,
					const struct carom_outcome *cause);

/**
 * carom_map_stopped() - the worker that runs this batch gets no further than the item it is at
 * @progress: as it is, or was when that was found out
 * @cause:    why; for that item
 * @all:      and for all that follow
 * Return: true if no item is left. With the lock.
 */
bool carom_map_stopped(struct map *map, uint32_t slot, uint64_t progress,
		       const struct carom_outcome *cause, bool all);

/* ---- map_end.c ---- */

/** carom_map_cancel() - end the chunks that nobody has begun. 0, -EBUSY, -EALREADY. With the lock. */
int carom_map_cancel(struct map *map);

/* ---- map_wait.c ---- */

/** carom_map_wait() - until all parts are collected, which it does. 0, -ETIMEDOUT. Without the lock. */
int carom_map_wait(struct map *map, uint64_t deadline_ns);

/** carom_map_mind() - once, by who is about to sleep for its end: share out what can be. Without the lock. */
void carom_map_mind(struct map *map);

/* ---- supervisor.c: without the lock but for the last; the loop's thread, where nothing else is said ---- */

/** carom_supervisor_start() - ask for all workers; pool->request_count says how many are to come */
void carom_supervisor_start(struct carom_pool *pool);

/** carom_supervisor_fill() - have a process in each open place; with lazy_start, in those that are wanted */
void carom_supervisor_fill(struct carom_pool *pool);

/** carom_supervisor_drain() - the pool was closed: workers end once nothing is left */
void carom_supervisor_drain(struct carom_pool *pool);

/**
 * carom_supervisor_ended() - the process that filled this place is buried
 * @reason: why it ended, which says what is counted
 */
void carom_supervisor_ended(struct worker *worker, enum carom_exit_reason reason, bool was_ready);

/** carom_pool_find_busy() - whose bit is set runs a task. With the lock. */
void carom_pool_find_busy(struct carom_pool *pool, uint64_t ret_busy[CAROM_LANE_MASK_WORDS]);

/** carom_pool_state_now() - with the lock taken for a moment */
enum pool_state carom_pool_state_now(struct carom_pool *pool);

/** carom_supervisor_end() - no process is left: the loop forgets the pool */
void carom_supervisor_end(struct carom_pool *pool);

/** carom_supervisor_limit() - a task with a time limit was submitted. With the lock. Any thread. */
void carom_supervisor_limit(struct carom_pool *pool, uint64_t due_ns);

/* ---- supervisor_end.c: in the loop's thread, where nothing else is said ---- */

/** carom_supervisor_prepare_end() - so that it can end, and break: whatever comes of its start */
void carom_supervisor_prepare_end(struct carom_pool *pool);

/** carom_supervisor_terminate() - end all workers; what nobody has begun is answered first */
void carom_supervisor_terminate(struct carom_pool *pool);

/** carom_supervisor_kill() - likewise, at once */
void carom_supervisor_kill(struct carom_pool *pool);

/**
 * carom_supervisor_break() - as that, because this pool cannot go on
 * @text: what the submitters are told; NULL: the reason's name
 * Any thread, without the lock. The first reason stands.
 */
void carom_supervisor_break(struct carom_pool *pool, enum carom_broken_reason reason, int error,
			    const char *text);

/** carom_pool_describe_break() - to one who is answered because of it. With the lock. */
void carom_pool_describe_break(const struct carom_pool *pool, struct carom_outcome *outcome);

/* ---- close.c ---- */

/** carom_pool_begin_termination() - as carom_pool_terminate(), but that nobody waits: poll it to its end */
void carom_pool_begin_termination(struct carom_pool *pool);

/* ---- typed.c ---- */

struct carom_object;

/** carom_pool_dump() - an object's bytes, as the pool's workers read them; malloc'd. 0, -EINVAL, ... */
int carom_pool_dump(const struct carom_pool *pool, const struct carom_object *object,
		    void **ret_data, size_t *ret_size);

/* ---- poll.c: every wait, in pools with threads and in polled ones ---- */

/**
 * carom_pool_sleep() - until something is settled: a worker was born or refused, the last one ended, or
 *	the state changed
 *
 * With the lock; lets go of it meanwhile. It may be for nothing: look again.
 * Return: 0 or -ETIMEDOUT.
 */
int carom_pool_sleep(struct carom_pool *pool, uint64_t deadline_ns);

/** carom_pool_await() - as carom_lane_await(). Without the lock. */
int carom_pool_await(struct carom_pool *pool, uint32_t slot, uint32_t generation,
		     uint64_t deadline_ns, bool may_spin);

/** carom_pool_await_any() - as carom_lane_await_any(), but may return for nothing. Without the lock. */
int carom_pool_await_any(struct carom_pool *pool, uint32_t ticket, uint64_t deadline_ns);

/** carom_pool_do_due() - of a polled pool: as inside a wait that ends at once. Without the lock. */
void carom_pool_do_due(struct carom_pool *pool);

/** carom_pool_watch_ends() - before a sleep on the lane's ends. Without the lock. */
void carom_pool_watch_ends(struct carom_pool *pool);

/** carom_pool_begin_polled() - once there are a service and a lane, before there are workers */
int carom_pool_begin_polled(struct carom_pool *pool);

/** carom_pool_end_polled() - no worker is left; the service goes */
void carom_pool_end_polled(struct carom_pool *pool);

/** carom_pool_await_ready() - as carom_lane_await_ready(), but may return for nothing. Without the lock. */
int carom_pool_await_ready(struct carom_pool *pool, uint32_t ticket, uint64_t deadline_ns);

/* ---- resize.c ---- */

/** carom_pool_open_places() - for a new pool: the places for its first workers */
void carom_pool_open_places(struct carom_pool *pool);

/* ---- lazy.c ---- */

/** carom_lazy_count() - how many places want to be filled now; with lazy_start not all. With the lock. */
uint32_t carom_lazy_count(const struct carom_pool *pool);

/** carom_lazy_note() - with lazy_start: tasks were submitted, perhaps too many for who is there. With the lock. */
void carom_lazy_note(struct carom_pool *pool);

/* ---- limits.c: the loop's thread, but where it says otherwise ---- */

/**
 * carom_limits_check_order() - say so if a soft limit can never be hit. Any thread, without the lock.
 * @soft_ns, @hard_ns: as asked for in a task's options
 */
void carom_limits_check_order(struct carom_pool *pool, uint64_t soft_ns, uint64_t hard_ns);

/* 0 asks for the pool's; what is beyond all times is none; 0 */
static inline uint64_t limits_choose(uint64_t asked_ns, uint64_t pool_ns)
{
	uint64_t ns = asked_ns ? asked_ns : pool_ns;

	return ns > INT64_MAX ? 0 : ns;
}

/** carom_limits_resolve() - which limits hold for a task that asked for these. Any thread, with the lock. */
static inline void carom_limits_resolve(const struct carom_pool *pool, uint64_t *soft_ns,
					uint64_t *hard_ns)
{
	*soft_ns = limits_choose(*soft_ns, pool->options.soft_limit_ns);
	*hard_ns = limits_choose(*hard_ns, pool->options.hard_limit_ns);
	if (*hard_ns && *soft_ns >= *hard_ns)
		*soft_ns = 0;
}

/** carom_limits_begin() - a pool with these limits is made: say so if one can never be hit */
void carom_limits_begin(const struct carom_pool *pool);

/** carom_limits_set() - for tasks that are submitted from now on. Any thread, without the lock. */
void carom_limits_set(struct carom_pool *pool, uint64_t soft_ns, uint64_t hard_ns);

/** carom_limits_first_due() - before which a task that was just submitted is not to be looked at */
uint64_t carom_limits_first_due(const struct task *task);

/**
 * carom_limits_check() - warn and answer who runs a task longer than its limits. With the lock.
 * Return: when to look again. To be followed by carom_limits_kill().
 */
uint64_t carom_limits_check(struct carom_pool *pool, uint64_t now_ns);

/**
 * carom_limits_terminate() - answer a task that runs, and have its worker killed. With the lock.
 * @generation: of the task; in another one nothing happens
 * @kind:       of its outcome; of a batch, for all its items that have not ended
 * @signal_number: what its worker is sent first: SIGTERM
 *
 * To be followed by carom_limits_kill().
 * Return: 0, or -ESRCH: it does not run (any more, or not yet).
 */
int carom_limits_terminate(struct carom_pool *pool, uint32_t slot, uint32_t generation,
			   enum carom_outcome_kind kind, int signal_number);

/**
 * carom_limits_kill_by() - kill a worker, and all that it has started, beginning with this signal
 *
 * Without the lock. Once only: when it is being killed already, nothing happens.
 */
void carom_limits_kill_by(struct incarnation *victim, int signal_number);

/** carom_limits_kill() - begin to kill those who are to be. Without the lock. */
void carom_limits_kill(struct carom_pool *pool);

/** carom_limits_see() - what runs in a slot, if anything does that was not answered. With the lock. */
bool carom_limits_see(struct carom_pool *pool, uint32_t slot, struct sight *ret_sight);

/**
 * carom_limits_overrun() - its worker has too much memory: answer it, and have that killed. With the lock.
 * @sight: if that task, or item, has ended since, nothing happens
 *
 * To be followed by carom_limits_kill(). Return: false if nothing has happened.
 */
bool carom_limits_overrun(struct carom_pool *pool, const struct sight *sight, uint64_t limit_bytes,
			  uint64_t peak_bytes);

/** carom_limits_swept() - a worker is dead: its slots are free to be used. With the lock. */
void carom_limits_swept(struct carom_pool *pool, uint32_t worker_index);

/** carom_limits_gone() - its process is reaped, and about to be forgotten */
void carom_limits_gone(struct incarnation *dead);

/** carom_limits_lose() - all descriptors were taken away: whoever is being killed is killed by others */
void carom_limits_lose(struct carom_pool *pool);

/** carom_limits_end() - no process is left: what is left of their trees is killed now */
void carom_limits_end(struct carom_pool *pool);

/* ---- backtrace.c: with the lock ---- */

/** carom_task_take_crash() - what its worker, which is dead, has left about its end */
void carom_task_take_crash(struct task *task, const struct worker *worker);

/** carom_result_forget_backtrace() - it is freed, or used for another task */
void carom_result_forget_backtrace(struct carom_result *result);

/* ---- start_timeout.c: the loop's thread ---- */

/** carom_start_timeout_begin() - a new worker has so long to be ready */
void carom_start_timeout_begin(struct incarnation *child);

/** carom_start_timeout_end() - it has ended */
void carom_start_timeout_end(struct incarnation *child);

/* ---- plan.c ---- */

/** carom_pool_plan() - with the lane made: what all workers are told. 0, -ENOMEM. */
int carom_pool_plan(struct carom_pool *pool);

/** carom_pool_cpu() - where worker @index is to run; -1: anywhere */
int64_t carom_pool_cpu(const struct carom_pool *pool, uint32_t index);

/* ---- pool.c ---- */

/** carom_pool_break() - a callback says so. Without the lock; not in the loop's thread. */
void carom_pool_break(struct carom_pool *pool);

/** carom_pool_unref_unlock() - let go of the lock and of one reference */
void carom_pool_unref_unlock(struct carom_pool *pool);

#endif
