/*
 * Connection
 *
 * Through a stream, or through shared memory: a duct (ipc/duct.h), which has messages already,
 * and turns that processes share. What is the same stands here, the rest in few places.
 *
 * Each direction has a turn, which one thread has at a time, and a state that says how far
 * the message at hand has come; so a call may stop at any byte, and the next goes on.
 *
 *   I1  Nothing is read beyond the message at hand: the descriptor may be polled, passed
 *       on, or given to another reader between two messages.
 *   I2  A message is received when it is complete, never before. The state keeps what has
 *       come until then: the frame, and the body in memory of its own, unless that goes
 *       right into the caller's. Memory grows as bytes come, at most to twice of them.
 *   I3  A message of which a byte was sent is sent whole, before any other: what a deadline
 *       has left of it is copied. Where that cannot be, nothing is sent any more.
 *   I4  Where the place of the next frame is not known, nothing is received any more.
 *   I5  Descriptors that go with a message go right behind it, in the same turn, and so do they
 *       come. What a deadline has left of both is kept, there as here.
 *
 * The frame and the body go in one call, so that small messages are one packet.
 */
#include "ipc/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/options.h"
#include "ipc/connection_private.h"

#define FIRST_ROOM   ((size_t)CAROM_MIB(1))
#define SCRATCH_SIZE ((size_t)CAROM_KIB(16))
#define ABORTS       64 /* before the clock is asked whether there is time for more of them */

/* ---- beginning and end ---- */

static int check_socket(int fd)
{
	int type;
	socklen_t size = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return -errno;
	return type == SOCK_STREAM ? 0 : -EINVAL;
}

/* Is it something that bytes go through, in this direction? */
static int look_at(int fd, struct carom_connection *connection)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat status;

	if (flags < 0 || fstat(fd, &status) < 0)
		return -errno;
	connection->stream.waits = !(flags & O_NONBLOCK);
	connection->stream.is_socket = S_ISSOCK(status.st_mode);
	if (connection->stream.is_socket)
		return check_socket(fd);
	if (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode))
		return -EINVAL;
	connection->is_readable &= (flags & O_ACCMODE) != O_WRONLY;
	connection->is_writable &= (flags & O_ACCMODE) != O_RDONLY;
	return 0;
}

static int set_buffer_size(const struct carom_stream *stream, uint64_t size)
{
	int value = size > INT32_MAX ? INT32_MAX : (int)size;

	if (size == 0)
		return 0;
	if (!stream->is_socket)
		return fcntl(stream->fd, F_SETPIPE_SZ, value) < 0 ? -errno : 0;
	if (setsockopt(stream->fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof(value)) < 0 ||
	    setsockopt(stream->fd, SOL_SOCKET, SO_RCVBUF, &value, sizeof(value)) < 0)
		return -errno;
	return 0;
}

/* Is it the handle of a pipe through shared memory? */
static int look_for_duct(struct carom_connection *connection, int fd)
{
	int r = carom_duct_attach(fd, &connection->duct);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	connection->is_readable &= carom_duct_may_receive(connection->duct);
	connection->is_writable &= carom_duct_may_send(connection->duct);
	return 0;
}

static int prepare(struct carom_connection *connection, int fd,
		   const struct carom_connection_options *options)
{
	int r = look_at(fd, connection);

	if (r == 0 && connection->stream.is_socket && !options->is_plain)
		r = look_for_duct(connection, fd);
	if (r < 0)
		return r;
	if (!connection->is_readable && !connection->is_writable)
		return -EINVAL;
	connection->stream.fd = fd;
	if (!connection->duct)
		r = set_buffer_size(&connection->stream, options->buffer_size);
	if (r == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		r = -errno;
	return r;
}

static int check_options(int fd, const struct carom_connection_options *options)
{
	if (fd < 0 || (options->is_read_only && options->is_write_only) || options->reserved)
		return -EINVAL;
	return options->framing <= CAROM_FRAMING_UNSIGNED ? 0 : -EINVAL;
}

int carom_connection_new_take(int fd, const struct carom_connection_options *options,
			      struct carom_connection **ret_connection)
{
	struct carom_connection_options o;
	struct carom_connection *connection;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r == 0)
		r = check_options(fd, &o);
	if (r < 0)
		return r;
	connection = calloc(1, sizeof(*connection));
	if (!connection)
		return -ENOMEM;
	connection->framing = o.framing;
	connection->is_readable = !o.is_write_only;
	connection->is_writable = !o.is_read_only;
	connection->message_max = o.message_max ? o.message_max : UINT64_MAX;
	r = prepare(connection, fd, &o);
	if (r < 0) {
		carom_duct_free(connection->duct);
		free(connection);
		return r;
	}
	*ret_connection = connection;
	return 0;
}

