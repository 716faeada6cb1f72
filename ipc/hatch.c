/*
 * Hatch
 *
 *   H1  Who puts holds the putters' lock from before its message is in the queue until its
 *       descriptors are in the socket, and takes the next number. Who gets holds the getters'
 *       lock from before it gets the message until it has the descriptors. So what lies in the
 *       socket has the order of the numbers, and of the messages.
 *   H2  The message goes first, when there is room in the socket. So a message that does not go
 *       leaves nothing there, and a getter that is faster waits for a moment.
 *   H3  What has a lower number than the message at hand belongs to nobody: it is closed.
 *
 * The deaths:
 *
 *	putting, before the message     nothing was put
 *	between message and socket      its getter waits in vain, and says -ENODATA
 *	getting, before the message     nothing was got
 *	between message and socket      lost with the dead: closed by the next one (H3), or by
 *	                                a putter that finds no room and the queue empty
 *
 * Either lock is then told to the next one as dead's, who has nothing to repair: what counts
 * is in the socket, and a call of the kernel's is done or not.
 */
#include "ipc/hatch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/points.h"
#include "core/time.h"
#include "ipc/letter.h"
#include "ipc/stream.h"
#include "shm/lock.h"

#define ROOM        256 /* for more descriptors than the kernel sends at a time */
#define BUFFER_SIZE (1 << 20)

enum letter { LETTER_QUEUE, LETTER_PUT, LETTER_GET, LETTER_IN, LETTER_OUT, LETTER_COUNT };

static const struct carom_letter_kind hatch_letter = { .text = "carom: a queue1",
						       .fd_count = LETTER_COUNT };

/**
 * struct carom_hatch - of this process
 * @handle: the socket with the letter
 * @in, @out: the ends of the socket that descriptors go through
 */
struct carom_hatch {
	int handle;
	int in;
	int out;
	struct carom_lock *put_lock;
	struct carom_lock *get_lock;
};

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(ROOM * sizeof(int))];
};

/* ---- making and ending ---- */

static struct carom_hatch *new_hatch(void)
{
	struct carom_hatch *hatch = calloc(1, sizeof(*hatch));

	if (hatch)
		hatch->handle = hatch->in = hatch->out = -1;
	return hatch;
}

struct carom_hatch *carom_hatch_free(struct carom_hatch *hatch)
{
	if (!hatch)
		return NULL;
	carom_closep(&hatch->handle);
	carom_closep(&hatch->in);
	carom_closep(&hatch->out);
	carom_lock_free(hatch->put_lock);
	carom_lock_free(hatch->get_lock);
	free(hatch);
	return NULL;
}

void carom_hatch_freep(struct carom_hatch **hatch)
{
	*hatch = carom_hatch_free(*hatch);
}

