/*
 * Process
 *
 * A child is held by its pidfd from birth: nothing here takes a pid that might
 * be somebody else's by the time it is used. carom_clone() is the one place
 * that creates processes without exec, and the one place that repairs what raw
 * clone3(2) breaks under glibc: the thread id it caches, the robust list, the
 * clear-tid address. CAROM_CLONE=clone3|clone|fork forces a way for tests.
 */
#ifndef CAROM_CORE_PROCESS_H
#define CAROM_CORE_PROCESS_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* How this kernel and container let children be made; see carom_clone_way(). */
enum carom_clone_way {
	CAROM_CLONE_BY_CLONE3,
	CAROM_CLONE_BY_CLONE,
	CAROM_CLONE_BY_FORK,
};

/** carom_clone_way() - what carom_clone() does; decided at the first call. MT-Safe. */
enum carom_clone_way carom_clone_way(void);

/** carom_clone_way_name() - as CAROM_CLONE spells it */
const char *carom_clone_way_name(void);

/**
 * struct carom_clone_options - how carom_clone() makes the child
 * @as_sibling: the child's parent is the caller's parent (CLONE_PARENT); the
 *              caller must be a fork server: single-threaded and made by fork()
 * @cgroup_fd:  directory of a cgroup v2 leaf the child is born in; 0 means none
 *              (descriptor 0 is never a cgroup here)
 * @ret_born_pid: if not NULL, shared memory in which the kernel stores the
 *              child's pid before the child runs and before this call returns
 *              (CLONE_PARENT_SETTID), so that another process that shares the
 *              page knows of the child whatever happens to the caller
 */
struct carom_clone_options {
	bool as_sibling;
	int cgroup_fd;
	_Atomic int32_t *ret_born_pid;
};

/**
 * carom_clone() - a copy of this process, as fork(2) makes one
 * @options:   read during the call; NULL for all defaults
 * @ret_pidfd: in the parent: the child's pidfd, CLOEXEC, the caller's
 *
 * In the child the calling thread is the only one; glibc's thread id, robust
 * list and clear-tid address are the child's own. Locks that other threads held
 * at this moment stay held in the child: from a program with threads call only
 * AS-Safe functions in it, or go through a fork server.
 *
 * With @as_sibling and legacy clone(2), *@ret_pidfd may be -1: the child is there,
 * and only its parent, by the pid in the page, can take hold of it.
 *
 * Return: 0 in the child, its pid in the parent, or
 *	-EAGAIN, -ENOMEM, -EMFILE, -ENFILE
 *	-ESRCH       only by fork(): somebody killed the child before it ran, and
 *	             somebody else in this program reaped it
 *	-EOPNOTSUPP  @as_sibling by fork(); @cgroup_fd without clone3; a thread that
 *	             the C library did not make
 *	and for @cgroup_fd what clone3(2) says of it
 */
pid_t carom_clone(const struct carom_clone_options *options, int *ret_pidfd);

/**
 * carom_pidfd_open() - hold an own child that has not been reaped, by its pid
 * Return: a descriptor, CLOEXEC; -ESRCH, -EMFILE, -ENFILE, -ENOMEM.
 */
int carom_pidfd_open(pid_t pid);

/**
 * carom_process_is_child() - is this an own child that nobody has reaped yet?
 *
 * Running or ended. Reaps nothing.
 */
bool carom_process_is_child(int pidfd);

/**
 * struct carom_exit - how a process ended
 * @kind:    0 while it runs
 * @status:  exit status (EXITED) or signal number (KILLED, DUMPED); -1 if TAKEN
 * @usage:   resources used; zero where the kernel did not give it
 */
enum carom_exit_kind {
	CAROM_EXIT_RUNNING,
	CAROM_EXIT_EXITED,
	CAROM_EXIT_KILLED,
	CAROM_EXIT_DUMPED,
	CAROM_EXIT_TAKEN, /* somebody else in this program reaped it, and the status is lost */
};

struct carom_exit {
	enum carom_exit_kind kind;
	int status;
	struct rusage usage;
};

/**
 * carom_process_reap() - take the exit status of an ended child
 * @pidfd: stays the caller's
 *
 * Does not wait. waitid(2) with __WALL; if the host program's own waitpid(-1)
 * was faster, PIDFD_GET_INFO (Linux 6.15) gives the status, else kind is TAKEN.
 * Return: 0 (ret_exit->kind is RUNNING if it has not ended), or -EBADF.
 */
int carom_process_reap(int pidfd, struct carom_exit *ret_exit);

/**
 * carom_process_wait() - the same, after waiting until it ended or @deadline_ns
 * Return: 0, -ETIMEDOUT, -EBADF. A signal does not end the wait.
 */
int carom_process_wait(int pidfd, uint64_t deadline_ns, struct carom_exit *ret_exit);

/**
 * carom_process_peek() - how a child that is going down will have ended
 * @pid:      an unreaped child of this process
 *
 * From the moment the kernel begins to take it down, long before a large
 * process is a zombie: reads /proc/PID/stat (flags PF_EXITING, exit_code).
 * Return: 0 (kind RUNNING if it is not going down, or if that cannot be told from
 * its main thread having ended alone), -ESRCH, or what open(2) says where /proc
 * is not to be read, -EACCES where it hides how the child ended: then wait for
 * the pidfd.
 */
int carom_process_peek(pid_t pid, struct carom_exit *ret_exit);

/** carom_process_signal() - pidfd_send_signal(2). 0, -ESRCH, -EPERM, -EINVAL, -EBADF. */
int carom_process_signal(int pidfd, int signal_number);

/**
 * carom_die_with_parent() - for a new child: SIGKILL when @parent is gone
 * @parent: the pid that getppid(2) must give
 *
 * PR_SET_PDEATHSIG, then compares getppid(): a parent that died in between is
 * noticed. Call it after every change of credentials, which clears the setting.
 * Return: 0, or -ESRCH: the parent is gone already; the caller should _exit().
 */
int carom_die_with_parent(pid_t parent, int signal_number);

/**
 * struct carom_spawn_options - a program to run in a child
 * @argv:     argv[0] is looked up in PATH unless it contains a slash; NULL-terminated
 * @envp:     NULL: this process's environment
 * @stdin_fd, @stdout_fd, @stderr_fd: become 0, 1, 2 of the child; -1 leaves
 *            this process's own. All other descriptors are closed in the child.
 * @new_group: the child leads a process group of its own
 * @death_signal: sent to the child when the calling thread ends, with its process
 *            or alone; 0 none
 * @cgroup_fd: as in carom_clone_options
 */
struct carom_spawn_options {
	char *const *argv;
	char *const *envp;
	int stdin_fd;
	int stdout_fd;
	int stderr_fd;
	bool new_group;
	int death_signal;
	int cgroup_fd;
};

/**
 * carom_spawn() - run a program: clone3(CLONE_VM | CLONE_VFORK | CLONE_PIDFD) and exec
 *
 * Costs the same however large this process is. Signal dispositions are reset
 * to default and the signal mask emptied in the child.
 * Return: the pid with *@ret_pidfd set, or what clone or execve(2) said:
 * -ENOENT, -EACCES, -ENOEXEC, -E2BIG, -EAGAIN, -ENOMEM, -EMFILE, -EBADF (one of
 * the three descriptors), -EOPNOTSUPP (@cgroup_fd without clone3).
 */
pid_t carom_spawn(const struct carom_spawn_options *options, int *ret_pidfd);

#endif