static void forget_message(struct carom_incoming *in)
{
	if (in->body)
		free(in->body);
	in->body = NULL;
	in->body_got = 0;
	in->body_room = 0;
	in->is_known = false;
	in->is_kept = false;
	in->frame_got = 0;
}

/* Return: 0 */
static int forget_rest(struct carom_outgoing *out)
{
	free(out->rest);
	out->rest = NULL;
	out->rest_size = 0;
	out->rest_sent = 0;
	while (out->fd_count > 0)
		carom_closep(&out->fds[--out->fd_count]);
	free(out->fds);
	out->fds = NULL;
	return 0;
}

void carom_connection_close(struct carom_connection *connection)
{
	connection->duct = carom_duct_free(connection->duct);
	connection->is_lent = false;
	carom_closep(&connection->stream.fd);
	forget_message(&connection->in);
	forget_rest(&connection->out);
}

struct carom_connection *carom_connection_free(struct carom_connection *connection)
{
	if (!connection)
		return NULL;
	carom_connection_close(connection);
	free(connection);
	return NULL;
}

void carom_connection_freep(struct carom_connection **connection)
{
	*connection = carom_connection_free(*connection);
}

/* ---- what it is ---- */

int carom_connection_fd(const struct carom_connection *connection)
{
	return connection->stream.fd < 0 ? -EBADF : connection->stream.fd;
}

bool carom_connection_is_closed(const struct carom_connection *connection)
{
	return connection->stream.fd < 0;
}

bool carom_connection_is_readable(const struct carom_connection *connection)
{
	return connection->is_readable;
}

bool carom_connection_is_writable(const struct carom_connection *connection)
{
	return connection->is_writable;
}

int carom_connection_set_blocking(struct carom_connection *connection, bool blocking)
{
	int r = carom_fd_set_blocking(connection->stream.fd, blocking);

	if (r == 0)
		connection->stream.waits = blocking;
	return r;
}

/* ---- sending ---- */

static uint64_t real_deadline(const struct carom_connection *connection, uint64_t deadline_ns)
{
	return connection->stream.waits ? deadline_ns : CAROM_PASSED;
}

/* Of what is left. Return: 0, or why not more */
static int write_rest(struct carom_connection *connection, uint64_t deadline_ns)
{
	struct carom_outgoing *out = &connection->out;
	struct iovec part = { out->rest + out->rest_sent, out->rest_size - out->rest_sent };
	size_t sent = 0;
	ssize_t n = 0;
	int r = 0;

	if (connection->duct)
		r = carom_duct_send_rest(connection->duct, part.iov_base, part.iov_len,
					 real_deadline(connection, deadline_ns), &sent);
	else
		n = carom_stream_write(&connection->stream, &part, 1, deadline_ns);
	out->rest_sent += n > 0 ? (size_t)n : sent;
	return n < 0 ? (int)n : r;
}

/* I5. What cannot go now may later; anything else will not. */
static int stop_before_fds(struct carom_outgoing *out, int r)
{
	if (r < 0 && r != -EAGAIN && r != -ETIMEDOUT)
		out->error = -ENOTRECOVERABLE;
	return r;
}

static int send_kept_fds(struct carom_connection *connection, uint64_t deadline_ns)
{
	struct carom_outgoing *out = &connection->out;
	int r = carom_passing_send(connection, out->fds, out->fd_count,
				   real_deadline(connection, deadline_ns));

	return r < 0 ? stop_before_fds(out, r) : forget_rest(out);
}

/* Return: 0, or why not all of @rest is sent */
static int send_rest(struct carom_connection *connection, uint64_t deadline_ns)
{
	struct carom_outgoing *out = &connection->out;

	while (out->rest_sent < out->rest_size) {
		int r = write_rest(connection, deadline_ns);

		if (r < 0)
			return r;
	}
	return out->fds ? send_kept_fds(connection, deadline_ns) : forget_rest(out);
}

