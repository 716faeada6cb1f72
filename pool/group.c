/*
 * Group
 *
 * When a worker is dead its group says why, if it was the kernel that killed it: for want
 * of memory at the worker's limit (its group has come to its limit, event `oom`, and a process
 * of it was killed, event `oom_kill`), at the pool's (the pool's group has come to its own),
 * or elsewhere (killed, and neither has). The kernel counts before it kills, and the
 * group is of one process and what that has started.
 *
 *   N1  A worker runs nothing of the program's before it is in its group: it is born
 *       there, or moved there before it is admitted to the lane.
 *   N2  A group is killed when its worker is buried, but for an execution that has begun
 *       (see limits.c): then when that ends. What a worker has started never goes on
 *       without it.
 *   N3  The pool's own events rise with each of its workers that is killed so, before that
 *       is: if they have not since they were last looked at, it was not the pool. They rise
 *       by more than one for an end where several want memory, or a next worker does while the
 *       last one still has its own; and for two that die at once. So what is beyond one, and
 *       what comes until the dead one's memory is free, stands for further ends for AT_ONCE_NS.
 *       One that is killed elsewhere in that time counts as the pool's.
 */
#include "pool/group.h"

#include <errno.h>
#include <string.h>

#include "core/cgroup_group.h"
#include "core/cgroup_usage.h"
#include "core/error.h"
#include "core/log.h"
#include "core/points.h"
#include "core/probe.h"
#include "core/time.h"
#include "pool/pool_private.h"

#define AT_ONCE_NS CAROM_SECONDS(5) /* N3: what has much memory is long in dying */

/* ---- of the pool ---- */

static int make_whole(struct carom_pool *pool, const struct carom_cgroup_limits *limits,
		      char *reason)
{
	struct carom_cgroup_options options = { .name = "pool",
						.limits = limits,
						.holds_groups = true };
	int r = carom_cgroup_new(&options, reason, &pool->groups.whole);

	if (r == 0)
		carom_cgroup_limits_of(pool->groups.whole, &pool->limits.pool);
	return r;
}

static struct carom_cgroup_options of_worker(const struct carom_pool *pool)
{
	return (struct carom_cgroup_options){ .parent = pool->groups.whole,
					      .name = "worker",
					      .limits = &pool->groups.limits };
}

/* one is made and removed: whether it can be had, and with which limits */
static int try_worker(struct carom_pool *pool, char *reason)
{
	struct carom_cgroup_options options = of_worker(pool);
	struct carom_cgroup *group;
	int r = carom_cgroup_new(&options, reason, &group);

	if (r < 0)
		return r;
	carom_cgroup_limits_of(group, &pool->limits.worker);
	carom_cgroup_free(group);
	return 0;
}

int carom_groups_begin(struct carom_pool *pool, const struct carom_cgroup_limits *worker,
		       const struct carom_cgroup_limits *whole, char *reason)
{
	struct carom_groups *groups = &pool->groups;
	int r = whole && !groups->whole ? make_whole(pool, whole, reason) : 0;

	if (r < 0)
		return r;
	groups->limits = *worker;
	groups->limits.size_bytes = sizeof(groups->limits);
	r = try_worker(pool, reason);
	if (r < 0)
		return r;
	groups->is_on = true;
	groups->moves = !carom_probe(CAROM_FEATURE_CLONE3);
	return 0;
}

void carom_groups_end(struct carom_pool *pool)
{
	pool->groups.whole = carom_cgroup_free(pool->groups.whole);
	pool->groups.is_on = false;
}

bool carom_groups_are_full(const struct carom_pool *pool)
{
	struct carom_cgroup *whole = pool->groups.whole;
	struct carom_cgroup_memory_events events;

	return whole && carom_cgroup_memory_events(whole, true, &events) == 0 && events.max;
}

/* ---- births ---- */

int carom_group_make(struct incarnation *next, struct carom_pool *pool)
{
	struct carom_cgroup_options options = of_worker(pool);
	char reason[CAROM_CGROUP_REASON_SIZE];
	int r;

	if (!pool->groups.is_on)
		return 0;
	r = carom_cgroup_new(&options, reason, &next->group);
	if (r < 0)
		carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_LIMITS_REFUSED,
				"no control group for a worker: %s", reason);
	else if (pool->options.task_usage &&
		 carom_cgroup_peak_open(next->group, &next->peak_fd) < 0)
		next->peak_fd = -1; /* it measures by other means */
	CAROM_POINT("group.made");
	return r;
}

int carom_group_birthplace(const struct incarnation *next, const struct carom_pool *pool)
{
	return next->group && !pool->groups.moves ? carom_cgroup_fd(next->group) : 0;
}

