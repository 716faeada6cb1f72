/*
 * Condition
 */
#include "core/cond_wait.h"

#include "core/time.h"
#include "core/timespec.h"

int carom_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_ns)
{
	struct timespec until = carom_timespec(deadline_ns);

	if (deadline_ns == CAROM_NO_DEADLINE)
		return -pthread_cond_wait(condition, mutex);
	return -pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &until);
}