static int take_send_turn(struct carom_connection *connection, uint64_t deadline_ns)
{
	if (connection->stream.fd < 0 || !connection->is_writable)
		return -EBADF;
	deadline_ns = real_deadline(connection, deadline_ns);
	return connection->duct ? carom_duct_begin_send(connection->duct, deadline_ns)
				: carom_turn_take(&connection->out.turn, deadline_ns);
}

void carom_connection_end_send(struct carom_connection *connection)
{
	if (connection->duct)
		carom_duct_end_send(connection->duct);
	else
		carom_turn_give(&connection->out.turn);
}

int carom_connection_begin_send(struct carom_connection *connection, uint64_t deadline_ns)
{
	int r = take_send_turn(connection, deadline_ns);

	if (r < 0)
		return r;
	r = connection->out.error;
	if (r == 0 && (connection->out.rest || connection->out.fds))
		r = send_rest(connection, deadline_ns);
	if (r < 0)
		carom_connection_end_send(connection);
	return r;
}

/* What is left of @parts after @sent bytes more. */
static void advance(struct iovec parts[2], size_t sent)
{
	for (int i = 0; i < 2; i++) {
		size_t n = sent < parts[i].iov_len ? sent : parts[i].iov_len;

		parts[i].iov_base = (char *)parts[i].iov_base + n;
		parts[i].iov_len -= n;
		sent -= n;
	}
}

/* I3. Return: -EINPROGRESS, -ENOMEM */
static int keep_rest(struct carom_outgoing *out, const struct iovec parts[2])
{
	size_t first = parts[0].iov_len, second = parts[1].iov_len;

	out->rest = malloc(first + second);
	if (!out->rest) {
		out->error = -ENOTRECOVERABLE;
		return -ENOMEM;
	}
	memcpy(out->rest, parts[0].iov_base, first);
	if (second > 0)
		memcpy(out->rest + first, parts[1].iov_base, second);
	out->rest_size = first + second;
	out->rest_sent = 0;
	return -EINPROGRESS;
}

/* Sending has stopped within a message, for the reason @r. */
static int stop_within(struct carom_outgoing *out, const struct iovec parts[2], int r)
{
	if (r == -EAGAIN || r == -ETIMEDOUT)
		return keep_rest(out, parts);
	out->error = r;
	return r;
}

static int send_parts(struct carom_connection *connection, struct iovec parts[2],
		      uint64_t deadline_ns)
{
	bool has_begun = false;

	while (parts[0].iov_len + parts[1].iov_len > 0) {
		size_t skip = parts[0].iov_len == 0;
		ssize_t n = carom_stream_write(&connection->stream, parts + skip, 2 - skip,
					       deadline_ns);

		if (n < 0)
			return has_begun ? stop_within(&connection->out, parts, (int)n) : (int)n;
		advance(parts, (size_t)n);
		has_begun = true;
	}
	return 0;
}

/* @sent: more than nothing, and not all, for @error */
static int stop_after(struct carom_outgoing *out, const void *data, size_t size, size_t sent,
		      int error)
{
	struct iovec rest[2] = { { (char *)data + sent, size - sent }, { NULL, 0 } };

	return stop_within(out, rest, error);
}

/* All of it in one go, or what is left of it is kept. With the turn. */
static int send_whole(struct carom_connection *connection, const void *data, size_t size,
		      uint64_t deadline_ns)
{
	size_t sent = 0;
	int r = carom_duct_send(connection->duct, data, size,
				real_deadline(connection, deadline_ns), &sent);

	if (r < 0 && sent > 0)
		r = stop_after(&connection->out, data, size, sent, r);
	return r;
}

static int send_by_duct(struct carom_connection *connection, const void *data, size_t size,
			uint64_t deadline_ns)
{
	int r;

	if (size > INT64_MAX)
		return -EMSGSIZE;
	r = carom_connection_begin_send(connection, deadline_ns);
	if (r < 0)
		return r;
	r = send_whole(connection, data, size, deadline_ns);
	carom_duct_end_send(connection->duct);
	return r;
}

