/*
 * Pid list
 */
#include "core/pid_list.h"

#include <errno.h>
#include <stdlib.h>

#define CAPACITY_MIN 64

static int grow(struct carom_pid_list *list)
{
	size_t capacity = list->capacity ? list->capacity * 2 : CAPACITY_MIN;
	pid_t *pids = reallocarray(list->pids, capacity, sizeof(*pids));

	if (!pids)
		return -ENOMEM;
	list->pids = pids;
	list->capacity = capacity;
	return 0;
}

int carom_pid_list_add(struct carom_pid_list *list, pid_t pid)
{
	int r = list->count == list->capacity ? grow(list) : 0;

	if (r == 0)
		list->pids[list->count++] = pid;
	return r;
}

void carom_pid_list_deinit(struct carom_pid_list *list)
{
	free(list->pids);
}
