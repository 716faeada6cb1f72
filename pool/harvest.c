/*
 * Harvest
 *
 * How slots come back. Each does when what it holds is no longer wanted. They run out
 * when as many tasks wait or run as the pool has slots, and long before that when a
 * program collects its results late: so whoever finds none free harvests, that is moves
 * values that are there into their handles' own memory, and has maps collect theirs.
 *
 * What is pinned, or being read at this moment, stays where it is.
 */
#include <stdlib.h>

#include "pool/answer.h"
#include "pool/pool_private.h"

#define EMPTIED_MIN CAROM_MIB(8)
#define FIRST_PAGE  4096 /* where a block that is given back has its link */

/* ---- giving slots back ---- */

static void give_value_back(struct carom_pool *pool, uint32_t slot)
{
	struct task *task = &pool->tasks[slot];
	struct carom_answer value;
	void *base;

	if (carom_lane_deals(pool->lane) || /* it is the lane's own, and goes with the slot */
	    carom_answer_of(pool->lane, slot, task->batch, &value) < 0 || !value.reserved)
		return;
	base = carom_lane_values(pool->lane, value.worker);
	if (task->orphaned) {
		carom_arena_discard(base, value.offset, carom_arena_room(value.reserved));
		return;
	}
	/* the worker takes it back only when it is asked for another: until then it is empty */
	if (value.reserved > EMPTIED_MIN)
		carom_arena_discard(base, value.offset + FIRST_PAGE,
				    carom_arena_room(value.reserved) - FIRST_PAGE);
	carom_arena_return(base, &carom_lane_worker(pool->lane, value.worker)->returned,
			   value.offset, value.reserved);
}

/* relaxed: who waits has raised it before it found no slot with the lock, which is held here */
void carom_pool_tell_slot(struct carom_pool *pool)
{
	if (atomic_load_explicit(&pool->slot_waiter_count, memory_order_relaxed))
		carom_lane_announce(pool->lane);
}

void carom_pool_release(struct carom_pool *pool, uint32_t slot)
{
	struct task *task = &pool->tasks[slot];
	uint64_t word = atomic_load(&carom_lane_slot(pool->lane, slot)->word);

	if (!task->end_seen)
		carom_calls_end(pool, slot);
	if (task->evicted) {
		task->result = NULL;
		task->map = NULL;
		task->left = true; /* the rest follows in carom_limits_swept() */
		return;
	}
	if (!task->filling && carom_slot_state(word) == CAROM_SLOT_DONE)
		give_value_back(pool, slot);
	if (task->argument_size > CAROM_LANE_INLINE)
		carom_arena_free(&pool->arguments, task->argument_offset, task->argument_size);
	if (task->crash) {
		free(task->crash);
		task->crash = NULL;
	}
	task->argument_size = 0;
	task->result = NULL;
	task->map = NULL;
	task->filling = false;
	carom_lane_give(pool->lane, slot);
	carom_pool_tell_slot(pool);
}

void carom_pool_abandon(struct carom_pool *pool, uint32_t slot)
{
	struct carom_result *result = pool->tasks[slot].result;

	if (result) {
		result->calls = NULL; /* the submitter's again */
		pool->spare[slot] = result;
		pool->reference_count--;
	}
	pool->tasks[slot].end_seen =
		true; /* who submitted it takes back what it was admitted with */
	carom_pool_release(pool, slot);
}

/* ---- harvesting ---- */

static bool harvest_slot(struct carom_pool *pool, uint32_t slot)
{
	struct task *task = &pool->tasks[slot];
	uint64_t word = carom_lane_word(pool->lane, slot);

	if (task->filling || task->held || task->left || !carom_slot_ended(word))
		return false;
	if (task->map)
		carom_map_collect(task->map, slot);
	else if (!task->result)
		carom_pool_release(pool, slot);
	else
		return !task->result->pinned && !task->result->reader_count &&
		       carom_result_move(task->result) == 0;
	return true;
}

bool carom_pool_harvest(struct carom_pool *pool)
{
	uint32_t count = 0;

	for (uint32_t slot = 0; slot < carom_lane_taken_count(pool->lane); slot++)
		count += harvest_slot(pool, slot);
	return count > 0;
}
