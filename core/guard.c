/*
 * Guard
 *
 *   G1  Signal and owner belong to an open file description, so each child needs one
 *       of its own: the pipe is opened anew through /proc. Where /proc is not there,
 *       PR_SET_PDEATHSIG has to do.
 *   G2  The write end is open in the program alone. A child by fork() closes its copy
 *       before anything else runs there, so no fork may come between the making of the
 *       pipe and its number; one by exec never had it (CLOEXEC).
 *   G3  First armed, then looked: a parent that ended before is seen by the hang-up.
 */
#include "core/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/pidfd.h"
#include "core/points.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* held across a fork: G2 */
static int ends[2] = { -1, -1 };

static void hold(void)
{
	pthread_mutex_lock(&lock);
}

static void let_go(void)
{
	pthread_mutex_unlock(&lock);
}

static void close_ends(void)
{
	carom_closep(&ends[0]);
	carom_closep(&ends[1]);
}

/* G2 */
static void forget(void)
{
	close_ends();
	pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void survive_forks(void)
{
	pthread_atfork(hold, let_go, forget);
}

int carom_die_with_parent(pid_t parent, int signal_number)
{
	if (prctl(PR_SET_PDEATHSIG, signal_number) < 0)
		return -errno;
	CAROM_POINT("guard.set");
	/* it does not fire for a parent that died before it was set */
	return getppid() == parent ? 0 : -ESRCH;
}

int carom_die_with_held_parent(int pidfd, int signal_number)
{
	if (prctl(PR_SET_PDEATHSIG, signal_number) < 0)
		return -errno;
	CAROM_POINT("guard.set");
	return carom_pidfd_has_ended(pidfd) ? -ESRCH : 0;
}

/* Return: the program's read end, made at the first call. */
static int open_pipe(void)
{
	int r = 0;

	pthread_mutex_lock(&lock);
	if (ends[0] < 0 && pipe2(ends, O_CLOEXEC) < 0) {
		r = -errno;
		ends[0] = ends[1] = -1;
	}
	if (r == 0)
		r = ends[0];
	pthread_mutex_unlock(&lock);
	return r;
}

int carom_guard_take(struct carom_guard *ret_guard)
{
	struct carom_guard guard = { .parent = getpid(), .pipe_fd = -1 };
	char path[32];
	int fd;

	if (gettid() != guard.parent) {
		fd = open_pipe();
		if (fd < 0)
			return fd;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		guard.pipe_fd = open(path, O_RDONLY | O_CLOEXEC);
		if (guard.pipe_fd < 0 && (errno == EMFILE || errno == ENFILE))
			return -errno;
		if (carom_descriptor_lift(&guard.pipe_fd) < 0) {
			close(guard.pipe_fd);
			return -EMFILE;
		}
	}
	*ret_guard = guard;
	CAROM_POINT("guard.taken");
	return 0;
}

void carom_guard_forget(void)
{
	pthread_mutex_lock(&lock);
	close_ends();
	pthread_mutex_unlock(&lock);
}

static int arm_pipe(int fd)
{
	struct pollfd poll_fd = { .fd = fd };

	if (fcntl(fd, F_SETOWN, getpid()) < 0 || fcntl(fd, F_SETSIG, SIGKILL) < 0 ||
	    fcntl(fd, F_SETFL, O_ASYNC) < 0)
		return -errno;
	CAROM_POINT("guard.piped");
	return poll(&poll_fd, 1, 0) > 0 ? -ESRCH : 0; /* G3 */
}

int carom_guard_arm(const struct carom_guard *guard)
{
	int r = guard->pipe_fd < 0 ? -EBADF : arm_pipe(guard->pipe_fd);

	if (r == 0)
		return getppid() == guard->parent ? 0 : -ESRCH;
	return r == -ESRCH ? r : carom_die_with_parent(guard->parent, SIGKILL);
}
