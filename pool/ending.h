/*
 * Ending: a worker's process is told by a signal to end
 *
 * See pool/call.h for what that means to a task. Of a worker's main thread, and of signal
 * handlers where it says so.
 */
#ifndef CAROM_POOL_ENDING_H
#define CAROM_POOL_ENDING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "core/shutdown.h"
#include "core/shutdown_private.h"
#include "ipc/lane.h"
#include "pool/call.h"
#include "pool/pool_options.h"

/**
 * struct carom_ending - one for the process, because a handler has no argument
 * @is_inside: a task's function runs
 * @is_told:   and has asked to be told
 * @function, @userdata: how; may be NULL
 */
struct carom_ending {
	struct carom_lane *lane;
	pid_t pid;
	_Atomic bool is_inside;
	_Atomic bool is_told;
	carom_call_shutdown_fn *function;
	void *userdata;
};

/**
 * carom_ending_catch() - from now on signals end this process in good order
 * @lane: from which it claims no more then
 *
 * Once in a process. Return: to be handed to the others here.
 */
struct carom_ending *carom_ending_catch(struct carom_lane *lane, enum carom_worker_signals signals);

/** carom_ending_enter() - a task's function is about to run; does not return if it may not */
static inline void carom_ending_enter(struct carom_ending *ending)
{
	atomic_store_explicit(&ending->is_inside, true, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst); /* E1 */
	if (atomic_load_explicit(&carom_shutdown_begun_by, memory_order_relaxed))
		carom_shutdown_finish();
}

/** carom_ending_leave() - it has returned */
static inline void carom_ending_leave(struct carom_ending *ending)
{
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&ending->is_inside, false, memory_order_relaxed);
	if (atomic_load_explicit(&ending->is_told, memory_order_relaxed))
		atomic_store_explicit(&ending->is_told, false, memory_order_relaxed);
}

/** carom_ending_tell() - until it returns, the function is told and not ended; see carom_call_on_shutdown() */
void carom_ending_tell(struct carom_ending *ending, carom_call_shutdown_fn *function,
		       void *userdata);

#endif
