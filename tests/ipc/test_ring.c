/* Ring: records in order from one producer to one consumer, whoever dies or lies. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/points.h"
#include "ipc/ring.h"
#include "ipc/ring_layout.h"
#include "shm/segment.h"

#define SOON CAROM_SECONDS(60) /* what never comes would otherwise hang the suite */

static struct carom_ring *new_ring(uint64_t size)
{
	struct carom_ring *ring = NULL;

	cr_assert(zero(int, carom_ring_new(&CAROM_RING_OPTIONS(.size = size), &ring)));
	return ring;
}

static uint64_t soon(void)
{
	return carom_deadline_after(SOON);
}

/* Long enough to fall asleep. */
static uint64_t a_nap(void)
{
	return carom_deadline_after(CAROM_MILLISECONDS(1));
}

static int status_of(pid_t pid)
{
	int status = -1;

	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	return status;
}

/* --- use --- */

static int produce_words(struct carom_ring *ring)
{
	static const char *const words[] = { "records", "of", "any", "size", "" };

	for (size_t i = 0; i < 5; i++)
		if (carom_ring_push(ring, words[i], strlen(words[i]), soon()) < 0)
			return 1;
	carom_ring_close(ring, CAROM_RING_PRODUCER);
	return 0;
}

Test(ring, carries_records_to_another_process, .timeout = 60)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = NULL;
	char text[64] = "";
	const void *data;
	size_t size;
	pid_t pid;
	int r;

	cr_assert(zero(int, carom_ring_new(NULL, &ring)));
	pid = fork();
	if (pid == 0)
		_exit(produce_words(ring));

	while ((r = carom_ring_receive(ring, soon(), &data, &size)) == 0) {
		strncat(text, data, size);
		strcat(text, "|");
		cr_assert(zero(int, carom_ring_release(ring)));
	}
	cr_expect(eq(int, r, -EPIPE));
	cr_expect(zero(int, strcmp(text, "records|of|any|size||")), "%s", text);
	cr_expect(zero(int, status_of(pid)));
}

Test(ring, is_written_and_read_in_place)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(256);
	const void *data = NULL, *again = NULL;
	void *room = NULL;
	size_t size;

	cr_assert(zero(int, carom_ring_reserve(ring, 100, CAROM_PASSED, &room)));
	cr_expect(zero(int, (int)((uintptr_t)room % 8)));
	memcpy(room, "fourty bytes were reserved for five", 5);
	cr_expect(eq(int, carom_ring_receive(ring, CAROM_PASSED, &data, &size), -EAGAIN));
	cr_expect(eq(int, carom_ring_commit(ring, 101), -EINVAL));
	cr_assert(zero(int, carom_ring_commit(ring, 5)));
	cr_expect(eq(int, carom_ring_commit(ring, 5), -EINVAL));

	cr_expect(eq(int, carom_ring_release(ring), -EINVAL));
	cr_assert(zero(int, carom_ring_receive(ring, CAROM_PASSED, &data, &size)));
	cr_expect(eq(ptr, (void *)data, room));
	cr_expect(eq(sz, size, 5));
	cr_expect(zero(int, memcmp(data, "fourt", 5)));
	cr_assert(zero(int, carom_ring_receive(ring, CAROM_PASSED, &again, &size)));
	cr_expect(eq(ptr, (void *)again, (void *)data));
	cr_assert(zero(int, carom_ring_release(ring)));
	cr_expect(eq(int, carom_ring_release(ring), -EINVAL));
}

Test(ring, forgets_what_was_reserved_and_not_committed)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(64);
	const void *data;
	void *room;
	size_t size;

	cr_assert(zero(int, carom_ring_reserve(ring, 24, CAROM_PASSED, &room)));
	cr_expect(eq(int, carom_ring_reserve(ring, 25, CAROM_PASSED, &room), -EMSGSIZE));
	cr_expect(eq(int, carom_ring_commit(ring, 0), -EINVAL));
	cr_assert(zero(int, carom_ring_push(ring, "x", 1, CAROM_PASSED)));
	cr_assert(zero(int, carom_ring_receive(ring, CAROM_PASSED, &data, &size)));
	cr_expect(eq(sz, size, 1));
}

Test(ring, pops_into_a_buffer_that_is_large_enough)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(64);
	char buffer[8] = "........";
	size_t size = 0;

	cr_assert(zero(int, carom_ring_push(ring, "abcd", 4, CAROM_PASSED)));
	cr_expect(eq(int, carom_ring_pop(ring, buffer, 3, CAROM_PASSED, &size), -EMSGSIZE));
	cr_expect(eq(sz, size, 4));
	cr_expect(eq(int, buffer[0], '.'));
	cr_assert(zero(int, carom_ring_pop(ring, buffer, 4, CAROM_PASSED, &size)));
	cr_expect(zero(int, memcmp(buffer, "abcd....", 8)));
	cr_expect(eq(int, carom_ring_pop(ring, buffer, 8, CAROM_PASSED, &size), -EAGAIN));
}

/* A record of @size bytes that nobody would write by chance. */
static void fill(unsigned char *record, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size; i++)
		record[i] = (unsigned char)(seed * 31 + i * 7 + size);
}

static void expect_record(struct carom_ring *ring, size_t size, uint64_t seed)
{
	unsigned char expected[4096];
	const void *data;
	size_t received;

	fill(expected, size, seed);
	cr_assert(zero(int, carom_ring_receive(ring, CAROM_PASSED, &data, &received)));
	cr_assert(eq(sz, received, size));
	cr_assert(zero(int, memcmp(data, expected, size)));
	cr_assert(zero(int, carom_ring_release(ring)));
}

static void push_record(struct carom_ring *ring, size_t size, uint64_t seed)
{
	unsigned char record[4096];

	fill(record, size, seed);
	cr_assert(zero(int, carom_ring_push(ring, record, size, CAROM_PASSED)));
}

