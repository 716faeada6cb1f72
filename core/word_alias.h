/*
 * Word alias
 *
 * A shared word at a second address, at which one thread can sleep and another
 * can end that sleep for certain. For kernels that let a thread wait for one
 * word only: such a thread cannot be told by a word of its own.
 */
#ifndef CAROM_CORE_WORD_ALIAS_H
#define CAROM_CORE_WORD_ALIAS_H

#include <stdatomic.h>
#include <stdint.h>

/** struct carom_word_alias - a page of addresses; all zero: none yet */
struct carom_word_alias {
	void *page;
};

/**
 * carom_word_alias_show() - @word, and no other any more; while nobody sleeps there
 *
 * Return: 0, -ENOMEM, or -EOPNOTSUPP: memory that is not shared, or of huge pages.
 */
int carom_word_alias_show(struct carom_word_alias *alias, _Atomic uint32_t *word);

/**
 * carom_word_alias_sleep() - while the word that was shown is @expected
 * @word: only its address is used; there may be nothing any more
 *
 * Return: 0, -EAGAIN, -EINTR, or -EFAULT: it was taken away, before or meanwhile.
 */
int carom_word_alias_sleep(const struct carom_word_alias *alias, const _Atomic uint32_t *word,
			   uint32_t expected);

/** carom_word_alias_take_away() - who sleeps there wakes up, and nobody falls asleep any more */
void carom_word_alias_take_away(struct carom_word_alias *alias, _Atomic uint32_t *word);

/** carom_word_alias_deinit() - while nobody sleeps there; not in a forked child, where it is not */
void carom_word_alias_deinit(struct carom_word_alias *alias);

#endif
