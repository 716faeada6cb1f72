/*
 * Peers: xargs, make, parallel, hyperfine; and the carom program
 *
 * Whole programs, as a person starts them: an operation is from before the program is made
 * until it is reaped, and its tasks are the commands that it runs. What they print goes
 * nowhere. Beside them stands what each comes down to: a loop of posix_spawn() and wait(),
 * two commands at a time.
 *
 * The side works in a directory of its own, so that names are short and nothing stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/peer.h"
#include "pool/carom.h"

#define WORDS_MAX    16
#define TASK_COUNT   "#" /* stands for the number, in a command */
#define AT_A_TIME    2
#define FIRST_INPUT  1000 /* a number of seconds that no measurement lasts */
#define POOL_WORKERS 8

extern char **environ;

/**
 * struct errand - a command and where it runs
 * @pid:  of one that runs all the time; 0: none
 * @pool: to be looked at; NULL: none
 */
struct errand {
	char directory[64];
	char count[24];
	const char *words[WORDS_MAX + 1];
	pid_t pid;
	struct carom_pool *pool;
};

/* ---- its directory ---- */

static const char *const names[] = { "inputs", "Makefile", "log" };

/* A number a line; and as many targets, each by one command that make(1) needs no shell for. */
static int write_files(uint64_t count)
{
	FILE *inputs = fopen(names[0], "we"), *makefile = fopen(names[1], "we");
	int r = inputs && makefile ? 0 : -errno;

	if (r == 0)
		fputs("all:", makefile);
	for (uint64_t i = 0; r == 0 && i < count; i++) {
		fprintf(inputs, "%" PRIu64 "\n", FIRST_INPUT + i);
		fprintf(makefile, " t%" PRIu64, i);
	}
	if (r == 0)
		fputs("\nt%: ; @true $*\n", makefile);
	if (inputs && fclose(inputs) != 0)
		r = -EIO;
	if (makefile && fclose(makefile) != 0)
		r = -EIO;
	return r;
}

static int enter_directory(struct errand *errand, uint64_t count)
{
	const char *where = getenv("TMPDIR");

	snprintf(errand->directory, sizeof(errand->directory), "%.40s/carom-peers-XXXXXX",
		 where && *where ? where : "/tmp");
	if (!mkdtemp(errand->directory)) {
		errand->directory[0] = '\0';
		return -errno;
	}
	return chdir(errand->directory) < 0 ? -errno : write_files(count);
}

static void leave_directory(const struct errand *errand)
{
	if (!errand->directory[0])
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		unlink(names[i]);
	if (chdir("/") == 0)
		rmdir(errand->directory);
}

/* ---- a command ---- */

/* Return: its pid. */
static pid_t start(const struct errand *errand)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	r = posix_spawnp(&pid, errand->words[0], &actions, NULL, (char *const *)errand->words,
			 environ);
	posix_spawn_file_actions_destroy(&actions);
	return r ? -r : pid;
}

static int set_up(const struct bench_job *job, struct bench_sample *sample,
		  const char *const *words, void **ret_state)
{
	struct errand *errand = calloc(1, sizeof(*errand));
	int r;

	if (!errand)
		return -ENOMEM;
	*ret_state = errand;
	snprintf(errand->count, sizeof(errand->count), "%" PRIu64, job->task_count);
	for (size_t i = 0; i < WORDS_MAX && words[i]; i++)
		errand->words[i] = strcmp(words[i], TASK_COUNT) ? words[i] : errand->count;
	r = enter_directory(errand, job->task_count);
	return r < 0 ? bench_sample_fail(sample, r, "no directory of its own") : 0;
}

static int operate(void *state, uint64_t task_count, struct bench_operation *operation)
{
	pid_t pid = start(state);
	int status;

	if (pid < 0)
		return pid;
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EREMOTEIO;
}

static int do_nothing(void *state, uint64_t task_count, struct bench_operation *operation)
{
	return 0;
}

static void teardown(void *state)
{
	struct errand *errand = state;

	if (errand->pid > 0) {
		kill(errand->pid, SIGKILL);
		waitpid(errand->pid, NULL, 0);
	}
	carom_pool_free(errand->pool);
	leave_directory(errand);
	free(errand);
}

#define COMMAND(function, ...)                                                           \
	static int function(const struct bench_job *job, struct bench_sample *sample,    \
			    void **ret_state)                                            \
	{                                                                                \
		static const char *const words[] = { __VA_ARGS__, NULL };                \
                                                                                         \
		_Static_assert(sizeof(words) / sizeof(*words) <= WORDS_MAX, "they fit"); \
		return set_up(job, sample, words, ret_state);                            \
	}

