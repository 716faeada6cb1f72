/*
 * Mutex: a lock between processes that survives its holder. Every promise is
 * tested twice: on the robust list, and on the pthread library's mutex, which
 * stands in where the list is not to be had.
 */
#include "tests/shm/help.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/cleanup.h"
#include "core/points.h"
#include "shm/mutex.h"
#include "tests/needs.h"

#define BOTH(name) TEST_BOTH(mutex, name)

/**
 * struct table - shared by the processes of a test
 * @a, @b: equal whenever nobody holds the lock
 */
struct table {
	struct carom_mutex lock;
	uint64_t a;
	uint64_t b;
	_Atomic uint32_t inside;
	_Atomic uint32_t violations;
	_Atomic uint32_t owner_deaths;
	_Atomic uint32_t rounds;
	_Atomic uint32_t ready;
	_Atomic uint32_t stop;
};

static struct table *new_table(void)
{
	struct table *table = share(sizeof(*table));

	cr_assert(zero(int, carom_mutex_init(&table->lock)));
	return table;
}

static uint32_t word_of(struct carom_mutex *lock)
{
	return atomic_load((_Atomic uint32_t *)lock);
}

/* A process or thread that waits says so in the word, in either implementation. */
static bool has_sleeper(struct carom_mutex *lock)
{
	return word_of(lock) & FUTEX_WAITERS;
}

static pid_t child_that_holds(struct table *table)
{
	pid_t pid = child();

	if (pid == 0) {
		if (carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE) != 0)
			_exit(1);
		hold_until_killed(&table->ready);
	}
	await_held(&table->ready);
	return pid;
}

/* Its exit status is minus what it got. */
static pid_t child_that_acquires(struct table *table)
{
	pid_t pid = child();

	if (pid == 0)
		_exit(-carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE));
	return pid;
}

static void count_to(struct table *table, int count)
{
	for (int i = 0; i < count; i++) {
		carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE);
		table->a++;
		carom_mutex_release(&table->lock);
	}
}

BOTH(keeps_processes_apart)
{
	struct table *table = new_table();
	pid_t pids[4];

	for (int i = 0; i < 4; i++) {
		pids[i] = child();
		if (pids[i] == 0) {
			count_to(table, 20000);
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++)
		cr_expect(zero(int, ended(pids[i])));
	cr_expect(eq(u64, table->a, 80000));
}

static void *count_in_thread(void *table)
{
	count_to(table, 20000);
	return NULL;
}

BOTH(keeps_threads_apart)
{
	struct table *table = new_table();
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		cr_assert(zero(int, pthread_create(&threads[i], NULL, count_in_thread, table)));
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_expect(eq(u64, table->a, 80000));
}

BOTH(tells_the_next_one_that_its_holder_died)
{
	struct table *table = new_table();
	pid_t holder = child_that_holds(table);

	killed(holder);
	cr_expect(eq(int, carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE), -EOWNERDEAD));
	cr_expect(zero(int, carom_mutex_consistent(&table->lock)));
	cr_expect(zero(int, carom_mutex_release(&table->lock)));

	cr_expect(zero(int, carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE)));
	cr_expect(zero(int, carom_mutex_release(&table->lock)));
}

BOTH(wakes_a_sleeper_when_its_holder_dies)
{
	struct table *table = new_table();
	pid_t holder = child_that_holds(table), waiter = child_that_acquires(table);

	await(has_sleeper(&table->lock));
	killed(holder);
	cr_expect(eq(int, ended(waiter), EOWNERDEAD));
	/* the waiter ended while it had the lock, and had repaired nothing */
	cr_expect(eq(int, carom_mutex_try(&table->lock), -EOWNERDEAD));
}

BOTH(is_lost_if_nobody_repairs)
{
	struct table *table = new_table();
	pid_t waiters[3];

	killed(child_that_holds(table));
	cr_assert(eq(int, carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE), -EOWNERDEAD));
	for (int i = 0; i < 3; i++)
		waiters[i] = child_that_acquires(table);
	for (int i = 0; i < 3; i++)
		await_asleep(waiters[i]);
	cr_expect(zero(int, carom_mutex_release(&table->lock)));

	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, ended(waiters[i]), ENOTRECOVERABLE));
	cr_expect(eq(int, carom_mutex_try(&table->lock), -ENOTRECOVERABLE));
	cr_expect(zero(int, carom_mutex_init(&table->lock)));
	cr_expect(zero(int, carom_mutex_try(&table->lock)));
}

