/*
 * Spawn: run a program in a child
 */
#ifndef CAROM_CORE_SPAWN_H
#define CAROM_CORE_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

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
