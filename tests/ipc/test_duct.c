/* Pipes through shared memory. */
#include "ipc/pipe.h"

#include "tests/ipc/ends.h"
#include "tests/ipc/rings.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "core/points.h"
#include "core/process.h"
#include "ipc/passing.h"

static void fill(unsigned char *bytes, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(chance(&seed) >> 8);
}

static bool is_filled(const unsigned char *bytes, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != (unsigned char)(chance(&seed) >> 8))
			return false;
	return true;
}

static int give_filled(struct carom_connection *connection, size_t size, uint64_t seed,
		       uint64_t deadline_ns)
{
	unsigned char *bytes = malloc(size + 1);
	int r;

	fill(bytes, size, seed);
	r = carom_connection_send_bytes(connection, bytes, size, deadline_ns);
	memset(bytes, 0, size);
	free(bytes);
	return r;
}

static bool take_filled(struct carom_connection *connection, size_t size, uint64_t seed)
{
	void *data = NULL;
	size_t got = 0;
	bool is_right;

	if (carom_connection_recv_bytes(connection, 0, soon(), &data, &got) < 0)
		return false;
	is_right = got == size && is_filled(data, size, seed);
	free(data);
	return is_right;
}

/* ---- lengths ---- */

Test(duct, carries_messages_of_every_length, .timeout = 60)
{
	static const size_t sizes[] = { 0,      1,      7,      8,       9,       63,
					2039,   2040,   2041,   4095,    4096,    10000,
					100000, 131064, 131065, 1000000, 5000001, 20000000 };

	for (uint64_t buffer_size = 64; buffer_size <= CAROM_KIB(256); buffer_size *= 64) {
		MEMORY(first, second, .buffer_size = buffer_size);
		size_t count = buffer_size == 64 ? 14 : sizeof(sizes) / sizeof(*sizes);
		pid_t pid = child();

		if (pid == 0) {
			for (size_t i = 0; i < count; i++)
				if (give_filled(first, sizes[i], i, soon()) != 0)
					_exit(1);
			_exit(0);
		}
		for (size_t i = 0; i < count; i++)
			cr_expect(take_filled(second, sizes[i], i), "%zu bytes", sizes[i]);
		cr_expect(zero(int, ended(pid)));
	}
}

/* CN-13 */
Test(duct, sends_the_rest_of_what_went_in_part, .timeout = 60)
{
	MEMORY(first, second, .is_first_nonblocking = true);
	unsigned char *large = malloc(3000000);
	size_t size = 0;
	int r;

	cr_assert(eq(int, give_filled(first, 3000000, 1, CAROM_NO_DEADLINE), -EINPROGRESS));
	cr_expect(eq(int, carom_connection_flush(first, soon()), -EAGAIN));
	cr_expect(eq(int, give(first, "after", 5), -EAGAIN), "nothing overtakes it");
	while ((r = carom_connection_recv_bytes_into(second, large, 3000000, CAROM_PASSED,
						     &size)) == -EAGAIN)
		carom_connection_flush(first, CAROM_PASSED);
	cr_expect(zero(int, r));
	cr_expect(eq(sz, size, 3000000));
	cr_expect(is_filled(large, 3000000, 1));
	cr_expect(zero(int, give(first, "after", 5)));
	expect_message(second, "after");
	free(large);
}

Test(duct, that_is_full_says_so_by_the_deadline_and_sends_nothing, .timeout = 20)
{
	MEMORY(first, second, .buffer_size = 4096);
	char block[1000] = "";
	uint64_t begin;

	for (int i = 0; i < 4; i++)
		cr_assert(zero(int, give(first, block, sizeof(block))));
	cr_expect(eq(int, carom_connection_send_bytes(first, block, 1000, CAROM_PASSED), -EAGAIN));
	begin = carom_now();
	cr_expect(eq(int,
		     carom_connection_send_bytes(first, block, 1000,
						 carom_deadline_after(CAROM_MILLISECONDS(20))),
		     -ETIMEDOUT));
	cr_expect(ge(u64, carom_now() - begin, CAROM_MILLISECONDS(20)));
	for (int i = 0; i < 4; i++)
		cr_expect(eq(long, take(second, block, sizeof(block)), 1000));
	cr_expect(eq(int, carom_connection_poll(second, CAROM_PASSED), -EAGAIN));
}

