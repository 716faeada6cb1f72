/* Children with habits: what a guard, a mask or an exit code has to survive. */
#ifndef TESTS_CORE_HABITS_H
#define TESTS_CORE_HABITS_H

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/process.h"

/* Which signal it finds blocked; 0: none. */
static int tell_blocked(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	sigset_t mask;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	for (int number = 1; number < NSIG; number++)
		if (sigismember(&mask, number) == 1)
			return number;
	return 0;
}
CAROM_REGISTER(tell_blocked);

static void close_all_but(int fd)
{
	if (fd > 0)
		syscall(SYS_close_range, 0, fd - 1, 0);
	syscall(SYS_close_range, fd + 1, ~0U, 0);
}

/* The status that its argument, an int, says, without a single descriptor. */
static int close_everything(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	close_all_but(-1);
	return *(const int *)argument;
}
CAROM_REGISTER(close_everything);

/* What its argument names; then says that it is done, and stays. */
static int do_and_stay(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	const char *what = argument;

	if (strcmp(what, "setsid") == 0)
		setsid();
	else if (strcmp(what, "setuid") == 0 && setuid(65534) < 0)
		return 95;
	else if (strcmp(what, "close") == 0)
		close_all_but(fds[0]);
	if (write(fds[0], "!", 1) != 1)
		return 97;
	for (;;)
		pause();
}
CAROM_REGISTER(do_and_stay);

#endif
