/*
 * Apart: a test's body in a process of its own
 *
 * For what a test must not do to itself: die, have its children stolen, count its
 * descriptors, or choose by the environment what is chosen once a process. Its assertions
 * are those of check.h.
 */
#ifndef CAROM_TESTS_CORE_APART_H
#define CAROM_TESTS_CORE_APART_H

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/core/check.h"

/* A test that is cut short leaves nobody behind. */
static inline void end_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(EXIT_FAILURE);
}

/* The wait status of @body; 0 if it came to its end. */
static inline int apart(void (*body)(void))
{
	pid_t parent = getpid(), pid = fork();
	int status = -1;

	if (pid == 0) {
		end_with(parent);
		is_apart = true;
		body();
		_exit(EXIT_SUCCESS);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* The same with @name=@value in the environment. */
static inline int apart_with(const char *name, const char *value, void (*body)(void))
{
	int status;

	setenv(name, value, 1);
	status = apart(body);
	unsetenv(name);
	return status;
}

static inline int count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = -1; /* the listing's own */

	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 2; /* . and .. */
}

/* Memory that the test and all its processes share; never given back. */
static inline void *share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	return memory;
}

/* Blocks until all other holders of the pipe's write end are gone. */
static inline bool ends(int read_fd)
{
	char byte;
	ssize_t n;

	do
		n = read(read_fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	return n == 0;
}

#endif