Test(duct, passes_over_messages_of_any_length, .timeout = 60)
{
	MEMORY(first, second, .buffer_size = 4096);
	size_t size = 0;
	pid_t pid = child();

	if (pid == 0) {
		give_filled(first, 10, 1, soon());
		give_filled(first, 100000, 2, soon());
		give_filled(first, 0, 3, soon());
		_exit(give(first, "last", 4));
	}
	cr_expect(zero(int, carom_connection_skip(second, soon())));
	cr_expect(eq(int, carom_connection_recv_bytes_into(second, NULL, 0, soon(), &size),
		     -EMSGSIZE));
	cr_expect(eq(sz, size, 100000));
	cr_expect(zero(int, carom_connection_skip(second, soon())));
	cr_expect(zero(int, carom_connection_skip(second, soon())));
	expect_message(second, "last");
	cr_expect(zero(int, ended(pid)));
}

Test(duct, has_no_bytes_without_a_message, .timeout = 20)
{
	MEMORY(first, second, );

	cr_expect(eq(int, (int)carom_connection_write_some(first, "x", 1, soon()), -EOPNOTSUPP));
}

/* ---- in place ---- */

Test(duct, messages_are_written_and_read_where_they_stand, .timeout = 20)
{
	MEMORY(first, second, );
	SOCKETS(other, another, );
	const void *data = NULL;
	size_t size = 0;
	void *room = NULL;

	cr_assert(zero(int, carom_connection_reserve(first, 100, soon(), &room)));
	cr_expect(zero(u64, (uintptr_t)room % 8));
	strcpy(room, "in place");
	cr_expect(eq(int, carom_connection_commit(first, 101), -EINVAL));
	cr_expect(eq(int, carom_connection_poll(second, CAROM_PASSED), -EAGAIN));
	cr_assert(zero(int, carom_connection_commit(first, 9)));
	cr_expect(eq(int, carom_connection_commit(first, 9), -EINVAL), "once");

	cr_expect(eq(int, carom_connection_release(second), -EINVAL));
	for (int i = 0; i < 2; i++) {
		cr_assert(zero(int, carom_connection_receive(second, soon(), &data, &size)));
		cr_expect(eq(sz, size, 9));
		cr_expect(zero(int, strcmp(data, "in place")), "the same until it is released");
	}
	cr_expect(zero(int, carom_connection_release(second)));
	cr_expect(eq(int, carom_connection_release(second), -EINVAL));
	cr_expect(eq(int, carom_connection_receive(second, CAROM_PASSED, &data, &size), -EAGAIN));

	cr_expect(
		eq(int, carom_connection_reserve(first, CAROM_KIB(128), soon(), &room), -EMSGSIZE));
	cr_expect(eq(int, carom_connection_reserve(other, 1, soon(), &room), -EOPNOTSUPP));
	cr_expect(eq(int, carom_connection_receive(another, soon(), &data, &size), -EOPNOTSUPP));
	carom_connection_close(first);
	cr_expect(eq(int, carom_connection_reserve(first, 1, soon(), &room), -EBADF));
	cr_expect(eq(int, carom_connection_commit(first, 1), -EBADF));
}

Test(duct, says_no_length_to_who_does_not_ask, .timeout = 20)
{
	MEMORY(first, second, );
	const void *data = NULL;
	char text[4] = "";

	for (int i = 0; i < 2; i++)
		cr_assert(zero(int, give(first, "one", 4)));
	cr_expect(zero(int, carom_connection_receive(second, soon(), &data, NULL)));
	cr_expect(zero(int, strcmp(data, "one")));
	cr_expect(zero(int, carom_connection_release(second)));
	cr_expect(zero(int, carom_connection_recv_bytes_into(second, text, 4, soon(), NULL)));
	cr_expect(zero(int, strcmp(text, "one")));
}

Test(duct, several_are_told_of_at_once, .timeout = 20)
{
	MEMORY(first, second, .buffer_size = 4096);
	const void *data = NULL;
	size_t size = 0;
	void *room = NULL;

	for (int i = 0; i < 3; i++) {
		cr_assert(zero(int, carom_connection_reserve(first, 8, soon(), &room)));
		memcpy(room, &i, sizeof(i));
		cr_assert(zero(int, carom_connection_commit_more(first, sizeof(i))));
	}
	cr_expect(eq(int, carom_connection_poll(second, CAROM_PASSED), -EAGAIN));
	cr_assert(zero(int, carom_connection_flush(first, soon())));
	for (int i = 0; i < 3; i++) {
		cr_assert(zero(int, carom_connection_receive(second, soon(), &data, &size)));
		cr_expect(zero(int, memcmp(data, &i, sizeof(i))));
		cr_expect(zero(int, carom_connection_release_more(second)));
	}
	cr_expect(eq(int, carom_connection_receive(second, CAROM_PASSED, &data, &size), -EAGAIN));
	/* a full pipe makes them visible, too */
	while (carom_connection_reserve(first, 100, CAROM_PASSED, &room) == 0)
		cr_assert(zero(int, carom_connection_commit_more(first, 100)));
	cr_expect(eq(long, take(second, (char[100]){ 0 }, 100), 100));
}

