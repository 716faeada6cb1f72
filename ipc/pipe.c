/*
 * Pipe
 *
 * A pair of stream sockets, for one direction as well, which is then shut in the kernel,
 * too: a socket can be written to without SIGPIPE and without waiting, whatever its flags,
 * and carries descriptors.
 */
#include "ipc/pipe.h"

#include <errno.h>
#include <sys/socket.h>

#include "core/fd.h"
#include "core/options.h"

static int make_one_way(const int fds[2])
{
	if (shutdown(fds[0], SHUT_WR) < 0 || shutdown(fds[1], SHUT_RD) < 0)
		return -errno;
	return 0;
}

static int prepare(const int fds[2], const struct carom_pipe_options *options)
{
	int r = options->is_simplex ? make_one_way(fds) : 0;

	if (r == 0 && options->is_first_nonblocking)
		r = carom_fd_set_blocking(fds[0], false);
	if (r == 0 && options->is_second_nonblocking)
		r = carom_fd_set_blocking(fds[1], false);
	return r;
}

static int make_end(int *fd, const struct carom_connection_options *options,
		    struct carom_connection **ret_end)
{
	int r = carom_connection_new_take(*fd, options, ret_end);

	if (r == 0)
		*fd = -1;
	return r;
}

int carom_pipe_new(const struct carom_pipe_options *options, struct carom_connection **ret_first,
		   struct carom_connection **ret_second)
{
	CAROM_CLEANUP(carom_connection_freep) struct carom_connection *first = NULL;
	CAROM_CLEANUP(carom_closep) int first_fd = -1;
	CAROM_CLEANUP(carom_closep) int second_fd = -1;
	struct carom_connection_options end;
	struct carom_pipe_options o;
	int fds[2];
	int r = carom_options_take(options, &o, sizeof(o));

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	first_fd = fds[0];
	second_fd = fds[1];
	r = prepare(fds, &o);
	if (r < 0)
		return r;
	end = CAROM_CONNECTION_OPTIONS(.message_max = o.message_max, .buffer_size = o.buffer_size,
				       .is_read_only = o.is_simplex);
	r = make_end(&first_fd, &end, &first);
	if (r < 0)
		return r;
	end.is_read_only = false;
	end.is_write_only = o.is_simplex;
	r = make_end(&second_fd, &end, ret_second);
	if (r < 0)
		return r;
	*ret_first = carom_take_ptr(first);
	return 0;
}
