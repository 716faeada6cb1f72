/* Children: those of this process that have not ended, as its end and its beginning see them. */
#ifndef CAROM_CORE_CHILDREN_H
#define CAROM_CORE_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** carom_children_terminate_daemons() - SIGTERM to the daemonic ones */
void carom_children_terminate_daemons(void);

/**
 * carom_children_join() - wait for all of them; says for whom (level INFO)
 *
 * Those that have not ended at @deadline_ns are let go, which is said (level WARNING). No other
 * is started from now on.
 */
void carom_children_join(uint64_t deadline_ns);

/**
 * carom_children_hold_anew() - all descriptors were taken away: hold every child by another one
 *
 * One that the program has reaped meanwhile has ended; how, nobody knows.
 */
void carom_children_hold_anew(void);

/** carom_children_unwatch() - wait until the library's thread knows that all have ended; start over */
void carom_children_unwatch(void);

/** carom_children_name() - of the child with this pid; cut to @size. MT-Safe. Return: 0, -ESRCH. */
int carom_children_name(pid_t pid, char *name, size_t size);

#endif
