/**
 * DOC: version
 *
 * The version of the headers a program was compiled with, and of the library that it
 * runs with; later ones of the same major version serve the same programs.
 */
#ifndef CAROM_CORE_VERSION_H
#define CAROM_CORE_VERSION_H

#include "api.h"

CAROM_BEGIN_DECLS

#define CAROM_VERSION_MAJOR 0
#define CAROM_VERSION_MINOR 1
#define CAROM_VERSION_PATCH 0

/* one number that grows with the version, for #if */
#define CAROM_VERSION_NUMBER \
	(CAROM_VERSION_MAJOR * 1000000 + CAROM_VERSION_MINOR * 1000 + CAROM_VERSION_PATCH)

#define CAROM_VERSION_STRING "0.1.0"

/** carom_version() - of the library, "0.1.0". Static. MT-Safe, AS-Safe. */
CAROM_API const char *carom_version(void);

/** carom_version_number() - of the library, as CAROM_VERSION_NUMBER. MT-Safe, AS-Safe. */
CAROM_API int carom_version_number(void);

CAROM_END_DECLS

#endif
