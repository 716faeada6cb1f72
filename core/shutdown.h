/**
 * DOC: shutdown
 *
 * A process that is told by a signal to end, and does so in its own time: it finishes
 * what it is at, gives back what others wait for, and then ends by that very signal, so
 * that its parent sees what it would have seen without all this.
 *
 *	carom_shutdown_catch(CAROM_SHUTDOWN_DEFAULT, NULL);
 *	while (!carom_shutdown_signal())
 *		work();
 *	clean_up();
 *	carom_shutdown_finish();
 *
 * Who does not want to wait any longer sends a signal again. The same one ends the
 * process at once, as it would have in the first place; another one of these makes it
 * exit with the status CAROM_SHUTDOWN_IMPATIENT, without cleaning up.
 */
#ifndef CAROM_CORE_SHUTDOWN_H
#define CAROM_CORE_SHUTDOWN_H

#include "api.h"

CAROM_BEGIN_DECLS

/* Exit status after a second, different signal: EX_SOFTWARE of <sysexits.h>. */
#define CAROM_SHUTDOWN_IMPATIENT 70

/**
 * enum carom_shutdown_signals - which ones
 * @CAROM_SHUTDOWN_DEFAULT: SIGHUP, SIGQUIT, SIGTERM, SIGUSR1
 * @CAROM_SHUTDOWN_FULL:    and SIGTRAP, SIGABRT, SIGSYS, SIGPIPE, SIGALRM, SIGXCPU, SIGXFSZ,
 *                          SIGVTALRM, SIGPROF, SIGUSR2
 *
 * Never SIGINT, which from a keyboard reaches all processes of a program at once, nor
 * SIGILL, SIGSEGV, SIGFPE and SIGBUS, after which nothing can be cleaned up.
 */
enum carom_shutdown_signals {
	CAROM_SHUTDOWN_DEFAULT,
	CAROM_SHUTDOWN_FULL,
};

/** typedef carom_shutdown_fn - a signal handler; its first act must be carom_shutdown_begin() */
typedef void carom_shutdown_fn(int number);

/**
 * carom_shutdown_catch() - have these signals begin a shutdown of this process
 * @signals: which
 * @handler: NULL for carom_shutdown_begin()
 *
 * Signals that are ignored stay ignored. Calls that wait are interrupted (-EINTR, no
 * SA_RESTART). What was begun before, in this process or its parent, is forgotten.
 *
 * Context: MT-Safe, AS-Safe. Usable in a forked child.
 * Return: 0, or -EINVAL: @signals is none of the two.
 */
CAROM_API int carom_shutdown_catch(enum carom_shutdown_signals signals, carom_shutdown_fn *handler);

/**
 * carom_shutdown_begin() - in a handler: a signal asks for the end
 * @number: which
 *
 * The first time it gives @number its default action, and carom_shutdown_signal() tells
 * it from then on. The second time it does not return: _exit(CAROM_SHUTDOWN_IMPATIENT).
 *
 * Context: MT-Safe, AS-Safe (keeps errno).
 */
CAROM_API void carom_shutdown_begin(int number);

/** carom_shutdown_signal() - the signal that began the shutdown; 0 while there is none. AS-Safe. */
CAROM_API int carom_shutdown_signal(void);

/**
 * carom_shutdown_finish() - end this process by the signal that began the shutdown
 *
 * At once, without what exit(3) does. Without a shutdown: _exit(0).
 *
 * Context: MT-Safe, AS-Safe.
 */
CAROM_API void carom_shutdown_finish(void) __attribute__((noreturn));

CAROM_END_DECLS

#endif
