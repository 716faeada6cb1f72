/*
 * Tracker: the table of names
 *
 * Chains in buckets, by index, in memory that the kernel fills in as it is touched:
 * a tracker of ten names costs a few pages, one that is flooded ends at a fixed size.
 *
 *   I1  Every name with holders is in the chain of its bucket, once; every other one
 *       below @used is in the list of free ones.
 */
#include "core/tracker_private.h"

#include <errno.h>
#include <string.h>

static uint32_t bucket_of(enum carom_tracker_type type, const char *name)
{
	uint32_t hash = UINT32_C(2166136261) ^ (uint32_t)type; /* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * UINT32_C(16777619);
	return hash % CAROM_TRACKER_BUCKET_COUNT;
}

/* The link that leads to the name, or the 0 at the end of its chain. */
static uint32_t *find(struct carom_tracker_table *table, enum carom_tracker_type type,
		      const char *name)
{
	uint32_t *link = &table->buckets[bucket_of(type, name)];

	while (*link) {
		struct carom_tracker_name *there = &table->names[*link - 1];

		if (there->type == type && strcmp(there->name, name) == 0)
			break;
		link = &there->next;
	}
	return link;
}

/* A free name, out of its list; index + 1, or 0. */
static uint32_t take_free(struct carom_tracker_table *table)
{
	uint32_t taken = table->first_free;

	if (taken)
		table->first_free = table->names[taken - 1].next;
	else if (table->used < CAROM_TRACKER_NAMES_MAX)
		taken = ++table->used;
	return taken;
}

int carom_tracker_table_add(struct carom_tracker_table *table, enum carom_tracker_type type,
			    const char *name)
{
	uint32_t *link = find(table, type, name);
	struct carom_tracker_name *added;
	uint32_t taken;

	if (*link) {
		if (table->names[*link - 1].holders == UINT32_MAX)
			return -EOVERFLOW;
		table->names[*link - 1].holders++;
		return 0;
	}
	taken = take_free(table);
	if (!taken)
		return -ENOSPC;
	added = &table->names[taken - 1];
	added->next = 0;
	added->holders = 1;
	added->type = (uint8_t)type;
	added->was_released = false;
	strcpy(added->name, name);
	*link = taken;
	return 0;
}

int carom_tracker_table_remove(struct carom_tracker_table *table, enum carom_tracker_type type,
			       const char *name)
{
	uint32_t *link = find(table, type, name);
	struct carom_tracker_name *there;
	uint32_t freed = *link;

	if (!freed)
		return -ENOENT;
	there = &table->names[freed - 1];
	there->was_released = true;
	if (--there->holders > 0)
		return 0;
	*link = there->next;
	there->next = table->first_free;
	table->first_free = freed;
	return 0;
}
