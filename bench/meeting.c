/*
 * Meeting
 *
 * Two futexes: how many have come, and whether it is over.
 */
#include "bench/meeting.h"

#include <limits.h>
#include <stddef.h>
#include <sys/mman.h>

#include "core/time.h"
#include "shm/futex.h"

struct bench_meeting *bench_meeting_new(void)
{
	void *memory = mmap(NULL, sizeof(struct bench_meeting), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void bench_meeting_call(struct bench_meeting *meeting, uint32_t expected_count)
{
	atomic_store(&meeting->arrived_count, 0);
	atomic_store(&meeting->expected_count, expected_count);
	atomic_store(&meeting->is_over, 0);
}

void bench_meeting_attend(struct bench_meeting *meeting)
{
	uint32_t expected_count = atomic_load(&meeting->expected_count);

	if (atomic_fetch_add(&meeting->arrived_count, 1) + 1 == expected_count)
		carom_futex_wake(&meeting->arrived_count, INT_MAX);
	while (!atomic_load(&meeting->is_over))
		carom_futex_wait(&meeting->is_over, 0, CAROM_NO_DEADLINE);
}

void bench_meeting_await(struct bench_meeting *meeting)
{
	uint32_t expected_count = atomic_load(&meeting->expected_count);
	uint32_t arrived_count;

	while ((arrived_count = atomic_load(&meeting->arrived_count)) < expected_count)
		carom_futex_wait(&meeting->arrived_count, arrived_count, CAROM_NO_DEADLINE);
}

void bench_meeting_end(struct bench_meeting *meeting)
{
	atomic_store(&meeting->is_over, 1);
	carom_futex_wake(&meeting->is_over, INT_MAX);
}
