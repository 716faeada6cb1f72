/* Queue: messages of any number of processes to any number of others. */
#include "tests/ipc/ends.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "core/cleanup.h"
#include "core/memory_room.h"
#include "core/points.h"
#include "ipc/passing.h"
#include "ipc/queue.h"
#include "tests/core/methods.h"
#include "tests/ipc/share.h"
#include "tests/needs.h"

#define QUEUE(queue, ...)                                                  \
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *queue = NULL; \
	cr_assert(zero(int, carom_queue_new(&CAROM_QUEUE_OPTIONS(__VA_ARGS__), &queue)))

/* A short while, for what is to be waited for in vain. */
static uint64_t shortly(void)
{
	return carom_deadline_after(CAROM_MILLISECONDS(20));
}

static int put_number(struct carom_queue *queue, uint64_t number, uint64_t deadline_ns)
{
	return carom_queue_put(queue, &number, sizeof(number), deadline_ns);
}

/* Return: the number, or the error, which is below 0. */
static int64_t get_number(struct carom_queue *queue, uint64_t deadline_ns)
{
	int64_t number = 0;
	size_t size = 0;
	int r = carom_queue_get(queue, &number, sizeof(number), deadline_ns, &size);

	if (r < 0)
		return r;
	return size == sizeof(number) ? number : -EBADMSG;
}

#define PUT(queue, number)        cr_assert(zero(int, put_number(queue, number, soon())))
#define EXPECT_GET(queue, number) cr_expect(eq(i64, get_number(queue, soon()), number))

static pid_t getter(struct carom_queue *queue)
{
	pid_t pid = child();

	if (pid == 0) {
		int64_t r = get_number(queue, CAROM_NO_DEADLINE);

		_exit((int)(r < 0 ? -r : 0));
	}
	await_asleep(pid);
	return pid;
}

static pid_t putter(struct carom_queue *queue)
{
	pid_t pid = child();

	if (pid == 0)
		_exit(-put_number(queue, 77, CAROM_NO_DEADLINE));
	await_asleep(pid);
	return pid;
}

/* ---- the usual ---- */
/* a queue stands on a lock */
TestSuite(queue, .init = need_robust_lists);

Test(queue, carries_what_one_process_puts_to_another, .timeout = 60)
{
	QUEUE(queue);
	char text[16];
	size_t size = 0;
	pid_t pid = child();

	if (pid == 0)
		_exit(-carom_queue_put(queue, "hello", 6, soon()));
	cr_assert(zero(int, carom_queue_get(queue, text, sizeof(text), soon(), &size)));
	cr_expect(eq(sz, size, 6));
	cr_expect(eq(str, text, (char *)"hello"));
	cr_expect(zero(int, ended(pid)));
}

/* QU-25 */
Test(queue, takes_messages_of_any_size_as_they_are, .timeout = 60)
{
	static const size_t sizes[] = { 0,    1,    15,   16,   17,    4047,  4048,   4049,
					4063, 4064, 4065, 4080, 8143,  8144,  8145,   100000,
					0,    1,    0,    4096, 65536, 65537, 1000000 };
	unsigned char *sent = malloc(1000000);
	QUEUE(queue);

	for (size_t i = 0; i < 1000000; i++)
		sent[i] = (unsigned char)(i * 31 + i / 251);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
			cr_assert(zero(int,
				       carom_queue_put(queue, sent + i,
						       sizes[i] - (sizes[i] > i ? i : 0), soon())));
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
			size_t size = 0, expected = sizes[i] - (sizes[i] > i ? i : 0);
			void *got = NULL;

			cr_assert(zero(int, carom_queue_get_bytes(queue, 0, soon(), &got, &size)));
			cr_assert(eq(sz, size, expected));
			cr_assert(zero(int, memcmp(got, sent + i, size)));
			free(got);
		}
		cr_expect(carom_queue_is_empty(queue));
	}
	free(sent);
}

Test(queue, says_no_length_to_who_does_not_ask, .timeout = 60)
{
	QUEUE(queue);
	void *data = NULL;
	int number = 0;

	for (int i = 1; i <= 3; i++)
		cr_assert(zero(int, carom_queue_put(queue, &i, sizeof(i), soon())));
	cr_expect(eq(int, carom_queue_get(queue, &number, 1, soon(), NULL), -EMSGSIZE));
	cr_expect(zero(int, carom_queue_get(queue, &number, sizeof(number), soon(), NULL)));
	cr_expect(eq(int, number, 1));
	cr_expect(eq(int, carom_queue_get_bytes(queue, 1, soon(), &data, NULL), -EMSGSIZE));
	cr_expect(zero(int, carom_queue_get_bytes(queue, 0, soon(), &data, NULL)));
	cr_expect(eq(int, *(int *)data, 2));
	free(data);
}

Test(queue, goes_round_its_memory, .timeout = 60)
{
	QUEUE(queue, .bytes_max = 20000);
	unsigned char sent[3000], got[3000];
	uint64_t seed = new_seed();
	uint32_t first = 0, last = 0, sizes[1024];

	for (int i = 0; i < 20000; i++) {
		size_t size;

		sizes[last % 1024] = chance(&seed) % sizeof(sent);
		memset(sent, (int)last, sizeof(sent));
		if (carom_queue_put(queue, sent, sizes[last % 1024], CAROM_PASSED) == 0)
			last++;
		if (chance(&seed) % 3 == 0)
			continue;
		if (carom_queue_get(queue, got, sizeof(got), CAROM_PASSED, &size) == 0) {
			memset(sent, (int)first, sizeof(sent));
			cr_assert(eq(sz, size, sizes[first % 1024]));
			cr_assert(zero(int, memcmp(sent, got, size)));
			first++;
		}
		cr_assert(eq(u32, carom_queue_qsize(queue), last - first));
	}
	cr_expect(lt(u32, 1000, last));
}

