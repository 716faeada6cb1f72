/*
 * Stream: bytes through a socket or a pipe, with a deadline and without SIGPIPE
 *
 * Who does not wait (@waits is false) is told -EAGAIN whatever the deadline. CAROM_PASSED
 * gives -EAGAIN, too, any other deadline -ETIMEDOUT. No signal ends a wait.
 */
#ifndef CAROM_IPC_STREAM_H
#define CAROM_IPC_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/**
 * struct carom_stream - a descriptor, and what is known of it
 * @is_socket: else a pipe, or the like
 * @waits:     the descriptor is not O_NONBLOCK
 */
struct carom_stream {
	int fd;
	bool is_socket;
	bool waits;
};

/** carom_stream_wait() - until @events of poll(2), or an end or error. 0, -EAGAIN, -ETIMEDOUT, -EBADF. */
int carom_stream_wait(const struct carom_stream *stream, short events, uint64_t deadline_ns);

/** carom_stream_read() - what is there, up to @size > 0 bytes; 0: the end; or a negative errno */
ssize_t carom_stream_read(const struct carom_stream *stream, void *buffer, size_t size,
			  uint64_t deadline_ns);

/** carom_stream_write() - as much as goes, at least a byte. Return: how many; a negative errno */
ssize_t carom_stream_write(const struct carom_stream *stream, const struct iovec *parts,
			   size_t part_count, uint64_t deadline_ns);

#endif
