/**
 * DOC: pool options
 *
 * What a pool is to be like. Zero is each field's default, but for worker_count:
 *
 *	r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = CAROM_ALL_CPUS,
 *					       .initializer = open_database,
 *					       .soft_limit_ns = CAROM_SECONDS(4),
 *					       .hard_limit_ns = CAROM_SECONDS(5),
 *					       .max_tasks_per_child = 1000), &pool);
 */
#ifndef CAROM_POOL_POOL_OPTIONS_H
#define CAROM_POOL_POOL_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/time.h"

CAROM_BEGIN_DECLS

struct carom_cgroup_limits;
struct carom_context;
struct carom_pool_hooks;
struct carom_sandbox;
struct carom_semaphore_hooks;

#define CAROM_WORKERS_MAX 1024

/* For worker_count: as many as can run at once, carom_cpu_count(CAROM_CPU_USABLE). */
#define CAROM_ALL_CPUS UINT64_MAX

/* For a limit, of a pool or of a task: none, also where the pool has one. */
#define CAROM_NO_LIMIT UINT64_MAX

/**
 * enum carom_schedule - which worker takes a task
 * @CAROM_SCHEDULE_FAIR:       any that is idle, at once: a short task never waits behind a
 *                             long one while a worker is idle
 * @CAROM_SCHEDULE_THROUGHPUT: workers that are awake first; more are woken only when more
 *                             than 16 tasks wait. Fewer wake-ups where tasks are tiny; one
 *                             may wait behind another, however long that takes, so no task
 *                             may wait for another one
 */
enum carom_schedule {
	CAROM_SCHEDULE_FAIR,
	CAROM_SCHEDULE_THROUGHPUT,
};

/**
 * enum carom_memory_measure - which memory max_memory_per_child_bytes is about
 *
 * Where it is kept by a control group, the kernel has its own measure: see pool/containment.h.
 *
 * @CAROM_MEMORY_PRIVATE:  what the worker has for itself: not what it shares with the
 *                         program or other workers since its birth
 * @CAROM_MEMORY_RESIDENT: all that is resident now, shared or not
 * @CAROM_MEMORY_PEAK:     the most that was ever resident, billiard's: never falls
 */
enum carom_memory_measure {
	CAROM_MEMORY_PRIVATE,
	CAROM_MEMORY_RESIDENT,
	CAROM_MEMORY_PEAK,
};

/**
 * enum carom_worker_signals - which signals end a worker in good order
 * @CAROM_WORKER_SIGNALS_FULL: those of CAROM_SHUTDOWN_FULL, billiard's with threads
 * @CAROM_WORKER_SIGNALS_FEW:  those of CAROM_SHUTDOWN_DEFAULT, billiard's without
 *
 * SIGUSR1 belongs to the soft limit in both, and SIGINT is ignored.
 */
enum carom_worker_signals {
	CAROM_WORKER_SIGNALS_FULL,
	CAROM_WORKER_SIGNALS_FEW,
};

/**
 * typedef carom_initializer_fn - prepares a worker
 * @data, @size: as given in the pool's options
 *
 * Runs once in each worker process before its first task, in its main thread. @data stays
 * where it is for as long as the worker lives, for reading only. Signals have their default
 * actions meanwhile, but for SIGINT, which is ignored; what it changes of those that end a
 * worker is overridden, unless it ignores them. Return: 0, or below 0: the worker ends, and
 * the pool counts a failed start, as it does when it exits or crashes.
 */
typedef int carom_initializer_fn(const void *data, size_t size);

