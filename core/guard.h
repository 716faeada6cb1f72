/*
 * Guard: a child ends with its parent
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

#endif
