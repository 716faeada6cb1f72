/* What children with limits run; registered in the suite and in tests/core/child.c. */
#ifndef TESTS_CORE_GROUPED_H
#define TESTS_CORE_GROUPED_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/registry.h"

/* Say where it is, and stay. */
static int tell_group(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	char text[4096];
	int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text));

	if (n <= 0 || write(fds[0], text, (size_t)n) != n)
		return 1;
	for (;;)
		pause();
}
CAROM_REGISTER(tell_group);

/* A daemon that holds the descriptor for ever; then return, or stay if the argument is not 0. */
static int leave_daemon(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	if (fork() == 0) {
		setsid();
		if (fork() == 0)
			for (;;)
				pause();
		_exit(0);
	}
	wait(NULL);
	if (write(fds[0], "!", 1) != 1)
		return 1;
	while (*(const int *)argument)
		pause();
	return 0;
}
CAROM_REGISTER(leave_daemon);

/* So many MiB, each page touched. */
static int take_memory(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	size_t bytes = (size_t) * (const int *)argument << 20;
	char *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return 1;
	memset(memory, 1, bytes);
	return 0;
}
CAROM_REGISTER(take_memory);

#endif
