/*
 * Tracker: the program's side
 *
 * A process has at most one tracker at a time, and remembers what it has registered
 * with it, so that one that was killed can be replaced by one that knows as much.
 *
 *   I1  A name is in the list if and only if the tracker was told that this process holds
 *       it, or will be told when there is one again.
 *   I2  `the.pipe_fd` is used only while it is the descriptor of the pipe it was made for:
 *       a program that closes all its descriptors and opens others does not find lines
 *       of ours in its files.
 *   I3  A forked child has the pipe and the dialect of its parent, and holds no names; the
 *       tracker is not its child, so it never waits for it.
 *
 * Whether the tracker lives is seen without a message: its pidfd is readable when it has
 * ended, and a pipe that nobody reads polls as an error. Both are asked, since another
 * process that was forked while the tracker was being made may hold the read end.
 */
#include "core/tracker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clone.h"
#include "core/fork_lock.h"
#include "core/log.h"
#include "core/origin.h"
#include "core/pidfd.h"
#include "core/probe.h"
#include "core/signals.h"
#include "core/time.h"
#include "core/tracker_private.h"

#define STOP_NS CAROM_SECONDS(1)

/**
 * struct registered - a name that this process holds
 * @count: its registrations, at least 1
 */
struct registered {
	struct registered *next;
	enum carom_tracker_type type;
	int count;
	char name[];
};

/**
 * struct tracker - the one in use
 * @pipe_fd: the write end; -1: there is none
 * @device, @inode: which pipe that is (I2)
 * @pidfd:   of a tracker that this process or an ancestor has started, else -1
 * @pid:     of one that this process has started, else 0
 */
struct tracker {
	int pipe_fd;
	dev_t device;
	ino_t inode;
	int pidfd;
	pid_t pid;
};

static CAROM_FORK_LOCK(lock);
static struct tracker the = { .pipe_fd = -1, .pidfd = -1 };
static struct registered *names;
static enum carom_tracker_dialect dialect;
static int former_pidfd = -1; /* an own child that was let go of and has not ended yet */
static bool was_lost;         /* to be told to the log */
static uint64_t origin;       /* of the process that all this belongs to */

/* Everything below but the public functions is called between these two. */
static void enter(void)
{
	carom_fork_lock_acquire(&lock);
	if (origin == carom_origin())
		return;
	names = NULL; /* not freed: another thread may have been at it when this process was made */
	the.pid = 0;
	carom_closep(&former_pidfd);
	origin = carom_origin();
}

/* Whoever takes the log's records may want the tracker for something. */
static void leave(void)
{
	bool is_news = was_lost;

	was_lost = false;
	carom_fork_lock_release(&lock);
	if (is_news)
		carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_TRACKER_LOST,
				"resource tracker: process died unexpectedly, "
				"relaunching. Some resources might leak.");
}

/* --- the pipe ---------------------------------------------------------- */

static bool is_our_pipe(void)
{
	struct stat status;

	return the.pipe_fd >= 0 && fstat(the.pipe_fd, &status) == 0 &&
	       status.st_dev == the.device && status.st_ino == the.inode;
}

/* Does nobody read it any more? */
static bool is_broken(int pipe_fd)
{
	struct pollfd poll_fd = { .fd = pipe_fd };

	return poll(&poll_fd, 1, 0) == 1 && poll_fd.revents & (POLLERR | POLLHUP | POLLNVAL);
}

static bool is_alive(void)
{
	return is_our_pipe() && !is_broken(the.pipe_fd) &&
	       (the.pidfd < 0 || !carom_pidfd_has_ended(the.pidfd));
}

/* write(2) without SIGPIPE for the program, as far as it was not pending already. */
static ssize_t write_quietly(int fd, const char *bytes, size_t size)
{
	const struct timespec at_once = { 0 };
	sigset_t pipe_signal, before, pending;
	int error;
	ssize_t n;

	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
	n = write(fd, bytes, size);
	error = errno;
	if (n < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE))
		while (sigtimedwait(&pipe_signal, NULL, &at_once) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return n < 0 ? -error : n;
}

