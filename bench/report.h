/*
 * Report
 *
 * What was measured, for people (a table for each row, and one of the bars), for
 * programs (JSON), and as a picture (by gnuplot).
 */
#ifndef CAROM_BENCH_REPORT_H
#define CAROM_BENCH_REPORT_H

#include <stdio.h>

#include "bench/run.h"
#include "bench/table.h"

/** bench_report_machine() - on what it runs, and how the tables are to be read */
void bench_report_machine(const struct bench_plan *plan, enum bench_table_style style, FILE *file);

/** bench_report_row() - one row's table */
void bench_report_row(const struct bench_row *row, enum bench_table_style style, FILE *file);

/** bench_report_bars() - each bar: its limit, what was measured, pass or miss */
void bench_report_bars(const struct bench_row *rows, size_t row_count, enum bench_table_style style,
		       FILE *file);

/** bench_report_json() - everything, rounds included */
void bench_report_json(const struct bench_plan *plan, const struct bench_row *rows,
		       size_t row_count, FILE *file);

/**
 * bench_report_plot() - the medians as an SVG picture in @path, its script in @path.gnuplot
 * Return: 0, -ENOENT (gnuplot is not installed, nothing was written), -EIO (gnuplot
 * failed), or what fopen(3) says.
 */
int bench_report_plot(const struct bench_row *rows, size_t row_count, const char *path);

#endif
