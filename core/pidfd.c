/*
 * Pidfd
 *
 * What can be done with a pidfd. The exit status is taken by the raw waitid(2),
 * whose fifth argument gives the resources used, and with __WALL: a child whose
 * maker had another exit signal than SIGCHLD is invisible without it.
 *
 * The host program may reap our children with a waitpid(-1) of its own, or have
 * the kernel do it by ignoring SIGCHLD. waitid() then says ECHILD, and says it
 * from the instant the other one has claimed the child. The kernel keeps the
 * status with the pidfd (Linux 6.15), but only once the child is released, a
 * little later; the pidfd reports POLLHUP then.
 *
 * A container may deny pidfd_open(2) and pidfd_send_signal(2), and still give pidfds at
 * the birth of children. Then the number of a pidfd's process is what the kernel says it
 * is now, and says so no more once it was reaped.
 */
#include "core/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/pid_namespace.h"
#include "core/pidfd_info.h"
#include "core/probe.h"
#include "core/small_file.h"
#include "core/time.h"

#define RELEASE_MAX_MS 10

int carom_pidfd_open(pid_t pid)
{
	int pidfd;

	if (!carom_probe(CAROM_FEATURE_PIDFD_OPEN))
		return -EOPNOTSUPP;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return pidfd < 0 ? -errno : pidfd;
}

int carom_pidfd_pin(pid_t pid)
{
	char path[32];
	int fd = carom_pidfd_open(pid);

	if (fd != -EOPNOTSUPP)
		return fd;
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return fd;
}

static int ask(int pidfd, int options, siginfo_t *ret_info, struct rusage *ret_usage)
{
	*ret_info = (siginfo_t){ 0 };
	if (syscall(SYS_waitid, P_PIDFD, pidfd, ret_info, options | WEXITED | __WALL, ret_usage) ==
	    0)
		return 0;
	return errno == EINVAL ? -EBADF : -errno; /* EINVAL: a negative number */
}

static int look(int pidfd, int options, siginfo_t *ret_info, struct rusage *ret_usage)
{
	return ask(pidfd, options | WNOHANG, ret_info, ret_usage);
}

bool carom_pidfd_is_child(int pidfd)
{
	siginfo_t info;

	return look(pidfd, WNOWAIT, &info, NULL) == 0;
}

/* --- how it ended ------------------------------------------------------ */

static void from_wait_status(int status, struct carom_exit *exit)
{
	exit->kind = WIFEXITED(status)   ? CAROM_EXIT_EXITED
		     : WCOREDUMP(status) ? CAROM_EXIT_DUMPED
					 : CAROM_EXIT_KILLED;
	exit->status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
}

static void from_siginfo(const siginfo_t *info, struct carom_exit *exit)
{
	exit->kind = info->si_code == CLD_EXITED   ? CAROM_EXIT_EXITED
		     : info->si_code == CLD_DUMPED ? CAROM_EXIT_DUMPED
						   : CAROM_EXIT_KILLED;
	exit->status = info->si_status;
}

static bool wait_readable(int pidfd, short events, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = pidfd, .events = events };

	return poll(&poll_fd, 1, timeout_ms) == 1;
}

static bool ask_pidfd(int pidfd, struct carom_exit *exit)
{
	struct carom_pidfd_info info = { .mask = CAROM_PIDFD_INFO_EXIT };

	if (ioctl(pidfd, CAROM_PIDFD_INFO_REQUEST, &info) < 0 ||
	    !(info.mask & CAROM_PIDFD_INFO_EXIT))
		return false;
	from_wait_status(info.exit_code, exit);
	return true;
}

/* waitid() says that this is no child of ours, or no longer. */
static void find_taken(int pidfd, struct carom_exit *exit)
{
	if (!wait_readable(pidfd, POLLIN, 0))
		return; /* runs: somebody else's child, or a handle from before fork() */
	exit->kind = CAROM_EXIT_TAKEN;
	exit->status = -1;
	if (!carom_probe(CAROM_FEATURE_PIDFD_INFO))
		return;
	wait_readable(pidfd, 0, RELEASE_MAX_MS);
	ask_pidfd(pidfd, exit);
}

int carom_pidfd_reap(int pidfd, struct carom_exit *ret_exit)
{
	struct carom_exit exit = { .kind = CAROM_EXIT_RUNNING };
	siginfo_t info;
	int r = look(pidfd, 0, &info, &exit.usage);

	if (r < 0 && r != -ECHILD)
		return r;
	if (r == -ECHILD)
		find_taken(pidfd, &exit);
	else if (info.si_pid != 0)
		from_siginfo(&info, &exit);
	*ret_exit = exit;
	return 0;
}

