/*
 * Report
 *
 * Ratios are written as they are asked about: carom's time over the peer's where
 * a limit is to be kept ("at most 1.25 times"), the peer's over carom's where
 * somebody is to be beaten ("50 times faster"). In the rows' tables it is always
 * carom's over the peer's: below 1 carom is faster.
 */
#include "bench/report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/time.h"

#define REFERENCE "carom"

static void print_heading(const char *text, enum bench_table_style style, FILE *file)
{
	fprintf(file, "\n%s%s\n", style == BENCH_MARKDOWN ? "## " : "", text);
}

void bench_report_machine(const struct bench_plan *plan, enum bench_table_style style, FILE *file)
{
	struct utsname system;

	uname(&system);
	fprintf(file, "%s %s, %s, %ld CPUs; CPU %d for the caller, %d for workers\n",
		system.sysname, system.release, system.machine, sysconf(_SC_NPROCESSORS_ONLN),
		plan->cpus[0], plan->cpus[1]);
	fprintf(file,
		"%s%zu rounds of %" PRIu64
		" ms a side, sides taking turns. A figure is the median over\n"
		"the rounds, \"carom/side\" of two such medians; its range is over the pairs of\n"
		"each round. Times are for one task; context switches and CPU time too, of all\n"
		"processes of a side together.\n",
		style == BENCH_MARKDOWN ? "\n" : "", plan->round_count, plan->sample_ns / 1000000);
	if (!plan->is_quick && bench_load() > (double)sysconf(_SC_NPROCESSORS_ONLN) / 2)
		fprintf(file, "Others are at work here (load %.1f): do not trust these figures.\n",
			bench_load());
	if (plan->is_quick)
		fputs("A quick run: it shows that everything works, its figures mean nothing.\n",
		      file);
}

static void set_ns(struct bench_table *table, size_t column, double ns)
{
	char text[32];

	bench_table_set(table, column, "%s", ns > 0 ? bench_format_ns(ns, text, sizeof(text)) : "");
}

static void set_count(struct bench_table *table, size_t column, double count)
{
	char text[32];

	bench_table_set(table, column, "%s", bench_format_count(count, text, sizeof(text)));
}

static void set_ratio(struct bench_table *table, size_t column, const struct bench_line *reference,
		      const struct bench_line *line)
{
	struct bench_ratio ratio;
	char a[32];
	char b[32];

	if (!reference || reference == line)
		return;
	bench_line_ratio(reference, line, &ratio);
	bench_table_set(table, column, "%s", bench_format_number(ratio.median, a, sizeof(a)));
	bench_table_set(table, column + 1, "%s..%s", bench_format_number(ratio.min, a, sizeof(a)),
			bench_format_number(ratio.max, b, sizeof(b)));
}

static void set_usage(struct bench_table *table, size_t column, const struct bench_round *figures)
{
	char text[32];

	if (figures->cpu_ns_per_task <= 0)
		return;
	bench_table_set(table, column, "%s",
			bench_format_number(figures->switches_per_task, text, sizeof(text)));
	set_ns(table, column + 1, figures->cpu_ns_per_task);
}

static void set_syscalls(struct bench_table *table, size_t column, const struct bench_line *line)
{
	char text[32];

	if (line->has_syscalls)
		bench_table_set(table, column, "%s",
				bench_format_number(line->syscalls_per_task, text, sizeof(text)));
}

/* What stands in the place of figures where there are none. Return: are there none? */
static bool set_excuse(struct bench_table *table, const struct bench_line *line)
{
	char text[32];

	switch (line->state) {
	case BENCH_MEASURED:
		return false;
	case BENCH_GAVE_UP:
		bench_table_set(table, 1, "never (%s)",
				bench_format_ns((double)line->gave_up_ns, text, sizeof(text)));
		return true;
	case BENCH_MISSING:
		bench_table_set(table, 1, "skipped");
		return true;
	case BENCH_FAILED:
		bench_table_set(table, 1, "failed");
		return true;
	}
	return true;
}

