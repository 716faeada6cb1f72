/*
 * Peers: pidfd, fork, posix_spawn, clone3
 *
 * What the kernel alone takes: from SIGKILL of a busy child to its pidfd being
 * readable, and for a child that is made, ends and is reaped.
 */
#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/machine.h"
#include "bench/peer.h"
#include "core/time.h"
#include "shm/futex.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

extern char **environ;

/* What a spawned child and its death need. */
struct kernel_state {
	struct bench_job job;
	_Atomic uint32_t *is_busy; /* shared with the child */
};

static int setup(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	struct kernel_state *state = calloc(1, sizeof(*state));

	if (!state)
		return -ENOMEM;
	state->job = *job;
	state->is_busy = mmap(NULL, sizeof(*state->is_busy), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (state->is_busy == MAP_FAILED)
		return -errno;
	*ret_state = state;
	return 0;
}

static void teardown(void *state)
{
	struct kernel_state *kernel = state;

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

static int reap(int pidfd)
{
	siginfo_t info;
	int r = waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 ? -errno : 0;

	close(pidfd);
	return r;
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

const struct bench_peer bench_peer_pidfd = {
	.name = "pidfd",
	.summary = "SIGKILL of a plain child until poll() on its pidfd returns: the kernel alone",
	.missing = clone3_missing,
	.acts = (const struct bench_act[]){ ACT(BENCH_DEATH, operate_death),
					    ACT(BENCH_DEATH_LARGE, operate_death),
					    { 0 } },
};

const struct bench_peer bench_peer_fork = {
	.name = "fork",
	.summary = "fork() and waitpid()",
	.acts = (const struct bench_act[]){ ACT(BENCH_SPAWN, operate_fork), { 0 } },
};

const struct bench_peer bench_peer_posix_spawn = {
	.name = "posix_spawn",
	.summary = "posix_spawn() of /bin/true and waitpid()",
	.acts = (const struct bench_act[]){ ACT(BENCH_SPAWN, operate_posix_spawn), { 0 } },
};

const struct bench_peer bench_peer_clone3 = {
	.name = "clone3",
	.summary = "bare clone3() like fork, with a pidfd, and waitid()",
	.missing = clone3_missing,
	.acts = (const struct bench_act[]){ ACT(BENCH_SPAWN, operate_clone3), { 0 } },
};
