/**
 * DOC: value_lock
 *
 * The lock of shared values and arrays (shm/value.h, shm/array.h). One thread may take it
 * several times, as Python's RLock; and the death of a holder is told of to everybody who
 * takes it from then on, until one of them has repaired what it protects:
 *
 *	CAROM_HOLDING(r, carom_value_get_lock(balance)) {
 *		...			// the lock is held here, and nowhere else
 *	}
 *	if (r == -EOWNERDEAD) {		// nothing of the above was done
 *		carom_value_lock_acquire(lock, CAROM_NO_DEADLINE);
 *		...			// repair
 *		carom_value_lock_consistent(lock);
 *		carom_value_lock_release(lock);
 *	}
 *
 * Each value has one of its own, or is given one when it is made, which then stands for
 * several values at once. Such a lock lies in memory that all of them share. The rules of
 * shm/mutex.h hold: about threads, forked children, memory, and trust.
 */
#ifndef CAROM_SHM_VALUE_LOCK_H
#define CAROM_SHM_VALUE_LOCK_H

#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"
#include "rlock.h"

CAROM_BEGIN_DECLS

/**
 * struct carom_value_lock - storage of one lock; its content is private
 */
struct carom_value_lock {
	struct carom_rlock lock;
	uint64_t torn;
};

/**
 * carom_value_lock_init() - make @lock a lock that nobody holds
 *
 * Context: before any other process or thread uses it.
 * Return: 0, or what carom_rlock_init() says.
 */
CAROM_API int carom_value_lock_init(struct carom_value_lock *lock);

/**
 * carom_value_lock_acquire() - get the lock, waiting until @deadline_ns. Row SC-08
 * @deadline_ns: CAROM_NO_DEADLINE waits for ever; CAROM_PASSED takes a free lock, and
 *               one that this thread has, and no other
 *
 * Context: MT-Safe, AS-Unsafe lock. Any process that maps @lock. Blocks.
 * Return: 0, or -EOWNERDEAD: the caller has the lock, and somebody died with it since
 * carom_value_lock_consistent() was called last; or, without the lock,
 *	-ETIMEDOUT  @deadline_ns passed
 *	-EOPNOTSUPP, -ENOTRECOVERABLE, -EOVERFLOW  as carom_rlock_acquire() says
 */
CAROM_API int carom_value_lock_acquire(struct carom_value_lock *lock, uint64_t deadline_ns);

/**
 * carom_value_lock_release() - give it back: once for each time that it was taken
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks.
 * Return: 0, or -EPERM: the calling thread does not hold it.
 */
CAROM_API int carom_value_lock_release(struct carom_value_lock *lock);

/**
 * carom_value_lock_consistent() - declare repaired what the lock protects
 *
 * By who holds it. A death with the lock after this call, and before it is released, is
 * told of again: repair before, or after.
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks.
 * Return: 0, -EPERM (the calling thread does not hold it), -EINVAL (there was nothing to
 * repair).
 */
CAROM_API int carom_value_lock_consistent(struct carom_value_lock *lock);

/**
 * CAROM_HOLDING() - do what follows with the lock, if nobody has died with it
 * @r:    an int variable: 0, or why what follows was not done; -EINVAL if @lock is NULL,
 *        as that of a raw value is
 * @lock: NULL is allowed
 *
 * The lock is released on every way out: the end, break, continue, return and goto.
 */
#define CAROM_HOLDING(r, lock)                                                               \
	for (CAROM_CLEANUP(carom_value_lock_releasep) struct carom_value_lock *carom_held_ = \
		     carom_value_lock_hold((lock), &(r));                                    \
	     carom_held_; carom_value_lock_releasep(&carom_held_))

/** carom_value_lock_hold() - for CAROM_HOLDING(). Return: @lock, or NULL: it is not held. *@ret_r is why. */
CAROM_API struct carom_value_lock *carom_value_lock_hold(struct carom_value_lock *lock, int *ret_r);
CAROM_API void carom_value_lock_releasep(struct carom_value_lock **lock);

CAROM_END_DECLS

#endif
