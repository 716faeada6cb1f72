/* One wait for queues beside other things. */
#include "ipc/wait.h"

#include "tests/ipc/ends.h"

#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "core/cleanup.h"
#include "ipc/queue.h"
#include "shm/futex.h"
#include "tests/needs.h"

#define QUEUE CAROM_CLEANUP(carom_queue_freep) struct carom_queue *

TestSuite(wait_queue, .init = need_robust_lists);

/* With futex_waitv(2), and as where there is none. */
#define TEST_WITH_AND_WITHOUT_WAITV(name)                           \
	static void name(void);                                     \
	Test(wait_queue, name, .timeout = 60)                       \
	{                                                           \
		name();                                             \
	}                                                           \
	Test(wait_queue, name##_without_futex_waitv, .timeout = 60) \
	{                                                           \
		setenv("CAROM_DENY", "futex_waitv", 1);             \
		name();                                             \
	}                                                           \
	static void name(void)

static struct carom_queue *new_queue(const struct carom_queue_options *options)
{
	struct carom_queue *queue = NULL;

	cr_assert(zero(int, carom_queue_new(options, &queue)));
	return queue;
}

static int put_byte(struct carom_queue *queue)
{
	return carom_queue_put(queue, "x", 1, CAROM_PASSED);
}

static int get_byte(struct carom_queue *queue, uint64_t deadline_ns)
{
	char byte;
	size_t size;

	return carom_queue_get(queue, &byte, 1, deadline_ns, &size);
}

static uint64_t shortly(void)
{
	return carom_deadline_after(CAROM_MILLISECONDS(20));
}

/* A child whose status says which one of them was ready, and if there was another. */
static pid_t waiter(struct carom_wait_item *items, size_t count)
{
	pid_t pid = child();

	if (pid == 0) {
		int r = carom_wait(items, count, soon());

		for (size_t i = 0; r == 1 && i < count; i++)
			if (items[i].is_ready)
				_exit((int)i);
		_exit(100 + r);
	}
	await_asleep(pid);
	return pid;
}

/* A producer that has put nothing, and does not end by itself. */
static pid_t producer(struct carom_queue *queue)
{
	_Atomic uint32_t *is_one = share(4096);
	pid_t pid = child();

	if (pid == 0) {
		cr_assert(zero(int, carom_queue_add_producer(queue)));
		hold_until_killed(is_one);
	}
	await_held(is_one);
	return pid;
}

/* ---- the usual ---- */

/**
 * struct mix - one thing of each kind, and none of them ready
 * @pid: whose end @fd[1] waits for: it has the other end of that socket
 */
struct mix {
	struct carom_wait_item items[6];
	struct carom_queue *queues[2];
	struct carom_connection *memory[2];
	struct carom_connection *sockets[2];
	struct carom_listener *listener;
	int event_fd;
};

static struct mix new_mix(void)
{
	struct mix mix = { .event_fd = eventfd(0, EFD_CLOEXEC) };

	for (int i = 0; i < 2; i++)
		mix.queues[i] = new_queue(NULL);
	cr_assert(
		zero(int, new_pipe(&CAROM_PIPE_OPTIONS(), false, &mix.memory[0], &mix.memory[1])));
	cr_assert(
		zero(int, new_pipe(&CAROM_PIPE_OPTIONS(), true, &mix.sockets[0], &mix.sockets[1])));
	cr_assert(zero(int, carom_listener_new(NULL, &mix.listener)));
	mix.items[0] = CAROM_WAIT_FOR_QUEUE(mix.queues[0]);
	mix.items[1] = CAROM_WAIT_FOR_CONNECTION(mix.memory[1]);
	mix.items[2] = CAROM_WAIT_FOR_CONNECTION(mix.sockets[1]);
	mix.items[3] = CAROM_WAIT_FOR_LISTENER(mix.listener);
	mix.items[4] = CAROM_WAIT_FOR_FD(mix.event_fd);
	mix.items[5] = CAROM_WAIT_FOR_QUEUE(mix.queues[1]);
	return mix;
}

static void free_mix(struct mix *mix)
{
	for (int i = 0; i < 2; i++) {
		carom_queue_free(mix->queues[i]);
		carom_connection_free(mix->memory[i]);
		carom_connection_free(mix->sockets[i]);
	}
	carom_listener_free(mix->listener);
	close(mix->event_fd);
}

TEST_WITH_AND_WITHOUT_WAITV(ends_for_whichever_of_a_mix_is_ready_first)
{
	struct mix mix = new_mix();
	pid_t pid;

	cr_expect(eq(int, carom_wait(mix.items, 6, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(int, carom_wait(mix.items, 6, shortly()), -ETIMEDOUT));
	pid = waiter(mix.items, 6);
	cr_assert(zero(int, put_byte(mix.queues[0])));
	cr_expect(eq(int, ended(pid), 0));
	cr_assert(zero(int, get_byte(mix.queues[0], CAROM_PASSED)));
	pid = waiter(mix.items, 6);
	cr_assert(zero(int, give(mix.memory[0], "x", 1)));
	cr_expect(eq(int, ended(pid), 1));
	expect_message(mix.memory[1], "x");
	pid = waiter(mix.items, 6);
	cr_assert(zero(int, give(mix.sockets[0], "y", 1)));
	cr_expect(eq(int, ended(pid), 2));
	expect_message(mix.sockets[1], "y");
	pid = waiter(mix.items, 6);
	cr_assert(zero(int, put_byte(mix.queues[1])));
	cr_expect(eq(int, ended(pid), 5));
	eventfd_write(mix.event_fd, 1);
	cr_expect(eq(int, carom_wait(mix.items, 6, soon()), 2), "all that are ready are told");
	cr_expect(mix.items[4].is_ready);
	cr_expect(mix.items[5].is_ready);
	cr_expect(not(mix.items[0].is_ready));
	free_mix(&mix);
}

TEST_WITH_AND_WITHOUT_WAITV(of_queues_alone_ends_for_the_first)
{
	QUEUE first = new_queue(NULL);
	QUEUE second = new_queue(NULL);
	struct carom_wait_item items[] = { CAROM_WAIT_FOR_QUEUE(first),
					   CAROM_WAIT_FOR_QUEUE(second) };
	uint64_t begin = carom_now();
	pid_t pid;

	cr_expect(eq(int, carom_wait(items, 2, carom_deadline_after(CAROM_MILLISECONDS(10))),
		     -ETIMEDOUT));
	cr_expect(ge(u64, carom_now() - begin, CAROM_MILLISECONDS(10)));
	pid = waiter(items, 2);
	cr_assert(zero(int, put_byte(second)));
	cr_expect(eq(int, ended(pid), 1));
	cr_expect(eq(int, carom_wait(items, 2, soon()), 1), "there already");
	cr_expect(items[1].is_ready);
}

TEST_WITH_AND_WITHOUT_WAITV(may_have_the_same_queue_twice)
{
	QUEUE queue = new_queue(NULL);
	struct carom_wait_item items[] = { CAROM_WAIT_FOR_QUEUE(queue), CAROM_WAIT_FOR_QUEUE(queue),
					   CAROM_WAIT_FOR_FD(eventfd(0, EFD_CLOEXEC)) };
	pid_t pid = waiter(items, 3);

	cr_assert(zero(int, put_byte(queue)));
	cr_expect(eq(int, ended(pid), 102), "both");
	cr_expect(eq(int, carom_wait(items, 3, soon()), 2));
	close(items[2].fd);
}

/* ---- the end ---- */

TEST_WITH_AND_WITHOUT_WAITV(ends_when_the_last_producer_dies)
{
	for (int beside = 0; beside < 2; beside++) {
		QUEUE queue = new_queue(NULL);
		struct carom_wait_item items[] = { CAROM_WAIT_FOR_QUEUE(queue),
						   CAROM_WAIT_FOR_FD(eventfd(0, EFD_CLOEXEC)) };
		pid_t first = producer(queue), second = producer(queue);
		pid_t pid = waiter(items, (size_t)beside + 1);

		cr_expect(eq(int, killed(first), -SIGKILL));
		cr_expect(eq(int, carom_wait(items, 1, shortly()), -ETIMEDOUT));
		cr_expect(eq(int, killed(second), -SIGKILL));
		cr_expect(eq(int, ended(pid), 0));
		cr_expect(eq(int, carom_wait(items, 1, soon()), 1));
		cr_expect(eq(int, get_byte(queue, CAROM_PASSED), -EPIPE));
		close(items[1].fd);
	}
}

Test(wait_queue, ends_with_the_queue_in_every_way, .timeout = 60)
{
	for (int way = 0; way < 4; way++) {
		QUEUE queue = new_queue(NULL);
		struct carom_wait_item item = CAROM_WAIT_FOR_QUEUE(queue);
		pid_t pid;

		cr_assert(zero(int, carom_queue_add_producer(queue)));
		pid = waiter(&item, 1);
		if (way == 0)
			carom_queue_close(queue);
		else if (way == 1)
			carom_queue_abort(queue);
		else
			carom_queue_shutdown(queue, way == 3);
		cr_expect(eq(int, ended(pid), 0), "way %d", way);
	}
}

/* What a dead one has not done comes back: until then it is not the end, and then there is something. */
Test(wait_queue, goes_on_while_a_task_may_come_back, .timeout = 60)
{
	QUEUE queue = new_queue(&CAROM_QUEUE_OPTIONS(.tasks = CAROM_QUEUE_TASKS_REQUEUE));
	struct carom_wait_item item = CAROM_WAIT_FOR_QUEUE(queue);
	_Atomic uint32_t *has_it = share(4096);
	pid_t consumer;

	cr_assert(zero(int, put_byte(queue)));
	consumer = child();
	if (consumer == 0) {
		cr_assert(zero(int, get_byte(queue, soon())));
		hold_until_killed(has_it);
	}
	await_held(has_it);
	carom_queue_close(queue);
	cr_expect(eq(int, carom_wait(&item, 1, shortly()), -ETIMEDOUT));
	cr_expect(eq(int, killed(consumer), -SIGKILL));
	cr_expect(eq(int, carom_wait(&item, 1, soon()), 1));
	cr_expect(zero(int, get_byte(queue, CAROM_PASSED)));
	cr_expect(zero(int, carom_queue_task_done(queue)));
	cr_expect(eq(int, carom_wait(&item, 1, soon()), 1));
	cr_expect(eq(int, get_byte(queue, CAROM_PASSED), -EPIPE));
}

Test(wait_queue, ends_at_once_for_who_gets_nothing_more, .timeout = 60)
{
	QUEUE queue = new_queue(NULL);
	struct carom_wait_item item = CAROM_WAIT_FOR_QUEUE(queue);

	carom_queue_close_consumer(queue);
	cr_expect(eq(int, carom_wait(&item, 1, soon()), 1));
}

/* ---- those who get beside those who watch ---- */

static pid_t getter(struct carom_queue *queue)
{
	pid_t pid = child();

	if (pid == 0)
		_exit(-get_byte(queue, soon()));
	await_asleep(pid);
	return pid;
}

static void stop(pid_t pid)
{
	int status;

	kill(pid, SIGSTOP);
	cr_assert(eq(int, waitpid(pid, &status, WUNTRACED), pid));
	cr_assert(ne(int, WIFSTOPPED(status), 0));
}

/* It was there first: were it woken instead of a getter, nobody would see to the message. */
TEST_WITH_AND_WITHOUT_WAITV(that_is_stopped_keeps_no_message_from_a_getter)
{
	for (int beside = 0; beside < 2; beside++) {
		QUEUE queue = new_queue(NULL);
		struct carom_wait_item items[] = { CAROM_WAIT_FOR_QUEUE(queue),
						   CAROM_WAIT_FOR_FD(eventfd(0, EFD_CLOEXEC)) };
		pid_t watching = waiter(items, (size_t)beside + 1);
		pid_t getting;

		stop(watching);
		getting = getter(queue);
		cr_assert(zero(int, put_byte(queue)));
		cr_expect(zero(int, ended(getting)));
		cr_expect(eq(int, killed(watching), -SIGKILL));
		close(items[1].fd);
	}
}

/* Whoever waits dies at some moment, and of each message somebody else hears. */
Test(wait_queue, that_is_killed_leaves_nobody_asleep, .timeout = 120)
{
	QUEUE queue = new_queue(NULL);
	struct carom_wait_item items[] = { CAROM_WAIT_FOR_QUEUE(queue),
					   CAROM_WAIT_FOR_FD(eventfd(0, EFD_CLOEXEC)) };

	for (int i = 0; i < 100; i++) {
		pid_t getting, watching = child();

		if (watching == 0)
			for (;;)
				carom_wait(items, (size_t)i % 2 + 1, CAROM_NO_DEADLINE);
		getting = getter(queue);
		if (i % 3)
			await_asleep(watching);
		if (i & 1) {
			cr_assert(zero(int, put_byte(queue)));
			kill(watching, SIGKILL);
		} else {
			kill(watching, SIGKILL);
			cr_assert(zero(int, put_byte(queue)));
		}
		cr_expect(zero(int, ended(getting)));
		cr_expect(eq(int, ended(watching), -SIGKILL));
	}
	close(items[1].fd);
}

/* ---- very many ---- */

#define KINDS  4
#define THINGS 1000

/* LC-13 */
Test(wait_queue, of_a_thousand_things_tells_which_are_ready, .timeout = 60)
{
	static struct carom_wait_item items[THINGS];
	static struct carom_queue *queues[THINGS / KINDS];
	struct rlimit limit;
	int fd = eventfd(0, EFD_CLOEXEC), loud = eventfd(0, EFD_CLOEXEC);
	pid_t pid;

#ifdef __SANITIZE_ADDRESS__
	/* forked while threads that see to the queues begin and end */
	cr_skip_test("AddressSanitizer's own locks are inherited as they are");
#endif
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 2 * THINGS)
		cr_skip_test("skipped: not so many descriptors are allowed here");
	for (size_t i = 0; i < THINGS; i++) {
		if (i % KINDS == 0) {
			queues[i / KINDS] =
				new_queue(&CAROM_QUEUE_OPTIONS(.bytes_max = 1, .process_max = 8));
			items[i] = CAROM_WAIT_FOR_QUEUE(queues[i / KINDS]);
		} else {
			items[i] = CAROM_WAIT_FOR_FD(fd);
		}
	}
	items[THINGS - 1] = CAROM_WAIT_FOR_FD(loud);
	cr_expect(eq(int, carom_wait(items, THINGS, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(int, carom_wait(items, THINGS, shortly()), -ETIMEDOUT));
	pid = child();
	if (pid == 0)
		_exit(carom_wait(items, THINGS, soon()) != 1 || !items[800].is_ready);
	await_asleep(pid);
	cr_assert(zero(int, put_byte(queues[200])));
	cr_expect(zero(int, ended(pid)));
	eventfd_write(loud, 1);
	cr_expect(eq(int, carom_wait(items, THINGS, soon()), 2));
	cr_expect(items[800].is_ready);
	cr_expect(items[THINGS - 1].is_ready);
	for (size_t i = 0; i < THINGS / KINDS; i++)
		carom_queue_free(queues[i]);
}

/* ---- what it leaves behind ---- */

Test(wait_queue, leaves_no_descriptor_and_no_thread_behind, .timeout = 60)
{
	int before = open_fd_count();
	struct carom_queue *queue = new_queue(NULL);
	int fd = eventfd(0, EFD_CLOEXEC);
	struct carom_wait_item items[] = { CAROM_WAIT_FOR_QUEUE(queue), CAROM_WAIT_FOR_FD(fd) };

	for (int i = 0; i < 10; i++) {
		cr_expect(eq(int,
			     carom_wait(items, 2, carom_deadline_after(CAROM_MICROSECONDS(100))),
			     -ETIMEDOUT));
	}
	carom_queue_free(queue);
	close(fd);
	cr_expect(eq(int, open_fd_count(), before));
}
