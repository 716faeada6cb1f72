/*
 * Fork server: packets
 *
 * SOCK_SEQPACKET keeps packets apart and tells when the other end is closed;
 * SCM_RIGHTS carries the descriptors. A receiver whose table is full gets the
 * packet without them, and MSG_CTRUNC.
 */
#include "core/forkserver_private.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr header; /* for its alignment */
	char space[CMSG_SPACE(CAROM_PACKET_FDS_MAX * sizeof(int))];
};

int carom_packet_send(int socket_fd, const void *packet, size_t size, const int *fds,
		      size_t fd_count, int flags)
{
	union control control = { 0 };
	struct iovec part = { .iov_base = (void *)packet, .iov_len = size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t n;

	if (fd_count) {
		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, fd_count * sizeof(int));
	}
	do
		n = sendmsg(socket_fd, &message, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static size_t take_fds(struct msghdr *message, int *ret_fds)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	size_t bytes;

	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return 0;
	bytes = header->cmsg_len - CMSG_LEN(0);
	memcpy(ret_fds, CMSG_DATA(header), bytes);
	return bytes / sizeof(int);
}

/* What was received was nothing: is that the end, or a packet with nothing in it? */
static bool has_ended(int socket_fd)
{
	struct pollfd watch = { .fd = socket_fd, .events = POLLIN | POLLRDHUP };

	return poll(&watch, 1, 0) > 0 && watch.revents & (POLLHUP | POLLRDHUP);
}

static ssize_t receive(int socket_fd, void *packet, size_t size, int flags, int *ret_fds,
		       size_t *ret_fd_count, bool *ret_is_cut)
{
	union control control;
	struct iovec part = { .iov_base = packet, .iov_len = size };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	ssize_t n;

	/*
	 * ECONNRESET says once that the other end was closed with packets unread in it. It
	 * goes before the packets that still stand here to be taken.
	 */
	do
		n = recvmsg(socket_fd, &message, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return -errno;
	*ret_fd_count = take_fds(&message, ret_fds);
	*ret_is_cut = (message.msg_flags & MSG_CTRUNC) != 0;
	return n;
}

void carom_packet_drop(const int *fds, size_t fd_count)
{
	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
}

ssize_t carom_packet_receive(int socket_fd, void *packet, size_t size, int flags, int *ret_fds,
			     size_t *ret_fd_count, bool *ret_is_cut)
{
	for (;;) {
		ssize_t n =
			receive(socket_fd, packet, size, flags, ret_fds, ret_fd_count, ret_is_cut);

		if (n != 0)
			return n;
		carom_packet_drop(ret_fds, *ret_fd_count);
		*ret_fd_count = 0;
		if (has_ended(socket_fd))
			return 0;
	}
}
