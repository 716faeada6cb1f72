/*
 * Recycle
 *
 * Tasks are counted in the worker's own memory. Memory is measured only where a limit is
 * set, and then only when it can have been exceeded: to measure takes from 10 us to some
 * milliseconds, the longer the more memory it is; to know how many page faults there were
 * takes 0.3 us, and no fault brings more than a huge page.
 *
 *   R1  What was measured last, and a huge page for each fault since, is an upper bound
 *       of what there is now, whichever measure it is.
 */
#include "pool/recycle.h"

#include <sys/resource.h>

#include "core/error.h"
#include "core/log.h"
#include "core/memory_usage.h"
#include "core/time.h"
#include "pool/pool_options.h"

#define HUGE_PAGE CAROM_MIB(2)

static uint64_t count_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

static int measure(enum carom_memory_measure what, uint64_t *ret_bytes)
{
	struct carom_memory_usage usage;
	int r;

	if (what == CAROM_MEMORY_PRIVATE)
		return carom_memory_private(ret_bytes);
	r = carom_memory_usage(&usage);
	if (r == 0)
		*ret_bytes = what == CAROM_MEMORY_PEAK ? usage.peak : usage.current;
	return r;
}

static bool fits_for_certain(const struct carom_recycle *recycle, uint64_t fault_count)
{
	uint64_t growth = (fault_count - recycle->fault_count) * HUGE_PAGE;

	return recycle->was_measured &&
	       recycle->measured_bytes + growth <= recycle->limits.max_bytes; /* R1 */
}

bool carom_recycle_exceeds_memory(struct carom_recycle *recycle)
{
	uint64_t fault_count = count_faults(); /* before: what comes in between counts later */
	int r;

	if (recycle->is_blind)
		return false;
	if (fits_for_certain(recycle, fault_count))
		return false;
	r = measure((enum carom_memory_measure)recycle->limits.memory_measure,
		    &recycle->measured_bytes);
	if (r < 0) {
		recycle->is_blind = true;
		carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_MEMORY_UNKNOWN,
				"memory of this worker cannot be measured: %s", carom_strerror(r));
		return false;
	}
	recycle->was_measured = true;
	recycle->fault_count = fault_count;
	if (recycle->measured_bytes <= recycle->limits.max_bytes)
		return false;
	carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_MEMORY_EXCEEDED,
			"child process exiting after exceeding memory limit (%lluKiB / %lluKiB)",
			(unsigned long long)recycle->measured_bytes / 1024,
			(unsigned long long)recycle->limits.max_bytes / 1024);
	return true;
}
