/**
 * DOC: connection
 *
 * Messages of any length through a stream, a socket or a pipe; or, within a tree of
 * processes, through shared memory (pipe.h). What is sent is received as it was sent, whole
 * and in order. In a stream the bytes on the way are those of Python's
 * `multiprocessing.connection`, so that either side may be a Python program:
 *
 *	CAROM_CLEANUP(carom_connection_freep) struct carom_connection *connection = NULL;
 *
 *	r = carom_client_connect(&CAROM_CLIENT_OPTIONS(.path = "/run/jobs"), CAROM_NO_DEADLINE,
 *				 &connection);		// or carom_pipe_new()
 *	r = carom_connection_send_bytes(connection, "hello", 5, CAROM_NO_DEADLINE);
 *	r = carom_connection_recv_bytes(connection, 0, carom_deadline_after(CAROM_SECONDS(1)),
 *					&data, &size);
 *	...
 *	free(data);
 *
 * Deadlines are points in time; CAROM_PASSED only looks. Nothing is lost by one that
 * passes: what has come of a message so far is kept, and the next call goes on with it.
 * Nor is anything lost by a message that is too long for its receiver: -EMSGSIZE leaves it
 * where it is, to be received with more room, or passed over by carom_connection_skip().
 *
 * The end of the last peer, by its death, too, is -EPIPE between two messages and
 * -ECONNRESET within one: then a message was torn, and nothing of it is received.
 *
 * Threads may use a connection at the same time, to send and to receive: messages do not
 * mix. So may processes that share an end of a pipe through shared memory, whoever of them
 * is killed: the message that it was sending is then received by nobody, and one that it was
 * receiving in parts (those that are longer than half of the pipe's buffer are) is lost with
 * it. Who waits for the rest of a message is told of the end of its sender's process after some
 * 100 ms, also while others at that end are silent: -ECONNABORTED; but in another pid namespace
 * than that sender's, or without /proc, only by the next one who sends. Who polls for the rest
 * is not woken for it: receive again after so long. Processes that share a stream's
 * end may not both send, nor both receive, at the same time, and a child by fork() that goes on
 * with its parent's end does so between two messages.
 *
 * Through shared memory messages are also written and read where they stand, for a cost that
 * does not depend on their size:
 *
 *	r = carom_connection_reserve(connection, size_at_most, CAROM_NO_DEADLINE, &room);
 *	size = write_message(room);
 *	r = carom_connection_commit(connection, size);
 *	...
 *	r = carom_connection_receive(connection, CAROM_NO_DEADLINE, &data, &size);
 *	use(data, size);
 *	r = carom_connection_release(connection);
 *
 * Through a connection by shared memory, carom_connection_send_bytes() is told of the peer's end
 * by a thread, which the first one starts: what is sent before that thread has come to it is
 * sent to nobody, without an error.
 */
#ifndef CAROM_IPC_CONNECTION_H
#define CAROM_IPC_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../core/api.h"
#include "../core/cleanup.h"
#include "../core/time.h"

CAROM_BEGIN_DECLS

struct carom_connection;

/**
 * enum carom_framing - what stands before a message; both sides have to agree
 * @CAROM_FRAMING_PYTHON:   as Python 3.8 and later: a message may have any length
 * @CAROM_FRAMING_LEGACY:   as billiard and older Pythons: up to 2 GiB - 1 byte
 * @CAROM_FRAMING_UNSIGNED: as Celery to its workers: up to 4 GiB - 1 byte
 *
 * Of lengths that all three can say they make the same bytes.
 */
enum carom_framing {
	CAROM_FRAMING_PYTHON,
	CAROM_FRAMING_LEGACY,
	CAROM_FRAMING_UNSIGNED,
};

/**
 * struct carom_connection_options - what carom_connection_new_take() makes
 * @size_bytes:    size of this struct; CAROM_CONNECTION_OPTIONS() fills it in
 * @message_max:   a longer message is not received: -EMSGSIZE; 0 means no limit
 * @buffer_size:   of a socket, in each direction, or of a pipe, in bytes; the kernel rounds
 *                 it up, and may allow less; 0 means what the kernel makes
 * @framing:       what stands before a message
 * @is_read_only:  nothing is sent
 * @is_write_only: nothing is received
 * @is_plain:      bytes and no more, whatever comes with them: for a socket of a pair that
 *                 comes from somebody who is not trusted. Else, the descriptor of a pipe
 *                 through shared memory (pipe.h) brings its memory with it
 */
