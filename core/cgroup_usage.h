/*
 * Cgroup: what the kernel has counted in a group
 *
 * All of these functions return 0; -EOPNOTSUPP (this kernel does not count that, or the
 * group has not the controller for it); -EBADMSG (nonsense in the file); -ECHILD; or what
 * openat(2) and read(2) say.
 */
#ifndef CAROM_CORE_CGROUP_USAGE_H
#define CAROM_CORE_CGROUP_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct carom_cgroup;

/**
 * struct carom_cgroup_memory_events - memory.events, since the group was made
 * @oom_kill: processes killed; one kill of a whole group may count more than once in it
 * @oom_group_kill: Linux 5.17; else 0
 */
struct carom_cgroup_memory_events {
	uint64_t low;
	uint64_t high;
	uint64_t max;
	uint64_t oom;
	uint64_t oom_kill;
	uint64_t oom_group_kill;
};

/**
 * carom_cgroup_has_killed() - for want of memory at the limit of this group
 *
 * The kernel counts before it kills. Who was killed in a group that has not come to its limit
 * was so for want of memory in a group above, or in the machine.
 */
static inline bool carom_cgroup_has_killed(const struct carom_cgroup_memory_events *events)
{
	return events->oom && events->oom_kill;
}

/** carom_cgroup_memory_events() - @is_local: without the groups that stand in it */
int carom_cgroup_memory_events(struct carom_cgroup *group, bool is_local,
			       struct carom_cgroup_memory_events *ret_events);

int carom_cgroup_memory_bytes(struct carom_cgroup *group, uint64_t *ret_bytes);

/** carom_cgroup_memory_peak() - the most since it was made; Linux 5.19 */
int carom_cgroup_memory_peak(struct carom_cgroup *group, uint64_t *ret_bytes);

int carom_cgroup_swap_bytes(struct carom_cgroup *group, uint64_t *ret_bytes);

/**
 * carom_cgroup_peak_open() - a peak of one's own, which can be begun anew: Linux 6.12
 * @ret_fd: the caller's; each descriptor has its own peak
 */
int carom_cgroup_peak_open(struct carom_cgroup *group, int *ret_fd);

/** carom_cgroup_peak_reset() - from now on; whoever has the descriptor. AS-Safe. */
int carom_cgroup_peak_reset(int peak_fd);
int carom_cgroup_peak_read(int peak_fd, uint64_t *ret_bytes);

/** struct carom_cgroup_cpu - cpu.stat; the last three are 0 without the cpu controller */
struct carom_cgroup_cpu {
	uint64_t usage_ns;
	uint64_t user_ns;
	uint64_t system_ns;
	uint64_t period_count;
	uint64_t throttled_count;
	uint64_t throttled_ns;
};

int carom_cgroup_cpu(struct carom_cgroup *group, struct carom_cgroup_cpu *ret_cpu);

/**
 * struct carom_cgroup_pids - processes and threads
 * @peak:        Linux 6.11; else 0
 * @max_count:   how often one could not be born, for the limit of this group or one above
 */
struct carom_cgroup_pids {
	uint64_t current;
	uint64_t peak;
	uint64_t max_count;
};

int carom_cgroup_pids(struct carom_cgroup *group, struct carom_cgroup_pids *ret_pids);

#endif
