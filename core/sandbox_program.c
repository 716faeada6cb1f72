/*
 * Sandbox: programs
 *
 *	this process			the child, a copy of it
 *	carom_spawn(), waits		0, 1, 2, group, death signal
 *					all layers, seccomp the last: the listener is born
 *					sends it through a socket
 *					executes the program: the socket closes
 *	takes the listener
 *
 *   P1  Between the filter and the program the child makes calls that the filter has, or it
 *       would wait for this process, which waits for it.
 *   P2  No call is ever let through: an answer is an error, or the end of the process. So
 *       what its arguments point to is not looked at, and may change as it likes.
 *   P3  Who listens no more (dead, or done with it) leaves calls that fail with ENOSYS.
 */
#include "core/sandbox_program.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/sandbox_private.h"
#include "core/sandbox_rules.h"

/* --- what is forgiven -------------------------------------------------- */

static const struct {
	const char *name;
	int error;
} tolerated[] = {
	/* attributes of files, which landlock does not guard; so cp and gzip go on without */
	{ "chmod", EPERM },
	{ "fchmod", EPERM },
	{ "fchmodat", EPERM },
	{ "fchmodat2", EPERM },
	{ "chown", EPERM },
	{ "fchown", EPERM },
	{ "lchown", EPERM },
	{ "fchownat", EPERM },
	{ "utime", EPERM },
	{ "utimes", EPERM },
	{ "utimensat", EPERM },
	{ "futimesat", EPERM },
	{ "truncate", EPERM },
	{ "setxattr", EPERM },
	{ "lsetxattr", EPERM },
	{ "fsetxattr", EPERM },
	{ "removexattr", EPERM },
	{ "lremovexattr", EPERM },
	{ "fremovexattr", EPERM },
	/* what the profile has for some arguments */
	{ "ioctl", ENOTTY },
	{ "fcntl", EINVAL },
	{ "prctl", EINVAL },
	{ "prlimit64", EPERM },
	{ "kill", EPERM },
	{ "tgkill", EPERM },
	{ "sched_setaffinity", EPERM },
	/* is it a socket? No */
	{ "getpeername", ENOTSOCK },
	{ "getsockname", ENOTSOCK },
	{ "getsockopt", ENOTSOCK },
	{ "setsockopt", ENOTSOCK },
	/* what is tried, and done without */
	{ "tkill", EPERM },
	{ "setrlimit", EPERM },
	{ "setpriority", EPERM },
	{ "sched_setscheduler", EPERM },
	{ "sched_setparam", EPERM },
	{ "sched_setattr", EPERM },
	{ "ioprio_set", EPERM },
	{ "setuid", EPERM },
	{ "setgid", EPERM },
	{ "setreuid", EPERM },
	{ "setregid", EPERM },
	{ "setresuid", EPERM },
	{ "setresgid", EPERM },
	{ "setgroups", EPERM },
	{ "capset", EPERM },
	{ "mlockall", EPERM },
	{ "mbind", EPERM },
	{ "set_mempolicy", EPERM },
	{ "get_mempolicy", EPERM },
	{ "personality", EPERM },
	{ "syslog", EPERM },
	{ "seccomp", EPERM },
	{ "io_uring_setup", ENOSYS },
	{ "landlock_create_ruleset", ENOSYS },
	{ "inotify_init1", ENOSYS },
	{ "inotify_init", ENOSYS },
	{ "pidfd_open", ENOSYS },
	{ "name_to_handle_at", EOPNOTSUPP },
};

int carom_sandbox_is_tolerated(const char *name, uint64_t first_argument)
{
	/* looking up a user tries a daemon of the local host first; a pair is of datagrams then */
	if ((strcmp(name, "socket") == 0 || strcmp(name, "socketpair") == 0) &&
	    (uint32_t)first_argument == AF_UNIX)
		return EACCES;
	for (size_t i = 0; i < sizeof(tolerated) / sizeof(*tolerated); i++)
		if (strcmp(tolerated[i].name, name) == 0)
			return tolerated[i].error;
	return 0;
}

