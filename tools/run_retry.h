/*
 * Retry: which jobs are run again.
 */
#ifndef CAROM_TOOLS_RUN_RETRY_H
#define CAROM_TOOLS_RUN_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/run_outcome.h"

#define CAROM_RUN_RETRIES_MAX 1000000

/**
 * struct carom_run_retry - what --retries, --retry-delay and --retry-on say
 * @count:    how often at most, after the first attempt
 * @delay_ns: between the end of an attempt and the next
 * @causes:   bits 1 << enum carom_run_outcome_kind; 0 means all that are a failure
 *            of the job itself
 */
struct carom_run_retry {
	uint32_t count;
	uint32_t causes;
	uint64_t delay_ns;
};

/**
 * carom_run_retry_parse_causes() - read "failed,timeout"
 * @ret_causes: see struct carom_run_retry
 * @ret_bad:    the word that is none, with @ret_length, where it returns false
 */
bool carom_run_retry_parse_causes(const char *text, uint32_t *ret_causes, const char **ret_bad,
				  int *ret_length);

/** carom_run_retry_is_due() - whether a job that has ended so, and has been retried @done times, is run again */
bool carom_run_retry_is_due(const struct carom_run_retry *retry, struct carom_run_outcome outcome,
			    uint32_t done);

#endif
