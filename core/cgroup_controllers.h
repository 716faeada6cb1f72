/*
 * Cgroup: controllers, which of them a group has and hands on
 */
#ifndef CAROM_CORE_CGROUP_CONTROLLERS_H
#define CAROM_CORE_CGROUP_CONTROLLERS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	CAROM_CGROUP_MEMORY = 1,
	CAROM_CGROUP_PIDS = 2,
	CAROM_CGROUP_CPU = 4,
};
#define CAROM_CGROUP_CONTROLLER_COUNT 3

/** carom_cgroup_controller_name() - of number 0, 1, 2: that of bit 1, 2, 4 */
const char *carom_cgroup_controller_name(uint32_t number);

/** carom_cgroup_controllers() - those that a list of names has. Return: bits. */
uint32_t carom_cgroup_controllers(const char *list);

/** carom_cgroup_is_on_v1() - does cgroup v1 have this controller, so that v2 cannot? */
bool carom_cgroup_is_on_v1(const char *root, const char *controller);

/** carom_cgroup_explain_missing() - @reason: why the group at @path has not a controller */
void carom_cgroup_explain_missing(const char *root, const char *path, uint32_t controller,
				  const char *there, char *reason);

/** carom_cgroup_controllers_read() - those that a file of a group names. 0, errno. */
int carom_cgroup_controllers_read(int fd, const char *file, uint32_t *ret_controllers);

/**
 * carom_cgroup_controllers_write() - hand them on, or not any more
 * @path:   for @reason
 * @sign:   '+' or '-'
 * @reason: as for carom_cgroup_new()
 * Return: 0, or what write(2) says of the first that cannot be, and the rest is as it was.
 */
int carom_cgroup_controllers_write(int fd, const char *path, char sign, uint32_t controllers,
				   char *reason);

/** carom_cgroup_controllers_check() - has the group got them? 0, -ENODEV, errno. */
int carom_cgroup_controllers_check(int fd, const char *path, uint32_t controllers, char *reason);

/**
 * carom_cgroup_enable() - have the groups in a group have controllers
 * @path: for @reason
 *
 * Return: 0, -ENODEV (it has not got one itself), -EBUSY (it has processes), or what
 * write(2) says.
 */
int carom_cgroup_enable(int fd, const char *path, uint32_t controllers, char *reason);

#endif
