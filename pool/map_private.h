/*
 * A map from inside
 *
 * Items are rows of one or more columns (starmap.h), cut into chunks. A chunk of one
 * item is a task like any other; a larger one is a batch: a header and the items, in
 * one block of the argument arena, with values and codes in one block of the worker's
 * arena.
 *
 * Each chunk that was submitted is a part of the map. What a part has not begun can be
 * taken back (B4 in batch.c): to be done by a worker that has nothing to do, as another
 * part, so that short items do not wait behind a long one; or not at all, once a map
 * that is to fail fast has failed.
 *
 *	map.c          what is asked for becomes a map, and what can be asked of one
 *	map_submit.c   items become parts, and parts are submitted
 *	map_collect.c  parts that ended, and what dead workers left of them: M1, M2
 *	map_share.c    what was not begun is taken back, and shared out: M3
 *	map_end.c      a map is over, or cancelled, before its last part: M4
 *	map_wait.c     one thread waits for all of it
 *
 * All of it is done with the pool's lock, by whichever thread needs it done.
 */
#ifndef CAROM_POOL_MAP_PRIVATE_H
#define CAROM_POOL_MAP_PRIVATE_H

#include "pool/pool_private.h"

/**
 * struct part - of a map: a chunk, or what was taken back from one
 * @slot:       where it is until it is collected; else CAROM_LANE_NO_SLOT
 * @pid:        who ended it; 0 before
 * @item_count: once it is collected
 */
struct part {
	uint32_t slot;
	uint32_t generation;
	int32_t pid;
	uint64_t item_count;
};

/**
 * struct map - a map that runs
 * @part_count: the chunks, and what was taken back from them to be done elsewhere
 * @part_room: for how many there is room
 * @first_waiting: the parts before it are collected
 * @waiting_count: parts that were submitted and are not collected
 * @over:    M4
 * @submitted: no chunk will come any more
 * @calls:   its result's; NULL once its end was posted, or if there are none
 * @verdict: of the first item, by index, without a value, or if the map fails fast the
 *           first to arrive; of the last if there is none
 */
struct map {
	struct carom_pool *pool;
	carom_task_fn *function;
	struct carom_column columns[CAROM_COLUMNS_MAX];
	uint64_t column_count;
	uint64_t item_count;
	unsigned char *out;
	uint64_t out_size;
	uint64_t chunk_size;
	uint64_t chunk_count;
	uint64_t part_count;
	uint64_t part_room;
	uint64_t first_waiting;
	uint64_t limit_ns;
	uint64_t soft_ns;
	uint32_t retry_count;
	bool fail_fast;
	bool over;
	bool submitted;
	struct calls *calls;
	struct carom_outcome *outcomes;
	struct part *parts;
	uint64_t waiting_count;
	bool may_spin;
	struct carom_outcome verdict;
	uint64_t verdict_index;
};

/**
 * struct cut - parts of a map on their way into slots, one after the other
 * @columns: where the part's items begin
 * @batch, @submission: of the part; what all parts have in common is written once
 */
struct cut {
	struct carom_column columns[CAROM_COLUMNS_MAX];
	struct carom_batch batch;
	struct submission submission;
};

/** carom_map_word() - of a slot: what state its task is in */
static inline uint64_t carom_map_word(const struct map *map, uint32_t slot)
{
	return carom_lane_word(map->pool->lane, slot);
}

/** carom_map_has_worker() - some worker is at it, or has it and is about to begin */
static inline bool carom_map_has_worker(const struct map *map, uint32_t slot)
{
	uint64_t word = carom_map_word(map, slot);

	return carom_slot_state(word) == CAROM_SLOT_RUNNING ||
	       (carom_slot_state(word) == CAROM_SLOT_READY &&
		carom_slot_owner(word) != CAROM_LANE_NOBODY);
}

/** carom_map_waits_for_worker() - nobody has it yet */
static inline bool carom_map_waits_for_worker(const struct map *map, uint32_t slot)
{
	uint64_t word = carom_map_word(map, slot);

	return carom_slot_state(word) == CAROM_SLOT_READY &&
	       carom_slot_owner(word) == CAROM_LANE_NOBODY;
}