BOTH(tells_the_next_one_if_the_repairer_dies_too)
{
	struct table *table = new_table();

	killed(child_that_holds(table));
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, ended(child_that_acquires(table)), EOWNERDEAD));
	cr_expect(eq(int, carom_mutex_try(&table->lock), -EOWNERDEAD));
	cr_expect(zero(int, carom_mutex_consistent(&table->lock)));
	cr_expect(zero(int, carom_mutex_release(&table->lock)));
	cr_expect(zero(int, carom_mutex_try(&table->lock)));
}

static void *end_while_holding(void *table)
{
	carom_mutex_acquire(&((struct table *)table)->lock, CAROM_NO_DEADLINE);
	return NULL;
}

BOTH(counts_a_thread_that_ends_as_dead)
{
	struct table *table = new_table();
	pthread_t thread;

	cr_assert(zero(int, pthread_create(&thread, NULL, end_while_holding, table)));
	pthread_join(thread, NULL);
	cr_expect(eq(int, carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE), -EOWNERDEAD));
}

BOTH(counts_a_holder_that_execs_as_dead)
{
	struct table *table = new_table();
	int input[2];
	pid_t pid;

	cr_assert(zero(int, pipe2(input, O_CLOEXEC)));
	pid = child();
	if (pid == 0) {
		carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE);
		atomic_store(&table->ready, 1);
		dup2(input[0], 0);
		execlp("cat", "cat", NULL);
		_exit(1);
	}
	await(atomic_load(&table->ready));
	cr_expect(eq(int, carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE), -EOWNERDEAD));
	close(input[1]);
	cr_expect(zero(int, ended(pid))); /* it lived on */
}

BOTH(is_not_inherited_by_a_child)
{
	struct table *table = new_table();
	pid_t pid;

	cr_assert(zero(int, carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE)));
	pid = child();
	if (pid == 0) {
		if (carom_mutex_release(&table->lock) != -EPERM)
			_exit(1);
		if (carom_mutex_try(&table->lock) != -EBUSY)
			_exit(2);
		_exit(0);
	}
	cr_expect(zero(int, ended(pid)));
	cr_expect(eq(int, carom_mutex_owner(&table->lock), getpid()));
	cr_expect(zero(int, carom_mutex_release(&table->lock)));
}

BOTH(works_in_the_child_of_a_holder)
{
	struct table *table = new_table();
	pid_t parent = child();

	if (parent == 0) {
		pid_t pid;

		carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE);
		pid = child_that_acquires(table);
		await(has_sleeper(&table->lock));
		carom_mutex_release(&table->lock);
		if (ended(pid) != 0) /* it got the lock, and ended with it */
			_exit(1);
		_exit(-carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE));
	}
	cr_expect(eq(int, ended(parent), EOWNERDEAD));
}

BOTH(says_why_it_was_not_acquired)
{
	struct table *table = new_table();
	pid_t holder;

	cr_expect(eq(int, carom_mutex_release(&table->lock), -EPERM));
	cr_expect(eq(int, carom_mutex_consistent(&table->lock), -EPERM));

	cr_assert(zero(int, carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE)));
	cr_expect(eq(int, carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE), -EDEADLK));
	cr_expect(eq(int, carom_mutex_try(&table->lock), -EDEADLK));
	cr_expect(eq(int, carom_mutex_consistent(&table->lock), -EINVAL));
	cr_expect(zero(int, carom_mutex_release(&table->lock)));

	holder = child_that_holds(table);
	cr_expect(eq(int, carom_mutex_try(&table->lock), -EBUSY));
	cr_expect(eq(int, carom_mutex_release(&table->lock), -EPERM));
	cr_expect(eq(int, carom_mutex_consistent(&table->lock), -EPERM));
	killed(holder);
}

BOTH(waits_no_longer_than_the_deadline)
{
	struct table *table = new_table();
	pid_t holder = child_that_holds(table);
	uint64_t deadline = carom_deadline_after(CAROM_MILLISECONDS(20));

	cr_expect(eq(int, carom_mutex_acquire(&table->lock, deadline), -ETIMEDOUT));
	cr_expect(ge(u64, carom_now(), deadline));
	cr_expect(eq(int, carom_mutex_acquire(&table->lock, CAROM_PASSED), -ETIMEDOUT));

	killed(holder);
	cr_expect(eq(int, carom_mutex_acquire(&table->lock, CAROM_PASSED), -EOWNERDEAD));
}

static void ignore_signal(int signal_number)
{
}