Test(ring, says_no_length_to_who_does_not_ask)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(256);
	const void *data = NULL;
	char text[4] = "";

	cr_assert(zero(int, carom_ring_push(ring, "one", 4, CAROM_PASSED)));
	cr_expect(eq(int, carom_ring_pop(ring, text, 3, CAROM_PASSED, NULL), -EMSGSIZE));
	cr_expect(zero(int, carom_ring_receive(ring, CAROM_PASSED, &data, NULL)));
	cr_expect(zero(int, strcmp(data, "one")));
	cr_expect(zero(int, carom_ring_pop(ring, text, 4, CAROM_PASSED, NULL)));
	cr_expect(zero(int, strcmp(text, "one")));
}

/* Every length, beginning at every place: the wrap falls before, on and behind each of its words. */
Test(ring, takes_every_size_at_every_place, .timeout = 60)
{
	for (uint64_t capacity = 64; capacity <= 1024; capacity *= 2) {
		CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(capacity);
		size_t max = carom_ring_record_max(ring);
		void *room;

		cr_assert(eq(sz, max, capacity / 2 - 8));
		for (size_t size = 0; size <= max; size++) {
			for (size_t place = 0; place < capacity / 8; place++) {
				push_record(ring, size, place);
				expect_record(ring, size, place);
				push_record(ring, 0,
					    place); /* the next round begins 8 further on */
				expect_record(ring, 0, place);
			}
		}
		cr_expect(
			eq(int, carom_ring_reserve(ring, max + 1, CAROM_PASSED, &room), -EMSGSIZE));
		cr_expect(eq(int, carom_ring_reserve(ring, SIZE_MAX, CAROM_PASSED, &room),
			     -EMSGSIZE));
	}
}

/* Where the bytes of records stand, told a second time and more simply than in ring.c. */
struct reference {
	uint64_t head, tail, capacity;
};

static uint64_t cost_of(const struct reference *reference, size_t size)
{
	uint64_t bytes = 8 + (size + 7) / 8 * 8;
	uint64_t left = reference->capacity - reference->head % reference->capacity;

	return bytes > left ? left + bytes : bytes;
}

Test(ring, is_full_when_no_byte_is_left_and_not_before, .timeout = 60)
{
	for (size_t first = 0; first <= 120; first += 8) {
		for (size_t size = 0; size <= 120; size++) {
			CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(256);
			struct reference reference = { .capacity = 256 };
			uint64_t pushed = 0;

			reference.head += cost_of(&reference, first);
			push_record(ring, first, 0);
			expect_record(ring, first, 0);
			reference.tail = reference.head;

			while (reference.head + cost_of(&reference, size) - reference.tail <= 256) {
				reference.head += cost_of(&reference, size);
				push_record(ring, size, ++pushed);
			}
			cr_assert(eq(int,
				     carom_ring_push(ring, "", size ? 1 : 0, CAROM_PASSED) == 0,
				     reference.head + cost_of(&reference, size ? 1 : 0) -
						     reference.tail <=
					     256));
			for (uint64_t i = 1; i <= pushed; i++)
				expect_record(ring, size, i);
		}
	}
}

/* --- errors --- */

Test(ring, refuses_what_it_cannot_be)
{
	struct {
		struct carom_ring_options known;
		uint64_t unknown;
	} newer = { .known = { .size_bytes = sizeof(newer) }, .unknown = 1 };
	struct carom_ring *ring = NULL;

	cr_expect(eq(int, carom_ring_new(&CAROM_RING_OPTIONS(.size = 63), &ring), -EINVAL));
	cr_expect(eq(int,
		     carom_ring_new(&CAROM_RING_OPTIONS(.size = CAROM_RING_SIZE_MAX + 1), &ring),
		     -EINVAL));
	cr_expect(eq(int, carom_ring_new(&newer.known, &ring), -E2BIG));
	cr_expect(eq(ptr, ring, NULL));
	cr_assert(zero(int, carom_ring_new(&CAROM_RING_OPTIONS(.size = 65), &ring)));
	cr_expect(eq(sz, carom_ring_record_max(ring), 56));
	ring = carom_ring_free(ring);
	cr_expect(eq(ptr, carom_ring_free(NULL), NULL));
}

Test(ring, attaches_to_rings_only)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	struct carom_ring *ring = NULL;
	int pipes[2];

	cr_assert(zero(int, pipe(pipes)));
	cr_assert(zero(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = 8192), &segment)));
	cr_expect(eq(int, carom_ring_attach_dup(-1, &ring), -EBADF));
	cr_expect(eq(int, carom_ring_attach_dup(pipes[0], &ring), -EBADMSG));
	cr_expect(eq(int, carom_ring_attach_dup(carom_segment_fd(segment), &ring), -EBADMSG));
	cr_expect(eq(ptr, ring, NULL));
}

Test(ring, waits_no_longer_than_told, .timeout = 60)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(64);
	uint64_t until = carom_deadline_after(CAROM_MILLISECONDS(20));
	const void *data;
	void *room;
	size_t size;

	cr_expect(eq(int, carom_ring_receive(ring, CAROM_PASSED, &data, &size), -EAGAIN));
	cr_expect(eq(int, carom_ring_receive(ring, until, &data, &size), -ETIMEDOUT));
	cr_expect(ge(u64, carom_now(), until));

	push_record(ring, 24, 1);
	push_record(ring, 24, 2);
	until = carom_deadline_after(CAROM_MILLISECONDS(20));
	cr_expect(eq(int, carom_ring_reserve(ring, 0, CAROM_PASSED, &room), -EAGAIN));
	cr_expect(eq(int, carom_ring_reserve(ring, 0, until, &room), -ETIMEDOUT));
	cr_expect(ge(u64, carom_now(), until));
	expect_record(ring, 24, 1);
	expect_record(ring, 24, 2);
}

Test(ring, gives_what_is_left_after_the_producer_closed)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(64);
	const void *data;
	size_t size;

	push_record(ring, 3, 1);
	carom_ring_close(ring, CAROM_RING_PRODUCER);
	carom_ring_close(ring, CAROM_RING_PRODUCER);
	cr_expect(eq(int, carom_ring_push(ring, "", 0, CAROM_PASSED), -EPIPE));
	expect_record(ring, 3, 1);
	cr_expect(eq(int, carom_ring_receive(ring, soon(), &data, &size), -EPIPE));
}

