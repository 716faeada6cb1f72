/*
 * Pipe
 *
 * Through shared memory (ipc/duct.c), or by a pair of stream sockets, for one direction as
 * well, which is then shut in the kernel, too: a socket can be written to without SIGPIPE
 * and without waiting, whatever its flags, and carries descriptors.
 *
 * Each end is made of its descriptor, as a child would make it.
 */
#include "ipc/pipe.h"

#include <errno.h>
#include <sys/socket.h>

#include "core/fd.h"
#include "core/options.h"
#include "ipc/duct.h"

#define SPIN_DEFAULT_NS CAROM_MICROSECONDS(50)

/**
 * struct ends - both ends while they are made
 * @fds: -1 once they are a connection's
 */
struct ends {
	int fds[2];
	struct carom_connection *connections[2];
};

static void ends_deinit(struct ends *ends)
{
	for (int i = 0; i < 2; i++) {
		ends->connections[i] = carom_connection_free(ends->connections[i]);
		carom_closep(&ends->fds[i]);
	}
}

static int make_one_way(const int fds[2])
{
	if (shutdown(fds[0], SHUT_WR) < 0 || shutdown(fds[1], SHUT_RD) < 0)
		return -errno;
	return 0;
}

static int make_sockets(const struct carom_pipe_options *options, int ret_fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return -errno;
	return options->is_simplex ? make_one_way(ret_fds) : 0;
}

static int make_memory(const struct carom_pipe_options *options, int ret_fds[2])
{
	uint64_t spin_ns = options->spin_ns ? options->spin_ns : SPIN_DEFAULT_NS;

	return carom_duct_new_pair(options->buffer_size, spin_ns == CAROM_SPIN_NEVER ? 0 : spin_ns,
				   options->is_simplex, ret_fds);
}

static int make_connections(struct ends *ends, const struct carom_pipe_options *options,
			    bool is_socket)
{
	int r = 0;

	for (int i = 0; r == 0 && i < 2; i++) {
		struct carom_connection_options o =
			CAROM_CONNECTION_OPTIONS(.message_max = options->message_max,
						 .buffer_size =
							 is_socket ? options->buffer_size : 0,
						 .is_read_only = options->is_simplex && i == 0,
						 .is_write_only = options->is_simplex && i == 1,
						 .is_plain = is_socket);

		if (i == 0 ? options->is_first_nonblocking : options->is_second_nonblocking)
			r = carom_fd_set_blocking(ends->fds[i], false);
		if (r == 0)
			r = carom_connection_new_take(ends->fds[i], &o, &ends->connections[i]);
		if (r == 0)
			ends->fds[i] = -1;
	}
	return r;
}

static int make(struct ends *ends, const struct carom_pipe_options *options, bool is_socket)
{
	int r = is_socket ? make_sockets(options, ends->fds) : make_memory(options, ends->fds);

	if (r == 0)
		r = make_connections(ends, options, is_socket);
	/* a kernel that does not show letters gives bare sockets */
	if (r == 0 && !is_socket && !carom_connection_is_shared_memory(ends->connections[0]))
		r = -EOPNOTSUPP;
	if (r < 0)
		ends_deinit(ends);
	return r;
}

int carom_pipe_new(const struct carom_pipe_options *options, struct carom_connection **ret_first,
		   struct carom_connection **ret_second)
{
	struct ends ends = { .fds = { -1, -1 } };
	struct carom_pipe_options o;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r < 0)
		return r;
	if (!o.is_socket && o.buffer_size > CAROM_RING_SIZE_MAX)
		return -EINVAL;
	if (!o.is_socket && o.buffer_size > 0 && o.buffer_size < CAROM_RING_SIZE_MIN)
		o.buffer_size = CAROM_RING_SIZE_MIN;
	r = o.is_socket ? -EOPNOTSUPP : make(&ends, &o, false);
	if (r < 0)
		r = make(&ends, &o, true);
	if (r < 0)
		return r;
	*ret_first = ends.connections[0];
	*ret_second = ends.connections[1];
	return 0;
}