static void add_line(struct bench_table *table, const struct bench_line *reference,
		     const struct bench_line *line)
{
	struct bench_round figures;

	bench_table_add_row(table);
	bench_table_set(table, 0, "%s", line->peer->name);
	if (set_excuse(table, line))
		return;
	bench_line_figures(line, &figures);
	set_ns(table, 1, figures.summary.median);
	set_ns(table, 2, figures.summary.p99);
	set_ns(table, 3, figures.summary.p999);
	set_count(table, 4, figures.summary.per_second);
	set_ratio(table, 5, reference, line);
	set_usage(table, 7, &figures);
	bench_table_set(table, 9, "%zu", line->round_count);
	set_syscalls(table, 10, line);
}

static bool has_syscalls(const struct bench_row *row)
{
	for (size_t i = 0; i < row->line_count; i++)
		if (row->lines[i].has_syscalls)
			return true;
	return false;
}

static void tabulate(const struct bench_row *row, struct bench_table *table)
{
	const char *heading[] = { "side",  "median",   "p99", "p99.9",  "per second", "carom/side",
				  "range", "switches", "CPU", "rounds", NULL,         NULL };
	const struct bench_line *reference = bench_line_of(row, REFERENCE);

	if (has_syscalls(row))
		heading[10] = "syscalls";
	bench_table_begin(table, heading);
	for (size_t i = 0; i < row->line_count; i++)
		add_line(table, reference, &row->lines[i]);
}

/* For each worker or child that the workload asks for: what else there is counts as theirs. */
static double pss_for_each(const struct bench_row *row, const struct bench_line *line)
{
	uint64_t count = row->job.worker_count ? row->job.worker_count : row->job.child_count;

	return (double)line->pss_bytes / (double)count;
}

static void tabulate_idle(const struct bench_row *row, struct bench_table *table)
{
	static const char *const heading[] = { "side", "switches", "CPU time", "processes",
					       "PSS",  "for each", NULL };
	char text[32];

	bench_table_begin(table, heading);
	for (size_t i = 0; i < row->line_count; i++) {
		const struct bench_line *line = &row->lines[i];

		bench_table_add_row(table);
		bench_table_set(table, 0, "%s", line->peer->name);
		if (set_excuse(table, line))
			continue;
		bench_table_set(table, 1, "%" PRIu64, line->idle.switches);
		bench_table_set(table, 2, "%s",
				bench_format_ns((double)line->idle.cpu_ns, text, sizeof(text)));
		bench_table_set(table, 3, "%" PRIu64, line->idle.process_count);
		bench_table_set(table, 4, "%" PRIu64 " KiB", line->pss_bytes / CAROM_KIB(1));
		bench_table_set(table, 5, "%.0f KiB", pss_for_each(row, line) / 1024);
	}
}

static void print_circumstances(const struct bench_row *row, FILE *file)
{
	double line_ns[BENCH_ROUNDS_MAX];
	double median;

	memcpy(line_ns, row->line_ns, sizeof(line_ns));
	median = bench_median(line_ns, row->round_count); /* sorts */
	if (median > 0)
		fprintf(file, "  cache line there and back %.0f ns (%.0f..%.0f), load %.2f\n",
			median, line_ns[0], line_ns[row->round_count - 1], row->load);
	else
		fprintf(file, "  load %.2f\n", row->load);
}

/* In a quick run the title promises more than there is. */
static void print_sizes(const struct bench_row *row, FILE *file)
{
	const struct bench_workload *workload = &bench_workloads[row->workload_id];

	if (row->job.held_bytes != workload->held_bytes)
		fprintf(file, "  but the task holds %" PRIu64 " MiB only\n",
			row->job.held_bytes / CAROM_MIB(1));
	if (row->job.parent_bytes != workload->parent_bytes)
		fprintf(file, "  but the caller has %" PRIu64 " MiB only\n",
			row->job.parent_bytes / CAROM_MIB(1));
	if (row->job.worker_count != workload->worker_count)
		fprintf(file, "  but there are %" PRIu64 " workers only\n", row->job.worker_count);
	if (row->job.task_count != workload->task_count)
		fprintf(file, "  but there are %" PRIu64 " items only\n", row->job.task_count);
	if (row->job.child_count != workload->child_count)
		fprintf(file, "  but there are %" PRIu64 " children only\n", row->job.child_count);
}

