/*
 * Lock: as multiprocessing's, anybody may release it; and not even the death of everybody
 * who has to do with it leaves it locked.
 */
#include "tests/shm/help.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/cleanup.h"
#include "shm/lock.h"
#include "tests/shm/storm.h"

/**
 * struct table - shared by the processes of a test
 * @lock: the handle, which children by fork() have
 * @a, @b: equal whenever nobody holds the lock
 */
struct table {
	struct carom_lock *lock;
	_Atomic uint32_t ready;
	_Atomic uint32_t inside;
	_Atomic uint32_t violations;
	_Atomic uint32_t rounds;
	_Atomic uint32_t stop;
	uint64_t a;
	uint64_t b;
};

static struct carom_lock *new_lock(void)
{
	struct carom_lock *lock = NULL;

	cr_assert(zero(int, carom_lock_new(NULL, &lock)));
	return lock;
}

static uint64_t soon(void)
{
	return carom_deadline_after(CAROM_MILLISECONDS(20));
}

static pid_t child_that_holds(struct carom_lock *lock, struct table *table)
{
	pid_t pid = child();

	if (pid == 0) {
		if (carom_lock_acquire(lock, CAROM_NO_DEADLINE) != 0)
			_exit(1);
		hold_until_killed(&table->ready);
	}
	await_held(&table->ready);
	return pid;
}

/* A child that is about to sleep for the lock, and says with its status what it got. */
static pid_t child_that_waits(struct carom_lock *lock)
{
	pid_t pid = child();

	if (pid == 0)
		_exit(-carom_lock_acquire(lock, CAROM_NO_DEADLINE));
	await_asleep(pid);
	return pid;
}

/* ---- one process ---- */

TestSuite(lock, .init = need_robust_lists);

/* SY-04 */
/* SY-09 */
Test(lock, is_held_by_one_at_a_time, .timeout = 60)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = new_lock();

	cr_expect(zero(int, carom_lock_is_locked(lock)));
	cr_assert(zero(int, carom_lock_acquire(lock, CAROM_NO_DEADLINE)));
	cr_expect(eq(int, carom_lock_is_locked(lock), 1));
	cr_expect(eq(int, carom_lock_try(lock), -EBUSY)); /* not recursive */
	cr_expect(eq(int, carom_lock_acquire(lock, soon()), -ETIMEDOUT));
	cr_expect(eq(int, carom_lock_acquire(lock, CAROM_PASSED), -ETIMEDOUT));
	cr_expect(zero(int, carom_lock_release(lock)));
	cr_expect(zero(int, carom_lock_acquire(lock, CAROM_PASSED)));
	cr_expect(zero(int, carom_lock_release(lock)));
}

Test(lock, is_released_no_more_often_than_acquired)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = new_lock();

	cr_expect(eq(int, carom_lock_release(lock), -EOVERFLOW));
	cr_assert(zero(int, carom_lock_try(lock)));
	cr_expect(zero(int, carom_lock_release(lock)));
	cr_expect(eq(int, carom_lock_release(lock), -EOVERFLOW));
}

static void *release_it(void *lock)
{
	return (void *)(intptr_t)carom_lock_release(lock);
}

static void *acquire_it(void *lock)
{
	return (void *)(intptr_t)carom_lock_acquire(lock, CAROM_NO_DEADLINE);
}

static int in_a_thread(void *(*function)(void *), void *userdata)
{
	pthread_t thread;
	void *result;

	cr_assert(zero(int, pthread_create(&thread, NULL, function, userdata)));
	cr_assert(zero(int, pthread_join(thread, &result)));
	return (int)(intptr_t)result;
}

Test(lock, stays_locked_when_the_thread_that_acquired_it_has_ended, .timeout = 60)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = new_lock();

	cr_assert(zero(int, in_a_thread(acquire_it, lock)));
	cr_expect(eq(int, carom_lock_acquire(lock, soon()), -ETIMEDOUT));
	cr_expect(zero(int, in_a_thread(release_it, lock)));
	cr_expect(zero(int, carom_lock_try(lock)));
}

static _Atomic int is_over;

static void on_signal(int signal)
{
	(void)signal;
}

/* until it has been noticed: a signal may come before the sleep */
static void *disturb(void *target)
{
	while (!atomic_load(&is_over)) {
		pthread_kill(*(pthread_t *)target, SIGUSR1);
		sched_yield();
	}
	return NULL;
}

