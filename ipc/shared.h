/**
 * DOC: shared
 *
 * What processes share, in documents: a lock, a queue, a connection, a segment of memory. Each
 * is its descriptor under a tag of its own, so it goes wherever descriptors go (exchange.h), to
 * a process that had never heard of it:
 *
 *	root = carom_document_list(document);
 *	carom_document_append(document, root, carom_document_lock(document, lock));
 *	carom_document_append(document, root, carom_document_segment(document, segment));
 *	carom_document_finish(document, root);
 *	r = carom_queue_put_document(queue, document, CAROM_NO_DEADLINE);
 *	...
 *	r = carom_object_lock(carom_object_item(root, 0), &lock);
 *	r = carom_object_segment(carom_object_item(root, 1), &segment);
 *
 * What has a descriptor and is not here (a semaphore, an array, ...) goes as carom_document_fd(),
 * and is attached to by its own function.
 *
 * Whoever attaches to a lock or a queue believes what stands in it: take these from processes
 * that are trusted.
 */
#ifndef CAROM_IPC_SHARED_H
#define CAROM_IPC_SHARED_H

#include "../shm/lock.h"
#include "../shm/segment.h"
#include "connection.h"
#include "document.h"
#include "queue.h"

CAROM_BEGIN_DECLS

#define CAROM_TAG_LOCK       (CAROM_TAG_OWN + 1)
#define CAROM_TAG_SEGMENT    (CAROM_TAG_OWN + 2)
#define CAROM_TAG_QUEUE      (CAROM_TAG_OWN + 3)
#define CAROM_TAG_CONNECTION (CAROM_TAG_OWN + 4)

/* Each as carom_document_fd(): what is shared stays the caller's, and may be freed at once. */
CAROM_API struct carom_object *carom_document_lock(struct carom_document *document,
						   const struct carom_lock *lock);
CAROM_API struct carom_object *carom_document_segment(struct carom_document *document,
						      const struct carom_segment *segment);
CAROM_API struct carom_object *carom_document_queue(struct carom_document *document,
						    const struct carom_queue *queue);

/**
 * carom_document_connection() - one that is open: -EBADF else. The same end, which is then shared
 *
 * Context: as carom_document_fd(); MT-Unsafe race:document.
 * Return: as carom_document_fd(): the document's.
 */
CAROM_API struct carom_object *carom_document_connection(struct carom_document *document,
							 const struct carom_connection *connection);

/*
 * Each attaches: the handle is the caller's, and does not need the document any more.
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0; -EBADMSG: it is something else, or its descriptor did not come along; or what
 * carom_lock_attach_dup(), carom_segment_attach_dup(), carom_queue_attach_dup() and
 * carom_connection_new_take() say.
 */
CAROM_API int carom_object_lock(const struct carom_object *object, struct carom_lock **ret_lock);
CAROM_API int carom_object_segment(const struct carom_object *object,
				   struct carom_segment **ret_segment);
CAROM_API int carom_object_queue(const struct carom_object *object, struct carom_queue **ret_queue);
CAROM_API int carom_object_connection(const struct carom_object *object,
				      struct carom_connection **ret_connection);

CAROM_END_DECLS

#endif