/* ---- waiting ---- */

/* QU-02 */
Test(queue, that_is_full_makes_a_putter_wait_until_its_deadline, .timeout = 60)
{
	QUEUE(queue, .size_max = 2);
	uint64_t before;

	PUT(queue, 1);
	PUT(queue, 2);
	before = carom_now();
	cr_expect(eq(int, put_number(queue, 3, carom_deadline_after(CAROM_MILLISECONDS(100))),
		     -ETIMEDOUT));
	cr_expect(ge(u64, carom_now() - before, CAROM_MILLISECONDS(100)));
	cr_expect(eq(u32, carom_queue_qsize(queue), 2));
	EXPECT_GET(queue, 1);
	PUT(queue, 3);
	EXPECT_GET(queue, 2);
	EXPECT_GET(queue, 3);
}

/* QU-03 */
Test(queue, that_is_empty_makes_a_getter_wait_until_its_deadline, .timeout = 60)
{
	QUEUE(queue);
	uint64_t before = carom_now(), waited;

	cr_expect(eq(i64, get_number(queue, carom_deadline_after(CAROM_MILLISECONDS(100))),
		     -ETIMEDOUT));
	waited = carom_now() - before;
	cr_expect(ge(u64, waited, CAROM_MILLISECONDS(100)));
	cr_expect(lt(u64, waited, CAROM_SECONDS(5))); /* the machine may be busy */
}

static long switches(void)
{
	struct rusage usage;

	cr_assert(zero(int, getrusage(RUSAGE_THREAD, &usage)));
	return usage.ru_nvcsw;
}

