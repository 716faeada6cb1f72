/*
 * Map
 *
 * Items are rows of one or more columns (starmap.h), cut into chunks. A chunk of one item is a task like any other; a
 * larger one is a batch: a header and the items, in one block of the argument
 * arena, with values and codes in one block of the worker's arena.
 *
 * A chunk's slot is held until its values are collected, which copies them to
 * their places in the caller's array: by who waits for the map, or by any thread
 * that runs out of slots. Both hold the pool's lock, so each chunk is collected
 * once.
 *
 *   M1  Each item gets one outcome: when its chunk is collected, or when a worker
 *       dies in its chunk (then those that had ended, and the one that was running);
 *       `accounted` of the chunk's task says up to which item.
 *   M2  A batch whose worker died goes on at the first item that was never begun.
 */
#include "pool/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/options.h"
#include "core/origin.h"
#include "pool/column.h"
#include "pool/pool_private.h"
#include "pool/value.h"

#define CHUNK_BYTES_MAX CAROM_MIB(16)
#define GROUP_MAX       64

/**
 * struct map - a map that runs
 * @slots: of each chunk that is not collected yet; else CAROM_LANE_NO_SLOT
 * @pids:  who ended each chunk; 0 before
 * @waiting_count: chunks that were submitted and are not collected
 * @verdict: of the first item, by index, without a value; of the last if there is none
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
	uint64_t limit_ns;
	struct carom_outcome *outcomes;
	uint32_t *slots;
	uint32_t *generations;
	int32_t *pids;
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
	if (failed ? !failed_before || index < map->verdict_index
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

static void take_failure(struct map *map, uint64_t index, int code, const void *value,
			 struct carom_outcome outcome)
{
	size_t length = map->out_size < sizeof(outcome.message) - 1 ? map->out_size
								    : sizeof(outcome.message) - 1;

	outcome.kind = CAROM_OUTCOME_FAILED;
	outcome.code = code;
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
			take_failure(map, first + item, code,
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

static void collect_batch(struct map *map, uint32_t slot)
{
	struct task *task = &map->pool->tasks[slot];
	struct carom_outcome outcome;
	void *values;

	carom_outcome_of_slot(map->pool, slot, &outcome);
	values = outcome.kind == CAROM_OUTCOME_OK ? batch_values(map, slot) : NULL;
	if (outcome.kind == CAROM_OUTCOME_OK && !values) {
		outcome.kind = CAROM_OUTCOME_FAILED;
		outcome.code = -EBADMSG;
	}
	if (values)
		collect_items(map, task, values, task->accounted, task->count, &outcome);
	else
		record_range(map, task->first + task->accounted, task->first + task->count,
			     &outcome);
}

void carom_map_collect(struct map *map, uint32_t slot)
{
	struct task *task = &map->pool->tasks[slot];
	uint64_t chunk = task->first / map->chunk_size;

	if (task->count > 1)
		collect_batch(map, slot);
	else
		collect_single(map, slot);
	map->pids[chunk] = *(const volatile int32_t *)&carom_lane_slot(map->pool->lane, slot)->pid;
	map->slots[chunk] = CAROM_LANE_NO_SLOT;
	map->waiting_count--;
	carom_pool_release(map->pool, slot);
}

/* ---- a death in a batch ---- */

static bool may_go_on(const struct carom_pool *pool)
{
	return pool->state == POOL_RUNNING || pool->state == POOL_CLOSED;
}

