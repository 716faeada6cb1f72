/* Barrier: all go on together, or all are told that it is broken. */
#include "tests/shm/help.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/cleanup.h"
#include "shm/barrier.h"
#include "tests/shm/storm.h"

/**
 * struct table - shared by the processes of a test
 * @barrier: the handle, which children by fork() have
 */
struct table {
	struct carom_barrier *barrier;
	_Atomic uint32_t indices;
	_Atomic uint32_t actions;
	_Atomic uint32_t rounds;
	_Atomic uint32_t stop;
};

static struct carom_barrier *new_barrier(uint32_t parties)
{
	struct carom_barrier *barrier = NULL;

	cr_assert(zero(int, carom_barrier_new(parties, NULL, &barrier)));
	return barrier;
}

static uint64_t soon(void)
{
	return carom_deadline_after(CAROM_MILLISECONDS(20));
}

/* A child that waits, and says with its status what it was told: its index, or 100 and more. */
static pid_t party(struct carom_barrier *barrier)
{
	uint32_t before = carom_barrier_waiting(barrier);
	pid_t pid = child();

	if (pid == 0) {
		int r = carom_barrier_wait(barrier, CAROM_NO_DEADLINE);

		carom_barrier_free(barrier);
		_exit(r < 0 ? 100 - r : r);
	}
	await(carom_barrier_waiting(barrier) > before);
	return pid;
}

#define BROKEN (100 + ECANCELED)

TestSuite(barrier, .init = need_robust_lists);

/* SY-23 */
Test(barrier, lets_all_go_on_when_the_last_has_come, .timeout = 60)
{
	CAROM_CLEANUP(carom_barrier_freep) struct carom_barrier *barrier = new_barrier(4);
	pid_t pids[3];
	int indices = 1 << 3;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3; i++)
			pids[i] = party(barrier);
		cr_expect(eq(u32, carom_barrier_waiting(barrier), 3));
		cr_expect(eq(int, carom_barrier_wait(barrier, CAROM_NO_DEADLINE), 3));
		for (int i = 0; i < 3; i++)
			indices |= 1 << ended(pids[i]);
		cr_expect(eq(int, indices, 15)); /* each another one */
		cr_expect(zero(u32, carom_barrier_waiting(barrier)));
	}
	cr_expect(eq(u32, carom_barrier_parties(barrier), 4));
}

static int count(void *actions)
{
	return (int)atomic_fetch_add((_Atomic uint32_t *)actions, 1) * 0;
}

static int fail(void *unused)
{
	(void)unused;
	return -ENOSPC;
}

Test(barrier, has_an_action_that_the_last_one_runs, .timeout = 60)
{
	struct table *table = share(sizeof(*table));
	CAROM_CLEANUP(carom_barrier_freep) struct carom_barrier *barrier = NULL;
	pid_t pid;

	cr_assert(zero(int, carom_barrier_new(2,
					      &CAROM_BARRIER_OPTIONS(.action = count,
								     .userdata = &table->actions),
					      &barrier)));
	pid = party(barrier);
	cr_expect(eq(int, carom_barrier_wait(barrier, CAROM_NO_DEADLINE), 1));
	cr_expect(zero(int, ended(pid)));
	cr_expect(eq(u32, atomic_load(&table->actions), 1));
}

Test(barrier, breaks_when_the_action_fails, .timeout = 60)
{
	CAROM_CLEANUP(carom_barrier_freep) struct carom_barrier *barrier = new_barrier(2);
	pid_t pid = party(barrier);

	carom_barrier_set_action(barrier, fail, NULL);
	cr_expect(eq(int, carom_barrier_wait(barrier, CAROM_NO_DEADLINE), -ENOSPC));
	cr_expect(eq(int, ended(pid), BROKEN));
	cr_expect(eq(int, carom_barrier_is_broken(barrier), 1));
}

/* ER-14 */
Test(barrier, breaks_when_one_waits_too_long, .timeout = 60)
{
	CAROM_CLEANUP(carom_barrier_freep) struct carom_barrier *barrier = new_barrier(3);
	pid_t pid = party(barrier);

	cr_expect(eq(int, carom_barrier_wait(barrier, soon()), -ETIMEDOUT));
	cr_expect(eq(int, ended(pid), BROKEN));
	cr_expect(eq(int, carom_barrier_wait(barrier, CAROM_NO_DEADLINE), -ECANCELED));
}

