/*
 * Peer: pipe
 *
 * The pool that is written in an afternoon: forked workers read tasks from one
 * pipe and write results to another, 64 bytes each, below PIPE_BUF, so that no
 * two mix. The caller reads as many results at a time as there are.
 *
 * A large value follows its message through the pipe, which only a pool of one
 * worker can keep apart from another one.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/machine.h"
#include "bench/meeting.h"
#include "bench/peer.h"
#include "core/time.h"

#define PIPE_BYTES  (1 << 20)
#define RESULTS_MAX 64
#define WORKERS_MAX 64
#define SETTLE_NS   CAROM_MILLISECONDS(20)

struct message {
	uint64_t (*function)(uint64_t argument);
	uint64_t argument;
	uint64_t result;
	uint64_t payload_bytes;
	uint64_t rest[4];
};

struct pipe_pool {
	struct bench_job job;
	int task_fds[2];
	int result_fds[2];
	pid_t workers[WORKERS_MAX];
	uint64_t worker_count;
	unsigned char *payload;
};

/* Shared with the workers, who are copies of this process. */
static struct bench_meeting *meeting;

static uint64_t no_op(uint64_t argument)
{
	return argument;
}

static uint64_t attend(uint64_t argument)
{
	bench_meeting_attend(meeting);
	return argument;
}

/* --- the pool ---------------------------------------------------------- */

static int write_all(int fd, const void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, (const char *)data + done, size - done);

		if (n <= 0)
			return -EPIPE;
		done += (size_t)n;
	}
	return 0;
}

static int read_all(int fd, void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, (char *)data + done, size - done);

		if (n <= 0)
			return -EPIPE;
		done += (size_t)n;
	}
	return 0;
}

static void work(const struct pipe_pool *pool)
{
	struct message message;

	close(pool->task_fds[1]); /* or the end of the pool would not end the workers */
	while (read_all(pool->task_fds[0], &message, sizeof(message)) == 0) {
		if (read_all(pool->task_fds[0], pool->payload, message.payload_bytes) < 0)
			break;
		message.result = message.function(message.argument);
		if (write_all(pool->result_fds[1], &message, sizeof(message)) < 0 ||
		    write_all(pool->result_fds[1], pool->payload, message.payload_bytes) < 0)
			break;
	}
	_exit(0);
}

static int start_workers(struct pipe_pool *pool)
{
	while (pool->worker_count < pool->job.worker_count) {
		pid_t pid = fork();

		if (pid < 0)
			return -errno;
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			bench_place(0, pool->job.worker_cpu);
			work(pool);
		}
		pool->workers[pool->worker_count++] = pid;
	}
	return 0;
}

static int start_pool(struct pipe_pool *pool)
{
	pool->worker_count = 0;
	if (pipe2(pool->task_fds, O_CLOEXEC) < 0 || pipe2(pool->result_fds, O_CLOEXEC) < 0)
		return -errno;
	fcntl(pool->task_fds[1], F_SETPIPE_SZ, PIPE_BYTES);
	fcntl(pool->result_fds[1], F_SETPIPE_SZ, PIPE_BYTES);
	return start_workers(pool);
}

/* The workers end at the end of their pipe, if not before. */
static void end_pool(struct pipe_pool *pool)
{
	close(pool->task_fds[0]);
	close(pool->task_fds[1]);
	while (pool->worker_count > 0)
		waitpid(pool->workers[--pool->worker_count], NULL, 0);
	close(pool->result_fds[0]);
	close(pool->result_fds[1]);
}

static int submit(struct pipe_pool *pool, uint64_t (*function)(uint64_t argument),
		  uint64_t argument)
{
	struct message message = { .function = function, .argument = argument };

	return write_all(pool->task_fds[1], &message, sizeof(message));
}

/* Return: how many results were there; at least one. */
static int64_t collect(struct pipe_pool *pool)
{
	struct message messages[RESULTS_MAX];
	ssize_t size = read(pool->result_fds[0], messages, sizeof(messages));

	return size > 0 ? size / (ssize_t)sizeof(*messages) : -EPIPE;
}

/* --- tasks ------------------------------------------------------------- */

static int setup_without(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	struct pipe_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	*ret_state = pool;
	pool->job = *job;
	pool->payload = calloc(1, job->workload->payload_bytes + 1);
	meeting = bench_meeting_new();
	if (!pool->payload || !meeting)
		return -ENOMEM;
	return job->worker_count > WORKERS_MAX ? -EINVAL : 0;
}

static int setup(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	int r = setup_without(job, sample, ret_state);

	return r < 0 ? r : start_pool(*ret_state);
}

static int operate(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct pipe_pool *pool = state;
	uint64_t submitted = 0;
	uint64_t collected = 0;

	while (collected < task_count) {
		int64_t r = 0;

		while (r == 0 && submitted < task_count && submitted - collected < BENCH_WINDOW)
			r = submit(pool, no_op, submitted++);
		if (r == 0)
			r = collect(pool);
		if (r < 0)
			return (int)r;
		collected += (uint64_t)r;
	}
	return 0;
}

