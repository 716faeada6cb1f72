/*
 * Peer: pipe
 *
 * The pool that is written in an afternoon: forked workers read tasks from one
 * pipe and write results to another, 64 bytes each, below PIPE_BUF, so that no
 * two mix. The caller reads as many results at a time as there are.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench/machine.h"
#include "bench/peer.h"

#define PIPE_BYTES  (1 << 20)
#define RESULTS_MAX 64

struct message {
	uint64_t (*function)(uint64_t argument);
	uint64_t argument;
	uint64_t result;
	uint64_t rest[5];
};

struct pipe_pool {
	int task_fds[2];
	int result_fds[2];
};

static uint64_t no_op(uint64_t argument)
{
	return argument;
}

static void work(const struct pipe_pool *pool)
{
	struct message message;

	close(pool->task_fds[1]); /* or the end of the pool would not end the workers */
	while (read(pool->task_fds[0], &message, sizeof(message)) == sizeof(message)) {
		message.result = message.function(message.argument);
		if (write(pool->result_fds[1], &message, sizeof(message)) != sizeof(message))
			break;
	}
	_exit(0);
}

static int start_workers(const struct pipe_pool *pool, const struct bench_job *job)
{
	for (uint64_t i = 0; i < job->workload->worker_count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return -errno;
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			bench_place(0, job->worker_cpu);
			work(pool);
		}
	}
	return 0;
}

static int setup(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	struct pipe_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	if (pipe2(pool->task_fds, O_CLOEXEC) < 0 || pipe2(pool->result_fds, O_CLOEXEC) < 0)
		return -errno;
	fcntl(pool->task_fds[1], F_SETPIPE_SZ, PIPE_BYTES);
	fcntl(pool->result_fds[1], F_SETPIPE_SZ, PIPE_BYTES);
	*ret_state = pool;
	return start_workers(pool, job);
}

static int submit(struct pipe_pool *pool, uint64_t argument)
{
	struct message message = { .function = no_op, .argument = argument };

	return write(pool->task_fds[1], &message, sizeof(message)) == sizeof(message) ? 0 : -errno;
}

/* Return: how many results were there; at least one. */
static int64_t collect(struct pipe_pool *pool)
{
	struct message messages[RESULTS_MAX];
	ssize_t size = read(pool->result_fds[0], messages, sizeof(messages));

	return size > 0 ? size / (ssize_t)sizeof(*messages) : -EPIPE;
}

static int operate(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct pipe_pool *pool = state;
	uint64_t submitted = 0;
	uint64_t collected = 0;

	while (collected < task_count) {
		int64_t r = 0;

		while (r == 0 && submitted < task_count && submitted - collected < BENCH_WINDOW)
			r = submit(pool, submitted++);
		if (r == 0)
			r = collect(pool);
		if (r < 0)
			return (int)r;
		collected += (uint64_t)r;
	}
	return 0;
}

static void teardown(void *state)
{
	struct pipe_pool *pool = state;

	close(pool->task_fds[0]);
	close(pool->task_fds[1]);
	close(pool->result_fds[0]);
	close(pool->result_fds[1]);
	free(pool);
}

#define ACT(id)                                                                                \
	{                                                                                      \
		.workload_id = (id), .setup = setup, .operate = operate, .teardown = teardown, \
	}

static const struct bench_act acts[] = {
	ACT(BENCH_ROUND_TRIP_PARKED),
	ACT(BENCH_ROUND_TRIP),
	ACT(BENCH_THROUGHPUT),
	ACT(BENCH_BATCH),
	ACT(BENCH_IDLE),
	{ 0 },
};

const struct bench_peer bench_peer_pipe = {
	.name = "pipe",
	.summary = "pre-forked workers on a task pipe and a result pipe",
	.acts = acts,
};
