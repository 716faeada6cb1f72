/*
 * Messages between two processes: carom's pipes, and what they are compared with
 *
 * A partner, forked, sends back each message whose first byte is ECHO, swallows SWALLOW, and
 * rests at REST until a byte comes through a pipe. One way is so many messages that are
 * swallowed and one that is answered: so the time ends when all have been received.
 *
 * The kernel's sockets and pipes are used as a plain loop in C uses them: a length, and what
 * it says; one call to write both, two to read them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/machine.h"
#include "bench/peer_message.h"
#include "core/time.h"
#include "ipc/pipe.h"

enum { ECHO, SWALLOW, REST };

/* Messages that are made visible at once, where that can be said. */
#define BATCH 32

struct talk {
	const struct bench_carrier *carrier;
	struct bench_job job;
	void *line;
	pid_t partner;
	int wake_fds[2];
	size_t size;
	bool rests;
	unsigned char *message;
};

/* ---- the partner ---- */

static int answer(const struct talk *talk)
{
	int r = talk->carrier->send(talk->line, talk->message, talk->size);

	return r == 0 && talk->carrier->flush ? talk->carrier->flush(talk->line) : r;
}

static void be_partner(struct talk *talk)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_place(0, talk->job.worker_cpu);
	if (talk->carrier->choose(talk->line, true) < 0)
		_exit(1);
	while (talk->carrier->receive(talk->line, talk->message, talk->size) == 0) {
		if (talk->message[0] == ECHO && answer(talk) < 0)
			break;
		if (talk->message[0] == REST && read(talk->wake_fds[0], &byte, 1) != 1)
			break;
	}
	_exit(0);
}

/* ---- the caller ---- */

int bench_message_setup(const struct bench_carrier *carrier, const struct bench_job *job,
			struct bench_sample *sample, void **ret_state)
{
	struct talk *talk = calloc(1, sizeof(*talk));
	int r;

	if (!talk)
		return -ENOMEM;
	*ret_state = talk;
	talk->carrier = carrier;
	talk->job = *job;
	talk->size = carrier->size ? carrier->size : job->workload->payload_bytes;
	talk->message = calloc(1, BENCH_MESSAGE_BYTES_MAX);
	if (!talk->message || pipe2(talk->wake_fds, O_CLOEXEC) < 0)
		return -ENOMEM;
	r = carrier->make(job, &talk->line);
	if (r < 0)
		return bench_sample_fail(sample, r, "%s", strerror(-r));
	talk->partner = fork();
	if (talk->partner == 0)
		be_partner(talk);
	r = talk->partner < 0 ? -errno : carrier->choose(talk->line, false);
	return r < 0 ? r : bench_place(0, job->caller_cpu);
}

static void wake_partner(struct talk *talk)
{
	if (talk->rests)
		talk->rests = write(talk->wake_fds[1], "", 1) != 1;
}

static int say(struct talk *talk, unsigned char what)
{
	talk->message[0] = what;
	return talk->carrier->send(talk->line, talk->message, talk->size);
}

static int say_now(struct talk *talk, unsigned char what)
{
	int r = say(talk, what);

	return r == 0 && talk->carrier->flush ? talk->carrier->flush(talk->line) : r;
}

static int hear(struct talk *talk)
{
	return talk->carrier->receive(talk->line, talk->message, talk->size);
}

static int stream(struct talk *talk, uint64_t count)
{
	int r = 0;

	for (uint64_t i = 0; r == 0 && i + 1 < count; i++)
		r = i % BATCH == BATCH - 1 ? say_now(talk, SWALLOW) : say(talk, SWALLOW);
	if (r == 0)
		r = say_now(talk, ECHO);
	return r < 0 ? r : hear(talk);
}

