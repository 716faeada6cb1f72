/*
 * Descriptors
 *
 * With close_range(2) one call closes each gap between the kept ones, however
 * large the table. Without it the open ones are read from /proc/self/fd, again
 * and again until a pass closes none, because closing moves what is listed; and
 * where /proc is not mounted, every number below the limit is tried.
 */
#include "core/descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/probe.h"
#include "core/time.h"
#include "core/timespec.h"

#define HIGH_MIN 900 /* below the usual limit of 1024 */

/* The smallest kept number that is at least @from; UINT_MAX if there is none. */
static unsigned int next_kept(unsigned int from, const int *keep, size_t keep_count)
{
	unsigned int next = UINT_MAX;

	for (size_t i = 0; i < keep_count; i++)
		if (keep[i] >= 0 && (unsigned int)keep[i] >= from && (unsigned int)keep[i] < next)
			next = (unsigned int)keep[i];
	return next;
}

static void close_gaps(unsigned int first, const int *keep, size_t keep_count)
{
	unsigned int kept;

	for (; (kept = next_kept(first, keep, keep_count)) != UINT_MAX; first = kept + 1)
		if (kept > first)
			syscall(SYS_close_range, first, kept - 1, 0);
	syscall(SYS_close_range, first, UINT_MAX, 0);
}

/* The bare call: in a child that borrows its parent's memory the C library's is a sanitizer's, too. */
static int close_one(int fd)
{
	return (int)syscall(SYS_close, fd);
}

static void close_all_below_limit(int first, const int *keep, size_t keep_count)
{
	struct rlimit limit = { .rlim_cur = 1024 };

	getrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = first; (rlim_t)fd < limit.rlim_cur; fd++)
		if (next_kept((unsigned int)fd, keep, keep_count) != (unsigned int)fd)
			close_one(fd);
}

static bool is_wanted(int fd, int first, int listing_fd, const int *keep, size_t keep_count)
{
	return fd >= first && fd != listing_fd &&
	       next_kept((unsigned int)fd, keep, keep_count) != (unsigned int)fd;
}

/* One pass over the listing; how many it closed. */
static int close_listed(int listing_fd, int first, const int *keep, size_t keep_count)
{
	_Alignas(struct dirent64) char buffer[2048];
	int closed = 0;
	ssize_t n;

	while ((n = syscall(SYS_getdents64, listing_fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *entry = (const void *)(buffer + at);
			int fd = entry->d_name[0] == '.' ? -1 : atoi(entry->d_name);

			at += entry->d_reclen;
			if (is_wanted(fd, first, listing_fd, keep, keep_count))
				closed += close_one(fd) == 0;
		}
	}
	return closed;
}

void carom_descriptors_close(int first, const int *keep, size_t keep_count)
{
	int listing_fd;

	if (carom_probe(CAROM_FEATURE_CLOSE_RANGE)) {
		close_gaps((unsigned int)first, keep, keep_count);
		return;
	}
	listing_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (listing_fd < 0) {
		close_all_below_limit(first, keep, keep_count);
		return;
	}
	while (close_listed(listing_fd, first, keep, keep_count) > 0)
		lseek(listing_fd, 0, SEEK_SET);
	close(listing_fd);
}

int carom_descriptor_lift(int *fd)
{
	int above;

	if (*fd < 0 || *fd > STDERR_FILENO)
		return 0;
	above = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (above < 0)
		return -errno;
	close(*fd);
	*fd = above;
	return 0;
}

int carom_descriptor_move_up(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_MIN);

	if (high < 0)
		return fd;
	close(fd);
	return high;
}

/* How long ppoll() may wait; NULL for ever. */
static const struct timespec *until(uint64_t deadline_ns, struct timespec *rest)
{
	uint64_t now = carom_now();
	uint64_t ns = deadline_ns > now ? deadline_ns - now : 0;

	if (deadline_ns == CAROM_NO_DEADLINE)
		return NULL;
	*rest = carom_timespec(ns);
	return rest;
}

static int wait_for_any(struct pollfd *poll_fds, nfds_t count, uint64_t deadline_ns)
{
	struct timespec rest;
	int n;

	do
		n = ppoll(poll_fds, count, until(deadline_ns, &rest), NULL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}

int carom_descriptor_wait_for(int fd, short events, uint64_t deadline_ns)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };
	int r = -EBADF; /* poll() would ignore it */

	if (fd >= 0)
		r = wait_for_any(&poll_fd, 1, deadline_ns);
	return r == 0 && poll_fd.revents & POLLNVAL ? -EBADF : r;
}

int carom_descriptor_wait_pair(const int fds[2], uint64_t deadline_ns)
{
	struct pollfd poll_fds[2] = { { .fd = fds[0], .events = POLLIN },
				      { .fd = fds[1], .events = POLLIN } };

	return wait_for_any(poll_fds, 2, deadline_ns);
}

int carom_descriptor_wait(int fd, uint64_t deadline_ns)
{
	return carom_descriptor_wait_for(fd, POLLIN, deadline_ns);
}
