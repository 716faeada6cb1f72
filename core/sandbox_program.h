/*
 * Sandbox: programs that are executed in it
 *
 * A child that enters a sandbox reports a violation itself, which a program that it then
 * executes does not do. So the kernel is to ask whoever has started it (seccomp's user
 * notification): a descriptor becomes readable, the process waits, and its call is never
 * executed, whatever comes.
 *
 *	r = carom_sandbox_new_program(&options, &sandbox, text, sizeof(text));
 *	pid = carom_sandbox_spawn(sandbox, &spawn_options, &pidfd, &listener_fd);
 *	...	// once listener_fd is readable
 *	if (carom_sandbox_listen(listener_fd, &violation) == 1)
 *		...	// kill it, and all that it has started
 *
 * Only of the profile "basic", which then has other programs, new processes and memory
 * that is executed as well: no dynamic loader and no shell does without.
 */
#ifndef CAROM_CORE_SANDBOX_PROGRAM_H
#define CAROM_CORE_SANDBOX_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/sandbox.h"
#include "core/spawn.h"

/**
 * carom_sandbox_new_program() - as carom_sandbox_new(), for programs
 * @options: of the profile "basic", without a pid namespace
 * @text:    what is in force, or why it cannot be; nothing is logged
 *
 * There is no layer "undumpable": executing a program takes it away.
 * Return: as carom_sandbox_new(); -EINVAL: another profile.
 */
int carom_sandbox_new_program(const struct carom_sandbox_options *options,
			      struct carom_sandbox **ret_sandbox, char *text, size_t size);

/**
 * carom_sandbox_spawn() - as carom_spawn(), in a sandbox
 * @sandbox: of carom_sandbox_new_program()
 * @options: without keep_fds and prepare; with a death_signal or guard
 * @ret_listener_fd: the caller's, CLOEXEC; -1: the kernel has none to give, as somebody
 *           listens already to this process: who violates is killed by SIGSYS then
 *
 * The child is a copy of this process, which waits until it has executed the program.
 * For a program of one thread.
 * Return: as carom_spawn(); what the first layer says that cannot be put up.
 */
pid_t carom_sandbox_spawn(const struct carom_sandbox *sandbox,
			  const struct carom_spawn_options *options, int *ret_pidfd,
			  int *ret_listener_fd);

/**
 * carom_sandbox_listen() - what the kernel asks about, once a listener is readable
 *
 * A call that many programs make and none needs is answered with an error (sockets of the
 * local host, attributes of files, signals to others), and no violation.
 * Return: 1: *@ret_violation is one; 0: it is none, or its process has gone; -errno.
 */
int carom_sandbox_listen(int listener_fd, struct carom_violation *ret_violation);

/** carom_sandbox_is_tolerated() - the error that a call is answered with; 0: it is a violation */
int carom_sandbox_is_tolerated(const char *name, uint64_t first_argument);

#endif
