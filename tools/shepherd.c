/*
 * Shepherd
 *
 *   I1  Without a job it has no children. So all children there are belong to
 *       the job, and "no child left" means "nothing of the job left": what loses
 *       its parent becomes a child of the shepherd before the parent can be
 *       waited for. A job that leaves processes behind ends the shepherd too.
 *   I2  Each SIGCHLD is followed by a look at all children, and while the job
 *       is being killed by another pass over its tree. A process that a pass
 *       did not see is below one that it killed, and the death of that one
 *       sends the SIGCHLD for the next pass.
 *   I3  It holds no descriptor but /dev/null, its socket and its signals, so
 *       nobody waits for the end of a pipe because of it.
 *
 * All signals are blocked, so Ctrl-C and Ctrl-Z at the terminal, which reach
 * the whole foreground group, leave it alone. The command begins with an empty
 * mask and default actions.
 */
#include "tools/shepherd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/descriptors.h"
#include "core/process_tree.h"
#include "core/spawn.h"
#include "core/time.h"
#include "tools/run_words.h"

/* Nothing that was killed has ended for so long: it will not (somebody else's, or stuck in the kernel). */
#define STUCK_AFTER_MS 5000

enum { CONTROL_FD = STDERR_FILENO + 1, SIGNAL_FD, FIRST_FREE_FD };

struct job {
	pid_t pid; /* of the command; 0 when it has ended */
	int wait_status;
	struct rusage usage;
	bool has_children;
	bool is_being_killed; /* from a moment on at which the command had not ended */
	bool is_stuck;
	bool is_orphaned; /* the master is gone: there is nobody to report to */
};

/* --- orders ------------------------------------------------------------ */

struct order {
	enum carom_shepherd_order kind;
	int output_fds[2];
	size_t length; /* of the input */
	struct carom_shepherd_start start;
	char input[CAROM_SHEPHERD_INPUT_MAX + 1];
};

static void take_descriptors(struct msghdr *message, int ret_fds[2])
{
	const struct cmsghdr *rights = CMSG_FIRSTHDR(message);

	ret_fds[0] = ret_fds[1] = -1;
	if (rights && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS &&
	    rights->cmsg_len == CMSG_LEN(2 * sizeof(int)))
		memcpy(ret_fds, CMSG_DATA(rights), 2 * sizeof(int));
}

/* Waits for the next order. Returns false if the master is gone. */
static bool receive(struct order *ret_order)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} rights;
	struct iovec text[] = {
		{ &ret_order->start, sizeof(ret_order->start) },
		{ ret_order->input, CAROM_SHEPHERD_INPUT_MAX },
	};
	struct msghdr message = {
		.msg_iov = text,
		.msg_iovlen = 2,
		.msg_control = &rights,
		.msg_controllen = sizeof(rights),
	};
	ssize_t n = recvmsg(CONTROL_FD, &message, MSG_CMSG_CLOEXEC);

	if (n <= 0)
		return false;
	take_descriptors(&message, ret_order->output_fds);
	ret_order->kind = (enum carom_shepherd_order)ret_order->start.kind;
	ret_order->length =
		(size_t)n < sizeof(ret_order->start) ? 0 : (size_t)n - sizeof(ret_order->start);
	ret_order->input[ret_order->length] = '\0';
	return true;
}

static bool report(const struct carom_shepherd_report *report)
{
	return send(CONTROL_FD, report, sizeof(*report), MSG_NOSIGNAL) == sizeof(*report);
}

/* --- one job ----------------------------------------------------------- */

static pid_t start(const struct carom_shepherd *shepherd, const struct order *order)
{
	struct carom_spawn_options options = {
		.stdin_fd = -1, /* our own: /dev/null */
		.stdout_fd = order->output_fds[0],
		.stderr_fd = order->output_fds[1],
		.new_group = true,
		.death_signal = SIGKILL,
	};
	const struct carom_run_values values = {
		.text = order->input,
		.length = order->length,
		.number = order->start.number,
		.slot = order->start.slot,
	};
	char **words;
	int pidfd;
	pid_t pid;

	if (order->output_fds[0] < 0)
		return -EMFILE; /* they did not fit into our table: there is no other reason */
	pid = carom_run_words(shepherd->command, &values, &words);
	if (pid < 0)
		return pid;
	options.argv = words;
	pid = carom_spawn(&options, &pidfd);
	free(words);
	if (pid > 0)
		close(pidfd); /* a child of ours keeps its pid until we have waited for it */
	return pid;
}

