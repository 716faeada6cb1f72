/*
 * Loop
 *
 * Each promise is tried with every way the loop can work: io_uring, io_uring
 * whose words are left to helper threads, io_uring seen through its pollable
 * descriptor, epoll, and epoll where a thread can wait for one word only.
 */
#include "core/loop.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/probe.h"
#include "core/time.h"
#include "tests/needs.h"

/* Far beyond any wait that works; a test that needs it has failed. */
#define SOON carom_deadline_after(CAROM_SECONDS(20))

struct way {
	enum carom_loop_backend backend;
	const char *deny;
	bool is_polled;
};

static const struct way io_uring = { .backend = CAROM_LOOP_IO_URING };
static const struct way io_uring_helped = { .backend = CAROM_LOOP_IO_URING,
					    .deny = "io_uring_futex" };
static const struct way io_uring_polled = { .backend = CAROM_LOOP_IO_URING, .is_polled = true };
static const struct way epoll = { .backend = CAROM_LOOP_EPOLL };
static const struct way epoll_futex = { .backend = CAROM_LOOP_EPOLL, .deny = "futex_waitv" };

static int rung_count;

static void count_ring(void *userdata)
{
	(void)userdata;
	rung_count++;
}

static struct carom_loop *make_loop(const struct way *way)
{
	struct carom_loop *loop = NULL;

	if (way->deny)
		setenv("CAROM_DENY", way->deny, 1);
	if (way->backend == CAROM_LOOP_IO_URING && !carom_probe(CAROM_FEATURE_IO_URING))
		cr_skip_test("io_uring is not allowed here");
	cr_assert(zero(int, carom_loop_new(way->backend, count_ring, NULL, &loop)));
	if (way->is_polled)
		cr_assert(ge(int, carom_loop_pollable_fd(loop), 0));
	return loop;
}

/* Defines promise(loop) and a test for each way that runs it. */
#define LOOP_TEST_(promise, way)                                                             \
	Test(loop, promise##_on_##way, .timeout = 60)                                        \
	{                                                                                    \
		CAROM_CLEANUP(carom_loop_freep) struct carom_loop *loop = make_loop(&(way)); \
                                                                                             \
		promise(loop);                                                               \
	}
#define LOOP_TEST(promise)                            \
	static void promise(struct carom_loop *loop); \
	LOOP_TEST_(promise, io_uring)                 \
	LOOP_TEST_(promise, io_uring_helped)          \
	LOOP_TEST_(promise, io_uring_polled)          \
	LOOP_TEST_(promise, epoll)                    \
	LOOP_TEST_(promise, epoll_futex)              \
	static void promise(struct carom_loop *loop)

/* --- descriptors ------------------------------------------------------- */

/* A watch of a pipe's reading end that counts its calls and, as told, acts in them. */
struct watched_pipe {
	struct carom_loop_fd watch;
	struct carom_loop *loop;
	int write_fd;
	int call_count;
	bool stop_itself;
	struct watched_pipe *stop_other;
	struct watched_pipe *replace_other;
};

static void make_pipe(struct watched_pipe *pipe_)
{
	int fds[2];

	cr_assert(zero(int, pipe2(fds, O_CLOEXEC | O_NONBLOCK)));
	pipe_->watch.fd = fds[0];
	pipe_->write_fd = fds[1];
}

static void fill_pipe(const struct watched_pipe *pipe_)
{
	cr_assert(eq(long, write(pipe_->write_fd, "x", 1), 1));
}

static void close_pipe(struct watched_pipe *pipe_)
{
	carom_closep(&pipe_->watch.fd);
	carom_closep(&pipe_->write_fd);
}

static void on_pipe(struct carom_loop_fd *watch)
{
	struct watched_pipe *self = watch->userdata;

	self->call_count++;
	if (self->stop_itself)
		carom_loop_unwatch_fd(self->loop, watch);
	if (self->stop_other)
		carom_loop_unwatch_fd(self->loop, &self->stop_other->watch);
	if (self->replace_other) {
		struct watched_pipe *other = self->replace_other;

		carom_loop_unwatch_fd(self->loop, &other->watch);
		close_pipe(other);
		make_pipe(other);
		cr_assert(zero(int, carom_loop_watch_fd(self->loop, &other->watch)));
	}
}

static void watch_pipe(struct carom_loop *loop, struct watched_pipe *pipe_)
{
	make_pipe(pipe_);
	pipe_->loop = loop;
	pipe_->watch.ready = on_pipe;
	pipe_->watch.userdata = pipe_;
	cr_assert(zero(int, carom_loop_watch_fd(loop, &pipe_->watch)));
}

LOOP_TEST(calls_back_while_a_descriptor_is_readable)
{
	struct watched_pipe input = { 0 };
	char byte;

	watch_pipe(loop, &input);
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	fill_pipe(&input);
	for (int i = 1; i <= 3; i++) {
		cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
		cr_expect(eq(int, input.call_count, i));
	}
	cr_assert(eq(long, read(input.watch.fd, &byte, 1), 1));
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	carom_loop_unwatch_fd(loop, &input.watch);
	close_pipe(&input);
}

LOOP_TEST(calls_back_when_the_other_end_hangs_up)
{
	struct watched_pipe input = { 0 };

	watch_pipe(loop, &input);
	carom_closep(&input.write_fd);
	cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
	carom_loop_unwatch_fd(loop, &input.watch);
	close_pipe(&input);
}

LOOP_TEST(refuses_what_cannot_be_watched)
{
	struct watched_pipe input = { 0 };
	struct carom_loop_fd closed = { .fd = 1000000, .ready = on_pipe };

	watch_pipe(loop, &input);
	cr_expect(eq(int, carom_loop_watch_fd(loop, &input.watch), -EALREADY));
	cr_expect(eq(int, carom_loop_watch_fd(loop, &closed), -EBADF));
	carom_loop_unwatch_fd(loop, &closed);
	carom_loop_unwatch_fd(loop, &input.watch);
	close_pipe(&input);
}

LOOP_TEST(unwatches_a_descriptor_inside_its_own_callback)
{
	struct watched_pipe input = { .stop_itself = true };

	watch_pipe(loop, &input);
	fill_pipe(&input);
	cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	cr_expect(eq(int, input.call_count, 1));
	close_pipe(&input);
}

LOOP_TEST(unwatches_another_ready_descriptor_inside_a_callback)
{
	struct watched_pipe inputs[2] = { 0 };

	for (int i = 0; i < 2; i++) {
		watch_pipe(loop, &inputs[i]);
		inputs[i].stop_itself = true;
		inputs[i].stop_other = &inputs[!i];
		fill_pipe(&inputs[i]);
	}
	cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	cr_expect(eq(int, inputs[0].call_count + inputs[1].call_count, 1));
	for (int i = 0; i < 2; i++)
		close_pipe(&inputs[i]);
}

LOOP_TEST(watches_the_same_struct_again)
{
	struct watched_pipe input = { 0 };

	watch_pipe(loop, &input);
	for (int i = 1; i <= 5; i++) {
		carom_loop_unwatch_fd(loop, &input.watch);
		carom_loop_unwatch_fd(loop, &input.watch); /* a second time is nothing */
		close_pipe(&input);
		watch_pipe(loop, &input);
		fill_pipe(&input);
		cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
		cr_expect(eq(int, input.call_count, i));
	}
	carom_loop_unwatch_fd(loop, &input.watch);
	close_pipe(&input);
}

LOOP_TEST(does_not_take_a_new_descriptor_for_the_old_one_of_its_number)
{
	struct watched_pipe old = { 0 }, new = { 0 };
	int old_fd;

	watch_pipe(loop, &old);
	fill_pipe(&old);
	old_fd = old.watch.fd;
	carom_loop_unwatch_fd(loop, &old.watch);
	close_pipe(&old);

	watch_pipe(loop, &new);
	cr_assert(eq(int, new.watch.fd, old_fd));
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	fill_pipe(&new);
	cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
	cr_expect(eq(int, old.call_count, 0));
	cr_expect(eq(int, new.call_count, 1));
	carom_loop_unwatch_fd(loop, &new.watch);
	close_pipe(&new);
}

/* A file that the kernel still watches would stay open: its other end is not told. */
LOOP_TEST(lets_go_of_an_unwatched_descriptor_at_once)
{
	struct watched_pipe input = { 0 };

	signal(SIGPIPE, SIG_IGN);
	watch_pipe(loop, &input);
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	carom_loop_unwatch_fd(loop, &input.watch);
	carom_closep(&input.watch.fd);
	cr_expect(eq(long, write(input.write_fd, "x", 1), -1));
	carom_closep(&input.write_fd);
}

/* Both are reported together; the first callback replaces the other descriptor by one that is not ready. */
LOOP_TEST(drops_a_report_for_a_descriptor_replaced_in_the_same_round)
{
	struct watched_pipe inputs[2] = { 0 };

	for (int i = 0; i < 2; i++) {
		watch_pipe(loop, &inputs[i]);
		inputs[i].stop_itself = true;
		inputs[i].replace_other = &inputs[!i];
		fill_pipe(&inputs[i]);
	}
	cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	cr_expect(eq(int, inputs[0].call_count + inputs[1].call_count, 1));
	for (int i = 0; i < 2; i++) {
		carom_loop_unwatch_fd(loop, &inputs[i].watch);
		close_pipe(&inputs[i]);
	}
}

static void raise_descriptor_limit(rlim_t count)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < count)
		cr_skip_test("the hard limit of descriptors is %lu", (unsigned long)limit.rlim_max);
	limit.rlim_cur = limit.rlim_max;
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
}

