/*
 * Cgroup
 *
 * Where this process stands in the hierarchies of control groups, and how much of
 * its way there it can see. What the files mean is for the caller.
 */
#ifndef CAROM_CORE_CGROUP_H
#define CAROM_CORE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

/**
 * struct carom_cgroup_place - the own group, as a mount shows it
 * @path:       its directory, or the nearest one above it that can be named; the
 *              callee may shorten it and must not keep it
 * @top_length: so many bytes of @path are the mount's top, where the view ends
 * @is_v2:      of the unified hierarchy; else of one that has the controller on v1
 * @is_own:     @path is the own group's, not one above it
 */
struct carom_cgroup_place {
	char *path;
	size_t top_length;
	bool is_v2;
	bool is_own;
};

/** typedef carom_cgroup_fn - takes one place. Return: 0, or a negative errno that ends the search. */
typedef int carom_cgroup_fn(const struct carom_cgroup_place *place, void *userdata);

/**
 * carom_cgroup_places() - every place at which the own group can be seen
 * @root:       put before every path that is opened: "", or a tree made for a test
 * @controller: of v1 only the hierarchy with this one, as "cpu"; NULL: v2 only
 * @visit:      called for each, in the order of the mounts
 *
 * Return: how many there were, what @visit failed with, or what open(2) says of
 * /proc/self/cgroup and /proc/self/mountinfo; -ENOMEM.
 */
int carom_cgroup_places(const char *root, const char *controller, carom_cgroup_fn *visit,
			void *userdata);

/**
 * carom_cgroup_check() - can groups be made in it, and processes put into them?
 * @fd: its directory
 * Return: 0, or what faccessat(2) says: -EROFS, -EACCES.
 */
int carom_cgroup_check(int fd);

/** carom_cgroup_ascend() - cut one name off @path. Return: false at the top. */
bool carom_cgroup_ascend(const struct carom_cgroup_place *place);

#endif
