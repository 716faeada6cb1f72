/*
 * Condition
 */
#include "core/cond_wait.h"

#include <time.h>

#include "core/time.h"

int carom_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_ns)
{
	struct timespec until = { .tv_sec = (time_t)(deadline_ns / CAROM_NS_PER_SEC),
				  .tv_nsec = (long)(deadline_ns % CAROM_NS_PER_SEC) };

	if (deadline_ns == CAROM_NO_DEADLINE)
		return -pthread_cond_wait(condition, mutex);
	return -pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &until);
}
