/*
 * Cgroup: the homes that killed programs have left, wherever they stand.
 */
#ifndef CAROM_CORE_CGROUP_CLEAN_H
#define CAROM_CORE_CGROUP_CLEAN_H

#include <stdbool.h>

/**
 * typedef carom_cgroup_told_fn - takes one home in which no process lives
 * @error: 0: it is removed, or would be; else why it could not be
 */
typedef void carom_cgroup_told_fn(const char *path, int error, void *userdata);

/**
 * carom_cgroup_clean() - remove the homes of programs that have ended
 * @root:       "", or a tree made for a test
 * @is_dry_run: tell, and remove nothing
 * @told:       called for each
 *
 * In all of the unified hierarchy that this process can see, not only where a program of
 * its own would make one. Root removes those of all users, others their own.
 *
 * Return: 0, or what carom_cgroup_places() says.
 */
int carom_cgroup_clean(const char *root, bool is_dry_run, carom_cgroup_told_fn *told,
		       void *userdata);

#endif
