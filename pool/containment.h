/**
 * DOC: containment
 *
 * What a worker may use at most: memory, processes, CPU time.
 *
 *	r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 4,
 *					       .max_memory_per_child_bytes = CAROM_MIB(256)), &pool);
 *	...
 *	r = carom_pool_apply(pool, work, &in, sizeof(in), &out, sizeof(out), NULL, &outcome);
 *	if (r == -EREMOTEIO && outcome.kind == CAROM_OUTCOME_MEMORY_LIMIT)
 *		...	// this task had more than that; outcome.peak_bytes says how much
 *
 * max_memory_per_child_bytes is kept by one or more of these means, the rungs of a ladder:
 *
 *	cgroup		The kernel stops the worker, and all it has started, at the limit, at
 *			that instant. Each worker has a control group (cgroup v2) of its own.
 *			All that is charged to that counts: also what the worker's files
 *			have in the page cache that cannot be dropped, what the kernel needs for
 *			it, and values that it has left and that are not freed yet. Its task
 *			is `memory limit`, with the limit and the peak
 *	rlimit		The kernel refuses: malloc(3) and mmap(2) fail with ENOMEM. What counts
 *			is private memory that may be written, touched or not, of each process
 *			for itself, beyond what it had when the worker began. The task says by
 *			itself what became of it: its function fails, or crashes
 *	sampling	While tasks run, the supervisor looks each 10 ms (less often where that
 *			would take it more than a tenth of its time) how much the worker and all
 *			that descend from it have, and kills them when it is too much. A
 *			worker may have more until it looks. The task is `memory limit`
 *	recycle		A worker that has too much after a task is replaced; the task is not
 *			touched. As billiard does
 *
 * The usual ones are the first of cgroup and sampling that can be had, and recycle. What
 * counts for sampling and recycle is said by the option memory_measure.
 *
 * A control group can be had where the program's own is delegated to it. On a machine with
 * systemd anybody may start a program so:
 *
 *	systemd-run --user --scope -p Delegate=yes PROGRAM
 *
 * and a service has it by Delegate=yes; root has it anyway, outside of containers. What is
 * missing here is told by carom_pool_limits(), and by the log when the pool is made. A program
 * that has such a pool does not change its root directory: no group for a worker would be found
 * from there.
 */
#ifndef CAROM_POOL_CONTAINMENT_H
#define CAROM_POOL_CONTAINMENT_H

#include <stdint.h>

#include "../core/api.h"
#include "../core/cgroup_limits.h"

CAROM_BEGIN_DECLS

struct carom_pool;

/** enum carom_memory_rung - by which means max_memory_per_child_bytes is kept; bits */
enum carom_memory_rung {
	CAROM_RUNG_CGROUP = 1,
	CAROM_RUNG_RLIMIT = 2,
	CAROM_RUNG_SAMPLING = 4,
	CAROM_RUNG_RECYCLE = 8,
};

/* For memory_rungs, and its default. */
#define CAROM_RUNGS_USUAL (CAROM_RUNG_CGROUP | CAROM_RUNG_SAMPLING | CAROM_RUNG_RECYCLE)

#define CAROM_LIMITS_REASON_MAX 512

/**
 * struct carom_pool_limits - what holds for the workers of a pool
 * @memory_rungs: those in force, of enum carom_memory_rung; 0: none
 * @max_memory_per_child_bytes: what they keep; 0: nothing
 * @sampling_period_ns: where sampling is in force; else 0
 * @is_grouped:   1: each worker is in a control group of its own
 * @worker:       the limits of that, as the kernel has them; all 0: none
 * @pool:         likewise, of all workers together
 * @reason:       why there are no control groups, though they were asked for, or a limit
 *                of memory was: a sentence for people. Empty: there are, or none is needed
 *
 * Later versions may append to it.
 */
struct carom_pool_limits {
	uint64_t memory_rungs;
	uint64_t max_memory_per_child_bytes;
	uint64_t sampling_period_ns;
	uint64_t is_grouped;
	struct carom_cgroup_limits worker;
	struct carom_cgroup_limits pool;
	char reason[CAROM_LIMITS_REASON_MAX];
};

/**
 * carom_pool_limits() - which limits are in force, and by which means
 *
 * They are chosen when the pool is made, and do not change.
 *
 * Context: MT-Safe. Does not block.
 * Return: 0, -ECHILD.
 */
CAROM_API int carom_pool_limits(struct carom_pool *pool, struct carom_pool_limits *ret_limits);

/**
 * struct carom_worker_usage - what a worker, and all that it has started, has used
 * @pid:          of the worker
 * @memory_bytes: now
 * @memory_peak_bytes: the most since it was made. Sampled: the most that was seen
 * @memory_limit_count: how often it came to the limit, which the kernel then made it keep by
 *                taking back what it could
 * @memory_high_count: how often it was slowed down for memory_high_bytes
 * @cpu_ns:       CPU time
 * @cpu_throttled_ns: for so long it was stopped for its quota
 * @process_count: processes and threads
 * @process_refused_count: how often one could not be made for the limit
 *
 * UINT64_MAX: it is not known. Where workers are in groups all is but for what this kernel
 * does not count (the peak before Linux 5.19), and what needs a limit of its kind: what is
 * about CPU and processes beyond @cpu_ns. Where memory is sampled, the first two are.
 * Later versions may append to it.
 */
struct carom_worker_usage {
	int64_t pid;
	uint64_t memory_bytes;
	uint64_t memory_peak_bytes;
	uint64_t memory_limit_count;
	uint64_t memory_high_count;
	uint64_t cpu_ns;
	uint64_t cpu_throttled_ns;
	uint64_t process_count;
	uint64_t process_refused_count;
};

/**
 * carom_pool_worker_usage() - of one worker
 * @index: as in struct carom_worker_info
 *
 * Context: MT-Safe, AS-Unsafe. Reads some files; waits for the library's thread, which does.
 * Return: 0; -ESRCH: there is no process in that place at this moment; -EINVAL: no such
 * place; -EOPNOTSUPP: workers that are threads; -ECHILD.
 */
CAROM_API int carom_pool_worker_usage(struct carom_pool *pool, uint64_t index,
				      struct carom_worker_usage *ret_usage);

CAROM_END_DECLS

#endif
