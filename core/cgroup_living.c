/*
 * Cgroup: the ways to what stands above this program's groups
 *
 * The directory of a group leads to the one that it stands in, as "..", also where no path
 * does: after chroot(2), when the file system is hidden, or mounted elsewhere. So a group
 * that only holds others needs no descriptor as long as there is one of them, and neither
 * does the home.
 *
 *   L1  What is opened is taken only if it has the inode that it was made with and is
 *       not removed: whatever else stands there, or has come to be behind a descriptor
 *       that was closed behind our back, is passed over.
 *   L2  A group that holds others has a descriptor while none of them is in the list: it is
 *       closed when the first is added, and opened from the last one before that goes. For
 *       want of descriptors that one stays, and is removed later. Where it fails otherwise
 *       the path is tried at each use.
 *   L3  Such a descriptor is changed under the lock by who frees a group in it, on any
 *       thread. So nobody uses it directly: carom_cgroup_hold() opens another under the lock.
 *   L4  A group stays in memory for as long as one of the list stands in it
 *       (core/cgroup_freed.c), unless its descriptor was lost; then those have no parent
 *       from that moment on, and lead nowhere (L1).
 *   L5  The lock is taken last, within that of the home and that of the freed groups. In a
 *       forked child the list is another process's and forgotten.
 */
#include "core/cgroup_living.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "core/cgroup_group_private.h"
#include "core/cleanup.h"
#include "core/fork_lock.h"
#include "core/origin.h"

#define DEPTH_MAX 8 /* deeper ones are no ways up */

static CAROM_FORK_LOCK(lock);
static uint64_t origin; /* whose these are */
static struct carom_cgroup *living;

static void own_list(void)
{
	if (origin && carom_origin_is(origin))
		return;
	origin = carom_origin();
	living = NULL;
}

/* --- with the lock ----------------------------------------------------- */

/* How far it stands below another one, or the home: NULL. 0: elsewhere, or too far. */
static int depth_below(const struct carom_cgroup *group, const struct carom_cgroup *above)
{
	for (int depth = 1; group && depth <= DEPTH_MAX; depth++) {
		if (group->parent == above)
			return depth;
		group = group->parent;
	}
	return 0;
}

/* L1 */
static int open_above(const struct carom_cgroup *group, int depth, struct carom_cgroup_id id,
		      int *ret_fd)
{
	char path[3 * DEPTH_MAX + 1] = "";

	for (int i = 0; i < depth; i++)
		strcat(path, "../");
	return carom_cgroup_file_open(group->fd, path, id, ret_fd);
}

static bool is_lack(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

static int find(const struct carom_cgroup *above, struct carom_cgroup_id id, int *ret_fd)
{
	int r = -ENOENT;

	for (const struct carom_cgroup *group = living; group; group = group->next_living) {
		int depth = group->fd >= 0 ? depth_below(group, above) : 0;

		if (depth > 0)
			r = open_above(group, depth, id, ret_fd);
		if (r == 0 || is_lack(r))
			return r;
	}
	return -ENOENT;
}

static void take_out(const struct carom_cgroup *group)
{
	struct carom_cgroup **link = &living;

	while (*link && *link != group)
		link = &(*link)->next_living;
	if (*link)
		*link = group->next_living;
}

/* L2. What was closed behind our back is another's by now, or nobody's. */
static void fold(struct carom_cgroup *group)
{
	if (!group->holds_groups || group->fd < 0)
		return;
	carom_private_fd_remove(&group->private_fd);
	if (!carom_cgroup_file_has(group->fd, group->id))
		group->fd = -1;
	carom_closep(&group->fd);
}

static int keep(struct carom_cgroup *group, int r)
{
	if (r == 0)
		carom_private_fd_add(&group->private_fd, group->fd);
	return is_lack(r) ? r : 0;
}

/* By way of the last one in it. Return: 0, or want of descriptors. */
static int unfold(struct carom_cgroup *group, const struct carom_cgroup *last)
{
	if (!group->holds_groups || group->fd >= 0 || group->child_count > 1)
		return 0;
	return keep(group, open_above(last, 1, group->id, &group->fd));
}

static int hold(const struct carom_cgroup *group, int *ret_fd)
{
	int r = group->fd < 0 ? find(group, group->id, ret_fd)
			      : carom_cgroup_file_open(group->fd, ".", group->id, ret_fd);

	return r == 0 || is_lack(r)
		       ? r
		       : carom_cgroup_file_open(AT_FDCWD, group->path, group->id, ret_fd);
}

/* --- the public ones --------------------------------------------------- */

void carom_cgroup_living_add(struct carom_cgroup *group)
{
	carom_fork_lock_acquire(&lock);
	own_list();
	group->next_living = living;
	living = group;
	if (group->parent) {
		group->parent->child_count++;
		fold(group->parent);
	}
	carom_fork_lock_release(&lock);
}

int carom_cgroup_living_prepare(struct carom_cgroup *group)
{
	int r = 0;

	carom_fork_lock_acquire(&lock);
	own_list();
	if (group->parent)
		r = unfold(group->parent, group);
	carom_fork_lock_release(&lock);
	return r;
}

void carom_cgroup_living_stay(struct carom_cgroup *group)
{
	carom_fork_lock_acquire(&lock);
	if (group->parent)
		fold(group->parent);
	carom_fork_lock_release(&lock);
}

void carom_cgroup_living_remove(struct carom_cgroup *group)
{
	carom_fork_lock_acquire(&lock);
	own_list();
	take_out(group);
	if (group->parent)
		group->parent->child_count--;
	carom_fork_lock_release(&lock);
}

void carom_cgroup_living_lose(struct carom_cgroup *group)
{
	struct carom_cgroup *parent = group->parent;

	carom_fork_lock_acquire(&lock);
	own_list();
	take_out(group);
	for (struct carom_cgroup *one = living; one; one = one->next_living)
		if (one->parent == group)
			one->parent = NULL;
	if (parent && --parent->child_count == 0 && parent->holds_groups && parent->fd < 0)
		keep(parent,
		     carom_cgroup_file_open(AT_FDCWD, parent->path, parent->id, &parent->fd));
	carom_fork_lock_release(&lock);
}

bool carom_cgroup_living_has_children(const struct carom_cgroup *group)
{
	bool has;

	carom_fork_lock_acquire(&lock);
	has = group->child_count > 0;
	carom_fork_lock_release(&lock);
	return has;
}

int carom_cgroup_living_home(struct carom_cgroup_id id, int *ret_fd)
{
	int r;

	carom_fork_lock_acquire(&lock);
	own_list();
	r = find(NULL, id, ret_fd);
	carom_fork_lock_release(&lock);
	return r;
}

int carom_cgroup_hold(struct carom_cgroup *group, int *ret_own_fd)
{
	int r;

	if (!group->holds_groups)
		return group->fd < 0 ? -EBADF : group->fd;
	carom_fork_lock_acquire(&lock);
	own_list();
	r = hold(group, ret_own_fd);
	carom_fork_lock_release(&lock);
	return r < 0 ? r : *ret_own_fd;
}
