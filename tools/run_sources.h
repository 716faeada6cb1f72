/*
 * Sources: several lists of inputs, which make one list of combinations.
 *
 * A list that is linked (":::+") goes along with the one before it, value by
 * value, and the shorter ends both. The others are combined each with each, the
 * last one changing fastest.
 */
#ifndef CAROM_TOOLS_RUN_SOURCES_H
#define CAROM_TOOLS_RUN_SOURCES_H

#include <stdint.h>

#include "tools/run_item.h"
#include "tools/run_options.h"

struct carom_run_sources;

/**
 * carom_run_sources_new() - read all of them to their ends
 * @options:     kept by reference
 * @ret_name:    on failure: which source it is about, a string of @options
 * @ret_sources: the caller's, ended by carom_run_sources_free()
 *
 * Return: 0, or -errno from open(2), read(2) or for want of memory.
 */
int carom_run_sources_new(const struct carom_run_options *options, const char **ret_name,
			  struct carom_run_sources **ret_sources);
struct carom_run_sources *carom_run_sources_free(struct carom_run_sources *sources);

/** carom_run_sources_next() - take the next combination. Return: 1, or 0 at the end. */
int carom_run_sources_next(struct carom_run_sources *sources, struct carom_run_item *ret_item);

/** carom_run_sources_total() - how many combinations there are in all; 0 also if 64 bits do not hold it */
uint64_t carom_run_sources_total(const struct carom_run_sources *sources);

#endif
