/*
 * Peers: multiprocessing, billiard
 *
 * The pools of Python, by bench/peer_python.py. It measures by itself, with the
 * same clock, so that nothing of the way between it and this program is in its
 * values; here its samples are read, a line of JSON each.
 *
 * Debian's own interpreter is meant, since it is the one for which the packages
 * are installed, and not whichever python3 stands first in PATH.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/peer.h"
#include "core/time.h"

#define PYTHON "/usr/bin/python3"

extern char **environ;

struct python {
	pid_t pid;
	FILE *requests;
	FILE *samples;
	char *line;
	size_t line_size;
};

static void describe_job(const struct bench_job *job, char *text, size_t size)
{
	snprintf(text, size,
		 "{\"workload\": \"%s\", \"worker_count\": %" PRIu64 ", \"task_count\": %" PRIu64
		 ", \"window\": %d, \"caller_cpu\": %d, \"worker_cpu\": %d, \"warm_ns\": %" PRIu64
		 ", \"sample_ns\": %" PRIu64 ", \"give_up_ns\": %" PRIu64
		 ", \"payload_bytes\": %" PRIu64 ", \"limit_ns\": %" PRIu64
		 ", \"held_bytes\": %" PRIu64 ", \"parent_bytes\": %" PRIu64
		 ", \"child_count\": %" PRIu64 "}",
		 job->workload->name, job->worker_count, job->task_count, BENCH_WINDOW,
		 job->caller_cpu, job->worker_cpu, job->warm_ns, job->sample_ns, job->give_up_ns,
		 job->workload->payload_bytes, job->workload->limit_ns, job->held_bytes,
		 job->parent_bytes, job->child_count);
}

/* child: AS-Safe calls only */
static void become_python(int in_fd, int out_fd, const char *module, const char *job)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(in_fd, STDIN_FILENO);
	dup2(out_fd, STDOUT_FILENO);
	execl(PYTHON, PYTHON, BENCH_PYTHON_SCRIPT, module, job, NULL);
	_exit(127);
}

static int start(struct python *python, const char *module, const char *job)
{
	int request_fds[2];
	int sample_fds[2];

	if (pipe2(request_fds, O_CLOEXEC) < 0 || pipe2(sample_fds, O_CLOEXEC) < 0)
		return -errno;
	python->pid = fork();
	if (python->pid < 0)
		return -errno;
	if (python->pid == 0)
		become_python(request_fds[0], sample_fds[1], module, job);
	close(request_fds[0]);
	close(sample_fds[1]);
	python->requests = fdopen(request_fds[1], "w");
	python->samples = fdopen(sample_fds[0], "r");
	return python->requests && python->samples ? 0 : -ENOMEM;
}

static int read_line(struct python *python)
{
	return getline(&python->line, &python->line_size, python->samples) > 0 ? 0 : -EPIPE;
}

static int setup(const char *module, const struct bench_job *job, struct bench_sample *sample,
		 void **ret_state)
{
	struct python *python = calloc(1, sizeof(*python));
	char text[768];
	int r;

	if (!python)
		return -ENOMEM;
	*ret_state = python;
	describe_job(job, text, sizeof(text));
	r = start(python, module, text);
	if (r == 0)
		r = read_line(python);
	return r < 0 ? bench_sample_fail(sample, r, "%s did not get ready", module) : 0;
}

static int setup_multiprocessing(const struct bench_job *job, struct bench_sample *sample,
				 void **ret_state)
{
	return setup("multiprocessing", job, sample, ret_state);
}

static int setup_billiard(const struct bench_job *job, struct bench_sample *sample,
			  void **ret_state)
{
	return setup("billiard", job, sample, ret_state);
}

/* The number after "NAME": in a line that peer_python.py wrote. */
static uint64_t number_of(const char *line, const char *name)
{
	const char *found = strstr(line, name);

	return found ? strtoull(found + strlen(name), NULL, 10) : 0;
}

static void read_values(const char *line, struct bench_sample *sample)
{
	const char *at = strchr(line, '[');

	while (at && sample->value_count < BENCH_VALUES_MAX) {
		char *end;
		double value = strtod(at + 1, &end);

		if (end == at + 1)
			break;
		sample->values[sample->value_count++] = value;
		at = *end == ',' ? end : NULL;
	}
}

static int measure(void *state, const struct bench_job *job, struct bench_sample *sample)
{
	struct python *python = state;

	if (fputs("measure\n", python->requests) < 0 || fflush(python->requests) < 0 ||
	    read_line(python) < 0)
		return bench_sample_fail(sample, -EPIPE, "Python died");
	sample->gave_up_ns = number_of(python->line, "\"gave_up_ns\":");
	sample->task_count = number_of(python->line, "\"tasks\":");
	sample->warm_task_count = number_of(python->line, "\"warm_tasks\":");
	sample->measured_ns = number_of(python->line, "\"ns\":");
	read_values(python->line, sample);
	return 0;
}

static void teardown(void *state)
{
	struct python *python = state;

	if (python->requests)
		fclose(python->requests);
	if (python->pid > 0)
		waitpid(python->pid, NULL, 0);
	if (python->samples)
		fclose(python->samples);
	free(python->line);
	free(python);
}

static const char *missing(const char *module, const char *package)
{
	char program[64];
	char interpreter[] = PYTHON;
	char option[] = "-c";
	char *argv[] = { interpreter, option, program, NULL };
	int status = 0;
	pid_t pid;

	snprintf(program, sizeof(program), "import sys\ntry: import %s\nexcept: sys.exit(1)",
		 module);
	if (access(PYTHON, X_OK) < 0)
		return PYTHON " is not installed (package python3)";
	if (posix_spawn(&pid, PYTHON, NULL, NULL, argv, environ) != 0)
		return PYTHON " does not start";
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0 ? NULL : package;
}

