/*
 * Silence
 *
 * Two things of the kernel's are one limit here: TCP_USER_TIMEOUT, for what was sent and is not
 * confirmed, and keep-alive probes, which are sent where nothing else is. With the former set
 * probes count by the time since anything was heard, and not by how many they were.
 */
#include "ipc/silence.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "core/time.h"

#define PROBES_UNTIL_THEN 4

static bool is_tcp(int fd)
{
	int protocol;
	socklen_t size = sizeof(protocol);

	return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
	       protocol == IPPROTO_TCP;
}

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int at_least_1(int seconds)
{
	return seconds > 1 ? seconds : 1;
}

int carom_silence_limit(int fd, uint64_t silence_ns)
{
	int seconds, r;

	if (!is_tcp(fd))
		return 0;
	if (silence_ns == 0)
		silence_ns = CAROM_SILENCE_DEFAULT_NS;
	if (silence_ns > CAROM_SILENCE_MAX_NS)
		silence_ns = CAROM_SILENCE_MAX_NS;
	seconds = (int)(silence_ns / CAROM_NS_PER_SEC);
	seconds = seconds > 2 ? seconds : 2;
	r = set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, seconds * 1000);
	if (r == 0)
		r = set(fd, IPPROTO_TCP, TCP_KEEPIDLE, at_least_1(seconds / 2));
	if (r == 0)
		r = set(fd, IPPROTO_TCP, TCP_KEEPINTVL, at_least_1(seconds / PROBES_UNTIL_THEN));
	if (r == 0)
		r = set(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES_UNTIL_THEN);
	return r < 0 ? r : set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}
