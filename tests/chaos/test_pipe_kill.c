/*
 * Processes that share the ends of a pipe through shared memory are killed at each named
 * point. The others go on: each message that a sender's call was through with arrives, once,
 * whole, and in its order, but for those that a killed receiver had; and nobody hangs.
 */
#include "tests/ipc/ends.h"

#include <stdatomic.h>

#include "core/points.h"

#define MESSAGES 400
#define LONG     300 /* words: more than half of the smallest ring */

/* after so many of them nobody is killed any more */
#ifdef __SANITIZE_ADDRESS__
#define DEATHS 5
#else
#define DEATHS 30
#endif

/**
 * struct stage - what a run is about; shared
 * @sent:     messages whose call was through
 * @begun:    messages whose call had begun
 * @received: how often each was received
 * @high:     the latest that was received
 */
struct stage {
	_Atomic uint32_t begun;
	_Atomic uint32_t sent;
	_Atomic uint32_t high;
	_Atomic uint32_t problems;
	_Atomic uint32_t received[MESSAGES];
};

static size_t length_of(uint32_t number)
{
	return number % 5 == 0 ? LONG : 1 + number % 7;
}

/* Goes on where the one before, who was killed, has stopped. */
static void send_all(struct stage *stage, struct carom_connection *connection)
{
	uint32_t words[LONG];

	for (uint32_t i; (i = atomic_fetch_add(&stage->begun, 1)) < MESSAGES;) {
		for (size_t k = 0; k < length_of(i); k++)
			words[k] = i;
		if (give(connection, words, length_of(i) * 4) < 0)
			_exit(1);
		atomic_fetch_add(&stage->sent, 1);
	}
	_exit(0);
}

static bool is_whole(const uint32_t *words, size_t size)
{
	if (size < 4 || words[0] >= MESSAGES || size != length_of(words[0]) * 4)
		return false;
	for (size_t k = 1; k < size / 4; k++)
		if (words[k] != words[0])
			return false;
	return true;
}

/* By poll(2), if that is how. */
static long receive(struct carom_connection *connection, uint32_t *words, bool polls)
{
	struct pollfd poll_fd = { .events = POLLIN };
	size_t size = 0;
	int r;

	if (!polls)
		return take(connection, words, LONG * 4);
	poll_fd.fd = carom_connection_poll_fd(connection);
	while ((r = carom_connection_recv_bytes_into(connection, words, LONG * 4, CAROM_PASSED,
						     &size)) == -EAGAIN)
		if (poll(&poll_fd, 1, 20000) != 1)
			return -ETIMEDOUT;
	return r < 0 ? r : (long)size;
}

/* The next message, or the end. */
static long next(struct carom_connection *connection, uint32_t *words, bool polls)
{
	long size;

	do
		size = receive(connection, words, polls);
	while (size == -ECONNABORTED);
	return size;
}

static void receive_all(struct stage *stage, struct carom_connection *connection, bool polls)
{
	uint32_t words[LONG];
	long size;

	while ((size = next(connection, words, polls)) >= 0) {
		if (!is_whole(words, (size_t)size) || words[0] < atomic_load(&stage->high)) {
			atomic_fetch_add(&stage->problems, 1);
			_exit(2);
		}
		atomic_store(&stage->high, words[0]);
		atomic_fetch_add(&stage->received[words[0]], 1);
	}
	_exit(size == -EPIPE || size == -ECONNRESET ? 0 : 3);
}

struct play {
	struct stage *stage;
	bool polls;
	struct carom_connection *first;
	struct carom_connection *second;
	uint32_t deaths;
	uint32_t hits;
};

static pid_t start(struct play *play, bool is_sender)
{
	pid_t pid = child();

	if (pid != 0)
		return pid;
	carom_connection_close(is_sender ? play->second : play->first);
	if (is_sender)
		send_all(play->stage, play->first);
	receive_all(play->stage, play->second, play->polls);
	return 0;
}

