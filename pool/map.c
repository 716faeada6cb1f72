/*
 * Map
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
 *   M3  `end` of a part's task only falls, under the lock. Items from there on are
 *       another part's, or were answered: whatever its worker says of them is not heard.
 *   M4  A map that is over lets go of its parts: those that wait are withdrawn, those
 *       that run are nobody's, and their values are dropped when they come. Nothing is
 *       written to the caller's memory after that.
 */
#include "pool/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/barrier.h"
#include "core/options.h"
#include "core/origin.h"
#include "core/points.h"
#include "core/time.h"
#include "pool/column.h"
#include "pool/pool_private.h"
#include "pool/value.h"

#define CHUNK_BYTES_MAX CAROM_MIB(16)
#define GROUP_MAX       64

/* so long the end of the last part is waited for, before each part's end is looked at */
#define ONE_SLEEP_NS CAROM_MICROSECONDS(200)

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

static void record_range(struct map *map, uint64_t begin, uint64_t end,
			 const struct carom_outcome *outcome)
{
	for (uint64_t index = begin; index < end; index++)
		record(map, index, outcome);
}

static struct carom_outcome no_value(enum carom_outcome_kind kind, int code)
{
	return (struct carom_outcome){
		.kind = kind, .code = code, .exit_status = -1, .worker_index = -1
	};
}

/* what was not begun, because the map, or the pool, is over; with the lock */
static struct carom_outcome never_begun(const struct map *map, int code)
{
	struct carom_outcome outcome =
		no_value(map->over ? CAROM_OUTCOME_CANCELLED : CAROM_OUTCOME_POOL_CLOSED, code);

	if (!map->over && map->pool->state == POOL_BROKEN)
		carom_pool_describe_break(map->pool, &outcome);
	return outcome;
}

/* ---- collecting ---- */