Test(duct, a_long_message_is_put_together_before_it_is_read_in_place, .timeout = 20)
{
	MEMORY(first, second, );
	const void *data = NULL;
	size_t size = 0;
	pid_t pid = child();

	if (pid == 0)
		_exit(give_filled(first, 1000000, 5, soon()) || give(first, "next", 4));
	for (int i = 0; i < 2; i++) {
		cr_assert(zero(int, carom_connection_receive(second, soon(), &data, &size)));
		cr_expect(eq(sz, size, 1000000));
		cr_expect(is_filled(data, size, 5));
	}
	cr_expect(zero(int, carom_connection_release(second)));
	expect_message(second, "next");
	cr_expect(zero(int, ended(pid)));
}

/* ---- processes ---- */

/* What a child does with the descriptor: the manual's example. */
static int serve(int fd)
{
	CONNECTION connection = NULL;
	char text[16] = "";
	int r = carom_connection_new_take(fd, NULL, &connection);

	if (r < 0 || !carom_connection_is_shared_memory(connection))
		return 1;
	if (take(connection, text, sizeof(text)) != 5)
		return 2;
	return give(connection, text, 5) != 0 ? 3 : 0;
}

Test(duct, any_process_attaches_by_the_descriptor_at_any_time, .timeout = 20)
{
	MEMORY(first, second, );
	MEMORY(carrier, other, );

	for (int i = 0; i < 3; i++) {
		pid_t pid = child();

		if (pid == 0) {
			int fd = -1;

			carom_connection_close(first);
			carom_connection_close(second); /* nothing is left of what it inherited */
			if (carom_connection_recv_fd(other, soon(), &fd) < 0)
				_exit(9);
			_exit(serve(fd));
		}
		cr_assert(zero(int, carom_connection_send_fd(carrier, carom_connection_fd(second),
							     soon())));
		cr_assert(zero(int, give(first, "hello", 5)));
		expect_message(first, "hello");
		cr_expect(zero(int, ended(pid)));
	}
	/* and so does this one, once more */
	{
		CONNECTION again = NULL;

		cr_assert(zero(int, carom_connection_new_take(dup(carom_connection_fd(second)),
							      NULL, &again)));
		cr_assert(zero(int, give(again, "again", 5)));
		expect_message(first, "again");
	}
}

Test(duct, brings_nothing_with_it_for_who_wants_plain_bytes, .timeout = 20)
{
	MEMORY(first, second, );
	CONNECTION plain = NULL;

	cr_assert(zero(int, carom_connection_new_take(dup(carom_connection_fd(first)),
						      &CAROM_CONNECTION_OPTIONS(.is_plain = true),
						      &plain)));
	cr_expect(not(carom_connection_is_shared_memory(plain)));
}

/* Whose process has one more, once, as soon as it sends. */
Test(duct, has_one_descriptor_at_each_end, .timeout = 20)
{
	MEMORY(other, end, );
	int before;

	cr_assert(zero(int, give(other, "x", 1)));
	before = open_fd_count();
	MEMORY(first, second, );

	cr_expect(eq(int, open_fd_count(), before + 2));
	cr_assert(zero(int, give(first, "x", 1)));
	expect_message(second, "x");
	cr_expect(eq(int, open_fd_count(), before + 2));
	carom_connection_close(first);
	carom_connection_close(second);
	cr_expect(eq(int, open_fd_count(), before));
}

Test(duct, is_a_pair_of_sockets_where_it_cannot_be_made, .timeout = 20)
{
	CONNECTION first = NULL;
	CONNECTION second = NULL;
	struct rlimit before, limit;
	int next = dup(0);

	cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &before)));
	limit = before;
	limit.rlim_cur = (rlim_t)next + 2;
	close(next);
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
	cr_expect(zero(int, carom_pipe_new(NULL, &first, &second)));
	cr_expect(not(carom_connection_is_shared_memory(first)));
	setrlimit(RLIMIT_NOFILE, &before);
	cr_assert(zero(int, give(first, "x", 1)));
	expect_message(second, "x");
}

