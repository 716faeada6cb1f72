/*
 * Mishaps: three things that go wrong on purpose, to be seen going right.
 */
#ifndef WORDS_MISHAPS_H
#define WORDS_MISHAPS_H

#include <carom/carom.h>
#include "tools/examples/words_list.h"

#define WORDS_MISHAPS_MAX 3

/**
 * struct words_mishap - one of them, and what became of it
 * @kind:        what it is, in a word
 * @function:    runs in the worker that it is about to cost
 * @limit_ns:    the hard limit of this task; 0 means the pool's
 * @file:        whose task it takes the place of: an index into the list
 * @result:      while it is under way
 * @outcome:     how the task ended; kind PENDING until it has
 * @struck_ns:   when it happened
 * @replaced_ns: how long until the place was filled again; 0 if that was not seen
 */
struct words_mishap {
	const char *kind;
	carom_task_fn *function;
	uint64_t limit_ns;
	size_t file;
	struct carom_result *result;
	struct carom_outcome outcome;
	uint64_t struck_ns;
	uint64_t replaced_ns;
};

/**
 * struct words_mishaps - those that are arranged; they happen one after the other
 * @items:   the first @count are
 * @current: the one that is under way, or comes next; @count when all are over
 * @stage:   memory shared with the workers
 */
struct words_mishaps {
	struct words_mishap items[WORDS_MISHAPS_MAX];
	size_t count;
	size_t current;
	struct carom_segment *stage;
};

/** words_mishaps_init() - before the pool is made: its workers inherit what is shared. 0, -errno. */
int words_mishaps_init(struct words_mishaps *mishaps);

/** words_mishaps_arrange() - choose a file for each; there are fewer if there are fewer files */
void words_mishaps_arrange(struct words_mishaps *mishaps, size_t file_count);

/** words_mishaps_take() - is this file one of theirs? */
bool words_mishaps_take(const struct words_mishaps *mishaps, size_t file);

/**
 * words_mishaps_advance() - do what is due; to be called again and again
 * @done_count: how many files have been counted: each mishap waits for its turn
 *
 * Return: 1 if the task of one has just ended; else 0; or what
 * carom_pool_apply_async() returned.
 */
int words_mishaps_advance(struct words_mishaps *mishaps, struct carom_pool *pool,
			  const struct words_list *list, size_t done_count);

/** words_mishaps_are_over() - all have happened and were repaired */
bool words_mishaps_are_over(const struct words_mishaps *mishaps);

/** words_mishaps_wait() - until something may have become due, @timeout_ns at most */
void words_mishaps_wait(const struct words_mishaps *mishaps, uint64_t timeout_ns);

void words_mishaps_deinit(struct words_mishaps *mishaps);

#endif