static void read_event(struct carom_loop_fd *watch)
{
	eventfd_t value;
	int *call_count = watch->userdata;

	cr_assert(zero(int, eventfd_read(watch->fd, &value)));
	(*call_count)++;
}

LOOP_TEST(holds_thousands_of_watches)
{
	enum { COUNT = 3000 };
	static struct carom_loop_fd watches[COUNT];
	int call_count = 0;

	raise_descriptor_limit(COUNT + 100);
	for (int i = 0; i < COUNT; i++) {
		watches[i] = (struct carom_loop_fd){ .fd = eventfd(0, EFD_CLOEXEC),
						     .ready = read_event,
						     .userdata = &call_count };
		cr_assert(ge(int, watches[i].fd, 0));
		cr_assert(zero(int, carom_loop_watch_fd(loop, &watches[i])));
	}
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	/* all at once: more than any queue between here and the kernel holds */
	for (int i = 0; i < COUNT; i++)
		cr_assert(zero(int, eventfd_write(watches[i].fd, 1)));
	while (call_count < COUNT)
		cr_assert(lt(int, 0, carom_loop_run_once(loop, SOON)));
	cr_expect(eq(int, call_count, COUNT));
	for (int i = 0; i < COUNT; i++) {
		carom_loop_unwatch_fd(loop, &watches[i]);
		close(watches[i].fd);
	}
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
}

static pid_t sleeping_child(void)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent) /* which may have ended before that */
			pause();
		_exit(0);
	}
	cr_assert(lt(int, 0, pid));
	return pid;
}

static void kill_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void note_fd(struct carom_loop_fd *watch)
{
	*(int *)watch->userdata = watch->fd;
}

LOOP_TEST(tells_which_of_a_thousand_processes_died)
{
	enum { COUNT = 1000, VICTIM = 613 };
	static struct carom_loop_fd watches[COUNT];
	static pid_t pids[COUNT];
	int dead_fd = -1;

	NEEDS("pidfd_open");
	raise_descriptor_limit(COUNT + 100);
	for (int i = 0; i < COUNT; i++) {
		pids[i] = sleeping_child();
		watches[i] = (struct carom_loop_fd){ .fd = (int)syscall(SYS_pidfd_open, pids[i], 0),
						     .ready = note_fd,
						     .userdata = &dead_fd };
		cr_assert(zero(int, carom_loop_watch_fd(loop, &watches[i])));
	}
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	kill(pids[VICTIM], SIGKILL);
	cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
	cr_expect(eq(int, dead_fd, watches[VICTIM].fd));
	for (int i = 0; i < COUNT; i++) {
		carom_loop_unwatch_fd(loop, &watches[i]);
		kill_child(pids[i]);
		close(watches[i].fd);
	}
}

