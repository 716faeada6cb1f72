/**
 * DOC: pool
 *
 * Worker processes under supervision, and work for them. multiprocessing's Pool.
 *
 *	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
 *
 *	r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 4,
 *					       .hard_limit_ns = CAROM_SECONDS(5)), &pool);
 *	if (r < 0)
 *		return carom_complain("pool", r);
 *	r = carom_pool_map(pool, square, in, 5, sizeof(*in), out, sizeof(*out), NULL);
 *
 * Every task that was accepted is answered exactly once, and is begun at most
 * once, whichever worker dies at whichever instruction: the task that a dying
 * worker was running is `lost`, tasks it had not begun run elsewhere, values it
 * had already left count. The worker is replaced at once.
 *
 * Any thread of the program may submit and wait. In a child made by fork() the
 * program's pools are closed: every function says -ECHILD, and nothing the child does
 * reaches them. How workers are made is the context's (core/context.h) to say:
 *
 *	"forkserver" copies of the program as it was when its fork server was made, with
 *	             the first pool or process: functions of libraries that were
 *	             dlopen()ed later do not exist in them
 *	"fork"       copies of the program as it is when a worker is made, by the library's
 *	             thread; open descriptors are copied, too
 *	"spawn"      the program afresh: main() has to call carom_main_hook(), and what is
 *	             to run in a worker (task functions, the initializer, hooks) must be
 *	             registered, see CAROM_REGISTER()
 *	"thread"     no processes but threads of the program. Whatever a task does it does
 *	             to the program, crashes and exit(3) included. A thread cannot be
 *	             killed: there are no hard limits, and whoever ends the pool waits for
 *	             the tasks that run. What is about lost workers has nothing to do. One
 *	             that calls pthread_exit(3) is lost and replaced. Signals are blocked
 *	             in these threads
 *
 * An idle pool uses no CPU at all. The library installs no signal handlers; its
 * one thread blocks all signals.
 */
#ifndef CAROM_POOL_POOL_H
#define CAROM_POOL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"
#include "../core/time.h"
#include "call.h"
#include "hooks.h"
#include "outcome.h"
#include "pool_options.h"
#include "result.h"
#include "state.h"
#include "task.h"

CAROM_BEGIN_DECLS

struct carom_pool;

/**
 * carom_pool_new() - make a pool and start its workers
 * @options:  read during the call only; NULL for CAROM_ALL_CPUS and all defaults
 * @ret_pool: the new pool; the caller owns it and ends it with carom_pool_free()
 *
 * Returns when every worker process exists; they may still be starting, and tasks
 * can be submitted at once. All or nothing: if one worker cannot be made, none is
 * left. The first pool of a program also makes the library's thread and the fork
 * server, which later pools share: make it early, while the program is small.
 *
 * Context: MT-Safe, AS-Unsafe. Blocks for about 1 ms.
 * Return: 0, or, with *@ret_pool untouched,
 *	-EINVAL  worker_count is 0 or above CAROM_WORKERS_MAX, worker_limit is below
 *	         worker_count or above CAROM_WORKERS_MAX, slot_count above
 *	         32768, a field that takes one of several values has none of them, or
 *	         the options were not made by CAROM_POOL_OPTIONS()
 *	-EOVERFLOW  payload_size times workers does not fit an address space
 *	-E2BIG   @options sets a field newer than this library
 *	-ENOMEM, -EMFILE, -ENFILE, -EFBIG, -EAGAIN  from memfd_create(2), mmap(2),
 *	         ftruncate(2) (RLIMIT_FSIZE), clone(2)
 *	-EOPNOTSUPP  this version does not have what @options asks for; or a hard limit
 *	         or a sandbox for threads; or a memory limit that cannot be kept here as @options wants
 *	         it (see pool/containment.h; the log says why); or no fork server is possible: this kernel, a sandbox or
 *	         the C library leaves only fork(2); carom_feature_next() tells why
 *	-EBUSY   before carom_main_hook(), in a program that was started as a child; or
 *	         "fork" of a program with threads, which the context refuses
 *	-EPERM   in a daemonic process, whose context forbids it children
 *	-ENOENT, -EACCES, -ENOEXEC  of "spawn", as for carom_process_start(); -ENOENT also
 *	         where the initializer or a hook of a worker is not registered
 *	-ERANGE  a memory limit is below what a worker needs to be ready; to find that out
 *	         takes until the workers of a pool with such a limit are ready, at most 30 s
 *	-EDEADLK no fork server came up: other threads hold locks of the C library
 *	         each time one is made
 */
