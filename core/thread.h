/**
 * DOC: thread
 *
 * A thread that the end of its process waits for. Of the program's other threads the
 * end knows nothing: they stop wherever they are when main() returns.
 *
 *	r = carom_thread_start(write_report, report);
 */
#ifndef CAROM_CORE_THREAD_H
#define CAROM_CORE_THREAD_H

#include "api.h"

CAROM_BEGIN_DECLS

/** typedef carom_thread_fn - what the thread runs; @userdata is from carom_thread_start() */
typedef void carom_thread_fn(void *userdata);

/**
 * carom_thread_start() - run @function in a thread of its own
 * @userdata: handed to @function; must stay valid until that returns
 *
 * Nobody joins it but the end of this process: return from main(), exit(3), or the end
 * of a child's function, which wait as long as carom_set_exit_limit() says. A thread that
 * itself ends the process is not waited for. In a forked child it does not exist and is not
 * waited for. It has the signal mask of the caller.
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, -EINVAL (no @function), -ENOMEM, -EAGAIN (no more threads for this user or
 * cgroup).
 */
CAROM_API int carom_thread_start(carom_thread_fn *function, void *userdata);

CAROM_END_DECLS

#endif
