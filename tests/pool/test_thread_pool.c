/* Thread pool: workers that are threads of the program. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <dirent.h>
#include <sys/wait.h>

#include "tests/pool/gate.h"
#include "tests/pool/methods.h"

static struct carom_pool *thread_pool(uint64_t workers)
{
	struct carom_context *context = NULL;
	struct carom_pool *pool = NULL;

	cr_assert(zero(int, carom_context_get("thread", &context)));
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = workers,
							       .context = context),
					   &pool)));
	return pool;
}

/* A pointer travels as what it is, and what it points to is the program's own. */
static int count_up(struct carom_call *call)
{
	int64_t *counter;
	int r = carom_call_read(call, &counter, sizeof(counter));

	if (r < 0)
		return r;
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
	return carom_reply(call, &counter, sizeof(counter));
}

/* DT-06 */
Test(thread_pool, passes_pointers_through, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = thread_pool(2);
	int64_t counter = 0, *in = &counter, *out = NULL;

	cr_assert(zero(int, carom_pool_apply(pool, count_up, &in, sizeof(in), &out, sizeof(out),
					     NULL, NULL)));
	cr_expect(eq(ptr, out, in));
	cr_expect(eq(i64, counter, 1));
}

/* DT-01 */
Test(thread_pool, has_a_context_that_is_no_start_method, .timeout = 20)
{
	struct carom_context *context = NULL;

	cr_assert(zero(int, carom_context_get("thread", &context)));
	cr_expect(eq(str, (char *)carom_context_start_method(context), (char *)"thread"));
	for (const char *const *method = carom_all_start_methods(); *method; method++)
		cr_expect(strcmp(*method, "thread") != 0);
	cr_expect(eq(int, carom_set_start_method("thread", true), -EINVAL));
}

/* DT-06 */
Test(thread_pool, runs_tasks_in_threads_of_this_process, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = thread_pool(2);
	struct carom_worker_info workers[2];
	struct carom_outcome outcome;
	int64_t ids[2] = { 0 };

	cr_assert(zero(int, carom_pool_apply(pool, tell_thread, NULL, 0, ids, sizeof(ids), NULL,
					     &outcome)));
	cr_expect(eq(i64, ids[0], getpid()));
	cr_expect(ne(i64, ids[1], gettid()));
	cr_expect(zero(i64, outcome.worker_pid));
	cr_assert(eq(int, carom_pool_workers(pool, workers, 2), 2));
	cr_expect(zero(i64, workers[0].pid));
}

/* ---- terminate and close ---- */

static int wait_at_gate(struct carom_call *call)
{
	struct gate *gate;

	carom_call_read(call, &gate, sizeof(gate));
	gate_pass(gate, 0);
	return carom_reply(call, &(int64_t){ 7 }, sizeof(int64_t));
}

/* Opens it once the pool takes no more: then terminate has answered what nobody has begun. */
static void *open_when_terminated(void *userdata)
{
	void **both = userdata;
	struct gate *gate = both[1];

	while (carom_pool_apply(both[0], nothing, NULL, 0, NULL, 0, NULL, NULL) != -ESHUTDOWN)
		;
	gate_open(gate, 1);
	return NULL;
}

/* DT-06 */
Test(thread_pool, that_is_terminated_drops_what_waits_and_ends_what_runs, .timeout = 30)
{
	struct carom_pool *pool = thread_pool(1);
	struct carom_result *running = NULL, *waiting = NULL;
	struct gate gate = { 0 }, *in = &gate;
	struct carom_outcome outcome;
	pthread_t opener;
	int64_t value = 0;

	cr_assert(zero(
		int, carom_pool_apply_async(pool, wait_at_gate, &in, sizeof(in), NULL, &running)));
	gate_await(&gate.begun, 1);
	cr_assert(zero(int, carom_pool_apply_async(pool, nothing, NULL, 0, NULL, &waiting)));
	pthread_create(&opener, NULL, open_when_terminated, (void *[]){ pool, &gate });
	cr_assert(zero(int, carom_pool_terminate(pool)));
	pthread_join(opener, NULL);

	cr_expect(zero(int, carom_result_get(running, CAROM_PASSED, &value, sizeof(value), NULL)));
	cr_expect(eq(i64, value, 7));
	cr_expect(eq(int, carom_result_get(waiting, CAROM_PASSED, NULL, 0, NULL), -EREMOTEIO));
	carom_result_outcome(waiting, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_POOL_CLOSED));
	carom_result_free(running);
	carom_result_free(waiting);
	carom_pool_free(pool);
}

