/**
 * DOC: passing
 *
 * Descriptors through a connection between processes of one machine: files, sockets, pipes,
 * segments by their memfd, connections. The receiver gets a descriptor of its own of the
 * same open file, as by dup(2):
 *
 *	r = carom_connection_send_fd(connection, fd, CAROM_NO_DEADLINE);
 *	...
 *	r = carom_connection_recv_fd(connection, CAROM_NO_DEADLINE, &fd);
 *
 * It is what Python's multiprocessing.reduction.send_handle() and recv_handle() do. They
 * are no messages: who receives says what is to come next, a message or descriptors.
 */
#ifndef CAROM_IPC_PASSING_H
#define CAROM_IPC_PASSING_H

#include "connection.h"

CAROM_BEGIN_DECLS

#define CAROM_PASSED_FDS_MAX 253 /* at a time; the kernel's limit */

/**
 * carom_connection_send_fds() - descriptors, which stay the caller's
 * @fds: may be closed as soon as this returns
 *
 * Context: MT-Safe, AS-Unsafe heap. Blocks.
 * Return: 0, or, and nothing was sent,
 *	-EINVAL     @count is 0 or above CAROM_PASSED_FDS_MAX
 *	-EPERM      this is no AF_UNIX socket: descriptors do not leave the machine
 *	-EBADF      closed, or an end that only receives; or one of @fds is not open
 *	-ETOOMANYREFS  too many are on their way
 *	-EAGAIN, -ETIMEDOUT, -EPIPE, ...  as carom_connection_send_bytes()
 */
CAROM_API int carom_connection_send_fds(struct carom_connection *connection, const int *fds,
					size_t count, uint64_t deadline_ns);

/**
 * carom_connection_recv_fds() - descriptors, as they were sent in one call
 * @count:   how many they have to be
 * @ret_fds: room for @count; the caller's to close; CLOEXEC
 *
 * Context: MT-Safe, AS-Unsafe heap. Blocks.
 * Return: 0, or, with @ret_fds untouched,
 *	-EINVAL     @count is 0 or above CAROM_PASSED_FDS_MAX
 *	-EPERM      this is no AF_UNIX socket
 *	-EBADF      closed, or an end that only sends
 *	-EBUSY      a message is at the head of the connection, of which a part has been read
 *	-EBADMSG    something else came, which is lost, for good; or others than @count
 *	            descriptors, which are closed
 *	-EMFILE     no room for them here; they are lost
 *	-EAGAIN, -ETIMEDOUT, -EPIPE, ...  as carom_connection_recv_bytes()
 */
CAROM_API int carom_connection_recv_fds(struct carom_connection *connection, size_t count,
					uint64_t deadline_ns, int *ret_fds);

/** carom_connection_send_fd() - carom_connection_send_fds() of one */
CAROM_API int carom_connection_send_fd(struct carom_connection *connection, int fd,
				       uint64_t deadline_ns);

/** carom_connection_recv_fd() - carom_connection_recv_fds() of one */
CAROM_API int carom_connection_recv_fd(struct carom_connection *connection, uint64_t deadline_ns,
				       int *ret_fd);

CAROM_END_DECLS

#endif
