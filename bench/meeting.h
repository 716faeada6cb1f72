/*
 * Meeting
 *
 * A place in shared memory where tasks wait for each other: so many of them at once
 * that every worker of a pool has one. Nobody polls.
 */
#ifndef CAROM_BENCH_MEETING_H
#define CAROM_BENCH_MEETING_H

#include <stdatomic.h>
#include <stdint.h>

struct bench_meeting {
	_Atomic uint32_t arrived_count;
	_Atomic uint32_t expected_count;
	_Atomic uint32_t is_over;
};

/** bench_meeting_new() - one that children of this process share; NULL if there is no memory */
struct bench_meeting *bench_meeting_new(void);

/** bench_meeting_call() - so many are to come. None may be there from before. */
void bench_meeting_call(struct bench_meeting *meeting, uint32_t expected_count);

/** bench_meeting_attend() - a task: come, and stay until the end */
void bench_meeting_attend(struct bench_meeting *meeting);

/** bench_meeting_await() - until all that are expected have come */
void bench_meeting_await(struct bench_meeting *meeting);

/** bench_meeting_end() - let everybody go */
void bench_meeting_end(struct bench_meeting *meeting);

#endif
