/*
 * Side
 *
 * The loop that measures is here and not in the peers, so that all that are
 * written in C are measured alike: the same warm-up, the same clock, its cost
 * taken off. Peers in another language bring their own (struct bench_act.measure).
 *
 * A side that hangs is no reason for the program to hang: it waits for an answer
 * as long as the job may take, then kills the side's session.
 */
#include "bench/side.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/machine.h"
#include "core/cleanup.h"
#include "core/error.h"
#include "core/time.h"

#define SETUP_NS     CAROM_SECONDS(60)
#define TEARDOWN_MS  5000
#define MANY_TASKS   (2 * BENCH_WINDOW)
#define CLOCK_TRIALS 1000

static uint64_t clock_cost_ns;

/* What two looks at the clock with nothing in between show: it is in every value. */
static void learn_clock_cost(void)
{
	double costs[CLOCK_TRIALS];

	for (int i = 0; i < CLOCK_TRIALS; i++) {
		uint64_t begin = carom_now();

		costs[i] = (double)(carom_now() - begin);
	}
	clock_cost_ns = (uint64_t)bench_median(costs, CLOCK_TRIALS);
}

static uint64_t without_clock(uint64_t ns)
{
	return ns > clock_cost_ns ? ns - clock_cost_ns : 1;
}

static int operate(struct bench_side *side, void *state, uint64_t task_count, uint64_t *ret_ns)
{
	struct bench_operation operation = { 0 };
	uint64_t begin = carom_now();
	int r = side->act->operate(state, task_count, &operation);
	uint64_t ns = carom_now() - begin;

	if (r < 0)
		return bench_sample_fail(side->sample, r, "%s", carom_strerror(r));
	if (operation.gave_up)
		side->sample->gave_up_ns = side->job->give_up_ns;
	*ret_ns = without_clock(operation.ns ? operation.ns : ns);
	return 0;
}

static int warm_up(struct bench_side *side, void *state, uint64_t task_count, uint64_t *ret_ns)
{
	uint64_t deadline_ns = carom_deadline_after(side->job->warm_ns);
	int r;

	do {
		r = operate(side, state, task_count, ret_ns);
		side->sample->warm_task_count += task_count;
	} while (r == 0 && !side->sample->gave_up_ns && carom_now() < deadline_ns);
	return r;
}

/* So many tasks that four operations fill a sample: filling and draining the window is noise. */
static uint64_t fitting_task_count(const struct bench_job *job, uint64_t ns)
{
	uint64_t count = job->sample_ns / 4 * MANY_TASKS / ns;

	return count > MANY_TASKS ? count : MANY_TASKS;
}

static int measure(struct bench_side *side, void *state)
{
	const struct bench_job *job = side->job;
	bool is_many = job->task_count == BENCH_MANY;
	uint64_t task_count = is_many ? MANY_TASKS : job->task_count;
	uint64_t deadline_ns;
	uint64_t ns = 0;
	int r = job->warm_ns ? warm_up(side, state, task_count, &ns) : 0;

	if (is_many && ns)
		task_count = fitting_task_count(job, ns);
	deadline_ns = carom_deadline_after(job->sample_ns);
	while (r == 0 && !side->sample->gave_up_ns) {
		r = operate(side, state, task_count, &ns);
		if (r == 0 && !side->sample->gave_up_ns)
			bench_sample_add(side->sample, ns, task_count);
		if (carom_now() >= deadline_ns)
			break;
	}
	return r;
}

static int measure_sample(struct bench_side *side, void *state)
{
	uint64_t syscalls_before = bench_syscalls_count(side->syscalls_fd);
	int r;

	bench_sample_begin(side->sample);
	if (side->act->measure)
		r = side->act->measure(state, side->job, side->sample);
	else
		r = measure(side, state);
	if (side->act->rest)
		side->act->rest(state);
	side->sample->syscall_count = bench_syscalls_count(side->syscalls_fd) - syscalls_before;
	return r;
}

/* Before the pool is made: only later threads and children are counted too. */
static int begin_to_count(struct bench_side *side)
{
	if (!side->job->counts_syscalls)
		return 0;
	side->syscalls_fd = bench_syscalls_open();
	if (side->syscalls_fd < 0)
		return bench_sample_fail(side->sample, side->syscalls_fd, "%s",
					 carom_strerror(side->syscalls_fd));
	return 0;
}

static void *wait_for_ever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* They do nothing but be there. */
static int start_threads(uint64_t count)
{
	pthread_t thread;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < count; i++)
		r = -pthread_create(&thread, NULL, wait_for_ever, NULL);
	return r;
}

