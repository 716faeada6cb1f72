/*
 * Journal
 *
 * Words in shared memory that change all together or not at all, though the
 * process that changes them may be killed at any instruction. For memory under a
 * lock that survives its holder (shm/mutex.h):
 *
 *	carom_change_begin(&change, &shared->journal, shared);
 *	carom_change_put(&change, offset_of_a, carom_change_get(&change, offset_of_a) + 1);
 *	carom_change_put(&change, offset_of_b, 7);
 *	carom_change_commit(&change);
 *
 * and whoever gets the lock with -EOWNERDEAD calls carom_journal_redo() first.
 */
#ifndef CAROM_SHM_JOURNAL_H
#define CAROM_SHM_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CAROM_JOURNAL_MAX 48

struct carom_journal_entry {
	uint64_t offset;
	uint64_t value;
};

/**
 * struct carom_journal - what is being done, in shared memory; zeroed at first
 * @count:   entries that are to be carried out; 0: nothing is
 * @entries: in order; of two for one word the later one counts
 */
struct carom_journal {
	_Atomic uint64_t count;
	struct carom_journal_entry entries[CAROM_JOURNAL_MAX];
};

/**
 * struct carom_change - one change in preparation, in private memory
 * @base:  what offsets count from
 * @count: entries so far
 */
struct carom_change {
	struct carom_journal *journal;
	void *base;
	uint32_t count;
};

/** carom_change_begin() - nothing is changed before commit; dropping @change undoes it */
void carom_change_begin(struct carom_change *change, struct carom_journal *journal, void *base);

/** carom_change_get() - the word at @offset as it will be after what was put so far */
uint64_t carom_change_get(const struct carom_change *change, uint64_t offset);

/** carom_change_put() - the word at @offset (a multiple of 8) shall be @value */
void carom_change_put(struct carom_change *change, uint64_t offset, uint64_t value);

/** carom_change_commit() - make it so. @change is empty afterwards. */
void carom_change_commit(struct carom_change *change);

/** carom_journal_redo() - finish what a dead one had committed. Return: there was something. */
bool carom_journal_redo(struct carom_journal *journal, void *base);

#endif
