/*
 * Fd
 */
#include "core/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/descriptors.h"

void carom_fd_close_except(const int *keep, size_t count)
{
	carom_descriptors_close(0, keep, count);
}

uint64_t carom_fd_limit(bool hard)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	rlim_t value;

	getrlimit(RLIMIT_NOFILE, &limit);
	value = hard ? limit.rlim_max : limit.rlim_cur;
	return value == RLIM_INFINITY ? UINT64_MAX : value;
}

int carom_fd_set_blocking(int fd, bool blocking)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int carom_fd_is_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -errno : !(flags & O_NONBLOCK);
}

/* Return: as read(2), but never for a signal, nor because there is nothing yet. */
static ssize_t read_some(int fd, void *buffer, size_t size)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	ssize_t n;

	for (;;) {
		n = read(fd, buffer, size);
		if (n >= 0)
			return n;
		if (errno == EAGAIN)
			poll(&poll_fd, 1, -1);
		else if (errno != EINTR)
			return -errno;
	}
}

ssize_t carom_fd_read(int fd, void *buffer, size_t size)
{
	size_t done = 0;
	ssize_t n = 1;

	while (done < size && n != 0) {
		n = read_some(fd, (char *)buffer + done, size - done);
		if (n < 0)
			return n;
		done += (size_t)n;
	}
	return (ssize_t)done;
}