COMMAND(setup_run, BENCH_CAROM, "run", "-j2", "--timeout", "10", "--joblog", "log", "-a", "inputs",
	"true")
COMMAND(setup_xargs, "xargs", "-P2", "-n1", "-a", "inputs", "true")
COMMAND(setup_make, "make", "-s", "-r", "-j2")
COMMAND(setup_parallel, "parallel", "-j2", "-a", "inputs", "true")
COMMAND(setup_bench, BENCH_CAROM, "bench", "-q", "-w", "0", "-r", TASK_COUNT, "true")
COMMAND(setup_hyperfine, "hyperfine", "-N", "-w", "0", "-r", TASK_COUNT, "true")
COMMAND(prepare_queue, BENCH_CAROM, "run", "-j2", "--joblog", "log", "-a", "inputs", "sleep")
COMMAND(prepare_top, BENCH_CAROM, "top", "--delay", "1")

/* ---- those that run all the time ---- */

static int begin(struct errand *errand)
{
	pid_t pid = start(errand);

	if (pid < 0)
		return pid;
	errand->pid = pid;
	return 0;
}

static int setup_queue(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	int r = prepare_queue(job, sample, ret_state);

	return r < 0 ? r : begin(*ret_state);
}

static int setup_top(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	int r = prepare_top(job, sample, ret_state);
	struct errand *errand = *ret_state;

	if (r == 0)
		r = carom_pool_new(
			&CAROM_POOL_OPTIONS(.worker_count = POOL_WORKERS, .statistics = 1),
			&errand->pool);
	return r < 0 ? r : begin(errand);
}

/* ---- the loop ---- */

static int setup_loop(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	*ret_state = NULL;
	return 0;
}

static int reap(uint64_t *count)
{
	int status;

	if (wait(&status) < 0)
		return -errno;
	--*count;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EREMOTEIO;
}

static int operate_loop(void *state, uint64_t task_count, struct bench_operation *operation)
{
	uint64_t running_count = 0;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < task_count; i++) {
		char program[] = "true", number[24];
		char *words[] = { program, number, NULL };
		pid_t pid;

		if (running_count == AT_A_TIME)
			r = reap(&running_count);
		snprintf(number, sizeof(number), "%" PRIu64, FIRST_INPUT + i);
		if (r == 0)
			r = -posix_spawnp(&pid, program, NULL, NULL, words, environ);
		running_count += r == 0;
	}
	while (r == 0 && running_count > 0)
		r = reap(&running_count);
	return r;
}

/* ---- who is here ---- */

static const char *look_for(const char *name)
{
	const char *path = getenv("PATH");
	size_t length;

	for (; path && *path; path += length + (path[length] == ':')) {
		char program[256];

		length = strcspn(path, ":");
		snprintf(program, sizeof(program), "%.*s/%s", (int)length, path, name);
		if (access(program, X_OK) == 0)
			return NULL;
	}
	return "it is not installed";
}

#define ACT(id, make, operation)                                              \
	{                                                                     \
		.workload_id = (id), .setup = (make), .operate = (operation), \
		.teardown = teardown,                                         \
	}

const struct bench_act bench_carom_command_acts[] = {
	ACT(BENCH_COMMANDS, setup_run, operate),
	ACT(BENCH_COMMANDS_TIMED, setup_bench, operate),
	ACT(BENCH_COMMANDS_QUEUED, setup_queue, do_nothing),
	ACT(BENCH_TOP, setup_top, do_nothing),
	{ 0 },
};

const struct bench_act bench_spawn_command_acts[] = {
	{
		.workload_id = BENCH_COMMANDS,
		.setup = setup_loop,
		.operate = operate_loop,
		.teardown = free,
	},
	{ 0 },
};

#define PEER(name_, setup_, id, summary_)                                              \
	static const char *name_##_missing(void)                                       \
	{                                                                              \
		return look_for(#name_);                                               \
	}                                                                              \
	const struct bench_peer bench_peer_##name_ = {                                 \
		.name = #name_,                                                        \
		.summary = (summary_),                                                 \
		.missing = name_##_missing,                                            \
		.acts = (const struct bench_act[]){ ACT(id, setup_, operate), { 0 } }, \
	};

PEER(xargs, setup_xargs, BENCH_COMMANDS, "xargs -P2 -n1")
PEER(make, setup_make, BENCH_COMMANDS, "make -j2, a target for each command")
PEER(parallel, setup_parallel, BENCH_COMMANDS, "GNU parallel -j2")
PEER(hyperfine, setup_hyperfine, BENCH_COMMANDS_TIMED, "hyperfine -N")