Test(ring, refuses_records_after_the_consumer_closed)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(64);
	const void *data;
	size_t size;

	push_record(ring, 3, 1);
	carom_ring_close(ring, CAROM_RING_CONSUMER);
	cr_expect(eq(int, carom_ring_push(ring, "", 0, soon()), -EPIPE));
	cr_expect(eq(int, carom_ring_receive(ring, soon(), &data, &size), -EPIPE));
}

/* --- sleeping --- */

static struct carom_ring_shared *shared_of(const struct carom_ring *ring)
{
	void *memory = mmap(NULL, CAROM_RING_DATA_OFFSET, PROT_READ | PROT_WRITE, MAP_SHARED,
			    carom_ring_fd(ring), 0);

	cr_assert(ne(ptr, memory, MAP_FAILED));
	return memory;
}

static void wait_until_asleep(const struct carom_ring *ring, enum carom_ring_end end)
{
	struct carom_ring_shared *shared = shared_of(ring);

	while (!(atomic_load(&shared->sides[end].teller.word) & CAROM_RING_SLEEPS))
		sched_yield();
	munmap(shared, CAROM_RING_DATA_OFFSET);
}

static int sleep_at(struct carom_ring *ring, enum carom_ring_end end)
{
	const void *data;
	void *room;
	size_t size;

	if (end == CAROM_RING_PRODUCER)
		return carom_ring_reserve(ring, 24, CAROM_NO_DEADLINE, &room);
	return carom_ring_receive(ring, CAROM_NO_DEADLINE, &data, &size);
}

static pid_t sleeper_at(struct carom_ring *ring, enum carom_ring_end end)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(-sleep_at(ring, end));
	wait_until_asleep(ring, end);
	return pid;
}

Test(ring, closing_wakes_who_sleeps_at_either_end, .timeout = 60)
{
	for (int asleep = 0; asleep < 2; asleep++) {
		for (int closed = 0; closed < 2; closed++) {
			CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(64);
			pid_t pid;

			if (asleep == CAROM_RING_PRODUCER) {
				push_record(ring, 24, 1);
				push_record(ring, 24, 2);
			}
			pid = sleeper_at(ring, (enum carom_ring_end)asleep);
			carom_ring_close(ring, (enum carom_ring_end)closed);
			cr_expect(eq(int, WEXITSTATUS(status_of(pid)), EPIPE));
		}
	}
}

Test(ring, a_producer_sleeps_until_its_record_fits, .timeout = 60)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(64);
	struct carom_ring_shared *shared = shared_of(ring);
	pid_t pid;

	for (int i = 0; i < 8; i++)
		push_record(ring, 0, 0);
	pid = sleeper_at(ring, CAROM_RING_PRODUCER);
	for (int i = 0; i < 3; i++)
		expect_record(ring, 0, 0);
	cr_expect(eq(u32, atomic_load(&shared->sides[CAROM_RING_PRODUCER].teller.word),
		     CAROM_RING_SLEEPS));
	expect_record(ring, 0, 0);
	cr_expect(zero(int, status_of(pid)));
}

static void ignore(int signal_number)
{
}

/* A waiter that a signal has woken waits on. */
Test(ring, a_signal_does_not_end_the_wait, .timeout = 60)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(64);
	struct sigaction action = { .sa_handler = ignore };
	pid_t pid;

	cr_assert(zero(int, sigaction(SIGUSR1, &action, NULL)));
	pid = sleeper_at(ring, CAROM_RING_CONSUMER);
	for (int i = 0; i < 100; i++) {
		kill(pid, SIGUSR1);
		sched_yield();
	}
	push_record(ring, 1, 1);
	cr_expect(zero(int, status_of(pid)));
}

