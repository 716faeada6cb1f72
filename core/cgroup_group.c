/*
 * Cgroup: groups that this program makes
 *
 * A group is its directory's descriptor: each of its files is found from there, and it is
 * removed as "../NAME" from there, so that nothing depends on what stands at a path.
 *
 * How they end is told in core/cgroup_freed.c.
 */
#include "core/cgroup_group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cgroup_base.h"
#include "core/cgroup_controllers.h"
#include "core/cgroup_file.h"
#include "core/cgroup_group_private.h"
#include "core/cgroup_home.h"
#include "core/cgroup_living.h"
#include "core/cgroup_limits_private.h"
#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/origin.h"
#include "core/points.h"

static _Atomic uint64_t last_number; /* in names; a forked child goes on from it */

bool carom_cgroup_is_own(const struct carom_cgroup *group)
{
	return carom_origin_is(group->origin);
}

/* What went well in the end may have failed before. */
static void clear(char *reason)
{
	if (reason)
		reason[0] = '\0';
}

/* --- the beginning ----------------------------------------------------- */

static int make_directory(struct carom_cgroup *group, int parent_fd, const char *name)
{
	int r = -EEXIST;

	while (r == -EEXIST) {
		uint64_t number = atomic_fetch_add(&last_number, 1) + 1;

		snprintf(group->name, sizeof(group->name), "%.*s-%llu", CAROM_CGROUP_NAME_MAX - 24,
			 name, (unsigned long long)number);
		r = mkdirat(parent_fd, group->name, 0755) < 0 ? -errno : 0;
	}
	return r;
}

static int open_directory(struct carom_cgroup *group, int parent_fd, const char *parent_path)
{
	int r;

	group->fd = openat(parent_fd, group->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	r = group->fd < 0 ? -errno : 0;
	if (r == 0)
		r = carom_descriptor_lift(
			&group->fd); /* 0 means "no group" to who makes children */
	if (r == 0)
		group->id = carom_cgroup_file_id(group->fd);
	if (r == 0 && asprintf(&group->path, "%s/%s", parent_path, group->name) < 0) {
		group->path = NULL;
		r = -ENOMEM;
	}
	return r;
}

static int make(struct carom_cgroup *group, const char *name, int parent_fd,
		const char *parent_path, char *reason)
{
	static const struct carom_cgroup_limits none;
	int r = make_directory(group, parent_fd, name);

	if (r < 0)
		return carom_cgroup_say(reason, r, "%s/%s: %s", parent_path, group->name,
					strerror(-r));
	CAROM_POINT("cgroup.group_made");
	r = open_directory(group, parent_fd, parent_path);
	if (r < 0)
		carom_cgroup_say(reason, r, "%s/%s: %s", parent_path, group->name, strerror(-r));
	else
		r = carom_cgroup_limits_write(group->fd, group->path, &none, &group->limits,
					      reason);
	if (r < 0)
		unlinkat(parent_fd, group->name, AT_REMOVEDIR);
	return r;
}

static int hand_down_home(uint32_t controllers, char *reason)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;
	const char *path;

	return carom_cgroup_home_get(controllers, reason, &fd, &path);
}

static int hold(struct carom_cgroup *group, int *ret_own_fd, char *reason)
{
	int fd = carom_cgroup_hold(group, ret_own_fd);

	return fd < 0 ? carom_cgroup_say(reason, fd, "%s: %s", group->path, strerror(-fd)) : fd;
}

static bool names_all(int fd, const char *file, uint32_t controllers)
{
	uint32_t there = 0;

	return carom_cgroup_controllers_read(fd, file, &there) == 0 && !(controllers & ~there);
}

/* Each group on the way down hands the controllers on; who does already asks nobody above. */
static int hand_down(struct carom_cgroup *parent, uint32_t controllers, char *reason)
{
	CAROM_CLEANUP(carom_closep) int own_fd = -1;
	int fd, r;

	if (!parent)
		return hand_down_home(controllers, reason);
	fd = hold(parent, &own_fd, reason);
	if (fd < 0)
		return fd;
	if (names_all(fd, "cgroup.subtree_control", controllers))
		return 0;
	r = hand_down(parent->parent, controllers, reason);
	return r < 0 ? r : carom_cgroup_enable(fd, parent->path, controllers, reason);
}

static int make_in_home(struct carom_cgroup *group, const char *name, char *reason)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;
	const char *path;
	int r = carom_cgroup_home_get(carom_cgroup_limits_controllers(&group->limits), reason, &fd,
				      &path);

	return r < 0 ? r : make(group, name, fd, path, reason);
}

static int make_in_parent(struct carom_cgroup *group, const char *name, char *reason)
{
	CAROM_CLEANUP(carom_closep) int own_fd = -1;
	struct carom_cgroup *parent = group->parent;
	int fd = hold(parent, &own_fd, reason);
	int r;

	if (fd < 0)
		return fd;
	r = hand_down(parent, carom_cgroup_limits_controllers(&group->limits), reason);
	return r < 0 ? r : make(group, name, fd, parent->path, reason);
}

