/*
 * Cgroup: the ways to what stands above this program's groups
 */
#ifndef CAROM_CORE_CGROUP_LIVING_H
#define CAROM_CORE_CGROUP_LIVING_H

#include <stdbool.h>

#include "core/cgroup_file.h"

struct carom_cgroup;

/** carom_cgroup_living_add() - it is whole, and a way to what it stands in from now on */
void carom_cgroup_living_add(struct carom_cgroup *group);

/**
 * carom_cgroup_living_prepare() - it may be removed: what it stands in is to be found without it
 *
 * carom_cgroup_living_remove(), or _stay() if it is not removed, comes next.
 * Return: 0, or -EMFILE, -ENFILE, -ENOMEM: it has to stay.
 */
int carom_cgroup_living_prepare(struct carom_cgroup *group);
void carom_cgroup_living_stay(struct carom_cgroup *group);

/** carom_cgroup_living_remove() - no longer, as it is removed now */
void carom_cgroup_living_remove(struct carom_cgroup *group);

/** carom_cgroup_living_lose() - no longer, and its memory may go before that of the groups in it */
void carom_cgroup_living_lose(struct carom_cgroup *group);

/** carom_cgroup_living_has_children() - of these; what a process in it has made there does not count */
bool carom_cgroup_living_has_children(const struct carom_cgroup *group);

/**
 * carom_cgroup_living_home() - the home, found from a group that stands in it
 * @id:     which directory it has to be
 * @ret_fd: the caller's
 * Return: 0, -ENOENT (no living group leads there), -EMFILE, -ENFILE, -ENOMEM.
 */
int carom_cgroup_living_home(struct carom_cgroup_id id, int *ret_fd);

/**
 * carom_cgroup_hold() - a group's directory, for as long as the caller needs it
 * @ret_own_fd: opened for the caller, who closes it; untouched where the group has one
 * Return: a descriptor, or what open(2) says.
 */
int carom_cgroup_hold(struct carom_cgroup *group, int *ret_own_fd);

#endif