/* Until one of each has come to the end. The test keeps both ends while anybody may die. */
static void go_on(struct play *play, const char *name)
{
	pid_t pids[2] = { start(play, false), start(play, true) };
	bool is_over[2] = { false, false };

	while (!is_over[0]) {
		int status = 0;
		pid_t pid = wait(&status);
		int which = pid == pids[1];

		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
			if (++play->deaths == DEATHS) {
				play->hits = carom_point_hits(name);
				carom_point_disarm_all();
			}
			pids[which] = start(play, which);
			continue;
		}
		cr_assert(zero(int, status), "%s: the %s", name, which ? "sender" : "receiver");
		is_over[which] = true;
		if (which) { /* that is the end for the receiver, and for its successors */
			carom_connection_close(play->first);
		}
	}
	if (!is_over[1])
		killed(pids[1]);
}

/* What happens after a death has to be brought about. */
static void arm(const char *name, uint32_t every_nth)
{
	cr_assert(zero(int, carom_point_arm(name, every_nth)));
	if (strcmp(name, "duct.succeeded") == 0 || strcmp(name, "duct.torn") == 0) {
		cr_assert(zero(int, carom_point_arm("duct.part_told", 5)));
		cr_assert(zero(int, carom_point_arm(name, 2)));
	}
}

/* Return: how many were killed there, or at what leads there. */
static uint32_t kill_at(const char *name, uint32_t every_nth, bool polls)
{
	CONNECTION first = NULL;
	CONNECTION second = NULL;
	struct play play = { .stage = share(sizeof(struct stage)), .polls = polls };
	uint32_t lost = 0, hits;

	cr_assert(zero(int,
		       new_pipe(&CAROM_PIPE_OPTIONS(.buffer_size = 2048), false, &first, &second)));
	play.first = first;
	play.second = second;
	arm(name, every_nth);
	go_on(&play, name);
	hits = play.hits ? play.hits : carom_point_hits(name);
	carom_point_disarm_all();
	cr_expect(zero(u32, play.stage->problems), "%s", name);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		cr_expect(le(u32, play.stage->received[i], 1 + play.deaths), "%s", name);
		lost += play.stage->received[i] == 0;
	}
	/* each death may have cost the message at hand */
	cr_expect(le(u32, lost, play.deaths), "%s: %u deaths, %u lost", name, play.deaths, lost);
	munmap(play.stage, sizeof(struct stage));
	return hits;
}

static bool is_ours(const char *name)
{
	return strncmp(name, "ring.", 5) == 0 || strncmp(name, "duct.", 5) == 0;
}

static bool is_rare(const char *name)
{
	return strcmp(name, "ring.closed") == 0 || strcmp(name, "ring.waking") == 0 ||
	       strcmp(name, "ring.woken") == 0 || strcmp(name, "ring.asleep") == 0 ||
	       strcmp(name, "ring.marked") == 0 || strcmp(name, "ring.sleeping") == 0 ||
	       strcmp(name, "duct.waiting") == 0 || strcmp(name, "duct.ringing") == 0 ||
	       strcmp(name, "duct.rung") == 0 || strcmp(name, "duct.rung.again") == 0;
}

/* It may stand in several places. */
static bool was_before(const char *name, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(carom_point_name(i), name) == 0)
			return true;
	return false;
}

Test(pipe_kill, at_each_point, .timeout = 280)
{
	uint32_t nth, hits;
	const char *name;
	int count = 0;

	if (carom_point_arm("duct.part", 1000000) == -EOPNOTSUPP)
		cr_skip_test("skipped: built without points");
	carom_point_disarm_all();
	for (size_t i = 0; (name = carom_point_name(i)); i++) {
		if (!is_ours(name) || was_before(name, i))
			continue;
		/* who only polls does not sleep in a ring, and who does not rings no bell */
		nth = is_rare(name) ? 1 : 3;
		hits = kill_at(name, nth, false) + kill_at(name, nth, true);
		/* that takes one who looks while another one tells, which is a matter of luck */
		for (int k = 0; hits == 0 && k < 50 && strcmp(name, "duct.rung.again") == 0; k++)
			hits = kill_at(name, nth, true);
		cr_expect(lt(u32, 0, hits), "%s", name);
		count++;
	}
	cr_expect(lt(int, 10, count));
}
