/* A connection's inside, for what else goes through its stream: see ipc/connection.c. */
#ifndef CAROM_IPC_CONNECTION_PRIVATE_H
#define CAROM_IPC_CONNECTION_PRIVATE_H

#include "ipc/connection.h"
#include "ipc/duct.h"
#include "ipc/frame.h"
#include "ipc/stream.h"
#include "ipc/turn.h"

/**
 * struct carom_incoming - what has come of the message at the head of the stream
 * @turn:        of who receives
 * @error:       not 0: nothing is received any more, and why
 * @is_known:    its frame is complete, and it is @size bytes long
 * @body:        @body_got bytes of it, with room for @body_room; NULL: none
 * @is_kept:     the message is complete, and what comes behind it has not come
 * @is_aborted:  this call had part of a message whose sender died
 * @abort_count: and of how many
 * @skip_left:   bytes before the next frame that nobody wants
 */
struct carom_incoming {
	struct carom_turn turn;
	int error;
	unsigned char frame[CAROM_FRAME_SIZE_MAX];
	unsigned char frame_got;
	bool is_known;
	bool is_kept;
	bool is_aborted;
	unsigned int abort_count;
	uint64_t size;
	uint64_t skip_left;
	unsigned char *body;
	size_t body_got;
	size_t body_room;
};

/**
 * struct carom_outgoing - what is left of a message that was sent in part
 * @turn:  of who sends
 * @error: not 0: nothing is sent any more, and why
 * @rest:  NULL: nothing
 * @fds:   descriptors that go behind it, duplicates; NULL: none
 */
struct carom_outgoing {
	struct carom_turn turn;
	int error;
	unsigned char *rest;
	size_t rest_size;
	size_t rest_sent;
	int *fds;
	size_t fd_count;
};

/**
 * struct carom_connection - either a stream, or with a duct
 * @stream: its fd is -1 once it is closed; a duct's handle
 * @duct:   NULL: messages go through the stream
 * @place:  where in the duct all of the message at hand stands; NULL: it comes in parts
 * @is_lent: the message that was received in place is in @in
 * @context: whose serializer makes documents of its messages: see ipc/exchange.c
 */
struct carom_connection {
	struct carom_stream stream;
	struct carom_duct *duct;
	const void *place;
	bool is_lent;
	struct carom_context *context;
	enum carom_framing framing;
	bool is_readable;
	bool is_writable;
	uint64_t message_max;
	struct carom_incoming in;
	struct carom_outgoing out;
};

/** carom_connection_begin_send() - the turn is the caller's, and nothing is left to be sent before. */
int carom_connection_begin_send(struct carom_connection *connection, uint64_t deadline_ns);

/** carom_connection_end_send() - give it back */
void carom_connection_end_send(struct carom_connection *connection);

/** carom_connection_begin_receive() - the turn is the caller's, and the stream can be read. */
int carom_connection_begin_receive(struct carom_connection *connection, uint64_t deadline_ns);
void carom_connection_end_receive(struct carom_connection *connection);

/**
 * carom_connection_send_with_fds() - a message, and descriptors right behind it
 *
 * Return: as carom_connection_send_bytes(), which keeps both; where the message went and they
 * cannot, why not, and from then on -ENOTRECOVERABLE.
 */
int carom_connection_send_with_fds(struct carom_connection *connection, const void *data,
				   size_t size, const int *fds, size_t count, uint64_t deadline_ns);

/**
 * typedef carom_message_fn - take what is in a message, and what comes behind it
 * Return: -EAGAIN, -ETIMEDOUT: not now, it is kept; whatever else: it is gone.
 */
typedef int carom_message_fn(struct carom_connection *connection, const void *data, size_t size,
			     void *userdata);

/** carom_connection_take_message() - as carom_connection_recv_bytes(), and what @take says */
int carom_connection_take_message(struct carom_connection *connection, uint64_t deadline_ns,
				  carom_message_fn *take, void *userdata);

/** carom_passing_check() - can @count descriptors go through it? 0, -EINVAL, -EPERM, -EBADF */
int carom_passing_check(struct carom_connection *connection, size_t count);

/** carom_passing_send() - descriptors, with the turn to send. As carom_connection_send_fds() */
int carom_passing_send(struct carom_connection *connection, const int *fds, size_t count,
		       uint64_t deadline_ns);

/** carom_passing_receive() - with the turn to receive. As carom_connection_recv_fds() */
int carom_passing_receive(struct carom_connection *connection, size_t count, uint64_t deadline_ns,
			  int *ret_fds);

/**
 * carom_connection_has_message() - one that no descriptor tells of, or the end; never blocks
 *
 * Of a duct: any; and if not, its descriptor is settled.
 */
bool carom_connection_has_message(struct carom_connection *connection);

/** carom_connection_confirm() - is its descriptor readable for something? */
bool carom_connection_confirm(struct carom_connection *connection);

#endif
