/*
 * Report
 *
 * Plain columns, the same on a terminal and in a file, except that a terminal gets
 * a little colour and names no longer than it is wide. Names of files are other
 * people's: what a terminal could take for an order is shown escaped.
 */
#include "tools/examples/words_report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/examples/words_name.h"
#include "tools/figure.h"
#include "tools/terminal.h"

#define LARGEST_MAX  5
#define TROUBLES_MAX 5  /* shown one by one */
#define WORKERS_MAX  12 /* shown even if nothing happened to them */
#define WIDE         13
#define NARROW       11
#define PLENTY       (1 << 20) /* columns, where nothing need be cut */

/** struct paper - what is written on; colours are empty strings where they are not wanted */
struct paper {
	int columns;
	const char *bold;
	const char *dim;
	const char *alarm;
	const char *normal;
};

static struct paper get_paper(void)
{
	struct paper paper = { PLENTY, "", "", "", "" };

	if (carom_terminal_is(STDOUT_FILENO))
		paper.columns = carom_terminal_columns(STDOUT_FILENO);
	if (carom_terminal_has_colour(STDOUT_FILENO)) {
		paper.bold = "\033[1m";
		paper.dim = "\033[2m";
		paper.alarm = "\033[33m";
		paper.normal = "\033[m";
	}
	return paper;
}

static void print_title(const struct paper *paper, const char *title)
{
	printf("\n%s%s%s\n", paper->bold, title, paper->normal);
}

/* one line that says what was just shown */
__attribute__((format(printf, 2, 3))) static void explain(const struct paper *paper,
							  const char *format, ...)
{
	va_list arguments;

	printf("  %s", paper->dim);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("%s\n", paper->normal);
}

/* columns stand two blanks apart, to the right */
static void print_heads(int width, const char *const *heads)
{
	for (; *heads; heads++)
		printf("  %*s", width, *heads);
}

static void print_number(int width, uint64_t number)
{
	printf("  %*s", width, carom_figure_count(number).text);
}

static void print_path(const struct paper *paper, const char *path, int columns_used)
{
	words_name_print(stdout, path, paper->columns - columns_used - 1);
	putchar('\n');
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

/* ---- before ---- */

void words_report_begin(const struct words_job *job)
{
	printf("Counting the words of %s file%s in %s worker process%s.\n",
	       carom_figure_count(job->list.count).text, plural(job->list.count),
	       carom_figure_count(job->options.worker_count).text,
	       job->options.worker_count == 1 ? "" : "es");
	fflush(stdout); /* what comes next takes time */
}

/* ---- the largest ---- */

/* indices of the largest files, the largest first; returns how many */
static size_t find_largest(const struct words_list *list, size_t *largest)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++) {
		size_t place = count;

		while (place > 0 &&
		       list->files[largest[place - 1]].count.bytes < list->files[i].count.bytes)
			place--;
		if (place == LARGEST_MAX)
			continue;
		count += count < LARGEST_MAX;
		memmove(&largest[place + 1], &largest[place],
			(count - place - 1) * sizeof(*largest));
		largest[place] = i;
	}
	return count;
}

static void print_largest(const struct paper *paper, const struct words_list *list)
{
	static const char *const heads[] = { "lines", "words", "bytes", NULL };
	size_t largest[LARGEST_MAX];
	size_t count = find_largest(list, largest);

	if (count == 0)
		return;
	print_title(paper, "Largest files");
	print_heads(NARROW, heads);
	printf("  file\n");
	for (size_t i = 0; i < count; i++) {
		const struct words_file *file = &list->files[largest[i]];

		print_number(NARROW, file->count.lines);
		print_number(NARROW, file->count.words);
		print_number(NARROW, file->count.bytes);
		printf("  ");
		print_path(paper, file->path, 3 * (NARROW + 2) + 2);
	}
	explain(paper, "Bytes are counted as they are: nothing is unpacked.");
}

/* ---- the workers ---- */

static void print_worker(const struct words_job *job, const struct carom_worker_info *worker)
{
	print_number(NARROW, worker->index);
	printf("  %*lld", NARROW, (long long)worker->pid);
	print_number(NARROW, job->counted_by[worker->index]);
	if (worker->replaced_count)
		print_number(NARROW, worker->replaced_count);
	if (worker->replaced_ns)
		printf("  %*s", NARROW, carom_figure_time(worker->replaced_ns).text);
	putchar('\n');
}

static void print_workers(const struct paper *paper, const struct words_job *job)
{
	static const char *const heads[] = { "worker", "pid", "files", "replaced", "in", NULL };
	struct carom_worker_info workers[CAROM_WORKERS_MAX];
	int count = carom_pool_workers(job->pool, workers, CAROM_WORKERS_MAX), shown = 0;

	print_title(paper, "Workers");
	print_heads(NARROW, heads);
	putchar('\n');
	for (int i = 0; i < count; i++) {
		if (i >= WORKERS_MAX && workers[i].replaced_count == 0)
			continue;
		print_worker(job, &workers[i]);
		shown++;
	}
	if (shown < count)
		printf("  and %d more, never replaced\n", count - shown);
	explain(paper,
		"Each takes the next file when it is done with one; a new one keeps the number.");
}

