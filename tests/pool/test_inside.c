/* Inside: pools whose workers are each process 1 of a pid namespace of its own. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "core/cleanup.h"
#include "core/clone.h"
#include "core/time.h"
#include "pool/carom.h"
#include "tests/core/apart.h"
#include "tests/core/sandboxes.h"
#include "tests/pool/work.h"

#define WORKERS 2

static struct carom_sandbox *inside(void)
{
	if (carom_clone_way() == CAROM_CLONE_BY_FORK)
		cr_skip_test("skipped: there is no fork server here");
	return SANDBOX(.profile = CAROM_SANDBOX_STRICT,
		       .layers = CAROM_SANDBOX_PID_NAMESPACE | CAROM_SANDBOX_USER_NAMESPACE);
}

static struct carom_pool *pool_with(struct carom_pool_options options)
{
	struct carom_pool *pool = NULL;
	int r = carom_pool_new(&options, &pool);

	cr_assert(r == 0, "%s", carom_strerror(r));
	return pool;
}

#define POOL(...) pool_with(CAROM_POOL_OPTIONS(.worker_count = WORKERS, __VA_ARGS__))

static int run(struct carom_pool *pool, carom_task_fn *function, struct carom_outcome *ret_outcome)
{
	return carom_pool_apply(pool, function, NULL, 0, NULL, 0, NULL, ret_outcome);
}

static void squares(struct carom_pool *pool)
{
	int64_t in[100], out[100];

	for (int i = 0; i < 100; i++)
		in[i] = i;
	cr_assert(zero(
		int, carom_pool_map(pool, square, in, 100, sizeof(*in), out, sizeof(*out), NULL)));
	for (int i = 0; i < 100; i++)
		cr_assert(out[i] == in[i] * in[i]);
}

Test(inside, a_worker_is_process_one_and_known_by_another_pid, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = inside();
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = POOL(.sandbox = sandbox);
	struct carom_worker_info infos[WORKERS];
	struct carom_outcome outcome;
	int64_t pid = 0;

	cr_assert(zero(
		int, carom_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof(pid), NULL, &outcome)));
	cr_expect(eq(int, (int)pid, 1));
	cr_assert(eq(int, carom_pool_workers(pool, infos, WORKERS), WORKERS));
	cr_expect(outcome.worker_pid == infos[0].pid || outcome.worker_pid == infos[1].pid);
	cr_expect(zero(int, kill((pid_t)infos[0].pid, 0)));
	squares(pool);
}

/* --- how tasks end ----------------------------------------------------- */

static int write_nowhere(struct carom_call *call)
{
	volatile char *nowhere = mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	signal(SIGSEGV, SIG_DFL); /* a sanitizer has its own idea of it */
	*nowhere = 1;
	return 0;
}

static int abort_now(struct carom_call *call)
{
	abort();
}

static int exit_with_seven(struct carom_call *call)
{
	_exit(7);
}

Test(inside, a_task_that_ends_its_worker_is_told_how, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = inside();
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = POOL(.sandbox = sandbox);
	struct carom_outcome outcome;

	cr_expect(eq(int, run(pool, write_nowhere, &outcome), -EREMOTEIO));
	cr_expect(outcome.kind == CAROM_OUTCOME_LOST && outcome.signal == SIGSEGV, "%d",
		  outcome.kind);
	cr_expect(eq(int, run(pool, abort_now, &outcome), -EREMOTEIO));
	cr_expect(outcome.kind == CAROM_OUTCOME_LOST && outcome.signal == 0 &&
			  outcome.exit_status == 128 + SIGABRT,
		  "%d: %d", outcome.kind, (int)outcome.exit_status);
	cr_expect(eq(int, run(pool, exit_with_seven, &outcome), -EREMOTEIO));
	cr_expect(outcome.kind == CAROM_OUTCOME_LOST && outcome.exit_status == 7);
	squares(pool);
}

static int sleep_on(struct carom_call *call)
{
	for (;;)
		pause();
	return 0;
}

static int sleep_until_told(struct carom_call *call)
{
	while (!carom_call_soft_limit(call))
		usleep(1000);
	return -ETIME;
}

Test(inside, limits_of_time_hold, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = inside();
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = POOL(.sandbox = sandbox);
	struct carom_outcome outcome;

	cr_expect(eq(int,
		     carom_pool_apply(pool, sleep_until_told, NULL, 0, NULL, 0,
				      &CAROM_TASK_OPTIONS(.soft_limit_ns = CAROM_MILLISECONDS(20)),
				      &outcome),
		     -EREMOTEIO));
	cr_expect(outcome.kind == CAROM_OUTCOME_SOFT_LIMIT, "%d", outcome.kind);
	cr_expect(eq(int,
		     carom_pool_apply(pool, sleep_on, NULL, 0, NULL, 0,
				      &CAROM_TASK_OPTIONS(.hard_limit_ns = CAROM_MILLISECONDS(20)),
				      &outcome),
		     -EREMOTEIO));
	cr_expect(outcome.kind == CAROM_OUTCOME_HARD_LIMIT, "%d", outcome.kind);
	squares(pool);
}

/* --- deaths ------------------------------------------------------------ */

/**
 * struct hunt - somebody who kills workers, as long as it lasts
 * @kills: how many
 */
struct hunt {
	struct carom_pool *pool;
	_Atomic bool is_over;
	_Atomic int kills;
};

