/* Array: what its files share. */
#ifndef CAROM_SHM_ARRAY_PRIVATE_H
#define CAROM_SHM_ARRAY_PRIVATE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shm/array.h"
#include "shm/segment.h"

struct carom_array_head;

/**
 * struct carom_array - one process's hold on it, in private memory
 * @head:    the storage
 * @items:   in it
 * @type, @item_size, @count: as they were read and checked once
 * @lock:    NULL: accesses take none
 * @segment: that the storage is all of; NULL: it lies elsewhere
 * @heap:    that the storage is a block of, and that @maker gives it back to; NULL
 */
struct carom_array {
	struct carom_array_head *head;
	unsigned char *items;
	uint64_t type;
	uint64_t item_size;
	uint64_t count;
	struct carom_value_lock *lock;
	struct carom_segment *segment;
	struct carom_heap *heap;
	pid_t maker;
};

/** carom_array_lock() - 0 or -EOWNERDEAD: do it, then carom_array_unlock(); else do not */
int carom_array_lock(const struct carom_array *array);
void carom_array_unlock(const struct carom_array *array);

/** carom_array_is_locked() - what carom_array_lock() returned was one of the two */
static inline bool carom_array_is_locked(int r)
{
	return r == 0 || r == -EOWNERDEAD;
}

#endif
