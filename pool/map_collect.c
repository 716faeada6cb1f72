/*
 * Map: collecting
 *
 * A chunk's slot is held until its values are collected, which copies them to
 * their places in the caller's array: by who waits for the map, or by any thread
 * that runs out of slots. Both hold the pool's lock, so each chunk is collected
 * once.
 *
 *   M1  Each item gets one outcome: when its chunk is collected, or when a worker
 *       dies in its chunk (then those that had ended, and the one that was running);
 *       `accounted` of the chunk's task says up to which item.
 *       If a worker is killed for an item's time limit, that is done before it dies.
 *   M2  A batch whose worker died goes on at the first item that was never begun.
 */
#include <errno.h>
#include <string.h>

#include "pool/answer.h"
#include "pool/map_private.h"

/* ---- one item's end ---- */

static unsigned char *place_of(const struct map *map, uint64_t index)
{
	return map->out + index * map->out_size;
}

static void record(struct map *map, uint64_t index, const struct carom_outcome *outcome)
{
	bool failed = outcome->kind != CAROM_OUTCOME_OK;
	bool failed_before = map->verdict.kind != CAROM_OUTCOME_OK;

	if (map->outcomes)
		map->outcomes[index] = *outcome;
	if (failed && map->out_size)
		memset(place_of(map, index), 0, map->out_size);
	if (failed && map->fail_fast)
		map->over = true;
	if (failed ? !failed_before || (!map->fail_fast && index < map->verdict_index)
		   : !failed_before && index + 1 == map->item_count) {
		map->verdict = *outcome;
		map->verdict_index = index;
	}
}

void carom_map_record_range(struct map *map, uint64_t begin, uint64_t end,
			    const struct carom_outcome *outcome)
{
	for (uint64_t index = begin; index < end; index++)
		record(map, index, outcome);
}

struct carom_outcome carom_map_never_begun(const struct map *map, int code)
{
	struct carom_outcome outcome = carom_map_no_value(
		map->over ? CAROM_OUTCOME_CANCELLED : CAROM_OUTCOME_POOL_CLOSED, code);

	if (!map->over && map->pool->state == POOL_BROKEN)
		carom_pool_describe_break(map->pool, &outcome);
	return outcome;
}

/* ---- collecting ---- */

static int place_value(struct map *map, uint32_t slot, uint64_t index)
{
	struct carom_answer value;
	int r = carom_answer_of(map->pool->lane, slot, false, &value);

	if (r < 0 || !map->out_size)
		return r < 0 ? r : value.size ? -EMSGSIZE : 0;
	if (value.size > map->out_size)
		return -EMSGSIZE;
	memcpy(place_of(map, index), value.data, value.size);
	memset(place_of(map, index) + value.size, 0, map->out_size - value.size);
	return 0;
}

/* is an item that has a value of interest beyond its value? */
static bool is_recorded(const struct map *map, uint64_t index)
{
	return map->outcomes || index + 1 == map->item_count;
}

static void collect_single(struct map *map, uint32_t slot)
{
	uint64_t index = map->pool->tasks[slot].first;
	bool succeeded = carom_slot_succeeded(map->pool, slot);
	int r = succeeded ? place_value(map, slot, index) : 0;
	struct carom_outcome outcome;

	if (succeeded && r == 0 && !is_recorded(map, index))
		return;
	carom_outcome_of_slot(map->pool, slot, &outcome);
	if (r < 0) {
		outcome.kind = CAROM_OUTCOME_FAILED;
		outcome.code = r;
	}
	record(map, index, &outcome);
}

static void take_failure(struct map *map, uint64_t index, int code, uint64_t soft_ns,
			 const void *value, struct carom_outcome outcome)
{
	size_t length = map->out_size < sizeof(outcome.message) - 1 ? map->out_size
								    : sizeof(outcome.message) - 1;

	carom_outcome_fail(&outcome, code, soft_ns);
	if (length)
		memcpy(outcome.message, value, length);
	outcome.message[length] = '\0';
	record(map, index, &outcome);
}

