/* Messages through a stream. */
#include "ipc/connection.h"

#include "tests/ipc/ends.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

#include "ipc/passing.h"

/* The header's own example. */
Test(connection, gives_messages_as_they_were_sent, .timeout = 20)
{
	PIPE(first, second, );
	void *data;
	size_t size;

	cr_assert(zero(int, carom_connection_send_bytes(first, "hello", 5, CAROM_NO_DEADLINE)));
	cr_assert(zero(int, carom_connection_send_bytes(first, NULL, 0, CAROM_NO_DEADLINE)));
	cr_assert(zero(int, carom_connection_send_bytes(first, "x\0y", 3, CAROM_NO_DEADLINE)));
	cr_assert(zero(int, carom_connection_recv_bytes(second, 0, soon(), &data, &size)));
	cr_expect(zero(int, strcmp(data, "hello")));
	cr_expect(eq(sz, size, 5));
	free(data);
	cr_assert(zero(int, carom_connection_recv_bytes(second, 0, soon(), &data, &size)));
	cr_expect(zero(int, strcmp(data, "")));
	cr_expect(zero(sz, size));
	free(data);
	cr_assert(zero(int, carom_connection_recv_bytes(second, 0, soon(), &data, &size)));
	cr_expect(eq(sz, size, 3));
	cr_expect(zero(int, memcmp(data, "x\0y", 4)));
	free(data);
}

/* ---- making and closing ---- */