static int make_in(struct carom_cgroup *group, const char *name, char *reason)
{
	int r;

	if (group->parent)
		return make_in_parent(group, name, reason);
	r = make_in_home(group, name, reason);
	/* somebody has moved this program away, and then removed its home, which looked deserted */
	if (r == -ENOENT || r == -EBADF) {
		carom_closep(&group->fd);
		free(carom_take_ptr(group->path));
		carom_cgroup_home_lost();
		r = make_in_home(group, name, reason);
	}
	return r;
}

int carom_cgroup_new(const struct carom_cgroup_options *options, char *reason,
		     struct carom_cgroup **ret_group)
{
	struct carom_cgroup *group;
	int r;

	if (options->parent && !carom_cgroup_is_own(options->parent))
		return carom_cgroup_say(reason, -ECHILD, "a group from before fork()");
	group = calloc(1, sizeof(*group));
	if (!group)
		return carom_cgroup_say(reason, -ENOMEM, "%s", strerror(ENOMEM));
	group->fd = group->events_fd = -1;
	group->parent = options->parent;
	group->holds_groups = options->holds_groups;
	r = carom_cgroup_limits_take(options->limits, reason, &group->limits);
	if (r == 0)
		r = make_in(group, options->name ? options->name : "group", reason);
	if (r < 0) {
		carom_cgroup_destroy(group);
		return r;
	}
	clear(reason);
	group->origin = carom_origin();
	carom_cgroup_enlist(group);
	*ret_group = group;
	return 0;
}

/* --- what it is -------------------------------------------------------- */

int carom_cgroup_fd(const struct carom_cgroup *group)
{
	return group->fd;
}

const char *carom_cgroup_path(const struct carom_cgroup *group)
{
	return group->path;
}

void carom_cgroup_limits_of(const struct carom_cgroup *group,
			    struct carom_cgroup_limits *ret_limits)
{
	*ret_limits = group->limits;
}

int carom_cgroup_set_limits(struct carom_cgroup *group, const struct carom_cgroup_limits *limits,
			    char *reason)
{
	CAROM_CLEANUP(carom_closep) int own_fd = -1;
	struct carom_cgroup_limits ours;
	uint32_t controllers;
	int fd, r;

	if (!carom_cgroup_is_own(group))
		return carom_cgroup_say(reason, -ECHILD, "a group from before fork()");
	fd = hold(group, &own_fd, reason);
	r = fd < 0 ? fd : carom_cgroup_limits_take(limits, reason, &ours);
	if (r < 0)
		return r;
	controllers = carom_cgroup_limits_controllers(&ours);
	if (!names_all(fd, "cgroup.controllers", controllers))
		r = hand_down(group->parent, controllers, reason);
	if (r == 0)
		r = carom_cgroup_limits_write(fd, group->path, &group->limits, &ours, reason);
	if (r < 0)
		return r;
	clear(reason);
	group->limits = ours;
	return 0;
}

/* --- its processes ----------------------------------------------------- */

/* AS-Safe */
int carom_cgroup_enter(int cgroup_fd)
{
	return carom_cgroup_file_write(cgroup_fd, "cgroup.procs", "0");
}

int carom_cgroup_admit(struct carom_cgroup *group, pid_t pid)
{
	CAROM_CLEANUP(carom_closep) int own_fd = -1;
	int fd;

	if (!carom_cgroup_is_own(group))
		return -ECHILD;
	fd = carom_cgroup_hold(group, &own_fd);
	return fd < 0 ? fd : carom_cgroup_file_write_number(fd, "cgroup.procs", (uint64_t)pid);
}

int carom_cgroup_is_populated(struct carom_cgroup *group)
{
	CAROM_CLEANUP(carom_closep) int own_fd = -1;
	int fd;

	if (!carom_cgroup_is_own(group))
		return -ECHILD;
	fd = carom_cgroup_hold(group, &own_fd);
	return fd < 0 ? fd : carom_cgroup_file_is_populated(fd);
}

static int count_one(pid_t pid, void *count)
{
	(void)pid;
	++*(size_t *)count;
	return 0;
}

int carom_cgroup_process_count(struct carom_cgroup *group, size_t *ret_count)
{
	CAROM_CLEANUP(carom_closep) int own_fd = -1;
	size_t count = 0;
	int fd, r;

	if (!carom_cgroup_is_own(group))
		return -ECHILD;
	fd = carom_cgroup_hold(group, &own_fd);
	if (fd < 0)
		return fd;
	r = carom_cgroup_file_members(fd, count_one, &count);
	if (r == 0)
		*ret_count = count;
	return r;
}
