/**
 * DOC: cpu
 *
 * How many CPUs there are, in the four senses that the question has:
 *
 *	carom_cpu_count(CAROM_CPU_USABLE)	how much can run at once: what pools use
 *	carom_cpu_count(CAROM_CPU_SYSTEM)	what the machine has
 *	carom_cpu_count(CAROM_CPU_AFFINITY)	on which of them this thread may run
 *	carom_cpu_count(CAROM_CPU_QUOTA)	for how many its cgroups allow it time
 *
 * In a container the last is often the smallest, and the one that Python's
 * os.cpu_count() does not know: more busy processes than that are stopped for the
 * rest of each period, all of them, by the kernel.
 */
#ifndef CAROM_CORE_CPU_H
#define CAROM_CORE_CPU_H

#include "api.h"

CAROM_BEGIN_DECLS

/**
 * enum carom_cpu_kind - what is counted
 * @CAROM_CPU_USABLE:   the smaller of affinity and quota. If CAROM_CPU_COUNT in the
 *                      environment is a number, that, whatever the machine has;
 *                      else PYTHON_CPU_COUNT. "default" in either means: count
 * @CAROM_CPU_SYSTEM:   the CPUs that are online
 * @CAROM_CPU_AFFINITY: those among them in the calling thread's affinity mask; what
 *                      its cpuset cgroup leaves out is not in that
 * @CAROM_CPU_QUOTA:    time per period, rounded up to whole CPUs: the tightest of
 *                      the process's own cgroup and all above it that it can see
 *                      (cpu.max; cpu.cfs_quota_us where the cpu controller is on
 *                      cgroup v1)
 */
enum carom_cpu_kind {
	CAROM_CPU_USABLE,
	CAROM_CPU_SYSTEM,
	CAROM_CPU_AFFINITY,
	CAROM_CPU_QUOTA,
};

/**
 * carom_cpu_count() - how many CPUs
 * @kind: in which sense
 *
 * Nothing is remembered: quotas and masks change while a program runs. Asking for
 * CAROM_CPU_USABLE or CAROM_CPU_QUOTA reads a handful of files. A value in the
 * environment that is no number from 1 on is told once, as a warning, and ignored.
 *
 * Context: MT-Safe env, AS-Unsafe heap. Usable in a forked child, which counts for
 * itself. Does not block.
 * Return: at least 1; CAROM_CPU_USABLE never fails. Else
 *	-EINVAL      no such @kind
 *	-ENODATA     CAROM_CPU_QUOTA: there is none
 *	-EOPNOTSUPP  CAROM_CPU_QUOTA: whether there is one cannot be seen: neither cgroup
 *	             v2 nor a v1 hierarchy with the cpu controller is mounted where
 *	             this process looks, or not so that it shows the process's own
 *	             group; or /proc is not mounted
 *	-EPERM       CAROM_CPU_AFFINITY: a sandbox denies sched_getaffinity(2)
 *	-ENOMEM, -EMFILE, -ENFILE  from malloc(3) and open(2)
 */
CAROM_API int carom_cpu_count(enum carom_cpu_kind kind);

CAROM_END_DECLS

#endif