/* --- listening --------------------------------------------------------- */

/* The kernel's structs may be longer one day. */
union request {
	struct seccomp_notif fields;
	char room[512];
};
union answer {
	struct seccomp_notif_resp fields;
	char room[512];
};

int carom_sandbox_listen(int listener_fd, struct carom_violation *ret_violation)
{
	union request request = { 0 };
	union answer answer = { 0 };
	struct carom_violation violation;
	int error;

	if (ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
		return errno == ENOENT || errno == EINTR ? 0 : -errno;
	violation.number = request.fields.data.nr;
	carom_system_call_name(violation.number, violation.name, sizeof(violation.name));
	error = carom_sandbox_is_tolerated(violation.name, request.fields.data.args[0]);
	if (!error) {
		*ret_violation = violation;
		return 1;
	}
	answer.fields.id = request.fields.id;
	answer.fields.error = -error;
	return ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 && errno != ENOENT ? -errno
											    : 0;
}

/* --- the child --------------------------------------------------------- */

struct way {
	int page_fd;
	int socket_fd;
};

/* child: AS-Safe calls only */
static int send_listener(int socket_fd, int listener_fd)
{
	char byte = 0;
	struct iovec text = { &byte, sizeof(byte) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} rights = { .header = { .cmsg_level = SOL_SOCKET,
				 .cmsg_type = SCM_RIGHTS,
				 .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct msghdr message = {
		.msg_iov = &text,
		.msg_iovlen = 1,
		.msg_control = &rights,
		.msg_controllen = sizeof(rights),
	};

	memcpy(CMSG_DATA(&rights.header), &listener_fd, sizeof(listener_fd));
	return sendmsg(socket_fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* child: AS-Safe calls only. P1 */
static int go_in(const void *data)
{
	const struct way *way = data;
	int listener_fd = -1;
	int r = carom_sandbox_enter_program(way->page_fd, &way->socket_fd, 1, &listener_fd);

	return r == 0 && listener_fd >= 0 ? send_listener(way->socket_fd, listener_fd) : r;
}

/* --- this process ------------------------------------------------------ */

/* -1: the child has sent none */
static int take_listener(int socket_fd)
{
	char byte;
	struct iovec text = { &byte, sizeof(byte) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} rights;
	struct msghdr message = {
		.msg_iov = &text,
		.msg_iovlen = 1,
		.msg_control = &rights,
		.msg_controllen = sizeof(rights),
	};
	const struct cmsghdr *header;
	int fd = -1;

	if (recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0)
		return -1;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

static pid_t spawn_in(const struct carom_sandbox_page *page,
		      const struct carom_spawn_options *options, int *ret_pidfd,
		      int *ret_listener_fd)
{
	struct carom_spawn_options ours = *options;
	CAROM_CLEANUP(carom_closep) int here = -1;
	CAROM_CLEANUP(carom_closep) int there = -1;
	struct way way;
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	here = fds[0];
	there = fds[1];
	if (carom_descriptor_lift(&there) < 0) /* above 0, 1, 2, which the child replaces */
		return -EMFILE;
	way = (struct way){ carom_sandbox_page_fd(page), there };
	ours.prepare = go_in;
	ours.prepare_data = &way;
	pid = carom_spawn(&ours, ret_pidfd);
	if (pid > 0)
		*ret_listener_fd = take_listener(here);
	return pid;
}

pid_t carom_sandbox_spawn(const struct carom_sandbox *sandbox,
			  const struct carom_spawn_options *options, int *ret_pidfd,
			  int *ret_listener_fd)
{
	struct carom_sandbox_page *page;
	pid_t pid = carom_sandbox_page_new(sandbox, &page);

	if (pid < 0)
		return pid;
	pid = spawn_in(page, options, ret_pidfd, ret_listener_fd);
	carom_sandbox_page_free(page);
	return pid;
}
