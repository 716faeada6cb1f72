/*
 * Chain
 *
 * Neither adding nor removing needs the beginning of a ring, or makes a difference between
 * a link and the head: both are words of the neighbours alone.
 */
#include "shm/chain.h"

#include <stddef.h>

#define NEXT(link)     ((link) + offsetof(struct carom_link, next))
#define PREVIOUS(link) ((link) + offsetof(struct carom_link, previous))

void carom_chain_init(struct carom_change *change, uint64_t link)
{
	carom_change_put(change, NEXT(link), link);
	carom_change_put(change, PREVIOUS(link), link);
}

void carom_chain_add(struct carom_change *change, uint64_t head, uint64_t link)
{
	uint64_t next = carom_change_get(change, NEXT(head));

	carom_change_put(change, NEXT(link), next);
	carom_change_put(change, PREVIOUS(link), head);
	carom_change_put(change, PREVIOUS(next), link);
	carom_change_put(change, NEXT(head), link);
}

void carom_chain_remove(struct carom_change *change, uint64_t link)
{
	uint64_t next = carom_change_get(change, NEXT(link));
	uint64_t previous = carom_change_get(change, PREVIOUS(link));

	carom_change_put(change, NEXT(previous), next);
	carom_change_put(change, PREVIOUS(next), previous);
}

uint64_t carom_chain_next(const struct carom_change *change, uint64_t link)
{
	return carom_change_get(change, NEXT(link));
}

uint64_t carom_chain_previous(const struct carom_change *change, uint64_t link)
{
	return carom_change_get(change, PREVIOUS(link));
}
