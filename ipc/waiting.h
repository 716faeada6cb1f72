/*
 * Waiting: requests that are answered when it is their turn
 *
 * A line of them, first come, first served. What stands in it is taken out by whoever answers,
 * or by its end: its client goes, or its time has passed.
 */
#ifndef CAROM_IPC_WAITING_H
#define CAROM_IPC_WAITING_H

#include <stdbool.h>

#include "ipc/request.h"

struct carom_waiter;

/** struct carom_waiting - a line; all zero: nobody waits */
struct carom_waiting {
	struct carom_waiter *first;
	struct carom_waiter *last;
	size_t count;
};

/**
 * typedef carom_waiter_leave_fn - a waiter goes without an answer; it is in no line any more
 * @reason: as for carom_request_cancel_fn
 * Return: what its request is finished with: @reason, or 0 with a reply.
 */
typedef int carom_waiter_leave_fn(struct carom_waiter *waiter, int reason);

/**
 * struct carom_waiter - one of a line
 * @request: that waits
 * @object:  that it waits for
 * @caller:  whose it is
 * @count:   whatever the object counts in it
 * @flag:    whatever the object marks in it
 * @data:    whatever else it has; the object ends it
 */
struct carom_waiter {
	struct carom_request *request;
	void *object;
	struct carom_caller caller;
	uint64_t count;
	bool flag;
	void *data;
	carom_waiter_leave_fn *leave;
	struct carom_waiting *line;
	struct carom_waiter *previous;
	struct carom_waiter *next;
};

/**
 * carom_waiting_add() - a request waits from now on, as the last of its line
 * @deadline_ns: CAROM_NO_DEADLINE: as long as its caller does
 * @leave:       NULL: it is finished with the reason
 * @ret_waiter:  NULL: nobody wants to know
 *
 * Return: CAROM_REQUEST_LATER, -ETIMEDOUT: its time has passed already; -ENOMEM.
 */
int carom_waiting_add(struct carom_waiting *line, struct carom_request *request,
		      uint64_t deadline_ns, carom_waiter_leave_fn *leave, void *object,
		      struct carom_waiter **ret_waiter);

/**
 * carom_waiting_add_patient() - likewise, of a method whose result is a bool
 *
 * When its time has passed, or has already, the result is False and no error. Who answers
 * replies True.
 * Return: as carom_waiting_add(), or, where False was replied, as carom_request_reply().
 */
int carom_waiting_add_patient(struct carom_waiting *line, struct carom_request *request,
			      uint64_t deadline_ns, void *object, struct carom_waiter **ret_waiter);

/** carom_waiter_move() - to the end of another line, or to none (NULL) */
void carom_waiter_move(struct carom_waiter *waiter, struct carom_waiting *line);

/** carom_waiter_finish() - answer it; it is gone */
void carom_waiter_finish(struct carom_waiter *waiter, int result);

/** carom_waiting_finish_all() - those that stand there now. Return: how many. */
size_t carom_waiting_finish_all(struct carom_waiting *line, int result);

/**
 * carom_take_timeout() - how long an argument says to wait: seconds, or None: without end
 * @ret_deadline_ns: CAROM_PASSED for 0 or less
 * Return: 0, -EINVAL.
 */
int carom_take_timeout(const struct carom_object *timeout, uint64_t *ret_deadline_ns);

/**
 * carom_take_patience() - arguments (blocking=True, timeout=None), from the one with this index on
 *
 * Below 0 a timeout is none.
 * Return: 0, -EINVAL: no such values, or a timeout of what does not block.
 */
int carom_take_patience(const struct carom_request *request, size_t index,
			uint64_t *ret_deadline_ns);

#endif
