/* What children in sandboxes run in the suites; also in tests/core/child.c. */
#ifndef TESTS_CORE_CONFINED_H
#define TESTS_CORE_CONFINED_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "core/registry.h"

static inline void *count_up(void *argument)
{
	++*(int *)argument;
	return NULL;
}

/* What ordinary code does: memory, stdio, time, a thread, the descriptors that it was given. */
static int compute(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	char *volatile block = malloc(1 << 20);
	struct timespec now;
	pthread_t thread;
	int count = 0;
	char byte;

	memset(block, 1, 1 << 20);
	free(block);
	clock_gettime(CLOCK_REALTIME, &now);
	if (pthread_create(&thread, NULL, count_up, &count) != 0 || pthread_join(thread, NULL) != 0)
		return 101;
	carom_log_info("computing");
	printf("%s", "");
	fflush(stdout);
	if (fd_count == 2 && (read(fds[0], &byte, 1) != 1 || write(fds[1], &byte, 1) != 1))
		return 102;
	return count == 1 ? 42 : 103;
}
CAROM_REGISTER(compute);

/* The call whose number is its argument, an int, with arguments that do nothing. */
static int call_number(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return syscall(*(const int *)argument, -1, 0, 0, 0, 0, 0) < 0 ? 1 : 0;
}
CAROM_REGISTER(call_number);

/* 0: it could be opened and read or written; the error otherwise */
static int open_to_read(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return open((const char *)argument, O_RDONLY) < 0 ? errno : 0;
}
CAROM_REGISTER(open_to_read);

static int open_to_write(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return open((const char *)argument, O_WRONLY | O_CREAT, 0600) < 0 ? errno : 0;
}
CAROM_REGISTER(open_to_write);

/* As ordinary code does, which has the C library look at what it writes to. */
static int write_by_stdio(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	FILE *file = fdopen(fds[0], "w");

	return file && fputs("a line\n", file) >= 0 && fflush(file) == 0 ? 42 : errno;
}
CAROM_REGISTER(write_by_stdio);

/* Memory that was never said to be code, with a function in it that returns. */
static int execute_data(const void *argument, size_t size, const int *fds, size_t fd_count)
{
#if defined(__x86_64__)
	static const unsigned char returns[] = { 0xc3 };
#elif defined(__aarch64__)
	static const unsigned char returns[] = { 0xc0, 0x03, 0x5f, 0xd6 };
#else
	static const unsigned char returns[] = { 0 };
#endif
	void *data = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	signal(SIGSEGV, SIG_DFL); /* a sanitizer has its own idea of it */
	memcpy(data, returns, sizeof(returns));
	__builtin___clear_cache(data, (char *)data + sizeof(returns));
	((void (*)(void))(uintptr_t)data)();
	return 42;
}
CAROM_REGISTER(execute_data);

/* How many descriptors above 2 it has that it was not given. */
static int count_strangers(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	int count = 0;

	for (int fd = 3; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count - (int)fd_count;
}
CAROM_REGISTER(count_strangers);

/* A signal of its own, by which nobody can tell it from one that the kernel sent. */
static int end_by_sigsys(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	raise(SIGSYS);
	return 1;
}
CAROM_REGISTER(end_by_sigsys);

static int crash_here(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	signal(SIGSEGV, SIG_DFL); /* a sanitizer has its own idea of it */
	raise(SIGSEGV);
	return 1;
}
CAROM_REGISTER(crash_here);

/* With "kill": its parent, which is of the same user. */
static int look_for_parent(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return kill(*(const int *)argument, 0) < 0 ? errno : 0;
}
CAROM_REGISTER(look_for_parent);

/* With "socket" and "connect": a port of this machine. */
static int connect_to_port(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(9),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
}
CAROM_REGISTER(connect_to_port);

static int say_and_pause(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	if (write(fds[0], "!", 1) != 1)
		return 1;
	for (;;)
		pause();
}
CAROM_REGISTER(say_and_pause);

/* Not for ever, should nobody end it. */
static int say_and_wait_for_alarm(const void *argument, size_t size, const int *fds,
				  size_t fd_count)
{
	alarm(20);
	return say_and_pause(argument, size, fds, fd_count);
}
CAROM_REGISTER(say_and_wait_for_alarm);

#endif
