/*
 * Options of carom bench: what the command line says.
 */
#ifndef CAROM_TOOLS_BENCH_OPTIONS_H
#define CAROM_TOOLS_BENCH_OPTIONS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAROM_BENCH_RUNS_MAX       1000000
#define CAROM_BENCH_PARAMETERS_MAX 8

/** enum carom_bench_order - in which order runs of several commands follow each other */
enum carom_bench_order {
	CAROM_BENCH_ROUNDS,   /* one run of each, then again: what changes slowly meets them all */
	CAROM_BENCH_RANDOM,   /* the same, each round in an order of its own */
	CAROM_BENCH_SEQUENCE, /* all of one, then all of the next */
};

/**
 * struct carom_bench_parameter - {NAME} in a command, and what takes its place
 * @values: "a,b,c"
 */
struct carom_bench_parameter {
	const char *name;
	const char *values;
};

/**
 * struct carom_bench_options - what to time, and how
 * @commands:  each one string
 * @names:     in their order, from -n; @name_count may be less
 * @prepares:  run before each run: one for all, or one for each command
 * @setup, @cleanup: run before the first and after the last run of a command; or NULL
 * @shell:     has commands run by it; NULL: by nobody
 * @input_path: their standard input; NULL: /dev/null
 * @output:    their standard output and error: NULL for /dev/null, "inherit", or a file
 * @run_count: exactly so many; 0: see the three below
 * @min_count, @max_count: of runs
 * @time_ns:   runs go on for so long, for each command
 * @until:     instead of @time_ns: until the interval of the median is so narrow, as a
 *             share of it; 0 none
 * @warmup_count: runs before, which do not count
 * @timeout_ns: for each run; 0 none
 * @cpus:      where commands may run, if @is_pinned
 * @memory_bytes: their limit of memory; 0 none
 * @json_path, @csv_path, @markdown_path, @svg_path: where results go; NULL nowhere
 * @baseline_path: results of an earlier time to compare with; NULL none
 * @fail_above: exit with an error if a command is slower than the baseline, or than the
 *             first command, by more than this share; below 0: never
 *
 * All strings are those of argv; the arrays are ended by carom_bench_options_deinit().
 */
struct carom_bench_options {
	char *const *commands;
	size_t command_count;
	const char **names;
	size_t name_count;
	const char **prepares;
	size_t prepare_count;
	struct carom_bench_parameter parameters[CAROM_BENCH_PARAMETERS_MAX];
	size_t parameter_count;
	const char *setup;
	const char *cleanup;
	const char *shell;
	const char *input_path;
	const char *output;
	uint32_t run_count;
	uint32_t min_count;
	uint32_t max_count;
	uint32_t warmup_count;
	uint64_t time_ns;
	uint64_t timeout_ns;
	double until;
	enum carom_bench_order order;
	cpu_set_t cpus;
	bool is_pinned;
	bool ignores_failure;
	bool is_quiet;
	uint64_t memory_bytes;
	const char *json_path;
	const char *csv_path;
	const char *markdown_path;
	const char *svg_path;
	const char *baseline_path;
	double fail_above;
};

/**
 * carom_bench_options_parse() - read the command line
 * @ret_status: where nothing is to be timed: the exit status, everything being said
 *
 * Return: whether there is something to time; then the options are the caller's.
 */
bool carom_bench_options_parse(int argc, char *argv[], struct carom_bench_options *ret_options,
			       int *ret_status);

void carom_bench_options_deinit(struct carom_bench_options *options);

#endif
