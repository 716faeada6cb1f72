/*
 * Restart policy
 *
 * Whether a worker that is gone is replaced, and when: three questions, each of which
 * may end in "never", and then the pool is broken. Nothing here knows a process or a
 * clock; the time is an argument.
 *
 *   deaths      Up to max_restarts of them in a window are made good at once. A task
 *               that begins clears their count: who gets work done may lose workers.
 *   failures    to start: a worker was made, and died before it was ready. The first in
 *               a row is made good at once, each later one after a pause that doubles.
 *               So many in a row, and it will not be otherwise the next time.
 *   shortages   A worker could not be made. It is tried again, with pauses, for as long
 *               as nobody minds: as long as others do the work, or there is none to do.
 *               Who waits for it gets to know after ten seconds.
 */
#ifndef CAROM_POOL_RESTART_POLICY_H
#define CAROM_POOL_RESTART_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* how many failures to start in a row are too many: of those that died, that took too long */
#define CAROM_RESTART_FAILURES_MAX 20
#define CAROM_RESTART_TIMEOUTS_MAX 5

/* from when nobody is left to do what somebody waits for */
#define CAROM_RESTART_SHORTAGE_NS CAROM_SECONDS(10)

/**
 * struct carom_restart_policy - what it has seen so far
 * @max_restarts: in a window; 0: any number
 * @restart_count: in this window
 * @window_begin_ns: 0 before the first
 * @failure_count: to start, in a row
 * @refusal_count: to be made, in a row
 * @resume_ns:   what fails until then is the same failure
 * @short_since_ns: somebody waits for a worker that cannot be made; 0: nobody does
 */
struct carom_restart_policy {
	uint64_t max_restarts;
	uint64_t window_ns;
	uint64_t backoff_ns;
	uint64_t restart_count;
	uint64_t window_begin_ns;
	uint64_t failure_count;
	uint64_t refusal_count;
	uint64_t resume_ns;
	uint64_t short_since_ns;
};

/**
 * enum carom_restart - the answer
 * @CAROM_RESTART_LATER: at @resume_ns
 */
enum carom_restart {
	CAROM_RESTART_NOW,
	CAROM_RESTART_LATER,
	CAROM_RESTART_NEVER,
};

/** carom_restart_policy_step() - a worker is to be replaced; false: that is one too many. Row RP-01 */
bool carom_restart_policy_step(struct carom_restart_policy *policy, uint64_t now_ns);

/** carom_restart_policy_progress() - tasks were begun since the last step. Row RP-04 */
void carom_restart_policy_progress(struct carom_restart_policy *policy);

/** carom_restart_policy_ready() - a worker came to be ready: what follows is no row with what was */
void carom_restart_policy_ready(struct carom_restart_policy *policy);

/**
 * carom_restart_policy_failed() - a worker died before it was ready
 * @failures_max: so many in a row are too many
 */
enum carom_restart carom_restart_policy_failed(struct carom_restart_policy *policy, uint64_t now_ns,
					       uint64_t failures_max);

/**
 * carom_restart_policy_refused() - a worker could not be made
 * @is_urgent: there is no other, and somebody waits
 */
enum carom_restart carom_restart_policy_refused(struct carom_restart_policy *policy,
						uint64_t now_ns, bool is_urgent);

#endif
