/*
 * carom bench
 *
 * Commands (bench_series.h) are run (bench_run.h) by turns until enough is known of each,
 * and what came out is told (bench_report.h, bench_noise.h, bench_export.h). One thread, which
 * sleeps while a command runs.
 *
 *   I1  Ctrl-C, and whatever else ends a measurement, ends it between two runs or kills the
 *       one that is under way: the runs before it are told.
 *   I2  A run that failed is no measurement: without -i it is the last one.
 */
#include "tools/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cgroup_group.h"
#include "core/cleanup.h"
#include "core/time.h"
#include "tools/bar.h"
#include "tools/bench_baseline.h"
#include "tools/bench_export.h"
#include "tools/bench_noise.h"
#include "tools/bench_options.h"
#include "tools/bench_report.h"
#include "tools/bench_series.h"
#include "tools/figure.h"
#include "tools/say.h"
#include "tools/stop_signals.h"

#define STATUS_FAILED  1
#define STATUS_WORSE   2
#define STATUS_STOPPED 130

/* Before this many runs an interval says nothing. */
#define RUNS_TO_KNOW 10

struct bench {
	const struct carom_bench_options *options;
	struct carom_bench_place place; /* of what is timed */
	struct carom_cgroup_limits limits;
	int counters_error;
	struct carom_bench_series *series;
	size_t count;
	struct carom_bench_baseline *baseline;
	struct carom_bench_noise noise;
	struct carom_bar bar;
	uint64_t run_count;
	uint64_t random;
};

/* ---- the place ---- */

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0666);

	if (fd < 0)
		carom_say("%s: %s", path, strerror(errno));
	return fd;
}

static int open_output(const char *output, int *ret_fd)
{
	*ret_fd = -1;
	if (output && strcmp(output, "inherit") == 0)
		return 0;
	*ret_fd = open_file(output ? output : "/dev/null",
			    output ? O_WRONLY | O_CREAT | O_TRUNC : O_WRONLY);
	return *ret_fd < 0 ? -EIO : 0;
}

/* A group of its own for each run is had where it can be; a limit of memory needs one. */
static int try_groups(struct bench *bench)
{
	char reason[CAROM_CGROUP_REASON_SIZE];
	int r = carom_bench_place_make_group(&bench->place, reason);

	bench->place.has_groups = r == 0;
	if (r == 0)
		return 0;
	if (!bench->place.limits)
		return 0;
	carom_say("--memory: %s", reason);
	carom_say_more("'carom doctor' tells what limits can rest on here");
	return r;
}

static void try_counters(struct bench *bench)
{
	struct carom_bench_counters counters;
	uint64_t values[CAROM_BENCH_COUNTERS];

	bench->counters_error = carom_bench_counters_open(&counters);
	if (bench->counters_error)
		return;
	bench->place.counts = true;
	(void)carom_bench_counters_take(&counters, values);
}

static int open_place(struct bench *bench)
{
	const struct carom_bench_options *options = bench->options;
	struct carom_bench_place *place = &bench->place;

	place->cpus = options->cpus;
	place->is_pinned = options->is_pinned;
	place->timeout_ns = options->timeout_ns;
	if (options->memory_bytes) {
		bench->limits =
			CAROM_CGROUP_LIMITS(.memory_bytes = options->memory_bytes, .oom_group = 1);
		place->limits = &bench->limits;
	}
	place->signals_fd = carom_stop_signals_open();
	place->stdin_fd =
		open_file(options->input_path ? options->input_path : "/dev/null", O_RDONLY);
	if (place->signals_fd < 0 || place->stdin_fd < 0 ||
	    open_output(options->output, &place->output_fd) < 0)
		return -EIO;
	try_counters(bench);
	return try_groups(bench);
}

static void close_place(struct bench *bench)
{
	carom_closep(&bench->place.signals_fd);
	carom_closep(&bench->place.stdin_fd);
	carom_closep(&bench->place.output_fd);
	bench->place.group = carom_cgroup_free(bench->place.group);
	(void)carom_cgroup_bury_until(carom_deadline_after(CAROM_NS_PER_SEC));
}

/* ---- one run ---- */

static void show(struct bench *bench, const struct carom_bench_series *series)
{
	char note[64];

	if (bench->options->is_quiet)
		return;
	snprintf(note, sizeof(note), "%.40s", series->name);
	carom_bar_draw(&bench->bar, &(struct carom_bar_progress){ .done_count = bench->run_count,
								  .note = note });
}

static bool has_failed(const struct carom_bench_run *run)
{
	return run->exit.kind != CAROM_EXIT_EXITED || run->exit.status != 0;
}

