/*
 * Clone
 *
 * The ladder, best way first, chosen once:
 *
 *   clone3  the kernel makes child and pidfd in one step
 *   clone   the same by legacy clone(2), for containers that answer clone3 with
 *           ENOSYS: their filters cannot read its arguments, clone's flags they can
 *   fork    glibc's fork() and pidfd_open(2), where the kernel does not tell the
 *           address of glibc's thread id (no CONFIG_CHECKPOINT_RESTORE) or denies
 *           CLONE_PIDFD. The child waits on a socket until its parent holds the
 *           pidfd: one that ended before, and whose status the host program's
 *           waitpid(-1) took, would leave a pid that may be somebody else's.
 *
 * Where pidfd_open(2) is denied only a clone gives a pidfd. Then carom_fork() forks a
 * process in between, which the atfork handlers run in, and that clones the child as
 * its sibling, hands the pidfd over, and ends. Whoever kills it in between leaves at
 * most a child that ends by itself, because nobody opens its gate. So it is not killed for
 * being late once it clones: enum passage says who came first. The last way is none then.
 *
 * What raw clone breaks under glibc, and find_cure() with cure() repairs:
 *
 *   - glibc keeps the thread's id in memory, and mutexes are owned by that id: a
 *     child that still believes it is its parent unlocks its parent's mutexes and
 *     enters its recursive ones. CLONE_CHILD_SETTID has the kernel write the
 *     child's id there, CLONE_CHILD_CLEARTID registers the address as fork() does.
 *   - The kernel forgets the robust list in a child, so a robust mutex that the
 *     child dies with would stay locked for ever; and the copied list still holds
 *     the parent's mutexes. The child registers an empty one.
 *   - A signal handler in between would see a process that is neither: every
 *     signal is blocked from before the clone until after the cure.
 *
 * Only clone3 has a child born in a cgroup. By clone it moves there itself, before
 * anything else but the cure; by fork its parent moves it, while it waits. Either costs
 * some milliseconds where clone3 costs none.
 *
 * rseq(2) survives a clone that copies the memory. Locks that other threads held
 * cannot be cured; see core/forkserver.h.
 *
 * @ret_born_pid: CLONE_PARENT_SETTID stores the pid before the child is first put
 * on a run queue, and in the same system call that makes it. Legacy clone has one
 * argument for that address and the pidfd's, so there the pidfd is opened
 * afterwards: between the two the child may have ended and the host program may
 * have reaped it. pidfd_open() then finds nobody, or in theory a stranger with
 * the same number; who takes the pidfd over asks carom_pidfd_is_child().
 * Where pidfd_open(2) is denied the clone gives the pidfd, and its maker stores the pid.
 * The child waits at a gate until that is done: if the maker dies before, it ends, and
 * stays a zombie of the program, which has never heard of it.
 */
#include "core/clone.h"
#include "core/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cgroup_file.h"
#include "core/cgroup_group.h"
#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/forkserver_private.h"
#include "core/guard.h"
#include "core/log.h"
#include "core/log_private.h"
#include "core/pid_namespace.h"
#include "core/points.h"
#include "core/probe.h"
#include "core/robust_head.h"
#include "core/signals.h"
#include "core/time.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP UINT64_C(0x200000000)
#endif

static const char *const way_names[] = {
	[CAROM_CLONE_BY_CLONE3] = "clone3",
	[CAROM_CLONE_BY_CLONE] = "clone",
	[CAROM_CLONE_BY_FORK] = "fork",
};

/* --- which way --------------------------------------------------------- */

static enum carom_clone_way way_by_environment(void)
{
	const char *name = getenv("CAROM_CLONE");
	enum carom_clone_way way = CAROM_CLONE_BY_CLONE3;

	if (!name)
		return way;
	while (way < CAROM_CLONE_BY_FORK && strcmp(name, way_names[way]) != 0)
		way++;
	if (strcmp(name, way_names[way]) != 0) {
		carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_CLONE_UNKNOWN,
				"CAROM_CLONE: no way is called \"%s\"", name);
		way = CAROM_CLONE_BY_CLONE3;
	}
	return way;
}

/* From the way that is wanted down to the first that goes here. */
static enum carom_clone_way choose_way(void)
{
	enum carom_clone_way wanted = way_by_environment();