BOTH(goes_on_waiting_after_a_signal)
{
	struct table *table = new_table();
	pid_t holder = child_that_holds(table), waiter = child();

	if (waiter == 0) {
		struct sigaction action = { .sa_handler = ignore_signal };

		sigaction(SIGUSR1, &action, NULL);
		atomic_store(&table->ready, 1);
		_exit(-carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE));
	}
	await(atomic_load(&table->ready) && has_sleeper(&table->lock));
	for (int i = 0; i < 10; i++)
		kill(waiter, SIGUSR1);
	killed(holder);
	cr_expect(eq(int, ended(waiter), EOWNERDEAD));
}

/* Until the signal, sent again and again: one that comes before the wait counts for nothing. */
static int signalled_while_it_acquires(struct table *table, int flags, uint64_t deadline_ns)
{
	pid_t waiter = child();

	if (waiter == 0) {
		struct sigaction action = { .sa_handler = ignore_signal, .sa_flags = flags };
		int r;

		sigaction(SIGUSR1, &action, NULL);
		atomic_store(&table->ready, 1);
		r = carom_mutex_acquire_interruptible(&table->lock, deadline_ns);
		atomic_store(&table->ready, 2);
		_exit(-r);
	}
	return ended_by_signals(waiter, &table->ready);
}

/* SY-14 */
BOTH(stops_waiting_at_a_signal_if_asked)
{
	struct table *table = new_table();
	pid_t holder = child_that_holds(table);
	uint64_t deadline = carom_deadline_after(CAROM_SECONDS(60));

	cr_expect(eq(int, signalled_while_it_acquires(table, 0, CAROM_NO_DEADLINE), EINTR));
	cr_expect(
		eq(int, signalled_while_it_acquires(table, SA_RESTART, CAROM_NO_DEADLINE), EINTR));
	cr_expect(eq(int, signalled_while_it_acquires(table, SA_RESTART, deadline), EINTR));
	killed(holder);
}

BOTH(is_acquired_by_one_who_may_be_interrupted)
{
	struct table *table = new_table();
	uint64_t soon = carom_deadline_after(CAROM_MILLISECONDS(5));
	pid_t holder, waiter;

	cr_assert(zero(int, carom_mutex_acquire_interruptible(&table->lock, CAROM_PASSED)));
	cr_expect(eq(int, carom_mutex_acquire_interruptible(&table->lock, soon), -EDEADLK));
	waiter = child();
	if (waiter == 0)
		_exit(-carom_mutex_acquire_interruptible(&table->lock, CAROM_NO_DEADLINE));
	await_asleep(waiter);
	cr_expect(zero(int, carom_mutex_release(&table->lock)));
	cr_expect(zero(int, ended(waiter))); /* it got it, and ended with it */
	cr_expect(eq(int, carom_mutex_acquire_interruptible(&table->lock, CAROM_PASSED),
		     -EOWNERDEAD));
	cr_expect(zero(int, carom_mutex_consistent(&table->lock)));
	cr_expect(zero(int, carom_mutex_release(&table->lock)));

	holder = child_that_holds(table);
	cr_expect(eq(int, carom_mutex_acquire_interruptible(&table->lock, soon), -ETIMEDOUT));
	killed(holder);
}

static int use_and_leave_early(struct table *table, bool keep)
{
	CAROM_CLEANUP(carom_mutex_releasep) struct carom_mutex *held = NULL;
	int r = carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE);

	if (r < 0 && r != -EOWNERDEAD)
		return r;
	held = &table->lock;
	if (r == -EOWNERDEAD)
		return r; /* repaired nothing */
	if (keep)
		held = NULL;
	return 0;
}

/* SY-12 */
BOTH(is_released_when_its_block_is_left)
{
	struct table *table = new_table();

	cr_expect(zero(int, use_and_leave_early(table, false)));
	cr_expect(zero(int, carom_mutex_owner(&table->lock)));
	cr_expect(zero(int, use_and_leave_early(table, true)));
	cr_expect(zero(int, carom_mutex_release(&table->lock)));

	killed(child_that_holds(table));
	cr_expect(eq(int, use_and_leave_early(table, false), -EOWNERDEAD));
	cr_expect(eq(int, use_and_leave_early(table, false), -ENOTRECOVERABLE));
}

