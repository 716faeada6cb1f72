/**
 * DOC: call
 *
 * What a task function sees of its task. It runs in a worker process, reads its
 * argument, and leaves a value:
 *
 *	static int square(struct carom_call *call)
 *	{
 *		int64_t x;
 *		int r = carom_call_read(call, &x, sizeof(x));
 *
 *		return r < 0 ? r : carom_reply(call, &(int64_t){ x * x }, sizeof(x));
 *	}
 *
 * Returning 0 makes the outcome `ok`, with the bytes of the last reply (none if
 * there was none). Returning below 0 makes it `failed` with that code. A function
 * that exits, crashes or is killed loses its task and nothing else; so does one that
 * calls execve(2) or ends the main thread: its worker is killed, and the task lost.
 *
 * The worker is a copy of the program as it was when its fork server was made:
 * later changes to the program's memory are not seen in it, and what the function
 * changes is not seen outside. Descriptors other than 0, 1 and 2 are closed in it. So it
 * is with the fork server; for pools of other contexts see pool/pool.h.
 *
 * Processes that it starts may go on when it has returned; they end with their worker,
 * whose end is not put off by them.
 *
 * A signal that asks a worker to end (SIGTERM and others, see worker_signals) ends it at
 * once, in the middle of a task, which is lost. A task that has something to bring to its
 * end first asks to be told: carom_call_on_shutdown(). SIGINT is ignored: ^C is for the
 * program, which decides what becomes of its workers.
 *
 * A call belongs to the thread that runs the function, until it returns.
 */
#ifndef CAROM_POOL_CALL_H
#define CAROM_POOL_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"

CAROM_BEGIN_DECLS

struct carom_call;

/**
 * typedef carom_task_fn - a task function
 * Return: 0, or below 0 for failure: a negative errno value or a code of the program's own.
 */
typedef int carom_task_fn(struct carom_call *call);

/**
 * carom_call_data() - the argument, in place
 * @ret_size: its length in bytes; may be NULL
 *
 * Shared memory, not to be written (writing to an argument above 32 bytes is
 * SIGSEGV); aligned to 8 bytes, to 64 if larger than 32 bytes (items of a map
 * stand one after the other as in the caller's array). Valid until the function
 * returns.
 *
 * Context: the function's thread.
 */
CAROM_API const void *carom_call_data(const struct carom_call *call, size_t *ret_size);

/**
 * carom_call_argument() - one of several arguments, in place
 * @position: from 0; 0 is what carom_call_data() gives
 * @ret_size: its length in bytes; may be NULL
 *
 * What carom_pool_starmap() hands to a function. As carom_call_data() otherwise.
 *
 * Context: the function's thread.
 * Return: the argument, or NULL, with *@ret_size untouched: there are fewer.
 */
CAROM_API const void *carom_call_argument(const struct carom_call *call, size_t position,
					  size_t *ret_size);

/** carom_call_argument_count() - how many there are: 1, but for a starmap. The function's thread. */
CAROM_API size_t carom_call_argument_count(const struct carom_call *call);

/**
 * carom_call_read() - copy an argument of known size
 * @size: what the function expects
 *
 * Context: the function's thread.
 * Return: 0, or -EMSGSIZE, with @buffer untouched, if the argument has another size.
 */
CAROM_API int carom_call_read(const struct carom_call *call, void *buffer, size_t size);

/**
 * carom_reply() - leave a value
 * @data: copied; NULL if @size is 0
 * @size: any; up to 32 bytes cost nothing extra. In a map at most its out_size,
 *        and what is shorter is filled up with zeros
 *
 * A second reply replaces the first, also when it fails. If the last one failed and the
 * function does not mind, the task is `failed` with that code: never without a value that
 * it was to have.
 *
 * Context: the function's thread.
 * Return: 0, -EMSGSIZE (a map's items have no room for it), -ENOMEM (the worker's
 * room for results is exhausted by results not yet freed).
 */
CAROM_API int carom_reply(struct carom_call *call, const void *data, size_t size);

/**
 * carom_reply_reserve() - room for a value, to be written in place
 * @size:       how much at most
 * @ret_buffer: the room, aligned to 8 bytes; not zeroed; valid until the function
 *              returns or replies again
 *
 * carom_reply_commit() makes it the value. Without a commit there is none.
 *
 * Context: the function's thread.
 * Return: as carom_reply().
 */
CAROM_API int carom_reply_reserve(struct carom_call *call, size_t size, void **ret_buffer);

/**
 * carom_reply_commit() - the room reserved last is the value
 * @size: how much of it was written
 *
 * Context: the function's thread.
 * Return: 0, -EINVAL (nothing reserved, or less than @size).
 */
CAROM_API int carom_reply_commit(struct carom_call *call, size_t size);

/**
 * carom_call_fail() - say why the task fails
 * @code:   below 0; anything else becomes -EINVAL
 * @format: as printf(3); cut at CAROM_OUTCOME_MESSAGE_MAX - 1 bytes
 *
 *	return carom_call_fail(call, -ENOENT, "no user %s", name);
 *
 * The text counts only if the function then returns below 0. In a map of chunks it is
 * cut at out_size bytes.
 *
 * Context: the function's thread.
 * Return: @code.
 */
CAROM_API int carom_call_fail(struct carom_call *call, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * carom_call_value() - what was replied last, in place
 * @ret_size: its length in bytes; may be NULL
 *
 * For the hook `prepare_result`, which may change it there. A reply ends it.
 *
 * Context: the function's thread.
 * Return: NULL if there is no value, or an empty one.
 */
CAROM_API void *carom_call_value(struct carom_call *call, size_t *ret_size);

/**
 * typedef carom_call_shutdown_fn - the worker is told to end, and the task with it
 * @number: the signal
 *
 * Called in the handler of that signal: AS-Safe calls only.
 */
typedef void carom_call_shutdown_fn(int number, void *userdata);

/**
 * carom_call_on_shutdown() - do not end this task in its middle
 * @function: called when a signal asks this worker to end; NULL: only carom_call_shutdown()
 *            tells
 *
 * From now until the function returns, in a map of chunks for this item, such a signal
 * interrupts calls that wait (-EINTR) and no more. When the function has returned, its value
 * is left, and the worker ends by the signal. Who does not want to wait sends it again, and
 * the worker ends at once; another one of these signals makes it exit with status 70.
 *
 * Context: the function's thread.
 * Return: 0, -EOPNOTSUPP (a worker that is a thread: signals are the program's).
 */
CAROM_API int carom_call_on_shutdown(struct carom_call *call, carom_call_shutdown_fn *function,
				     void *userdata);

/** carom_call_shutdown() - the signal that has asked this worker to end; 0. AS-Safe. */
CAROM_API int carom_call_shutdown(const struct carom_call *call);

/** carom_call_worker() - the index of this worker in its pool, from 0; replacements keep it. AS-Safe. */
CAROM_API int carom_call_worker(const struct carom_call *call);

/** carom_call_index() - which item of a map or imap this is, from 0; 0 for apply. AS-Safe. */
CAROM_API uint64_t carom_call_index(const struct carom_call *call);

CAROM_END_DECLS

#endif