/* The process at this place; 0: there is none now, or it is not ready. */
static pid_t at_place(struct carom_pool *pool, int place)
{
	struct carom_worker_info infos[WORKERS];

	if (carom_pool_wait_ready(pool, carom_deadline_after(CAROM_SECONDS(1))) < 0 ||
	    carom_pool_workers(pool, infos, WORKERS) != WORKERS)
		return 0;
	return (pid_t)infos[place].pid;
}

/* Not of those that are not ready yet: so many deaths of them break a pool. */
static void *hunt(void *userdata)
{
	struct hunt *hunt = userdata;
	pid_t last[WORKERS] = { 0 };

	for (int place = 0; !atomic_load(&hunt->is_over); place = (place + 1) % WORKERS) {
		pid_t pid = at_place(hunt->pool, place);

		if (pid > 0 && pid != last[place] && kill(pid, SIGKILL) == 0)
			atomic_fetch_add(&hunt->kills, 1);
		last[place] = pid;
		usleep(2000);
	}
	return NULL;
}

/* Nothing restarts here for ever: it is the deaths that are many. */
Test(inside, each_task_is_answered_whoever_dies, .timeout = 120)
{
	enum { TASKS = 400 };
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = inside();
	struct carom_pool *pool = POOL(.sandbox = sandbox, .max_restarts = 100000);
	struct hunt prey = { .pool = pool };
	pthread_t thread;
	int lost = 0;

	cr_assert(zero(int, carom_pool_wait_ready(pool, CAROM_NO_DEADLINE)));
	cr_assert(zero(int, pthread_create(&thread, NULL, hunt, &prey)));
	for (int64_t i = 0; i < TASKS || !atomic_load(&prey.kills); i++) {
		struct carom_outcome outcome;
		int64_t out = -1;
		int r = carom_pool_apply(pool, square, &i, sizeof(i), &out, sizeof(out), NULL,
					 &outcome);

		cr_assert(r == 0 || (r == -EREMOTEIO && outcome.kind == CAROM_OUTCOME_LOST),
			  "%d: %d", r, outcome.kind);
		cr_assert(r < 0 || out == i * i);
		lost += r < 0;
		usleep(200);
	}
	atomic_store(&prey.is_over, true);
	pthread_join(thread, NULL);
	cr_expect(lt(int, lost, atomic_load(&prey.kills) + 1));
	squares(pool);
	carom_pool_free(pool);
}

/* The word is marked by the kernel when it lets go of the worker, however large that is. */
Test(inside, a_pool_ends_in_good_order, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = inside();

	for (int i = 0; i < 5; i++) {
		struct carom_pool *pool = POOL(.sandbox = sandbox, .max_tasks_per_child = 10);

		squares(pool);
		if (i % 2)
			carom_pool_close(pool);
		else
			carom_pool_terminate(pool);
		cr_expect(zero(int, carom_pool_join(pool, CAROM_NO_DEADLINE)));
		carom_pool_free(pool);
	}
}

/* --- locks ------------------------------------------------------------- */

static struct carom_lock *lock;
static struct carom_semaphore *semaphore;
static struct carom_mutex *mutex;

/* How many of them say that they are not for it. */
static int try_locks(struct carom_call *call)
{
	int64_t refused = 0;

	refused += carom_lock_acquire(lock, CAROM_NO_DEADLINE) == -EOPNOTSUPP;
	refused += carom_semaphore_acquire(semaphore, CAROM_NO_DEADLINE) == -EOPNOTSUPP;
	refused += carom_mutex_acquire(mutex, CAROM_NO_DEADLINE) == -EOPNOTSUPP;
	refused += carom_mutex_try(mutex) == -EOPNOTSUPP;
	return carom_reply(call, &refused, sizeof(refused));
}

static void refuse_locks(void)
{
	struct carom_sandbox *sandbox = NULL;
	struct carom_pool *pool = NULL;
	int64_t refused = 0;

	CHECK(carom_lock_new(NULL, &lock) == 0 && carom_semaphore_new(1, NULL, &semaphore) == 0);
	mutex = share(sizeof(*mutex));
	CHECK(carom_mutex_init(mutex) == 0);
	/* once, so that what the fork server copies has all been used */
	CHECK(carom_mutex_acquire(mutex, CAROM_NO_DEADLINE) == 0 &&
	      carom_mutex_release(mutex) == 0);
	CHECK(carom_lock_acquire(lock, CAROM_NO_DEADLINE) == 0 && carom_lock_release(lock) == 0);
	CHECK(carom_sandbox_new(&CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT,
						       .layers = CAROM_SANDBOX_PID_NAMESPACE |
								 CAROM_SANDBOX_USER_NAMESPACE),
				&sandbox) == 0);
	CHECK(carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .sandbox = sandbox), &pool) ==
	      0);
	CHECK(carom_pool_apply(pool, try_locks, NULL, 0, &refused, sizeof(refused), NULL, NULL) ==
	      0);
	CHECK(refused == 4);
	CHECK(carom_mutex_acquire(mutex, CAROM_NO_DEADLINE) == 0);
	carom_pool_free(pool);
	CHECK(carom_mutex_release(mutex) == 0);
	CHECK(carom_lock_acquire(lock, CAROM_NO_DEADLINE) == 0 && carom_lock_release(lock) == 0);
}

Test(inside, locks_are_not_for_it, .timeout = 60)
{
	struct carom_lock *here = NULL;

	carom_sandbox_free(inside()); /* or it is skipped */
	if (carom_lock_new(NULL, &here) == -EOPNOTSUPP)
		cr_skip_test("skipped: there are no locks here");
	carom_lock_free(here);
	cr_expect(zero(int, apart(refuse_locks)));
}