static int send_by_stream(struct carom_connection *connection, const void *data, size_t size,
			  uint64_t deadline_ns)
{
	unsigned char frame[CAROM_FRAME_SIZE_MAX];
	struct iovec parts[2] = { { frame, 0 }, { (void *)data, size } };
	int r = carom_frame_encode(connection->framing, size, frame);

	if (r < 0)
		return r;
	parts[0].iov_len = (size_t)r;
	r = carom_connection_begin_send(connection, deadline_ns);
	if (r < 0)
		return r;
	r = send_parts(connection, parts, deadline_ns);
	carom_connection_end_send(connection);
	return r;
}

int carom_connection_send_bytes(struct carom_connection *connection, const void *data, size_t size,
				uint64_t deadline_ns)
{
	if (!data && size > 0)
		return -EINVAL;
	return connection->duct ? send_by_duct(connection, data, size, deadline_ns)
				: send_by_stream(connection, data, size, deadline_ns);
}

/* I5. Return: -EINPROGRESS, or why they are lost */
static int keep_fds(struct carom_outgoing *out, const int *fds, size_t count)
{
	out->fds = calloc(count, sizeof(*fds));
	if (!out->fds)
		return stop_before_fds(out, -ENOMEM);
	for (; out->fd_count < count; out->fd_count++) {
		int fd = fcntl(fds[out->fd_count], F_DUPFD_CLOEXEC, 3);

		if (fd < 0)
			return stop_before_fds(out, -errno);
		out->fds[out->fd_count] = fd;
	}
	return -EINPROGRESS;
}

/* With the turn, behind a message of which this came. */
static int send_fds_behind(struct carom_connection *connection, int r, const int *fds, size_t count,
			   uint64_t deadline_ns)
{
	if (r == 0) {
		r = carom_passing_send(connection, fds, count,
				       real_deadline(connection, deadline_ns));
		r = r == -EAGAIN || r == -ETIMEDOUT ? -EINPROGRESS
						    : stop_before_fds(&connection->out, r);
	}
	return r == -EINPROGRESS ? keep_fds(&connection->out, fds, count) : r;
}

int carom_connection_send_with_fds(struct carom_connection *connection, const void *data,
				   size_t size, const int *fds, size_t count, uint64_t deadline_ns)
{
	unsigned char frame[CAROM_FRAME_SIZE_MAX];
	struct iovec parts[2] = { { frame, 0 }, { (void *)data, size } };
	int r = carom_frame_encode(connection->framing, size, frame);

	parts[0].iov_len = r < 0 ? 0 : (size_t)r;
	if (r >= 0)
		r = carom_passing_check(connection, count);
	if (r == 0)
		r = carom_connection_begin_send(connection, deadline_ns);
	if (r < 0)
		return r;
	r = connection->duct ? send_whole(connection, data, size, deadline_ns)
			     : send_parts(connection, parts, deadline_ns);
	r = send_fds_behind(connection, r, fds, count, deadline_ns);
	carom_connection_end_send(connection);
	return r;
}

int carom_connection_flush(struct carom_connection *connection, uint64_t deadline_ns)
{
	int r = carom_connection_begin_send(connection, deadline_ns);

	if (r == 0)
		carom_connection_end_send(connection);
	return r;
}

ssize_t carom_connection_write_some(struct carom_connection *connection, const void *data,
				    size_t size, uint64_t deadline_ns)
{
	struct iovec part = { (void *)data, size };
	ssize_t n;
	int r;

	if (!data || size == 0)
		return -EINVAL;
	if (connection->duct)
		return -EOPNOTSUPP;
	r = carom_connection_begin_send(connection, deadline_ns);
	if (r < 0)
		return r;
	n = carom_stream_write(&connection->stream, &part, 1, deadline_ns);
	carom_turn_give(&connection->out.turn);
	return n;
}

/* ---- receiving ---- */

static int take_receive_turn(struct carom_connection *connection, uint64_t deadline_ns)
{
	if (connection->stream.fd < 0 || !connection->is_readable)
		return -EBADF;
	deadline_ns = real_deadline(connection, deadline_ns);
	return connection->duct ? carom_duct_begin_receive(connection->duct, deadline_ns)
				: carom_turn_take(&connection->in.turn, deadline_ns);
}