BOTH(names_its_holder)
{
	struct table *table = new_table();
	pid_t holder;

	cr_expect(zero(int, carom_mutex_owner(&table->lock)));
	holder = child_that_holds(table);
	cr_expect(eq(int, carom_mutex_owner(&table->lock), holder));
	killed(holder);
	cr_assert(eq(int, carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE), -EOWNERDEAD));
	cr_expect(eq(int, carom_mutex_owner(&table->lock), getpid()));
	carom_mutex_consistent(&table->lock);
	carom_mutex_release(&table->lock);
	cr_expect(zero(int, carom_mutex_owner(&table->lock)));
}

static bool says(struct carom_mutex *mutex, const char *expected)
{
	char text[400];

	if (strcmp(carom_mutex_describe(mutex, text, sizeof(text)), expected) == 0)
		return true;
	fprintf(stderr, "# %s, not %s\n", text, expected);
	return false;
}

static void hold_with_name(struct table *table)
{
	prctl(PR_SET_NAME, "a (strange) \n'1");
	carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE);
	atomic_store(&table->ready, 1);
	for (;;)
		pause();
}

BOTH(is_described)
{
	struct table *table = new_table();
	int status;
	pid_t pid;
	char cut[8];

	cr_expect(says(&table->lock, "<Mutex owner=nobody>"));
	cr_assert(zero(int, carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE)));
	cr_expect(says(&table->lock, line("<Mutex owner='MainProcess' pid=%d>", getpid())));
	cr_expect(eq(str, carom_mutex_describe(&table->lock, cut, sizeof(cut)), (char *)"<Mutex "));
	cr_assert(zero(int, carom_mutex_release(&table->lock)));

	pid = child();
	if (pid == 0)
		hold_with_name(table);
	await(atomic_load(&table->ready));
	cr_expect(says(&table->lock, line("<Mutex owner='a (strange) \\n'1' pid=%d>", pid)));
	kill(pid, SIGSTOP);
	cr_assert(eq(int, waitpid(pid, &status, WUNTRACED), pid));
	cr_expect(
		says(&table->lock, line("<Mutex owner='a (strange) \\n'1' pid=%d stopped>", pid)));
	killed(pid);
}

static void *hold_in_thread(void *argument)
{
	struct table *table = argument;

	carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE);
	table->a = (uint64_t)gettid();
	atomic_store(&table->ready, 1);
	await(atomic_load(&table->stop));
	carom_mutex_release(&table->lock);
	return NULL;
}

BOTH(is_described_with_the_thread)
{
	struct table *table = new_table();
	pthread_t thread;

	cr_assert(zero(int, pthread_create(&thread, NULL, hold_in_thread, table)));
	await(atomic_load(&table->ready));
	cr_expect(says(&table->lock, line("<Mutex owner='MainProcess' pid=%d thread=%d>", getpid(),
					  (int)table->a)));
	atomic_store(&table->stop, 1);
	pthread_join(thread, NULL);
}

Test(mutex, is_described_after_a_death, .timeout = 60)
{
	struct table *table = new_table();

	NEEDS("get_robust_list"); /* the other mutex tells less of its dead */
	killed(child_that_holds(table));
	cr_expect(says(&table->lock, "<Mutex owner died, to be repaired>"));
	cr_assert(eq(int, carom_mutex_try(&table->lock), -EOWNERDEAD));
	cr_expect(says(&table->lock, line("<Mutex owner='MainProcess' pid=%d repairs>", getpid())));
	cr_assert(zero(int, carom_mutex_release(&table->lock)));
	cr_expect(says(&table->lock, "<Mutex broken>"));
}

Test(mutex, is_described_after_a_death_without_the_list, .timeout = 60)
{
	struct table *table;
	pid_t pid;

	setenv("CAROM_DENY", "robust_list", 1);
	table = new_table();
	pid = child_that_holds(table);
	killed(pid);
	/* nobody knows before it is acquired */
	cr_expect(says(&table->lock, line("<Mutex owner='?' pid=%d gone>", pid)));
	cr_assert(eq(int, carom_mutex_try(&table->lock), -EOWNERDEAD));
	cr_expect(says(&table->lock, line("<Mutex owner='MainProcess' pid=%d repairs>", getpid())));
	cr_assert(zero(int, carom_mutex_release(&table->lock)));
	cr_expect(says(&table->lock, "<Mutex broken>"));
}