/* From here on every system call but exit_group(2) is death. */
static int forbid_system_calls(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { .len = 4, .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int exchange(struct carom_ring *ring)
{
	int failed = 0;
	char byte;
	size_t size;

	for (int i = 0; i < 10000; i++) {
		failed |= carom_ring_push(ring, "x", 1, CAROM_NO_DEADLINE);
		failed |= carom_ring_pop(ring, &byte, 1, CAROM_NO_DEADLINE, &size);
	}
	return failed;
}

/* Once before, because a sanitizer has system calls of its own to make at first. */
static int exchange_without_system_calls(struct carom_ring *ring)
{
	const void *data;
	size_t size;

	/* who slept before and sleeps no more is nobody */
	if (exchange(ring) < 0 || carom_ring_receive(ring, a_nap(), &data, &size) != -ETIMEDOUT)
		return 1;
	return forbid_system_calls() < 0 || exchange(ring) < 0;
}

Test(ring, makes_no_system_call_while_nobody_sleeps, .timeout = 60)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(64);
	pid_t pid = fork();

	if (pid == 0)
		syscall(SYS_exit_group,
			exchange_without_system_calls(ring)); /* _exit() may do more */
	cr_expect(zero(int, status_of(pid)));
}

static void need_points(void)
{
	if (carom_point_arm("ring.nowhere", 1) == -EOPNOTSUPP)
		cr_skip_test("built without -Dpoints=true");
}

/* A process that is about to sleep at @end, stopped when it comes to @point for the @nth time. */
static pid_t stopped_at(const char *point, uint32_t nth, struct carom_ring *ring,
			enum carom_ring_end end)
{
	int status = 0;
	pid_t pid;

	cr_assert(zero(int, carom_point_arm_once(point, nth, SIGSTOP)));
	pid = fork();
	if (pid == 0)
		_exit(-sleep_at(ring, end));
	cr_assert(eq(int, waitpid(pid, &status, WUNTRACED), pid));
	cr_assert(ne(int, WIFSTOPPED(status), 0), "%s: status %#x", point, (unsigned int)status);
	carom_point_disarm_all();
	return pid;
}

/* Whichever step of falling asleep the other end's step comes after, it is noticed. */
Test(ring, a_wake_up_between_any_two_steps_of_falling_asleep_is_noticed, .timeout = 60)
{
	static const struct {
		const char *point;
		uint32_t nth;
	} steps[] = { { "ring.looking", 1 }, { "ring.looked", 1 },  { "ring.asleep", 1 },
		      { "ring.marked", 1 },  { "ring.looking", 2 }, { "ring.looked", 2 } };

	need_points();
	for (int i = 0; i < 12; i++) {
		CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(64);
		enum carom_ring_end end = i % 2 ? CAROM_RING_PRODUCER : CAROM_RING_CONSUMER;
		pid_t pid;

		for (int j = 0; end == CAROM_RING_PRODUCER && j < 2; j++)
			push_record(ring, 24, 0);
		pid = stopped_at(steps[i / 2].point, steps[i / 2].nth, ring, end);
		if (end == CAROM_RING_PRODUCER)
			expect_record(ring, 24, 0);
		else
			push_record(ring, 24, 0);
		kill(pid, SIGCONT);
		cr_expect(zero(int, status_of(pid)));
	}
}

/* It has looked for the close and found none; then comes a last record, and the close. */
Test(ring, the_last_record_before_the_close_is_not_missed, .timeout = 60)
{
	need_points();
	for (uint32_t nth = 1; nth <= 2; nth++) {
		CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(64);
		pid_t pid = stopped_at("ring.looking", nth, ring, CAROM_RING_CONSUMER);

		push_record(ring, 24, 0);
		carom_ring_close(ring, CAROM_RING_PRODUCER);
		kill(pid, SIGCONT);
		cr_expect(zero(int, status_of(pid)));
	}
}

/* --- a million records --- */

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

/* CAROM_SEED replays a run. */
static uint64_t seed_of_run(void)
{
	const char *given = getenv("CAROM_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : carom_now();

	fprintf(stderr, "CAROM_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* Most are short; some are as long as can be. */
static size_t random_size(uint64_t *state, size_t max)
{
	uint64_t n = next_random(state);

	return n % 16 == 0 ? next_random(state) % (max + 1) : n % (max < 48 ? max + 1 : 48);
}

struct run {
	struct carom_ring *ring;
	uint64_t seed;
	uint64_t count;
};

static unsigned char byte_of(uint64_t seed, uint64_t number)
{
	return (unsigned char)(seed ^ number ^ number >> 8);
}

static int produce_random(const struct run *run)
{
	uint64_t state = run->seed;

	for (uint64_t i = 0; i < run->count; i++) {
		size_t max = carom_ring_record_max(run->ring);
		size_t size = random_size(&state, max);
		size_t reserved = next_random(&state) % 4 == 0 ? max : size;
		void *room;
		int r = carom_ring_reserve(run->ring, reserved, CAROM_NO_DEADLINE, &room);

		if (r < 0)
			return -r;
		memset(room, byte_of(run->seed, i), size);
		r = carom_ring_commit(run->ring, size);
		if (r < 0)
			return -r;
	}
	carom_ring_close(run->ring, CAROM_RING_PRODUCER);
	return 0;
}

static bool is_all(const unsigned char *data, size_t size, unsigned char byte)
{
	return size == 0 || (data[0] == byte && memcmp(data, data + 1, size - 1) == 0);
}

/* How many records came as they should, before one did not. */
static uint64_t consume_random(const struct run *run)
{
	uint64_t state = run->seed, i = 0;
	const void *data;
	size_t size;

	while (carom_ring_receive(run->ring, CAROM_NO_DEADLINE, &data, &size) == 0) {
		size_t expected = random_size(&state, carom_ring_record_max(run->ring));

		next_random(&state); /* what was reserved does not show */
		if (size != expected || !is_all(data, size, byte_of(run->seed, i)))
			break;
		carom_ring_release(run->ring);
		i++;
	}
	return i;
}

static void run_between_processes(uint64_t capacity, uint64_t count)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(capacity);
	struct run run = { .ring = ring, .seed = seed_of_run(), .count = count };
	const void *data;
	size_t size;
	pid_t pid = fork();

	if (pid == 0)
		_exit(produce_random(&run));
	cr_expect(eq(u64, consume_random(&run), count));
	cr_expect(eq(int, carom_ring_receive(ring, CAROM_PASSED, &data, &size), -EPIPE));
	cr_expect(zero(int, status_of(pid)));
}

Test(ring, carries_a_million_records_between_processes, .timeout = 120)
{
	run_between_processes(4096, 1000000);
}

/* Both sleep all the time: a wake-up that is lost would be the end of it. */
Test(ring, loses_no_wake_up_in_the_smallest_ring, .timeout = 120)
{
	run_between_processes(CAROM_RING_SIZE_MIN, 50000);
}

static void *produce_in_thread(void *run)
{
	return (void *)(intptr_t)produce_random(run);
}

/* ThreadSanitizer sees threads only, so the same code is run by two of them. */
Test(ring, serves_threads_as_well, .timeout = 120)
{
	for (uint64_t capacity = CAROM_RING_SIZE_MIN; capacity <= 4096; capacity *= 64) {
		CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(capacity);
		struct run run = { .ring = ring, .seed = seed_of_run(), .count = 50000 };
		pthread_t thread;
		void *result = NULL;

		cr_assert(zero(int, pthread_create(&thread, NULL, produce_in_thread, &run)));
		cr_expect(eq(u64, consume_random(&run), run.count));
		cr_assert(zero(int, pthread_join(thread, &result)));
		cr_expect(eq(ptr, result, NULL));
	}
}

/* --- death --- */

static int push_number(struct carom_ring *ring, uint64_t number, uint64_t deadline_ns)
{
	return carom_ring_push(ring, (uint64_t[]){ number, 0, 0 }, number % 4 == 0 ? 24 : 8,
			       deadline_ns);
}

/* Numbers from @first on, until killed or refused. */
static int produce_numbers(struct carom_ring *ring, uint64_t first)
{
	int r = 0;

	for (uint64_t i = first; r == 0; i++)
		r = push_number(ring, i, soon());
	return -r;
}

static pid_t producer_of_numbers(int fd, uint64_t first)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct carom_ring *ring = NULL;

		if (carom_ring_attach_dup(fd, &ring) < 0)
			_exit(100);
		_exit(produce_numbers(ring, first));
	}
	return pid;
}

/* The number in the next record, or an error; 0 is never sent. */
static int64_t pop_number(struct carom_ring *ring, uint64_t deadline_ns)
{
	uint64_t number[3];
	size_t size;
	int r = carom_ring_pop(ring, number, sizeof(number), deadline_ns, &size);

	if (r < 0)
		return r;
	return size == (number[0] % 4 == 0 ? 24 : 8) ? (int64_t)number[0] : -EIO;
}

/*
 * All that comes by the deadline, which must go on from @expected, until @error_at_end.
 * Returns what is expected next.
 */
static uint64_t drain(struct carom_ring *ring, uint64_t expected, uint64_t deadline_ns,
		      int error_at_end)
{
	int64_t number;

	while ((number = pop_number(ring, deadline_ns)) >= 0)
		cr_assert(eq(i64, number, (int64_t)expected++));
	cr_assert(eq(i64, number, error_at_end));
	return expected;
}

/* Each name once, in the order of the places. */
static const char *ring_point(size_t number)
{
	const char *name;

	for (size_t i = 0; (name = carom_point_name(i)); i++) {
		bool is_new = strncmp(name, "ring.", 5) == 0;

		for (size_t j = 0; is_new && j < i; j++)
			is_new = strcmp(carom_point_name(j), name) != 0;
		if (is_new && number-- == 0)
			return name;
	}
	return NULL;
}

/* Which points one end comes to while it runs against the other. */
static bool is_point_of(const char *name, enum carom_ring_end end)
{
	static const char *const others[2] = { "ring.received", "ring.reserved ring.written" };

	return strcmp(name, "ring.closed") != 0 && !strstr(others[end], name);
}

/*
 * A producer killed at its nth arrival leaves a prefix of its records, whole, and the
 * consumer hears of its end by the close that whoever watches the process makes.
 */
Test(ring, loses_nothing_that_a_killed_producer_committed, .timeout = 120)
{
	const char *name;

	need_points();
	for (size_t i = 0; (name = ring_point(i)); i++) {
		if (!is_point_of(name, CAROM_RING_PRODUCER))
			continue;
		for (uint32_t nth = 1; nth <= 20; nth++) {
			CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(128);
			uint64_t next = 1;
			pid_t pid;

			cr_assert(zero(int, carom_point_arm_once(name, nth, SIGKILL)));
			pid = producer_of_numbers(carom_ring_fd(ring), 1);
			while (waitpid(pid, NULL, WNOHANG) == 0)
				next = drain(ring, next, a_nap(), -ETIMEDOUT);
			cr_assert(eq(u32, carom_point_hits(name), 1), "%s", name);
			carom_point_disarm_all();
			carom_ring_close(ring, CAROM_RING_PRODUCER);
			drain(ring, next, soon(), -EPIPE);
		}
	}
}

/* A consumer's child receives numbers and notes what it released. */
static int consume_numbers(int fd, _Atomic uint64_t *released)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = NULL;
	int64_t number;
	int r = carom_ring_attach_dup(fd, &ring);

	while (r == 0) {
		number = pop_number(ring, soon());
		if (number < 0)
			return (int)-number;
		atomic_store(released, (uint64_t)number);
	}
	return -r;
}

