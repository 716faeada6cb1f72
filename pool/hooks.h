/**
 * DOC: hooks
 *
 * Functions of the program that a pool calls on its way: billiard's on_... arguments
 * and overridable methods.
 *
 * Those that run in the program are called by the thread that callbacks of tasks are
 * called by (in a polled pool: by whoever polls), one at a time, in the order in which
 * things happened, without a lock held: they may call any function of the pool. Those
 * that run in a worker are called by its main thread, or by the thread that it is; with a
 * start method that executes a program they must be registered functions, and @userdata
 * is NULL there.
 */
#ifndef CAROM_POOL_HOOKS_H
#define CAROM_POOL_HOOKS_H

#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"

CAROM_BEGIN_DECLS

struct carom_call;
struct carom_outcome;
struct carom_result;

/** enum carom_exit_reason - why a worker's process ended */
enum carom_exit_reason {
	CAROM_EXIT_REASON_ENDED,       /* in good order: the pool was closed, shrunk or restarted */
	CAROM_EXIT_REASON_RECYCLED,    /* max_tasks_per_child or max_memory_per_child_bytes */
	CAROM_EXIT_REASON_LOST,        /* it crashed, exited, or somebody killed it */
	CAROM_EXIT_REASON_LIMIT,       /* killed for a task's hard limit */
	CAROM_EXIT_REASON_TERMINATED,  /* killed with its task, or with the pool */
	CAROM_EXIT_REASON_INIT_FAILED, /* its initializer failed */
	CAROM_EXIT_REASON_INIT_TIMEOUT, /* it was not ready in time */
	CAROM_EXIT_REASON_MEMORY_LIMIT, /* killed at its memory limit */
	CAROM_EXIT_REASON_PROTOCOL, /* killed: isolated, it wrote into its lane what it may not */
};

/** carom_exit_reason_name() - "ended", "recycled", "lost", "limit", ... MT-Safe, AS-Safe; static text. */
CAROM_API const char *carom_exit_reason_name(enum carom_exit_reason reason);

/**
 * struct carom_worker_event - a worker's process has started or ended
 * @index:  which worker, from 0; replacements keep it
 * @pid:    its process; 0 for a thread
 * @signal: that killed it, or 0
 * @exit_status: -1 if a signal killed it or somebody else took the status
 * @reason: one of enum carom_exit_reason; of no meaning when it has started
 */
struct carom_worker_event {
	uint64_t index;
	int64_t pid;
	int32_t signal;
	int32_t exit_status;
	uint64_t reason;
};

/**
 * struct carom_pool_hooks - each may be NULL
 * @size_bytes: size of this struct; CAROM_POOL_HOOKS() fills it in
 * @userdata:   handed to each of them
 *
 * In the program:
 * @on_process_up:   a worker's process was started, first or as a replacement. Row PC-10
 * @on_process_down: one has ended, and its tasks are seen to. Row PC-11
 * @on_timeout_set:  a task with limits was begun; 0 for one it does not have. Row PC-13
 * @on_timeout_cancel: such a task has ended; before its callbacks. Row PC-14
 * @on_job_ready:    a task, or a map that has a result, has ended, discarded or not; before
 *                   its callbacks. Not for items of carom_pool_map() and of iterators.
 *                   Costs each task a notice. Rows PH-08, PH-17
 * @on_grow, @on_shrink: the pool has so many workers more, or less. Row PH-09
 * @on_job_process_down: the worker that runs, or ran, a task is gone. Row PH-11
 * @on_job_process_lost: a task is lost with its worker; before its callbacks. Row PH-12
 * @cpu_count:       for CAROM_ALL_CPUS. Called in carom_pool_new(). Row PH-07
 * @name_process:    once for each worker that is made: @name holds the usual one, and may be
 *                   written over, with its NUL. Called in the library's own thread (in a
 *                   polled pool: by whoever drives it), so it may not call the pool. Row PH-20
 *
 * In a worker, where @userdata is an address of the program as it was when the fork server
 * was made, like all that is not in shared memory:
 * @on_loop_start:   before its first task. Row WK-09
 * @prepare_result:  may change the value of a task, or of an item, that has succeeded,
 *                   before it is left: see carom_call_value(). Below 0: it has failed after
 *                   all, with that code. Row WK-10
 * @on_process_exit: last thing before it exits in good order, with its exit status: 0,
 *                   155 when it is recycled, or minus the signal; not when a signal ends it
 *                   in the middle of a task. Row PC-12
 */
struct carom_pool_hooks {
	size_t size_bytes;
	void *userdata;
	void (*on_process_up)(const struct carom_worker_event *event, void *userdata);
	void (*on_process_down)(const struct carom_worker_event *event, void *userdata);
	void (*on_timeout_set)(struct carom_result *result, uint64_t soft_ns, uint64_t hard_ns,
			       void *userdata);
	void (*on_timeout_cancel)(struct carom_result *result, void *userdata);
	void (*on_job_ready)(uint64_t task_id, const struct carom_outcome *outcome, void *userdata);
	void (*on_grow)(uint64_t count, void *userdata);
	void (*on_shrink)(uint64_t count, void *userdata);
	void (*on_job_process_down)(uint64_t task_id, int64_t pid, void *userdata);
	void (*on_job_process_lost)(uint64_t task_id, const struct carom_outcome *outcome,
				    void *userdata);
	uint64_t (*cpu_count)(void *userdata);
	void (*name_process)(uint64_t index, char *name, size_t size, void *userdata);

	void (*on_loop_start)(int64_t pid, void *userdata);
	int (*prepare_result)(struct carom_call *call, void *userdata);
	void (*on_process_exit)(int64_t pid, int exit_code, void *userdata);
};
#define CAROM_POOL_HOOKS(...) CAROM_OPTIONS(carom_pool_hooks, __VA_ARGS__)

CAROM_END_DECLS

#endif