/* Why somebody is not in the table. */
static void print_messages(const struct bench_row *row, FILE *file)
{
	for (size_t i = 0; i < row->line_count; i++)
		if (row->lines[i].message[0])
			fprintf(file, "  %s: %s\n", row->lines[i].peer->name,
				row->lines[i].message);
}

void bench_report_row(const struct bench_row *row, enum bench_table_style style, FILE *file)
{
	const struct bench_workload *workload = &bench_workloads[row->workload_id];
	struct bench_table table;
	char text[160];

	snprintf(text, sizeof(text), "%s, %s: %s", workload->name,
		 bench_placement_names[row->placement_id], workload->title);
	print_heading(text, style, file);
	if (row->skipped[0]) {
		fprintf(file, "  skipped: %s\n", row->skipped);
		return;
	}
	if (workload->is_idle) {
		fprintf(file, "  over %s\n",
			bench_format_ns((double)row->idle_ns, text, sizeof(text)));
		print_sizes(row, file);
		tabulate_idle(row, &table);
	} else {
		print_sizes(row, file);
		print_circumstances(row, file);
		tabulate(row, &table);
	}
	fputs(style == BENCH_MARKDOWN ? "\n" : "", file);
	if (row->line_count > 0)
		bench_table_print(&table, style, file);
	else
		fputs("  nobody here does this\n", file);
	fputs(style == BENCH_MARKDOWN ? "\n" : "", file);
	print_messages(row, file);
}

/* A bar held against a row: figure, its range within the rounds, and whether it is cleared. */
struct verdict {
	struct bench_ratio figure;
	bool has_range;
	bool is_cleared;
};

static void invert(struct bench_ratio *ratio)
{
	*ratio = (struct bench_ratio){ .median = 1 / ratio->median,
				       .min = 1 / ratio->max,
				       .max = 1 / ratio->min };
}

/* carom's own medians, or its tails, and their range over the rounds. */
static void judge_alone(const struct bench_line *line, enum bench_bar_kind kind,
			struct bench_ratio *ret_figure)
{
	struct bench_round figures;

	bench_line_figures(line, &figures);
	*ret_figure = (struct bench_ratio){
		.median = kind == BENCH_TAIL ? figures.summary.p99 / figures.summary.median
					     : figures.summary.median,
	};
	for (size_t i = 0; i < line->round_count; i++) {
		const struct bench_summary *summary = &line->rounds[i].summary;
		double value = kind == BENCH_TAIL               ? summary->p99 / summary->median
			       : kind == BENCH_WORST_AT_MOST_NS ? summary->max
								: summary->median;

		if (i == 0 || value < ret_figure->min)
			ret_figure->min = value;
		if (i == 0 || value > ret_figure->max)
			ret_figure->max = value;
	}
	if (kind == BENCH_WORST_AT_MOST_NS)
		ret_figure->median = ret_figure->max;
}

/* Return: can it be judged? Not if one of the two was not measured. */
static bool judge(const struct bench_bar *bar, const struct bench_row *row,
		  struct verdict *ret_verdict)
{
	const struct bench_line *line = bench_line_of(row, REFERENCE);
	const struct bench_line *other = bar->peer ? bench_line_of(row, bar->peer) : NULL;

