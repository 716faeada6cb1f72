/*
 * Noise
 *
 * An outlier is a run farther from the median than ten times what is usual (MAD). What is
 * told of it is what the kernel counted in it and not in the others: that is a hint to a
 * cause and no proof of one.
 */
#include "tools/bench_noise.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/small_file.h"
#include "core/time.h"

#define OUTLIER_MADS   10
#define SHELL_MATTERS  0.005 /* seconds */
#define STEAL_MATTERS  0.01
#define LOAD_MATTERS   0.5 /* of the CPUs, beside the command */
#define STALLS_MATTERS 5.0 /* per cent of the last ten seconds */

/* ---- the machine ---- */

static bool read_text(const char *path, char *text, size_t size)
{
	return carom_small_file_read(AT_FDCWD, path, text, size) > 0;
}

/* "cpu  user nice system idle iowait irq softirq steal ..." */
void carom_bench_noise_begin(struct carom_bench_noise *ret_noise)
{
	uint64_t ticks[8] = { 0 };
	char text[256];

	*ret_noise = (struct carom_bench_noise){ 0 };
	if (!read_text("/proc/stat", text, sizeof(text)))
		return;
	if (sscanf(text,
		   "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		   " %" SCNu64 " %" SCNu64,
		   &ticks[0], &ticks[1], &ticks[2], &ticks[3], &ticks[4], &ticks[5], &ticks[6],
		   &ticks[7]) != 8)
		return;
	for (size_t i = 0; i < 8; i++)
		ret_noise->all_ticks += ticks[i];
	ret_noise->stolen_ticks = ticks[7];
	ret_noise->busy_ticks = ret_noise->all_ticks - ticks[3] - ticks[4] - ticks[7];
}

static void tell_shares(const struct carom_bench_noise *begun, FILE *file)
{
	struct carom_bench_noise now;
	double all, stolen, busy, cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);

	carom_bench_noise_begin(&now);
	all = (double)(now.all_ticks - begun->all_ticks);
	if (all <= 0)
		return;
	stolen = (double)(now.stolen_ticks - begun->stolen_ticks) / all;
	busy = (double)(now.busy_ticks - begun->busy_ticks) / all * cpus;
	if (stolen > STEAL_MATTERS)
		fprintf(file, "  %.1f %% of the time went to other virtual machines (steal)\n",
			100 * stolen);
	if (busy > 1 + LOAD_MATTERS * cpus)
		fprintf(file,
			"  %.1f of %.0f CPUs were busy: other programs were running, or the "
			"command uses several\n",
			busy, cpus);
}

static void tell_governor(FILE *file)
{
	char text[64];

	if (!read_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", text, sizeof(text)))
		return;
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, "performance") != 0)
		fprintf(file,
			"  the CPUs change their frequency (governor '%s'): cpupower "
			"frequency-set -g performance\n",
			text);
}

static void tell_pressure(FILE *file)
{
	char text[256];
	double share;

	if (read_text("/proc/pressure/cpu", text, sizeof(text)) &&
	    sscanf(text, "some avg10=%lf", &share) == 1 && share > STALLS_MATTERS)
		fprintf(file, "  for %.0f %% of the last seconds somebody waited for a CPU\n",
			share);
}

void carom_bench_noise_tell_machine(const struct carom_bench_noise *begun, FILE *file)
{
	tell_shares(begun, file);
	tell_pressure(file);
	tell_governor(file);
}

/* ---- the runs ---- */

static double preemptions_of(const struct carom_bench_run *run)
{
	return (double)run->preemptions;
}

static double waits_of(const struct carom_bench_run *run)
{
	return (double)run->waits;
}

static double major_faults_of(const struct carom_bench_run *run)
{
	return (double)run->major_faults;
}

static double minor_faults_of(const struct carom_bench_run *run)
{
	return (double)run->minor_faults;
}

static double throttled_of(const struct carom_bench_run *run)
{
	return (double)run->throttled_ns * 1e-6;
}

static const struct {
	const char *name;
	double (*of)(const struct carom_bench_run *run);
} causes[] = {
	{ "preemptions", preemptions_of },   { "waits", waits_of },
	{ "major faults", major_faults_of }, { "minor faults", minor_faults_of },
	{ "ms throttled", throttled_of },
};

struct outliers {
	const struct carom_bench_series *series;
	double low, high; /* what is beyond them is one */
	size_t count;
	bool has_first;
};

static bool is_outlier(const struct outliers *outliers, size_t i)
{
	double time = (double)outliers->series->runs[i].wall_ns * 1e-9;

	return time < outliers->low || time > outliers->high;
}

static void tell_causes(const struct outliers *outliers, FILE *file)
{
	const struct carom_bench_series *series = outliers->series;
	const char *separator = "; in them: ";

	for (size_t k = 0; k < sizeof(causes) / sizeof(*causes); k++) {
		double in = 0, out = 0;

		for (size_t i = 0; i < series->count; i++)
			*(is_outlier(outliers, i) ? &in : &out) += causes[k].of(&series->runs[i]);
		in /= (double)outliers->count;
		out /= (double)(series->count - outliers->count);
		if (in < 2 * out || in - out < 1)
			continue;
		fprintf(file, "%s%.3g %s (else %.3g)", separator, in, causes[k].name, out);
		separator = ", ";
	}
	fputc('\n', file);
}

static void tell_outliers(const struct outliers *outliers, FILE *file)
{
	if (outliers->count == 0 || outliers->count == outliers->series->count)
		return;
	fprintf(file, "  %s: %zu of %zu runs far from the others", outliers->series->name,
		outliers->count, outliers->series->count);
	tell_causes(outliers, file);
	if (outliers->has_first && outliers->count == 1)
		fprintf(file, "  it was the first: caches were cold; -w warms them\n");
}

int carom_bench_noise_tell_series(const struct carom_bench_series *series, bool has_shell,
				  FILE *file)
{
	struct outliers outliers = { .series = series };
	struct carom_bench_summary summary;
	double usual;

	if (carom_bench_series_summarize(series, &summary) < 0)
		return -ENOMEM;
	usual = fmax(summary.mad, summary.median * 0.001);
	outliers.low = summary.median - OUTLIER_MADS * usual;
	outliers.high = summary.median + OUTLIER_MADS * usual;
	for (size_t i = 0; i < series->count; i++)
		outliers.count += is_outlier(&outliers, i);
	outliers.has_first = is_outlier(&outliers, 0);
	tell_outliers(&outliers, file);
	if (has_shell && summary.median < SHELL_MATTERS)
		fprintf(file, "  %s: much of the time is the shell's; without -S there is none\n",
			series->name);
	return 0;
}
