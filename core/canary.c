/*
 * Canary
 *
 * A forked child that is made in the middle of things shares the sockets until it closes
 * its copies. Until then their end wakes nobody; that they are gone is seen all the same
 * by who asks.
 */
#include "core/canary.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"

static int read_cookie(int fd, uint64_t *ret_cookie)
{
	socklen_t size = sizeof(*ret_cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, ret_cookie, &size) < 0 ? -errno : 0;
}

static bool half_lives(const struct carom_canary *canary, int i)
{
	int saved_errno = errno;
	uint64_t cookie = 0;
	int r = read_cookie(canary->fds[i], &cookie);

	errno = saved_errno;
	return r == 0 && cookie == canary->cookies[i];
}

static int open_sockets(int *fds, bool wakes_sleepers)
{
	if (wakes_sleepers)
		return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds);
	/* a socket of streams that nobody is connected to has hung up from the beginning */
	fds[0] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	fds[1] = fds[0];
	return fds[0];
}

int carom_canary_init(struct carom_canary *canary, bool wakes_sleepers)
{
	int r;

	*canary = (struct carom_canary){ .fds = { -1, -1 } };
	if (open_sockets(canary->fds, wakes_sleepers) < 0)
		return -errno;
	r = read_cookie(canary->fds[0], &canary->cookies[0]);
	if (r == 0)
		r = read_cookie(canary->fds[1], &canary->cookies[1]);
	if (r == 0)
		return 0;
	canary->cookies[0] = 0;
	carom_closep(&canary->fds[0]);
	if (wakes_sleepers)
		carom_closep(&canary->fds[1]);
	return -EOPNOTSUPP;
}

/* Of two numbers that are the same the second one is nobody's, once the first is closed. */
void carom_canary_deinit(struct carom_canary *canary)
{
	for (int i = 0; i < 2; i++)
		if (canary->cookies[0] && half_lives(canary, i))
			carom_closep(&canary->fds[i]);
	canary->cookies[0] = 0;
}

bool carom_canary_lives(const struct carom_canary *canary)
{
	return half_lives(canary, 0);
}

void carom_canary_hit(const struct carom_canary *canary)
{
	int saved_errno = errno;

	if (carom_canary_lives(canary))
		shutdown(canary->fds[0], SHUT_RDWR);
	errno = saved_errno;
}
