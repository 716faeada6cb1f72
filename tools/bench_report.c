/*
 * Report
 *
 * All times of a series have the unit of its median, and as many digits as tell one from
 * another.
 */
#include "tools/bench_report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/figure.h"

#define SURE 0.05 /* p below this is a difference */

/* ---- times ---- */

struct unit {
	const char *name;
	double seconds;
	int digits; /* after the point */
};

/* Four digits of the median. */
static struct unit unit_for(double seconds)
{
	struct unit unit = { "us", 1e-6, 0 };

	if (seconds >= 1)
		unit = (struct unit){ "s", 1, 0 };
	else if (seconds >= 1e-3)
		unit = (struct unit){ "ms", 1e-3, 0 };
	for (double value = seconds / unit.seconds; value < 1000 && unit.digits < 3; value *= 10)
		unit.digits++;
	return unit;
}

static void print_time(const struct unit *unit, double seconds, FILE *file)
{
	fprintf(file, "%.*f", unit->digits, seconds / unit->seconds);
}

static void print_interval(const struct unit *unit, double low, double high, FILE *file)
{
	print_time(unit, low, file);
	fputs(" .. ", file);
	print_time(unit, high, file);
	fprintf(file, " %s", unit->name);
}

/* ---- a series ---- */

static void print_spread(const struct carom_bench_summary *summary, const struct unit *unit,
			 size_t count, FILE *file)
{
	fputs("  median   ", file);
	print_time(unit, summary->median, file);
	fprintf(file, " %s   ", unit->name);
	fputs(count < 6 ? "[" : "95 % [", file);
	print_interval(unit, summary->low, summary->high, file);
	fputs("]\n  mean     ", file);
	print_time(unit, summary->mean, file);
	fprintf(file, " %s ± ", unit->name);
	print_time(unit, summary->deviation, file);
	fputs("\n  range    ", file);
	print_interval(unit, summary->min, summary->max, file);
	if (summary->p90 > 0) {
		fputs("   p90 ", file);
		print_time(unit, summary->p90, file);
	}
	if (summary->p99 > 0) {
		fputs("  p99 ", file);
		print_time(unit, summary->p99, file);
	}
	fprintf(file, "   %zu run%s\n", count, count == 1 ? "" : "s");
}

static void print_use(const struct carom_bench_series *series, FILE *file)
{
	fprintf(file, "  uses     user %s, system %s, peak memory %s\n",
		carom_figure_time((uint64_t)carom_bench_series_mean(series, user_ns)).text,
		carom_figure_time((uint64_t)carom_bench_series_mean(series, system_ns)).text,
		carom_figure_bytes(carom_bench_series_peak(series)).text);
	fprintf(file, "  each     %.4g faults (%.3g from disk), %.4g waits, %.4g preemptions\n",
		carom_bench_series_mean(series, minor_faults) +
			carom_bench_series_mean(series, major_faults),
		carom_bench_series_mean(series, major_faults),
		carom_bench_series_mean(series, waits),
		carom_bench_series_mean(series, preemptions));
}

static void print_counters(const struct carom_bench_series *series, FILE *file)
{
	const char *separator = "  counts   ";

	for (size_t i = 0; i < CAROM_BENCH_COUNTERS; i++) {
		fprintf(file, "%s%.4g %s", separator, carom_bench_series_mean(series, counters[i]),
			carom_bench_counter_names[i]);
		separator = ", ";
	}
	fputc('\n', file);
}

static void print_ends(const struct carom_bench_series *series, FILE *file)
{
	size_t failed = 0;
	char text[32];

	for (size_t i = 0; i < series->count; i++)
		if (series->runs[i].exit.kind != CAROM_EXIT_EXITED || series->runs[i].exit.status)
			failed++;
	if (failed == 0)
		return;
	for (size_t i = 0; i < series->count; i++) {
		const struct carom_bench_run *run = &series->runs[i];

		if (run->exit.kind == CAROM_EXIT_EXITED && run->exit.status == 0)
			continue;
		fprintf(file, "  failed   %zu of %zu, the first of them: %s%s\n", failed,
			series->count, carom_exit_text(&run->exit, text, sizeof(text)),
			run->is_timed_out     ? ", timed out"
			: run->is_over_memory ? ", memory limit"
					      : "");
		break;
	}
}