BOTH(works_at_another_address)
{
	int fd = memfd_create("mutex", MFD_CLOEXEC);
	struct table *here, *there;

	cr_assert(zero(int, ftruncate(fd, sizeof(*here))));
	here = mmap(NULL, sizeof(*here), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	there = mmap(NULL, sizeof(*here), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert(zero(int, carom_mutex_init(&here->lock)));
	killed(child_that_holds(there));
	cr_expect(eq(int, carom_mutex_acquire(&here->lock, CAROM_NO_DEADLINE), -EOWNERDEAD));
	cr_expect(eq(int, carom_mutex_try(&there->lock), -EDEADLK));
	close(fd);
}

/* ---- several locks, and the list they share with the pthread library ---- */

#define MANY 2000

BOTH(is_handed_on_with_all_the_others_held)
{
	struct carom_mutex *locks = share(MANY * sizeof(*locks));
	int owner_deaths = 0;
	pid_t pid;

	for (int i = 0; i < MANY; i++)
		cr_assert(zero(int, carom_mutex_init(&locks[i])));
	pid = child();
	if (pid == 0) {
		for (int i = 0; i < MANY; i++)
			carom_mutex_acquire(&locks[i], CAROM_NO_DEADLINE);
		for (int i = 0; i < MANY; i += 2) /* the odd ones stay */
			carom_mutex_release(&locks[i]);
		raise(SIGKILL);
	}
	ended(pid);
	for (int i = 0; i < MANY; i++) {
		int r = carom_mutex_try(&locks[i]);

		cr_assert(eq(int, r, i % 2 ? -EOWNERDEAD : 0));
		owner_deaths += r == -EOWNERDEAD;
	}
	cr_expect(eq(int, owner_deaths, MANY / 2));
}

enum { VERY_MANY = 5000, FEWER = 1500 };

/** struct crowd - so many mutexes, and how many somebody has acquired, or which */
struct crowd {
	_Atomic uint32_t count;
	_Atomic uint8_t is_held[VERY_MANY];
	struct carom_mutex mutexes[VERY_MANY];
};

static struct crowd *new_crowd(void)
{
	struct crowd *crowd = share(sizeof(*crowd));

	for (int i = 0; i < VERY_MANY; i++)
		cr_assert(zero(int, carom_mutex_init(&crowd->mutexes[i])));
	return crowd;
}

static void acquire_all(struct crowd *crowd, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (carom_mutex_acquire(&crowd->mutexes[i], CAROM_NO_DEADLINE) == 0)
			atomic_fetch_add(&crowd->count, 1);
}

/* How many give @expected to who tries, from the first one on. Released again. */
static uint32_t count_that_say(struct crowd *crowd, uint32_t count, int expected)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		int r = carom_mutex_try(&crowd->mutexes[i]);

		if (r == -EOWNERDEAD)
			carom_mutex_consistent(&crowd->mutexes[i]);
		if (r == 0 || r == -EOWNERDEAD)
			carom_mutex_release(&crowd->mutexes[i]);
		if (r != expected)
			break;
	}
	return i;
}

Test(mutex, is_handed_on_though_its_holder_has_5000, .timeout = 120)
{
	struct crowd *crowd = new_crowd();
	pid_t pid;

	NEEDS("get_robust_list"); /* the other mutex is not handed on of so many */
	pid = child();
	if (pid == 0) {
		acquire_all(crowd, VERY_MANY);
		raise(SIGKILL);
	}
	cr_expect(eq(int, ended(pid), -SIGKILL));
	cr_assert(eq(u32, atomic_load(&crowd->count), VERY_MANY));
	cr_expect(eq(u32, count_that_say(crowd, VERY_MANY, -EOWNERDEAD), VERY_MANY));
	cr_expect(eq(u32, count_that_say(crowd, VERY_MANY, 0), VERY_MANY));
}

static void *end_with_many(void *crowd)
{
	acquire_all(crowd, FEWER);
	return NULL;
}

Test(mutex, of_a_thread_that_ends_is_handed_on_however_many_it_has, .timeout = 120)
{
	struct crowd *crowd = new_crowd();
	pthread_t thread;

	for (int round = 0; round < 3; round++) {
		cr_assert(zero(int, pthread_create(&thread, NULL, end_with_many, crowd)));
		pthread_join(thread, NULL);
		cr_expect(eq(u32, count_that_say(crowd, FEWER, -EOWNERDEAD), FEWER));
		cr_expect(eq(u32, count_that_say(crowd, FEWER, 0), FEWER));
	}
}

static void *use_those_of_others(void *argument)
{
	struct crowd *crowd = argument;

	for (uint32_t i = 0; i < FEWER; i++)
		if (carom_mutex_release(&crowd->mutexes[i]) != -EPERM)
			return crowd;
	return count_that_say(crowd, FEWER, -EBUSY) == FEWER ? NULL : crowd;
}

