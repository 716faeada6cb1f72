/* Event: a flag between processes that can be waited for. */
#include "tests/shm/help.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include "core/points.h"
#include "shm/event.h"

/** struct table - shared by the processes of a test */
struct table {
	struct carom_event event;
	uint64_t written;
	_Atomic uint32_t ready;
	_Atomic uint32_t gone_on;
	_Atomic uint32_t round;
};

static struct table *new_table(void)
{
	struct table *table = share(sizeof(*table));

	carom_event_init(&table->event);
	return table;
}

static pid_t child_that_waits(struct table *table)
{
	pid_t pid = child();

	if (pid == 0) {
		int r = carom_event_wait(&table->event, CAROM_NO_DEADLINE);

		atomic_fetch_add(&table->gone_on, 1);
		_exit(-r);
	}
	return pid;
}

Test(event, lets_those_go_on_who_wait, .timeout = 60)
{
	struct table *table = new_table();
	pid_t pid = child_that_waits(table);

	cr_expect(not(carom_event_is_set(&table->event)));
	await_asleep(pid);
	carom_event_set(&table->event);
	cr_expect(zero(int, ended(pid)));
	cr_expect(carom_event_is_set(&table->event));
	cr_expect(zero(int, ended(child_that_waits(table))));

	carom_event_clear(&table->event);
	cr_expect(not(carom_event_is_set(&table->event)));
	cr_expect(eq(int, carom_event_wait(&table->event, CAROM_PASSED), -ETIMEDOUT));
}

enum { CROWD = 100 };

/* SY-21 */
Test(event, wakes_a_hundred, .timeout = 120)
{
	struct table *table = new_table();
	pid_t pids[CROWD];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < CROWD; i++)
			pids[i] = child_that_waits(table);
		for (int i = 0; i < CROWD; i++)
			await_asleep(pids[i]);
		carom_event_set(&table->event);
		for (int i = 0; i < CROWD; i++)
			cr_expect(zero(int, ended(pids[i])));
		carom_event_clear(&table->event);
	}
	cr_expect(eq(u32, atomic_load(&table->gone_on), 3 * CROWD));
}

/* SY-21 */
Test(event, that_is_cleared_at_once_lets_those_go_on_who_waited, .timeout = 120)
{
	struct table *table = new_table();
	pid_t pids[20];

	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 20; i++)
			pids[i] = child_that_waits(table);
		for (int i = 0; i < 20; i++)
			await_asleep(pids[i]);
		carom_event_set(&table->event);
		carom_event_clear(&table->event);
		for (int i = 0; i < 20; i++)
			cr_expect(zero(int, ended(pids[i])));
	}
}

/* SY-22 */
Test(event, is_set_whoever_of_those_who_wait_was_killed, .timeout = 60)
{
	struct table *table = new_table();
	pid_t dead = child_that_waits(table), pid = child_that_waits(table);

	await_asleep(dead);
	await_asleep(pid);
	killed(dead);
	carom_event_set(&table->event);
	cr_expect(zero(int, ended(pid)));

	carom_event_clear(&table->event);
	dead = child_that_waits(table);
	await_asleep(dead);
	killed(dead);
	carom_event_set(&table->event);
	cr_expect(carom_event_is_set(&table->event));
}

Test(event, waits_no_longer_than_the_deadline, .timeout = 60)
{
	struct table *table = new_table();
	uint64_t deadline = carom_deadline_after(CAROM_MILLISECONDS(20));

	cr_expect(eq(int, carom_event_wait(&table->event, deadline), -ETIMEDOUT));
	cr_expect(ge(u64, carom_now(), deadline));
	cr_expect(eq(int, carom_event_wait_interruptible(&table->event, CAROM_PASSED), -ETIMEDOUT));
	carom_event_set(&table->event);
	cr_expect(zero(int, carom_event_wait(&table->event, CAROM_PASSED)));
}

static void ignore_signal(int signal_number)
{
}

typedef int wait_fn(struct carom_event *event, uint64_t deadline_ns);

/* Asleep, and signalled; the event is set after some signals, if nothing has ended the wait. */
static int signalled_while_it_waits(wait_fn *wait, int flags, bool set)
{
	struct table *table = new_table();
	pid_t pid = child();

	if (pid == 0) {
		struct sigaction action = { .sa_handler = ignore_signal, .sa_flags = flags };
		int r;

		sigaction(SIGUSR1, &action, NULL);
		atomic_store(&table->ready, 1);
		errno = EXDEV;
		r = wait(&table->event, CAROM_NO_DEADLINE);
		atomic_store(&table->gone_on, 1);
		_exit(errno == EXDEV ? -r : 100);
	}
	await(atomic_load(&table->ready));
	await_asleep(pid);
	for (int i = 0; set ? i < 20 : !atomic_load(&table->gone_on); i++) {
		kill(pid, SIGUSR1);
		sched_yield();
	}
	if (set)
		carom_event_set(&table->event);
	return ended(pid);
}

Test(event, goes_on_waiting_after_a_signal_unless_asked, .timeout = 60)
{
	cr_expect(zero(int, signalled_while_it_waits(carom_event_wait, 0, true)));
	cr_expect(
		eq(int, signalled_while_it_waits(carom_event_wait_interruptible, 0, false), EINTR));
	cr_expect(eq(int,
		     signalled_while_it_waits(carom_event_wait_interruptible, SA_RESTART, false),
		     EINTR));
}

static struct carom_event *in_handler;

static void set_it(int signal_number)
{
	carom_event_set(in_handler);
}

