/**
 * DOC: condition
 *
 * Processes wait, with a lock that they give up meanwhile, until another one says that
 * something has changed:
 *
 *	r = carom_condition_acquire(condition, CAROM_NO_DEADLINE);
 *	...
 *	while (!queue->count && r == 0)
 *		r = carom_condition_wait(condition, CAROM_NO_DEADLINE);
 *	...
 *	carom_condition_release(condition);
 *
 *	carom_condition_acquire(condition, CAROM_NO_DEADLINE);	// in another process
 *	queue->count++;
 *	carom_condition_notify(condition, 1);
 *	carom_condition_release(condition);
 *
 * As many wake up as are notified, the longest waiting first, and nobody without a reason.
 * No death costs a notification: if one that was notified dies before it has the lock
 * again, the next one gets it. Who notifies waits for nobody.
 *
 * A lock that its holder was told to repair and released without carom_rlock_consistent() is
 * given up for good, and all who wait are told; release it by carom_condition_release(), since
 * carom_rlock_release() knows nothing of them.
 *
 * The lock is a recursive one (rlock.h): the condition's own, or one of the caller's that
 * several conditions share. All users live in one PID namespace and trust each other.
 */
#ifndef CAROM_SHM_CONDITION_H
#define CAROM_SHM_CONDITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"
#include "rlock.h"

CAROM_BEGIN_DECLS

struct carom_condition;

/* Threads that can wait in one at a time. */
#define CAROM_CONDITION_WAITERS_MAX 1024

/* For carom_condition_notify(): all who wait. */
#define CAROM_CONDITION_ALL UINT32_MAX

/**
 * struct carom_condition_options - what carom_condition_new() makes
 * @size_bytes:  size of this struct; CAROM_CONDITION_OPTIONS() fills it in
 * @name:        shown in /proc/PID/maps as "memfd:NAME"; copied; NULL means "condition"
 * @rlock:       the lock, in memory that all users of the condition share; stays the
 *               caller's, and outlives the condition. NULL: one of its own
 * @process_max: processes that can use it at one time; 0 means 1024; at most 16383
 */
struct carom_condition_options {
	size_t size_bytes;
	const char *name;
	struct carom_rlock *rlock;
	uint32_t process_max;
	uint32_t reserved;
};
#define CAROM_CONDITION_OPTIONS(...) CAROM_OPTIONS(carom_condition_options, __VA_ARGS__)

/**
 * carom_condition_new() - make a condition
 * @options:       read during the call only; NULL for all defaults
 * @ret_condition: the caller owns it and ends it with carom_condition_free(); in a forked
 *                 child, the child's copy is the child's
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_condition untouched,
 *	-EINVAL  process_max is too large, reserved is not 0, or @options was not made by
 *	         CAROM_CONDITION_OPTIONS()
 *	-E2BIG   @options sets a field newer than this library
 *	-EOPNOTSUPP  the C library's list of held locks has an unknown layout
 *	-ENOMEM, -EMFILE, -ENFILE, -EFBIG  from memfd_create(2) and mmap(2)
 */
CAROM_API int carom_condition_new(const struct carom_condition_options *options,
				  struct carom_condition **ret_condition);

/**
 * carom_condition_attach_dup() - use a condition that another process made
 * @fd:            what carom_condition_fd() gave there; stays the caller's
 * @rlock:         where its maker's lock is in this process; NULL if it has its own
 * @ret_condition: the caller owns it
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_condition untouched, -EBADF, -EBADMSG (no condition), -EINVAL
 * (it has a lock of its own and @rlock was given, or the other way round), -EOPNOTSUPP,
 * -ENOMEM, -EMFILE.
 */
CAROM_API int carom_condition_attach_dup(int fd, struct carom_rlock *rlock,
					 struct carom_condition **ret_condition);

/**
 * carom_condition_free() - unmap and close; other processes keep theirs
 * @condition: NULL is allowed. No thread of this process waits in it or holds its own lock
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: NULL.
 */
CAROM_API struct carom_condition *carom_condition_free(struct carom_condition *condition);
CAROM_API void carom_condition_freep(struct carom_condition **condition);

