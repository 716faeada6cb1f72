/**
 * DOC: cgroup_limits
 *
 * What a group of processes may use at most, enforced by the kernel while they run, for
 * all of them together: a process and whatever it starts.
 *
 * Groups are made below the cgroup that the program was started in, which has to be its
 * own: writable, with the controllers, and without processes that are not the program's,
 * as only a group that has none itself hands controllers on. (The program and its children
 * step aside into a group of their own for that, and come back at its end.) So:
 *
 *	a user's program	systemd-run --user --scope -p Delegate=yes PROGRAM
 *	a system's		systemd-run --scope -p Delegate=yes PROGRAM
 *	a service		Delegate=yes in its unit
 *	a container		with /sys/fs/cgroup writable (podman run --security-opt
 *				unmask=/sys/fs/cgroup), and the program as its only process
 *	cgroup v1, or both	boot with systemd.unified_cgroup_hierarchy=1
 *
 * Where limits cannot be had, the reason names the file and what helps. Linux 5.10 and
 * later; a group's memory.peak from 5.19 on.
 */
#ifndef CAROM_CORE_CGROUP_LIMITS_H
#define CAROM_CORE_CGROUP_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"

CAROM_BEGIN_DECLS

/* Of @swap_bytes: as much as the groups above allow. */
#define CAROM_SWAP_UNLIMITED UINT64_MAX

/**
 * struct carom_cgroup_limits - limits of cgroup v2
 * @size_bytes:        size of this struct; CAROM_CGROUP_LIMITS() fills it in
 * @memory_bytes:      memory.max: who would pass it is killed. Cut to whole pages; 0: none
 * @memory_high_bytes: memory.high: who passes it is slowed down and has to give memory
 *                     back; not above @memory_bytes. Cut to whole pages; 0: none
 * @swap_bytes:        memory.swap.max, beside a limit of memory: what may be swapped out
 *                     on top of that. 0: nothing, so that a limit is one; cut to pages
 * @cpu_quota_ns:      cpu.max: so much CPU time in each period; from 1 ms on, in whole
 *                     microseconds; 0: no limit
 * @cpu_period_ns:     1 ms to 1 s, in whole microseconds; 0: 100 ms
 * @cpu_weight:        cpu.weight, 1 to 10000: the share beside other groups; 0: 100
 * @process_count:     pids.max: processes and threads; 0: none
 * @oom_group:         memory.oom.group: 1: when the limit kills one, it kills all of them
 * @reserved:          0
 */
struct carom_cgroup_limits {
	size_t size_bytes;
	uint64_t memory_bytes;
	uint64_t memory_high_bytes;
	uint64_t swap_bytes;
	uint64_t cpu_quota_ns;
	uint64_t cpu_period_ns;
	uint32_t cpu_weight;
	uint32_t process_count;
	uint32_t oom_group;
	uint32_t reserved;
};
#define CAROM_CGROUP_LIMITS(...) CAROM_OPTIONS(carom_cgroup_limits, __VA_ARGS__)

CAROM_END_DECLS

#endif