static int make_socket(struct carom_hatch *hatch)
{
	int size = BUFFER_SIZE, ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	hatch->in = ends[0];
	hatch->out = ends[1];
	setsockopt(hatch->in, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* as far as allowed */
	return 0;
}

static int make_locks(struct carom_hatch *hatch, uint32_t process_max)
{
	int r = carom_lock_new(
		&CAROM_LOCK_OPTIONS(.name = "queue putters", .process_max = process_max),
		&hatch->put_lock);

	if (r == 0)
		r = carom_lock_new(
			&CAROM_LOCK_OPTIONS(.name = "queue getters", .process_max = process_max),
			&hatch->get_lock);
	return r;
}

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

/* The letter is read once: a kernel that does not show it is known at once. */
static int make_handle(struct carom_hatch *hatch, int queue_fd)
{
	int fds[LETTER_COUNT] = { [LETTER_QUEUE] = queue_fd,
				  [LETTER_PUT] = carom_lock_fd(hatch->put_lock),
				  [LETTER_GET] = carom_lock_fd(hatch->get_lock),
				  [LETTER_IN] = hatch->in,
				  [LETTER_OUT] = hatch->out };
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	hatch->handle = ends[0];
	r = carom_letter_post(ends[1], &hatch_letter, fds);
	close(ends[1]);
	if (r == 0)
		r = carom_letter_peek(hatch->handle, &hatch_letter, fds);
	if (r == 0)
		close_all(fds, LETTER_COUNT);
	return r == -ENOENT ? -EOPNOTSUPP : r;
}

int carom_hatch_new(int queue_fd, uint32_t process_max, struct carom_hatch **ret_hatch)
{
	CAROM_CLEANUP(carom_hatch_freep) struct carom_hatch *hatch = new_hatch();
	int r = hatch ? make_socket(hatch) : -ENOMEM;

	if (r == 0)
		r = make_locks(hatch, process_max);
	if (r == 0)
		r = make_handle(hatch, queue_fd);
	if (r == 0)
		*ret_hatch = carom_take_ptr(hatch);
	return r;
}

/* Takes of @fds what is its own from then on. */
static int open_letter(struct carom_hatch *hatch, int fd, int fds[LETTER_COUNT])
{
	int r;

	hatch->in = carom_take_fd(fds[LETTER_IN]);
	hatch->out = carom_take_fd(fds[LETTER_OUT]);
	hatch->handle = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (hatch->handle < 0)
		return -errno;
	r = carom_lock_attach_dup(fds[LETTER_PUT], &hatch->put_lock);
	return r < 0 ? r : carom_lock_attach_dup(fds[LETTER_GET], &hatch->get_lock);
}

int carom_hatch_attach(int fd, int *ret_queue_fd, struct carom_hatch **ret_hatch)
{
	CAROM_CLEANUP(carom_hatch_freep) struct carom_hatch *hatch = NULL;
	int fds[LETTER_COUNT];
	int r = carom_letter_peek(fd, &hatch_letter, fds);

	if (r < 0)
		return r;
	hatch = new_hatch();
	r = hatch ? open_letter(hatch, fd, fds) : -ENOMEM;
	if (r == 0) {
		*ret_queue_fd = carom_take_fd(fds[LETTER_QUEUE]);
		*ret_hatch = carom_take_ptr(hatch);
	}
	for (size_t i = 0; i < LETTER_COUNT; i++)
		carom_closep(&fds[i]);
	return r;
}

int carom_hatch_fd(const struct carom_hatch *hatch)
{
	return hatch->handle;
}

/* ---- locks ---- */

/* What the dead had in hand needs no repair. */
static int lock(struct carom_lock *which, uint64_t deadline_ns)
{
	int r = carom_lock_acquire(which, deadline_ns);

	if (r == -EOWNERDEAD)
		return 0;
	if (r == -EAGAIN) /* no thread could be started */
		return -ENOMEM;
	return r == -ETIMEDOUT && deadline_ns == CAROM_PASSED ? -EAGAIN : r;
}

int carom_hatch_begin_put(struct carom_hatch *hatch, uint64_t deadline_ns)
{
	return lock(hatch->put_lock, deadline_ns);
}

void carom_hatch_end_put(struct carom_hatch *hatch)
{
	carom_lock_release(hatch->put_lock);
}

int carom_hatch_begin_get(struct carom_hatch *hatch, uint64_t deadline_ns)
{
	return lock(hatch->get_lock, deadline_ns);
}

void carom_hatch_end_get(struct carom_hatch *hatch)
{
	carom_lock_release(hatch->get_lock);
}

/* ---- putting ---- */

static int await(int fd, short events, uint64_t deadline_ns)
{
	struct carom_stream stream = { .fd = fd, .is_socket = true, .waits = true };

	return carom_stream_wait(&stream, events, deadline_ns);
}

int carom_hatch_await_room(struct carom_hatch *hatch, uint64_t deadline_ns)
{
	return await(hatch->in, POLLOUT, deadline_ns);
}

int carom_hatch_push(struct carom_hatch *hatch, uint64_t number, const int *fds, size_t count)
{
	union control control = { 0 };
	struct iovec part = { &number, sizeof(number) };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	ssize_t n;

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	CAROM_POINT("hatch.push");
	do
		n = sendmsg(hatch->in, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* ---- getting ---- */

/* What lies first. Return: 0, -EAGAIN (nothing) */
static int look(struct carom_hatch *hatch, uint64_t *ret_number)
{
	ssize_t n = recv(hatch->out, ret_number, sizeof(*ret_number), MSG_PEEK | MSG_DONTWAIT);

	if (n < 0)
		return errno == EINTR ? look(hatch, ret_number) : -errno;
	return n == sizeof(*ret_number) ? 0 : -EBADMSG;
}

/* What lies first, whatever it is. @ret_fds: ROOM. Return: how many; -EMFILE: not all, and closed */
static ssize_t take(struct carom_hatch *hatch, int *ret_fds)
{
	union control control;
	uint64_t number;
	struct iovec part = { &number, sizeof(number) };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header;
	size_t count = 0;

	if (recvmsg(hatch->out, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0)
		return -errno;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
		count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(ret_fds, CMSG_DATA(header), count * sizeof(int));
	}
	if (!(message.msg_flags & MSG_CTRUNC))
		return (ssize_t)count;
	close_all(ret_fds, count);
	return -EMFILE;
}

static void discard(struct carom_hatch *hatch)
{
	int fds[ROOM];
	ssize_t count = take(hatch, fds);

	if (count > 0)
		close_all(fds, (size_t)count);
}

void carom_hatch_clear(struct carom_hatch *hatch)
{
	uint64_t number;

	while (look(hatch, &number) == 0)
		discard(hatch);
}

static int take_all(struct carom_hatch *hatch, size_t count, int *ret_fds)
{
	int fds[ROOM];
	ssize_t n = take(hatch, fds);

	if (n < 0)
		return (int)n;
	if ((size_t)n != count) {
		close_all(fds, (size_t)n);
		return -EBADMSG;
	}
	memcpy(ret_fds, fds, count * sizeof(int));
	return 0;
}

int carom_hatch_pull(struct carom_hatch *hatch, uint64_t number, size_t count, uint64_t deadline_ns,
		     int *ret_fds)
{
	uint64_t first = 0;
	int r;

	for (;;) {
		r = look(hatch, &first);
		if (r == 0 && first == number)
			return take_all(hatch, count, ret_fds);
		if (r == 0 && first > number)
			return -ENODATA;
		if (r == 0)
			discard(hatch); /* H3 */
		else if (r != -EAGAIN)
			return r;
		else if (await(hatch->out, POLLIN, deadline_ns) < 0)
			return -ENODATA;
	}
}
