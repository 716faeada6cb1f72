/*
 * Guard: a child ends with its parent
 *
 * However the parent ends, SIGKILL included, and whatever the child does meanwhile.
 * The kernel has a word for it, PR_SET_PDEATHSIG, but its parent is the thread that
 * made the child: when that thread ends and the program goes on, the child dies as
 * well. So it serves where the thread lasts as long as the program: the main thread,
 * and the library's own. Children of other threads hold the read end of a pipe that
 * the program keeps open, with O_ASYNC and F_SETSIG: at its end of file the kernel
 * sends them SIGKILL.
 */
#ifndef CAROM_CORE_GUARD_H
#define CAROM_CORE_GUARD_H

#include <sys/types.h>

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
 * carom_die_with_held_parent() - the same for who cannot see its parent by number
 * @pidfd: the parent's
 */
int carom_die_with_held_parent(int pidfd, int signal_number);

/**
 * struct carom_guard - what a child is to be given
 * @parent:  whose end is meant
 * @pipe_fd: the child's own read end, CLOEXEC; -1: by PR_SET_PDEATHSIG
 */
struct carom_guard {
	pid_t parent;
	int pipe_fd;
};

/**
 * carom_guard_take() - for a child that the calling thread is about to make
 *
 * Return: 0, -EMFILE, -ENFILE. Give @pipe_fd back with carom_closep() after the birth.
 */
int carom_guard_take(struct carom_guard *ret_guard);

/** carom_guard_forget() - no child has one: the program's pipe goes. MT-Safe. */
void carom_guard_forget(void);

/**
 * carom_guard_arm() - in the child: from now on it ends with @guard->parent
 *
 * AS-Safe, and usable in a child that shares its parent's memory. The pipe's end has
 * to stay open in the child.
 * Return: 0, or -ESRCH: the parent is gone already; the caller should _exit().
 */
int carom_guard_arm(const struct carom_guard *guard);

#endif