enum carom_sweep_verdict carom_map_lost(struct map *map, uint32_t slot,
					const struct carom_outcome *cause)
{
	struct carom_slot *lines = carom_lane_slot(map->pool->lane, slot);
	struct task *task = &map->pool->tasks[slot];
	uint64_t progress = atomic_load(&lines->value.progress);
	uint64_t begun = progress >> 32, ended = progress & UINT32_MAX;
	struct carom_batch *batch;
	void *values = ended > task->accounted ? batch_values(map, slot) : NULL;

	if (begun > task->count || ended > begun || (ended > task->accounted && !values)) {
		/* nonsense: what of it was begun is not to be told, so none of it is begun again */
		record_range(map, task->first + task->accounted, task->first + task->count, cause);
		task->accounted = task->count;
		return CAROM_SWEEP_LOST;
	}
	if (values) {
		struct carom_outcome ok = { .kind = CAROM_OUTCOME_OK,
					    .worker_index = cause->worker_index,
					    .worker_pid = cause->worker_pid,
					    .submitted_ns = cause->submitted_ns };

		collect_items(map, task, values, task->accounted, ended, &ok);
		task->accounted = ended;
	}
	if (begun > task->accounted && !(task->condemned && task->condemned_item != begun - 1)) {
		record(map, task->first + task->accounted, cause);
		task->accounted++;
	}
	task->cause = no_value(CAROM_OUTCOME_POOL_CLOSED, 0);
	if (task->accounted == task->count || !may_go_on(map->pool))
		return CAROM_SWEEP_LOST;
	batch = (void *)((unsigned char *)carom_lane_arguments(map->pool->lane) +
			 task->argument_offset);
	batch->begin = task->accounted; /* M2 */
	task->condemned = false;
	lines->started_ns = 0;
	atomic_store(&lines->value.progress, 0);
	return CAROM_SWEEP_AGAIN;
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

/* @columns: room for the submission's own view of the map's */
static void describe_chunk(const struct map *map, uint64_t chunk, struct carom_batch *batch,
			   struct carom_column *columns, struct submission *ret_submission)
{
	uint64_t first = chunk * map->chunk_size;
	uint64_t left = map->item_count - first;
	uint64_t count = left < map->chunk_size ? left : map->chunk_size;

	columns_from(map, first, columns);
	*batch = (struct carom_batch){ .first_index = first,
				       .item_count = count,
				       .value_size = map->out_size };
	*ret_submission = (struct submission){
		.function = map->function,
		.data = columns->data,
		.size = columns->size,
		.limit_ns = map->limit_ns,
		.index = first,
		.count = count,
		.map = (struct map *)(uintptr_t)map,
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

static void fail_chunk(struct map *map, uint32_t slot, int error)
{
	struct task *task = &map->pool->tasks[slot];
	struct carom_outcome outcome = no_value(CAROM_OUTCOME_POOL_CLOSED, error);

	record_range(map, task->first, task->first + task->count, &outcome);
	map->slots[task->first / map->chunk_size] = CAROM_LANE_NO_SLOT;
	map->waiting_count--;
	carom_pool_abandon(map->pool, slot);
}

static int publish_group(struct map *map, struct group *group)
{
	bool woke = false;
	int r = group->count ? carom_pool_publish(map->pool, group->slots, group->count, &woke) : 0;

	for (uint32_t i = 0; i < group->count; i++) {
		uint32_t slot = group->slots[i];
		uint64_t chunk = map->pool->tasks[slot].first / map->chunk_size;

		if (r < 0)
			fail_chunk(map, slot, r);
		else
			map->generations[chunk] = carom_lane_generation(map->pool->lane, slot);
	}
	map->may_spin &= !woke;
	group->count = 0;
	return r;
}

/* waits for the newest chunk that is not collected, and collects it; with the lock */
static int await_chunk(struct map *map, uint64_t chunk, uint64_t deadline_ns)
{
	uint32_t slot = map->slots[chunk];
	uint32_t generation = map->generations[chunk];
	int r;

	if (carom_slot_ended(atomic_load(&carom_lane_slot(map->pool->lane, slot)->word))) {
		carom_map_collect(map, slot);
		return 0;
	}
	pthread_mutex_unlock(&map->pool->lock);
	r = carom_pool_await(map->pool, slot, generation, deadline_ns, map->may_spin);
	pthread_mutex_lock(&map->pool->lock);
	if (r == 0 && map->slots[chunk] == slot && map->generations[chunk] == generation)
		carom_map_collect(map, slot);
	return r;
}

static void await_some_chunk(struct map *map, uint64_t end)
{
	for (uint64_t chunk = end; chunk-- > 0;)
		if (map->slots[chunk] != CAROM_LANE_NO_SLOT) {
			await_chunk(map, chunk, CAROM_NO_DEADLINE);
			return;
		}
}

/*
 * One chunk into the group. Out of slots: publish what there is, then wait for some.
 * Out of room for arguments: wait for a chunk of our own to end, if there is one.
 */
static int prepare_chunk(struct map *map, uint64_t chunk, struct group *group)
{
	struct carom_column columns[CAROM_COLUMNS_MAX];
	struct carom_batch batch;
	struct submission submission;
	uint32_t slot;
	int r;

	describe_chunk(map, chunk, &batch, columns, &submission);
	for (;;) {
		r = carom_pool_prepare(map->pool, &submission, group->count == 0, &slot);
		if (r == -EAGAIN || (r == -ENOMEM && group->count)) {
			r = publish_group(map, group);
			if (r < 0)
				return r;
			continue;
		}
		if (r != -ENOMEM || !map->waiting_count)
			break;
		await_some_chunk(map, chunk);
	}
	if (r < 0)
		return r;
	map->slots[chunk] = slot;
	map->waiting_count++;
	group->slots[group->count++] = slot;
	return 0;
}

/* 0 as soon as one chunk was accepted: what cannot be submitted after that has an outcome */
static int submit_all(struct map *map)
{
	struct group group = { .count = 0 };
	uint64_t chunk;
	int r = 0;

	for (chunk = 0; chunk < map->chunk_count && r == 0; chunk++) {
		r = prepare_chunk(map, chunk, &group);
		if (r == 0 && group.count == GROUP_MAX)
			r = publish_group(map, &group);
		if (r < 0)
			break;
	}
	if (r == 0)
		r = publish_group(map, &group);
	else
		publish_group(map, &group);
	if (r == 0 || chunk == 0)
		return r;
	if (chunk < map->chunk_count) {
		struct carom_outcome outcome = no_value(
			r == -ENOMEM ? CAROM_OUTCOME_FAILED : CAROM_OUTCOME_POOL_CLOSED, r);

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
	uint64_t parts = map->pool->options.worker_count * 4;
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
	free(map->slots);
	free(map->generations);
	free(map->pids);
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
	map->slots = malloc((map->chunk_count + 1) * sizeof(*map->slots));
	map->generations = malloc((map->chunk_count + 1) * sizeof(*map->generations));
	map->pids = calloc(map->chunk_count + 1, sizeof(*map->pids));
	if (!map->slots || !map->generations || !map->pids) {
		carom_map_free(map);
		return -ENOMEM;
	}
	for (uint64_t chunk = 0; chunk < map->chunk_count; chunk++)
		map->slots[chunk] = CAROM_LANE_NO_SLOT;
	*ret_map = map;
	return 0;
}

static int begin_map(const struct map *plan, uint64_t chunk_size, struct carom_result **ret_result,
		     struct map **ret_map)
{
	struct carom_pool *pool = plan->pool;
	struct map *map;
	int r = make_map(plan, chunk_size, &map);

	if (r < 0)
		return r;
	r = carom_pool_enter(pool);
	if (r < 0) {
		carom_map_free(map);
		return r;
	}
	if (ret_result) {
		*ret_result = carom_result_new_for_map(pool, map);
		if (!*ret_result)
			r = -ENOMEM;
	}
	if (r == 0)
		r = submit_all(map);
	carom_pool_leave(pool);
	*ret_map = map;
	return r;
}

static int plan_map(const struct map_request *request, struct map *ret_plan,
		    uint64_t *ret_chunk_size)
{
	struct carom_map_options ours;
	int r = carom_options_take(request->options, &ours, sizeof(ours));

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
		.limit_ns = carom_pool_limit(request->pool, ours.hard_limit_ns),
		.outcomes = ours.outcomes,
	};
	memcpy(ret_plan->columns, request->columns,
	       request->column_count * sizeof(*request->columns));
	*ret_chunk_size = ours.chunk_size;
	return 0;
}

int carom_map_begin(const struct map_request *request, struct carom_result **ret_result)
{
	struct carom_result *result = NULL;
	struct map plan, *map = NULL;
	uint64_t chunk_size;
	int r = plan_map(request, &plan, &chunk_size);

	if (r == 0 && !ret_result)
		r = -EINVAL;
	if (r == 0)
		r = begin_map(&plan, chunk_size, &result, &map);
	if (r < 0) {
		if (result)
			carom_result_free(result);
		else if (map)
			carom_map_free(map);
		return r;
	}
	*ret_result = result;
	return 0;
}

int carom_map_run(const struct map_request *request)
{
	struct map plan, *map = NULL;
	uint64_t chunk_size;
	int r = plan_map(request, &plan, &chunk_size);

	if (r == 0)
		r = begin_map(&plan, chunk_size, NULL, &map);
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

/* ---- waiting ---- */

/* the last chunk first: by then most others have ended, and one sleep does for all */
int carom_map_wait(struct map *map, uint64_t deadline_ns)
{
	int r = 0;

	pthread_mutex_lock(&map->pool->lock);
	for (uint64_t chunk = map->chunk_count; map->waiting_count && chunk-- > 0 && r == 0;)
		if (map->slots[chunk] != CAROM_LANE_NO_SLOT)
			r = await_chunk(map, chunk, deadline_ns);
	pthread_mutex_unlock(&map->pool->lock);
	return r;
}

void carom_map_outcome(struct map *map, struct carom_outcome *ret_outcome)
{
	pthread_mutex_lock(&map->pool->lock);
	*ret_outcome = map->verdict;
	pthread_mutex_unlock(&map->pool->lock);
}

/* ---- control ---- */

int carom_map_cancel(struct map *map)
{
	bool any = false;

	if (!map->waiting_count)
		return -EALREADY;
	for (uint64_t chunk = 0; chunk < map->chunk_count; chunk++)
		if (map->slots[chunk] != CAROM_LANE_NO_SLOT)
			any |= carom_task_withdraw(map->pool, map->slots[chunk],
						   CAROM_OUTCOME_CANCELLED, 0);
	return any ? 0 : -EBUSY;
}

static bool chunk_is_begun(const struct map *map, uint64_t chunk)
{
	uint32_t slot = map->slots[chunk];
	uint64_t word;

	if (slot == CAROM_LANE_NO_SLOT)
		return true;
	word = atomic_load(&carom_lane_slot(map->pool->lane, slot)->word);
	return carom_slot_state(word) != CAROM_SLOT_READY;
}

bool carom_map_is_accepted(const struct map *map)
{
	for (uint64_t chunk = 0; chunk < map->chunk_count; chunk++)
		if (!chunk_is_begun(map, chunk))
			return false;
	return true;
}

static int32_t pid_of_chunk(const struct map *map, uint64_t chunk)
{
	const struct carom_slot *lines;

	if (map->slots[chunk] == CAROM_LANE_NO_SLOT)
		return map->pids[chunk];
	lines = carom_lane_slot(map->pool->lane, map->slots[chunk]);
	return chunk_is_begun(map, chunk) ? *(const volatile int32_t *)&lines->pid : 0;
}

int carom_map_worker_pids(const struct map *map, int64_t *pids, size_t count)
{
	int found = 0;

	for (uint64_t item = 0; item < map->item_count; item++) {
		int32_t pid = pid_of_chunk(map, item / map->chunk_size);

		if (!pid)
			continue;
		if ((size_t)found < count)
			pids[found] = pid;
		found++;
	}
	return found;
}
