/*
 * Clone
 *
 * The one place that creates processes without exec, and the one place that repairs
 * what raw clone3(2) breaks under glibc: the thread id it caches, the robust list, the
 * clear-tid address. CAROM_CLONE=clone3|clone|fork forces a way for tests.
 */
#ifndef CAROM_CORE_CLONE_H
#define CAROM_CORE_CLONE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct carom_guard;

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
 * @namespaces: it is born in new ones, see core/pid_namespace.h; 0: in the caller's
 * @cgroup_fd:  directory of a cgroup v2 leaf the child is born in, or is moved into
 *              before it returns from here (by clone, perhaps after this process
 *              does); 0 means none (descriptor 0 is never a cgroup)
 * @ret_born_pid: if not NULL, shared memory in which the kernel stores the
 *              child's pid before the child runs and before this call returns
 *              (CLONE_PARENT_SETTID), so that another process that shares the
 *              page knows of the child whatever happens to the caller
 */
struct carom_clone_options {
	bool as_sibling;
	uint64_t namespaces;
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
 * and only its parent, by the pid in the page, can take hold of it. Where pidfd_open(2)
 * is denied too the pid is stored after the child was made, which does not go on before.
 *
 * Return: 0 in the child, its pid in the parent, or
 *	-EAGAIN, -ENOMEM, -EMFILE, -ENFILE
 *	-ESRCH       only by fork(): somebody killed the child before it ran, and
 *	             somebody else in this program reaped it
 *	-EOPNOTSUPP  @as_sibling or @namespaces by fork(); a thread that the C library did
 *	             not make; fork() where pidfd_open(2) is denied
 *	-EPERM, -ENOSPC, -EINVAL  such @namespaces cannot be had
 *	and for @cgroup_fd what clone3(2), or write(2) to its cgroup.procs, says of it.
 *	By clone, what only the child finds out ends it with EXIT_FAILURE
 */
pid_t carom_clone(const struct carom_clone_options *options, int *ret_pidfd);

/**
 * carom_fork() - a copy of this process by glibc's fork()
 * @guard:     armed in the child before anything else that is done there
 * @cgroup_fd: as in struct carom_clone_options
 * @deadline_ns: until when a process in between has to be through the handlers
 * @ret_pidfd: in the parent: the child's pidfd, CLOEXEC, the caller's
 *
 * For a child that is to run the program's code: handlers of pthread_atfork() run,
 * and the C library's own locks are usable in the child. A child whose parent is gone
 * does not come back from here.
 *
 * Where pidfd_open(2) is denied there is a process in between: the handlers run in that
 * one, which ends, and the child has its memory. The program's SIGCHLD may tell of it.
 * It is killed if a lock that was held at the fork stops it for too long: -ETIMEDOUT.
 * Once it is through them the child is made, however late it is.
 *
 * Return: 0 in the child, its pid in the parent, or -EAGAIN, -ENOMEM, -EMFILE,
 * -ENFILE, -ESRCH (as for carom_clone()), -ETIMEDOUT, and what write(2) says of
 * @cgroup_fd; -EOPNOTSUPP where neither pidfd_open(2) nor CLONE_PIDFD is allowed.
 */
pid_t carom_fork(const struct carom_guard *guard, int cgroup_fd, uint64_t deadline_ns,
		 int *ret_pidfd);

#endif