Test(mutex, is_its_holder_s_alone_however_many_that_has, .timeout = 120)
{
	struct crowd *crowd = new_crowd();
	struct carom_mutex *last = &crowd->mutexes[FEWER - 1];
	pthread_t thread;
	void *wrong;
	pid_t pid;

	acquire_all(crowd, FEWER);
	cr_expect(eq(u32, count_that_say(crowd, FEWER, -EDEADLK), FEWER));
	cr_expect(eq(int, carom_mutex_owner(last), getpid()));
	cr_expect(says(last, line("<Mutex owner='MainProcess' pid=%d>", getpid())));
	cr_assert(zero(int, pthread_create(&thread, NULL, use_those_of_others, crowd)));
	pthread_join(thread, &wrong);
	cr_expect(eq(ptr, wrong, NULL));
	pid = child();
	if (pid == 0)
		_exit(use_those_of_others(crowd) != NULL);
	cr_expect(zero(int, ended(pid)));
	for (uint32_t i = 0; i < FEWER; i++)
		cr_assert(zero(int, carom_mutex_release(&crowd->mutexes[i * 7 % FEWER])));
	cr_expect(eq(u32, count_that_say(crowd, FEWER, 0), FEWER));
	cr_expect(eq(int, carom_mutex_release(last), -EPERM));
}

Test(mutex, is_waited_for_however_many_its_holder_has, .timeout = 120)
{
	struct crowd *crowd = new_crowd();
	struct carom_mutex *last = &crowd->mutexes[FEWER - 1];
	pid_t pid;

	acquire_all(crowd, FEWER);
	pid = child();
	if (pid == 0) {
		if (carom_mutex_acquire(last, CAROM_NO_DEADLINE) != 0)
			_exit(1);
		_exit(-carom_mutex_release(last));
	}
	await_asleep(pid);
	cr_expect(zero(int, carom_mutex_release(last)));
	cr_expect(zero(int, ended(pid)));
	cr_expect(zero(int, carom_mutex_acquire(last, CAROM_NO_DEADLINE)));
	cr_expect(zero(int, carom_mutex_release(last)));
}

/* Every second one is released, in the order in which they were acquired; the others never. */
static void *use_many_and_end(void *argument)
{
	struct crowd *crowd = argument;

	for (uint32_t i = 0; i < FEWER; i++)
		if (carom_mutex_acquire(&crowd->mutexes[i], CAROM_NO_DEADLINE) == 0)
			atomic_store(&crowd->is_held[i], 1);
	for (uint32_t i = 0; i < FEWER; i += 2) {
		atomic_store(&crowd->is_held[i], 0);
		carom_mutex_release(&crowd->mutexes[i]);
	}
	return NULL;
}

/* All that somebody held who died are told of, and at most one that was about to be, or not to be. */
static void expect_deaths(struct crowd *crowd, const char *point)
{
	uint32_t forgotten = 0, uncertain = 0;

	for (uint32_t i = 0; i < FEWER; i++) {
		int r = carom_mutex_try(&crowd->mutexes[i]);
		bool is_told = r == -EOWNERDEAD;

		forgotten += (r != 0 && !is_told) || (atomic_load(&crowd->is_held[i]) && !is_told);
		uncertain += is_told && !atomic_load(&crowd->is_held[i]);
		if (is_told)
			carom_mutex_consistent(&crowd->mutexes[i]);
		cr_expect(zero(int, carom_mutex_release(&crowd->mutexes[i])), "at %s", point);
	}
	cr_expect(zero(u32, forgotten), "at %s", point);
	cr_expect(le(u32, uncertain, 1), "at %s", point);
	cr_expect(eq(u32, count_that_say(crowd, FEWER, 0), FEWER), "at %s", point);
}

static void die_with_many_at(const char *point, uint32_t nth)
{
	struct crowd *crowd = new_crowd();
	pthread_t thread;
	pid_t pid;

	cr_assert(zero(int, carom_point_arm_once(point, nth, SIGKILL)));
	pid = child();
	if (pid == 0) {
		pthread_create(&thread, NULL, use_many_and_end, crowd);
		pthread_join(thread, NULL);
		raise(SIGKILL);
	}
	cr_expect(eq(int, ended(pid), -SIGKILL));
	cr_expect(eq(u32, carom_point_hits(point), 1), "at %s", point);
	carom_point_disarm_all();
	expect_deaths(crowd, point);
	munmap(crowd, sizeof(*crowd));
}

