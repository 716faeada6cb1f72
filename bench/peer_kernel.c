/*
 * Peers: pidfd, fork, posix_spawn, clone3
 *
 * What the kernel alone takes: from SIGKILL of a child to its pidfd being readable,
 * for a child to be made, and for one that is made, ends and is reaped.
 */
#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/machine.h"
#include "bench/peer.h"
#include "core/cleanup.h"
#include "core/time.h"
#include "shm/futex.h"

/* argv[1] of this program as posix_spawn's child; then a descriptor, -1 for none. */
#define CHILD_OPTION "--bench-child"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

extern char **environ;

/**
 * struct kernel_state - what children and their deaths need
 * @is_busy:  shared with the child
 * @here:     a pipe that a child says into that it runs
 * @pidfds:   of children that live all the time, @count of them
 * @next:     which of them is to die now
 * @epoll_fd: of all these, with their index
 */
struct kernel_state {
	struct bench_job job;
	_Atomic uint32_t *is_busy;
	int here[2];
	int *pidfds;
	size_t count;
	size_t next;
	int epoll_fd;
};

static int reap(int pidfd)
{
	siginfo_t info;
	int r = waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 ? -errno : 0;

	close(pidfd);
	return r;
}

static int setup(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	struct kernel_state *state = calloc(1, sizeof(*state));

	if (!state)
		return -ENOMEM;
	*ret_state = state;
	state->job = *job;
	state->epoll_fd = -1;
	state->here[0] = state->here[1] = -1;
	state->is_busy = mmap(NULL, sizeof(*state->is_busy), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (state->is_busy == MAP_FAILED)
		return -errno;
	return pipe2(state->here, 0) < 0 ? -errno : 0; /* a program that is executed has it too */
}

static int end(int pidfd)
{
	syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	return reap(pidfd);
}

static void teardown(void *state)
{
	struct kernel_state *kernel = state;

	for (size_t i = 0; i < kernel->count; i++)
		end(kernel->pidfds[i]);
	free(kernel->pidfds);
	carom_closep(&kernel->epoll_fd);
	carom_closep(&kernel->here[0]);
	carom_closep(&kernel->here[1]);
	munmap(kernel->is_busy, sizeof(*kernel->is_busy));
	free(kernel);
}

/* As fork(2), with the pidfd: CLONE_PIDFD for a child whose death raises SIGCHLD. */
static pid_t clone3_child(int *ret_pidfd)
{
	struct clone_args arguments = {
		.flags = CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};

	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

/* child: AS-Safe calls only */
static void be_busy(const struct kernel_state *state)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_place(0, state->job.worker_cpu);
	if (bench_touch(state->job.held_bytes) < 0)
		_exit(1);
	atomic_store(state->is_busy, 1);
	carom_futex_wake(state->is_busy, 1);
	for (;;)
		bench_relax();
}

static int operate_death(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct kernel_state *kernel = state;
	struct pollfd pollfd = { .events = POLLIN };
	uint64_t begin;
	pid_t pid;

	atomic_store(kernel->is_busy, 0);
	pid = clone3_child(&pollfd.fd);
	if (pid < 0)
		return -errno;
	if (pid == 0)
		be_busy(kernel);
	while (!atomic_load(kernel->is_busy))
		carom_futex_wait(kernel->is_busy, 0, CAROM_NO_DEADLINE);
	begin = carom_now();
	kill(pid, SIGKILL);
	if (poll(&pollfd, 1, -1) != 1)
		return -errno;
	operation->ns = carom_now() - begin;
	return reap(pollfd.fd);
}

/* child: AS-Safe calls only */
static _Noreturn void be_there(int here_fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (here_fd >= 0 && write(here_fd, "!", 1) != 1)
		_exit(EXIT_FAILURE);
	for (;;)
		pause();
}

void bench_be_child(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], CHILD_OPTION) == 0)
		be_there(atoi(argv[2]));
}

static int end_by_pid(pid_t pid)
{
	kill(pid, SIGKILL);
	return waitpid(pid, NULL, 0) != pid ? -errno : 0;
}

static int operate_clone3_child(void *state, uint64_t task_count, struct bench_operation *operation)
{
	uint64_t begin = carom_now();
	int pidfd;
	pid_t pid = clone3_child(&pidfd);

	if (pid == 0)
		be_there(-1);
	operation->ns = carom_now() - begin;
	return pid < 0 ? -errno : end(pidfd);
}

static int operate_fork_child(void *state, uint64_t task_count, struct bench_operation *operation)
{
	uint64_t begin = carom_now();
	pid_t pid = fork();

	if (pid == 0)
		be_there(-1);
	operation->ns = carom_now() - begin;
	return pid < 0 ? -errno : end_by_pid(pid);
}

static pid_t spawn_this(int here_fd)
{
	char program[] = "/proc/self/exe";
	char option[] = CHILD_OPTION;
	char number[16];
	char *argv[] = { program, option, number, NULL };
	pid_t pid;
	int r;

	snprintf(number, sizeof(number), "%d", here_fd);
	r = posix_spawn(&pid, program, NULL, NULL, argv, environ);
	return r ? -r : pid;
}

static int operate_spawn_child(void *state, uint64_t task_count, struct bench_operation *operation)
{
	uint64_t begin = carom_now();
	pid_t pid = spawn_this(-1);

	operation->ns = carom_now() - begin;
	return pid < 0 ? pid : end_by_pid(pid);
}

static int operate_spawn_run(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct kernel_state *kernel = state;
	uint64_t begin = carom_now();
	pid_t pid = spawn_this(kernel->here[1]);
	char byte;

	if (pid < 0)
		return pid;
	if (read(kernel->here[0], &byte, 1) != 1)
		return -EPIPE;
	operation->ns = carom_now() - begin;
	return end_by_pid(pid);
}