static pid_t consumer_of_numbers(int fd, _Atomic uint64_t *released)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(consume_numbers(fd, released));
	return pid;
}

static _Atomic uint64_t *new_shared_number(void)
{
	void *memory = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert(ne(ptr, memory, MAP_FAILED));
	return memory;
}

/* The next consumer begins with what the dead one had not released, or had not yet noted. */
static uint64_t take_over(int fd, uint64_t released)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = NULL;
	int64_t number;

	cr_assert(zero(int, carom_ring_attach_dup(fd, &ring)));
	number = pop_number(ring, soon());
	cr_assert(number == (int64_t)released + 1 || number == (int64_t)released + 2,
		  "%lld after %llu", (long long)number, (unsigned long long)released);
	return (uint64_t)number;
}

Test(ring, a_killed_consumer_is_succeeded_without_a_gap, .timeout = 120)
{
	_Atomic uint64_t *released = new_shared_number();
	const char *name;

	need_points();
	for (size_t i = 0; (name = ring_point(i)); i++) {
		if (!is_point_of(name, CAROM_RING_CONSUMER))
			continue;
		for (uint32_t nth = 1; nth <= 20; nth++) {
			CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(128);
			uint64_t sent = 0;
			pid_t pid;

			atomic_store(released, 0);
			cr_assert(zero(int, carom_point_arm_once(name, nth, SIGKILL)));
			pid = consumer_of_numbers(carom_ring_fd(ring), released);
			while (waitpid(pid, NULL, WNOHANG) == 0)
				sent += push_number(ring, sent + 1, a_nap()) == 0;
			cr_assert(eq(u32, carom_point_hits(name), 1), "%s", name);
			carom_point_disarm_all();
			sent += push_number(ring, sent + 1, CAROM_PASSED) == 0;
			cr_assert(le(u64, take_over(carom_ring_fd(ring), atomic_load(released)),
				     sent));
		}
	}
}

/* Sends a record, or none, and closes; killed on the way at @point, while somebody sleeps. */
static void die_at(const char *point, struct carom_ring *ring, bool sends)
{
	pid_t pid;

	cr_assert(zero(int, carom_point_arm_once(point, 1, SIGKILL)));
	pid = fork();
	if (pid == 0) {
		if (sends)
			push_number(ring, 1, CAROM_PASSED);
		carom_ring_close(ring, CAROM_RING_PRODUCER);
		_exit(1);
	}
	cr_assert(eq(int, WTERMSIG(status_of(pid)), SIGKILL));
	carom_point_disarm_all();
}

