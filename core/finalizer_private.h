/* Finalizers: what the end and the beginning of a process call. */
#ifndef CAROM_CORE_FINALIZER_PRIVATE_H
#define CAROM_CORE_FINALIZER_PRIVATE_H

#include "core/finalizer.h"

#define CAROM_FINALIZERS_ALL (CAROM_FINALIZER_NEVER + 1)

/**
 * carom_finalizers_run() - run those of @min_priority and above, in their order
 * @min_priority: CAROM_FINALIZERS_ALL for all that run at an exit
 *
 * Those that are there when it begins; what they cancel is left out, what they add
 * waits for the next round. One that fails is logged. Blocks as long as they do.
 */
void carom_finalizers_run(int min_priority);

/**
 * carom_finalizers_clear() - for a child: give back the memory of its parent's
 *
 * They would not run in any case; those of this process itself stay.
 */
void carom_finalizers_clear(void);

#endif
