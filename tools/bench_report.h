/*
 * Report: the results, for people
 */
#ifndef CAROM_TOOLS_BENCH_REPORT_H
#define CAROM_TOOLS_BENCH_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "tools/bench_baseline.h"
#include "tools/bench_series.h"

/**
 * carom_bench_report_series() - what its runs took
 * @number: of the series, from 1 on
 * @has_counters: runs have them
 * Return: 0, -ENOMEM.
 */
int carom_bench_report_series(const struct carom_bench_series *series, size_t number,
			      bool has_counters, FILE *file);

/** carom_bench_report_ranks() - all of them beside the fastest. Return: 0, -ENOMEM. */
int carom_bench_report_ranks(const struct carom_bench_series *series, size_t count, FILE *file);

/**
 * carom_bench_report_changes() - each beside the first of them, or the baseline
 * @baseline:   NULL: the first
 * @fail_above: what is slower by more than this share, and surely slower at all, counts as
 *              worse; below 0: nothing does
 * @ret_is_worse: is there one?
 * Return: 0, -ENOMEM.
 */
int carom_bench_report_changes(const struct carom_bench_series *series, size_t count,
			       const struct carom_bench_baseline *baseline, double fail_above,
			       FILE *file, bool *ret_is_worse);

#endif
