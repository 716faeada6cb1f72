/* One wait for several things. */
#include "ipc/wait.h"

#include "tests/ipc/ends.h"
#include "tests/needs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "ipc/client.h"

static void nothing(int signal_number)
{
}

static void be_interrupted(long every_us)
{
	struct itimerval often = { { 0, every_us }, { 0, every_us } };
	struct sigaction action = { .sa_handler = nothing }; /* without SA_RESTART */

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

#define THINGS 1000
#define KINDS  5

/**
 * struct crowd - a thousand things, of which the last KINDS are one of each kind
 * @silent: eventfds that nobody writes to
 */
struct crowd {
	struct carom_wait_item items[THINGS];
	int silent;
	int loud;
	struct carom_connection *memory[2];
	struct carom_connection *sockets[2];
	struct carom_listener *listener;
	pid_t pid;
	int pidfd;
};

static void gather(struct crowd *crowd)
{
	size_t n = 0;

	crowd->silent = eventfd(0, EFD_CLOEXEC);
	crowd->loud = eventfd(0, EFD_CLOEXEC);
	cr_assert(zero(
		int, new_pipe(&CAROM_PIPE_OPTIONS(), false, &crowd->memory[0], &crowd->memory[1])));
	cr_assert(zero(int, new_pipe(&CAROM_PIPE_OPTIONS(), true, &crowd->sockets[0],
				     &crowd->sockets[1])));
	cr_assert(zero(int, carom_listener_new(NULL, &crowd->listener)));
	crowd->pid = child();
	if (crowd->pid == 0)
		pause();
	crowd->pidfd = pidfd_open(crowd->pid, 0);
	while (n < THINGS - KINDS)
		crowd->items[n++] = CAROM_WAIT_FOR_FD(dup(crowd->silent));
	crowd->items[n++] = CAROM_WAIT_FOR_FD(crowd->loud);
	crowd->items[n++] = CAROM_WAIT_FOR_CONNECTION(crowd->memory[1]);
	crowd->items[n++] = CAROM_WAIT_FOR_CONNECTION(crowd->sockets[1]);
	crowd->items[n++] = CAROM_WAIT_FOR_LISTENER(crowd->listener);
	crowd->items[n++] = CAROM_WAIT_FOR_FD(crowd->pidfd);
}

static void disperse(struct crowd *crowd)
{
	for (size_t i = 0; i < THINGS - KINDS; i++)
		close(crowd->items[i].fd);
	for (int i = 0; i < 2; i++) {
		carom_connection_free(crowd->memory[i]);
		carom_connection_free(crowd->sockets[i]);
	}
	carom_listener_free(crowd->listener);
	close(crowd->silent);
	close(crowd->loud);
	close(crowd->pidfd);
}

static struct carom_connection *knock(const struct carom_listener *listener)
{
	struct carom_connection *client = NULL;
	struct carom_client_options options = CAROM_CLIENT_OPTIONS();
	const char *path = carom_listener_path(listener);

	options.path = path;
	cr_assert(zero(int, carom_client_connect(&options, soon(), &client)));
	return client;
}

/* A signal comes all the time. Return: the first that is ready; all are counted */
static size_t await_one(struct crowd *crowd, int expected)
{
	size_t i = 0;

	cr_assert(eq(int, carom_wait(crowd->items, THINGS, soon()), expected));
	while (!crowd->items[i].is_ready)
		i++;
	return i;
}

/* LC-13 */
Test(wait, thousand_things_of_all_kinds, .timeout = 60)
{
	static struct crowd crowd;
	struct rlimit limit;
	CONNECTION client = NULL;

	NEEDS("pidfd_open");
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 2 * THINGS)
		cr_skip_test("skipped: not so many descriptors are allowed here");
	gather(&crowd);
	cr_expect(eq(int, carom_wait(crowd.items, THINGS, CAROM_PASSED), -EAGAIN));
	be_interrupted(500);
	cr_expect(eq(int,
		     carom_wait(crowd.items, THINGS, carom_deadline_after(CAROM_MILLISECONDS(20))),
		     -ETIMEDOUT));

	eventfd_write(crowd.loud, 1);
	cr_expect(eq(sz, await_one(&crowd, 1), THINGS - 5));
	eventfd_read(crowd.loud, &(eventfd_t){ 0 });
	cr_assert(zero(int, give(crowd.memory[0], "x", 1)));
	cr_expect(eq(sz, await_one(&crowd, 1), THINGS - 4));
	cr_assert(zero(int, give(crowd.sockets[0], "y", 1)));
	cr_expect(eq(sz, await_one(&crowd, 2), THINGS - 4), "in their order");
	cr_expect(crowd.items[THINGS - 3].is_ready);
	expect_message(crowd.memory[1], "x");
	expect_message(crowd.sockets[1], "y");
	client = knock(crowd.listener);
	cr_expect(eq(sz, await_one(&crowd, 1), THINGS - 2));
	kill(crowd.pid, SIGKILL);
	while (!crowd.items[THINGS - 1].is_ready)
		cr_assert(lt(int, 0, carom_wait(crowd.items, THINGS, soon())));
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	ended(crowd.pid);

	close(crowd.items[7].fd);
	cr_expect(eq(int, carom_wait(crowd.items, THINGS, soon()), -EBADF));
	crowd.items[7].fd = dup(crowd.silent);
	disperse(&crowd);
}

