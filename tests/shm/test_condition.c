/* Condition: who waits is woken when it was notified, and no death swallows a notification. */
#include "tests/shm/help.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/cleanup.h"
#include "core/points.h"
#include "shm/condition.h"
#include "tests/shm/storm.h"

/**
 * struct table - shared by the processes of a test; but for @condition, changed under its lock
 * @condition: the handle, which children by fork() have
 * @rlock:     for conditions that share one
 */
struct table {
	struct carom_condition *condition;
	struct carom_rlock rlock;
	_Atomic uint32_t entered;
	_Atomic uint32_t waiting;
	_Atomic uint32_t woken;
	_Atomic uint32_t rounds;
	_Atomic uint32_t stop;
	_Atomic uint32_t value;
};

static struct table *new_table(void)
{
	struct table *table = share(sizeof(*table));

	cr_assert(zero(int, carom_condition_new(NULL, &table->condition)));
	return table;
}

static uint64_t soon(void)
{
	return carom_deadline_after(CAROM_MILLISECONDS(20));
}

static void lock(struct table *table)
{
	int r = carom_condition_acquire(table->condition, CAROM_NO_DEADLINE);

	if (r == -EOWNERDEAD)
		r = carom_rlock_consistent(carom_condition_rlock(table->condition));
	if (r < 0)
		_exit(2);
}

static void unlock(struct table *table)
{
	carom_condition_release(table->condition);
}

static int notify(struct table *table, uint32_t count)
{
	int r;

	lock(table);
	r = carom_condition_notify(table->condition, count);
	unlock(table);
	return r;
}

static void wait_once(struct table *table, bool repairs)
{
	int r;

	lock(table);
	atomic_fetch_add(&table->waiting, 1);
	r = carom_condition_wait(table->condition, CAROM_NO_DEADLINE);
	atomic_fetch_add(&table->woken, 1);
	if (r == -EOWNERDEAD && repairs)
		carom_rlock_consistent(carom_condition_rlock(table->condition));
	unlock(table);
	_exit(-r);
}

static pid_t waiter_who(struct table *table, bool repairs)
{
	uint32_t before = atomic_load(&table->waiting);
	pid_t pid = child();

	if (pid == 0)
		wait_once(table, repairs);
	await(atomic_load(&table->waiting) > before);
	lock(table); /* it has the lock until it waits */
	unlock(table);
	return pid;
}

/* A child that waits once; when this returns, it will be found by a notification. */
static pid_t waiter(struct table *table)
{
	return waiter_who(table, true);
}

/*
 * Two of them, of which none is awake for a moment, perhaps with the lock, because of the
 * other: whoever uses a condition for the first time wakes those who sleep, and both have
 * before they do.
 */
static void two_waiters(struct table *table, pid_t pids[2])
{
	for (uint32_t i = 0; i < 2; i++) {
		pids[i] = child();
		if (pids[i] == 0) {
			lock(table);
			carom_condition_wait(table->condition, CAROM_PASSED);
			unlock(table);
			atomic_fetch_add(&table->entered, 1);
			await(atomic_load(&table->entered) == 2 &&
			      atomic_load(&table->waiting) == i);
			wait_once(table, true);
		}
	}
	await(atomic_load(&table->waiting) == 2);
	lock(table);
	unlock(table);
}

/* ---- one waits, another notifies ---- */

TestSuite(condition, .init = need_robust_lists);

/* SY-15 */
Test(condition, wakes_another_process, .timeout = 60)
{
	struct table *table = new_table();
	pid_t pid = waiter(table);

	cr_expect(eq(int, notify(table, 1), 1));
	cr_expect(zero(int, ended(pid)));
	cr_expect(zero(int, notify(table, 1)));
	carom_condition_free(table->condition);
}

