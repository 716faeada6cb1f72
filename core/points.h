/*
 * Points
 *
 * Named places in the code at which a test can have a process killed:
 *
 *	CAROM_POINT("lane.claimed");
 *
 * In a build with -Dpoints=true a place that is not armed costs one load of a
 * word; in any other build it is nothing at all. Names are LAYER-NOUN first, then
 * what has just happened ("forkserver.made"); the same name may stand in several
 * places and is then one point.
 *
 * What is armed stands in a page that every process of the program shares from
 * before main(), forked or cloned, so that arming reaches a fork server, and the
 * children it makes, which run already. A program image from exec has a page of
 * its own. Whoever arms a point is never hit by it: a test that wants the parent
 * of a pool killed runs that parent in a child.
 *
 * A test finds all points of its kind by carom_point_name() and can so prove that
 * it left none out:
 *
 *	for (size_t i = 0; (name = carom_point_name(i)); i++)
 *		if (strncmp(name, "lane.", 5) == 0)
 *			kill_at(name);
 */
#ifndef CAROM_CORE_POINTS_H
#define CAROM_CORE_POINTS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#ifdef CAROM_POINTS

extern _Atomic uint32_t *carom_points_armed; /* how many points are armed */

void carom_point_reach(const char *const *site);

/* relaxed: a test arms before it starts what it wants to see hit, by other means ordered */
#define CAROM_POINT(name)                                                                        \
	do {                                                                                     \
		static const char *const carom_site_                                             \
			__attribute__((used, section("carom_points"))) = name;                   \
		if (__builtin_expect(                                                            \
			    atomic_load_explicit(carom_points_armed, memory_order_relaxed) != 0, \
			    0))                                                                  \
			carom_point_reach(&carom_site_);                                         \
	} while (0)

#else

#define CAROM_POINT(name) ((void)0)

#endif

/**
 * carom_point_arm() - SIGKILL every @every_nth process that comes here
 * @name:      of a point in this program
 * @every_nth: counted over all processes; 1 hits each
 *
 * The caller's process is spared. Several points may be armed at once.
 * Return: 0, -ENOENT (no such point in this program), -EINVAL (@every_nth is 0),
 * -EOPNOTSUPP (built without points: skip the test by name).
 */
int carom_point_arm(const char *name, uint32_t every_nth);

/**
 * carom_point_arm_once() - send a signal to the @nth process that comes here, and to no other
 * @signal_number: SIGKILL, or SIGSTOP for a process that hangs
 *
 * Return: as carom_point_arm().
 */
int carom_point_arm_once(const char *name, uint32_t nth, int signal_number);

/** carom_point_disarm_all() - nothing is armed afterwards, and the counts are 0 */
void carom_point_disarm_all(void);

/** carom_point_hits() - how many processes were signalled at @name since it was armed */
uint32_t carom_point_hits(const char *name);

/** carom_point_last_pid() - which process was the last of those, as it knows itself; 0: none was */
int32_t carom_point_last_pid(const char *name);

/** carom_point_name() - the name of place @index; NULL behind the last one. May repeat. */
const char *carom_point_name(size_t index);

#endif
