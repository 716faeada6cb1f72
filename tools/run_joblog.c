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
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/sandbox_rules.h"
#include "core/time.h"

static const char header[] = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\t"
			     "Command\tCause\tPeakMemory\tUser\tSystem\tMemoryLimit\t"
			     "SystemCall\n";

/* --- lines ------------------------------------------------------------- */

static const char *const causes[] = {
	[CAROM_RUN_EXITED] = "failed",
	[CAROM_RUN_SIGNALLED] = "signal",
	[CAROM_RUN_TIME_LIMIT] = "timeout",
	[CAROM_RUN_SOFT_LIMIT] = "soft-timeout",
	[CAROM_RUN_MEMORY_LIMIT] = "memory",
	[CAROM_RUN_VIOLATED] = "sandbox",
	[CAROM_RUN_INTERRUPTED] = "interrupted",
	[CAROM_RUN_HALTED] = "halted",
	[CAROM_RUN_NOT_FOUND] = "not-found",
	[CAROM_RUN_NOT_STARTED] = "start",
	[CAROM_RUN_LOST] = "lost",
};

/* As a shell would have it; what is not known is no success. */
static int exit_value(struct carom_run_outcome outcome)
{
	switch (outcome.kind) {
	case CAROM_RUN_EXITED:
		return outcome.value;
	case CAROM_RUN_NOT_FOUND:
		return 127;
	case CAROM_RUN_NOT_STARTED:
		return 126;
	case CAROM_RUN_LOST:
		return 255;
	default:
		return 0; /* there is a signal */
	}
}

static int signal_number(struct carom_run_outcome outcome)
{
	switch (outcome.kind) {
	case CAROM_RUN_SIGNALLED:
		return outcome.value;
	case CAROM_RUN_SOFT_LIMIT:
		return SIGTERM;
	case CAROM_RUN_VIOLATED:
		return SIGSYS;
	case CAROM_RUN_TIME_LIMIT:
	case CAROM_RUN_MEMORY_LIMIT:
		return SIGKILL;
	default:
		return 0;
	}
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
	char *line, call[CAROM_SYSTEM_CALL_NAME_MAX] = "-";
	int n;

	if (outcome.kind == CAROM_RUN_VIOLATED)
		carom_system_call_name(outcome.value, call, sizeof(call));
	n = asprintf(&line,
		     "%llu\t:\t%.3f\t%10.3f\t0\t%llu\t%d\t%d\t%s\t%s\t%llu\t%.3f\t%.3f\t%llu\t%s\n",
		     (unsigned long long)job->number + 1, seconds(job->began_real_ns),
		     seconds(job->run_ns), (unsigned long long)carom_run_spool_bytes(&job->spool),
		     exit_value(outcome), signal_number(outcome), command ? command : "",
		     carom_run_went_well(outcome) ? "ok" : causes[outcome.kind],
		     (unsigned long long)job->usage.peak_bytes, seconds(job->usage.user_ns),
		     seconds(job->usage.system_ns), (unsigned long long)job->memory_limit_bytes,
		     call);
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