	if (!line || (bar->peer && !other))
		return false;
	*ret_verdict = (struct verdict){ .has_range = true };
	switch (bar->kind) {
	case BENCH_AT_MOST_TIMES:
	case BENCH_TIMES_FASTER:
		bench_line_ratio(line, other, &ret_verdict->figure);
		if (bar->kind == BENCH_TIMES_FASTER)
			invert(&ret_verdict->figure);
		break;
	case BENCH_AT_MOST_NS:
	case BENCH_WORST_AT_MOST_NS:
	case BENCH_TAIL:
		judge_alone(line, bar->kind, &ret_verdict->figure);
		break;
	case BENCH_AT_MOST_SWITCHES:
	case BENCH_AT_MOST_CPU_NS:
		ret_verdict->has_range = false;
		ret_verdict->figure.median = bar->kind == BENCH_AT_MOST_SWITCHES
						     ? (double)line->idle.switches
						     : (double)line->idle.cpu_ns;
		break;
	case BENCH_AT_MOST_CPU_SHARE:
		ret_verdict->has_range = false;
		ret_verdict->figure.median = (double)line->idle.cpu_ns / (double)row->idle_ns;
		break;
	case BENCH_PSS_AT_MOST_BYTES:
		ret_verdict->has_range = false;
		ret_verdict->figure.median =
			1000 * (double)line->pss_bytes / (double)row->job.task_count;
		break;
	case BENCH_PSS_AT_MOST_TIMES:
		ret_verdict->has_range = false;
		ret_verdict->figure.median = (double)line->pss_bytes / (double)other->pss_bytes;
		break;
	}
	ret_verdict->is_cleared = bar->kind == BENCH_TIMES_FASTER
					  ? ret_verdict->figure.median >= bar->limit
					  : ret_verdict->figure.median <= bar->limit;
	return true;
}

static char *format_figure(const struct bench_bar *bar, double figure, char *text, size_t size)
{
	if (bar->kind == BENCH_AT_MOST_NS || bar->kind == BENCH_WORST_AT_MOST_NS ||
	    bar->kind == BENCH_AT_MOST_CPU_NS)
		return bench_format_ns(figure, text, size);
	if (bar->kind == BENCH_AT_MOST_SWITCHES)
		return bench_format_count(figure, text, size);
	if (bar->kind == BENCH_PSS_AT_MOST_BYTES) {
		snprintf(text, size, "%.0f KiB", figure / 1024);
		return text;
	}
	return bench_format_number(figure, text, size);
}

static void set_subject(struct bench_table *table, const struct bench_bar *bar,
			const struct bench_row *row)
{
	char text[64] = "";

	switch (bar->kind) {
	case BENCH_AT_MOST_TIMES:
		snprintf(text, sizeof(text), "carom / %s", bar->peer);
		break;
	case BENCH_TIMES_FASTER:
		snprintf(text, sizeof(text), "%s / carom", bar->peer);
		break;
	case BENCH_AT_MOST_NS:
		snprintf(text, sizeof(text), "carom");
		break;
	case BENCH_WORST_AT_MOST_NS:
		snprintf(text, sizeof(text), "carom's slowest");
		break;
	case BENCH_PSS_AT_MOST_BYTES:
		snprintf(text, sizeof(text), "PSS for 1,000 tasks");
		break;
	case BENCH_AT_MOST_CPU_SHARE:
		snprintf(text, sizeof(text), "share of a CPU");
		break;
	case BENCH_PSS_AT_MOST_TIMES:
		snprintf(text, sizeof(text), "PSS, carom / %s", bar->peer);
		break;
	case BENCH_TAIL:
		snprintf(text, sizeof(text), "p99 / median");
		break;
	case BENCH_AT_MOST_SWITCHES:
		snprintf(text, sizeof(text), "context switches");
		break;
	case BENCH_AT_MOST_CPU_NS:
		snprintf(text, sizeof(text), "CPU time");
		break;
	}
	bench_table_set(table, 0, "%s, %s: %s", bench_workloads[row->workload_id].name,
			bench_placement_names[row->placement_id], text);
}