#define LOOK_COUNT 64

/* LOOK_COUNT items at once; if one of them seems to have failed, each is looked at by itself */
static bool all_succeeded(const int32_t *codes)
{
	int32_t all = 0;

	for (int i = 0; i < LOOK_COUNT; i++)
		all |= codes[i];
	return all >= 0;
}

/* up to which item none from @begin on has anything of interest beyond its value */
static uint64_t skip_plain(const struct map *map, void *values, uint64_t begin, uint64_t end)
{
	while (!map->outcomes && end - begin > LOOK_COUNT &&
	       all_succeeded(carom_batch_code(values, begin)))
		begin += LOOK_COUNT;
	return begin;
}

static void collect_item(struct map *map, const struct task *task, void *values, uint64_t item,
			 const struct carom_outcome *outcome)
{
	uint64_t index = task->first + item;
	int code = *(volatile int32_t *)carom_batch_code(values, item);

	if (code < 0)
		take_failure(map, index, code, task->soft_ns,
			     carom_batch_value(values, task->count, map->out_size, item), *outcome);
	else if (is_recorded(map, index))
		record(map, index, outcome);
}

/* the items [begin, end) of a batch have their values and codes in @values */
static void collect_items(struct map *map, const struct task *task, void *values, uint64_t begin,
			  uint64_t end, const struct carom_outcome *outcome)
{
	if (map->out_size && end > begin)
		memcpy(place_of(map, task->first + begin),
		       carom_batch_value(values, task->count, map->out_size, begin),
		       (end - begin) * map->out_size);
	for (uint64_t item = begin; item < end; item++) {
		if ((item - begin) % LOOK_COUNT == 0)
			item = skip_plain(map, values, item, end);
		collect_item(map, task, values, item, outcome);
	}
}

/* where a batch's worker put its values; NULL if it points to nothing that can hold them */
static void *batch_values(const struct map *map, uint32_t slot)
{
	const struct task *task = &map->pool->tasks[slot];
	struct carom_answer value;

	if (carom_answer_of(map->pool->lane, slot, true, &value) < 0 ||
	    value.size < carom_batch_values_size(task->count, map->out_size))
		return NULL;
	return (void *)(uintptr_t)value.data;
}

void carom_map_account_rest(struct map *map, struct task *task, const struct carom_outcome *outcome)
{
	carom_map_record_range(map, task->first + task->accounted, task->first + task->end,
			       outcome);
	task->accounted = task->end;
}

/* what a part leaves undone that is not begun any more, or what garbage leaves */
static struct carom_outcome not_done(const struct map *map)
{
	return map->over ? carom_map_no_value(CAROM_OUTCOME_CANCELLED, 0)
			 : carom_map_no_value(CAROM_OUTCOME_FAILED, -EBADMSG);
}

static void collect_batch(struct map *map, uint32_t slot)
{
	struct task *task = &map->pool->tasks[slot];
	struct carom_slot *lines = carom_lane_slot(map->pool->lane, slot);
	uint64_t ended = atomic_load(&lines->value.progress) & UINT32_MAX;
	struct carom_outcome outcome;
	void *values;

	carom_outcome_of_slot(map->pool, slot, &outcome);
	if (outcome.kind == CAROM_OUTCOME_OK) {
		values = batch_values(map, slot);
		if (values && ended >= task->accounted && ended <= task->end) {
			collect_items(map, task, values, task->accounted, ended, &outcome);
			task->accounted = ended;
		}
		outcome = not_done(map);
	}
	carom_map_account_rest(map, task, &outcome);
}

void carom_map_tell_if_ended(struct map *map)
{
	if (!map->calls || !map->submitted || map->waiting_count)
		return;
	carom_calls_end_map(map->pool, map->calls);
	map->calls = NULL;
}

void carom_map_let_go(struct map *map, uint32_t slot)
{
	struct task *task = &map->pool->tasks[slot];

	map->parts[task->part].pid = (int32_t)carom_slot_pid(map->pool, slot);
	map->parts[task->part].item_count = task->end;
	map->parts[task->part].slot = CAROM_LANE_NO_SLOT;
	map->waiting_count--;
	carom_map_tell_if_ended(map);
}

