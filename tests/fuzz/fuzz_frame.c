/*
 * Fuzz: frame
 *
 * The input is what a hostile peer sends, in pieces, and what an honest receiver does between
 * them. A second reader, which has all of it at once, says what has to be received.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ipc/connection.h"

#define MESSAGE_MAX 300 /* a longer one is passed over */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promised)
{
	if (!promised)
		abort();
}

/* ---- the second reader ---- */

/** struct stream - what is left of it */
struct stream {
	const uint8_t *data;
	size_t size;
};

static uint64_t number(const uint8_t *data, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | data[i];
	return value;
}

/* Return: 0, and the length behind the frame; or the error that comes at the end of it */
static int expect_frame(struct stream *stream, int framing, uint64_t *ret_size)
{
	int torn = stream->size == 0 ? -EPIPE : -ECONNRESET;
	size_t frame_size = 4;

	if (stream->size < 4)
		return torn;
	*ret_size = number(stream->data, 4);
	if (framing == CAROM_FRAMING_PYTHON && *ret_size == 0xffffffff) {
		if (stream->size < 12)
			return torn;
		*ret_size = number(stream->data + 4, 8);
		frame_size = 12;
		if (*ret_size >> 63)
			return -EBADMSG;
	} else if (framing != CAROM_FRAMING_UNSIGNED && *ret_size >> 31) {
		return -EBADMSG;
	}
	stream->data += frame_size;
	stream->size -= frame_size;
	return 0;
}

/* ---- the first ---- */

/** struct peer - what it still sends, and how much at a time */
struct peer {
	int fd;
	struct stream stream;
	size_t step;
};

/* Return: false: it has ended */
static bool send_some(struct peer *peer)
{
	size_t size = peer->stream.size < peer->step ? peer->stream.size : peer->step;

	if (peer->fd < 0)
		return false;
	if (size == 0) {
		carom_closep(&peer->fd);
		return true;
	}
	require(send(peer->fd, peer->stream.data, size, 0) == (ssize_t)size);
	peer->stream.data += size;
	peer->stream.size -= size;
	return true;
}

/* A message in one of the ways, until it is there or never will be. */
static int receive(struct carom_connection *connection, struct peer *peer, unsigned *way,
		   unsigned char *buffer, size_t *ret_size)
{
	void *data;
	int r;

	for (;;) {
		*way = *way * 5 + 1;
		if (*way & 8) {
			r = carom_connection_recv_bytes(connection, MESSAGE_MAX, CAROM_PASSED,
							&data, ret_size);
			if (r == 0) {
				memcpy(buffer, data, *ret_size);
				free(data);
			}
		} else {
			r = carom_connection_recv_bytes_into(connection, buffer, MESSAGE_MAX,
							     CAROM_PASSED, ret_size);
		}
		if (r != -EAGAIN)
			return r;
		require(send_some(peer));
	}
}

static void skip(struct carom_connection *connection, struct peer *peer, bool is_whole)
{
	int r;

	while ((r = carom_connection_skip(connection, CAROM_PASSED)) == -EAGAIN) {
		/* the rest goes by itself; and what is next may be received at once */
		require(send_some(peer));
		if (is_whole)
			return;
	}
	require(r == (is_whole ? 0 : -ECONNRESET));
}

/* Return: false: it is over */
static bool step(struct carom_connection *connection, struct peer *peer, struct stream *expected,
		 int framing, unsigned *way)
{
	unsigned char buffer[MESSAGE_MAX];
	uint64_t wanted;
	size_t size = 0;
	int r = expect_frame(expected, framing, &wanted);
	bool is_whole = r == 0 && wanted <= expected->size;

	if (r == 0 && !is_whole && wanted <= MESSAGE_MAX)
		r = -ECONNRESET;
	if (r == 0 && wanted > MESSAGE_MAX)
		r = -EMSGSIZE;
	require(receive(connection, peer, way, buffer, &size) == r);
	if (r < 0 && r != -EMSGSIZE)
		return false;
	require(size == wanted);
	if (r == 0)
		require(memcmp(buffer, expected->data, size) == 0);
	else
		skip(connection, peer, is_whole);
	if (!is_whole)
		return false;
	expected->data += wanted;
	expected->size -= (size_t)wanted;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CAROM_CLEANUP(carom_connection_freep) struct carom_connection *connection = NULL;
	struct stream expected;
	struct peer peer;
	unsigned way;
	int fds[2], framing;

	if (size < 2)
		return 0;
	framing = data[0] % 3;
	way = data[1];
	expected = (struct stream){ data + 2, size - 2 };
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	require(carom_connection_new_take(
			fds[0], &CAROM_CONNECTION_OPTIONS(.framing = (enum carom_framing)framing),
			&connection) == 0);
	peer = (struct peer){ fds[1], expected, (size_t)1 + data[0] / 3 };
	while (step(connection, &peer, &expected, framing, &way))
		;
	carom_closep(&peer.fd);
	return 0;
}
