/*
 * Spawn: run a program in a child
 */
#ifndef CAROM_CORE_SPAWN_H
#define CAROM_CORE_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct carom_guard;

/**
 * struct carom_spawn_options - a program to run in a child
 * @program:  looked up in PATH unless it contains a slash; NULL: argv[0]
 * @program_fd: that file, opened with O_PATH | O_CLOEXEC and one of @keep_fds, where it can be
 *            executed by its descriptor: this costs less than to find it. 0: none
 * @found_at: where in PATH, in bytes, the program was found the last time: it is looked for
 *            there first, and told where it is now. The caller's, 0 at first; of one program
 *            and one PATH, and not used with @prepare. NULL: PATH is gone through each time
 * @argv:     NULL-terminated
 * @envp:     NULL: this process's environment
 * @stdin_fd, @stdout_fd, @stderr_fd: become 0, 1, 2 of the child; -1 leaves
 *            this process's own
 * @keep_fds: further ones that stay open in the program, under their numbers, above 2
 *            (below 0: none). All others are closed in the child
 * @new_group: the child leads a process group of its own
 * @signals_are_default: no signal is ignored or caught in this process: the child is spared
 *            64 system calls that make them default
 * @death_signal: sent to the child when the calling thread ends, with its process
 *            or alone; 0 none
 * @guard:    instead of @death_signal: see core/guard.h; NULL none
 * @cgroup_fd: as in carom_clone_options
 * @prepare: called in the child as the last thing before the program, with @prepare_data;
 *            closes descriptors itself, instead of @keep_fds. Below 0: the child ends, and
 *            carom_spawn() returns that. The child has a copy of this process's memory
 *            then, whose locks may be held: AS-Safe. NULL: none
 */
struct carom_spawn_options {
	const char *program;
	int program_fd;
	size_t *found_at;
	char *const *argv;
	char *const *envp;
	int stdin_fd;
	int stdout_fd;
	int stderr_fd;
	const int *keep_fds;
	size_t keep_count;
	bool new_group;
	bool signals_are_default;
	int death_signal;
	const struct carom_guard *guard;
	int cgroup_fd;
	int (*prepare)(const void *data);
	const void *prepare_data;
};

/**
 * carom_spawn() - run a program: clone3(CLONE_VM | CLONE_VFORK | CLONE_PIDFD) and exec
 *
 * Costs the same however large this process is. Signal dispositions are reset
 * to default and the signal mask emptied in the child.
 * Return: the pid with *@ret_pidfd set, or what clone or execve(2) said:
 * -ENOENT, -EACCES, -ENOEXEC, -E2BIG, -EAGAIN, -ENOMEM, -EMFILE, -EBADF (one of
 * the descriptors), -EOPNOTSUPP (@cgroup_fd without clone3).
 */
pid_t carom_spawn(const struct carom_spawn_options *options, int *ret_pidfd);

#endif