/* ---- the end ---- */

Test(duct, who_sends_for_the_first_time_asks_whether_there_is_a_peer, .timeout = 20)
{
	MEMORY(first, second, );

	carom_connection_close(second);
	cr_expect(eq(int, give(first, "x", 1), -EPIPE));
}

/* There is room for millions of messages, and nobody to receive them. */
Test(duct, who_sends_hears_of_the_end_while_there_is_room, .timeout = 20)
{
	MEMORY(first, second, .buffer_size = CAROM_MIB(64));
	uint32_t count = 0;
	pid_t peer = child();
	int r;

	if (peer == 0) {
		carom_connection_close(first);
		for (;;)
			pause();
	}
	carom_connection_close(second);
	cr_assert(zero(int, give(first, "x", 1)));
	cr_expect(eq(int, killed(peer), -SIGKILL));
	while ((r = carom_connection_send_bytes(first, "x", 1, CAROM_PASSED)) == 0) {
		count++;
		sched_yield();
	}
	cr_expect(eq(int, r, -EPIPE));
	cr_expect(lt(u32, count, 2000000), "not when it was full");
}

/* Asleep, not looking: the peer's end has to wake it. */
Test(duct, end_of_the_last_peer_wakes_who_receives_and_who_sends, .timeout = 20)
{
	for (int is_sender = 0; is_sender < 2; is_sender++) {
		MEMORY(first, second, .buffer_size = 4096, .spin_ns = CAROM_SPIN_NEVER);
		pid_t pids[2], sleeper = child();

		if (sleeper == 0) {
			char block[1000] = "";
			int r = 0;

			carom_connection_close(second);
			if (!is_sender)
				_exit(take(first, block, 1) != -EPIPE);
			while (r == 0)
				r = carom_connection_send_bytes(first, block, 1000,
								CAROM_NO_DEADLINE);
			_exit(r != -EPIPE);
		}
		for (int i = 0; i < 2; i++) {
			pids[i] = child();
			if (pids[i] == 0) {
				carom_connection_close(first);
				pause();
			}
		}
		carom_connection_close(first);
		carom_connection_close(second);
		await_asleep(sleeper);
		killed(pids[0]);
		cr_expect(zero(int, waitpid(sleeper, NULL, WNOHANG)), "one is left");
		killed(pids[1]);
		cr_expect(zero(int, ended(sleeper)));
	}
}

/* CN-16 */
Test(duct, writer_killed_within_a_message_leaves_no_half_one, .timeout = 60)
{
	for (int generation = 0; generation < 10; generation++) {
		MEMORY(first, second, );
		void *data = NULL;
		size_t size;
		pid_t pid = child();

		if (pid == 0) {
			carom_connection_close(second);
			give(first, "whole", 5);
			give_filled(first, 10000000, 1, CAROM_NO_DEADLINE);
		}
		carom_connection_close(first);
		expect_message(second, "whole");
		cr_assert(zero(int, carom_connection_poll(second, soon())));
		killed(pid); /* it cannot be through: nobody has received more than it has room for */
		cr_expect(eq(int, carom_connection_recv_bytes(second, 0, soon(), &data, &size),
			     -ECONNRESET));
		cr_expect(eq(int, carom_connection_recv_bytes(second, 0, soon(), &data, &size),
			     -ECONNRESET),
			  "for good");
	}
}

/* The message that it tore is nobody's; the others' are whole. */
Test(duct, others_go_on_after_a_writer_was_killed_within_a_message, .timeout = 60)
{
	for (int how = 0; how < 3; how++) {
		MEMORY(first, second, .buffer_size = 4096);
		void *data = NULL;
		size_t size;
		int r;
		pid_t pid = child();

		if (pid == 0) {
			if (how == 0)
				give_filled(first, 100000, 1, CAROM_NO_DEADLINE);
			give_filled(first, 100000, 1, CAROM_PASSED); /* and is in no call */
			pause();
		}
		await_asleep(pid);
		if (how == 1) /* the receiver is within the message as well */
			cr_expect(eq(int,
				     carom_connection_recv_bytes(
					     second, 0, carom_deadline_after(1000), &data, &size),
				     -ETIMEDOUT));
		if (how == 2)
			cr_expect(eq(int, carom_connection_send_bytes(first, "x", 1, CAROM_PASSED),
				     -EBUSY));
		killed(pid);
		pid = child();
		if (pid == 0)
			_exit(give(first, "whole", 5) || give_filled(first, 10000, 2, soon()));
		do /* who is within the message may be told that it is torn before the next one comes */
			r = carom_connection_recv_bytes(second, 0, soon(), &data, &size);
		while (r == -ECONNABORTED);
		cr_assert(zero(int, r));
		cr_expect(zero(int, strcmp(data, "whole")));
		free(data);
		cr_expect(take_filled(second, 10000, 2));
		cr_expect(zero(int, ended(pid)));
	}
}

