/*
 * Fork lock
 *
 * All of them stand side by side in the section carom_fork_locks, so that a child
 * finds them without a list that would itself need a lock. They are renewed once in
 * each process: by then only one thread is there, later one of them may be held.
 */
#include "core/fork_lock.h"

#include <assert.h>
#include <stdint.h>

#include "core/origin.h"
#include "core/written.h"

extern struct carom_fork_lock __start_carom_fork_locks[]
	__attribute__((weak, visibility("hidden")));
extern struct carom_fork_lock __stop_carom_fork_locks[] __attribute__((weak, visibility("hidden")));

static uint64_t renewed_in CAROM_WRITTEN;

void carom_fork_lock_acquire(struct carom_fork_lock *lock)
{
	pthread_mutex_lock(&lock->mutex);
}

void carom_fork_lock_release(struct carom_fork_lock *lock)
{
	pthread_mutex_unlock(&lock->mutex);
}

void carom_fork_locks_renew(void)
{
	struct carom_fork_lock *lock;

	if (carom_origin_is(renewed_in))
		return;
	renewed_in = carom_origin();
	for (lock = __start_carom_fork_locks; lock < __stop_carom_fork_locks; lock++)
		pthread_mutex_init(&lock->mutex, NULL);
}

/* before main(), so that no fork comes between a first use and this */
__attribute__((constructor)) static void follow_forks(void)
{
	assert(((uintptr_t)__stop_carom_fork_locks - (uintptr_t)__start_carom_fork_locks) %
		       CAROM_FORK_LOCK_SIZE ==
	       0);
	renewed_in = carom_origin();
	pthread_atfork(NULL, NULL, carom_fork_locks_renew);
}