int carom_bench_report_series(const struct carom_bench_series *series, size_t number,
			      bool has_counters, FILE *file)
{
	struct carom_bench_summary summary;
	struct unit unit;

	if (carom_bench_series_summarize(series, &summary) < 0)
		return -ENOMEM;
	unit = unit_for(summary.median);
	fprintf(file, "%zu: %s\n", number, series->name);
	print_spread(&summary, &unit, series->count, file);
	print_use(series, file);
	if (has_counters)
		print_counters(series, file);
	print_ends(series, file);
	fputc('\n', file);
	return 0;
}

/* ---- series beside each other ---- */

static int compare(const struct carom_bench_series *first, const double *times, size_t count,
		   struct carom_bench_comparison *ret_comparison)
{
	struct carom_bench_summary summary;
	double *own = carom_bench_series_sorted(first, &summary);
	int r = own ? carom_bench_compare(own, first->count, times, count, ret_comparison)
		    : -ENOMEM;

	free(own);
	return r;
}

static double median_of(const struct carom_bench_series *series)
{
	struct carom_bench_summary summary;

	return carom_bench_series_summarize(series, &summary) < 0 ? INFINITY : summary.median;
}

static size_t fastest_of(const struct carom_bench_series *series, size_t count)
{
	double best = INFINITY;
	size_t fastest = 0;

	for (size_t i = 0; i < count; i++) {
		double median = median_of(&series[i]);

		if (median < best) {
			best = median;
			fastest = i;
		}
	}
	return fastest;
}

static void print_certainty(const struct carom_bench_comparison *comparison, FILE *file)
{
	if (comparison->p >= SURE)
		fprintf(file, "no sure difference (p = %.2f)\n", comparison->p);
	else if (comparison->p < 0.001)
		fprintf(file, "p < 0.001\n");
	else
		fprintf(file, "p = %.3f\n", comparison->p);
}

int carom_bench_report_ranks(const struct carom_bench_series *series, size_t count, FILE *file)
{
	size_t fastest = fastest_of(series, count);
	struct carom_bench_summary summary;
	double *times = carom_bench_series_sorted(&series[fastest], &summary);
	struct carom_bench_comparison comparison;
	int r = times ? 0 : -ENOMEM;

	if (r == 0)
		fprintf(file, "Fastest: %s\n", series[fastest].name);
	for (size_t i = 0; i < count && r == 0; i++) {
		if (i == fastest)
			continue;
		r = compare(&series[i], times, series[fastest].count, &comparison);
		if (r < 0)
			break;
		fprintf(file, "  %.3f times its time [%.3f .. %.3f] took %s: ", comparison.ratio,
			comparison.low, comparison.high, series[i].name);
		print_certainty(&comparison, file);
	}
	free(times);
	return r;
}

static bool is_worse(const struct carom_bench_comparison *comparison, double fail_above)
{
	return fail_above >= 0 && comparison->ratio > 1 + fail_above && comparison->low > 1;
}

/* Returns how many times there are to compare with, or -ENOMEM. */
static int find_reference(const struct carom_bench_series *series,
			  const struct carom_bench_series *first,
			  const struct carom_bench_baseline *baseline, double **ret_times)
{
	struct carom_bench_summary summary;

	if (baseline)
		return carom_bench_baseline_times(baseline, series->name, ret_times);
	if (series == first)
		return 0;
	*ret_times = carom_bench_series_sorted(first, &summary);
	return *ret_times ? (int)first->count : -ENOMEM;
}

int carom_bench_report_changes(const struct carom_bench_series *series, size_t count,
			       const struct carom_bench_baseline *baseline, double fail_above,
			       FILE *file, bool *ret_is_worse)
{
	*ret_is_worse = false;
	fprintf(file, "Beside %s:\n", baseline ? "the stored results" : series->name);
	for (size_t i = 0; i < count; i++) {
		struct carom_bench_comparison comparison;
		double *times = NULL;
		int r = find_reference(&series[i], series, baseline, &times);

		if (r == 0)
			continue;
		if (r > 0)
			r = compare(&series[i], times, (size_t)r, &comparison);
		free(times);
		if (r < 0)
			return r;
		fprintf(file, "  %s: %+.1f %% [%+.1f .. %+.1f], ", series[i].name,
			100 * (comparison.ratio - 1), 100 * (comparison.low - 1),
			100 * (comparison.high - 1));
		print_certainty(&comparison, file);
		if (is_worse(&comparison, fail_above)) {
			fprintf(file, "    slower by more than %.3g %%\n", 100 * fail_above);
			*ret_is_worse = true;
		}
	}
	return 0;
}
