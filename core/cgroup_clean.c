/*
 * Cgroup: the homes that killed programs have left
 *
 * When a home is in use is said in core/cgroup_remove.c; nothing more is known here. One
 * that is entered between the look and the removal is not removed, and not told of.
 */
#include "core/cgroup_clean.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cgroup.h"
#include "core/cgroup_base.h"
#include "core/cgroup_file.h"
#include "core/cgroup_remove.h"
#include "core/cleanup.h"

#define DEPTH_MAX 32

/** struct sweep - of the group at @path, so many below the top */
struct sweep {
	const char *path;
	int depth;
	bool is_dry_run;
	carom_cgroup_told_fn *told;
	void *userdata;
};

/* Is it one that this user may remove? */
static bool is_own(int fd)
{
	struct stat status;

	return geteuid() == 0 || (fstat(fd, &status) == 0 && status.st_uid == geteuid());
}

static void take_home(const struct sweep *sweep, int parent_fd, const char *name, int fd)
{
	int r;

	if (!is_own(fd) || carom_cgroup_file_is_populated(fd) != 0)
		return;
	r = sweep->is_dry_run ? 0 : carom_cgroup_remove(parent_fd, name);
	if (r != -EBUSY)
		sweep->told(sweep->path, r, sweep->userdata);
}

static int sweep_entry(int parent_fd, const char *name, void *userdata)
{
	CAROM_CLEANUP(carom_closep)
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	const struct sweep *parent = userdata;
	struct sweep sweep = *parent;
	char path[PATH_MAX];

	if (fd < 0 ||
	    snprintf(path, sizeof(path), "%s/%s", parent->path, name) >= (int)sizeof(path))
		return 0;
	sweep.path = path;
	if (carom_cgroup_home_is_name(name))
		take_home(&sweep, parent_fd, name, fd);
	/* a program in a home may have started others, whose homes stand in theirs */
	if (sweep.depth++ < DEPTH_MAX)
		carom_cgroup_file_groups(fd, sweep_entry, &sweep);
	return 0;
}

static int sweep_place(const struct carom_cgroup_place *place, void *userdata)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;
	struct sweep *sweep = userdata;

	if (!place->is_v2)
		return 0;
	place->path[place->top_length] = '\0';
	sweep->path = place->path;
	fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		carom_cgroup_file_groups(fd, sweep_entry, sweep);
	return 0;
}

int carom_cgroup_clean(const char *root, bool is_dry_run, carom_cgroup_told_fn *told,
		       void *userdata)
{
	struct sweep sweep = { .is_dry_run = is_dry_run, .told = told, .userdata = userdata };
	int r = carom_cgroup_places(root, NULL, sweep_place, &sweep);

	return r < 0 ? r : 0;
}
