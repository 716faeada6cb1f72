/*
 * Owners
 *
 *   O1  What stands in a row's ring is of the process that the row names. The name changes
 *       only while the ring is empty.
 *   O2  A row is made in a change of its own, before something is put into its ring: a
 *       death in between leaves a free row.
 */
#include "shm/owners.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

static uint64_t offset_in(const void *base, const void *place)
{
	return (uint64_t)((const unsigned char *)place - (const unsigned char *)base);
}

uint64_t carom_owners_first(const struct carom_owners *owners, const void *base, uint64_t index)
{
	const struct carom_link *head = &owners->rows[index].has;

	return head->next == offset_in(base, head) ? 0 : head->next;
}

static bool is_of(const struct carom_owner *row, pid_t pid, uint64_t born)
{
	return row->pid == (uint64_t)pid && row->born == born;
}

/* Its own row, or else a free one, or else a new one. */
static struct carom_owner *choose(struct carom_owners *owners, const void *base, pid_t pid,
				  uint64_t born)
{
	struct carom_owner *free_row = NULL;

	for (uint64_t i = 0; i < owners->count; i++) {
		if (is_of(&owners->rows[i], pid, born))
			return &owners->rows[i];
		if (!free_row && carom_owners_first(owners, base, i) == 0)
			free_row = &owners->rows[i];
	}
	if (!free_row && owners->count < CAROM_OWNERS_MAX)
		free_row = &owners->rows[owners->count];
	return free_row;
}

int carom_owners_join(struct carom_owners *owners, struct carom_change *change, pid_t pid,
		      uint64_t born, uint64_t *ret_head)
{
	struct carom_owner *row = choose(owners, change->base, pid, born);
	uint64_t at, index;

	if (!row)
		return -ENOSPC;
	at = offset_in(change->base, row);
	index = (uint64_t)(row - owners->rows);
	if (!is_of(row, pid, born)) {
		carom_chain_init(change, at + offsetof(struct carom_owner, has));
		carom_change_put(change, at + offsetof(struct carom_owner, pid), (uint64_t)pid);
		carom_change_put(change, at + offsetof(struct carom_owner, born), born);
		if (index == owners->count)
			carom_change_put(change, offset_in(change->base, &owners->count),
					 index + 1);
		carom_change_commit(change);
	}
	*ret_head = at + offsetof(struct carom_owner, has);
	return 0;
}
