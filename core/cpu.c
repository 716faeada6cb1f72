/*
 * Cpu
 *
 * A quota stands in any group on the way from the own one to the top of what is
 * mounted, and each of them holds, so the tightest counts. Groups in which the
 * controller is not enabled have no such file, nor has the root of all: a file that
 * is not there is no quota. What lies above the mount's top cannot be seen; in a
 * container the runtime's own quota stands at the top, or right below.
 *
 * On a machine with both versions of cgroups, the controller is in one of them, and
 * the other has no such files: looking at both finds it.
 */
#include "core/cpu_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cgroup.h"
#include "core/log.h"
#include "core/small_file.h"

#define NO_QUOTA INT_MAX

static bool is_shortage(int error)
{
	return error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}

/* Reads the start of the file as text. Return: 0, -ENODATA (there is nothing), or a shortage. */
static int read_text(const char *directory, const char *name, char *text, size_t size)
{
	char path[PATH_MAX];
	ssize_t n;

	if (snprintf(path, sizeof(path), "%s%s", directory, name) >= (int)sizeof(path))
		return -ENODATA;
	n = carom_small_file_read(AT_FDCWD, path, text, size);
	if (n > 0)
		return 0;
	return is_shortage((int)n) ? (int)n : -ENODATA;
}

/* A number from 1 on, and what stands behind it; 0 if there is none. */
static uint64_t take_number(const char **text)
{
	char *end;
	uint64_t number;

	if (**text < '0' || **text > '9')
		return 0;
	errno = 0;
	number = strtoull(*text, &end, 10);
	*text = end;
	return errno ? 0 : number;
}

/* --- the machine ------------------------------------------------------- */

/* "0-3,8,10-11" is 7; 0 for anything else. */
static int count_list(const char *text)
{
	uint64_t count = 0;

	for (;; text++) {
		char *end;
		unsigned long first = strtoul(text, &end, 10);
		unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;

		if (end == text || last < first || last - first >= INT_MAX)
			return 0;
		count += last - first + 1;
		text = end;
		if (*text != ',')
			break;
	}
	return (*text == '\n' || *text == '\0') && count <= INT_MAX ? (int)count : 0;
}

/* sysconf(3) of some C libraries counts the affinity mask instead. */
static int system_count(const char *root)
{
	char text[4096];
	int count = 0;

	if (read_text(root, "/sys/devices/system/cpu/online", text, sizeof(text)) == 0)
		count = count_list(text);
	if (count == 0)
		count = (int)sysconf(_SC_NPROCESSORS_ONLN);
	return count > 0 ? count : 1;
}

/* --- the affinity mask -------------------------------------------------- */

static int count_mask(size_t bits)
{
	cpu_set_t *mask = CPU_ALLOC(bits);
	size_t size = CPU_ALLOC_SIZE(bits);
	int count = -ENOMEM;

	if (mask)
		count = sched_getaffinity(0, size, mask) < 0 ? -errno : CPU_COUNT_S(size, mask);
	CPU_FREE(mask);
	return count;
}

/* The kernel says EINVAL to a mask that is smaller than the machine could become. */
static int affinity_count(void)
{
	size_t bits = CPU_SETSIZE;
	int count;

	do
		count = count_mask(bits);
	while (count == -EINVAL && (bits *= 2) <= 1 << 20);
	return count;
}

/* --- the quota --------------------------------------------------------- */

static int whole_cpus(uint64_t quota_us, uint64_t period_us)
{
	uint64_t count;

	if (!quota_us || !period_us)
		return NO_QUOTA;
	count = quota_us / period_us + (quota_us % period_us != 0);
	return count < NO_QUOTA ? (int)count : NO_QUOTA;
}

/* "200000 100000", or "max 100000". Return: 0 or a shortage. */
static int read_v2(const char *directory, int *ret_count)
{
	char text[64];
	const char *at = text;
	uint64_t quota_us;
	int r = read_text(directory, "/cpu.max", text, sizeof(text));

	if (r < 0)
		return r == -ENODATA ? 0 : r;
	quota_us = take_number(&at);
	if (quota_us && *at == ' ') {
		at++;
		*ret_count = whole_cpus(quota_us, take_number(&at));
	}
	return 0;
}

/* Two files; the quota is -1 where there is none. */
static int read_v1(const char *directory, int *ret_count)
{
	char quota[32], period[32];
	const char *quota_at = quota, *period_at = period;
	int r = read_text(directory, "/cpu.cfs_quota_us", quota, sizeof(quota));

	if (r == 0)
		r = read_text(directory, "/cpu.cfs_period_us", period, sizeof(period));
	if (r < 0)
		return r == -ENODATA ? 0 : r;
	*ret_count = whole_cpus(take_number(&quota_at), take_number(&period_at));
	return 0;
}

static int visit_place(const struct carom_cgroup_place *place, void *userdata)
{
	int *tightest = userdata;
	int r;

	do {
		int count = NO_QUOTA;

		r = place->is_v2 ? read_v2(place->path, &count) : read_v1(place->path, &count);
		if (count < *tightest)
			*tightest = count;
	} while (r == 0 && carom_cgroup_ascend(place));
	return r;
}

static int quota_count(const char *root)
{
	int tightest = NO_QUOTA;
	int r = carom_cgroup_places(root, "cpu", visit_place, &tightest);

	if (r < 0)
		return is_shortage(r) ? r : -EOPNOTSUPP;
	if (r == 0)
		return -EOPNOTSUPP;
	return tightest == NO_QUOTA ? -ENODATA : tightest;
}

/* --- what can be used --------------------------------------------------- */

static void warn_once(const char *name, const char *value)
{
	static atomic_flag warned = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&warned))
		carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_COUNT_UNKNOWN,
				"%s: \"%s\" is not a number of CPUs", name, value);
}

/* The number that @name holds; 0: it is to be counted; -ENODATA: it says nothing. */
static int said_by(const char *name)
{
	const char *value = getenv(name);
	const char *at = value;
	uint64_t number;

	if (!value || !*value)
		return -ENODATA;
	if (strcmp(value, "default") == 0)
		return 0;
	number = take_number(&at);
	if (number >= 1 && number <= INT_MAX && !*at)
		return (int)number;
	warn_once(name, value);
	return -ENODATA;
}

static int usable_count(const char *root)
{
	int count = said_by("CAROM_CPU_COUNT");
	int quota;

	if (count < 0)
		count = said_by("PYTHON_CPU_COUNT");
	if (count > 0)
		return count;
	count = affinity_count();
	if (count <= 0)
		count = system_count(root);
	quota = quota_count(root);
	return quota > 0 && quota < count ? quota : count;
}

int carom_cpu_count_below(const char *root, enum carom_cpu_kind kind)
{
	switch (kind) {
	case CAROM_CPU_USABLE:
		return usable_count(root);
	case CAROM_CPU_SYSTEM:
		return system_count(root);
	case CAROM_CPU_AFFINITY:
		return affinity_count();
	case CAROM_CPU_QUOTA:
		return quota_count(root);
	}
	return -EINVAL;
}

int carom_cpu_count(enum carom_cpu_kind kind)
{
	return carom_cpu_count_below("", kind);
}