int bench_message_operate(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct talk *talk = state;
	int r = 0;

	wake_partner(talk);
	if (talk->job.workload->is_one_way)
		return stream(talk, task_count);
	for (uint64_t i = 0; r == 0 && i < task_count; i++) {
		r = say_now(talk, ECHO);
		if (r == 0)
			r = hear(talk);
	}
	return r;
}

void bench_message_rest(void *state)
{
	struct talk *talk = state;

	if (talk->carrier->spins && !talk->rests)
		talk->rests = say_now(talk, REST) == 0;
}

void bench_message_teardown(void *state)
{
	struct talk *talk = state;

	if (talk->partner > 0) {
		kill(talk->partner, SIGKILL);
		waitpid(talk->partner, NULL, 0);
	}
}

/* ---- carom ---- */

struct carom_line {
	struct carom_connection *ends[2];
	struct carom_connection *mine;
};

static int make_carom(const struct carom_pipe_options *options, void **ret_state)
{
	struct carom_line *line = calloc(1, sizeof(*line));

	if (!line)
		return -ENOMEM;
	*ret_state = line;
	return carom_pipe_new(options, &line->ends[0], &line->ends[1]);
}

/* So large that a message may stand in it in one piece. */
static int make_memory(const struct bench_job *job, void **ret_state)
{
	uint64_t size = 4 * job->workload->payload_bytes;

	return make_carom(&CAROM_PIPE_OPTIONS(.buffer_size = size > CAROM_KIB(256) ? size : 0),
			  ret_state);
}

static int make_memory_parked(const struct bench_job *job, void **ret_state)
{
	return make_carom(&CAROM_PIPE_OPTIONS(.spin_ns = CAROM_SPIN_NEVER), ret_state);
}

static int make_carom_socket(const struct bench_job *job, void **ret_state)
{
	return make_carom(&CAROM_PIPE_OPTIONS(.is_socket = true), ret_state);
}

static int choose_carom(void *state, bool is_partner)
{
	struct carom_line *line = state;

	line->mine = line->ends[is_partner];
	carom_connection_close(line->ends[!is_partner]);
	return 0;
}

static int send_carom(void *state, const void *data, size_t size)
{
	const struct carom_line *line = state;

	return carom_connection_send_bytes(line->mine, data, size, CAROM_NO_DEADLINE);
}

static int receive_carom(void *state, void *buffer, size_t size)
{
	const struct carom_line *line = state;

	return carom_connection_recv_bytes_into(line->mine, buffer, size, CAROM_NO_DEADLINE, &size);
}

/* Reserved, written, and committed in batches. */
static int send_in_place(void *state, const void *data, size_t size)
{
	const struct carom_line *line = state;
	void *room;
	int r = carom_connection_reserve(line->mine, size, CAROM_NO_DEADLINE, &room);

	if (r < 0)
		return r;
	memcpy(room, data, size < 64 ? size : 64);
	return carom_connection_commit_more(line->mine, size);
}

/* The same, each message told of at once. */
static int send_each_in_place(void *state, const void *data, size_t size)
{
	const struct carom_line *line = state;
	void *room;
	int r = carom_connection_reserve(line->mine, size, CAROM_NO_DEADLINE, &room);

	if (r < 0)
		return r;
	memcpy(room, data, size < 64 ? size : 64);
	return carom_connection_commit(line->mine, size);
}

static int flush_carom(void *state)
{
	const struct carom_line *line = state;

	return carom_connection_flush(line->mine, CAROM_NO_DEADLINE);
}

/* Read where it stands: of a large message what is wanted is looked at, and no more. */
static int receive_in_place(void *state, void *buffer, size_t size)
{
	const struct carom_line *line = state;
	const void *data;
	int r = carom_connection_receive(line->mine, CAROM_NO_DEADLINE, &data, &size);

	if (r < 0)
		return r;
	memcpy(buffer, data, size < 64 ? size : 64);
	return carom_connection_release_more(line->mine);
}

