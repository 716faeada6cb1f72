/*
 * Job: what carom-words is told to do, and what came of it.
 */
#ifndef WORDS_JOB_H
#define WORDS_JOB_H

#include <carom/carom.h>
#include "tools/bar.h"
#include "tools/examples/words_list.h"
#include "tools/examples/words_mishaps.h"
#include "tools/examples/words_options.h"

/** struct words_trouble - a task that did not end with a count, though nobody had arranged that */
struct words_trouble {
	size_t file;
	struct carom_outcome outcome;
};

/**
 * struct words_job
 * @done_count:     files whose tasks have ended, in whatever way
 * @counted_count:  files of which it is known what is in them
 * @again_count:    how many of these only at the second attempt
 * @total:          what is in the counted ones
 * @counted_by:     how many of them each worker counted
 * @elapsed_ns:     how long the first attempts took, all together
 */
struct words_job {
	struct words_options options;
	struct words_list list;
	struct words_mishaps mishaps;
	struct carom_pool *pool;
	struct carom_bar bar;
	size_t done_count;
	size_t counted_count;
	size_t again_count;
	struct words_count total;
	uint64_t *counted_by;
	struct words_trouble *troubles;
	size_t trouble_count;
	uint64_t elapsed_ns;
};

#endif
