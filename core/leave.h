/* Leave: the regular end of a process. */
#ifndef CAROM_CORE_LEAVE_H
#define CAROM_CORE_LEAVE_H

/**
 * carom_leave() - what is to be done before a process ends, once
 *
 * Finalizers with a priority of 0 and more; daemonic children are terminated, all
 * children joined, and the library's threads; the other finalizers; the tracker, a second at most.
 * Rows UT-04, RT-11.
 */
void carom_leave(void);

/**
 * carom_leave_as_child() - from now on exit() ends with carom_leave() and _exit()
 *
 * So that handlers that the parent had given to atexit(3) do not run in a copy of it,
 * and those of the child do. Row BO-10.
 */
void carom_leave_as_child(void);

/**
 * carom_leave_prepare() - in a fork server: so that its children need not
 *
 * The list of what is done at the end stands on a page of the C library's, and would be each
 * child's own.
 */
void carom_leave_prepare(void);

/**
 * carom_leave_waits_for_nobody() - this process's end is not put off by its children and threads
 *
 * Daemonic children are told to end all the same, and all end with it by their guard. For a
 * process whose end somebody waits for, and that runs code of others. After
 * carom_leave_as_child().
 */
void carom_leave_waits_for_nobody(void);

#endif