/* QU-04 */
Test(queue, says_at_once_that_it_is_empty_or_full, .timeout = 60)
{
	QUEUE(queue, .size_max = 1);
	long before;

	cr_expect(eq(i64, get_number(queue, CAROM_PASSED), -EAGAIN));
	PUT(queue, 1);
	before = switches();
	for (int i = 0; i < 1000; i++) {
		cr_assert(eq(int, put_number(queue, 2, CAROM_PASSED), -EAGAIN));
	}
	EXPECT_GET(queue, 1);
	for (int i = 0; i < 1000; i++)
		cr_assert(eq(i64, get_number(queue, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(long, switches(), before));
}

Test(queue, wakes_a_getter_by_a_put_and_a_putter_by_a_get, .timeout = 60)
{
	QUEUE(queue, .size_max = 1);
	pid_t pid = getter(queue);

	PUT(queue, 1);
	cr_expect(zero(int, ended(pid)));
	PUT(queue, 2);
	pid = putter(queue);
	EXPECT_GET(queue, 2);
	cr_expect(zero(int, ended(pid)));
	EXPECT_GET(queue, 77);
}

Test(queue, wakes_as_many_as_there_are_messages, .timeout = 60)
{
	QUEUE(queue);
	pid_t pids[5];

	for (int i = 0; i < 5; i++)
		pids[i] = getter(queue);
	for (int i = 0; i < 5; i++)
		PUT(queue, 1);
	for (int i = 0; i < 5; i++)
		cr_expect(zero(int, ended(pids[i])));
}

/* One that waits for much does not keep those asleep that need little. */
Test(queue, wakes_all_who_wait_for_room, .timeout = 60)
{
	QUEUE(queue, .bytes_max = 100000);
	static char large[90000];
	pid_t big, small;
	size_t size;
	int count = 0;

	while (carom_queue_put(queue, large, 4500, CAROM_PASSED) == 0)
		count++;
	big = child();
	if (big == 0)
		_exit(-carom_queue_put(queue, large, sizeof(large), CAROM_NO_DEADLINE));
	await_asleep(big);
	small = child();
	if (small == 0)
		_exit(-carom_queue_put(queue, large, 9000, CAROM_NO_DEADLINE));
	await_asleep(small);
	for (int i = 0; i < 4; i++)
		cr_assert(zero(int, carom_queue_get(queue, large, 4500, soon(), &size)));
	cr_expect(zero(int, ended(small)));
	for (int i = 0; i < count - 4 + 2; i++)
		cr_assert(zero(int, carom_queue_get(queue, large, sizeof(large), soon(), &size)));
	cr_expect(zero(int, ended(big)));
}

/* One who was stopped inside a put holds the lock; a deadline is a deadline all the same. */
Test(queue, keeps_deadlines_though_somebody_was_stopped, .timeout = 60)
{
	QUEUE(queue);
	pid_t pid;
	int status;

	if (carom_point_arm_once("queue.written", 1, SIGSTOP) < 0)
		cr_skip_test("skipped: this build has no points");
	pid = child();
	if (pid == 0)
		_exit(-put_number(queue, 1, CAROM_NO_DEADLINE));
	cr_assert(eq(int, waitpid(pid, &status, WUNTRACED), pid));
	cr_assert(eq(int, status, SIGSTOP << 8 | 0x7f));
	cr_expect(eq(int, put_number(queue, 2, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(int, put_number(queue, 2, shortly()), -ETIMEDOUT));
	cr_expect(eq(i64, get_number(queue, shortly()), -ETIMEDOUT)); /* it is not there yet */
	kill(pid, SIGCONT);
	EXPECT_GET(queue, 1);
	cr_expect(zero(int, ended(pid)));
	carom_point_disarm_all();
}

/* No message can kill its putter by taking more memory than there is. */
Test(queue, says_that_there_is_no_memory, .timeout = 60)
{
	QUEUE(queue, .bytes_max = CAROM_QUEUE_BYTES_MAX);
	uint64_t size = CAROM_GIB(31), room = carom_memory_room("");
	void *data;

	if (room >= size)
		cr_skip_test("skipped: this machine has more memory than a queue can take");
	data = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	cr_assert(ne(ptr, data, MAP_FAILED));
	cr_expect(eq(int, carom_queue_put(queue, data, size, soon()), -ENOMEM));
	PUT(queue, 1);
	EXPECT_GET(queue, 1);
	munmap(data, size);
}

/* ---- how many ---- */

/* QU-05 */
Test(queue, says_in_every_process_how_many_messages_it_has, .timeout = 60)
{
	QUEUE(queue);
	pid_t pid;

	for (uint64_t i = 0; i < 5; i++)
		PUT(queue, i);
	EXPECT_GET(queue, 0);
	EXPECT_GET(queue, 1);
	cr_expect(eq(u32, carom_queue_qsize(queue), 3));
	pid = child();
	if (pid == 0)
		_exit((int)carom_queue_qsize(queue));
	cr_expect(eq(int, ended(pid), 3));
}

/* QU-06 */
Test(queue, is_not_empty_as_soon_as_something_was_put, .timeout = 60)
{
	QUEUE(queue);

	for (uint64_t i = 0; i < 1000; i++) {
		cr_assert(carom_queue_is_empty(queue));
		PUT(queue, i);
		cr_assert(not(carom_queue_is_empty(queue)));
		EXPECT_GET(queue, (int64_t)i);
	}
}

/* QU-07 */
Test(queue, is_full_by_what_two_processes_put, .timeout = 60)
{
	QUEUE(queue, .size_max = 2);
	pid_t pid;

	PUT(queue, 1);
	cr_expect(not(carom_queue_is_full(queue)));
	pid = child();
	if (pid == 0)
		_exit(-put_number(queue, 2, soon()));
	cr_expect(zero(int, ended(pid)));
	cr_expect(carom_queue_is_full(queue));
}

/* QU-24 */
Test(queue, that_is_full_has_taken_nothing_of_what_it_refused, .timeout = 60)
{
	QUEUE(queue, .bytes_max = 10000);
	static char data[6000];
	size_t size;
	int count = 0;

	while (carom_queue_put(queue, data, 3000, CAROM_PASSED) == 0)
		count++;
	cr_expect(eq(int, carom_queue_put(queue, data, 6000, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(u32, carom_queue_qsize(queue), (uint32_t)count));
	for (int i = 0; i < count; i++) {
		cr_assert(
			zero(int, carom_queue_get(queue, data, sizeof(data), CAROM_PASSED, &size)));
		cr_expect(eq(sz, size, 3000));
	}
	cr_expect(carom_queue_is_empty(queue));
}

/* ---- sides ---- */

/* QU-08 */
Test(queue, that_one_has_closed_is_read_to_its_end_by_another, .timeout = 60)
{
	QUEUE(queue);
	pid_t pid = child();

	if (pid == 0) {
		for (uint64_t i = 0; i < 3; i++)
			if (put_number(queue, i, soon()) < 0)
				_exit(1);
		carom_queue_close(queue);
		if (put_number(queue, 9, soon()) != -ESHUTDOWN)
			_exit(2);
		pause();
	}
	for (int64_t i = 0; i < 3; i++)
		EXPECT_GET(queue, i);
	cr_expect(eq(i64, get_number(queue, soon()), -EPIPE));
	PUT(queue, 4); /* another producer */
	EXPECT_GET(queue, 4);
	cr_expect(eq(int, killed(pid), -SIGKILL));
}

/* QU-18 */
Test(queue, ends_for_a_getter_when_its_last_producer_dies, .timeout = 60)
{
	QUEUE(queue, .producer_count = 2);
	pid_t producers[2], pid;

	for (int i = 0; i < 2; i++) {
		producers[i] = child();
		if (producers[i] == 0) {
			put_number(queue, 1, soon());
			for (;;)
				pause();
		}
		EXPECT_GET(queue, 1);
		if (i == 0) {
			cr_expect(eq(int, killed(producers[0]), -SIGKILL));
			cr_expect(eq(i64, get_number(queue, shortly()), -ETIMEDOUT));
		}
	}
	pid = getter(queue);
	cr_expect(eq(i64, get_number(queue, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(int, killed(producers[1]), -SIGKILL));
	cr_expect(eq(int, ended(pid), EPIPE));
	cr_expect(eq(i64, get_number(queue, CAROM_PASSED), -EPIPE));
}

/* ER-13 */
Test(queue, tells_empty_from_full_and_from_its_end, .timeout = 60)
{
	QUEUE(queue, .size_max = 1);

	cr_expect(eq(i64, get_number(queue, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(i64, get_number(queue, shortly()), -ETIMEDOUT));
	PUT(queue, 1);
	cr_expect(eq(int, put_number(queue, 2, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(int, put_number(queue, 2, shortly()), -ETIMEDOUT));
	EXPECT_GET(queue, 1);
	carom_queue_close(queue);
	cr_expect(eq(i64, get_number(queue, shortly()), -EPIPE));
	cr_expect(eq(int, put_number(queue, 2, shortly()), -ESHUTDOWN));
	carom_queue_close_consumer(queue);
	cr_expect(eq(i64, get_number(queue, shortly()), -ESHUTDOWN));
}

Test(queue, does_not_end_as_long_as_one_may_put, .timeout = 60)
{
	QUEUE(queue);
	pid_t pid;

	cr_expect(zero(int, carom_queue_add_producer(queue)));
	pid = child();
	if (pid == 0)
		_exit(-put_number(queue, 1, soon()));
	cr_expect(zero(int, ended(pid)));
	EXPECT_GET(queue, 1);
	cr_expect(eq(i64, get_number(queue, shortly()), -ETIMEDOUT));
	carom_queue_close(queue);
	cr_expect(eq(i64, get_number(queue, soon()), -EPIPE));
	cr_expect(eq(int, carom_queue_add_producer(queue), -ESHUTDOWN));
}

/* QU-14 */
Test(queue, that_needs_consumers_says_quietly_that_they_are_gone, .timeout = 60)
{
	QUEUE(queue, .size_max = 2, .needs_consumers = true);
	pid_t consumer, blocked;

	PUT(queue, 1); /* none has come yet */
	consumer = child();
	if (consumer == 0) {
		get_number(queue, soon());
		for (;;)
			pause();
	}
	await(carom_queue_is_empty(queue));
	PUT(queue, 2);
	PUT(queue, 3);
	blocked = putter(queue);
	signal(SIGPIPE, SIG_DFL);
	cr_expect(eq(int, killed(consumer), -SIGKILL));
	cr_expect(eq(int, ended(blocked), EPIPE));
	cr_expect(eq(int, put_number(queue, 4, soon()), -EPIPE));
}

/* ---- in shared memory when it was put ---- */

/* QU-09 */
Test(queue, has_for_everybody_what_was_put_a_moment_ago, .timeout = 60)
{
	QUEUE(queue);
	int pipe_fds[2];
	pid_t pid;
	char byte;

	cr_assert(zero(int, pipe(pipe_fds)));
	pid = child();
	if (pid == 0) {
		for (int64_t i = 0; i < 1000; i++)
			if (read(pipe_fds[0], &byte, 1) != 1 ||
			    get_number(queue, CAROM_PASSED) != i)
				_exit(1);
		_exit(0);
	}
	for (uint64_t i = 0; i < 1000; i++) {
		PUT(queue, i);
		cr_assert(eq(int, (int)write(pipe_fds[1], "!", 1), 1));
	}
	cr_expect(zero(int, ended(pid)));
}

/* QU-10 */
Test(queue, keeps_100_megabytes_of_one_that_has_ended, .timeout = 120)
{
	QUEUE(queue, .bytes_max = CAROM_MIB(128));
	size_t count = 100, length = 1000000;
	pid_t pid = child();

	if (pid == 0) {
		char *data = malloc(length);

		for (size_t i = 0; i < count; i++) {
			memset(data, (int)i, length);
			if (carom_queue_put(queue, data, length, soon()) < 0)
				_exit(1);
		}
		_exit(0);
	}
	cr_assert(zero(int, ended(pid))); /* before anything is read */
	for (size_t i = 0; i < count; i++) {
		size_t size = 0;
		void *data = NULL;

		cr_assert(zero(int, carom_queue_get_bytes(queue, 0, soon(), &data, &size)));
		cr_assert(eq(sz, size, length));
		cr_expect(eq(chr, *(char *)data, (char)i));
		cr_expect(eq(chr, ((char *)data)[length - 1], (char)i));
		free(data);
	}
	cr_expect(eq(i64, get_number(queue, soon()), -EPIPE));
}

/* QU-11 */
Test(queue, has_all_of_one_that_ends_right_after_its_put, .timeout = 60)
{
	QUEUE(queue);

	for (int64_t i = 0; i < 20; i++) {
		pid_t pid = child();

		if (pid == 0) {
			put_number(queue, (uint64_t)i, soon());
			raise(SIGKILL);
		}
		cr_expect(eq(int, ended(pid), -SIGKILL));
		EXPECT_GET(queue, i);
	}
}

static int thread_count(void)
{
	DIR *directory = opendir("/proc/self/task");
	int count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 2;
}

/* QU-26 */
Test(queue, needs_no_thread_to_feed_it, .timeout = 60)
{
	QUEUE(queue);
	QUEUE(other);
	int first = thread_count(), before;

	PUT(queue, 1); /* with the thread that tells of deaths, one a process */
	before = thread_count();
	cr_expect(le(int, before, first + 1));
	PUT(queue, 2);
	PUT(other, 3);
	cr_expect(eq(int, thread_count(), before));
}

/* QU-13 */
Test(queue, tells_who_puts_what_is_wrong_and_goes_on, .timeout = 60)
{
	QUEUE(queue, .bytes_max = 10000);
	static char data[30000];

	cr_expect(eq(int, carom_queue_put(queue, NULL, 1, soon()), -EINVAL));
	cr_expect(eq(int, carom_queue_put(queue, data, sizeof(data), soon()), -EMSGSIZE));
	cr_expect(eq(int, carom_queue_put(queue, data, SIZE_MAX, soon()), -EMSGSIZE));
	cr_expect(zero(int, carom_queue_put(queue, NULL, 0, soon())));
	cr_expect(eq(u32, carom_queue_qsize(queue), 1));
	PUT(queue, 5);
	EXPECT_GET(queue, -EBADMSG);
	EXPECT_GET(queue, 5);
}

Test(queue, keeps_a_message_for_which_the_buffer_is_too_small, .timeout = 60)
{
	QUEUE(queue);
	char small[4], large[8];
	size_t size = 0;
	void *data = NULL;

	cr_assert(zero(int, carom_queue_put(queue, "1234567", 8, soon())));
	cr_expect(eq(int, carom_queue_get(queue, small, sizeof(small), soon(), &size), -EMSGSIZE));
	cr_expect(eq(sz, size, 8));
	cr_expect(eq(int, carom_queue_get_bytes(queue, 7, soon(), &data, &size), -EMSGSIZE));
	cr_expect(eq(ptr, data, NULL));
	cr_expect(eq(u32, carom_queue_qsize(queue), 1));
	cr_expect(zero(int, carom_queue_get(queue, large, sizeof(large), soon(), &size)));
	cr_expect(eq(str, large, (char *)"1234567"));
}

/* ---- many at once ---- */

#define CREW 4

/**
 * struct tally - what the crew says; shared
 * @seen: of each message, by whom it was got, counted from 1
 */
struct tally {
	_Atomic uint32_t disorder;
	_Atomic uint32_t got;
	_Atomic uint8_t seen[];
};

static uint32_t many(uint32_t plain)
{
#ifdef __SANITIZE_ADDRESS__
	return plain / 20;
#else
	return plain;
#endif
}

/* The number says who, and which one of his. */
static int produce(struct carom_queue *queue, uint32_t who, uint32_t count)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = put_number(queue, (uint64_t)who << 32 | i, CAROM_NO_DEADLINE);
	return -r;
}

static int consume(struct carom_queue *queue, struct tally *tally, uint32_t count)
{
	int64_t number, next[CREW] = { 0 };

	while ((number = get_number(queue, CAROM_NO_DEADLINE)) >= 0) {
		uint32_t who = (uint32_t)(number >> 32), which = (uint32_t)number;

		if (which < next[who])
			atomic_fetch_add(&tally->disorder, 1);
		next[who] = which + 1;
		atomic_fetch_add(&tally->seen[who * count + which], 1);
		atomic_fetch_add(&tally->got, 1);
	}
	return number == -EPIPE ? 0 : (int)-number;
}

static void run_crew(struct carom_queue *queue, uint32_t producers, uint32_t consumers,
		     uint32_t count)
{
	struct tally *tally = share(sizeof(*tally) + (size_t)producers * count);
	pid_t pids[2 * CREW];

	for (uint32_t i = 0; i < producers + consumers; i++) {
		pids[i] = child();
		if (pids[i] == 0)
			_exit(i < producers ? produce(queue, i, count)
					    : consume(queue, tally, count));
	}
	for (uint32_t i = 0; i < producers + consumers; i++)
		cr_expect(zero(int, ended(pids[i])));
	cr_expect(zero(u32, tally->disorder));
	cr_expect(eq(u32, tally->got, producers * count));
	for (uint32_t i = 0; i < producers * count; i++)
		cr_assert(eq(u8, tally->seen[i], 1), "message %u", i);
	munmap(tally, sizeof(*tally) + (size_t)producers * count);
}

/* QU-01 */
Test(queue, loses_nothing_of_a_million_between_four_and_four, .timeout = 200)
{
	QUEUE(queue, .producer_count = CREW);

	run_crew(queue, CREW, CREW, many(1000000) / CREW);
}

Test(queue, loses_nothing_when_it_is_full_most_of_the_time, .timeout = 200)
{
	QUEUE(queue, .producer_count = CREW, .size_max = 3);

	run_crew(queue, CREW, CREW, many(40000) / CREW);
}

Test(queue, loses_nothing_when_its_bytes_are_few, .timeout = 200)
{
	QUEUE(queue, .producer_count = CREW, .bytes_max = 4000);

	run_crew(queue, CREW, CREW, many(100000) / CREW);
}

/* QU-12 */
Test(queue, has_one_order_for_all, .timeout = 120)
{
	QUEUE(queue, .producer_count = 2);
	QUEUE(other, .producer_count = 2);

	run_crew(queue, 2, 1, many(100000) / 2);
	run_crew(other, 2, 2, many(100000) / 2);
}

/* ---- handles ---- */

/* QU-19 */
Test(queue, is_one_before_and_after_a_fork, .timeout = 60)
{
	QUEUE(queue);
	pid_t pid;

	PUT(queue, 1);
	pid = child();
	if (pid == 0)
		_exit(-put_number(queue, 2, soon()));
	cr_expect(zero(int, ended(pid)));
	EXPECT_GET(queue, 1);
	EXPECT_GET(queue, 2);
	cr_expect(eq(i64, get_number(queue, CAROM_PASSED), -EAGAIN));
}

/* QU-20 */
Test(queue, goes_through_a_connection, .timeout = 60)
{
	PIPE(mine, theirs);
	QUEUE(answers);
	pid_t pid = child();

	if (pid == 0) {
		struct carom_queue *queue = NULL;
		int fd = -1;

		if (carom_connection_recv_fd(theirs, soon(), &fd) < 0 ||
		    carom_queue_attach_dup(fd, &queue) < 0)
			_exit(1);
		close(fd);
		if (put_number(answers, (uint64_t)get_number(queue, soon()) + 1, soon()) < 0)
			_exit(2);
		carom_queue_free(queue);
		_exit(0);
	} else {
		QUEUE(queue); /* which the child does not inherit */

		cr_assert(zero(int, carom_connection_send_fd(mine, carom_queue_fd(queue), soon())));
		PUT(queue, 41);
		EXPECT_GET(answers, 42);
	}
	cr_expect(zero(int, ended(pid)));
}

Test(queue, is_for_children_of_every_method, .timeout = 120)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		QUEUE(questions);
		QUEUE(answers);
		int fds[] = { carom_queue_fd(questions), carom_queue_fd(answers) };
		struct carom_process *process =
			START(.context = context, .function = answer_numbers, .fds = fds,
			      .fd_count = 2);

		for (int64_t i = 0; i < 100; i++) {
			PUT(questions, (uint64_t)i);
			EXPECT_GET(answers, i + 1);
		}
		carom_queue_close(questions);
		cr_expect(zero(int, exitcode_of(process)), "%s", methods[each_]);
		cr_expect(eq(i64, get_number(answers, soon()), -EPIPE));
		carom_process_free(process);
	}
}

Test(queue, refuses_what_makes_no_sense)
{
	struct carom_queue *queue = NULL;
	CAROM_CLEANUP(carom_closep) int fd = memfd_create("no queue", MFD_CLOEXEC);
	struct carom_queue_options newer = CAROM_QUEUE_OPTIONS();

	cr_expect(eq(int, carom_queue_new(&CAROM_QUEUE_OPTIONS(.size_max = 1u << 31), &queue),
		     -EINVAL));
	cr_expect(eq(int,
		     carom_queue_new(&CAROM_QUEUE_OPTIONS(.bytes_max = CAROM_QUEUE_BYTES_MAX + 1),
				     &queue),
		     -EINVAL));
	cr_expect(eq(
		int,
		carom_queue_new(&CAROM_QUEUE_OPTIONS(.tasks = (enum carom_queue_tasks)4), &queue),
		-EINVAL));
	cr_expect(eq(int, carom_queue_new(&CAROM_QUEUE_OPTIONS(.process_max = 16384), &queue),
		     -EINVAL));
	cr_expect(
		eq(int, carom_queue_new(&CAROM_QUEUE_OPTIONS(.reserved = { 1 }), &queue), -EINVAL));
	newer.size_bytes = 1;
	cr_expect(eq(int, carom_queue_new(&newer, &queue), -EINVAL));
	cr_expect(eq(int, carom_queue_attach_dup(-1, &queue), -EBADF));
	cr_expect(eq(int, carom_queue_attach_dup(fd, &queue), -EBADMSG));
	cr_expect(eq(ptr, queue, NULL));
	cr_expect(eq(ptr, carom_queue_free(NULL), NULL));
}

Test(queue, leaves_nothing_behind, .timeout = 60)
{
	int before;

	{
		QUEUE(queue);
		PUT(queue, 1);
	}
	before = open_fd_count();
	for (int i = 0; i < 20; i++) {
		QUEUE(queue);
		PUT(queue, 1);
	}
	cr_expect(eq(int, open_fd_count(), before));
}

Test(queue, says_what_it_is, .timeout = 60)
{
	QUEUE(queue, .size_max = 7);
	char text[200];

	PUT(queue, 1);
	cr_expect(eq(str, carom_queue_describe(queue, text, sizeof(text)),
		     (char *)"<Queue size=1 max=7 producers=1 consumers=0>"));
	carom_queue_shutdown(queue, false);
	EXPECT_GET(queue, 1);
	cr_expect(eq(str, carom_queue_describe(queue, text, sizeof(text)),
		     (char *)"<Queue size=0 max=7 producers=1 consumers=1 shut down>"));
}

/* ---- the end ---- */

/* QU-16 */
Test(queue, that_is_aborted_wakes_all, .timeout = 60)
{
	QUEUE(queue, .size_max = 1, .tasks = CAROM_QUEUE_TASKS_KEEP);
	pid_t put, join;

	PUT(queue, 1);
	put = putter(queue);
	join = child();
	if (join == 0)
		_exit(-carom_queue_join(queue, CAROM_NO_DEADLINE));
	await_asleep(join);
	carom_queue_abort(queue);
	cr_expect(eq(int, ended(put), ECANCELED));
	cr_expect(eq(int, ended(join), ECANCELED));
	cr_expect(eq(i64, get_number(queue, soon()), -ECANCELED));
	cr_expect(eq(int, carom_queue_task_done(queue), -ECANCELED));
}

/* QU-27 */
Test(queue, that_is_shut_down_is_got_to_its_end_and_wakes_all, .timeout = 60)
{
	QUEUE(queue, .size_max = 2);
	QUEUE(other);
	pid_t put, get = getter(other);

	PUT(queue, 1);
	PUT(queue, 2);
	put = putter(queue);
	carom_queue_shutdown(queue, false);
	carom_queue_shutdown(other, false);
	cr_expect(eq(int, ended(put), ESHUTDOWN));
	cr_expect(eq(int, ended(get), ESHUTDOWN));
	cr_expect(eq(int, put_number(queue, 3, soon()), -ESHUTDOWN));
	EXPECT_GET(queue, 1);
	EXPECT_GET(queue, 2);
	cr_expect(eq(i64, get_number(queue, soon()), -ESHUTDOWN));
}

Test(queue, that_is_shut_down_at_once_discards_what_it_has, .timeout = 60)
{
	QUEUE(queue, .tasks = CAROM_QUEUE_TASKS_REQUEUE);

	for (uint64_t i = 0; i < 1000; i++)
		PUT(queue, i);
	EXPECT_GET(queue, 0);
	carom_queue_shutdown(queue, true);
	cr_expect(zero(u32, carom_queue_qsize(queue)));
	cr_expect(eq(i64, get_number(queue, soon()), -ESHUTDOWN));
	cr_expect(
		eq(int, carom_queue_join(queue, CAROM_PASSED), -EAGAIN)); /* the one that was got */
	cr_expect(zero(int, carom_queue_task_done(queue)));
	cr_expect(zero(int, carom_queue_join(queue, CAROM_PASSED)));
}

/* ---- tasks ---- */

/* QU-21 */
Test(queue, is_joined_when_the_last_task_is_done, .timeout = 60)
{
	QUEUE(queue, .tasks = CAROM_QUEUE_TASKS_REQUEUE);
	pid_t pid;

	cr_expect(zero(int, carom_queue_join(queue, CAROM_PASSED)));
	cr_expect(eq(int, carom_queue_task_done(queue), -EINVAL));
	for (uint64_t i = 0; i < 300; i++)
		PUT(queue, i);
	cr_expect(eq(int, carom_queue_join(queue, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(int, carom_queue_join(queue, shortly()), -ETIMEDOUT));
	for (int64_t i = 0; i < 300; i++)
		EXPECT_GET(queue, i);
	cr_expect(eq(u32, carom_queue_unfinished(queue), 300));
	pid = child();
	if (pid == 0)
		_exit(-carom_queue_join(queue, CAROM_NO_DEADLINE));
	await_asleep(pid);
	for (int i = 0; i < 299; i++)
		cr_assert(zero(int, carom_queue_task_done(queue)));
	cr_expect(eq(int, carom_queue_join(queue, CAROM_PASSED), -EAGAIN));
	cr_expect(zero(int, carom_queue_task_done(queue)));
	cr_expect(zero(int, ended(pid)));
	cr_expect(eq(int, carom_queue_task_done(queue), -EINVAL)); /* too often */
	cr_expect(zero(int, carom_queue_join(queue, soon())));
}

Test(queue, without_tasks_has_none_to_finish, .timeout = 60)
{
	QUEUE(queue);

	PUT(queue, 1);
	cr_expect(eq(int, carom_queue_task_done(queue), -EINVAL));
	cr_expect(eq(int, carom_queue_join(queue, soon()), -EINVAL));
	cr_expect(zero(u32, carom_queue_unfinished(queue)));
}

/* It has got as many, done one less, and is killed. */
static void kill_with_task(struct carom_queue *queue, int count)
{
	struct tally *tally = share(sizeof(*tally));
	pid_t pid = child();

	if (pid == 0) {
		for (int i = 0; i < count; i++)
			if (get_number(queue, soon()) < 0)
				_exit(1);
		for (int i = 1; i < count; i++)
			if (carom_queue_task_done(queue) < 0)
				_exit(2);
		atomic_store(&tally->got, 1);
		for (;;)
			pause();
	}
	await(atomic_load(&tally->got));
	cr_expect(eq(int, killed(pid), -SIGKILL));
}

/* QU-22 */
Test(queue, gives_the_tasks_of_the_dead_to_others, .timeout = 60)
{
	QUEUE(queue, .tasks = CAROM_QUEUE_TASKS_REQUEUE);
	pid_t pid;

	for (uint64_t i = 0; i < 5; i++)
		PUT(queue, i);
	kill_with_task(queue, 3);
	pid = child();
	if (pid == 0)
		_exit(-carom_queue_join(queue, CAROM_NO_DEADLINE));
	EXPECT_GET(queue, 3);
	EXPECT_GET(queue, 4);
	EXPECT_GET(queue, 2); /* of the dead one */
	cr_expect(eq(i64, get_number(queue, shortly()), -ETIMEDOUT));
	for (int i = 0; i < 3; i++)
		cr_expect(zero(int, carom_queue_task_done(queue)));
	cr_expect(zero(int, ended(pid)));
}

/* QU-22 */
Test(queue, counts_the_tasks_of_the_dead_as_done_if_it_was_made_so, .timeout = 60)
{
	QUEUE(queue, .tasks = CAROM_QUEUE_TASKS_DONE);

	PUT(queue, 1);
	PUT(queue, 2);
	kill_with_task(queue, 2);
	cr_expect(zero(int, carom_queue_join(queue, soon())));
}

static pid_t child_with_task(struct carom_queue *queue)
{
	struct tally *tally = share(sizeof(*tally));
	pid_t pid = child();

	if (pid == 0) {
		get_number(queue, soon());
		atomic_store(&tally->got, 1);
		for (;;)
			pause();
	}
	await(atomic_load(&tally->got));
	return pid;
}

Test(queue, wakes_who_joins_by_the_death_of_who_had_the_last_task, .timeout = 60)
{
	QUEUE(queue, .tasks = CAROM_QUEUE_TASKS_DONE);
	pid_t worker, joiner;

	PUT(queue, 1);
	worker = child_with_task(queue);
	joiner = child();
	if (joiner == 0)
		_exit(-carom_queue_join(queue, CAROM_NO_DEADLINE));
	await_asleep(joiner);
	cr_expect(eq(int, killed(worker), -SIGKILL));
	cr_expect(zero(int, ended(joiner)));
}

Test(queue, wakes_a_getter_by_the_death_of_who_had_a_task, .timeout = 60)
{
	QUEUE(queue, .tasks = CAROM_QUEUE_TASKS_REQUEUE);
	pid_t worker, waiting;

	PUT(queue, 1);
	worker = child_with_task(queue);
	waiting = getter(queue);
	cr_expect(eq(int, killed(worker), -SIGKILL));
	cr_expect(zero(int, ended(waiting)));
}

Test(queue, keeps_the_tasks_of_the_dead_unfinished_if_it_was_made_so, .timeout = 60)
{
	QUEUE(queue, .tasks = CAROM_QUEUE_TASKS_KEEP);

	PUT(queue, 1);
	kill_with_task(queue, 1);
	cr_expect(eq(int, carom_queue_join(queue, shortly()), -ETIMEDOUT));
	cr_expect(eq(i64, get_number(queue, CAROM_PASSED), -EAGAIN));
	cr_expect(zero(int, carom_queue_task_done(queue))); /* for it */
	cr_expect(zero(int, carom_queue_join(queue, soon())));
}

Test(queue, gives_back_the_tasks_of_a_handle_that_ends, .timeout = 60)
{
	QUEUE(queue, .tasks = CAROM_QUEUE_TASKS_REQUEUE);
	struct carom_queue *other = NULL;

	cr_assert(zero(int, carom_queue_attach_dup(carom_queue_fd(queue), &other)));
	PUT(queue, 1);
	EXPECT_GET(other, 1);
	carom_queue_free(other);
	EXPECT_GET(queue, 1);
}

/* Tasks that are not done keep their room, and no other: the rest goes on round them. */
Test(queue, goes_on_round_a_task_that_takes_long, .timeout = 60)
{
	QUEUE(queue, .tasks = CAROM_QUEUE_TASKS_REQUEUE, .bytes_max = 50000);
	struct carom_queue *slow = NULL;
	static char data[10000];
	size_t size;

	cr_assert(zero(int, carom_queue_attach_dup(carom_queue_fd(queue), &slow)));
	for (int i = 0; i < 1000; i++) {
		memset(data, i, sizeof(data));
		cr_assert(zero(int, carom_queue_put(queue, data, sizeof(data), soon())));
		cr_assert(zero(int, carom_queue_put(queue, data, sizeof(data), soon())));
		if (i == 3)
			cr_assert(zero(int,
				       carom_queue_get(slow, data, sizeof(data), soon(), &size)));
		else
			cr_assert(zero(int,
				       carom_queue_get(queue, data, sizeof(data), soon(), &size)));
		cr_assert(eq(chr, data[9999], (char)i));
		cr_assert(zero(int, carom_queue_get(queue, data, sizeof(data), soon(), &size)));
		while (carom_queue_unfinished(queue) > (i < 3 ? 0 : 1))
			cr_assert(zero(int, carom_queue_task_done(queue)));
	}
	carom_queue_free(slow);
	cr_assert(zero(int, carom_queue_get(queue, data, sizeof(data), soon(), &size)));
	cr_expect(eq(chr, data[0], 3));
	cr_expect(eq(chr, data[9999], 3));
	cr_expect(zero(int, carom_queue_task_done(queue)));
	cr_expect(zero(int, carom_queue_join(queue, CAROM_PASSED)));
}

/* ---- what SimpleQueue is ---- */

/* QU-23 */
Test(queue, of_few_bytes_makes_a_large_put_wait_until_it_is_read, .timeout = 60)
{
	QUEUE(queue, .bytes_max = CAROM_MIB(1) + 100);
	char *data = malloc(CAROM_MIB(1));
	pid_t pid;
	size_t size;

	cr_assert(zero(int, carom_queue_put(queue, data, CAROM_MIB(1), soon())));
	pid = child();
	if (pid == 0) {
		int r = carom_queue_put(queue, data, CAROM_MIB(1), CAROM_NO_DEADLINE);

		carom_queue_close(queue);
		_exit(-r);
	}
	await_asleep(pid);
	for (int i = 0; i < 2; i++)
		cr_assert(zero(int, carom_queue_get(queue, data, CAROM_MIB(1), soon(), &size)));
	cr_expect(zero(int, ended(pid)));
	carom_queue_close(queue);
	cr_expect(eq(i64, get_number(queue, soon()), -EPIPE));
	free(data);
}
