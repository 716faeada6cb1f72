/*
 * Wait set
 *
 * Descriptors that may become readable, and shared words that may change, to sleep on all of
 * them at once.
 */
#ifndef CAROM_IPC_WAIT_SET_H
#define CAROM_IPC_WAIT_SET_H

#include <linux/futex.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many of each need no memory of their own. */
#define CAROM_WAIT_SET_FEW 32

/**
 * struct carom_wait_set - zeroed before the first use
 * @fds:        after a sleep, with what became of them
 * @is_crowded: so much is waited for that one word for several things is better than one each
 */
struct carom_wait_set {
	struct pollfd *fds;
	size_t fd_count;
	size_t fd_room;
	struct futex_waitv *words;
	size_t word_count;
	size_t word_room;
	bool is_crowded;
	struct pollfd few_fds[CAROM_WAIT_SET_FEW];
	struct futex_waitv few_words[CAROM_WAIT_SET_FEW];
};

void carom_wait_set_init(struct carom_wait_set *set, bool is_crowded);
void carom_wait_set_deinit(struct carom_wait_set *set);

/** carom_wait_set_clear() - nothing is in it */
void carom_wait_set_clear(struct carom_wait_set *set);

/** carom_wait_set_add_fd() - readable, hung up or in error. Return: 0, -ENOMEM. */
int carom_wait_set_add_fd(struct carom_wait_set *set, int fd);

/**
 * carom_wait_set_add_word() - no longer @expected, or its sleepers were woken
 * @word: in memory that is shared by a descriptor; who changes it wakes all who sleep there
 *
 * Return: 0, -ENOMEM.
 */
int carom_wait_set_add_word(struct carom_wait_set *set, const _Atomic uint32_t *word,
			    uint32_t expected);

/**
 * carom_wait_set_sleep() - until something has happened to one of them
 * @deadline_ns: CAROM_PASSED: not at all, but the descriptors are asked
 *
 * Return: 0: something, or nothing: look again; -ETIMEDOUT; -ENOMEM, -EMFILE, -ENFILE, -EINVAL.
 */
int carom_wait_set_sleep(struct carom_wait_set *set, uint64_t deadline_ns);

#endif
