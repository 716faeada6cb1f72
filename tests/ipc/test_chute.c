/* The short way between two processes that have a socket, too: what goes, and what does not. */
#include "ipc/chute.h"

#include "tests/ipc/ends.h"

#include <pthread.h>

#include "core/fd.h"
#include "shm/memfd.h"

TestSuite(chute, .timeout = 60);

#define CHUTE CAROM_CLEANUP(freep) struct carom_chute *

static void freep(struct carom_chute **chute)
{
	carom_chute_free(*chute);
}

static void make(struct carom_chute **ret_first, struct carom_chute **ret_second)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;

	cr_assert(zero(int, carom_chute_new(ret_first, &fd)));
	cr_assert(zero(int, carom_chute_attach(fd, ret_second)));
}

#define MADE(first, second)  \
	CHUTE first = NULL;  \
	CHUTE second = NULL; \
	make(&first, &second)

static char received[CAROM_CHUTE_MESSAGE_MAX];

/* Return: how long it was, or the error. */
static long receive(struct carom_chute *chute)
{
	size_t size = 0;
	int r = carom_chute_receive(chute, received, sizeof(received), &size);

	return r < 0 ? r : (long)size;
}

Test(chute, brings_messages_to_who_is_awake)
{
	MADE(first, second);

	cr_expect(eq(int, carom_chute_send(first, "hello", 6), -EAGAIN));
	carom_chute_wake(second);
	cr_expect(zero(int, carom_chute_send(first, "hello", 6)));
	cr_expect(eq(long, receive(second), 6));
	cr_expect(eq(str, received, (char *)"hello"));
	cr_expect(eq(long, receive(second), -EAGAIN));
	carom_chute_wake(first);
	cr_expect(zero(int, carom_chute_send(second, "you", 4)));
	cr_expect(eq(long, receive(first), 4));
	cr_expect(eq(str, received, (char *)"you"));
}

Test(chute, lets_nobody_sleep_over_a_message)
{
	MADE(first, second);

	carom_chute_wake(second);
	cr_expect(zero(int, carom_chute_send(first, "1", 1)));
	cr_expect(not(carom_chute_is_empty(second)));
	cr_expect(not(carom_chute_sleep(second)));
	cr_expect(not(carom_chute_is_asleep(second)));
	cr_expect(eq(long, receive(second), 1));
	cr_expect(carom_chute_sleep(second));
	cr_expect(carom_chute_is_asleep(second));
	cr_expect(eq(int, carom_chute_send(first, "1", 1), -EAGAIN));
}

Test(chute, takes_no_long_message_and_no_more_than_it_has_room_for)
{
	static char data[CAROM_CHUTE_MESSAGE_MAX + 1];
	MADE(first, second);
	int count = 0;

	carom_chute_wake(second);
	cr_expect(eq(int, carom_chute_send(first, data, sizeof(data)), -EAGAIN));
	while (carom_chute_send(first, data, 1000) == 0)
		count++;
	cr_expect(lt(int, 3, count));
	cr_expect(lt(int, count, 16));
	while (receive(second) == 1000)
		count--;
	cr_expect(zero(int, count));
	cr_expect(zero(int, carom_chute_send(first, data, 1000)));
}

Test(chute, says_that_something_went_another_way)
{
	MADE(first, second);

	cr_expect(eq(u32, carom_chute_noted(second), 0));
	carom_chute_note(first, 1);
	cr_expect(eq(u32, carom_chute_noted(second), 1));
	cr_expect(eq(u32, carom_chute_noted(first), 0));
}

Test(chute, is_nothing_but_what_was_made_as_one)
{
	CAROM_CLEANUP(carom_closep) int other = -1;
	struct carom_chute *chute;
	int ends[2];

	cr_assert(zero(int, carom_memfd_new("no-chute", CAROM_KIB(28), &other)));
	cr_expect(eq(int, carom_chute_attach(other, &chute), -EBADMSG));
	cr_assert(zero(int, pipe(ends)));
	cr_expect(eq(int, carom_chute_attach(ends[0], &chute), -EBADMSG));
	close(ends[0]);
	close(ends[1]);
}

