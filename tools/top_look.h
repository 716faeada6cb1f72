/*
 * Look: all pools at one moment, and what has changed since the look before
 */
#ifndef CAROM_TOOLS_TOP_LOOK_H
#define CAROM_TOOLS_TOP_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/statistics.h"
#include "tools/top_options.h"
#include "tools/top_places.h"

/**
 * struct carom_top_worker
 * @index:        its place in the pool
 * @age_ns:       for how long it has been in its state; 0: not known
 * @cpu_ns:       processor time that its process has had
 * @cpu_share:    of one processor since the look before; below 0: not known
 * @memory_bytes: resident; 0: not known
 */
struct carom_top_worker {
	uint64_t index;
	uint64_t age_ns;
	uint64_t cpu_ns;
	double cpu_share;
	uint64_t memory_bytes;
	struct carom_worker_statistics statistics;
};

/**
 * struct carom_top_pool
 * @place:      where it was found
 * @rate:       tasks that ended in a second, since the look before; below 0: not known
 * @workers:    @worker_count of them, in the order that was asked for
 */
struct carom_top_pool {
	struct carom_statistics_place place;
	double rate;
	struct carom_pool_statistics statistics;
	struct carom_top_worker *workers;
	size_t worker_count;
};

/** struct carom_top_look - @now_ns: CLOCK_MONOTONIC */
struct carom_top_look {
	uint64_t now_ns;
	struct carom_top_pool *pools;
	size_t pool_count;
};

/**
 * carom_top_look() - look at the pools that were found
 * @before:   an earlier look, for what has changed since; NULL: none
 * @ret_look: the caller's, ended by carom_top_look_deinit()
 *
 * Return: 0, -ENOMEM. What has gone since it was found is not in it.
 */
int carom_top_look(const struct carom_top_options *options, const struct carom_top_places *places,
		   const struct carom_top_look *before, struct carom_top_look *ret_look);

void carom_top_look_deinit(struct carom_top_look *look);

/** carom_top_ended_count() - all tasks that have ended, in whatever way */
uint64_t carom_top_ended_count(const struct carom_pool_statistics *statistics);

#endif
