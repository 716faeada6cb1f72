/*
 * Cgroup: groups that this program makes
 *
 * They stand in its home, a directory of its own below the cgroup that it was started in
 * (core/cgroup_home.h), which is made when the first of them is:
 *
 *	char reason[CAROM_CGROUP_REASON_SIZE];
 *
 *	r = carom_cgroup_new(&(struct carom_cgroup_options){ .name = "worker",
 *							     .limits = &limits },
 *			     reason, &group);
 *	...				// born inside: cgroup_fd = carom_cgroup_fd(group)
 *	r = carom_cgroup_kill(group);	// with all its descendants
 *	group = carom_cgroup_free(group);
 *
 * A group may stand in another: one for a whole pool with its own limits, one in it for
 * each worker. A group that others stand in, with limits, can have no processes.
 *
 * MT-Safe; a handle is one thread's at a time. In a forked copy of the program it says
 * -ECHILD and does nothing.
 */
#ifndef CAROM_CORE_CGROUP_GROUP_H
#define CAROM_CORE_CGROUP_GROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/cgroup_limits.h"

#define CAROM_CGROUP_REASON_SIZE 512

struct carom_cgroup;

/**
 * struct carom_cgroup_options - what carom_cgroup_new() makes
 * @parent: it stands in this one; NULL: in the home
 * @name:   its directory's name is this and a number; NULL: "group"
 * @limits: read during the call; NULL: none
 * @holds_groups: it is for other groups alone: while one stands in it no descriptor of it is
 *          kept, and it is found through that one
 */
struct carom_cgroup_options {
	struct carom_cgroup *parent;
	const char *name;
	const struct carom_cgroup_limits *limits;
	bool holds_groups;
};

/**
 * carom_cgroup_new() - make a group
 * @reason:    on failure, a sentence for people without a full stop: which file, what is
 *             missing and what helps; else empty. Has CAROM_CGROUP_REASON_SIZE bytes.
 *             NULL: nobody asks
 * @ret_group: the caller's, ended by carom_cgroup_free()
 *
 * The first one moves this process into a group below its own, and where limits need
 * that, its descendants in that group, too (some milliseconds each). Later ones take
 * some ten microseconds. On failure nothing is left behind.
 *
 * Return: 0, or
 *	-EOPNOTSUPP  there is no cgroup v2 here, or it does not show the own group
 *	-EROFS       it is mounted read-only, as in most containers
 *	-EACCES, -EPERM  the own group is somebody else's: it was not delegated
 *	-ECANCELED   CAROM_DENY names cgroup_v2
 *	-EBUSY       processes that are not this program's stand in its own group
 *	-ENODEV      a limit needs a controller that this group does not have
 *	-EINVAL      limits that the kernel would refuse
 *	-E2BIG       limits newer than this library
 *	-EAGAIN      no more groups are allowed (cgroup.max.descendants, cgroup.max.depth)
 *	-ECHILD      @options->parent is from before fork()
 *	-ENOMEM, -EMFILE, -ENFILE, and what write(2) says of a limit's file
 */
int carom_cgroup_new(const struct carom_cgroup_options *options, char *reason,
		     struct carom_cgroup **ret_group);

/**
 * carom_cgroup_free() - remove the group; always NULL
 *
 * One that still has processes, or in which groups stand, is removed once they are gone:
 * by the loop of the program's service if it has one, by carom_cgroup_bury(), or at the
 * end of the program. It kills nobody.
 */
struct carom_cgroup *carom_cgroup_free(struct carom_cgroup *group);

/**
 * carom_cgroup_lose() - its descriptor was taken away: forget it without touching that; NULL
 *
 * The directory is removed with the home, at the end of the program.
 */
struct carom_cgroup *carom_cgroup_lose(struct carom_cgroup *group);

/** carom_cgroup_bury() - remove freed groups that are empty now. Return: how many are left. */
size_t carom_cgroup_bury(void);

/** carom_cgroup_bury_until() - likewise, waiting for those that become empty */
size_t carom_cgroup_bury_until(uint64_t deadline_ns);

/** carom_cgroup_count() - groups of this process that are not removed yet, for leak tests */
size_t carom_cgroup_count(void);

/** carom_cgroup_fd() - its directory, for carom_clone_options.cgroup_fd and the like; stays the group's. Not of one that holds groups. */
int carom_cgroup_fd(const struct carom_cgroup *group);

/** carom_cgroup_path() - for people; stays the group's */
const char *carom_cgroup_path(const struct carom_cgroup *group);

/** carom_cgroup_limits_of() - those in force: cut to pages, defaults filled in */
void carom_cgroup_limits_of(const struct carom_cgroup *group,
			    struct carom_cgroup_limits *ret_limits);

/** carom_cgroup_set_limits() - others from now on. As carom_cgroup_new(); a limit that is 0 is lifted. */
int carom_cgroup_set_limits(struct carom_cgroup *group, const struct carom_cgroup_limits *limits,
			    char *reason);

/**
 * carom_cgroup_enter() - move the calling process, all its threads, into a group
 * @cgroup_fd: the group's directory
 *
 * For a child before it runs anything of its own, where it could not be born inside.
 * Context: AS-Safe. Return: 0, or what openat(2) and write(2) say.
 */
int carom_cgroup_enter(int cgroup_fd);

/** carom_cgroup_admit() - move another process. 0, -ESRCH, -ECHILD, what write(2) says. */
int carom_cgroup_admit(struct carom_cgroup *group, pid_t pid);

/**
 * carom_cgroup_kill() - SIGKILL to every process in the group and in those that stand in it
 *
 * By cgroup.kill; before Linux 5.14 the group is frozen, each one killed, and thawed. One that
 * is born meanwhile is killed as well. They are dead some time later.
 * Return: 0, -ECHILD, or what openat(2) and write(2) say.
 */
int carom_cgroup_kill(struct carom_cgroup *group);

/** carom_cgroup_is_populated() - has it, or one that stands in it, a living process? 1, 0, errno */
int carom_cgroup_is_populated(struct carom_cgroup *group);

/** carom_cgroup_wait_empty() - until it has none. 0, -ETIMEDOUT, -ECHILD. */
int carom_cgroup_wait_empty(struct carom_cgroup *group, uint64_t deadline_ns);

/** carom_cgroup_process_count() - how many processes it has, without the groups in it */
int carom_cgroup_process_count(struct carom_cgroup *group, size_t *ret_count);

#endif