/** carom_map_batch() - the header that a part's worker reads; only if it is a batch */
static inline struct carom_batch *carom_map_batch(const struct map *map, uint32_t slot)
{
	return (void *)((unsigned char *)carom_lane_arguments(map->pool->lane) +
			map->pool->tasks[slot].argument_offset);
}

/** carom_map_no_value() - the outcome of an item that no worker has to do with */
static inline struct carom_outcome carom_map_no_value(enum carom_outcome_kind kind, int code)
{
	return (struct carom_outcome){
		.kind = kind, .code = code, .exit_status = -1, .worker_index = -1
	};
}

/* ---- map_submit.c ---- */

/** carom_map_begin_cut() - before the first part; @ret_cut stays where it is */
void carom_map_begin_cut(struct map *map, struct cut *ret_cut);

/**
 * carom_map_cut() - items as a part of the map, to be prepared as the cut's submission
 * @cut:   its columns say where they begin
 * @first: the index of the first of them
 */
void carom_map_cut(struct cut *cut, uint64_t part, uint64_t first, uint64_t count);

/** carom_map_publish() - submit a prepared part; if it cannot be, its items have failed. 0 or why. */
int carom_map_publish(struct map *map, uint32_t slot);

/**
 * carom_map_submit() - all chunks; lets go of the lock while it waits for room
 *
 * Return: 0 as soon as one chunk was accepted: what cannot be submitted after that has
 * an outcome. Else as carom_pool_prepare() and carom_pool_publish().
 */
int carom_map_submit(struct map *map);

/* ---- map_collect.c; see also carom_map_collect() ---- */

/** carom_map_record_range() - this is the outcome of the items [@begin, @end) */
void carom_map_record_range(struct map *map, uint64_t begin, uint64_t end,
			    const struct carom_outcome *outcome);

/** carom_map_never_begun() - the outcome of what was not begun, because the map, or the pool, is over */
struct carom_outcome carom_map_never_begun(const struct map *map, int code);

/**
 * carom_map_account() - take what of a batch has ended, from a worker that does not end the part
 * @progress: how far it came. If that is nonsense, no item of the part has a value
 * @cause:    what becomes of them then; and who that worker is
 */
void carom_map_account(struct map *map, uint32_t slot, uint64_t progress,
		       const struct carom_outcome *cause);

/** carom_map_account_rest() - this is the outcome of all that is left of a part */
void carom_map_account_rest(struct map *map, struct task *task,
			    const struct carom_outcome *outcome);

/** carom_map_let_go() - all of a part is accounted for: its slot is no longer the map's */
void carom_map_let_go(struct map *map, uint32_t slot);

/** carom_map_tell_if_ended() - the callbacks of a map are due once, when nothing of it is left */
void carom_map_tell_if_ended(struct map *map);

/* ---- map_share.c ---- */

/** carom_map_not_begun() - how many items of a part that runs nobody has begun, as far as can be told */
uint64_t carom_map_not_begun(const struct map *map, uint32_t slot);

/** carom_map_set_end() - of a batch that runs: from which item on none is to be begun */
void carom_map_set_end(struct map *map, uint32_t slot, uint64_t end);

/** carom_map_take_back() - of a part that runs, the items from @from on; false if a worker is, or was, there */
bool carom_map_take_back(struct map *map, uint32_t slot, uint64_t from);

/** carom_map_share_out() - give workers that have nothing to do what others have not begun */
void carom_map_share_out(struct map *map);

/* ---- map_end.c ---- */

/** carom_map_end_early() - M4: the map is over, and lets go of what is left of it */
void carom_map_end_early(struct map *map);

/* ---- map_wait.c ---- */

/**
 * carom_map_await_part() - wait for the end of a part that is submitted, and collect it
 *
 * Lets go of the lock meanwhile. Return: 0 or -ETIMEDOUT.
 */
int carom_map_await_part(struct map *map, uint64_t part, uint64_t deadline_ns);

/** carom_map_collect_ended() - collect all parts that have ended */
void carom_map_collect_ended(struct map *map);

#endif