/* The whole line or nothing of it: it is smaller than PIPE_BUF. */
static int write_line(const char *line, size_t size)
{
	struct pollfd poll_fd = { .fd = the.pipe_fd, .events = POLLOUT };
	ssize_t n;

	for (;;) {
		n = write_quietly(the.pipe_fd, line, size);
		if (n == -EAGAIN) /* some other holder has made it non-blocking */
			poll(&poll_fd, 1, -1);
		else if (n != -EINTR)
			return n < 0 ? (int)n : 0;
	}
}

/* --- letting go -------------------------------------------------------- */

static void reap_former(void)
{
	struct carom_exit exit;

	if (former_pidfd < 0 || !carom_pidfd_has_ended(former_pidfd))
		return;
	carom_pidfd_reap(former_pidfd, &exit);
	carom_closep(&former_pidfd);
}

/* An own child that lives on is reaped when it is seen to have ended; of two, the later one. */
static void keep_former(int pidfd)
{
	carom_closep(&former_pidfd);
	former_pidfd = pidfd;
	reap_former();
}

/*
 * The tracker as it was, its pipe closed and its pidfd the caller's. A program that has
 * closed our pipe has closed the pidfd with it, and the number may be its own by now (I2).
 */
static struct tracker take_tracker(void)
{
	struct tracker taken = { .pipe_fd = -1, .pidfd = -1 };

	if (is_our_pipe()) {
		close(the.pipe_fd);
		taken = the;
	}
	the.pipe_fd = -1;
	the.pidfd = -1;
	the.pid = 0;
	return taken;
}

static void let_go(void)
{
	struct tracker taken = take_tracker();

	if (taken.pid)
		keep_former(taken.pidfd);
	else
		carom_closep(&taken.pidfd);
}

static void forget_names(void)
{
	struct registered *next;

	for (; names; names = next) {
		next = names->next;
		free(names);
	}
}

/* --- starting one ------------------------------------------------------ */

/* What is to become the tracker in use, as far as the pipe tells. */
static int look_at_pipe(int pipe_fd, struct tracker *ret_tracker)
{
	struct stat status;

	if (fstat(pipe_fd, &status) < 0)
		return -errno;
	*ret_tracker = (struct tracker){
		.pipe_fd = pipe_fd,
		.device = status.st_dev,
		.inode = status.st_ino,
		.pidfd = -1,
	};
	return 0;
}

/* The pipe's number last: another thread's fork may see this half done. */
static void use(const struct tracker *tracker)
{
	the.device = tracker->device;
	the.inode = tracker->inode;
	the.pidfd = tracker->pidfd;
	the.pid = tracker->pid;
	the.pipe_fd = tracker->pipe_fd;
}

/* Not among 0, 1, 2, which mean something to the program and to the tracker. */
static int dup_up(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	if (copy < 0)
		return errno == EINVAL ? -EMFILE : -errno; /* the limit is no higher */
	return copy;
}

static int move_up(int *fd)
{
	int moved;

	if (*fd > STDERR_FILENO)
		return 0;
	moved = dup_up(*fd);
	if (moved < 0)
		return moved;
	close(*fd);
	*fd = moved;
	return 0;
}

/* In the child of carom_clone() all signals stay blocked until the tracker ignores some. */
static pid_t clone_tracker(const struct carom_tracker_start *start, int *ret_pidfd)
{
	uint64_t mask;
	pid_t pid;

	carom_probe(CAROM_FEATURE_CLOSE_RANGE); /* not in the child */
	mask = carom_signals_block();
	pid = carom_clone(NULL, ret_pidfd);
	if (pid == 0)
		carom_tracker_serve(start);
	carom_signals_restore(mask);
	return pid;
}

/* The child's copy of the table is its own; here it is never touched. */
static pid_t birth(int read_fd, int *ret_pidfd)
{
	struct carom_tracker_start start = {
		.read_fd = read_fd,
		.billiard = dialect == CAROM_TRACKER_BILLIARD,
		.is_silent = carom_log_level() == CAROM_LOG_NONE,
	};
	pid_t pid;

	start.table = mmap(NULL, sizeof(*start.table), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start.table == MAP_FAILED)
		return -ENOMEM;
	pid = clone_tracker(&start, ret_pidfd);
	munmap(start.table, sizeof(*start.table));
	return pid;
}

