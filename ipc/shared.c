/*
 * Shared
 *
 * Under each tag stands a descriptor; of a connection, a tuple of it, the framing, and whether
 * it is read or written by the one who sends it. Nothing of that is believed: what attaches
 * looks at the descriptor.
 */
#include "ipc/shared.h"

#include <errno.h>
#include <fcntl.h>

#include "core/cleanup.h"
#include "ipc/connection_private.h"

/* ---- into a document ---- */

static struct carom_object *tagged_fd(struct carom_document *document, uint32_t tag, int fd)
{
	return carom_document_tagged(document, tag, carom_document_fd(document, fd));
}

struct carom_object *carom_document_lock(struct carom_document *document,
					 const struct carom_lock *lock)
{
	return tagged_fd(document, CAROM_TAG_LOCK, carom_lock_fd(lock));
}

struct carom_object *carom_document_segment(struct carom_document *document,
					    const struct carom_segment *segment)
{
	return tagged_fd(document, CAROM_TAG_SEGMENT, carom_segment_fd(segment));
}

struct carom_object *carom_document_queue(struct carom_document *document,
					  const struct carom_queue *queue)
{
	return tagged_fd(document, CAROM_TAG_QUEUE, carom_queue_fd(queue));
}

struct carom_object *carom_document_connection(struct carom_document *document,
					       const struct carom_connection *connection)
{
	struct carom_object *fd = carom_document_fd(document, carom_connection_fd(connection));
	struct carom_object *tuple = carom_document_tuple(document);

	carom_document_append(document, tuple, fd);
	carom_document_append(document, tuple, carom_document_int(document, connection->framing));
	carom_document_append(document, tuple,
			      carom_document_bool(document, connection->is_readable));
	carom_document_append(document, tuple,
			      carom_document_bool(document, connection->is_writable));
	return carom_document_tagged(document, CAROM_TAG_CONNECTION, tuple);
}

/* ---- and out again ---- */

static int content_of(const struct carom_object *object, uint32_t tag,
		      const struct carom_object **ret_content)
{
	uint32_t its_tag = 0;
	int r = carom_object_tag(object, &its_tag);

	if (r < 0 || its_tag != tag)
		return -EBADMSG;
	*ret_content = carom_object_content(object);
	return 0;
}

static int fd_of(const struct carom_object *object, uint32_t tag, int *ret_fd)
{
	const struct carom_object *content;
	int r = content_of(object, tag, &content);

	return r < 0 ? r : carom_object_fd(content, ret_fd);
}

int carom_object_lock(const struct carom_object *object, struct carom_lock **ret_lock)
{
	int fd, r = fd_of(object, CAROM_TAG_LOCK, &fd);

	return r < 0 ? r : carom_lock_attach_dup(fd, ret_lock);
}

int carom_object_segment(const struct carom_object *object, struct carom_segment **ret_segment)
{
	int fd, r = fd_of(object, CAROM_TAG_SEGMENT, &fd);

	return r < 0 ? r : carom_segment_attach_dup(fd, 0, ret_segment);
}

int carom_object_queue(const struct carom_object *object, struct carom_queue **ret_queue)
{
	int fd, r = fd_of(object, CAROM_TAG_QUEUE, &fd);

	return r < 0 ? r : carom_queue_attach_dup(fd, ret_queue);
}

static int read_connection(const struct carom_object *tuple, int *ret_fd,
			   struct carom_connection_options *ret_options)
{
	int64_t framing = 0;
	bool is_readable = false, is_writable = false;
	int r = carom_object_fd(carom_object_item(tuple, 0), ret_fd);

	if (r == 0)
		r = carom_object_int(carom_object_item(tuple, 1), &framing);
	if (r == 0)
		r = carom_object_bool(carom_object_item(tuple, 2), &is_readable);
	if (r == 0)
		r = carom_object_bool(carom_object_item(tuple, 3), &is_writable);
	if (r < 0 || framing < CAROM_FRAMING_PYTHON || framing > CAROM_FRAMING_UNSIGNED ||
	    (!is_readable && !is_writable))
		return -EBADMSG;
	ret_options->framing = (enum carom_framing)framing;
	ret_options->is_read_only = !is_writable;
	ret_options->is_write_only = !is_readable;
	return 0;
}

int carom_object_connection(const struct carom_object *object,
			    struct carom_connection **ret_connection)
{
	struct carom_connection_options options = CAROM_CONNECTION_OPTIONS();
	const struct carom_object *tuple;
	CAROM_CLEANUP(carom_closep) int copy = -1;
	int fd, r = content_of(object, CAROM_TAG_CONNECTION, &tuple);

	if (r == 0)
		r = read_connection(tuple, &fd, &options);
	if (r < 0)
		return r;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return -errno;
	r = carom_connection_new_take(copy, &options, ret_connection);
	if (r == 0)
		(void)carom_take_fd(copy);
	return r;
}
