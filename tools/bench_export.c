/*
 * Export
 *
 * JSON has hyperfine's fields under hyperfine's names, times in seconds, so that what reads
 * those reads these, and more beside them.
 */
#include "tools/bench_export.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tools/say.h"

struct results {
	const struct carom_bench_options *options;
	const struct carom_bench_series *series;
	size_t count;
};

/* ---- JSON ---- */

static json_t *json_of_runs(const struct carom_bench_series *series,
			    json_t *(*of)(const struct carom_bench_run *run))
{
	json_t *array = json_array();

	for (size_t i = 0; i < series->count; i++)
		json_array_append_new(array, of(&series->runs[i]));
	return array;
}

static json_t *time_of(const struct carom_bench_run *run)
{
	return json_real((double)run->wall_ns * 1e-9);
}

static json_t *exit_code_of(const struct carom_bench_run *run)
{
	return run->exit.kind == CAROM_EXIT_EXITED ? json_integer(run->exit.status) : json_null();
}

static json_t *peak_of(const struct carom_bench_run *run)
{
	return json_integer((json_int_t)run->peak_bytes);
}

static json_t *json_of_parameters(const struct carom_bench_options *options,
				  const struct carom_bench_series *series)
{
	json_t *object = json_object();

	for (size_t i = 0; i < options->parameter_count; i++)
		json_object_set_new(object, options->parameters[i].name,
				    json_string(series->values[i]));
	return object;
}

static json_t *json_of_series(const struct carom_bench_options *options,
			      const struct carom_bench_series *series)
{
	struct carom_bench_summary summary;

	if (carom_bench_series_summarize(series, &summary) < 0)
		return NULL;
	return json_pack("{s:s s:s s:f s:f s:f s:f s:f s:f s:f s:{s:f s:f} s:f s:o s:o s:o s:o}",
			 "command", series->name, "command_line", series->command.text, "mean",
			 summary.mean, "stddev", summary.deviation, "median", summary.median,
			 "user", 1e-9 * carom_bench_series_mean(series, user_ns), "system",
			 1e-9 * carom_bench_series_mean(series, system_ns), "min", summary.min,
			 "max", summary.max, "median_95", "low", summary.low, "high", summary.high,
			 "mad", summary.mad, "times", json_of_runs(series, time_of), "exit_codes",
			 json_of_runs(series, exit_code_of), "memory_usage_byte",
			 json_of_runs(series, peak_of), "parameters",
			 json_of_parameters(options, series));
}

static json_t *json_of_machine(void)
{
	struct utsname name;
	char date[32] = "";
	time_t now = time(NULL);
	struct tm utc;

	uname(&name);
	if (gmtime_r(&now, &utc))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &utc);
	return json_pack("{s:s s:s s:i s:s}", "kernel", name.release, "machine", name.machine,
			 "cpus", (int)sysconf(_SC_NPROCESSORS_ONLN), "date", date);
}

static int write_json(const struct results *results, FILE *file)
{
	json_t *array = json_array();
	json_t *document = json_pack("{s:o s:o}", "machine", json_of_machine(), "results", array);
	int r = document ? 0 : -ENOMEM;

	for (size_t i = 0; i < results->count && r == 0; i++)
		r = json_array_append_new(array,
					  json_of_series(results->options, &results->series[i])) < 0
			    ? -ENOMEM
			    : 0;
	if (r == 0 && json_dumpf(document, file, JSON_INDENT(2)) == 0)
		fputc('\n', file);
	json_decref(document);
	return r;
}

/* ---- CSV, Markdown ---- */

/* RFC 4180 */
static void write_cell(const char *text, FILE *file)
{
	if (!strpbrk(text, ",\"\n\r")) {
		fputs(text, file);
		return;
	}
	fputc('"', file);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', file);
		fputc(*text, file);
	}
	fputc('"', file);
}

static int write_csv(const struct results *results, FILE *file)
{
	fputs("command,mean,stddev,median,user,system,min,max,median_low,median_high,p90,p99,"
	      "peak_bytes,runs",
	      file);
	for (size_t k = 0; k < results->options->parameter_count; k++) {
		fputs(",parameter_", file);
		write_cell(results->options->parameters[k].name, file);
	}
	for (size_t i = 0; i < results->count; i++) {
		const struct carom_bench_series *series = &results->series[i];
		struct carom_bench_summary s;

		if (carom_bench_series_summarize(series, &s) < 0)
			return -ENOMEM;
		fputc('\n', file);
		write_cell(series->name, file);
		fprintf(file, ",%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%llu,%zu",
			s.mean, s.deviation, s.median,
			1e-9 * carom_bench_series_mean(series, user_ns),
			1e-9 * carom_bench_series_mean(series, system_ns), s.min, s.max, s.low,
			s.high, s.p90, s.p99, (unsigned long long)carom_bench_series_peak(series),
			series->count);
		for (size_t k = 0; k < results->options->parameter_count; k++) {
			fputc(',', file);
			write_cell(series->values[k], file);
		}
	}
	fputc('\n', file);
	return 0;
}