/* The other end's process writes what it likes: it is a message, nonsense, or not there. */
Test(chute, with_nonsense_in_it_is_bad_and_nothing_else)
{
	CHUTE chute = NULL;
	CAROM_CLEANUP(carom_closep) int fd = -1;
	uint64_t size = 0, seed = 1;
	void *memory;

	cr_assert(zero(int, carom_chute_new(&chute, &fd)));
	cr_assert(zero(int, carom_memfd_check(fd, &size)));
	cr_assert(zero(int, carom_memfd_map(fd, NULL, size, &memory)));
	carom_chute_wake(chute);
	for (int i = 0; i < 200000; i++) {
		uint64_t *words = memory;
		long r;

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		words[(seed >> 33) % (size / sizeof(*words))] =
			i % 3 ? seed >> 40 & 0x1ff8 : seed >> 11;
		r = receive(chute);
		cr_assert(lt(long, r, (long)sizeof(received) + 1));
		if (r < 0)
			cr_assert(r == -EAGAIN || r == -EBADMSG, "%ld", r);
		r = carom_chute_send(chute, "x", 1);
		cr_assert(r == 0 || r == CAROM_CHUTE_NUDGE || r == -EAGAIN || r == -EBADMSG);
		carom_chute_noted(chute);
		carom_chute_sleep(chute);
	}
	munmap(memory, size);
}

Test(chute, is_no_part_of_a_forked_child)
{
	MADE(first, second);
	pid_t pid = child();

	if (pid == 0) {
		carom_chute_free(first);
		carom_chute_free(second);
		_exit(0);
	}
	cr_expect(zero(int, ended(pid)));
	carom_chute_wake(second);
	cr_expect(zero(int, carom_chute_send(first, "1", 1)));
	cr_expect(eq(long, receive(second), 1));
}

/* ---- together with a socket ---- */

/**
 * struct end - of one thread
 * @sent: a message is its number; @noticed: how many came through the socket
 */
struct end {
	struct carom_chute *chute;
	int fd;
	uint32_t sent;
	uint32_t expected;
	uint32_t taken;
	uint32_t sleeps;
};

#define MESSAGES 20000

static void send_by_socket(struct end *end, const void *data, size_t size)
{
	cr_assert(eq(long, send(end->fd, data, size, 0), (long)size));
	carom_chute_note(end->chute, 1);
}

static void send_one(struct end *end)
{
	uint32_t number = end->sent++;
	int r = carom_chute_send(end->chute, &number, sizeof(number));

	if (r == CAROM_CHUTE_NUDGE)
		send_by_socket(end, "", 1);
	else if (r == -EAGAIN)
		send_by_socket(end, &number, sizeof(number));
	else
		cr_assert(zero(int, r));
}

static void expect(struct end *end, const void *data)
{
	uint32_t number;

	memcpy(&number, data, sizeof(number));
	cr_assert(eq(u32, number, end->expected));
	end->expected++;
}

static bool receive_by_socket(struct end *end)
{
	char data[sizeof(uint32_t)];
	ssize_t n = recv(end->fd, data, sizeof(data), 0);

	cr_assert(lt(long, 0, (long)n));
	end->taken++;
	if (n > 1)
		expect(end, data);
	return n > 1;
}

/* One message: a few looks, and then asleep, for ever if it was forgotten. */
static void receive_one(struct end *end, int looks)
{
	char data[CAROM_CHUTE_MESSAGE_MAX];
	size_t size;

	for (;;) {
		bool is_noted = (int32_t)(carom_chute_noted(end->chute) - end->taken) > 0;

		if (is_noted && receive_by_socket(end))
			return;
		if (carom_chute_receive(end->chute, data, sizeof(data), &size) == 0) {
			expect(end, data);
			return;
		}
		if (looks-- > 0 || !carom_chute_sleep(end->chute))
			continue;
		end->sleeps++;
		if (receive_by_socket(end))
			return;
		looks = 100;
	}
}

static void *answer(void *userdata)
{
	struct end *end = userdata;

	for (int i = 0; i < MESSAGES; i++) {
		if (i % 3 != 0)
			carom_chute_wake(end->chute);
		receive_one(end, i % 50);
		send_one(end);
	}
	return NULL;
}

/* A message to and fro, by two who fall asleep at all moments. */
Test(chute, forgets_nothing_whoever_sleeps)
{
	MADE(first, second);
	struct end mine = { .chute = first }, theirs = { .chute = second };
	pthread_t thread;
	int fds[2];

	cr_assert(zero(int, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds)));
	mine.fd = fds[0];
	theirs.fd = fds[1];
	cr_assert(zero(int, pthread_create(&thread, NULL, answer, &theirs)));
	for (int i = 0; i < MESSAGES; i++) {
		if (i % 5 != 0)
			carom_chute_wake(mine.chute);
		send_one(&mine);
		receive_one(&mine, i % 70);
	}
	pthread_join(thread, NULL);
	cr_expect(eq(u32, mine.expected, MESSAGES));
	cr_expect(eq(u32, theirs.expected, MESSAGES));
	close(fds[0]);
	close(fds[1]);
}