bool carom_group_cannot_bear(struct carom_pool *pool, int error)
{
	static const int reasons[] = { EOPNOTSUPP, ENOSYS, EPERM, EACCES, EINVAL, E2BIG, EBUSY };

	if (!pool->groups.is_on || pool->groups.moves)
		return false;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		pool->groups.moves |= error == -reasons[i];
	return pool->groups.moves;
}

int carom_group_admit(struct incarnation *child)
{
	if (!child->group || !child->worker->pool->groups.moves)
		return 0;
	CAROM_POINT("group.moving");
	return carom_cgroup_admit(child->group, child->pid);
}

/* ---- ends ---- */

/* by how much the pool's events have risen */
static uint64_t look_at_whole(struct carom_groups *groups)
{
	struct carom_cgroup_memory_events events;
	uint64_t rise;

	if (!groups->whole || carom_cgroup_memory_events(groups->whole, true, &events) < 0)
		return 0;
	rise = events.oom - groups->oom_count;
	groups->oom_count = events.oom;
	return rise;
}

static void spare(struct carom_groups *groups, uint64_t count)
{
	if (!count)
		return;
	groups->spare_count += count;
	groups->spare_ns = carom_now();
}

/* N3 */
static bool was_killed_by_whole(struct carom_groups *groups)
{
	uint64_t rise = look_at_whole(groups);

	if (rise) {
		spare(groups, rise - 1);
		return true;
	}
	if (carom_now() - groups->spare_ns > AT_ONCE_NS)
		groups->spare_count = 0;
	if (!groups->spare_count)
		return false;
	groups->spare_count--;
	return true;
}

enum carom_group_verdict carom_group_judge(const struct incarnation *dead, uint64_t *ret_peak_bytes)
{
	struct carom_cgroup_memory_events events;

	if (!dead->group || carom_cgroup_memory_events(dead->group, false, &events) < 0 ||
	    !events.oom_kill)
		return CAROM_GROUP_INNOCENT;
	if (carom_cgroup_memory_peak(dead->group, ret_peak_bytes) < 0)
		*ret_peak_bytes = 0;
	if (carom_cgroup_has_killed(&events))
		return CAROM_GROUP_OWN_LIMIT;
	return was_killed_by_whole(&dead->worker->pool->groups) ? CAROM_GROUP_POOL_LIMIT
								: CAROM_GROUP_OUTSIDE;
}

bool carom_group_kill(const struct incarnation *child)
{
	return child->group && carom_cgroup_kill(child->group) == 0;
}

struct carom_cgroup *carom_group_take(struct incarnation *dead)
{
	struct carom_cgroup *group = dead->group;

	dead->group = NULL;
	return group;
}

/* N3 */
void carom_group_gone(struct incarnation *dead)
{
	struct carom_groups *groups = &dead->worker->pool->groups;

	if (dead->group)
		spare(groups, look_at_whole(groups));
}

void carom_group_forget(struct incarnation *dead)
{
	carom_group_kill(dead); /* N2: what an execution that is over by now had spared */
	CAROM_POINT("group.forgetting");
	dead->group = carom_cgroup_free(dead->group);
}

void carom_group_lose(struct incarnation *child)
{
	child->group = carom_cgroup_lose(child->group);
}

void carom_groups_lose(struct carom_pool *pool)
{
	pool->groups.whole = carom_cgroup_lose(pool->groups.whole);
	pool->groups.is_on = false;
}

/* ---- what was counted ---- */

void carom_group_look(const struct incarnation *child, struct carom_worker_usage *usage)
{
	struct carom_cgroup_memory_events events;
	struct carom_cgroup_cpu cpu;
	struct carom_cgroup_pids pids;

	if (!child->group)
		return;
	/* what fails leaves what is there: not known */
	carom_cgroup_memory_bytes(child->group, &usage->memory_bytes);
	carom_cgroup_memory_peak(child->group, &usage->memory_peak_bytes);
	if (carom_cgroup_memory_events(child->group, false, &events) == 0) {
		usage->memory_limit_count = events.max;
		usage->memory_high_count = events.high;
	}
	if (carom_cgroup_cpu(child->group, &cpu) == 0) {
		usage->cpu_ns = cpu.usage_ns;
		if (child->worker->pool->limits.worker.cpu_quota_ns)
			usage->cpu_throttled_ns = cpu.throttled_ns;
	}
	if (carom_cgroup_pids(child->group, &pids) == 0) {
		usage->process_count = pids.current;
		usage->process_refused_count = pids.max_count;
	}
}