Test(lock, can_be_waited_for_until_a_signal_comes, .timeout = 60)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = new_lock();
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t self = pthread_self(), thread;

	sigaction(SIGUSR1, &action, NULL);
	cr_assert(zero(int, carom_lock_acquire(lock, CAROM_NO_DEADLINE)));
	cr_assert(zero(int, pthread_create(&thread, NULL, disturb, &self)));
	cr_expect(eq(int, carom_lock_acquire_interruptible(lock, CAROM_NO_DEADLINE), -EINTR));
	atomic_store(&is_over, 1);
	pthread_join(thread, NULL);
}

/* ---- several ---- */

/* SY-03 */
Test(lock, is_released_by_whoever_likes, .timeout = 60)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = new_lock();
	pid_t pid;

	cr_assert(zero(int, carom_lock_acquire(lock, CAROM_NO_DEADLINE)));
	pid = child();
	if (pid == 0)
		_exit(-carom_lock_release(lock));
	cr_expect(zero(int, ended(pid)));
	cr_expect(zero(int, carom_lock_try(lock)));
}

Test(lock, held_by_a_parent_is_not_the_childs, .timeout = 60)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = new_lock();
	pid_t pid;

	cr_assert(zero(int, carom_lock_acquire(lock, CAROM_NO_DEADLINE)));
	pid = child();
	if (pid == 0) {
		int r = carom_lock_try(lock);

		carom_lock_free(lock); /* the child's copy, which holds nothing */
		_exit(-r);
	}
	cr_expect(eq(int, ended(pid), EBUSY));
	cr_expect(eq(int, carom_lock_is_locked(lock), 1));
}

Test(lock, is_attached_by_its_descriptor, .timeout = 60)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = new_lock();
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *same = NULL;

	cr_assert(zero(int, carom_lock_attach_dup(carom_lock_fd(lock), &same)));
	cr_assert(zero(int, carom_lock_acquire(lock, CAROM_NO_DEADLINE)));
	cr_expect(eq(int, carom_lock_try(same), -EBUSY));
	cr_expect(zero(int, carom_lock_release(same)));
	cr_expect(zero(int, carom_lock_try(same)));
	same = carom_lock_free(same); /* with the lock in it */
	cr_expect(eq(int, carom_lock_acquire(lock, CAROM_NO_DEADLINE), -EOWNERDEAD));
}

/* another handle for the same lock; one that is given up with the lock held, even */
static void come_and_go(struct carom_lock *lock, struct table *table, bool is_careless)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *same = NULL;
	int r;

	if (carom_lock_attach_dup(carom_lock_fd(lock), &same) < 0)
		_exit(1);
	r = carom_lock_acquire(same, CAROM_NO_DEADLINE);
	if (r < 0 && r != -EOWNERDEAD)
		_exit(1);
	if (r == -EOWNERDEAD) {
		table->b = table->a;
		atomic_store(&table->inside, 0);
	}
	if (!is_careless)
		carom_lock_release(same);
}

static void work(void *userdata)
{
	struct table *table = userdata;
	struct carom_lock *lock = table->lock;

	for (int round = 1; !atomic_load(&table->stop); round++) {
		int r;

		if (round % 16 == 0)
			come_and_go(lock, table, round % 32 == 0);
		r = carom_lock_acquire(lock, CAROM_NO_DEADLINE);

		if (r == -EOWNERDEAD) {
			table->b = table->a;
			atomic_store(&table->inside, 0);
		} else if (r < 0) {
			_exit(1);
		}
		if (atomic_fetch_add(&table->inside, 1) != 0 || table->a != table->b)
			atomic_fetch_add(&table->violations, 1);
		table->a++;
		sched_yield(); /* others come, and have to wait */
		table->b++;
		atomic_fetch_sub(&table->inside, 1);
		carom_lock_release(lock);
		atomic_fetch_add(&table->rounds, 1);
	}
	_exit(0);
}

static const char *describe(const struct carom_lock *lock)
{
	static char text[400];

	return carom_lock_describe(lock, text, sizeof(text));
}

Test(lock, says_who_holds_it, .timeout = 60)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = new_lock();
	struct table *table = share(sizeof(*table));
	char pid_text[32];
	pid_t pid;

	cr_expect(zero(int, strcmp(describe(lock), "<Lock owner=nobody>")));
	pid = child_that_holds(lock, table);
	snprintf(pid_text, sizeof(pid_text), "pid=%d>", (int)pid);
	cr_expect(ne(ptr, strstr(describe(lock), pid_text), NULL), "%s", describe(lock));
	killed(pid);
	cr_expect(zero(int, strcmp(describe(lock), "<Lock owner died>")));
}