Test(mutex, survives_a_death_while_many_are_held, .timeout = 300)
{
	uint64_t seed = new_seed();
	const char *name;
	int points = 0;

	NEEDS("get_robust_list");
	if (!carom_point_name(0))
		cr_skip_test("built without -Dpoints=true");
	for (size_t i = 0; (name = carom_point_name(i)); i++) {
		if (strncmp(name, "keep.", 5) != 0)
			continue;
		for (int round = 0; round < 5; round++)
			die_with_many_at(name, 1 + chance(&seed) % 100);
		points++;
	}
	cr_expect(ge(int, points, 6));
}

enum { MIX = 12 };

/**
 * struct mix - locks of both makers, every third mutex with priority inheritance
 */
struct mix {
	struct carom_mutex locks[MIX];
	pthread_mutex_t mutexes[MIX];
	uint32_t lock_held[MIX];
	uint32_t mutex_held[MIX];
};

static struct mix *new_mix(void)
{
	struct mix *mix = share(sizeof(*mix));
	pthread_mutexattr_t attributes;

	for (int i = 0; i < MIX; i++) {
		cr_assert(zero(int, carom_mutex_init(&mix->locks[i])));
		pthread_mutexattr_init(&attributes);
		pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
		pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
		if (i % 3 == 0)
			pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
		cr_assert(zero(int, pthread_mutex_init(&mix->mutexes[i], &attributes)));
	}
	return mix;
}

static int toggle(struct mix *mix, uint32_t i)
{
	uint32_t *held = i < MIX ? &mix->lock_held[i] : &mix->mutex_held[i - MIX];
	int r;

	if (i < MIX)
		r = *held ? carom_mutex_release(&mix->locks[i])
			  : carom_mutex_acquire(&mix->locks[i], CAROM_NO_DEADLINE);
	else
		r = *held ? pthread_mutex_unlock(&mix->mutexes[i - MIX])
			  : pthread_mutex_lock(&mix->mutexes[i - MIX]);
	*held = !*held;
	return r;
}

/* Taken and released in any order; then death. */
static void hold_some_and_die(struct mix *mix, uint64_t seed)
{
	for (int step = 0; step < 200; step++)
		if (toggle(mix, chance(&seed) % (2 * MIX)) != 0)
			_exit(1);
	raise(SIGKILL);
}

BOTH(stands_among_robust_mutexes)
{
	uint64_t seed = new_seed();

	for (int round = 0; round < 50; round++) {
		struct mix *mix = new_mix();
		pid_t pid = child();

		if (pid == 0)
			hold_some_and_die(mix, seed + (uint64_t)round);
		cr_assert(eq(int, ended(pid), -SIGKILL));
		for (int i = 0; i < MIX; i++) {
			cr_expect(eq(int, carom_mutex_try(&mix->locks[i]),
				     mix->lock_held[i] ? -EOWNERDEAD : 0));
			cr_expect(eq(int, pthread_mutex_trylock(&mix->mutexes[i]),
				     mix->mutex_held[i] ? EOWNERDEAD : 0));
		}
		for (int i = 0; i < MIX; i++) { /* this process's list holds too */
			carom_mutex_consistent(&mix->locks[i]);
			cr_expect(zero(int, carom_mutex_release(&mix->locks[i])));
			pthread_mutex_consistent(&mix->mutexes[i]);
			cr_expect(zero(int, pthread_mutex_unlock(&mix->mutexes[i])));
		}
		munmap(mix, sizeof(*mix));
	}
}

/* ---- deaths ---- */

/* One use of the lock, checked: alone inside, and the state whole or announced as torn. */
static void use_once(struct table *table, uint64_t *seed)
{
	int r = carom_mutex_acquire(&table->lock, CAROM_NO_DEADLINE);

	if (r == -EOWNERDEAD) {
		atomic_fetch_add(&table->owner_deaths, 1);
		atomic_store(&table->inside, 0);
		table->b = table->a;
		carom_mutex_consistent(&table->lock);
	} else if (r != 0 || table->a != table->b) {
		atomic_fetch_add(&table->violations, 1);
	}
	if (atomic_fetch_add(&table->inside, 1) != 0)
		atomic_fetch_add(&table->violations, 1);
	table->a++;
	CAROM_POINT("mutex.test_inside");
	if (chance(seed) % 4 == 0)
		sched_yield(); /* let others find it held, and fall asleep */
	table->b++;
	atomic_fetch_sub(&table->inside, 1);
	if (carom_mutex_release(&table->lock) != 0)
		atomic_fetch_add(&table->violations, 1);
	atomic_fetch_add(&table->rounds, 1);
}

