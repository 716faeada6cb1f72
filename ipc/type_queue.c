/*
 * Types: Queue, JoinableQueue
 *
 * The same, as in Python's managers: any queue of a server can be joined.
 *
 *   I1  Nobody waits to get while there is an item, nor to put while there is room: an item
 *       goes on, or in, in the step that makes that possible.
 *   I2  Once it is shut down nobody waits to put, and to get only who is served at once.
 *   I3  `unfinished_count` is what was put and not said to be done; it is joined at 0.
 *
 * A reply that cannot be made (too long for its client's server, no memory) leaves the item
 * where it is. One that was sent to a client that has gone meanwhile is lost with it.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/time.h"
#include "ipc/types.h"
#include "ipc/waiting.h"

struct item {
	struct carom_document *value;
	struct item *next;
};

struct queue {
	struct carom_server *server;
	uint64_t maximum; /* of items; UINT64_MAX: none */
	uint64_t count;
	struct item *first;
	struct item **end;
	uint64_t unfinished_count;
	bool is_shut_down;
	struct carom_waiting getters;
	struct carom_waiting putters;
	struct carom_waiting joiners;
};

/* ---- items ---- */

static int push(struct queue *queue, struct carom_request *request)
{
	struct item *item = calloc(1, sizeof(*item));
	int r = item ? carom_request_keep(request, carom_request_argument(request, 0), &item->value)
		     : -ENOMEM;

	if (r < 0) {
		free(item);
		return r;
	}
	*queue->end = item;
	queue->end = &item->next;
	queue->count++;
	queue->unfinished_count++;
	return 0;
}

static void drop_first(struct queue *queue)
{
	struct item *item = queue->first;

	queue->first = item->next;
	if (!queue->first)
		queue->end = &queue->first;
	queue->count--;
	carom_server_drop(queue->server, item->value);
	free(item);
}

static int pop(struct queue *queue, struct carom_request *request)
{
	int r = carom_request_reply_value(request, carom_document_root(queue->first->value));

	if (r == 0)
		drop_first(queue);
	return r;
}

/* ---- who waits ---- */

/* I1 */
static void serve(struct queue *queue)
{
	bool goes_on = true;

	while (goes_on) {
		goes_on = false;
		if (queue->count > 0 && queue->getters.first) {
			struct carom_waiter *getter = queue->getters.first;

			carom_waiter_finish(getter, pop(queue, getter->request));
			goes_on = true;
		}
		if (queue->count < queue->maximum && queue->putters.first) {
			struct carom_waiter *putter = queue->putters.first;

			carom_waiter_finish(putter, push(queue, putter->request));
			goes_on = true;
		}
	}
}

/* I3 */
static void finish_some(struct queue *queue, uint64_t count)
{
	queue->unfinished_count -= count;
	if (queue->unfinished_count == 0)
		carom_waiting_finish_all(&queue->joiners, 0);
}

/* A method that does not wait says so. */
static int wait_in(struct carom_waiting *line, struct queue *queue, struct carom_request *request,
		   uint64_t deadline_ns)
{
	int r = carom_waiting_add(line, request, deadline_ns, NULL, queue, NULL);

	return r == -ETIMEDOUT && deadline_ns == CAROM_PASSED ? -EAGAIN : r;
}

/* ---- beginning and end ---- */

static int make_queue(struct carom_request *request, void **ret_object)
{
	const struct carom_object *argument = carom_request_argument(request, 0);
	struct queue *queue;
	int64_t maximum = 0;

	if (carom_request_argument_count(request) > 1 ||
	    (argument && carom_object_int(argument, &maximum) < 0))
		return -EINVAL;
	queue = calloc(1, sizeof(*queue));
	if (!queue)
		return -ENOMEM;
	queue->server = carom_request_server(request);
	queue->maximum = maximum > 0 ? (uint64_t)maximum : UINT64_MAX;
	queue->end = &queue->first;
	*ret_object = queue;
	return 0;
}

static void end_queue(void *object)
{
	struct queue *queue = object;

	while (queue->first)
		drop_first(queue);
	free(queue);
}

/* ---- put and get ---- */

