/*
 * Module: ZeroMQ
 *
 * A pair of sockets over ipc. Each process has a context of its own, made after the fork.
 * The address has no file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include "bench/module.h"
#include "bench/peer_message.h"

struct line {
	char address[64];
	void *context;
	void *socket;
};

static int make(const struct bench_job *job, void **ret_state)
{
	struct line *line = calloc(1, sizeof(*line));

	if (!line)
		return -ENOMEM;
	snprintf(line->address, sizeof(line->address), "ipc://@carom-peers-%d", getpid());
	*ret_state = line;
	return 0;
}

static int choose(void *state, bool is_partner)
{
	struct line *line = state;
	int none = 0;

	line->context = zmq_ctx_new();
	line->socket = line->context ? zmq_socket(line->context, ZMQ_PAIR) : NULL;
	if (!line->socket)
		return -errno;
	zmq_setsockopt(line->socket, ZMQ_LINGER, &none, sizeof(none));
	if (is_partner)
		return zmq_bind(line->socket, line->address) < 0 ? -errno : 0;
	return zmq_connect(line->socket, line->address) < 0 ? -errno : 0;
}

static int send_one(void *state, const void *data, size_t size)
{
	const struct line *line = state;

	return zmq_send(line->socket, data, size, 0) < 0 ? -errno : 0;
}

static int receive_one(void *state, void *buffer, size_t size)
{
	const struct line *line = state;

	return zmq_recv(line->socket, buffer, size, 0) < 0 ? -errno : 0;
}

static const struct bench_carrier carrier = {
	.make = make,
	.choose = choose,
	.send = send_one,
	.receive = receive_one,
};

BENCH_MESSAGE_SETUP(setup, carrier)

BENCH_MODULE_EXPORT const struct bench_act bench_module = BENCH_MESSAGE_ACT(0, setup);
