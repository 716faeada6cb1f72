/*
 * Fork server: the program's side
 *
 * A request takes one of 64 slots, clears its word in the shared page and goes
 * out as a packet; its reply names the slot and frees it.
 *
 * The server may be killed between any two instructions. Everything that decides
 * what became of a request is in the kernel's hands by then, in the socket or in
 * the page, and is looked at in this order once the server has ended:
 *
 *	killed                          socket    page   the reply
 *	before it took the request      -         0      -EPIPE
 *	taken, before clone             -         0      -EPIPE
 *	in clone, before the child is   -         0      -EPIPE: clone gives up on a
 *	made                                             pending SIGKILL
 *	in clone, after that            -         pid    the child: the store and the
 *	                                                 child's start follow within
 *	                                                 the same system call
 *	after clone, before sendmsg     -         pid    the child
 *	in sendmsg                      - or      pid    the child, by either: a packet
 *	                                queued           is queued whole or not at all
 *	after sendmsg                   queued    pid    the child, by the packet
 *
 *   I1  The socket is emptied before the page is asked, and a reply frees its slot:
 *       no child is handed over twice.
 *   I2  The page is asked only when the server makes no more children: its socket
 *       is closed in all processes, or its pidfd says so. (Its last child holds a
 *       copy of the socket until it runs, which in a frozen cgroup may be never;
 *       so the pidfd is watched too.)
 *   I3  A pid from the page is an own child that nobody has reaped, or it is
 *       dropped: the host program may have taken its status, and the number may be
 *       another process's by now. Since carom_pidfd_open() comes first and the
 *       question second, the answer is about the process that the pidfd holds.
 *
 * Strangers. A process that the program forks by itself has a copy of its end of the socket,
 * and so has whoever it is handed to; not the page.
 *
 *   K1  The server makes children for packets with the page's key alone, and reads no further
 *       in others.
 *   K2  So does the program with replies: what else comes is dropped, with its descriptors.
 *
 * Who may trace one of the two can read its memory: against that nothing here helps. A thread
 * that forks the program between the making of the page and the first madvise(2) has it too.
 *
 * Legacy clone(2) stores the pid as well, and so leaves no gap here; the pidfd that
 * it cannot give is opened afterwards by the server, and I3 is asked of it too. Where
 * pidfd_open(2) is denied a pid from the page cannot be held: that child is ended, and
 * counts as not made. And there the server itself stores the pid, an instant after the
 * child is made: so it is not killed in that instant by us, see let_finish().
 */
#include "core/forkserver.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/after_fork_private.h"
#include "core/annex.h"
#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/forkserver_private.h"
#include "core/log.h"
#include "core/origin.h"
#include "core/points.h"
#include "core/probe.h"
#include "core/clone.h"
#include "core/pidfd.h"
#include "core/signals.h"
#include "core/time.h"

#define ATTEMPT_COUNT_MAX 20
#define ATTEMPT_NS        CAROM_MILLISECONDS(100) /* of the first five; see time_for() */
#define FINISH_NS         CAROM_SECONDS(1)

/**
 * struct carom_forkserver
 * @origin:    the process that may use it
 * @pid:       the server, a child of the program; valid until @pidfd was reaped
 * @socket_fd: the program's end
 * @born:      shared with the server
 * @is_gone:   I2 holds: it makes no more children
 * @open:      a bit for each slot whose request has had no reply
 * @ids:       the caller's, for each open slot
 */
struct carom_forkserver {
	uint64_t origin;
	pid_t pid;
	int pidfd;
	int socket_fd;
	struct carom_born *born;
	bool is_gone;
	uint64_t open;
	uint64_t ids[CAROM_FORKSERVER_SLOT_COUNT];
};

_Static_assert(CAROM_FORKSERVER_SLOT_COUNT == 64, "one bit each in `open`");

/* --- making one -------------------------------------------------------- */

static int choose_key(struct carom_server_key *key)
{
	return getrandom(key, sizeof(*key), 0) == sizeof(*key) ? 0 : -EAGAIN;
}