/* --- words ------------------------------------------------------------- */

/* A word in shared memory beside a robust mutex, whose first word is one too. */
struct shared {
	_Atomic uint32_t word;
	pthread_mutex_t mutex;
	_Atomic uint32_t many[300];
};

static struct shared *map_shared(void)
{
	void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert(ne(ptr, memory, MAP_FAILED));
	return memory;
}

static void wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void change(_Atomic uint32_t *word)
{
	atomic_fetch_add(word, 1);
	wake(word);
}

static void count_change(struct carom_loop_word *watch)
{
	(*(int *)watch->userdata)++;
}

static void watch_word(struct carom_loop *loop, struct carom_loop_word *watch)
{
	cr_assert(zero(int, carom_loop_watch_word(loop, watch)));
}

LOOP_TEST(calls_back_once_when_a_word_changes)
{
	struct shared *shared = map_shared();
	int call_count = 0;
	struct carom_loop_word watch = { .word = &shared->word,
					 .changed = count_change,
					 .userdata = &call_count };

	for (int i = 1; i <= 5; i++) {
		watch.expected = atomic_load(&shared->word);
		watch_word(loop, &watch);
		cr_expect(eq(int, carom_loop_watch_word(loop, &watch), -EALREADY));
		cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
		wake(&shared->word); /* for nothing: the word is what it was */
		if (fork() == 0) {
			change(&shared->word);
			_exit(0);
		}
		cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
		cr_expect(eq(int, call_count, i));
		wait(NULL);
	}
	change(&shared->word);
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	carom_loop_unwatch_word(loop, &watch);
}

LOOP_TEST(calls_back_for_a_word_that_has_changed_before)
{
	struct shared *shared = map_shared();
	int call_count = 0;
	struct carom_loop_word watch = { .word = &shared->word,
					 .expected = 1,
					 .changed = count_change,
					 .userdata = &call_count };

	watch_word(loop, &watch);
	cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
	cr_expect(eq(int, call_count, 1));
}

static void make_robust(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(mutex, &attributes);
}

/* child: holds a robust mutex, marked as if somebody waited, until it is killed */
static pid_t holder(struct shared *shared)
{
	_Atomic uint32_t *word = (_Atomic uint32_t *)&shared->mutex;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pthread_mutex_lock(&shared->mutex);
		atomic_fetch_or(word, FUTEX_WAITERS);
		change(&shared->word);
		for (;;)
			pause();
	}
	while (atomic_load(&shared->word) == 0)
		syscall(SYS_futex, &shared->word, FUTEX_WAIT, 0, NULL, NULL, 0);
	return pid;
}

LOOP_TEST(hears_of_a_death_through_a_robust_futex)
{
	struct shared *shared = map_shared();
	int call_count = 0;
	struct carom_loop_word watch = { .word = (_Atomic uint32_t *)&shared->mutex,
					 .changed = count_change,
					 .userdata = &call_count };
	pid_t pid;

	make_robust(&shared->mutex);
	pid = holder(shared);
	watch.expected = atomic_load(watch.word);
	cr_assert(eq(u32, watch.expected, (uint32_t)pid | FUTEX_WAITERS));
	watch_word(loop, &watch);
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	kill(pid, SIGKILL);
	cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
	cr_expect(eq(int, call_count, 1));
	cr_expect(eq(u32, atomic_load(watch.word), FUTEX_OWNER_DIED | FUTEX_WAITERS));
	waitpid(pid, NULL, 0);
}

/* The kernel wakes one waiter when a holder dies: it must not be one that was unwatched. */
LOOP_TEST(hears_of_a_death_after_unwatching_and_watching_again)
{
	struct shared *shared = map_shared();
	int call_count = 0;
	struct carom_loop_word old = { .word = (_Atomic uint32_t *)&shared->mutex,
				       .changed = count_change,
				       .userdata = &call_count };
	struct carom_loop_word new = old;
	pid_t pid;

	make_robust(&shared->mutex);
	pid = holder(shared);
	old.expected = new.expected = atomic_load(old.word);
	watch_word(loop, &old);
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	carom_loop_unwatch_word(loop, &old);
	watch_word(loop, &new);
	kill(pid, SIGKILL);
	cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
	cr_expect(eq(int, call_count, 1));
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	waitpid(pid, NULL, 0);
}

LOOP_TEST(forgets_an_unwatched_word_and_its_memory)
{
	struct shared *shared = map_shared();
	struct shared *other = map_shared();
	int call_count = 0, other_count = 0;
	struct carom_loop_word watch = { .word = &shared->word,
					 .changed = count_change,
					 .userdata = &call_count };
	struct carom_loop_word other_watch = { .word = &other->word,
					       .changed = count_change,
					       .userdata = &other_count };

	for (int i = 1; i <= 20; i++) {
		watch_word(loop, &watch);
		if (i % 2)
			cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
		change(&shared->word); /* reported, or about to be */
		carom_loop_unwatch_word(loop, &watch);
		munmap(shared, sizeof(*shared));
		other_watch.expected = atomic_load(&other->word);
		watch_word(loop, &other_watch);
		change(&other->word);
		cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
		cr_expect(eq(int, other_count, i));
		cr_expect(eq(int, call_count, 0));
		watch.word = &(shared = map_shared())->word;
	}
}

LOOP_TEST(waits_for_hundreds_of_words)
{
	enum { COUNT = 300 };
	struct shared *shared = map_shared();
	struct carom_loop_word watches[COUNT] = { 0 };
	int call_counts[COUNT] = { 0 };
	int total = 0;

	for (int i = 0; i < COUNT; i++) {
		watches[i] = (struct carom_loop_word){ .word = &shared->many[i],
						       .changed = count_change,
						       .userdata = &call_counts[i] };
		watch_word(loop, &watches[i]);
	}
	for (int i = 0; i < COUNT; i += 3)
		carom_loop_unwatch_word(loop, &watches[i]);
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	for (int i = 0; i < COUNT; i++)
		change(&shared->many[i * 7 % COUNT]);
	while (total < COUNT - COUNT / 3) {
		int n = carom_loop_run_once(loop, SOON);

		cr_assert(lt(int, 0, n));
		total += n;
	}
	for (int i = 0; i < COUNT; i++)
		cr_expect(eq(int, call_counts[i], i % 3 ? 1 : 0));
}

