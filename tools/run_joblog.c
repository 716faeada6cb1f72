/*
 * Job log
 *
 *   I1  A job is in the log only once all it has written has been written on, so
 *       whoever skips what is logged misses nothing. Who kills carom run between
 *       the two has the job run twice, not never.
 *   I2  A line goes out in one write(2) at the end of the file, so two runs
 *       may have one log. A part of a line, which a full disk leaves behind, is
 *       ended before the next one and has too few columns to be a job; or it
 *       has all that matter, and then the job is done (I1).
 *   I3  The command stands on one line without tabs: see carom_run_words_quote().
 */
#include "tools/run_joblog.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/time.h"

static const char header[] = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\t"
			     "Command\tCause\tPeakMemory\tUser\tSystem\n";

/* --- lines ------------------------------------------------------------- */

static const char *const causes[] = {
	[CAROM_RUN_EXITED] = "failed",      [CAROM_RUN_SIGNALLED] = "signal",
	[CAROM_RUN_TIME_LIMIT] = "timeout", [CAROM_RUN_INTERRUPTED] = "interrupted",
	[CAROM_RUN_HALTED] = "halted",      [CAROM_RUN_NOT_STARTED] = "start",
	[CAROM_RUN_LOST] = "lost",
};

/* As a shell would have it; what is not known is no success. */
static int exit_value(struct carom_run_outcome outcome)
{
	switch (outcome.kind) {
	case CAROM_RUN_EXITED:
		return outcome.value;
	case CAROM_RUN_NOT_STARTED:
		return outcome.value == ENOENT ? 127 : 126;
	case CAROM_RUN_LOST:
		return 255;
	default:
		return 0; /* there is a signal */
	}
}

static int signal_number(struct carom_run_outcome outcome)
{
	if (outcome.kind == CAROM_RUN_SIGNALLED)
		return outcome.value;
	return outcome.kind == CAROM_RUN_TIME_LIMIT ? SIGKILL : 0;
}

static double seconds(uint64_t ns)
{
	return (double)ns / (double)CAROM_NS_PER_SEC;
}

bool carom_run_joblog_is_done(const struct carom_run_job *job)
{
	return job->outcome.kind != CAROM_RUN_INTERRUPTED && job->outcome.kind != CAROM_RUN_HALTED;
}

char *carom_run_joblog_line(const struct carom_run_job *job, const char *command)
{
	struct carom_run_outcome outcome = job->outcome;
	char *line;
	int n = asprintf(
		&line, "%llu\t:\t%.3f\t%10.3f\t0\t%llu\t%d\t%d\t%s\t%s\t%llu\t%.3f\t%.3f\n",
		(unsigned long long)job->number + 1, seconds(job->began_real_ns),
		seconds(job->run_ns), (unsigned long long)carom_run_spool_bytes(&job->spool),
		exit_value(outcome), signal_number(outcome), command ? command : "",
		carom_run_went_well(outcome) ? "ok" : causes[outcome.kind],
		(unsigned long long)job->usage.peak_bytes, seconds(job->usage.user_ns),
		seconds(job->usage.system_ns));

	return n < 0 ? NULL : line;
}

/* --- writing ----------------------------------------------------------- */

/* I2: what the last run left in the middle of a line is ended. */
static int begin_line(int fd)
{
	struct stat file;
	char last;

	if (fstat(fd, &file) < 0)
		return -errno;
	if (file.st_size == 0)
		return carom_run_joblog_write(fd, header);
	if (S_ISREG(file.st_mode) && pread(fd, &last, 1, file.st_size - 1) == 1 && last != '\n')
		return carom_run_joblog_write(fd, "\n");
	return 0;
}

int carom_run_joblog_open(const char *path, bool appends)
{
	int fd =
		open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (appends ? 0 : O_TRUNC), 0666);
	int r;

	if (fd < 0)
		return -errno;
	r = begin_line(fd);
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

int carom_run_joblog_write(int fd, const char *line)
{
	size_t length = strlen(line), done = 0;
	ssize_t n;
	int r;

	while (done < length) {
		n = write(fd, line + done, length - done);
		if (n < 0) {
			r = -errno;
			if (done > 0)
				(void)!write(fd, "\n", 1); /* I2, if there is room for that */
			return r;
		}
		done += (size_t)n;
	}
	return 0;
}

/* --- reading ----------------------------------------------------------- */

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

/* Nine columns: numbers first, then the command. The header and what is torn have none. */
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

enum carom_run_past_state carom_run_past_look_up(struct carom_run_past *past, uint64_t number)
{
	enum carom_run_past_state state = CAROM_RUN_PAST_UNKNOWN;

	for (; past->next < past->count && past->jobs[past->next].number <= number; past->next++)
		if (past->jobs[past->next].number == number)
			state = past->jobs[past->next].went_well ? CAROM_RUN_PAST_DONE
								 : CAROM_RUN_PAST_FAILED;
	return state;
}
