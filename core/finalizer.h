/**
 * DOC: finalizer
 *
 * A function that ends something, once: when the program says so, or at the latest
 * when this process exits. What is ended early costs nothing at the exit:
 *
 *	r = carom_finalizer_add(CAROM_FINALIZER_DEFAULT, remove_socket, socket, &finalizer);
 *	...
 *	carom_finalizer_call(finalizer);	// now, and not again at the exit
 *
 * At the exit the highest priority comes first, and of one priority the newest:
 * what was made later may stand on what was made before. Those of 0 and more run
 * before the children of this process are ended, the others after that.
 *
 * A finalizer belongs to the process that added it. A child by fork() begins without
 * any, and what it adds runs at its own end. _exit(2), exec and a signal run none.
 */
#ifndef CAROM_CORE_FINALIZER_H
#define CAROM_CORE_FINALIZER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "api.h"

CAROM_BEGIN_DECLS

/**
 * enum carom_finalizer_priority - the library's own, so that a program's fit between
 * @CAROM_FINALIZER_POOL:       a pool terminates
 * @CAROM_FINALIZER_PROXY:      a reference to a manager's object is given back
 * @CAROM_FINALIZER_QUEUE:      a queue takes nothing more
 * @CAROM_FINALIZER_DEFAULT:    the last before the children are ended; the program's
 * @CAROM_FINALIZER_LISTENER:   the file of a listening socket goes
 * @CAROM_FINALIZER_LOCK:       a named lock goes
 * @CAROM_FINALIZER_MANAGER:    a manager's server is shut down
 * @CAROM_FINALIZER_QUEUE_JOIN: what stands in a queue is written out
 * @CAROM_FINALIZER_CGROUP:     the program leaves the cgroups that it has made
 * @CAROM_FINALIZER_TEMP_DIR:   the directory for temporary files goes, last of all
 * @CAROM_FINALIZER_NEVER:      not at the exit: only by carom_finalizer_call()
 */
enum carom_finalizer_priority {
	CAROM_FINALIZER_POOL = 15,
	CAROM_FINALIZER_PROXY = 10,
	CAROM_FINALIZER_QUEUE = 10,
	CAROM_FINALIZER_DEFAULT = 0,
	CAROM_FINALIZER_LISTENER = 0,
	CAROM_FINALIZER_LOCK = 0,
	CAROM_FINALIZER_MANAGER = 0,
	CAROM_FINALIZER_QUEUE_JOIN = -5,
	CAROM_FINALIZER_CGROUP = -90,
	CAROM_FINALIZER_TEMP_DIR = -100,
	CAROM_FINALIZER_NEVER = INT_MIN,
};

/**
 * typedef carom_finalizer_fn - ends something
 * @userdata: what was given to carom_finalizer_add()
 *
 * Return: 0, or a negative errno value, which at the exit is logged as an error and
 * stops nothing.
 */
typedef int carom_finalizer_fn(void *userdata);

/**
 * carom_finalizer_add() - have @function run at the latest when this process exits
 * @priority:      any number; CAROM_FINALIZER_NEVER leaves out the exit
 * @function:      what to run, once
 * @userdata:      handed to @function; stays the caller's, and must stay valid until
 *                 the finalizer has run or was cancelled
 * @ret_finalizer: a number that stands for it, never 0 and never used again, so it
 *                 needs no freeing and may be kept for longer than the finalizer
 *                 lives. NULL if nobody wants it
 *
 * What is added by a finalizer at the exit runs in a later round if there is one.
 *
 * Context: MT-Safe, AS-Unsafe heap. Usable in a forked child.
 * Return: 0, or, with *@ret_finalizer untouched,
 *	-EINVAL  no @function; or CAROM_FINALIZER_NEVER without @ret_finalizer, which
 *	         nobody could ever run
 *	-ENOMEM
 */
CAROM_API int carom_finalizer_add(int priority, carom_finalizer_fn *function, void *userdata,
				  uint64_t *ret_finalizer);

/**
 * carom_finalizer_call() - run it now, in this thread
 *
 * Context: MT-Safe: of several threads one runs it. AS-Unsafe lock.
 * Return: what the function returned, or, without having run it,
 *	-EALREADY  it has run, is running, or was cancelled
 *	-ECHILD    it belongs to the process that this one was forked from
 *	-EINVAL    there was never such a finalizer
 */
CAROM_API int carom_finalizer_call(uint64_t finalizer);

/**
 * carom_finalizer_cancel() - never run it
 *
 * Context: MT-Safe, AS-Unsafe lock.
 * Return: 0, or -EALREADY, -ECHILD, -EINVAL as carom_finalizer_call().
 */
CAROM_API int carom_finalizer_cancel(uint64_t finalizer);

/**
 * carom_finalizer_is_active() - will it still run in this process?
 *
 * Context: MT-Safe, AS-Unsafe lock.
 */
CAROM_API bool carom_finalizer_is_active(uint64_t finalizer);

CAROM_END_DECLS

#endif
