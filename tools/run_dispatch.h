/*
 * Dispatch of carom run: from the inputs to slots that are free, and from jobs
 * that ended to the output, the report and the log.
 */
#ifndef CAROM_TOOLS_RUN_DISPATCH_H
#define CAROM_TOOLS_RUN_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/loop.h"
#include "tools/run_again.h"
#include "tools/run_input.h"
#include "tools/run_job.h"
#include "tools/run_jobserver.h"
#include "tools/run_options.h"
#include "tools/run_output.h"
#include "tools/run_past.h"
#include "tools/run_progress.h"
#include "tools/run_report.h"
#include "tools/shepherd.h"

/**
 * struct carom_run_dispatch - a run
 * @joblog_fd:     -1: no log
 * @results_fd:    -1: none are kept
 * @rungs:         what keeps the limits of jobs
 * @sandbox:       of all jobs; NULL: none
 * @shepherd:      what all of them get
 * @waiting:       taken from the input, to be started when the jobserver allows it;
 *                 @text NULL: none
 * @started_count: jobs, and the next one's number
 * @is_stopped:    no more jobs
 * @has_enough:    of successes, --halt says
 * @has_failed:    itself
 * @is_mute:       output goes nowhere
 * @asks_again:    the input has more without waiting
 */
struct carom_run_dispatch {
	const struct carom_run_options *options;
	struct carom_loop *loop;
	struct carom_run_input input;
	struct carom_run_output output;
	struct carom_run_report report;
	struct carom_run_again again;
	struct carom_run_past past;
	struct carom_run_progress progress;
	int joblog_fd;
	int results_fd;
	struct carom_run_rungs rungs;
	struct carom_sandbox *sandbox;
	struct carom_shepherd shepherd;
	struct carom_run_slot *slots;
	struct carom_run_slot **free_slots;
	size_t free_count;
	struct carom_run_jobserver jobserver;
	struct carom_run_item waiting;
	uint64_t started_count;
	uint64_t ended_count;
	bool is_stopped;
	bool has_enough;
	bool has_failed;
	bool is_mute;
	bool is_input_at_end;
	bool asks_again;
};

void carom_run_dispatch_init(struct carom_run_dispatch *dispatch,
			     const struct carom_run_options *options);

/**
 * carom_run_dispatch_open() - make ready for the first job
 * @places: jobs that may be done before the first of them is written
 *
 * Return: 0, or the exit status: why is said.
 */
int carom_run_dispatch_open(struct carom_run_dispatch *dispatch, struct carom_loop *loop,
			    size_t places);

/** carom_run_dispatch_close() - in any state; what runs is ended and waited for */
void carom_run_dispatch_close(struct carom_run_dispatch *dispatch);

/** carom_run_dispatch_turn() - start what can be started; once before each wait for the loop */
void carom_run_dispatch_turn(struct carom_run_dispatch *dispatch);

/** carom_run_dispatch_is_over() - nothing runs, nothing is to be started or written */
bool carom_run_dispatch_is_over(const struct carom_run_dispatch *dispatch);

/** carom_run_dispatch_running_count() - jobs that have a slot */
uint64_t carom_run_dispatch_running_count(const struct carom_run_dispatch *dispatch);

/** carom_run_dispatch_kill() - what runs; it ends for that reason */
void carom_run_dispatch_kill(struct carom_run_dispatch *dispatch,
			     enum carom_run_outcome_kind reason);

/** carom_run_dispatch_drop_output() - what has not been written, and whatever comes; nor is it reported */
void carom_run_dispatch_drop_output(struct carom_run_dispatch *dispatch);

/** carom_run_dispatch_fail() - the run itself has failed: say why, and start nothing more */
void carom_run_dispatch_fail(struct carom_run_dispatch *dispatch, const char *what, int error);

/** carom_run_dispatch_fail_and_kill() - the same, and nobody is there to read what the jobs write */
void carom_run_dispatch_fail_and_kill(struct carom_run_dispatch *dispatch, const char *what,
				      int error);

#endif
