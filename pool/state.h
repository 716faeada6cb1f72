/**
 * DOC: pool state
 *
 * What a pool is doing, and whether it can:
 *
 *	r = carom_pool_wait_ready(pool, carom_deadline_after(CAROM_SECONDS(5)));
 *	if (r == -ENOTRECOVERABLE && carom_pool_broken(pool, &broken) > 0)
 *		puts(broken.text);		// "initializer failed"
 *
 * A pool that cannot keep workers alive is broken: its workers are ended, whoever waits
 * gets the outcome `pool broken`, with the reason as code and message, and who submits
 * later -ENOTRECOVERABLE. It stays so; the program may free it and make another.
 *
 * What breaks a pool, and what does not:
 *
 *	deaths		more of them than max_restarts in restart_window_ns, and no
 *			task was begun in between
 *	failed starts	20 in a row of workers that died before they were ready, 5 of
 *			those that took longer than start_timeout_ns, or were killed at
 *			their memory limit, while no other worker is ready. The first is made good at once, the others after pauses
 *			that begin with restart_backoff_ns and double up to 64 times that
 *	no descriptors	the program has closed the library's own: closefrom(3), with the
 *			pool not meant. Workers are killed at once, and whoever comes for
 *			a new pool gets one
 *	no resources	(processes, memory, descriptors): only if no worker is left, and
 *			somebody has waited for one for ten seconds. Else it is tried
 *			again, after pauses of up to 1024 times restart_backoff_ns
 */
#ifndef CAROM_POOL_STATE_H
#define CAROM_POOL_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "outcome.h"

CAROM_BEGIN_DECLS

struct carom_pool;
struct carom_pool_options;

/** enum carom_pool_state - billiard's RUN, CLOSE and TERMINATE, and one more; only upwards */
enum carom_pool_state {
	CAROM_POOL_RUNNING,
	CAROM_POOL_CLOSED,     /* takes no more; what it has accepted is being done */
	CAROM_POOL_TERMINATED, /* all were answered */
	CAROM_POOL_BROKEN,     /* likewise, because it could not keep workers alive */
};

/**
 * carom_pool_state() - one of enum carom_pool_state. Row PH-01
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks for long.
 * Return: the state, -ECHILD.
 */
CAROM_API int carom_pool_state(struct carom_pool *pool);

/** enum carom_broken_reason - why a pool is broken */
enum carom_broken_reason {
	CAROM_BROKEN_NOT,           /* it is not */
	CAROM_BROKEN_RESTART_LIMIT, /* max_restarts in restart_window_ns; text: "100 in 1s" */
	CAROM_BROKEN_INIT_FAILED,   /* no worker's initializer succeeds */
	CAROM_BROKEN_INIT_TIMEOUT,  /* no worker is ready within start_timeout_ns */
	CAROM_BROKEN_START_FAILED,  /* every worker dies before it is ready */
	CAROM_BROKEN_NO_PROCESS,    /* none can be made; see error */
	CAROM_BROKEN_LOSS,          /* a worker was lost, and break_on_loss was asked for */
	CAROM_BROKEN_CALLBACK,      /* a callback failed, and callbacks_propagate was asked for */
	CAROM_BROKEN_LOOP,          /* the library's own descriptors were taken away */
	CAROM_BROKEN_MEMORY_LIMIT,  /* every worker has more than it may before it is ready */
};

/** carom_broken_reason_name() - "restart limit", ... MT-Safe, AS-Safe; static text. */
CAROM_API const char *carom_broken_reason_name(enum carom_broken_reason reason);

/**
 * struct carom_broken - why
 * @reason: one of enum carom_broken_reason
 * @error:  NO_PROCESS, LOOP: the error of the last attempt, below 0; else -ENOTRECOVERABLE
 * @text:   for people
 */
struct carom_broken {
	uint64_t reason;
	int64_t error;
	char text[CAROM_OUTCOME_MESSAGE_MAX];
};