void carom_connection_end_receive(struct carom_connection *connection)
{
	if (connection->duct)
		carom_duct_end_receive(connection->duct);
	else
		carom_turn_give(&connection->in.turn);
}

int carom_connection_begin_receive(struct carom_connection *connection, uint64_t deadline_ns)
{
	struct carom_incoming *in = &connection->in;
	int r = take_receive_turn(connection, deadline_ns);

	if (r == 0) {
		in->is_aborted = false;
		in->abort_count = 0;
	}
	if (r == 0 && in->error) {
		r = in->error;
		carom_connection_end_receive(connection);
	}
	/* another process may have received what was there */
	if (r == 0 && connection->duct && in->is_known && !carom_duct_is_within(connection->duct) &&
	    !connection->is_lent && !in->is_kept)
		forget_message(in);
	return r;
}

/* I4 */
static int give_up(struct carom_incoming *in, int error)
{
	in->error = error;
	return error;
}

/* Up to @size bytes of a message that is not complete. Return: how many; why none */
static ssize_t read_within(struct carom_connection *connection, void *buffer, size_t size,
			   uint64_t deadline_ns)
{
	ssize_t n;

	if (connection->duct)
		n = carom_duct_read(connection->duct, buffer, size,
				    real_deadline(connection, deadline_ns));
	else
		n = carom_stream_read(&connection->stream, buffer, size, deadline_ns);
	if (n == -EBADMSG)
		return give_up(&connection->in, -EBADMSG);
	if ((n == 0 && size > 0) || n == -ECONNRESET)
		return give_up(&connection->in, -ECONNRESET);
	return n;
}

static int pass_over(struct carom_connection *connection, uint64_t deadline_ns)
{
	struct carom_incoming *in = &connection->in;
	unsigned char scratch[SCRATCH_SIZE];

	while (in->skip_left > 0) {
		size_t size = in->skip_left < sizeof(scratch) ? in->skip_left : sizeof(scratch);
		ssize_t n = read_within(connection, scratch, size, deadline_ns);

		if (n == -ECONNABORTED) /* no more of it comes */
			n = (ssize_t)in->skip_left;
		if (n < 0)
			return (int)n;
		in->skip_left -= (uint64_t)n;
	}
	return 0;
}

/* Of a duct, a message without bytes is a record all the same. */
static int end_empty(struct carom_connection *connection)
{
	if (!connection->duct || connection->in.size > 0)
		return 0;
	return (int)read_within(connection, NULL, 0, CAROM_PASSED);
}

/* Up to @size bytes of a frame, between two messages if it is the first. */
static ssize_t read_frame(struct carom_connection *connection, size_t size, uint64_t deadline_ns)
{
	struct carom_incoming *in = &connection->in;
	ssize_t n;

	if (in->frame_got > 0)
		return read_within(connection, in->frame + in->frame_got, size, deadline_ns);
	n = carom_stream_read(&connection->stream, in->frame, size, deadline_ns);
	return n == 0 || n == -ECONNRESET ? -EPIPE : n; /* it closed with something unread */
}

static int take_length(struct carom_connection *connection, uint64_t deadline_ns)
{
	struct carom_incoming *in = &connection->in;
	int r = carom_duct_look(connection->duct, real_deadline(connection, deadline_ns), &in->size,
				&connection->place);

	if (r == -EBADMSG)
		return give_up(in, r);
	in->is_known = r == 0;
	return r;
}

/* Until the length of the message at the head is known. */
static int take_frame(struct carom_connection *connection, uint64_t deadline_ns)
{
	struct carom_incoming *in = &connection->in;
	int wanted = in->skip_left > 0 ? pass_over(connection, deadline_ns) : 0;
	ssize_t n;

	if (wanted < 0 || in->is_known)
		return wanted;
	if (connection->duct)
		return take_length(connection, deadline_ns);
	while ((wanted = carom_frame_decode(connection->framing, in->frame, in->frame_got,
					    &in->size)) > 0) {
		n = read_frame(connection, (size_t)wanted, deadline_ns);
		if (n < 0)
			return (int)n;
		in->frame_got = (unsigned char)(in->frame_got + n);
	}
	if (wanted < 0)
		return give_up(in, wanted);
	in->is_known = true;
	return 0;
}

