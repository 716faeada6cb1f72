/* Semaphore: units that come back when their process dies, or are used up if that is wanted. */
#include "tests/shm/help.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/cleanup.h"
#include "shm/semaphore.h"
#include "tests/shm/storm.h"

/**
 * struct table - shared by the processes of a test
 * @semaphore: the handle, which children by fork() have
 * @inside:    processes that have a unit
 */
struct table {
	struct carom_semaphore *semaphore;
	_Atomic uint32_t ready;
	_Atomic uint32_t rounds;
	_Atomic uint32_t violations;
	_Atomic uint32_t stop;
	_Atomic uint32_t inside;
};

static struct carom_semaphore *new_semaphore(int64_t value)
{
	struct carom_semaphore *semaphore = NULL;

	cr_assert(zero(int, carom_semaphore_new(value, NULL, &semaphore)));
	return semaphore;
}

static struct carom_semaphore *new_bounded(uint32_t value)
{
	struct carom_semaphore *semaphore = NULL;

	cr_assert(zero(int, carom_semaphore_new(value, &CAROM_SEMAPHORE_OPTIONS(.max = value),
						&semaphore)));
	return semaphore;
}

static uint64_t soon(void)
{
	return carom_deadline_after(CAROM_MILLISECONDS(20));
}

static pid_t child_that_has(struct carom_semaphore *semaphore, int count)
{
	struct table *table = share(sizeof(*table));
	pid_t pid = child();

	if (pid == 0) {
		for (int i = 0; i < count; i++)
			if (carom_semaphore_try(semaphore) < 0)
				_exit(1);
		hold_until_killed(&table->ready);
	}
	await_held(&table->ready);
	return pid;
}

static pid_t child_that_waits(struct carom_semaphore *semaphore)
{
	pid_t pid = child();

	if (pid == 0)
		_exit(-carom_semaphore_acquire(semaphore, CAROM_NO_DEADLINE));
	await_asleep(pid);
	return pid;
}

/* ---- one process ---- */

TestSuite(semaphore, .init = need_robust_lists);

/* SY-08 */
Test(semaphore, has_as_many_units_as_nobody_has_taken, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_semaphore(3);

	cr_expect(eq(int, carom_semaphore_value(semaphore), 3));
	cr_assert(zero(int, carom_semaphore_acquire(semaphore, CAROM_NO_DEADLINE)));
	cr_assert(zero(int, carom_semaphore_acquire(semaphore, CAROM_PASSED)));
	cr_expect(eq(int, carom_semaphore_value(semaphore), 1));
	cr_assert(zero(int, carom_semaphore_try(semaphore)));
	cr_expect(eq(int, carom_semaphore_value(semaphore), 0));
	cr_expect(eq(int, carom_semaphore_try(semaphore), -EAGAIN));
	cr_expect(zero(int, carom_semaphore_release(semaphore, 3)));
	cr_expect(eq(int, carom_semaphore_value(semaphore), 3));
}

/* SY-02 */
Test(semaphore, is_waited_for_until_the_deadline, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_semaphore(0);
	uint64_t before = carom_now();

	cr_expect(eq(int, carom_semaphore_acquire(semaphore, CAROM_PASSED), -ETIMEDOUT));
	cr_expect(eq(int, carom_semaphore_acquire(semaphore, soon()), -ETIMEDOUT));
	cr_expect(ge(u64, carom_now() - before, CAROM_MILLISECONDS(20)));
}

/* SY-06 */
Test(semaphore, may_become_more_than_it_was, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_semaphore(0);
	CAROM_CLEANUP(carom_semaphore_freep)
	struct carom_semaphore *full = new_semaphore(CAROM_SEMAPHORE_MAX - 100);

	cr_expect(zero(int, carom_semaphore_release(semaphore, 1)));
	cr_expect(zero(int, carom_semaphore_release(semaphore, 1)));
	cr_expect(eq(int, carom_semaphore_value(semaphore), 2));
	cr_expect(zero(int, carom_semaphore_release(full, 100)));
	cr_expect(eq(int, carom_semaphore_release(full, 1), -EOVERFLOW));
	cr_expect(eq(int, carom_semaphore_value(full), CAROM_SEMAPHORE_MAX));
}

