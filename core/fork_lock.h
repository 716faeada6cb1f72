/*
 * Fork lock
 *
 * A lock of the library's own that no child inherits held. While one thread forks
 * another may hold it, and does not exist in the child; so the child begins with
 * every one of these locks free, however it was made: fork() does it by itself, and
 * a child made by a bare clone calls carom_after_fork_run().
 *
 *	static CAROM_FORK_LOCK(lock);
 *
 *	carom_fork_lock_acquire(&lock);
 *	...
 *	carom_fork_lock_release(&lock);
 *
 * What it protects may be caught half changed: the child sees what its holder had
 * stored so far, in that order. So keep it usable after each single store, or mark
 * it with carom_origin() and begin anew in another process.
 */
#ifndef CAROM_CORE_FORK_LOCK_H
#define CAROM_CORE_FORK_LOCK_H

#include <pthread.h>

/*
 * A power of two, and as large as it is aligned: compilers align larger objects more than
 * their type asks for (gcc to 32 or 64 bytes), and what is found side by side in a
 * section has to be an array.
 */
#define CAROM_FORK_LOCK_SIZE 64

/** struct carom_fork_lock - one of them; a condition variable may wait with @mutex */
struct carom_fork_lock {
	pthread_mutex_t mutex;
} __attribute__((aligned(CAROM_FORK_LOCK_SIZE)));

_Static_assert(sizeof(struct carom_fork_lock) == CAROM_FORK_LOCK_SIZE, "an array has no gaps");

/** CAROM_FORK_LOCK() - define one, static, free */
#define CAROM_FORK_LOCK(name)       \
	struct carom_fork_lock name \
		__attribute__((used, section("carom_fork_locks"))) = { PTHREAD_MUTEX_INITIALIZER }

/** carom_fork_lock_acquire() - wait for it. Not recursive. MT-Safe. */
void carom_fork_lock_acquire(struct carom_fork_lock *lock);

void carom_fork_lock_release(struct carom_fork_lock *lock);

/** carom_fork_locks_renew() - free all of them, in a child that has one thread yet; once */
void carom_fork_locks_renew(void);

#endif
