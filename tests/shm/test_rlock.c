/* RLock: a lock between processes that its holder may acquire again, and that survives it. */
#include "tests/shm/help.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/cleanup.h"
#include "core/points.h"
#include "shm/rlock.h"
#include "shm/rlock_private.h"

#define BOTH(name) TEST_BOTH(rlock, name)

/** struct table - shared by the processes of a test */
struct table {
	struct carom_rlock lock;
	uint64_t sum;
	_Atomic uint32_t ready;
	_Atomic uint32_t violations;
	_Atomic uint32_t stop;
};

static struct table *new_table(void)
{
	struct table *table = share(sizeof(*table));

	cr_assert(zero(int, carom_rlock_init(&table->lock)));
	return table;
}

static void acquire_times(struct table *table, int times)
{
	for (int i = 0; i < times; i++)
		if (carom_rlock_acquire(&table->lock, CAROM_NO_DEADLINE) != 0)
			atomic_fetch_add(&table->violations, 1);
}

static pid_t child_that_holds(struct table *table, int times)
{
	pid_t pid = child();

	if (pid == 0) {
		acquire_times(table, times);
		hold_until_killed(&table->ready);
	}
	await_held(&table->ready);
	return pid;
}

/* What somebody else gets who tries: minus that is the exit status. */
static int tried_by_a_child(struct table *table)
{
	pid_t pid = child();

	if (pid == 0) {
		int r = carom_rlock_try(&table->lock);

		if (r == 0 && carom_rlock_release(&table->lock) != 0)
			_exit(100);
		_exit(-r);
	}
	return -ended(pid);
}

/* SY-05 */
BOTH(is_released_as_often_as_it_was_acquired)
{
	struct table *table = new_table();

	acquire_times(table, 3);
	for (uint32_t count = 3; count > 0; count--) {
		cr_expect(eq(u32, carom_rlock_count(&table->lock), count));
		cr_expect(eq(int, tried_by_a_child(table), -EBUSY));
		cr_expect(zero(int, carom_rlock_release(&table->lock)));
	}
	cr_expect(zero(u32, carom_rlock_count(&table->lock)));
	cr_expect(zero(int, tried_by_a_child(table)));
	cr_expect(eq(int, carom_rlock_release(&table->lock), -EPERM));
}

/* NULL: as it should be */
static void *use_what_others_hold(void *argument)
{
	struct table *table = argument;
	bool is_refused = carom_rlock_release(&table->lock) == -EPERM &&
			  carom_rlock_try(&table->lock) == -EBUSY &&
			  carom_rlock_consistent(&table->lock) == -EPERM &&
			  carom_rlock_count(&table->lock) == 0;

	return is_refused ? NULL : table;
}

/* SY-05 */
BOTH(is_its_thread_s_and_no_other_s)
{
	struct table *table = new_table();
	pthread_t thread;
	void *wrong;

	acquire_times(table, 2);
	cr_assert(zero(int, pthread_create(&thread, NULL, use_what_others_hold, table)));
	pthread_join(thread, &wrong);
	cr_expect(eq(ptr, wrong, NULL));
	cr_expect(zero(int, carom_rlock_release(&table->lock)));
	cr_expect(zero(int, carom_rlock_release(&table->lock)));
}

/* SY-10 */
BOTH(is_not_inherited_by_a_child)
{
	struct table *table = new_table();
	pid_t pid;

	acquire_times(table, 2);
	pid = child();
	if (pid == 0)
		_exit(use_what_others_hold(table) != NULL);
	cr_expect(zero(int, ended(pid)));
	cr_expect(eq(int, carom_rlock_owner(&table->lock), getpid()));
	cr_expect(eq(u32, carom_rlock_count(&table->lock), 2));
}

static int add(struct table *table, int depth)
{
	CAROM_CLEANUP(carom_rlock_releasep) struct carom_rlock *held = NULL;
	int r = carom_rlock_acquire(&table->lock, CAROM_NO_DEADLINE);

	if (r < 0)
		return r;
	held = &table->lock;
	table->sum++;
	return depth > 1 ? add(table, depth - 1) : 0;
}

/* SY-12 */
BOTH(is_released_when_its_blocks_are_left)
{
	struct table *table = new_table();

	cr_expect(zero(int, add(table, 5)));
	cr_expect(zero(int, carom_rlock_owner(&table->lock)));
}

