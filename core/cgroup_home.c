/*
 * Cgroup: the home
 *
 * The kernel lets a group hand memory on to the groups in it only while no process is in
 * it itself (the no-internal-process rule; the root of the hierarchy is exempt). So the
 * program steps aside:
 *
 *	1  mkdir BASE/carom-PID.N, BASE/carom-PID.N/program
 *	2  move this process, all its threads, into "program"
 *	3  only if controllers are wanted and the base does not hand them on yet: move its
 *	   descendants out of the base, too, and say "+memory" to BASE/cgroup.subtree_control
 *	4  the same to the home's, in which there never is a process
 *
 *   H1  A process that is neither this one nor descends from it is never moved. One that
 *       stands in the base makes step 3 fail, and then all is undone.
 *   H2  While the program lives "program" is populated; that is how others know that the
 *       home is in use (core/cgroup_remove.c).
 *   H3  Controllers that need no empty group (pids, cpu) would be handed on while there
 *       are processes, and make groups that cannot have any. So the base is emptied first,
 *       and looked at again afterwards.
 *   H4  The lock is held throughout. A forked child finds it free and the home its
 *       parent's (origin), forgets it, and makes its own beside it: same base, own name.
 *   H5  Neither of the two directories is kept open. Who has the lock opens the home by its
 *       path, or where that does not lead there from a group that stands in it
 *       (core/cgroup_living.c). It is the home if it has the inode that the home was made
 *       with, which the kernel gives to no other one (before Linux 5.5: not for a long time).
 *       The base is what stands above it.
 *
 *	somebody meanwhile			what happens
 *	forks in the base, in step 3		EBUSY, or seen by the second look: once more
 *	removes the home before step 2 is	ENOENT, ENODEV: once more, by another name
 *	done (it is empty, so it seems stale)
 *	takes controllers from the base, as	the home's are taken first, which fails with
 *	a home beside this one ends		EBUSY where they are used; between steps 3
 *						and 4, ENOENT: once more
 *	removes the home later (it has moved	by H5 it is not there, or another: it is made
 *	this process away), and makes another	anew; between the look and the use, ENOENT,
 *	of that name				and core/cgroup_group.c has it made anew
 *	closes all descriptors of this program	nothing: none is kept. Between the look and
 *						the use, EBADF: likewise
 *	gives this program another root,	the path leads nowhere: by H5 nothing, while
 *	hides the file system, or has it	there is a group. Without one none is made from
 *	elsewhere				then on, and the home is left behind, which
 *						the end says; or (elsewhere) in another home
 *						beside it, and it goes with that
 *	kills this process, at any step		homes that are empty are removed by the next
 *						one; between 3's parts the base is left
 *						with groups and no controllers
 *
 * At the end the same backwards, as far as it goes: where another home stands in the base
 * that uses its controllers, no process can go back there. Then it stays until the next
 * one comes or goes.
 */
#include "core/cgroup_home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cgroup_base.h"
#include "core/cgroup_controllers.h"
#include "core/cgroup_file.h"
#include "core/cgroup_group.h"
#include "core/cgroup_living.h"
#include "core/cgroup_remove.h"
#include "core/cleanup.h"
#include "core/finalizer.h"
#include "core/fork_lock.h"
#include "core/origin.h"
#include "core/pid_list.h"
#include "core/points.h"
#include "core/private_fd.h"
#include "core/process_tree.h"
#include "core/small_file.h"
#include "core/time.h"

#define ATTEMPT_COUNT 10
#define NUMBER_COUNT  1000
#define PATIENCE_NS   CAROM_NS_PER_SEC /* with those who were killed and are not dead yet */
#define PROGRAM_PROCS CAROM_CGROUP_PROGRAM "/cgroup.procs"

/**
 * struct home
 * @origin:  whose it is; 0: there is none
 * @base, @fd: descriptors are -1 but while they are needed (H5)
 * @id, @base_id: of the directories
 * @enabled: controllers that the base hands on because of this home
 */
struct home {
	uint64_t origin;
	struct carom_cgroup_base base;
	int fd;
	struct carom_private_fd private_base_fd;
	struct carom_private_fd private_fd;
	struct carom_cgroup_id id;
	struct carom_cgroup_id base_id;
	uint32_t enabled;
	char name[48];
	char path[PATH_MAX + 64];
};

static CAROM_FORK_LOCK(lock);
static struct home home = { .base.fd = -1, .fd = -1 };

/* --- processes --------------------------------------------------------- */

static int add_member(pid_t pid, void *members)
{
	return carom_pid_list_add(members, pid);
}