static int tell_failure(const char *what, const struct carom_bench_line *line,
			const struct carom_bench_run *run)
{
	char text[32];

	if (run->error)
		carom_say("%s'%s': cannot be started: %s", what, line->text, strerror(-run->error));
	else if (run->is_timed_out)
		carom_say("%s'%s': timed out", what, line->text);
	else if (run->is_over_memory)
		carom_say("%s'%s': killed at its limit of memory", what, line->text);
	else
		carom_say("%s'%s': %s", what, line->text,
			  carom_exit_text(&run->exit, text, sizeof(text)));
	return STATUS_FAILED;
}

static int status_of(int error)
{
	return error == -EINTR ? STATUS_STOPPED : CAROM_EXIT_ERROR;
}

/* What is not timed itself: as long as it takes, without limits. Return: 0 or an exit status. */
static int run_beside(struct bench *bench, const char *what, struct carom_bench_line *line)
{
	struct carom_bench_place place = bench->place;
	struct carom_bench_run run;
	int r;

	if (!line->words)
		return 0;
	place.is_pinned = place.counts = place.has_groups = false;
	place.timeout_ns = 0;
	r = carom_bench_run(&place, line->words, &line->found_at, &run);
	if (r < 0)
		return status_of(r);
	if (!run.error && !has_failed(&run))
		return 0;
	carom_bar_clear(&bench->bar);
	return tell_failure(what, line, &run);
}

/* Return: 0, or the exit status with which all ends. */
static int run_once(struct bench *bench, struct carom_bench_series *series, bool counts)
{
	struct carom_bench_run run;
	int r = run_beside(bench, "--prepare ", &series->prepare);

	if (r)
		return r;
	show(bench, series);
	r = carom_bench_run(&bench->place, series->command.words, &series->command.found_at, &run);
	if (r < 0)
		return status_of(r);
	bench->run_count++;
	if (run.error || (has_failed(&run) && !bench->options->ignores_failure)) {
		carom_bar_clear(&bench->bar);
		r = tell_failure("", &series->command, &run);
		if (!run.error)
			carom_say_more("-i goes on all the same");
		return r;
	}
	if (counts && carom_bench_series_add(series, &run) < 0) {
		carom_say("no memory for more runs");
		return CAROM_EXIT_ERROR;
	}
	return 0;
}

/* ---- all runs ---- */

static bool is_known(const struct bench *bench, const struct carom_bench_series *series)
{
	struct carom_bench_summary summary;

	if (series->count < RUNS_TO_KNOW || carom_bench_series_summarize(series, &summary) < 0)
		return false;
	return summary.high - summary.low <= bench->options->until * summary.median;
}

static bool is_enough(const struct bench *bench, const struct carom_bench_series *series)
{
	const struct carom_bench_options *options = bench->options;

	if (options->run_count)
		return series->count >= options->run_count;
	if (series->count < options->min_count)
		return false;
	if (series->count >= options->max_count)
		return true;
	return options->until > 0 ? is_known(bench, series) : series->spent_ns >= options->time_ns;
}

static int begin(struct bench *bench, struct carom_bench_series *series)
{
	int r = run_beside(bench, "--setup ", &series->setup);

	for (uint32_t i = 0; i < bench->options->warmup_count && r == 0; i++)
		r = run_once(bench, series, false);
	return r;
}

static int run_all_of(struct bench *bench, struct carom_bench_series *series)
{
	int r = begin(bench, series);

	while (r == 0 && !is_enough(bench, series))
		r = run_once(bench, series, true);
	return r;
}

/* Fisher and Yates; the dice need not be good ones. */
static void shuffle(struct bench *bench, size_t *order)
{
	for (size_t i = bench->count; i > 1; i--) {
		size_t k, kept;

		bench->random = bench->random * 6364136223846793005 + 1442695040888963407;
		k = (size_t)(bench->random >> 33) % i;
		kept = order[i - 1];
		order[i - 1] = order[k];
		order[k] = kept;
	}
}

/* Return: 0, an exit status, or -1: all have enough. */
static int run_round(struct bench *bench, size_t *order)
{
	bool any = false;

	if (bench->options->order == CAROM_BENCH_RANDOM)
		shuffle(bench, order);
	for (size_t i = 0; i < bench->count; i++) {
		struct carom_bench_series *series = &bench->series[order[i]];
		int r;

		if (is_enough(bench, series))
			continue;
		any = true;
		r = run_once(bench, series, true);
		if (r)
			return r;
	}
	return any ? 0 : -1;
}

static int run_in_rounds(struct bench *bench)
{
	size_t *order = calloc(bench->count, sizeof(*order));
	int r = order ? 0 : CAROM_EXIT_ERROR;

	for (size_t i = 0; i < bench->count && r == 0; i++) {
		order[i] = i;
		r = begin(bench, &bench->series[i]);
	}
	while (r == 0)
		r = run_round(bench, order);
	free(order);
	return r < 0 ? 0 : r;
}

