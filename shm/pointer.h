/**
 * DOC: pointer
 *
 * A pointer that may stand in memory which every process maps somewhere else. It holds how
 * far from itself its target is, so it holds in each mapping, as long as both stand in the
 * same one:
 *
 *	struct node { struct carom_pointer next; int number; };
 *
 *	carom_pointer_set(&node->next, other);
 *	...				// in another process, at another address
 *	struct node *next = carom_pointer_get(&node->next);
 *
 * It may not be copied: the copy stands elsewhere, and so would its target. Zeroed memory
 * is NULL; a pointer to itself cannot be told from that.
 *
 * In a heap (shm/heap.h) plain pointers do: all have it at the same address. What comes from
 * a process that is not trusted is no pointer, but an offset to be checked:
 * carom_segment_at().
 */
#ifndef CAROM_SHM_POINTER_H
#define CAROM_SHM_POINTER_H

#include <stdint.h>

#include "../core/api.h"

CAROM_BEGIN_DECLS

/** struct carom_pointer - @distance: bytes from this to the target; 0: NULL */
struct carom_pointer {
	int64_t distance;
};

/**
 * carom_pointer_set() - make it point to @target, or NULL
 *
 * Context: MT-Unsafe race:pointer, AS-Safe. As a plain pointer: locks or others' agreement
 * decide who may.
 */
CAROM_API void carom_pointer_set(struct carom_pointer *pointer, const void *target);

/** carom_pointer_get() - the target, where this process has it; NULL. MT-Safe, AS-Safe. */
CAROM_API void *carom_pointer_get(const struct carom_pointer *pointer);

CAROM_END_DECLS

#endif