/* A part of the message went with it; the rest is nobody's. */
Test(duct, others_go_on_after_a_receiver_was_killed_within_a_message, .timeout = 60)
{
	MEMORY(first, second, .buffer_size = 4096);
	void *data = NULL;
	char room[8];
	size_t size;
	pid_t pid;

	cr_assert(eq(int, give_filled(first, 20000, 1, CAROM_PASSED), -EINPROGRESS));
	pid = child();
	if (pid == 0)
		_exit(carom_connection_recv_bytes(second, 0, CAROM_NO_DEADLINE, &data, &size));
	await_asleep(pid);
	killed(pid);
	pid = child();
	if (pid == 0)
		_exit(take(second, room, sizeof(room)) != 5);
	cr_assert(zero(int, carom_connection_flush(first, soon())));
	cr_assert(zero(int, give(first, "whole", 5)));
	cr_expect(zero(int, ended(pid)));
}

#define SENDERS  4
#define MESSAGES 5000

static void send_numbered(struct carom_connection *connection, uint32_t sender)
{
	uint32_t words[1024];

	for (uint32_t i = 0; i < MESSAGES; i++) {
		size_t count = i % 100 == 0 ? 1024 : 2 + i % 14; /* some in parts */

		for (size_t k = 0; k < count; k++)
			words[k] = k == 0 ? sender : i;
		if (carom_connection_send_bytes(connection, words, count * 4, soon()) < 0)
			_exit(1);
	}
	_exit(0);
}

/* CN-15 */
Test(duct, processes_that_send_at_one_end_tear_nothing, .timeout = 120)
{
	MEMORY(first, second, .buffer_size = 4096);
	uint32_t next[SENDERS] = { 0 }, words[1024];
	pid_t pids[SENDERS];

	for (uint32_t i = 0; i < SENDERS; i++) {
		pids[i] = child();
		if (pids[i] == 0)
			send_numbered(first, i);
	}
	for (uint32_t n = 0; n < SENDERS * MESSAGES; n++) {
		long size = take(second, words, sizeof(words));
		uint32_t i;

		cr_assert(size >= 8);
		cr_assert(lt(u32, words[0], SENDERS));
		i = next[words[0]]++;
		cr_assert(eq(long, size, 4 * (i % 100 == 0 ? 1024 : 2 + i % 14)));
		for (long k = 1; k < size / 4; k++)
			cr_assert(words[k] == i);
	}
	for (int i = 0; i < SENDERS; i++)
		cr_expect(zero(int, ended(pids[i])));
}

Test(duct, processes_that_receive_at_one_end_get_each_message_once, .timeout = 120)
{
	MEMORY(first, second, .buffer_size = 4096);
	_Atomic uint32_t *counts = share(MESSAGES * sizeof(*counts));
	pid_t pids[SENDERS];

	for (int i = 0; i < SENDERS; i++) {
		pids[i] = child();
		if (pids[i] != 0)
			continue;
		carom_connection_close(first);
		for (;;) {
			uint32_t number;
			long size = take(second, &number, sizeof(number));

			if (size == -EPIPE)
				_exit(0);
			if (size != 4 || number >= MESSAGES)
				_exit(1);
			atomic_fetch_add(&counts[number], 1);
		}
	}
	for (uint32_t i = 0; i < MESSAGES; i++)
		cr_assert(zero(int, give(first, &i, sizeof(i))));
	carom_connection_close(first);
	for (int i = 0; i < SENDERS; i++)
		cr_expect(zero(int, ended(pids[i])));
	for (uint32_t i = 0; i < MESSAGES; i++)
		cr_expect(eq(u32, counts[i], 1));
}

/* ---- waiting beside other things ---- */

static bool is_pollable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

