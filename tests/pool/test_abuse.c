/* Hosts that make it hard: signals, closed descriptors, many threads while workers die. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "pool/call_private.h"
#include "tests/pool/isolated.h"
#include "tests/pool/work.h"

#define THREADS 16

struct abuse {
	struct carom_pool *pool;
	_Atomic bool stop;
	_Atomic uint64_t done;
	_Atomic uint64_t wrong;
};

static void check_square(struct abuse *abuse, int64_t x)
{
	struct carom_outcome outcome;
	int64_t y = -1;
	int r = carom_pool_apply(abuse->pool, square, &x, 8, &y, 8, NULL, &outcome);

	abuse->wrong += !(r == 0 && y == x * x) &&
			!(r == -EREMOTEIO && outcome.kind == CAROM_OUTCOME_LOST &&
			  outcome.signal == SIGKILL);
	abuse->done++;
}

static void *submit_on(void *userdata)
{
	struct abuse *abuse = userdata;

	for (int64_t x = 0; !abuse->stop; x++)
		check_square(abuse, x);
	return NULL;
}

static void kill_one(struct carom_pool *pool, uint64_t which)
{
	struct carom_worker_info infos[4];
	int count = carom_pool_workers(pool, infos, 4);

	if (infos[which % (uint64_t)count].pid > 0)
		kill((pid_t)infos[which % (uint64_t)count].pid, SIGKILL);
}

/* Nobody else reaps here, so a pid that was read may be a zombie's, but not a stranger's for long. */
Test(abuse, of_sixteen_threads_while_workers_are_killed_loses_only_what_ran, .timeout = 120)
{
	struct abuse abuse = { .pool = new_pool(4) };
	pthread_t threads[THREADS];
	uint64_t before;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, submit_on, &abuse);
	for (uint64_t i = 0; i < 200; i++) {
		before = abuse.done;
		while (abuse.done < before + 20)
			poll(NULL, 0, 1);
		kill_one(abuse.pool, i);
	}
	abuse.stop = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_expect(zero(u64, abuse.wrong));
	cr_expect(eq(int, carom_pool_state(abuse.pool), CAROM_POOL_RUNNING));
	carom_pool_free(abuse.pool);
}

/* ---- signals of the host's ---- */

static _Atomic int signal_count;

static void count_signal(int number)
{
	signal_count++;
}

static void work_among_signals(int flags)
{
	struct abuse abuse = { .pool = new_pool(2) };
	struct sigaction action = { .sa_handler = count_signal, .sa_flags = flags };
	struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { { 0, 0 }, { 0, 0 } };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int64_t x = 0; signal_count < 200; x++)
		check_square(&abuse, x);
	cr_expect(zero(int, carom_pool_restart(abuse.pool, CAROM_RESTART_AT_ONCE,
					       carom_deadline_after(CAROM_SECONDS(30)))));
	carom_pool_close(abuse.pool);
	cr_expect(zero(int, carom_pool_join(abuse.pool, carom_deadline_after(CAROM_SECONDS(30)))));
	setitimer(ITIMER_REAL, &never, NULL);
	carom_pool_free(abuse.pool);
	cr_expect(zero(u64, abuse.wrong));
}

Test(abuse, by_signals_that_interrupt_calls_changes_nothing, .timeout = 60)
{
	work_among_signals(0);
}

Test(abuse, by_signals_that_restart_calls_changes_nothing, .timeout = 60)
{
	work_among_signals(SA_RESTART);
}

/* ---- closed standard descriptors ---- */

static int use_pool(void)
{
	struct abuse abuse = { .pool = new_pool(2) };

	if (!abuse.pool)
		return 1;
	for (int64_t x = 0; x < 100; x++) {
		check_square(&abuse, x);
		if (x % 25 == 0)
			carom_pool_apply(abuse.pool, kill_self, NULL, 0, NULL, 0, NULL, NULL);
	}
	carom_pool_free(abuse.pool);
	return abuse.wrong ? 2 : 0;
}

static int use_pool_without(int lowest)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		for (int fd = lowest; fd < 3; fd++)
			close(fd);
		_exit(use_pool());
	}
	cr_assert(eq(int, waitpid(child, &status, 0), child));
	return status;
}

Test(abuse, by_closing_standard_descriptors_changes_nothing, .timeout = 60)
{
	for (int lowest = 0; lowest < 3; lowest++)
		cr_expect(zero(int, use_pool_without(lowest)));
}

static int close_all_standard(struct carom_call *call)
{
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	return carom_reply(call, &(int64_t){ 7 }, sizeof(int64_t));
}

Test(abuse, by_tasks_that_close_standard_descriptors_changes_nothing, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	int64_t y = 0;

	for (int i = 0; i < 3; i++)
		cr_expect(zero(int, carom_pool_apply(pool, close_all_standard, NULL, 0, &y, 8, NULL,
						     NULL)));
	cr_expect(eq(i64, y, 7));
}

/* ---- pools inside a pool ---- */

static int work_inside(struct carom_call *call)
{
	int r = use_pool();

	return r ? -EIO : carom_reply(call, &(int64_t){ 1 }, sizeof(int64_t));
}

Test(abuse, pain_27_tasks_may_have_pools_in_which_workers_die, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct carom_result *results[4];

	for (int i = 0; i < 4; i++)
		cr_assert(zero(int, carom_pool_apply_async(pool, work_inside, NULL, 0, NULL,
							   &results[i])));
	for (int i = 0; i < 4; i++) {
		carom_result_wait(results[i], carom_deadline_after(CAROM_SECONDS(40)));
		cr_expect(eq(int, carom_result_successful(results[i]), 1));
		carom_result_free(results[i]);
	}
}

/* ---- memory that is written over ---- */

/* after this it is the task of a worker that there is not, and no death is ever swept from it */
static int write_over_own_slot(struct carom_call *call)
{
	uint64_t word = atomic_load(&call->slot->word);

	atomic_store(&call->slot->word,
		     CAROM_SLOT_WORD(carom_slot_generation(word), 999, 0, CAROM_SLOT_RUNNING));
	_exit(1);
}

static int count_call(struct carom_result *result, void *userdata)
{
	++*(_Atomic int *)userdata;
	return 0;
}

static void expect_an_end(int (*end)(struct carom_pool *pool), enum carom_outcome_kind kind)
{
	struct carom_pool *pool = new_pool(2);
	struct carom_result *result;
	struct carom_outcome outcome;
	_Atomic int count = 0;
	int64_t x = 3, y = 0;

	cr_assert(zero(int, carom_pool_apply_async(pool, write_over_own_slot, NULL, 0,
						   &CAROM_TASK_OPTIONS(.callback = count_call,
								       .error_callback = count_call,
								       .userdata = &count),
						   &result)));
	cr_assert(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
	cr_expect(zero(int, end(pool)));
	cr_expect(zero(int, carom_pool_join(pool, CAROM_NO_DEADLINE)));
	cr_expect(carom_result_ready(result));
	carom_result_outcome(result, &outcome);
	cr_expect(eq(int, outcome.kind, (int)kind));
	cr_expect(eq(int, atomic_load(&count), 1));
	carom_result_free(result);
	carom_pool_free(pool);
}

Test(abuse, of_a_slot_leaves_no_task_without_an_answer_at_the_end, .timeout = 60)
{
	SKIP_IF_ISOLATED("such a worker is killed at once");
	expect_an_end(carom_pool_terminate, CAROM_OUTCOME_TERMINATED);
	expect_an_end(carom_pool_close, CAROM_OUTCOME_LOST);
}
