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
 *			those that took longer than start_timeout_ns, while no other worker
 *			is ready. The first is made good at once, the others after pauses
 *			that begin with restart_backoff_ns and double up to 64 times that
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

CAROM_END_DECLS

#endif
