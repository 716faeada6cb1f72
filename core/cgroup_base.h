/*
 * Cgroup: the base, below which this program may make groups
 *
 * The group that the program was started in; or, where that is what another of these
 * programs has made for itself and its children (core/cgroup_home.h), the one around it.
 */
#ifndef CAROM_CORE_CGROUP_BASE_H
#define CAROM_CORE_CGROUP_BASE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define CAROM_CGROUP_HOME_PREFIX "carom-"  /* a home is called carom-PID.NUMBER */
#define CAROM_CGROUP_PROGRAM     "program" /* in it, the group of the program itself */

/**
 * struct carom_cgroup_base - a directory that groups may be made in
 * @fd:      the owner of the struct closes it
 * @is_root: of the whole hierarchy, which may have processes and controllers at once
 */
struct carom_cgroup_base {
	int fd;
	bool is_root;
	char path[PATH_MAX];
};

/**
 * carom_cgroup_base_open() - find it
 * @root:   "", or a tree made for a test
 * @reason: as for carom_cgroup_new()
 *
 * Return: 0, or what carom_cgroup_new() says of the own group.
 */
int carom_cgroup_base_open(const char *root, char *reason, struct carom_cgroup_base *ret_base);

/** carom_cgroup_home_is_name() - is it one that a home can have? */
bool carom_cgroup_home_is_name(const char *name);

/** carom_cgroup_scope() - the command that starts a program in a group delegated to this user */
const char *carom_cgroup_scope(void);

/** carom_cgroup_say() - printf into a reason; NULL: nobody asks. Return: @error. */
int carom_cgroup_say(char *reason, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
