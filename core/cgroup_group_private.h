/* Cgroup: what the sources about groups share. */
#ifndef CAROM_CORE_CGROUP_GROUP_PRIVATE_H
#define CAROM_CORE_CGROUP_GROUP_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cgroup_file.h"
#include "core/cgroup_group.h"
#include "core/private_fd.h"

#define CAROM_CGROUP_NAME_MAX 80

/**
 * struct carom_cgroup
 * @parent:      NULL: the home
 * @child_count: groups that stand in it and have handles; with the lock of core/cgroup_living.c
 * @next:        in the list of those that are freed
 * @next_living: in that of core/cgroup_living.c
 * @id:          of its directory
 * @holds_groups: as the options had it
 * @fd:          its directory; -1 while it is found through the groups in it, which it holds
 * @events_fd:   its cgroup.events, once it is freed and was not empty; -1
 * @limits:      in force
 * @name:        in the directory around it
 */
struct carom_cgroup {
	uint64_t origin;
	struct carom_cgroup *parent;
	size_t child_count;
	struct carom_cgroup *next;
	struct carom_cgroup *next_living;
	struct carom_cgroup_id id;
	bool holds_groups;
	struct carom_private_fd private_fd;
	struct carom_private_fd private_events_fd;
	int fd;
	int events_fd;
	struct carom_cgroup_limits limits;
	char name[CAROM_CGROUP_NAME_MAX];
	char *path;
};

/** carom_cgroup_is_own() - was the handle made in this process? AS-Safe. */
bool carom_cgroup_is_own(const struct carom_cgroup *group);

/** carom_cgroup_enlist() - it is whole: its directory's descriptor is nobody else's now */
void carom_cgroup_enlist(struct carom_cgroup *group);

/** carom_cgroup_destroy() - the memory and the descriptors */
void carom_cgroup_destroy(struct carom_cgroup *group);

#endif