/* LC-14 */
Test(wait, deadline_is_not_rounded, .timeout = 20)
{
	MEMORY(first, second, );
	struct carom_wait_item item = CAROM_WAIT_FOR_CONNECTION(second);
	uint64_t begin = carom_now();

	cr_expect(eq(int, carom_wait(&item, 1, carom_deadline_after(CAROM_MICROSECONDS(500))),
		     -ETIMEDOUT));
	cr_expect(ge(u64, carom_now() - begin, CAROM_MICROSECONDS(500)));
}

Test(wait, what_cannot_be_waited_for_is_an_error, .timeout = 20)
{
	SOCKETS(first, second, );
	struct carom_wait_item items[] = { CAROM_WAIT_FOR_FD(-1), CAROM_WAIT_FOR_FD(9999),
					   CAROM_WAIT_FOR_CONNECTION(first) };

	carom_connection_close(first);
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, carom_wait(&items[i], 1, soon()), -EBADF));
	cr_expect(eq(int, carom_wait(items, 0, soon()), -EINVAL));
}

Test(wait, part_of_a_message_that_was_read_counts, .timeout = 20)
{
	for (int is_socket = 0; is_socket < 2; is_socket++) {
		CONNECTION first = NULL;
		CONNECTION second = NULL;
		struct carom_wait_item item;

		cr_assert(zero(int, new_pipe(&CAROM_PIPE_OPTIONS(), is_socket, &first, &second)));
		item = CAROM_WAIT_FOR_CONNECTION(second);
		cr_assert(zero(int, give(first, "too long", 8)));
		cr_expect(eq(long, take(second, NULL, 0), -EMSGSIZE));
		cr_expect(eq(int, carom_wait(&item, 1, soon()), 1));
		expect_message(second, "too long");
		cr_expect(eq(int, carom_wait(&item, 1, CAROM_PASSED), -EAGAIN));
		carom_connection_close(first);
		cr_expect(eq(int, carom_wait(&item, 1, soon()), 1), "the end");
	}
}

#define ROUNDS 20000

static void *send_rounds(void *data)
{
	struct carom_connection **ends = data;

	for (uint32_t i = 0; i < ROUNDS; i++)
		if (give(ends[i % 2], &i, sizeof(i)) < 0)
			return data;
	return NULL;
}

/* Each wait ends, or the test does not. */
Test(wait, no_message_is_missed, .timeout = 60)
{
	MEMORY(first, second, );
	MEMORY(third, fourth, );
	struct carom_connection *senders[] = { first, third };
	struct carom_wait_item items[] = { CAROM_WAIT_FOR_CONNECTION(second),
					   CAROM_WAIT_FOR_CONNECTION(fourth) };
	uint32_t got = 0, number;
	pthread_t thread;
	void *failed;

	pthread_create(&thread, NULL, send_rounds, senders);
	while (got < ROUNDS) {
		size_t size;

		cr_assert(lt(int, 0, carom_wait(items, 2, soon())));
		for (int i = 0; i < 2; i++)
			if (items[i].is_ready) {
				cr_assert(zero(int, carom_connection_recv_bytes_into(
							    items[i].connection, &number,
							    sizeof(number), CAROM_PASSED, &size)));
				got++;
			}
	}
	pthread_join(thread, &failed);
	cr_expect(eq(ptr, failed, NULL));
}
