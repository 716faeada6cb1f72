/**
 * DOC: task
 *
 * One call of a function in some worker. What a task is given beside its argument:
 *
 *	r = carom_pool_apply_async(pool, resize, path, strlen(path),
 *				   &CAROM_TASK_OPTIONS(.hard_limit_ns = CAROM_SECONDS(2),
 *						       .callback = done, .userdata = &batch),
 *				   NULL);
 *
 * Callbacks of a pool are called one at a time by a thread that the pool has for them
 * (in a polled pool: by whoever polls), in the order in which tasks ended as far as it
 * can be told, those of one task in the order accept, timeout, end. No lock is held: a
 * callback may submit, wait, close or terminate the pool. While one is at it the others
 * of its pool wait, but not the pool itself; what takes longer than 100 ms is logged. A task
 * counts for the pool's slot_count until its callbacks have returned: where they are
 * slower than the workers, who submits tasks with callbacks waits.
 *
 * Two things a callback must not do. Free the pool while another thread uses it, or waits
 * for it. And, in a pool with `synack`, wait for a task, or for what needs one to be begun
 * or ended (a map, a restart): no task begins before this thread gives it leave.
 */
#ifndef CAROM_POOL_TASK_H
#define CAROM_POOL_TASK_H

#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"

CAROM_BEGIN_DECLS

struct carom_result;

/**
 * typedef carom_callback_fn - a task has ended
 * @result: borrowed, and ready (but see callbacks_first): carom_result_get() does not block
 *
 * Return: 0; below 0 is logged, or breaks the pool, see callbacks_propagate.
 */
typedef int carom_callback_fn(struct carom_result *result, void *userdata);

/**
 * typedef carom_accept_callback_fn - a worker has begun it
 * @pid:         the worker's
 * @accepted_ns: when, CLOCK_MONOTONIC
 *
 * Called each time that a worker begins it, or with `synack` is about to: more than once
 * where a worker dies and another one goes on.
 *
 * Return: 0. Below 0 means no: in a pool with `synack` the function is not called and
 * the task is `cancelled`; in others it is logged.
 */
typedef int carom_accept_callback_fn(struct carom_result *result, int64_t pid, uint64_t accepted_ns,
				     void *userdata);

/**
 * typedef carom_timeout_callback_fn - a limit was hit
 * @is_soft: which one: the soft limit, or the hard one, which has ended the task
 * @limit_ns: how much it was
 */
typedef int carom_timeout_callback_fn(struct carom_result *result, int is_soft, uint64_t limit_ns,
				      void *userdata);

/** enum carom_wait_for_slot - what to do where no more tasks are accepted for the moment */
enum carom_wait_for_slot {
	CAROM_SLOT_WAIT_DEFAULT, /* wait; for put_locks as the pool says */
	CAROM_SLOT_WAIT_NEVER,   /* -EAGAIN, and nothing is submitted */
	CAROM_SLOT_WAIT_ALWAYS,  /* wait for a free worker, also without put_locks. Row PM-03 */
	CAROM_SLOT_WAIT_IGNORE,  /* do not wait for a worker, also with put_locks */
};

/**
 * struct carom_task_options - for one task
 * @size_bytes:    size of this struct; CAROM_TASK_OPTIONS() fills it in
 * @hard_limit_ns: 0 means the pool's; CAROM_NO_LIMIT means none
 * @soft_limit_ns: likewise
 * @retry_on_loss: how often it may be begun again when its worker is lost: 0 means as the
 *                 pool has it; CAROM_NEVER_RETRY means not at all
 * @wait_for_slot: one of enum carom_wait_for_slot
 * @callback:      called when it has ended with a value. Row CB-01
 * @error_callback: called when it has ended without. Row CB-02
 * @accept_callback: called when a worker has begun it. Row CB-03
 * @timeout_callback: called when a limit is hit. Row CB-05
 * @userdata:      handed to them; see also carom_result_userdata()
 * @correlation_id: a text of the program's own; copied; see
 *                 carom_result_correlation_id(). Row RS-12
 * @callbacks_propagate: 1: a callback of it that returns below 0 breaks the pool
 */
struct carom_task_options {
	size_t size_bytes;
	uint64_t hard_limit_ns;
	uint64_t soft_limit_ns;
	uint64_t retry_on_loss;
	uint64_t wait_for_slot;
	carom_callback_fn *callback;
	carom_callback_fn *error_callback;
	carom_accept_callback_fn *accept_callback;
	carom_timeout_callback_fn *timeout_callback;
	void *userdata;
	const char *correlation_id;
	uint64_t callbacks_propagate;
};
#define CAROM_TASK_OPTIONS(...) CAROM_OPTIONS(carom_task_options, __VA_ARGS__)

/* For retry_on_loss: begin it once, whatever the pool says. */
#define CAROM_NEVER_RETRY UINT64_MAX

CAROM_END_DECLS

#endif