Test(duct, has_a_descriptor_that_tells_of_messages, .timeout = 20)
{
	MEMORY(first, second, );
	int fd = carom_connection_poll_fd(second);
	size_t size;

	cr_assert(ge(int, fd, 0));
	cr_expect(eq(int, carom_connection_recv_bytes_into(second, NULL, 0, CAROM_PASSED, &size),
		     -EAGAIN));
	for (int i = 0; i < 3; i++) {
		cr_expect(not(is_pollable(fd)));
		cr_assert(zero(int, give(first, "one", 3)));
		cr_assert(zero(int, give(first, "two", 3)));
		cr_expect(is_pollable(fd));
		expect_message(second, "one");
		cr_expect(is_pollable(fd), "there is another one");
		expect_message(second, "two");
		cr_expect(eq(int,
			     carom_connection_recv_bytes_into(second, NULL, 0, CAROM_PASSED, &size),
			     -EAGAIN));
	}
	carom_connection_close(first);
	cr_expect(is_pollable(fd), "the end");
	cr_expect(eq(long, take(second, NULL, 0), -EPIPE));
}

/*
 * The sender dies as soon as it has told of a message, and the test, which has that end too, sends
 * nothing: who polls is woken all the same.
 */
Test(duct, descriptor_tells_of_what_the_dead_have_sent, .timeout = 60)
{
	static const char *const points[] = { "ring.published", "ring.waking", "duct.told",
					      "duct.rung" };

	for (size_t i = 0; i < 4; i++) {
		MEMORY(first, second, );
		int fd = carom_connection_poll_fd(second);
		size_t size;
		pid_t sender;

		cr_expect(eq(int,
			     carom_connection_recv_bytes_into(second, NULL, 0, CAROM_PASSED, &size),
			     -EAGAIN));
		cr_expect(not(is_pollable(fd)));
		if (carom_point_arm_once(points[i], 1, SIGKILL) < 0)
			cr_skip_test("skipped: built without points");
		sender = child();
		if (sender == 0)
			_exit(give(first, "x", 1));
		if (ended(sender) == -SIGKILL && strcmp(points[i], "duct.rung") != 0) {
			cr_expect(is_pollable(fd), "%s", points[i]);
			expect_message(second, "x");
		}
		carom_point_disarm_all();
		/* whatever it was, nothing is left of it */
		cr_expect(zero(int, give(first, "y", 1)));
		cr_expect(is_pollable(fd), "%s", points[i]);
		while (carom_connection_recv_bytes_into(second, (char[1]){ 0 }, 1, CAROM_PASSED,
							&size) == 0)
			;
		cr_expect(not(is_pollable(fd)), "%s", points[i]);
	}
}

static void *send_now_and_then(void *data)
{
	struct carom_connection *connection = data;
	uint64_t state = 1;

	for (uint32_t i = 0; i < 20000; i++) {
		for (uint32_t pause = chance(&state) % 2000; pause > 0; pause--)
			atomic_signal_fence(memory_order_seq_cst);
		if (give(connection, &i, sizeof(i)) < 0)
			return data;
	}
	return NULL;
}

/* An epoll set that tells of each time that there is something new. */
static int edges_of(struct carom_connection *connection)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int set = epoll_create1(EPOLL_CLOEXEC);

	cr_assert(ge(int, set, 0));
	cr_assert(zero(
		int, epoll_ctl(set, EPOLL_CTL_ADD, carom_connection_poll_fd(connection), &event)));
	return set;
}

static int edge(int set, int timeout_ms)
{
	struct epoll_event event;

	return epoll_wait(set, &event, 1, timeout_ms);
}

/* Each sleep in poll(2), or epoll_wait(2), ends, or the test does not. */
static void receive_all(bool by_edges)
{
	MEMORY(first, second, );
	struct pollfd poll_fd = { .fd = carom_connection_poll_fd(second), .events = POLLIN };
	int set = by_edges ? edges_of(second) : -1;
	uint32_t next = 0, number;
	pthread_t thread;
	void *failed;
	size_t size;

	pthread_create(&thread, NULL, send_now_and_then, first);
	while (next < 20000) {
		int r = carom_connection_recv_bytes_into(second, &number, sizeof(number),
							 CAROM_PASSED, &size);

		cr_assert(r == 0 || r == -EAGAIN);
		if (r == 0)
			cr_assert(eq(u32, number, next++));
		else
			cr_assert(
				eq(int, set < 0 ? poll(&poll_fd, 1, 20000) : edge(set, 20000), 1));
	}
	pthread_join(thread, &failed);
	cr_expect(eq(ptr, failed, NULL));
	carom_closep(&set);
}

