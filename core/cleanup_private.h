/* Cleanup: of what only the library itself holds in CAROM_CLEANUP() variables. */
#ifndef CAROM_CORE_CLEANUP_PRIVATE_H
#define CAROM_CORE_CLEANUP_PRIVATE_H

#include <dirent.h>
#include <stdio.h>

#include "core/cleanup.h"

static inline void carom_closedirp(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

static inline void carom_fclosep(FILE **file)
{
	if (*file)
		fclose(*file);
}

#endif
