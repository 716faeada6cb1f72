/*
 * Type: Event
 */
#include <errno.h>
#include <stdlib.h>

#include "ipc/types.h"
#include "ipc/waiting.h"

/* Nobody waits while it is set. */
struct event {
	bool is_set;
	struct carom_waiting waiting;
};

static int make_event(struct carom_request *request, void **ret_object)
{
	if (carom_request_argument_count(request) > 0)
		return -EINVAL;
	*ret_object = calloc(1, sizeof(struct event));
	return *ret_object ? 0 : -ENOMEM;
}

static int do_set(void *object, struct carom_request *request)
{
	struct event *event = object;
	size_t count = event->waiting.count;

	(void)request;
	event->is_set = true;
	for (size_t i = 0; i < count; i++) {
		struct carom_waiter *waiter = event->waiting.first;

		carom_waiter_finish(waiter, carom_request_reply(waiter->request, "p", 1));
	}
	return 0;
}

static int do_clear(void *object, struct carom_request *request)
{
	struct event *event = object;

	(void)request;
	event->is_set = false;
	return 0;
}

static int do_is_set(void *object, struct carom_request *request)
{
	const struct event *event = object;

	return carom_request_reply(request, "p", (int)event->is_set);
}

static int do_wait(void *object, struct carom_request *request)
{
	struct event *event = object;
	uint64_t deadline_ns;
	int r = carom_take_timeout(carom_request_argument(request, 0), &deadline_ns);

	if (r < 0)
		return r;
	if (event->is_set)
		return carom_request_reply(request, "p", 1);
	return carom_waiting_add_patient(&event->waiting, request, deadline_ns, event, NULL);
}

static const struct carom_method methods[] = {
	CAROM_METHOD("is_set", do_is_set, 0, 0),
	CAROM_METHOD("set", do_set, 0, 0),
	CAROM_METHOD("clear", do_clear, 0, 0),
	CAROM_METHOD("wait", do_wait, 0, 1),
};

const struct carom_type carom_type_event = {
	.name = "Event",
	.make = make_event,
	.end = free,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};
