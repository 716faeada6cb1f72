/**
 * DOC: after_fork
 *
 * Functions that run in every child of this process, first thing, in the order in
 * which they were registered, and never in this process itself: to open a
 * connection anew, or to forget what is the parent's:
 *
 *	r = carom_after_fork_add(reconnect, &database);
 *
 * They run in children by fork(), the program's own calls included, and in those
 * that the library makes without a fresh program image, once each; also in the
 * children of children. A process by exec (spawn) begins without any.
 */
#ifndef CAROM_CORE_AFTER_FORK_H
#define CAROM_CORE_AFTER_FORK_H

#include "api.h"

CAROM_BEGIN_DECLS

/**
 * typedef carom_after_fork_fn - runs in the child, in its only thread
 * @userdata: what was given to carom_after_fork_add()
 *
 * It may add and remove such functions; what it adds runs in the child's own children.
 * Return: 0, or a negative errno value, which is logged at INFO and stops nothing.
 */
typedef int carom_after_fork_fn(void *userdata);

/**
 * carom_after_fork_add() - have @function run in every child from now on
 * @function: what to run
 * @userdata: handed to @function; stays the caller's, and must stay valid until
 *            carom_after_fork_remove()
 *
 * Context: MT-Safe, AS-Unsafe heap. Usable in a forked child.
 * Return: 0, -EINVAL (no @function), -ENOMEM.
 */
CAROM_API int carom_after_fork_add(carom_after_fork_fn *function, void *userdata);

/**
 * carom_after_fork_remove() - not any more
 *
 * Of several with the same @function and @userdata, the one that was added last.
 *
 * Context: MT-Safe, AS-Unsafe heap. In a child it is removed for the child alone.
 * Return: 0, or -ENOENT: there is none.
 */
CAROM_API int carom_after_fork_remove(carom_after_fork_fn *function, void *userdata);

CAROM_END_DECLS

#endif
