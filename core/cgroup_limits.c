/*
 * Cgroup limits
 *
 * The kernel rounds some of them without a word (memory, down to pages) and refuses
 * others with a bare EINVAL. Both are seen to beforehand, so that what is in force is what
 * was said, and a refusal has a reason.
 */
#include "core/cgroup_limits_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cgroup_base.h"
#include "core/cgroup_controllers.h"
#include "core/cgroup_file.h"
#include "core/options.h"

#define NS_PER_US      UINT64_C(1000)
#define CPU_NS_MIN     UINT64_C(1000000)
#define PERIOD_NS_MAX  UINT64_C(1000000000)
#define PERIOD_DEFAULT UINT64_C(100000000)
#define QUOTA_US_MAX   ((UINT64_C(1) << 44) - 1) /* what the scheduler can count in */
#define WEIGHT_MAX     10000
#define WEIGHT_DEFAULT 100
#define PROCESS_MAX    (4 * 1024 * 1024) /* PID_MAX_LIMIT */

/* --- checking ---------------------------------------------------------- */

static int check_bytes(uint64_t *bytes, const char *name, char *reason)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (*bytes > INT64_MAX)
		return carom_cgroup_say(reason, -EINVAL, "%s: %" PRIu64 " is more than there is",
					name, *bytes);
	if (*bytes && *bytes < page)
		return carom_cgroup_say(reason, -EINVAL, "%s: %" PRIu64 " is less than a page",
					name, *bytes);
	*bytes -= *bytes % page;
	return 0;
}

static int check_memory(struct carom_cgroup_limits *limits, char *reason)
{
	int r = check_bytes(&limits->memory_bytes, "memory_bytes", reason);

	if (r == 0)
		r = check_bytes(&limits->memory_high_bytes, "memory_high_bytes", reason);
	if (r == 0 && limits->swap_bytes != CAROM_SWAP_UNLIMITED)
		r = check_bytes(&limits->swap_bytes, "swap_bytes", reason);
	if (r < 0)
		return r;
	if (limits->memory_bytes && limits->memory_high_bytes > limits->memory_bytes)
		return carom_cgroup_say(reason, -EINVAL,
					"memory_high_bytes is above memory_bytes: it would never "
					"take effect");
	if (limits->swap_bytes && !limits->memory_bytes && !limits->memory_high_bytes)
		return carom_cgroup_say(reason, -EINVAL,
					"swap_bytes is set, and no limit of memory");
	return 0;
}

static int check_cpu(struct carom_cgroup_limits *limits, char *reason)
{
	if (limits->cpu_weight > WEIGHT_MAX)
		return carom_cgroup_say(reason, -EINVAL, "cpu_weight: %u is not 1 to %d",
					limits->cpu_weight, WEIGHT_MAX);
	if (limits->cpu_period_ns && !limits->cpu_quota_ns)
		return carom_cgroup_say(reason, -EINVAL, "cpu_period_ns is set, and no quota");
	if (limits->cpu_quota_ns && !limits->cpu_period_ns)
		limits->cpu_period_ns = PERIOD_DEFAULT;
	if (limits->cpu_quota_ns % NS_PER_US || limits->cpu_period_ns % NS_PER_US)
		return carom_cgroup_say(reason, -EINVAL,
					"cpu_quota_ns, cpu_period_ns: not whole microseconds");
	if (limits->cpu_quota_ns &&
	    (limits->cpu_quota_ns < CPU_NS_MIN || limits->cpu_quota_ns / NS_PER_US > QUOTA_US_MAX))
		return carom_cgroup_say(reason, -EINVAL,
					"cpu_quota_ns: %" PRIu64 " is below 1 ms, or too much",
					limits->cpu_quota_ns);
	if (limits->cpu_period_ns &&
	    (limits->cpu_period_ns < CPU_NS_MIN || limits->cpu_period_ns > PERIOD_NS_MAX))
		return carom_cgroup_say(reason, -EINVAL,
					"cpu_period_ns: %" PRIu64 " is not 1 ms to 1 s",
					limits->cpu_period_ns);
	return 0;
}

static int check_rest(const struct carom_cgroup_limits *limits, char *reason)
{
	if (limits->process_count > PROCESS_MAX)
		return carom_cgroup_say(reason, -EINVAL, "process_count: %u is above %d",
					limits->process_count, PROCESS_MAX);
	if (limits->oom_group > 1 || limits->reserved)
		return carom_cgroup_say(reason, -EINVAL,
					"oom_group is not 0 or 1, or reserved "
					"not 0");
	return 0;
}

