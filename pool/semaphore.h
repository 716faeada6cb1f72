/**
 * DOC: semaphore
 *
 * What guards how many tasks a pool has accepted and not answered, where it is not to
 * take more than it has workers for (options put_locks and semaphore). Each task that is
 * submitted acquires one, and gives it back when it has ended, before its callbacks.
 *
 * A pool counts for itself; who wants to guard something of its own with it, several
 * pools together for instance, gives functions instead.
 */
#ifndef CAROM_POOL_SEMAPHORE_H
#define CAROM_POOL_SEMAPHORE_H

#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"

CAROM_BEGIN_DECLS

/**
 * struct carom_semaphore_hooks - a semaphore of the program's. Row PC-16
 * @size_bytes: size of this struct; CAROM_SEMAPHORE_HOOKS() fills it in
 * @userdata:   handed to each function
 * @acquire:    take one; by the thread that submits. If @may_wait is 0 and there is none:
 *              -EAGAIN. Any other error below 0 is what the submission returns. Where only
 *              the thread that submits could give one back, in a callback or in a polled
 *              pool, @may_wait is 0 and the pool waits, and asks again
 * @release:    give one back; by any thread, once for each that was acquired; with the
 *              pool's lock held, so it may not call the pool, nor wait for a thread that does
 * @grow, @shrink: the pool has so many workers more, or less; as @release. May be NULL
 * @clear:      the pool was closed: nobody may wait any more; as @release. May be NULL
 */
struct carom_semaphore_hooks {
	size_t size_bytes;
	void *userdata;
	int (*acquire)(void *userdata, int may_wait);
	void (*release)(void *userdata);
	void (*grow)(void *userdata, uint64_t count);
	void (*shrink)(void *userdata, uint64_t count);
	void (*clear)(void *userdata);
};
#define CAROM_SEMAPHORE_HOOKS(...) CAROM_OPTIONS(carom_semaphore_hooks, __VA_ARGS__)

CAROM_END_DECLS

#endif