/* SY-16 */
Test(condition, gives_up_its_lock_however_often_it_was_acquired, .timeout = 60)
{
	struct table *table = new_table();
	struct carom_rlock *rlock = carom_condition_rlock(table->condition);
	pid_t pid;

	cr_expect(eq(int, carom_condition_wait(table->condition, soon()), -EPERM));
	for (int i = 0; i < 3; i++)
		lock(table);
	pid = child();
	if (pid == 0) {
		lock(table); /* possible only while the parent waits */
		carom_condition_notify(table->condition, 1);
		unlock(table);
		_exit(0);
	}
	cr_expect(zero(int, carom_condition_wait(table->condition, CAROM_NO_DEADLINE)));
	cr_expect(eq(u32, carom_rlock_count(rlock), 3));
	cr_expect(eq(int, carom_condition_wait(table->condition, soon()), -ETIMEDOUT));
	cr_expect(eq(u32, carom_rlock_count(rlock), 3));
	cr_expect(zero(int, ended(pid)));
	for (int i = 0; i < 3; i++)
		unlock(table);
	carom_condition_free(table->condition);
}

/* SY-17 */
Test(condition, wakes_as_many_as_are_notified_and_no_more, .timeout = 60)
{
	struct table *table = new_table();
	pid_t pids[5];

	for (int i = 0; i < 5; i++)
		pids[i] = waiter(table);
	cr_expect(eq(int, carom_condition_notify(table->condition, 2), -EPERM));
	cr_expect(eq(int, notify(table, 2), 2));
	cr_expect(zero(int, ended(pids[0]))); /* the longest waiting first */
	cr_expect(zero(int, ended(pids[1])));
	cr_expect(eq(u32, atomic_load(&table->woken), 2));
	cr_expect(eq(int, notify(table, CAROM_CONDITION_ALL), 3));
	for (int i = 2; i < 5; i++)
		cr_expect(zero(int, ended(pids[i])));
	carom_condition_free(table->condition);
}

/* SY-18 */
Test(condition, wakes_a_hundred, .timeout = 120)
{
	struct table *table = new_table();
	pid_t pids[100];

	for (int i = 0; i < 100; i++)
		pids[i] = waiter(table);
	cr_expect(eq(int, notify(table, CAROM_CONDITION_ALL), 100));
	for (int i = 0; i < 100; i++)
		cr_expect(zero(int, ended(pids[i])));
	carom_condition_free(table->condition);
}

static int has_three(void *table)
{
	return atomic_load(&((struct table *)table)->value) >= 3;
}

/* SY-20 */
Test(condition, is_waited_for_until_a_predicate_holds, .timeout = 60)
{
	struct table *table = new_table();
	pid_t pid;

	lock(table);
	cr_expect(zero(int, carom_condition_wait_for(table->condition, has_three, table, soon())));
	pid = child();
	if (pid == 0) {
		for (int i = 0; i < 3; i++) {
			lock(table);
			atomic_fetch_add(&table->value, 1);
			carom_condition_notify(table->condition, 1);
			unlock(table);
		}
		_exit(0);
	}
	cr_expect(
		eq(int,
		   carom_condition_wait_for(table->condition, has_three, table, CAROM_NO_DEADLINE),
		   1));
	unlock(table);
	cr_expect(eq(int, carom_condition_wait_for(table->condition, has_three, table, soon()),
		     -EPERM));
	cr_expect(zero(int, ended(pid)));
	carom_condition_free(table->condition);
}

Test(condition, shares_a_lock_with_another_one, .timeout = 60)
{
	struct table *table = share(sizeof(*table));
	CAROM_CLEANUP(carom_condition_freep) struct carom_condition *full = NULL;
	CAROM_CLEANUP(carom_condition_freep) struct carom_condition *empty = NULL;
	CAROM_CLEANUP(carom_condition_freep) struct carom_condition *same = NULL;
	struct carom_condition_options options = CAROM_CONDITION_OPTIONS(.rlock = &table->rlock);

	cr_assert(zero(int, carom_rlock_init(&table->rlock)));
	cr_assert(zero(int, carom_condition_new(&options, &full)));
	cr_assert(zero(int, carom_condition_new(&options, &empty)));
	cr_assert(zero(int, carom_rlock_acquire(&table->rlock, CAROM_NO_DEADLINE)));
	cr_expect(zero(int, carom_condition_notify(full, 1)));
	cr_expect(zero(int, carom_condition_notify(empty, 1)));
	cr_expect(eq(int, carom_condition_wait(empty, soon()), -ETIMEDOUT));
	cr_expect(eq(int, carom_condition_attach_dup(carom_condition_fd(full), NULL, &same),
		     -EINVAL));
	cr_expect(zero(int,
		       carom_condition_attach_dup(carom_condition_fd(full), &table->rlock, &same)));
}

