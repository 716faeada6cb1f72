/*
 * Journal
 *
 * A redo log of whole words. Killed before the count is stored, nothing has
 * happened; from then on every word the change needs stands in the journal, and
 * writing all of them again has the same effect as writing those that are
 * missing.
 *
 *   I1  While count is not 0, the entries below it are whole and nobody changes
 *       them.
 *   I2  Only absolute values are written, so carrying them out twice, or half and
 *       then all, is carrying them out once. A redoer may die as often as it likes.
 *
 * All is done under one lock. When its holder dies, the next one sees the dead
 * one's stores as far as it got: the kernel marks the lock from within the dying
 * thread. So the order of instructions is what counts, and a compiler barrier is
 * enough to fix it.
 */
#include "shm/journal.h"

#include <assert.h>

#include "core/points.h"

#define barrier() atomic_signal_fence(memory_order_seq_cst)

static _Atomic uint64_t *word_at(void *base, uint64_t offset)
{
	return (_Atomic uint64_t *)((unsigned char *)base + offset);
}

void carom_change_begin(struct carom_change *change, struct carom_journal *journal, void *base)
{
	*change = (struct carom_change){ .journal = journal, .base = base };
}

uint64_t carom_change_get(const struct carom_change *change, uint64_t offset)
{
	for (uint32_t i = change->count; i-- > 0;)
		if (change->journal->entries[i].offset == offset)
			return change->journal->entries[i].value;
	/* relaxed, here and below: the lock orders processes */
	return atomic_load_explicit(word_at(change->base, offset), memory_order_relaxed);
}

void carom_change_put(struct carom_change *change, uint64_t offset, uint64_t value)
{
	assert(change->count < CAROM_JOURNAL_MAX);
	change->journal->entries[change->count++] =
		(struct carom_journal_entry){ .offset = offset, .value = value };
}

static void carry_out(const struct carom_journal *journal, void *base, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		atomic_store_explicit(word_at(base, journal->entries[i].offset),
				      journal->entries[i].value, memory_order_relaxed);
		CAROM_POINT("journal.word");
	}
}

void carom_change_commit(struct carom_change *change)
{
	struct carom_journal *journal = change->journal;

	CAROM_POINT("journal.staged");
	barrier(); /* I1 */
	atomic_store_explicit(&journal->count, change->count, memory_order_relaxed);
	barrier();
	CAROM_POINT("journal.committed");
	carry_out(journal, change->base, change->count);
	barrier();
	CAROM_POINT("journal.done");
	atomic_store_explicit(&journal->count, 0, memory_order_relaxed);
	barrier();
	change->count = 0;
}

bool carom_journal_redo(struct carom_journal *journal, void *base)
{
	uint64_t count = atomic_load_explicit(&journal->count, memory_order_relaxed);

	if (count == 0)
		return false;
	assert(count <= CAROM_JOURNAL_MAX);
	CAROM_POINT("journal.redo");
	carry_out(journal, base, count);
	barrier();
	CAROM_POINT("journal.redone");
	atomic_store_explicit(&journal->count, 0, memory_order_relaxed);
	barrier();
	return true;
}
