/*
 * Cgroup: killing a group, and waiting until it is empty
 *
 * cgroup.kill is one write, and misses nobody. Linux before 5.14 has no such file; there
 * the group is frozen first, so that what is in it starts nothing more and nobody in it
 * ends by itself and leaves its pid to another; a frozen process dies of SIGKILL. To
 * freeze takes effect a little later, so the list is read until it brings nothing new.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "core/cgroup_file.h"
#include "core/cgroup_group_private.h"
#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/probe.h"

#define PASS_COUNT 16

static int kill_one(pid_t pid, void *count)
{
	if (pid == 0)
		return -EPERM; /* of a pid namespace that this process does not see */
	if (kill(pid, SIGKILL) < 0 && errno != ESRCH)
		return -errno;
	++*(size_t *)count;
	return 0;
}

static int kill_all_below(int fd, size_t *count);

static int kill_all_in_groups(DIR *directory, size_t *count)
{
	const struct dirent *entry;
	int r = 0;

	while (r == 0 && (entry = readdir(directory))) {
		CAROM_CLEANUP(carom_closep) int fd = -1;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		fd = openat(dirfd(directory), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			r = kill_all_below(fd, count);
	}
	return r;
}

static int kill_all_below(int fd, size_t *count)
{
	int r = carom_cgroup_file_members(fd, kill_one, count);
	int copy_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = copy_fd < 0 ? NULL : fdopendir(copy_fd);

	if (!directory) {
		carom_closep(&copy_fd);
		return r;
	}
	if (r == 0)
		r = kill_all_in_groups(directory, count);
	closedir(directory);
	return r;
}

static int kill_each(int fd)
{
	size_t before = SIZE_MAX, count = 0;
	int r = 0;

	carom_cgroup_file_write(fd, "cgroup.freeze", "1"); /* without it there are more passes */
	for (int i = 0; r == 0 && i < PASS_COUNT && (count != before || i < 2); i++) {
		before = count;
		count = 0;
		r = kill_all_below(fd, &count);
		if (count == 0)
			break;
	}
	carom_cgroup_file_write(fd, "cgroup.freeze", "0");
	return r;
}

int carom_cgroup_kill(struct carom_cgroup *group)
{
	int fd = carom_cgroup_fd(group);
	int r = -ENOENT;

	if (!carom_cgroup_is_own(group))
		return -ECHILD;
	if (carom_probe(CAROM_FEATURE_CGROUP_KILL))
		r = carom_cgroup_file_write(fd, "cgroup.kill", "1");
	return r == -ENOENT ? kill_each(fd) : r;
}

/* --- waiting ----------------------------------------------------------- */

int carom_cgroup_wait_empty(struct carom_cgroup *group, uint64_t deadline_ns)
{
	CAROM_CLEANUP(carom_closep) int events_fd = -1;
	int r;

	if (!carom_cgroup_is_own(group))
		return -ECHILD;
	events_fd = openat(carom_cgroup_fd(group), "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (events_fd < 0)
		return -errno;
	/* read before each wait: the kernel tells of what has changed since */
	while ((r = carom_cgroup_events_populated(events_fd)) == 1) {
		r = carom_descriptor_wait_for(events_fd, POLLPRI, deadline_ns);
		if (r < 0)
			return r;
	}
	return r == -ENODEV ? 0 : r; /* removed */
}
