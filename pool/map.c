/*
 * Map
 *
 * What is asked for is checked and becomes a map of so many chunks, which is submitted
 * at once: with a result, if somebody shall hold it, else to be waited for right here.
 * How a map is done is told in map_private.h.
 */
#include "pool/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/options.h"
#include "core/origin.h"
#include "pool/map_private.h"

#define CHUNK_BYTES_MAX CAROM_MIB(16)

/* ---- planning ---- */

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
		.retry_count = carom_pool_retries(request->pool, ret_options->retry_on_loss),
		.fail_fast = ret_options->fail_fast,
		.outcomes = ret_options->outcomes,
	};
	memcpy(ret_plan->columns, request->columns,
	       request->column_count * sizeof(*request->columns));
	carom_limits_check_order(request->pool, ret_options->soft_limit_ns,
				 ret_options->hard_limit_ns);
	return 0;
}

/* ---- making ---- */

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
	map->verdict = carom_map_no_value(CAROM_OUTCOME_OK, 0);
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

/* ---- running ---- */

/* with the lock */
static int begin_map(struct map *map, const struct carom_map_options *options,
		     struct carom_result **ret_result)
{
	int r = ret_result ? make_result(map, options, ret_result) : 0;

	if (r == 0)
		r = carom_map_submit(map);
	map->submitted = true;
	if (r < 0)
		detach_calls(map, ret_result ? *ret_result : NULL);
	carom_map_tell_if_ended(map);
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

/* ---- asking ---- */

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
	carom_map_collect_ended(map);
	*ret_info = (struct carom_map_info){ .item_count = map->item_count,
					     .chunk_size = map->chunk_size,
					     .waiting_count = map->waiting_count };
	pthread_mutex_unlock(&map->pool->lock);
	return 0;
}

static bool part_is_begun(const struct map *map, uint64_t part)
{
	uint32_t slot = map->parts[part].slot;

	return slot == CAROM_LANE_NO_SLOT ||
	       carom_slot_state(carom_map_word(map, slot)) != CAROM_SLOT_READY;
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
