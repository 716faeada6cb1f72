/**
 * DOC: pipe
 *
 * Two connections whose ends are each other's: for a process and its child, or for two
 * children:
 *
 *	CAROM_CLEANUP(carom_connection_freep) struct carom_connection *mine = NULL, *theirs = NULL;
 *
 *	r = carom_pipe_new(NULL, &mine, &theirs);
 *	fd = carom_connection_fd(theirs);
 *	r = carom_process_new(&CAROM_PROCESS_OPTIONS(.function = work, .fds = &fd, .fd_count = 1),
 *			      &process);
 *	r = carom_process_start(process);
 *	theirs = carom_connection_free(theirs);	// or its end is never seen here
 *
 * The child makes its connection of the descriptor: carom_connection_new_take().
 *
 * Messages go through shared memory, with no system call where nobody sleeps; the descriptor
 * is a socket that brings the memory with it, and whose end is the pipe's. Any number of
 * processes may have the same end, and get it at any time. Where such a pipe cannot be made,
 * or is not wanted, it is a pair of stream sockets; carom_connection_is_shared_memory() says.
 */
#ifndef CAROM_IPC_PIPE_H
#define CAROM_IPC_PIPE_H

#include "connection.h"

CAROM_BEGIN_DECLS

/**
 * struct carom_pipe_options - what carom_pipe_new() makes
 * @size_bytes:    size of this struct; CAROM_PIPE_OPTIONS() fills it in
 * @message_max:   as in struct carom_connection_options, for both ends
 * @buffer_size:   as in struct carom_connection_options, for both ends
 * @is_simplex:    the first end receives only, and the second one sends only
 * @is_first_nonblocking:  the first end never waits
 * @is_second_nonblocking: the second end never waits
 * @is_socket:   a pair of sockets, for a peer that is no carom program
 * @spin_ns:     how long a wait looks before it sleeps, through shared memory. 0 means
 *               adaptive: up to 50 us, where there are several CPUs, and not where it did not
 *               help before; CAROM_SPIN_NEVER means never
 */
struct carom_pipe_options {
	size_t size_bytes;
	uint64_t message_max;
	uint64_t buffer_size;
	bool is_simplex;
	bool is_first_nonblocking;
	bool is_second_nonblocking;
	bool is_socket;
	uint8_t reserved[4]; /* 0 */
	uint64_t spin_ns;
};
#define CAROM_PIPE_OPTIONS(...) CAROM_OPTIONS(carom_pipe_options, __VA_ARGS__)

/**
 * carom_pipe_new() - make both ends
 * @options:    read during the call only; NULL for all defaults: each end sends and receives
 * @ret_first:  the caller owns it and ends it with carom_connection_free()
 * @ret_second: likewise
 *
 * Their descriptors are CLOEXEC, so no program that is started holds an end open by chance.
 * A child by a plain fork() has both, and closes what is not its own.
 *
 * Context: MT-Safe, AS-Unsafe heap. Usable in a forked child.
 * Return: 0, or, with nothing made,
 *	-E2BIG   @options sets a field newer than this library
 *	-EINVAL  @options->buffer_size is too large
 *	-ENOMEM, -EMFILE, -ENFILE
 */
CAROM_API int carom_pipe_new(const struct carom_pipe_options *options,
			     struct carom_connection **ret_first,
			     struct carom_connection **ret_second);

CAROM_END_DECLS

#endif
