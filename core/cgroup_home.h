/*
 * Cgroup: the home, in which a program's groups stand
 *
 *	BASE/				what the program was started in (core/cgroup_base.h)
 *	    carom-PID.NUMBER/		the home
 *		program/		the program itself and what it starts without a group
 *		GROUP/ ...		core/cgroup_group.h
 *
 * It is made when it is first needed and removed at the regular end of the program, which
 * goes back to the base then. What a killed program left is removed when the next home is
 * made in the same base.
 */
#ifndef CAROM_CORE_CGROUP_HOME_H
#define CAROM_CORE_CGROUP_HOME_H

#include <stdint.h>

/**
 * carom_cgroup_home_get() - see to it that it is there, and that groups in it have controllers
 * @controllers: CAROM_CGROUP_MEMORY, ...; 0 for none
 * @reason:      as for carom_cgroup_new()
 * @ret_fd:      the home's directory; the caller closes it
 * @ret_path:    for people; stays the home's, until the program ends
 *
 * Return: 0, or what carom_cgroup_new() says of the own group, and then all is as before.
 */
int carom_cgroup_home_get(uint32_t controllers, char *reason, int *ret_fd, const char **ret_path);

/**
 * carom_cgroup_home_lost() - its directory is gone: the next one is made anew
 *
 * Somebody has moved this program out of it and removed what was empty then.
 */
void carom_cgroup_home_lost(void);

/**
 * carom_cgroup_home_leave() - what the program does with it at its end
 *
 * Blocks for a second at most, if freed groups do not get empty.
 * Return: 0, -EBUSY (processes are left in its groups, or another home has come to stand in
 * the base): it stays, for the next one to remove; -ENOENT (neither its path nor a group in
 * it leads there, as after chroot(2)): likewise, unless it is left later, when one does.
 */
int carom_cgroup_home_leave(void);

#endif
