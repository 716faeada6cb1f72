/*
 * Recycle: when a worker has done enough
 *
 * A worker looks after each task, when its value is left and told of: so to be replaced
 * never costs a task. Rows PC-04, PC-21.
 */
#ifndef CAROM_POOL_RECYCLE_H
#define CAROM_POOL_RECYCLE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct carom_recycle_limits - 0 is none
 * @max_tasks:      so many tasks, or items
 * @counts_items:   items of a batch count each for itself
 * @max_bytes:      more memory than that after a task
 * @memory_measure: of which memory: one of enum carom_memory_measure
 */
struct carom_recycle_limits {
	uint64_t max_tasks;
	uint64_t counts_items;
	uint64_t max_bytes;
	uint64_t memory_measure;
};

/**
 * struct carom_recycle - what a worker has done
 * @measured_bytes, @fault_count: how much memory it had when that was last measured, and
 *                 how many page faults until then
 * @is_blind:      memory cannot be measured here, which was said
 */
struct carom_recycle {
	struct carom_recycle_limits limits;
	uint64_t task_count;
	uint64_t measured_bytes;
	uint64_t fault_count;
	bool was_measured;
	bool is_blind;
};

/** carom_recycle_exceeds_memory() - measured only if it may be so */
bool carom_recycle_exceeds_memory(struct carom_recycle *recycle);

/**
 * carom_recycle_due() - a task is done: is it the last one of this worker?
 * @item_count: of a batch; 1
 */
static inline bool carom_recycle_due(struct carom_recycle *recycle, uint64_t item_count)
{
	const struct carom_recycle_limits *limits = &recycle->limits;

	recycle->task_count += limits->counts_items ? item_count : 1;
	if (limits->max_tasks && recycle->task_count >= limits->max_tasks)
		return true;
	return limits->max_bytes && carom_recycle_exceeds_memory(recycle);
}

#endif
