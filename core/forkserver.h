/*
 * Fork server
 *
 * A small single-threaded copy of the program that makes all later children, so
 * that a child costs the same however large the program has grown, however many
 * threads it runs, and whatever locks they hold. Children are the program's own
 * (CLONE_PARENT): it gets their pidfd and their status.
 *
 * The server is made by glibc's fork(), so that atfork handlers run, and then
 * has to prove that no lock of the C library was held by another thread at that
 * moment: it calls malloc, stdio, setenv, localtime and dlopen and answers. A
 * server that does not answer in time is killed and made again.
 *
 * Requests and replies are asynchronous: send a request, watch the descriptor,
 * take the reply. What must never be lost is known at every instant: the server
 * may be killed between any two instructions, and the pid of a child that was
 * made but not handed over stands in a page shared with the program (written by
 * the kernel inside clone), so that child is taken over, not orphaned.
 *
 * Make it from a thread that lives as long as the program: a child's parent
 * death signal fires when the thread that made the server exits.
 *
 * The socket between the two has no name, and each packet carries a key that only they have:
 * the program's end of it, copied into what the program forks or handed on, gets no child and
 * gives no answer.
 *
 * Calls on one server must not overlap; any thread may make them.
 *
 * Where children can only be made by fork(2) (see carom_clone_way()) they would be
 * the server's and not the program's: there is no server then, and the program
 * says so (-EOPNOTSUPP).
 */
#ifndef CAROM_CORE_FORKSERVER_H
#define CAROM_CORE_FORKSERVER_H

#include <stdint.h>
#include <sys/types.h>

#include "core/registry.h"

#define CAROM_FORKSERVER_ARGUMENT_MAX 4096
#define CAROM_FORKSERVER_FDS_MAX      252 /* and the cgroup: what SCM_RIGHTS carries at once */

/*
 * A child runs a carom_process_fn with default signal dispositions, an empty signal mask,
 * PDEATHSIG SIGKILL and no descriptors but 0, which is /dev/null, 1, 2 and those of the
 * request. Its return value is the exit status (through _exit() after fflush(NULL);
 * atexit handlers of the program do not run).
 */
typedef carom_process_fn carom_child_fn;

/**
 * struct carom_child_request - a child to be made
 * @id:        the caller's; comes back in the reply
 * @cgroup_fd: cgroup v2 leaf the child is born in; 0 means none
 * @namespaces: new ones that it is born in, see core/pid_namespace.h; 0 means none
 */
struct carom_child_request {
	uint64_t id;
	carom_child_fn *function;
	const void *argument;
	size_t size;
	const int *fds;
	size_t fd_count;
	int cgroup_fd;
	uint64_t namespaces;
};

/**
 * struct carom_child_reply - what became of a request
 * @pid:   the child; 0 if @error
 * @pidfd: the caller's; -1 if @error
 * @error: 0 or negative errno: -EAGAIN, -ENOMEM, -EMFILE (no room for the pidfd
 *         in this process: the child was killed and reaped), -EPIPE (the server
 *         died before it made the child), -ESRCH (the child was made, has ended,
 *         and the host program has reaped it: nothing more is known), or what
 *         clone3(2) says of @cgroup_fd
 */
struct carom_child_reply {
	uint64_t id;
	pid_t pid;
	int pidfd;
	int error;
};

struct carom_forkserver;

/**
 * carom_forkserver_new() - fork the server and have it prove itself
 *
 * Blocks some milliseconds as a rule; where each of its 20 attempts hangs, 5 s: the first
 * five get 100 ms each, the last five 400 ms, as a busy machine may need it. Where
 * pidfd_open(2) is denied an attempt has two steps of that length.
 * What stands in this program's stdio buffers is not written again by the server
 * and its children.
 * Return: 0, -EDEADLK (no attempt passed the self-test), -EAGAIN, -ENOMEM, -EMFILE,
 * -EOPNOTSUPP (see above).
 */
int carom_forkserver_new(struct carom_forkserver **ret_server);

/**
 * carom_forkserver_free() - end the server; its children live on
 *
 * Requests without a reply are given up: a child made for one is killed and reaped.
 * In a forked child only the copy of the handle goes.
 */
struct carom_forkserver *carom_forkserver_free(struct carom_forkserver *server);
void carom_forkserver_freep(struct carom_forkserver **server);

/**
 * carom_forkserver_forget() - in a child: give back the memory that came with its request
 *
 * Its argument and the numbers of its descriptors, which its function was called with, are
 * not needed any more. Elsewhere it does nothing. AS-Safe.
 */
void carom_forkserver_forget(void);

pid_t carom_forkserver_pid(const struct carom_forkserver *server);

/**
 * carom_forkserver_fds() - one of them is readable when a reply is there or the server is gone
 *
 * Its socket and its pidfd: the end of the first may come late, as a child that was not
 * let run yet still has a copy. They stay the server's.
 */
void carom_forkserver_fds(const struct carom_forkserver *server, int ret_fds[2]);

/** carom_forkserver_wait() - until one of them is readable. 0, -ETIMEDOUT, or what ppoll(2) says. */
int carom_forkserver_wait(const struct carom_forkserver *server, uint64_t deadline_ns);

/**
 * carom_forkserver_lose() - its descriptors were taken away: end it without them
 *
 * carom_forkserver_receive() answers the open requests then, with the children that were
 * made, or -EPIPE.
 */
void carom_forkserver_lose(struct carom_forkserver *server);

/**
 * carom_forkserver_request() - ask for a child; never blocks
 *
 * At most 64 requests may be open.
 * Return: 0, -EAGAIN (take replies first), -EPIPE (the server is gone: take the
 * remaining replies, then make a new one), -EMSGSIZE (@size), -EINVAL (no function,
 * too many descriptors or one that is not open), -ECHILD (a handle from before fork()).
 */
int carom_forkserver_request(struct carom_forkserver *server,
			     const struct carom_child_request *request);

/**
 * carom_forkserver_receive() - take one reply; never blocks
 *
 * After the server's death every open request still gets its reply: the child
 * if one was made, else -EPIPE.
 * Return: 0, -EAGAIN (nothing there), -EPIPE (the server is gone and no request
 * is open), -ECHILD (a handle from before fork()); -EMFILE only inside ret_reply->error.
 */
int carom_forkserver_receive(struct carom_forkserver *server, struct carom_child_reply *ret_reply);

/**
 * carom_forkserver_spawn() - request and wait for the reply
 * Use this only while no other request is open.
 * Return: the pid with *@ret_pidfd set; -ETIMEDOUT (the request is still open: its
 * reply comes by carom_forkserver_receive()); what the request or its reply says.
 */
pid_t carom_forkserver_spawn(struct carom_forkserver *server,
			     const struct carom_child_request *request, uint64_t deadline_ns,
			     int *ret_pidfd);

#endif