static int list_members(int fd, struct carom_pid_list *ret_members)
{
	ret_members->count = 0;
	return carom_cgroup_file_members(fd, add_member, ret_members);
}

/* This process or a descendant. One that has ended meanwhile counts: it hinders nobody. */
static bool is_ours(pid_t pid)
{
	pid_t self = getpid();

	if (pid <= 0)
		return false;
	while (pid > 1 && pid != self)
		pid = carom_process_parent(pid);
	return pid != 1 || self == 1;
}

/* One that has ended has been moved well enough. */
static int move(int fd, const char *file, pid_t pid)
{
	char text[16];
	int r;

	snprintf(text, sizeof(text), "%d", pid);
	r = carom_cgroup_file_write(fd, file, text);
	return r == -ESRCH ? 0 : r;
}

static void name_process(pid_t pid, char *name, size_t size)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (carom_small_file_read(AT_FDCWD, path, name, size) < 0)
		strcpy(name, "?");
	name[strcspn(name, "\n")] = '\0';
}

static int refuse_stranger(pid_t pid, char *reason)
{
	char name[64];

	if (pid == 0)
		return carom_cgroup_say(reason, -EBUSY,
					"a process of another pid namespace stands in %s as well, "
					"and only a group without processes can hand on memory",
					home.base.path);
	name_process(pid, name, sizeof(name));
	return carom_cgroup_say(
		reason, -EBUSY,
		"process %d (%s) stands in %s as well, and is not this program's: start the "
		"program in a group of its own, by `%s`, or in a container as its only one",
		pid, name, home.base.path, carom_cgroup_scope());
}

/* --- the base ---------------------------------------------------------- */

/* H1. @moved: those that were moved are added. Return: 0: it was empty at the last look. */
static int empty_base(struct carom_pid_list *moved, char *reason)
{
	CAROM_CLEANUP(carom_pid_list_deinit) struct carom_pid_list here = { 0 };
	int r;

	for (int i = 0; i < ATTEMPT_COUNT; i++) {
		r = list_members(home.base.fd, &here);
		if (r < 0 || here.count == 0)
			return r;
		for (size_t k = 0; k < here.count; k++)
			if (!is_ours(here.pids[k]))
				return refuse_stranger(here.pids[k], reason);
		for (size_t k = 0; r == 0 && k < here.count; k++) {
			r = move(home.fd, PROGRAM_PROCS, here.pids[k]);
			if (r == 0)
				r = carom_pid_list_add(moved, here.pids[k]);
		}
		if (r < 0)
			return carom_cgroup_say(reason, r, "%s/" PROGRAM_PROCS ": %s", home.path,
						strerror(-r));
	}
	return carom_cgroup_say(reason, -EBUSY, "%s does not get empty", home.base.path);
}

/* H3. Return: 0, -EBUSY: a process came meanwhile. */
static int enable_in_empty_base(uint32_t controllers, char *reason)
{
	CAROM_CLEANUP(carom_pid_list_deinit) struct carom_pid_list here = { 0 };
	int r = carom_cgroup_enable(home.base.fd, home.base.path, controllers, reason);

	if (r == 0)
		r = list_members(home.base.fd, &here);
	if (r == 0 && here.count > 0)
		r = carom_cgroup_say(reason, -EBUSY, "%s does not stay empty", home.base.path);
	if (r < 0)
		carom_cgroup_controllers_write(home.base.fd, home.base.path, '-', controllers,
					       NULL);
	return r;
}

static int step_aside(uint32_t controllers, char *reason)
{
	CAROM_CLEANUP(carom_pid_list_deinit) struct carom_pid_list moved = { 0 };
	int r = -EBUSY;

	for (int i = 0; r == -EBUSY && i < ATTEMPT_COUNT; i++) {
		r = empty_base(&moved, reason);
		CAROM_POINT("cgroup.emptied");
		if (r < 0)
			break;
		r = enable_in_empty_base(controllers, reason);
	}
	for (size_t i = 0; r < 0 && i < moved.count; i++)
		move(home.base.fd, "cgroup.procs", moved.pids[i]);
	return r;
}

static int hand_down_to_home(uint32_t controllers, char *reason)
{
	uint32_t on = 0;
	int r = carom_cgroup_controllers_read(home.base.fd, "cgroup.subtree_control", &on);

	if (r < 0)
		return carom_cgroup_say(reason, r, "%s/cgroup.subtree_control: %s", home.base.path,
					strerror(-r));
	controllers &= ~on;
	if (!controllers)
		return 0;
	r = carom_cgroup_controllers_check(home.base.fd, home.base.path, controllers, reason);
	if (r == 0)
		r = home.base.is_root
			    ? carom_cgroup_enable(home.base.fd, home.base.path, controllers, reason)
			    : step_aside(controllers, reason);
	if (r == 0)
		home.enabled |= controllers;
	return r;
}

