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
 *   I3  It holds no descriptor but /dev/null, its socket, its signals and those that
 *       name its job, so nobody waits for the end of a pipe because of it.
 *   I4  The end of the command is told by its pidfd, not by SIGCHLD: killed before it was
 *       a program (at once, by a limit of memory) a child ends without one.
 *
 * All signals are blocked, so Ctrl-C and Ctrl-Z at the terminal, which reach
 * the whole foreground group, leave it alone. The command begins with an empty
 * mask and default actions.
 */
#include "tools/shepherd.h"

#include <assert.h>
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

#include "core/cgroup_file.h"
#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/process_tree.h"
#include "core/sandbox_program.h"
#include "core/signals.h"
#include "core/spawn.h"
#include "core/time.h"
#include "tools/run_words.h"
#include "tools/shepherd_memory.h"

/* Nothing that was killed has ended for so long: it will not (somebody else's, or stuck in the kernel). */
#define STUCK_AFTER_MS 5000

enum { CONTROL_FD = STDERR_FILENO + 1, SIGNAL_FD, FIRST_FREE_FD };

struct job {
	pid_t pid;       /* of the command; 0 when it has ended */
	int pidfd;       /* likewise; then -1 */
	int listener_fd; /* tells of violations; -1: no sandbox, or nobody does */
	int group_fd;    /* -1: it has no cgroup */
	int wait_status;
	struct rusage usage;
	struct carom_shepherd_memory memory;
	bool has_children;
	bool was_told;
	bool is_being_killed; /* from a moment on at which the command had not ended */
	bool is_over_memory;  /* and therefore */
	bool has_violated;    /* or therefore */
	int32_t violated_call;
	bool is_stuck;
	bool is_orphaned; /* the master is gone: there is nobody to report to */
};

/* --- orders ------------------------------------------------------------ */

#define DESCRIPTORS_MAX 3

struct order {
	enum carom_shepherd_order kind;
	int output_fds[2];
	int group_fd;  /* -1: none */
	size_t length; /* of the input */
	struct carom_shepherd_start start;
	char input[CAROM_SHEPHERD_INPUT_MAX + 1];
};

static void take_descriptors(struct msghdr *message, struct order *order)
{
	const struct cmsghdr *rights = CMSG_FIRSTHDR(message);
	int fds[DESCRIPTORS_MAX] = { -1, -1, -1 };

	if (rights && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS &&
	    rights->cmsg_len <= CMSG_LEN(sizeof(fds)))
		memcpy(fds, CMSG_DATA(rights), rights->cmsg_len - CMSG_LEN(0));
	memcpy(order->output_fds, fds, sizeof(order->output_fds));
	order->group_fd = fds[2];
}

/* Waits for the next order. Returns false if the master is gone. */
static bool receive(struct order *ret_order)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
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
	take_descriptors(&message, ret_order);
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

/* One without a mark is the same program in all jobs: it is looked for in PATH once. */
static bool is_fixed(const struct carom_shepherd *shepherd, char *const *words)
{
	return strcmp(shepherd->command[0], words[0]) == 0;
}

static pid_t start(const struct carom_shepherd *shepherd, const struct order *order,
		   struct job *job)
{
	static size_t found_at;
	struct carom_spawn_options options = {
		.stdin_fd = -1, /* our own: /dev/null */
		.stdout_fd = order->output_fds[0],
		.stderr_fd = order->output_fds[1],
		.new_group = true,
		.signals_are_default = true, /* become_shepherd() */
		.death_signal = SIGKILL,
		.cgroup_fd = order->group_fd > 0 ? order->group_fd : 0,
	};
	const struct carom_run_values values = {
		.text = order->input,
		.length = order->length,
		.number = order->start.number,
		.slot = order->start.slot,
	};
	char **words;
	pid_t pid;

	if (order->output_fds[0] < 0)
		return -EMFILE; /* they did not fit into our table: there is no other reason */
	pid = carom_run_words(shepherd->command, &values, &words);
	if (pid < 0)
		return pid;
	options.argv = words;
	options.found_at = is_fixed(shepherd, words) && !shepherd->sandbox ? &found_at : NULL;
	pid = shepherd->sandbox ? carom_sandbox_spawn(shepherd->sandbox, &options, &job->pidfd,
						      &job->listener_fd)
				: carom_spawn(&options, &job->pidfd);
	free(words);
	return pid;
}

static void reap(struct job *job)
{
	struct rusage usage;
	pid_t pid;
	int status;

	while ((pid = wait4(-1, &status, WNOHANG | __WALL, &usage)) > 0) {
		if (pid != job->pid)
			continue;
		job->pid = 0;
		carom_closep(&job->pidfd);
		job->wait_status = status;
		job->usage = usage;
	}
	job->has_children = pid == 0; /* else ECHILD */
}

/* What was stopped hears of it, too. */
static void tell(struct job *job)
{
	kill(-job->pid, SIGTERM);
	kill(-job->pid, SIGCONT);
	job->was_told = true;
}

