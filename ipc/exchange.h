/**
 * DOC: exchange
 *
 * Documents through connections and queues, with whatever they hold: numbers, texts, lists, a
 * program's own types (codec.h), and descriptors, so also locks, queues, connections and shared
 * memory (shared.h).
 *
 *	r = carom_queue_put_document(queue, document, CAROM_NO_DEADLINE);
 *	...				// in another process
 *	r = carom_queue_get_document(queue, NULL, CAROM_NO_DEADLINE, &document);
 *
 * What the bytes are is said by the serializer of a context (serializer.h), which both sides
 * need to have: Python's pickles if nothing else is set, and so a Python program at the other
 * end of a connection may be the peer.
 *
 * Descriptors go through what does not leave the machine, right behind their message; who dies
 * between the two has sent a message that nobody receives (-ECONNRESET). So processes that
 * share an end may not both send documents with descriptors at the same time.
 *
 * Through a queue (carries_fds) any process may hand them to any other, also one that it has
 * never heard of, and may end at once: they are kept by the queue, for who gets the message
 * and nobody else, and go with it. Each goes once.
 */
#ifndef CAROM_IPC_EXCHANGE_H
#define CAROM_IPC_EXCHANGE_H

#include "../core/context.h"
#include "connection.h"
#include "document.h"
#include "queue.h"

CAROM_BEGIN_DECLS

/* ---- connections ---- */

/**
 * carom_connection_set_context() - whose serializer it is
 * @context: NULL: the default one, as it is at first
 *
 * Context: MT-Unsafe race:connection.
 */
CAROM_API void carom_connection_set_context(struct carom_connection *connection,
					    struct carom_context *context);

/**
 * carom_connection_send_document() - a finished document as a message
 *
 * Context: as carom_connection_send_bytes().
 * Return: as carom_connection_send_bytes(), and, with nothing sent,
 *	-EINVAL  it is not finished, or the serializer has no bytes for something in it
 *	-ENOENT  the context's serializer is not registered in this program
 *	-EPERM   it has descriptors, and this is no AF_UNIX socket nor shared memory
 *	-ENOMEM, or whatever else the serializer says
 * or, when the message went and its descriptors cannot (-ETOOMANYREFS), why, and from then on
 * -ENOTRECOVERABLE. -EINPROGRESS has kept them, too.
 */
CAROM_API int carom_connection_send_document(struct carom_connection *connection,
					     const struct carom_document *document,
					     uint64_t deadline_ns);

/**
 * carom_connection_recv_document() - the next message, as a document
 * @limits:       what the peer may make of this process; NULL for all defaults
 * @ret_document: the caller owns it and ends it with carom_document_free()
 *
 * Descriptors that should come behind it may take a tenth of a second beyond @deadline_ns; if
 * they have not come by then (-EAGAIN, -ETIMEDOUT), the message is kept for the next call.
 *
 * Context: as carom_connection_recv_bytes().
 * Return: as carom_connection_recv_bytes(); and, with the message gone,
 *	-EBADMSG    it says no document, or one that is deeper, or has more memory, than @limits
 *	            allow, or speaks of descriptors that cannot come; -EMSGSIZE is a message too
 *	            long for the connection, which is kept
 *	-EOVERFLOW  an int of more than 64 bits
 *	-ECONNRESET its sender died before its descriptors went
 *	-EMFILE     no room for them here: they are lost
 *	-ENOENT     as above; the message is kept
 *	-EINVAL, -E2BIG  @limits make no sense; it is kept
 * After -ENOMEM it may be kept or gone.
 */
CAROM_API int carom_connection_recv_document(struct carom_connection *connection,
					     const struct carom_document_limits *limits,
					     uint64_t deadline_ns,
					     struct carom_document **ret_document);

/* ---- queues ---- */

/** carom_queue_set_context() - of this handle, as carom_connection_set_context() */
CAROM_API void carom_queue_set_context(struct carom_queue *queue, struct carom_context *context);

/**
 * typedef carom_encode_error_fn - called with what could not be put
 * @document: has no bytes, for the reason @error
 */
typedef void carom_encode_error_fn(const struct carom_document *document, int error,
				   void *userdata);

/**
 * carom_queue_on_encode_error() - be told what could not be put
 * @function: of this handle; NULL: nobody
 *
 * Called by the thread that puts, before carom_queue_put_document() says the same. The queue
 * goes on.
 *
 * Context: MT-Unsafe race:queue.
 */
CAROM_API void carom_queue_on_encode_error(struct carom_queue *queue,
					   carom_encode_error_fn *function, void *userdata);

/**
 * carom_queue_put_document() - a finished document as a message
 *
 * In a queue that carries descriptors, it is not for carom_queue_get().
 *
 * Context: as carom_queue_put().
 * Return: as carom_queue_put(), and as carom_connection_send_document();
 *	-EPERM  it has descriptors, and the queue was made without carries_fds
 *	-ETOOMANYREFS  this user has too many on their way; the message is put, and who gets it is
 *	        told -ENODATA
 */
CAROM_API int carom_queue_put_document(struct carom_queue *queue,
				       const struct carom_document *document, uint64_t deadline_ns);

/**
 * carom_queue_get_document() - the first message, as a document
 * @limits:       what others may make of this process; NULL for all defaults
 * @ret_document: the caller owns it
 *
 * Context: as carom_queue_get(); AS-Unsafe heap.
 * Return: as carom_queue_get_bytes(); and, with the message gone, -EBADMSG, -EOVERFLOW, -EMFILE,
 * -ENOMEM as above; -ENODATA: its descriptors are gone, with whoever had put them half or got
 * them before.
 */
CAROM_API int carom_queue_get_document(struct carom_queue *queue,
				       const struct carom_document_limits *limits,
				       uint64_t deadline_ns, struct carom_document **ret_document);

CAROM_END_DECLS

#endif