/* I2: a NUL fits behind it. */
static int make_room(struct carom_incoming *in)
{
	size_t room = in->body_room ? in->body_room * 2 : FIRST_ROOM;
	void *body;

	if (in->body && in->body_got < in->body_room)
		return 0;
	if (room > in->size)
		room = in->size;
	body = realloc(in->body, room + 1);
	if (!body)
		return -ENOMEM;
	in->body = body;
	in->body_room = room;
	return 0;
}

/* Until all of the message is in @in->body. */
static int take_body(struct carom_connection *connection, uint64_t deadline_ns)
{
	struct carom_incoming *in = &connection->in;
	int r = make_room(in);

	while (r == 0 && in->body_got < in->size) {
		ssize_t n = read_within(connection, in->body + in->body_got,
					in->body_room - in->body_got, deadline_ns);

		if (n < 0)
			return (int)n;
		in->body_got += (size_t)n;
		if (in->body_got < in->size)
			r = make_room(in);
	}
	return r < 0 ? r : end_empty(connection);
}

/*
 * Until its length is known, and is allowed. Behind one that was torn it is not waited for: who was
 * told to come for a message may be the one for whom all others wait.
 */
static int begin_message(struct carom_connection *connection, uint64_t size_max,
			 uint64_t deadline_ns)
{
	struct carom_incoming *in = &connection->in;
	int r = take_frame(connection, in->is_aborted ? CAROM_PASSED : deadline_ns);

	if (r < 0)
		return r;
	in->is_aborted = false;
	return in->size > size_max || in->size > connection->message_max ? -EMSGSIZE : 0;
}

/* The end of a call that receives, which @r came of. */
static int end_receive(struct carom_connection *connection, int r, size_t *ret_size)
{
	if (ret_size && (r == 0 || r == -EMSGSIZE))
		*ret_size = connection->in.size; /* which a size_t can say */
	if (connection->in.is_aborted && r == -EAGAIN)
		r = -ECONNABORTED;
	connection->is_lent = false;
	carom_connection_end_receive(connection);
	return r;
}

/*
 * Did its sender die on the message? Then the next one is received: but for who sends nothing
 * else no longer than told.
 */
static bool is_aborted(struct carom_connection *connection, int r, uint64_t deadline_ns)
{
	struct carom_incoming *in = &connection->in;

	if (r != -ECONNABORTED)
		return false;
	forget_message(in);
	in->is_aborted = true;
	in->abort_count++;
	return in->abort_count % ABORTS != 0 ||
	       carom_now() < real_deadline(connection, deadline_ns);
}

static void *hand_out(struct carom_incoming *in)
{
	unsigned char *body = carom_take_ptr(in->body);

	body[in->size] = '\0';
	forget_message(in);
	return body;
}

/* With the turn, until a message is complete. */
static int take_message(struct carom_connection *connection, size_t size_max, uint64_t deadline_ns)
{
	int r;

	do {
		r = begin_message(connection, size_max, deadline_ns);
		if (r == 0)
			r = take_body(connection, deadline_ns);
	} while (is_aborted(connection, r, deadline_ns));
	return r;
}

int carom_connection_recv_bytes(struct carom_connection *connection, size_t size_max,
				uint64_t deadline_ns, void **ret_data, size_t *ret_size)
{
	int r = carom_connection_begin_receive(connection, deadline_ns);

	if (r < 0)
		return r;
	r = take_message(connection, size_max ? size_max : SIZE_MAX, deadline_ns);
	if (r == 0)
		*ret_data = hand_out(&connection->in);
	return end_receive(connection, r, ret_size);
}

int carom_connection_take_message(struct carom_connection *connection, uint64_t deadline_ns,
				  carom_message_fn *take, void *userdata)
{
	struct carom_incoming *in = &connection->in;
	size_t size;
	int r = carom_connection_begin_receive(connection, deadline_ns);

	if (r < 0)
		return r;
	r = take_message(connection, SIZE_MAX, deadline_ns);
	if (r == 0) {
		r = take(connection, in->body, in->size, userdata);
		if (r == -EAGAIN || r == -ETIMEDOUT)
			in->is_kept = true;
		else
			forget_message(in);
	}
	return end_receive(connection, r, &size);
}

