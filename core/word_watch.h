/*
 * Word watch
 *
 * Waits for shared words where the kernel cannot report them beside other
 * events: before Linux 6.7, and wherever io_uring is denied. Helper threads
 * sleep in futex_waitv(2), each for up to 127 words and a word of its own by
 * which it is told of changes; before Linux 5.16, and where that is denied too,
 * in futex(2), each for one word. They ring when a word has changed. There are
 * threads only while there are words; they take no signals and wake for nothing
 * but a change.
 *
 * All functions belong to one thread, the loop's.
 */
#ifndef CAROM_CORE_WORD_WATCH_H
#define CAROM_CORE_WORD_WATCH_H

#include <stdatomic.h>
#include <stdint.h>

struct carom_word_watch;

/**
 * carom_word_watch_new()
 * @ring:     called in helper threads each time that carom_word_watch_take() has come to
 *            have more to say; not after carom_word_watch_free(). It calls none of these
 * @userdata: handed to @ring
 *
 * Return: 0, -ENOMEM.
 */
int carom_word_watch_new(void (*ring)(void *userdata), void *userdata,
			 struct carom_word_watch **ret_watch);

/** carom_word_watch_free() - end all threads; also in a forked child, where there are none */
struct carom_word_watch *carom_word_watch_free(struct carom_word_watch *watch);

/**
 * carom_word_watch_add() - report @token once when *@word is no longer @expected
 *
 * Return: 0, -ENOMEM: no memory, or no thread; or -EOPNOTSUPP: memory that is not
 * shared, or of huge pages, where there is no futex_waitv(2).
 */
int carom_word_watch_add(struct carom_word_watch *watch, _Atomic uint32_t *word, uint32_t expected,
			 uint64_t token);

/** carom_word_watch_remove() - when it returns, no helper thread reads *@word any more */
void carom_word_watch_remove(struct carom_word_watch *watch, uint64_t token);

/**
 * carom_word_watch_take() - the next word that has changed
 *
 * Return: 1 with *@ret_token set, 0 if there is none, or negative errno if the
 * kernel ceased to let a thread wait: then no word is reported any more.
 */
int carom_word_watch_take(struct carom_word_watch *watch, uint64_t *ret_token);

#endif
