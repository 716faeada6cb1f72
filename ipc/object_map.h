/*
 * Object map: values under keys, in the order in which keys came, as a Python dict has them
 *
 * It knows nothing of who has the values: what goes out of it is given to the caller.
 */
#ifndef CAROM_IPC_OBJECT_MAP_H
#define CAROM_IPC_OBJECT_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/object.h"

/** struct carom_object_map_entry - @key is NULL where something was */
struct carom_object_map_entry {
	uint64_t hash;
	struct carom_document *key;
	struct carom_document *value;
};

/**
 * struct carom_object_map - zeroed: empty
 * @entries: @used of them, @count of which are there
 * @index:   of places in @entries, from 1 on; 0: free
 */
struct carom_object_map {
	struct carom_object_map_entry *entries;
	size_t used;
	size_t count;
	size_t room;
	uint32_t *index;
	size_t index_room;
};

/** carom_object_map_free() - which is empty by now */
void carom_object_map_free(struct carom_object_map *map);

/** carom_object_map_find() - until the map changes; NULL: there is none. @key may be a key */
struct carom_object_map_entry *carom_object_map_find(const struct carom_object_map *map,
						     const struct carom_object *key);

/** carom_object_map_add() - a @key that is not there; both are the map's then. 0, -ENOMEM, -ENOSPC */
int carom_object_map_add(struct carom_object_map *map, struct carom_document *key,
			 struct carom_document *value);

/** carom_object_map_remove() - the entry's key and value are the caller's */
struct carom_object_map_entry carom_object_map_remove(struct carom_object_map *map,
						      struct carom_object_map_entry *entry);

/** carom_object_map_next() - the first from *@position on, which goes behind it; NULL: the end */
struct carom_object_map_entry *carom_object_map_next(const struct carom_object_map *map,
						     size_t *position);

/** carom_object_map_last() - the one that came last; NULL: it is empty */
struct carom_object_map_entry *carom_object_map_last(const struct carom_object_map *map);

#endif