/* ---- deaths ---- */

/* SY-13 */
Test(lock, held_by_the_dead_goes_to_a_sleeper_who_is_told, .timeout = 60)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = new_lock();
	struct table *table = share(sizeof(*table));
	pid_t holder = child_that_holds(lock, table), waiter = child_that_waits(lock);

	cr_expect(eq(int, killed(holder), -SIGKILL));
	cr_expect(eq(int, ended(waiter), EOWNERDEAD));
	/* and again: that one held it when it ended */
	cr_expect(eq(int, carom_lock_try(lock), -EOWNERDEAD));
	cr_expect(zero(int, carom_lock_release(lock)));
	cr_expect(zero(int, carom_lock_try(lock)));
}

Test(lock, sleeper_that_dies_takes_no_wakeup_along, .timeout = 60)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = new_lock();
	pid_t first, second;

	cr_assert(zero(int, carom_lock_acquire(lock, CAROM_NO_DEADLINE)));
	first = child_that_waits(lock);
	second = child_that_waits(lock);
	kill(first, SIGSTOP);
	cr_assert(zero(int, carom_lock_release(lock)));
	kill(first, SIGKILL); /* woken or not: it never looks */
	cr_expect(eq(int, ended(first), -SIGKILL));
	cr_expect(zero(int, ended(second)));
}

Test(lock, of_a_process_that_execs_is_free, .timeout = 60)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = new_lock();
	struct table *table = share(sizeof(*table));
	pid_t pid = child();

	if (pid == 0) {
		int r = carom_lock_acquire(lock, CAROM_NO_DEADLINE);

		atomic_store(&table->ready, 1);
		if (r == 0)
			execlp("sleep", "sleep", "1000", NULL);
		_exit(1);
	}
	await(atomic_load(&table->ready));
	cr_expect(eq(int, carom_lock_acquire(lock, CAROM_NO_DEADLINE), -EOWNERDEAD));
	killed(pid);
}

Test(lock, lives_through_deaths_at_every_step, .timeout = 240)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = new_lock();
	struct table *table = share(sizeof(*table));
	struct storm storm = { work, table, &table->stop, "lock.taken" };

	table->lock = lock;
	storm_everywhere(&storm, "lock.");
	storm_everywhere(&storm, "roll.");
	cr_expect(zero(u32, atomic_load(&table->violations)));
}

static void live_through_deaths(void)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = new_lock();
	struct table *table = share(sizeof(*table));
	struct storm storm = { work, table, &table->stop, "lock.taken" };

	table->lock = lock;
	storm_anytime(&storm, 300, &table->rounds, 50);
	cr_expect(zero(u32, atomic_load(&table->violations)));
}

Test(lock, lives_through_deaths_at_any_moment, .timeout = 240)
{
	live_through_deaths();
}

/* who sleeps then looks by itself whether somebody died */
Test(lock, lives_through_deaths_without_futex_waitv, .timeout = 240)
{
	setenv("CAROM_DENY", "futex_waitv", 1);
	live_through_deaths();
}

/* ---- bad input ---- */

Test(lock, refuses_what_makes_no_sense)
{
	struct carom_lock *lock = NULL;
	CAROM_CLEANUP(carom_closep) int fd = memfd_create("no lock", MFD_CLOEXEC);

	cr_expect(
		eq(int, carom_lock_new(&CAROM_LOCK_OPTIONS(.process_max = 16384), &lock), -EINVAL));
	cr_expect(eq(int, carom_lock_new(&CAROM_LOCK_OPTIONS(.reserved = 1), &lock), -EINVAL));
	cr_expect(eq(int, carom_lock_attach_dup(-1, &lock), -EBADF));
	cr_expect(eq(int, carom_lock_attach_dup(fd, &lock), -EBADMSG));
	cr_expect(eq(ptr, lock, NULL));
}

Test(lock, has_room_for_so_many_processes, .timeout = 60)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = NULL;
	struct table *table = share(sizeof(*table));
	pid_t pid;

	cr_assert(zero(int, carom_lock_new(&CAROM_LOCK_OPTIONS(.process_max = 1), &lock)));
	pid = child_that_holds(lock, table);
	cr_expect(eq(int, carom_lock_try(lock), -EUSERS));
	killed(pid);
	cr_expect(eq(int, carom_lock_try(lock), -EOWNERDEAD));
}
