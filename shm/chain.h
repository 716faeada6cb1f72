/*
 * Chain
 *
 * Rings of links in shared memory, changed through a journal (shm/journal.h). Places are
 * offsets from the base of the change; a link that stands alone is a ring of its own.
 */
#ifndef CAROM_SHM_CHAIN_H
#define CAROM_SHM_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/journal.h"

/** struct carom_link - in shared memory; zeroed: not in use yet */
struct carom_link {
	uint64_t next;
	uint64_t previous;
};

/** carom_chain_init() - alone from now on, whatever stood there */
void carom_chain_init(struct carom_change *change, uint64_t link);

/** carom_chain_add() - @link, of which nothing is read, comes to stand behind @head */
void carom_chain_add(struct carom_change *change, uint64_t head, uint64_t link);

/** carom_chain_remove() - out of its ring; what stands in @link itself is left as it is */
void carom_chain_remove(struct carom_change *change, uint64_t link);

/** carom_chain_next(), carom_chain_previous() - @link itself, if it stands alone */
uint64_t carom_chain_next(const struct carom_change *change, uint64_t link);
uint64_t carom_chain_previous(const struct carom_change *change, uint64_t link);

#endif
