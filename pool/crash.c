/*
 * Crash
 *
 * The signal stays what it is: the handler is gone when it is entered (SA_RESETHAND), so
 * returning repeats the fault, with its core dump and its exit status; and a second crash,
 * in the handler itself, is the end (SA_NODEFER). It runs on a stack of its own, because
 * the usual one may be what has overflowed.
 *
 * No name is looked up here: that would take locks that the crash may have interrupted.
 */
#include "pool/crash.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_SIZE (64 * 1024)

static struct carom_backtrace *the_place;
static pid_t owner; /* a process that a task has forked does not have the place */

static uint64_t interrupted_at(const void *context)
{
	const ucontext_t *state = context;

#if defined(__x86_64__)
	return state ? (uint64_t)state->uc_mcontext.gregs[REG_RIP] : 0;
#elif defined(__aarch64__)
	return state ? (uint64_t)state->uc_mcontext.pc : 0;
#else
	(void)state;
	return 0;
#endif
}

void carom_crash_note(const void *context)
{
	if (the_place && getpid() == owner)
		carom_backtrace_capture(the_place, interrupted_at(context));
}

/* signal handler: AS-Safe calls only */
static void crashed(int number, siginfo_t *info, void *context)
{
	carom_crash_note(context);
	if (info->si_code <= 0) /* it was sent, and does not come again by itself */
		raise(number);
}

static void *make_stack(void)
{
	void *stack =
		mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t alternate = { .ss_sp = stack, .ss_size = STACK_SIZE };

	return stack == MAP_FAILED || sigaltstack(&alternate, NULL) < 0 ? NULL : stack;
}

static void catch_one(int number)
{
	struct sigaction action = { .sa_sigaction = crashed,
				    .sa_flags =
					    SA_SIGINFO | SA_ONSTACK | SA_RESETHAND | SA_NODEFER };
	struct sigaction before;

	if (sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
		sigaction(number, &action, NULL);
}

void carom_crash_catch(struct carom_backtrace *place)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };

	place->count = 0;
	if (!carom_backtrace_is_safe() || !make_stack())
		return;
	carom_backtrace_prepare();
	the_place = place;
	owner = getpid();
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		catch_one(numbers[i]);
}