struct carom_connection_options {
	size_t size_bytes;
	uint64_t message_max;
	uint64_t buffer_size;
	enum carom_framing framing;
	bool is_read_only;
	bool is_write_only;
	bool is_plain;
	uint8_t reserved; /* 0 */
};
#define CAROM_CONNECTION_OPTIONS(...) CAROM_OPTIONS(carom_connection_options, __VA_ARGS__)

/**
 * carom_connection_new_take() - messages through a descriptor that is there already
 * @fd:             a stream socket, or an end of a pipe; on success the connection's, which
 *                  closes it; becomes CLOEXEC
 * @options:        read during the call only; NULL for all defaults
 * @ret_connection: the caller owns it and ends it with carom_connection_free()
 *
 * Context: MT-Safe, AS-Unsafe heap. Usable in a forked child.
 * Return: 0, or, with @fd still the caller's,
 *	-EINVAL  @fd is below 0, or no stream of bytes; or neither direction is left by
 *	         @options, or by how @fd was opened; or an unknown @options->framing
 *	-EBADF   @fd is not open
 *	-E2BIG   @options sets a field newer than this library
 *	-EPERM   @options->buffer_size is more than a pipe may have
 *	-EBUSY   and less than what is in that pipe now
 *	-ENOMEM
 */
CAROM_API int carom_connection_new_take(int fd, const struct carom_connection_options *options,
					struct carom_connection **ret_connection);

/**
 * carom_connection_free() - close it, and free the handle
 * @connection: NULL is allowed
 *
 * Context: MT-Safe, AS-Unsafe heap. No thread may use @connection any more.
 * Return: NULL.
 */
CAROM_API struct carom_connection *carom_connection_free(struct carom_connection *connection);
CAROM_API void carom_connection_freep(struct carom_connection **connection);

/**
 * carom_connection_close() - close it, and keep the handle
 *
 * Every other function then says -EBADF. Closing twice is allowed. The peer reads to the
 * end of what was sent; what was not (-EINPROGRESS) never is.
 *
 * Context: AS-Unsafe heap. No other thread may be in a call with @connection.
 */
CAROM_API void carom_connection_close(struct carom_connection *connection);

/**
 * carom_connection_fd() - its descriptor, to hand it to a child, or to send it elsewhere
 *
 * Whoever has it makes a connection of it: carom_connection_new_take(). It stays the
 * connection's. For poll(2) there is carom_connection_poll_fd(), which of a stream is this one.
 *
 * Context: MT-Safe, AS-Safe.
 * Return: the number, -EBADF (closed).
 */
CAROM_API int carom_connection_fd(const struct carom_connection *connection);

/**
 * carom_connection_poll_fd() - a descriptor for poll(2)
 *
 * It is readable when there is something to receive, or the end; but of a stream not for a
 * message that -EMSGSIZE has left: see carom_connection_poll(). Of shared memory it may be
 * readable for nothing: receive with CAROM_PASSED, and after -EAGAIN it is not any more, once
 * nobody is just sending. Who goes by edges (EPOLLET) receives until -EAGAIN: what is sent from
 * then on makes a new one; but not a message whose sender is killed in the moment in which it
 * tells of it, as long as others share its end, and send nothing. Of two receivers that share an
 * end only one may go by edges: what the other's look takes from the descriptor makes none.
 * It stays the connection's.
 *
 * Context: MT-Safe.
 * Return: the number, -EBADF (closed), -EMFILE, -ENFILE.
 */
CAROM_API int carom_connection_poll_fd(struct carom_connection *connection);

/** carom_connection_is_shared_memory() - or a stream? MT-Safe, AS-Safe. */
CAROM_API bool carom_connection_is_shared_memory(const struct carom_connection *connection);

/** carom_connection_is_closed() - by carom_connection_close(). MT-Safe, AS-Safe. */
CAROM_API bool carom_connection_is_closed(const struct carom_connection *connection);

/** carom_connection_is_readable() - is this an end that receives? MT-Safe, AS-Safe. */
CAROM_API bool carom_connection_is_readable(const struct carom_connection *connection);

/** carom_connection_is_writable() - is this an end that sends? MT-Safe, AS-Safe. */
CAROM_API bool carom_connection_is_writable(const struct carom_connection *connection);

/**
 * carom_connection_set_blocking() - shall calls wait (true), or never (false)?
 *
 * Where they do not, each deadline counts as CAROM_PASSED. It is a property of the open
 * file, which all its duplicates share, in other processes too.
 *
 * Context: MT-Safe, AS-Safe.
 * Return: 0, -EBADF.
 */
