/*
 * Describe
 *
 * Who a thread is, for the lines in which locks tell people who holds them.
 */
#ifndef CAROM_SHM_DESCRIBE_H
#define CAROM_SHM_DESCRIBE_H

#include <stddef.h>
#include <sys/types.h>

#define CAROM_DESCRIBE_MAX 400 /* holds every line about a lock: a name of 255 bytes, and numbers */

/**
 * carom_describe_thread() - name @tid as far as it is known
 * @tid:  of this PID namespace
 * @size: of @text; what does not fit is cut
 *
 *	'Process-2' pid=4711
 *	'Process-2' pid=4711 thread=4713 stopped
 *	'?' pid=4711 gone
 *
 * This process, its parent and its children are called what carom_process_name() says,
 * all others what the kernel calls them. "stopped" is one that a signal or a debugger
 * holds up; "gone" is one that has ended, whether it was reaped or not.
 *
 * MT-Safe, AS-Unsafe lock. Return: @text.
 */
char *carom_describe_thread(pid_t tid, char *text, size_t size);

#endif
