/*
 * Limits of jobs: what each may use at most, and what keeps it to that
 *
 * A job with limits has a cgroup of its own, which it is born in and which goes with it, and
 * all that it has started with that. What there is no controller for here is said before the
 * first job starts, with what stands in for it.
 */
#ifndef CAROM_TOOLS_RUN_LIMITS_H
#define CAROM_TOOLS_RUN_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cgroup_limits.h"
#include "tools/shepherd.h"

struct carom_cgroup;

/**
 * struct carom_run_limits - what is asked for, of each job with all that it starts
 * @memory_bytes:  0: no limit
 * @cpu_ns:        CPU time in each second; 0: no limit
 * @process_count: processes and threads; 0: no limit
 * @is_required:   without a cgroup that keeps them there are to be no jobs
 */
struct carom_run_limits {
	uint64_t memory_bytes;
	uint64_t cpu_ns;
	uint32_t process_count;
	bool is_required;
};

/** carom_run_limits_any() - is there one? */
static inline bool carom_run_limits_any(const struct carom_run_limits *limits)
{
	return limits->memory_bytes || limits->cpu_ns || limits->process_count;
}

/** carom_run_limits_parse_memory() - Return: 0, or an exit status, and what is wrong is said */
int carom_run_limits_parse_memory(const char *text, struct carom_run_limits *limits);
int carom_run_limits_parse_cpus(const char *text, struct carom_run_limits *limits);
int carom_run_limits_parse_pids(const char *text, struct carom_run_limits *limits);

/**
 * struct carom_run_rungs - what keeps the limits
 * @memory_bytes: the limit of memory, whatever keeps it; 0: none
 * @group:       of each job, if it has one
 * @has_groups:  it has
 * @is_sampled:  memory is what shepherds look at
 */
struct carom_run_rungs {
	uint64_t memory_bytes;
	struct carom_cgroup_limits group;
	bool has_groups;
	bool is_sampled;
};

/**
 * carom_run_limits_settle() - find out what can keep them
 *
 * What is weaker than asked for is said, once.
 * Return: 0, or an exit status: they are required, and cannot be kept.
 */
int carom_run_limits_settle(const struct carom_run_limits *limits,
			    struct carom_run_rungs *ret_rungs);

/**
 * carom_run_limits_begin() - a group for the next job
 * @ret_group: the caller's, ended by carom_run_limits_end(); NULL: none is needed
 *
 * Return: 0, or what carom_cgroup_new() says.
 */
int carom_run_limits_begin(const struct carom_run_rungs *rungs, struct carom_cgroup **ret_group);

/**
 * carom_run_limits_end() - kill what is left in it, and have it removed
 * @group: may be NULL
 * @usage: what the group has counted, if it has, takes the place of what was there
 *
 * Return: did the kernel kill for its limit of memory?
 */
bool carom_run_limits_end(struct carom_cgroup *group, struct carom_shepherd_usage *usage);

/** carom_run_limits_leave() - before the end of the program: no group is left. Waits for what was killed. */
void carom_run_limits_leave(void);

#endif