/* ---- deaths ---- */

/* SY-19 */
Test(condition, notifies_whoever_of_those_who_wait_was_killed, .timeout = 60)
{
	struct table *table = new_table();
	pid_t pids[2];

	two_waiters(table, pids);
	killed(pids[0]);
	cr_expect(eq(int, notify(table, 1), 1)); /* the living one */
	cr_expect(zero(int, ended(pids[1])));
	carom_condition_free(table->condition);
}

Test(condition, hands_on_what_the_dead_were_notified_of, .timeout = 60)
{
	struct table *table = new_table();
	pid_t pids[2];

	two_waiters(table, pids);
	lock(table);
	cr_expect(eq(int, carom_condition_notify(table->condition, 1), 1));
	killed(pids[0]); /* it was notified, and waits for the lock */
	unlock(table);
	cr_expect(zero(int, ended(pids[1])));
	carom_condition_free(table->condition);
}

/* Who finds the death did not know of it when it looked for what the dead were notified of. */
Test(condition, hands_on_what_one_was_notified_of_who_dies_meanwhile, .timeout = 60)
{
	struct table *table = new_table();
	pid_t pids[2], notifier;

	two_waiters(table, pids);
	kill(pids[0], SIGSTOP);
	stopped(pids[0]);
	if (carom_point_arm_once("condition.forgotten", 2, SIGSTOP) < 0)
		cr_skip_test("skipped: this build has no points");
	notifier = child();
	if (notifier == 0) { /* the first one to get there; its coming wakes both */
		notify(table, 1);
		hold_until_killed(&table->rounds);
	}
	await_held(&table->rounds);
	cr_assert(eq(int, stopped(pids[1]), pids[1]));
	killed(pids[0]);
	kill(pids[1], SIGCONT);
	cr_expect(zero(int, ended(pids[1])));
	killed(notifier);
	carom_condition_free(table->condition);
}

Test(condition, tells_who_waits_that_the_lock_s_holder_died, .timeout = 60)
{
	struct table *table = new_table();
	pid_t first = waiter(table), second = child();

	if (second == 0) {
		lock(table);
		carom_condition_notify(table->condition, 1);
		raise(SIGKILL);
	}
	cr_expect(eq(int, ended(second), -SIGKILL));
	cr_expect(eq(int, ended(first), EOWNERDEAD));
	carom_condition_free(table->condition);
}

/* The one who was about to sleep looks between them. */
Test(condition, tells_of_one_who_died_in_the_row_of_another, .timeout = 60)
{
	struct table *table = share(sizeof(*table));
	pid_t waiting, holding, heir;

	cr_assert(zero(int, carom_condition_new(&CAROM_CONDITION_OPTIONS(.process_max = 2),
						&table->condition)));
	if (carom_point_arm_once("condition.released", 1, SIGSTOP) < 0)
		cr_skip_test("skipped: this build has no points");
	waiting = child();
	if (waiting == 0)
		wait_once(table, true);
	stopped(waiting);
	holding = child();
	if (holding == 0) {
		lock(table);
		/* it has a row, and tells nobody yet */
		carom_condition_notify(table->condition, 0);
		hold_until_killed(&table->entered);
	}
	await_held(&table->entered);
	killed(holding);
	cr_assert(zero(int, carom_point_arm_once("primitive.inheriting", 1, SIGSTOP)));
	heir = child();
	if (heir == 0) {
		if (carom_condition_acquire(table->condition, CAROM_NO_DEADLINE) == -EOWNERDEAD)
			carom_condition_notify(table->condition, UINT32_MAX);
		_exit(1);
	}
	stopped(heir);
	kill(waiting, SIGCONT);
	await_asleep(waiting);
	killed(heir);
	cr_expect(eq(int, ended(waiting), EOWNERDEAD));
	carom_condition_free(table->condition);
}

static void die_with_the_lock(struct table *table)
{
	pid_t pid = child();

	if (pid == 0) {
		carom_condition_acquire(table->condition, CAROM_NO_DEADLINE);
		raise(SIGKILL);
	}
	cr_assert(eq(int, ended(pid), -SIGKILL));
}

