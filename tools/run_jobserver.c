/*
 * Jobserver
 *
 * The tokens are bytes in a pipe or FIFO of make's. Whoever dies with one in its
 * hands takes it away from everybody, until make itself ends. So a process of its
 * own takes them, which nobody but its kin knows, in a session where no signal
 * for a group or of a terminal reaches it; it does what it is told over a socket:
 *
 *	carom run: WANT (a token), WANT_NONE, GIVE (one) back
 *	keeper:    TOKEN (is here), BROKEN (there will be none)
 *
 *   I1  The keeper has what it said TOKEN for and was not told to GIVE back. When
 *       the socket ends it gives back all, whatever carom run died of. It is
 *       killed itself only by somebody who means it.
 *   I2  A token is given back as the byte that it was.
 *   I3  A token may cross WANT_NONE. The next settle gives it back.
 *   I4  It reads without waiting through an open file of its own: that of the
 *       descriptors in MAKEFLAGS is shared with make and all its other clients,
 *       which may rely on waiting.
 *
 * A job that waits for its next attempt keeps its token, as it keeps its slot.
 */
#include "tools/run_jobserver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/clone.h"
#include "core/descriptors.h"
#include "tools/run_options.h"
#include "tools/say.h"
#include "tools/writable.h"

#define GOODBYE_MS 1000 /* for the keeper to end */

enum { WANT = 'w', WANT_NONE = 'n', GIVE = 'g', TOKEN = 't', BROKEN = 'b' };

/* --- the keeper -------------------------------------------------------- */

struct keeper {
	int control_fd;
	int read_fd; /* -1: broken */
	int write_fd;
	size_t count;
	char tokens[CAROM_RUN_JOBS_MAX];
	bool is_wanted;
	bool is_over;
};

static void give_one(struct keeper *keeper)
{
	if (keeper->count > 0)
		(void)!write(keeper->write_fd, &keeper->tokens[--keeper->count], 1); /* I2 */
}

static void say(struct keeper *keeper, char word)
{
	keeper->is_wanted = false;
	(void)send(keeper->control_fd, &word, 1, MSG_NOSIGNAL);
}

static void listen_to_master(struct keeper *keeper)
{
	char word;
	ssize_t n = recv(keeper->control_fd, &word, 1, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		keeper->is_over = true;
	else if (word == GIVE)
		give_one(keeper);
	else
		keeper->is_wanted = word == WANT;
}

static void take_one(struct keeper *keeper)
{
	ssize_t n = read(keeper->read_fd, &keeper->tokens[keeper->count], 1);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) /* somebody else was faster */
		return;
	if (n == 1) {
		keeper->count++;
		say(keeper, TOKEN);
		return;
	}
	keeper->read_fd = -1;
	say(keeper, BROKEN);
}

static bool needs_one(const struct keeper *keeper)
{
	return keeper->is_wanted && keeper->count < sizeof(keeper->tokens);
}

static void keep(struct keeper *keeper)
{
	while (!keeper->is_over) {
		struct pollfd fds[] = {
			{ .fd = keeper->control_fd, .events = POLLIN },
			{ .fd = needs_one(keeper) ? keeper->read_fd : -1, .events = POLLIN },
		};

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			listen_to_master(keeper);
		if (fds[1].revents && needs_one(keeper))
			take_one(keeper);
	}
	while (keeper->count > 0) /* I1 */
		give_one(keeper);
}

_Noreturn static void keeper_main(struct keeper *keeper)
{
	const int kept[] = { keeper->control_fd, keeper->read_fd, keeper->write_fd };
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	prctl(PR_SET_NAME, "carom-jobserver");
	for (int fd = STDIN_FILENO; null_fd >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null_fd, fd);
	carom_descriptors_close(STDERR_FILENO + 1, kept, 3);
	keep(keeper);
	_exit(EXIT_SUCCESS);
}

/* --- finding it -------------------------------------------------------- */

/* The last one counts. What stands behind "--" are variables. */
static const char *find_address(const char *flags)
{
	static const char *const names[] = { "--jobserver-auth=", "--jobserver-fds=" };
	const char *address = NULL;

	for (; flags && *flags; flags += strcspn(flags, " ")) {
		flags += strspn(flags, " ");
		if (strncmp(flags, "-- ", 3) == 0)
			break;
		for (size_t i = 0; i < 2; i++)
			if (strncmp(flags, names[i], strlen(names[i])) == 0)
				address = flags + strlen(names[i]);
	}
	return address;
}

