/**
 * DOC: result
 *
 * The handle of a task that was submitted: wait for it, take its value, learn how
 * it ended. multiprocessing's AsyncResult.
 *
 *	r = carom_pool_apply_async(pool, work, &in, sizeof(in), NULL, &result);
 *	...
 *	r = carom_result_get(result, CAROM_NO_DEADLINE, &out, sizeof(out), NULL);
 *	result = carom_result_free(result);
 *
 * A result may be waited for by several threads at once. It outlives its pool:
 * what was answered can still be read, and what was not is answered when the pool
 * is terminated. Freeing it is the only thing that must not race with its use.
 */
#ifndef CAROM_POOL_RESULT_H
#define CAROM_POOL_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"
#include "../core/time.h"
#include "outcome.h"

CAROM_BEGIN_DECLS

struct carom_result;

/* multiprocessing has two names for it as well. Row RS-22. */
#define carom_async_result carom_result

/**
 * carom_result_wait() - wait until it is ready
 * @deadline_ns: CLOCK_MONOTONIC; CAROM_NO_DEADLINE for ever, CAROM_PASSED only looks
 *
 * Context: MT-Safe, AS-Unsafe. Blocks. A signal does not end the wait.
 * Return: 0, -ETIMEDOUT (the task goes on), -ECHILD (a handle from before fork()).
 */
CAROM_API int carom_result_wait(struct carom_result *result, uint64_t deadline_ns);

/**
 * carom_result_get() - wait, and copy the value
 * @deadline_ns: as above
 * @buffer:      the value is copied here; may be NULL if @size is 0. For a map:
 *               NULL and 0; the values are in the map's `out`
 * @size:        room in @buffer
 * @ret_size:    the value's length, also with -EMSGSIZE; may be NULL
 *
 * May be called again, and gives the same again.
 *
 * Context: MT-Safe, AS-Unsafe. Blocks.
 * Return: 0, or, with @buffer untouched,
 *	-ETIMEDOUT  not ready; the task goes on
 *	-EREMOTEIO  ended without a value: see carom_result_outcome()
 *	-EMSGSIZE   @size is too small; the value is kept
 *	-EBADMSG    the worker left a value outside its room; the value is lost
 *	-ECHILD     a handle from before fork()
 */
CAROM_API int carom_result_get(struct carom_result *result, uint64_t deadline_ns, void *buffer,
			       size_t size, size_t *ret_size);

/**
 * carom_result_data() - the value in place, without a copy
 * @ret_data: shared memory, to be read only; valid until the result is freed, and not in a
 *            child by fork()
 * @ret_size: its length
 *
 * From now on the result keeps its place in the pool's slots, and its room in shared
 * memory, until it is freed: who holds slot_count of such results can submit nothing more.
 *
 * Context: MT-Safe. Never blocks.
 * Return: 0, -EINPROGRESS (not ready), -EREMOTEIO, -EBADMSG, -ECHILD as above.
 */
CAROM_API int carom_result_data(struct carom_result *result, const void **ret_data,
				size_t *ret_size);

/** carom_result_ready() - has it ended, in whatever way? MT-Safe, never blocks. */
CAROM_API bool carom_result_ready(struct carom_result *result);

/**
 * carom_result_successful() - did it end with a value?
 *
 * Context: MT-Safe. Never blocks.
 * Return: 1 (for a map: every item did), 0, -EINPROGRESS (not ready), -ECHILD.
 */
CAROM_API int carom_result_successful(struct carom_result *result);

/**
 * carom_result_outcome() - how it ended; kind PENDING while it has not
 * @ret_outcome: a copy. For a map: of the first item, by index, that has no value,
 *               or of its last item if all have
 *
 * Context: MT-Safe. Never blocks.
 * Return: 0, -ECHILD.
 */
CAROM_API int carom_result_outcome(struct carom_result *result, struct carom_outcome *ret_outcome);

/**
 * carom_result_cancel() - it shall not run
 *
 * Wins until a worker has begun it; in a pool with `synack` until the program has given
 * leave to. Of a map the chunks that nobody has begun are cancelled. Its outcome is
 * `cancelled`. Rows PC-19, PX-01.
 *
 * Context: MT-Safe. Never blocks.
 * Return: 0; -EBUSY: it runs; -EALREADY: it has ended; -ECHILD.
 */
CAROM_API int carom_result_cancel(struct carom_result *result);

