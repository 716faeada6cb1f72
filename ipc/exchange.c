/*
 * Exchange
 *
 * A document's bytes come from its serializer, and its descriptors are those of the lowest
 * numbers up to the highest that is in it: so the other side knows from the bytes how many
 * come.
 *
 *   I1  Nothing is sent before the bytes are there: what cannot be encoded leaves no trace.
 *   I2  What comes is believed in nothing: not the bytes, nor that descriptors follow.
 *
 * In a queue that carries descriptors, a number stands before each document's bytes, under
 * which they go through its hatch (ipc/hatch.c). Such messages are put and got one at a time;
 * who waits for one holds up nobody.
 */
#include "ipc/exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "ipc/connection_private.h"
#include "ipc/object_private.h"
#include "ipc/queue_private.h"
#include "ipc/serializer_private.h"
#include "ipc/wait.h"

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

/* What no bytes could be made of is told. */
static int dump_for_queue(struct carom_queue *queue, const struct carom_document *document,
			  void **ret_data, size_t *ret_size)
{
	int r = dump(document, queue->context, ret_data, ret_size);

	if (r == 0 && !queue->hatch && carom_document_fd_count(document) > 0)
		r = -EPERM;
	if (r < 0 && queue->encode_error)
		queue->encode_error(document, r, queue->userdata);
	return r;
}

/**
 * struct envelope - what stands before a document's bytes in a queue that carries descriptors
 * @number: under which they go; 0: it has none
 */
struct envelope {
	uint64_t number;
};

static int put_enveloped(struct carom_queue *queue, uint64_t number, const void *data, size_t size,
			 uint64_t deadline_ns)
{
	struct envelope *envelope = malloc(sizeof(*envelope) + size);
	int r;

	if (!envelope)
		return -ENOMEM;
	envelope->number = number;
	memcpy(envelope + 1, data, size);
	r = carom_queue_put(queue, envelope, sizeof(*envelope) + size, deadline_ns);
	free(envelope);
	return r;
}

/* Descriptors of messages that were got, and lost with who got them, may fill the hatch. */
static int await_room(struct carom_queue *queue, uint64_t deadline_ns)
{
	int r = carom_hatch_await_room(queue->hatch, CAROM_PASSED);

	if (r != -EAGAIN)
		return r;
	if (carom_queue_is_empty(queue) &&
	    carom_hatch_begin_get(queue->hatch, patient(CAROM_PASSED)) == 0) {
		if (carom_queue_is_empty(queue))
			carom_hatch_clear(queue->hatch);
		carom_hatch_end_get(queue->hatch);
	}
	return carom_hatch_await_room(queue->hatch, deadline_ns);
}

/* With the putters' lock of the hatch. */
static int put_with_fds(struct carom_queue *queue, const struct carom_document *document,
			const void *data, size_t size, uint64_t deadline_ns)
{
	uint64_t number = ++queue->state->fds_number;
	int r = await_room(queue, deadline_ns);

	if (r == 0)
		r = put_enveloped(queue, number, data, size, deadline_ns);
	if (r == 0)
		r = carom_hatch_push(queue->hatch, number, document->fds,
				     carom_document_fd_count(document));
	return r;
}

static int put_through_hatch(struct carom_queue *queue, const struct carom_document *document,
			     const void *data, size_t size, uint64_t deadline_ns)
{
	int r;

	if (carom_document_fd_count(document) == 0)
		return put_enveloped(queue, 0, data, size, deadline_ns);
	if (carom_document_fd_count(document) > document->fd_count)
		return -EINVAL;
	r = carom_hatch_begin_put(queue->hatch, patient(deadline_ns));
	if (r < 0)
		return r == -ETIMEDOUT && deadline_ns == CAROM_PASSED ? -EAGAIN : r;
	r = put_with_fds(queue, document, data, size, deadline_ns);
	carom_hatch_end_put(queue->hatch);
	return r;
}

int carom_queue_put_document(struct carom_queue *queue, const struct carom_document *document,
			     uint64_t deadline_ns)
{
	CAROM_CLEANUP(freep) void *data = NULL;
	size_t size;
	int r = dump_for_queue(queue, document, &data, &size);

	if (r < 0)
		return r;
	return queue->hatch ? put_through_hatch(queue, document, data, size, deadline_ns)
			    : carom_queue_put(queue, data, size, deadline_ns);
}

/* With the getters' lock of the hatch. */
static int pull_fds(struct carom_queue *queue, uint64_t number, struct carom_document *document)
{
	int fds[CAROM_DOCUMENT_FDS_MAX];
	size_t count = document->fd_wanted;
	int r = carom_hatch_pull(queue->hatch, number, count, patient(CAROM_PASSED), fds);

	return r < 0 ? r : carom_document_take_fds(document, fds, count);
}

static int open_envelope(struct carom_queue *queue, const struct carom_serializer *serializer,
			 const struct envelope *envelope, size_t size,
			 const struct carom_document_limits *limits,
			 struct carom_document **ret_document)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	int r;

	if (size < sizeof(*envelope))
		return -EBADMSG;
	r = load(serializer, envelope + 1, size - sizeof(*envelope), limits, &document);
	if (r == 0 && document->fd_wanted > 0)
		r = envelope->number ? pull_fds(queue, envelope->number, document) : -EBADMSG;
	if (r == 0)
		*ret_document = carom_take_ptr(document);
	return r;
}

/* Without waiting for a message; -EAGAIN: there is none. */
static int get_through_hatch(struct carom_queue *queue, const struct carom_serializer *serializer,
			     const struct carom_document_limits *limits,
			     struct carom_document **ret_document)
{
	CAROM_CLEANUP(freep) void *data = NULL;
	size_t size;
	int r = carom_hatch_begin_get(queue->hatch, patient(CAROM_PASSED));

	if (r < 0)
		return r == -ETIMEDOUT ? -EAGAIN : r;
	r = carom_queue_get_bytes(queue, 0, CAROM_PASSED, &data, &size);
	if (r == 0)
		r = open_envelope(queue, serializer, data, size, limits, ret_document);
	carom_hatch_end_get(queue->hatch);
	return r;
}

/* Who waits holds no lock. */
static int get_or_wait(struct carom_queue *queue, const struct carom_serializer *serializer,
		       const struct carom_document_limits *limits, uint64_t deadline_ns,
		       struct carom_document **ret_document)
{
	struct carom_wait_item item = CAROM_WAIT_FOR_QUEUE(queue);
	int r;

	do {
		r = get_through_hatch(queue, serializer, limits, ret_document);
		if (r != -EAGAIN || deadline_ns == CAROM_PASSED)
			return r;
		r = carom_wait(&item, 1, deadline_ns);
	} while (r > 0);
	return r;
}

int carom_queue_get_document(struct carom_queue *queue, const struct carom_document_limits *limits,
			     uint64_t deadline_ns, struct carom_document **ret_document)
{
	const struct carom_serializer *serializer;
	CAROM_CLEANUP(freep) void *data = NULL;
	size_t size;
	int r = find_serializer(queue->context, limits, &serializer);

	if (r < 0)
		return r;
	if (queue->hatch)
		return get_or_wait(queue, serializer, limits, deadline_ns, ret_document);
	r = carom_queue_get_bytes(queue, 0, deadline_ns, &data, &size);
	return r < 0 ? r : load(serializer, data, size, limits, ret_document);
}
