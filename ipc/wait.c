/*
 * Wait
 *
 * One poll(2) for all. A descriptor does not tell of a message of which a part was read
 * already, and that of a pipe through shared memory may be readable for nothing: so
 * connections are asked first, which settles the descriptor, and those that seem to be ready
 * are asked again.
 */
#include "ipc/wait.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/time.h"
#include "ipc/connection_private.h"

/* So many need no memory. */
#define FEW 32

static int fd_of(const struct carom_wait_item *item)
{
	if (item->connection)
		return carom_connection_poll_fd(item->connection);
	if (item->listener)
		return carom_listener_fd(item->listener);
	return item->fd < 0 ? -EBADF : item->fd;
}

static int prepare(const struct carom_wait_item *items, size_t count, struct pollfd *poll_fds)
{
	for (size_t i = 0; i < count; i++) {
		int fd = fd_of(&items[i]);

		if (fd < 0)
			return fd;
		poll_fds[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	return 0;
}

/* Marks those that no descriptor tells of. Return: how many */
static int ask_first(const struct carom_wait_item *items, size_t count, struct pollfd *poll_fds)
{
	int ready = 0;

	for (size_t i = 0; i < count; i++) {
		poll_fds[i].revents = 0;
		if (!items[i].connection || !carom_connection_has_message(items[i].connection))
			continue;
		poll_fds[i].revents = POLLIN;
		ready++;
	}
	return ready;
}

/* Sleeps. Return: as poll(2), with the error as its value */
static int poll_until(struct pollfd *poll_fds, size_t count, uint64_t deadline_ns)
{
	uint64_t now = deadline_ns == CAROM_PASSED ? 0 : carom_now();
	uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
	struct timespec timeout = { .tv_sec = (time_t)(left / CAROM_NS_PER_SEC),
				    .tv_nsec = (long)(left % CAROM_NS_PER_SEC) };
	int n = ppoll(poll_fds, count, deadline_ns == CAROM_NO_DEADLINE ? NULL : &timeout, NULL);

	return n < 0 ? -errno : n;
}

/* Of those that poll(2) has found. Return: how many are ready, -EBADF */
static int ask_again(const struct carom_wait_item *items, size_t count, struct pollfd *poll_fds)
{
	int ready = 0;

	for (size_t i = 0; i < count; i++) {
		if (poll_fds[i].revents & POLLNVAL)
			return -EBADF;
		if (poll_fds[i].revents && items[i].connection &&
		    !carom_connection_confirm(items[i].connection))
			poll_fds[i].revents = 0;
		ready += poll_fds[i].revents != 0;
	}
	return ready;
}

/* What was marked before poll(2) overwrote it is not lost. */
static int look(const struct carom_wait_item *items, size_t count, struct pollfd *poll_fds)
{
	int ready, n = poll_until(poll_fds, count, CAROM_PASSED);

	if (n < 0)
		return n;
	ready = ask_again(items, count, poll_fds);
	if (ready < 0)
		return ready;
	for (size_t i = 0; i < count; i++)
		if (!poll_fds[i].revents && items[i].connection &&
		    carom_connection_has_message(items[i].connection)) {
			poll_fds[i].revents = POLLIN;
			ready++;
		}
	return ready;
}

static int wait_for_some(const struct carom_wait_item *items, size_t count, struct pollfd *poll_fds,
			 uint64_t deadline_ns)
{
	int n;

	for (;;) {
		if (ask_first(items, count, poll_fds) > 0)
			return look(items, count, poll_fds);
		n = poll_until(poll_fds, count, deadline_ns);
		if (n > 0)
			n = ask_again(items, count, poll_fds);
		if (n > 0 || (n < 0 && n != -EINTR))
			return n;
		if (deadline_ns == CAROM_PASSED && n == 0)
			return -EAGAIN;
		if (deadline_ns != CAROM_NO_DEADLINE && carom_now() >= deadline_ns)
			return deadline_ns == CAROM_PASSED ? -EAGAIN : -ETIMEDOUT;
	}
}

int carom_wait(struct carom_wait_item *items, size_t count, uint64_t deadline_ns)
{
	struct pollfd few[FEW], *poll_fds = few;
	int r;

	if (count == 0)
		return -EINVAL;
	if (count > FEW)
		poll_fds = reallocarray(NULL, count, sizeof(*poll_fds));
	if (!poll_fds)
		return -ENOMEM;
	r = prepare(items, count, poll_fds);
	if (r == 0)
		r = wait_for_some(items, count, poll_fds, deadline_ns);
	for (size_t i = 0; r > 0 && i < count; i++)
		items[i].is_ready = poll_fds[i].revents != 0;
	if (poll_fds != few)
		free(poll_fds);
	return r;
}