/* A name may hold what would end its cell. */
static void write_name(const char *name, FILE *file)
{
	fputc('`', file);
	for (; *name; name++)
		fputs(*name == '|' ? "\\|" : *name == '\n' ? " " : (char[]){ *name, '\0' }, file);
	fputc('`', file);
}

static int write_markdown(const struct results *results, FILE *file)
{
	double best = 0;

	for (size_t i = 0; i < results->count; i++) {
		struct carom_bench_summary s;

		if (carom_bench_series_summarize(&results->series[i], &s) < 0)
			return -ENOMEM;
		if (i == 0 || s.median < best)
			best = s.median;
	}
	fputs("| Command | Median [ms] | 95 % [ms] | Min [ms] | Max [ms] | Peak [MiB] | Relative "
	      "|\n|:---|---:|---:|---:|---:|---:|---:|\n",
	      file);
	for (size_t i = 0; i < results->count; i++) {
		struct carom_bench_summary s;

		if (carom_bench_series_summarize(&results->series[i], &s) < 0)
			return -ENOMEM;
		fputs("| ", file);
		write_name(results->series[i].name, file);
		fprintf(file, " | %.3f | %.3f to %.3f | %.3f | %.3f | %.1f | %.2f |\n",
			s.median * 1e3, s.low * 1e3, s.high * 1e3, s.min * 1e3, s.max * 1e3,
			(double)carom_bench_series_peak(&results->series[i]) / (1024 * 1024),
			s.median / best);
	}
	return 0;
}

static int write_svg(const struct results *results, FILE *file)
{
	return carom_bench_plot(results->series, results->count, file);
}

/* ---- files ---- */

static int fail(const char *path, int error)
{
	carom_say("%s: %s", path, strerror(error));
	return CAROM_EXIT_ERROR;
}

/* What is no file of its own, a link (/dev/stdout), a device or a pipe, is written to as it is. */
static bool is_plain(const char *path)
{
	struct stat status;

	return lstat(path, &status) < 0 || S_ISREG(status.st_mode);
}

/* Where the report went, and behind it. */
static int write_output(const struct results *results,
			int (*write)(const struct results *results, FILE *file))
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	int r = file ? write(results, file) : -ENOMEM;

	if (file && fclose(file) != 0)
		r = -ENOMEM;
	r = r < 0 ? fail("standard output", -r) : carom_print(text);
	free(text);
	return r;
}

static int write_file(const struct results *results, const char *path,
		      int (*write)(const struct results *results, FILE *file))
{
	char *beside = NULL;
	FILE *file;
	int r;

	if (strcmp(path, "-") == 0)
		return write_output(results, write);
	if (is_plain(path) && asprintf(&beside, "%s.%d", path, getpid()) < 0)
		return fail(path, ENOMEM);
	file = fopen(beside ? beside : path, beside ? "wxe" : "we");
	if (!file) {
		r = fail(path, errno);
		free(beside);
		return r;
	}
	r = -write(results, file);
	if (ferror(file) && r == 0)
		r = errno ? errno : EIO;
	if (fclose(file) != 0 && r == 0)
		r = errno;
	if (beside && r == 0 && rename(beside, path) < 0)
		r = errno;
	if (beside && r)
		unlink(beside);
	free(beside);
	return r ? fail(path, r) : 0;
}

int carom_bench_export(const struct carom_bench_options *options,
		       const struct carom_bench_series *series, size_t count)
{
	const struct results results = { options, series, count };
	const struct {
		const char *path;
		int (*write)(const struct results *results, FILE *file);
	} files[] = {
		{ options->json_path, write_json },
		{ options->csv_path, write_csv },
		{ options->markdown_path, write_markdown },
		{ options->svg_path, write_svg },
	};
	int status = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (files[i].path && write_file(&results, files[i].path, files[i].write) != 0)
			status = CAROM_EXIT_ERROR;
	return status;
}