BOTH(keeps_processes_apart)
{
	struct table *table = new_table();
	pid_t pids[4];

	for (int i = 0; i < 4; i++) {
		pids[i] = child();
		if (pids[i] == 0) {
			for (int k = 0; k < 5000; k++)
				add(table, 1 + k % 4);
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++)
		cr_expect(zero(int, ended(pids[i])));
	cr_expect(eq(u64, table->sum, 4 * 5000 * 10 / 4));
}

static void *add_in_thread(void *table)
{
	for (int k = 0; k < 5000; k++)
		add(table, 1 + k % 4);
	return NULL;
}

BOTH(keeps_threads_apart)
{
	struct table *table = new_table();
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		cr_assert(zero(int, pthread_create(&threads[i], NULL, add_in_thread, table)));
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_expect(eq(u64, table->sum, 4 * 5000 * 10 / 4));
}

BOTH(is_acquired_once_by_who_comes_after_a_dead_holder)
{
	struct table *table = new_table();

	for (int times = 1; times <= 3; times++) {
		killed(child_that_holds(table, times));
		cr_assert(
			eq(int, carom_rlock_acquire(&table->lock, CAROM_NO_DEADLINE), -EOWNERDEAD));
		cr_expect(eq(u32, carom_rlock_count(&table->lock), 1));
		cr_expect(zero(int, carom_rlock_acquire(&table->lock, CAROM_NO_DEADLINE)));
		cr_expect(zero(int, carom_rlock_consistent(&table->lock)));
		cr_expect(zero(int, carom_rlock_release(&table->lock)));
		cr_expect(zero(int, carom_rlock_release(&table->lock)));
		cr_expect(zero(int, tried_by_a_child(table)));
	}
	cr_expect(zero(u32, atomic_load(&table->violations)));
}

BOTH(is_lost_if_nobody_repairs)
{
	struct table *table = new_table();

	killed(child_that_holds(table, 2));
	cr_assert(eq(int, carom_rlock_try(&table->lock), -EOWNERDEAD));
	cr_assert(zero(int, carom_rlock_try(&table->lock)));
	cr_expect(zero(int, carom_rlock_release(&table->lock)));
	cr_expect(eq(int, tried_by_a_child(table), -EBUSY));
	cr_expect(zero(int, carom_rlock_release(&table->lock)));
	cr_expect(eq(int, tried_by_a_child(table), -ENOTRECOVERABLE));
	cr_expect(eq(int, carom_rlock_try(&table->lock), -ENOTRECOVERABLE));
}

BOTH(says_why_it_was_not_acquired)
{
	struct table *table = new_table();
	uint64_t soon = carom_deadline_after(CAROM_MILLISECONDS(5));
	pid_t holder = child_that_holds(table, 2);

	cr_expect(eq(int, carom_rlock_acquire(&table->lock, CAROM_PASSED), -ETIMEDOUT));
	cr_expect(eq(int, carom_rlock_acquire(&table->lock, soon), -ETIMEDOUT));
	cr_expect(eq(int, carom_rlock_acquire_interruptible(&table->lock, soon), -ETIMEDOUT));
	cr_expect(eq(int, carom_rlock_try(&table->lock), -EBUSY));
	cr_expect(eq(int, carom_rlock_consistent(&table->lock), -EPERM));
	killed(holder);
	cr_assert(eq(int, carom_rlock_acquire_interruptible(&table->lock, soon), -EOWNERDEAD));
	cr_expect(zero(int, carom_rlock_consistent(&table->lock)));
	cr_expect(eq(int, carom_rlock_consistent(&table->lock), -EINVAL));
}

Test(rlock, is_acquired_so_often_and_not_more, .timeout = 120)
{
	struct table *table = new_table();

	for (uint32_t i = 0; i < CAROM_RLOCK_COUNT_MAX; i++)
		if (carom_rlock_try(&table->lock) != 0)
			break;
	cr_expect(eq(u32, carom_rlock_count(&table->lock), CAROM_RLOCK_COUNT_MAX));
	cr_expect(eq(int, carom_rlock_try(&table->lock), -EOVERFLOW));
	cr_expect(zero(int, carom_rlock_release(&table->lock)));
	cr_expect(zero(int, carom_rlock_try(&table->lock)));
}

static void ignore_signal(int signal_number)
{
}

BOTH(stops_waiting_at_a_signal_if_asked)
{
	struct table *table = new_table();
	pid_t holder = child_that_holds(table, 1), waiter = child();

	if (waiter == 0) {
		struct sigaction action = { .sa_handler = ignore_signal, .sa_flags = SA_RESTART };
		int r;

		sigaction(SIGUSR1, &action, NULL);
		atomic_store(&table->ready, 1);
		r = carom_rlock_acquire_interruptible(&table->lock, CAROM_NO_DEADLINE);
		atomic_store(&table->ready, 2);
		_exit(-r);
	}
	cr_expect(eq(int, ended_by_signals(waiter, &table->ready), EINTR));
	killed(holder);
}

BOTH(can_be_released_at_once_and_restored)
{
	struct table *table = new_table();
	uint32_t count = 0;

	cr_expect(eq(int, carom_rlock_release_all(&table->lock, &count), -EPERM));
	cr_expect(zero(u32, count));
	acquire_times(table, 3);
	cr_expect(zero(int, carom_rlock_release_all(&table->lock, &count)));
	cr_expect(eq(u32, count, 3));
	cr_expect(zero(int, tried_by_a_child(table)));
	cr_expect(zero(int, carom_rlock_restore(&table->lock, count)));
	cr_expect(eq(u32, carom_rlock_count(&table->lock), 3));

	cr_expect(zero(int, carom_rlock_release_all(&table->lock, &count)));
	killed(child_that_holds(table, 2));
	cr_expect(eq(int, carom_rlock_restore(&table->lock, count), -EOWNERDEAD));
	cr_expect(eq(u32, carom_rlock_count(&table->lock), 3));
}

static bool says(struct table *table, const char *expected)
{
	char text[400];

	if (strcmp(carom_rlock_describe(&table->lock, text, sizeof(text)), expected) == 0)
		return true;
	fprintf(stderr, "# %s, not %s\n", text, expected);
	return false;
}

/* SY-11 */
BOTH(is_described)
{
	struct table *table = new_table();

	cr_expect(says(table, "<RLock owner=nobody>"));
	acquire_times(table, 3);
	cr_expect(says(table, line("<RLock owner='MainProcess' pid=%d count=3>", getpid())));
}

/* ---- deaths ---- */

static void use_once(struct table *table, uint64_t *seed)
{
	int r = carom_rlock_acquire(&table->lock, CAROM_NO_DEADLINE);
	uint32_t deeper = chance(seed) % 3;

	if (r == -EOWNERDEAD)
		carom_rlock_consistent(&table->lock);
	else if (r != 0)
		atomic_fetch_add(&table->violations, 1);
	if (carom_rlock_count(&table->lock) != 1)
		atomic_fetch_add(&table->violations, 1);
	acquire_times(table, (int)deeper);
	if (carom_rlock_count(&table->lock) != 1 + deeper)
		atomic_fetch_add(&table->violations, 1);
	if (chance(seed) % 4 == 0)
		sched_yield();
	for (uint32_t i = 0; i <= deeper; i++)
		if (carom_rlock_release(&table->lock) != 0)
			atomic_fetch_add(&table->violations, 1);
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

enum { USERS = 3, DEATHS_AT_EACH = 30 };

static void kill_often_at(const char *point, uint64_t *seed)
{
	struct table *table = new_table();
	int status = 0;

	for (uint64_t i = 0; i < USERS; i++)
		child_that_uses(table, *seed + i);
	for (int death = 0; death < DEATHS_AT_EACH; death++) {
		use_once(table, seed);
		/* not the first USERS: who passes by when the counts go back to 0 counts too */
		cr_assert(zero(int,
			       carom_point_arm_once(point, USERS + 1 + chance(seed) % 5, SIGKILL)));
		waitpid(-1, &status, 0);
		carom_point_disarm_all();
		cr_assert(eq(int, WTERMSIG(status), SIGKILL), "waiting for a death at %s", point);
		child_that_uses(table, *seed);
	}
	atomic_store(&table->stop, 1);
	while (wait(&status) > 0)
		cr_expect(zero(int, status), "after deaths at %s", point);
	use_once(table, seed);
	cr_expect(zero(u32, atomic_load(&table->violations)), "after deaths at %s", point);
	munmap(table, sizeof(*table));
}

Test(rlock, survives_a_death_at_every_step, .timeout = 600)
{
	uint64_t seed = new_seed();
	const char *name;
	int points = 0;

	if (!carom_point_name(0))
		cr_skip_test("built without -Dpoints=true");
	NEEDS("get_robust_list"); /* the steps of the pthread library's are not known */
	for (size_t i = 0; (name = carom_point_name(i)); i++) {
		if (strncmp(name, "rlock.", 6) != 0 && strncmp(name, "mutex.", 6) != 0)
			continue;
		kill_often_at(name, &seed);
		points++;
	}
	cr_expect(ge(int, points, 12));
}
