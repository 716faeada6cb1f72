/*
 * Peer: POSIX message queues
 *
 * Two of them, of as many messages as the system allows everybody. Their names are gone as
 * soon as both processes have them.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "bench/peer_message.h"

#define MESSAGES_MAX 10

struct line {
	mqd_t queues[2];
	int in;
};

static mqd_t new_queue(const char *what, size_t size)
{
	struct mq_attr attributes = { .mq_maxmsg = MESSAGES_MAX, .mq_msgsize = (long)size };
	char name[64];
	mqd_t queue;

	snprintf(name, sizeof(name), "/carom-peers-%d-%s", getpid(), what);
	queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
	if (queue != (mqd_t)-1)
		mq_unlink(name);
	return queue;
}

static int make(const struct bench_job *job, void **ret_state)
{
	struct line *line = calloc(1, sizeof(*line));

	if (!line)
		return -ENOMEM;
	*ret_state = line;
	line->queues[0] = new_queue("back", job->workload->payload_bytes);
	line->queues[1] = new_queue("there", job->workload->payload_bytes);
	return line->queues[0] == (mqd_t)-1 || line->queues[1] == (mqd_t)-1 ? -errno : 0;
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

	return mq_send(line->queues[!line->in], data, size, 0) < 0 ? -errno : 0;
}

static int receive_one(void *state, void *buffer, size_t size)
{
	const struct line *line = state;

	return mq_receive(line->queues[line->in], buffer, size, NULL) < 0 ? -errno : 0;
}

static const struct bench_carrier carrier = {
	.make = make,
	.choose = choose,
	.send = send_one,
	.receive = receive_one,
};

BENCH_MESSAGE_SETUP(setup, carrier)

static const char *missing(void)
{
	mqd_t queue = new_queue("trial", 1);

	if (queue == (mqd_t)-1)
		return "this kernel, or this container, has no POSIX message queues";
	mq_close(queue);
	return NULL;
}

static const struct bench_act acts[] = {
	BENCH_MESSAGE_SMALL_ACTS(setup),
	{ 0 },
};

const struct bench_peer bench_peer_mq = {
	.name = "mq",
	.summary = "POSIX message queues",
	.missing = missing,
	.acts = acts,
};