static int place_value(struct map *map, uint32_t slot, uint64_t index)
{
	struct carom_value value;
	int r = carom_value_of(map->pool->lane, slot, false, &value);

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

/* the items [begin, end) of a batch have their values and codes in @values */
static void collect_items(struct map *map, const struct task *task, void *values, uint64_t begin,
			  uint64_t end, const struct carom_outcome *outcome)
{
	uint64_t first = task->first;

	if (map->out_size && end > begin)
		memcpy(place_of(map, first + begin),
		       carom_batch_value(values, task->count, map->out_size, begin),
		       (end - begin) * map->out_size);
	for (uint64_t item = begin; item < end; item++) {
		int code = *(volatile int32_t *)carom_batch_code(values, item);

		if (code < 0)
			take_failure(map, first + item, code, task->soft_ns,
				     carom_batch_value(values, task->count, map->out_size, item),
				     *outcome);
		else if (is_recorded(map, first + item))
			record(map, first + item, outcome);
	}
}

/* where a batch's worker put its values; NULL if it points to nothing that can hold them */
static void *batch_values(const struct map *map, uint32_t slot)
{
	const struct task *task = &map->pool->tasks[slot];
	struct carom_value value;

	if (carom_value_of(map->pool->lane, slot, true, &value) < 0 ||
	    value.size < carom_batch_values_size(task->count, map->out_size))
		return NULL;
	return (void *)(uintptr_t)value.data;
}

/* accounts for all that is left of a part */
static void account_rest(struct map *map, struct task *task, const struct carom_outcome *outcome)
{
	record_range(map, task->first + task->accounted, task->first + task->end, outcome);
	task->accounted = task->end;
}

/* what a part leaves undone that is not begun any more, or what garbage leaves */
static struct carom_outcome not_done(const struct map *map)
{
	return map->over ? no_value(CAROM_OUTCOME_CANCELLED, 0)
			 : no_value(CAROM_OUTCOME_FAILED, -EBADMSG);
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
	account_rest(map, task, &outcome);
}

/* the callbacks of a map are due once, when nothing of it is left */
static void tell_if_ended(struct map *map)
{
	if (!map->calls || !map->submitted || map->waiting_count)
		return;
	carom_calls_end_map(map->pool, map->calls);
	map->calls = NULL;
}

static void let_go(struct map *map, uint32_t slot)
{
	struct task *task = &map->pool->tasks[slot];

	map->parts[task->part].pid = (int32_t)carom_slot_pid(map->pool, slot);
	map->parts[task->part].item_count = task->end;
	map->parts[task->part].slot = CAROM_LANE_NO_SLOT;
	map->waiting_count--;
	tell_if_ended(map);
}

static void end_early(struct map *map);

void carom_map_collect(struct map *map, uint32_t slot)
{
	if (map->pool->tasks[slot].batch)
		collect_batch(map, slot);
	else
		collect_single(map, slot);
	let_go(map, slot);
	carom_pool_release(map->pool, slot);
	if (map->over)
		end_early(map);
}

/* ---- a death in a batch ---- */

static bool may_go_on(const struct carom_pool *pool)
{
	return pool->state == POOL_RUNNING || pool->state == POOL_CLOSED;
}

static struct carom_batch *batch_of(const struct carom_pool *pool, uint32_t slot)
{
	return (void *)((unsigned char *)carom_lane_arguments(pool->lane) +
			pool->tasks[slot].argument_offset);
}

/* takes what ended; what is nonsense has no value: what of it was begun is not to be told */
static void account(struct map *map, uint32_t slot, uint64_t progress,
		    const struct carom_outcome *cause)
{
	struct task *task = &map->pool->tasks[slot];
	uint64_t begun = progress >> 32, ended = progress & UINT32_MAX;
	void *values = ended > task->accounted ? batch_values(map, slot) : NULL;
	struct carom_outcome ok = { .kind = CAROM_OUTCOME_OK,
				    .worker_index = cause->worker_index,
				    .worker_pid = cause->worker_pid,
				    .submitted_ns = cause->submitted_ns };

	if (begun > task->count || ended > begun || ended > task->end ||
	    (ended > task->accounted && !values)) {
		account_rest(map, task, cause);
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

	account(map, slot, progress, cause);
	task->stopped_items =
		(progress & UINT32_MAX) == task->accounted ? task->accounted - before : 0;
	if (stop > task->accounted) {
		record_range(map, task->first + task->accounted, task->first + stop, cause);
		task->accounted = stop;
	}
	task->cause = no_value(CAROM_OUTCOME_POOL_CLOSED, 0);
	return task->accounted == task->end;
}

enum carom_sweep_verdict carom_map_lost(struct map *map, uint32_t slot,
					const struct carom_outcome *cause)
{
	struct carom_slot *lines = carom_lane_slot(map->pool->lane, slot);
	struct task *task = &map->pool->tasks[slot];
	uint64_t progress = atomic_load(&lines->value.progress);
	uint64_t begun = progress >> 32;

	account(map, slot, progress, cause);
	if (begun > task->accounted && task->accounted < task->end) {
		record(map, task->first + task->accounted, cause);
		task->accounted++;
	}
	task->cause = never_begun(map, 0);
	if (task->accounted == task->end || map->over || !may_go_on(map->pool))
		return CAROM_SWEEP_LOST;
	batch_of(map->pool, slot)->begin = task->accounted; /* M2 */
	task->condemned = false;
	lines->started_ns = 0;
	atomic_store(&lines->value.progress, 0);
	return CAROM_SWEEP_AGAIN;
}

/* ---- taking back ---- */

static uint64_t word_of(const struct map *map, uint32_t slot)
{
	return atomic_load(&carom_lane_slot(map->pool->lane, slot)->word);
}

/* up to which item a part was begun, by its worker or those before it */
static uint64_t begun_of(const struct map *map, uint32_t slot)
{
	struct carom_slot *lines = carom_lane_slot(map->pool->lane, slot);
	uint64_t begun = atomic_load(&lines->value.progress) >> 32;
	uint64_t accounted = map->pool->tasks[slot].accounted;

	return begun > accounted ? begun : accounted;
}

/* how many items of a part that runs nobody has begun */
static uint64_t not_begun(const struct map *map, uint32_t slot)
{
	const struct task *task = &map->pool->tasks[slot];
	uint64_t begun = begun_of(map, slot);

	if (!task->batch || task->held || task->condemned)
		return 0;
	return begun < task->end ? task->end - begun : 0;
}

/* B4 in batch.c: the workers' half of the barrier is made here */
static bool everybody_sees(const struct carom_pool *pool)
{
	return !pool->plan.barrier || carom_barrier_all() == 0;
}

/* B4, M3: false if the worker is there already, or was */
static bool take_back(struct map *map, uint32_t slot, uint64_t from)
{
	struct carom_batch *batch = batch_of(map->pool, slot);
	struct task *task = &map->pool->tasks[slot];
	bool taken;

	atomic_store(&batch->end, from | CAROM_BATCH_UNDECIDED);
	CAROM_POINT("map.undecided");
	taken = everybody_sees(map->pool) && begun_of(map, slot) <= from &&
		carom_slot_state(word_of(map, slot)) == CAROM_SLOT_RUNNING;
	if (taken)
		task->end = from;
	atomic_store(&batch->end, task->end);
	return taken;
}

/* ---- ending early ---- */

/* M4: values that are there count; what runs now is dropped */
static void drop_running(struct map *map, uint32_t slot)
{
	struct carom_outcome cancelled = no_value(CAROM_OUTCOME_CANCELLED, 0);
	struct carom_slot *lines = carom_lane_slot(map->pool->lane, slot);
	struct task *task = &map->pool->tasks[slot];

	if (task->batch) {
		atomic_store(&batch_of(map->pool, slot)->end, 0);
		account(map, slot, atomic_load(&lines->value.progress), &cancelled);
	}
	account_rest(map, task, &cancelled);
	let_go(map, slot);
	task->map = NULL;
}

static void drop_waiting(struct map *map, uint32_t slot)
{
	struct carom_outcome cancelled = no_value(CAROM_OUTCOME_CANCELLED, 0);

	account_rest(map, &map->pool->tasks[slot], &cancelled);
	let_go(map, slot);
	carom_pool_release(map->pool, slot);
}

/* M4. Parts that have ended are left to be collected, those that are being filled to who fills them. */
static void end_early(struct map *map)
{
	for (uint64_t part = map->first_waiting; part < map->part_count; part++) {
		uint32_t slot = map->parts[part].slot;

		if (slot == CAROM_LANE_NO_SLOT || map->pool->tasks[slot].filling ||
		    map->pool->tasks[slot].held)
			continue;
		if (carom_task_withdraw(map->pool, slot, CAROM_OUTCOME_CANCELLED, 0))
			drop_waiting(map, slot);
		else if (carom_slot_state(word_of(map, slot)) == CAROM_SLOT_RUNNING)
			drop_running(map, slot);
	}
}

/* ---- submitting ---- */

static void columns_from(const struct map *map, uint64_t first, struct carom_column *ret_columns)
{
	for (uint64_t i = 0; i < map->column_count; i++) {
		const unsigned char *data = map->columns[i].data;

		ret_columns[i] = map->columns[i];
		ret_columns[i].data = data + first * map->columns[i].size;
	}
}

/* @count items from @first on, whose @columns begin there, as a part of the map */
static void describe_part(struct map *map, uint64_t part, uint64_t first, uint64_t count,
			  const struct carom_column *columns, struct carom_batch *batch,
			  struct submission *ret_submission)
{
	*batch = (struct carom_batch){ .first_index = first,
				       .item_count = count,
				       .value_size = map->out_size,
				       .end = count,
				       .stops_at_failure = map->fail_fast };
	*ret_submission = (struct submission){
		.function = map->function,
		.data = columns->data,
		.size = columns->size,
		.limit_ns = map->limit_ns,
		.soft_ns = map->soft_ns,
		.index = first,
		.count = count,
		.part = part,
		.map = map,
		.noticed = map->calls != NULL,
	};
	if (count > 1) {
		ret_submission->prefix = batch;
		ret_submission->prefix_size = sizeof(*batch);
		ret_submission->batch = true;
	}
	if (count > 1 || map->column_count > 1) {
		ret_submission->columns = columns;
		ret_submission->column_count = map->column_count;
		ret_submission->size = carom_columns_size(columns, map->column_count, count);
	}
}

/* chunks that are prepared, to be published together */
struct group {
	uint32_t slots[GROUP_MAX];
	uint32_t count;
};

static void fail_part(struct map *map, uint32_t slot, int error)
{
	struct carom_outcome outcome = never_begun(map, error);

	account_rest(map, &map->pool->tasks[slot], &outcome);
	let_go(map, slot);
	carom_pool_abandon(map->pool, slot);
}

static int publish_group(struct map *map, struct group *group)
{
	bool woke = false;
	int r = map->over ? -ECANCELED : 0;

	if (r == 0 && group->count)
		r = carom_pool_publish(map->pool, group->slots, group->count, &woke);
	for (uint32_t i = 0; i < group->count; i++) {
		uint32_t slot = group->slots[i];
		uint64_t part = map->pool->tasks[slot].part;

		if (r < 0)
			fail_part(map, slot, r == -ECANCELED ? 0 : r);
		else
			map->parts[part].generation = carom_lane_generation(map->pool->lane, slot);
	}
	map->may_spin &= !woke;
	group->count = 0;
	if (map->over)
		end_early(map); /* it may have failed while this waited for room */
	return r;
}

/* waits for a part's end, and collects it; with the lock */
static int await_part(struct map *map, uint64_t part, uint64_t deadline_ns)
{
	uint32_t slot = map->parts[part].slot;
	uint32_t generation = map->parts[part].generation;
	int r;

	if (carom_slot_ended(word_of(map, slot))) {
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

static void await_some_part(struct map *map, uint64_t end)
{
	for (uint64_t part = end; part-- > 0;)
		if (map->parts[part].slot != CAROM_LANE_NO_SLOT) {
			await_part(map, part, CAROM_NO_DEADLINE);
			return;
		}
}

/*
 * One chunk into the group. Out of slots: publish what there is, then wait for some.
 * Out of room for arguments: wait for a chunk of our own to end, if there is one.
 */
static int prepare_chunk(struct map *map, uint64_t chunk, struct group *group)
{
	uint64_t first = chunk * map->chunk_size;
	uint64_t left = map->item_count - first;
	struct carom_column columns[CAROM_COLUMNS_MAX];
	struct carom_batch batch;
	struct submission submission;
	uint32_t slot;
	int r;

	columns_from(map, first, columns);
	describe_part(map, chunk, first, left < map->chunk_size ? left : map->chunk_size, columns,
		      &batch, &submission);
	for (;;) {
		if (map->over)
			return -ECANCELED;
		r = carom_pool_prepare(map->pool, &submission, group->count == 0, &slot);
		if (r == -EAGAIN || (r == -ENOMEM && group->count)) {
			r = publish_group(map, group);
			if (r < 0)
				return r;
			continue;
		}
		if (r != -ENOMEM || !map->waiting_count)
			break;
		await_some_part(map, chunk);
	}
	if (r < 0)
		return r;
	map->parts[chunk].slot = slot;
	map->waiting_count++;
	group->slots[group->count++] = slot;
	return 0;
}

/* 0 as soon as one chunk was accepted: what cannot be submitted after that has an outcome */
static int submit_all(struct map *map)
{
	struct group group = { .count = 0 };
	uint64_t chunk = 0;
	int r = 0;

	while (r == 0 && chunk < map->chunk_count) {
		r = prepare_chunk(map, chunk, &group);
		chunk += r == 0;
		if (r == 0 && group.count == GROUP_MAX)
			r = publish_group(map, &group);
	}
	if (r == 0)
		r = publish_group(map, &group);
	else
		publish_group(map, &group);
	if (r == 0 || chunk == 0)
		return r;
	if (chunk < map->chunk_count) {
		struct carom_outcome outcome = r == -ECANCELED
						       ? no_value(CAROM_OUTCOME_CANCELLED, 0)
					       : r == -ENOMEM ? no_value(CAROM_OUTCOME_FAILED, r)
							      : never_begun(map, r);

		record_range(map, chunk * map->chunk_size, map->item_count, &outcome);
	}
	return 0;
}

/* ---- making ---- */

/* what an item takes on its way there, or back: the larger one */
static uint64_t largest_part(const struct map *map)
{
	uint64_t there = 0;

	for (uint64_t i = 0; i < map->column_count; i++)
		there += map->columns[i].size;
	return there > map->out_size ? there : map->out_size;
}

static uint64_t choose_chunk_size(const struct map *map, uint64_t asked)
{
	uint64_t parts = map->pool->worker_count * 4;
	uint64_t size = asked ? asked : (map->item_count + parts - 1) / parts;
	uint64_t most = CHUNK_BYTES_MAX / largest_part(map);

	if (size > most)
		size = most;
	return size ? size : 1;
}

static bool multiplies(size_t count, size_t size)
{
	size_t bytes;

	return !__builtin_mul_overflow(count, size, &bytes) &&
	       bytes <= SIZE_MAX / 4 / CAROM_COLUMNS_MAX;
}

static int check_request(const struct map_request *request)
{
	size_t count = request->item_count;

	if (!request->function || !request->columns || request->column_count < 1 ||
	    request->column_count > CAROM_COLUMNS_MAX ||
	    (!request->out && request->out_size && count))
		return -EINVAL;
	for (size_t i = 0; i < request->column_count; i++)
		if (!request->columns[i].size || (!request->columns[i].data && count))
			return -EINVAL;
	for (size_t i = 0; i < request->column_count; i++)
		if (!multiplies(count, request->columns[i].size))
			return -EOVERFLOW;
	return multiplies(count, request->out_size) ? 0 : -EOVERFLOW;
}

void carom_map_free(struct map *map)
{
	free(map->parts);
	free(map);
}

static int make_map(const struct map *plan, uint64_t chunk_size, struct map **ret_map)
{
	struct map *map = malloc(sizeof(*map));

	if (!map)
		return -ENOMEM;
	*map = *plan;
	map->chunk_size = choose_chunk_size(map, chunk_size);
	map->chunk_count = (map->item_count + map->chunk_size - 1) / map->chunk_size;
	map->may_spin = true;
	map->verdict = no_value(CAROM_OUTCOME_OK, 0);
	map->part_count = map->chunk_count;
	map->part_room = map->chunk_count + 1;
	map->parts = calloc(map->part_room, sizeof(*map->parts));
	if (!map->parts) {
		carom_map_free(map);
		return -ENOMEM;
	}
	for (uint64_t part = 0; part < map->part_count; part++)
		map->parts[part].slot = CAROM_LANE_NO_SLOT;
	*ret_map = map;
	return 0;
}

static int plan_map(const struct map_request *request, struct carom_map_options *ret_options,
		    struct map *ret_plan)
{
	int r = carom_options_take(request->options, ret_options, sizeof(*ret_options));

	if (r == 0)
		r = check_request(request);
	if (r < 0)
		return r;
	*ret_plan = (struct map){
		.pool = request->pool,
		.function = request->function,
		.column_count = request->column_count,
		.item_count = request->item_count,
		.out = request->out,
		.out_size = request->out_size,
		.limit_ns = ret_options->hard_limit_ns,
		.soft_ns = ret_options->soft_limit_ns,
		.fail_fast = ret_options->fail_fast,
		.outcomes = ret_options->outcomes,
	};
	memcpy(ret_plan->columns, request->columns,
	       request->column_count * sizeof(*request->columns));
	carom_limits_check_order(request->pool, ret_options->soft_limit_ns,
				 ret_options->hard_limit_ns);
	return 0;
}

/* they hold the result, as those of a single task do; see attach_calls() in submit.c */
static int attach_calls(struct map *map, struct carom_result *result,
			const struct carom_map_options *options)
{
	struct carom_task_options wanted = {
		.callback = options->callback,
		.error_callback = options->error_callback,
		.userdata = options->userdata,
		.callbacks_propagate = options->callbacks_propagate,
	};
	int r = carom_calls_new(map->pool, &wanted, &map->calls);

	if (!map->calls)
		return r;
	r = carom_notice_promise(map->pool);
	if (r < 0) {
		map->calls = carom_calls_free(map->calls);
		return r;
	}
	result->calls = map->calls;
	result->reference_count++;
	map->calls->result = result;
	return 0;
}

/* nothing was submitted, and nothing is to be told */
static void detach_calls(struct map *map, struct carom_result *result)
{
	if (!result || !result->calls)
		return;
	map->calls = NULL;
	result->calls = carom_calls_free(result->calls);
	result->reference_count--;
	carom_notice_kept(map->pool);
}

static int make_result(struct map *map, const struct carom_map_options *options,
		       struct carom_result **ret_result)
{
	*ret_result = carom_result_new_for_map(map->pool, map);
	if (!*ret_result)
		return -ENOMEM;
	(*ret_result)->id = carom_pool_take_id(map->pool);
	(*ret_result)->userdata = options->userdata;
	return attach_calls(map, *ret_result, options);
}

/* with the lock */
static int begin_map(struct map *map, const struct carom_map_options *options,
		     struct carom_result **ret_result)
{
	int r = ret_result ? make_result(map, options, ret_result) : 0;

	if (r == 0)
		r = submit_all(map);
	map->submitted = true;
	if (r < 0)
		detach_calls(map, ret_result ? *ret_result : NULL);
	tell_if_ended(map);
	return r;
}

/* @ret_result: NULL if there is to be none; else with *@ret_map, also where it fails */
static int request_map(const struct map_request *request, struct carom_result **ret_result,
		       struct map **ret_map)
{
	struct carom_map_options options;
	struct map plan;
	int r = plan_map(request, &options, &plan);

	if (r == 0 && !ret_result && (options.callback || options.error_callback))
		r = -EINVAL;
	if (r == 0)
		r = make_map(&plan, options.chunk_size, ret_map);
	if (r < 0)
		return r;
	r = carom_pool_enter(plan.pool);
	if (r < 0)
		return r;
	r = begin_map(*ret_map, &options, ret_result);
	carom_pool_leave(plan.pool);
	return r;
}

int carom_map_begin(const struct map_request *request, struct carom_result **ret_result)
{
	struct carom_result *result = NULL;
	struct map *map = NULL;
	int r = ret_result ? request_map(request, &result, &map) : -EINVAL;

	if (r == 0)
		*ret_result = result;
	else if (result)
		carom_result_free(result);
	else if (map)
		carom_map_free(map);
	return r;
}

int carom_map_run(const struct map_request *request)
{
	struct map *map = NULL;
	int r = request_map(request, NULL, &map);

	if (map) {
		carom_map_wait(map, CAROM_NO_DEADLINE);
		if (r == 0 && map->verdict.kind != CAROM_OUTCOME_OK)
			r = -EREMOTEIO;
		carom_map_free(map);
	}
	return r;
}

int carom_pool_map_async(struct carom_pool *pool, carom_task_fn *function, const void *items,
			 size_t item_count, size_t item_size, void *out, size_t out_size,
			 const struct carom_map_options *options, struct carom_result **ret_result)
{
	return carom_pool_starmap_async(pool, function, &(struct carom_column){ items, item_size },
					1, item_count, out, out_size, options, ret_result);
}

int carom_pool_map(struct carom_pool *pool, carom_task_fn *function, const void *items,
		   size_t item_count, size_t item_size, void *out, size_t out_size,
		   const struct carom_map_options *options)
{
	return carom_pool_starmap(pool, function, &(struct carom_column){ items, item_size }, 1,
				  item_count, out, out_size, options);
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
		if (map->pool->tasks[slot].filling ||
		    carom_slot_state(word_of(map, slot)) == CAROM_SLOT_READY)
			return 0;
		running += carom_slot_state(word_of(map, slot)) == CAROM_SLOT_RUNNING;
	}
	return running < map->pool->worker_count ? map->pool->worker_count - running : 0;
}

static uint32_t fullest_part(const struct map *map)
{
	uint32_t fullest = CAROM_LANE_NO_SLOT;
	uint64_t most = 0;

	for (uint64_t part = map->first_waiting; part < map->part_count; part++) {
		uint32_t slot = map->parts[part].slot;

		if (slot == CAROM_LANE_NO_SLOT || not_begun(map, slot) <= most ||
		    carom_slot_state(word_of(map, slot)) != CAROM_SLOT_RUNNING)
			continue;
		fullest = slot;
		most = not_begun(map, slot);
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
	const struct carom_columns *source = (const void *)(batch_of(map->pool, victim) + 1);
	struct carom_column columns[CAROM_COLUMNS_MAX];
	struct carom_batch batch;
	struct submission submission;
	int r;

	for (uint64_t i = 0; i < map->column_count; i++) {
		columns[i].data = carom_columns_at(source, i, from);
		columns[i].size = map->columns[i].size;
	}
	describe_part(map, map->part_count, task->first + from, task->end - from, columns, &batch,
		      &submission);
	task->held = true;
	r = carom_pool_prepare(map->pool, &submission, false, ret_slot);
	task->held = false;
	if (carom_slot_ended(word_of(map, victim)))
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
	struct group group = { .count = 1 };
	uint64_t end, from;
	uint32_t slot;

	if (victim == CAROM_LANE_NO_SLOT || make_room_for_part(map) < 0)
		return false;
	end = map->pool->tasks[victim].end;
	from = end - (not_begun(map, victim) + 1) / 2;
	if (from == end || copy_rest(map, victim, from, &slot) < 0)
		return false;
	if (map->over || map->pool->tasks[victim].end != end ||
	    map->pool->tasks[slot].part != map->part_count || !take_back(map, victim, from)) {
		carom_pool_abandon(map->pool, slot);
		if (map->over)
			end_early(map);
		return false;
	}
	map->parts[map->part_count++].slot = slot;
	map->waiting_count++;
	group.slots[0] = slot;
	return publish_group(map, &group) == 0;
}

static void share_out(struct map *map)
{
	uint64_t idle = idle_workers(map);

	while (idle-- > 0 && !map->over && share_out_one(map))
		;
}

/* ---- waiting ---- */

static void collect_ended(struct map *map)
{
	for (uint64_t part = map->first_waiting; part < map->part_count; part++) {
		uint32_t slot = map->parts[part].slot;

		if (slot == CAROM_LANE_NO_SLOT)
			map->first_waiting += map->first_waiting == part;
		else if (!map->pool->tasks[slot].held && !map->pool->tasks[slot].filling &&
			 carom_slot_ended(word_of(map, slot)))
			carom_map_collect(map, slot);
	}
}

/* the last part first: by then most others have ended, and one sleep does for all */
static int await_parts_in_turn(struct map *map, uint64_t deadline_ns)
{
	int r = 0;

	for (uint64_t part = map->part_count; map->waiting_count && part-- > 0 && r == 0;)
		if (map->parts[part].slot != CAROM_LANE_NO_SLOT)
			r = await_part(map, part, deadline_ns);
	return r;
}

/* one round: what has ended is collected, what can be shared out is, then the next end is waited for */
static int await_some_end(struct map *map, uint64_t deadline_ns)
{
	struct carom_pool *pool = map->pool;
	uint32_t ticket = carom_lane_expect(pool->lane);
	int r = 0;

	collect_ended(map);
	if (map->waiting_count && deadline_ns == CAROM_PASSED)
		r = -ETIMEDOUT;
	else if (map->waiting_count) {
		share_out(map);
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
	collect_ended(map);
	return map->waiting_count ? r : 0;
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

void carom_map_outcome(struct map *map, struct carom_outcome *ret_outcome)
{
	pthread_mutex_lock(&map->pool->lock);
	*ret_outcome = map->verdict;
	pthread_mutex_unlock(&map->pool->lock);
}

int carom_result_map_info(struct carom_result *result, struct carom_map_info *ret_info)
{
	struct map *map = result->map;

	if (!carom_origin_is(result->origin))
		return -ECHILD;
	if (!map)
		return -EINVAL;
	pthread_mutex_lock(&map->pool->lock);
	collect_ended(map);
	*ret_info = (struct carom_map_info){ .item_count = map->item_count,
					     .chunk_size = map->chunk_size,
					     .waiting_count = map->waiting_count };
	pthread_mutex_unlock(&map->pool->lock);
	return 0;
}

/* ---- control ---- */

/* what waits is withdrawn as a whole; of what runs, what was not begun is taken back */
static bool cancel_part(struct map *map, uint32_t slot)
{
	struct carom_outcome cancelled = no_value(CAROM_OUTCOME_CANCELLED, 0);
	struct task *task = &map->pool->tasks[slot];
	uint64_t end = task->end;

	if (carom_task_withdraw(map->pool, slot, CAROM_OUTCOME_CANCELLED, 0))
		return true;
	for (uint64_t left = not_begun(map, slot); left > 0; left--)
		if (take_back(map, slot, end - left)) {
			record_range(map, task->first + task->end, task->first + end, &cancelled);
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

static bool part_is_begun(const struct map *map, uint64_t part)
{
	uint32_t slot = map->parts[part].slot;

	return slot == CAROM_LANE_NO_SLOT ||
	       carom_slot_state(word_of(map, slot)) != CAROM_SLOT_READY;
}

bool carom_map_is_accepted(const struct map *map)
{
	for (uint64_t part = map->first_waiting; part < map->part_count; part++)
		if (!part_is_begun(map, part))
			return false;
	return true;
}

/* who has a part, or had it, and how many items that is; 0 if nobody has begun it */
static int64_t pid_of_part(const struct map *map, uint64_t part, uint64_t *ret_item_count)
{
	uint32_t slot = map->parts[part].slot;

	if (slot == CAROM_LANE_NO_SLOT) {
		*ret_item_count = map->parts[part].item_count;
		return map->parts[part].pid;
	}
	*ret_item_count = map->pool->tasks[slot].end;
	return carom_slot_pid(map->pool, slot);
}

int carom_map_worker_pids(const struct map *map, int64_t *pids, size_t count)
{
	size_t found = 0;

	for (uint64_t part = 0; part < map->part_count; part++) {
		uint64_t item_count;
		int64_t pid = pid_of_part(map, part, &item_count);

		for (uint64_t item = 0; pid && item < item_count; item++, found++)
			if (found < count)
				pids[found] = pid;
	}
	return (int)found;
}