Test(duct, no_message_is_missed_by_who_polls, .timeout = 120)
{
	receive_all(false);
}

Test(duct, no_message_is_missed_by_who_goes_by_edges, .timeout = 120)
{
	receive_all(true);
}

static bool has_nothing(struct carom_connection *connection)
{
	size_t size;

	return carom_connection_recv_bytes_into(connection, NULL, 0, CAROM_PASSED, &size) ==
	       -EAGAIN;
}

/* Sends a message, and stands still at @point. */
static pid_t stop_sending(struct carom_connection *connection, const char *point)
{
	pid_t sender;

	if (carom_point_arm_once(point, 1, SIGSTOP) < 0)
		cr_skip_test("skipped: built without points");
	sender = child();
	if (sender == 0)
		_exit(give(connection, "x", 1));
	cr_assert(eq(int, waitpid(sender, NULL, WUNTRACED), sender));
	carom_point_disarm_all();
	return sender;
}

/* Who stands still at @point has not told yet: who goes by edges finds nothing, and is told anew. */
static void tell_late(const char *point, bool has_rung)
{
	MEMORY(first, second, );
	int set = edges_of(second);
	pid_t sender;

	cr_assert(eq(int, edge(set, -1), 1)); /* it is readable from the beginning */
	if (has_rung) {
		cr_assert(zero(int, give(first, "w", 1)));
		expect_message(second, "w"); /* and nobody has settled */
	} else {
		cr_assert(has_nothing(second));
	}
	sender = stop_sending(first, point);
	while (edge(set, 0) == 1)
		cr_assert(has_nothing(second));
	cr_assert(has_nothing(second));
	kill(sender, SIGCONT);
	cr_expect(eq(int, edge(set, 20000), 1), "%s", point);
	expect_message(second, "x");
	cr_expect(zero(int, ended(sender)));
	cr_expect(has_nothing(second));
	cr_expect(not(is_pollable(carom_connection_poll_fd(second))));
	close(set);
}

Test(duct, who_goes_by_edges_is_told_by_who_stood_still_while_telling, .timeout = 60)
{
	tell_late("duct.telling", true);
	tell_late("duct.telling", false);
	tell_late("duct.rung", false);
}

/* Bytes that are rung with do not gather: the socket would be full one day, and tell no edge. */
Test(duct, who_goes_by_edges_and_is_always_early_is_told_for_ever, .timeout = 60)
{
	MEMORY(first, second, );
	int set = edges_of(second);

	for (int i = 0; i < 500; i++) {
		pid_t sender = stop_sending(first, "duct.told");

		cr_assert(eq(int, edge(set, 20000), 1), "%d", i);
		expect_message(second, "x");
		cr_assert(has_nothing(second));
		kill(sender, SIGCONT);
		cr_assert(zero(int, ended(sender)));
	}
	close(set);
}

/* ---- a peer that means no good ---- */

/* It has the memory of the rings, and writes what it likes. */
static void scribble(struct carom_connection *connection, unsigned char *rings, size_t size)
{
	uint64_t seed = new_seed();

	for (int i = 0; i < 20000; i++) {
		uint32_t at = chance(&seed) % 3 ? chance(&seed) % 768 : chance(&seed);
		uint64_t value = chance(&seed) % 4 ? chance(&seed) % 512 : chance(&seed);

		at += chance(&seed) % 2 ? (uint32_t)size / 2 : 0;
		memcpy(rings + (at % (size - 8)) / 8 * 8, &value, 8);
		if (i % 4 == 0)
			carom_connection_send_bytes(connection, "honest", 6, CAROM_PASSED);
	}
}

/* what stands in the first ring, from its beginning on, is of @kinds now, by turns */
static void rewrite(int count, const uint32_t kinds[2])
{
	size_t size;
	unsigned char *rings = find_rings(&size);
	int i = 0;

	for (size_t at = CAROM_RING_DATA_OFFSET; at < size / 2 && i < count; at += 8) {
		uint32_t kind;

		memcpy(&kind, rings + at + 4, 4);
		if (kind == CAROM_RING_RECORD)
			memcpy(rings + at + 4, &kinds[i++ % 2], 4);
	}
	cr_assert(eq(int, i, count));
}