CAROM_API int carom_pool_new(const struct carom_pool_options *options,
			     struct carom_pool **ret_pool);

/**
 * carom_pool_free() - terminate the pool if it runs, wait for its workers' end, free it
 * @pool: NULL is allowed
 *
 * Where that ends tasks of a pool that was not closed, the log has a warning. Row PH-23
 *
 * Context: MT-Safe against other pools; no other thread may use @pool any more,
 * but results of it may live on. In a forked child: frees nothing, and the
 * parent's pool notices nothing.
 * Return: NULL.
 */
CAROM_API struct carom_pool *carom_pool_free(struct carom_pool *pool);
CAROM_API void carom_pool_freep(struct carom_pool **pool);

/**
 * carom_pool_apply_async() - submit a task
 * @function:   runs in some worker
 * @data:       its argument, copied during the call; NULL if @size is 0
 * @size:       any; up to 32 bytes travel with the task itself
 * @options:    NULL for all defaults
 * @ret_result: the caller owns it; NULL if nobody wants to know the outcome
 *
 * Blocks only while `slot_count` tasks are queued or running, or as many with callbacks are
 * to be told; and as put_locks, a semaphore, and the task's wait_for_slot say.
 *
 * Context: MT-Safe, AS-Unsafe.
 * Return: 0, or, with nothing submitted and *@ret_result untouched,
 *	-EINVAL     no function; or @data is NULL and @size is not 0; or wait_for_slot is
 *	            none of its values
 *	-EAGAIN     with CAROM_SLOT_WAIT_NEVER: it would block; or no thread can be made
 *	            for callbacks
 *	-ESHUTDOWN  the pool was closed or terminated
 *	-ENOTRECOVERABLE the pool is broken: see pool/state.h
 *	-ENOMEM     no room for the argument, or for the result's handle
 *	-E2BIG      @options sets a field newer than this library
 *	-EOPNOTSUPP this version does not have what @options asks for; or a hard limit
 *	            in a pool of threads
 *	-ENOENT     the function is not registered, in a pool by "spawn". Where it is
 *	            not in the worker's program, the task fails with this code
 *	-ECHILD     the pool is from before fork()
 */
CAROM_API int carom_pool_apply_async(struct carom_pool *pool, carom_task_fn *function,
				     const void *data, size_t size,
				     const struct carom_task_options *options,
				     struct carom_result **ret_result);

/**
 * carom_pool_apply() - submit a task and wait for its value
 * @out:         the value is copied here; NULL if @out_size is 0
 * @out_size:    room there; a value that is longer is -EMSGSIZE and lost
 * @ret_outcome: how it ended; may be NULL
 *
 * Context: MT-Safe, AS-Unsafe. Blocks.
 * Return: 0; as carom_pool_apply_async() if nothing was submitted; -EREMOTEIO if
 * it ended without a value (then *@ret_outcome says how); -EMSGSIZE; -EBADMSG.
 */
CAROM_API int carom_pool_apply(struct carom_pool *pool, carom_task_fn *function, const void *data,
			       size_t size, void *out, size_t out_size,
			       const struct carom_task_options *options,
			       struct carom_outcome *ret_outcome);

/**
 * carom_pool_terminate_job() - end the task that a worker runs at this moment
 * @pid:           of the worker
 * @signal_number: as carom_result_terminate(), which is the better way: it names the task
 *
 * Context: MT-Safe, AS-Unsafe. Blocks for moments.
 * Return: 0; -ESRCH: no worker has this pid, or it runs nothing; -EINVAL; -ECHILD. Row PM-21.
 */
CAROM_API int carom_pool_terminate_job(struct carom_pool *pool, int64_t pid, int signal_number);

