/* Cgroup limits: checking and writing them. */
#ifndef CAROM_CORE_CGROUP_LIMITS_PRIVATE_H
#define CAROM_CORE_CGROUP_LIMITS_PRIVATE_H

#include "core/cgroup_limits.h"

/**
 * carom_cgroup_limits_take() - check them, cut them to pages, fill in defaults
 * @theirs: NULL: none
 * @reason: as for carom_cgroup_new()
 * Return: 0, -EINVAL, -E2BIG.
 */
int carom_cgroup_limits_take(const struct carom_cgroup_limits *theirs, char *reason,
			     struct carom_cgroup_limits *ret_ours);

/** carom_cgroup_limits_controllers() - what a group needs for them, as bits */
uint32_t carom_cgroup_limits_controllers(const struct carom_cgroup_limits *ours);

/**
 * carom_cgroup_limits_write() - to the files of a group
 * @old: what stands there; only what differs is written
 * Return: 0, or what openat(2) and write(2) say; -EOPNOTSUPP (swap is not counted here).
 */
int carom_cgroup_limits_write(int fd, const char *path, const struct carom_cgroup_limits *old,
			      const struct carom_cgroup_limits *ours, char *reason);

#endif