/* CN-03 */
Test(connection, is_made_of_a_stream_that_goes_somewhere)
{
	struct carom_connection *connection = NULL;
	int fds[2], directory = open("/", O_RDONLY | O_CLOEXEC);
	int datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct {
		int fd;
		struct carom_connection_options options;
		int error;
	} wrong[] = {
		{ -1, CAROM_CONNECTION_OPTIONS(), -EINVAL },
		{ 999, CAROM_CONNECTION_OPTIONS(), -EBADF },
		{ directory, CAROM_CONNECTION_OPTIONS(), -EINVAL },
		{ datagram, CAROM_CONNECTION_OPTIONS(), -EINVAL },
		{ 0, CAROM_CONNECTION_OPTIONS(.is_read_only = true, .is_write_only = true),
		  -EINVAL },
		{ 0, CAROM_CONNECTION_OPTIONS(.framing = 3), -EINVAL },
		{ 0, CAROM_CONNECTION_OPTIONS(.reserved = 1), -EINVAL },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		cr_expect(eq(int,
			     carom_connection_new_take(wrong[i].fd, &wrong[i].options, &connection),
			     wrong[i].error),
			  "line %zu", i);
	cr_assert(zero(int, pipe2(fds, O_CLOEXEC)));
	cr_expect(eq(int,
		     carom_connection_new_take(
			     fds[0], &CAROM_CONNECTION_OPTIONS(.is_write_only = true), &connection),
		     -EINVAL));
	cr_expect(eq(ptr, connection, NULL));
	cr_expect(zero(int, close(fds[0])), "it stayed the caller's");
	close(fds[1]);
	close(directory);
	close(datagram);
}

/* CN-04 */
Test(connection, says_what_it_is, .timeout = 20)
{
	PIPE(reader, writer, .is_simplex = true);
	PIPE(first, second, );

	cr_expect(carom_connection_is_readable(reader));
	cr_expect(not(carom_connection_is_writable(reader)));
	cr_expect(not(carom_connection_is_readable(writer)));
	cr_expect(carom_connection_is_writable(writer));
	cr_expect(carom_connection_is_readable(first));
	cr_expect(carom_connection_is_writable(second));
	cr_expect(not(carom_connection_is_closed(first)));
	cr_expect(ge(int, carom_connection_fd(first), 0));
	carom_connection_close(first);
	cr_expect(carom_connection_is_closed(first));
	cr_expect(eq(int, carom_connection_fd(first), -EBADF));
}

/* CN-05 */
Test(connection, that_is_closed_says_so_and_is_closed_again, .timeout = 20)
{
	PIPE(first, second, );
	size_t size;
	void *data;
	int fd = carom_connection_fd(first);

	carom_connection_close(first);
	carom_connection_close(first);
	cr_expect(eq(int, fcntl(fd, F_GETFD), -1));
	cr_expect(eq(int, give(first, "x", 1), -EBADF));
	cr_expect(eq(int, carom_connection_flush(first, soon()), -EBADF));
	cr_expect(eq(int, (int)carom_connection_write_some(first, "x", 1, soon()), -EBADF));
	cr_expect(eq(int, carom_connection_recv_bytes(first, 0, soon(), &data, &size), -EBADF));
	cr_expect(eq(long, take(first, NULL, 0), -EBADF));
	cr_expect(eq(int, carom_connection_skip(first, soon()), -EBADF));
	cr_expect(eq(int, carom_connection_poll(first, soon()), -EBADF));
	cr_expect(eq(int, carom_connection_set_blocking(first, true), -EBADF));
	cr_expect(eq(ptr, carom_connection_free(NULL), NULL));
}

/* CN-06 */
Test(connection, sends_what_can_be_sent, .timeout = 20)
{
	PIPE(first, second, );
	PIPE(reader, writer, .is_simplex = true);

	cr_expect(eq(int, give(first, NULL, 1), -EINVAL));
	cr_expect(eq(int, give(first, "x", (size_t)1 << 63), -EMSGSIZE));
	cr_expect(eq(int, give(first, "x", SIZE_MAX), -EMSGSIZE));
	cr_expect(eq(int, give(reader, "x", 1), -EBADF));
	cr_expect(zero(int, give(first, NULL, 0)));
	cr_expect(zero(int, give(first, "x", 1)));
	cr_expect(zero(long, take(second, NULL, 0)));
	expect_message(second, "x");
}

Test(connection, says_no_length_to_who_does_not_ask, .timeout = 20)
{
	PIPE(first, second, );
	void *data = NULL;
	char text[4] = "";

	for (int i = 0; i < 2; i++)
		cr_assert(zero(int, give(first, "one", 4)));
	cr_expect(eq(int, carom_connection_recv_bytes(second, 1, soon(), &data, NULL), -EMSGSIZE));
	cr_expect(zero(int, carom_connection_recv_bytes(second, 0, soon(), &data, NULL)));
	cr_expect(zero(int, strcmp(data, "one")));
	free(data);
	cr_expect(eq(int, carom_connection_recv_bytes_into(second, text, 1, soon(), NULL),
		     -EMSGSIZE));
	cr_expect(zero(int, carom_connection_recv_bytes_into(second, text, 4, soon(), NULL)));
	cr_expect(zero(int, strcmp(text, "one")));
}

/* ---- too long, and torn ---- */

/* CN-07 */
Test(connection, keeps_a_message_that_is_too_long, .timeout = 20)
{
	PIPE(first, second, .message_max = 1000);
	char text[64];
	void *data = NULL;
	size_t size = 0;

	cr_assert(zero(int, give(first, "much too long", 13)));
	cr_assert(zero(int, give(first, "next", 4)));
	for (int i = 0; i < 2; i++) {
		cr_expect(eq(int, carom_connection_recv_bytes(second, 12, soon(), &data, &size),
			     -EMSGSIZE));
		cr_expect(eq(sz, size, 13));
		cr_expect(eq(ptr, data, NULL));
	}
	cr_expect(zero(int, give(second, "still sends", 11)));
	expect_message(first, "still sends");
	cr_expect(zero(int, carom_connection_poll(second, CAROM_PASSED)));
	cr_expect(eq(long, take(second, text, 13), 13));
	cr_expect(zero(int, memcmp(text, "much too long", 13)));
	expect_message(second, "next");
	/* and one above the connection's own limit can be passed over */
	cr_assert(zero(int, give(first, (char[1001]){ 0 }, 1001)));
	cr_assert(zero(int, give(first, "next", 4)));
	cr_expect(eq(int, carom_connection_recv_bytes(second, 0, soon(), &data, &size), -EMSGSIZE));
	cr_expect(eq(sz, size, 1001));
	cr_expect(zero(int, carom_connection_skip(second, soon())));
	expect_message(second, "next");
}

/* CN-08 */
Test(connection, keeps_a_message_that_a_buffer_is_too_short_for, .timeout = 20)
{
	PIPE(first, second, );
	char four[4];
	size_t size = 0;

	cr_assert(zero(int, give(first, "ten bytes!", 10)));
	cr_assert(zero(int, give(first, "next", 4)));
	cr_expect(eq(int, carom_connection_recv_bytes_into(second, four, 4, soon(), &size),
		     -EMSGSIZE));
	cr_expect(eq(sz, size, 10));
	expect_message(second, "ten bytes!");
	expect_message(second, "next");
}

Test(connection, end_within_a_message_is_no_message, .timeout = 20)
{
	static const struct {
		const char *bytes;
		size_t size;
	} torn[] = { { "\0", 1 },
		     { "\0\0\0", 3 },
		     { "\0\0\0\5", 4 },
		     { "\0\0\0\5hell", 8 },
		     { "\xff\xff\xff\xff\0\0\0\0", 8 } };

	for (size_t i = 0; i < sizeof(torn) / sizeof(*torn); i++) {
		for (int how = 0; how < 2; how++) {
			HALF(connection, fd, );
			char room[8];
			void *data = NULL;
			size_t size;

			put(fd, "\0\0\0\1x", 5);
			put(fd, torn[i].bytes, torn[i].size);
			carom_closep(&fd);
			expect_message(connection, "x");
			cr_expect(eq(long,
				     how ? take(connection, room, 8)
					 : carom_connection_recv_bytes(connection, 0, soon(), &data,
								       &size),
				     -ECONNRESET),
				  "line %zu", i);
			cr_expect(eq(long, take(connection, room, 8), -ECONNRESET), "for good");
			cr_expect(zero(int, carom_connection_poll(connection, soon())));
			cr_expect(eq(ptr, data, NULL));
		}
	}
}

/* The kernel calls that a reset, though nothing that was to come is lost. */
Test(connection, end_of_who_has_not_read_all_is_the_end, .timeout = 20)
{
	for (int how = 0; how < 2; how++) {
		HALF(connection, fd, );
		char room[8];

		cr_expect(zero(int, give(connection, "unread", 6)));
		carom_closep(&fd);
		cr_expect(eq(long,
			     how ? carom_connection_recv_fd(connection, soon(), &(int){ 0 })
				 : take(connection, room, 8),
			     -EPIPE));
		cr_expect(eq(long, take(connection, room, 8), -EPIPE));
	}
}

/* WA-02 */
Test(connection, negative_and_endless_lengths_are_nonsense, .timeout = 20)
{
	static const char *wrong[] = { "\x80\0\0\0", "\xff\xff\xff\xfe",
				       "\xff\xff\xff\xff\x80\0\0\0\0\0\0\0" };

	for (size_t i = 0; i < 3; i++) {
		HALF(connection, fd, );
		char room[8];

		put(fd, wrong[i], i < 2 ? 4 : 12);
		cr_expect(eq(long, take(connection, room, 8), -EBADMSG), "line %zu", i);
		put(fd, "\0\0\0\1x", 5);
		cr_expect(eq(long, take(connection, room, 8), -EBADMSG), "for good");
		cr_expect(zero(int, give(connection, "still sends", 11)));
	}
}

Test(connection, promised_lengths_take_no_memory_before_the_bytes_come, .timeout = 20)
{
	static const struct {
		const char *frame;
		size_t frame_size, size;
	} long_ones[] = {
		{ "\x7f\xff\xff\xff", 4, 0x7fffffff },                          /* 2^31 - 1 */
		{ "\xff\xff\xff\xff\0\0\0\0\x80\0\0\0", 12, 0x80000000 },       /* 2^31 */
		{ "\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff", 12, 0xffffffff }, /* 2^32 - 1 */
		{ "\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 12, INT64_MAX },
	};

	for (size_t i = 0; i < 4; i++) {
		HALF(connection, fd, );
		HALF(limited, limited_fd, .message_max = CAROM_MIB(64));
		size_t size = 0;
		void *data;

		put(fd, long_ones[i].frame, long_ones[i].frame_size);
		put(fd, "body", 4);
		cr_expect(eq(int,
			     carom_connection_recv_bytes(connection, 0, CAROM_PASSED, &data, &size),
			     -EAGAIN));
		carom_closep(&fd);
		cr_expect(eq(int, carom_connection_recv_bytes(connection, 0, soon(), &data, &size),
			     -ECONNRESET));
		put(limited_fd, long_ones[i].frame, long_ones[i].frame_size);
		cr_expect(eq(int, carom_connection_recv_bytes(limited, 0, soon(), &data, &size),
			     -EMSGSIZE));
		cr_expect(eq(sz, size, long_ones[i].size));
	}
}

/* WA-03 */
Test(connection, old_peer_is_sent_nothing_that_it_cannot_read, .timeout = 20)
{
	HALF(connection, fd, .framing = CAROM_FRAMING_LEGACY);
	char byte;

	cr_expect(eq(int, give(connection, "x", CAROM_GIB(3)), -EMSGSIZE));
	cr_expect(eq(int, (int)recv(fd, &byte, 1, MSG_DONTWAIT), -1), "no byte was sent");
	put(fd, "\xff\xff\xff\xff\0\0\0\0\xc0\0\0\0", 12);
	cr_expect(eq(long, take(connection, &byte, 1), -EBADMSG));
}

/* ---- piecemeal ---- */

/* WA-01 */
Test(connection, small_messages_go_in_one_call_and_come_in_any_number, .timeout = 20)
{
	HALF(connection, fd, );
	char bytes[16384 + 4];

	memset(bytes, 'y', sizeof(bytes));
	cr_assert(zero(int, give(connection, bytes, 16384)));
	cr_expect(eq(int, (int)recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT), 16384 + 4));
	cr_expect(zero(int, memcmp(bytes, "\0\0\x40\0yy", 6)));
	for (int i = 0; i < 9; i++) {
		size_t size = 0;
		char text[5];

		cr_expect(eq(int,
			     carom_connection_recv_bytes_into(connection, text, 5, CAROM_PASSED,
							      &size),
			     -EAGAIN),
			  "byte %d", i);
		put(fd, &"\0\0\0\5hello"[i], 1);
		cr_expect(zero(int, carom_connection_poll(connection, CAROM_PASSED)));
	}
	expect_message(connection, "hello");
}

Test(connection, goes_on_with_a_message_after_a_deadline, .timeout = 20)
{
	HALF(connection, fd, );
	void *data;
	size_t size;

	put(fd, "\0\0\0\6he", 6);
	cr_expect(eq(int,
		     carom_connection_recv_bytes(connection, 0, carom_deadline_after(1000), &data,
						 &size),
		     -ETIMEDOUT));
	cr_expect(zero(int, carom_connection_poll(connection, CAROM_PASSED)));
	put(fd, "ll", 2);
	/* then into memory of the caller's, and then otherwise again */
	cr_expect(eq(int,
		     carom_connection_recv_bytes_into(connection, (char[9]){ 0 }, 9,
						      carom_deadline_after(1000), &size),
		     -ETIMEDOUT));
	put(fd, "o", 1);
	cr_expect(eq(int, carom_connection_skip(connection, CAROM_PASSED), -EAGAIN));
	put(fd, "!\0\0\0\4next", 9);
	cr_expect(zero(int, carom_connection_recv_bytes(connection, 0, soon(), &data, &size)));
	cr_expect(zero(int, strcmp(data, "next")), "the other was to be passed over");
	free(data);
}

Test(connection, skip_again_ends_the_one_before, .timeout = 20)
{
	HALF(connection, fd, );

	put(fd, "\0\0\0\6he", 6);
	cr_expect(eq(int, carom_connection_skip(connection, CAROM_PASSED), -EAGAIN));
	cr_expect(
		eq(int, carom_connection_skip(connection, carom_deadline_after(1000)), -ETIMEDOUT));
	put(fd, "llo!\0\0\0\1x", 9);
	cr_expect(zero(int, carom_connection_skip(connection, soon())));
	expect_message(connection, "x");
}

static void *fill_until_full(struct carom_connection *connection, int *ret_count)
{
	static char block[1000];
	int r;

	*ret_count = 0;
	while ((r = carom_connection_send_bytes(connection, block, sizeof(block), CAROM_PASSED)) ==
	       0)
		++*ret_count;
	cr_assert(r == -EAGAIN || r == -EINPROGRESS);
	*ret_count += r == -EINPROGRESS;
	return NULL;
}

static void expect_count(struct carom_connection *connection, int count)
{
	char block[1000];

	for (int i = 0; i < count; i++)
		cr_assert(eq(long, take(connection, block, sizeof(block)), 1000));
}

/* CN-13 */
Test(connection, sends_the_rest_of_what_went_in_part, .timeout = 20)
{
	static char large[3000000];
	SOCKETS(first, second, .is_first_nonblocking = true);
	int count;
	long size;

	fill_until_full(first, &count);
	cr_expect(eq(int, give(first, "x", 1), -EAGAIN));
	expect_count(second, count);
	cr_assert(zero(int, carom_connection_flush(first, CAROM_PASSED)));

	memset(large, 'z', sizeof(large));
	cr_assert(eq(int, give(first, large, sizeof(large)), -EINPROGRESS));
	memset(large, 0, sizeof(large)); /* it is the caller's again */
	cr_expect(eq(int, carom_connection_flush(first, soon()), -EAGAIN));
	cr_expect(eq(int, give(first, "after", 5), -EAGAIN), "nothing overtakes it");
	carom_connection_set_blocking(second, false);
	do {
		size = take(second, large, sizeof(large));
		cr_assert(size > 0 || size == -EAGAIN);
		carom_connection_flush(first, CAROM_PASSED);
	} while (size < 0);
	cr_expect(eq(long, size, 3000000));
	for (size_t i = 0; i < sizeof(large); i++)
		cr_assert(large[i] == 'z');
	cr_expect(zero(int, give(first, "after", 5)));
	expect_message(second, "after");
}

Test(connection, that_cannot_be_sent_to_says_so_by_the_deadline, .timeout = 20)
{
	SOCKETS(first, second, );
	int count;
	uint64_t begin;

	fill_until_full(first, &count);
	begin = carom_now();
	cr_expect(eq(int,
		     carom_connection_send_bytes(first, "x", 1,
						 carom_deadline_after(CAROM_MILLISECONDS(20))),
		     -ETIMEDOUT));
	cr_expect(ge(u64, carom_now() - begin, CAROM_MILLISECONDS(20)));
	expect_count(second, count - 1);
}

/* CN-14 */
Test(connection, writes_some_bytes_as_they_are, .timeout = 20)
{
	static char block[1000000];
	SOCKETS(first, second, );
	HALF(connection, fd, );
	char text[8];
	ssize_t n = carom_connection_write_some(first, block, sizeof(block), CAROM_PASSED);

	cr_expect(n > 0 && n < (ssize_t)sizeof(block), "a short count on a full pipe");
	cr_expect(
		eq(int, (int)carom_connection_write_some(first, block, 1, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(int, (int)carom_connection_write_some(first, block, 0, soon()), -EINVAL));
	cr_expect(eq(int, (int)carom_connection_write_some(connection, "raw", 3, soon()), 3));
	cr_expect(eq(int, (int)recv(fd, text, sizeof(text), 0), 3));
	cr_expect(zero(int, memcmp(text, "raw", 3)));
}

/* ---- poll ---- */

/* CN-10 */
Test(connection, poll_waits_for_a_message_or_the_end, .timeout = 20)
{
	PIPE(first, second, );
	uint64_t begin = carom_now();
	pid_t pid;

	cr_expect(eq(int, carom_connection_poll(second, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(int,
		     carom_connection_poll(second, carom_deadline_after(CAROM_MICROSECONDS(500))),
		     -ETIMEDOUT));
	cr_expect(ge(u64, carom_now() - begin, CAROM_MICROSECONDS(500)));
	pid = child();
	if (pid == 0)
		_exit(give(first, "x", 1) != 0);
	cr_expect(zero(int, carom_connection_poll(second, CAROM_NO_DEADLINE)));
	cr_expect(zero(int, ended(pid)));
	cr_expect(zero(int, carom_connection_poll(second, CAROM_PASSED)), "again");
	expect_message(second, "x");
	cr_expect(eq(int, carom_connection_poll(second, CAROM_PASSED), -EAGAIN));
	carom_connection_close(first);
	cr_expect(zero(int, carom_connection_poll(second, CAROM_PASSED)));
	cr_expect(eq(long, take(second, NULL, 0), -EPIPE));
}

/* ---- signals, pipes, threads, deaths ---- */

static void nothing(int signal_number)
{
}

static void be_interrupted(void)
{
	struct itimerval often = { { 0, 500 }, { 0, 500 } };
	struct sigaction action = { .sa_handler = nothing }; /* without SA_RESTART */

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 7 + i / 256);
}

static char *new_pattern(size_t size)
{
	unsigned char *bytes = malloc(size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = pattern(i);
	return (char *)bytes;
}

static void send_10_mb(struct carom_connection *connection, uint64_t deadline_ns)
{
	char *bytes = new_pattern(10000000);

	be_interrupted();
	_exit(carom_connection_send_bytes(connection, bytes, 10000000, deadline_ns) != 0);
}

static void expect_10_mb(struct carom_connection *connection, uint64_t deadline_ns)
{
	void *data = NULL, *expected;
	size_t size = 0;

	cr_assert(zero(int, carom_connection_recv_bytes(connection, 0, deadline_ns, &data, &size)));
	cr_assert(eq(sz, size, 10000000));
	expected = new_pattern(size);
	cr_expect(zero(int, memcmp(data, expected, size)));
	free(expected);
	free(data);
}

/* CN-12 */
Test(connection, long_messages_go_through_whatever_the_signals, .timeout = 60)
{
	uint64_t deadlines[] = { CAROM_NO_DEADLINE, soon() };

	for (int i = 0; i < 2; i++) {
		PIPE(first, second, );
		pid_t pid = child();

		if (pid == 0)
			send_10_mb(first, deadlines[i]);
		be_interrupted();
		expect_10_mb(second, deadlines[i]);
		cr_expect(zero(int, ended(pid)));
	}
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
}

static void open_pipe(struct carom_connection **ret_reader, struct carom_connection **ret_writer,
		      int flags)
{
	int fds[2];

	cr_assert(zero(int, pipe2(fds, flags)));
	cr_assert(zero(int, carom_connection_new_take(fds[0], NULL, ret_reader)));
	cr_assert(zero(
		int, carom_connection_new_take(
			     fds[1], &CAROM_CONNECTION_OPTIONS(.buffer_size = 8192), ret_writer)));
}

Test(connection, goes_through_an_ordinary_pipe, .timeout = 60)
{
	uint64_t deadlines[] = { CAROM_NO_DEADLINE, soon() };

	for (int i = 0; i < 2; i++) {
		CONNECTION reader = NULL;
		CONNECTION writer = NULL;
		pid_t pid;

		open_pipe(&reader, &writer, 0);
		cr_expect(not(carom_connection_is_writable(reader)));
		cr_expect(eq(int, fcntl(carom_connection_fd(writer), F_GETPIPE_SZ), 8192));
		cr_expect(fcntl(carom_connection_fd(writer), F_GETFD) & FD_CLOEXEC);
		pid = child();
		if (pid == 0)
			send_10_mb(writer, deadlines[i]);
		carom_connection_close(writer);
		expect_10_mb(reader, deadlines[i]);
		cr_expect(eq(long, take(reader, NULL, 0), -EPIPE));
		cr_expect(zero(int, ended(pid)));
	}
}

Test(connection, that_is_a_full_pipe_says_so, .timeout = 20)
{
	for (int i = 0; i < 2; i++) {
		CONNECTION reader = NULL;
		CONNECTION writer = NULL;
		int count;

		open_pipe(&reader, &writer, i ? O_NONBLOCK : 0);
		fill_until_full(writer, &count);
		cr_expect(ge(int, count, 4));
		cr_expect(eq(int, carom_connection_send_bytes(writer, "x", 1, CAROM_PASSED),
			     -EAGAIN));
		expect_count(reader, count - 1);
		cr_expect(zero(int, carom_connection_flush(writer, CAROM_PASSED)));
		expect_count(reader, 1);
	}
}

static _Atomic int pipe_signals;

static void count_pipe_signal(int signal_number)
{
	pipe_signals++;
}

Test(connection, raises_no_signal_when_the_peer_is_gone, .timeout = 20)
{
	struct sigaction action = { .sa_handler = count_pipe_signal };
	CONNECTION reader = NULL;
	CONNECTION writer = NULL;
	SOCKETS(first, second, );

	sigaction(SIGPIPE, &action, NULL);
	open_pipe(&reader, &writer, 0);
	carom_connection_close(reader);
	cr_expect(eq(int, give(writer, "x", 1), -EPIPE));
	cr_expect(eq(int, carom_connection_send_bytes(writer, "x", 1, CAROM_NO_DEADLINE), -EPIPE));
	carom_connection_close(second);
	cr_expect(eq(int, give(first, "x", 1), -EPIPE));
	cr_expect(zero(int, pipe_signals));
	raise(SIGPIPE);
	cr_expect(eq(int, pipe_signals, 1), "it is not blocked either");
}

/* More than the pipe holds: the write is under way when the reader dies. */
Test(connection, raises_no_signal_when_the_peer_dies_within_a_message, .timeout = 20)
{
	struct sigaction action = { .sa_handler = count_pipe_signal };
	CONNECTION reader = NULL;
	CONNECTION writer = NULL;
	char *message = calloc(1, 1 << 20);
	pid_t pid;

	sigaction(SIGPIPE, &action, NULL);
	open_pipe(&reader, &writer, 0);
	pid = child();
	if (pid == 0) {
		char bytes[8192];

		carom_connection_close(writer);
		_exit(read(carom_connection_fd(reader), bytes, sizeof(bytes)) <= 0);
	}
	carom_connection_close(reader);
	cr_expect(eq(int, carom_connection_send_bytes(writer, message, 1 << 20, CAROM_NO_DEADLINE),
		     -EPIPE));
	cr_expect(zero(int, pipe_signals));
	cr_expect(zero(int, ended(pid)));
	free(message);
}

#define WRITER_COUNT  8
#define MESSAGE_COUNT 100000

struct writer {
	struct carom_connection *connection;
	uint32_t number;
};

static void *write_many(void *data)
{
	const struct writer *writer = data;
	uint32_t words[16];

	for (uint32_t i = 0; i < MESSAGE_COUNT; i++) {
		uint32_t count = 2 + i % 14;

		for (uint32_t k = 0; k < count; k++)
			words[k] = k == 0 ? writer->number : i;
		if (carom_connection_send_bytes(writer->connection, words, count * 4,
						CAROM_NO_DEADLINE) < 0)
			return data;
	}
	return NULL;
}

/* Each writer's messages are whole, and come in its order. */
static void expect_many(struct carom_connection *connection)
{
	uint32_t next[WRITER_COUNT] = { 0 }, words[16];

	for (uint32_t n = 0; n < WRITER_COUNT * MESSAGE_COUNT; n++) {
		size_t size = 0, count;

		cr_assert(
			zero(int, carom_connection_recv_bytes_into(connection, words, sizeof(words),
								   CAROM_NO_DEADLINE, &size)));
		cr_assert(lt(u32, words[0], WRITER_COUNT));
		count = 2 + next[words[0]] % 14;
		cr_assert(eq(sz, size, count * 4));
		for (size_t k = 1; k < count; k++)
			cr_assert(words[k] == next[words[0]]);
		next[words[0]]++;
	}
}

/* CN-15 */
Test(connection, threads_that_send_at_one_end_tear_nothing, .timeout = 200)
{
	PIPE(first, second, );
	struct writer writers[WRITER_COUNT];
	pthread_t threads[WRITER_COUNT];

	for (uint32_t i = 0; i < WRITER_COUNT; i++) {
		writers[i] = (struct writer){ first, i };
		cr_assert(zero(int, pthread_create(&threads[i], NULL, write_many, &writers[i])));
	}
	expect_many(second);
	for (uint32_t i = 0; i < WRITER_COUNT; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		cr_expect(eq(ptr, failed, NULL));
	}
	cr_expect(eq(int, carom_connection_poll(second, CAROM_PASSED), -EAGAIN));
}

static void send_and_be_killed(struct carom_connection *connection)
{
	static char bytes[10000000];

	carom_connection_send_bytes(connection, "whole", 5, CAROM_NO_DEADLINE);
	carom_connection_send_bytes(connection, bytes, sizeof(bytes), CAROM_NO_DEADLINE);
	_exit(1);
}

/* CN-16 */
Test(connection, writer_killed_within_a_message_leaves_no_half_one, .timeout = 60)
{
	for (int generation = 0; generation < 10; generation++) {
		PIPE(first, second, );
		pid_t pid = child();
		void *data = NULL;
		size_t size = 0;

		if (pid == 0)
			send_and_be_killed(first);
		carom_connection_close(first);
		expect_message(second, "whole");
		/* some of it has come, and all of it cannot have: it is larger than the buffers */
		cr_assert(zero(int, carom_connection_poll(second, soon())));
		cr_expect(eq(int, carom_connection_recv_bytes(second, 1000, soon(), &data, &size),
			     -EMSGSIZE));
		cr_expect(eq(int, killed(pid), -SIGKILL));
		cr_expect(eq(int, carom_connection_recv_bytes(second, 0, soon(), &data, &size),
			     -ECONNRESET));
		cr_expect(eq(ptr, data, NULL));
	}
}
