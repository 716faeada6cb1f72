/*
 * Sampler: memory limits that nobody but the supervisor keeps
 *
 * For pools whose workers are in no control group. While tasks run, a timer of the loop's
 * looks at who runs one; while none does, nothing wakes up.
 */
#ifndef CAROM_POOL_SAMPLER_H
#define CAROM_POOL_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "core/service.h"
#include "core/time.h"
#include "pool/sight.h"

#define CAROM_SAMPLING_PERIOD_NS CAROM_MILLISECONDS(10)

struct carom_pool;
struct incarnation;

/**
 * struct carom_sampler - of a pool that is_sampled
 * @is_armed: the timer is set for the next look, or will be in a moment. With the lock
 * @is_blind: memory cannot be measured here, which was said
 */
struct carom_sampler {
	bool is_armed;
	bool is_blind;
	struct carom_loop_timer timer;
	struct carom_poke poke;
};

/**
 * struct carom_sample - of a worker; all 0 until it runs its first task. The loop's thread
 * @bytes:      by the last look
 * @peak_bytes: the most that was seen
 * @is_running: in the look that is made just now: it runs what @sight says
 */
struct carom_sample {
	uint64_t bytes;
	uint64_t peak_bytes;
	bool is_running;
	struct sight sight;
};

/** carom_sampler_begin() - before the first worker is made; the loop's thread. 0, -ENOMEM. */
int carom_sampler_begin(struct carom_pool *pool);

/** carom_sampler_note() - tasks were submitted. With the lock; only where pool->is_sampled. Any thread. */
void carom_sampler_note(struct carom_pool *pool);

/**
 * carom_sampler_measure() - how much a worker, and all that descends from it, has now
 *
 * The loop's thread. Return: 0: @worker->sample says; -ESRCH: it is about to go, and what
 * open(2) says of /proc.
 */
int carom_sampler_measure(struct incarnation *worker);

/** carom_sampler_end() - no process is left; the loop's thread */
void carom_sampler_end(struct carom_pool *pool);

#endif