static int share_born(struct carom_born **ret_born)
{
	void *memory = mmap(NULL, sizeof(struct carom_born), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	*ret_born = memory;
	return choose_key(&(*ret_born)->key);
}

static pid_t no_error(pid_t pid)
{
	return pid < 0 ? -errno : pid;
}

/*
 * glibc's fork(), so that atfork handlers run. The pidfd is opened afterwards, as
 * fork() gives none: a server that the host program has reaped by then is one that
 * did not start.
 */
static int fork_server(struct carom_forkserver *server, int server_fd, uint64_t attempt_ns)
{
	pid_t program_pid = getpid();
	bool is_held = !carom_probe(CAROM_FEATURE_PIDFD_OPEN); /* from birth, or never */
	uint64_t mask = carom_signals_block();
	bool was_settled = carom_annexes_are_settled();
	pid_t pid;

	carom_after_fork_spare(true);
	pid = is_held ? carom_fork(NULL, 0, carom_deadline_after(attempt_ns), &server->pidfd)
		      : no_error(fork());
	carom_after_fork_spare(false);
	if (pid == 0 && carom_annexes_are_settled() && !was_settled)
		_exit(EXIT_FAILURE); /* its children could load nothing: X2 in core/annex.c */
	if (pid == 0)
		carom_forkserver_serve(server_fd, server->born, program_pid);
	carom_signals_restore(mask);
	if (pid < 0)
		return pid;
	server->pid = pid;
	if (!is_held)
		server->pidfd = carom_pidfd_open(pid);
	if (server->pidfd >= 0)
		return 0;
	if (server->pidfd == -ESRCH)
		return -ETIMEDOUT;
	carom_pid_end(pid, NULL);
	return server->pidfd;
}

/* Return: 0, or -ETIMEDOUT: it hangs, or has ended. */
static int wait_until_ready(const struct carom_forkserver *server, uint64_t attempt_ns)
{
	uint64_t deadline_ns = carom_deadline_after(attempt_ns);
	uint32_t word = 0;

	if (carom_descriptor_wait(server->socket_fd, deadline_ns) == 0 &&
	    recv(server->socket_fd, &word, sizeof(word), MSG_DONTWAIT) < 0)
		word = 0;
	return word == CAROM_FORKSERVER_READY ? 0 : -ETIMEDOUT;
}

static int start(struct carom_forkserver *server, uint64_t attempt_ns)
{
	CAROM_CLEANUP(carom_closep) int server_fd = -1;
	int pair[2];
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	server->socket_fd = pair[0];
	server_fd = pair[1];
	r = share_born(&server->born);
	if (r == 0)
		r = fork_server(server, server_fd, attempt_ns);
	if (r < 0)
		return r;
	/* from here on the page is nobody else's: not a later child's either */
	madvise(server->born, sizeof(*server->born), MADV_DONTFORK);
	carom_closep(&server_fd);
	return wait_until_ready(server, attempt_ns);
}

static int try_once(uint64_t attempt_ns, struct carom_forkserver **ret_server)
{
	CAROM_CLEANUP(carom_forkserver_freep)
	struct carom_forkserver *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	*server = (struct carom_forkserver){
		.origin = carom_origin(),
		.pidfd = -1,
		.socket_fd = -1,
	};
	r = start(server, attempt_ns);
	if (r < 0)
		return r;
	*ret_server = carom_take_ptr(server);
	return 0;
}

/* A lock that is held costs little at first; where there is no processor for it, it gets time. */
static uint64_t time_for(int attempt)
{
	return ATTEMPT_NS * (uint64_t)(1 + attempt / 5);
}

int carom_forkserver_new(struct carom_forkserver **ret_server)
{
	int r = -ETIMEDOUT;

	/* both ways of cloning are decided here, once, and known to the server from birth */
	if (carom_clone_way() == CAROM_CLONE_BY_FORK)
		return -EOPNOTSUPP;
	for (int i = 0; i < ATTEMPT_COUNT_MAX && r == -ETIMEDOUT; i++) {
		r = try_once(time_for(i), ret_server);
		if (r == -ETIMEDOUT)
			carom_log_event(
				CAROM_LOG_INFO, CAROM_LOG_EVENT_FORKSERVER_RETRY,
				"fork server: attempt %d did not pass its self-test (a lock was "
				"held at the fork)",
				i + 1);
	}
	return r == -ETIMEDOUT ? -EDEADLK : r;
}

/*
 * It stores the pid of the child that it is making, cannot reply, and ends; unless it is
 * stopped, and then it makes no child.
 */
static void let_finish(const struct carom_forkserver *server)
{
	shutdown(server->socket_fd, SHUT_RDWR);
	carom_descriptor_wait(server->pidfd, carom_deadline_after(FINISH_NS));
}

/*
 * What was asked for is not wanted any more: a child already made ends with the rest.
 * With no request open nothing is read: in the socket of a server that was given up
 * may stand that it is ready after all.
 */
static void end_server(struct carom_forkserver *server)
{
	struct carom_child_reply reply;
	struct carom_exit exit;

	CAROM_POINT("forkserver.ending");
	if (server->open && !carom_probe(CAROM_FEATURE_PIDFD_OPEN))
		let_finish(server);
	if (carom_pidfd_signal(server->pidfd, SIGKILL) == -EBADF ||
	    carom_pidfd_wait(server->pidfd, CAROM_NO_DEADLINE, &exit) == -EBADF)
		carom_forkserver_lose(server); /* its descriptors have just been taken away */
	while (server->open && carom_forkserver_receive(server, &reply) == 0) {
		if (reply.error < 0)
			continue;
		carom_pidfd_signal(reply.pidfd, SIGKILL);
		carom_pidfd_wait(reply.pidfd, CAROM_NO_DEADLINE, &exit);
		close(reply.pidfd);
	}
}

struct carom_forkserver *carom_forkserver_free(struct carom_forkserver *server)
{
	if (!server)
		return NULL;
	if (carom_origin_is(server->origin)) {
		if (server->pidfd >= 0)
			end_server(server);
		if (server->born)
			munmap(server->born, sizeof(*server->born));
	}
	carom_closep(&server->pidfd);
	carom_closep(&server->socket_fd);
	free(server);
	return NULL;
}

void carom_forkserver_freep(struct carom_forkserver **server)
{
	*server = carom_forkserver_free(*server);
}

/* It ends by itself when its socket is closed. I2 holds then, as it is waited for. */
void carom_forkserver_lose(struct carom_forkserver *server)
{
	carom_pid_end(server->pid, NULL);
	server->pidfd = -1;
	server->socket_fd = -1;
	server->is_gone = true;
}

pid_t carom_forkserver_pid(const struct carom_forkserver *server)
{
	return server->pid;
}

void carom_forkserver_fds(const struct carom_forkserver *server, int ret_fds[2])
{
	ret_fds[0] = server->socket_fd;
	ret_fds[1] = server->pidfd;
}

int carom_forkserver_wait(const struct carom_forkserver *server, uint64_t deadline_ns)
{
	int fds[2];

	carom_forkserver_fds(server, fds);
	return carom_descriptor_wait_pair(fds, deadline_ns);
}

/* --- requests ---------------------------------------------------------- */

static int check_request(const struct carom_child_request *request)
{
	if (!request->function || request->fd_count > CAROM_FORKSERVER_FDS_MAX)
		return -EINVAL;
	if (request->size > CAROM_FORKSERVER_ARGUMENT_MAX)
		return -EMSGSIZE;
	if ((request->size && !request->argument) || (request->fd_count && !request->fds))
		return -EINVAL;
	return 0;
}

static int send_request(struct carom_forkserver *server, const struct carom_child_request *request,
			uint32_t slot)
{
	struct carom_server_request packet = {
		.key = server->born->key,
		.function = request->function,
		.slot = slot,
		.size = (uint32_t)request->size,
		.fd_count = (uint32_t)request->fd_count,
		.has_cgroup = request->cgroup_fd > 0,
		.namespaces = request->namespaces,
	};
	size_t size = offsetof(struct carom_server_request, argument) + request->size;
	size_t fd_count = request->fd_count;
	int fds[CAROM_PACKET_FDS_MAX];
	int r;

	if (request->size)
		memcpy(packet.argument, request->argument, request->size);
	if (fd_count)
		memcpy(fds, request->fds, fd_count * sizeof(int));
	if (packet.has_cgroup)
		fds[fd_count++] = request->cgroup_fd;
	r = carom_packet_send(server->socket_fd, &packet, size, fds, fd_count, MSG_DONTWAIT);
	explicit_bzero(&packet.key, sizeof(packet.key)); /* nobody is to find it on this stack */
	return r;
}

static int meaning_of_send(int r)
{
	switch (r) {
	case -ECONNRESET:
		return -EPIPE;
	case -EBADF:
		return -EINVAL; /* one of the request's descriptors */
	case -ETOOMANYREFS:
	case -ENOBUFS:
		return -EAGAIN;
	default:
		return r;
	}
}

int carom_forkserver_request(struct carom_forkserver *server,
			     const struct carom_child_request *request)
{
	uint32_t slot;
	int r = check_request(request);

	if (r < 0)
		return r;
	if (!carom_origin_is(server->origin))
		return -ECHILD;
	if (server->is_gone)
		return -EPIPE;
	if (server->open == UINT64_MAX)
		return -EAGAIN;
	slot = (uint32_t)__builtin_ctzll(~server->open);
	/* before the server can know of the request: the socket orders the two */
	atomic_store_explicit(&server->born->pids[slot], 0, memory_order_relaxed);
	r = meaning_of_send(send_request(server, request, slot));
	if (r < 0)
		return r;
	server->open |= UINT64_C(1) << slot;
	server->ids[slot] = request->id;
	CAROM_POINT("forkserver.requested");
	return 0;
}

/* --- replies ----------------------------------------------------------- */

static void close_slot(struct carom_forkserver *server, uint32_t slot)
{
	assert(server->open & (UINT64_C(1) << slot));
	server->open &= ~(UINT64_C(1) << slot);
}

static void fail(struct carom_child_reply *reply, int error)
{
	carom_closep(&reply->pidfd);
	reply->pid = 0;
	reply->error = error;
}

/* I3: what is held now is an own child, or nothing. */
static void keep_if_own(struct carom_child_reply *reply)
{
	if (!carom_pidfd_is_child(reply->pidfd))
		fail(reply, -ESRCH);
}

/* What this process has no room to hold, nobody could reap: it ends here. */
static void adopt(struct carom_child_reply *reply)
{
	reply->pidfd = carom_pidfd_open(reply->pid);
	if (reply->pidfd >= 0) {
		keep_if_own(reply);
		return;
	}
	if (reply->pidfd != -ESRCH)
		carom_pid_end(reply->pid, NULL);
	fail(reply, reply->pidfd == -ESRCH        ? -ESRCH
		    : reply->pidfd == -EOPNOTSUPP ? -EPIPE /* as if it had not been made */
						  : -EMFILE);
}

static void settle_reply(struct carom_child_reply *reply, bool has_pidfd, bool is_cut)
{
	if (reply->error < 0)
		return;
	if (is_cut) {
		carom_pid_end(reply->pid, NULL);
		fail(reply, -EMFILE);
	} else if (!has_pidfd) {
		adopt(reply);
	} else if (carom_clone_way() == CAROM_CLONE_BY_CLONE) {
		keep_if_own(reply);
	}
}

/* K2. Size as from recvmsg(2), or -EAGAIN. */
static ssize_t receive_reply(const struct carom_forkserver *server,
			     struct carom_server_reply *packet, int *fds, size_t *fd_count,
			     bool *is_cut)
{
	for (;;) {
		ssize_t n = carom_packet_receive(server->socket_fd, packet, sizeof(*packet),
						 MSG_DONTWAIT, fds, fd_count, is_cut);

		if (n <= 0 ||
		    (n == sizeof(*packet) && carom_server_key_is(&packet->key, &server->born->key)))
			return n;
		carom_packet_drop(fds, *fd_count);
	}
}

/* Return: 0, -EAGAIN, or -EPIPE: the server's end is closed. */
static int take_packet(struct carom_forkserver *server, struct carom_child_reply *ret_reply)
{
	struct carom_server_reply packet;
	int fds[CAROM_PACKET_FDS_MAX];
	size_t fd_count;
	bool is_cut;
	ssize_t n = receive_reply(server, &packet, fds, &fd_count, &is_cut);

	if (n == -EAGAIN)
		return -EAGAIN;
	if (n <= 0)
		return -EPIPE;
	assert(packet.slot < CAROM_FORKSERVER_SLOT_COUNT);
	close_slot(server, packet.slot);
	*ret_reply = (struct carom_child_reply){
		.id = server->ids[packet.slot],
		.pid = packet.pid,
		.pidfd = fd_count ? fds[0] : -1,
		.error = packet.error,
	};
	settle_reply(ret_reply, fd_count > 0, is_cut);
	return 0;
}

/* The server has left no reply for this one: the page knows whether there is a child. */
static int settle_from_page(struct carom_forkserver *server, struct carom_child_reply *ret_reply)
{
	uint32_t slot;
	pid_t pid;

	if (server->open == 0)
		return -EPIPE;
	slot = (uint32_t)__builtin_ctzll(server->open);
	/* the server's end was learnt from the kernel, which ordered its stores before that */
	pid = atomic_load(&server->born->pids[slot]);
	close_slot(server, slot);
	*ret_reply = (struct carom_child_reply){
		.id = server->ids[slot],
		.pid = pid,
		.pidfd = -1,
		.error = pid ? 0 : -EPIPE,
	};
	if (pid)
		adopt(ret_reply);
	return 0;
}

int carom_forkserver_receive(struct carom_forkserver *server, struct carom_child_reply *ret_reply)
{
	int r;

	if (!carom_origin_is(server->origin))
		return -ECHILD;
	r = take_packet(server, ret_reply);
	if (r == -EAGAIN && carom_pidfd_has_ended(server->pidfd)) {
		/* between the first look and its end it may have replied; after its end it cannot */
		r = take_packet(server, ret_reply);
		if (r == -EAGAIN)
			r = -EPIPE;
	}
	if (r != -EPIPE)
		return r;
	server->is_gone = true;
	return settle_from_page(server, ret_reply);
}

pid_t carom_forkserver_spawn(struct carom_forkserver *server,
			     const struct carom_child_request *request, uint64_t deadline_ns,
			     int *ret_pidfd)
{
	struct carom_child_reply reply;
	int r = carom_forkserver_request(server, request);

	if (r < 0)
		return r;
	while ((r = carom_forkserver_receive(server, &reply)) == -EAGAIN) {
		r = carom_forkserver_wait(server, deadline_ns);
		if (r < 0)
			break;
	}
	if (r < 0)
		return r;
	if (reply.error < 0)
		return reply.error;
	*ret_pidfd = reply.pidfd;
	return reply.pid;
}
