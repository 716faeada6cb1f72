/*
 * Restart policy
 *
 *   RS1  Within a pause all failures are one, so that a pool of many workers has as
 *        much time as one of few.
 *   RS2  What is answered with LATER is asked again: by the next failure, if there is one.
 */
#include "pool/restart_policy.h"

#include "core/time.h"

#define FAILURE_DOUBLINGS_MAX 6  /* 64 times the pause */
#define REFUSAL_DOUBLINGS_MAX 10 /* 1024 times: others need the resources, too */

/* Row RP-01, in its own order: the step that is one too many begins a new count */
bool carom_restart_policy_step(struct carom_restart_policy *policy, uint64_t now_ns)
{
	if (policy->window_begin_ns && now_ns - policy->window_begin_ns >= policy->window_ns) {
		policy->window_begin_ns = now_ns;
		policy->restart_count = 0;
	} else if (policy->max_restarts && policy->restart_count >= policy->max_restarts) {
		policy->restart_count = 0;
		return false;
	}
	if (!policy->window_begin_ns)
		policy->window_begin_ns = now_ns;
	policy->restart_count++;
	return true;
}

void carom_restart_policy_progress(struct carom_restart_policy *policy)
{
	policy->restart_count = 0;
}

void carom_restart_policy_ready(struct carom_restart_policy *policy)
{
	policy->failure_count = 0;
	policy->refusal_count = 0;
	policy->short_since_ns = 0;
}

/* @count: failures in a row; the first one has no pause */
static enum carom_restart pause_for(struct carom_restart_policy *policy, uint64_t now_ns,
				    uint64_t count, uint64_t doublings_max)
{
	uint64_t doublings = count - 2 < doublings_max ? count - 2 : doublings_max;
	uint64_t pause;

	if (count < 2)
		return CAROM_RESTART_NOW;
	if (__builtin_mul_overflow(policy->backoff_ns, UINT64_C(1) << doublings, &pause) ||
	    __builtin_add_overflow(now_ns, pause, &policy->resume_ns))
		policy->resume_ns = CAROM_NO_DEADLINE;
	return CAROM_RESTART_LATER;
}

enum carom_restart carom_restart_policy_failed(struct carom_restart_policy *policy, uint64_t now_ns,
					       uint64_t failures_max)
{
	if (now_ns < policy->resume_ns)
		return CAROM_RESTART_LATER; /* RS1 */
	if (policy->failure_count >= failures_max)
		return CAROM_RESTART_NEVER;
	policy->failure_count++;
	return pause_for(policy, now_ns, policy->failure_count, FAILURE_DOUBLINGS_MAX);
}

enum carom_restart carom_restart_policy_refused(struct carom_restart_policy *policy,
						uint64_t now_ns, bool is_urgent)
{
	if (!is_urgent)
		policy->short_since_ns = 0;
	else if (!policy->short_since_ns)
		policy->short_since_ns = now_ns;
	else if (now_ns - policy->short_since_ns >= CAROM_RESTART_SHORTAGE_NS)
		return CAROM_RESTART_NEVER;
	if (now_ns < policy->resume_ns)
		return CAROM_RESTART_LATER; /* RS1 */
	policy->refusal_count++;
	return pause_for(policy, now_ns, policy->refusal_count, REFUSAL_DOUBLINGS_MAX);
}
