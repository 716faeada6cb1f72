/**
 * DOC: semaphore
 *
 * Units that processes share: who acquires takes one, and waits while there is none; who
 * releases gives one back. What a process has when it dies comes back by itself.
 *
 *	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *licences = NULL;
 *
 *	r = carom_semaphore_new(3, NULL, &licences);
 *	...				// children by fork() have it, others attach
 *	r = carom_semaphore_acquire(licences, CAROM_NO_DEADLINE);
 *	...
 *	carom_semaphore_release(licences, 1);
 *
 * Anybody may release. Who releases without having a unit gives back one that another
 * process has; if nobody has any, there is one more than before, unless that is above the
 * maximum.
 *
 * A semaphore by which one process tells another that something is ready is something
 * else: its units are used up, not held. Make it with is_signal, and what the dead
 * acquired stays acquired.
 *
 * A process that was stopped is not dead; one that is stopped inside a call holds up all
 * others, past their deadlines, until it goes on.
 *
 * Of a process, not of a thread: a thread that ends changes nothing. execve(2) and the end
 * of the handle count as a death. All users live in one PID namespace and trust each other.
 */
#ifndef CAROM_SHM_SEMAPHORE_H
#define CAROM_SHM_SEMAPHORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"

CAROM_BEGIN_DECLS

struct carom_semaphore;

/* The most units there can be. */
#define CAROM_SEMAPHORE_MAX INT32_MAX

/**
 * struct carom_semaphore_options - what carom_semaphore_new() makes
 * @size_bytes:  size of this struct; CAROM_SEMAPHORE_OPTIONS() fills it in
 * @name:        shown in /proc/PID/maps as "memfd:NAME"; copied; NULL means "semaphore"
 * @max:         units there can be; 0 means CAROM_SEMAPHORE_MAX. A BoundedSemaphore has the
 *               value it begins with here
 * @process_max: processes that can use it at one time; 0 means 1024; at most 16383
 * @is_signal:   1: units are used up by who acquires them, and no death brings them back
 */
struct carom_semaphore_options {
	size_t size_bytes;
	const char *name;
	uint32_t max;
	uint32_t process_max;
	uint32_t is_signal;
	uint32_t reserved;
};
#define CAROM_SEMAPHORE_OPTIONS(...) CAROM_OPTIONS(carom_semaphore_options, __VA_ARGS__)

/**
 * carom_semaphore_new() - make a semaphore
 * @value:         units at the beginning; 0 to the maximum
 * @options:       read during the call only; NULL for all defaults
 * @ret_semaphore: the caller owns it and ends it with carom_semaphore_free(); in a forked
 *                 child, the child's copy is the child's
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_semaphore untouched,
 *	-EINVAL  @value is below 0 or above the maximum; that is above CAROM_SEMAPHORE_MAX;
 *	         process_max is too large; is_signal is neither 0 nor 1; reserved is not 0;
 *	         or @options was not made by CAROM_SEMAPHORE_OPTIONS()
 *	-E2BIG   @options sets a field newer than this library
 *	-EOPNOTSUPP  the C library's list of held locks has an unknown layout
 *	-ENOMEM, -EMFILE, -ENFILE, -EFBIG  from memfd_create(2) and mmap(2)
 */
CAROM_API int carom_semaphore_new(int64_t value, const struct carom_semaphore_options *options,
				  struct carom_semaphore **ret_semaphore);

/**
 * carom_semaphore_attach_dup() - use a semaphore that another process made
 * @fd:            what carom_semaphore_fd() gave there; stays the caller's
 * @ret_semaphore: the caller owns it
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_semaphore untouched, -EBADF, -EBADMSG (no semaphore),
 * -EOPNOTSUPP, -ENOMEM, -EMFILE.
 */
CAROM_API int carom_semaphore_attach_dup(int fd, struct carom_semaphore **ret_semaphore);

/**
 * carom_semaphore_free() - unmap and close; other processes keep theirs
 * @semaphore: NULL is allowed. No thread of this process is inside a call for it. What it
 *             has acquired by this handle comes back
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: NULL.
 */
CAROM_API struct carom_semaphore *carom_semaphore_free(struct carom_semaphore *semaphore);
CAROM_API void carom_semaphore_freep(struct carom_semaphore **semaphore);

/** carom_semaphore_fd() - its descriptor, CLOEXEC; stays the semaphore's. MT-Safe, AS-Safe. */
CAROM_API int carom_semaphore_fd(const struct carom_semaphore *semaphore);

/**
 * carom_semaphore_acquire() - take a unit, waiting until @deadline_ns for one
 *
 * A unit that is there is taken even if the deadline has passed. A signal does not end the
 * wait. In what order those who wait are served is not told.
 *
 * Context: MT-Safe, AS-Unsafe lock. Any process that has it, forked children included.
 * Blocks. A process's first call starts a thread if the process has none for this yet.
 * Return: 0, or
 *	-ETIMEDOUT  @deadline_ns passed
 *	-EUSERS     as many processes as its maker allowed use it already
 *	-EAGAIN, -ENOMEM  no thread could be started
 */
CAROM_API int carom_semaphore_acquire(struct carom_semaphore *semaphore, uint64_t deadline_ns);

/**
 * carom_semaphore_acquire_interruptible() - the same; a signal ends the wait
 *
 * Return: also -EINTR: a handler ran during the sleep, that was set without SA_RESTART (where
 * there is no futex_waitv(2): any). One that ran right before it is not noticed.
 */
CAROM_API int carom_semaphore_acquire_interruptible(struct carom_semaphore *semaphore,
						    uint64_t deadline_ns);

/**
 * carom_semaphore_try() - take a unit if there is one
 *
 * Context: MT-Safe, AS-Unsafe lock. Waits for nobody but another call that is at work.
 * Return: as carom_semaphore_acquire(), with -EAGAIN (there is none) for -ETIMEDOUT.
 */
CAROM_API int carom_semaphore_try(struct carom_semaphore *semaphore);

/**
 * carom_semaphore_release() - give units back
 * @count: how many, all or none; 0 does nothing
 *
 * Context: MT-Safe, AS-Unsafe lock. Waits for nobody but another call that is at work.
 * Return: 0, or -EOVERFLOW: there would be more than the maximum; or -EUSERS, -EAGAIN,
 * -ENOMEM as above.
 */
CAROM_API int carom_semaphore_release(struct carom_semaphore *semaphore, uint32_t count);

/**
 * carom_semaphore_value() - units that are there
 *
 * Those that dead processes had are among them. Out of date as soon as it is read.
 *
 * Context: MT-Safe, AS-Unsafe lock.
 * Return: 0 or more; or -EUSERS, -EAGAIN, -ENOMEM as above.
 */
CAROM_API int carom_semaphore_value(struct carom_semaphore *semaphore);

/**
 * carom_semaphore_describe() - one line for people
 * @text: cut at @size bytes, always with a NUL
 *
 *	<Semaphore value=1 max=3 held=2: 1 by 'Process-2' pid=4711, 1 by 'Process-3' pid=4712>
 *
 * Context: MT-Safe, AS-Unsafe lock. Reads /proc. Row SY-11.
 * Return: @text.
 */
CAROM_API char *carom_semaphore_describe(struct carom_semaphore *semaphore, char *text,
					 size_t size);

CAROM_END_DECLS

#endif
