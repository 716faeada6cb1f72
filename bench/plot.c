/*
 * Report: the picture
 *
 * One point for each side of each row, its range over the rounds as a bar, time
 * upwards on a logarithmic scale. The script holds its data, so that it can be
 * changed and run again by hand.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/report.h"

extern char **environ;

static const struct bench_line *timed_line_of(const struct bench_row *row, const char *peer)
{
	return bench_workloads[row->workload_id].is_idle ? NULL : bench_line_of(row, peer);
}

static void write_point(const struct bench_line *line, size_t x, FILE *file)
{
	struct bench_round figures;
	double min = 0;
	double max = 0;

	bench_line_figures(line, &figures);
	for (size_t i = 0; i < line->round_count; i++) {
		double value = line->rounds[i].summary.median;

		min = i == 0 || value < min ? value : min;
		max = i == 0 || value > max ? value : max;
	}
	fprintf(file, "%zu %.1f %.1f %.1f\n", x, figures.summary.median, min, max);
}

/* A data block with all points of one side. Return: are there any? */
static bool write_series(const struct bench_row *rows, size_t row_count, const char *peer,
			 size_t index, FILE *file)
{
	bool any = false;

	for (size_t i = 0; i < row_count; i++) {
		const struct bench_line *line = timed_line_of(&rows[i], peer);

		if (line && !any)
			fprintf(file, "$side%zu << END\n", index);
		if (line)
			write_point(line, i, file);
		any = any || line;
	}
	if (any)
		fputs("END\n", file);
	return any;
}

/* Every side that is in some row, once. */
static size_t list_peers(const struct bench_row *rows, size_t row_count, const char **ret_names)
{
	size_t count = 0;

	for (size_t i = 0; i < row_count; i++)
		for (size_t k = 0; k < rows[i].line_count; k++) {
			const char *name = rows[i].lines[k].peer->name;
			size_t at = 0;

			while (at < count && ret_names[at] != name)
				at++;
			if (at == count && count < BENCH_PEERS_MAX)
				ret_names[count++] = name;
		}
	return count;
}

static void write_script(const struct bench_row *rows, size_t row_count, const char *path,
			 FILE *file)
{
	const char *names[BENCH_PEERS_MAX];
	bool drawn[BENCH_PEERS_MAX] = { false };
	size_t count = list_peers(rows, row_count, names);
	const char *separator = "plot ";

	for (size_t i = 0; i < count; i++)
		drawn[i] = write_series(rows, row_count, names[i], i, file);
	fprintf(file,
		"set terminal svg size 1200,700 noenhanced background 'white'\n"
		"set output '%s'\n"
		"set logscale y\nset ylabel 'ns for each task'\nset grid ytics\n"
		"set key outside right\nset xtics rotate by -40\nset bmargin 12\nset xtics (",
		path);
	for (size_t i = 0; i < row_count; i++)
		fprintf(file, "%s\"%s, %s\" %zu", i ? ", " : "",
			bench_workloads[rows[i].workload_id].name,
			bench_placement_names[rows[i].placement_id], i);
	fprintf(file, ")\nset xrange [-0.5:%zu.5]\n", row_count);
	for (size_t i = 0; i < count; i++)
		if (drawn[i]) {
			/* sides stand next to each other, not on top */
			fprintf(file,
				"%s$side%zu using ($1+%.2f):2:3:4 with yerrorbars pt 7 ps 0.6 "
				"title '%s'",
				separator, i, 0.08 * (double)i - 0.04 * (double)count, names[i]);
			separator = ", \\\n     ";
		}
	fputc('\n', file);
}

static bool has_gnuplot(void)
{
	const char *path = getenv("PATH");
	char *directories = path ? strdup(path) : NULL;
	bool found = false;
	char *rest = NULL;

	for (char *directory = directories ? strtok_r(directories, ":", &rest) : NULL;
	     directory && !found; directory = strtok_r(NULL, ":", &rest)) {
		char program[4096];

		snprintf(program, sizeof(program), "%s/gnuplot", directory);
		found = access(program, X_OK) == 0;
	}
	free(directories);
	return found;
}

static int run_gnuplot(char *script)
{
	char program[] = "gnuplot";
	char *argv[] = { program, script, NULL };
	int status = 0;
	pid_t pid;
	int r = posix_spawnp(&pid, program, NULL, NULL, argv, environ);

	if (r)
		return -r;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0 ? 0 : -EIO;
}

int bench_report_plot(const struct bench_row *rows, size_t row_count, const char *path)
{
	char script[4096];
	FILE *file;

	if (!has_gnuplot())
		return -ENOENT;
	snprintf(script, sizeof(script), "%s.gnuplot", path);
	file = fopen(script, "we");
	if (!file)
		return -errno;
	write_script(rows, row_count, path, file);
	if (fclose(file) != 0)
		return -errno;
	return run_gnuplot(script);
}
