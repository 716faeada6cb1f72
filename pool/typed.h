/**
 * DOC: typed
 *
 * Tasks whose argument and value are documents (ipc/document.h): numbers, texts, lists, and
 * types of the program's own (ipc/codec.h).
 *
 *	static int double_it(struct carom_call *call)		// in a worker
 *	{
 *		CAROM_CLEANUP(carom_document_freep) struct carom_document *in = NULL;
 *		CAROM_CLEANUP(carom_document_freep) struct carom_document *out = NULL;
 *		int64_t number;
 *		int r = carom_call_document(call, NULL, &in);
 *
 *		if (r == 0)
 *			r = carom_object_int(carom_document_root(in), &number);
 *		if (r == 0)
 *			r = carom_document_new(NULL, &out);
 *		if (r == 0)
 *			r = carom_document_finish(out, carom_document_int(out, 2 * number));
 *		return r < 0 ? r : carom_reply_document(call, out);
 *	}
 *	...
 *	r = carom_pool_apply_document(pool, double_it, document, NULL, NULL, NULL, &answer);
 *
 * The bytes are what the serializer of the pool's context says (ipc/serializer.h), which stays
 * as it is while there are pools of it; a program that is started for workers has to register
 * it, too.
 */
#ifndef CAROM_POOL_TYPED_H
#define CAROM_POOL_TYPED_H

#include "../ipc/document.h"
#include "call.h"
#include "pool.h"

CAROM_BEGIN_DECLS

/**
 * carom_pool_apply_document_async() - submit a task
 * @document: its argument, finished; encoded during the call
 *
 * Context: as carom_pool_apply_async().
 * Return: as carom_pool_apply_async(), or, with nothing submitted,
 *	-EINVAL  it is not finished, or the serializer has no bytes for something in it
 *	-ENOENT  the serializer is not registered in this program, too
 *	-EPERM   it has descriptors, which tasks do not take along
 *	or whatever else the serializer says
 */
CAROM_API int carom_pool_apply_document_async(struct carom_pool *pool, carom_task_fn *function,
					      const struct carom_document *document,
					      const struct carom_task_options *options,
					      struct carom_result **ret_result);

/**
 * carom_result_get_document() - wait, and read the value
 * @limits:       what a worker may make of this process; NULL for all defaults
 * @ret_document: the caller owns it
 *
 * Context: as carom_result_get(); AS-Unsafe heap.
 * Return: as carom_result_get(); -EBADMSG also: the value is no document, or one beyond @limits;
 * -ENOENT, -EINVAL, -E2BIG, -EOVERFLOW, -ENOMEM as carom_queue_get_document().
 */
CAROM_API int carom_result_get_document(struct carom_result *result,
					const struct carom_document_limits *limits,
					uint64_t deadline_ns, struct carom_document **ret_document);

/**
 * carom_pool_apply_document() - submit a task and wait for its value
 * @limits:       of the value; NULL for all defaults
 * @ret_outcome:  how it ended; may be NULL
 * @ret_document: its value; the caller owns it
 *
 * Context: MT-Safe, AS-Unsafe. Blocks.
 * Return: as carom_pool_apply_document_async() and carom_result_get_document().
 */
CAROM_API int carom_pool_apply_document(struct carom_pool *pool, carom_task_fn *function,
					const struct carom_document *document,
					const struct carom_task_options *options,
					const struct carom_document_limits *limits,
					struct carom_outcome *ret_outcome,
					struct carom_document **ret_document);

/**
 * carom_call_document() - the argument
 * @ret_document: the caller owns it
 *
 * Context: the function's thread.
 * Return: 0; -EBADMSG: it is no document, or beyond @limits; -ENOENT: the serializer is not
 * registered in this program; -EINVAL, -E2BIG, -EOVERFLOW, -ENOMEM.
 */
CAROM_API int carom_call_document(const struct carom_call *call,
				  const struct carom_document_limits *limits,
				  struct carom_document **ret_document);

/**
 * carom_reply_document() - leave a finished document as the value
 *
 * Context: the function's thread.
 * Return: as carom_reply(); -EINVAL, -ENOENT, -EPERM as above.
 */
CAROM_API int carom_reply_document(struct carom_call *call, const struct carom_document *document);

CAROM_END_DECLS

#endif