static void take_order(struct job *job)
{
	char kind;
	ssize_t n = recv(CONTROL_FD, &kind, sizeof(kind), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	job->is_orphaned = n <= 0;
	if (!job->pid)
		return;
	if (n > 0 && kind == CAROM_SHEPHERD_TELL)
		tell(job);
	else
		job->is_being_killed = true;
}

/* Hung up: all that are in the sandbox have ended. */
static void take_question(struct job *job, short events)
{
	struct carom_violation violation;

	if (!(events & POLLIN)) {
		carom_closep(&job->listener_fd);
		return;
	}
	if (carom_sandbox_listen(job->listener_fd, &violation) != 1 || job->is_being_killed)
		return;
	job->is_being_killed = true;
	job->has_violated = true;
	job->violated_call = (int32_t)violation.number;
}

static void look_at_memory(struct job *job)
{
	if (!job->pid || job->is_being_killed || !carom_shepherd_memory_look(&job->memory))
		return;
	job->is_being_killed = true;
	job->is_over_memory = true;
}

/* SIGCHLD is pending once at most; the next one is told by the next poll(2). */
static void take_signal(void)
{
	struct signalfd_siginfo info;
	ssize_t n = read(SIGNAL_FD, &info, sizeof(info));

	assert(n == sizeof(info) || errno == EAGAIN);
	(void)n;
}

static void wait_for_something(struct job *job)
{
	struct pollfd fds[] = {
		{ .fd = SIGNAL_FD, .events = POLLIN },
		{ .fd = job->is_orphaned ? -1 : CONTROL_FD, .events = POLLIN },
		{ .fd = job->pidfd, .events = POLLIN }, /* I4 */
		{ .fd = job->listener_fd, .events = POLLIN },
	};
	int timeout_ms =
		job->is_being_killed ? STUCK_AFTER_MS : carom_shepherd_memory_rest_ms(&job->memory);
	int n = poll(fds, sizeof(fds) / sizeof(*fds), timeout_ms);

	if (n == 0 && job->is_being_killed)
		job->is_stuck = true;
	if (fds[0].revents)
		take_signal();
	reap(job); /* before the order: a command that was faster has not been killed */
	if (fds[1].revents)
		take_order(job);
	if (fds[3].revents && job->pid)
		take_question(job, fds[3].revents);
	look_at_memory(job);
}

static bool is_over(const struct job *job)
{
	if (job->is_stuck)
		return true;
	return job->is_being_killed ? !job->has_children : job->pid == 0;
}

static void kill_tree(const struct job *job)
{
	if (job->group_fd >= 0) /* all at once, so nothing is born meanwhile; Linux 5.14 */
		(void)carom_cgroup_file_write(job->group_fd, "cgroup.kill", "1");
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
	uint64_t largest = (uint64_t)job->usage.ru_maxrss * 1024, seen = job->memory.peak_bytes;

	return (struct carom_shepherd_usage){
		.peak_bytes = seen > largest ? seen : largest,
		.user_ns = in_ns(job->usage.ru_utime),
		.system_ns = in_ns(job->usage.ru_stime),
	};
}

static void let_go(struct job *job)
{
	carom_closep(&job->pidfd); /* of what is stuck */
	carom_closep(&job->listener_fd);
	carom_closep(&job->group_fd);
}

/* Where nobody is asked, and for calls of another architecture, the kernel kills. */
static void look_for_signal(const struct carom_shepherd *shepherd, struct job *job)
{
	if (!shepherd->sandbox || job->is_being_killed || !WIFSIGNALED(job->wait_status) ||
	    WTERMSIG(job->wait_status) != SIGSYS)
		return;
	job->has_violated = true;
	job->violated_call = -1;
}

/* Returns whether there may be another job. */
static bool run(const struct carom_shepherd *shepherd, const struct order *order)
{
	struct carom_shepherd_report result = { 0 };
	struct job job = { .pidfd = -1, .listener_fd = -1, .group_fd = order->group_fd };

	job.pid = start(shepherd, order, &job);
	close(order->output_fds[0]);
	close(order->output_fds[1]);
	if (job.pid < 0) {
		let_go(&job);
		result.start_error = -job.pid;
		return report(&result);
	}
	carom_shepherd_memory_init(&job.memory, shepherd->memory_bytes);
	supervise(&job);
	let_go(&job);
	look_for_signal(shepherd, &job);
	result = (struct carom_shepherd_report){
		.wait_status = job.wait_status,
		.was_told = job.was_told,
		.was_killed = job.is_being_killed,
		.is_over_memory = job.is_over_memory,
		.has_violated = job.has_violated,
		.violated_call = job.violated_call,
		.is_stuck = job.is_stuck,
		.usage = usage_of(&job),
		.is_last = job.has_children, /* I1 */
	};
	return !job.is_orphaned && report(&result) && !result.is_last;
}

/* --- its life ---------------------------------------------------------- */

static int become_shepherd(const struct carom_shepherd *shepherd)
{
	struct sigaction on_child = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP };
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t all;

	sigfillset(&all);
	if (null_fd < 0 || sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return -errno;
	carom_signals_default(); /* only now: one that was ignored would end it */
	if (sigaction(SIGCHLD, &on_child, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
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
