/* To wait for the moment at which a pool's workers have nothing left to do. */
#ifndef CAROM_TESTS_POOL_ASLEEP_H
#define CAROM_TESTS_POOL_ASLEEP_H

#include "ipc/lane_private.h"
#include "pool/pool_private.h"
#include "tests/shm/help.h"

/* The first @count workers; what they had to say of their last tasks has been said then. */
static inline void await_workers_asleep(struct carom_pool *pool, int count)
{
	struct carom_worker_info infos[8];

	for (int i = 0; i < count; i++) {
		bool deals = carom_lane_deals(pool->lane);
		const struct carom_lane *lane =
			deals ? carom_dealer_lane(pool->lane, (uint32_t)i) : pool->lane;

		await(lane_is_idle(lane, deals ? 0 : (uint32_t)i));
		carom_pool_workers(pool, infos, 8);
		await_asleep((pid_t)infos[i].pid);
	}
}

#endif
