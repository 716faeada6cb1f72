/*
 * Cgroup: the end of groups
 *
 * rmdir(2) says EBUSY while a process lives in the group. So a freed group is tried at
 * once, and if need be waits in the list `freed` for who tries again. A worker's group is
 * empty as soon as its pidfd is readable, unless something that it started lives on.
 *
 * The kernel tells when a group gets empty: its cgroup.events has POLLPRI then. The loops
 * of the program's services watch those of the groups in the list.
 *
 *   G1  A group is removed only when it is freed and those in it that have handles are
 *       removed. What a process in it has made there itself goes with it.
 *   G2  Handles of a group that is freed belong to the list, under the lock.
 *   G3  After fork() the copy of a handle is memory only: its descriptor is closed there
 *       (core/private_fd.h), and the list is forgotten.
 *   G4  cgroup.events is read after it is watched: what changes before that is seen by
 *       the read, what changes later by the loops. Each later read, in a pass over the
 *       list, takes their news away.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/cgroup_file.h"
#include "core/cgroup_group_private.h"
#include "core/cgroup_living.h"
#include "core/cgroup_remove.h"
#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/fork_lock.h"
#include "core/origin.h"
#include "core/points.h"
#include "core/service.h"
#include "core/time.h"
#include "core/timespec.h"

#define SLICE_NS CAROM_MILLISECONDS(20)

static CAROM_FORK_LOCK(lock);
static uint64_t origin; /* whose these are */
static struct carom_cgroup *freed;
static size_t group_count;

/* With the lock: in a forked child there are none. */
static void own_lists(void)
{
	if (origin && carom_origin_is(origin))
		return;
	origin = carom_origin();
	freed = NULL;
	group_count = 0;
}

void carom_cgroup_enlist(struct carom_cgroup *group)
{
	carom_private_fd_add(&group->private_fd, group->fd);
	carom_fork_lock_acquire(&lock);
	own_lists();
	group_count++;
	carom_cgroup_living_add(group);
	carom_fork_lock_release(&lock);
}

/* By hand: a child that was forked just now may have a copy still, which would keep it there. */
static void unwatch(struct carom_cgroup *group)
{
	if (group->events_fd < 0)
		return;
	carom_service_unwatch_everywhere(group->events_fd);
	carom_private_fd_remove(&group->private_events_fd);
	carom_closep(&group->events_fd);
}

void carom_cgroup_destroy(struct carom_cgroup *group)
{
	carom_private_fd_remove(&group->private_fd);
	carom_closep(&group->fd);
	unwatch(group);
	free(group->path);
	free(group);
}

/* --- with the lock: removing ------------------------------------------- */

/*
 * Read-only, the file system says so before it looks whether there is anything. One that somebody
 * else has removed would have news for ever.
 */
static bool is_removed(const struct carom_cgroup *group, int fd, int r)
{
	return r == 0 || (r == -EROFS && !carom_cgroup_file_is(fd, group->id));
}

/* G1. Return: is it gone? */
static bool try_remove(struct carom_cgroup *group)
{
	CAROM_CLEANUP(carom_closep) int own_fd = -1;
	char name[sizeof(group->name) + 3];
	int fd;

	if (carom_cgroup_living_has_children(group))
		return false;
	fd = carom_cgroup_hold(group, &own_fd);
	if (group->events_fd >= 0)
		carom_cgroup_events_populated(group->events_fd); /* G4 */
	snprintf(name, sizeof(name), "../%s", group->name);
	if (fd < 0 || carom_cgroup_living_prepare(group) < 0)
		return false;
	CAROM_POINT("cgroup.removing");
	if (!is_removed(group, fd, carom_cgroup_remove(fd, name))) {
		carom_cgroup_living_stay(group);
		return false;
	}
	carom_cgroup_living_remove(group);
	group_count--;
	return true;
}

/* --- with the lock: watching ------------------------------------------- */

static void changed(struct carom_service_pidfd *unused)
{
	(void)unused;
	carom_cgroup_bury();
}

static struct carom_service_pidfd any_group = { .ended = changed };