static int hand_down(uint32_t controllers, char *reason)
{
	int r = 0;

	for (int i = 0; i < ATTEMPT_COUNT; i++) {
		r = hand_down_to_home(controllers, reason);
		CAROM_POINT("cgroup.base_enabled");
		if (r == 0)
			r = carom_cgroup_enable(home.fd, home.path, controllers, reason);
		if (r != -ENOENT && r != -ENODEV)
			break;
		if (carom_cgroup_controllers_check(home.base.fd, home.base.path, controllers,
						   reason) < 0)
			break; /* it is not a home beside this one that has ended */
	}
	return r;
}

/* --- the end ----------------------------------------------------------- */

/* H4 */
static bool is_made(void)
{
	return home.origin && carom_origin_is(home.origin);
}

static void forget(void)
{
	home.origin = 0;
}

static void keep(void)
{
	home.id = carom_cgroup_file_id(home.fd);
	home.base_id = carom_cgroup_file_id(home.base.fd);
	home.origin = carom_origin();
	carom_private_fd_add(&home.private_base_fd, home.base.fd);
	carom_private_fd_add(&home.private_fd, home.fd);
}

/* H5 */
static int open_home(void)
{
	int r = carom_cgroup_file_open(AT_FDCWD, home.path, home.id, &home.fd);

	if (r < 0 && carom_cgroup_living_home(home.id, &home.fd) == 0)
		r = 0;
	if (r == 0)
		carom_private_fd_add(&home.private_fd, home.fd);
	return r;
}

static int open_base(void)
{
	int r = carom_cgroup_file_open(home.fd, "..", home.base_id, &home.base.fd);

	if (r == 0)
		carom_private_fd_add(&home.private_base_fd, home.base.fd);
	return r;
}

/* Is it not to be found, or is it gone? */
static bool is_base_in_sight(void)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;

	return carom_cgroup_file_open(AT_FDCWD, home.base.path, home.base_id, &fd) == 0;
}

static void close_both(void)
{
	carom_private_fd_remove(&home.private_base_fd);
	carom_closep(&home.base.fd);
	carom_private_fd_remove(&home.private_fd);
	carom_closep(&home.fd);
}

/* H4, H5. Return: 0, -ENOENT: there is none, or it is gone; or what open(2) says. */
static int open_both(char *reason)
{
	int r;

	if (!is_made())
		return -ENOENT;
	r = open_home();
	if (r == 0)
		r = open_base();
	if (r == 0)
		return 0;
	close_both();
	if (r == -ENOENT || r == -ENOTDIR || r == -ENODEV)
		return -ENOENT; /* no reason: it can be made */
	return carom_cgroup_say(reason, r, "%s: %s", home.path, strerror(-r));
}

/* Groups that nobody ended go, unless there are processes in them. */
static int disable_in_home(void)
{
	uint32_t on = 0;
	int r = carom_cgroup_remove_in(home.fd, CAROM_CGROUP_PROGRAM);

	if (r == 0)
		r = carom_cgroup_controllers_read(home.fd, "cgroup.subtree_control", &on);
	return r < 0 ? r : carom_cgroup_controllers_write(home.fd, home.path, '-', on, NULL);
}

/* In the root of the hierarchy others may have come to need what this home has enabled. */
static void disable_in_base(void)
{
	uint32_t on = home.enabled;
	size_t alive = 0;

	carom_cgroup_remove_stale(home.base.fd, home.name, &alive);
	if (alive > 0)
		return;
	if (!home.base.is_root)
		carom_cgroup_controllers_read(home.base.fd, "cgroup.subtree_control", &on);
	carom_cgroup_controllers_write(home.base.fd, home.base.path, '-', on, NULL);
}