static void reap(struct job *job)
{
	struct rusage usage;
	pid_t pid;
	int status;

	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
		if (pid != job->pid)
			continue;
		job->pid = 0;
		job->wait_status = status;
		job->usage = usage;
	}
	job->has_children = pid == 0; /* else ECHILD */
}

static void take_order(struct job *job)
{
	char kind;
	ssize_t n = recv(CONTROL_FD, &kind, sizeof(kind), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	job->is_orphaned = n <= 0;
	if (job->pid) /* KILL is the only order there is during a job */
		job->is_being_killed = true;
}

static void drain_signals(void)
{
	struct signalfd_siginfo info;

	while (read(SIGNAL_FD, &info, sizeof(info)) > 0)
		;
}

static void wait_for_something(struct job *job)
{
	struct pollfd fds[] = {
		{ .fd = SIGNAL_FD, .events = POLLIN },
		{ .fd = job->is_orphaned ? -1 : CONTROL_FD, .events = POLLIN },
	};
	int n = poll(fds, 2, job->is_being_killed ? STUCK_AFTER_MS : -1);

	if (n == 0)
		job->is_stuck = true;
	if (fds[0].revents)
		drain_signals();
	reap(job); /* before the order: a command that was faster has not been killed */
	if (fds[1].revents)
		take_order(job);
}

static bool is_over(const struct job *job)
{
	if (job->is_stuck)
		return true;
	return job->is_being_killed ? !job->has_children : job->pid == 0;
}

static void kill_tree(const struct job *job)
{
	if (job->pid) /* the group needs no /proc; the pid is ours while it is not waited for */
		kill(-job->pid, SIGKILL);
	carom_process_tree_kill_own();
}

static void supervise(struct job *job)
{
	do {
		if (job->is_being_killed)
			kill_tree(job); /* I2 */
		wait_for_something(job);
	} while (!is_over(job));
}

static uint64_t in_ns(struct timeval time)
{
	return (uint64_t)time.tv_sec * CAROM_NS_PER_SEC + (uint64_t)time.tv_usec * 1000;
}

static struct carom_shepherd_usage usage_of(const struct job *job)
{
	return (struct carom_shepherd_usage){
		.peak_bytes = (uint64_t)job->usage.ru_maxrss * 1024,
		.user_ns = in_ns(job->usage.ru_utime),
		.system_ns = in_ns(job->usage.ru_stime),
	};
}

/* Returns whether there may be another job. */
static bool run(const struct carom_shepherd *shepherd, const struct order *order)
{
	struct carom_shepherd_report result = { 0 };
	struct job job = { .pid = start(shepherd, order) };

	close(order->output_fds[0]);
	close(order->output_fds[1]);
	if (job.pid < 0) {
		result.start_error = -job.pid;
		return report(&result);
	}
	supervise(&job);
	result.wait_status = job.wait_status;
	result.was_killed = job.is_being_killed;
	result.is_stuck = job.is_stuck;
	result.usage = usage_of(&job);
	result.is_last = job.has_children; /* I1 */
	return !job.is_orphaned && report(&result) && !result.is_last;
}

/* --- its life ---------------------------------------------------------- */

static int become_shepherd(const struct carom_shepherd *shepherd)
{
	struct sigaction on_child = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP };
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t all;

	sigfillset(&all);
	if (null_fd < 0 || sigprocmask(SIG_SETMASK, &all, NULL) < 0 ||
	    sigaction(SIGCHLD, &on_child, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return -errno;
	prctl(PR_SET_NAME, "carom-shepherd");
	return null_fd;
}

/* I3. The numbers fit without collision: the socket and /dev/null are moved out of the way first. */
static int keep_only(int control_fd, int null_fd)
{
	sigset_t child;

	control_fd = fcntl(control_fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	if (control_fd < 0)
		return -errno;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (dup2(null_fd, fd) < 0)
			return -errno;
	if (dup3(control_fd, CONTROL_FD, O_CLOEXEC) < 0)
		return -errno;
	carom_descriptors_close(SIGNAL_FD, NULL, 0);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK) != SIGNAL_FD)
		return -errno;
	return 0;
}

_Noreturn void carom_shepherd_main(const struct carom_shepherd *shepherd)
{
	static struct order order;
	int null_fd = become_shepherd(shepherd);

	if (null_fd < 0 || keep_only(shepherd->control_fd, null_fd) < 0 ||
	    setrlimit(RLIMIT_NOFILE, &shepherd->file_limit) < 0)
		_exit(EXIT_FAILURE);
	while (receive(&order))
		if (order.kind == CAROM_SHEPHERD_START && !run(shepherd, &order))
			break;
	_exit(EXIT_SUCCESS);
}
