/*
 * Crash: where a worker was when its task crashed
 *
 * The worker writes addresses to a place in its value arena that its parent has chosen,
 * in the handler of the signal that kills it. The parent finds them when it buries it.
 */
#ifndef CAROM_POOL_CRASH_H
#define CAROM_POOL_CRASH_H

#include "core/backtrace.h"

/* room for a struct carom_backtrace at the beginning of the worker's range, if it has such */
#define CAROM_CRASH_SIZE 4096
_Static_assert(sizeof(struct carom_backtrace) <= CAROM_CRASH_SIZE, "it has room");

/**
 * carom_crash_catch() - from now on crashes of this process leave where they were
 * @place: shared; cleared here
 *
 * Only signals that have their default action. Where a handler cannot capture safely,
 * nothing is done.
 */
void carom_crash_catch(struct carom_backtrace *place);

/** carom_crash_note() - in a handler: this process is about to end by this very signal. AS-Safe. */
void carom_crash_note(const void *context);

#endif
