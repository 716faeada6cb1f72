/*
 * Limits of jobs
 *
 * By the best means that is there, limit by limit:
 *
 *	memory		a cgroup; else shepherds look (tools/shepherd_memory.h)
 *	cpus, pids	a cgroup; else nothing
 *
 * RLIMIT_NPROC is no means: it counts all processes of the user, in other jobs and elsewhere,
 * and none of root's. Nor is RLIMIT_DATA: it bounds each process, not the job, and who hits
 * it fails in a way of its own, whose cause nobody could name.
 *
 * A group is made and removed by carom run, not by the shepherd, which is a copy of it: who
 * starts next removes what is left if that is killed (core/cgroup_home.h). The counters are
 * read before the rest of the group is killed; what kills for memory counts first.
 */
#include "tools/run_limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cgroup_group.h"
#include "core/cgroup_home.h"
#include "core/cgroup_usage.h"
#include "core/time.h"
#include "tools/duration.h"
#include "tools/say.h"
#include "tools/size.h"

#define PERIODS_A_SECOND 10
#define CPU_NS_MIN       CAROM_MILLISECONDS(10) /* 1 ms in each period */
#define CPUS_MAX         10000
#define PIDS_MAX         (4 * 1024 * 1024) /* the kernel's own */

/* --- the command line -------------------------------------------------- */

int carom_run_limits_parse_memory(const char *text, struct carom_run_limits *limits)
{
	if (carom_size_parse(text, &limits->memory_bytes) < 0 || limits->memory_bytes > INT64_MAX)
		return carom_usage_error("--memory: '%s' is not a size such as 512k, 256M or 1.5G",
					 text);
	if (limits->memory_bytes < (uint64_t)sysconf(_SC_PAGESIZE))
		return carom_usage_error("--memory: '%s' leaves a job no memory", text);
	return 0;
}

/* A number is written as a time in seconds is. */
int carom_run_limits_parse_cpus(const char *text, struct carom_run_limits *limits)
{
	bool is_number = text[strspn(text, "0123456789.")] == '\0';

	if (!is_number || carom_duration_parse(text, &limits->cpu_ns) < 0 ||
	    limits->cpu_ns < CPU_NS_MIN || limits->cpu_ns > CAROM_SECONDS(CPUS_MAX))
		return carom_usage_error("--cpus: '%s' is not a number of CPUs, 0.01 to %d", text,
					 CPUS_MAX);
	return 0;
}

int carom_run_limits_parse_pids(const char *text, struct carom_run_limits *limits)
{
	char *end;
	unsigned long count;

	errno = 0;
	count = strtoul(text, &end, 10);
	if (strspn(text, "0123456789") != strlen(text) || end == text || errno || count == 0 ||
	    count > PIDS_MAX)
		return carom_usage_error("--pids: '%s' is not a number of processes, 1 to %d", text,
					 PIDS_MAX);
	limits->process_count = (uint32_t)count;
	return 0;
}

/* --- what can keep them ------------------------------------------------ */

static struct carom_cgroup_limits of_memory(const struct carom_run_limits *limits)
{
	return CAROM_CGROUP_LIMITS(.memory_bytes = limits->memory_bytes, .oom_group = 1);
}

static struct carom_cgroup_limits of_cpus(const struct carom_run_limits *limits)
{
	return CAROM_CGROUP_LIMITS(.cpu_quota_ns = limits->cpu_ns / PERIODS_A_SECOND / 1000 * 1000);
}

static struct carom_cgroup_limits of_pids(const struct carom_run_limits *limits)
{
	return CAROM_CGROUP_LIMITS(.process_count = limits->process_count);
}

/* Both; no field is of two of them. */
static void join(struct carom_cgroup_limits *all, const struct carom_cgroup_limits *one)
{
	all->memory_bytes += one->memory_bytes;
	all->oom_group += one->oom_group;
	all->cpu_quota_ns += one->cpu_quota_ns;
	all->process_count += one->process_count;
}

