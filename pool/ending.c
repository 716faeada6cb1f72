/*
 * Ending
 *
 * A signal finds the worker in one of three places:
 *
 *	between tasks              it claims no more, and ends when it comes by
 *	in a function              the process ends at once, by that signal
 *	in a function that asked   the function is told, and ends the task as it likes
 *
 *   E1  `is_inside` is set before the signal's word is looked at for the last time, and the
 *       handler sets the word before it looks at `is_inside`: so no function begins unnoticed.
 *       The handler runs in this thread, as the kernel prefers the main thread while that
 *       does not block the signal, so the order of the program is enough.
 *   E2  A process that a task has forked has the handlers too, but not the lane (its memory
 *       is not inherited): there a signal ends the process at once.
 */
#include "pool/ending.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "core/pid_namespace.h"
#include "core/process_private.h"
#include "core/shutdown.h"
#include "core/written.h"
#include "pool/crash.h"

static struct carom_ending the_ending CAROM_WRITTEN;

/* of those that are caught here, what a task does to itself, and nobody to a worker */
static void note_crash(int number)
{
	if (number == SIGABRT || number == SIGTRAP || number == SIGSYS)
		carom_crash_note(NULL);
}

/* signal handler: AS-Safe calls only */
static void told_to_end(int number)
{
	struct carom_ending *ending = &the_ending;

	carom_shutdown_begin(number);
	if (getpid() != ending->pid) /* E2 */
		carom_shutdown_finish();
	if (atomic_load(&ending->is_inside)) {
		if (!atomic_load(&ending->is_told)) {
			note_crash(number);
			carom_shutdown_finish();
		}
		if (ending->function)
			ending->function(number, ending->userdata);
	}
	carom_lane_interrupt(ending->lane);
}

/* Row WK-15: another signal may have taken over from SIGTERM, whatever it was set to */
static void catch_term_signal(void)
{
	int number = carom_term_signal();
	struct sigaction action = { .sa_handler = told_to_end };

	carom_term_signal_settle();
	if (number != SIGTERM)
		sigaction(number, &action, NULL);
}

/*
 * What the initializer has made of these signals is overridden, row WK-11, but for those
 * that are ignored: SIGTERM is not, as else nobody could end this worker.
 */
static void reset_signals(void)
{
	signal(SIGTERM, carom_ending_action(SIGTERM));
	signal(SIGUSR1, SIG_IGN); /* the soft limit's */
	signal(SIGINT, SIG_IGN); /* ^C is for the program: it decides what becomes of its workers */
}

struct carom_ending *carom_ending_catch(struct carom_lane *lane, enum carom_worker_signals signals)
{
	the_ending = (struct carom_ending){ .lane = lane, .pid = getpid() };
	reset_signals();
	carom_shutdown_catch(signals == CAROM_WORKER_SIGNALS_FEW ? CAROM_SHUTDOWN_DEFAULT
								 : CAROM_SHUTDOWN_FULL,
			     told_to_end);
	catch_term_signal();
	return &the_ending;
}

void carom_ending_tell(struct carom_ending *ending, carom_call_shutdown_fn *function,
		       void *userdata)
{
	atomic_store(&ending->is_told, false);
	ending->function = function;
	ending->userdata = userdata;
	atomic_store(&ending->is_told, true);
}