static void watch_again(struct carom_loop_word *watch)
{
	static struct carom_loop *loop;

	if (!loop) {
		loop = watch->userdata;
		watch->expected = atomic_load(watch->word);
		cr_assert(zero(int, carom_loop_watch_word(loop, watch)));
	}
}

LOOP_TEST(watches_a_word_again_inside_its_callback)
{
	struct shared *shared = map_shared();
	struct carom_loop_word watch = { .word = &shared->word,
					 .changed = watch_again,
					 .userdata = loop };

	watch_word(loop, &watch);
	for (int i = 0; i < 2; i++) {
		change(&shared->word);
		cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
	}
	change(&shared->word);
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
}

/* --- timers ------------------------------------------------------------ */

struct noted_timer {
	struct carom_loop_timer timer;
	uint64_t due_ns; /* 0: not set */
	int *order;
	int *count;
	int number;
};

static void note_timer(struct carom_loop_timer *timer)
{
	struct noted_timer *self = timer->userdata;

	cr_expect(ge(u64, carom_now(), self->due_ns), "called back too early");
	self->order[(*self->count)++] = self->number;
}

LOOP_TEST(calls_timers_in_the_order_of_their_deadlines)
{
	static const int millis[] = { 9, 3, 6, 0, 5 };
	int order[5], count = 0;
	struct noted_timer timers[5];
	uint64_t now = carom_now();

	for (int i = 0; i < 5; i++) {
		timers[i] = (struct noted_timer){ .timer = { .expired = note_timer,
							     .userdata = &timers[i] },
						  .due_ns = now + CAROM_MILLISECONDS(millis[i]),
						  .order = order,
						  .count = &count,
						  .number = i };
		cr_assert(
			zero(int, carom_loop_timer_set(loop, &timers[i].timer, timers[i].due_ns)));
	}
	/* 2 is put off to the end, 4 comes first, 1 is not called at all */
	timers[2].due_ns = now + CAROM_MILLISECONDS(12);
	cr_assert(zero(int, carom_loop_timer_set(loop, &timers[2].timer, timers[2].due_ns)));
	timers[4].due_ns = CAROM_PASSED;
	cr_assert(zero(int, carom_loop_timer_set(loop, &timers[4].timer, timers[4].due_ns)));
	carom_loop_timer_clear(loop, &timers[1].timer);
	carom_loop_timer_clear(loop, &timers[1].timer); /* a second time is nothing */

	while (count < 4)
		cr_assert(lt(int, 0, carom_loop_run_once(loop, SOON)));
	cr_expect(eq(int, order[0], 4));
	cr_expect(eq(int, order[1], 3));
	cr_expect(eq(int, order[2], 0));
	cr_expect(eq(int, order[3], 2));
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
}

LOOP_TEST(calls_a_timer_whose_deadline_has_passed)
{
	int order[2], count = 0;
	struct noted_timer timer = { .timer = { .expired = note_timer, .userdata = &timer },
				     .order = order,
				     .count = &count };

	cr_assert(zero(int, carom_loop_timer_set(loop, &timer.timer, CAROM_PASSED)));
	cr_expect(eq(int, carom_loop_run_once(loop, CAROM_PASSED), 1));
	cr_assert(zero(int, carom_loop_timer_set(loop, &timer.timer, carom_now() - 1)));
	cr_expect(eq(int, carom_loop_run_once(loop, CAROM_NO_DEADLINE), 1));
}

struct greedy_timer {
	struct carom_loop_timer timer;
	struct carom_loop *loop;
	int call_count;
};

static void set_again_at_once(struct carom_loop_timer *timer)
{
	struct greedy_timer *self = timer->userdata;

	self->call_count++;
	cr_assert(zero(int, carom_loop_timer_set(self->loop, timer, CAROM_PASSED)));
}

LOOP_TEST(lets_no_timer_starve_the_others)
{
	int order[1], count = 0;
	struct greedy_timer greedy = {
		.timer = { .expired = set_again_at_once, .userdata = &greedy }, .loop = loop
	};
	struct noted_timer patient = { .timer = { .expired = note_timer, .userdata = &patient },
				       .order = order,
				       .count = &count };

	cr_assert(zero(int, carom_loop_timer_set(loop, &greedy.timer, CAROM_PASSED)));
	cr_assert(zero(int, carom_loop_timer_set(loop, &patient.timer, 1)));
	cr_expect(eq(int, carom_loop_run_once(loop, SOON), 2));
	cr_expect(eq(int, greedy.call_count, 1));
	cr_expect(eq(int, count, 1));
	cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
	carom_loop_timer_clear(loop, &greedy.timer);
}

enum { RANDOM_TIMERS = 300 };

struct random_timer {
	struct carom_loop_timer timer;
	uint64_t due_ns; /* the reference; 0: not set */
};

static struct random_timer random_timers[RANDOM_TIMERS];
static int set_count;

/* Nobody who is set may be due before the one that is called. */
static void check_against_reference(struct carom_loop_timer *timer)
{
	struct random_timer *self = timer->userdata;

	cr_assert(ne(u64, self->due_ns, 0));
	cr_assert(le(u64, self->due_ns, carom_now()));
	for (int i = 0; i < RANDOM_TIMERS; i++)
		if (random_timers[i].due_ns)
			cr_assert(ge(u64, random_timers[i].due_ns, self->due_ns));
	self->due_ns = 0;
	set_count--;
}