static void add_bar(struct bench_table *table, const struct bench_bar *bar,
		    const struct bench_row *row)
{
	struct verdict verdict;
	char a[32];
	char b[32];

	bench_table_add_row(table);
	set_subject(table, bar, row);
	bench_table_set(table, 1, "%s %s", bar->kind == BENCH_TIMES_FASTER ? ">=" : "<=",
			format_figure(bar, bar->limit, a, sizeof(a)));
	if (!judge(bar, row, &verdict)) {
		bench_table_set(table, 4, "not measured");
		return;
	}
	bench_table_set(table, 2, "%s", format_figure(bar, verdict.figure.median, a, sizeof(a)));
	if (verdict.has_range)
		bench_table_set(table, 3, "%s..%s",
				format_figure(bar, verdict.figure.min, a, sizeof(a)),
				format_figure(bar, verdict.figure.max, b, sizeof(b)));
	bench_table_set(table, 4, "%s", verdict.is_cleared ? "pass" : "miss");
}

static bool concerns(const struct bench_bar *bar, const struct bench_row *row)
{
	bool is_meant = bar->workload == row->workload_id;

	if (bar->workload == BENCH_EVERY_WORKLOAD)
		is_meant = !bench_workloads[row->workload_id].is_idle &&
			   bench_line_of(row, REFERENCE) && bench_line_of(row, bar->peer);
	return is_meant && (bar->placements & BENCH_ON(row->placement_id));
}

void bench_report_bars(const struct bench_row *rows, size_t row_count, enum bench_table_style style,
		       FILE *file)
{
	static const char *const heading[] = {
		"bar", "limit", "measured", "range", "verdict", NULL
	};
	struct bench_table table;

	bench_table_begin(&table, heading);
	for (size_t i = 0; i < bench_bar_count; i++)
		for (size_t k = 0; k < row_count; k++)
			if (concerns(&bench_bars[i], &rows[k]))
				add_bar(&table, &bench_bars[i], &rows[k]);
	if (table.row_count == 1)
		return;
	print_heading("bars", style, file);
	fputs(style == BENCH_MARKDOWN ? "\n" : "", file);
	bench_table_print(&table, style, file);
}