	if (!carom_probe(CAROM_FEATURE_TID_ADDRESS))
		return CAROM_CLONE_BY_FORK;
	if (wanted == CAROM_CLONE_BY_CLONE3 && carom_probe(CAROM_FEATURE_CLONE3))
		return CAROM_CLONE_BY_CLONE3;
	if (wanted != CAROM_CLONE_BY_FORK && carom_probe(CAROM_FEATURE_CLONE_PIDFD))
		return CAROM_CLONE_BY_CLONE;
	return CAROM_CLONE_BY_FORK;
}

static enum carom_clone_way chosen_way;
static pthread_once_t way_once = PTHREAD_ONCE_INIT;

static void choose_way_once(void)
{
	chosen_way = choose_way();
}

enum carom_clone_way carom_clone_way(void)
{
	pthread_once(&way_once, choose_way_once);
	return chosen_way;
}

const char *carom_clone_way_name(void)
{
	return way_names[carom_clone_way()];
}

/* --- the cure ---------------------------------------------------------- */

/**
 * struct cure - what a child of the calling thread needs
 * @tid:    where glibc keeps the thread's id
 * @robust: the thread's robust list as glibc registered it; NULL if it did not
 * @size:   its size, for the kernel
 */
struct cure {
	int *tid;
	struct robust_list_head *robust;
	size_t size;
};

static int find_cure(struct cure *ret_cure)
{
	struct cure cure = { 0 };

	if (prctl(PR_GET_TID_ADDRESS, &cure.tid) < 0)
		return -errno;
	if (!cure.tid || *cure.tid != gettid())
		return -EOPNOTSUPP; /* a thread that glibc did not make */
	if (syscall(SYS_get_robust_list, 0, &cure.robust, &cure.size) < 0) {
		cure.robust = carom_robust_head();
		cure.size = sizeof(*cure.robust);
	}
	*ret_cure = cure;
	return 0;
}

/* child: AS-Safe calls only */
static void cure_child(const struct cure *cure)
{
	if (!cure->robust)
		return;
	cure->robust->list.next = &cure->robust->list;
	cure->robust->list_op_pending = NULL;
	syscall(SYS_set_robust_list, cure->robust, cure->size);
}

/* --- the three ways ---------------------------------------------------- */

static pid_t by_clone3(const struct carom_clone_options *options, const struct cure *cure,
		       int *ret_pidfd)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID |
			 options->namespaces,
		.pidfd = (uintptr_t)&pidfd,
		.child_tid = (uintptr_t)cure->tid,
		.exit_signal = options->as_sibling ? 0 : SIGCHLD, /* a sibling has its maker's */
	};
	pid_t pid;

	if (options->as_sibling)
		args.flags |= CLONE_PARENT;
	if (options->ret_born_pid) {
		args.flags |= CLONE_PARENT_SETTID;
		args.parent_tid = (uintptr_t)options->ret_born_pid;
	}
	if (options->cgroup_fd > 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)options->cgroup_fd;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return -errno;
	if (pid > 0)
		*ret_pidfd = pidfd;
	return pid;
}

/*
 * The child exists, and there is no descriptor for it. A sibling's parent knows
 * it by the page; an own child is ended, so that none is left that nobody holds.
 */
static pid_t without_pidfd(const struct carom_clone_options *options, pid_t pid, int error)
{
	if (options->as_sibling)
		return pid;
	if (error == -ESRCH) /* ended, and somebody reaped it: the number is not ours any more */
		return error;
	carom_pid_end(pid, NULL);
	return error;
}

/*
 * child: AS-Safe calls only. Goes on when its parent holds the pidfd, or not at all.
 *
 * The gate alone does not tell that the parent is gone: two threads that fork at the
 * same time make two children that each hold a copy of the other's gate, and would wait
 * for each other for ever. So the guard comes first.
 */
static pid_t wait_for_parent(int gate[2], const struct carom_guard *guard)
{
	char go;
	ssize_t n;

	CAROM_POINT("fork.born");
	if (guard && carom_guard_arm(guard) < 0)
		_exit(EXIT_FAILURE);
	CAROM_POINT("fork.guarded");
	close(gate[1]);
	do
		n = read(gate[0], &go, 1);
	while (n < 0 && errno == EINTR);
	close(gate[0]);
	if (n != 1)
		_exit(EXIT_FAILURE);
	CAROM_POINT("fork.released");
	return 0;
}

