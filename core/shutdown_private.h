/* What of shutdown is looked at often: before each item of a map. */
#ifndef CAROM_CORE_SHUTDOWN_PRIVATE_H
#define CAROM_CORE_SHUTDOWN_PRIVATE_H

#include <stdatomic.h>

/* the signal that began the shutdown of this process, or 0; see carom_shutdown_signal() */
extern _Atomic int carom_shutdown_begun_by;

#endif