/*
 * The dead producer owed the consumer a wake-up: who watches it closes its end, and that
 * wakes whoever sleeps, whatever the sleeper's word says.
 */
Test(ring, a_wake_up_owed_by_the_dead_is_made_up_for_by_the_close, .timeout = 60)
{
	static const char *const points[] = { "ring.published", "ring.waking", "ring.closed" };

	need_points();
	for (size_t i = 0; i < 3; i++) {
		CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(64);
		pid_t sleeper = sleeper_at(ring, CAROM_RING_CONSUMER);

		die_at(points[i], ring, i < 2);
		cr_assert(zero(int, waitpid(sleeper, NULL, WNOHANG)));
		carom_ring_close(ring, CAROM_RING_PRODUCER);
		cr_expect(eq(int, WEXITSTATUS(status_of(sleeper)), i < 2 ? 0 : EPIPE));
	}
}

/* Or somebody takes the end over, and does the same. */
Test(ring, a_wake_up_owed_by_the_dead_is_made_up_for_by_a_successor, .timeout = 60)
{
	static const char *const points[] = { "ring.published", "ring.waking" };

	need_points();
	for (size_t i = 0; i < 2; i++) {
		CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(64);
		CAROM_CLEANUP(carom_ring_freep) struct carom_ring *successor = NULL;
		pid_t sleeper = sleeper_at(ring, CAROM_RING_CONSUMER);

		die_at(points[i], ring, true);
		cr_assert(zero(int, waitpid(sleeper, NULL, WNOHANG)));
		cr_assert(zero(int, carom_ring_attach_dup(carom_ring_fd(ring), &successor)));
		cr_expect(zero(int, status_of(sleeper)));
	}
}

/* Every number arrives once, in order, whoever of the producers sent it. */
Test(ring, survives_producers_that_die_at_random, .timeout = 120)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(256);
	uint64_t state = seed_of_run(), next = 1;

	for (int death = 0; death < 300; death++) {
		pid_t pid = producer_of_numbers(carom_ring_fd(ring), next);
		uint64_t until = next + next_random(&state) % 200;

		while (next < until)
			cr_assert(eq(i64, pop_number(ring, soon()), (int64_t)next++));
		kill(pid, SIGKILL);
		cr_assert(eq(int, WTERMSIG(status_of(pid)), SIGKILL));
		next = drain(ring, next, CAROM_PASSED, -EAGAIN);
	}
}

Test(ring, survives_consumers_that_die_at_random, .timeout = 120)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *ring = new_ring(256);
	_Atomic uint64_t *released = new_shared_number();
	pid_t producer = producer_of_numbers(carom_ring_fd(ring), 1);
	uint64_t state = seed_of_run();

	for (int death = 0; death < 300; death++) {
		pid_t pid = consumer_of_numbers(carom_ring_fd(ring), released);
		uint64_t until = atomic_load(released) + next_random(&state) % 200;

		while (atomic_load(released) < until)
			sched_yield();
		kill(pid, SIGKILL);
		cr_assert(eq(int, WTERMSIG(status_of(pid)), SIGKILL));
		atomic_store(released, take_over(carom_ring_fd(ring), atomic_load(released)));
	}
	carom_ring_close(ring, CAROM_RING_CONSUMER);
	cr_expect(eq(int, WEXITSTATUS(status_of(producer)), EPIPE));
}

/* --- nonsense --- */

#define CAPACITY 256

static const uint64_t corners[] = {
	0,
	1,
	7,
	8,
	CAPACITY - 8,
	CAPACITY - 1,
	CAPACITY,
	CAPACITY + 1,
	CAPACITY + 8,
	CAPACITY / 2 - 8,
	CAPACITY / 2,
	INT32_MAX,
	UINT64_C(0x80000000),
	UINT64_C(0x80000001),
	UINT32_MAX - 7,
	UINT32_MAX,
	UINT64_C(0x100000000),
	0xFFFFC001,
	INT64_MAX,
	UINT64_C(0x8000000000000000),
	UINT64_MAX - CAPACITY + 1,
	UINT64_MAX - 7,
	UINT64_MAX,
};
#define CORNER_COUNT (sizeof(corners) / sizeof(corners[0]))

/* A ring of CAPACITY with records in it, seen by its user and by somebody who writes anywhere. */
struct victim {
	struct carom_ring *ring;
	unsigned char *memory;
	bool is_scribbled_on;
};

static void *word_of(const struct victim *victim, size_t offset)
{
	return victim->memory + offset;
}

/* Is it within the memory of records, in whatever place the user of the ring has that mapped? */
static bool is_inside(const struct victim *victim, const void *data, size_t size)
{
	size_t offset = (uintptr_t)data % 4096;
	const unsigned char *page = (const unsigned char *)data - offset;

	if (offset < 8 || size > CAPACITY / 2 - 8 || offset + size > CAPACITY)
		return false;
	return victim->is_scribbled_on ||
	       memcmp(page, victim->memory + CAROM_RING_DATA_OFFSET, CAPACITY) == 0;
}

static void make_victim(struct victim *victim, int records)
{
	*victim = (struct victim){ .ring = new_ring(CAPACITY) };
	victim->memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED,
			      carom_ring_fd(victim->ring), 0);
	cr_assert(ne(ptr, (void *)victim->memory, MAP_FAILED));
	for (int i = 0; i < 5; i++) { /* tail in the middle, so that records wrap */
		push_record(victim->ring, 24, 0);
		expect_record(victim->ring, 24, 0);
	}
	for (int i = 0; i < records; i++)
		push_record(victim->ring, 40, 0);
}

static void end_victim(struct victim *victim)
{
	munmap(victim->memory, 8192);
	victim->ring = carom_ring_free(victim->ring);
}

static bool is_documented(int r)
{
	return r == 0 || r == -EAGAIN || r == -EPIPE || r == -EBADMSG;
}