static int put(struct queue *queue, struct carom_request *request, uint64_t deadline_ns)
{
	int r;

	if (queue->is_shut_down)
		return -ESHUTDOWN;
	if (queue->count >= queue->maximum)
		return wait_in(&queue->putters, queue, request, deadline_ns);
	r = push(queue, request);
	if (r == 0)
		serve(queue);
	return r;
}

static int get(struct queue *queue, struct carom_request *request, uint64_t deadline_ns)
{
	int r;

	if (queue->count == 0)
		return queue->is_shut_down ? -ESHUTDOWN
					   : wait_in(&queue->getters, queue, request, deadline_ns);
	r = pop(queue, request);
	if (r == 0)
		serve(queue);
	return r;
}

static int do_put(void *object, struct carom_request *request)
{
	uint64_t deadline_ns;
	int r = carom_take_patience(request, 1, &deadline_ns);

	return r < 0 ? r : put(object, request, deadline_ns);
}

static int do_put_nowait(void *object, struct carom_request *request)
{
	return put(object, request, CAROM_PASSED);
}

static int do_get(void *object, struct carom_request *request)
{
	uint64_t deadline_ns;
	int r = carom_take_patience(request, 0, &deadline_ns);

	return r < 0 ? r : get(object, request, deadline_ns);
}

static int do_get_nowait(void *object, struct carom_request *request)
{
	return get(object, request, CAROM_PASSED);
}

/* ---- the rest ---- */

static int do_qsize(void *object, struct carom_request *request)
{
	const struct queue *queue = object;

	return carom_request_reply(request, "L", (int64_t)queue->count);
}

static int do_empty(void *object, struct carom_request *request)
{
	const struct queue *queue = object;

	return carom_request_reply(request, "p", queue->count == 0);
}

static int do_full(void *object, struct carom_request *request)
{
	const struct queue *queue = object;

	return carom_request_reply(request, "p", queue->count >= queue->maximum);
}

static int do_task_done(void *object, struct carom_request *request)
{
	struct queue *queue = object;

	(void)request;
	if (queue->unfinished_count == 0)
		return -EINVAL;
	finish_some(queue, 1);
	return 0;
}

static int do_join(void *object, struct carom_request *request)
{
	struct queue *queue = object;

	if (queue->unfinished_count == 0)
		return 0;
	return wait_in(&queue->joiners, queue, request, CAROM_NO_DEADLINE);
}

/* I2. (immediate=False): what was put is still to be got, or dropped. */
static int do_shutdown(void *object, struct carom_request *request)
{
	const struct carom_object *argument = carom_request_argument(request, 0);
	struct queue *queue = object;
	uint64_t dropped = 0;
	bool is_immediate = false;

	if (argument && carom_object_bool(argument, &is_immediate) < 0)
		return -EINVAL;
	queue->is_shut_down = true;
	carom_waiting_finish_all(&queue->putters, -ESHUTDOWN);
	carom_waiting_finish_all(&queue->getters, -ESHUTDOWN);
	for (; is_immediate && queue->first; dropped++)
		drop_first(queue);
	if (dropped > 0)
		finish_some(queue,
			    dropped < queue->unfinished_count ? dropped : queue->unfinished_count);
	return 0;
}

static const struct carom_method methods[] = {
	CAROM_METHOD("put", do_put, 1, 3),
	CAROM_METHOD("get", do_get, 0, 2),
	CAROM_METHOD("put_nowait", do_put_nowait, 1, 1),
	CAROM_METHOD("get_nowait", do_get_nowait, 0, 0),
	CAROM_METHOD("qsize", do_qsize, 0, 0),
	CAROM_METHOD("empty", do_empty, 0, 0),
	CAROM_METHOD("full", do_full, 0, 0),
	CAROM_METHOD("task_done", do_task_done, 0, 0),
	CAROM_METHOD("join", do_join, 0, 0),
	CAROM_METHOD("shutdown", do_shutdown, 0, 1),
};

const struct carom_type carom_type_queue = {
	.name = "Queue",
	.make = make_queue,
	.end = end_queue,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};

const struct carom_type carom_type_joinable_queue = {
	.name = "JoinableQueue",
	.make = make_queue,
	.end = end_queue,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};
