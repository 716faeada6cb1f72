/*
 * Cgroup: what the kernel has counted in a group
 *
 * A file that is not there is one that this kernel, or this group without the controller,
 * does not have: -EOPNOTSUPP. A key that is not in a file counts 0: kernels add keys.
 */
#include "core/cgroup_usage.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/cgroup_file.h"
#include "core/cgroup_group_private.h"
#include "core/cgroup_living.h"
#include "core/cleanup.h"

#define TEXT_SIZE 4096
#define NS_PER_US UINT64_C(1000)

/** struct field - where the number of a key goes, times @scale */
struct field {
	const char *key;
	uint64_t *number;
	uint64_t scale;
};

static int parse(const char *text, const struct field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t number = 0;
		int r = carom_cgroup_text_field(text, fields[i].key, &number);

		if (r == -EBADMSG || __builtin_mul_overflow(number, fields[i].scale, &number))
			return -EBADMSG;
		*fields[i].number = number;
	}
	return 0;
}

static int read_fields(struct carom_cgroup *group, const char *file, const struct field *fields,
		       size_t count)
{
	CAROM_CLEANUP(carom_closep) int own_fd = -1;
	char text[TEXT_SIZE];
	int fd, r;

	if (!carom_cgroup_is_own(group))
		return -ECHILD;
	fd = carom_cgroup_hold(group, &own_fd);
	if (fd < 0)
		return fd;
	r = carom_cgroup_file_read(fd, file, text, sizeof(text));
	if (r < 0)
		return r == -ENOENT ? -EOPNOTSUPP : r == -EMSGSIZE ? -EBADMSG : r;
	return parse(text, fields, count);
}

static int read_number(struct carom_cgroup *group, const char *file, uint64_t *ret_number)
{
	CAROM_CLEANUP(carom_closep) int own_fd = -1;
	int fd, r;

	if (!carom_cgroup_is_own(group))
		return -ECHILD;
	fd = carom_cgroup_hold(group, &own_fd);
	if (fd < 0)
		return fd;
	r = carom_cgroup_file_number(fd, file, ret_number);
	return r == -ENOENT ? -EOPNOTSUPP : r;
}

int carom_cgroup_memory_events(struct carom_cgroup *group, bool is_local,
			       struct carom_cgroup_memory_events *ret_events)
{
	struct carom_cgroup_memory_events events;
	const struct field fields[] = {
		{ "low", &events.low, 1 },
		{ "high", &events.high, 1 },
		{ "max", &events.max, 1 },
		{ "oom", &events.oom, 1 },
		{ "oom_kill", &events.oom_kill, 1 },
		{ "oom_group_kill", &events.oom_group_kill, 1 },
	};
	int r = read_fields(group, is_local ? "memory.events.local" : "memory.events", fields,
			    sizeof(fields) / sizeof(*fields));

	if (r == 0)
		*ret_events = events;
	return r;
}

int carom_cgroup_memory_bytes(struct carom_cgroup *group, uint64_t *ret_bytes)
{
	return read_number(group, "memory.current", ret_bytes);
}

int carom_cgroup_memory_peak(struct carom_cgroup *group, uint64_t *ret_bytes)
{
	return read_number(group, "memory.peak", ret_bytes);
}

int carom_cgroup_swap_bytes(struct carom_cgroup *group, uint64_t *ret_bytes)
{
	return read_number(group, "memory.swap.current", ret_bytes);
}

/* --- a peak of one's own ------------------------------------------------ */

/* Before Linux 6.12 nobody can open it to write: EINVAL for root, EACCES for others. */
int carom_cgroup_peak_open(struct carom_cgroup *group, int *ret_fd)
{
	CAROM_CLEANUP(carom_closep) int own_fd = -1;
	int fd, r;

	if (!carom_cgroup_is_own(group))
		return -ECHILD;
	fd = carom_cgroup_hold(group, &own_fd);
	if (fd < 0)
		return fd;
	fd = openat(fd, "memory.peak", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno == EINVAL || errno == EACCES || errno == ENOENT ? -EOPNOTSUPP : -errno;
	r = carom_cgroup_peak_reset(fd);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int carom_cgroup_peak_reset(int peak_fd)
{
	ssize_t n;

	do
		n = write(peak_fd, "reset\n", 6); /* wherever it stands */
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EINVAL ? -EOPNOTSUPP : -errno;
	return 0;
}

int carom_cgroup_peak_read(int peak_fd, uint64_t *ret_bytes)
{
	char text[32];
	int r = carom_cgroup_file_read_anew(peak_fd, text, sizeof(text));

	return r < 0 ? r : carom_cgroup_text_number(text, NULL, ret_bytes);
}

/* --- processors and processes ------------------------------------------ */

int carom_cgroup_cpu(struct carom_cgroup *group, struct carom_cgroup_cpu *ret_cpu)
{
	struct carom_cgroup_cpu cpu;
	const struct field fields[] = {
		{ "usage_usec", &cpu.usage_ns, NS_PER_US },
		{ "user_usec", &cpu.user_ns, NS_PER_US },
		{ "system_usec", &cpu.system_ns, NS_PER_US },
		{ "nr_periods", &cpu.period_count, 1 },
		{ "nr_throttled", &cpu.throttled_count, 1 },
		{ "throttled_usec", &cpu.throttled_ns, NS_PER_US },
	};
	int r = read_fields(group, "cpu.stat", fields, sizeof(fields) / sizeof(*fields));

	if (r == 0)
		*ret_cpu = cpu;
	return r;
}

int carom_cgroup_pids(struct carom_cgroup *group, struct carom_cgroup_pids *ret_pids)
{
	struct carom_cgroup_pids pids = { 0 };
	const struct field events = { "max", &pids.max_count, 1 };
	int r = read_number(group, "pids.current", &pids.current);

	if (r == 0)
		r = read_fields(group, "pids.events", &events, 1);
	if (r < 0)
		return r;
	r = read_number(group, "pids.peak", &pids.peak);
	if (r < 0 && r != -EOPNOTSUPP)
		return r;
	*ret_pids = pids;
	return 0;
}