static const struct bench_carrier by_memory = {
	.make = make_memory,
	.choose = choose_carom,
	.send = send_carom,
	.receive = receive_carom,
};
static const struct bench_carrier in_place = {
	.make = make_memory,
	.choose = choose_carom,
	.send = send_in_place,
	.receive = receive_in_place,
	.flush = flush_carom,
};
static const struct bench_carrier each_in_place = {
	.make = make_memory,
	.choose = choose_carom,
	.send = send_each_in_place,
	.receive = receive_in_place,
};
static const struct bench_carrier small_in_place = {
	.make = make_memory,
	.choose = choose_carom,
	.send = send_each_in_place,
	.receive = receive_in_place,
	.size = 64,
};
static const struct bench_carrier by_memory_parked = {
	.make = make_memory_parked,
	.choose = choose_carom,
	.send = send_carom,
	.receive = receive_carom,
};
static const struct bench_carrier by_carom_socket = {
	.make = make_carom_socket,
	.choose = choose_carom,
	.send = send_carom,
	.receive = receive_carom,
};

/* ---- the kernel's ---- */

struct fd_line {
	int fds[2][2]; /* [end][to read, to write] */
	int in, out;
};

static int make_socketpair(const struct bench_job *job, void **ret_state)
{
	struct fd_line *line = calloc(1, sizeof(*line));
	int fds[2];

	if (!line || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -ENOMEM;
	for (int i = 0; i < 2; i++)
		line->fds[i][0] = line->fds[i][1] = fds[i];
	*ret_state = line;
	return 0;
}

static int make_pipes(const struct bench_job *job, void **ret_state)
{
	struct fd_line *line = calloc(1, sizeof(*line));
	int there[2], back[2];

	if (!line || pipe2(there, O_CLOEXEC) < 0 || pipe2(back, O_CLOEXEC) < 0)
		return -ENOMEM;
	line->fds[0][0] = back[0];
	line->fds[0][1] = there[1];
	line->fds[1][0] = there[0];
	line->fds[1][1] = back[1];
	*ret_state = line;
	return 0;
}

static int choose_fds(void *state, bool is_partner)
{
	struct fd_line *line = state;

	line->in = line->fds[is_partner][0];
	line->out = line->fds[is_partner][1];
	close(line->fds[!is_partner][0]);
	close(line->fds[!is_partner][1]);
	return 0;
}

static int send_by_fd(void *state, const void *data, size_t size)
{
	const struct fd_line *line = state;
	uint32_t length = (uint32_t)size;
	size_t done = 0;

	while (done < size + 4) {
		struct iovec parts[2] = { { (char *)&length + done, done < 4 ? 4 - done : 0 },
					  { (char *)data, size } };
		ssize_t n;

		if (done >= 4) {
			parts[1].iov_base = (char *)data + (done - 4);
			parts[1].iov_len = size + 4 - done;
		}
		n = done < 4 ? writev(line->out, parts, 2)
			     : write(line->out, parts[1].iov_base, parts[1].iov_len);
		if (n <= 0)
			return -EPIPE;
		done += (size_t)n;
	}
	return 0;
}

static int read_all(int fd, void *buffer, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, (char *)buffer + done, size - done);

		if (n <= 0)
			return -EPIPE;
		done += (size_t)n;
	}
	return 0;
}

static int receive_by_fd(void *state, void *buffer, size_t size)
{
	const struct fd_line *line = state;
	uint32_t length = 0;
	int r = read_all(line->in, &length, sizeof(length));

	if (r == 0 && length > size)
		r = -EPROTO;
	return r < 0 ? r : read_all(line->in, buffer, length);
}

static const struct bench_carrier by_socketpair = {
	.make = make_socketpair,
	.choose = choose_fds,
	.send = send_by_fd,
	.receive = receive_by_fd,
};
static const struct bench_carrier by_pipes = {
	.make = make_pipes,
	.choose = choose_fds,
	.send = send_by_fd,
	.receive = receive_by_fd,
};