int carom_cgroup_limits_take(const struct carom_cgroup_limits *theirs, char *reason,
			     struct carom_cgroup_limits *ret_ours)
{
	struct carom_cgroup_limits ours;
	int r = carom_options_take(theirs, &ours, sizeof(ours));

	if (r < 0)
		return carom_cgroup_say(reason, r,
					r == -E2BIG ? "limits that this library does not know"
						    : "size_bytes of the limits is wrong");
	ours.size_bytes = sizeof(ours);
	r = check_memory(&ours, reason);
	if (r == 0)
		r = check_cpu(&ours, reason);
	if (r == 0)
		r = check_rest(&ours, reason);
	if (r == 0)
		*ret_ours = ours;
	return r;
}

uint32_t carom_cgroup_limits_controllers(const struct carom_cgroup_limits *ours)
{
	uint32_t bits = 0;

	if (ours->memory_bytes || ours->memory_high_bytes || ours->oom_group)
		bits |= CAROM_CGROUP_MEMORY;
	if (ours->process_count)
		bits |= CAROM_CGROUP_PIDS;
	if (ours->cpu_quota_ns || ours->cpu_weight)
		bits |= CAROM_CGROUP_CPU;
	return bits;
}

/* --- writing ----------------------------------------------------------- */

/**
 * struct target - where they go, and what came of it
 * @r: the first error; nothing is written after it
 */
struct target {
	int fd;
	const char *path;
	char *reason;
	int r;
};

static void write_text(struct target *target, const char *file, const char *text)
{
	if (target->r < 0)
		return;
	target->r = carom_cgroup_file_write(target->fd, file, text);
	if (target->r < 0)
		carom_cgroup_say(target->reason, target->r, "%s/%s: \"%s\": %s", target->path, file,
				 text, strerror(-target->r));
}

static void write_number(struct target *target, const char *file, uint64_t old, uint64_t number,
			 uint64_t none)
{
	char text[32] = "max";

	if (old == number)
		return;
	if (number == 0)
		number = none;
	if (number != UINT64_MAX)
		snprintf(text, sizeof(text), "%" PRIu64, number);
	write_text(target, file, text);
}

/* The kernel's own state is "max" in a new group; ours is 0 beside a limit of memory. */
static uint64_t swap_of(const struct carom_cgroup_limits *limits)
{
	return limits->memory_bytes || limits->memory_high_bytes ? limits->swap_bytes : UINT64_MAX;
}

/* A kernel that does not count swap has no such file: there is nothing to be denied then. */
static void write_swap(struct target *target, const struct carom_cgroup_limits *old,
		       const struct carom_cgroup_limits *ours)
{
	if (target->r < 0 || swap_of(old) == swap_of(ours))
		return;
	target->r = carom_cgroup_file_write_number(target->fd, "memory.swap.max", swap_of(ours));
	if (target->r == -ENOENT)
		target->r = swap_of(ours) == 0 || swap_of(ours) == UINT64_MAX ? 0 : -EOPNOTSUPP;
	if (target->r < 0)
		carom_cgroup_say(target->reason, target->r, "%s/memory.swap.max: %s", target->path,
				 strerror(-target->r));
}

static void write_cpu_max(struct target *target, const struct carom_cgroup_limits *old,
			  const struct carom_cgroup_limits *ours)
{
	char text[64] = "max";

	if (old->cpu_quota_ns == ours->cpu_quota_ns && old->cpu_period_ns == ours->cpu_period_ns)
		return;
	if (ours->cpu_quota_ns)
		snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, ours->cpu_quota_ns / NS_PER_US,
			 ours->cpu_period_ns / NS_PER_US);
	write_text(target, "cpu.max", text);
}

int carom_cgroup_limits_write(int fd, const char *path, const struct carom_cgroup_limits *old,
			      const struct carom_cgroup_limits *ours, char *reason)
{
	struct target target = { fd, path, reason, 0 };

	write_number(&target, "memory.oom.group", old->oom_group, ours->oom_group, 0);
	write_swap(&target, old, ours);
	write_number(&target, "memory.high", old->memory_high_bytes, ours->memory_high_bytes,
		     UINT64_MAX);
	write_number(&target, "memory.max", old->memory_bytes, ours->memory_bytes, UINT64_MAX);
	write_number(&target, "pids.max", old->process_count, ours->process_count, UINT64_MAX);
	write_cpu_max(&target, old, ours);
	write_number(&target, "cpu.weight", old->cpu_weight, ours->cpu_weight, WEIGHT_DEFAULT);
	return target.r;
}