bool carom_pid_has_ended_children(void)
{
	siginfo_t info = { 0 };
	long r = syscall(SYS_waitid, P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL, NULL);

	return r < 0 || info.si_pid != 0;
}

void carom_pid_end(pid_t pid, struct carom_exit *ret_exit)
{
	struct carom_exit exit = { .kind = CAROM_EXIT_TAKEN, .status = -1 };
	siginfo_t info = { 0 };
	long r = syscall(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL, NULL);

	if (r == 0) {
		kill(pid, SIGKILL);
		do
			r = syscall(SYS_waitid, P_PID, pid, &info, WEXITED | __WALL, &exit.usage);
		while (r < 0 && errno == EINTR);
		if (r == 0)
			from_siginfo(&info, &exit);
	}
	if (ret_exit)
		*ret_exit = exit;
}

/*
 * The kernel looks at the number once. poll(2) looks again whenever it wakes, and sleeps on
 * if by then it is another file's, so that nothing says that the child has ended.
 */
static int wait_for_child(int pidfd, struct carom_exit *ret_exit)
{
	struct carom_exit exit;
	siginfo_t info;
	int r;

	do
		r = ask(pidfd, 0, &info, &exit.usage);
	while (r == -EINTR);
	if (r < 0)
		return r;
	from_siginfo(&info, &exit);
	*ret_exit = exit;
	return 0;
}

int carom_pidfd_wait(int pidfd, uint64_t deadline_ns, struct carom_exit *ret_exit)
{
	int r = -ECHILD;

	if (deadline_ns == CAROM_NO_DEADLINE)
		r = wait_for_child(pidfd, ret_exit);
	if (r != -ECHILD)
		return r;
	r = carom_descriptor_wait(pidfd, deadline_ns);
	return r < 0 ? r : carom_pidfd_reap(pidfd, ret_exit);
}

/* --- before it has ended ----------------------------------------------- */

#define PROCESS_FLAG_EXITING 0x4 /* PF_EXITING of linux/sched.h */

/**
 * struct stat_line - what of /proc/PID/stat decides
 * @flags:        PF_...
 * @thread_count: threads that the kernel still counts
 * @born:         ticks since the machine's start
 * @exit_code:    wait status; 0 too where we may not see it
 * @is_hidden:    we may not, for it has changed its credentials or is not dumpable: then its
 *                code is at 1. Without memory, it is at 0, and nobody can tell
 */
struct stat_line {
	unsigned long flags;
	long thread_count;
	uint64_t born;
	int exit_code;
	bool is_hidden;
};

/* -ESRCH: the process is gone */
static int read_text(int directory_fd, const char *path, char *text, size_t size)
{
	ssize_t n = carom_small_file_read(directory_fd, path, text, size);

	if (n > 0)
		return 0;
	return n == 0 || n == -ENOENT ? -ESRCH : (int)n;
}

/* The name in parentheses may contain anything; the state is field 3, right behind it. */
static int parse_stat(const char *text, struct stat_line *ret_line)
{
	const char *state = strrchr(text, ')');
	struct stat_line line = { 0 };
	unsigned long code_address;

	if (!state || sscanf(state,
			     ") %*c %*d %*d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d"
			     " %*d %*d %ld %*d %" SCNu64 " %*u %*d %*u %lu",
			     &line.flags, &line.thread_count, &line.born, &code_address) != 4)
		return -EBADMSG;
	line.is_hidden = code_address <= 1;
	line.exit_code = (int)strtol(strrchr(text, ' '), NULL, 10); /* field 52, the last one */
	*ret_line = line;
	return 0;
}

static int read_line(pid_t pid, struct stat_line *ret_line)
{
	char path[32], text[1024];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	r = read_text(AT_FDCWD, path, text, sizeof(text));
	return r < 0 ? r : parse_stat(text, ret_line);
}

bool carom_thread_is_ending(pid_t tid)
{
	struct stat_line line;
	int r = read_line(tid, &line);

	return r == -ESRCH || (r == 0 && line.flags & PROCESS_FLAG_EXITING);
}

/*
 * A main thread that ends alone (pthread_exit() while others go on) is PF_EXITING
 * as well, with code 0, and a stop signal shows in the code while the group is
 * stopped. So only a code that kills, or the last thread, means the end.
 */
static bool is_going_down(const struct stat_line *line)
{
	int signal_number = line->exit_code & 0x7f;

	if (!(line->flags & PROCESS_FLAG_EXITING))
		return false;
	if (signal_number == SIGSTOP || signal_number == SIGTSTP || signal_number == SIGTTIN ||
	    signal_number == SIGTTOU)
		return false;
	return line->exit_code != 0 || line->thread_count <= 1;
}