Test(thread_pool, that_is_closed_finishes_what_it_took, .timeout = 30)
{
	struct carom_pool *pool = thread_pool(3);
	int64_t counter = 0, *in = &counter;

	for (int i = 0; i < 1000; i++)
		cr_assert(zero(
			int, carom_pool_apply_async(pool, count_up, &in, sizeof(in), NULL, NULL)));
	carom_pool_close(pool);
	cr_assert(zero(int, carom_pool_join(pool, carom_deadline_after(CAROM_SECONDS(20)))));
	cr_expect(eq(i64, counter, 1000));
	carom_pool_free(pool);
}

static int end_own_pool(struct carom_call *call)
{
	struct carom_pool *pool;
	int64_t codes[2];

	carom_call_read(call, &pool, sizeof(pool));
	codes[0] = carom_pool_terminate(pool);
	carom_pool_close(pool);
	codes[1] = carom_pool_join(pool, CAROM_NO_DEADLINE);
	return carom_reply(call, codes, sizeof(codes));
}

Test(thread_pool, is_not_waited_for_by_its_own_tasks, .timeout = 20)
{
	struct carom_pool *pool = thread_pool(1);
	int64_t codes[2] = { 0 };

	cr_assert(zero(int, carom_pool_apply(pool, end_own_pool, &pool, sizeof(pool), codes,
					     sizeof(codes), NULL, NULL)));
	cr_expect(eq(i64, codes[0], -EDEADLK));
	cr_expect(eq(i64, codes[1], -EDEADLK));
	carom_pool_free(pool);
}

static int submit_to_own_pool(struct carom_call *call)
{
	struct carom_pool *pool;
	int64_t x = 4, y = 0;
	int r;

	carom_call_read(call, &pool, sizeof(pool));
	r = carom_pool_apply(pool, square, &x, sizeof(x), &y, sizeof(y), NULL, NULL);
	return r < 0 ? r : carom_reply(call, &y, sizeof(y));
}

Test(thread_pool, can_be_used_by_its_own_tasks, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = thread_pool(2);
	int64_t value = 0;

	cr_assert(zero(int, carom_pool_apply(pool, submit_to_own_pool, &pool, sizeof(pool), &value,
					     sizeof(value), NULL, NULL)));
	cr_expect(eq(i64, value, 16));
}

/* ---- limits ---- */

/* DT-07 */
Test(thread_pool, has_no_hard_limit, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = thread_pool(1);
	struct carom_context *context = NULL;
	struct carom_pool *other = NULL;
	int64_t in = 3, out = 0;

	carom_context_get("thread", &context);
	cr_expect(eq(int,
		     carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .context = context,
							.hard_limit_ns = CAROM_SECONDS(1)),
				    &other),
		     -EOPNOTSUPP));
	cr_expect(eq(int,
		     carom_pool_apply(pool, square, &in, sizeof(in), &out, sizeof(out),
				      &CAROM_TASK_OPTIONS(.hard_limit_ns = CAROM_SECONDS(1)), NULL),
		     -EOPNOTSUPP));
	cr_expect(zero(int, carom_pool_apply(pool, square, &in, sizeof(in), &out, sizeof(out),
					     &CAROM_TASK_OPTIONS(.hard_limit_ns = CAROM_NO_LIMIT),
					     NULL)));
	cr_expect(eq(i64, out, 9));
}

/* DT-08 */
Test(thread_pool, has_no_use_for_options_about_losses, .timeout = 20)
{
	struct carom_context *context = NULL;
	struct carom_pool *pool = NULL;
	int64_t in = 3, out = 0;

	carom_context_get("thread", &context);
	cr_assert(
		zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .context = context,
							     .max_restarts = 1,
							     .restart_window_ns = CAROM_SECONDS(1),
							     .break_on_loss = 1, .retry_on_loss = 3,
							     .start_timeout_ns = CAROM_SECONDS(1)),
					 &pool)));
	cr_expect(zero(int, carom_pool_apply(pool, square, &in, sizeof(in), &out, sizeof(out), NULL,
					     NULL)));
	cr_expect(eq(i64, out, 9));
	carom_pool_free(pool);
}

/* Where it has nothing to do, a place is empty; the others are replaced, and counted. */
Test(thread_pool, grows_shrinks_restarts_and_counts, .timeout = 60)
{
	struct carom_context *context = NULL;
	struct carom_pool *pool = NULL;
	int64_t in = 3, out = 0;

	carom_context_get("thread", &context);
	cr_assert(zero(
		int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .context = context,
							.max_tasks_per_child = 3, .statistics = 1),
				    &pool)));
	cr_expect(zero(int, carom_pool_grow(pool, 2)));
	cr_expect(eq(int, carom_pool_shrink(pool, 2, CAROM_SHRINK_AFTER_TASK), 2));
	cr_expect(zero(int, carom_pool_restart(pool, CAROM_RESTART_AT_ONCE, CAROM_NO_DEADLINE)));
	for (int i = 0; i < 100; i++) {
		cr_assert(zero(int, carom_pool_apply(pool, square, &in, sizeof(in), &out,
						     sizeof(out), NULL, NULL)));
		cr_assert(eq(i64, out, 9));
	}
	carom_pool_free(pool);
}