/* What came into the caller's memory, and was not all. */
static int keep_body(struct carom_incoming *in, const void *data, size_t size)
{
	if (size == 0)
		return 0;
	in->body = malloc(size + 1);
	if (!in->body)
		return give_up(in, -ENOTRECOVERABLE);
	memcpy(in->body, data, size);
	in->body_got = size;
	in->body_room = size;
	return 0;
}

/* The whole body, right into @buffer. */
static int take_directly(struct carom_connection *connection, unsigned char *buffer,
			 uint64_t deadline_ns)
{
	struct carom_incoming *in = &connection->in;
	size_t got = 0;
	int r;

	while (got < in->size) {
		ssize_t n = read_within(connection, buffer + got, in->size - got, deadline_ns);

		if (n == -ECONNABORTED)
			return (int)n;
		if (n < 0)
			return in->error || keep_body(in, buffer, got) == 0 ? (int)n : -ENOMEM;
		got += (size_t)n;
	}
	r = end_empty(connection);
	forget_message(in);
	return r;
}

/* Of a message that was begun before. */
static int take_and_copy(struct carom_connection *connection, void *buffer, uint64_t deadline_ns)
{
	struct carom_incoming *in = &connection->in;
	int r = take_body(connection, deadline_ns);

	if (r < 0)
		return r;
	memcpy(buffer, in->body, in->size);
	forget_message(in);
	return 0;
}

/* The usual case of a duct: it is there, and it fits. Else nothing has happened. */
static bool take_at_once(struct carom_connection *connection, void *buffer, size_t capacity,
			 size_t *ret_size)
{
	const struct carom_incoming *in = &connection->in;

	if (!connection->duct || in->is_known || in->skip_left > 0)
		return false;
	if (capacity > connection->message_max)
		capacity = connection->message_max;
	return carom_duct_take(connection->duct, buffer, capacity, ret_size);
}

int carom_connection_recv_bytes_into(struct carom_connection *connection, void *buffer,
				     size_t capacity, uint64_t deadline_ns, size_t *ret_size)
{
	int r = carom_connection_begin_receive(connection, deadline_ns);

	if (r < 0)
		return r;
	if (take_at_once(connection, buffer, capacity, ret_size)) {
		carom_connection_end_receive(connection);
		return 0;
	}
	do {
		r = begin_message(connection, capacity, deadline_ns);
		if (r == 0)
			r = connection->in.body ? take_and_copy(connection, buffer, deadline_ns)
						: take_directly(connection, buffer, deadline_ns);
	} while (is_aborted(connection, r, deadline_ns));
	return end_receive(connection, r, ret_size);
}

int carom_connection_skip(struct carom_connection *connection, uint64_t deadline_ns)
{
	struct carom_incoming *in = &connection->in;
	int r = carom_connection_begin_receive(connection, deadline_ns);

	if (r < 0)
		return r;
	if (in->skip_left == 0) { /* else one is being passed over already */
		r = take_frame(connection, deadline_ns);
		if (r == 0) {
			in->skip_left = in->size - in->body_got;
			r = end_empty(connection);
			forget_message(in);
		}
	}
	if (r == 0)
		r = pass_over(connection, deadline_ns);
	carom_connection_end_receive(connection);
	return r;
}

/* Until there is the beginning of a message; who receives is told what else there is. */
static int poll_by_duct(struct carom_connection *connection, uint64_t deadline_ns)
{
	const void *data;
	uint64_t size;
	int r = carom_duct_look(connection->duct, deadline_ns, &size, &data);

	return r == -EPIPE || r == -EBADMSG || r == -ECONNABORTED ? 0 : r;
}

int carom_connection_poll(struct carom_connection *connection, uint64_t deadline_ns)
{
	struct carom_stream stream = connection->stream;
	int r = carom_connection_begin_receive(connection, deadline_ns);
	bool is_begun;

	if (r == -EBADF || r == -EAGAIN || r == -ETIMEDOUT)
		return r;
	if (r < 0)
		return 0; /* who receives is told */
	is_begun = connection->in.is_known && connection->in.skip_left == 0;
	if (connection->duct && !is_begun && connection->in.skip_left == 0)
		r = poll_by_duct(connection, deadline_ns);
	carom_connection_end_receive(connection);
	if (is_begun || connection->duct)
		return r;
	stream.waits = true;
	return carom_stream_wait(&stream, POLLIN, deadline_ns);
}