/* @parent_tid: takes the pidfd, or with CLONE_PARENT_SETTID the pid */
static pid_t clone_plainly(unsigned long flags, bool as_sibling, void *parent_tid,
			   const struct cure *cure)
{
	pid_t pid;

	flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
	flags |= as_sibling ? CLONE_PARENT : SIGCHLD;
	/* the last two change places between architectures; without CLONE_SETTLS one is unused */
	pid = (pid_t)syscall(SYS_clone, flags, NULL, parent_tid, cure->tid, cure->tid);
	return pid < 0 ? -errno : pid;
}

static pid_t by_clone_told(const struct carom_clone_options *options, const struct cure *cure,
			   int *ret_pidfd)
{
	pid_t pid = clone_plainly(CLONE_PARENT_SETTID | options->namespaces, options->as_sibling,
				  (void *)options->ret_born_pid, cure);
	int pidfd;

	if (pid <= 0)
		return pid;
	pidfd = carom_pidfd_open(pid);
	if (pidfd < 0)
		pid = without_pidfd(options, pid, pidfd);
	*ret_pidfd = pidfd < 0 ? -1 : pidfd;
	return pid;
}

static pid_t by_clone_gated(const struct carom_clone_options *options, const struct cure *cure,
			    int *ret_pidfd)
{
	int gate[2];
	int pidfd = -1;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate) < 0)
		return -errno;
	pid = clone_plainly(CLONE_PIDFD | options->namespaces, options->as_sibling, &pidfd, cure);
	if (pid == 0)
		return wait_for_parent(gate, NULL);
	close(gate[0]);
	if (pid > 0) {
		atomic_store(options->ret_born_pid, pid);
		send(gate[1], "", 1, MSG_NOSIGNAL);
		*ret_pidfd = pidfd;
	}
	close(gate[1]);
	return pid;
}

static pid_t by_clone(const struct carom_clone_options *options, const struct cure *cure,
		      int *ret_pidfd)
{
	int pidfd = -1;
	pid_t pid;

	if (options->ret_born_pid)
		return carom_probe(CAROM_FEATURE_PIDFD_OPEN)
			       ? by_clone_told(options, cure, ret_pidfd)
			       : by_clone_gated(options, cure, ret_pidfd);
	pid = clone_plainly(CLONE_PIDFD | options->namespaces, options->as_sibling, &pidfd, cure);
	if (pid > 0)
		*ret_pidfd = pidfd;
	return pid;
}

/* The child waits at its gate; it is not let through in a group that it is not to be in. */
static int admit(int cgroup_fd, pid_t pid)
{
	return cgroup_fd > 0
		       ? carom_cgroup_file_write_number(cgroup_fd, "cgroup.procs", (uint64_t)pid)
		       : 0;
}

static pid_t open_gate(const struct carom_clone_options *options, pid_t pid, int gate_fd,
		       int *ret_pidfd)
{
	int pidfd = carom_pidfd_open(pid);
	int r;

	CAROM_POINT("fork.made");
	if (options->ret_born_pid)
		atomic_store(options->ret_born_pid, pid);
	if (pidfd < 0)
		return without_pidfd(options, pid, pidfd);
	r = admit(options->cgroup_fd, pid);
	CAROM_POINT("fork.admitted");
	if (r < 0) {
		close(pidfd);
		return without_pidfd(options, pid, r);
	}
	send(gate_fd, "", 1, MSG_NOSIGNAL); /* nobody reads it if the child was killed meanwhile */
	CAROM_POINT("fork.held");
	*ret_pidfd = pidfd;
	return pid;
}

/* Seen beforehand, where it can be told to who asks; afterwards there is a child already. */
static int check_cgroup(int cgroup_fd)
{
	if (cgroup_fd > 0 && faccessat(cgroup_fd, "cgroup.procs", W_OK, AT_EACCESS) < 0)
		return -errno;
	return 0;
}

static pid_t by_fork(const struct carom_clone_options *options, const struct carom_guard *guard,
		     int *ret_pidfd)
{
	int gate[2];
	pid_t pid;
	int r = check_cgroup(options->cgroup_fd);

	if (options->as_sibling || options->namespaces || !carom_probe(CAROM_FEATURE_PIDFD_OPEN))
		return -EOPNOTSUPP;
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		return wait_for_parent(gate, guard);
	if (pid < 0)
		pid = -errno;
	close(gate[0]);
	if (pid > 0)
		pid = open_gate(options, pid, gate[1], ret_pidfd);
	close(gate[1]);
	return pid;
}

