/*
 * Id map
 *
 * Open addressing: a number stands in the first free slot from where its hash says on.
 *
 *   I1  At most half of the slots are taken, so a search ends soon.
 *   I2  No free slot is between where a number belongs and where it stands; what is removed is
 *       filled by what would be found no more.
 */
#include "ipc/id_map.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_ROOM ((size_t)8)

/* of the hash, the upper bits are the good ones */
static size_t home_of(const struct carom_id_map *map, uint64_t id)
{
	return (size_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (map->room - 1);
}

void carom_id_map_free(struct carom_id_map *map)
{
	free(map->slots);
	*map = (struct carom_id_map){ 0 };
}

/* Where it stands, or would. There is a free slot. */
static struct carom_id_slot *look(const struct carom_id_map *map, uint64_t id)
{
	size_t i = home_of(map, id);

	while (map->slots[i].id != 0 && map->slots[i].id != id)
		i = (i + 1) & (map->room - 1);
	return &map->slots[i];
}

uint64_t *carom_id_map_find(const struct carom_id_map *map, uint64_t id)
{
	struct carom_id_slot *slot = map->count > 0 ? look(map, id) : NULL;

	return slot && slot->id == id ? &slot->value : NULL;
}

static int grow(struct carom_id_map *map)
{
	struct carom_id_map wider = { .room = map->room ? 2 * map->room : FIRST_ROOM };

	wider.slots = calloc(wider.room, sizeof(*wider.slots));
	if (!wider.slots)
		return -ENOMEM;
	for (size_t i = 0; i < map->room; i++)
		if (map->slots[i].id != 0)
			*look(&wider, map->slots[i].id) = map->slots[i];
	wider.count = map->count;
	free(map->slots);
	*map = wider;
	return 0;
}

int carom_id_map_add(struct carom_id_map *map, uint64_t id, uint64_t value)
{
	int r = 2 * (map->count + 1) > map->room ? grow(map) : 0; /* I1 */

	if (r < 0)
		return r;
	*look(map, id) = (struct carom_id_slot){ id, value };
	map->count++;
	return 0;
}

void carom_id_map_remove(struct carom_id_map *map, uint64_t id)
{
	struct carom_id_slot *slot = map->count > 0 ? look(map, id) : NULL;
	size_t hole, i;

	if (!slot || slot->id != id)
		return;
	hole = i = (size_t)(slot - map->slots);
	while (map->slots[i = (i + 1) & (map->room - 1)].id != 0) { /* I2 */
		size_t home = home_of(map, map->slots[i].id);

		/* how far each is behind where this one belongs */
		if (((i - home) & (map->room - 1)) >= ((i - hole) & (map->room - 1))) {
			map->slots[hole] = map->slots[i];
			hole = i;
		}
	}
	map->slots[hole].id = 0;
	map->count--;
}
