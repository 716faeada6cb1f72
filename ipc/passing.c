/*
 * Passing
 *
 * One byte, their number modulo 256, with all descriptors as its ancillary data. The kernel
 * gives that byte to one read, and whoever reads it without asking for the descriptors has
 * closed them.
 *
 * There is room for more descriptors than are asked for, so that of too many each is known
 * and can be closed.
 */
#include "ipc/passing.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/connection_private.h"

/* The kernel's, and a few in case it allows more one day. */
#define ROOM 256

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(ROOM * sizeof(int))];
};

/* Of a duct, a socket of its own is for descriptors. */
static int stream_for_fds(struct carom_connection *connection, struct carom_stream *ret_stream)
{
	int fd = connection->stream.fd;

	if (connection->duct)
		fd = carom_duct_passing_fd(connection->duct);
	if (fd < 0)
		return fd;
	*ret_stream = connection->stream;
	ret_stream->fd = fd;
	return 0;
}

static int check(struct carom_connection *connection, size_t count, struct carom_stream *ret_stream)
{
	int domain;
	socklen_t size = sizeof(domain);

	if (count == 0 || count > CAROM_PASSED_FDS_MAX)
		return -EINVAL;
	if (connection->stream.fd < 0)
		return -EBADF;
	if (!connection->stream.is_socket)
		return -EPERM;
	if (getsockopt(connection->stream.fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
		return -errno;
	return domain == AF_UNIX ? stream_for_fds(connection, ret_stream) : -EPERM;
}

int carom_passing_check(struct carom_connection *connection, size_t count)
{
	struct carom_stream stream;

	return check(connection, count, &stream);
}

/* ---- sending ---- */

static int send_once(int fd, const int *fds, size_t count)
{
	unsigned char byte = (unsigned char)count;
	union control control = { 0 };
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int carom_passing_send(struct carom_connection *connection, const int *fds, size_t count,
		       uint64_t deadline_ns)
{
	struct carom_stream stream;
	int r = check(connection, count, &stream);

	if (r < 0)
		return r;
	do
		r = send_once(stream.fd, fds, count);
	while (r == -EINTR ||
	       (r == -EAGAIN && (r = carom_stream_wait(&stream, POLLOUT, deadline_ns)) == 0));
	return r;
}

int carom_connection_send_fds(struct carom_connection *connection, const int *fds, size_t count,
			      uint64_t deadline_ns)
{
	int r = carom_passing_check(connection, count);

	if (r == 0)
		r = carom_connection_begin_send(connection, deadline_ns);
	if (r < 0)
		return r;
	r = carom_passing_send(connection, fds, count, deadline_ns);
	carom_connection_end_send(connection);
	return r;
}

int carom_connection_send_fd(struct carom_connection *connection, int fd, uint64_t deadline_ns)
{
	return carom_connection_send_fds(connection, &fd, 1, deadline_ns);
}

/* ---- receiving ---- */

/**
 * struct delivery - what came in one call
 * @byte_count: 0: the end
 * @is_cut: there was more than the room, or something beside them
 */
struct delivery {
	ssize_t byte_count;
	unsigned char byte;
	bool is_cut;
	size_t fd_count;
	int fds[ROOM];
};

/* All descriptors of @message, whatever else is there. */
static void collect(struct msghdr *message, struct delivery *delivery)
{
	struct cmsghdr *header;

	for (header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		size_t size = header->cmsg_len - CMSG_LEN(0);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
		    delivery->fd_count > 0) {
			delivery->is_cut = true;
			continue;
		}
		memcpy(delivery->fds, CMSG_DATA(header), size);
		delivery->fd_count = size / sizeof(int);
	}
}

static int receive_once(int fd, struct delivery *delivery)
{
	union control control;
	struct iovec part = { &delivery->byte, 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	memset(delivery, 0, sizeof(*delivery));
	delivery->byte_count = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (delivery->byte_count < 0)
		return -errno;
	delivery->is_cut = message.msg_flags & MSG_CTRUNC;
	collect(&message, delivery);
	return 0;
}

static void refuse(struct delivery *delivery)
{
	for (size_t i = 0; i < delivery->fd_count; i++)
		close(delivery->fds[i]);
}

/* Is it @count descriptors, and nothing else? */
static int judge(struct carom_incoming *in, const struct delivery *delivery, size_t count)
{
	if (delivery->byte_count == 0)
		return -EPIPE;
	if (delivery->fd_count == 0 && !delivery->is_cut)
		return in->error = -EBADMSG; /* the place of the next frame is lost */
	if (delivery->is_cut && delivery->fd_count < delivery->byte)
		return -EMFILE;
	if (delivery->is_cut || delivery->byte != (unsigned char)count)
		return -EBADMSG;
	return delivery->fd_count == count ? 0 : -EBADMSG;
}

static int receive(const struct carom_stream *stream, struct delivery *delivery,
		   uint64_t deadline_ns)
{
	int r;

	do
		r = receive_once(stream->fd, delivery);
	while (r == -EINTR ||
	       (r == -EAGAIN && (r = carom_stream_wait(stream, POLLIN, deadline_ns)) == 0));
	return r == -ECONNRESET ? -EPIPE : r; /* between two messages: no message was torn */
}

static bool is_within_message(const struct carom_incoming *in)
{
	return in->frame_got > 0 || in->skip_left > 0;
}

int carom_passing_receive(struct carom_connection *connection, size_t count, uint64_t deadline_ns,
			  int *ret_fds)
{
	struct delivery delivery;
	struct carom_stream stream;
	int r = check(connection, count, &stream);

	if (r == 0)
		r = receive(&stream, &delivery, deadline_ns);
	if (r < 0)
		return r;
	r = judge(&connection->in, &delivery, count);
	if (r == 0)
		memcpy(ret_fds, delivery.fds, count * sizeof(int));
	else
		refuse(&delivery);
	return r;
}

int carom_connection_recv_fds(struct carom_connection *connection, size_t count,
			      uint64_t deadline_ns, int *ret_fds)
{
	int r = carom_passing_check(connection, count);

	if (r == 0)
		r = carom_connection_begin_receive(connection, deadline_ns);
	if (r < 0)
		return r;
	r = is_within_message(&connection->in)
		    ? -EBUSY
		    : carom_passing_receive(connection, count, deadline_ns, ret_fds);
	carom_connection_end_receive(connection);
	return r;
}

int carom_connection_recv_fd(struct carom_connection *connection, uint64_t deadline_ns, int *ret_fd)
{
	return carom_connection_recv_fds(connection, 1, deadline_ns, ret_fd);
}
