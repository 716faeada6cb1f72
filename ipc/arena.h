/*
 * Arena
 *
 * Room for payloads in a wide, sparse piece of shared memory. One process (the
 * owner) allocates; it keeps the state of the arena in its private memory, and
 * nobody else can confuse it. Another process that is done with a block gives it
 * back through one shared word, which the owner empties when it runs short, and now
 * and then.
 *
 * If the owner dies, its private state dies with it. What is allocated is then
 * known by those who hold blocks; the next owner is given a range that none of
 * them lies in.
 *
 * Blocks have no headers: who frees one says how large it was.
 */
#ifndef CAROM_IPC_ARENA_H
#define CAROM_IPC_ARENA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CAROM_ARENA_ALIGNMENT 64
#define CAROM_ARENA_CLASSES   42

/**
 * struct carom_arena - the owner's private state
 * @base:     where offset 0 is mapped in this process
 * @bump:     everything from here to @end has never been handed out
 * @returned: the shared word that others give blocks back through; may be NULL
 * @free:     per size class, the first free block; 0 none. Links stand in the blocks
 * @kept:     bytes of memory that free large blocks still hold
 * @alloc_count: calls of carom_arena_alloc()
 * @begin:    where @bump began
 * @held_count: blocks that are handed out
 */
struct carom_arena {
	unsigned char *base;
	uint64_t bump;
	uint64_t end;
	_Atomic uint64_t *returned;
	uint64_t free[CAROM_ARENA_CLASSES];
	uint64_t kept;
	uint64_t alloc_count;
	uint64_t begin;
	uint64_t held_count;
};

/** carom_arena_init() - allocate from the offsets [@begin, @end); 0 is never handed out */
void carom_arena_init(struct carom_arena *arena, void *base, uint64_t begin, uint64_t end,
		      _Atomic uint64_t *returned);

/** carom_arena_alloc() - room for @size bytes, aligned to 64. 0, or -ENOMEM. Owner only. */
int carom_arena_alloc(struct carom_arena *arena, uint64_t size, uint64_t *ret_offset);

/** carom_arena_free() - @size as it was allocated. Owner only. */
void carom_arena_free(struct carom_arena *arena, uint64_t offset, uint64_t size);

/** carom_arena_return() - give a block back to a living owner. Any process, any thread. */
void carom_arena_return(void *base, _Atomic uint64_t *returned, uint64_t offset, uint64_t size);

/** carom_arena_discard() - give the memory (not the room) of whole pages of a block back */
void carom_arena_discard(void *base, uint64_t offset, uint64_t size);

/** carom_arena_room() - bytes that a block of @size really takes; 0 if it can take none */
uint64_t carom_arena_room(uint64_t size);

/** carom_arena_is_block() - can a block of @size bytes be at @offset of an arena that ends at @end? */
static inline bool carom_arena_is_block(uint64_t end, uint64_t offset, uint64_t size)
{
	uint64_t room = carom_arena_room(size);

	return room && room <= end && offset <= end - room && offset % CAROM_ARENA_ALIGNMENT == 0;
}

#endif
