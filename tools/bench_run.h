/*
 * Run: a command, once, and what it took
 */
#ifndef CAROM_TOOLS_BENCH_RUN_H
#define CAROM_TOOLS_BENCH_RUN_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/cgroup_limits.h"
#include "core/cgroup_usage.h"
#include "core/exit.h"
#include "tools/bench_counters.h"

/**
 * struct carom_bench_run - what one run took
 * @wall_ns:      from before its process was made until its end was known
 * @user_ns, @system_ns: of all its processes, if it had a group; else of those that were
 *                waited for
 * @peak_bytes:   the most memory: of all its processes at one time, if its group counted
 *                it; else of the largest one
 * @throttled_ns: for how long its cpu.max kept it from running
 * @exit:         how it ended
 * @error:        instead of all: -errno, it could not be started
 * @is_timed_out: it was killed for that
 * @is_over_memory: it was killed for that
 * @has_counters: @counters are filled in
 */
struct carom_bench_run {
	uint64_t wall_ns;
	uint64_t user_ns;
	uint64_t system_ns;
	uint64_t peak_bytes;
	uint64_t throttled_ns;
	uint64_t minor_faults;
	uint64_t major_faults;
	uint64_t waits;       /* voluntary context switches */
	uint64_t preemptions; /* involuntary ones */
	uint64_t counters[CAROM_BENCH_COUNTERS];
	struct carom_exit exit;
	int error;
	bool is_timed_out;
	bool is_over_memory;
	bool has_counters;
};

/**
 * struct carom_bench_place - where commands run
 * @signals_fd: a signalfd(2); what comes there ends a run
 * @stdin_fd, @output_fd: of the commands; @output_fd -1: ours
 * @cpus:       if @is_pinned
 * @limits:     of each run; NULL none
 * @timeout_ns: of each run; 0 none
 * @has_groups: each run has a cgroup to itself
 * @group:      made for the next run, or left empty by the one before; NULL: none. With
 *              @counted, what it has counted, and @counts_memory, the place's own
 * @counts:     each run has counters
 */
struct carom_bench_place {
	int signals_fd;
	int stdin_fd;
	int output_fd;
	cpu_set_t cpus;
	bool is_pinned;
	const struct carom_cgroup_limits *limits;
	uint64_t timeout_ns;
	bool has_groups;
	bool counts;
	struct carom_cgroup *group;
	struct carom_cgroup_cpu counted;
	bool counts_memory;
};

/**
 * carom_bench_place_make_group() - see whether groups can be had, and make the first
 * @place:  with its limits; place->group is the caller's in the end
 * @reason: as for carom_cgroup_new(); so is what is returned
 */
int carom_bench_place_make_group(struct carom_bench_place *place, char *reason);

/**
 * carom_bench_run() - run it, and wait for its end and for that of all it has started
 * @words:    the command, NULL-terminated
 * @found_at: of the command, see struct carom_spawn_options
 *
 * Return: 0, also if it could not be started (ret_run->error); -EINTR: a signal came, and
 * it was killed; what carom_cgroup_new() says, with the reason said.
 */
int carom_bench_run(struct carom_bench_place *place, char *const *words, size_t *found_at,
		    struct carom_bench_run *ret_run);

#endif