Test(barrier, is_broken_and_mended_by_whoever_says_so, .timeout = 60)
{
	CAROM_CLEANUP(carom_barrier_freep) struct carom_barrier *barrier = new_barrier(2);
	pid_t pid = party(barrier);

	cr_expect(zero(int, carom_barrier_abort(barrier)));
	cr_expect(eq(int, ended(pid), BROKEN));
	cr_expect(zero(int, carom_barrier_reset(barrier)));
	cr_expect(zero(int, carom_barrier_is_broken(barrier)));
	pid = party(barrier);
	cr_expect(zero(int, carom_barrier_reset(barrier))); /* with one that waits */
	cr_expect(eq(int, ended(pid), BROKEN));
	pid = party(barrier);
	cr_expect(eq(int, carom_barrier_wait(barrier, CAROM_NO_DEADLINE), 1));
	cr_expect(zero(int, ended(pid)));
}

Test(barrier, is_attached_by_its_descriptor, .timeout = 60)
{
	CAROM_CLEANUP(carom_barrier_freep) struct carom_barrier *barrier = new_barrier(2);
	CAROM_CLEANUP(carom_barrier_freep) struct carom_barrier *same = NULL;
	pid_t pid = party(barrier);

	cr_assert(zero(int, carom_barrier_attach_dup(carom_barrier_fd(barrier), &same)));
	cr_expect(eq(int, carom_barrier_wait(same, CAROM_NO_DEADLINE), 1));
	cr_expect(zero(int, ended(pid)));
}

/* ---- deaths ---- */

/* SY-24 */
Test(barrier, breaks_when_one_of_those_who_wait_dies, .timeout = 60)
{
	CAROM_CLEANUP(carom_barrier_freep) struct carom_barrier *barrier = new_barrier(3);
	pid_t first = party(barrier), second = party(barrier);

	killed(first);
	cr_expect(eq(int, ended(second), BROKEN));
	cr_expect(eq(int, carom_barrier_wait(barrier, CAROM_NO_DEADLINE), -ECANCELED));
	cr_expect(zero(int, carom_barrier_reset(barrier)));
}

Test(barrier, breaks_when_a_party_dies_that_does_something_else, .timeout = 60)
{
	CAROM_CLEANUP(carom_barrier_freep) struct carom_barrier *barrier = new_barrier(2);
	pid_t pid = child();

	if (pid == 0) {
		carom_barrier_wait(barrier, CAROM_NO_DEADLINE);
		for (;;)
			pause();
	}
	cr_expect(ge(int, carom_barrier_wait(barrier, CAROM_NO_DEADLINE), 0));
	kill(pid, SIGKILL);
	cr_expect(eq(int, carom_barrier_wait(barrier, CAROM_NO_DEADLINE), -ECANCELED));
	ended(pid);
}

Test(barrier, breaks_when_one_dies_without_futex_waitv, .timeout = 60)
{
	CAROM_CLEANUP(carom_barrier_freep) struct carom_barrier *barrier = NULL;
	pid_t first, second;

	setenv("CAROM_DENY", "futex_waitv", 1);
	barrier = new_barrier(3);
	first = party(barrier);
	second = party(barrier);
	killed(first);
	cr_expect(eq(int, ended(second), BROKEN));
}

static int die(void *unused)
{
	(void)unused;
	return raise(SIGKILL);
}

Test(barrier, breaks_when_its_action_is_killed, .timeout = 60)
{
	CAROM_CLEANUP(carom_barrier_freep) struct carom_barrier *barrier = new_barrier(2);
	pid_t first = party(barrier), second = child();

	if (second == 0) {
		carom_barrier_set_action(barrier, die, NULL);
		carom_barrier_wait(barrier, CAROM_NO_DEADLINE);
	}
	cr_expect(eq(int, ended(second), -SIGKILL));
	cr_expect(eq(int, ended(first), BROKEN));
}

static int fail_when_told(void *userdata)
{
	struct table *table = userdata;

	atomic_store(&table->actions, 1);
	await(atomic_load(&table->stop));
	return -ENOSPC;
}

