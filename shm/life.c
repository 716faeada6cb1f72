/*
 * Life
 *
 * The order is nptl's for taking a robust mutex: name the node as pending, set
 * the word, link the node, clear pending. Killed between any two of these, the
 * kernel finds the word by the one way or the other, or the process had not yet
 * begun to live and its pidfd tells.
 *
 * FUTEX_WAITERS is set from the start, so that the kernel wakes without having
 * to be asked.
 */
#include "shm/life.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <unistd.h>

_Static_assert(offsetof(struct carom_life, link) + offsetof(struct carom_robust_link, next) ==
		       CAROM_ROBUST_DISTANCE,
	       "where the kernel looks for the word");

int carom_life_begin(struct carom_life *life)
{
	const struct carom_robust *self = carom_robust_self();

	if (!self)
		return -EOPNOTSUPP;
	carom_robust_begin(self, &life->link);
	atomic_store(&life->word, carom_life_word((pid_t)carom_robust_tid(self)));
	carom_robust_barrier();
	carom_robust_push(self, &life->link);
	carom_robust_end(self);
	return 0;
}

uint32_t carom_life_word(pid_t pid)
{
	return (uint32_t)pid | FUTEX_WAITERS;
}

bool carom_life_ended(const struct carom_life *life)
{
	return atomic_load(&life->word) & FUTEX_OWNER_DIED;
}
