/* Cgroup: what the sources about groups share. */
#ifndef CAROM_CORE_CGROUP_GROUP_PRIVATE_H
#define CAROM_CORE_CGROUP_GROUP_PRIVATE_H

#include <stdbool.h>

#include "core/cgroup_group.h"

/** carom_cgroup_is_own() - was the handle made in this process? AS-Safe. */
bool carom_cgroup_is_own(const struct carom_cgroup *group);

#endif
