/*
 * Sight: what the supervisor saw of a task that runs
 *
 * Taken under the pool's lock, acted on later: what is done about it (see limits.c) hits
 * that task, or that item of a batch, or nothing.
 */
#ifndef CAROM_POOL_SIGHT_H
#define CAROM_POOL_SIGHT_H

#include <stdint.h>

struct task;

/**
 * struct sight - a task as it was seen: loaded in this order
 *
 * A worker notes the time before the progress: so with the progress of one item comes
 * the time of that one or of a later one, never of an earlier.
 *
 * @rest_ns: not 0: an isolated worker says that it is between two items, at the latest since then
 */
struct sight {
	uint32_t slot;
	struct task *task;
	uint64_t word;
	uint64_t progress;
	uint64_t started_ns;
	uint64_t rest_ns;
	uint64_t now_ns;
};

#endif
