/**
 * DOC: lock
 *
 * A mutex for memory that processes share, which survives the death of its
 * holder: the kernel hands it on, and whoever gets it next is told that the
 * holder died in the middle of something.
 *
 *	struct account { struct carom_lock lock; int64_t from, to; };
 *
 *	r = carom_lock_acquire(&account->lock, CAROM_NO_DEADLINE);
 *	if (r == -EOWNERDEAD) {
 *		repair(account);
 *		carom_lock_consistent(&account->lock);
 *	} else if (r < 0) {
 *		return r;
 *	}
 *	...
 *	carom_lock_release(&account->lock);
 *
 * The lock stands in storage of the caller's, in memory mapped with MAP_SHARED by
 * all who use it (at any address), and between threads of one process just as
 * well. It takes nothing else, so nothing ends it: memory in which a lock is
 * neither held nor waited for may be used for something else.
 *
 * Rules:
 * - The thread that acquired a lock releases it. A child made by fork() holds none
 *   of its parent's locks.
 * - No thread unmaps the memory of a lock while another one of the process is
 *   inside a call for it, and none unmaps a lock it holds: the kernel could not
 *   find it.
 * - A holder that calls execve(2), and a thread that ends while it holds a lock,
 *   count as dead. One that was stopped does not: give waits a deadline.
 * - The kernel hands on at most 2048 locks of one thread, robust mutexes of the
 *   pthread library included.
 * - All users live in one PID namespace, and trust each other.
 *
 * Where the C library's list of held locks has a layout that is not known here,
 * a robust mutex of the pthread library does the same work in the same storage.
 */
#ifndef CAROM_SHM_LOCK_H
#define CAROM_SHM_LOCK_H

#include <stdint.h>
#include <sys/types.h>

#include "../core/api.h"

CAROM_BEGIN_DECLS

/** struct carom_lock - storage of one lock; its content is private */
struct carom_lock {
	uint64_t opaque[8];
};

/**
 * carom_lock_init() - make @lock a lock that nobody holds
 * @lock: memory that nobody uses as a lock at this moment
 *
 * Context: before any other process or thread uses it.
 * Return: 0, or -ENOMEM (only from the pthread library's mutex).
 */
CAROM_API int carom_lock_init(struct carom_lock *lock);

/**
 * carom_lock_acquire() - get the lock, waiting until @deadline_ns
 * @deadline_ns: CAROM_NO_DEADLINE waits for ever
 *
 * Who gets the lock sees all that earlier holders wrote. A free lock is taken
 * even if the deadline has passed. A signal does not end the wait.
 *
 * Context: MT-Safe, AS-Unsafe lock. Any process that maps @lock, forked children
 * included. Blocks.
 * Return: 0, or -EOWNERDEAD: the caller has the lock, its last holder died, and
 * what it protects is the caller's to repair; or, without the lock,
 *	-ENOTRECOVERABLE  a holder that was told -EOWNERDEAD released it without
 *	                  carom_lock_consistent(); only carom_lock_init() helps
 *	-ETIMEDOUT  @deadline_ns passed
 *	-EDEADLK    the calling thread holds it
 *	-EOPNOTSUPP another process made this lock, and this one's C library has
 *	            no list to put it on
 */
CAROM_API int carom_lock_acquire(struct carom_lock *lock, uint64_t deadline_ns);

/**
 * carom_lock_try() - get the lock if nobody holds it
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks.
 * Return: as carom_lock_acquire(), with -EBUSY (somebody else holds it) for
 * -ETIMEDOUT.
 */
CAROM_API int carom_lock_try(struct carom_lock *lock);

/**
 * carom_lock_release() - let the next one have it
 *
 * After -EOWNERDEAD without carom_lock_consistent(), this gives the lock up for
 * good: all who wait and all who come get -ENOTRECOVERABLE.
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks.
 * Return: 0, or -EPERM: the calling thread does not hold it.
 */
CAROM_API int carom_lock_release(struct carom_lock *lock);

/**
 * carom_lock_consistent() - declare repaired what the lock protects
 *
 * Once after -EOWNERDEAD, when the repair is complete: a repairer that dies
 * before is answered with -EOWNERDEAD again.
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks.
 * Return: 0, -EPERM (the calling thread does not hold it), or -EINVAL (there was
 * nothing to repair).
 */
CAROM_API int carom_lock_consistent(struct carom_lock *lock);

/**
 * carom_lock_owner() - who holds it, for people
 *
 * Out of date as soon as it is read. The pthread library's mutex goes on naming a
 * holder that died until the next one has the lock.
 *
 * Context: MT-Safe, AS-Safe. Never blocks.
 * Return: the holder's thread id (the pid, for a main thread); 0 if nobody is.
 */
CAROM_API pid_t carom_lock_owner(const struct carom_lock *lock);

CAROM_END_DECLS

#endif