/* SY-07 */
Test(semaphore, that_is_bounded_does_not, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_bounded(2);

	cr_expect(eq(int, carom_semaphore_release(semaphore, 1), -EOVERFLOW));
	cr_assert(zero(int, carom_semaphore_try(semaphore)));
	cr_expect(eq(int, carom_semaphore_release(semaphore, 2), -EOVERFLOW)); /* all or none */
	cr_expect(eq(int, carom_semaphore_value(semaphore), 1));
	cr_expect(zero(int, carom_semaphore_release(semaphore, 1)));
	cr_expect(eq(int, carom_semaphore_release(semaphore, 1), -EOVERFLOW));
}

/* SY-01 */
Test(semaphore, refuses_what_makes_no_sense)
{
	struct carom_semaphore *s = NULL;
	CAROM_CLEANUP(carom_closep) int fd = memfd_create("no semaphore", MFD_CLOEXEC);

	cr_expect(eq(int, carom_semaphore_new(-1, NULL, &s), -EINVAL));
	cr_expect(eq(int, carom_semaphore_new(INT64_C(1) << 31, NULL, &s), -EINVAL));
	cr_expect(eq(int, carom_semaphore_new(3, &CAROM_SEMAPHORE_OPTIONS(.max = 2), &s), -EINVAL));
	cr_expect(eq(int, carom_semaphore_new(1, &CAROM_SEMAPHORE_OPTIONS(.is_signal = 2), &s),
		     -EINVAL));
	cr_expect(eq(int,
		     carom_semaphore_new(1, &CAROM_SEMAPHORE_OPTIONS(.process_max = 16384), &s),
		     -EINVAL));
	cr_expect(eq(int, carom_semaphore_attach_dup(-1, &s), -EBADF));
	cr_expect(eq(int, carom_semaphore_attach_dup(fd, &s), -EBADMSG));
	cr_expect(eq(ptr, s, NULL));
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

Test(semaphore, can_be_waited_for_until_a_signal_comes, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_semaphore(0);
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t self = pthread_self(), thread;

	sigaction(SIGUSR1, &action, NULL);
	cr_assert(zero(int, pthread_create(&thread, NULL, disturb, &self)));
	cr_expect(eq(int, carom_semaphore_acquire(semaphore, soon()), -ETIMEDOUT));
	cr_expect(eq(int, carom_semaphore_acquire_interruptible(semaphore, CAROM_NO_DEADLINE),
		     -EINTR));
	atomic_store(&is_over, 1);
	pthread_join(thread, NULL);
}

/* ---- several ---- */

Test(semaphore, has_no_name_anywhere, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_semaphore(1);
	DIR *directory = opendir("/dev/shm");
	struct dirent *entry;

	cr_assert(zero(int, carom_semaphore_try(semaphore)));
	while (directory && (entry = readdir(directory)))
		cr_expect(ne(int, strncmp(entry->d_name, "sem.mp-", 7), 0));
	if (directory)
		closedir(directory);
}

/* Whoever dies after that has nothing that could come back. */
Test(semaphore, takes_back_from_all_who_have_some_before_it_grows, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_semaphore(6);
	pid_t first = child_that_has(semaphore, 3), second = child_that_has(semaphore, 2);

	cr_assert(zero(int, carom_semaphore_try(semaphore)));
	cr_expect(zero(int, carom_semaphore_release(semaphore, 8)));
	cr_expect(eq(int, carom_semaphore_value(semaphore), 8));
	killed(first);
	killed(second);
	cr_expect(eq(int, carom_semaphore_value(semaphore), 8));
}

/* some seconds each, if each unit were a step */
Test(semaphore, is_given_any_number_at_once, .timeout = 20)
{
	for (int i = 0; i < 20; i++) {
		CAROM_CLEANUP(carom_semaphore_freep)
		struct carom_semaphore *semaphore = new_semaphore(0);

		cr_expect(zero(int, carom_semaphore_release(semaphore, CAROM_SEMAPHORE_MAX)));
		cr_expect(eq(int, carom_semaphore_value(semaphore), CAROM_SEMAPHORE_MAX));
	}
}

Test(semaphore, wakes_as_many_as_there_are_units, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_semaphore(0);
	pid_t pids[3];

	for (int i = 0; i < 3; i++)
		pids[i] = child_that_waits(semaphore);
	cr_assert(zero(int, carom_semaphore_release(semaphore, 3)));
	for (int i = 0; i < 3; i++)
		cr_expect(zero(int, ended(pids[i])));
	/* each took one along, and ended */
	cr_expect(eq(int, carom_semaphore_value(semaphore), 3));
}

Test(semaphore, is_released_for_another_process, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_bounded(2);
	pid_t pid = child_that_has(semaphore, 2);

	cr_expect(zero(int, carom_semaphore_value(semaphore)));
	cr_expect(zero(int, carom_semaphore_release(semaphore, 1)));
	cr_expect(eq(int, carom_semaphore_value(semaphore), 1));
	killed(pid); /* it has one */
	cr_expect(eq(int, carom_semaphore_value(semaphore), 2));
}

Test(semaphore, is_attached_by_its_descriptor, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_semaphore(1);
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *same = NULL;

	cr_assert(zero(int, carom_semaphore_attach_dup(carom_semaphore_fd(semaphore), &same)));
	cr_assert(zero(int, carom_semaphore_try(same)));
	cr_expect(eq(int, carom_semaphore_try(semaphore), -EAGAIN));
	same = carom_semaphore_free(same); /* with the unit */
	cr_expect(zero(int, carom_semaphore_try(semaphore)));
}

Test(semaphore, says_who_has_units, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_bounded(3);
	pid_t pid = child_that_has(semaphore, 2);
	char text[400], expected[64];

	snprintf(expected, sizeof(expected), " pid=%d>", (int)pid);
	carom_semaphore_describe(semaphore, text, sizeof(text));
	cr_expect(ne(ptr, strstr(text, "value=1 max=3 held=2: 2 by '"), NULL), "%s", text);
	cr_expect(ne(ptr, strstr(text, expected), NULL), "%s", text);
	killed(pid);
}

/* ---- deaths ---- */

/* SY-13 */
Test(semaphore, gets_back_what_the_dead_had, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_bounded(3);
	pid_t holder = child_that_has(semaphore, 3);
	pid_t first = child_that_waits(semaphore), second = child_that_waits(semaphore);

	killed(holder);
	cr_expect(zero(int, ended(first)));
	cr_expect(zero(int, ended(second)));
	cr_expect(eq(int, carom_semaphore_value(semaphore), 3));
	cr_expect(eq(int, carom_semaphore_release(semaphore, 1), -EOVERFLOW));
}

Test(semaphore, that_signals_does_not, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = NULL;
	pid_t pid;

	cr_assert(zero(
		int, carom_semaphore_new(2, &CAROM_SEMAPHORE_OPTIONS(.is_signal = 1), &semaphore)));
	pid = child_that_has(semaphore, 2);
	killed(pid);
	cr_expect(zero(int, carom_semaphore_value(semaphore)));
	cr_expect(zero(int, carom_semaphore_release(semaphore, 1)));
	cr_expect(zero(int, carom_semaphore_try(semaphore)));
}

Test(semaphore, sleeper_that_dies_takes_no_wakeup_along, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_semaphore(0);
	pid_t first = child_that_waits(semaphore), second = child_that_waits(semaphore);

	kill(first, SIGSTOP);
	cr_assert(zero(int, carom_semaphore_release(semaphore, 1)));
	killed(first); /* woken or not: it never looks */
	cr_expect(zero(int, ended(second)));
}

/* It has entered before it waits: then it sleeps for nothing but a unit. */
static pid_t child_that_gets_one(struct carom_semaphore *semaphore, _Atomic uint32_t *has_it)
{
	pid_t pid = child();

	if (pid == 0) {
		if (carom_semaphore_try(semaphore) != -EAGAIN)
			_exit(1);
		atomic_store(has_it, 1);
		if (carom_semaphore_acquire(semaphore, CAROM_NO_DEADLINE) == 0)
			hold_until_killed(has_it);
		_exit(1);
	}
	await_held(has_it);
	await_asleep(pid);
	return pid;
}

/* There is no room for one who comes: it takes back what the dead had, and dies before it has woken anybody. */
Test(semaphore, gives_all_units_back_though_who_does_dies_without_a_row, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = NULL;
	struct table *table = share(sizeof(*table));
	pid_t holder, pids[2], first, newcomer;

	NEEDS("futex_waitv"); /* who sleeps without looks now and then, and comes to the points by itself */
	cr_assert(zero(int, carom_semaphore_new(2, &CAROM_SEMAPHORE_OPTIONS(.process_max = 3),
						&semaphore)));
	holder = child_that_has(semaphore, 2);
	pids[0] = child_that_gets_one(semaphore, &table->ready);
	pids[1] = child_that_gets_one(semaphore, &table->inside);
	await_asleep(pids[0]); /* whoever comes wakes those who were there */
	if (carom_point_arm_once("roll.awake", 1, SIGSTOP) < 0)
		cr_skip_test("skipped: this build has no points");
	killed(holder);
	first = stopped(-1); /* who heard of it, and has not looked yet */
	cr_assert(zero(int, carom_point_arm_once("semaphore.unlocked", 1, SIGKILL)));
	newcomer = child();
	if (newcomer == 0)
		_exit(carom_semaphore_try(semaphore));
	cr_expect(eq(int, ended(newcomer), -SIGKILL));
	kill(first, SIGCONT);
	await_held(&table->ready);
	await_held(&table->inside);
	killed(pids[0]);
	killed(pids[1]);
}

static void work(void *userdata)
{
	struct table *table = userdata;

	while (!atomic_load(&table->stop)) {
		if (carom_semaphore_acquire(table->semaphore, CAROM_NO_DEADLINE) < 0)
			_exit(1);
		if (atomic_fetch_add(&table->inside, 1) >= 2)
			atomic_fetch_add(&table->violations, 1);
		sched_yield();
		atomic_fetch_sub(&table->inside, 1);
		if (carom_semaphore_release(table->semaphore, 1) < 0)
			_exit(1);
		atomic_fetch_add(&table->rounds, 1);
	}
	_exit(0);
}

Test(semaphore, lets_in_no_more_than_there_are_units, .timeout = 60)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_bounded(2);
	struct table *table = share(sizeof(*table));
	struct storm storm = { work, table, &table->stop, "semaphore.taken" };
	pid_t pids[STORM_PROCESSES];

	table->semaphore = semaphore;
	for (int i = 0; i < STORM_PROCESSES; i++)
		pids[i] = storm_process(&storm);
	await(atomic_load(&table->rounds) > 5000);
	storm_stop(&storm, pids, "nothing");
	cr_expect(zero(u32, atomic_load(&table->violations)));
	cr_expect(eq(int, carom_semaphore_value(semaphore), 2));
}

/* what is inside is not counted here: the dead do not count themselves out */
Test(semaphore, lives_through_deaths_at_every_step, .timeout = 240)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_bounded(2);
	struct table *table = share(sizeof(*table));
	struct storm storm = { work, table, &table->stop, "semaphore.taken" };

	table->semaphore = semaphore;
	storm_everywhere(&storm, "semaphore.");
	storm_everywhere(&storm, "roll.a");
	cr_expect(eq(int, carom_semaphore_value(semaphore), 2));
}

Test(semaphore, lives_through_deaths_at_any_moment, .timeout = 240)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = new_bounded(2);
	struct table *table = share(sizeof(*table));
	struct storm storm = { work, table, &table->stop, "semaphore.taken" };

	table->semaphore = semaphore;
	storm_anytime(&storm, 300, &table->rounds, 50);
	cr_expect(eq(int, carom_semaphore_value(semaphore), 2));
}
