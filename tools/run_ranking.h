/*
 * Ranking: the jobs that have most of something.
 */
#ifndef CAROM_TOOLS_RUN_RANKING_H
#define CAROM_TOOLS_RUN_RANKING_H

#include <stddef.h>
#include <stdint.h>

#include "tools/figure.h"
#include "tools/run_job.h"

#define CAROM_RUN_RANKING_MAX 3

/** struct carom_run_ranking - the first few, the most first */
struct carom_run_ranking {
	struct carom_run_ranked {
		uint64_t value;
		char name[CAROM_RUN_NAME_BYTES];
	} jobs[CAROM_RUN_RANKING_MAX];
	size_t count;
};

/** carom_run_ranking_add() - nothing, if there are enough with more */
void carom_run_ranking_add(struct carom_run_ranking *ranking, uint64_t value, const char *name);

/** carom_run_ranking_say() - "slowest: 4.2 s  b, 3.1 s  a" on standard error */
void carom_run_ranking_say(const struct carom_run_ranking *ranking, const char *title,
			   struct carom_figure (*figure)(uint64_t value));

#endif
