/*
 * Series: one command and all its runs
 */
#ifndef CAROM_TOOLS_BENCH_SERIES_H
#define CAROM_TOOLS_BENCH_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "tools/bench_options.h"
#include "tools/bench_run.h"
#include "tools/bench_statistics.h"

/**
 * struct carom_bench_line - a command that can be started
 * @text:  as given, with parameters in place
 * @words: NULL: there is none
 * @found_at: where in PATH its program is, see struct carom_spawn_options
 */
struct carom_bench_line {
	char *text;
	char **words;
	size_t found_at;
};

/**
 * struct carom_bench_series
 * @name:     what people call it; the series'
 * @command, @prepare, @setup, @cleanup: of these only the first is always there
 * @values:   of the parameters, in their order; each the series'
 * @runs:     in their order; @count of them
 * @spent_ns: sum of their times
 */
struct carom_bench_series {
	char *name;
	struct carom_bench_line command;
	struct carom_bench_line prepare;
	struct carom_bench_line setup;
	struct carom_bench_line cleanup;
	char *values[CAROM_BENCH_PARAMETERS_MAX];
	struct carom_bench_run *runs;
	size_t count;
	size_t capacity;
	uint64_t spent_ns;
};

/**
 * carom_bench_series_list() - each command with each combination of the parameters
 * @ret_series: an array, ended by carom_bench_series_list_free(); the options stay in use
 * Return: how many; or a negative exit status, everything being said.
 */
int carom_bench_series_list(const struct carom_bench_options *options,
			    struct carom_bench_series **ret_series);

void carom_bench_series_list_free(struct carom_bench_series *series, size_t count);

/** carom_bench_series_add() - Return: 0, -ENOMEM. */
int carom_bench_series_add(struct carom_bench_series *series, const struct carom_bench_run *run);

/**
 * carom_bench_series_times() - its wall times in seconds, in their order
 * Return: of @count, the caller's; NULL: no memory.
 */
double *carom_bench_series_times(const struct carom_bench_series *series);

/** carom_bench_series_sorted() - likewise, in the order of their lengths */
double *carom_bench_series_sorted(const struct carom_bench_series *series,
				  struct carom_bench_summary *ret_summary);

/** carom_bench_series_summarize() - of its times. Return: 0, -ENOMEM. */
int carom_bench_series_summarize(const struct carom_bench_series *series,
				 struct carom_bench_summary *ret_summary);

/** carom_bench_series_peak() - the most memory that a run has had */
uint64_t carom_bench_series_peak(const struct carom_bench_series *series);

/** carom_bench_series_mean() - of a uint64_t in struct carom_bench_run, over all runs */
#define carom_bench_series_mean(series, member) \
	carom_bench_series_mean_at(series, offsetof(struct carom_bench_run, member))
double carom_bench_series_mean_at(const struct carom_bench_series *series, size_t offset);

#endif