static int go_back(void)
{
	CAROM_CLEANUP(carom_closep)
	int fd = openat(home.fd, CAROM_CGROUP_PROGRAM, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CAROM_CLEANUP(carom_pid_list_deinit) struct carom_pid_list here = { 0 };
	int r = fd < 0 ? -errno : 0;

	for (int i = 0; r == 0 && i < ATTEMPT_COUNT; i++) {
		r = list_members(fd, &here);
		if (r < 0 || here.count == 0)
			return r;
		for (size_t k = 0; r == 0 && k < here.count; k++)
			r = move(home.base.fd, "cgroup.procs", here.pids[k]);
	}
	return r;
}

static int leave(void)
{
	int r = disable_in_home();

	if (r < 0)
		return r;
	disable_in_base();
	CAROM_POINT("cgroup.base_disabled");
	r = go_back();
	CAROM_POINT("cgroup.left");
	return r < 0 ? r : carom_cgroup_remove(home.base.fd, home.name);
}

int carom_cgroup_home_leave(void)
{
	int r;

	carom_cgroup_bury_until(carom_deadline_after(PATIENCE_NS));
	carom_fork_lock_acquire(&lock);
	r = open_both(NULL);
	if (r == 0) {
		r = leave();
		close_both();
		forget();
		r = r == -ENOENT ? 0 : r;
	} else if (r == -ENOENT && (!is_made() || is_base_in_sight())) {
		forget(); /* there is none, or somebody has removed it */
		r = 0;
	}
	carom_fork_lock_release(&lock);
	return r;
}

void carom_cgroup_home_lost(void)
{
	carom_fork_lock_acquire(&lock);
	forget();
	carom_fork_lock_release(&lock);
}

/* --- the beginning ----------------------------------------------------- */

static int make_directory(char *reason)
{
	int r = -EEXIST;

	for (unsigned int i = 0; r == -EEXIST && i < NUMBER_COUNT; i++) {
		snprintf(home.name, sizeof(home.name), CAROM_CGROUP_HOME_PREFIX "%d.%u", getpid(),
			 i);
		r = mkdirat(home.base.fd, home.name, 0755) < 0 ? -errno : 0;
	}
	if (r < 0)
		return carom_cgroup_say(reason, r, "%s/%s: %s", home.base.path, home.name,
					strerror(-r));
	snprintf(home.path, sizeof(home.path), "%s/%s", home.base.path, home.name);
	return 0;
}

static int enter(char *reason)
{
	int r;

	home.fd = openat(home.base.fd, home.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = home.fd < 0 || mkdirat(home.fd, CAROM_CGROUP_PROGRAM, 0755) < 0 ? -errno : 0;
	CAROM_POINT("cgroup.made");
	if (r == 0)
		r = carom_cgroup_file_write(home.fd, PROGRAM_PROCS, "0");
	CAROM_POINT("cgroup.entered");
	if (r < 0)
		carom_cgroup_say(reason, r, "%s/" PROGRAM_PROCS ": %s", home.path, strerror(-r));
	return r;
}

static int make_below_base(char *reason)
{
	int r = make_directory(reason);

	if (r < 0)
		return r;
	r = enter(reason);
	if (r < 0) {
		carom_cgroup_remove(home.base.fd, home.name);
		carom_closep(&home.fd);
	}
	return r;
}

static int make_once(char *reason)
{
	int r = carom_cgroup_base_open("", reason, &home.base);

	if (r < 0)
		return r;
	carom_cgroup_remove_stale(home.base.fd, NULL, NULL);
	r = make_below_base(reason);
	if (r < 0)
		carom_closep(&home.base.fd);
	return r;
}

/* a finalizer */
static int leave_at_exit(void *unused)
{
	(void)unused;
	carom_cgroup_home_leave();
	return 0;
}

static int make(char *reason)
{
	int r = -ENOENT;

	home.enabled = 0;
	home.base.fd = home.fd = -1; /* in a forked child they may be numbers of the parent's */
	for (int i = 0; (r == -ENOENT || r == -ENODEV) && i < ATTEMPT_COUNT; i++)
		r = make_once(reason);
	if (r < 0)
		return r;
	keep();
	r = carom_finalizer_add(CAROM_FINALIZER_CGROUP, leave_at_exit, NULL, NULL);
	if (r < 0) {
		leave();
		forget();
	}
	return r;
}

int carom_cgroup_home_get(uint32_t controllers, char *reason, int *ret_fd, const char **ret_path)
{
	bool is_new;
	int r;

	carom_fork_lock_acquire(&lock);
	r = open_both(reason);
	is_new = r == -ENOENT;
	if (is_new)
		r = make(reason);
	if (r == 0) {
		r = hand_down(controllers, reason);
		if (r < 0 && is_new) {
			leave();
			forget();
		}
	}
	if (r == 0) {
		carom_private_fd_remove(&home.private_fd);
		*ret_fd = carom_take_fd(home.fd);
		*ret_path = home.path;
	}
	close_both();
	carom_fork_lock_release(&lock);
	return r;
}
