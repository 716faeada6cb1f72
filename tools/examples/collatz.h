/*
 * Collatz: the work of the programs that drive a pool from an event loop
 *
 * Which number below a million takes the most steps to come down to 1, if an even one is
 * halved, and an odd one tripled and added 1 to? A thousand tasks look at a thousand
 * numbers each, and a callback keeps the best. The pool has no threads: whoever has the
 * loop calls carom_pool_poll(), until that says -ESHUTDOWN.
 */
#ifndef CAROM_TOOLS_EXAMPLES_COLLATZ_H
#define CAROM_TOOLS_EXAMPLES_COLLATZ_H

#include <carom/carom.h>

#define COLLATZ_HEARTBEAT_MS 2

struct collatz_best {
	int64_t number;
	int64_t step_count;
};

/**
 * struct collatz - the search
 * @pool:       polled
 * @task_count: that have ended
 * @beat_count: heartbeats of the host's loop meanwhile; the host counts them
 */
struct collatz {
	struct carom_pool *pool;
	struct collatz_best best;
	uint64_t task_count;
	uint64_t beat_count;
};

/**
 * collatz_begin() - submit it all, and close the pool: it ends when all is done
 * Return: 0 or -errno. Either way it is to be ended.
 */
int collatz_begin(struct collatz *search);

/** collatz_end() - free the pool and, if @r is -ESHUTDOWN, say what was found. Exit status. */
int collatz_end(struct collatz *search, int r);

#endif