/* ---- in place ---- */

static int check_place(const struct carom_connection *connection, bool is_allowed)
{
	if (connection->stream.fd < 0 || !is_allowed)
		return -EBADF;
	return connection->duct ? 0 : -EOPNOTSUPP;
}

int carom_connection_reserve(struct carom_connection *connection, size_t size, uint64_t deadline_ns,
			     void **ret_data)
{
	int r = check_place(connection, connection->is_writable);

	if (r == 0)
		r = carom_connection_begin_send(connection, deadline_ns);
	if (r < 0)
		return r;
	r = carom_duct_reserve(connection->duct, size, real_deadline(connection, deadline_ns),
			       ret_data);
	if (r < 0)
		carom_connection_end_send(connection);
	return r;
}

int carom_connection_commit_more(struct carom_connection *connection, size_t size)
{
	int r = check_place(connection, connection->is_writable);

	if (r == 0 && !carom_duct_has_begun_send(connection->duct))
		r = -EINVAL;
	return r < 0 ? r : carom_duct_commit(connection->duct, size);
}

int carom_connection_commit(struct carom_connection *connection, size_t size)
{
	int r = carom_connection_commit_more(connection, size);

	if (r == 0)
		carom_connection_end_send(connection);
	return r;
}

/* All of the message, wherever it is. */
static int take_in_place(struct carom_connection *connection, uint64_t deadline_ns,
			 const void **ret_data)
{
	int r = begin_message(connection, SIZE_MAX, deadline_ns);

	if (r < 0)
		return r;
	if (!connection->place) {
		r = take_body(connection, deadline_ns);
		connection->is_lent = r == 0;
	}
	if (r == 0)
		*ret_data = connection->is_lent ? connection->in.body : connection->place;
	return r;
}

int carom_connection_receive(struct carom_connection *connection, uint64_t deadline_ns,
			     const void **ret_data, size_t *ret_size)
{
	int r = check_place(connection, connection->is_readable);

	if (r == 0)
		r = carom_connection_begin_receive(connection, deadline_ns);
	if (r < 0)
		return r;
	do
		r = take_in_place(connection, deadline_ns, ret_data);
	while (is_aborted(connection, r, deadline_ns));
	if (r < 0)
		return end_receive(connection, r, ret_size);
	if (ret_size)
		*ret_size = connection->in.size;
	return 0;
}

int carom_connection_release_more(struct carom_connection *connection)
{
	int r = check_place(connection, connection->is_readable);

	if (r == 0 && !carom_duct_has_begun_receive(connection->duct))
		r = -EINVAL;
	if (r == 0 && !connection->is_lent)
		r = carom_duct_release(connection->duct);
	if (r == 0) {
		connection->is_lent = false;
		forget_message(&connection->in);
	}
	return r;
}

int carom_connection_release(struct carom_connection *connection)
{
	int r = carom_connection_release_more(connection);

	if (r == 0)
		carom_connection_end_receive(connection);
	return r;
}

/* Of a message a part was read. Where another thread is at it, that is not for this one. */
static bool has_part(struct carom_connection *connection)
{
	int r = take_receive_turn(connection, CAROM_PASSED);
	bool has;

	if (r < 0)
		return false;
	has = connection->in.error != 0 || connection->is_lent ||
	      (connection->in.is_known && connection->in.skip_left == 0);
	carom_connection_end_receive(connection);
	return has;
}

bool carom_connection_has_message(struct carom_connection *connection)
{
	return connection->duct ? carom_duct_settle(connection->duct) : has_part(connection);
}

bool carom_connection_confirm(struct carom_connection *connection)
{
	return !connection->duct || carom_duct_settle(connection->duct);
}

int carom_connection_poll_fd(struct carom_connection *connection)
{
	if (connection->stream.fd < 0)
		return -EBADF;
	return connection->duct ? carom_duct_poll_fd(connection->duct) : connection->stream.fd;
}

bool carom_connection_is_shared_memory(const struct carom_connection *connection)
{
	return connection->duct;
}
