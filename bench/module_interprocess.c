/*
 * Module: Boost.Interprocess
 *
 * Two of its message queues in shared memory, which lock for each message.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/boost_messages.h"
#include "bench/module.h"
#include "bench/peer_message.h"

struct line {
	struct bench_boost_messages *queues[2];
	int in;
};

static int make(const struct bench_job *job, void **ret_state)
{
	struct line *line = calloc(1, sizeof(*line));
	char name[64];

	if (!line)
		return -ENOMEM;
	*ret_state = line;
	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "carom-peers-%d-%d", getpid(), i);
		line->queues[i] = bench_boost_messages_new(name, job->workload->payload_bytes);
		if (!line->queues[i])
			return -EIO;
	}
	return 0;
}

static int choose(void *state, bool is_partner)
{
	struct line *line = state;

	line->in = is_partner;
	return 0;
}

static int send_one(void *state, const void *data, size_t size)
{
	const struct line *line = state;

	return bench_boost_messages_send(line->queues[!line->in], data, size) ? 0 : -EIO;
}

static int receive_one(void *state, void *buffer, size_t size)
{
	const struct line *line = state;

	return bench_boost_messages_receive(line->queues[line->in], buffer, size) ? 0 : -EIO;
}

static const struct bench_carrier carrier = {
	.make = make,
	.choose = choose,
	.send = send_one,
	.receive = receive_one,
};

BENCH_MESSAGE_SETUP(setup, carrier)

BENCH_MODULE_EXPORT const struct bench_act bench_module = BENCH_MESSAGE_ACT(0, setup);
