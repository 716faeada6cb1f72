/*
 * Report: which jobs failed, by cause, and which needed most.
 */
#ifndef CAROM_TOOLS_RUN_REPORT_H
#define CAROM_TOOLS_RUN_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "tools/run_job.h"
#include "tools/run_ranking.h"

/** struct carom_run_report - of the jobs that have ended */
struct carom_run_report {
	uint64_t done_count;
	uint64_t failed_count;
	struct carom_run_ranking slowest;
	struct carom_run_ranking biggest; /* peak memory */
	struct carom_run_cause *causes;
	size_t cause_count;
};

void carom_run_report_init(struct carom_run_report *report);
void carom_run_report_deinit(struct carom_run_report *report);

/** carom_run_report_add() - count a job that has ended */
void carom_run_report_add(struct carom_run_report *report, const struct carom_run_job *job);

/** carom_run_report_say() - on standard error, how many failed and why; nothing if none did */
void carom_run_report_say(const struct carom_run_report *report,
			  const struct carom_run_options *options);

/** carom_run_report_say_more() - how many jobs in how long, the slowest and the biggest */
void carom_run_report_say_more(const struct carom_run_report *report, uint64_t past_ns);

/** carom_run_report_status() - the exit status: jobs that failed, 101 for more than 100 */
int carom_run_report_status(const struct carom_run_report *report);

#endif
