/*
 * Module: iceoryx
 *
 * Its daemon, RouDi, runs for one side alone, and the two processes are a publisher and a
 * subscriber of one service each way, who loses nothing. Chunks are loaned, published, taken
 * by a loop that spins, and released; of a large one a line is written and read.
 */
#include <errno.h>
#include <iceoryx_binding_c/log.h>
#include <iceoryx_binding_c/publisher.h>
#include <iceoryx_binding_c/runtime.h>
#include <iceoryx_binding_c/subscriber.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/machine.h"
#include "bench/module.h"
#include "bench/peer_message.h"
#include "core/cleanup.h"
#include "core/time.h"

#define ROUDI       "/usr/bin/iox-roudi"
#define CALLER      "carom-peers-caller"
#define PARTNER     "carom-peers-partner"
#define LOOK_NS     CAROM_MILLISECONDS(1)
#define CHUNKS_MAX  4 /* on their way; of the largest size RouDi has few */
#define TOUCHED_MAX 64

struct line {
	pid_t roudi;
	iox_pub_storage_t publisher_storage;
	iox_sub_storage_t subscriber_storage;
	iox_pub_t publisher;
	iox_sub_t subscriber;
};

static pid_t daemon_pid;

/* One that is about to end has its lock still. */
static void await_last_roudi(void)
{
	int fd = open("/tmp/iox-unique-roudi.lock", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		flock(fd, LOCK_EX);
	carom_closep(&fd);
}

/* In a session of its own: it ends by itself, and takes its shared memory along. */
static void become_roudi(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	execl(ROUDI, ROUDI, "--monitoring-mode", "off", "--kill-delay", "0", NULL);
	_exit(127);
}

static int make(const struct bench_job *job, void **ret_state)
{
	struct line *line = calloc(1, sizeof(*line));

	if (!line)
		return -ENOMEM;
	*ret_state = line;
	await_last_roudi();
	daemon_pid = line->roudi = fork();
	if (line->roudi == 0)
		become_roudi();
	return line->roudi < 0 ? -errno : 0;
}

static void begin_publisher(struct line *line, const char *name)
{
	iox_pub_options_t options;

	iox_pub_options_init(&options);
	options.subscriberTooSlowPolicy = ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
	line->publisher = iox_pub_init(&line->publisher_storage, "carom", "peers", name, &options);
}

static void begin_subscriber(struct line *line, const char *name)
{
	iox_sub_options_t options;

	iox_sub_options_init(&options);
	options.queueCapacity = CHUNKS_MAX;
	options.queueFullPolicy = QueueFullPolicy_BLOCK_PRODUCER;
	line->subscriber =
		iox_sub_init(&line->subscriber_storage, "carom", "peers", name, &options);
}

/* Waits until both have found each other. */
static int choose(void *state, bool is_partner)
{
	struct line *line = state;

	iox_set_loglevel(Iceoryx_LogLevel_Off);
	iox_runtime_init(is_partner ? PARTNER : CALLER);
	begin_publisher(line, is_partner ? "back" : "there");
	begin_subscriber(line, is_partner ? "there" : "back");
	while (!iox_pub_has_subscribers(line->publisher) ||
	       iox_sub_get_subscription_state(line->subscriber) != SubscribeState_SUBSCRIBED)
		bench_let_pass(LOOK_NS);
	return 0;
}

static int send_chunk(void *state, const void *data, size_t size)
{
	const struct line *line = state;
	void *chunk;

	if (iox_pub_loan_chunk(line->publisher, &chunk, (uint32_t)size) != AllocationResult_SUCCESS)
		return -ENOMEM;
	memcpy(chunk, data, size < TOUCHED_MAX ? size : TOUCHED_MAX);
	iox_pub_publish_chunk(line->publisher, chunk);
	return 0;
}

static int receive_chunk(void *state, void *buffer, size_t size)
{
	const struct line *line = state;
	enum iox_ChunkReceiveResult r;
	const void *chunk;

	while ((r = iox_sub_take_chunk(line->subscriber, &chunk)) ==
	       ChunkReceiveResult_NO_CHUNK_AVAILABLE)
		bench_relax();
	if (r != ChunkReceiveResult_SUCCESS)
		return -EIO;
	memcpy(buffer, chunk, size < TOUCHED_MAX ? size : TOUCHED_MAX);
	iox_sub_release_chunk(line->subscriber, chunk);
	return 0;
}

static const struct bench_carrier carrier = {
	.make = make,
	.choose = choose,
	.send = send_chunk,
	.receive = receive_chunk,
	.spins = true,
};

static int setup(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	return bench_message_setup(&carrier, job, sample, ret_state);
}

/* RouDi first kills who uses it, and dies if it cannot: both processes are left to it. */
static void teardown(void *state)
{
	unlink("/tmp/" CALLER ".lock");
	unlink("/tmp/" PARTNER ".lock");
	kill(daemon_pid, SIGTERM);
	waitpid(daemon_pid, NULL, 0);
}

BENCH_MODULE_EXPORT const struct bench_act bench_module = {
	.setup = setup,
	.operate = bench_message_operate,
	.rest = bench_message_rest,
	.teardown = teardown,
};