/**
 * carom_pool_flush() - cancel whatever no worker has begun
 *
 * Tasks that run go on. Followed by carom_pool_close() it is what
 * shutdown(cancel_futures=True) is in Python. Rows PM-28, PX-06.
 *
 * Context: MT-Safe, AS-Unsafe. Does not block.
 * Return: how many tasks, and chunks of maps, are `cancelled` now; -ECHILD.
 */
CAROM_API int carom_pool_flush(struct carom_pool *pool);

/**
 * carom_pool_close() - accept no more work
 *
 * Work that was accepted is done and answered; then the workers end. Closing twice
 * is allowed. Workers that die meanwhile are replaced as long as work is left.
 *
 * Context: MT-Safe, AS-Unsafe. Does not block.
 * Return: 0, -ECHILD.
 */
CAROM_API int carom_pool_close(struct carom_pool *pool);

/**
 * carom_pool_terminate() - end the workers now. Row PM-18
 *
 * Values that were already left count. Waiting tasks get the outcome `pool closed`,
 * running ones `terminated`: their workers get SIGTERM, and SIGKILL when grace_ns is
 * over. Workers without a task end at once. Everybody who waits is answered before this
 * returns. It may be called from a callback of the pool, and by several threads. In a
 * pool of threads running tasks come to their own end, and their values count.
 *
 * Context: MT-Safe, AS-Unsafe. Blocks until the workers are dead.
 * Return: 0, -ECHILD, -EDEADLK (by a task of a pool of threads, of that pool itself).
 */
CAROM_API int carom_pool_terminate(struct carom_pool *pool);

/**
 * carom_pool_kill() - as carom_pool_terminate(), but by SIGKILL at once. Row PX-07
 *
 * Also while another thread terminates the pool, whose wait it shortens.
 *
 * Context: MT-Safe, AS-Unsafe. Blocks until the workers are dead.
 * Return: 0, -ECHILD, -EDEADLK (as there).
 */
CAROM_API int carom_pool_kill(struct carom_pool *pool);

/**
 * carom_pool_drain() - close the pool, and have it end by the deadline
 * @deadline_ns: CLOCK_MONOTONIC; what is not done by then is terminated
 *
 * Context: MT-Safe, AS-Unsafe. Blocks until the workers have ended.
 * Return: how many tasks, and items of maps, that were submitted are not done, 0 if all
 * are; -ENOTRECOVERABLE (the pool is broken), -ECHILD, -EDEADLK.
 */
CAROM_API int carom_pool_drain(struct carom_pool *pool, uint64_t deadline_ns);

/**
 * carom_pool_join() - wait until all workers have ended
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * Context: MT-Safe, AS-Unsafe. Blocks.
 * Return: 0, -EINVAL (neither closed nor terminated), -ETIMEDOUT, -ECHILD, -EDEADLK
 * (as carom_pool_terminate()).
 */
CAROM_API int carom_pool_join(struct carom_pool *pool, uint64_t deadline_ns);

/**
 * struct carom_worker_info - one worker
 * @index: from 0; a replacement has the same
 * @pid:   0 while it is being replaced, and for a thread
 * @replaced_count: how often another process took its place
 * @replaced_ns: the last time: from when its death was known to when the new
 *               process was ready to take work; 0 if that is still to come
 */
struct carom_worker_info {
	uint64_t index;
	int64_t pid;
	uint64_t replaced_count;
	uint64_t replaced_ns;
};

/**
 * carom_pool_workers() - the workers as they are now
 * @infos: room for @count
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks for long.
 * Return: how many workers the pool has (perhaps more than @count), -ECHILD.
 */
CAROM_API int carom_pool_workers(struct carom_pool *pool, struct carom_worker_info *infos,
				 size_t count);

/**
 * carom_pool_set_limits() - other time limits for what is submitted from now on
 * @soft_ns: 0 or CAROM_NO_LIMIT means none
 * @hard_ns: likewise
 *
 * As options soft_limit_ns and hard_limit_ns of the pool. What was submitted keeps the
 * limits it has. Row TO-14.
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks for long.
 * Return: 0, -EOPNOTSUPP (a hard limit, and workers that are threads), -ECHILD.
 */
CAROM_API int carom_pool_set_limits(struct carom_pool *pool, uint64_t soft_ns, uint64_t hard_ns);

CAROM_END_DECLS

#endif
