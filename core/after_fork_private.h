/* After fork: what makes children calls this in them. */
#ifndef CAROM_CORE_AFTER_FORK_PRIVATE_H
#define CAROM_CORE_AFTER_FORK_PRIVATE_H

#include <stdbool.h>

/**
 * carom_after_fork_run() - free the library's locks and run the program's functions
 *
 * For a child made by a bare clone, before anything else of the library that takes a
 * lock. Does nothing where it has been done: in a child by fork(), which calls it by
 * itself; and in the process that began the family.
 */
void carom_after_fork_run(void);

/**
 * carom_after_fork_delay() - fork() is to leave them to carom_after_fork_run()
 *
 * Before and after a fork() in the same thread, by who calls that in the child.
 */
void carom_after_fork_delay(bool delayed);

/**
 * carom_after_fork_spare() - shall the program's functions be left out?
 *
 * Before and after a fork() in the same thread: the child is a process of the library
 * alone, in which the program has no business. Its own children run them.
 */
void carom_after_fork_spare(bool spared);

#endif