/* One at a time: with more in flight both sides would wait for room in a pipe. */
static int operate_echo(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct pipe_pool *pool = state;
	struct message message = { .function = no_op,
				   .payload_bytes = pool->job.workload->payload_bytes };
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < task_count; i++) {
		r = write_all(pool->task_fds[1], &message, sizeof(message));
		if (r == 0)
			r = write_all(pool->task_fds[1], pool->payload, message.payload_bytes);
		if (r == 0)
			r = read_all(pool->result_fds[0], &message, sizeof(message));
		if (r == 0)
			r = read_all(pool->result_fds[0], pool->payload, message.payload_bytes);
	}
	return r;
}

static void teardown_without(void *state)
{
	struct pipe_pool *pool = state;

	free(pool->payload);
	free(pool);
}

static void teardown(void *state)
{
	end_pool(state);
	teardown_without(state);
}

/* --- the pool's begin and end ------------------------------------------ */

static int operate_start(void *state, uint64_t task_count, struct bench_operation *operation)
{
	uint64_t begin = carom_now();
	int r = start_pool(state);

	operation->ns = carom_now() - begin;
	end_pool(state);
	return r;
}

/* Until every worker is in a task. */
static int call_meeting(struct pipe_pool *pool)
{
	int r = 0;

	bench_meeting_call(meeting, (uint32_t)pool->worker_count);
	for (uint64_t i = 0; r == 0 && i < pool->worker_count; i++)
		r = submit(pool, attend, i);
	if (r == 0)
		bench_meeting_await(meeting);
	return r;
}

static int end_meeting(struct pipe_pool *pool)
{
	uint64_t collected = 0;

	bench_meeting_end(meeting);
	while (collected < pool->worker_count) {
		int64_t r = collect(pool);

		if (r < 0)
			return (int)r;
		collected += (uint64_t)r;
	}
	return 0;
}

static int operate_start_at_work(void *state, uint64_t task_count,
				 struct bench_operation *operation)
{
	struct pipe_pool *pool = state;
	uint64_t begin = carom_now();
	int r = start_pool(pool);

	if (r == 0)
		r = call_meeting(pool);
	operation->ns = carom_now() - begin;
	if (r == 0)
		r = end_meeting(pool);
	end_pool(pool);
	return r;
}

static int start_idle_pool(struct pipe_pool *pool)
{
	int r = start_pool(pool);

	if (r == 0)
		r = call_meeting(pool);
	if (r == 0)
		r = end_meeting(pool);
	bench_let_pass(SETTLE_NS);
	return r;
}

static int operate_terminate(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct pipe_pool *pool = state;
	int r = start_idle_pool(pool);
	uint64_t begin = carom_now();

	for (uint64_t i = 0; i < pool->worker_count; i++)
		kill(pool->workers[i], SIGKILL);
	end_pool(pool);
	operation->ns = carom_now() - begin;
	return r;
}

static int operate_drain(void *state, uint64_t task_count, struct bench_operation *operation)
{
	int r = start_idle_pool(state);
	uint64_t begin = carom_now();

	end_pool(state);
	operation->ns = carom_now() - begin;
	return r;
}

#define ACT(id, operation)                                                                         \
	{                                                                                          \
		.workload_id = (id), .setup = setup, .operate = (operation), .teardown = teardown, \
	}
#define LIFE_ACT(id, operation)                                                      \
	{                                                                            \
		.workload_id = (id), .setup = setup_without, .operate = (operation), \
		.teardown = teardown_without,                                        \
	}

static const struct bench_act acts[] = {
	ACT(BENCH_ROUND_TRIP_PARKED, operate),
	ACT(BENCH_ROUND_TRIP, operate),
	ACT(BENCH_THROUGHPUT, operate),
	ACT(BENCH_BATCH, operate),
	ACT(BENCH_IMAP, operate),
	ACT(BENCH_ECHO_64K, operate_echo),
	ACT(BENCH_ECHO_1M, operate_echo),
	LIFE_ACT(BENCH_START, operate_start),
	LIFE_ACT(BENCH_START_LARGE_PARENT, operate_start),
	LIFE_ACT(BENCH_START_AT_WORK, operate_start_at_work),
	LIFE_ACT(BENCH_START_AT_WORK_LARGE_PARENT, operate_start_at_work),
	LIFE_ACT(BENCH_DRAIN, operate_drain),
	LIFE_ACT(BENCH_TERMINATE, operate_terminate),
	ACT(BENCH_IDLE, operate),
	ACT(BENCH_IDLE_64, operate),
	{ 0 },
};

const struct bench_peer bench_peer_pipe = {
	.name = "pipe",
	.summary = "pre-forked workers on a task pipe and a result pipe",
	.acts = acts,
	.more_acts = { bench_pipe_message_acts },
};
