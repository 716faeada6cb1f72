/*
 * Workload
 *
 * Limits in bench_bars that say "no slower" stand at 1.00, with one exception:
 * carom with default options against carom parked. Where no second CPU is free
 * those two do the very same, so the ratio is 1 give or take what two runs of one
 * program differ by; 1.05 is above that and below any spinning in vain.
 */
#include "bench/workload.h"

#include "core/time.h"

const char *const bench_placement_names[BENCH_PLACEMENT_COUNT] = {
	[BENCH_ONE_CPU] = "one-cpu",
	[BENCH_TWO_CPUS] = "two-cpus",
	[BENCH_FREE] = "free",
};

#define TWO_OR_FREE (BENCH_ON(BENCH_TWO_CPUS) | BENCH_ON(BENCH_FREE))

const struct bench_workload bench_workloads[BENCH_WORKLOAD_COUNT] = {
	[BENCH_ROUND_TRIP_PARKED] = {
		.name = "round-trip-parked",
		.title = "no-op task, submit to result, nobody spins",
		.placements = BENCH_ANYWHERE,
		.worker_count = 1,
		.task_count = 1,
	},
	[BENCH_ROUND_TRIP_SPINNING] = {
		.name = "round-trip-spinning",
		.title = "no-op task, submit to result, both sides spin",
		.placements = BENCH_ON(BENCH_TWO_CPUS),
		.worker_count = 1,
		.task_count = 1,
	},
	[BENCH_ROUND_TRIP] = {
		.name = "round-trip",
		.title = "no-op task, submit to result, default options",
		.placements = BENCH_ANYWHERE,
		.worker_count = 1,
		.task_count = 1,
	},
	[BENCH_THROUGHPUT] = {
		.name = "throughput",
		.title = "no-op tasks one by one, at most 1024 in flight, 2 workers",
		.placements = BENCH_ANYWHERE,
		.worker_count = 2,
		.task_count = BENCH_MANY,
	},
	[BENCH_BATCH] = {
		.name = "batch",
		.title = "256 no-op tasks, then wait for all, 2 workers",
		.placements = BENCH_ANYWHERE,
		.worker_count = 2,
		.task_count = 256,
	},
	[BENCH_BATCH_CHUNKED] = {
		.name = "batch-chunked",
		.title = "256 no-op items, each pool's own default chunks, 2 workers",
		.placements = BENCH_ANYWHERE,
		.worker_count = 2,
		.task_count = 256,
	},
	[BENCH_DEATH] = {
		.name = "death",
		.title = "SIGKILL of a busy worker to its task's answer",
		.placements = TWO_OR_FREE,
		.worker_count = 1,
		.task_count = 1,
	},
	[BENCH_DEATH_LARGE] = {
		.name = "death-512m",
		.title = "the same, the worker's task holds 512 MiB",
		.placements = TWO_OR_FREE,
		.worker_count = 1,
		.task_count = 1,
		.cold = true,
		.held_bytes = CAROM_MIB(512),
	},
	[BENCH_RECOVERY] = {
		.name = "recovery",
		.title = "SIGKILL of the only worker to the answer of a task submitted then",
		.placements = BENCH_ON(BENCH_FREE),
		.worker_count = 1,
		.task_count = 1,
	},
	[BENCH_REPLACEMENT] = {
		.name = "replacement",
		.title = "the lost task's answer to the answer of the new worker's first task",
		.placements = TWO_OR_FREE,
		.worker_count = 1,
		.task_count = 1,
	},
	[BENCH_REPLACEMENT_LARGE_WORKER] = {
		.name = "replacement-512m",
		.title = "the same, the killed worker's task held 512 MiB",
		.placements = BENCH_ON(BENCH_FREE),
		.worker_count = 1,
		.task_count = 1,
		.cold = true,
		.held_bytes = CAROM_MIB(512),
	},
	[BENCH_REPLACEMENT_LARGE_PARENT] = {
		.name = "replacement-4g",
		.title = "the same, the caller has 4 GiB resident",
		.placements = BENCH_ON(BENCH_FREE),
		.worker_count = 1,
		.task_count = 1,
		.parent_bytes = CAROM_GIB(4),
	},
	[BENCH_SPAWN] = {
		.name = "spawn",
		.title = "a child is made, ends at once, is reaped; 10 MiB parent",
		.placements = BENCH_ON(BENCH_FREE),
		.task_count = 1,
		.parent_bytes = CAROM_MIB(10),
	},
	[BENCH_CHILD] = {
		.name = "child",
		.title = "a child of the fork server is in hand; 10 MiB parent",
		.placements = BENCH_ON(BENCH_FREE),
		.task_count = 1,
		.parent_bytes = CAROM_MIB(10),
	},
	[BENCH_CHILD_LARGE_PARENT] = {
		.name = "child-4g",
		.title = "the same, the caller has 4 GiB and 16 threads (clone3's: 10 MiB, none)",
		.placements = BENCH_ON(BENCH_FREE),
		.task_count = 1,
		.parent_bytes = CAROM_GIB(4),
		.parent_thread_count = 16,
	},
	[BENCH_SPAWN_EXEC] = {
		.name = "spawn-exec",
		.title = "a child that runs this program afresh is in hand; 1 GiB parent",
		.placements = BENCH_ON(BENCH_FREE),
		.task_count = 1,
		.parent_bytes = CAROM_GIB(1),
	},
	[BENCH_SPAWN_EXEC_RUN] = {
		.name = "spawn-exec-run",
		.title = "the same until the child's own code says that it runs",
		.placements = BENCH_ON(BENCH_FREE),
		.task_count = 1,
		.parent_bytes = CAROM_GIB(1),
	},
	[BENCH_WATCH_SENTINEL] = {
		.name = "watch-sentinel",
		.title = "SIGKILL of one of 1,000 children until an epoll of all sentinels tells",
		.placements = BENCH_ON(BENCH_FREE),
		.task_count = 1,
		.child_count = 1000,
	},
	[BENCH_WATCH_JOIN] = {
		.name = "watch-join",
		.title = "the same until a thread that waits for that child goes on",
		.placements = BENCH_ON(BENCH_FREE),
		.task_count = 1,
		.child_count = 1000,
	},
	[BENCH_WATCH_LOG] = {
		.name = "watch-log",
		.title = "the same until the library's own thread has reaped it and says so",
		.placements = BENCH_ON(BENCH_FREE),
		.task_count = 1,
		.child_count = 1000,
	},
	[BENCH_WATCH] = {
		.name = "watch",
		.title = "1,000 live children with nothing to do, all processes together",
		.placements = BENCH_ON(BENCH_FREE),
		.is_idle = true,
		.child_count = 1000,
	},
	[BENCH_IDLE] = {
		.name = "idle",
		.title = "a pool of 8 workers with nothing to do, all its processes together",
		.placements = BENCH_ON(BENCH_FREE),
		.worker_count = 8,
		.is_idle = true,
	},
};