static int receive(struct carom_connection *connection, uint64_t deadline_ns, size_t *ret_size)
{
	char room[200];

	return carom_connection_recv_bytes_into(connection, room, sizeof(room), deadline_ns,
						ret_size);
}

Test(duct, passes_over_what_is_torn_no_longer_than_told, .timeout = 20)
{
	static const uint32_t torn[] = { CAROM_RING_TORN, CAROM_RING_TORN };
	MEMORY(first, second, .buffer_size = 4096);
	size_t size;

	for (int i = 0; i < 200; i++)
		cr_assert(zero(int, carom_connection_send_bytes(first, "", 0, CAROM_PASSED)));
	rewrite(200, torn);
	cr_assert(zero(int, carom_connection_send_bytes(first, "x", 1, CAROM_PASSED)));
	cr_expect(eq(int, receive(second, carom_now() - 1, &size), -ETIMEDOUT));
	cr_expect(zero(int, receive(second, soon(), &size)));
	cr_expect(eq(sz, size, 1));
}

/* Who is told of edges receives until there is nothing, which is not so before there is nothing. */
Test(duct, leaves_nothing_behind_what_is_torn_to_who_is_told_of_edges, .timeout = 20)
{
	static const uint32_t torn[] = { CAROM_RING_TORN, CAROM_RING_TORN };
	MEMORY(first, second, .buffer_size = 1 << 20);
	int set = edges_of(second);
	size_t size = 0;
	int r;

	for (int i = 0; i < 20000; i++)
		cr_assert(zero(int, carom_connection_send_bytes(first, "", 0, CAROM_PASSED)));
	rewrite(20000, torn);
	cr_assert(zero(int, carom_connection_send_bytes(first, "x", 1, CAROM_PASSED)));
	cr_assert(eq(int, edge(set, -1), 1));
	cr_expect(zero(int, carom_connection_poll(second, CAROM_PASSED))); /* there is more */
	do
		r = receive(second, CAROM_PASSED, &size);
	while (r == -ECONNABORTED);
	cr_expect(zero(int, r));
	cr_expect(eq(sz, size, 1));
	close(set);
}

Test(duct, takes_messages_that_tear_no_longer_than_told, .timeout = 20)
{
	static const uint32_t begun[] = { CAROM_RING_FIRST, CAROM_RING_TORN };
	const uint64_t beginning[] = { 100, 0 }; /* of 100 bytes, of which 8 come */
	MEMORY(first, second, .buffer_size = 8192);
	size_t size;

	for (int i = 0; i < 200; i++) {
		cr_assert(
			zero(int, carom_connection_send_bytes(first, beginning, 16, CAROM_PASSED)));
		cr_assert(zero(int, carom_connection_send_bytes(first, "", 0, CAROM_PASSED)));
	}
	rewrite(400, begun);
	cr_assert(zero(int, carom_connection_send_bytes(first, "x", 1, CAROM_PASSED)));
	cr_expect(eq(int, receive(second, CAROM_PASSED, &size), -ECONNABORTED));
	cr_expect(eq(int, receive(second, carom_now() - 1, &size), -ECONNABORTED));
	cr_expect(zero(int, receive(second, soon(), &size)));
	cr_expect(eq(sz, size, 1));
}

Test(duct, bears_a_peer_that_scribbles, .timeout = 60)
{
	for (int round = 0; round < 20; round++) {
		MEMORY(first, second, .buffer_size = 4096);
		char room[4096];
		size_t size;
		pid_t pid = child();
		int r = 0;

		if (pid == 0) {
			unsigned char *rings = find_rings(&size);

			carom_connection_close(first);
			scribble(second, rings, size);
			_exit(0);
		}
		carom_connection_close(second);
		while (r != -EPIPE && r != -EBADMSG && r != -ECONNRESET) {
			r = carom_connection_recv_bytes_into(
				first, room, sizeof(room),
				carom_deadline_after(CAROM_MILLISECONDS(1)), &size);
			cr_assert(r == 0 || r == -EPIPE || r == -EBADMSG || r == -ETIMEDOUT ||
					  r == -EMSGSIZE || r == -ECONNRESET,
				  "%d", r);
			if (r == -EMSGSIZE)
				r = carom_connection_skip(first, CAROM_PASSED);
			carom_connection_send_bytes(first, room, 100, CAROM_PASSED);
			if (waitpid(pid, NULL, WNOHANG) == pid) {
				pid = 0;
				break;
			}
		}
		if (pid)
			killed(pid);
	}
}
