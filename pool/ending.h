/*
 * Ending: a worker's process is told by a signal to end
 *
 * See pool/call.h for what that means to a task. Of a worker's main thread, and of signal
 * handlers where it says so.
 */
#ifndef CAROM_POOL_ENDING_H
#define CAROM_POOL_ENDING_H

#include "ipc/lane.h"
#include "pool/call.h"
#include "pool/pool_options.h"

struct carom_ending;

/**
 * carom_ending_catch() - from now on signals end this process in good order
 * @lane: from which it claims no more then
 *
 * Once in a process. Return: to be handed to the others here.
 */
struct carom_ending *carom_ending_catch(struct carom_lane *lane, enum carom_worker_signals signals);

/** carom_ending_enter() - a task's function is about to run; does not return if it may not */
void carom_ending_enter(struct carom_ending *ending);

/** carom_ending_leave() - it has returned */
void carom_ending_leave(struct carom_ending *ending);

/** carom_ending_tell() - until it returns, the function is told and not ended; see carom_call_on_shutdown() */
void carom_ending_tell(struct carom_ending *ending, carom_call_shutdown_fn *function,
		       void *userdata);

#endif
