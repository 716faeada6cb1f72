/**
 * DOC: rlock
 *
 * A lock between processes which the thread that holds it may acquire again, and which
 * survives the death of its holder as a mutex does (shm/mutex.h):
 *
 *	static int64_t total(struct ledger *ledger)	// alone, or from within the next one
 *	{
 *		CAROM_CLEANUP(carom_rlock_releasep) struct carom_rlock *held = NULL;
 *		int r = carom_rlock_acquire(&ledger->lock, CAROM_NO_DEADLINE);
 *
 *		if (r < 0 && r != -EOWNERDEAD)
 *			return r;
 *		held = &ledger->lock;
 *		...			// -EOWNERDEAD: carom_rlock_consistent(), once it is repaired
 *
 * It is free for others once it was released as often as it was acquired. What a mutex
 * asks of its users it asks, too: storage of the caller's in shared memory, the thread that
 * acquired it releases it, a child made by fork() holds none of its parent's.
 *
 * A holder's death ends all its levels at once: the next one gets -EOWNERDEAD, and has
 * acquired it once.
 */
#ifndef CAROM_SHM_RLOCK_H
#define CAROM_SHM_RLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../core/api.h"

CAROM_BEGIN_DECLS

/** CAROM_RLOCK_COUNT_MAX - how often it may be acquired before it is released */
#define CAROM_RLOCK_COUNT_MAX (1u << 24)

/** struct carom_rlock - storage of one lock; its content is private */
struct carom_rlock {
	uint64_t opaque[9];
};

/**
 * carom_rlock_init() - make @rlock a lock that nobody holds
 * @rlock: memory that nobody uses as a lock at this moment
 *
 * Context: before any other process or thread uses it.
 * Return: 0, or -ENOMEM (see carom_mutex_init()).
 */
CAROM_API int carom_rlock_init(struct carom_rlock *rlock);

/**
 * carom_rlock_acquire() - get the lock, or one level more of it, waiting until @deadline_ns
 * @deadline_ns: CAROM_NO_DEADLINE waits for ever
 *
 * Who holds it does not wait. A free lock is taken even if the deadline has passed. A
 * signal does not end the wait.
 *
 * Context: MT-Safe, AS-Unsafe lock. Any process that maps @rlock, forked children
 * included. Blocks.
 * Return: 0, or -EOWNERDEAD: the caller has acquired it, once, and what it protects is the
 * caller's to repair: see carom_rlock_consistent(); or, without the lock,
 *	-EOVERFLOW        the calling thread holds it CAROM_RLOCK_COUNT_MAX times
 *	-ENOTRECOVERABLE  a holder that was told -EOWNERDEAD released it without
 *	                  carom_rlock_consistent(); only carom_rlock_init() helps
 *	-ETIMEDOUT        @deadline_ns passed
 *	-EAGAIN, -ENOMEM, -EOPNOTSUPP  see carom_mutex_acquire()
 */
CAROM_API int carom_rlock_acquire(struct carom_rlock *rlock, uint64_t deadline_ns);

/**
 * carom_rlock_acquire_interruptible() - the same, and a signal ends the wait
 *
 * See carom_mutex_acquire_interruptible().
 *
 * Context: as carom_rlock_acquire().
 * Return: as carom_rlock_acquire(), or -EINTR.
 */
CAROM_API int carom_rlock_acquire_interruptible(struct carom_rlock *rlock, uint64_t deadline_ns);

/**
 * carom_rlock_try() - get the lock, or one level more of it, if nobody else holds it
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks.
 * Return: as carom_rlock_acquire(), with -EBUSY (somebody else holds it) for -ETIMEDOUT.
 */
CAROM_API int carom_rlock_try(struct carom_rlock *rlock);

/**
 * carom_rlock_release() - undo one acquire; with the last one, let the next one have it
 *
 * After -EOWNERDEAD without carom_rlock_consistent(), the last one gives the lock up for
 * good: all who wait and all who come get -ENOTRECOVERABLE.
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks.
 * Return: 0, or -EPERM: the calling thread does not hold it.
 */
CAROM_API int carom_rlock_release(struct carom_rlock *rlock);

/** carom_rlock_releasep() - for CAROM_CLEANUP(): release once, as carom_mutex_releasep() */
CAROM_API void carom_rlock_releasep(struct carom_rlock **rlock);

/**
 * carom_rlock_consistent() - declare repaired what the lock protects
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks.
 * Return: 0, -EPERM (the calling thread does not hold it), or -EINVAL (there was nothing to
 * repair).
 */
CAROM_API int carom_rlock_consistent(struct carom_rlock *rlock);

/**
 * carom_rlock_count() - how often the calling thread would have to release it
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks.
 * Return: 0 if the calling thread does not hold it, whoever else does.
 */
CAROM_API uint32_t carom_rlock_count(const struct carom_rlock *rlock);

/** carom_rlock_owner() - who holds it, for people, as carom_mutex_owner(); 0: nobody */
CAROM_API pid_t carom_rlock_owner(const struct carom_rlock *rlock);

/**
 * carom_rlock_describe() - one line for people, as carom_mutex_describe()
 * @text: cut at @size bytes, always with a NUL; 400 hold every line
 *
 *	<RLock owner='Process-2' pid=4711 count=3>
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks for long.
 * Return: @text.
 */
CAROM_API char *carom_rlock_describe(const struct carom_rlock *rlock, char *text, size_t size);

CAROM_END_DECLS

#endif
