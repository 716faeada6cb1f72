/*
 * Cgroup: removing groups
 *
 * A home needs no lock and no owner's name to tell whether it is in use: the program that
 * made it stands in it, in the group "program", and so do its forked copies. As long as
 * one of them lives, cgroup.events says "populated 1", which the kernel keeps right
 * however they end, whatever pid namespace they are in, and whoever gets their pids.
 *
 *	home is					meanwhile
 *	made, and nobody in it yet		may be removed here: who makes it notices
 *						(ENOENT, ENODEV) and begins again
 *	entered while it is being removed	rmdir(2) says EBUSY; of the groups in it,
 *						those that are needed are made anew
 *	empty for good				goes
 *
 * rmdir(2) itself is the judge: the kernel removes no group with a process or a group in
 * it. The look at "populated" before only spares a living home its empty groups.
 */
#include "core/cgroup_remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/cgroup_base.h"
#include "core/cgroup_file.h"
#include "core/cleanup.h"
#include "core/points.h"

static void closedirp(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

static int open_directory(int parent_fd, const char *name, DIR **ret_directory)
{
	CAROM_CLEANUP(carom_closep)
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	*ret_directory = fdopendir(fd);
	if (!*ret_directory)
		return -errno;
	(void)carom_take_fd(fd);
	return 0;
}

/* Groups are the directories in it; all else are their files. */
static const char *next_group(DIR *directory)
{
	const struct dirent *entry;

	while ((entry = readdir(directory)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			return entry->d_name;
	return NULL;
}

static int remove_all(DIR *directory, const char *keep)
{
	const char *name;
	int first = 0;

	while ((name = next_group(directory))) {
		int r = keep && strcmp(name, keep) == 0
				? 0
				: carom_cgroup_remove(dirfd(directory), name);

		if (first == 0)
			first = r;
	}
	return first;
}

int carom_cgroup_remove_in(int fd, const char *keep)
{
	CAROM_CLEANUP(closedirp) DIR *directory = NULL;
	int r = open_directory(fd, ".", &directory);

	return r < 0 ? r : remove_all(directory, keep);
}

static int remove_all_in(int parent_fd, const char *name)
{
	CAROM_CLEANUP(closedirp) DIR *directory = NULL;
	int r = open_directory(parent_fd, name, &directory);

	return r < 0 ? r : remove_all(directory, NULL);
}

/* Most have no others in them. */
int carom_cgroup_remove(int parent_fd, const char *name)
{
	int r;

	if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY)
		return -errno;
	r = remove_all_in(parent_fd, name);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

static int is_populated(int parent_fd, const char *name)
{
	CAROM_CLEANUP(carom_closep)
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : carom_cgroup_file_is_populated(fd);
}

void carom_cgroup_remove_stale(int base_fd, const char *own, size_t *ret_alive)
{
	CAROM_CLEANUP(closedirp) DIR *directory = NULL;
	const char *name;
	size_t alive = 0;

	if (open_directory(base_fd, ".", &directory) == 0)
		while ((name = next_group(directory))) {
			if (!carom_cgroup_home_is_name(name) || (own && strcmp(name, own) == 0))
				continue;
			CAROM_POINT("cgroup.stale");
			if (is_populated(base_fd, name) != 0 ||
			    carom_cgroup_remove(base_fd, name) < 0)
				alive++;
		}
	if (ret_alive)
		*ret_alive = alive;
}