static int open_again(int fd, int flags)
{
	char path[32];
	int again;

	sprintf(path, "/proc/self/fd/%d", fd);
	again = open(path, flags | O_NONBLOCK | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

static bool is_pipe(int fd, int unwanted_mode)
{
	struct stat file;
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != unwanted_mode && fstat(fd, &file) == 0 &&
	       S_ISFIFO(file.st_mode);
}

/* I4. Without the '+' of a recipe that runs make, make closes them. */
static int open_pipe(struct keeper *keeper, int read_fd, int write_fd)
{
	if (read_fd < 0 || write_fd < 0 || !is_pipe(read_fd, O_WRONLY) ||
	    !is_pipe(write_fd, O_RDONLY)) {
		carom_say("make's jobserver is not open (the recipe needs a '+'): "
			  "-j alone counts");
		return -EBADF;
	}
	keeper->read_fd = open_again(read_fd, O_RDONLY);
	keeper->write_fd = fcntl(write_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return keeper->read_fd < 0 ? keeper->read_fd : keeper->write_fd < 0 ? -errno : 0;
}

static int open_fifo(struct keeper *keeper, const char *path)
{
	keeper->read_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (keeper->read_fd < 0)
		return -errno;
	if (!is_pipe(keeper->read_fd, O_WRONLY))
		return -ENXIO;
	keeper->write_fd = open(path, O_WRONLY | O_CLOEXEC);
	return keeper->write_fd < 0 ? -errno : 0;
}

static int open_address(struct keeper *keeper, const char *address)
{
	int read_fd, write_fd, r;
	char *path;

	if (sscanf(address, "%d,%d", &read_fd, &write_fd) == 2)
		return open_pipe(keeper, read_fd, write_fd);
	if (strncmp(address, "fifo:", 5) != 0)
		return -EINVAL;
	path = strndup(address + 5, strcspn(address + 5, " "));
	r = path ? open_fifo(keeper, path) : -ENOMEM;
	free(path);
	return r;
}

/* --- the master -------------------------------------------------------- */

static void tell(struct carom_run_jobserver *jobserver, char word)
{
	(void)send(jobserver->keeper.fd, &word, 1, MSG_NOSIGNAL);
}

static void lose(struct carom_run_jobserver *jobserver)
{
	if (jobserver->keeper.fd < 0)
		return;
	carom_loop_unwatch_fd(jobserver->loop, &jobserver->keeper);
	carom_closep(&jobserver->keeper.fd);
}

static void on_word(struct carom_loop_fd *watch)
{
	struct carom_run_jobserver *jobserver = watch->userdata;
	char word = BROKEN;
	ssize_t n = recv(watch->fd, &word, 1, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	jobserver->is_asked = false;
	if (n == 1 && word == TOKEN) {
		jobserver->held_count++;
		return;
	}
	if (carom_writable_now(STDERR_FILENO)) /* the loop waits for no reader */
		carom_say("make's jobserver is gone: -j alone counts");
	lose(jobserver);
}

static int start_keeper(struct carom_run_jobserver *jobserver, struct keeper *keeper)
{
	CAROM_CLEANUP(carom_closep) int ours = -1;
	CAROM_CLEANUP(carom_closep) int theirs = -1;
	CAROM_CLEANUP(carom_closep) int pidfd = -1;
	int fds[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	ours = fds[0];
	theirs = keeper->control_fd = fds[1];
	pid = carom_clone(NULL, &pidfd);
	if (pid == 0)
		keeper_main(keeper);
	if (pid < 0)
		return pid;
	jobserver->keeper.fd = ours;
	r = carom_loop_watch_fd(jobserver->loop, &jobserver->keeper);
	if (r < 0)
		jobserver->keeper.fd = -1; /* the keeper sees the connection's end */
	else
		ours = -1;
	return r;
}

void carom_run_jobserver_open(struct carom_run_jobserver *jobserver, struct carom_loop *loop,
			      const char *flags)
{
	static struct keeper keeper = { .read_fd = -1, .write_fd = -1 };
	const char *address = find_address(flags);
	int r;

	*jobserver = (struct carom_run_jobserver){
		.loop = loop,
		.keeper = { .fd = -1, .ready = on_word, .userdata = jobserver },
	};
	if (!address)
		return;
	r = open_address(&keeper, address);
	if (r == 0)
		r = start_keeper(jobserver, &keeper);
	if (r < 0 && r != -EBADF)
		carom_say("make's jobserver, %.*s: %s: -j alone counts", (int)strcspn(address, " "),
			  address, strerrordesc_np(-r));
	carom_closep(&keeper.read_fd);
	carom_closep(&keeper.write_fd);
}

/* With no job running none is needed, and with n of them n - 1. */
bool carom_run_jobserver_allows(struct carom_run_jobserver *jobserver, uint64_t running_count)
{
	if (jobserver->keeper.fd < 0 || running_count <= jobserver->held_count)
		return true;
	if (!jobserver->is_asked)
		tell(jobserver, WANT);
	jobserver->is_asked = true;
	return false;
}

void carom_run_jobserver_settle(struct carom_run_jobserver *jobserver, uint64_t running_count,
				bool wants_more)
{
	uint64_t needed_count = running_count > 0 ? running_count - 1 : 0;

	if (jobserver->keeper.fd < 0)
		return;
	for (; jobserver->held_count > needed_count; jobserver->held_count--)
		tell(jobserver, GIVE);
	if (jobserver->is_asked && !wants_more) {
		tell(jobserver, WANT_NONE);
		jobserver->is_asked = false; /* I3 */
	}
}

/* What it still says, a token that crossed, is of no interest: it gives all back. */
static void wait_for_keeper(const struct carom_run_jobserver *jobserver)
{
	struct pollfd said = { .fd = jobserver->keeper.fd, .events = POLLIN };
	char word;

	while (poll(&said, 1, GOODBYE_MS) == 1)
		if (recv(said.fd, &word, 1, MSG_DONTWAIT) <= 0)
			return;
}

/* Not before the tokens are back: make counts them when its recipes have ended. */
void carom_run_jobserver_close(struct carom_run_jobserver *jobserver)
{
	if (!jobserver->loop || jobserver->keeper.fd < 0)
		return;
	shutdown(jobserver->keeper.fd, SHUT_WR);
	wait_for_keeper(jobserver);
	lose(jobserver);
}