static void change_random_timer(struct carom_loop *loop, unsigned int *seed)
{
	struct random_timer *random = &random_timers[rand_r(seed) % RANDOM_TIMERS];

	set_count -= random->due_ns != 0;
	if (rand_r(seed) % 3 == 0) {
		carom_loop_timer_clear(loop, &random->timer);
		random->due_ns = 0;
		return;
	}
	random->due_ns = carom_deadline_after(CAROM_MICROSECONDS(rand_r(seed) % 3000));
	cr_assert(zero(int, carom_loop_timer_set(loop, &random->timer, random->due_ns)));
	set_count++;
}

LOOP_TEST(keeps_many_random_timers_in_order)
{
	unsigned int seed = (unsigned int)carom_now();

	cr_log_info("seed %u", seed);
	for (int i = 0; i < RANDOM_TIMERS; i++)
		random_timers[i].timer =
			(struct carom_loop_timer){ .expired = check_against_reference,
						   .userdata = &random_timers[i] };
	for (int i = 0; i < 20000; i++) {
		change_random_timer(loop, &seed);
		if (i % 20 == 0)
			cr_assert(ge(int, carom_loop_run_once(loop, CAROM_PASSED), 0));
	}
	while (set_count > 0)
		cr_assert(lt(int, 0, carom_loop_run_once(loop, SOON)));
	for (int i = 0; i < RANDOM_TIMERS; i++)
		cr_expect(zero(u64, random_timers[i].due_ns));
}

LOOP_TEST(waits_no_longer_than_the_deadline_and_no_shorter)
{
	uint64_t deadline_ns = carom_deadline_after(CAROM_MILLISECONDS(20));

	cr_expect(zero(int, carom_loop_run_once(loop, deadline_ns)));
	cr_expect(ge(u64, carom_now(), deadline_ns));
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	cr_expect(zero(int, carom_loop_run_once(loop, carom_now() - 1)));
}

/* --- the bell, signals, threads ---------------------------------------- */

static void *ring_it(void *loop)
{
	carom_loop_ring(loop);
	return NULL;
}

LOOP_TEST(is_rung_from_another_thread)
{
	pthread_t thread;

	rung_count = 0;
	for (int i = 1; i <= 20; i++) {
		cr_assert(zero(int, pthread_create(&thread, NULL, ring_it, loop)));
		cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
		pthread_join(thread, NULL);
		cr_expect(eq(int, rung_count, i));
	}
	for (int i = 0; i < 5; i++)
		carom_loop_ring(loop);
	cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
}

static struct carom_loop *signalled_loop;
static _Atomic int signal_count;

static void ring_in_handler(int number)
{
	int saved_errno = errno;

	(void)number;
	errno = ENOTTY; /* to be kept */
	if (signalled_loop)
		carom_loop_ring(signalled_loop);
	signal_count += errno == ENOTTY;
	errno = saved_errno;
}

static void send_alarm_soon(struct carom_loop *loop)
{
	struct sigaction action = { .sa_handler = ring_in_handler };
	struct itimerval soon = { .it_value.tv_usec = 3000 };

	signalled_loop = loop;
	cr_assert(zero(int, sigaction(SIGALRM, &action, NULL)));
	cr_assert(zero(int, setitimer(ITIMER_REAL, &soon, NULL)));
}

LOOP_TEST(is_rung_from_a_signal_handler)
{
	rung_count = 0;
	send_alarm_soon(loop);
	while (rung_count == 0)
		cr_assert(ge(int, carom_loop_run_once(loop, SOON), 0));
	cr_expect(eq(int, rung_count, 1));
	cr_expect(eq(int, signal_count, 1));
}

LOOP_TEST(takes_a_signal_for_no_error)
{
	send_alarm_soon(NULL);
	while (signal_count == 0)
		cr_assert(zero(int, carom_loop_run_once(loop, CAROM_NO_DEADLINE)));
	cr_expect(eq(int, signal_count, 1));
}

struct runner {
	struct carom_loop *loop;
	_Atomic bool has_run;
	int first;
	int second;
};

static void *run_twice(void *argument)
{
	struct runner *runner = argument;

	runner->first = carom_loop_run_once(runner->loop, SOON);
	runner->has_run = true;
	runner->second = carom_loop_run_once(runner->loop, SOON);
	return NULL;
}

LOOP_TEST(is_made_in_one_thread_and_run_in_another)
{
	struct shared *shared = map_shared();
	struct watched_pipe input = { .stop_itself = true };
	int call_count = 0;
	struct carom_loop_word watch = { .word = &shared->word,
					 .changed = count_change,
					 .userdata = &call_count };
	struct runner runner = { .loop = loop };
	pthread_t thread;

	watch_pipe(loop, &input);
	watch_word(loop, &watch);
	fill_pipe(&input);
	cr_assert(zero(int, pthread_create(&thread, NULL, run_twice, &runner)));
	while (!runner.has_run)
		sched_yield();
	change(&shared->word);
	pthread_join(thread, NULL);
	cr_expect(eq(int, runner.first, 1));
	cr_expect(eq(int, runner.second, 1));
	cr_expect(eq(int, input.call_count, 1));
	cr_expect(eq(int, call_count, 1));

	/* the runner has ended: who joined it takes things down */
	watch_pipe(loop, &input);
	carom_loop_unwatch_fd(loop, &input.watch);
	close_pipe(&input);
}

LOOP_TEST(is_refused_in_a_forked_child_and_unharmed_by_it)
{
	struct watched_pipe input = { .stop_itself = true };
	struct carom_loop_timer timer = { 0 };
	int status;
	pid_t pid;

	watch_pipe(loop, &input);
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	pid = fork();
	if (pid == 0) {
		struct carom_loop_fd watch = { .fd = input.write_fd };
		bool refused = carom_loop_run_once(loop, CAROM_PASSED) == -ECHILD &&
			       carom_loop_watch_fd(loop, &watch) == -ECHILD &&
			       carom_loop_timer_set(loop, &timer, 1) == -ECHILD &&
			       carom_loop_pollable_fd(loop) == -ECHILD;

		carom_loop_unwatch_fd(loop, &input.watch);
		carom_loop_free(loop);
		_exit(refused ? 0 : 1);
	}
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_expect(zero(int, status));
	fill_pipe(&input);
	cr_expect(eq(int, carom_loop_run_once(loop, SOON), 1));
	close_pipe(&input);
}

