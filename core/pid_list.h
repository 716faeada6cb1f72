/*
 * Pid list: grows as it is filled
 *
 *	CAROM_CLEANUP(carom_pid_list_deinit) struct carom_pid_list list = { 0 };
 */
#ifndef CAROM_CORE_PID_LIST_H
#define CAROM_CORE_PID_LIST_H

#include <stddef.h>
#include <sys/types.h>

/** struct carom_pid_list - @count of them; all zero: empty */
struct carom_pid_list {
	pid_t *pids;
	size_t count;
	size_t capacity;
};

/** carom_pid_list_add() - Return: 0, or -ENOMEM with the list as it was. */
int carom_pid_list_add(struct carom_pid_list *list, pid_t pid);

void carom_pid_list_deinit(struct carom_pid_list *list);

#endif
