/*
 * Places: where pools have been found, and when to look for others
 */
#ifndef CAROM_TOOLS_TOP_PLACES_H
#define CAROM_TOOLS_TOP_PLACES_H

#include <stddef.h>
#include <stdint.h>

#include "pool/statistics.h"
#include "tools/top_options.h"

/** struct carom_top_places - begun as zeroes, and ended by free(list) */
struct carom_top_places {
	struct carom_statistics_place *list;
	size_t count;
	uint64_t search_due_ns; /* CLOCK_MONOTONIC */
};

/**
 * carom_top_places_search() - look for all pools, or for those of some programs, if it is time to
 *
 * Return: 0, -ENOMEM, or what carom_statistics_find() says of /proc. A program that is not
 * there, or may not be looked into, has no pools.
 */
int carom_top_places_search(const struct carom_top_options *options,
			    struct carom_top_places *places);

/** carom_top_places_expect() - it is time: somebody wants to see what there is now */
void carom_top_places_expect(struct carom_top_places *places);

#endif