/* --- the pollable descriptor ------------------------------------------- */

static int poll_loop(struct carom_loop *loop, int timeout_ms)
{
	struct pollfd pollfd = { .fd = carom_loop_pollable_fd(loop), .events = POLLIN };
	int r;

	do
		r = poll(&pollfd, 1, timeout_ms);
	while (r < 0 && errno == EINTR);
	return r;
}

/* The event has been caused: the descriptor tells, one run takes it, and it is quiet again. */
static void expect_one_event(struct carom_loop *loop, const char *what)
{
	cr_expect(eq(int, poll_loop(loop, 20000), 1), "%s did not make it readable", what);
	cr_expect(eq(int, carom_loop_run_once(loop, CAROM_PASSED), 1), "%s was not called", what);
	cr_expect(zero(int, poll_loop(loop, 0)), "%s left it readable", what);
}

LOOP_TEST(is_polled_for_descriptors)
{
	struct watched_pipe input = { .stop_itself = true };
	int call_count = 0;
	struct carom_loop_fd event = { .fd = eventfd(0, EFD_CLOEXEC),
				       .ready = read_event,
				       .userdata = &call_count };

	watch_pipe(loop, &input); /* once before it is asked for, once after */
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	cr_expect(zero(int, poll_loop(loop, 0)));
	cr_assert(zero(int, carom_loop_watch_fd(loop, &event)));
	cr_expect(zero(int, poll_loop(loop, 0)));
	fill_pipe(&input);
	expect_one_event(loop, "a pipe");
	for (int i = 0; i < 3; i++) {
		cr_assert(zero(int, eventfd_write(event.fd, 1)));
		expect_one_event(loop, "an eventfd");
	}
	cr_assert(zero(int, eventfd_write(event.fd, 1)));
	carom_loop_unwatch_fd(loop, &event);
	cr_expect(zero(int, poll_loop(loop, 0)), "an unwatched descriptor is told of");
	close_pipe(&input);
	close(event.fd);
}

LOOP_TEST(is_polled_for_a_death)
{
	pid_t pid = sleeping_child();
	int dead_fd = -1;
	struct carom_loop_fd watch = { .fd = (int)syscall(SYS_pidfd_open, pid, 0),
				       .ready = note_fd,
				       .userdata = &dead_fd };

	NEEDS("pidfd_open");
	cr_assert(zero(int, carom_loop_watch_fd(loop, &watch)));
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	cr_expect(zero(int, poll_loop(loop, 0)));
	kill(pid, SIGKILL);
	cr_expect(eq(int, poll_loop(loop, 20000), 1));
	cr_expect(eq(int, carom_loop_run_once(loop, CAROM_PASSED), 1));
	cr_expect(eq(int, dead_fd, watch.fd));
	carom_loop_unwatch_fd(loop, &watch);
	cr_expect(zero(int, poll_loop(loop, 0)));
	waitpid(pid, NULL, 0);
	close(watch.fd);
}

LOOP_TEST(is_polled_for_words)
{
	struct shared *shared = map_shared();
	int call_count = 0;
	struct carom_loop_word watch = { .word = &shared->word,
					 .changed = count_change,
					 .userdata = &call_count };

	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	for (int i = 0; i < 5; i++) {
		watch.expected = atomic_load(&shared->word);
		watch_word(loop, &watch);
		cr_expect(zero(int, poll_loop(loop, 0)));
		change(&shared->word);
		expect_one_event(loop, "a word");
	}
	watch.expected = 0;
	watch_word(loop, &watch);
	expect_one_event(loop, "a word that had changed");
	watch.expected = atomic_load(&shared->word);
	watch_word(loop, &watch);
	carom_loop_unwatch_word(loop, &watch);
	cr_expect(zero(int, poll_loop(loop, 0)), "an unwatched word is told of");
}

struct handed_over {
	struct carom_loop *loop;
	struct carom_loop_word word;
	struct watched_pipe input;
	int change_count;
};

/* all of it works here, whoever had the loop before */
static void use_loop(struct handed_over *it)
{
	char byte;

	for (int i = 0; i < 3; i++) {
		int before = it->change_count;

		change(it->word.word);
		cr_assert(eq(int, poll_loop(it->loop, 5000), 1));
		while (it->change_count == before)
			cr_assert(ge(int, carom_loop_run_once(it->loop, SOON), 0));
		it->word.expected = atomic_load(it->word.word);
		watch_word(it->loop, &it->word);
		fill_pipe(&it->input);
		cr_assert(eq(int, carom_loop_run_once(it->loop, SOON), 1));
		cr_assert(eq(long, read(it->input.watch.fd, &byte, 1), 1));
		carom_loop_ring(it->loop);
		cr_assert(eq(int, poll_loop(it->loop, 20000), 1));
		cr_expect(eq(int, carom_loop_run_once(it->loop, CAROM_PASSED), 1));
	}
	/* what was left behind there tells of its end */
	while (poll_loop(it->loop, 0))
		cr_expect(zero(int, carom_loop_run_once(it->loop, CAROM_PASSED)));
}

static void *use_loop_there(void *userdata)
{
	use_loop(userdata);
	return NULL;
}

LOOP_TEST(passes_from_thread_to_thread_once_it_can_be_polled)
{
	struct handed_over it = { .loop = loop };
	pthread_t thread;

	cr_assert(ge(int, carom_loop_pollable_fd(loop), 0));
	it.word = (struct carom_loop_word){ .word = &map_shared()->word,
					    .changed = count_change,
					    .userdata = &it.change_count };
	watch_word(loop, &it.word);
	watch_pipe(loop, &it.input);
	for (int i = 0; i < 3; i++) {
		use_loop(&it);
		cr_assert(zero(int, pthread_create(&thread, NULL, use_loop_there, &it)));
		cr_assert(zero(int, pthread_join(thread, NULL)));
	}
	carom_loop_unwatch_word(loop, &it.word);
	carom_loop_unwatch_fd(loop, &it.input.watch);
	close_pipe(&it.input);
}

