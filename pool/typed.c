/*
 * Typed
 *
 * Bytes are copied out of the shared memory before they are read: a worker that goes on
 * writing changes nothing that was checked.
 *
 * A worker that is a process goes on with its pool's context as its default one. One that is a
 * thread is in a program with a default of its own; its context is "thread".
 */
#include "pool/typed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/object_private.h"
#include "ipc/serializer_private.h"
#include "pool/call_private.h"
#include "pool/pool_private.h"

#define FIRST_GUESS ((size_t)512) /* of how long a value is */

static void freep(void **memory)
{
	free(*memory);
}

static int dump(const struct carom_serializer *serializer, const struct carom_document *document,
		void **ret_data, size_t *ret_size)
{
	int r = carom_document_dump(document, serializer, ret_data, ret_size);

	return r == 0 && carom_document_fd_count(document) > 0 ? -EPERM : r;
}

/* ---- the pool's side ---- */

static int serializer_of_pool(const struct carom_pool *pool,
			      const struct carom_serializer **ret_serializer)
{
	return carom_serializer_named(pool->context.options.serializer, ret_serializer);
}

int carom_pool_dump(const struct carom_pool *pool, const struct carom_object *object,
		    void **ret_data, size_t *ret_size)
{
	const struct carom_serializer *serializer;
	int r = serializer_of_pool(pool, &serializer);

	return r < 0 ? r : serializer->dump(object, ret_data, ret_size);
}

int carom_pool_apply_document_async(struct carom_pool *pool, carom_task_fn *function,
				    const struct carom_document *document,
				    const struct carom_task_options *options,
				    struct carom_result **ret_result)
{
	const struct carom_serializer *serializer;
	CAROM_CLEANUP(freep) void *data = NULL;
	size_t size;
	int r = serializer_of_pool(pool, &serializer);

	if (r == 0)
		r = dump(serializer, document, &data, &size);
	return r < 0 ? r : carom_pool_apply_async(pool, function, data, size, options, ret_result);
}

/* However long it is. */
static int get_bytes(struct carom_result *result, uint64_t deadline_ns, void **ret_data,
		     size_t *ret_size)
{
	size_t size = FIRST_GUESS;
	int r;

	do {
		CAROM_CLEANUP(freep) void *data = malloc(size);

		if (!data)
			return -ENOMEM;
		r = carom_result_get(result, deadline_ns, data, size, &size);
		if (r == 0)
			*ret_data = carom_take_ptr(data);
	} while (r == -EMSGSIZE);
	*ret_size = size;
	return r;
}

int carom_result_get_document(struct carom_result *result,
			      const struct carom_document_limits *limits, uint64_t deadline_ns,
			      struct carom_document **ret_document)
{
	const struct carom_serializer *serializer;
	CAROM_CLEANUP(freep) void *data = NULL;
	size_t size;
	int r = serializer_of_pool(result->pool, &serializer);

	if (r == 0)
		r = get_bytes(result, deadline_ns, &data, &size);
	if (r == 0)
		r = serializer->load(data, size, limits, ret_document);
	return r == -EMSGSIZE ? -EBADMSG : r;
}

int carom_pool_apply_document(struct carom_pool *pool, carom_task_fn *function,
			      const struct carom_document *document,
			      const struct carom_task_options *options,
			      const struct carom_document_limits *limits,
			      struct carom_outcome *ret_outcome,
			      struct carom_document **ret_document)
{
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	int r = carom_pool_apply_document_async(pool, function, document, options, &result);

	if (r < 0)
		return r;
	r = carom_result_get_document(result, limits, CAROM_NO_DEADLINE, ret_document);
	if (ret_outcome)
		carom_result_outcome(result, ret_outcome);
	return r;
}

/* ---- the worker's side ---- */

static int serializer_of_call(const struct carom_call *call,
			      const struct carom_serializer **ret_serializer)
{
	struct carom_context *context = NULL;

	if (call->worker->pid == 0) /* a thread */
		carom_context_get("thread", &context);
	return carom_serializer_of(context, ret_serializer);
}

int carom_call_document(const struct carom_call *call, const struct carom_document_limits *limits,
			struct carom_document **ret_document)
{
	const struct carom_serializer *serializer;
	size_t size;
	const void *data = carom_call_data(call, &size);
	int r = serializer_of_call(call, &serializer);

	if (r == 0)
		r = serializer->load(data, size, limits, ret_document);
	return r == -EMSGSIZE ? -EBADMSG : r;
}

int carom_reply_document(struct carom_call *call, const struct carom_document *document)
{
	const struct carom_serializer *serializer;
	CAROM_CLEANUP(freep) void *data = NULL;
	size_t size;
	int r = serializer_of_call(call, &serializer);

	if (r == 0)
		r = dump(serializer, document, &data, &size);
	return r < 0 ? r : carom_reply(call, data, size);
}