static pid_t child_that_uses(struct table *table, uint64_t seed)
{
	pid_t pid = child();

	if (pid == 0) {
		while (!atomic_load(&table->stop))
			use_once(table, &seed);
		_exit(0);
	}
	return pid;
}

static bool dies_as_owner(const char *point)
{
	static const char *const names[] = { "mutex.taken", "mutex.linked", "mutex.test_inside",
					     "mutex.release_pending", "mutex.unlinked" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(point, names[i]) == 0)
			return true;
	return false;
}

enum { USERS = 3, DEATHS_AT_EACH = 100 };

/* One of those who use the lock dies at @point; the others must go on, and be told if it held it. */
static void kill_one_at(const char *point, struct table *table, pid_t *pids, uint64_t *seed)
{
	uint32_t before, after;
	int status = 0, i = 0;
	pid_t dead;

	use_once(table, seed);
	before = atomic_load(&table->owner_deaths);
	/* not the first USERS: who is just passing by when the counts go back to 0 counts too */
	cr_assert(zero(int, carom_point_arm_once(point, USERS + 1 + chance(seed) % 5, SIGKILL)));
	dead = waitpid(-1, &status, 0);
	carom_point_disarm_all();
	cr_assert(eq(int, WTERMSIG(status), SIGKILL), "waiting for a death at %s", point);

	use_once(table, seed); /* whoever was next before this has counted the death */
	after = atomic_load(&table->owner_deaths);
	cr_expect(eq(u32, after - before, dies_as_owner(point)), "after a death at %s", point);
	cr_assert(zero(u32, atomic_load(&table->violations)), "after a death at %s", point);
	while (pids[i] != dead)
		i++;
	pids[i] = child_that_uses(table, *seed);
}

static void kill_often_at(const char *point, uint64_t *seed)
{
	struct table *table = new_table();
	pid_t pids[USERS];

	for (uint64_t i = 0; i < USERS; i++)
		pids[i] = child_that_uses(table, *seed + i);
	for (int death = 0; death < DEATHS_AT_EACH; death++)
		kill_one_at(point, table, pids, seed);
	atomic_store(&table->stop, 1);
	for (int i = 0; i < USERS; i++)
		cr_expect(zero(int, ended(pids[i])), "after deaths at %s", point);
	munmap(table, sizeof(*table));
}

Test(mutex, survives_a_death_at_every_step, .timeout = 600)
{
	uint64_t seed = new_seed();
	const char *name;
	int points = 0;

	NEEDS("get_robust_list"); /* the steps are those of the own mutex */
	if (!carom_point_name(0))
		cr_skip_test("built without -Dpoints=true");
	for (size_t i = 0; (name = carom_point_name(i)); i++) {
		if (strncmp(name, "mutex.", 5) != 0)
			continue;
		kill_often_at(name, &seed);
		points++;
	}
	cr_expect(ge(int, points, 11));
}

enum { CROWD = 4, RANDOM_DEATHS = 300 };

BOTH(survives_deaths_at_random)
{
	struct table *table = new_table();
	uint64_t seed = new_seed();
	pid_t pids[CROWD];

#ifdef __SANITIZE_THREAD__ /* under which nobody looks again */
	if (getenv("CAROM_DENY"))
		cr_skip_test("skipped: deaths make it forget sleepers, see posix_wait()");
#endif
	for (int i = 0; i < CROWD; i++)
		pids[i] = child_that_uses(table, seed + (uint64_t)i);
	for (int death = 0; death < RANDOM_DEATHS; death++) {
		uint32_t i = chance(&seed) % CROWD;
		uint32_t until = atomic_load(&table->rounds) + chance(&seed) % 20;

		await((int32_t)(atomic_load(&table->rounds) - until) >= 0);
		cr_assert(eq(int, killed(pids[i]), -SIGKILL));
		pids[i] = child_that_uses(table, seed + (uint64_t)death);
	}
	atomic_store(&table->stop, 1);
	for (int i = 0; i < CROWD; i++)
		cr_expect(zero(int, ended(pids[i])));
	use_once(table, &seed); /* the last to die may have held it, with nobody left to notice */
	cr_expect(zero(u32, atomic_load(&table->violations)));
	cr_expect(zero(int, carom_mutex_owner(&table->lock)));
}
