/**
 * DOC: fd
 *
 * What programs of several processes do to descriptors: close those that are not
 * theirs, know how many there may be, read a message that has a known length.
 */
#ifndef CAROM_CORE_FD_H
#define CAROM_CORE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "api.h"

CAROM_BEGIN_DECLS

/**
 * carom_fd_close_except() - close every descriptor of this process but those in @keep
 * @keep:  numbers in any order; those that are not open are passed over
 * @count: how many; with 0, @keep may be NULL
 *
 * For a process that becomes another one: a daemon, or before an exec. Descriptors that
 * the library holds are closed with all others, so of its functions only those that
 * need none work afterwards.
 *
 * Context: MT-Unsafe race: other threads' descriptors go too. AS-Safe.
 */
CAROM_API void carom_fd_close_except(const int *keep, size_t count);

/**
 * carom_fd_limit() - how many descriptors this process may have
 * @hard: false for the limit in force (RLIMIT_NOFILE's soft one), true for the one that
 *        the process may raise it to
 *
 * Context: MT-Safe, AS-Safe.
 * Return: the lowest number that no descriptor can get; UINT64_MAX if there is no limit.
 */
CAROM_API uint64_t carom_fd_limit(bool hard);

/**
 * carom_fd_set_blocking() - shall calls wait (true), or say EAGAIN (false)?
 *
 * It is a property of the open file, which all its duplicates share, in other processes
 * too.
 *
 * Context: MT-Safe, AS-Safe.
 * Return: 0, -EBADF.
 */
CAROM_API int carom_fd_set_blocking(int fd, bool blocking);

/** carom_fd_is_blocking() - 1, 0, -EBADF. MT-Safe, AS-Safe. */
CAROM_API int carom_fd_is_blocking(int fd);

/**
 * carom_fd_read() - read until there are @size bytes, or no more will come
 * @buffer: has room for @size bytes
 *
 * Goes on after a signal, and waits where nothing is there yet even if @fd does not
 * block.
 *
 * Context: MT-Safe, AS-Safe. Blocks.
 * Return: @size; fewer if the end was reached before; or what read(2) says, -EBADF, -EIO,
 * -EISDIR, -ECONNRESET, ..., with an unknown part of @buffer overwritten.
 */
CAROM_API ssize_t carom_fd_read(int fd, void *buffer, size_t size);

CAROM_END_DECLS

#endif
