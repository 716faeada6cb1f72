/* What children run in the suites of processes; registered in the suite and in tests/core/child.c. */
#ifndef TESTS_CORE_FUNCTIONS_H
#define TESTS_CORE_FUNCTIONS_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/context.h"
#include "core/log.h"
#include "core/process.h"

/* The status that its argument, an int, says. */
static int return_status(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return size == sizeof(int) ? *(const int *)argument : 99;
}
CAROM_REGISTER(return_status);

/* One line too many for the level that its parent has set. */
static int say_three_things(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	carom_log_warning("a warning");
	carom_log_sub_warning("so it is");
	carom_log_debug("nobody");
	return 9;
}
CAROM_REGISTER(say_three_things);

static int call_exit(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	exit(*(const int *)argument);
}
CAROM_REGISTER(call_exit);

static int call_exit_now(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	_exit(*(const int *)argument);
}
CAROM_REGISTER(call_exit_now);

/* With default disposition and without a core file, whatever the limits are. */
static int kill_self(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	signal(*(const int *)argument, SIG_DFL);
	kill(getpid(), *(const int *)argument);
	pause();
	return 98;
}
CAROM_REGISTER(kill_self);

/* Until somebody ends it; says first that it is there. */
static int wait_for_ever(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	if (fd_count && write(fds[0], "!", 1) != 1)
		return 97;
	for (;;)
		pause();
}
CAROM_REGISTER(wait_for_ever);

/* Until its second descriptor can be read or is at its end. */
static int wait_for_word(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	char byte;

	if (fd_count < 2 || write(fds[0], "!", 1) != 1)
		return 97;
	return read(fds[1], &byte, 1) == 1 ? byte : 0;
}
CAROM_REGISTER(wait_for_word);

/* Name, start method, daemon flag, parent's name, one line each. */
static int tell_self(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	char name[256] = "", parent[256] = "";

	carom_process_name(carom_current_process(), name, sizeof(name));
	if (carom_parent_process())
		carom_process_name(carom_parent_process(), parent, sizeof(parent));
	dprintf(fds[0], "%s\n%s\n%d\n%s\n", name, carom_get_start_method(true),
		carom_process_daemon(carom_current_process()), parent);
	return 0;
}
CAROM_REGISTER(tell_self);

/* Writes its argument back to its last descriptor. */
static int echo(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	const char *bytes = argument;

	while (size) {
		ssize_t n = write(fds[fd_count - 1], bytes, size);

		if (n <= 0)
			return errno;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}
CAROM_REGISTER(echo);

#endif