CAROM_API int carom_connection_set_blocking(struct carom_connection *connection, bool blocking);

/**
 * carom_connection_send_bytes() - a message
 * @data:        @size bytes; may be NULL if @size is 0
 * @deadline_ns: how long to wait for room
 *
 * Context: MT-Safe, AS-Unsafe heap. Blocks. A signal does not end the wait.
 * Return: 0, or, and nothing of it was sent,
 *	-EAGAIN     no room now, and @deadline_ns is CAROM_PASSED, or it never waits
 *	-ETIMEDOUT  no room by @deadline_ns
 *	-EMSGSIZE   longer than the framing can say
 *	-EINVAL     no @data
 *	-EBADF      closed, or an end that only receives
 *	-EBUSY      another process that shares this end has -EINPROGRESS left
 * or
 *	-EINPROGRESS  part of it was sent by @deadline_ns. The connection keeps the rest, which
 *	              goes before anything else that is sent, or by carom_connection_flush()
 *	-EPIPE, -ECONNRESET, ...  the peer is gone
 *	-ENOMEM     to keep the rest; then, and for good,
 *	-ENOTRECOVERABLE  a message was left torn: close the connection
 */
CAROM_API int carom_connection_send_bytes(struct carom_connection *connection, const void *data,
					  size_t size, uint64_t deadline_ns);

/**
 * carom_connection_flush() - send what -EINPROGRESS has left
 *
 * Of a stream, wait for the descriptor to be writable (POLLOUT), and call it with CAROM_PASSED.
 * It also makes visible what carom_connection_commit_more() has left.
 *
 * Context: MT-Safe, AS-Unsafe heap. Blocks.
 * Return: 0 (nothing is left), or as carom_connection_send_bytes(): -EAGAIN, -ETIMEDOUT (some
 * is left still), -EPIPE, -ECONNRESET, -EBADF, ...
 */
CAROM_API int carom_connection_flush(struct carom_connection *connection, uint64_t deadline_ns);

/**
 * carom_connection_write_some() - bytes that are no message: with nothing before them
 * @data: @size bytes, more than 0
 *
 * For a program that makes its frames itself. What is left of a message goes first.
 *
 * Context: MT-Safe, AS-Unsafe heap. Blocks until one byte at least is written.
 * Return: how many were; -EOPNOTSUPP (this is no stream), -EAGAIN, -ETIMEDOUT, -EINVAL, -EBADF, -EPIPE, -ECONNRESET, ...
 */
CAROM_API ssize_t carom_connection_write_some(struct carom_connection *connection, const void *data,
					      size_t size, uint64_t deadline_ns);

/**
 * carom_connection_recv_bytes() - the next message
 * @size_max: a longer one stays where it is; 0: no limit but the connection's own
 * @ret_data: the message, and a NUL behind it; the caller's, to be freed with free(3)
 * @ret_size: its length; may be NULL
 *
 * Memory is taken as the bytes come, not for what a peer says will come.
 *
 * Context: MT-Safe, AS-Unsafe heap. Blocks. A signal does not end the wait.
 * Return: 0, or, with *@ret_data untouched,
 *	-EAGAIN     none now, and @deadline_ns is CAROM_PASSED, or it never waits
 *	-ETIMEDOUT  none, or not all of it, by @deadline_ns: it is kept
 *	-EMSGSIZE   longer than @size_max, or the connection's limit; *@ret_size says how long.
 *	            It is kept: receive it otherwise, or carom_connection_skip()
 *	-EPIPE      the peer closed, and all of its messages were received
 *	-ECONNRESET the peer is gone, and tore a message; for good
 *	-ECONNABORTED  a message has begun whose sender is gone, others share its end, and there
 *	            is none behind it yet, or many such ones: none of it is received. The next
 *	            call goes on, and there may be something for it
 *	-EBADMSG    the peer sent what is no message; for good
 *	-EBADF      closed, or an end that only sends
 *	-EBUSY      another process that shares this end has received a message in part
 *	-ENOMEM     it is kept
 * and through shared memory, from a wait that cannot begin: -EAGAIN, -EMFILE, -ENFILE (a
 * process's first one starts a thread).
 */
CAROM_API int carom_connection_recv_bytes(struct carom_connection *connection, size_t size_max,
					  uint64_t deadline_ns, void **ret_data, size_t *ret_size);