/**
 * struct carom_pool_options - what carom_pool_new() makes
 * @size_bytes:   size of this struct; CAROM_POOL_OPTIONS() fills it in
 * @worker_count: 1 to CAROM_WORKERS_MAX, or CAROM_ALL_CPUS for as many as can run
 *                at once: carom_cpu_count(CAROM_CPU_USABLE), at most CAROM_WORKERS_MAX.
 *                The one field that has no default: a count that was computed and
 *                came out as 0 is a mistake, not a wish for all CPUs. Row PC-01
 * @hard_limit_ns: a task (or an item of a map) that runs longer is killed with its
 *                worker and all processes it has started; counted from when the worker
 *                began it. 0 means no limit. Row PC-05
 * @slot_count:   how many tasks may be queued or running at once; who submits more
 *                waits. 0 means 4096; at most 32768
 * @spin_ns:      how long a worker looks for work, and a waiting thread for its
 *                result, before it sleeps. 0 means adaptive: up to 50 us, only
 *                where another CPU can do the work meanwhile, and not where it
 *                did not help before; CAROM_SPIN_NEVER means never
 * @payload_size: address space for arguments, and for each worker's values, in
 *                bytes; memory is used as needed and given back, but for up to 16 MiB
 *                that arguments, and each worker's values, keep. Blocks are powers
 *                of two and a worker uses one half at a time, so that a value of an
 *                eighth of it always fits where nothing else is held. 0 means
 *                16 GiB, less where address space is limited
 * @timestamps:   note when each task was submitted, begun and ended (70 ns a task);
 *                tasks with a time limit or callbacks always have them
 *
 * @soft_limit_ns: a task (or an item) that runs longer is told so, see
 *                pool/soft_limit.h; 0 means it is not. Row PC-06
 * @grace_ns:     a worker that is to be killed while it runs a task gets SIGTERM, and
 *                SIGKILL so much later. 0 means 100 ms; CAROM_NO_GRACE: SIGKILL at
 *                once. Row TO-08
 *
 * @context:      how workers are made, see pool/pool.h. NULL: the default context; where
 *                none was chosen, "forkserver". Row PC-20
 * @worker_limit: up to how many workers carom_pool_grow() may go. 0 means four times
 *                worker_count, at least 64. Costs address space, and 256 bytes each
 * @lazy_start:   1: make a worker only when there is work that no other can take at
 *                once. Row PX-03. With a limit of memory one is made at once, so that it is
 *                known whether a worker can live with it
 * @pin_workers:  1: worker i runs on the i-th of the CPUs that the program may use,
 *                counted around. Row WK-26
 *
 * @initializer:  runs in each worker before its first task; NULL: nothing. Row PC-02
 * @initializer_data, @initializer_size: handed to it; copied
 * @start_timeout_ns: a worker that is not ready by then is killed and counts as a failed
 *                start; 0 means none. Row PC-28
 * @max_tasks_per_child: a worker is replaced after so many tasks; a chunk of a map is
 *                one. 0 means never. Row PC-04
 * @max_tasks_counts_items: 1: items of chunks count for max_tasks_per_child
 * @max_memory_per_child_bytes: a worker may have so much memory; 0 means any. By which means
 *                that is kept is said by memory_rungs. Rows PC-21, WL-08
 * @memory_measure: which memory, where it is sampled, or looked at after a task: one of enum
 *                carom_memory_measure
 * @worker_signals: one of enum carom_worker_signals
 *
 * @max_restarts: more deaths of workers within restart_window_ns break the pool: all
 *                that wait are answered, see pool/state.h. Neither recycling nor an end in good
 *                order counts, and each task that begins clears the count. 0 means 100
 *                for each worker; CAROM_NO_LIMIT: never, whatever they die of. Rows
 *                PC-08, RP
 * @restart_window_ns: 0 means 1 s. Row PC-09
 * @restart_backoff_ns: the pause before the second replacement in a row of a worker that
 *                did not come to be ready; doubles up to 64 times that. 0 means 1 ms. Row RP-14
 * @kill_self_on_break: 1: when the pool breaks, SIGTERM to the program itself, billiard's
 *                way. Row RP-03
 * @break_on_loss: 1: one lost worker breaks the pool, as ProcessPoolExecutor's. Row PX-04
 * @retry_on_loss: a task whose worker is lost is begun again, up to so often: only for
 *                tasks that may run twice. 0 means never. Not for items of maps and of
 *                iterators: one that is lost stays so. Row WL-09
 *
 * @put_locks:    1: no more tasks are accepted than there are workers; who submits more
 *                waits. Maps and iterators neither wait nor count. Row PC-17
 * @semaphore:    what guards their number instead; NULL: a count. Row PC-16
 * @synack:       1: a worker that has taken a task waits until the program has seen
 *                that, and cancelling wins until then; a worker that dies meanwhile has
 *                not begun it. Costs two wake-ups more, and waits for callbacks that are
 *                at it, which so must not wait for tasks. Not for maps and iterators.
 *                Row PC-19
 * @callbacks_first: 1: a result counts as ready only after its callbacks have returned.
 *                Row CB-01
 * @callbacks_propagate: 1: a callback that returns below 0 breaks the pool; else that is
 *                logged. Row CB-07
 *
 * @schedule:     one of enum carom_schedule. Row PC-29
 * @polled:       1: no thread of the library: carom_pool_poll() does what is due, see
 *                pool/poll.h. Row PC-15
 * @backtraces:   1: a task that fails by carom_call_fail() or crashes says where.
 *                Row RS-23
 * @statistics:   1: count tasks and measure their waits and run times (80 ns a task), in
 *                8 KiB for each worker that other processes of the user can find and read:
 *                see pool/statistics.h
 * @name:         of the pool, in statistics; copied; NULL: "pool"
 * @hooks:        functions to be called on the way, see pool/hooks.h; copied; may be NULL
 *
 * @memory_rungs: by which means max_memory_per_child_bytes may be kept: bits of enum
 *                carom_memory_rung. 0 means CAROM_RUNGS_USUAL: a control group, or sampling
 *                where there is none; and replacing workers after tasks
 * @required_rungs: those of them without which there is to be no pool
 * @worker_limits: further limits of each worker and all that it starts, kept by a control
 *                group, without which there is no pool then: processes, CPU time, a second limit
 *                of memory above max_memory_per_child_bytes. Read during the call; may be NULL
 * @pool_limits:  likewise, of all workers together
 *
 * @sandbox:      what its workers may ask of the kernel while they run tasks, see
 *                core/sandbox.h; kept. NULL: all that the program may. A worker enters it
 *                when it was initialized: what the initializer and on_loop_start have opened
 *                stays open, and threads that they have started keep it from beginning. A task
 *                that calls what it may not ends with CAROM_OUTCOME_SANDBOX_VIOLATION, and
 *                its worker is replaced. Not for threads. Its workers are isolated as
 *                well; but not with statistics: then they see each other's arguments and values
 *
 * @isolated:     1: each worker has memory of its own to take
 *                tasks from and to leave values in, which no other worker can see, and of
 *                which the program believes nothing: a worker that writes nonsense there is
 *                killed, and costs its task, which is lost with the message "protocol
 *                violation: ...". Arguments and values are copied once more, while other
 *                submitters wait. Where tasks wait, a worker that is quick has a few more in
 *                hand than the one it is at, and so sees their arguments: what it has not
 *                begun is done by others as soon as they can, whatever the schedule, and when
 *                it dies. So a task may begin after a later one. Between two items of a map
 *                the time counts too: a worker that does not begin the next within the hard
 *                limit, or 100 ms if that is more, has hit the limit with that item.
 *                payload_size is 1 GiB if it is 0, and bounds what a worker can make the
 *                program take. Not with statistics, and not for threads. A worker made by
 *                "fork" begins as a copy of all that the program has in its memory
 *
 * @task_usage:   1: outcomes say how much CPU time and memory a task took, as its worker
 *                measures it: see struct carom_outcome. CPU time is that of the worker's process,
 *                and of its children that the task has waited for. Memory is the most that
 *                there was while it ran, with what its worker had before: of the worker's control
 *                group, where it has one and the kernel can tell tasks apart there (Linux 6.12);
 *                else what its process alone had resident. Threads tell CPU time. Not for
 *                the items of a map, of which a worker does several as one task. Costs some
 *                30 us a task
 */
