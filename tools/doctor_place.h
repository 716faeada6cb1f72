/*
 * Place: what is known of the surroundings before anything is judged by it.
 */
#ifndef CAROM_TOOLS_DOCTOR_PLACE_H
#define CAROM_TOOLS_DOCTOR_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "tools/doctor_container.h"

/**
 * struct carom_doctor_place - where this runs
 * @root:        put before the path of each file that is read
 * @release:     the kernel's, as uname(2) has it
 * @major, minor: of @release; 0.0 if it makes no sense
 * @is_filtered: a seccomp filter is in force
 */
struct carom_doctor_place {
	const char *root;
	char release[72];
	char machine[72];
	unsigned major, minor;
	enum carom_doctor_container container;
	uid_t user;
	bool is_filtered;
};

/** carom_doctor_place_find() - look at all of it */
void carom_doctor_place_find(const char *root, struct carom_doctor_place *ret);

/** carom_doctor_is_before() - is the kernel older than that version? */
bool carom_doctor_is_before(const struct carom_doctor_place *place, unsigned major, unsigned minor);

#endif
