/*
 * Loop back end: epoll
 *
 * The kernel keeps the set of descriptors and reports the ready ones, level
 * triggered, each with its token. The set's own descriptor can be polled, so it
 * is the pollable one. A descriptor leaves the set by EPOLL_CTL_DEL, never by
 * close(2) alone: a copy in some child would keep it in.
 */
#include "core/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/loop_backend.h"

/* Reports taken in one system call. The kernel goes round: what is left comes first the next time. */
#define BATCH 64

/*
 * Who sleeps in epoll_wait(2) is not told when what it waits for is taken away. poll(2) is,
 * by the end of the canary's other half; but then it looks at the numbers again, and if by
 * then other files stand there that are quiet, it sleeps on: so it looks now and then.
 */
#define LOOK_MS 5000

struct epoll {
	int fd;
};

int carom_loop_epoll_add(struct carom_loop *loop, int epoll_fd, uint32_t index)
{
	struct carom_loop_fd *watch = loop->slots[index].watch;
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = carom_loop_token(loop, index) };

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0 ? -errno : 0;
}

void carom_loop_epoll_remove(int epoll_fd, const struct carom_loop_fd *watch)
{
	/* fails only where the caller closed the descriptor first: the token guards against that */
	(void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
}

static void sleep_guarded(const struct carom_loop *loop, int epoll_fd)
{
	struct pollfd fds[] = {
		{ .fd = epoll_fd, .events = POLLIN },
		{ .fd = loop->canary.fds[1], .events = POLLIN },
	};

	(void)poll(fds, 2, LOOK_MS);
}

int carom_loop_epoll_wait(struct carom_loop *loop, int epoll_fd, bool block)
{
	struct epoll_event events[BATCH];
	int n;

	if (block && carom_loop_must_wake(loop)) {
		sleep_guarded(loop, epoll_fd);
		block = false;
		if (!carom_loop_is_intact(loop))
			return -EBADF;
	}
	n = epoll_wait(epoll_fd, events, BATCH, block ? -1 : 0);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (block && !carom_loop_is_intact(loop))
		return -EBADF;
	for (int i = 0; i < n; i++)
		carom_loop_deliver(loop, events[i].data.u64);
	return n;
}

static int epoll_open(struct carom_loop *loop)
{
	struct epoll *epoll = calloc(1, sizeof(*epoll));

	if (!epoll)
		return -ENOMEM;
	epoll->fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll->fd < 0) {
		free(epoll);
		return -errno;
	}
	loop->state = epoll;
	return 0;
}

static void epoll_close(struct carom_loop *loop, bool is_copy)
{
	struct epoll *epoll = loop->state;

	(void)is_copy; /* a descriptor is all there is */
	carom_closep(&epoll->fd);
	free(epoll);
}

static int epoll_watch(struct carom_loop *loop, uint32_t index)
{
	const struct epoll *epoll = loop->state;

	return carom_loop_epoll_add(loop, epoll->fd, index);
}

static void epoll_unwatch(struct carom_loop *loop, uint32_t index)
{
	const struct epoll *epoll = loop->state;

	carom_loop_epoll_remove(epoll->fd, loop->slots[index].watch);
	carom_loop_release(loop, index);
}

static int epoll_wait_once(struct carom_loop *loop, bool block)
{
	const struct epoll *epoll = loop->state;

	return carom_loop_epoll_wait(loop, epoll->fd, block);
}

static void epoll_lose(struct carom_loop *loop)
{
	struct epoll *epoll = loop->state;

	epoll->fd = -1;
}

static int epoll_pollable_fd(struct carom_loop *loop)
{
	const struct epoll *epoll = loop->state;

	return epoll->fd;
}

const struct carom_loop_ops carom_loop_epoll_ops = {
	.name = "epoll",
	.open = epoll_open,
	.close = epoll_close,
	.watch = epoll_watch,
	.unwatch = epoll_unwatch,
	.wait = epoll_wait_once,
	.lose = epoll_lose,
	.pollable_fd = epoll_pollable_fd,
};