/* ---- acts ---- */

BENCH_MESSAGE_SETUP(setup_memory, by_memory)
BENCH_MESSAGE_SETUP(setup_in_place, in_place)
BENCH_MESSAGE_SETUP(setup_each_in_place, each_in_place)
BENCH_MESSAGE_SETUP(setup_small_in_place, small_in_place)
BENCH_MESSAGE_SETUP(setup_memory_parked, by_memory_parked)
BENCH_MESSAGE_SETUP(setup_carom_socket, by_carom_socket)
BENCH_MESSAGE_SETUP(setup_socketpair, by_socketpair)
BENCH_MESSAGE_SETUP(setup_pipes, by_pipes)

const struct bench_act bench_carom_message_acts[] = {
	BENCH_MESSAGE_ACT(BENCH_MESSAGE_8, setup_memory),
	BENCH_MESSAGE_ACT(BENCH_MESSAGE_64, setup_memory),
	BENCH_MESSAGE_ACT(BENCH_MESSAGE_PARKED_8, setup_memory_parked),
	BENCH_MESSAGE_ACT(BENCH_MESSAGE_PARKED_64, setup_memory_parked),
	BENCH_MESSAGE_ACT(BENCH_MESSAGE_SOCKET_64, setup_carom_socket),
	BENCH_MESSAGE_ACT(BENCH_MESSAGE_SOCKET_64K, setup_carom_socket),
	BENCH_MESSAGE_ACT(BENCH_MESSAGE_64K, setup_memory),
	BENCH_MESSAGE_ACT(BENCH_MESSAGE_1M, setup_memory),
	BENCH_MESSAGE_ACT(BENCH_MESSAGE_PLACE_64K, setup_each_in_place),
	BENCH_MESSAGE_ACT(BENCH_MESSAGE_PLACE_1M, setup_each_in_place),
	BENCH_MESSAGE_ACT(BENCH_STREAM_64, setup_memory),
	BENCH_MESSAGE_ACT(BENCH_STREAM_64_BATCH, setup_in_place),
	BENCH_MESSAGE_ACT(BENCH_STREAM_64K, setup_memory),
	BENCH_MESSAGE_ACT(BENCH_STREAM_1M, setup_memory),
	BENCH_MESSAGE_ACT(BENCH_STREAM_PLACE_64K, setup_each_in_place),
	BENCH_MESSAGE_ACT(BENCH_STREAM_PLACE_1M, setup_each_in_place),
	{ 0 },
};

const struct bench_peer bench_peer_carom_small = {
	.name = "carom-small",
	.summary = "carom, in place, with 64 bytes whatever the size is",
	.acts =
		(const struct bench_act[]){
			BENCH_MESSAGE_ACT(BENCH_MESSAGE_PLACE_64K, setup_small_in_place),
			BENCH_MESSAGE_ACT(BENCH_MESSAGE_PLACE_1M, setup_small_in_place),
			BENCH_MESSAGE_ACT(BENCH_STREAM_PLACE_64K, setup_small_in_place),
			BENCH_MESSAGE_ACT(BENCH_STREAM_PLACE_1M, setup_small_in_place),
			{ 0 },
		},
};

const struct bench_act bench_pipe_message_acts[] = {
	BENCH_MESSAGE_ALL_ACTS(setup_pipes),
	{ 0 },
};

static const struct bench_act socketpair_acts[] = {
	BENCH_MESSAGE_ALL_ACTS(setup_socketpair),
	BENCH_MESSAGE_ACT(BENCH_MESSAGE_SOCKET_64, setup_socketpair),
	BENCH_MESSAGE_ACT(BENCH_MESSAGE_SOCKET_64K, setup_socketpair),
	{ 0 },
};

const struct bench_peer bench_peer_socketpair = {
	.name = "socketpair",
	.summary = "a plain loop in C over AF_UNIX sockets",
	.acts = socketpair_acts,
};
