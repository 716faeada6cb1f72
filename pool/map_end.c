/*
 * Map: ending early
 *
 * A map that fails fast is over with its first failure. One that is cancelled is not over:
 * what nobody has begun is answered, and the rest is waited for as ever.
 *
 *   M4  A map that is over lets go of its parts: those that wait are withdrawn, those
 *       that run are nobody's, and their values are dropped when they come. Nothing is
 *       written to the caller's memory after that.
 */
#include <errno.h>

#include "pool/map_private.h"

/* ---- ending early ---- */

/* M4: values that are there count; what runs now is dropped */
static void drop_running(struct map *map, uint32_t slot)
{
	struct carom_outcome cancelled = carom_map_no_value(CAROM_OUTCOME_CANCELLED, 0);
	struct task *task = &map->pool->tasks[slot];

	if (task->batch) {
		carom_map_set_end(map, slot, 0);
		carom_map_account(map, slot, carom_lane_item_progress(map->pool->lane, slot),
				  &cancelled);
	}
	carom_map_account_rest(map, task, &cancelled);
	carom_map_let_go(map, slot);
	task->map = NULL;
}

static void drop_waiting(struct map *map, uint32_t slot)
{
	struct carom_outcome cancelled = carom_map_no_value(CAROM_OUTCOME_CANCELLED, 0);

	carom_map_account_rest(map, &map->pool->tasks[slot], &cancelled);
	carom_map_let_go(map, slot);
	carom_pool_release(map->pool, slot);
}

/* M4. Parts that have ended are left to be collected, those that are being filled to who fills them. */
void carom_map_end_early(struct map *map)
{
	for (uint64_t part = map->first_waiting; part < map->part_count; part++) {
		uint32_t slot = map->parts[part].slot;

		if (slot == CAROM_LANE_NO_SLOT || map->pool->tasks[slot].filling ||
		    map->pool->tasks[slot].held)
			continue;
		if (carom_task_withdraw(map->pool, slot, CAROM_OUTCOME_CANCELLED, 0))
			drop_waiting(map, slot);
		else if (carom_slot_state(carom_map_word(map, slot)) == CAROM_SLOT_RUNNING)
			drop_running(map, slot);
	}
}

/* ---- cancelling ---- */

/* what waits is withdrawn as a whole; of what runs, what was not begun is taken back */
static bool cancel_part(struct map *map, uint32_t slot)
{
	struct carom_outcome cancelled = carom_map_no_value(CAROM_OUTCOME_CANCELLED, 0);
	struct task *task = &map->pool->tasks[slot];
	uint64_t end = task->end;

	if (carom_task_withdraw(map->pool, slot, CAROM_OUTCOME_CANCELLED, 0))
		return true;
	for (uint64_t left = carom_map_not_begun(map, slot); left > 0; left--)
		if (carom_map_take_back(map, slot, end - left)) {
			carom_map_record_range(map, task->first + task->end, task->first + end,
					       &cancelled);
			return true;
		}
	return false;
}

int carom_map_cancel(struct map *map)
{
	bool any = false;

	if (!map->waiting_count)
		return -EALREADY;
	for (uint64_t part = map->first_waiting; part < map->part_count; part++) {
		uint32_t slot = map->parts[part].slot;

		if (slot != CAROM_LANE_NO_SLOT)
			any |= cancel_part(map, slot);
	}
	return any ? 0 : -EBUSY;
}
