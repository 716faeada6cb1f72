/*
 * Value lock
 *
 * A recursive lock, and a mark beside it:
 *
 *   V1  `torn` is written by who holds the lock. It is set by whoever is told -EOWNERDEAD,
 *       before it declares the lock consistent; so a death that nobody has repaired is
 *       either still the lock's to tell, or marked.
 *   V2  It is cleared by carom_value_lock_consistent() alone, under the lock: who dies
 *       after that, with the lock, is again the lock's to tell.
 *
 * Deaths: between the lock's -EOWNERDEAD and the mark, between the mark and the lock's
 * consistent(), and anywhere up to the release: the kernel hands the lock on as that of a
 * dead holder, and the next one begins where this one began.
 */
#include "shm/value_lock.h"

#include <errno.h>

#include "core/points.h"
#include "core/time.h"

int carom_value_lock_init(struct carom_value_lock *lock)
{
	lock->torn = 0;
	return carom_rlock_init(&lock->lock);
}

int carom_value_lock_acquire(struct carom_value_lock *lock, uint64_t deadline_ns)
{
	int r = carom_rlock_acquire(&lock->lock, deadline_ns);

	if (r == -EOWNERDEAD) {
		CAROM_POINT("value.told");
		lock->torn = 1; /* V1 */
		CAROM_POINT("value.torn");
		r = carom_rlock_consistent(&lock->lock);
		CAROM_POINT("value.consistent");
	}
	if (r < 0)
		return r;
	return lock->torn ? -EOWNERDEAD : 0;
}

int carom_value_lock_release(struct carom_value_lock *lock)
{
	return carom_rlock_release(&lock->lock);
}

int carom_value_lock_consistent(struct carom_value_lock *lock)
{
	if (carom_rlock_count(&lock->lock) == 0)
		return -EPERM;
	if (!lock->torn)
		return -EINVAL;
	lock->torn = 0; /* V2 */
	return 0;
}

struct carom_value_lock *carom_value_lock_hold(struct carom_value_lock *lock, int *ret_r)
{
	*ret_r = lock ? carom_value_lock_acquire(lock, CAROM_NO_DEADLINE) : -EINVAL;
	if (*ret_r == -EOWNERDEAD)
		carom_value_lock_release(lock);
	return *ret_r == 0 ? lock : NULL;
}

void carom_value_lock_releasep(struct carom_value_lock **lock)
{
	if (*lock)
		carom_value_lock_release(*lock);
	*lock = NULL;
}
