/*
 * Place
 */
#include "tools/doctor_place.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/doctor_files.h"

void carom_doctor_place_find(const char *root, struct carom_doctor_place *ret)
{
	struct carom_doctor_place place = { .root = root, .user = geteuid() };
	struct utsname name = { 0 };

	uname(&name);
	snprintf(place.machine, sizeof(place.machine), "%s", name.machine);
	if (!carom_doctor_read(root, "/proc/sys/kernel/osrelease", place.release,
			       sizeof(place.release)))
		snprintf(place.release, sizeof(place.release), "%s", name.release);
	place.release[strcspn(place.release, "\n")] = '\0';
	if (sscanf(place.release, "%u.%u", &place.major, &place.minor) != 2)
		place.major = place.minor = 0;
	place.container = carom_doctor_container(root);
	place.is_filtered = carom_doctor_mentions(root, "/proc/self/status", "Seccomp:\t2");
	*ret = place;
}

bool carom_doctor_is_before(const struct carom_doctor_place *place, unsigned major, unsigned minor)
{
	if (place->container == CAROM_DOCTOR_GVISOR || place->major == 0)
		return false; /* what it says is not what it can do */
	return place->major < major || (place->major == major && place->minor < minor);
}
