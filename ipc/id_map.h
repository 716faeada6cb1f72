/*
 * Id map: what stands under a number
 */
#ifndef CAROM_IPC_ID_MAP_H
#define CAROM_IPC_ID_MAP_H

#include <stddef.h>
#include <stdint.h>

/** struct carom_id_map - zeroed: empty. Slots whose id is 0 are free */
struct carom_id_slot {
	uint64_t id;
	uint64_t value;
};
struct carom_id_map {
	struct carom_id_slot *slots;
	size_t room;
	size_t count;
};

void carom_id_map_free(struct carom_id_map *map);

/** carom_id_map_find() - its value, until the map changes; NULL: there is none */
uint64_t *carom_id_map_find(const struct carom_id_map *map, uint64_t id);

/** carom_id_map_add() - @id is not 0, and not there. 0, -ENOMEM */
int carom_id_map_add(struct carom_id_map *map, uint64_t id, uint64_t value);

/** carom_id_map_remove() - it may not be there */
void carom_id_map_remove(struct carom_id_map *map, uint64_t id);

#endif