struct carom_pool_options {
	size_t size_bytes;
	uint64_t worker_count;
	uint64_t hard_limit_ns;
	uint64_t slot_count;
	uint64_t spin_ns;
	uint64_t payload_size;
	uint64_t timestamps;

	uint64_t soft_limit_ns;
	uint64_t grace_ns;

	struct carom_context *context;
	uint64_t worker_limit;
	uint64_t lazy_start;
	uint64_t pin_workers;

	carom_initializer_fn *initializer;
	const void *initializer_data;
	size_t initializer_size;
	uint64_t start_timeout_ns;
	uint64_t max_tasks_per_child;
	uint64_t max_tasks_counts_items;
	uint64_t max_memory_per_child_bytes;
	uint64_t memory_measure;
	uint64_t worker_signals;

	uint64_t max_restarts;
	uint64_t restart_window_ns;
	uint64_t restart_backoff_ns;
	uint64_t kill_self_on_break;
	uint64_t break_on_loss;
	uint64_t retry_on_loss;

	uint64_t put_locks;
	const struct carom_semaphore_hooks *semaphore;
	uint64_t synack;
	uint64_t callbacks_first;
	uint64_t callbacks_propagate;

	uint64_t schedule;
	uint64_t polled;
	uint64_t backtraces;
	uint64_t statistics;
	const char *name;
	const struct carom_pool_hooks *hooks;

	uint64_t memory_rungs;
	uint64_t required_rungs;
	const struct carom_cgroup_limits *worker_limits;
	const struct carom_cgroup_limits *pool_limits;

	struct carom_sandbox *sandbox;

	uint64_t isolated;

	uint64_t task_usage;
};
#define CAROM_POOL_OPTIONS(...) CAROM_OPTIONS(carom_pool_options, __VA_ARGS__)

/* For grace_ns: SIGKILL at once. */
#define CAROM_NO_GRACE UINT64_MAX

CAROM_END_DECLS

#endif
