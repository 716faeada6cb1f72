/*
 * Owners
 *
 * Which processes have something that is to be given back when they die, and what: a row
 * for each process, and a ring (shm/chain.h) of what it has. For memory under a lock, in
 * which all is changed through a journal.
 *
 * A process is its number and the time it began, so that a later one with the same number
 * is somebody else. A row whose ring is empty is free.
 */
#ifndef CAROM_SHM_OWNERS_H
#define CAROM_SHM_OWNERS_H

#include <stdint.h>
#include <sys/types.h>

#include "shm/chain.h"

#define CAROM_OWNERS_MAX 1024

/** struct carom_owner - one row; @has: the ring, of which this is the head */
struct carom_owner {
	struct carom_link has;
	uint64_t pid;
	uint64_t born;
};

/** struct carom_owners - in shared memory, zeroed at first; @count: rows that were ever used */
struct carom_owners {
	uint64_t count;
	struct carom_owner rows[CAROM_OWNERS_MAX];
};

/**
 * carom_owners_join() - the row of a process, made if it has none
 * @change:   empty; nothing stays in it
 * @ret_head: offset of its ring's head
 *
 * The row is the process's as long as something is in its ring, and the lock is held.
 * Return: 0, or -ENOSPC: there are CAROM_OWNERS_MAX others.
 */
int carom_owners_join(struct carom_owners *owners, struct carom_change *change, pid_t pid,
		      uint64_t born, uint64_t *ret_head);

/** carom_owners_first() - offset of a link in row @index's ring; 0: it is empty */
uint64_t carom_owners_first(const struct carom_owners *owners, const void *base, uint64_t index);

#endif
