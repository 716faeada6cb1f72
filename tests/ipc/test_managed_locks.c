/* The types of a server that are waited for: locks, semaphores, conditions, events, barriers. */
#include <fcntl.h>
#include <semaphore.h>

#include "tests/ipc/managed_calls.h"

TestSuite(managed_locks, .init = start_manager, .fini = end_manager, .timeout = 60);

/* ---- another client: a child that does one call, and then lives on until it is killed ---- */

struct client {
	pid_t pid;
	int told;
};

static struct client holder_of(struct carom_proxy *proxy, const char *method)
{
	struct client client;
	int fds[2];

	cr_assert(zero(int, pipe2(fds, O_CLOEXEC)));
	client.pid = fork();
	if (client.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (call(proxy, method, "") == 1 && write(fds[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(fds[1]);
	client.told = fds[0];
	return client;
}

static void await_client(struct client *client)
{
	char byte;

	cr_assert(eq(int, (int)read(client->told, &byte, 1), 1));
	close(client->told);
}

static void kill_client(struct client *client)
{
	int status;

	kill(client->pid, SIGKILL);
	cr_assert(eq(int, waitpid(client->pid, &status, 0), client->pid));
}

/* ---- Lock, RLock ---- */

static void *acquire_in_thread(void *proxy)
{
	return (void *)(intptr_t)call(proxy, "acquire", "");
}

/* MG-31 */
Test(managed_locks, lock_is_one_holders_and_anybody_releases_it)
{
	CREATED(lock, "Lock", "");
	pthread_t thread;

	expect_call(1, lock, "acquire", "");
	expect_call(0, lock, "acquire", "p", 0);
	expect_call(0, lock, "acquire", "pd", 1, 0.01);
	expect_call(1, lock, "locked", "");
	cr_assert(zero(int, pthread_create(&thread, NULL, acquire_in_thread, lock)));
	expect_call(0, lock, "release", "");
	cr_expect(eq(i64, joined(thread), 1));
	expect_call(0, lock, "release", ""); /* the thread's */
	expect_call(-EOVERFLOW, lock, "release", "");
	expect_call(0, lock, "locked", "");
	expect_call(-EINVAL, lock, "acquire", "pd", 0, 1.0);
	expect_call(-EINVAL, lock, "acquire", "s", "for ever");
}

/* MG-31 */
Test(managed_locks, rlock_is_one_threads)
{
	CREATED(lock, "RLock", "");
	pthread_t thread;

	expect_call(1, lock, "acquire", "");
	expect_call(1, lock, "acquire", "");
	cr_assert(zero(int, pthread_create(&thread, NULL, acquire_in_thread, lock)));
	expect_call(0, lock, "release", "");
	expect_call(0, lock, "release", "");
	cr_expect(eq(i64, joined(thread), 1));
	expect_call(-EPERM, lock, "release", "");
	expect_call(0, lock, "acquire", "p", 0);
}

/* MG-31 */
Test(managed_locks, lock_of_a_client_that_is_killed_is_free)
{
	static const char *const types[] = { "Lock", "RLock", "Semaphore", "BoundedSemaphore" };

	for (size_t i = 0; i < 4; i++) {
		CREATED(lock, types[i], "");
		struct client client = holder_of(lock, "acquire");

		await_client(&client);
		expect_call(0, lock, "acquire", "p", 0);
		kill_client(&client);
		expect_call(1, lock, "acquire", "");
	}
}

Test(managed_locks, client_that_is_killed_while_it_waits_is_passed_over)
{
	CREATED(lock, "Lock", "");
	struct client client;

	expect_call(1, lock, "acquire", "");
	client = holder_of(lock, "acquire");
	kill_client(&client);
	close(client.told);
	expect_call(0, lock, "release", "");
	expect_call(1, lock, "acquire", "");
}

Test(managed_locks, call_that_waits_no_longer_does_not_get_the_lock)
{
	CREATED(lock, "Lock", "");
	DOCUMENT document = NULL;
	int r;

	expect_call(1, lock, "acquire", "");
	r = carom_proxy_call(lock, "acquire", carom_deadline_after(CAROM_MILLISECONDS(20)),
			     &document, "");
	cr_expect(r == (document ? 0 : -ETIMEDOUT), "%d", r); /* the answer may be late, too */
	expect_call(0, lock, "release", "");
	expect_call(0, lock, "locked", "");
}

/* ---- Semaphore, BoundedSemaphore ---- */

/* MG-31 */
Test(managed_locks, semaphore_has_units)
{
	CREATED(semaphore, "Semaphore", "i", 2);

	expect_call(1, semaphore, "acquire", "");
	expect_call(1, semaphore, "acquire", "");
	expect_call(0, semaphore, "acquire", "p", 0);
	expect_call(0, semaphore, "release", "i", 4);
	expect_call(4, semaphore, "get_value", "");
	expect_call(-EINVAL, semaphore, "release", "i", 0);
	cr_expect(eq(int,
		     carom_manager_create(manager, "Semaphore", in_time(),
					  &(struct carom_proxy *){ 0 }, "i", -1),
		     -EINVAL));
}

/* MG-31 */
Test(managed_locks, bounded_semaphore_has_no_more_than_at_first)
{
	CREATED(semaphore, "BoundedSemaphore", "i", 2);

	expect_call(-EOVERFLOW, semaphore, "release", "");
	expect_call(1, semaphore, "acquire", "");
	expect_call(-EOVERFLOW, semaphore, "release", "i", 2);
	expect_call(0, semaphore, "release", "");
	expect_call(2, semaphore, "get_value", "");
}

Test(managed_locks, only_what_a_dead_client_has_comes_back)
{
	CREATED(semaphore, "Semaphore", "i", 1);
	struct client client = holder_of(semaphore, "acquire");

	await_client(&client);
	expect_call(0, semaphore, "release", ""); /* for it */
	kill_client(&client);
	expect_call(1, semaphore, "acquire", "");
	expect_call(0, semaphore, "get_value", "");
	expect_call(0, semaphore, "acquire", "p", 0);
}

/* ---- Event ---- */

static void *wait_in_thread(void *proxy)
{
	return (void *)(intptr_t)call(proxy, "wait", "");
}

/* MG-30 */
Test(managed_locks, event_wakes_whoever_waits)
{
	CREATED(event, "Event", "");
	struct client client = holder_of(event, "wait");
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		cr_assert(zero(int, pthread_create(&threads[i], NULL, wait_in_thread, event)));
	expect_call(0, event, "is_set", "");
	expect_call(0, event, "wait", "d", 0.01);
	expect_call(0, event, "set", "");
	for (int i = 0; i < 3; i++)
		cr_expect(eq(i64, joined(threads[i]), 1));
	await_client(&client);
	kill_client(&client);
	expect_call(1, event, "wait", "i", 0);
	expect_call(0, event, "clear", "");
	expect_call(0, event, "wait", "i", 0);
	expect_call(-EINVAL, event, "wait", "s", "soon");
}

/* ---- Condition ---- */

struct waiters {
	struct carom_proxy *condition;
	_Atomic int waiting; /* raised with the lock, right before it is given up */
	_Atomic int woken;   /* raised with the lock */
	sem_t told;
};

static void *wait_for_notice(void *userdata)
{
	struct waiters *waiters = userdata;
	int64_t notified;

	if (call(waiters->condition, "acquire", "") != 1)
		return (void *)-1;
	waiters->waiting++;
	notified = call(waiters->condition, "wait", "");
	waiters->woken++;
	sem_post(&waiters->told);
	if (call(waiters->condition, "release", "") != 0)
		return (void *)-2;
	return (void *)(intptr_t)notified;
}

/* Returns with the lock. */
static void await_waiting(struct waiters *waiters, int count)
{
	while (true) {
		cr_assert(eq(i64, call(waiters->condition, "acquire", ""), 1));
		if (waiters->waiting == count)
			return;
		expect_call(0, waiters->condition, "release", "");
	}
}

/* MG-32 */
Test(managed_locks, notice_wakes_one_of_two)
{
	CREATED(condition, "Condition", "");
	struct waiters waiters = { .condition = condition };
	pthread_t threads[2];

	sem_init(&waiters.told, 0, 0);
	for (int i = 0; i < 2; i++)
		cr_assert(zero(int, pthread_create(&threads[i], NULL, wait_for_notice, &waiters)));
	await_waiting(&waiters, 2);
	expect_call(0, condition, "notify", "");
	expect_call(0, condition, "release", "");
	sem_wait(&waiters.told);
	expect_call(1, condition, "acquire", ""); /* behind any other that was notified */
	cr_expect(eq(int, waiters.woken, 1));
	expect_call(0, condition, "notify_all", "");
	expect_call(0, condition, "release", "");
	for (int i = 0; i < 2; i++)
		cr_expect(eq(i64, joined(threads[i]), 1));
}

/* MG-32 */
Test(managed_locks, condition_gives_its_lock_back_whatever_happens)
{
	CREATED(condition, "Condition", "");

	expect_call(-EPERM, condition, "wait", "");
	expect_call(-EPERM, condition, "notify", "");
	expect_call(1, condition, "acquire", "");
	expect_call(1, condition, "acquire", "");
	expect_call(0, condition, "wait", "d", 0.01);
	expect_call(0, condition, "wait", "i", 0);
	expect_call(0, condition, "release", "");
	expect_call(0, condition, "release", "");
	expect_call(-EOVERFLOW, condition, "release", "");
}

/* MG-32 */
Test(managed_locks, condition_may_stand_on_a_lock_of_others)
{
	CREATED(lock, "Lock", "");
	CREATED(condition, "Condition", "P", lock);
	struct waiters waiters = { .condition = condition };
	pthread_t thread;

	sem_init(&waiters.told, 0, 0);
	cr_assert(zero(int, pthread_create(&thread, NULL, wait_for_notice, &waiters)));
	await_waiting(&waiters, 1);
	expect_call(1, lock, "locked", "");
	expect_call(0, condition, "notify", "i", 5);
	expect_call(0, lock, "release", "");
	cr_expect(eq(i64, joined(thread), 1));
	lock = carom_proxy_free(lock);
	expect_call(1, condition, "acquire", "");
	cr_expect(eq(int,
		     carom_manager_create(manager, "Condition", in_time(),
					  &(struct carom_proxy *){ 0 }, "P", condition),
		     -EINVAL));
}

/* The child is notified while its lock is ours, and killed: the thread is woken instead. */
Test(managed_locks, notice_to_a_client_that_is_killed_goes_to_another)
{
	CREATED(condition, "Condition", "");
	CREATED(life, "Semaphore", ""); /* the child's, until the server knows of its end */
	struct waiters waiters = { .condition = condition };
	struct client client = { .told = -1 };
	pthread_t thread;
	int fds[2];
	char byte;

	sem_init(&waiters.told, 0, 0);
	cr_assert(zero(int, pipe2(fds, O_CLOEXEC)));
	client.pid = fork();
	if (client.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (call(life, "acquire", "") == 1 && call(condition, "acquire", "") == 1 &&
		    write(fds[1], "", 1) == 1)
			call(condition, "wait", "");
		_exit(1);
	}
	cr_assert(eq(int, (int)read(fds[0], &byte, 1), 1));
	waiters.waiting = 1; /* it is the first: this lock is free once it waits */
	cr_assert(zero(int, pthread_create(&thread, NULL, wait_for_notice, &waiters)));
	await_waiting(&waiters, 2);
	expect_call(0, condition, "notify", "");
	kill_client(&client);
	expect_call(1, life, "acquire", "");
	expect_call(0, condition, "release", "");
	cr_expect(eq(i64, joined(thread), 1));
}

/* ---- Barrier ---- */

/* MG-33 */
Test(managed_locks, barrier_lets_all_go_at_once)
{
	CREATED(barrier, "Barrier", "i", 3);
	pthread_t threads[2];

	for (int round = 0; round < 3; round++) {
		int64_t sum = 0;

		for (int i = 0; i < 2; i++)
			cr_assert(zero(int,
				       pthread_create(&threads[i], NULL, wait_in_thread, barrier)));
		sum += call(barrier, "wait", "");
		for (int i = 0; i < 2; i++)
			sum += joined(threads[i]);
		cr_expect(eq(i64, sum, 0 + 1 + 2));
	}
	expect_call(3, barrier, "parties", "");
	expect_call(0, barrier, "n_waiting", "");
	expect_call(0, barrier, "broken", "");
	expect_call(3, barrier, "__getattribute__", "s", "parties");
}

static void await_parties(struct carom_proxy *barrier, int64_t count)
{
	while (call(barrier, "n_waiting", "") != count)
		sched_yield();
}

/* MG-33 */
Test(managed_locks, barrier_that_is_broken_keeps_nobody)
{
	CREATED(barrier, "Barrier", "i", 3);
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		cr_assert(zero(int, pthread_create(&threads[i], NULL, wait_in_thread, barrier)));
	await_parties(barrier, 2);
	expect_call(0, barrier, "abort", "");
	for (int i = 0; i < 2; i++)
		cr_expect(eq(i64, joined(threads[i]), -ECANCELED));
	expect_call(-ECANCELED, barrier, "wait", "");
	expect_call(1, barrier, "broken", "");
	expect_call(0, barrier, "reset", "");
	expect_call(-ETIMEDOUT, barrier, "wait", "d", 0.01);
	expect_call(1, barrier, "broken", "");
}

Test(managed_locks, barrier_breaks_with_a_party_that_is_killed)
{
	CREATED(barrier, "Barrier", "ind", 3, 100.0);
	struct client client = holder_of(barrier, "wait");
	pthread_t thread;

	cr_assert(zero(int, pthread_create(&thread, NULL, wait_in_thread, barrier)));
	await_parties(barrier, 2);
	kill_client(&client);
	close(client.told);
	cr_expect(eq(i64, joined(thread), -ECANCELED));
	expect_call(1, barrier, "broken", "");
}