/* Return: from now on, and so it is to be looked at once more (G4). */
static bool watch(struct carom_cgroup *group)
{
	CAROM_CLEANUP(carom_closep) int own_fd = -1;
	int fd;

	if (group->events_fd >= 0 || carom_cgroup_living_has_children(group))
		return false;
	fd = carom_cgroup_hold(group, &own_fd);
	group->events_fd = fd < 0 ? -1 : openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (group->events_fd < 0)
		return false; /* it is removed in a later pass */
	carom_private_fd_add(&group->private_events_fd, group->events_fd);
	carom_service_watch_everywhere(group->events_fd, &any_group);
	return true;
}

/* One pass over the list. Return: has any gone? That may have been in the way of another. */
static bool bury_some(void)
{
	struct carom_cgroup **link = &freed;
	bool any = false;

	while (*link) {
		struct carom_cgroup *group = *link;

		if (!try_remove(group) && (!watch(group) || !try_remove(group))) {
			link = &group->next;
			continue;
		}
		*link = group->next;
		carom_cgroup_destroy(group);
		any = true;
	}
	return any;
}

static void bury_all(void)
{
	while (freed && bury_some())
		;
}

/* --- the public ones --------------------------------------------------- */

size_t carom_cgroup_bury(void)
{
	size_t left = 0;

	carom_fork_lock_acquire(&lock);
	own_lists();
	bury_all();
	for (struct carom_cgroup *group = freed; group; group = group->next)
		left++;
	carom_fork_lock_release(&lock);
	return left;
}

/* With the lock: it is removed later. Services may have come since others have begun to wait. */
static void wait_for_end(struct carom_cgroup *group)
{
	group->next = freed;
	freed = group;
	bury_all();
	for (group = freed; group; group = group->next)
		if (group->events_fd >= 0)
			carom_service_watch_everywhere(group->events_fd, &any_group);
}

/* One of those whose end is told; -1: there is none. */
static int watched_fd(void)
{
	int fd = -1;

	carom_fork_lock_acquire(&lock);
	for (struct carom_cgroup *group = freed; group && fd < 0; group = group->next)
		fd = group->events_fd;
	carom_fork_lock_release(&lock);
	return fd;
}

/*
 * It is one of many, and a loop may take its news first or close it: so no wait is long. What
 * was closed behind our back, or is another's by now, has news at once, but of nothing.
 */
static size_t wait_for_news(int fd, size_t left, uint64_t deadline_ns)
{
	int r = carom_descriptor_wait_for(fd, POLLPRI, deadline_ns);
	size_t now_left = carom_cgroup_bury();
	struct timespec deadline = carom_timespec(deadline_ns);

	if (r != -ETIMEDOUT && now_left == left)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL);
	return now_left;
}

size_t carom_cgroup_bury_until(uint64_t deadline_ns)
{
	size_t left = carom_cgroup_bury();

	while (left > 0 && carom_now() < deadline_ns) {
		uint64_t soon_ns = carom_deadline_after(SLICE_NS);
		int fd = watched_fd();

		if (fd < 0)
			break;
		left = wait_for_news(fd, left, soon_ns < deadline_ns ? soon_ns : deadline_ns);
	}
	return left;
}

struct carom_cgroup *carom_cgroup_free(struct carom_cgroup *group)
{
	if (!group)
		return NULL;
	if (!carom_cgroup_is_own(group)) {
		group->fd = group->events_fd = -1; /* G3 */
		carom_cgroup_destroy(group);
		return NULL;
	}
	carom_fork_lock_acquire(&lock);
	if (try_remove(group)) {
		carom_cgroup_destroy(group);
		bury_all(); /* the one that it stood in, perhaps */
	} else {
		wait_for_end(group);
	}
	carom_fork_lock_release(&lock);
	return NULL;
}

struct carom_cgroup *carom_cgroup_lose(struct carom_cgroup *group)
{
	if (!group)
		return NULL;
	if (carom_cgroup_is_own(group)) {
		carom_fork_lock_acquire(&lock);
		own_lists();
		carom_cgroup_living_lose(group);
		group_count--;
		carom_fork_lock_release(&lock);
	}
	carom_private_fd_remove(&group->private_fd);
	group->fd = -1;
	carom_cgroup_destroy(group);
	return NULL;
}

size_t carom_cgroup_count(void)
{
	size_t count;

	carom_fork_lock_acquire(&lock);
	own_lists();
	count = group_count;
	carom_fork_lock_release(&lock);
	return count;
}