static int launch(void)
{
	CAROM_CLEANUP(carom_closep) int read_fd = -1;
	CAROM_CLEANUP(carom_closep) int write_fd = -1;
	struct tracker fresh = { .pipe_fd = -1 };
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	read_fd = ends[0];
	write_fd = ends[1];
	r = move_up(&read_fd);
	if (r == 0)
		r = move_up(&write_fd);
	if (r == 0)
		r = look_at_pipe(write_fd, &fresh);
	if (r < 0)
		return r;
	fresh.pid = birth(read_fd, &fresh.pidfd);
	if (fresh.pid < 0)
		return (int)fresh.pid;
	use(&fresh);
	carom_take_fd(write_fd);
	return 0;
}

/* One that we have started ourselves: it reads whatever form holds the name. */
static int tell_all(void)
{
	struct carom_tracker_message message = { .command = CAROM_TRACKER_REGISTER };
	char line[CAROM_TRACKER_MESSAGE_MAX];
	int r = 0;

	for (const struct registered *there = names; r == 0 && there; there = there->next) {
		message.type = there->type;
		message.name_size = strlen(there->name);
		memcpy(message.name, there->name, message.name_size + 1);
		r = write_line(line,
			       (size_t)carom_tracker_format(&message, CAROM_TRACKER_AUTO, line));
	}
	return r;
}

static int ensure_running(void)
{
	int r;

	reap_former();
	if (is_alive())
		return 0;
	was_lost |= the.pipe_fd >= 0;
	let_go();
	r = launch();
	if (r < 0)
		return r;
	r = tell_all();
	if (r < 0)
		let_go(); /* the next call begins again */
	return r;
}

/* A tracker that dies between being asked for and being told is replaced, once. */
static int tell(const struct carom_tracker_message *message)
{
	char line[CAROM_TRACKER_MESSAGE_MAX];
	ssize_t size = carom_tracker_format(message, dialect, line);
	int r = size < 0 ? (int)size : ensure_running();

	if (r < 0)
		return r;
	r = write_line(line, (size_t)size);
	if (r != -EPIPE)
		return r;
	r = ensure_running();
	return r < 0 ? r : write_line(line, (size_t)size);
}

/* --- names ------------------------------------------------------------- */

/* The link that leads to it, or the NULL at the end. */
static struct registered **find(const struct carom_tracker_message *message)
{
	struct registered **link = &names;

	while (*link &&
	       ((*link)->type != message->type || strcmp((*link)->name, message->name) != 0))
		link = &(*link)->next;
	return link;
}

static struct registered *new_registered(const struct carom_tracker_message *message)
{
	struct registered *fresh = malloc(sizeof(*fresh) + message->name_size + 1);

	if (!fresh)
		return NULL;
	fresh->type = message->type;
	fresh->count = 1;
	memcpy(fresh->name, message->name, message->name_size + 1);
	return fresh;
}

static int add(const struct carom_tracker_message *message)
{
	struct registered *there = *find(message);
	int r;

	if (there) {
		r = there->count == INT_MAX ? -EOVERFLOW : ensure_running();
		if (r == 0)
			there->count++;
		return r;
	}
	there = new_registered(message);
	if (!there)
		return -ENOMEM;
	r = tell(message);
	if (r < 0) {
		free(there);
		return r;
	}
	there->next = names;
	names = there;
	return 0;
}

static int take_back(const struct carom_tracker_message *message)
{
	struct registered **link = find(message);
	struct registered *there = *link;
	int r;

	if (there && there->count > 1) {
		r = ensure_running();
		if (r == 0)
			there->count--;
		return r;
	}
	r = tell(message);
	if (r == 0 && there) {
		*link = there->next;
		free(there);
	}
	return r;
}