/* --- through a process in between -------------------------------------- */

#define REPORT_NS CAROM_SECONDS(10) /* who takes longer over two system calls has been stopped */

/**
 * enum passage - how far the process in between is; it is shared with that one
 * @PASSAGE_OPEN:     it runs the handlers
 * @PASSAGE_TAKEN:    it clones, and then says whom: it is waited for
 * @PASSAGE_GIVEN_UP: it was late, is killed, and clones nobody
 *
 * Either side goes on from PASSAGE_OPEN by one compare-and-swap. Without it the deadline
 * could fall between clone and report: a child that nobody has ever heard of.
 */
enum passage { PASSAGE_OPEN, PASSAGE_TAKEN, PASSAGE_GIVEN_UP };

static bool pass(_Atomic uint32_t *passage, enum passage how)
{
	uint32_t open = PASSAGE_OPEN;

	return atomic_compare_exchange_strong(passage, &open, how);
}

/* In between: AS-Safe calls only. It says the child's pid, or why there is none; the child returns. */
static pid_t clone_sibling(int gate[2], int report[2], const struct carom_guard *guard,
			   _Atomic uint32_t *passage)
{
	struct cure cure = { 0 };
	int pidfd = -1;
	pid_t pid = find_cure(&cure);

	if (!pass(passage, PASSAGE_TAKEN))
		_exit(EXIT_FAILURE);
	if (pid == 0)
		pid = clone_plainly(CLONE_PIDFD, true, &pidfd, &cure);
	if (pid == 0) {
		cure_child(&cure);
		close(report[0]);
		close(report[1]);
		return wait_for_parent(gate, guard);
	}
	CAROM_POINT("fork.between");
	carom_packet_send(report[1], &pid, sizeof(pid), &pidfd, pid > 0, MSG_DONTWAIT);
	_exit(EXIT_SUCCESS);
}

/* After the one in between has ended. Without a packet, or its pidfd, the gate stays shut. */
static pid_t hear_of_birth(int report_fd, int *ret_pidfd)
{
	int fds[CAROM_PACKET_FDS_MAX];
	size_t fd_count = 0;
	bool is_cut = false;
	pid_t pid = 0;

	if (carom_packet_receive(report_fd, &pid, sizeof(pid), MSG_DONTWAIT, fds, &fd_count,
				 &is_cut) != sizeof(pid))
		return -EAGAIN; /* killed, or no room: too many descriptors under way */
	if (pid > 0 && fd_count == 0) {
		carom_pid_end(pid, NULL);
		return -EMFILE;
	}
	if (pid > 0)
		*ret_pidfd = fds[0];
	return pid;
}

/* A lock that was held at the fork may stop the one in between for ever. */
static int wait_for_report(int report_fd, uint64_t deadline_ns, _Atomic uint32_t *passage)
{
	int r = carom_descriptor_wait(report_fd, deadline_ns);

	if (r == -ETIMEDOUT && !pass(passage, PASSAGE_GIVEN_UP))
		r = carom_descriptor_wait(report_fd, carom_deadline_after(REPORT_NS));
	return r;
}

static pid_t fork_twice(int gate[2], int report[2], const struct carom_guard *guard,
			_Atomic uint32_t *passage, uint64_t deadline_ns, int *ret_pidfd)
{
	pid_t between = fork();
	pid_t pid;
	int r;

	if (between == 0)
		return clone_sibling(gate, report, guard, passage);
	if (between < 0)
		return -errno;
	carom_closep(&report[1]);
	r = wait_for_report(report[0], deadline_ns, passage);
	carom_pid_end(between, NULL); /* it has said all it had to say, or is stuck */
	pid = hear_of_birth(report[0], ret_pidfd);
	return pid == -EAGAIN && r == -ETIMEDOUT ? r : pid;
}

static void close_pair(int pair[2])
{
	carom_closep(&pair[0]);
	carom_closep(&pair[1]);
}

/* The child is held, and waits at its gate. */
static pid_t let_through(int gate_fd, int cgroup_fd, pid_t pid, int *pidfd)
{
	int r = admit(cgroup_fd, pid);

	if (r < 0) {
		carom_closep(pidfd);
		carom_pid_end(pid, NULL);
		return r;
	}
	send(gate_fd, "", 1, MSG_NOSIGNAL);
	return pid;
}