static const char *multiprocessing_missing(void)
{
	return missing("multiprocessing", "its Python module is not installed (package python3)");
}

static const char *billiard_missing(void)
{
	return missing("billiard", "its Python module is not installed (package python3-billiard)");
}

#define ACT(id, setup_module)                                                     \
	{                                                                         \
		.workload_id = (id), .setup = (setup_module), .measure = measure, \
		.teardown = teardown, .touches = true,                            \
	}
#define LARGE_ACT(id, setup_module)                                               \
	{                                                                         \
		.workload_id = (id), .setup = (setup_module), .measure = measure, \
		.teardown = teardown, .touches = true, .is_apart = true,          \
	}
#define ACTS(setup_module)                                                                         \
	(const struct bench_act[])                                                                 \
	{                                                                                          \
		ACT(BENCH_ROUND_TRIP, setup_module), ACT(BENCH_THROUGHPUT, setup_module),          \
			ACT(BENCH_BATCH, setup_module), ACT(BENCH_BATCH_CHUNKED, setup_module),    \
			ACT(BENCH_MAP, setup_module), ACT(BENCH_IMAP, setup_module),               \
			ACT(BENCH_ECHO_64K, setup_module), ACT(BENCH_ECHO_64K_MANY, setup_module), \
			ACT(BENCH_ECHO_1M, setup_module), ACT(BENCH_ECHO_1M_MANY, setup_module),   \
			ACT(BENCH_DEATH, setup_module), ACT(BENCH_DEATH_LARGE, setup_module),      \
			ACT(BENCH_RECOVERY, setup_module), ACT(BENCH_REPLACEMENT, setup_module),   \
			ACT(BENCH_REPLACEMENT_LARGE_WORKER, setup_module),                         \
			LARGE_ACT(BENCH_REPLACEMENT_LARGE_PARENT, setup_module),                   \
			ACT(BENCH_START, setup_module),                                            \
			LARGE_ACT(BENCH_START_LARGE_PARENT, setup_module),                         \
			LARGE_ACT(BENCH_START_FIRST_LARGE_PARENT, setup_module),                   \
			ACT(BENCH_START_AT_WORK, setup_module),                                    \
			LARGE_ACT(BENCH_START_AT_WORK_LARGE_PARENT, setup_module),                 \
			ACT(BENCH_DRAIN, setup_module), ACT(BENCH_TERMINATE, setup_module),        \
			ACT(BENCH_SPAWN, setup_module), ACT(BENCH_CHILD, setup_module),            \
			LARGE_ACT(BENCH_CHILD_LARGE_PARENT, setup_module),                         \
			LARGE_ACT(BENCH_SPAWN_EXEC, setup_module), ACT(BENCH_IDLE, setup_module),  \
			ACT(BENCH_IDLE_64, setup_module), ACT(BENCH_QUEUE, setup_module), { 0 },   \
	}
#define LOCK_ACTS(setup_module)                                                                   \
	(const struct bench_act[])                                                                \
	{                                                                                         \
		ACT(BENCH_LOCK, setup_module), ACT(BENCH_LOCK_2, setup_module),                   \
			ACT(BENCH_LOCK_4, setup_module), ACT(BENCH_LOCK_HAND_OVER, setup_module), \
			ACT(BENCH_SEMAPHORE, setup_module), ACT(BENCH_CONDITION, setup_module),   \
			ACT(BENCH_EVENT, setup_module), { 0 },                                    \
	}
#define MESSAGE_ACTS(setup_module)                                                                 \
	(const struct bench_act[])                                                                 \
	{                                                                                          \
		ACT(BENCH_MESSAGE_PARKED_8, setup_module),                                         \
			ACT(BENCH_MESSAGE_PARKED_64, setup_module),                                \
			ACT(BENCH_MESSAGE_64K, setup_module), ACT(BENCH_MESSAGE_1M, setup_module), \
			ACT(BENCH_STREAM_64, setup_module), ACT(BENCH_STREAM_64K, setup_module),   \
			ACT(BENCH_STREAM_1M, setup_module), { 0 },                                 \
	}

#define MANAGER_ACTS(setup_module)                                                              \
	(const struct bench_act[])                                                              \
	{                                                                                       \
		ACT(BENCH_MANAGER_DICT, setup_module), ACT(BENCH_MANAGER_DICT_8, setup_module), \
			ACT(BENCH_MANAGER_QUEUE, setup_module),                                 \
			ACT(BENCH_MANAGER_QUEUE_8, setup_module), { 0 },                        \
	}

const struct bench_peer bench_peer_multiprocessing = {
	.name = "multiprocessing",
	.summary = "Python's multiprocessing.Pool, Process, Queue, Pipe, locks, managers",
	.missing = multiprocessing_missing,
	.patience_ns = CAROM_SECONDS(2),
	.acts = ACTS(setup_multiprocessing),
	.more_acts = { LOCK_ACTS(setup_multiprocessing), MESSAGE_ACTS(setup_multiprocessing),
		       MANAGER_ACTS(setup_multiprocessing) },
};

/* What multiprocessing has not got. */
static const struct bench_act billiard_acts[] = {
	ACT(BENCH_LIMIT, setup_billiard),
	{ 0 },
};

const struct bench_peer bench_peer_billiard = {
	.name = "billiard",
	.summary = "Celery's billiard.Pool, Process, Queue",
	.missing = billiard_missing,
	.patience_ns = CAROM_SECONDS(30),
	.acts = ACTS(setup_billiard),
	.more_acts = { billiard_acts },
};
