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
#include "core/temp_dir.h"

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

/* As the program has it from the start; the suite changes its own. */
static int a_global = 1;

static int tell_global(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return a_global;
}
CAROM_REGISTER(tell_global);

/* --- of the suites process_* -------------------------------------------- */

static int tell_pid(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	dprintf(fds[0], "%d %d", (int)getpid(), (int)carom_process_pid(carom_current_process()));
	return 0;
}
CAROM_REGISTER(tell_pid);

static int tell_authkey(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	unsigned char key[256];
	int n = carom_process_authkey(carom_current_process(), key);

	return n < 0 ? n : write(fds[0], key, (size_t)n) != n;
}
CAROM_REGISTER(tell_authkey);

static inline void tell_name(struct carom_process *process, int fd)
{
	char name[256] = "";

	carom_process_name(process, name, sizeof(name));
	dprintf(fd, "%s\n", name);
}

/* Its name and those of two children; the second does the same, as deep as the argument says. */
static int tell_names(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	int more = *(const int *)argument - 1, code = 99;
	struct carom_process *first = NULL, *second = NULL;
	struct carom_context *context = NULL;

	tell_name(carom_current_process(), fds[0]);
	carom_context_get(carom_get_start_method(false), &context);
	if (carom_process_new(&CAROM_PROCESS_OPTIONS(), &first) < 0 ||
	    carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context, .function = tell_names,
						     .argument = &more,
						     .argument_size = sizeof(int), .fds = fds,
						     .fd_count = 1),
			      &second) < 0)
		return 98;
	tell_name(first, fds[0]);
	tell_name(second, fds[0]);
	if (more == 0)
		return 0;
	if (carom_process_start(second) == 0 && carom_process_join(second, CAROM_NO_DEADLINE) == 0)
		carom_process_exitcode(second, &code);
	return code;
}
CAROM_REGISTER(tell_names);

/* Starts a child of its own: that one's status, or why it could not. */
static int start_another(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct carom_process *process = NULL;
	int status = 7, code = 99;
	int r = carom_process_new(&CAROM_PROCESS_OPTIONS(.function = return_status,
							 .argument = &status,
							 .argument_size = sizeof(int)),
				  &process);

	if (r == 0)
		r = carom_process_start(process);
	if (r < 0)
		return -r;
	carom_process_join(process, CAROM_NO_DEADLINE);
	carom_process_exitcode(process, &code);
	return code;
}
CAROM_REGISTER(start_another);

/* What it may ask about its parent. */
static int ask_parent(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct carom_process *parent = carom_parent_process();
	int code;

	if (!parent || carom_process_pid(parent) != getppid())
		return 1;
	if (carom_process_is_alive(parent) != 1)
		return 2;
	if (carom_process_sentinel(parent) == -EOPNOTSUPP)
		return carom_process_join(parent, CAROM_NO_DEADLINE) == -EOPNOTSUPP ? 6 : 7;
	if (carom_process_sentinel(parent) < 0)
		return 2;
	if (carom_process_join(parent, CAROM_PASSED) != -ETIMEDOUT)
		return 3;
	if (carom_process_exitcode(parent, &code) != -EINPROGRESS)
		return 4;
	return carom_process_terminate(parent) == -EINVAL ? 0 : 5;
}
CAROM_REGISTER(ask_parent);

/* Ignores SIGTERM, and says each byte again that it is told. */
static int ignore_sigterm(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	char byte = '!';

	signal(SIGTERM, SIG_IGN);
	do
		if (write(fds[0], &byte, 1) != 1)
			return 97;
	while (read(fds[1], &byte, 1) == 1);
	return 96;
}
CAROM_REGISTER(ignore_sigterm);

/* A descendant who holds all it had, waits for a word, and says it again. */
static inline void have_descendant(const int *fds)
{
	char byte = 0;

	if (fork() != 0)
		return;
	if (write(fds[0], "!", 1) == 1 && read(fds[1], &byte, 1) == 1)
		byte = write(fds[0], &byte, 1) == 1;
	_exit(0);
}

static int leave_somebody(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	have_descendant(fds);
	return 5;
}
CAROM_REGISTER(leave_somebody);

static int have_somebody(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	have_descendant(fds);
	while (pause() < 0)
		;
	return 98;
}
CAROM_REGISTER(have_somebody);

/* The directory for temporary files, which is there still when this has ended. */
static int tell_temp_dir(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	const char *path;
	int r = carom_temp_dir(&path);

	if (r == 0)
		dprintf(fds[0], "%s", path);
	return r;
}
CAROM_REGISTER(tell_temp_dir);

/* One more than its target returns, which does not see the last byte. */
static int run_and_add(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	int r = carom_run_target(argument, size - 1, fds, fd_count);

	return r < 0 ? r : r + 1;
}
CAROM_REGISTER(run_and_add);

#endif
