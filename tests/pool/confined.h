/* Tasks for workers in sandboxes; also in tests/pool/child.c. */
#ifndef CAROM_TESTS_POOL_CONFINED_H
#define CAROM_TESTS_POOL_CONFINED_H

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/pool/methods.h"

static int open_a_file(struct carom_call *call)
{
	return open("/etc/passwd", O_RDONLY) < 0 ? -errno : 0;
}
CAROM_REGISTER(open_a_file);

static int open_a_socket(struct carom_call *call)
{
	return (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0) < 0 ? -errno : 0;
}
CAROM_REGISTER(open_a_socket);

/* Item 7 does what it may not. */
static int square_but_seven(struct carom_call *call)
{
	int64_t x;

	carom_call_read(call, &x, sizeof(x));
	if (x == 7)
		syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	return square(call);
}
CAROM_REGISTER(square_but_seven);

static int count_own_descriptors(struct carom_call *call)
{
	int64_t count = 0;

	for (int fd = 3; fd < 2048; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return carom_reply(call, &count, sizeof(count));
}
CAROM_REGISTER(count_own_descriptors);

static int kept_fd = -1;

static int open_before(const void *data, size_t size)
{
	kept_fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	return kept_fd < 0 ? -errno : 0;
}
CAROM_REGISTER(open_before);

static int read_what_was_opened(struct carom_call *call)
{
	char bytes[4];

	return pread(kept_fd, bytes, 4, 0) == 4 ? carom_reply(call, bytes, 4) : -EIO;
}
CAROM_REGISTER(read_what_was_opened);

static int kill_by_sigsys(struct carom_call *call)
{
	raise(SIGSYS);
	return 0;
}
CAROM_REGISTER(kill_by_sigsys);

static int sleep_until_told(struct carom_call *call)
{
	while (!carom_call_soft_limit(call))
		usleep(1000);
	return -ETIME;
}
CAROM_REGISTER(sleep_until_told);

#endif