static int make_ready(struct bench_side *side, void **ret_state)
{
	const struct bench_job *job = side->job;
	int r = bench_place_both(job->caller_cpu, job->worker_cpu);

	if (r < 0)
		return bench_sample_fail(side->sample, r, "no such CPU");
	r = begin_to_count(side);
	if (r < 0)
		return r;
	r = side->act->setup(job, side->sample, ret_state);
	if (r < 0) {
		if (!side->sample->message[0])
			bench_sample_fail(side->sample, r, "%s", carom_strerror(r));
		return r;
	}
	bench_place(0, job->caller_cpu);
	r = start_threads(job->parent_thread_count);
	if (r < 0)
		return bench_sample_fail(side->sample, r, "no threads");
	r = side->act->touches ? 0 : bench_touch(job->parent_bytes);
	return r < 0 ? bench_sample_fail(side->sample, r, "no memory") : 0;
}

static int say_done(int fd)
{
	return send(fd, "d", 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

/* The side's process: until the program closes its end of the socket. */
static int serve(struct bench_side *side, int fd)
{
	void *state = NULL;
	char request;
	int r = make_ready(side, &state);

	learn_clock_cost();
	while (say_done(fd) == 0 && r == 0 && recv(fd, &request, 1, 0) == 1)
		r = measure_sample(side, state);
	if (state)
		side->act->teardown(state);
	return r < 0;
}

/* Waits for the side's "done": 0, or below 0 with a message. */
static int await_done(struct bench_side *side, uint64_t ns)
{
	struct pollfd pollfd = { .fd = side->fd, .events = POLLIN };
	char reply;
	int r = poll(&pollfd, 1, (int)(ns / 1000000));

	if (r == 0)
		return bench_sample_fail(side->sample, -ETIMEDOUT, "hangs");
	if (r < 0)
		return bench_sample_fail(side->sample, -errno, "%s", strerror(errno));
	if (recv(side->fd, &reply, 1, 0) != 1)
		return bench_sample_fail(side->sample, -EPIPE, "its process died");
	return side->sample->error;
}

static struct bench_sample *new_sample(void)
{
	struct bench_sample *sample = mmap(NULL, sizeof(*sample), PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return sample == MAP_FAILED ? NULL : sample;
}

int bench_side_start(struct bench_side *side, const struct bench_peer *peer,
		     const struct bench_act *act, const struct bench_job *job)
{
	int fds[2];

	*side = (struct bench_side){
		.peer = peer, .act = act, .job = job, .fd = -1, .syscalls_fd = -1
	};
	side->sample = new_sample();
	if (!side->sample)
		return -ENOMEM;
	bench_sample_begin(side->sample);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return bench_sample_fail(side->sample, -errno, "%s", strerror(errno));
	fflush(NULL);
	side->pid = fork();
	if (side->pid == 0) {
		setsid();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		_exit(serve(side, fds[1]));
	}
	close(fds[1]);
	side->fd = fds[0];
	if (side->pid < 0) {
		side->pid = 0;
		return bench_sample_fail(side->sample, -errno, "%s", strerror(errno));
	}
	return await_done(side, SETUP_NS);
}

int bench_side_measure(struct bench_side *side)
{
	const struct bench_job *job = side->job;
	uint64_t patience_ns = CAROM_SECONDS(30) + 2 * (job->give_up_ns + job->sample_ns);

	if (send(side->fd, "m", 1, MSG_NOSIGNAL) != 1)
		return bench_sample_fail(side->sample, -EPIPE, "its process died");
	return await_done(side, patience_ns);
}

/* The leader is not reaped before its session is killed: until then the id is no one else's. */
static void end_session(pid_t leader, int fd)
{
	struct pollfd hang_up = { .fd = fd };
	siginfo_t info;

	shutdown(fd, SHUT_WR);
	poll(&hang_up, 1, TEARDOWN_MS);
	kill(leader, SIGKILL);
	waitid(P_PID, (id_t)leader, &info, WEXITED | WNOWAIT);
	kill(-leader, SIGKILL);
	waitid(P_PID, (id_t)leader, &info, WEXITED);
}

void bench_side_end(struct bench_side *side)
{
	if (side->pid)
		end_session(side->pid, side->fd);
	side->pid = 0;
	carom_closep(&side->fd);
	if (side->sample)
		munmap(side->sample, sizeof(*side->sample));
	side->sample = NULL;
}