/** carom_condition_fd() - its descriptor, CLOEXEC; stays the condition's. MT-Safe, AS-Safe. */
CAROM_API int carom_condition_fd(const struct carom_condition *condition);

/** carom_condition_rlock() - its lock: its own, or the caller's. MT-Safe, AS-Safe. */
CAROM_API struct carom_rlock *carom_condition_rlock(const struct carom_condition *condition);

/** carom_condition_acquire() - get its lock: carom_rlock_acquire() */
CAROM_API int carom_condition_acquire(struct carom_condition *condition, uint64_t deadline_ns);

/** carom_condition_release() - give it up: carom_rlock_release() */
CAROM_API int carom_condition_release(struct carom_condition *condition);

/**
 * carom_condition_wait() - give up the lock, wait to be notified, and have it again
 *
 * The lock is given up however often it was acquired, and had as often afterwards. The
 * deadline is for the notification: getting the lock again takes as long as it takes. A
 * signal does not end the wait.
 *
 * Context: MT-Safe, AS-Unsafe lock. The lock's holder. Blocks. A process's first call
 * starts a thread if the process has none for this yet.
 * Return: 0: notified; or, with the lock held in any case but -ENOTRECOVERABLE,
 *	-ETIMEDOUT   @deadline_ns passed
 *	-EOWNERDEAD  a holder of the lock died, and what it protects is the caller's to
 *	             repair, see carom_rlock_consistent(); whether it was notified is not told
 *	-ENOTRECOVERABLE  the lock was given up for good
 *	-EPERM       the calling thread does not hold the lock
 *	-EUSERS      too many threads wait, or processes use it
 *	-EAGAIN, -ENOMEM  no thread could be started
 */
CAROM_API int carom_condition_wait(struct carom_condition *condition, uint64_t deadline_ns);

/**
 * carom_condition_wait_interruptible() - the same; a signal ends the wait
 *
 * Return: also -EINTR: a handler ran during the sleep, that was set without SA_RESTART (where
 * there is no futex_waitv(2): any). One that ran right before it is not noticed.
 */
CAROM_API int carom_condition_wait_interruptible(struct carom_condition *condition,
						 uint64_t deadline_ns);

/**
 * typedef carom_condition_fn - is it as it shall be? Called with the lock held
 *
 * Return: what carom_condition_wait_for() returns, if not 0; 0: wait on.
 */
typedef int carom_condition_fn(void *userdata);

/**
 * carom_condition_wait_for() - wait until @predicate says something else than 0
 *
 * Asks at once, after each notification, and when the deadline has passed.
 *
 * Context: as carom_condition_wait().
 * Return: what @predicate returned, 0 if it was 0 to the end; or below 0 as
 * carom_condition_wait(), but for -ETIMEDOUT.
 */
CAROM_API int carom_condition_wait_for(struct carom_condition *condition,
				       carom_condition_fn *predicate, void *userdata,
				       uint64_t deadline_ns);

/**
 * carom_condition_notify() - wake up to @count of those who wait, the longest waiting first
 * @count: CAROM_CONDITION_ALL: all of them. 0 does nothing
 *
 * They go on when they get the lock, so after the caller has released it.
 *
 * Context: MT-Safe, AS-Unsafe lock. The lock's holder. Never blocks for another process.
 * Return: how many; or -EPERM: the calling thread does not hold the lock; or -EUSERS,
 * -EAGAIN, -ENOMEM as above.
 */
CAROM_API int carom_condition_notify(struct carom_condition *condition, uint32_t count);

/**
 * carom_condition_describe() - one line for people
 * @text: cut at @size bytes, always with a NUL
 *
 *	<Condition waiting=2 <RLock owner='Process-2' pid=4711 count=1>>
 *
 * Context: MT-Safe, AS-Unsafe lock. Reads /proc. Row SY-11.
 * Return: @text.
 */
CAROM_API char *carom_condition_describe(const struct carom_condition *condition, char *text,
					 size_t size);

CAROM_END_DECLS

#endif
