/*
 * Exchange
 *
 * A document's bytes come from its serializer, and its descriptors are those of the lowest
 * numbers up to the highest that is in it: so the other side knows from the bytes how many
 * come.
 *
 *   I1  Nothing is sent before the bytes are there: what cannot be encoded leaves no trace.
 *   I2  What comes is believed in nothing: not the bytes, nor that descriptors follow.
 */
#include "ipc/exchange.h"

#include <errno.h>
#include <stdlib.h>

#include "core/time.h"
#include "ipc/connection_private.h"
#include "ipc/object_private.h"
#include "ipc/queue_private.h"
#include "ipc/serializer_private.h"

/* How long the descriptors may come behind their message. */
#define PATIENCE_NS CAROM_MILLISECONDS(100)

/* ---- bytes ---- */

static void freep(void **memory)
{
	free(*memory);
}

/* I1 */
static int dump(const struct carom_document *document, struct carom_context *context,
		void **ret_data, size_t *ret_size)
{
	const struct carom_serializer *serializer;
	int r = carom_serializer_of(context, &serializer);

	return r < 0 ? r : carom_document_dump(document, serializer, ret_data, ret_size);
}

/* -EMSGSIZE is said of messages that are kept. */
static int load(const struct carom_serializer *serializer, const void *data, size_t size,
		const struct carom_document_limits *limits, struct carom_document **ret_document)
{
	int r = serializer->load(data, size, limits, ret_document);

	return r == -EMSGSIZE ? -EBADMSG : r;
}

/* What would be said of the limits is said before a message is taken for nothing. */
static int find_serializer(struct carom_context *context,
			   const struct carom_document_limits *limits,
			   const struct carom_serializer **ret_serializer)
{
	struct carom_document_limits l;
	int r = carom_document_take_limits(limits, 0, &l);

	return r < 0 ? r : carom_serializer_of(context, ret_serializer);
}

/* ---- connections ---- */

void carom_connection_set_context(struct carom_connection *connection,
				  struct carom_context *context)
{
	connection->context = context;
}

int carom_connection_send_document(struct carom_connection *connection,
				   const struct carom_document *document, uint64_t deadline_ns)
{
	CAROM_CLEANUP(freep) void *data = NULL;
	size_t size, count;
	int r = dump(document, connection->context, &data, &size);

	if (r < 0)
		return r;
	count = carom_document_fd_count(document);
	if (count == 0)
		return carom_connection_send_bytes(connection, data, size, deadline_ns);
	if (count > document->fd_count)
		return -EINVAL;
	return carom_connection_send_with_fds(connection, data, size, document->fds, count,
					      deadline_ns);
}

/** struct reading - of one message */
struct reading {
	const struct carom_serializer *serializer;
	const struct carom_document_limits *limits;
	uint64_t deadline_ns;
	struct carom_document *document;
};

static uint64_t patient(uint64_t deadline_ns)
{
	uint64_t soon = carom_deadline_after(PATIENCE_NS);

	return deadline_ns > soon ? deadline_ns : soon;
}

/* I2: where none can come, none are waited for */
static int take_fds(struct carom_connection *connection, struct carom_document *document,
		    uint64_t deadline_ns)
{
	int fds[CAROM_DOCUMENT_FDS_MAX];
	size_t count = document->fd_wanted;
	int r = carom_passing_check(connection, count);

	if (r < 0)
		return r == -EPERM ? -EBADMSG : r;
	r = carom_passing_receive(connection, count, patient(deadline_ns), fds);
	if (r < 0)
		return r == -EPIPE ? -ECONNRESET : r;
	return carom_document_take_fds(document, fds, count);
}

static int read_message(struct carom_connection *connection, const void *data, size_t size,
			void *userdata)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	struct reading *reading = userdata;
	int r = load(reading->serializer, data, size, reading->limits, &document);

	if (r == 0 && document->fd_wanted > 0)
		r = take_fds(connection, document, reading->deadline_ns);
	if (r == 0)
		reading->document = carom_take_ptr(document);
	return r;
}

int carom_connection_recv_document(struct carom_connection *connection,
				   const struct carom_document_limits *limits, uint64_t deadline_ns,
				   struct carom_document **ret_document)
{
	struct reading reading = { .limits = limits, .deadline_ns = deadline_ns };
	int r = find_serializer(connection->context, limits, &reading.serializer);

	if (r == 0)
		r = carom_connection_take_message(connection, deadline_ns, read_message, &reading);
	if (r == 0)
		*ret_document = reading.document;
	return r;
}

/* ---- queues ---- */

void carom_queue_set_context(struct carom_queue *queue, struct carom_context *context)
{
	queue->context = context;
}

void carom_queue_on_encode_error(struct carom_queue *queue, carom_encode_error_fn *function,
				 void *userdata)
{
	queue->encode_error = function;
	queue->userdata = userdata;
}

static int dump_for_queue(struct carom_queue *queue, const struct carom_document *document,
			  void **ret_data, size_t *ret_size)
{
	int r = dump(document, queue->context, ret_data, ret_size);

	if (r == 0 && carom_document_fd_count(document) > 0)
		r = -EPERM;
	if (r < 0 && queue->encode_error)
		queue->encode_error(document, r, queue->userdata);
	return r;
}

int carom_queue_put_document(struct carom_queue *queue, const struct carom_document *document,
			     uint64_t deadline_ns)
{
	CAROM_CLEANUP(freep) void *data = NULL;
	size_t size;
	int r = dump_for_queue(queue, document, &data, &size);

	return r < 0 ? r : carom_queue_put(queue, data, size, deadline_ns);
}

int carom_queue_get_document(struct carom_queue *queue, const struct carom_document_limits *limits,
			     uint64_t deadline_ns, struct carom_document **ret_document)
{
	const struct carom_serializer *serializer;
	CAROM_CLEANUP(freep) void *data = NULL;
	size_t size;
	int r = find_serializer(queue->context, limits, &serializer);

	if (r == 0)
		r = carom_queue_get_bytes(queue, 0, deadline_ns, &data, &size);
	return r < 0 ? r : load(serializer, data, size, limits, ret_document);
}