static pid_t between_pairs(const struct carom_guard *guard, int cgroup_fd, uint64_t deadline_ns,
			   _Atomic uint32_t *passage, int *ret_pidfd)
{
	int gate[2], report[2];
	int pidfd = -1;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate) < 0)
		return -errno;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) < 0) {
		pid = -errno;
		close_pair(gate);
		return pid;
	}
	pid = fork_twice(gate, report, guard, passage, deadline_ns, &pidfd);
	if (pid == 0)
		return 0; /* it has closed them on its way */
	if (pid > 0)
		pid = let_through(gate[1], cgroup_fd, pid, &pidfd);
	if (pid > 0)
		*ret_pidfd = pidfd;
	close_pair(gate);
	close_pair(report);
	return pid;
}

static pid_t by_fork_twice(const struct carom_guard *guard, int cgroup_fd, uint64_t deadline_ns,
			   int *ret_pidfd)
{
	_Atomic uint32_t *passage;
	pid_t pid = check_cgroup(cgroup_fd);

	if (pid < 0)
		return pid;
	passage = mmap(NULL, sizeof(*passage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (passage == MAP_FAILED)
		return -errno;
	pid = between_pairs(guard, cgroup_fd, deadline_ns, passage, ret_pidfd);
	munmap((void *)passage, sizeof(*passage)); /* the child's copy of the mapping, too */
	return pid;
}

/* child: AS-Safe calls only, but for its last words */
static void enter_cgroup(int cgroup_fd)
{
	int r = cgroup_fd > 0 ? carom_cgroup_enter(cgroup_fd) : 0;

	CAROM_POINT("clone.entered");
	if (r == 0)
		return;
	carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_CGROUP_NOT_ENTERED,
			"a child cannot enter the cgroup it is to run in: %s", strerrordesc_np(-r));
	_exit(EXIT_FAILURE);
}

/* child: AS-Safe calls only, but for its last words */
static void settle(const struct carom_birthplace *place)
{
	int r = carom_birthplace_settle(place);

	if (r == 0)
		return;
	carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_SANDBOX_REFUSED,
			"a child is not at home in its pid namespace: %s", strerrordesc_np(-r));
	_exit(EXIT_FAILURE);
}

static pid_t by_kernel(const struct carom_clone_options *options, int *ret_pidfd)
{
	bool is_legacy = carom_clone_way() == CAROM_CLONE_BY_CLONE;
	struct carom_birthplace place = carom_birthplace_take(options->namespaces);
	struct cure cure = { 0 };
	pid_t pid;
	int r = find_cure(&cure);

	if (r == 0 && is_legacy)
		r = check_cgroup(options->cgroup_fd);
	if (r < 0)
		return r;
	pid = is_legacy ? by_clone(options, &cure, ret_pidfd)
			: by_clone3(options, &cure, ret_pidfd);
	if (pid == 0) {
		cure_child(&cure);
		carom_log_after_clone();
		settle(&place);
		if (is_legacy)
			enter_cgroup(options->cgroup_fd);
	}
	return pid;
}

pid_t carom_clone(const struct carom_clone_options *options, int *ret_pidfd)
{
	static const struct carom_clone_options defaults;
	enum carom_clone_way way = carom_clone_way(); /* asked before the clone, never in it */
	uint64_t mask = carom_signals_block();
	pid_t pid;

	if (!options)
		options = &defaults;
	pid = way == CAROM_CLONE_BY_FORK ? by_fork(options, NULL, ret_pidfd)
					 : by_kernel(options, ret_pidfd);
	carom_signals_restore(mask);
	return pid;
}

pid_t carom_fork(const struct carom_guard *guard, int cgroup_fd, uint64_t deadline_ns,
		 int *ret_pidfd)
{
	const struct carom_clone_options options = { .cgroup_fd = cgroup_fd };
	uint64_t mask = carom_signals_block();
	pid_t pid = carom_probe(CAROM_FEATURE_PIDFD_OPEN)
			    ? by_fork(&options, guard, ret_pidfd)
			    : by_fork_twice(guard, cgroup_fd, deadline_ns, ret_pidfd);

	carom_signals_restore(mask);
	return pid;
}