/* 0, if a group can have it; @reason: why not */
static int try_limit(const struct carom_cgroup_limits *limit, char *reason)
{
	const struct carom_cgroup_options options = { .name = "job", .limits = limit };
	struct carom_cgroup *group;
	int r = carom_cgroup_new(&options, reason, &group);

	if (r == 0)
		carom_cgroup_free(group);
	return r;
}

/** struct settling - on the way through the limits: @reason is why the last one could not be had */
struct settling {
	const struct carom_run_limits *limits;
	struct carom_run_rungs rungs;
	char reason[CAROM_CGROUP_REASON_SIZE];
	bool is_weaker;
};

static void say_rung(const struct settling *settling, const char *option, bool is_sampled,
		     const char *reason)
{
	const char *what = settling->limits->is_required ? "cannot be enforced"
			   : is_sampled ? "is kept by a look at the job every 10 ms only"
					: "is not in force";

	if (strcmp(reason, settling->reason) == 0)
		reason = "the same";
	carom_say("%s %s: %s", option, what, reason);
}

/* Return: whether it is kept by a group. */
static bool settle(struct settling *settling, const char *option,
		   const struct carom_cgroup_limits *limit, bool is_sampled)
{
	char reason[CAROM_CGROUP_REASON_SIZE];

	if (try_limit(limit, reason) < 0) {
		say_rung(settling, option, is_sampled, reason);
		strcpy(settling->reason, reason);
		settling->is_weaker = true;
		return false;
	}
	join(&settling->rungs.group, limit);
	settling->rungs.has_groups = true;
	return true;
}

static void settle_all(struct settling *settling)
{
	const struct carom_run_limits *limits = settling->limits;
	const struct carom_cgroup_limits memory = of_memory(limits), cpus = of_cpus(limits),
					 pids = of_pids(limits);

	if (limits->memory_bytes && !settle(settling, "--memory", &memory, true))
		settling->rungs.is_sampled = true;
	if (limits->cpu_ns)
		settle(settling, "--cpus", &cpus, false);
	if (limits->process_count)
		settle(settling, "--pids", &pids, false);
}

int carom_run_limits_settle(const struct carom_run_limits *limits,
			    struct carom_run_rungs *ret_rungs)
{
	struct settling settling = {
		.limits = limits,
		.rungs = { .memory_bytes = limits->memory_bytes, .group = CAROM_CGROUP_LIMITS(0) },
	};

	settle_all(&settling);
	if (settling.is_weaker)
		carom_say_more("'carom doctor' tells what limits can rest on here");
	if (settling.is_weaker && limits->is_required)
		return CAROM_EXIT_ERROR;
	*ret_rungs = settling.rungs;
	return 0;
}

/* --- a job's group ----------------------------------------------------- */

int carom_run_limits_begin(const struct carom_run_rungs *rungs, struct carom_cgroup **ret_group)
{
	const struct carom_cgroup_options options = { .name = "job", .limits = &rungs->group };

	*ret_group = NULL;
	(void)carom_cgroup_bury(); /* those of jobs that have left something behind */
	return rungs->has_groups ? carom_cgroup_new(&options, NULL, ret_group) : 0;
}

static void take_usage(struct carom_cgroup *group, struct carom_shepherd_usage *usage)
{
	struct carom_cgroup_cpu cpu;
	uint64_t peak;

	if (carom_cgroup_cpu(group, &cpu) == 0) {
		usage->user_ns = cpu.user_ns;
		usage->system_ns = cpu.system_ns;
	}
	if (carom_cgroup_memory_peak(group, &peak) == 0)
		usage->peak_bytes = peak;
}

bool carom_run_limits_end(struct carom_cgroup *group, struct carom_shepherd_usage *usage)
{
	struct carom_cgroup_memory_events events = { 0 };

	if (!group)
		return false;
	take_usage(group, usage);
	(void)carom_cgroup_memory_events(group, false, &events);
	(void)carom_cgroup_kill(group);
	carom_cgroup_free(group);
	return carom_cgroup_has_killed(&events);
}

void carom_run_limits_leave(void)
{
	(void)carom_cgroup_home_leave(); /* who ends by a signal does not come to it otherwise */
}