LOOP_TEST(is_polled_for_timers_and_the_bell)
{
	int order[1], count = 0;
	struct noted_timer timer = { .timer = { .expired = note_timer, .userdata = &timer },
				     .order = order,
				     .count = &count };

	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	cr_expect(zero(int, poll_loop(loop, 0)));
	timer.due_ns = carom_deadline_after(CAROM_MILLISECONDS(3));
	cr_assert(zero(int, carom_loop_timer_set(loop, &timer.timer, timer.due_ns)));
	expect_one_event(loop, "a timer");
	carom_loop_ring(loop);
	expect_one_event(loop, "the bell");

	/* the deadline of a run is over when the run is */
	cr_expect(
		zero(int, carom_loop_run_once(loop, carom_deadline_after(CAROM_MILLISECONDS(1)))));
	cr_expect(zero(int, poll_loop(loop, 0)));
	cr_assert(zero(int, carom_loop_timer_set(loop, &timer.timer, CAROM_PASSED)));
	cr_expect(eq(int, poll_loop(loop, 20000), 1));
	carom_loop_timer_clear(loop, &timer.timer);
	cr_expect(zero(int, poll_loop(loop, 0)), "a cleared timer is told of");
}

LOOP_TEST(is_polled_before_its_first_run)
{
	struct shared *shared = map_shared();
	int call_count = 0;
	struct carom_loop_word watch = { .word = &shared->word,
					 .changed = count_change,
					 .userdata = &call_count };

	watch_word(loop, &watch);
	cr_assert(ge(int, carom_loop_pollable_fd(loop), 0));
	change(&shared->word);
	while (call_count == 0) {
		cr_assert(eq(int, poll_loop(loop, 20000), 1));
		cr_assert(ge(int, carom_loop_run_once(loop, CAROM_PASSED), 0));
	}
	cr_expect(zero(int, poll_loop(loop, 0)));
}

/* --- idleness ---------------------------------------------------------- */

static long number_in(const char *path, const char *label)
{
	FILE *file = fopen(path, "re");
	char line[256];
	long number = -1;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, label, strlen(label)) == 0)
			number = strtol(line + strlen(label), NULL, 10);
	if (file)
		fclose(file);
	return number;
}

static bool is_asleep(const char *directory)
{
	char path[300], line[512] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/stat", directory);
	file = fopen(path, "re");
	if (file && !fgets(line, sizeof(line), file))
		line[0] = '\0';
	if (file)
		fclose(file);
	return strstr(line, ") S ") != NULL;
}

/* How often the other threads of this process went to sleep, once all of them do. */
static long sleeps_of_other_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *entry;
	long sum = 0;

	while ((entry = readdir(tasks))) {
		char directory[280], path[300];

		if (entry->d_name[0] == '.' || atoi(entry->d_name) == gettid())
			continue;
		snprintf(directory, sizeof(directory), "/proc/self/task/%s", entry->d_name);
		while (!is_asleep(directory))
			sched_yield();
		snprintf(path, sizeof(path), "%s/status", directory);
		sum += number_in(path, "voluntary_ctxt_switches:");
	}
	closedir(tasks);
	return sum;
}

static uint64_t cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * CAROM_NS_PER_SEC + (uint64_t)used.tv_nsec;
}

LOOP_TEST(sleeps_without_waking_while_nothing_happens)
{
	struct shared *shared = map_shared();
	struct watched_pipe input = { 0 };
	int order[1], count = 0, call_count = 0;
	struct noted_timer timer = { .timer = { .expired = note_timer, .userdata = &timer },
				     .order = order,
				     .count = &count };
	struct carom_loop_word watch = { .word = &shared->word,
					 .changed = count_change,
					 .userdata = &call_count };
	char self[64];
	long before, others_before;
	uint64_t cpu_before;

#ifdef __SANITIZE_THREAD__
	cr_skip_test("ThreadSanitizer has a thread of its own that wakes");
#endif
	watch_pipe(loop, &input);
	watch_word(loop, &watch);
	cr_assert(zero(int, carom_loop_timer_set(loop, &timer.timer,
						 carom_deadline_after(CAROM_SECONDS(3600)))));
	/*
	 * A thread that is about to sleep says that it does before it is counted; preempted in
	 * between it would be taken for one that wakes. While this one sleeps it gets on.
	 */
	cr_expect(zero(int,
		       carom_loop_run_once(loop, carom_deadline_after(CAROM_MILLISECONDS(100)))));
	snprintf(self, sizeof(self), "/proc/self/task/%d/status", gettid());
	others_before = sleeps_of_other_threads();
	before = number_in(self, "voluntary_ctxt_switches:");
	cpu_before = cpu_ns();

	cr_expect(zero(int,
		       carom_loop_run_once(loop, carom_deadline_after(CAROM_MILLISECONDS(300)))));

	cr_expect(lt(u64, cpu_ns() - cpu_before, CAROM_MILLISECONDS(50))); /* emulated, too */
	/* one sleep for all of it */
	cr_expect(le(long, number_in(self, "voluntary_ctxt_switches:") - before, 1));
	cr_expect(eq(long, sleeps_of_other_threads(), others_before));
	carom_loop_unwatch_fd(loop, &input.watch);
	close_pipe(&input);
}

/* --- which back end ---------------------------------------------------- */

static const char *name_of_auto(void)
{
	CAROM_CLEANUP(carom_loop_freep) struct carom_loop *loop = NULL;
	int r = carom_loop_new(CAROM_LOOP_AUTO, NULL, NULL, &loop);

	return r == 0 ? carom_loop_backend_name(loop) : strerrorname_np(-r);
}

static void expect_auto_to_be(const char *name)
{
	const char *actual = name_of_auto();

	cr_expect(zero(int, strcmp(actual, name)), "%s, not %s", actual, name);
}

Test(loop, takes_the_back_end_that_the_environment_names)
{
	expect_auto_to_be(carom_probe(CAROM_FEATURE_IO_URING) ? "io_uring" : "epoll");
	setenv("CAROM_LOOP", "epoll", 1);
	expect_auto_to_be("epoll");
	setenv("CAROM_LOOP", "io_uring", 1);
	expect_auto_to_be(carom_probe(CAROM_FEATURE_IO_URING) ? "io_uring" : "EOPNOTSUPP");
	setenv("CAROM_LOOP", "kqueue", 1);
	expect_auto_to_be("EINVAL");
	setenv("CAROM_LOOP", "", 1);
	expect_auto_to_be(carom_probe(CAROM_FEATURE_IO_URING) ? "io_uring" : "epoll");
}