/**
 * carom_result_terminate() - end it, whether it has begun or not
 * @signal_number: what its worker is sent, if one runs it; 0 means SIGTERM
 *
 * What nobody has begun does not run. A worker that runs it is sent the signal, and
 * SIGKILL with all it has started after the pool's grace_ns, and is replaced; never one
 * that has got on to another task. It is answered at once: `terminated`, with this
 * signal. Of a map, all items that have not ended. Rows PM-21, PM-22, RS-09.
 *
 * Context: MT-Safe, AS-Unsafe. Blocks for moments.
 * Return: 0; -ESRCH: it has ended; -EINVAL: no such signal; -ECHILD.
 */
CAROM_API int carom_result_terminate(struct carom_result *result, int signal_number);

/**
 * carom_result_discard() - nobody wants to know: its callbacks are not called
 *
 * It runs all the same, and the handle stays as good as before. A callback that is
 * being called at this moment may still run. Row RS-08.
 *
 * Context: MT-Safe. Never blocks. Return: 0, -ECHILD.
 */
CAROM_API int carom_result_discard(struct carom_result *result);

/**
 * carom_result_accepted() - has a worker begun it? Of a map: all its chunks?
 *
 * Context: MT-Safe. Never blocks. Return: 1, 0, -ECHILD. Row RS-06.
 */
CAROM_API int carom_result_accepted(struct carom_result *result);

/**
 * carom_result_worker_pids() - who runs it, or ran it last
 * @pids: room for @count. Of a map: one for each item that was begun, in their order
 *
 * Context: MT-Safe. Never blocks.
 * Return: how many there are (perhaps more than @count), -ECHILD. Row RS-07.
 */
CAROM_API int carom_result_worker_pids(struct carom_result *result, int64_t *pids, size_t count);

/** carom_result_id() - its number, different for each task of the program. MT-Safe. Row PM-34. */
CAROM_API uint64_t carom_result_id(const struct carom_result *result);

/** carom_result_correlation_id() - as given with it, until it is freed; or NULL. MT-Safe. */
CAROM_API const char *carom_result_correlation_id(const struct carom_result *result);

/** carom_result_userdata() - as given with it; still the program's. MT-Safe. */
CAROM_API void *carom_result_userdata(const struct carom_result *result);

/**
 * carom_result_describe() - a line for people: its id, whether it was accepted, whether it is ready
 * @text: room for @size bytes, at least 1; 64 hold every line
 *
 * Context: MT-Safe. Never blocks. Return: @text. Row RS-15.
 */
CAROM_API char *carom_result_describe(struct carom_result *result, char *text, size_t size);

/**
 * carom_result_backtrace() - where a task has failed or crashed
 * @ret_text: lines, the innermost function first, valid until the result is freed;
 *            exported functions have names (link with -rdynamic), others file and offset
 * @ret_size: its length
 *
 * Of tasks of pools with `backtraces`, not of maps: those that failed by carom_call_fail(),
 * and those that crashed where that can be captured safely (glibc from 2.35 on). What is
 * longer than 64 calls, or 4 KiB, ends with "[rest of backtrace truncated]".
 *
 * Context: MT-Safe, AS-Unsafe. Never blocks for long.
 * Return: 0, or, with nothing set, -EINPROGRESS (not ready), -ENODATA (there is none),
 * -ENOMEM, -ECHILD. Rows RS-23, RS-24.
 */
CAROM_API int carom_result_backtrace(struct carom_result *result, const char **ret_text,
				     size_t *ret_size);

struct carom_waitable;

/**
 * carom_result_waitable() - to wait for its end beside other things: CAROM_WAIT_FOR_RESULT() of
 * carom_wait(), see ipc/wait.h
 *
 * Context: MT-Safe. In a polled pool, carom_wait() belongs to the pool's thread, and does what is
 * due, as every wait there does.
 * Return: what stays the result's.
 */
CAROM_API struct carom_waitable *carom_result_waitable(struct carom_result *result);
#define CAROM_WAIT_FOR_RESULT(r) CAROM_WAIT_FOR(carom_result_waitable(r))

/**
 * carom_result_free() - let go of it
 * @result: NULL is allowed
 *
 * The task, if it still waits or runs, is not cancelled; its callbacks are called, and its
 * value is dropped when it comes. A map that is not ready is waited for first, since workers' values go
 * to the caller's memory.
 *
 * Context: MT-Safe, AS-Unsafe. In a forked child: does nothing.
 * Return: NULL.
 */
CAROM_API struct carom_result *carom_result_free(struct carom_result *result);
CAROM_API void carom_result_freep(struct carom_result **result);

CAROM_END_DECLS

#endif
