/*
 * Past
 *
 * A line is a job if it has the nine columns of GNU parallel: numbers first,
 * then the command. The header and what is torn have not, and count for nothing.
 * The last line of a job is the one that holds.
 */
#include "tools/run_past.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct carom_run_past_job {
	uint64_t number;
	size_t line; /* the last one of a job counts */
	bool went_well;
};

static int add(struct carom_run_past *past, uint64_t number, bool went_well)
{
	if (past->count == past->room) {
		size_t room = past->room ? 2 * past->room : 64;
		struct carom_run_past_job *jobs = reallocarray(past->jobs, room, sizeof(*jobs));

		if (!jobs)
			return -ENOMEM;
		past->jobs = jobs;
		past->room = room;
	}
	past->jobs[past->count] = (struct carom_run_past_job){ number, past->count, went_well };
	past->count++;
	return 0;
}

static int take_line(struct carom_run_past *past, const char *line)
{
	unsigned long long number;
	int value, signal_value, length = 0;

	if (sscanf(line, "%llu\t%*[^\t]\t%*[^\t]\t%*[^\t]\t%*[^\t]\t%*[^\t]\t%d\t%d\t%n", &number,
		   &value, &signal_value, &length) < 3 ||
	    length == 0 || number == 0)
		return 0;
	return add(past, number - 1, value == 0 && signal_value == 0);
}

static int compare_jobs(const void *left, const void *right)
{
	const struct carom_run_past_job *a = left, *b = right;

	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return a->line < b->line ? -1 : 1;
}

static int read_lines(struct carom_run_past *past, FILE *file)
{
	char *line = NULL;
	size_t size = 0;
	int r = 0;

	while (r == 0 && getline(&line, &size, file) >= 0)
		r = take_line(past, line);
	if (r == 0 && ferror(file))
		r = -errno;
	free(line);
	return r;
}

int carom_run_past_read(struct carom_run_past *past, const char *path)
{
	FILE *file = fopen(path, "re");
	int r;

	if (!file)
		return errno == ENOENT ? 0 : -errno;
	r = read_lines(past, file);
	fclose(file);
	if (past->count > 0)
		qsort(past->jobs, past->count, sizeof(*past->jobs), compare_jobs);
	return r;
}

void carom_run_past_deinit(struct carom_run_past *past)
{
	free(past->jobs);
	*past = (struct carom_run_past){ 0 };
}

enum state { UNKNOWN, FAILED, DONE };

/* To be asked with growing numbers. */
static enum state look_up(struct carom_run_past *past, uint64_t number)
{
	enum state state = UNKNOWN;

	for (; past->next < past->count && past->jobs[past->next].number <= number; past->next++)
		if (past->jobs[past->next].number == number)
			state = past->jobs[past->next].went_well ? DONE : FAILED;
	return state;
}

bool carom_run_past_wants(struct carom_run_past *past, const struct carom_run_options *options,
			  uint64_t number)
{
	switch (look_up(past, number)) {
	case DONE:
		return !options->resumes && !options->retries_failed;
	case FAILED:
		return !options->resumes || options->retries_failed;
	default:
		return options->resumes || !options->retries_failed;
	}
}
