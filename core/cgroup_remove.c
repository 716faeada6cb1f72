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

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/cgroup_base.h"
#include "core/cgroup_file.h"
#include "core/cleanup.h"
#include "core/points.h"

/** struct removal - @keep: not this one; @first: the first error */
struct removal {
	const char *keep;
	int first;
};

static int remove_one(int parent_fd, const char *name, void *userdata)
{
	struct removal *removal = userdata;
	int r = removal->keep && strcmp(name, removal->keep) == 0
			? 0
			: carom_cgroup_remove(parent_fd, name);

	if (removal->first == 0)
		removal->first = r;
	return 0;
}

int carom_cgroup_remove_in(int fd, const char *keep)
{
	struct removal removal = { .keep = keep };
	int r = carom_cgroup_file_groups(fd, remove_one, &removal);

	return r < 0 ? r : removal.first;
}

static int open_group(int parent_fd, const char *name)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

static int remove_all_in(int parent_fd, const char *name)
{
	CAROM_CLEANUP(carom_closep) int fd = open_group(parent_fd, name);

	return fd < 0 ? fd : carom_cgroup_remove_in(fd, NULL);
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
	CAROM_CLEANUP(carom_closep) int fd = open_group(parent_fd, name);

	return fd < 0 ? fd : carom_cgroup_file_is_populated(fd);
}

/** struct search - for homes; @own: not this one; @alive_count: those that stay */
struct search {
	const char *own;
	size_t alive_count;
};

static int remove_if_stale(int parent_fd, const char *name, void *userdata)
{
	struct search *search = userdata;

	if (!carom_cgroup_home_is_name(name) || (search->own && strcmp(name, search->own) == 0))
		return 0;
	CAROM_POINT("cgroup.stale");
	if (is_populated(parent_fd, name) != 0 || carom_cgroup_remove(parent_fd, name) < 0)
		search->alive_count++;
	return 0;
}

void carom_cgroup_remove_stale(int base_fd, const char *own, size_t *ret_alive)
{
	struct search search = { .own = own };

	carom_cgroup_file_groups(base_fd, remove_if_stale, &search);
	if (ret_alive)
		*ret_alive = search.alive_count;
}
