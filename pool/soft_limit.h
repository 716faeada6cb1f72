/**
 * DOC: soft limit
 *
 * How a task function learns that its soft time limit has passed, so that it can stop in
 * good order before the hard limit kills it. It may look:
 *
 *	while (!carom_call_soft_limit(call) && more_to_do(&work))
 *		do_some(&work);
 *	return carom_reply(call, &work.result, sizeof(work.result));
 *
 * or wait: calls that block (read(2), poll(2), nanosleep(2), ...) return EINTR. The
 * signal behind it is sent again after 1 ms, 2 ms, 4 ms, ... until the function has
 * looked: so a call that is entered just after the first is interrupted too.
 * Or it has a function of its own called, or gives up in the middle of what it calls.
 *
 * A function that leaves a value all the same succeeds. One that returns -EINTR or -ETIME
 * after its soft limit has the outcome `soft limit`; any other failure is `failed`.
 *
 * Nothing of it ever reaches the next task, or the next item of a map: a worker does not
 * go on before it has received what was sent for this one. In a worker SIGUSR1 belongs to
 * the library. One that somebody else sends is counted and otherwise ignored (though it
 * interrupts what blocks).
 *
 * A function that blocks SIGUSR1, or gives it another handler, is told by
 * carom_call_soft_limit() alone, and so is one in a pool of threads.
 */
#ifndef CAROM_POOL_SOFT_LIMIT_H
#define CAROM_POOL_SOFT_LIMIT_H

#include <stdbool.h>

#include "../core/api.h"

CAROM_BEGIN_DECLS

struct carom_call;

/**
 * carom_call_soft_limit() - has the soft limit of this task, or item, passed?
 *
 * Costs a load or two. Once it has said yes, no further signal is sent.
 *
 * Context: MT-Safe, AS-Safe. Any thread of the worker, until the function returns.
 */
CAROM_API bool carom_call_soft_limit(const struct carom_call *call);

/**
 * typedef carom_soft_limit_fn - called when the soft limit passes
 *
 * In a signal handler, wherever the function is at that moment: AS-Safe calls only.
 */
typedef void carom_soft_limit_fn(void *userdata);

/**
 * carom_call_on_soft_limit() - have a function called when the soft limit passes, once
 * @function: NULL: none any more
 * @userdata: handed to it
 *
 * If the limit has passed already it is called at once. What @userdata points to must
 * outlive the task function, or @function be taken back before that returns: the signal
 * may come while it does. It counts for this task, or item, alone.
 *
 * Context: the function's thread, AS-Safe.
 */
CAROM_API void carom_call_on_soft_limit(struct carom_call *call, carom_soft_limit_fn *function,
					void *userdata);

/**
 * carom_call_until_soft_limit() - call a function that is left when the soft limit passes
 * @function: AS-Safe, or such that it can be left anywhere: what it holds at that moment,
 *            a lock, memory, a stream, stays held. siglongjmp(3) does it
 * @userdata: handed to it
 *
 * For code that cannot look: a computation in somebody else's library. May be nested.
 *
 * Context: the function's thread.
 * Return: what @function returned; -ETIME: it was left, or not even begun, because the
 * soft limit has passed.
 */
CAROM_API int carom_call_until_soft_limit(struct carom_call *call, int (*function)(void *userdata),
					  void *userdata);

/**
 * carom_soft_limit_handler() - as if the soft limit of the task at hand had passed now
 * @signal_number: of no meaning; it can be a signal handler
 *
 * For a task that limits itself, by a timer or another signal of its own. Outside of a
 * task function's thread it does nothing. Row TO-15.
 *
 * Context: AS-Safe (keeps errno), but see carom_call_until_soft_limit().
 */
CAROM_API void carom_soft_limit_handler(int signal_number);

CAROM_END_DECLS

#endif
