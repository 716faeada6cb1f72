/*
 * Baseline: results of an earlier time, as --export-json wrote them
 */
#ifndef CAROM_TOOLS_BENCH_BASELINE_H
#define CAROM_TOOLS_BENCH_BASELINE_H

#include <stdbool.h>
#include <stddef.h>

struct carom_bench_baseline;

/**
 * carom_bench_baseline_load() - of carom bench or of hyperfine
 * @ret_baseline: the caller's, ended by carom_bench_baseline_free()
 * Return: 0, or -EINVAL, -ENOMEM, with everything said.
 */
int carom_bench_baseline_load(const char *path, struct carom_bench_baseline **ret_baseline);

struct carom_bench_baseline *carom_bench_baseline_free(struct carom_bench_baseline *baseline);

/** carom_bench_baseline_has() - is there a command of this name? */
bool carom_bench_baseline_has(const struct carom_bench_baseline *baseline, const char *name);

/**
 * carom_bench_baseline_times() - the times of the command of this name, in seconds, sorted
 * @ret_times: the caller's
 * Return: how many, 0 if it has none, -ENOMEM.
 */
int carom_bench_baseline_times(const struct carom_bench_baseline *baseline, const char *name,
			       double **ret_times);

#endif