Test(loop, uses_epoll_where_io_uring_is_denied)
{
	struct carom_loop *loop = NULL;

	setenv("CAROM_DENY", "io_uring", 1);
	expect_auto_to_be("epoll");
	cr_expect(eq(int, carom_loop_new(CAROM_LOOP_IO_URING, NULL, NULL, &loop), -EOPNOTSUPP));
	cr_expect(eq(ptr, loop, NULL));
	setenv("CAROM_LOOP", "io_uring", 1);
	expect_auto_to_be("EOPNOTSUPP");
}

static void expect_unwatchable(struct carom_loop *loop, _Atomic uint32_t *word)
{
	struct carom_loop_word watch = { .word = word, .changed = count_change };

	cr_expect(eq(int, carom_loop_watch_word(loop, &watch), -EOPNOTSUPP));
	carom_loop_unwatch_word(loop, &watch);
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
}

Test(loop, says_so_where_words_cannot_be_waited_for)
{
	CAROM_CLEANUP(carom_loop_freep) struct carom_loop *loop = make_loop(&epoll_futex);
	CAROM_CLEANUP(carom_loop_freep) struct carom_loop *alone = make_loop(&epoll_futex);
	struct shared *shared = map_shared();
	_Atomic uint32_t word = 0;

	expect_unwatchable(loop, &word); /* not shared: nothing to make an alias of */
	carom_loop_go_without_threads(alone);
	expect_unwatchable(alone, &shared->word);
}

/* From now on futex_waitv(2) is refused, as by a filter that came after the probe. */
static void forbid_futex_waitv(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 449, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(*code), .filter = code };

	cr_assert(zero(int, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
	cr_assert(zero(int, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)));
}

Test(loop, is_broken_openly_when_the_kernel_stops_waiting_for_words)
{
	CAROM_CLEANUP(carom_loop_freep) struct carom_loop *loop = NULL;
	struct shared *shared = map_shared();
	struct carom_loop_word watch = { .word = &shared->word, .changed = count_change };

	cr_assert(zero(int, carom_loop_new(CAROM_LOOP_EPOLL, NULL, NULL, &loop)));
	if (!carom_probe(CAROM_FEATURE_FUTEX_WAITV))
		cr_skip_test("futex_waitv is not there to be refused");
	forbid_futex_waitv();
	cr_assert(zero(int, carom_loop_watch_word(loop, &watch)));
	cr_expect(eq(int, carom_loop_run_once(loop, SOON), -EPERM));
	carom_loop_unwatch_word(loop, &watch);
}

/* --- failures ---------------------------------------------------------- */

static int open_fd_count(void)
{
	DIR *fds = opendir("/proc/self/fd");
	int count = -1; /* its own */

	while (readdir(fds))
		count++;
	closedir(fds);
	return count;
}

static void limit_descriptors(rlim_t count)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = count;
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
}

static int new_loop_with_at_most(enum carom_loop_backend backend, rlim_t fd_limit,
				 struct carom_loop **ret_loop)
{
	struct rlimit before;
	int r;

	getrlimit(RLIMIT_NOFILE, &before);
	limit_descriptors(fd_limit);
	r = carom_loop_new(backend, NULL, NULL, ret_loop);
	limit_descriptors(before.rlim_cur);
	return r;
}

static void try_with_growing_room(enum carom_loop_backend backend)
{
	CAROM_CLEANUP(carom_loop_freep) struct carom_loop *loop = NULL;
	int count = open_fd_count();
	int first_free = dup(0);
	int room = 0;
	int r;

	cr_assert(ge(int, first_free, 0));
	close(first_free);
	while ((r = new_loop_with_at_most(backend, (rlim_t)(first_free + room), &loop)) < 0) {
		cr_expect(eq(int, r, -EMFILE));
		cr_expect(eq(int, open_fd_count(), count));
		cr_assert(lt(int, ++room, 10));
	}
	cr_expect(ge(int, room, 3), "the loop needs at least three descriptors");
	loop = carom_loop_free(loop);
	cr_expect(eq(int, open_fd_count(), count));
}

Test(loop, leaves_no_descriptor_behind_when_there_are_too_few)
{
	carom_probe(CAROM_FEATURE_IO_URING);
	try_with_growing_room(CAROM_LOOP_EPOLL);
	if (carom_probe(CAROM_FEATURE_IO_URING))
		try_with_growing_room(CAROM_LOOP_IO_URING);
}

LOOP_TEST(needs_no_descriptor_for_words)
{
	struct carom_loop_word watch = { .word = &map_shared()->word, .changed = count_change };
	int before = open_fd_count();

	watch_word(loop, &watch);
	cr_expect(zero(int, carom_loop_run_once(loop, CAROM_PASSED)));
	cr_expect(eq(int, open_fd_count(), before));
}

LOOP_TEST(gives_back_all_it_took)
{
	int before, after;

	carom_loop_run_once(loop, CAROM_PASSED);
	before = open_fd_count();
	for (int i = 0; i < 50; i++) {
		struct shared *shared = map_shared();
		struct carom_loop_word watch = { .word = &shared->word, .changed = count_change };
		struct carom_loop *another = NULL;

		cr_assert(zero(int, carom_loop_new(CAROM_LOOP_AUTO, NULL, NULL, &another)));
		if (i % 2)
			cr_assert(ge(int, carom_loop_pollable_fd(another), 0));
		watch_word(another, &watch);
		cr_expect(zero(int, carom_loop_run_once(another, CAROM_PASSED)));
		carom_loop_free(another); /* with the word still watched */
		munmap(shared, sizeof(*shared));
	}
	after = open_fd_count();
	cr_expect(eq(int, after, before));
	cr_expect(eq(ptr, carom_loop_free(NULL), NULL));
}