/* ---- what went wrong on purpose ---- */

static void print_times(const struct words_mishap *mishap)
{
	if (mishap->struck_ns == 0 || mishap->outcome.ended_ns < mishap->struck_ns)
		return;
	printf("%11sanswered %s later", "",
	       carom_figure_time(mishap->outcome.ended_ns - mishap->struck_ns).text);
	if (mishap->replaced_ns)
		printf(", worker replaced in %s", carom_figure_time(mishap->replaced_ns).text);
	putchar('\n');
}

static void print_again(const struct words_file *file)
{
	if (!file->is_counted)
		return;
	printf("%11scounted again: %s line%s, %s word%s, %s byte%s\n", "",
	       carom_figure_count(file->count.lines).text, plural(file->count.lines),
	       carom_figure_count(file->count.words).text, plural(file->count.words),
	       carom_figure_count(file->count.bytes).text, plural(file->count.bytes));
}

static void print_mishap(const struct paper *paper, const struct words_job *job,
			 const struct words_mishap *mishap)
{
	const struct words_file *file = &job->list.files[mishap->file];
	char text[160];

	printf("  %s%-7s%s  ", paper->alarm, mishap->kind, paper->normal);
	print_path(paper, file->path, 11);
	printf("%11s%s\n", "", carom_outcome_describe(&mishap->outcome, text, sizeof(text)));
	print_times(mishap);
	print_again(file);
}

static void print_mishaps(const struct paper *paper, const struct words_job *job)
{
	size_t count = job->mishaps.count, others = job->counted_count - job->again_count;

	if (count == 0)
		return;
	print_title(paper, "Lost on purpose");
	for (size_t i = 0; i < count; i++)
		print_mishap(paper, job, &job->mishaps.items[i]);
	explain(paper, "%zu worker%s died with one file in hand each; %s other%s were counted.",
		count, plural(count), carom_figure_count(others).text, plural(others));
}

/* ---- what went wrong otherwise ---- */

static void print_trouble(const struct paper *paper, const struct words_job *job,
			  const struct words_trouble *trouble)
{
	const struct words_file *file = &job->list.files[trouble->file];
	char text[160];

	printf("  ");
	print_path(paper, file->path, 2);
	printf("    %s%s\n", carom_outcome_describe(&trouble->outcome, text, sizeof(text)),
	       file->is_counted ? "; counted again" : "");
}

static void print_gap(const struct paper *paper, const struct words_gap *gap)
{
	printf("  ");
	print_path(paper, gap->path, 2);
	printf("    not read: %s\n", strerror(gap->error));
}

static void print_rest(size_t count, const char *thing)
{
	if (count > TROUBLES_MAX)
		printf("  and %s more %s%s\n", carom_figure_count(count - TROUBLES_MAX).text, thing,
		       plural(count - TROUBLES_MAX));
}

static void print_troubles(const struct paper *paper, const struct words_job *job)
{
	if (job->trouble_count + job->list.gap_count == 0)
		return;
	print_title(paper, "Unplanned");
	for (size_t i = 0; i < job->trouble_count && i < TROUBLES_MAX; i++)
		print_trouble(paper, job, &job->troubles[i]);
	print_rest(job->trouble_count, "file");
	for (size_t i = 0; i < job->list.gap_count && i < TROUBLES_MAX; i++)
		print_gap(paper, &job->list.gaps[i]);
	print_rest(job->list.gap_count, "folder");
	explain(paper, "What cannot be read is a failed task and keeps no other from being done.");
}

/* ---- totals ---- */

static void print_totals(const struct paper *paper, const struct words_job *job)
{
	static const char *const heads[] = { "files", "lines", "words", "bytes", NULL };
	double seconds = (double)job->elapsed_ns / (double)CAROM_NS_PER_SEC;

	print_title(paper, "Totals");
	print_heads(WIDE, heads);
	putchar('\n');
	print_number(WIDE, job->counted_count);
	print_number(WIDE, job->total.lines);
	print_number(WIDE, job->total.words);
	print_number(WIDE, job->total.bytes);
	putchar('\n');
	explain(paper, "%s in %s: %s tasks a second, one for each file.",
		carom_figure_bytes(job->total.bytes).text, carom_figure_time(job->elapsed_ns).text,
		carom_figure_count((uint64_t)((double)job->done_count / seconds)).text);
}

int words_report(const struct words_job *job)
{
	struct paper paper = get_paper();

	print_largest(&paper, &job->list);
	print_workers(&paper, job);
	print_mishaps(&paper, job);
	print_troubles(&paper, job);
	print_totals(&paper, job);
	if (fflush(stdout) != 0)
		return -errno;
	return ferror(stdout) ? -EIO : 0;
}
