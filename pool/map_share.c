/*
 * Map: sharing out
 *
 * A part that runs gives up the later half of what it has not begun, for a worker that
 * has nothing to do. That half is copied into a slot of its own first, and taken back
 * (B4 in batch.c) only then: if it cannot be, the copy is thrown away, and nothing has
 * changed.
 *
 *   M3  `end` of a part's task only falls, under the lock. Items from there on are
 *       another part's, or were answered: whatever its worker says of them is not heard.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/membarrier.h"
#include "core/points.h"
#include "pool/column.h"
#include "pool/map_private.h"

/* ---- taking back ---- */

/* up to which item a part was begun, by its worker or those before it */
static uint64_t begun_of(const struct map *map, uint32_t slot)
{
	uint64_t begun = carom_lane_item_progress(map->pool->lane, slot) >> 32;
	uint64_t accounted = map->pool->tasks[slot].accounted;

	return begun > accounted ? begun : accounted;
}

uint64_t carom_map_not_begun(const struct map *map, uint32_t slot)
{
	const struct task *task = &map->pool->tasks[slot];
	uint64_t begun = begun_of(map, slot);

	if (!task->batch || task->held || task->condemned)
		return 0;
	if (task->attempt && begun == task->accounted)
		begun++; /* its attempts are counted here: it is begun here again */
	return begun < task->end ? task->end - begun : 0;
}

/* B4 in batch.c: the workers' half of the barrier is made here */
static bool everybody_sees(const struct carom_pool *pool)
{
	return !pool->plan.barrier || carom_membarrier_all() == 0;
}

/* where its worker reads it, and where it is read from if another one is to do it */
void carom_map_set_end(struct map *map, uint32_t slot, uint64_t end)
{
	struct carom_batch *at_hand = carom_lane_batch_at_hand(map->pool->lane, slot);

	atomic_store(&carom_map_batch(map, slot)->end, end);
	if (at_hand)
		atomic_store(&at_hand->end, end);
}

/* B4, M3 */
bool carom_map_take_back(struct map *map, uint32_t slot, uint64_t from)
{
	struct task *task = &map->pool->tasks[slot];
	bool taken;

	carom_map_set_end(map, slot, from | CAROM_BATCH_UNDECIDED);
	CAROM_POINT("map.undecided");
	taken = everybody_sees(map->pool) && begun_of(map, slot) <= from &&
		carom_map_has_worker(map, slot);
	if (taken)
		task->end = from;
	carom_map_set_end(map, slot, task->end);
	return taken;
}

/* ---- sharing out ---- */

/* who has nothing to do, as far as this map can tell: none if a part still waits for a worker */
static uint64_t idle_workers(const struct map *map)
{
	uint64_t running = 0;

	for (uint64_t part = map->first_waiting; part < map->part_count; part++) {
		uint32_t slot = map->parts[part].slot;

		if (slot == CAROM_LANE_NO_SLOT)
			continue;
		if (map->pool->tasks[slot].filling || carom_map_waits_for_worker(map, slot))
			return 0;
		running += carom_map_has_worker(map, slot);
	}
	return running < map->pool->worker_count ? map->pool->worker_count - running : 0;
}

static uint32_t fullest_part(const struct map *map)
{
	uint32_t fullest = CAROM_LANE_NO_SLOT;
	uint64_t most = 0;

	for (uint64_t part = map->first_waiting; part < map->part_count; part++) {
		uint32_t slot = map->parts[part].slot;

		if (slot == CAROM_LANE_NO_SLOT || carom_map_not_begun(map, slot) <= most ||
		    !carom_map_has_worker(map, slot))
			continue;
		fullest = slot;
		most = carom_map_not_begun(map, slot);
	}
	return fullest;
}

static int make_room_for_part(struct map *map)
{
	uint64_t room = map->part_room * 2;
	struct part *parts;

	if (map->part_count < map->part_room)
		return 0;
	parts = reallocarray(map->parts, room, sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	map->parts = parts;
	map->part_room = room;
	return 0;
}

/*
 * Items from @from on into a slot of their own, to be published if they can be taken
 * back. Their bytes come from the part's own argument, which is held meanwhile: the
 * caller's array may be gone.
 */
static int copy_rest(struct map *map, uint32_t victim, uint64_t from, uint32_t *ret_slot)
{
	struct task *task = &map->pool->tasks[victim];
	const struct carom_columns *source = (const void *)(carom_map_batch(map, victim) + 1);
	struct cut cut;
	int r;

	carom_map_begin_cut(map, &cut);
	for (uint64_t i = 0; i < map->column_count; i++)
		cut.columns[i].data = carom_columns_at(source, i, from);
	carom_map_cut(&cut, map->part_count, task->first + from, task->end - from);
	task->held = true;
	r = carom_pool_prepare(map->pool, &cut.submission, false, ret_slot);
	task->held = false;
	if (carom_slot_ended(carom_map_word(map, victim)))
		carom_lane_announce(map->pool->lane); /* somebody may have passed it by */
	return r;
}

/*
 * The later half of what the fullest part has not begun becomes a part of its own. The
 * worker may be past the middle once that is copied: then it was in vain.
 */
static bool share_out_one(struct map *map)
{
	uint32_t victim = fullest_part(map);
	uint64_t end, from;
	uint32_t slot;

	if (victim == CAROM_LANE_NO_SLOT || make_room_for_part(map) < 0)
		return false;
	end = map->pool->tasks[victim].end;
	from = end - (carom_map_not_begun(map, victim) + 1) / 2;
	if (from == end || copy_rest(map, victim, from, &slot) < 0)
		return false;
	if (map->over || map->pool->tasks[victim].end != end ||
	    map->pool->tasks[slot].part != map->part_count ||
	    !carom_map_take_back(map, victim, from)) {
		carom_pool_abandon(map->pool, slot);
		if (map->over)
			carom_map_end_early(map);
		return false;
	}
	map->parts[map->part_count++].slot = slot;
	map->waiting_count++;
	return carom_map_publish(map, slot) == 0;
}

void carom_map_share_out(struct map *map)
{
	uint64_t idle = idle_workers(map);

	while (idle-- > 0 && !map->over && share_out_one(map))
		;
}
