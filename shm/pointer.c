/*
 * Pointer
 *
 * In whole numbers: the two may be parts of different objects, for all the compiler knows.
 */
#include "shm/pointer.h"

#include <stddef.h>

void carom_pointer_set(struct carom_pointer *pointer, const void *target)
{
	pointer->distance = target ? (int64_t)((uintptr_t)target - (uintptr_t)pointer) : 0;
}

void *carom_pointer_get(const struct carom_pointer *pointer)
{
	int64_t distance = pointer->distance;

	return distance ? (void *)((uintptr_t)pointer + (uintptr_t)distance) : NULL;
}
