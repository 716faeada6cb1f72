/*
 * Client
 *
 * connect(2) with a deadline is two things. Over the network it goes on by itself, and is
 * polled for. An AF_UNIX socket whose listener's backlog is full has no such state: it waits
 * within the call, for as long as SO_SNDTIMEO says.
 */
#include "ipc/client.h"

#include <errno.h>
#include <poll.h>
#include <sys/time.h>

#include "core/fd.h"
#include "core/options.h"
#include "ipc/door.h"
#include "ipc/endpoint.h"
#include "ipc/handshake.h"
#include "ipc/stream.h"

/* ---- connecting ---- */

static void set_patience(int fd, uint64_t ns)
{
	uint64_t us = ns / 1000 + (ns % 1000 != 0);
	struct timeval patience = { .tv_sec = (time_t)(us / 1000000),
				    .tv_usec = (suseconds_t)(us % 1000000) };

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

/* Return: 0, -EAGAIN: the backlog is full; -ETIMEDOUT; -EINTR; ... */
static int connect_unix_once(int fd, const struct carom_endpoint *endpoint, uint64_t deadline_ns)
{
	uint64_t now = carom_now();

	if (deadline_ns != CAROM_NO_DEADLINE) {
		if (deadline_ns != CAROM_PASSED && now >= deadline_ns)
			return -ETIMEDOUT;
		/* 0 would be for ever */
		set_patience(fd, deadline_ns > now ? deadline_ns - now : 1);
	}
	return connect(fd, &endpoint->address.any, endpoint->size) < 0 ? -errno : 0;
}

static int connect_unix(int fd, const struct carom_endpoint *endpoint, uint64_t deadline_ns)
{
	int r;

	do
		r = connect_unix_once(fd, endpoint, deadline_ns);
	while (r == -EINTR);
	if (r == -EAGAIN && deadline_ns != CAROM_PASSED)
		r = -ETIMEDOUT;
	set_patience(fd, 0);
	return r;
}

static int error_of(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
}

static int connect_inet(int fd, const struct carom_endpoint *endpoint, uint64_t deadline_ns)
{
	struct carom_stream stream = { .fd = fd, .waits = true };
	int r = carom_fd_set_blocking(fd, false);

	if (r == 0 && connect(fd, &endpoint->address.any, endpoint->size) < 0)
		r = -errno;
	if (r == -EINPROGRESS || r == -EINTR) {
		r = carom_stream_wait(&stream, POLLOUT, deadline_ns);
		if (r == 0)
			r = error_of(fd);
	}
	return r < 0 ? r : carom_fd_set_blocking(fd, true);
}

static int connect_to(const struct carom_endpoint *endpoint, uint64_t deadline_ns)
{
	CAROM_CLEANUP(carom_closep) int fd = carom_endpoint_socket(endpoint);
	int r;

	if (fd < 0)
		return fd;
	r = endpoint->address.any.sa_family == AF_UNIX ? connect_unix(fd, endpoint, deadline_ns)
						       : connect_inet(fd, endpoint, deadline_ns);
	return r < 0 ? r : carom_take_fd(fd);
}

/* ---- to a thread ---- */

static bool means_threads(const struct carom_client_options *options)
{
	return options->listener || options->family == CAROM_FAMILY_THREADS;
}

static uint64_t message_max(const struct carom_client_options *options)
{
	return options->message_max ? options->message_max : CAROM_MESSAGE_MAX_DEFAULT;
}

static int enter(const struct carom_client_options *options, uint64_t deadline_ns,
		 struct carom_connection **ret_connection)
{
	struct carom_door *door;
	int r;

	if (!options->listener || options->path || options->host || options->port ||
	    options->authkey || (options->family && options->family != CAROM_FAMILY_THREADS))
		return -EINVAL;
	r = carom_listener_door(options->listener, &door);
	if (r < 0)
		return r;
	if (!door)
		return -ECONNREFUSED;
	return carom_door_enter(door, message_max(options), deadline_ns, ret_connection);
}

/* ---- to a place ---- */

static int open_connection(const struct carom_client_options *options, uint64_t deadline_ns,
			   struct carom_connection **ret_connection)
{
	struct carom_place place = { options->path, options->host, options->port, options->family };
	CAROM_CLEANUP(carom_closep) int fd = -1;
	struct carom_endpoint endpoint;
	int r = carom_endpoint_begin(&place, &endpoint);

	if (r < 0)
		return r;
	fd = connect_to(&endpoint, deadline_ns);
	carom_endpoint_end(&endpoint);
	if (fd < 0)
		return fd;
	r = carom_connection_new_take(fd,
				      &CAROM_CONNECTION_OPTIONS(.message_max = message_max(options),
								.framing = options->framing),
				      ret_connection);
	if (r == 0)
		fd = -1;
	return r;
}

/* ---- authenticating ---- */

static int take_secret(const struct carom_client_options *options, struct carom_secret *ret_secret)
{
	return carom_secret_take(&CAROM_AUTH_OPTIONS(.key = options->authkey,
						     .key_size = options->authkey_size,
						     .digest = options->digest,
						     .is_md5_refused = options->is_md5_refused),
				 ret_secret);
}

static int authenticate(struct carom_connection *connection, const struct carom_secret *secret,
			uint64_t deadline_ns)
{
	struct carom_handshake handshake;

	carom_handshake_begin(&handshake, CAROM_HANDSHAKE_CLIENT, secret);
	return carom_handshake_go(&handshake, connection, deadline_ns);
}

int carom_client_connect(const struct carom_client_options *options, uint64_t deadline_ns,
			 struct carom_connection **ret_connection)
{
	CAROM_CLEANUP(carom_connection_freep) struct carom_connection *connection = NULL;
	struct carom_secret secret = { 0 };
	struct carom_client_options o;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r == 0 && (o.reserved || (!o.authkey && o.authkey_size > 0)))
		r = -EINVAL;
	if (r == 0 && means_threads(&o))
		return enter(&o, deadline_ns, ret_connection);
	if (r == 0 && o.authkey)
		r = take_secret(&o, &secret);
	if (r == 0)
		r = open_connection(&o, deadline_ns, &connection);
	if (r == 0 && o.authkey)
		r = authenticate(connection, &secret, deadline_ns);
	if (r == 0)
		*ret_connection = carom_take_ptr(connection);
	return r;
}
