/*
 * Module: nng
 *
 * A pair of sockets over ipc. nng has threads, so each process begins with it after the
 * fork. The address has no file.
 */
#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/module.h"
#include "bench/peer_message.h"

struct line {
	char address[64];
	nng_socket socket;
};

static int make(const struct bench_job *job, void **ret_state)
{
	struct line *line = calloc(1, sizeof(*line));

	if (!line)
		return -ENOMEM;
	snprintf(line->address, sizeof(line->address), "abstract://carom-peers-%d", getpid());
	*ret_state = line;
	return 0;
}

static int as_errno(int r)
{
	return r == 0 ? 0 : r == NNG_ENOMEM ? -ENOMEM : -EIO;
}

static int choose(void *state, bool is_partner)
{
	struct line *line = state;
	int r = nng_pair0_open(&line->socket);

	if (r == 0)
		r = nng_socket_set_size(line->socket, NNG_OPT_RECVMAXSZ, 0); /* any */
	if (r == 0 && is_partner)
		r = nng_listen(line->socket, line->address, NULL, 0);
	else if (r == 0) /* it tries again until the partner listens */
		r = nng_dial(line->socket, line->address, NULL, NNG_FLAG_NONBLOCK);
	return as_errno(r);
}

static int send_one(void *state, const void *data, size_t size)
{
	const struct line *line = state;

	return as_errno(nng_send(line->socket, (void *)data, size, 0));
}

static int receive_one(void *state, void *buffer, size_t size)
{
	const struct line *line = state;

	return as_errno(nng_recv(line->socket, buffer, &size, 0));
}

static const struct bench_carrier carrier = {
	.make = make,
	.choose = choose,
	.send = send_one,
	.receive = receive_one,
};

BENCH_MESSAGE_SETUP(setup, carrier)

BENCH_MODULE_EXPORT const struct bench_act bench_module = BENCH_MESSAGE_ACT(0, setup);
