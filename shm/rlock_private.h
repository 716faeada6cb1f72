/* RLock: what a condition does with the one it belongs to. */
#ifndef CAROM_SHM_RLOCK_PRIVATE_H
#define CAROM_SHM_RLOCK_PRIVATE_H

#include <stdbool.h>

#include "shm/rlock.h"

/**
 * carom_rlock_release_all() - let the next one have it, however often it was acquired
 * @ret_count: how often that was
 *
 * Return: 0, or -EPERM: the calling thread does not hold it.
 */
int carom_rlock_release_all(struct carom_rlock *rlock, uint32_t *ret_count);

/**
 * carom_rlock_restore() - get it as it was before carom_rlock_release_all()
 *
 * Waits as long as it takes. Return: 0 or -EOWNERDEAD with the lock acquired @count times;
 * without it, -ENOTRECOVERABLE.
 */
int carom_rlock_restore(struct carom_rlock *rlock, uint32_t count);

/** carom_rlock_is_torn() - its last holder died; who has it now is to repair */
bool carom_rlock_is_torn(const struct carom_rlock *rlock);

/** carom_rlock_is_broken() - was it given up for good? */
bool carom_rlock_is_broken(const struct carom_rlock *rlock);

#endif
