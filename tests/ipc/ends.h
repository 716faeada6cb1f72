/* Both ends of a connection, as tests want them. */
#ifndef CAROM_TESTS_IPC_ENDS_H
#define CAROM_TESTS_IPC_ENDS_H

#include "tests/shm/help.h"

#include <poll.h>
#include <sys/socket.h>

#include "core/cleanup.h"
#include "core/time.h"
#include "ipc/connection.h"
#include "ipc/pipe.h"

#define CONNECTION CAROM_CLEANUP(carom_connection_freep) struct carom_connection *

/** soon() - a deadline that a loaded machine keeps, and a test that fails reaches */
static inline uint64_t soon(void)
{
	return carom_deadline_after(CAROM_SECONDS(20));
}

/* What holds of both kinds of pipes is tested with both: CAROM_SOCKETS is set once more. */
static inline int new_pipe(const struct carom_pipe_options *options, bool is_socket,
			   struct carom_connection **ret_first,
			   struct carom_connection **ret_second)
{
	struct carom_pipe_options o = *options;
	int r;

	o.is_socket |= is_socket;
	r = carom_pipe_new(&o, ret_first, ret_second);
	if (r == 0)
		cr_assert(eq(int, carom_connection_is_shared_memory(*ret_first), !o.is_socket));
	return r;
}

/** PIPE() - both ends as variables */
#define PIPE(first, second, ...)                                       \
	CONNECTION first = NULL;                                       \
	CONNECTION second = NULL;                                      \
	cr_assert(zero(int, new_pipe(&CAROM_PIPE_OPTIONS(__VA_ARGS__), \
				     getenv("CAROM_SOCKETS") != NULL, &first, &second)))

/** SOCKETS() - the same, of what holds of sockets alone; and what through shared memory */
#define SOCKETS(first, second, ...) \
	CONNECTION first = NULL;    \
	CONNECTION second = NULL;   \
	cr_assert(zero(int, new_pipe(&CAROM_PIPE_OPTIONS(__VA_ARGS__), true, &first, &second)))
#define MEMORY(first, second, ...) \
	CONNECTION first = NULL;   \
	CONNECTION second = NULL;  \
	cr_assert(zero(int, new_pipe(&CAROM_PIPE_OPTIONS(__VA_ARGS__), false, &first, &second)))

/** HALF() - a connection, and the bare socket at its other end */
#define HALF(connection, fd, ...)     \
	CONNECTION connection = NULL; \
	CAROM_CLEANUP(carom_closep)   \
	int fd = half(&CAROM_CONNECTION_OPTIONS(__VA_ARGS__), &connection)

static inline int half(const struct carom_connection_options *options,
		       struct carom_connection **ret_connection)
{
	int fds[2];

	cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)));
	cr_assert(zero(int, carom_connection_new_take(fds[0], options, ret_connection)));
	return fds[1];
}

/** put() - bytes into the bare socket */
static inline void put(int fd, const void *bytes, size_t size)
{
	cr_assert(eq(int, (int)send(fd, bytes, size, MSG_NOSIGNAL), (int)size));
}

/* Return: the message's length, or the error */
static inline long take(struct carom_connection *connection, void *buffer, size_t capacity)
{
	size_t size = 0;
	int r = carom_connection_recv_bytes_into(connection, buffer, capacity, soon(), &size);

	return r < 0 ? r : (long)size;
}

static inline int give(struct carom_connection *connection, const void *data, size_t size)
{
	return carom_connection_send_bytes(connection, data, size, soon());
}

/** expect_message() - the next one is @text */
#define expect_message(connection, text)                                              \
	do {                                                                          \
		char got_[64] = "";                                                   \
		long size_ = take((connection), got_, sizeof(got_));                  \
                                                                                      \
		cr_expect(eq(long, size_, (long)strlen(text)), "%s", text);           \
		cr_expect(zero(int, memcmp(got_, (text), strlen(text))), "%s", text); \
	} while (0)

#endif