/* Leading slashes are passed over by shm_open(3) and sem_open(3); others, they refuse. */
static bool is_possible(const char *name, enum carom_tracker_type type)
{
	if (type != CAROM_TRACKER_SEMAPHORE && type != CAROM_TRACKER_SHARED_MEMORY)
		return *name;
	name += strspn(name, "/");
	return *name && !strchr(name, '/');
}

static int make_message(enum carom_tracker_command command, const char *name,
			enum carom_tracker_type type, struct carom_tracker_message *message)
{
	size_t size = strlen(name);

	if ((unsigned int)type >= CAROM_TRACKER_TYPE_COUNT || !is_possible(name, type))
		return -EINVAL;
	if (size > CAROM_TRACKER_NAME_MAX)
		return -ENAMETOOLONG;
	message->command = command;
	message->type = type;
	message->name_size = size;
	memcpy(message->name, name, size + 1);
	return 0;
}

/* --- public ------------------------------------------------------------ */

int carom_tracker_ensure_running(void)
{
	int r;

	enter();
	r = ensure_running();
	leave();
	return r;
}

int carom_tracker_getfd(void)
{
	int r;

	enter();
	r = ensure_running();
	if (r == 0)
		r = the.pipe_fd;
	leave();
	return r;
}

int carom_tracker_register(const char *name, enum carom_tracker_type type)
{
	struct carom_tracker_message message;
	int r = make_message(CAROM_TRACKER_REGISTER, name, type, &message);

	if (r < 0)
		return r;
	enter();
	r = add(&message);
	leave();
	return r;
}

int carom_tracker_unregister(const char *name, enum carom_tracker_type type)
{
	struct carom_tracker_message message;
	int r = make_message(CAROM_TRACKER_UNREGISTER, name, type, &message);

	if (r < 0)
		return r;
	enter();
	r = take_back(&message);
	leave();
	return r;
}

static int status_of(const struct carom_exit *exit)
{
	if (exit->kind == CAROM_EXIT_EXITED)
		return exit->status;
	return exit->kind == CAROM_EXIT_TAKEN ? -ENODATA : -ESRCH;
}

int carom_tracker_stop(void)
{
	struct carom_exit exit;
	struct tracker taken;
	int r;

	enter();
	taken = take_tracker();
	forget_names();
	leave();
	if (!taken.pid) {
		carom_closep(&taken.pidfd);
		return CAROM_TRACKER_CLEAN;
	}
	r = carom_pidfd_wait(taken.pidfd, carom_deadline_after(STOP_NS), &exit);
	if (r == 0) {
		close(taken.pidfd);
		return status_of(&exit);
	}
	enter();
	keep_former(taken.pidfd);
	leave();
	return r;
}

/* 0 if lines can be written to it. */
static int check_pipe(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat status;

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || fstat(fd, &status) < 0)
		return -EBADF;
	if (!S_ISFIFO(status.st_mode))
		return -EINVAL;
	return is_broken(fd) ? -EPIPE : 0;
}

static int attach(int fd)
{
	CAROM_CLEANUP(carom_closep) int copy = -1;
	struct tracker fresh = { .pipe_fd = -1 };
	int r;

	if (names)
		return -EBUSY;
	copy = dup_up(fd);
	if (copy < 0)
		return copy;
	r = look_at_pipe(copy, &fresh);
	if (r < 0)
		return r;
	let_go();
	use(&fresh);
	carom_take_fd(copy);
	return 0;
}

int carom_tracker_attach_dup(int fd)
{
	int r = check_pipe(fd);

	if (r < 0)
		return r;
	enter();
	r = attach(fd);
	leave();
	return r;
}

int carom_tracker_set_dialect(enum carom_tracker_dialect new_dialect)
{
	if ((unsigned int)new_dialect > CAROM_TRACKER_BILLIARD)
		return -EINVAL;
	enter();
	dialect = new_dialect;
	leave();
	return 0;
}

pid_t carom_tracker_pid(void)
{
	pid_t pid;

	enter();
	pid = the.pid;
	leave();
	return pid;
}
