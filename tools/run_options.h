/*
 * Options of carom run: what the command line says.
 */
#ifndef CAROM_TOOLS_RUN_OPTIONS_H
#define CAROM_TOOLS_RUN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/run_halt.h"
#include "tools/run_limits.h"
#include "tools/run_retry.h"
#include "tools/run_sandbox.h"

#define CAROM_RUN_JOBS_MAX    10000
#define CAROM_RUN_SOURCES_MAX 16

/**
 * struct carom_run_source - where inputs come from
 * @inputs:    the words after ":::" or ":::+"; NULL: they are in a file
 * @count:     how many
 * @path:      the file; "-" is standard input; NULL: they are words
 * @is_linked: goes along with the source before it
 */
struct carom_run_source {
	char *const *inputs;
	size_t count;
	const char *path;
	bool is_linked;
};

/** carom_run_source_name() - for messages */
const char *carom_run_source_name(const struct carom_run_source *source);

/**
 * enum carom_run_grouping - how the output of jobs that run at the same time comes together
 * @GROUP:     of one job after another, once it is done
 * @LINES:     line by line, as soon as it is there
 * @UNGROUPED: nobody looks: jobs write where carom run would
 */
enum carom_run_grouping { CAROM_RUN_GROUP, CAROM_RUN_LINES, CAROM_RUN_UNGROUPED };

/**
 * struct carom_run_options - what to run, on what, and how
 * @words:       argv: the name of the command, the options, then those of @command
 * @command:     words of the command, NULL-terminated; {} stands for the input
 * @sources:     where the inputs come from: those of -a first
 * @source_count: 1 to CAROM_RUN_SOURCES_MAX
 * @separator:   ends an input in a file: '\n' or '\0'
 * @joblog_path: where to log what is done; NULL: nowhere
 * @resumes:     run what is not in the log only
 * @retries_failed: run what has failed as the log says; with @resumes that, too
 * @results_path: where to keep what each job writes; NULL: nowhere
 * @grouping:    of output
 * @keep_order:  output in the order of the inputs
 * @has_tag:     the input before each line of output
 * @wants_bar:   show the progress
 * @is_quiet:    say nothing of how it went
 * @wants_report: say more of how it went than what failed; on a terminal in any case
 * @has_files:   some inputs are in files that options name
 * @is_dry_run:  only show the commands
 * @job_count:   jobs at a time, 1 to CAROM_RUN_JOBS_MAX
 * @timeout_ns:  time limit of a job; 0 means none
 * @soft_timeout_ns: when it is asked to end; 0 means never
 * @limits:      of memory, CPU time and processes
 * @sandbox:     what jobs may ask of the kernel
 * @retry:       which jobs are run again
 * @halt:        what stops the run
 *
 * All strings are those of argv.
 */
struct carom_run_options {
	char *const *words;
	char *const *command;
	struct carom_run_source sources[CAROM_RUN_SOURCES_MAX];
	size_t source_count;
	const char *joblog_path;
	const char *results_path;
	uint64_t timeout_ns;
	uint64_t soft_timeout_ns;
	struct carom_run_limits limits;
	struct carom_run_sandbox sandbox;
	struct carom_run_retry retry;
	struct carom_run_halt halt;
	uint32_t job_count;
	enum carom_run_grouping grouping;
	char separator;
	bool keep_order;
	bool has_tag;
	bool wants_bar;
	bool is_quiet;
	bool wants_report;
	bool has_files;
	bool is_dry_run;
	bool resumes;
	bool retries_failed;
};

/**
 * carom_run_options_parse() - read the command line
 * @argv:       [0] is the name of the command; ":::" and ":::+" are overwritten with NULL
 * @ret_status: where nothing is to be run: the exit status, everything being said
 *
 * Return: whether there is something to run.
 */
bool carom_run_options_parse(int argc, char *argv[], struct carom_run_options *ret_options,
			     int *ret_status);

#endif