const struct bench_bar bench_bars[] = {
	{ BENCH_ROUND_TRIP_PARKED, BENCH_ANYWHERE, BENCH_AT_MOST_TIMES, "futex", 1.25 },
	{ BENCH_ROUND_TRIP_PARKED, BENCH_ON(BENCH_ONE_CPU), BENCH_TAIL, NULL, 2 },
	{ BENCH_ROUND_TRIP_SPINNING, BENCH_ON(BENCH_TWO_CPUS), BENCH_AT_MOST_TIMES, "futex", 2.5 },
	{ BENCH_ROUND_TRIP, TWO_OR_FREE, BENCH_TIMES_FASTER, "billiard", 100 },
	{ BENCH_ROUND_TRIP, TWO_OR_FREE, BENCH_TIMES_FASTER, "multiprocessing", 100 },
	{ BENCH_ROUND_TRIP, BENCH_ANYWHERE, BENCH_AT_MOST_TIMES, "carom-parked", 1.05 },
	{ BENCH_THROUGHPUT, BENCH_ANYWHERE, BENCH_TIMES_FASTER, "billiard", 50 },
	{ BENCH_THROUGHPUT, BENCH_ANYWHERE, BENCH_TIMES_FASTER, "libuv", 1 },
	{ BENCH_BATCH, BENCH_ANYWHERE, BENCH_TIMES_FASTER, "libuv", 2 },
	{ BENCH_DEATH, TWO_OR_FREE, BENCH_AT_MOST_TIMES, "pidfd", 2 },
	{ BENCH_DEATH_LARGE, TWO_OR_FREE, BENCH_AT_MOST_NS, NULL, 1e6 },
	{ BENCH_REPLACEMENT, TWO_OR_FREE, BENCH_AT_MOST_NS, NULL, 1e6 },
	{ BENCH_REPLACEMENT_LARGE_WORKER, BENCH_ANYWHERE, BENCH_AT_MOST_NS, NULL, 1e6 },
	{ BENCH_REPLACEMENT_LARGE_PARENT, BENCH_ANYWHERE, BENCH_AT_MOST_NS, NULL, 1e6 },
	{ BENCH_CHILD, BENCH_ANYWHERE, BENCH_AT_MOST_TIMES, "clone3", 1.5 },
	{ BENCH_CHILD_LARGE_PARENT, BENCH_ANYWHERE, BENCH_AT_MOST_TIMES, "clone3", 2 },
	{ BENCH_SPAWN_EXEC, BENCH_ANYWHERE, BENCH_AT_MOST_TIMES, "posix_spawn", 1.2 },
	{ BENCH_SPAWN_EXEC_RUN, BENCH_ANYWHERE, BENCH_AT_MOST_TIMES, "posix_spawn", 1.2 },
	{ BENCH_WATCH_SENTINEL, BENCH_ANYWHERE, BENCH_AT_MOST_NS, NULL, 200e3 },
	{ BENCH_WATCH_JOIN, BENCH_ANYWHERE, BENCH_AT_MOST_NS, NULL, 200e3 },
	{ BENCH_WATCH_LOG, BENCH_ANYWHERE, BENCH_AT_MOST_NS, NULL, 200e3 },
	{ BENCH_WATCH, BENCH_ANYWHERE, BENCH_AT_MOST_SWITCHES, NULL, 0 },
	{ BENCH_WATCH, BENCH_ANYWHERE, BENCH_AT_MOST_CPU_NS, NULL, 0 },
	{ BENCH_IDLE, BENCH_ANYWHERE, BENCH_AT_MOST_SWITCHES, NULL, 0 },
	{ BENCH_IDLE, BENCH_ANYWHERE, BENCH_AT_MOST_CPU_NS, NULL, 0 },
};
const size_t bench_bar_count = sizeof(bench_bars) / sizeof(*bench_bars);
