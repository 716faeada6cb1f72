/*
 * Version
 *
 * The build gives the project's version; the header repeats it, because it has to stand
 * alone once installed.
 */
#include "core/version.h"

const char *carom_version(void)
{
	return CAROM_PROJECT_VERSION;
}

int carom_version_number(void)
{
	return CAROM_VERSION_NUMBER;
}
