/*
 * Map: submitting
 *
 * Chunks are prepared in groups, and each group is published with one wake-up. Large ones
 * are published as they are prepared, so that workers begin while the rest is copied. Room for
 * them comes from the map itself where it can: out of slots, what is prepared is
 * published, and its end then gives a slot back; out of memory for arguments, a part's
 * end is waited for.
 *
 * The lock is let go of meanwhile. So parts of this map may be collected, and the map be
 * over, before its last chunk is prepared: then the rest is not submitted.
 */
#include <errno.h>
#include <string.h>

#include "core/time.h"
#include "pool/column.h"
#include "pool/map_private.h"

#define GROUP_MAX 64

/* to copy so much takes longer than to wake a worker */
#define GROUP_BYTES_MAX CAROM_KIB(256)

/* ---- parts ---- */

void carom_map_begin_cut(struct map *map, struct cut *ret_cut)
{
	memcpy(ret_cut->columns, map->columns, map->column_count * sizeof(*map->columns));
	ret_cut->batch = (struct carom_batch){ .value_size = map->out_size,
					       .stops_at_failure = map->fail_fast };
	ret_cut->submission = (struct submission){
		.function = map->function,
		.prefix = &ret_cut->batch,
		.columns = ret_cut->columns,
		.limit_ns = map->limit_ns,
		.soft_ns = map->soft_ns,
		.retry_count = map->retry_count,
		.map = map,
		.noticed = map->calls != NULL,
	};
}

void carom_map_cut(struct cut *cut, uint64_t part, uint64_t first, uint64_t count)
{
	struct submission *submission = &cut->submission;
	uint64_t column_count = submission->map->column_count;

	submission->index = first;
	submission->count = count;
	submission->part = part;
	submission->data = cut->columns->data;
	submission->size = cut->columns->size;
	submission->batch = count > 1;
	submission->prefix_size = 0;
	submission->column_count = 0;
	if (count > 1) {
		submission->prefix_size = sizeof(cut->batch);
		cut->batch.first_index = first;
		cut->batch.item_count = count;
		atomic_init(&cut->batch.end, count);
	}
	if (count > 1 || column_count > 1) {
		submission->column_count = column_count;
		submission->size = carom_columns_size(cut->columns, column_count, count);
	}
}

static void cut_chunk(const struct map *map, uint64_t chunk, struct cut *cut)
{
	uint64_t first = chunk * map->chunk_size;
	uint64_t left = map->item_count - first;

	for (uint64_t i = 0; i < map->column_count; i++) {
		const unsigned char *data = map->columns[i].data;

		cut->columns[i].data = data + first * map->columns[i].size;
	}
	carom_map_cut(cut, chunk, first, left < map->chunk_size ? left : map->chunk_size);
}

/* ---- publishing ---- */

/* chunks that are prepared, to be published together */
struct group {
	uint32_t slots[GROUP_MAX];
	uint32_t count;
	uint64_t size;
};

static void fail_part(struct map *map, uint32_t slot, int error)
{
	struct carom_outcome outcome = carom_map_never_begun(map, error);

	carom_map_account_rest(map, &map->pool->tasks[slot], &outcome);
	carom_map_let_go(map, slot);
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
	group->size = 0;
	if (map->over)
		carom_map_end_early(map); /* it may have failed while this waited for room */
	return r;
}

int carom_map_publish(struct map *map, uint32_t slot)
{
	struct group group = { .count = 1 };

	group.slots[0] = slot;
	return publish_group(map, &group);
}

/* ---- cutting ---- */

static void await_some_part(struct map *map, uint64_t end)
{
	for (uint64_t part = end; part-- > 0;)
		if (map->parts[part].slot != CAROM_LANE_NO_SLOT) {
			carom_map_await_part(map, part, CAROM_NO_DEADLINE);
			return;
		}
}

/*
 * One chunk into the group. Out of slots: publish what there is, then wait for some.
 * Out of room for arguments: wait for a chunk of our own to end, if there is one.
 */
static int prepare_chunk(struct map *map, uint64_t chunk, struct cut *cut, struct group *group)
{
	uint32_t slot;
	int r;

	cut_chunk(map, chunk, cut);
	for (;;) {
		if (map->over)
			return -ECANCELED;
		r = carom_pool_prepare(map->pool, &cut->submission, group->count == 0, &slot);
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
	group->size += cut->submission.size;
	return 0;
}

static bool is_full(const struct group *group)
{
	return group->count == GROUP_MAX || group->size >= GROUP_BYTES_MAX;
}

int carom_map_submit(struct map *map)
{
	struct group group;
	struct cut cut;
	uint64_t chunk = 0;
	int r = 0;

	group.count = 0;
	group.size = 0;
	carom_map_begin_cut(map, &cut);
	while (r == 0 && chunk < map->chunk_count) {
		r = prepare_chunk(map, chunk, &cut, &group);
		chunk += r == 0;
		if (r == 0 && is_full(&group))
			r = publish_group(map, &group);
	}
	if (r == 0)
		r = publish_group(map, &group);
	else
		publish_group(map, &group);
	if (r == 0 || chunk == 0)
		return r;
	if (chunk < map->chunk_count) {
		struct carom_outcome outcome =
			r == -ECANCELED ? carom_map_no_value(CAROM_OUTCOME_CANCELLED, 0)
			: r == -ENOMEM  ? carom_map_no_value(CAROM_OUTCOME_FAILED, r)
					: carom_map_never_begun(map, r);

		carom_map_record_range(map, chunk * map->chunk_size, map->item_count, &outcome);
	}
	return 0;
}
