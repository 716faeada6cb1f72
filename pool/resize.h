/**
 * DOC: resize
 *
 * More workers, less of them, or new ones, while the pool works:
 *
 *	r = carom_pool_grow(pool, 4);
 *	...
 *	r = carom_pool_shrink(pool, 4, CAROM_SHRINK_AFTER_TASK);
 *	r = carom_pool_restart(pool, CAROM_RESTART_ROLLING, carom_deadline_after(timeout));
 *
 * No task is lost, ended or begun twice by any of this: a worker that is to go ends when
 * it has no task. Indices stay small: a worker that comes has the lowest that is free,
 * and those that go are the last ones.
 */
#ifndef CAROM_POOL_RESIZE_H
#define CAROM_POOL_RESIZE_H

#include <stdint.h>

#include "../core/api.h"

CAROM_BEGIN_DECLS

struct carom_pool;

/**
 * carom_pool_grow() - have so many workers more
 * @count: 0 is allowed
 *
 * Returns when they exist; where one cannot be made for want of resources it is tried
 * again, as for a replacement.
 *
 * Context: MT-Safe, AS-Unsafe. Blocks for about 1 ms.
 * Return: 0, or with nothing changed
 *	-ENOSPC  there would be more than worker_limit, see struct carom_pool_options
 *	-ESHUTDOWN, -ENOTRECOVERABLE, -ECHILD  as carom_pool_apply_async()
 */
CAROM_API int carom_pool_grow(struct carom_pool *pool, uint64_t count);

/** enum carom_shrink - which workers may be sent away */
enum carom_shrink {
	CAROM_SHRINK_AFTER_TASK, /* idle ones first, then busy ones, which end after their task */
	CAROM_SHRINK_IDLE_ONLY,  /* only those that have no task now */
};

/**
 * carom_pool_shrink() - have so many workers less; one always stays
 * @how: one of enum carom_shrink
 *
 * Context: MT-Safe, AS-Unsafe lock. Does not wait for their end.
 * Return: how many have gone, or will when they have no task; less than @count where
 * there were not so many; -EINVAL (@how is none), -ESHUTDOWN, -ENOTRECOVERABLE, -ECHILD.
 */
CAROM_API int carom_pool_shrink(struct carom_pool *pool, uint64_t count, enum carom_shrink how);

/** enum carom_restart_order - when which worker is replaced */
enum carom_restart_order {
	CAROM_RESTART_AT_ONCE, /* idle ones now, each busy one after its task */
	CAROM_RESTART_ROLLING, /* the next one when the one before has a replacement that is ready */
};

/**
 * carom_pool_restart() - replace all workers by new ones; no task is needed for it
 * @order:       one of enum carom_restart_order
 * @deadline_ns: CLOCK_MONOTONIC; CAROM_PASSED does not wait
 *
 * Context: MT-Safe, AS-Unsafe. Blocks until the new ones are ready, or @deadline_ns.
 * Return: 0: there are only new ones; or
 *	-ETIMEDOUT not yet. AT_ONCE, all have been told to go, and will; ROLLING, those
 *	           that have not been told stay
 *	-EINVAL    @order is none
 *	-ENOMEM, -ESHUTDOWN, -ENOTRECOVERABLE, -ECHILD
 */
CAROM_API int carom_pool_restart(struct carom_pool *pool, enum carom_restart_order order,
				 uint64_t deadline_ns);

CAROM_END_DECLS

#endif