/* --- one of many ------------------------------------------------------- */

/* As number @index of those that live all the time; it runs when this returns. */
static int start_one(struct kernel_state *kernel, size_t index)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = index };
	char byte;
	int pidfd;
	pid_t pid = clone3_child(&pidfd);

	if (pid == 0)
		be_there(kernel->here[1]);
	if (pid < 0)
		return -errno;
	if (read(kernel->here[0], &byte, 1) != 1)
		return -EPIPE;
	kernel->pidfds[index] = pidfd;
	return epoll_ctl(kernel->epoll_fd, EPOLL_CTL_ADD, pidfd, &event) < 0 ? -errno : 0;
}

static int setup_watch(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	int r = setup(job, sample, ret_state);
	struct kernel_state *kernel = *ret_state;

	if (r < 0)
		return r;
	bench_allow_descriptors();
	kernel->pidfds = calloc(job->child_count, sizeof(*kernel->pidfds));
	kernel->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!kernel->pidfds || kernel->epoll_fd < 0)
		return -ENOMEM;
	for (; r == 0 && kernel->count < job->child_count; kernel->count += r == 0)
		r = start_one(kernel, kernel->count);
	return r;
}

static int operate_watch(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct kernel_state *kernel = state;
	int victim = kernel->pidfds[kernel->next];
	struct epoll_event event;
	uint64_t begin = carom_now();
	int r;

	syscall(SYS_pidfd_send_signal, victim, SIGKILL, NULL, 0);
	if (epoll_wait(kernel->epoll_fd, &event, 1, -1) != 1)
		return -errno;
	operation->ns = carom_now() - begin;
	if (event.data.u64 != kernel->next)
		return -EPROTO;
	epoll_ctl(kernel->epoll_fd, EPOLL_CTL_DEL, victim, NULL); /* children have copies of it */
	r = reap(victim);
	if (r == 0)
		r = start_one(kernel, kernel->next);
	kernel->next = (kernel->next + 1) % kernel->count;
	return r;
}

static int do_nothing(void *state, uint64_t task_count, struct bench_operation *operation)
{
	return 0;
}

static int operate_fork(void *state, uint64_t task_count, struct bench_operation *operation)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 || waitpid(pid, NULL, 0) != pid ? -errno : 0;
}

static int operate_posix_spawn(void *state, uint64_t task_count, struct bench_operation *operation)
{
	char path[] = "/bin/true";
	char *argv[] = { path, NULL };
	pid_t pid;
	int r = posix_spawn(&pid, path, NULL, NULL, argv, environ);

	if (r)
		return -r;
	return waitpid(pid, NULL, 0) != pid ? -errno : 0;
}

static int operate_clone3(void *state, uint64_t task_count, struct bench_operation *operation)
{
	int pidfd;
	pid_t pid = clone3_child(&pidfd);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -errno : reap(pidfd);
}

static const char *clone3_missing(void)
{
	/* a struct of size 0 is invalid; a kernel or container without clone3 says so instead */
	syscall(SYS_clone3, NULL, 0);
	return errno == EINVAL ? NULL : "clone3 is not allowed here";
}

#define ACT(id, operation)                                                                         \
	{                                                                                          \
		.workload_id = (id), .setup = setup, .operate = (operation), .teardown = teardown, \
	}
#define WATCH_ACT(id, operation)                                                   \
	{                                                                          \
		.workload_id = (id), .setup = setup_watch, .operate = (operation), \
		.teardown = teardown,                                              \
	}

const struct bench_peer bench_peer_pidfd = {
	.name = "pidfd",
	.summary = "SIGKILL of a plain child until poll() on its pidfd returns: the kernel alone",
	.missing = clone3_missing,
	.acts = (const struct bench_act[]){ ACT(BENCH_DEATH, operate_death),
					    ACT(BENCH_DEATH_LARGE, operate_death),
					    WATCH_ACT(BENCH_WATCH_SENTINEL, operate_watch),
					    WATCH_ACT(BENCH_WATCH, do_nothing),
					    { 0 } },
};

const struct bench_peer bench_peer_fork = {
	.name = "fork",
	.summary = "fork() and waitpid()",
	.acts = (const struct bench_act[]){ ACT(BENCH_SPAWN, operate_fork),
					    ACT(BENCH_CHILD, operate_fork_child),
					    {
						    .workload_id = BENCH_CHILD_LARGE_PARENT,
						    .setup = setup,
						    .operate = operate_fork_child,
						    .teardown = teardown,
						    .is_apart = true,
					    },
					    { 0 } },
};

const struct bench_peer bench_peer_posix_spawn = {
	.name = "posix_spawn",
	.summary = "posix_spawn() of /bin/true, or of this program",
	.acts = (const struct bench_act[]){ ACT(BENCH_SPAWN, operate_posix_spawn),
					    ACT(BENCH_SPAWN_EXEC, operate_spawn_child),
					    ACT(BENCH_SPAWN_EXEC_RUN, operate_spawn_run),
					    { 0 } },
	.more_acts = { bench_spawn_command_acts },
};

const struct bench_peer bench_peer_clone3 = {
	.name = "clone3",
	.summary = "bare clone3() like fork, with a pidfd, and waitid()",
	.missing = clone3_missing,
	.acts = (const struct bench_act[]){ ACT(BENCH_SPAWN, operate_clone3),
					    ACT(BENCH_CHILD, operate_clone3_child),
					    {
						    .workload_id = BENCH_CHILD_LARGE_PARENT,
						    .setup = setup,
						    .operate = operate_clone3_child,
						    .teardown = teardown,
						    .is_small = true,
					    },
					    { 0 } },
};