static void json_string(const char *text, FILE *file)
{
	fputc('"', file);
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			fprintf(file, "\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			fprintf(file, "\\u%04x", *text);
		else
			fputc(*text, file);
	fputc('"', file);
}

static void json_round(const struct bench_round *round, FILE *file)
{
	fprintf(file,
		"{\"median_ns\": %.1f, \"p99_ns\": %.1f, \"p999_ns\": %.1f, "
		"\"max_ns\": %.1f, \"per_second\": %.1f, "
		"\"switches_per_task\": %.4f, \"cpu_ns_per_task\": %.1f}",
		round->summary.median, round->summary.p99, round->summary.p999, round->summary.max,
		round->summary.per_second, round->switches_per_task, round->cpu_ns_per_task);
}

static void json_rounds(const struct bench_line *line, FILE *file)
{
	struct bench_round figures;

	bench_line_figures(line, &figures);
	fputs(", \"figures\": ", file);
	json_round(&figures, file);
	if (line->has_syscalls)
		fprintf(file, ", \"syscalls_per_task\": %.4f", line->syscalls_per_task);
	fputs(", \"rounds\": [", file);
	for (size_t i = 0; i < line->round_count; i++) {
		fputs(i ? ",\n        " : "\n        ", file);
		json_round(&line->rounds[i], file);
	}
	fputs("]", file);
}

static void json_line(const struct bench_row *row, const struct bench_line *line, FILE *file)
{
	static const char *const states[] = {
		[BENCH_MEASURED] = "measured",
		[BENCH_GAVE_UP] = "gave up",
		[BENCH_MISSING] = "missing",
		[BENCH_FAILED] = "failed",
	};

	fprintf(file, "\n      {\"side\": \"%s\", \"state\": \"%s\"", line->peer->name,
		states[line->state]);
	if (line->message[0]) {
		fputs(", \"message\": ", file);
		json_string(line->message, file);
	}
	if (line->state == BENCH_GAVE_UP)
		fprintf(file, ", \"gave_up_ns\": %" PRIu64, line->gave_up_ns);
	if (line->state == BENCH_MEASURED && bench_workloads[row->workload_id].is_idle)
		fprintf(file,
			", \"switches\": %" PRIu64 ", \"cpu_ns\": %" PRIu64
			", \"processes\": %" PRIu64 ", \"pss_bytes\": %" PRIu64,
			line->idle.switches, line->idle.cpu_ns, line->idle.process_count,
			line->pss_bytes);
	else if (line->state == BENCH_MEASURED)
		json_rounds(line, file);
	fputs("}", file);
}

static void json_row(const struct bench_row *row, FILE *file)
{
	fprintf(file, "\n    {\"workload\": \"%s\", \"placement\": \"%s\", \"load\": %.2f",
		bench_workloads[row->workload_id].name, bench_placement_names[row->placement_id],
		row->load);
	if (row->skipped[0]) {
		fputs(", \"skipped\": ", file);
		json_string(row->skipped, file);
	}
	if (row->idle_ns)
		fprintf(file, ", \"idle_ns\": %" PRIu64, row->idle_ns);
	fputs(", \"line_round_trip_ns\": [", file);
	for (size_t i = 0; i < row->round_count; i++)
		fprintf(file, "%s%.1f", i ? ", " : "", row->line_ns[i]);
	fputs("], \"sides\": [", file);
	for (size_t i = 0; i < row->line_count; i++) {
		fputs(i ? "," : "", file);
		json_line(row, &row->lines[i], file);
	}
	fputs("]}", file);
}

static void json_bar(const struct bench_bar *bar, const struct bench_row *row, FILE *file)
{
	struct verdict verdict;

	fprintf(file, "\n    {\"workload\": \"%s\", \"placement\": \"%s\", \"peer\": ",
		bench_workloads[row->workload_id].name, bench_placement_names[row->placement_id]);
	if (bar->peer)
		json_string(bar->peer, file);
	else
		fputs("null", file);
	fprintf(file, ", \"at_%s\": %g", bar->kind == BENCH_TIMES_FASTER ? "least" : "most",
		bar->limit);
	if (judge(bar, row, &verdict))
		fprintf(file, ", \"measured\": %.4f, \"pass\": %s", verdict.figure.median,
			verdict.is_cleared ? "true" : "false");
	fputs("}", file);
}

static void json_bars(const struct bench_row *rows, size_t row_count, FILE *file)
{
	const char *separator = "";

	for (size_t i = 0; i < bench_bar_count; i++)
		for (size_t k = 0; k < row_count; k++)
			if (concerns(&bench_bars[i], &rows[k])) {
				fputs(separator, file);
				json_bar(&bench_bars[i], &rows[k], file);
				separator = ",";
			}
}

void bench_report_json(const struct bench_plan *plan, const struct bench_row *rows,
		       size_t row_count, FILE *file)
{
	struct utsname system;

	uname(&system);
	fprintf(file,
		"{\n  \"kernel\": \"%s\", \"machine\": \"%s\", \"cpus\": %ld, \"caller_cpu\": %d, "
		"\"worker_cpu\": %d,\n  \"sample_ns\": %" PRIu64 ", \"quick\": %s,\n  \"rows\": [",
		system.release, system.machine, sysconf(_SC_NPROCESSORS_ONLN), plan->cpus[0],
		plan->cpus[1], plan->sample_ns, plan->is_quick ? "true" : "false");
	for (size_t i = 0; i < row_count; i++) {
		fputs(i ? "," : "", file);
		json_row(&rows[i], file);
	}
	fputs("],\n  \"bars\": [", file);
	json_bars(rows, row_count, file);
	fputs("]\n}\n", file);
}
