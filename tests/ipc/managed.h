/* A manager with a server of its own, as tests want it; and what its server has besides. */
#ifndef CAROM_TESTS_IPC_MANAGED_H
#define CAROM_TESTS_IPC_MANAGED_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/registry.h"
#include "core/time.h"
#include "ipc/manager.h"

#define MANAGER  CAROM_CLEANUP(carom_manager_freep) struct carom_manager *
#define PROXY    CAROM_CLEANUP(carom_proxy_freep) struct carom_proxy *
#define DOCUMENT CAROM_CLEANUP(carom_document_freep) struct carom_document *

/** in_time() - a deadline that a loaded machine keeps, and a test that fails reaches */
static inline uint64_t in_time(void)
{
	return carom_deadline_after(CAROM_SECONDS(20));
}

/* ---- Counter: a type of a program's own ---- */

struct counter {
	int64_t value;
};

static inline int make_counter(struct carom_request *request, void **ret_object)
{
	struct counter *counter = calloc(1, sizeof(*counter));

	if (!counter)
		return -ENOMEM;
	carom_object_int(carom_request_argument(request, 0), &counter->value);
	*ret_object = counter;
	return 0;
}

static inline int add_to_counter(void *object, struct carom_request *request)
{
	struct counter *counter = object;
	int64_t step;

	if (carom_object_int(carom_request_argument(request, 0), &step) < 0)
		return -EINVAL;
	counter->value += step;
	return carom_request_reply(request, "L", counter->value);
}

static inline int fail_counter(void *object, struct carom_request *request)
{
	(void)object;
	return carom_request_fail(request, -EDOM, "it counts no %d", 7);
}

static const struct carom_method counter_methods[] = {
	{ .name = "add", .function = add_to_counter, .argument_min = 1, .argument_max = 1 },
	{ .name = "fail", .function = fail_counter },
};

static const struct carom_type counter_type = {
	.name = "Counter",
	.make = make_counter,
	.end = free,
	.methods = counter_methods,
	.method_count = 2,
};

static int have_counters(struct carom_server *server, const void *argument, size_t size)
{
	(void)argument;
	(void)size;
	return carom_server_register(server, &counter_type, NULL);
}

__attribute__((constructor)) static void register_counters(void)
{
	carom_register("have_counters", (carom_process_fn *)(void (*)(void))have_counters);
}

/* Whatever "spawn" runs has to have a manager's server in it, from a static library, too. */
static inline void know_managers(void)
{
	carom_manager_free(NULL);
}

#endif
