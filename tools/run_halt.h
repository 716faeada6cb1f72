/*
 * Halt: what stops a run before all its jobs are done.
 */
#ifndef CAROM_TOOLS_RUN_HALT_H
#define CAROM_TOOLS_RUN_HALT_H

#include <stdbool.h>
#include <stdint.h>

/* A share of very few jobs says nothing. */
#define CAROM_RUN_HALT_MIN 3

/**
 * struct carom_run_halt - what --halt says
 * @is_now:        kill what runs; else it is waited for
 * @on_success:    jobs that went well count, else those that failed
 * @is_percentage: of the jobs that have ended, and CAROM_RUN_HALT_MIN at least
 * @limit:         so many; 0: never
 */
struct carom_run_halt {
	bool is_now;
	bool on_success;
	bool is_percentage;
	uint32_t limit;
};

/** carom_run_halt_parse() - read "now,fail=1", "soon,success=10%". Returns whether it is such. */
bool carom_run_halt_parse(const char *text, struct carom_run_halt *ret_halt);

/** carom_run_halt_is_due() - whether to stop once @ended_count jobs have ended and @failed_count of them failed */
bool carom_run_halt_is_due(const struct carom_run_halt *halt, uint64_t ended_count,
			   uint64_t failed_count);

#endif
