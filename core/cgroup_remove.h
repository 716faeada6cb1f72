/*
 * Cgroup: removing groups
 */
#ifndef CAROM_CORE_CGROUP_REMOVE_H
#define CAROM_CORE_CGROUP_REMOVE_H

#include <stddef.h>

/**
 * carom_cgroup_remove() - a group and all that stand in it, if no process is in any of them
 *
 * Return: 0 (there is none, too), -EBUSY (a process is in it), or what openat(2) and
 * unlinkat(2) say, with some of those in it removed.
 */
int carom_cgroup_remove(int parent_fd, const char *name);

/** carom_cgroup_remove_in() - all that stand in a group, but for @keep. Likewise; the first error. */
int carom_cgroup_remove_in(int fd, const char *keep);

/**
 * carom_cgroup_remove_stale() - homes whose processes have all ended
 * @base_fd:   where they stand
 * @own:       not this one; NULL
 * @ret_alive: how many others stand there still; NULL
 */
void carom_cgroup_remove_stale(int base_fd, const char *own, size_t *ret_alive);

#endif