/* One of them may be told of the death: the second one's coming has woken the first one. */
static void expect_told(pid_t pid)
{
	int r = ended(pid);

	cr_expect(r == ENOTRECOVERABLE || r == EOWNERDEAD || r == -SIGKILL, "%d", r);
}

Test(condition, leaves_nobody_waiting_for_a_lock_given_up_for_good, .timeout = 60)
{
	struct table *table = new_table();
	pid_t first = waiter_who(table, false), second = waiter_who(table, false);
	int r;

	die_with_the_lock(table);
	r = carom_condition_acquire(table->condition, CAROM_NO_DEADLINE);
	cr_expect(r == -EOWNERDEAD || r == -ENOTRECOVERABLE, "%d", r);
	if (r == -EOWNERDEAD) /* without a repair */
		cr_expect(zero(int, carom_condition_release(table->condition)));
	expect_told(first);
	expect_told(second);
	carom_condition_free(table->condition);
}

/* Who gives it up dies before it has told anybody, and may never have waited here. */
Test(condition, tells_of_what_one_gave_up_who_died_over_it, .timeout = 60)
{
	struct table *table = new_table();
	pid_t first = waiter_who(table, false), second = waiter_who(table, false), third;

	if (carom_point_arm_once("condition.let_go", 1, SIGKILL) < 0)
		cr_skip_test("skipped: this build has no points");
	die_with_the_lock(table);
	third = child();
	if (third == 0) {
		if (carom_condition_acquire(table->condition, CAROM_NO_DEADLINE) == -EOWNERDEAD)
			carom_condition_release(table->condition);
		_exit(EOWNERDEAD);
	}
	expect_told(first);
	expect_told(second);
	expect_told(third);
	cr_expect(eq(u32, carom_point_hits("condition.let_go"), 1));
	carom_point_disarm_all();
	carom_condition_free(table->condition);
}

Test(condition, gives_up_for_good_what_is_waited_with_before_it_is_repaired, .timeout = 60)
{
	struct table *table = new_table();

	die_with_the_lock(table);
	cr_expect(
		eq(int, carom_condition_acquire(table->condition, CAROM_NO_DEADLINE), -EOWNERDEAD));
	cr_expect(eq(int, carom_condition_wait(table->condition, CAROM_NO_DEADLINE),
		     -ENOTRECOVERABLE));
	carom_condition_free(table->condition);
}

/* As many are notified as there are to take: each takes one, or waits for one. */
static void work(void *userdata)
{
	struct table *table = userdata;

	while (!atomic_load(&table->stop)) {
		lock(table);
		if (atomic_fetch_add(&table->value, 1) % 3 == 0)
			carom_condition_notify(table->condition, CAROM_CONDITION_ALL);
		else
			carom_condition_wait(table->condition,
					     carom_deadline_after(CAROM_MILLISECONDS(2)));
		carom_rlock_consistent(carom_condition_rlock(table->condition));
		unlock(table);
		atomic_fetch_add(&table->rounds, 1);
	}
	_exit(0);
}

Test(condition, lives_through_deaths_at_every_step, .timeout = 240)
{
	struct table *table = new_table();
	struct storm storm = { work, table, &table->stop, "wait_list.waiting" };
	pid_t pid;

	storm_everywhere(&storm, "condition.");
	storm_everywhere(&storm, "wait_list.");
	pid = waiter(table);
	cr_expect(eq(int, notify(table, CAROM_CONDITION_ALL), 1)); /* and no dead ones */
	cr_expect(zero(int, ended(pid)));
	carom_condition_free(table->condition);
}

/* ---- bad input ---- */

Test(condition, refuses_what_makes_no_sense)
{
	struct carom_condition *c = NULL;
	CAROM_CLEANUP(carom_closep) int fd = memfd_create("no condition", MFD_CLOEXEC);

	cr_expect(eq(int, carom_condition_new(&CAROM_CONDITION_OPTIONS(.process_max = 16384), &c),
		     -EINVAL));
	cr_expect(
		eq(int, carom_condition_new(&CAROM_CONDITION_OPTIONS(.reserved = 1), &c), -EINVAL));
	cr_expect(eq(int, carom_condition_attach_dup(-1, NULL, &c), -EBADF));
	cr_expect(eq(int, carom_condition_attach_dup(fd, NULL, &c), -EBADMSG));
	cr_expect(eq(ptr, c, NULL));
}