Test(event, is_set_by_a_signal_handler, .timeout = 60)
{
	struct table *table = new_table();
	struct sigaction action = { .sa_handler = set_it };
	pid_t pid = child();

	if (pid == 0) {
		pid_t parent = getppid();

		await(atomic_load(&table->ready));
		kill(parent, SIGUSR1);
		_exit(0);
	}
	in_handler = &table->event;
	sigaction(SIGUSR1, &action, NULL);
	atomic_store(&table->ready, 1);
	cr_expect(zero(int, carom_event_wait(&table->event, CAROM_NO_DEADLINE)));
	cr_expect(zero(int, ended(pid)));
}

static void *wait_and_read(void *argument)
{
	struct table *table = argument;
	uint64_t expected = table->written + 1;

	atomic_fetch_add(&table->ready, 1);
	if (carom_event_wait(&table->event, CAROM_NO_DEADLINE) == 0 && table->written == expected)
		atomic_fetch_add(&table->gone_on, 1);
	return NULL;
}

Test(event, shows_threads_what_was_written_before, .timeout = 60)
{
	struct table *table = new_table();
	pthread_t threads[3];

	for (int round = 0; round < 50; round++) {
		atomic_store(&table->ready, 0);
		for (int i = 0; i < 3; i++)
			cr_assert(
				zero(int, pthread_create(&threads[i], NULL, wait_and_read, table)));
		await(atomic_load(&table->ready) == 3);
		for (int i = 0; i < round % 5; i++)
			sched_yield(); /* some are asleep, some are not */
		table->written++;
		carom_event_set(&table->event);
		for (int i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		carom_event_clear(&table->event);
	}
	cr_expect(eq(u32, atomic_load(&table->gone_on), 3 * 50));
}

Test(event, is_set_when_zeroed_memory_is_not, .timeout = 60)
{
	struct carom_event event = { { 0, 0 } };
	char text[32];

	cr_expect(not(carom_event_is_set(&event)));
	cr_expect(eq(str, carom_event_describe(&event, text, sizeof(text)),
		     (char *)"<Event not set>"));
	carom_event_set(&event);
	cr_expect(eq(str, carom_event_describe(&event, text, sizeof(text)), (char *)"<Event set>"));
	carom_event_set(&event);
	carom_event_clear(&event);
	carom_event_clear(&event);
	cr_expect(not(carom_event_is_set(&event)));
}

/* ---- deaths ---- */

/* Each round of the event lets everybody pass once; whoever has seen all of them ends. */
static pid_t child_that_follows(struct table *table, uint32_t rounds)
{
	pid_t pid = child();

	if (pid == 0) {
		for (uint32_t i = 0; i < rounds; i++) {
			if (carom_event_wait(&table->event, CAROM_NO_DEADLINE) != 0)
				_exit(1);
			atomic_fetch_add(&table->gone_on, 1);
			await(atomic_load(&table->round) > i);
		}
		_exit(0);
	}
	return pid;
}

static pid_t child_that_sets(struct table *table)
{
	pid_t pid = child();

	if (pid == 0) {
		carom_event_set(&table->event);
		_exit(0);
	}
	return pid;
}

enum { FOLLOWERS = 3, ROUNDS = 30 };

/* A setter dies at @point; who slept is awake, or the event is not set. */
static void kill_setters_at(const char *point)
{
	struct table *table = new_table();
	pid_t pids[FOLLOWERS];

	for (int i = 0; i < FOLLOWERS; i++)
		pids[i] = child_that_follows(table, ROUNDS);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < FOLLOWERS; i++)
			await_asleep(pids[i]);
		cr_assert(zero(int, carom_point_arm_once(point, 1, SIGKILL)));
		cr_expect(eq(int, ended(child_that_sets(table)), -SIGKILL));
		carom_point_disarm_all();
		if (!carom_event_is_set(&table->event))
			cr_expect(zero(int, ended(child_that_sets(table))));
		await(atomic_load(&table->gone_on) == FOLLOWERS * (round + 1));
		carom_event_clear(&table->event);
		atomic_store(&table->round, round + 1);
	}
	for (int i = 0; i < FOLLOWERS; i++)
		cr_expect(zero(int, ended(pids[i])), "after deaths at %s", point);
	munmap(table, sizeof(*table));
}

/* A waiter dies at @point; the others go on. */
static void kill_waiters_at(const char *point)
{
	struct table *table = new_table();

	for (uint32_t round = 0; round < ROUNDS; round++) {
		int status, killed_count = 0;

		/* not the first of them: who passes by when the counts go back to 0 counts too */
		cr_assert(
			zero(int, carom_point_arm_once(point, FOLLOWERS + 1 + round % 3, SIGKILL)));
		for (int i = 0; i < FOLLOWERS; i++)
			child_that_waits(table);
		while (!carom_point_hits(
			point)) { /* set in between, for those that lead to there */
			carom_event_set(&table->event);
			carom_event_clear(&table->event);
			if (waitpid(-1, &status, WNOHANG) > 0 && WIFEXITED(status))
				child_that_waits(table);
			else
				sched_yield();
		}
		carom_point_disarm_all();
		carom_event_set(&table->event);
		while (wait(&status) > 0)
			killed_count += WIFSIGNALED(status);
		cr_expect(le(int, killed_count, 1), "after a death at %s", point);
		carom_event_clear(&table->event);
	}
	munmap(table, sizeof(*table));
}

Test(event, survives_a_death_at_every_step, .timeout = 300)
{
	if (!carom_point_name(0))
		cr_skip_test("built without -Dpoints=true");
	kill_setters_at("event.wakes");
	kill_setters_at("event.woke");
	kill_waiters_at("event.marked");
	kill_waiters_at("event.awake");
}
