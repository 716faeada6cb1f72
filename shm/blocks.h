/*
 * Blocks
 *
 * A region of shared memory cut into blocks that are in use or free: which one a
 * request gets, and how neighbours that are free become one. Everything changes
 * through a journal, so a death costs nothing; who calls holds the lock, and
 * after a death calls carom_blocks_redo() before anything else.
 *
 * Places are offsets from the start of the region.
 */
#ifndef CAROM_SHM_BLOCKS_H
#define CAROM_SHM_BLOCKS_H

#include <stdatomic.h>
#include <stdint.h>

#include "shm/journal.h"

#define CAROM_BLOCKS_ALIGNMENT 16
#define CAROM_BLOCKS_SIZE_MAX  (UINT64_C(1) << 46)

#define CAROM_BLOCKS_ROWS    40 /* powers of two */
#define CAROM_BLOCKS_COLUMNS 16 /* steps between one and the next */

/**
 * struct carom_blocks - at the start of the region
 * @size:       bytes of the region, this struct included
 * @first:      offset of the first block
 * @used_size:  bytes of blocks in use, their headers included
 * @used_count: blocks in use
 * @giving:     offset of the room that is being given to somebody who has not got it yet
 * @rows:       a bit for each row in which a column has a free block
 * @columns:    a bit for each column that has one
 * @heads:      the first free block of each size class; 0: none
 */
struct carom_blocks {
	uint64_t size;
	uint64_t first;
	uint64_t used_size;
	uint64_t used_count;
	_Atomic uint64_t giving;
	uint64_t rows;
	uint64_t columns[CAROM_BLOCKS_ROWS];
	uint64_t heads[CAROM_BLOCKS_ROWS][CAROM_BLOCKS_COLUMNS];
	struct carom_journal journal;
};

/**
 * struct carom_request - the room that somebody wants
 * @size:      bytes, not 0
 * @alignment: of the address, a power of two
 * @owner:     offset of a link, into whose ring the block comes; 0: nobody owns it
 * @place:     offset of the word that becomes the address, together with the taking; 0:
 *             carom_blocks.giving becomes the offset, and the caller clears it as soon as it
 *             has the room: if it dies before, carom_blocks_redo() gives the room back
 */
struct carom_request {
	uint64_t size;
	uint64_t alignment;
	uint64_t owner;
	uint64_t place;
};

/**
 * struct carom_pages - whole pages inside a free block
 * @block:  the free block
 * @offset: of the first page
 * @size:   bytes; 0: not worth giving back
 */
struct carom_pages {
	uint64_t block;
	uint64_t offset;
	uint64_t size;
};

/**
 * carom_blocks_init() - make one free block of the region
 * @blocks: zeroed memory; at least 4 KiB are left behind @first
 * @first:  what stands before it is the caller's; sizeof(*blocks) at least
 * @size:   up to CAROM_BLOCKS_SIZE_MAX
 */
void carom_blocks_init(struct carom_blocks *blocks, uint64_t first, uint64_t size);

/**
 * carom_blocks_take() - get room
 * @ret_offset: of the room, whose content is undefined
 *
 * Return: 0, or -ENOMEM.
 */
int carom_blocks_take(struct carom_blocks *blocks, const struct carom_request *request,
		      uint64_t *ret_offset);

/** carom_blocks_given() - who took the room last has it now */
void carom_blocks_given(struct carom_blocks *blocks);

/**
 * carom_blocks_give() - give room back
 * @offset:    as carom_blocks_take() gave it
 * @ret_pages: pages that nobody needs now; if there are any, the caller may take
 *             their memory away and then calls carom_blocks_emptied()
 *
 * Return: 0, or -EINVAL: this is no block in use.
 */
int carom_blocks_give(struct carom_blocks *blocks, uint64_t offset, struct carom_pages *ret_pages);

/**
 * carom_blocks_resize() - make room larger or smaller where it is
 * @size:      bytes, not 0
 * @place:     as in a request; 0: nothing is written anywhere
 * @ret_pages: as carom_blocks_give()
 *
 * Return: 0, -EINVAL (no block in use), or -ENOMEM: what stands behind it is in use.
 */
int carom_blocks_resize(struct carom_blocks *blocks, uint64_t offset, uint64_t size, uint64_t place,
			struct carom_pages *ret_pages);

/**
 * carom_blocks_replace() - give room back, whose content has come to stand elsewhere
 * @offset: of the old room
 * @by:     of the new one, which was being given, and is now
 * @place:  as in a request; 0: nothing is written anywhere
 */
void carom_blocks_replace(struct carom_blocks *blocks, uint64_t offset, uint64_t by, uint64_t place,
			  struct carom_pages *ret_pages);

/** carom_blocks_size() - bytes of the room at @offset; 0: this is no block in use */
uint64_t carom_blocks_size(const struct carom_blocks *blocks, uint64_t offset);

/** carom_blocks_link() - of the block with the room at @offset; 0: it has none, or is none */
uint64_t carom_blocks_link(const struct carom_blocks *blocks, uint64_t offset);

/** carom_blocks_linked() - offset of the room whose block has @link */
uint64_t carom_blocks_linked(const struct carom_blocks *blocks, uint64_t link);

/** carom_blocks_pass() - @owner: as in a request; 0: nobody owns it now. It has got a @link. */
void carom_blocks_pass(struct carom_blocks *blocks, uint64_t link, uint64_t owner);

/** carom_blocks_emptied() - @pages hold no memory any more; under the same lock as the give */
void carom_blocks_emptied(struct carom_blocks *blocks, const struct carom_pages *pages);

/** carom_blocks_redo() - after a death: finish what was begun */
void carom_blocks_redo(struct carom_blocks *blocks);

/** carom_blocks_room() - bytes that all blocks have together, used or free */
uint64_t carom_blocks_room(const struct carom_blocks *blocks);

/** carom_blocks_fault() - look at everything. Return: what is wrong, or NULL. */
const char *carom_blocks_fault(const struct carom_blocks *blocks);

#endif
