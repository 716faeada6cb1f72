/*
 * Process limits
 *
 * The kernel's counters are read when the child has been reaped and before the rest of its
 * group is killed: what kills for memory counts before it kills, so they are complete.
 */
#include "core/process_limits.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/cgroup_group.h"
#include "core/cgroup_limits_private.h"
#include "core/cgroup_usage.h"
#include "core/log.h"

/**
 * struct carom_process_limits
 * @group:       while there is a child
 * @is_exceeded: the kernel has killed in the last group, which had come to its limit
 * @peak_bytes:  of the last group; 0: not known
 */
struct carom_process_limits {
	struct carom_cgroup_limits limits;
	struct carom_cgroup *group;
	bool is_exceeded;
	uint64_t peak_bytes;
};

static int refuse(const char *name, int error, const char *reason)
{
	carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_CGROUP_REFUSED, "%s: %s", name, reason);
	return error;
}

int carom_process_limits_new(const struct carom_cgroup_limits *limits, const char *name,
			     struct carom_process_limits **ret_limits)
{
	char reason[CAROM_CGROUP_REASON_SIZE];
	struct carom_cgroup_limits ours;
	struct carom_process_limits *new;
	int r = carom_cgroup_limits_take(limits, reason, &ours);

	if (r < 0)
		return refuse(name, r, reason);
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->limits = ours;
	*ret_limits = new;
	return 0;
}

struct carom_process_limits *carom_process_limits_free(struct carom_process_limits *limits)
{
	if (limits)
		carom_cgroup_free(limits->group);
	free(limits);
	return NULL;
}

int carom_process_limits_begin(struct carom_process_limits *limits, const char *name,
			       int *ret_cgroup_fd)
{
	const struct carom_cgroup_options options = { .name = "process",
						      .limits = &limits->limits };
	char reason[CAROM_CGROUP_REASON_SIZE];
	int r = carom_cgroup_new(&options, reason, &limits->group);

	if (r < 0)
		return refuse(name, r, reason);
	*ret_cgroup_fd = carom_cgroup_fd(limits->group);
	return 0;
}

int carom_process_limits_kill(struct carom_process_limits *limits)
{
	return limits->group ? carom_cgroup_kill(limits->group) : 0;
}

static void look_at_memory(struct carom_process_limits *limits)
{
	struct carom_cgroup_memory_events events = { 0 };

	limits->peak_bytes = 0;
	carom_cgroup_memory_events(limits->group, false, &events);
	carom_cgroup_memory_peak(limits->group, &limits->peak_bytes);
	limits->is_exceeded = limits->limits.memory_bytes && carom_cgroup_has_killed(&events);
}

void carom_process_limits_end(struct carom_process_limits *limits)
{
	if (!limits->group)
		return;
	look_at_memory(limits);
	carom_cgroup_kill(limits->group);
	limits->group = carom_cgroup_free(limits->group);
}

int carom_process_limits_memory(const struct carom_process_limits *limits,
				uint64_t *ret_limit_bytes, uint64_t *ret_peak_bytes)
{
	if (!limits->is_exceeded)
		return -ENODATA;
	*ret_limit_bytes = limits->limits.memory_bytes;
	*ret_peak_bytes = limits->peak_bytes;
	return 0;
}
