/*
 * Process limits: the cgroup of a child that has limits
 *
 * Made for each start, ended when the child has: what the child has started and left behind
 * is killed then, and the group goes.
 */
#ifndef CAROM_CORE_PROCESS_LIMITS_H
#define CAROM_CORE_PROCESS_LIMITS_H

#include <stdint.h>

#include "core/cgroup_limits.h"

struct carom_process_limits;

/**
 * carom_process_limits_new() - check and keep them
 * @name: of the child, for the log
 * Return: 0, -EINVAL, -E2BIG, -ENOMEM.
 */
int carom_process_limits_new(const struct carom_cgroup_limits *limits, const char *name,
			     struct carom_process_limits **ret_limits);
struct carom_process_limits *carom_process_limits_free(struct carom_process_limits *limits);

/**
 * carom_process_limits_begin() - a group for the child that is about to be made
 * @ret_cgroup_fd: stays the limits'
 * Return: 0, or what carom_cgroup_new() says, with the reason logged.
 */
int carom_process_limits_begin(struct carom_process_limits *limits, const char *name,
			       int *ret_cgroup_fd);

/** carom_process_limits_kill() - all that is in the group. 0, errno. */
int carom_process_limits_kill(struct carom_process_limits *limits);

/** carom_process_limits_end() - the child has ended, or was not made. Never blocks. */
void carom_process_limits_end(struct carom_process_limits *limits);

/**
 * carom_process_limits_memory() - after the end: did it pass its limit?
 * Return: 0, -ENODATA.
 */
int carom_process_limits_memory(const struct carom_process_limits *limits,
				uint64_t *ret_limit_bytes, uint64_t *ret_peak_bytes);

#endif
