/*
 * Cgroup: the homes that killed programs have left
 *
 * When a home is in use is said in core/cgroup_remove.c; nothing more is known here. One
 * that is entered between the look and the removal is not removed, and not told of.
 */
#include "core/cgroup_clean.h"

#include <dirent.h>
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

struct sweep {
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

static void take_home(const struct sweep *sweep, int parent_fd, const char *name, int fd,
		      const char *path)
{
	int r;

	if (!is_own(fd) || carom_cgroup_file_is_populated(fd) != 0)
		return;
	r = sweep->is_dry_run ? 0 : carom_cgroup_remove(parent_fd, name);
	if (r != -EBUSY)
		sweep->told(path, r, sweep->userdata);
}

static void sweep_group(const struct sweep *sweep, int fd, const char *path, int depth);

static void sweep_entry(const struct sweep *sweep, int parent_fd, const char *name,
			const char *parent_path, int depth)
{
	CAROM_CLEANUP(carom_closep)
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	char path[PATH_MAX];

	if (fd < 0 || snprintf(path, sizeof(path), "%s/%s", parent_path, name) >= (int)sizeof(path))
		return;
	if (carom_cgroup_home_is_name(name))
		take_home(sweep, parent_fd, name, fd, path);
	/* a program in a home may have started others, whose homes stand in theirs */
	if (depth < DEPTH_MAX)
		sweep_group(sweep, fd, path, depth + 1);
}

static void sweep_group(const struct sweep *sweep, int fd, const char *path, int depth)
{
	int own_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = own_fd < 0 ? NULL : fdopendir(own_fd);
	const struct dirent *entry;

	if (!directory) {
		carom_closep(&own_fd);
		return;
	}
	while ((entry = readdir(directory)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			sweep_entry(sweep, own_fd, entry->d_name, path, depth);
	closedir(directory);
}

static int sweep_place(const struct carom_cgroup_place *place, void *userdata)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;

	if (!place->is_v2)
		return 0;
	place->path[place->top_length] = '\0';
	fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		sweep_group(userdata, fd, place->path, 0);
	return 0;
}

int carom_cgroup_clean(const char *root, bool is_dry_run, carom_cgroup_told_fn *told,
		       void *userdata)
{
	struct sweep sweep = { is_dry_run, told, userdata };
	int r = carom_cgroup_places(root, NULL, sweep_place, &sweep);

	return r < 0 ? r : 0;
}