/* ---- threads that end, signals, forks ---- */

static int end_thread(struct carom_call *call)
{
	pthread_exit(NULL);
}

Test(thread_pool, replaces_a_thread_that_a_task_has_ended, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = thread_pool(1);
	struct carom_outcome outcome;
	int64_t in = 3, out = 0;

	for (int i = 0; i < 5; i++) {
		cr_expect(eq(int,
			     carom_pool_apply(pool, end_thread, NULL, 0, NULL, 0, NULL, &outcome),
			     -EREMOTEIO));
		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
		cr_expect(zero(int, carom_pool_apply(pool, square, &in, sizeof(in), &out,
						     sizeof(out), NULL, NULL)));
		cr_expect(eq(i64, out, 9));
	}
}

static int tell_mask(struct carom_call *call)
{
	sigset_t mask;
	int64_t blocked = 0;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	for (int number = 1; number < 32; number++)
		blocked +=
			number != SIGKILL && number != SIGSTOP && sigismember(&mask, number) == 1;
	return carom_reply(call, &blocked, sizeof(blocked));
}

Test(thread_pool, leaves_signals_to_the_programs_own_threads, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = thread_pool(1);
	int64_t blocked = 0;

	cr_assert(zero(int, carom_pool_apply(pool, tell_mask, NULL, 0, &blocked, sizeof(blocked),
					     NULL, NULL)));
	cr_expect(eq(i64, blocked, 29));
}

Test(thread_pool, is_closed_in_a_forked_child, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = thread_pool(2);
	int64_t in = 3, out = 0;
	int status;
	pid_t child;

	/* at rest: a sanitizer's allocator does not survive a fork from under its users */
	cr_assert(zero(int, carom_pool_wait_ready(pool, CAROM_NO_DEADLINE)));
	cr_assert(zero(int, carom_pool_apply(pool, square, &in, sizeof(in), &out, sizeof(out), NULL,
					     NULL)));
	child = fork();
	if (child == 0) {
		struct carom_pool *own = NULL;
		int wrong = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .context = context_of("thread")),
					   &own) != 0;

		wrong += carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL) != -ECHILD;
		wrong += carom_pool_apply(own, nothing, NULL, 0, NULL, 0, NULL, NULL) != 0;
		carom_pool_free(own);
		carom_pool_free(pool);
		_exit(wrong);
	}
	cr_assert(eq(int, waitpid(child, &status, 0), child));
	cr_expect(zero(int, status));
	cr_expect(zero(int, carom_pool_apply(pool, square, &in, sizeof(in), &out, sizeof(out), NULL,
					     NULL)));
	cr_expect(eq(i64, out, 9));
}

/* ---- many at once ---- */

static void *apply_often(void *userdata)
{
	for (int64_t i = 0; i < 500; i++) {
		int64_t out = 0;

		if (carom_pool_apply(userdata, square, &i, sizeof(i), &out, sizeof(out), NULL,
				     NULL) < 0 ||
		    out != i * i)
			return userdata;
	}
	return NULL;
}

Test(thread_pool, is_used_by_many_threads_at_once, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = thread_pool(4);
	pthread_t threads[8];

	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, apply_often, pool);
	for (int i = 0; i < 8; i++) {
		void *failed = NULL;

		pthread_join(threads[i], &failed);
		cr_expect(eq(ptr, failed, NULL));
	}
}

/* Values larger than a slot, from several workers, freed in another order. */
Test(thread_pool, has_room_for_values_of_any_size, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = thread_pool(3);
	struct carom_result *results[30];
	char *in = malloc(300000), *out = malloc(300000);

	for (int i = 0; i < 30; i++) {
		memset(in, i, 300000);
		cr_assert(zero(int, carom_pool_apply_async(pool, echo, in, (size_t)i * 10000, NULL,
							   &results[i])));
	}
	for (int i = 29; i >= 0; i--) {
		cr_assert(zero(int,
			       carom_result_get(results[i], CAROM_NO_DEADLINE, out, 300000, NULL)));
		for (int j = 0; j < i * 10000; j++)
			cr_assert(eq(int, out[j], i));
		carom_result_free(results[i]);
	}
	free(in);
	free(out);
}