/* A child that has a row, and waits once it is its turn. It lives on if others hear of its end. */
static pid_t party_in_turn(struct table *table, uint32_t turn, bool lives_on)
{
	pid_t pid = child();
	int r;

	if (pid > 0)
		return pid;
	carom_barrier_reset(table->barrier);
	atomic_fetch_add(&table->indices, 1);
	await(atomic_load(&table->rounds) >= turn);
	r = carom_barrier_wait(table->barrier, CAROM_NO_DEADLINE);
	if (lives_on && r == -ECANCELED)
		hold_until_killed(&table->actions);
	_exit(r < 0 ? 100 - r : r);
}

/* The death wakes one, who is of the round; the other one came late. */
Test(barrier, leaves_no_late_comer_behind_though_who_breaks_it_dies, .timeout = 60)
{
	struct table *table = share(sizeof(*table));
	pid_t first, last, late;

	cr_assert(zero(int, carom_barrier_new(2,
					      &CAROM_BARRIER_OPTIONS(.action = fail_when_told,
								     .userdata = table),
					      &table->barrier)));
	first = party_in_turn(table, 1, true);
	last = party_in_turn(table, 2, false);
	late = party_in_turn(table, 3, false);
	await(atomic_load(&table->indices) == 3);
	atomic_store(&table->rounds, 1);
	await(carom_barrier_waiting(table->barrier) == 1);
	await_asleep(first);
	if (carom_point_arm_once("barrier.phase", 2, SIGKILL) < 0)
		cr_skip_test("skipped: this build has no points");
	atomic_store(&table->rounds, 2);
	await_held(&table->actions);
	atomic_store(&table->rounds, 3);
	await_asleep(late);
	atomic_store(&table->stop, 1);
	cr_expect(eq(int, ended(last), -SIGKILL));
	await_held(&table->actions);
	cr_expect(eq(int, ended(late), BROKEN));
	killed(first);
	carom_barrier_free(table->barrier);
}

/* Rounds of three; who finds it broken mends it. Nobody may be left waiting. */
static void work(void *userdata)
{
	struct table *table = userdata;

	while (!atomic_load(&table->stop)) {
		int r = carom_barrier_wait(table->barrier,
					   carom_deadline_after(CAROM_MILLISECONDS(100)));

		if (r < 0 && r != -ECANCELED && r != -ETIMEDOUT)
			_exit(1);
		if (r < 0)
			carom_barrier_reset(table->barrier);
		atomic_fetch_add(&table->rounds, 1);
	}
	_exit(0);
}

Test(barrier, lives_through_deaths_at_every_step, .timeout = 240)
{
	CAROM_CLEANUP(carom_barrier_freep) struct carom_barrier *barrier = NULL;
	struct table *table = share(sizeof(*table));
	struct storm storm = { work, table, &table->stop, "barrier.party" };

	cr_assert(zero(int, carom_barrier_new(3,
					      &CAROM_BARRIER_OPTIONS(.action = count,
								     .userdata = &table->actions),
					      &barrier)));
	table->barrier = barrier;
	storm_everywhere(&storm, "barrier.");
	cr_expect(lt(u32, 0, atomic_load(&table->rounds)));
}

/* ---- bad input ---- */

Test(barrier, refuses_what_makes_no_sense)
{
	struct carom_barrier *b = NULL;
	CAROM_CLEANUP(carom_closep) int fd = memfd_create("no barrier", MFD_CLOEXEC);

	cr_expect(eq(int, carom_barrier_new(0, NULL, &b), -EINVAL));
	cr_expect(eq(int, carom_barrier_new(CAROM_BARRIER_PARTIES_MAX + 1, NULL, &b), -EINVAL));
	cr_expect(
		eq(int, carom_barrier_new(1, &CAROM_BARRIER_OPTIONS(.reserved = 1), &b), -EINVAL));
	cr_expect(eq(int, carom_barrier_attach_dup(-1, &b), -EBADF));
	cr_expect(eq(int, carom_barrier_attach_dup(fd, &b), -EBADMSG));
	cr_expect(eq(ptr, b, NULL));
}
