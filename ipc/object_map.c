/*
 * Object map
 *
 * Entries stand in the order in which they came, and an index of their places is looked through
 * from where the hash says on.
 *
 *   I1  The index has at least twice as many slots as there are entries, holes among them, so a
 *       search ends soon.
 *   I2  What is removed leaves a hole, in the entries and so in the index: a search goes on
 *       behind it. Holes go when there is no room for another entry.
 */
#include "ipc/object_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/object_private.h"

#define FIRST_ROOM ((size_t)8)
#define ROOM_MAX   ((size_t)1 << 30)

void carom_object_map_free(struct carom_object_map *map)
{
	free(map->entries);
	free(map->index);
	*map = (struct carom_object_map){ 0 };
}

static size_t next_slot(const struct carom_object_map *map, size_t slot)
{
	return (slot + 1) & (map->index_room - 1);
}

static size_t first_slot(const struct carom_object_map *map, uint64_t hash)
{
	return (size_t)hash & (map->index_room - 1);
}

struct carom_object_map_entry *carom_object_map_find(const struct carom_object_map *map,
						     const struct carom_object *key)
{
	uint64_t hash = carom_object_hash(key);

	if (map->count == 0)
		return NULL;
	for (size_t slot = first_slot(map, hash); map->index[slot]; slot = next_slot(map, slot)) {
		struct carom_object_map_entry *entry = &map->entries[map->index[slot] - 1];

		if (entry->key && entry->hash == hash &&
		    carom_object_equal(carom_document_root(entry->key), key))
			return entry;
	}
	return NULL;
}

static void enter(struct carom_object_map *map, size_t place)
{
	size_t slot = first_slot(map, map->entries[place].hash);

	while (map->index[slot])
		slot = next_slot(map, slot);
	map->index[slot] = (uint32_t)place + 1;
}

/* I2 */
static void close_holes(struct carom_object_map *map)
{
	size_t used = 0;

	for (size_t i = 0; i < map->used; i++)
		if (map->entries[i].key)
			map->entries[used++] = map->entries[i];
	map->used = used;
	if (map->index_room > 0)
		memset(map->index, 0, map->index_room * sizeof(*map->index));
	for (size_t i = 0; i < used; i++)
		enter(map, i);
}

/* I1 */
static int grow(struct carom_object_map *map)
{
	size_t room = map->room ? 2 * map->room : FIRST_ROOM;
	struct carom_object_map_entry *entries;
	uint32_t *index;

	if (room > ROOM_MAX)
		return -ENOSPC;
	entries = realloc(map->entries, room * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	map->entries = entries;
	index = malloc(2 * room * sizeof(*index));
	if (!index)
		return -ENOMEM;
	free(map->index);
	map->index = index;
	map->index_room = 2 * room;
	map->room = room;
	return 0;
}

static int make_room(struct carom_object_map *map)
{
	int r = 0;

	if (map->used < map->room)
		return 0;
	if (map->count > map->room / 2 || map->room == 0)
		r = grow(map);
	if (r == 0)
		close_holes(map);
	return r;
}

int carom_object_map_add(struct carom_object_map *map, struct carom_document *key,
			 struct carom_document *value)
{
	int r = make_room(map);

	if (r < 0)
		return r;
	map->entries[map->used] = (struct carom_object_map_entry){
		.hash = carom_object_hash(carom_document_root(key)), .key = key, .value = value
	};
	enter(map, map->used++);
	map->count++;
	return 0;
}

struct carom_object_map_entry carom_object_map_remove(struct carom_object_map *map,
						      struct carom_object_map_entry *entry)
{
	struct carom_object_map_entry removed = *entry;

	entry->key = NULL;
	entry->value = NULL;
	map->count--;
	return removed;
}

struct carom_object_map_entry *carom_object_map_next(const struct carom_object_map *map,
						     size_t *position)
{
	while (*position < map->used) {
		struct carom_object_map_entry *entry = &map->entries[(*position)++];

		if (entry->key)
			return entry;
	}
	return NULL;
}

struct carom_object_map_entry *carom_object_map_last(const struct carom_object_map *map)
{
	for (size_t i = map->used; i-- > 0;)
		if (map->entries[i].key)
			return &map->entries[i];
	return NULL;
}
