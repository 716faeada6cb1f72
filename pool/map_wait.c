/*
 * Map: waiting
 *
 * A map that is done soon is waited for by one sleep, on its last part. One that takes
 * longer is minded, if that is of use: each part is collected as it ends, so that a map
 * that fails fast is over at once, and whoever has nothing to do then gets a share of
 * what others have not begun.
 */
#include <errno.h>

#include "core/time.h"
#include "pool/map_private.h"

/* so long the end of the last part is waited for, before each part's end is looked at */
#define ONE_SLEEP_NS CAROM_MICROSECONDS(200)

int carom_map_await_part(struct map *map, uint64_t part, uint64_t deadline_ns)
{
	uint32_t slot = map->parts[part].slot;
	uint32_t generation = map->parts[part].generation;
	int r;

	if (carom_slot_ended(carom_map_word(map, slot))) {
		carom_map_collect(map, slot);
		return 0;
	}
	pthread_mutex_unlock(&map->pool->lock);
	r = carom_pool_await(map->pool, slot, generation, deadline_ns, map->may_spin);
	pthread_mutex_lock(&map->pool->lock);
	if (r == 0 && map->parts[part].slot == slot && map->parts[part].generation == generation &&
	    !map->pool->tasks[slot].held)
		carom_map_collect(map, slot);
	return r;
}

void carom_map_collect_ended(struct map *map)
{
	for (uint64_t part = map->first_waiting; part < map->part_count; part++) {
		uint32_t slot = map->parts[part].slot;

		if (slot == CAROM_LANE_NO_SLOT)
			map->first_waiting += map->first_waiting == part;
		else if (!map->pool->tasks[slot].held && !map->pool->tasks[slot].filling &&
			 carom_slot_ended(carom_map_word(map, slot)))
			carom_map_collect(map, slot);
	}
}

/* the last part first: by then most others have ended, and one sleep does for all */
static int await_parts_in_turn(struct map *map, uint64_t deadline_ns)
{
	int r = 0;

	for (uint64_t part = map->part_count; map->waiting_count && part-- > 0 && r == 0;)
		if (map->parts[part].slot != CAROM_LANE_NO_SLOT)
			r = carom_map_await_part(map, part, deadline_ns);
	return r;
}

/* one round: what has ended is collected, what can be shared out is, then the next end is waited for */
static int await_some_end(struct map *map, uint64_t deadline_ns)
{
	struct carom_pool *pool = map->pool;
	uint32_t ticket = carom_lane_expect(pool->lane);
	int r = 0;

	carom_map_collect_ended(map);
	if (map->waiting_count && deadline_ns == CAROM_PASSED)
		r = -ETIMEDOUT;
	else if (map->waiting_count) {
		carom_map_share_out(map);
		pthread_mutex_unlock(&pool->lock);
		r = carom_pool_await_any(pool, ticket, deadline_ns);
		pthread_mutex_lock(&pool->lock);
	}
	carom_lane_unexpect(pool->lane);
	return r;
}

static int await_each_end(struct map *map, uint64_t deadline_ns)
{
	int r = 0;

	while (map->waiting_count && r == 0)
		r = await_some_end(map, deadline_ns);
	carom_map_collect_ended(map);
	return map->waiting_count ? r : 0;
}

void carom_map_mind(struct map *map)
{
	pthread_mutex_lock(&map->pool->lock);
	carom_map_collect_ended(map);
	if (map->waiting_count)
		carom_map_share_out(map);
	pthread_mutex_unlock(&map->pool->lock);
}

/* must something be done before the last part has ended? */
static bool is_minded(const struct map *map)
{
	return map->fail_fast || (map->chunk_size > 1 && map->pool->worker_count > 1);
}

/* a map that is done soon is waited for by one sleep: nothing need be done in between */
int carom_map_wait(struct map *map, uint64_t deadline_ns)
{
	uint64_t soon = deadline_ns;
	bool minded;
	int r;

	pthread_mutex_lock(&map->pool->lock);
	minded = is_minded(map); /* of which the pool may change its mind meanwhile */
	if (minded && deadline_ns != CAROM_PASSED)
		soon = carom_deadline_after(ONE_SLEEP_NS);
	r = map->fail_fast ? 0 : await_parts_in_turn(map, soon < deadline_ns ? soon : deadline_ns);
	if (!map->waiting_count)
		r = 0; /* others may have collected the last part while this slept */
	else if (minded || r == 0)
		r = await_each_end(map, deadline_ns);
	pthread_mutex_unlock(&map->pool->lock);
	return r;
}
