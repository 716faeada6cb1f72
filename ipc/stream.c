/*
 * Stream
 *
 * A socket is asked without waiting (MSG_DONTWAIT), and waited for by poll(2) until the
 * deadline; for ever it waits by itself. A pipe has no such flag, and O_NONBLOCK would be
 * set in other processes too: so it is polled first, and then given no more than a pipe
 * that polls as writable takes at once.
 *
 * MSG_NOSIGNAL, too, is for sockets alone. A write to a pipe is made with SIGPIPE blocked in
 * this thread, and one that was raised meanwhile is taken away: the kernel raises it even
 * where the reader went within the call, which then says how much went before.
 *
 * -ETIMEDOUT is the deadline's alone. A peer that the network does not reach any more, for
 * which the kernel has the same word, is a lost connection.
 */
#include "ipc/stream.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include "core/descriptors.h"
#include "core/time.h"

static uint64_t real_deadline(const struct carom_stream *stream, uint64_t deadline_ns)
{
	return stream->waits ? deadline_ns : CAROM_PASSED;
}

static int wait_until(int fd, short events, uint64_t deadline_ns)
{
	int r = carom_descriptor_wait_for(fd, events, deadline_ns);

	return r == -ETIMEDOUT && deadline_ns == CAROM_PASSED ? -EAGAIN : r;
}

int carom_stream_wait(const struct carom_stream *stream, short events, uint64_t deadline_ns)
{
	return wait_until(stream->fd, events, real_deadline(stream, deadline_ns));
}

/* ---- once ---- */

/* Shall the call wait by itself? */
static bool may_block(const struct carom_stream *stream, uint64_t deadline_ns)
{
	return deadline_ns == CAROM_NO_DEADLINE && stream->waits;
}

static ssize_t error_of_socket(void)
{
	return errno == ETIMEDOUT ? -ECONNRESET : -errno;
}

static ssize_t read_socket(const struct carom_stream *stream, void *buffer, size_t size,
			   uint64_t deadline_ns)
{
	ssize_t n =
		recv(stream->fd, buffer, size, may_block(stream, deadline_ns) ? 0 : MSG_DONTWAIT);

	return n < 0 ? error_of_socket() : n;
}

static ssize_t read_pipe(const struct carom_stream *stream, void *buffer, size_t size,
			 uint64_t deadline_ns)
{
	int r = may_block(stream, deadline_ns) ? 0 : wait_until(stream->fd, POLLIN, deadline_ns);
	ssize_t n;

	if (r < 0)
		return r;
	n = read(stream->fd, buffer, size);
	return n < 0 ? -errno : n;
}

static ssize_t write_socket(const struct carom_stream *stream, const struct iovec *parts,
			    size_t part_count, uint64_t deadline_ns)
{
	struct msghdr message = { .msg_iov = (struct iovec *)parts, .msg_iovlen = part_count };
	int flags = MSG_NOSIGNAL | (may_block(stream, deadline_ns) ? 0 : MSG_DONTWAIT);
	ssize_t n = sendmsg(stream->fd, &message, flags);

	return n < 0 ? error_of_socket() : n;
}

static void take_away(const sigset_t *signals)
{
	while (sigtimedwait(signals, NULL, &(struct timespec){ 0 }) < 0 && errno == EINTR)
		;
}

static size_t size_of(const struct iovec *parts, size_t part_count)
{
	size_t size = 0;

	for (size_t i = 0; i < part_count; i++)
		size += parts[i].iov_len;
	return size;
}

/* writev(2) that raises no SIGPIPE, and leaves one that was pending before */
static ssize_t write_quietly(int fd, const struct iovec *parts, size_t part_count)
{
	sigset_t pipe_signal, pending, before;
	ssize_t n;

	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
	n = writev(fd, parts, (int)part_count);
	n = n < 0 ? -errno : n;
	if (n < (ssize_t)size_of(parts, part_count) && !sigismember(&pending, SIGPIPE))
		take_away(&pipe_signal);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return n;
}

/* The beginning of @parts, @size bytes at most. Return: how many parts */
static size_t shorten(const struct iovec *parts, size_t part_count, size_t size,
		      struct iovec *ret_parts)
{
	size_t i = 0;

	for (; i < part_count && size > 0; i++) {
		ret_parts[i] = parts[i];
		if (ret_parts[i].iov_len > size)
			ret_parts[i].iov_len = size;
		size -= ret_parts[i].iov_len;
	}
	return i;
}

static ssize_t write_pipe(const struct carom_stream *stream, const struct iovec *parts,
			  size_t part_count, uint64_t deadline_ns)
{
	struct iovec first[2];
	int r;

	if (may_block(stream, deadline_ns))
		return write_quietly(stream->fd, parts, part_count);
	r = wait_until(stream->fd, POLLOUT, deadline_ns);
	if (r < 0)
		return r;
	part_count = shorten(parts, part_count < 2 ? part_count : 2, PIPE_BUF, first);
	return write_quietly(stream->fd, first, part_count);
}

/* ---- until the deadline ---- */

/* Is it worth another try after @n? 1, 0, or why not any more */
static int again(const struct carom_stream *stream, ssize_t n, short events, uint64_t deadline_ns)
{
	int r;

	if (n == -EINTR)
		return 1;
	if (n != -EAGAIN)
		return 0;
	if (deadline_ns == CAROM_PASSED)
		return -EAGAIN;
	r = wait_until(stream->fd, events, deadline_ns);
	return r < 0 ? r : 1;
}

ssize_t carom_stream_read(const struct carom_stream *stream, void *buffer, size_t size,
			  uint64_t deadline_ns)
{
	ssize_t n;
	int r;

	deadline_ns = real_deadline(stream, deadline_ns);
	do {
		n = stream->is_socket ? read_socket(stream, buffer, size, deadline_ns)
				      : read_pipe(stream, buffer, size, deadline_ns);
		r = n < 0 ? again(stream, n, POLLIN, deadline_ns) : 0;
	} while (r > 0);
	return r < 0 ? r : n;
}

ssize_t carom_stream_write(const struct carom_stream *stream, const struct iovec *parts,
			   size_t part_count, uint64_t deadline_ns)
{
	ssize_t n;
	int r;

	deadline_ns = real_deadline(stream, deadline_ns);
	do {
		n = stream->is_socket ? write_socket(stream, parts, part_count, deadline_ns)
				      : write_pipe(stream, parts, part_count, deadline_ns);
		r = n < 0 ? again(stream, n, POLLOUT, deadline_ns) : 0;
	} while (r > 0);
	return r < 0 ? r : n;
}
