/* Shutdown: a process that is told to end by a signal, and does so in its own time. */
#include "core/shutdown.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/core/apart.h"

static enum carom_shutdown_signals wanted;
static int number;

static void without_core(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}

static void catch_and_get_one(void)
{
	without_core();
	signal(number, SIG_DFL); /* a sanitizer has handlers for some */
	CHECK(carom_shutdown_catch(wanted, NULL) == 0);
	CHECK(carom_shutdown_signal() == 0);
	raise(number);
	CHECK(carom_shutdown_signal() == number);
}

static bool is_caught(enum carom_shutdown_signals signals, int which)
{
	int status;

	wanted = signals;
	number = which;
	status = apart(catch_and_get_one);
	cr_expect(status == 0 || WTERMSIG(status) == which, "signal %d: status %d", which, status);
	return status == 0;
}

static const int by_default[] = { SIGHUP, SIGQUIT, SIGTERM, SIGUSR1 };
static const int when_full[] = { SIGTRAP, SIGABRT, SIGSYS,    SIGPIPE, SIGALRM,
				 SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGUSR2 };
static const int never[] = { SIGINT, SIGILL, SIGSEGV, SIGFPE, SIGBUS };

#define EACH(which, list) \
	for (const int *which = list; which < list + sizeof(list) / sizeof(*list); which++)

static void expect_caught(int which, bool in_default, bool in_full)
{
	bool by_one = is_caught(CAROM_SHUTDOWN_DEFAULT, which);
	bool by_other = is_caught(CAROM_SHUTDOWN_FULL, which);

	cr_expect(by_one == in_default, "signal %d by default", which);
	cr_expect(by_other == in_full, "signal %d when full", which);
}

Test(shutdown, begins_with_these_signals_and_no_others, .timeout = 20)
{
	EACH(which, by_default)
	expect_caught(*which, true, true);
	EACH(which, when_full)
	expect_caught(*which, false, true);
	EACH(which, never)
	expect_caught(*which, false, false);
	expect_caught(SIGRTMIN, false, false);
}

static _Atomic int handled;

static void handle(int which)
{
	carom_shutdown_begin(which);
	handled = which;
}

static void ignore_one(void)
{
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	CHECK(carom_shutdown_catch(CAROM_SHUTDOWN_FULL, handle) == 0);
	raise(SIGHUP);
	CHECK(handled == 0 && carom_shutdown_signal() == 0);
	raise(SIGTERM);
	CHECK(handled == SIGTERM && carom_shutdown_signal() == SIGTERM);
}

/* UT-18 */
Test(shutdown, leaves_an_ignored_signal_ignored_and_handles_a_default_one)
{
	cr_expect(zero(int, apart(ignore_one)));
}

Test(shutdown, needs_to_know_which_signals)
{
	cr_expect(eq(int, carom_shutdown_catch((enum carom_shutdown_signals)7, NULL), -EINVAL));
}

/* ---- a second signal ---- */

static void get_another(void)
{
	CHECK(carom_shutdown_catch(CAROM_SHUTDOWN_DEFAULT, NULL) == 0);
	raise(SIGTERM);
	raise(SIGHUP);
}

static void get_the_same(void)
{
	CHECK(carom_shutdown_catch(CAROM_SHUTDOWN_DEFAULT, NULL) == 0);
	raise(SIGTERM);
	raise(SIGTERM);
}

static void get_one_in_the_handler(int which)
{
	carom_shutdown_begin(which);
	raise(SIGQUIT);
}

static void be_disturbed(void)
{
	CHECK(carom_shutdown_catch(CAROM_SHUTDOWN_DEFAULT, get_one_in_the_handler) == 0);
	raise(SIGTERM);
}

/* UT-19 */
Test(shutdown, ends_at_once_at_a_second_signal)
{
	int status = apart(get_another);

	cr_expect(zero(int, WTERMSIG(status)));
	cr_expect(eq(int, WEXITSTATUS(status), 70));
	cr_expect(eq(int, WTERMSIG(apart(get_the_same)), SIGTERM));
	cr_expect(eq(int, WEXITSTATUS(apart(be_disturbed)), CAROM_SHUTDOWN_IMPATIENT));
}

/* ---- the end ---- */

static void finish(void)
{
	without_core();
	CHECK(carom_shutdown_catch(CAROM_SHUTDOWN_FULL, NULL) == 0);
	raise(number);
	carom_shutdown_finish();
}

static void finish_in_the_handler(int which)
{
	carom_shutdown_begin(which);
	carom_shutdown_finish();
}

static void finish_early(void)
{
	CHECK(carom_shutdown_catch(CAROM_SHUTDOWN_DEFAULT, finish_in_the_handler) == 0);
	raise(SIGTERM);
}

static void finish_for_nothing(void)
{
	carom_shutdown_finish();
}

Test(shutdown, ends_by_the_signal_that_began_it)
{
	EACH(which, when_full)
	{
		number = *which;
		cr_expect(eq(int, WTERMSIG(apart(finish)), number));
	}
	cr_expect(eq(int, WTERMSIG(apart(finish_early)), SIGTERM));
	cr_expect(zero(int, apart(finish_for_nothing)));
}

static void begin_anew(void)
{
	CHECK(carom_shutdown_signal() == SIGTERM);
	CHECK(carom_shutdown_catch(CAROM_SHUTDOWN_DEFAULT, NULL) == 0);
	CHECK(carom_shutdown_signal() == 0);
	raise(SIGTERM);
	CHECK(carom_shutdown_signal() == SIGTERM);
}

Test(shutdown, of_the_parent_is_not_the_childs)
{
	carom_shutdown_begin(SIGTERM);
	cr_expect(zero(int, apart(begin_anew)));
}
