/* Timespec: nanoseconds as the kernel's calls take them. */
#ifndef CAROM_CORE_TIMESPEC_H
#define CAROM_CORE_TIMESPEC_H

#include <stdint.h>
#include <time.h>

#include "core/time.h"

/** carom_timespec() - a point in time, or a length of it. AS-Safe. */
static inline struct timespec carom_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / CAROM_NS_PER_SEC),
				  .tv_nsec = (long)(ns % CAROM_NS_PER_SEC) };
}

#endif
