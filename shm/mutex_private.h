/* Mutex: what the locks that are built on it use beside its header. */
#ifndef CAROM_SHM_MUTEX_PRIVATE_H
#define CAROM_SHM_MUTEX_PRIVATE_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/mutex.h"
#include "shm/robust.h"

struct carom_keeper;

/**
 * struct own_mutex - a node of the robust list
 * @value:  the futex word
 * @generation: releases that left WAITERS; changed by the holder only
 * @both:   the two as one, for an exchange
 * @broken: given up by a holder that did not repair
 * @kept:   0, or whose list it stands on instead of its holder's: the keeper's thread id,
 *          and above it the holder's (shm/mutex_keep.h)
 * @link:   changed by the holder only; addresses are the holder's
 * @keeper: of the holder's process; something only while @kept is
 */
struct own_mutex {
	union {
		struct {
			_Atomic uint32_t value;
			_Atomic uint32_t generation;
		};
		_Atomic uint64_t both;
	};
	_Atomic uint32_t broken;
	uint32_t unused;
	_Atomic uint64_t kept;
	struct carom_robust_link link;
	struct carom_keeper *keeper;
};
_Static_assert(offsetof(struct own_mutex, link.next) == CAROM_ROBUST_DISTANCE,
	       "where the kernel looks for the word");

/**
 * carom_own_mutex_give_back() - release it
 * @self: the calling thread's list, on which it stands
 * @tid:  the calling thread's, which is in the word
 */
void carom_own_mutex_give_back(const struct carom_robust *self, struct own_mutex *mutex,
			       uint32_t tid);

/** carom_own_mutex_give_up() - the same as if the thread had died with it */
void carom_own_mutex_give_up(const struct carom_robust *self, struct own_mutex *mutex);

/**
 * carom_mutex_enter() - get it, however long that takes
 *
 * For the few instructions of a primitive's own. Where a thread that holds very many has no
 * room for one more, it waits for that too. Return: 0, -EOWNERDEAD, -ENOTRECOVERABLE.
 */
int carom_mutex_enter(struct carom_mutex *mutex);

/** carom_mutex_is_torn() - has its last holder died, and nobody repaired since? */
bool carom_mutex_is_torn(const struct carom_mutex *mutex);

/** carom_mutex_is_broken() - was it given up for good? */
bool carom_mutex_is_broken(const struct carom_mutex *mutex);

/** carom_mutex_is_mine() - does the calling thread hold it? */
bool carom_mutex_is_mine(const struct carom_mutex *mutex);

/** carom_mutex_describe_holder() - "owner=nobody", without the brackets. Return: @text. */
char *carom_mutex_describe_holder(const struct carom_mutex *mutex, char *text, size_t size);

#endif
