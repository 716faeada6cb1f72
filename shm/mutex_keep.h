/*
 * Mutex keep
 *
 * When a thread dies the kernel looks at 2048 nodes of its list, and not at further ones.
 * So of a thread that holds very many mutexes those that it acquires last stand on the
 * list of a keeper (shm/keeper.h), a thread of the same process that holds nothing else.
 *
 * Such a mutex has the keeper's id in its word, and in `kept` whom it is kept for.
 */
#ifndef CAROM_SHM_MUTEX_KEEP_H
#define CAROM_SHM_MUTEX_KEEP_H

#include "shm/mutex_private.h"

/** carom_mutex_kept_for() - the holder's thread id if @seen, the word, is a keeper's; else 0 */
static inline uint32_t carom_mutex_kept_for(const struct own_mutex *mutex, uint32_t seen)
{
	/* relaxed: a thread finds its own id only if it was put there for it */
	uint64_t kept = atomic_load_explicit(&mutex->kept, memory_order_relaxed);

	return kept && (uint32_t)kept == (seen & FUTEX_TID_MASK) ? (uint32_t)(kept >> 32) : 0;
}

/**
 * carom_mutex_make_room() - the calling thread has just acquired @mutex, and holds others
 *
 * Gives it to a keeper if these are many.
 * Return: 0, or, with the mutex on the calling thread's list: -EAGAIN, -ENOMEM.
 */
int carom_mutex_make_room(struct own_mutex *mutex);

/** carom_mutex_release_kept() - for the holder of one that is kept. Return: 0. */
int carom_mutex_release_kept(struct own_mutex *mutex);

/**
 * carom_mutex_outlive_holder() - the calling thread has acquired @mutex, whose holder died
 *
 * If it was kept, what died is known to be the keeper: wait until its holder has, too.
 */
void carom_mutex_outlive_holder(struct own_mutex *mutex);

#endif