/* Use both ends until they have nothing to say; whatever they say must be documented. */
static void use_victim(const struct victim *victim, struct carom_ring *ring)
{
	const void *data;
	void *room;
	size_t size;
	int r = 0;

	for (int i = 0; i < 64 && r == 0; i++) {
		r = carom_ring_receive(ring, CAROM_PASSED, &data, &size);
		cr_assert(is_documented(r), "receive: %d", r);
		if (r == 0) {
			cr_assert(is_inside(victim, data, size), "%p %zu", data, size);
			cr_assert(zero(int, carom_ring_release(ring)));
		}
	}
	for (size_t i = 0; i < 64; i++) {
		size = i * 2 % (carom_ring_record_max(ring) + 1);
		r = carom_ring_reserve(ring, size, CAROM_PASSED, &room);
		cr_assert(is_documented(r), "reserve: %d", r);
		if (r == 0) {
			cr_assert(is_inside(victim, room, size), "%p", room);
			cr_assert(zero(int, carom_ring_commit(ring, size)));
		}
	}
}

static void use_and_attach(struct victim *victim)
{
	CAROM_CLEANUP(carom_ring_freep) struct carom_ring *late = NULL;
	int r = carom_ring_attach_dup(carom_ring_fd(victim->ring), &late);

	cr_assert(r == 0 || r == -EBADMSG, "attach: %d", r);
	if (r == 0)
		use_victim(victim, late);
	use_victim(victim, victim->ring);
}

/* All words of the header and all words of the records, one by one and with the next one. */
Test(ring, answers_nonsense_in_any_word_with_documented_errors, .timeout = 120)
{
	for (size_t offset = 0; offset < CAROM_RING_DATA_OFFSET + CAPACITY; offset += 8) {
		if (offset == sizeof(struct carom_ring_shared))
			offset = CAROM_RING_DATA_OFFSET;
		for (size_t i = 0; i < CORNER_COUNT; i++) {
			struct victim victim;

			make_victim(&victim, (int)(i % 5));
			memcpy(word_of(&victim, offset), &corners[i], 8);
			use_and_attach(&victim);
			end_victim(&victim);
		}
	}
}

/* The halves of a record's word, with the kinds that are known. */
Test(ring, answers_nonsense_in_a_record_with_documented_errors, .timeout = 120)
{
	static const uint32_t kinds[] = { CAROM_RING_RECORD, CAROM_RING_WRAP, 0, UINT32_MAX };

	for (size_t offset = 0; offset < CAPACITY; offset += 8) {
		for (size_t i = 0; i < CORNER_COUNT * 4; i++) {
			uint64_t word = carom_ring_word(kinds[i % 4], (uint32_t)corners[i / 4]);
			struct victim victim;

			make_victim(&victim, (int)(i % 5));
			memcpy(word_of(&victim, CAROM_RING_DATA_OFFSET + offset), &word, 8);
			use_and_attach(&victim);
			end_victim(&victim);
		}
	}
}

Test(ring, two_nonsensical_indices_are_no_better_than_one, .timeout = 120)
{
	const size_t head = offsetof(struct carom_ring_shared, sides[CAROM_RING_PRODUCER].index);
	const size_t tail = offsetof(struct carom_ring_shared, sides[CAROM_RING_CONSUMER].index);

	for (size_t i = 0; i < CORNER_COUNT * CORNER_COUNT; i++) {
		struct victim victim;

		make_victim(&victim, (int)(i % 5));
		memcpy(word_of(&victim, head), &corners[i / CORNER_COUNT], 8);
		memcpy(word_of(&victim, tail), &corners[i % CORNER_COUNT], 8);
		use_and_attach(&victim);
		end_victim(&victim);
	}
}

/* Has the other end look at @end's index. */
static int look_at(struct carom_ring *ring, enum carom_ring_end end)
{
	const void *data;
	void *room;
	size_t size;

	if (end == CAROM_RING_PRODUCER)
		return carom_ring_receive(ring, CAROM_PASSED, &data, &size);
	return carom_ring_reserve(ring, 120, CAROM_PASSED, &room);
}

/*
 * An index goes forward, by eights, and head is never more than the capacity before tail.
 * Here both ends have last seen 160 at the other; then 96 and 128 bytes were committed. So,
 * as far as the other end can know, tail may be 160 to 384, and head 160 to 416, though
 * not within the first record.
 */
static bool can_be_index(enum carom_ring_end end, uint64_t index)
{
	index &= ~CAROM_RING_AWAITED; /* which the end itself may have left there */
	if (index % 8 != 0 || index < 160)
		return false;
	if (end == CAROM_RING_CONSUMER)
		return index <= 384;
	return index == 160 || (index >= 256 && index <= 416);
}

Test(ring, takes_no_index_that_cannot_be, .timeout = 60)
{
	for (uint64_t i = 0; i < 2048; i++) {
		enum carom_ring_end end = i % 2 ? CAROM_RING_PRODUCER : CAROM_RING_CONSUMER;
		uint64_t index = i / 2 < 1000 ? i / 2 : i / 2 - 1024; /* and some below 0 */
		struct carom_ring_shared *shared;
		struct victim victim;
		void *room;
		int r;

		make_victim(&victim, 0);
		shared = word_of(&victim, 0);
		cr_assert(zero(int, carom_ring_reserve(victim.ring, 120, CAROM_PASSED, &room)));
		push_record(victim.ring, 88, 0);
		push_record(victim.ring, 120, 0);
		atomic_store(&shared->sides[end].index, index);
		r = look_at(victim.ring, end);
		cr_assert(eq(int, r != -EBADMSG, can_be_index(end, index)),
			  "end %d, index %lld: %d", end, (long long)index, r);
		end_victim(&victim);
	}
}

