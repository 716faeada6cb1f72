/*
 * Letter
 *
 * Only a socket of a pair that has no name, nor its peer, can have one: a stranger that
 * connects to a listener can put anything into its queue.
 */
#include "ipc/letter.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/cleanup.h"

const struct carom_letter_kind carom_pipe_letter = { .text = "carom: a pipe 1",
						     .fd_count = CAROM_LETTER_FD_COUNT };

/* Room for more than there should be: each has to be closed. */
#define ROOM 16

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(ROOM * sizeof(int))];
};

int carom_letter_post(int peer, const struct carom_letter_kind *kind, const int *fds)
{
	union control control = { 0 };
	struct iovec part = { (char *)kind->text, sizeof(kind->text) };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = CMSG_SPACE(kind->fd_count * sizeof(int)) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(kind->fd_count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, kind->fd_count * sizeof(int));
	return sendmsg(peer, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

typedef int name_fn(int socket, struct sockaddr *address, socklen_t *size);

static bool is_unnamed(int socket, name_fn *name)
{
	struct sockaddr_un address;
	socklen_t size = sizeof(address);

	return name(socket, (struct sockaddr *)&address, &size) == 0 &&
	       address.sun_family == AF_UNIX && size == sizeof(sa_family_t);
}

static bool is_of_a_pair(int socket)
{
	return is_unnamed(socket, getsockname) && is_unnamed(socket, getpeername);
}

/* Those that come in @message. Return: how many */
static size_t collect(struct msghdr *message, int fds[ROOM])
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	size_t size;

	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return 0;
	size = header->cmsg_len - CMSG_LEN(0);
	memcpy(fds, CMSG_DATA(header), size);
	return size / sizeof(int);
}

int carom_letter_peek(int socket, const struct carom_letter_kind *kind, int *ret_fds)
{
	char bytes[sizeof(kind->text)] = "";
	union control control;
	struct iovec part = { bytes, sizeof(bytes) };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fds[ROOM];
	size_t count;

	if (!is_of_a_pair(socket) ||
	    recvmsg(socket, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return -ENOENT;
	count = collect(&message, fds);
	if (memcmp(bytes, kind->text, sizeof(bytes)) == 0 && count == kind->fd_count) {
		memcpy(ret_fds, fds, count * sizeof(int));
		return 0;
	}
	while (count > 0)
		close(fds[--count]);
	if (memcmp(bytes, kind->text, sizeof(bytes)) == 0 && (message.msg_flags & MSG_CTRUNC))
		return -EMFILE;
	return -ENOENT;
}

int carom_letter_peek_one(int socket, enum carom_letter_fd which)
{
	int fds[CAROM_LETTER_FD_COUNT];
	int fd, r = carom_letter_peek(socket, &carom_pipe_letter, fds);

	if (r < 0)
		return r;
	fd = carom_take_fd(fds[which]);
	for (int i = 0; i < CAROM_LETTER_FD_COUNT; i++)
		carom_closep(&fds[i]);
	return fd;
}
