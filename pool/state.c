/*
 * Pool state
 *
 * Questions about a pool, answered under its lock.
 */
#include "pool/state.h"

#include <errno.h>

#include "core/origin.h"
#include "pool/pool_private.h"

int carom_pool_state(struct carom_pool *pool)
{
	static const int public_states[] = {
		[POOL_RUNNING] = CAROM_POOL_RUNNING,
		[POOL_CLOSED] = CAROM_POOL_CLOSED,
		[POOL_TERMINATED] = CAROM_POOL_TERMINATED,
		[POOL_BROKEN] = CAROM_POOL_BROKEN,
	};

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	return public_states[carom_pool_state_now(pool)];
}

const char *carom_broken_reason_name(enum carom_broken_reason reason)
{
	static const char *const names[] = {
		[CAROM_BROKEN_NOT] = "not broken",
		[CAROM_BROKEN_RESTART_LIMIT] = "restart limit",
		[CAROM_BROKEN_INIT_FAILED] = "initializer failed",
		[CAROM_BROKEN_INIT_TIMEOUT] = "initializer timed out",
		[CAROM_BROKEN_START_FAILED] = "workers die before they are ready",
		[CAROM_BROKEN_NO_PROCESS] = "no process can be made",
		[CAROM_BROKEN_LOSS] = "a worker was lost",
		[CAROM_BROKEN_CALLBACK] = "a callback failed",
		[CAROM_BROKEN_LOOP] = "the loop is broken",
	};

	return (unsigned int)reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";
}

int carom_pool_broken(struct carom_pool *pool, struct carom_broken *ret_broken)
{
	int is_broken;

	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	pthread_mutex_lock(&pool->lock);
	is_broken = pool->state == POOL_BROKEN;
	if (is_broken)
		*ret_broken = pool->broken;
	pthread_mutex_unlock(&pool->lock);
	return is_broken;
}
