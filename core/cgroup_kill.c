/*
 * Cgroup: killing a group, and waiting until it is empty
 *
 * cgroup.kill is one write, and misses nobody. Linux before 5.14 has no such file; there
 * the group is frozen first, so that what is in it starts nothing more and nobody in it
 * ends by itself and leaves its pid to another; a frozen process dies of SIGKILL. To
 * freeze takes effect a little later, so the list is read until it brings nothing new.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "core/cgroup_file.h"
#include "core/cgroup_group_private.h"
#include "core/cgroup_living.h"
#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/probe.h"

#define PASS_COUNT 16

/** struct tally - of the processes that were killed; @r: why one was not */
struct tally {
	size_t count;
	int r;
};

static int kill_one(pid_t pid, void *userdata)
{
	struct tally *tally = userdata;

	if (pid == 0)
		return -EPERM; /* of a pid namespace that this process does not see */
	if (kill(pid, SIGKILL) < 0 && errno != ESRCH)
		return -errno;
	tally->count++;
	return 0;
}

static int kill_all_in(int parent_fd, const char *name, void *userdata);

/* A group in it that is gone again has nobody left to kill. */
static void kill_all_below(int fd, struct tally *tally)
{
	tally->r = carom_cgroup_file_members(fd, kill_one, tally);
	if (tally->r == 0)
		carom_cgroup_file_groups(fd, kill_all_in, tally);
}

static int kill_all_in(int parent_fd, const char *name, void *userdata)
{
	CAROM_CLEANUP(carom_closep)
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct tally *tally = userdata;

	if (fd >= 0)
		kill_all_below(fd, tally);
	return tally->r;
}

static int kill_each(int fd)
{
	struct tally tally = { 0 };
	size_t before = SIZE_MAX;

	carom_cgroup_file_write(fd, "cgroup.freeze", "1"); /* without it there are more passes */
	for (int i = 0; tally.r == 0 && i < PASS_COUNT && (tally.count != before || i < 2); i++) {
		before = tally.count;
		tally.count = 0;
		kill_all_below(fd, &tally);
		if (tally.count == 0)
			break;
	}
	carom_cgroup_file_write(fd, "cgroup.freeze", "0");
	return tally.r;
}

int carom_cgroup_kill(struct carom_cgroup *group)
{
	CAROM_CLEANUP(carom_closep) int own_fd = -1;
	int fd, r = -ENOENT;

	if (!carom_cgroup_is_own(group))
		return -ECHILD;
	fd = carom_cgroup_hold(group, &own_fd);
	if (fd < 0)
		return fd;
	if (carom_probe(CAROM_FEATURE_CGROUP_KILL))
		r = carom_cgroup_file_write(fd, "cgroup.kill", "1");
	return r == -ENOENT ? kill_each(fd) : r;
}

/* --- waiting ----------------------------------------------------------- */

int carom_cgroup_wait_empty(struct carom_cgroup *group, uint64_t deadline_ns)
{
	CAROM_CLEANUP(carom_closep) int events_fd = -1;
	CAROM_CLEANUP(carom_closep) int own_fd = -1;
	int fd, r;

	if (!carom_cgroup_is_own(group))
		return -ECHILD;
	fd = carom_cgroup_hold(group, &own_fd);
	if (fd < 0)
		return fd;
	events_fd = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
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
