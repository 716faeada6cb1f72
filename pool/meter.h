/*
 * Meter: what each task of a worker has used
 *
 * The worker measures, before and after, and leaves it beside the task's slot. What others
 * read there is its word for it.
 *
 * Four calls of getrusage(2) a task, a write and a read where the group has a peak of its own;
 * else a write and three calls to read /proc/self/status: 32 us more than the 7 us that an empty
 * task takes. Of a pool that was asked for it; others have one look at a flag.
 */
#ifndef CAROM_POOL_METER_H
#define CAROM_POOL_METER_H

#include <stdbool.h>
#include <stdint.h>

struct carom_lane_usage;

/**
 * struct carom_meter - of one worker; all 0: it does not measure
 * @is_on:       it does
 * @is_thread:   a thread has CPU time, but no memory for itself
 * @peak_fd:     memory.peak of its group, with a peak of its own; -1: the kernel has none
 * @refs_fd:     where that is so: what makes its process's peak begin anew; -1: it does not tell
 * @begun_ns:    CPU time, when the task at hand was begun
 * @has_peak:    and then a peak was begun, too
 */
struct carom_meter {
	bool is_on;
	bool is_thread;
	bool has_peak;
	int peak_fd;
	int refs_fd;
	uint64_t begun_ns;
};

/**
 * carom_meter_open() - of a worker's process, before it is confined
 * @peak_fd: the meter's from now on; -1: there is none
 */
void carom_meter_open(struct carom_meter *meter, int peak_fd);

/** carom_meter_open_thread() - of a thread */
void carom_meter_open_thread(struct carom_meter *meter);

/** carom_meter_begin() - a task is about to be begun. Only if it is on, as the next. */
void carom_meter_begin(struct carom_meter *meter);

/** carom_meter_end() - it has ended; before that can be seen */
void carom_meter_end(struct carom_meter *meter, struct carom_lane_usage *usage);

#endif