/* The word of the one record there is, 40 bytes long, up to the end of the memory. */
Test(ring, takes_no_record_that_cannot_be, .timeout = 60)
{
	static const uint32_t kinds[] = { CAROM_RING_RECORD, CAROM_RING_WRAP, 0, UINT32_MAX };

	for (size_t i = 0; i < 4; i++) {
		for (size_t j = 0; j < 128 + CORNER_COUNT; j++) {
			uint32_t length = j < 128 ? (uint32_t)j : (uint32_t)corners[j - 128];
			bool can_be = kinds[i] == CAROM_RING_RECORD && length <= 40;
			struct victim victim;
			const void *data;
			size_t size = 0;
			int r;

			make_victim(&victim, 0);
			push_record(victim.ring, 40, 0);
			atomic_store(
				(_Atomic uint64_t *)word_of(&victim, CAROM_RING_DATA_OFFSET + 160),
				carom_ring_word(kinds[i], length));
			r = carom_ring_receive(victim.ring, CAROM_PASSED, &data, &size);
			cr_assert(eq(int, r, can_be ? 0 : -EBADMSG), "kind %#x, length %u",
				  kinds[i], length);
			cr_assert(eq(sz, size, can_be ? length : 0));
			end_victim(&victim);
		}
	}
}

/* A record that ends where what was committed, or the memory, does not. */
Test(ring, takes_no_record_across_the_end, .timeout = 60)
{
	struct victim victim;
	const void *data;
	size_t size;

	make_victim(&victim, 0);
	push_record(victim.ring, 88, 0); /* up to the end of the memory */
	push_record(victim.ring, 40, 0); /* behind it, at the start */
	atomic_store((_Atomic uint64_t *)word_of(&victim, CAROM_RING_DATA_OFFSET + 160),
		     carom_ring_word(CAROM_RING_RECORD, 96));
	cr_expect(eq(int, carom_ring_receive(victim.ring, CAROM_PASSED, &data, &size), -EBADMSG));
	end_victim(&victim);

	make_victim(&victim, 0);
	push_record(victim.ring, 88, 0); /* nothing behind it, though words are left from before */
	atomic_store((_Atomic uint64_t *)word_of(&victim, CAROM_RING_DATA_OFFSET + 160),
		     carom_ring_word(CAROM_RING_WRAP, 0));
	cr_expect(eq(int, carom_ring_receive(victim.ring, CAROM_PASSED, &data, &size), -EBADMSG));
	end_victim(&victim);
}

/* All of it was committed, but no record is that long. */
Test(ring, takes_no_record_that_is_too_long)
{
	struct victim victim;
	const void *data;
	size_t size;

	make_victim(&victim, 0);
	push_record(victim.ring, 88, 0);
	expect_record(victim.ring, 88, 0);
	push_record(victim.ring, 120, 0); /* at the start of the memory */
	push_record(victim.ring, 40, 0);
	atomic_store((_Atomic uint64_t *)word_of(&victim, CAROM_RING_DATA_OFFSET),
		     carom_ring_word(CAROM_RING_RECORD, 128));
	cr_expect(eq(int, carom_ring_receive(victim.ring, CAROM_PASSED, &data, &size), -EBADMSG));
	end_victim(&victim);
}

Test(ring, attaches_to_no_index_that_is_not_aligned)
{
	for (uint64_t i = 0; i < 32; i++) {
		CAROM_CLEANUP(carom_ring_freep) struct carom_ring *late = NULL;
		struct carom_ring_shared *shared;
		struct victim victim;

		make_victim(&victim, 0);
		shared = word_of(&victim, 0);
		atomic_store(&shared->sides[i / 16].index, 160 + i % 16);
		cr_expect(eq(int, carom_ring_attach_dup(carom_ring_fd(victim.ring), &late),
			     (i & ~CAROM_RING_AWAITED) % 8 == 0 ? 0 : -EBADMSG));
		end_victim(&victim);
	}
}

Test(ring, stays_broken_once_the_other_end_wrote_nonsense, .timeout = 60)
{
	struct carom_ring_shared *shared;
	struct victim victim;

	make_victim(&victim, 1);
	shared = word_of(&victim, 0);
	for (int end = 0; end < 2; end++) {
		uint64_t right = atomic_load(&shared->sides[end].index);

		atomic_store(&shared->sides[end].index, right + 4 * CAPACITY);
		cr_expect(eq(int, look_at(victim.ring, (enum carom_ring_end)end), -EBADMSG));
		atomic_store(&shared->sides[end].index, right);
		cr_expect(eq(int, look_at(victim.ring, (enum carom_ring_end)end), -EBADMSG));
	}
	end_victim(&victim);
}

/* Writes good and bad values by turns into one word after the other, while the ring is used. */
struct scribbler {
	struct victim *victim;
	uint64_t seed;
	_Atomic bool is_over;
};

static void *scribble(void *argument)
{
	struct scribbler *scribbler = argument;
	uint64_t state = scribbler->seed;

	while (!atomic_load(&scribbler->is_over)) {
		bool in_header = next_random(&state) % 2;
		size_t words = in_header ? sizeof(struct carom_ring_shared) / 8 : CAPACITY / 8;
		size_t offset =
			(in_header ? 0 : CAROM_RING_DATA_OFFSET) + next_random(&state) % words * 8;
		_Atomic uint64_t *word = word_of(scribbler->victim, offset);
		uint64_t good = atomic_load(word);

		atomic_store(word, corners[next_random(&state) % CORNER_COUNT]);
		atomic_store(word, good);
	}
	return NULL;
}

Test(ring, bears_a_peer_that_scribbles_all_the_time, .timeout = 120)
{
	uint64_t seed = seed_of_run();

	for (int round = 0; round < 200; round++) {
		struct victim victim;
		struct scribbler scribbler = { .victim = &victim, .seed = seed + (uint64_t)round };
		pthread_t thread;

		make_victim(&victim, round % 5);
		victim.is_scribbled_on = true;
		cr_assert(zero(int, pthread_create(&thread, NULL, scribble, &scribbler)));
		for (int i = 0; i < 20; i++)
			use_and_attach(&victim);
		atomic_store(&scribbler.is_over, true);
		cr_assert(zero(int, pthread_join(thread, NULL)));
		end_victim(&victim);
	}
}