static int run_all(struct bench *bench)
{
	int r = 0, cleaned;

	carom_bar_init(&bench->bar, "runs");
	carom_bench_noise_begin(&bench->noise);
	if (bench->options->order == CAROM_BENCH_SEQUENCE)
		for (size_t i = 0; i < bench->count && r == 0; i++)
			r = run_all_of(bench, &bench->series[i]);
	else
		r = run_in_rounds(bench);
	for (size_t i = 0; i < bench->count; i++) {
		cleaned = run_beside(bench, "--cleanup ", &bench->series[i].cleanup);
		r = r ? r : cleaned;
	}
	carom_bar_clear(&bench->bar);
	return r;
}

/* ---- what came out ---- */

/* Those that have runs come first. Return: how many. */
static size_t gather_measured(struct bench *bench)
{
	size_t measured = 0;

	while (measured < bench->count && bench->series[measured].count > 0)
		measured++;
	return measured;
}

static int write_noise(struct bench *bench, size_t count, FILE *file)
{
	char *text = NULL;
	size_t size = 0;
	FILE *lines = open_memstream(&text, &size);
	int r = lines ? 0 : -ENOMEM;

	if (r == 0)
		carom_bench_noise_tell_machine(&bench->noise, lines);
	for (size_t i = 0; i < count && r == 0; i++)
		r = carom_bench_noise_tell_series(&bench->series[i], bench->options->shell, lines);
	if (lines && fclose(lines) != 0)
		r = -ENOMEM;
	if (r == 0 && size > 0)
		fprintf(file, "Noise:\n%s", text);
	free(text);
	return r;
}

static int write_report(struct bench *bench, size_t count, FILE *file, bool *ret_is_worse)
{
	double fail_above = bench->options->fail_above;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = carom_bench_report_series(&bench->series[i], i + 1, !bench->counters_error,
					      file);
	if (bench->counters_error)
		fprintf(file, "No counters of the processor: %s\n",
			bench->counters_error == -ENOENT || bench->counters_error == -EOPNOTSUPP
				? "this machine has none, as most virtual ones"
				: strerror(-bench->counters_error));
	if (r == 0 && count > 1)
		r = carom_bench_report_ranks(bench->series, count, file);
	if (r == 0 && (bench->baseline || (fail_above >= 0 && count > 1)))
		r = carom_bench_report_changes(bench->series, count, bench->baseline, fail_above,
					       file, ret_is_worse);
	return r < 0 ? r : write_noise(bench, count, file);
}

/* Return: 0 or an exit status. */
static int report(struct bench *bench)
{
	size_t size, count = gather_measured(bench);
	bool is_worse = false;
	char *text = NULL;
	FILE *file;
	int r, status;

	if (count == 0)
		return 0;
	file = open_memstream(&text, &size);
	r = file ? write_report(bench, count, file, &is_worse) : -ENOMEM;
	if (file && fclose(file) != 0)
		r = -ENOMEM;
	if (r < 0)
		carom_say("no memory for the report");
	status = r < 0 ? CAROM_EXIT_ERROR : carom_print(text);
	free(text);
	r = carom_bench_export(bench->options, bench->series, count);
	if (status || r)
		return status ? status : r;
	return is_worse ? STATUS_WORSE : 0;
}

/* Before anything is run: a name that is not there would pass --fail-on unseen. */
static int find_all_in_baseline(const struct bench *bench)
{
	for (size_t i = 0; i < bench->count && bench->baseline; i++) {
		const char *name = bench->series[i].name;

		if (carom_bench_baseline_has(bench->baseline, name))
			continue;
		carom_say("--compare: '%s' is not in %s", name, bench->options->baseline_path);
		carom_say_more("-n gives a command the name that it has there");
		return -ENOENT;
	}
	return 0;
}

static int run_bench(struct bench *bench)
{
	const struct carom_bench_options *options = bench->options;
	int status, told;
	int r;

	if (options->baseline_path &&
	    carom_bench_baseline_load(options->baseline_path, &bench->baseline) < 0)
		return CAROM_EXIT_ERROR;
	r = carom_bench_series_list(options, &bench->series);
	if (r < 0)
		return -r;
	bench->count = (size_t)r;
	if (find_all_in_baseline(bench) < 0)
		return CAROM_EXIT_ERROR;
	status = open_place(bench) < 0 ? CAROM_EXIT_ERROR : run_all(bench);
	told = report(bench);
	return status ? status : told;
}

int carom_bench_main(int argc, char *argv[])
{
	struct carom_bench_options options;
	struct bench bench = {
		.options = &options,
		.place = { .signals_fd = -1, .stdin_fd = -1, .output_fd = -1 },
		.random = carom_now(),
	};
	int status;

	if (!carom_bench_options_parse(argc, argv, &options, &status))
		return status;
	status = run_bench(&bench);
	close_place(&bench);
	carom_bench_series_list_free(bench.series, bench.count);
	bench.baseline = carom_bench_baseline_free(bench.baseline);
	carom_bench_options_deinit(&options);
	return status;
}