void carom_map_collect(struct map *map, uint32_t slot)
{
	if (map->pool->tasks[slot].batch)
		collect_batch(map, slot);
	else
		collect_single(map, slot);
	carom_map_let_go(map, slot);
	carom_pool_release(map->pool, slot);
	if (map->over)
		carom_map_end_early(map);
}

/* ---- a death in a batch ---- */

static bool may_go_on(const struct carom_pool *pool)
{
	return pool->state == POOL_RUNNING || pool->state == POOL_CLOSED;
}

/* of one that its worker does not end; it may be writing there still */
static void *values_so_far(const struct map *map, uint32_t slot)
{
	carom_lane_fetch(map->pool->lane, slot);
	return batch_values(map, slot);
}

/* takes what ended; what is nonsense has no value: what of it was begun is not to be told */
void carom_map_account(struct map *map, uint32_t slot, uint64_t progress,
		       const struct carom_outcome *cause)
{
	struct task *task = &map->pool->tasks[slot];
	uint64_t begun = progress >> 32, ended = progress & UINT32_MAX;
	void *values = ended > task->accounted ? values_so_far(map, slot) : NULL;
	struct carom_outcome ok = { .kind = CAROM_OUTCOME_OK,
				    .worker_index = cause->worker_index,
				    .worker_pid = cause->worker_pid,
				    .submitted_ns = cause->submitted_ns };

	if (begun > task->count || ended > begun || ended > task->end ||
	    (ended > task->accounted && !values)) {
		carom_map_account_rest(map, task, cause);
	} else if (values) {
		collect_items(map, task, values, task->accounted, ended, &ok);
		task->accounted = ended;
	}
}

bool carom_map_stopped(struct map *map, uint32_t slot, uint64_t progress,
		       const struct carom_outcome *cause, bool all)
{
	struct task *task = &map->pool->tasks[slot];
	uint64_t begun = progress >> 32;
	uint64_t stop = all || begun > task->end ? task->end : begun;
	uint64_t before = task->accounted;

	carom_map_account(map, slot, progress, cause);
	task->stopped_items =
		(progress & UINT32_MAX) == task->accounted ? task->accounted - before : 0;
	if (stop > task->accounted) {
		carom_map_record_range(map, task->first + task->accounted, task->first + stop,
				       cause);
		task->accounted = stop;
	}
	task->cause = carom_map_no_value(CAROM_OUTCOME_POOL_CLOSED, 0);
	return task->accounted == task->end;
}

/* each item has its own attempts: the batch goes on with this one */
static bool retry_item(struct task *task, const struct carom_outcome *cause)
{
	if (task->attempt_item != task->accounted)
		task->attempt = 0;
	task->attempt_item = task->accounted;
	return carom_task_retry(task, cause);
}

enum carom_sweep_verdict carom_map_lost(struct map *map, uint32_t slot,
					const struct carom_outcome *cause)
{
	struct carom_slot *lines = carom_lane_slot(map->pool->lane, slot);
	struct task *task = &map->pool->tasks[slot];
	uint64_t progress = atomic_load(&lines->value.progress);
	uint64_t begun = progress >> 32;

	carom_map_account(map, slot, progress, cause);
	if (begun > task->accounted && task->accounted < task->end && !retry_item(task, cause)) {
		record(map, task->first + task->accounted, cause);
		task->accounted++;
	}
	task->cause = carom_map_never_begun(map, 0);
	if (task->accounted == task->end || map->over || !may_go_on(map->pool))
		return CAROM_SWEEP_LOST;
	carom_map_batch(map, slot)->begin = task->accounted; /* M2 */
	task->condemned = false;
	task->rest_ns = 0;
	lines->started_ns = 0;
	atomic_store(&lines->value.progress, 0);
	return CAROM_SWEEP_AGAIN;
}
