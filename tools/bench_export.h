/*
 * Export: the results, for programs and documents
 *
 * Each writes a file of its own, whole or not at all: into a new one beside it, which then
 * takes its name.
 */
#ifndef CAROM_TOOLS_BENCH_EXPORT_H
#define CAROM_TOOLS_BENCH_EXPORT_H

#include <stdio.h>

#include "tools/bench_options.h"
#include "tools/bench_series.h"

/** carom_bench_export() - to all files that @options name. Return: 0 or an exit status, all being said. */
int carom_bench_export(const struct carom_bench_options *options,
		       const struct carom_bench_series *series, size_t count);

/** carom_bench_plot() - the picture, as SVG: every run of every command. Return: 0, -ENOMEM. */
int carom_bench_plot(const struct carom_bench_series *series, size_t count, FILE *file);

#endif
