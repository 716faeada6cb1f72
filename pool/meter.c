/*
 * Meter
 *
 * CPU time is the process's own, and that of its children as they are waited for: to the
 * microsecond. A group's cpu.stat has all that ever ran in it, but lags by up to a tick of
 * the kernel's clock behind who is running, which is longer than most tasks.
 *
 * Memory is what the group had at most, of all processes: a peak that begins anew with the
 * descriptor that is written to (Linux 6.12). Where there is none it is what the process had
 * resident at most; that begins anew by /proc/self/clear_refs, which older kernels have, too.
 * getrusage(2) would tell the latter in fewer calls, but keeps what stood there before an exec.
 */
#include "pool/meter.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/cgroup_usage.h"
#include "core/descriptors.h"
#include "core/memory_usage.h"
#include "core/time.h"
#include "ipc/lane.h"

static uint64_t used_by(int who)
{
	struct rusage usage;

	if (getrusage(who, &usage) < 0)
		return 0;
	return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) *
		       CAROM_NS_PER_SEC +
	       ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000;
}

static uint64_t cpu_ns(const struct carom_meter *meter)
{
	if (meter->is_thread)
		return used_by(RUSAGE_THREAD);
	return used_by(RUSAGE_SELF) + used_by(RUSAGE_CHILDREN);
}

/* ---- memory ---- */

static bool begin_peak(const struct carom_meter *meter)
{
	ssize_t n;

	if (meter->peak_fd >= 0)
		return carom_cgroup_peak_reset(meter->peak_fd) == 0;
	do
		n = write(meter->refs_fd, "5", 1);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

static uint64_t peak_bytes(const struct carom_meter *meter)
{
	struct carom_memory_usage usage;
	uint64_t bytes;

	if (!meter->has_peak)
		return 0;
	if (meter->peak_fd >= 0)
		return carom_cgroup_peak_read(meter->peak_fd, &bytes) == 0 ? bytes : 0;
	return carom_memory_usage(&usage) == 0 ? usage.peak : 0;
}

/* ---- a worker's ---- */

void carom_meter_open(struct carom_meter *meter, int peak_fd)
{
	*meter = (struct carom_meter){ .is_on = true, .peak_fd = -1, .refs_fd = -1 };
	if (peak_fd >= 0) {
		meter->peak_fd = carom_descriptor_move_up(peak_fd);
		return;
	}
	meter->refs_fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	if (meter->refs_fd >= 0)
		meter->refs_fd = carom_descriptor_move_up(meter->refs_fd);
}

void carom_meter_open_thread(struct carom_meter *meter)
{
	*meter = (struct carom_meter){
		.is_on = true, .is_thread = true, .peak_fd = -1, .refs_fd = -1
	};
}

void carom_meter_begin(struct carom_meter *meter)
{
	meter->has_peak = (meter->peak_fd >= 0 || meter->refs_fd >= 0) && begin_peak(meter);
	meter->begun_ns = cpu_ns(meter);
}

void carom_meter_end(struct carom_meter *meter, struct carom_lane_usage *usage)
{
	uint64_t now_ns = cpu_ns(meter);

	/* a task may have waited for nobody's child, and a child of its own may be forgotten */
	usage->cpu_ns = now_ns > meter->begun_ns ? now_ns - meter->begun_ns : 0;
	usage->peak_bytes = peak_bytes(meter);
}
