/**
 * DOC: lock
 *
 * A lock between processes as multiprocessing's Lock is one: it belongs to nobody in
 * particular, and anybody may release it, another thread or another process too. What
 * it does not do is stay locked for ever because a process died.
 *
 *	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = NULL;
 *
 *	r = carom_lock_new(NULL, &lock);
 *	...				// children by fork() have it, others attach
 *	r = carom_lock_acquire(lock, carom_deadline_after(CAROM_SECONDS(1)));
 *	if (r == -EOWNERDEAD)
 *		repair();		// the lock is ours, what it protects may be torn
 *	else if (r < 0)
 *		return r;
 *	...
 *	carom_lock_release(lock);
 *
 * Where the thread that acquires is the one that releases, a mutex (mutex.h) is the
 * better choice: it tells who holds it twice, or releases what it does not hold, and
 * lives in any shared memory.
 *
 * The lock is held by the process that acquired it: if that dies, or calls execve(2), or
 * frees its handle, the next one is told so, once. A thread that ends changes nothing.
 * A process that was stopped is not dead: give waits a deadline. All users live in one PID
 * namespace, and trust each other.
 */
#ifndef CAROM_SHM_LOCK_H
#define CAROM_SHM_LOCK_H

#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"

CAROM_BEGIN_DECLS

struct carom_lock;

/**
 * struct carom_lock_options - what carom_lock_new() makes
 * @size_bytes:  size of this struct; CAROM_LOCK_OPTIONS() fills it in
 * @name:        shown in /proc/PID/maps as "memfd:NAME"; copied; NULL means "lock"
 * @process_max: processes that can use it at one time, 64 bytes each once they do; 0 means
 *               1024; at most 16383
 */
struct carom_lock_options {
	size_t size_bytes;
	const char *name;
	uint32_t process_max;
	uint32_t reserved;
};
#define CAROM_LOCK_OPTIONS(...) CAROM_OPTIONS(carom_lock_options, __VA_ARGS__)

/**
 * carom_lock_new() - make a lock that nobody holds
 * @options:  read during the call only; NULL for all defaults
 * @ret_lock: the caller owns it and ends it with carom_lock_free(); in a forked child,
 *            the child's copy is the child's
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_lock untouched,
 *	-EINVAL  process_max is too large, reserved is not 0, or @options was not made by
 *	         CAROM_LOCK_OPTIONS()
 *	-E2BIG   @options sets a field newer than this library
 *	-EOPNOTSUPP  the C library's list of held locks has an unknown layout
 *	-ENOMEM, -EMFILE, -ENFILE, -EFBIG  from memfd_create(2) and mmap(2)
 */
CAROM_API int carom_lock_new(const struct carom_lock_options *options,
			     struct carom_lock **ret_lock);

/**
 * carom_lock_attach_dup() - use a lock that another process made
 * @fd:       what carom_lock_fd() gave there; stays the caller's, a duplicate is kept
 * @ret_lock: the caller owns it
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_lock untouched, -EBADF, -EBADMSG (no lock), -EOPNOTSUPP,
 * -ENOMEM, -EMFILE.
 */
CAROM_API int carom_lock_attach_dup(int fd, struct carom_lock **ret_lock);

/**
 * carom_lock_free() - unmap and close; other processes keep theirs
 * @lock: NULL is allowed. No thread of this process is inside a call for it. If this
 *        process holds it, the next one is told -EOWNERDEAD
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: NULL.
 */
CAROM_API struct carom_lock *carom_lock_free(struct carom_lock *lock);
CAROM_API void carom_lock_freep(struct carom_lock **lock);

/** carom_lock_fd() - its descriptor, CLOEXEC; stays the lock's. MT-Safe, AS-Safe. */
CAROM_API int carom_lock_fd(const struct carom_lock *lock);

/**
 * carom_lock_acquire() - get the lock, waiting until @deadline_ns
 * @deadline_ns: CAROM_NO_DEADLINE waits for ever
 *
 * Who gets the lock sees all that earlier holders wrote. A free lock is taken even if the
 * deadline has passed. It is not recursive: who acquires it twice waits for somebody to
 * release it. A signal does not end the wait.
 *
 * Context: MT-Safe, AS-Unsafe lock. Any process that has it, forked children included.
 * Blocks. A process's first call starts a thread if the process has none for this yet.
 * Return: 0, or -EOWNERDEAD: the caller has the lock, and the process that had it is dead;
 * or, without the lock,
 *	-ETIMEDOUT  @deadline_ns passed
 *	-EUSERS     as many processes as its maker allowed use it already
 *	-EAGAIN, -ENOMEM  no thread could be started
 */
CAROM_API int carom_lock_acquire(struct carom_lock *lock, uint64_t deadline_ns);

/**
 * carom_lock_acquire_interruptible() - the same; a signal ends the wait
 *
 * Return: also -EINTR: a handler ran during the sleep, that was set without SA_RESTART (where
 * there is no futex_waitv(2): any). One that ran right before it is not noticed.
 */
CAROM_API int carom_lock_acquire_interruptible(struct carom_lock *lock, uint64_t deadline_ns);

/**
 * carom_lock_try() - get the lock if nobody holds it
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks for another process.
 * Return: as carom_lock_acquire(), with -EBUSY (it is held) for -ETIMEDOUT.
 */
CAROM_API int carom_lock_try(struct carom_lock *lock);

/**
 * carom_lock_release() - let the next one have it, whoever acquired it
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks for another process.
 * Return: 0, or -EOVERFLOW: it is not held; or -EUSERS, -EAGAIN, -ENOMEM as above.
 */
CAROM_API int carom_lock_release(struct carom_lock *lock);

/**
 * carom_lock_is_locked() - is it held, by a process that lives?
 *
 * Out of date as soon as it is read.
 *
 * Context: MT-Safe, AS-Safe. Never blocks.
 * Return: 1 or 0.
 */
CAROM_API int carom_lock_is_locked(const struct carom_lock *lock);

/**
 * carom_lock_describe() - one line for people
 * @text: cut at @size bytes, always with a NUL; 400 hold every line
 *
 *	<Lock owner='Process-2' pid=4711>
 *	<Lock owner='Process-2' pid=4711 thread=4713 stopped>
 *	<Lock owner=nobody>
 *	<Lock owner died>
 *
 * Names the thread that acquired it. Out of date as soon as it is read.
 *
 * Context: MT-Safe, AS-Unsafe lock. Reads /proc; never blocks. Row SY-11.
 * Return: @text.
 */
CAROM_API char *carom_lock_describe(const struct carom_lock *lock, char *text, size_t size);

CAROM_END_DECLS

#endif
