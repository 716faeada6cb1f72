/* What children run in the suites start, context and bootstrap; also in tests/core/child.c. */
#ifndef TESTS_CORE_BIRTHS_H
#define TESTS_CORE_BIRTHS_H

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/context.h"
#include "core/log.h"
#include "core/process.h"

/* "0 1 2 7 ", and what the listing itself needs left out. */
static inline void write_fds(int to_fd)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory))
			dprintf(to_fd, "%s ", entry->d_name);
	closedir(directory);
}

static int tell_fds(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	write_fds(fds[0]);
	return (int)fd_count;
}
CAROM_REGISTER(tell_fds);

/* The file that it was started from. */
static int tell_program(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path));

	return n <= 0 || write(fds[0], path, (size_t)n) != n;
}
CAROM_REGISTER(tell_program);

/* Its argv, one line each. */
static int tell_arguments(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	char text[4096];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text));

	for (ssize_t i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = '\n';
	close(fd);
	return n <= 0 || write(fds[0], text, (size_t)n) != n;
}
CAROM_REGISTER(tell_arguments);

/* The variables that billiard's children see. */
static int tell_environment(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	const char *names[] = { "MULTIPROCESSING_FORKING_DISABLE", "FORKED_BY_MULTIPROCESSING" };

	for (int i = 0; i < 2; i++)
		dprintf(fds[0], "%s ", getenv(names[i]) ? getenv(names[i]) : "-");
	return 0;
}
CAROM_REGISTER(tell_environment);

/* Directory, level, authkey as one number, start method, one line each. */
static int tell_preparation(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	unsigned char key[256];
	int n = carom_process_authkey(carom_current_process(), key);
	char directory[PATH_MAX] = "";
	uint64_t sum = 0;

	for (int i = 0; i < n; i++)
		sum = sum * 31 + key[i];
	if (!getcwd(directory, sizeof(directory)))
		return 1;
	dprintf(fds[0], "%s\n%d\n%llx\n%s\n", directory, (int)carom_log_level(),
		(unsigned long long)sum, carom_get_start_method(true));
	return 0;
}
CAROM_REGISTER(tell_preparation);

/* 0: standard input is at its end at once, and the parent's standard input is not read. */
static int read_stdin(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	char byte;

	if (read(STDIN_FILENO, &byte, 1) != 0)
		return 1;
	return getchar() == EOF && write(STDIN_FILENO, "", 1) < 0 ? 0 : 2;
}
CAROM_REGISTER(read_stdin);

static int exit_as_child(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	carom_child_exit();
}
CAROM_REGISTER(exit_as_child);

static int fail_as_child(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	dup2(fds[0], STDERR_FILENO);
	carom_child_fail("no such luck");
}
CAROM_REGISTER(fail_as_child);

/* 0: the sentinel of its parent is that process, and the parent lives. */
static int look_at_parent(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct carom_process *parent = carom_parent_process();
	int pidfd = parent ? carom_process_sentinel(parent) : -1;
	struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };
	char path[64], line[128];
	FILE *file;
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	file = pidfd >= 0 ? fopen(path, "re") : NULL;
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Pid: %d", &pid) == 1)
			break;
	if (file)
		fclose(file);
	return pid != getppid() || poll(&poll_fd, 1, 0) != 0;
}
CAROM_REGISTER(look_at_parent);

/* --- what the fork server does before its first child ------------------- */

static int preload_count;
static pid_t preload_pid;

static int preload_here(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	preload_count++;
	preload_pid = getpid();
	return 0;
}
CAROM_REGISTER(preload_here);

static int preload_and_die(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	raise(SIGKILL);
	return 0;
}
CAROM_REGISTER(preload_and_die);

static int tell_preload(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	dprintf(fds[0], "%d %d", preload_count, (int)preload_pid);
	return 0;
}
CAROM_REGISTER(tell_preload);

/* 1: the shared object that its argument names is loaded here. */
static int has_object(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return dlopen(argument, RTLD_NOW | RTLD_NOLOAD) != NULL;
}
CAROM_REGISTER(has_object);

#endif