/*
 * The kernel collects the exit code before the flags: a process that begins to exit
 * in between shows PF_EXITING and still no code. Its code is set before the flag, so
 * what is read after the flag was seen is right. (Before Linux 5.17 an exit(2) sets the
 * code a few instructions after the flag, but before a robust futex announces it.)
 */
int carom_pid_peek(pid_t pid, struct carom_exit *ret_exit)
{
	struct carom_exit exit = { .kind = CAROM_EXIT_RUNNING };
	struct stat_line line = { 0 };
	int r = read_line(pid, &line);

	if (r == 0 && is_going_down(&line) && line.exit_code == 0)
		r = read_line(pid, &line);
	if (r < 0)
		return r;
	if (is_going_down(&line)) {
		if (line.exit_code == 0 && line.is_hidden)
			return -EACCES; /* 0 is also what a stranger is shown */
		from_wait_status(line.exit_code, &exit);
	}
	*ret_exit = exit;
	return 0;
}

/* --- whoever it is ----------------------------------------------------- */

/* As the kernel tells it for a pidfd: -1 of a process that was reaped, 0 of one outside. */
static pid_t number_of_pidfd(int pidfd)
{
	struct carom_pidfd_info info = { 0 };
	char path[48], text[512];
	const char *line;
	long number = 0;
	int r;

	if (ioctl(pidfd, CAROM_PIDFD_INFO_REQUEST, &info) == 0)
		return info.pids[0] ? (pid_t)info.pids[0] : -ESRCH;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	r = read_text(AT_FDCWD, path, text, sizeof(text));
	if (r < 0)
		return r == -ESRCH ? -EBADF : r;
	line = strstr(text, "\nPid:");
	if (line)
		number = strtol(line + strlen("\nPid:"), NULL, 10);
	return !line ? -EBADF : number > 0 ? (pid_t)number : -ESRCH;
}

/* Below 0: why not. A directory of /proc/PID reads as long as its process is not reaped. */
static pid_t number_of(int fd)
{
	char text[64];
	int r = read_text(fd, "stat", text, sizeof(text));

	if (r == -ENOTDIR)
		return number_of_pidfd(fd);
	/* never 0, which kill(2) takes for the own group */
	return r < 0 ? r : atoi(text) > 0 ? (pid_t)atoi(text) : -ESRCH;
}

bool carom_pidfd_has_ended(int pidfd)
{
	char text[512];
	const char *state;
	int r = carom_probe(CAROM_FEATURE_PIDFD_OPEN)
			? -ENOTDIR
			: read_text(pidfd, "stat", text, sizeof(text));

	/* without a descriptor to spare the kernel does not say what else is wrong */
	if (r < 0 && r != -ENOTDIR && faccessat(pidfd, "stat", F_OK, 0) < 0)
		r = -errno;
	if (r == -ENOTDIR)
		return wait_readable(pidfd, POLLIN, 0);
	if (r == -EMFILE || r == -ENFILE || r == -ENOMEM)
		return false; /* a zombie at most: who waits for it hears of that */
	state = r < 0 ? NULL : strrchr(text, ')');
	return !state || strchr("ZX", state[2]);
}

int carom_pid_born(pid_t pid, uint64_t *ret_ticks)
{
	struct stat_line line;
	int r = read_line(pid, &line);

	if (r < 0)
		return r;
	*ret_ticks = line.born;
	return 0;
}

/* /proc may hide it (hidepid=); nobody hides from this. */
static bool has_number(pid_t pid)
{
	return kill(pid, 0) == 0 || errno != ESRCH;
}

/* Held first: so what is read after that is of the one who is looked at. */
bool carom_pid_lives(pid_t pid, uint64_t born)
{
	CAROM_CLEANUP(carom_closep) int fd = carom_pidfd_pin(pid);
	uint64_t now_born;
	int r;

	if (fd < 0)
		return fd != -ESRCH || has_number(pid) ||
		       carom_is_inside(); /* there is nobody to be seen from there */
	r = born ? carom_pid_born(pid, &now_born) : -ENOENT;
	if (carom_pidfd_has_ended(fd))
		return false;
	return r < 0 || now_born == born;
}

/* --- signals ----------------------------------------------------------- */

static int signal_by_number(int pidfd, int signal_number)
{
	pid_t pid = number_of(pidfd);

	if (pid < 0)
		return pid;
	return kill(pid, signal_number) < 0 ? -errno : 0;
}

int carom_pidfd_signal(int pidfd, int signal_number)
{
	if (!carom_probe(CAROM_FEATURE_PIDFD_SIGNAL))
		return signal_by_number(pidfd, signal_number);
	return syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0) < 0 ? -errno : 0;
}