/**
 * carom_pool_broken() - is it, and why?
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks for long.
 * Return: 1 and *@ret_broken, 0 with it untouched, or -ECHILD.
 */
CAROM_API int carom_pool_broken(struct carom_pool *pool, struct carom_broken *ret_broken);

/**
 * carom_pool_wait_ready() - wait until every worker can take work. Rows PC-03, PM-26
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * That is, until its initializer has returned. A pool that is being filled again after
 * deaths is waited for as well. Who waits here counts as somebody who needs workers:
 * a pool that cannot make one breaks sooner or later, see above.
 *
 * Context: MT-Safe, AS-Unsafe. Blocks.
 * Return: 0, -ETIMEDOUT, -ENOTRECOVERABLE (broken: carom_pool_broken() says why),
 * -ESHUTDOWN (closed or terminated), -ECHILD.
 */
CAROM_API int carom_pool_wait_ready(struct carom_pool *pool, uint64_t deadline_ns);

/**
 * carom_pool_did_start_ok() - has no worker gone wrong so far? Row PM-26
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks for long.
 * Return: 1; 0: some worker ended that should not have, or could not be made; -ECHILD.
 */
CAROM_API int carom_pool_did_start_ok(struct carom_pool *pool);

/**
 * carom_pool_maintain() - see to it now that every worker is there. Row PM-27
 *
 * A pool does so by itself; this is for who wants to know that it could. What is
 * waiting for the end of a pause goes on waiting.
 *
 * Context: MT-Safe, AS-Unsafe. Blocks for about 1 ms where workers are made.
 * Return: 0 (also once the pool was closed); -ENOTRECOVERABLE (broken), -ECHILD; or why
 * the last attempt to make a worker failed: -ENOMEM, -EAGAIN, -EMFILE, ... The pool
 * can be used then, with less workers, and goes on trying.
 */
CAROM_API int carom_pool_maintain(struct carom_pool *pool);

/**
 * struct carom_restart_state - how far a pool is from being broken. Row PH-05
 * @max_restarts: in @window_ns; CAROM_NO_LIMIT: any number
 * @restart_count: so far in this window, since a task was begun
 * @failure_count: starts that failed, in a row
 * @refusal_count: workers that could not be made, in a row
 * @loss_count:    workers that ended and should not have, since the pool was made
 */
struct carom_restart_state {
	uint64_t max_restarts;
	uint64_t window_ns;
	uint64_t restart_count;
	uint64_t failure_count;
	uint64_t refusal_count;
	uint64_t loss_count;
};

/**
 * carom_pool_restart_state() - as it is now
 *
 * Context: MT-Safe, AS-Unsafe. Blocks until the library's thread has answered.
 * Return: 0, -ECHILD.
 */
CAROM_API int carom_pool_restart_state(struct carom_pool *pool,
				       struct carom_restart_state *ret_state);

/**
 * carom_pool_get_options() - what a pool was made with, and what was made of it
 * @ret_options: made by CAROM_POOL_OPTIONS(); fields that this library does not know are left
 *
 * Defaults are replaced by what they mean; worker_count is how many there are now. Where
 * the program gave pointers the pool's own copies are told, or NULL: borrowed, until the
 * pool is freed. The name stands in carom_pool_statistics().
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks for long.
 * Return: 0, -EINVAL (not made by CAROM_POOL_OPTIONS()), -ECHILD.
 */
CAROM_API int carom_pool_get_options(struct carom_pool *pool,
				     struct carom_pool_options *ret_options);

/**
 * carom_pool_describe() - "<Pool 'pool' state=running workers=4>". Row PH-22
 * @text: cut at @size bytes, always with a NUL; 64 and the name's length are enough
 *
 * Context: MT-Safe, AS-Unsafe lock.
 * Return: @text.
 */
CAROM_API char *carom_pool_describe(struct carom_pool *pool, char *text, size_t size);

CAROM_END_DECLS

#endif
