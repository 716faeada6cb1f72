/*
 * Counters
 *
 * Inherited counters cannot be read as a group, so each is one of its own. What the kernel
 * adds up comes in when a child that inherited them has ended: before it is reaped.
 */
#include "tools/bench_counters.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"

const char *const carom_bench_counter_names[CAROM_BENCH_COUNTERS] = {
	"cycles",
	"instructions",
	"branch-misses",
	"cache-misses",
};

static const uint64_t events[CAROM_BENCH_COUNTERS] = {
	PERF_COUNT_HW_CPU_CYCLES,
	PERF_COUNT_HW_INSTRUCTIONS,
	PERF_COUNT_HW_BRANCH_MISSES,
	PERF_COUNT_HW_CACHE_MISSES,
};

static void close_all(struct carom_bench_counters *counters)
{
	for (size_t i = 0; i < CAROM_BENCH_COUNTERS; i++)
		carom_closep(&counters->fds[i]);
}

static int open_one(uint64_t event)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attributes),
		.config = event,
		.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
		.disabled = 1,
		.inherit = 1,
		.enable_on_exec = 1,
		.exclude_kernel = 1, /* users may count no more than this, usually */
		.exclude_hv = 1,
	};
	long fd = syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

int carom_bench_counters_open(struct carom_bench_counters *ret_counters)
{
	struct carom_bench_counters counters = { { -1, -1, -1, -1 } };

	for (size_t i = 0; i < CAROM_BENCH_COUNTERS; i++) {
		int fd = open_one(events[i]);

		if (fd < 0) {
			close_all(&counters);
			return fd;
		}
		counters.fds[i] = fd;
	}
	*ret_counters = counters;
	return 0;
}

int carom_bench_counters_take(struct carom_bench_counters *counters,
			      uint64_t ret_values[CAROM_BENCH_COUNTERS])
{
	uint64_t values[CAROM_BENCH_COUNTERS];
	int r = 0;

	for (size_t i = 0; i < CAROM_BENCH_COUNTERS && r == 0; i++) {
		struct {
			uint64_t value, enabled_ns, running_ns;
		} seen;

		if (read(counters->fds[i], &seen, sizeof(seen)) != sizeof(seen) || !seen.running_ns)
			r = -EIO;
		else
			values[i] = (uint64_t)((double)seen.value * (double)seen.enabled_ns /
					       (double)seen.running_ns);
	}
	close_all(counters);
	for (size_t i = 0; i < CAROM_BENCH_COUNTERS && r == 0; i++)
		ret_values[i] = values[i];
	return r;
}
