/* Two connections whose ends are each other's. */
#include "ipc/pipe.h"

#include "tests/ipc/ends.h"

#include <fcntl.h>
#include <pthread.h>

/* CN-01 */
Test(pipe, goes_both_ways_or_one, .timeout = 20)
{
	PIPE(first, second, );
	PIPE(reader, writer, .is_simplex = true);

	cr_assert(zero(int, give(first, "there", 5)));
	expect_message(second, "there");
	cr_assert(zero(int, give(second, "and back", 8)));
	expect_message(first, "and back");

	cr_expect(eq(int, give(reader, "x", 1), -EBADF));
	cr_expect(eq(long, take(writer, NULL, 0), -EBADF));
	cr_assert(zero(int, give(writer, "one way", 7)));
	expect_message(reader, "one way");
	cr_expect(fcntl(carom_connection_fd(reader), F_GETFD) & FD_CLOEXEC);
	cr_expect(fcntl(carom_connection_fd(writer), F_GETFD) & FD_CLOEXEC);
}

Test(pipe, of_sockets_for_one_direction_is_shut_in_the_kernel, .timeout = 20)
{
	SOCKETS(reader, writer, .is_simplex = true);

	cr_expect(eq(int, (int)send(carom_connection_fd(reader), "x", 1, MSG_NOSIGNAL), -1));
	cr_assert(zero(int, give(writer, "one way", 7)));
	expect_message(reader, "one way");
}

static bool is_nonblocking(struct carom_connection *connection)
{
	return fcntl(carom_connection_fd(connection), F_GETFL) & O_NONBLOCK;
}

/* CN-02 */
Test(pipe, ends_wait_or_do_not, .timeout = 20)
{
	for (int i = 0; i < 8; i++) {
		PIPE(first, second, .is_first_nonblocking = i & 1, .is_second_nonblocking = i & 2,
		     .is_simplex = i & 4);

		cr_expect(eq(int, is_nonblocking(first), i & 1));
		cr_expect(eq(int, is_nonblocking(second), (i & 2) / 2));
	}
}

Test(pipe, end_that_does_not_wait_says_so_whatever_the_deadline, .timeout = 20)
{
	PIPE(first, second, .is_first_nonblocking = true);
	size_t size;

	cr_expect(eq(int,
		     carom_connection_recv_bytes_into(first, NULL, 0, CAROM_NO_DEADLINE, &size),
		     -EAGAIN));
	cr_assert(zero(int, carom_connection_set_blocking(first, true)));
	cr_expect(not(is_nonblocking(first)));
	cr_assert(zero(int, give(second, "x", 1)));
	expect_message(first, "x");
	cr_assert(zero(int, carom_connection_set_blocking(first, false)));
	cr_expect(is_nonblocking(first));
}

/* CN-18 */
Test(pipe, ends_with_the_process_that_had_the_other_end, .timeout = 20)
{
	PIPE(first, second, );
	pid_t pid = child();

	if (pid == 0) {
		carom_connection_close(first);
		give(second, "last", 4);
		pause();
	}
	carom_connection_close(second);
	expect_message(first, "last");
	killed(pid);
	cr_expect(eq(long, take(first, NULL, 0), -EPIPE));
	cr_expect(eq(long, take(first, NULL, 0), -EPIPE));
	cr_expect(eq(int, give(first, "x", 1), -EPIPE));
}

static int buffer_of(struct carom_connection *connection, int which)
{
	int size = 0;
	socklen_t length = sizeof(size);

	getsockopt(carom_connection_fd(connection), SOL_SOCKET, which, &size, &length);
	return size;
}

/* CN-19 */
Test(pipe, has_buffers_of_the_size_asked_for, .timeout = 20)
{
	for (uint64_t size = CAROM_KIB(8); size <= CAROM_KIB(128); size *= 16) {
		SOCKETS(first, second, .buffer_size = size);

		/* the kernel doubles it, for its own part */
		cr_expect(eq(int, buffer_of(first, SO_SNDBUF), 2 * (int)size));
		cr_expect(eq(int, buffer_of(second, SO_RCVBUF), 2 * (int)size));
		cr_assert(zero(int, give(first, "x", 1)));
		expect_message(second, "x");
	}
}

Test(pipe, says_why_it_cannot_be_made)
{
	struct {
		struct carom_pipe_options options;
		uint64_t newer;
	} newer = { { .size_bytes = sizeof(newer) }, 1 };
	struct carom_connection *first = NULL, *second = NULL;

	cr_expect(eq(int, carom_pipe_new(&newer.options, &first, &second), -E2BIG));
	cr_expect(eq(ptr, first, NULL));
	cr_expect(eq(ptr, second, NULL));
}

/* What the pointer points to is made longer by what the other thread adds. */
static void *extend(void *userdata)
{
	struct carom_connection *connection = userdata;
	char *text = NULL;

	if (take(connection, &text, sizeof(text)) != sizeof(text))
		return NULL;
	strcat(text, " and back");
	give(connection, &text, sizeof(text));
	return text;
}

/* DT-04 */
Test(pipe, takes_pointers_from_thread_to_thread, .timeout = 20)
{
	PIPE(mine, theirs, );
	pthread_t thread;
	char text[32] = "there";
	char *pointer = text, *got = NULL;
	void *returned;

	cr_expect(eq(int, carom_connection_poll(mine, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(int, carom_connection_poll(mine, carom_deadline_after(1000)), -ETIMEDOUT));
	cr_assert(zero(int, pthread_create(&thread, NULL, extend, theirs)));
	cr_assert(zero(int, give(mine, &pointer, sizeof(pointer))));
	cr_assert(zero(int, carom_connection_poll(mine, soon())));
	cr_assert(eq(long, take(mine, &got, sizeof(got)), (long)sizeof(got)));
	cr_assert(zero(int, pthread_join(thread, &returned)));
	cr_expect(eq(ptr, got, text));
	cr_expect(eq(ptr, returned, text));
	cr_expect(eq(str, text, (char *)"there and back"));
}
