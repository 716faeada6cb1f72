/*
 * Host: a pool without threads in an epoll(7) loop
 *
 * The loop has a heartbeat of its own, which goes on while the workers work.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "collatz.h"

static int watch(int epoll_fd, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int start_heart(int *ret_fd)
{
	struct itimerspec every = { .it_interval.tv_nsec = COLLATZ_HEARTBEAT_MS * 1000000,
				    .it_value.tv_nsec = COLLATZ_HEARTBEAT_MS * 1000000 };

	*ret_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return *ret_fd < 0 || timerfd_settime(*ret_fd, 0, &every, NULL) < 0 ? -errno : 0;
}

static void beat(struct collatz *search, int heart_fd)
{
	uint64_t count;

	if (read(heart_fd, &count, sizeof(count)) == sizeof(count))
		search->beat_count += count;
}

static int run(struct collatz *search, int epoll_fd, int heart_fd)
{
	struct epoll_event events[2];
	int r = 0;

	while (r >= 0) {
		int n = epoll_wait(epoll_fd, events, 2, -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++)
			if (events[i].data.fd == heart_fd)
				beat(search, heart_fd);
			else
				r = carom_pool_poll(search->pool, CAROM_PASSED);
	}
	return r;
}

int main(void)
{
	struct collatz search = { 0 };
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int heart_fd = -1;
	int r = epoll_fd < 0 ? -errno : collatz_begin(&search);

	if (r == 0)
		r = start_heart(&heart_fd);
	if (r == 0)
		r = watch(epoll_fd, heart_fd);
	if (r == 0)
		r = watch(epoll_fd, carom_pool_fd(search.pool));
	if (r == 0)
		r = run(&search, epoll_fd, heart_fd);
	close(heart_fd);
	close(epoll_fd);
	return collatz_end(&search, r);
}