/**
 * carom_connection_recv_bytes_into() - the next message, into memory of the caller's
 * @buffer:   where it goes; overwritten even by what fails
 * @capacity: room in @buffer; a longer message stays where it is
 * @ret_size: its length; may be NULL
 *
 * Context: as carom_connection_recv_bytes().
 * Return: as carom_connection_recv_bytes(). After a deadline within the message what came of it
 * is copied, to be kept; where there is no memory for that it is lost: -ENOMEM, and from then on
 * -ENOTRECOVERABLE.
 */
CAROM_API int carom_connection_recv_bytes_into(struct carom_connection *connection, void *buffer,
					       size_t capacity, uint64_t deadline_ns,
					       size_t *ret_size);

/**
 * carom_connection_skip() - pass over the next message
 *
 * Context: as carom_connection_recv_bytes().
 * Return: as carom_connection_recv_bytes(). After -EAGAIN or -ETIMEDOUT within the message,
 * what is left of it is passed over by the next call that receives; carom_connection_skip()
 * again does that and no more.
 */
CAROM_API int carom_connection_skip(struct carom_connection *connection, uint64_t deadline_ns);

/**
 * carom_connection_poll() - wait until there is something to receive, or the end
 *
 * Something is the beginning of a message at least.
 *
 * Context: MT-Safe. Blocks, even where the descriptor is O_NONBLOCK. A signal does not end
 * the wait.
 * Return: 0, -EAGAIN (not now, and @deadline_ns is CAROM_PASSED), -ETIMEDOUT, -EBADF, -ENOMEM.
 */
CAROM_API int carom_connection_poll(struct carom_connection *connection, uint64_t deadline_ns);

/**
 * carom_connection_reserve() - room for a message, to be written in place
 * @size:     its length at most; 0 is allowed
 * @ret_data: the room, aligned to 8 bytes, not zeroed; until the commit
 *
 * Nobody else sends at this end until the same thread calls carom_connection_commit(), or
 * sends otherwise, which forgets what was reserved. Reserving again does so, too.
 *
 * Context: MT-Safe, AS-Unsafe heap. Blocks.
 * Return: 0, or as carom_connection_send_bytes(), but for -EINPROGRESS; -EMSGSIZE: above half
 * of the pipe's buffer; -EOPNOTSUPP: this is a stream.
 */
CAROM_API int carom_connection_reserve(struct carom_connection *connection, size_t size,
				       uint64_t deadline_ns, void **ret_data);

/**
 * carom_connection_commit() - what was reserved becomes a message
 * @size: its length; at most what was reserved
 *
 * Context: the thread that has reserved. Never blocks.
 * Return: 0, or -EINVAL (nothing is reserved, or less than @size); -EBADF, -EOPNOTSUPP.
 */
CAROM_API int carom_connection_commit(struct carom_connection *connection, size_t size);

/**
 * carom_connection_commit_more() - the same, and more follows at once
 *
 * The peer sees it with the next carom_connection_commit() or carom_connection_flush(), or
 * when there is no room for the next one. Until then, this thread alone sends at this end.
 */
CAROM_API int carom_connection_commit_more(struct carom_connection *connection, size_t size);

/**
 * carom_connection_receive() - the next message, in place
 * @ret_data: aligned to 8 bytes; the connection's, until carom_connection_release()
 * @ret_size: its length; may be NULL
 *
 * Nobody else receives at this end until the same thread releases it; until then it gives
 * the same message again. One that came in parts is put together in memory first.
 *
 * A peer that is not trusted can change the message while it is read.
 *
 * Context: as carom_connection_recv_bytes().
 * Return: as carom_connection_recv_bytes(); -EOPNOTSUPP: this is a stream.
 */
CAROM_API int carom_connection_receive(struct carom_connection *connection, uint64_t deadline_ns,
				       const void **ret_data, size_t *ret_size);

/**
 * carom_connection_release() - done with the message; its room is free
 *
 * Context: the thread that has received it. Never blocks.
 * Return: 0, or -EINVAL (there is none); -EBADF, -EOPNOTSUPP.
 */
CAROM_API int carom_connection_release(struct carom_connection *connection);

/**
 * carom_connection_release_more() - the same, and the next one is received at once
 *
 * Until carom_connection_release(), or a carom_connection_receive() that gives no message,
 * this thread alone receives at this end.
 */
CAROM_API int carom_connection_release_more(struct carom_connection *connection);

CAROM_END_DECLS

#endif
