/*
 * Shutdown
 *
 * One word: the number of the signal that came first. Two handlers may run at once, in
 * two threads or one inside the other; the compare-and-swap tells which was first.
 */
#include "core/shutdown.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include "core/pid_namespace.h"
#include "core/shutdown_private.h"
#include "core/written.h"

_Atomic int carom_shutdown_begun_by CAROM_WRITTEN;

/* the first four are the default set */
static const int caught[] = {
	SIGHUP,  SIGQUIT, SIGTERM, SIGUSR1, SIGTRAP,   SIGABRT, SIGSYS,
	SIGPIPE, SIGALRM, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGUSR2,
};

#define DEFAULT_COUNT 4
#define FULL_COUNT    (sizeof(caught) / sizeof(caught[0]))

static void catch_unless_ignored(int number, carom_shutdown_fn *handler)
{
	struct sigaction action = { .sa_handler = handler };
	struct sigaction before;

	if (sigaction(number, NULL, &before) < 0 || before.sa_handler == SIG_IGN)
		return;
	sigaction(number, &action, NULL);
}

int carom_shutdown_catch(enum carom_shutdown_signals signals, carom_shutdown_fn *handler)
{
	size_t count = signals == CAROM_SHUTDOWN_FULL ? FULL_COUNT : DEFAULT_COUNT;

	if (signals != CAROM_SHUTDOWN_DEFAULT && signals != CAROM_SHUTDOWN_FULL)
		return -EINVAL;
	atomic_store(&carom_shutdown_begun_by, 0);
	for (size_t i = 0; i < count; i++)
		catch_unless_ignored(caught[i], handler ? handler : carom_shutdown_begin);
	return 0;
}

void carom_shutdown_begin(int number)
{
	int saved_errno = errno;
	int nobody = 0;

	if (!atomic_compare_exchange_strong(&carom_shutdown_begun_by, &nobody, number))
		_exit(CAROM_SHUTDOWN_IMPATIENT);
	signal(number, carom_ending_action(number));
	errno = saved_errno;
}

int carom_shutdown_signal(void)
{
	return atomic_load(&carom_shutdown_begun_by);
}

_Noreturn void carom_shutdown_finish(void)
{
	int number = atomic_load(&carom_shutdown_begun_by);
	sigset_t set;

	if (number == 0)
		_exit(0);
	sigemptyset(&set);
	sigaddset(&set, number);
	signal(number, carom_ending_action(number));
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* it may have been blocked, or this be its handler */
	_exit(CAROM_SHUTDOWN_IMPATIENT);      /* a signal whose default is not to end */
}
