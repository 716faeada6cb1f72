/*
 * Callbacks, and what the program may do to a task by its handle.
 */
#include "pool/pool_private.h"
#include "tests/pool/gate.h"
#include "tests/pool/work.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#define await(condition)               \
	do {                           \
		while (!(condition))   \
			sched_yield(); \
	} while (0)

static void end_pool(struct carom_pool *pool)
{
	cr_expect(zero(int, carom_pool_close(pool)));
	cr_expect(zero(int, carom_pool_join(pool, CAROM_NO_DEADLINE)));
	carom_pool_free(pool);
}

/* ---- a place for workers to wait in ---- */

static struct gate *gate;

static void make_gate(void)
{
	gate = gate_new();
}

/* before any pool: workers are copies of the program as it was then */
TestSuite(callback, .init = make_gate);

static int hold(struct carom_call *call)
{
	gate_pass(gate, 0);
	return 0;
}

/* a worker that is busy until the gate opens */
static struct carom_result *keep_busy(struct carom_pool *pool,
				      const struct carom_task_options *options)
{
	uint32_t before = atomic_load(&gate->begun);
	struct carom_result *result;

	cr_assert(zero(int, carom_pool_apply_async(pool, hold, NULL, 0, options, &result)));
	gate_await(&gate->begun, before + 1);
	return result;
}

/* ---- what is called ---- */

/** struct log - what was called, in order: a letter for each */
struct log {
	char text[256];
	_Atomic size_t length;
	int answer;
	bool was_ready;
	int64_t value;
	struct carom_outcome outcome;
	int64_t pid;
	uint64_t accepted_ns;
	pthread_t thread;
};

static void note(struct log *log, char what)
{
	size_t length = atomic_load(&log->length);

	log->text[length] = what;
	atomic_store(&log->length, length + 1);
}

static int on_success(struct carom_result *result, void *userdata)
{
	struct log *log = userdata;

	log->was_ready = carom_result_ready(result);
	log->thread = pthread_self();
	carom_result_get(result, CAROM_PASSED, &log->value, sizeof(log->value), NULL);
	note(log, 's');
	return log->answer;
}

static int on_error(struct carom_result *result, void *userdata)
{
	struct log *log = userdata;

	carom_result_outcome(result, &log->outcome);
	note(log, 'e');
	return log->answer;
}

static int on_accept(struct carom_result *result, int64_t pid, uint64_t accepted_ns, void *userdata)
{
	struct log *log = userdata;

	log->pid = pid;
	log->accepted_ns = accepted_ns;
	note(log, 'a');
	return log->answer;
}

#define CALLS(log)                                                             \
	CAROM_TASK_OPTIONS(.callback = on_success, .error_callback = on_error, \
			   .accept_callback = on_accept, .userdata = (log),    \
			   .correlation_id = "order 17")

/* ---- success, error, accept ---- */

/* CB-03 */
/* MS-03 */
/* PM-02 */
Test(callback, a_task_is_accepted_and_then_succeeds, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	uint64_t before = carom_now();
	struct log log = { 0 };
	int64_t x = 7;

	cr_assert(zero(int, carom_pool_apply_async(pool, square, &x, 8, &CALLS(&log), NULL)));
	end_pool(pool);
	cr_expect(eq(str, log.text, (char *)"as"));
	cr_expect(eq(i64, log.value, 49));
	cr_expect(lt(i64, 0, log.pid));
	cr_expect(ge(u64, log.accepted_ns, before));
	cr_expect(le(u64, log.accepted_ns, carom_now()));
}

/* CB-01 */
Test(callback, the_result_is_ready_within_its_callback, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct log log = { 0 };
	int64_t x = 2;

	cr_assert(zero(int, carom_pool_apply_async(pool, square, &x, 8, &CALLS(&log), NULL)));
	end_pool(pool);
	cr_expect(log.was_ready);
}

static int slow_success(struct carom_result *result, void *userdata)
{
	struct log *log = userdata;

	on_success(result, log);
	gate_await(&gate->opened, 1);
	note(log, 'S');
	return 0;
}

Test(callback, or_only_after_it_where_the_pool_says_so, .timeout = 30)
{
	struct carom_pool *pool = NULL;
	struct carom_result *result;
	struct log log = { 0 };
	int64_t x = 3, y = 0;

	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .callbacks_first = 1),
				      &pool)));
	cr_assert(zero(int, carom_pool_apply_async(
				    pool, square, &x, 8,
				    &CAROM_TASK_OPTIONS(.callback = slow_success, .userdata = &log),
				    &result)));
	await(atomic_load(&log.length) == 1);
	cr_expect(not(log.was_ready));
	cr_expect(eq(i64, log.value, 9), "it can be read in its callback");
	cr_expect(not(carom_result_ready(result)));
	cr_expect(eq(int, carom_result_wait(result, carom_deadline_after(CAROM_MILLISECONDS(1))),
		     -ETIMEDOUT));
	gate_open(gate, 1);
	cr_expect(zero(int, carom_result_get(result, CAROM_NO_DEADLINE, &y, 8, NULL)));
	cr_expect(eq(str, log.text, (char *)"sS"));
	carom_result_free(result);
	end_pool(pool);
}

/* CB-02 */
Test(callback, a_task_that_fails_is_told_once_as_what_it_is, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct log log = { 0 };

	cr_assert(zero(
		int, carom_pool_apply_async(pool, fail_with_message, NULL, 0, &CALLS(&log), NULL)));
	end_pool(pool);
	cr_expect(eq(str, log.text, (char *)"ae"));
	cr_expect(eq(int, log.outcome.kind, CAROM_OUTCOME_FAILED));
	cr_expect(eq(int, log.outcome.code, -ENOENT));
	cr_expect(eq(str, log.outcome.message, (char *)"no user nobody"));
}

Test(callback, a_task_that_is_lost_is_told_once, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct log log = { 0 };

	cr_assert(zero(int, carom_pool_apply_async(pool, kill_self, NULL, 0, &CALLS(&log), NULL)));
	end_pool(pool);
	cr_expect(eq(int, log.outcome.kind, CAROM_OUTCOME_LOST));
	cr_expect(eq(int, log.text[log.length - 1], 'e'));
}

static int count(struct carom_result *result, void *userdata)
{
	atomic_fetch_add((_Atomic uint64_t *)userdata, 1);
	return 0;
}

/* RP-12 */
Test(callback, joining_waits_until_all_is_told, .timeout = 60)
{
	struct carom_pool *pool = new_pool(2);
	_Atomic uint64_t told = 0;
	int64_t x = 1;

	for (int i = 0; i < 1000; i++)
		cr_assert(zero(
			int, carom_pool_apply_async(pool, square, &x, 8,
						    &CAROM_TASK_OPTIONS(.callback = count,
									.userdata = (void *)&told),
						    NULL)));
	carom_pool_close(pool);
	cr_expect(zero(int, carom_pool_join(pool, CAROM_NO_DEADLINE)));
	cr_expect(eq(u64, told, 1000));
	carom_pool_free(pool);
}

/* what was not begun when the pool ended is told too */
Test(callback, terminating_tells_everybody, .timeout = 60)
{
	struct carom_pool *pool = new_pool(1);
	_Atomic uint64_t told = 0;

	for (int i = 0; i < 100; i++)
		cr_assert(zero(
			int, carom_pool_apply_async(pool, hold, NULL, 0,
						    &CAROM_TASK_OPTIONS(.callback = count,
									.error_callback = count,
									.userdata = (void *)&told),
						    NULL)));
	carom_pool_terminate(pool);
	carom_pool_free(pool);
	cr_expect(eq(u64, told, 100));
}

/* ---- callbacks that behave badly ---- */

/* CB-07 */
Test(callback, one_that_fails_breaks_nothing, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct log bad = { .answer = -EIO }, good = { 0 };
	int64_t x = 5;

	cr_assert(zero(int, carom_pool_apply_async(pool, square, &x, 8, &CALLS(&bad), NULL)));
	cr_assert(zero(int, carom_pool_apply_async(pool, square, &x, 8, &CALLS(&good), NULL)));
	end_pool(pool);
	cr_expect(eq(str, bad.text, (char *)"as"));
	cr_expect(eq(str, good.text, (char *)"as"));
}

static int fail_at_the_gate(struct carom_result *result, void *userdata)
{
	gate_await(&gate->opened, 1);
	return -EIO;
}

Test(callback, one_that_fails_breaks_the_pool_where_it_is_to, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct carom_task_options options =
		CAROM_TASK_OPTIONS(.callback = fail_at_the_gate, .callbacks_propagate = 1);
	struct carom_result *result;
	struct carom_outcome outcome;
	int64_t x = 5;

	cr_assert(zero(int, carom_pool_apply_async(pool, square, &x, 8, &options, NULL)));
	cr_assert(zero(int, carom_pool_apply_async(pool, hang, NULL, 0, NULL, &result)));
	gate_open(gate, 1);
	cr_expect(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
	carom_result_outcome(result, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_POOL_BROKEN));
	cr_expect(
		eq(int, carom_pool_apply_async(pool, square, &x, 8, NULL, NULL), -ENOTRECOVERABLE));
	carom_result_free(result);
	carom_pool_free(pool);
}

struct chain {
	struct carom_pool *pool;
	_Atomic uint64_t left;
};

static int submit_another(struct carom_result *result, void *userdata)
{
	struct chain *chain = userdata;
	int64_t x = 1;

	if (atomic_fetch_sub(&chain->left, 1) <= 1)
		return 0;
	return carom_pool_apply_async(
		chain->pool, square, &x, 8,
		&CAROM_TASK_OPTIONS(.callback = submit_another, .userdata = chain), NULL);
}

/* CB-10 */
/* PC-17 */
Test(callback, one_may_submit_though_the_pool_was_full, .timeout = 60)
{
	struct carom_pool *pool = NULL;
	struct chain chain = { .left = 2000 };
	int64_t x = 1;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .slot_count = 1,
							       .put_locks = 1),
					   &pool)));
	chain.pool = pool;
	cr_assert(zero(int, carom_pool_apply_async(pool, square, &x, 8,
						   &CAROM_TASK_OPTIONS(.callback = submit_another,
								       .userdata = &chain),
						   NULL)));
	await(atomic_load(&chain.left) == 0);
	end_pool(pool);
}

static int submit_and_wait(struct carom_result *result, void *userdata)
{
	struct chain *chain = userdata;
	int64_t x = 6, y = 0;
	int r = carom_pool_apply(chain->pool, square, &x, 8, &y, 8, NULL, NULL);

	atomic_store(&chain->left, (uint64_t)y);
	return r;
}

Test(callback, one_may_wait_for_another_task, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct chain chain = { .pool = pool };
	int64_t x = 1;

	cr_assert(zero(int, carom_pool_apply_async(pool, square, &x, 8,
						   &CAROM_TASK_OPTIONS(.callback = submit_and_wait,
								       .userdata = &chain),
						   NULL)));
	await(atomic_load(&chain.left));
	end_pool(pool);
	cr_expect(eq(u64, chain.left, 36));
}

static int wait_at_gate(struct carom_result *result, void *userdata)
{
	note(userdata, 'w');
	gate_await(&gate->opened, 1);
	return 0;
}

/* CB-06 */
Test(callback, one_that_blocks_does_not_hold_up_the_pool, .timeout = 60)
{
	struct carom_pool *pool = new_pool(1);
	struct carom_outcome outcome;
	struct log log = { 0 };
	int64_t x = 4, y = 0;

	cr_assert(zero(int, carom_pool_apply_async(
				    pool, square, &x, 8,
				    &CAROM_TASK_OPTIONS(.callback = wait_at_gate, .userdata = &log),
				    NULL)));
	await(atomic_load(&log.length) == 1);
	cr_expect(eq(int, carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, &outcome),
		     -EREMOTEIO));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST), "a death is seen to");
	cr_expect(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
	cr_expect(eq(i64, y, 16), "and the worker was replaced");
	gate_open(gate, 1);
	end_pool(pool);
}

static int terminate_pool(struct carom_result *result, void *userdata)
{
	struct chain *chain = userdata;

	carom_pool_terminate(chain->pool);
	cr_expect(zero(int, carom_pool_join(chain->pool, CAROM_NO_DEADLINE)));
	atomic_store(&chain->left, 1);
	return 0;
}

/* PM-32 */
Test(callback, one_may_terminate_the_pool, .timeout = 30)
{
	struct carom_pool *pool = new_pool(2);
	struct chain chain = { .pool = pool };
	struct carom_result *held;
	struct carom_outcome outcome;

	held = keep_busy(pool, NULL);
	cr_assert(zero(int,
		       carom_pool_apply_async(pool, fail_with_message, NULL, 0,
					      &CAROM_TASK_OPTIONS(.error_callback = terminate_pool,
								  .userdata = &chain),
					      NULL)));
	cr_expect(zero(int, carom_result_wait(held, CAROM_NO_DEADLINE)));
	carom_result_outcome(held, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_TERMINATED));
	carom_result_free(held);
	carom_pool_free(pool);
	cr_expect(eq(u64, chain.left, 1));
}

static int free_pool(struct carom_result *result, void *userdata)
{
	struct chain *chain = userdata;

	carom_pool_free(chain->pool);
	atomic_store(&chain->left, 1);
	return 0;
}

Test(callback, one_may_free_the_pool, .timeout = 30)
{
	struct chain chain = { .pool = new_pool(2) };

	cr_assert(zero(int, carom_pool_apply_async(
				    chain.pool, nothing, NULL, 0,
				    &CAROM_TASK_OPTIONS(.callback = free_pool, .userdata = &chain),
				    NULL)));
	await(atomic_load(&chain.left) == 1);
}

/* ---- order ---- */

static int note_letter(struct carom_result *result, void *userdata)
{
	struct log *log = userdata;
	int64_t letter = 0;

	carom_result_get(result, CAROM_PASSED, &letter, sizeof(letter), NULL);
	note(log, (char)letter);
	return 0;
}

/* SN-15 */
Test(callback, come_in_the_order_in_which_tasks_ended, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct log log = { 0 };
	struct log blocker = { 0 };

	/* all end while the thread that calls is busy */
	cr_assert(zero(int, carom_pool_apply_async(pool, nothing, NULL, 0,
						   &CAROM_TASK_OPTIONS(.callback = wait_at_gate,
								       .userdata = &blocker),
						   NULL)));
	await(atomic_load(&blocker.length) == 1);
	for (int64_t letter = 'a'; letter <= 'z'; letter++)
		cr_assert(zero(int,
			       carom_pool_apply_async(pool, echo, &letter, 8,
						      &CAROM_TASK_OPTIONS(.callback = note_letter,
									  .userdata = &log),
						      NULL)));
	carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL);
	gate_open(gate, 1);
	end_pool(pool);
	cr_expect(eq(str, log.text, (char *)"abcdefghijklmnopqrstuvwxyz"));
}

/* ---- handles ---- */

/* RS-12 */
/* PM-34 */
/* RS-15 */
/* RS-22 */
Test(callback, a_result_tells_what_it_was_given_and_who_it_is, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1), *other = new_pool(1);
	struct carom_async_result *first, *second;
	struct log log = { 0 };
	char text[64], expected[64];

	first = keep_busy(pool, &CALLS(&log));
	cr_assert(zero(int, carom_pool_apply_async(other, nothing, NULL, 0, NULL, &second)));
	cr_expect(eq(str, (char *)carom_result_correlation_id(first), (char *)"order 17"));
	cr_expect(eq(ptr, carom_result_userdata(first), (void *)&log));
	cr_expect(zero(ptr, (void *)carom_result_correlation_id(second)));
	cr_expect(ne(u64, carom_result_id(first), carom_result_id(second)));
	snprintf(expected, sizeof(expected), "task %llu: accepted, not ready",
		 (unsigned long long)carom_result_id(first));
	cr_expect(eq(str, carom_result_describe(first, text, sizeof(text)), expected));
	gate_open(gate, 1);
	carom_result_free(first);
	carom_result_free(second);
	end_pool(pool);
	end_pool(other);
}

/* RS-06 */
/* RS-07 */
Test(callback, a_result_tells_whether_and_by_whom_it_was_begun, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct carom_result *running, *waiting;
	struct carom_worker_info info;
	int64_t pid = 0;

	running = keep_busy(pool, NULL);
	cr_assert(zero(int, carom_pool_apply_async(pool, nothing, NULL, 0, NULL, &waiting)));
	carom_pool_workers(pool, &info, 1);
	cr_expect(eq(int, carom_result_accepted(running), 1));
	cr_expect(eq(int, carom_result_worker_pids(running, &pid, 1), 1));
	cr_expect(eq(i64, pid, info.pid));
	cr_expect(zero(int, carom_result_accepted(waiting)));
	cr_expect(zero(int, carom_result_worker_pids(waiting, &pid, 1)));
	gate_open(gate, 1);
	cr_expect(zero(int, carom_result_wait(waiting, CAROM_NO_DEADLINE)));
	cr_expect(eq(int, carom_result_accepted(waiting), 1));
	carom_result_free(running);
	carom_result_free(waiting);
	end_pool(pool);
}

/* RS-08 */
Test(callback, a_task_that_is_discarded_is_not_told, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct log log = { 0 };
	struct carom_result *result;

	result = keep_busy(pool, &CALLS(&log));
	await(atomic_load(&log.length) == 1); /* accepted */
	cr_expect(zero(int, carom_result_discard(result)));
	gate_open(gate, 1);
	cr_expect(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
	carom_result_free(result);
	end_pool(pool);
	cr_expect(eq(str, log.text, (char *)"a"));
}

static _Atomic uint64_t jobs_ready;

static void on_job_ready(uint64_t task_id, const struct carom_outcome *outcome, void *userdata)
{
	cr_expect(eq(int, outcome->kind, CAROM_OUTCOME_OK));
	atomic_fetch_add(&jobs_ready, 1);
}

/* PH-08 */
/* PH-17 */
Test(callback, the_pool_is_told_of_each_task_wanted_or_not, .timeout = 30)
{
	struct carom_pool *pool = NULL;
	struct carom_result *result;

	cr_assert(zero(
		int, carom_pool_new(
			     &CAROM_POOL_OPTIONS(.worker_count = 2,
						 .hooks = &CAROM_POOL_HOOKS(.on_job_ready =
										    on_job_ready)),
			     &pool)));
	cr_assert(zero(int, carom_pool_apply_async(pool, nothing, NULL, 0, NULL, NULL)));
	cr_assert(zero(int, carom_pool_apply_async(pool, nothing, NULL, 0, NULL, &result)));
	carom_result_discard(result);
	carom_result_free(result);
	cr_assert(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
	end_pool(pool);
	cr_expect(eq(u64, jobs_ready, 3));
}

/* ---- cancelling ---- */

static int leave_a_trace(struct carom_call *call)
{
	atomic_fetch_add(&gate->begun, 1);
	return 0;
}

/* PX-01 */
Test(callback, cancelling_wins_until_a_worker_has_begun, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct carom_result *running, *waiting;
	struct carom_outcome outcome;
	struct log log = { 0 };

	running = keep_busy(pool, NULL);
	cr_assert(zero(
		int, carom_pool_apply_async(pool, leave_a_trace, NULL, 0, &CALLS(&log), &waiting)));
	cr_expect(zero(int, carom_result_cancel(waiting)));
	cr_expect(eq(int, carom_result_cancel(waiting), -EALREADY));
	cr_expect(eq(int, carom_result_cancel(running), -EBUSY));
	cr_expect(carom_result_ready(waiting));
	carom_result_outcome(waiting, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_CANCELLED));
	cr_expect(eq(int, outcome.worker_index, -1));
	gate_open(gate, 1);
	cr_expect(zero(int, carom_result_wait(running, CAROM_NO_DEADLINE)));
	cr_expect(eq(int, carom_result_cancel(running), -EALREADY));
	carom_result_free(running);
	carom_result_free(waiting);
	end_pool(pool);
	cr_expect(eq(u32, gate->begun, 1), "it never ran");
	cr_expect(eq(str, log.text, (char *)"e"));
}

/* PM-28 */
/* PX-06 */
Test(callback, flushing_cancels_what_nobody_has_begun, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct carom_result *running, *waiting[10];
	struct carom_outcome outcome;

	running = keep_busy(pool, NULL);
	for (int i = 0; i < 10; i++)
		cr_assert(zero(int, carom_pool_apply_async(pool, leave_a_trace, NULL, 0, NULL,
							   &waiting[i])));
	cr_expect(eq(int, carom_pool_flush(pool), 10));
	cr_expect(zero(int, carom_pool_flush(pool)));
	gate_open(gate, 1);
	for (int i = 0; i < 10; i++) {
		carom_result_outcome(waiting[i], &outcome);
		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_CANCELLED));
		carom_result_free(waiting[i]);
	}
	cr_expect(zero(int, carom_result_get(running, CAROM_NO_DEADLINE, NULL, 0, NULL)));
	carom_result_free(running);
	end_pool(pool);
	cr_expect(eq(u32, gate->begun, 1));
}

static uint64_t three(void *userdata)
{
	*(int *)userdata += 1;
	return 3;
}

/* PH-07 */
Test(callback, a_hook_can_say_how_many_cpus_there_are, .timeout = 30)
{
	struct carom_pool *pool = NULL;
	int asked = 0;

	cr_assert(zero(
		int,
		carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = CAROM_ALL_CPUS,
						   .hooks = &CAROM_POOL_HOOKS(.cpu_count = three,
									      .userdata = &asked)),
			       &pool)));
	cr_expect(eq(int, carom_pool_workers(pool, NULL, 0), 3));
	cr_expect(eq(int, asked, 1));
	end_pool(pool);
}

static struct carom_pool *new_polite_pool(void)
{
	struct carom_pool *pool = NULL;

	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .synack = 1), &pool)));
	return pool;
}

/* CB-04 */
/* PH-18 */
/* RS-10 */
Test(callback, an_accept_callback_can_refuse, .timeout = 30)
{
	struct carom_pool *pool = new_polite_pool();
	struct carom_result *result;
	struct carom_outcome outcome;
	struct log log = { .answer = -EPERM };
	int64_t x = 2, y = 0;

	cr_assert(zero(
		int, carom_pool_apply_async(pool, leave_a_trace, NULL, 0, &CALLS(&log), &result)));
	cr_expect(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
	carom_result_outcome(result, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_CANCELLED));
	cr_expect(zero(u32, gate->begun));
	cr_expect(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
	cr_expect(eq(i64, y, 4), "others run");
	carom_result_free(result);
	end_pool(pool);
	cr_expect(eq(str, log.text, (char *)"ae"));
}

static int accept_slowly(struct carom_result *result, int64_t pid, uint64_t accepted_ns,
			 void *userdata)
{
	note(userdata, 'A');
	gate_await(&gate->opened, 1);
	return 0;
}

/* PC-19 */
Test(callback, cancelling_wins_until_leave_was_given, .timeout = 30)
{
	struct carom_pool *pool = new_polite_pool();
	struct carom_result *result;
	struct carom_outcome outcome;
	struct log log = { 0 };

	cr_assert(zero(int,
		       carom_pool_apply_async(pool, leave_a_trace, NULL, 0,
					      &CAROM_TASK_OPTIONS(.accept_callback = accept_slowly,
								  .userdata = &log),
					      &result)));
	await(atomic_load(&log.length) == 1);
	cr_expect(eq(int, carom_result_accepted(result), 1), "a worker has it");
	cr_expect(zero(int, carom_result_cancel(result)));
	cr_expect(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
	carom_result_outcome(result, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_CANCELLED));
	gate_open(gate, 1);
	end_pool(pool);
	cr_expect(zero(u32, gate->begun));
	carom_result_free(result);
}

/** struct leave - what an accept callback does, and was told */
struct leave {
	_Atomic int told_count;
	_Atomic int64_t pid;
	_Atomic int may_answer;
	int answers[2];
};

static int accept_when_told_to(struct carom_result *result, int64_t pid, uint64_t accepted_ns,
			       void *userdata)
{
	struct leave *leave = userdata;
	int number = atomic_load(&leave->told_count);

	atomic_store(&leave->pid, pid);
	atomic_store(&leave->told_count, number + 1);
	await(atomic_load(&leave->may_answer) > number);
	return leave->answers[number % 2];
}

static struct carom_result *submit_politely(struct carom_pool *pool, struct leave *leave,
					    uint64_t retry_on_loss)
{
	struct carom_result *result;

	cr_assert(zero(
		int, carom_pool_apply_async(
			     pool, leave_a_trace, NULL, 0,
			     &CAROM_TASK_OPTIONS(.accept_callback = accept_when_told_to,
						 .userdata = leave, .retry_on_loss = retry_on_loss),
			     &result)));
	return result;
}

static int kind_of(struct carom_result *result)
{
	struct carom_outcome outcome;

	carom_result_wait(result, CAROM_NO_DEADLINE);
	carom_result_outcome(result, &outcome);
	return outcome.kind;
}

/* its worker asks for leave, is stopped, and dies before it has heard that it has none */
static void cancel_and_kill(uint64_t retry_on_loss)
{
	struct carom_pool *pool = new_polite_pool();
	struct leave leave = { 0 };
	struct carom_result *result = submit_politely(pool, &leave, retry_on_loss);

	await(atomic_load(&leave.told_count));
	kill((pid_t)leave.pid, SIGSTOP);
	cr_expect(zero(int, carom_result_cancel(result)));
	kill((pid_t)leave.pid, SIGKILL);
	atomic_store(&leave.may_answer, 9);
	cr_expect(eq(int, kind_of(result), CAROM_OUTCOME_CANCELLED));
	carom_result_free(result);
	end_pool(pool);
	cr_expect(zero(u32, gate->begun));
}

/* EL-10 */
Test(callback, cancelling_wins_though_the_worker_dies_of_something_else, .timeout = 30)
{
	cancel_and_kill(CAROM_NEVER_RETRY);
}

/* EL-10 */
Test(callback, what_was_cancelled_is_not_begun_again, .timeout = 30)
{
	cancel_and_kill(5);
}

/* it was not begun, so it is not lost */
Test(callback, a_worker_that_dies_while_it_waits_for_leave_leaves_the_task_to_others, .timeout = 30)
{
	struct carom_pool *pool = new_polite_pool();
	struct leave leave = { 0 };
	struct carom_result *result = submit_politely(pool, &leave, CAROM_NEVER_RETRY);
	int64_t first, pid = 0;

	await(atomic_load(&leave.told_count));
	first = leave.pid;
	kill((pid_t)first, SIGKILL);
	await(carom_result_worker_pids(result, &pid, 1) == 1 && pid != first);
	atomic_store(&leave.may_answer, 9);
	cr_expect(eq(int, kind_of(result), CAROM_OUTCOME_OK));
	cr_expect(ne(i64, leave.pid, first));
	cr_expect(eq(int, leave.told_count, 2));
	carom_result_free(result);
	end_pool(pool);
	cr_expect(eq(u32, gate->begun, 1));
}

/* what is said of a worker that has died meanwhile does not hold for the next one */
Test(callback, leave_is_given_to_the_worker_that_was_asked_about, .timeout = 30)
{
	struct carom_pool *pool = new_polite_pool();
	struct leave leave = { .answers = { 0, -EPERM } };
	struct carom_result *result = submit_politely(pool, &leave, 5);
	int64_t pid = 0;

	await(atomic_load(&leave.told_count));
	kill((pid_t)leave.pid, SIGKILL);
	await(carom_result_worker_pids(result, &pid, 1) == 1 && pid != leave.pid);
	atomic_store(&leave.may_answer, 9);
	cr_expect(eq(int, kind_of(result), CAROM_OUTCOME_CANCELLED));
	carom_result_free(result);
	end_pool(pool);
	cr_expect(zero(u32, gate->begun));
}

/* ---- beginning again ---- */

static int die_thrice(struct carom_call *call)
{
	if (atomic_fetch_add(&gate->begun, 1) < 3)
		kill(getpid(), SIGKILL);
	return carom_reply(call, "done", 4);
}

/* WL-09 */
Test(callback, a_task_that_may_is_begun_again, .timeout = 30)
{
	struct carom_pool *pool = new_pool(2);
	struct carom_outcome outcome;
	char value[4];

	cr_expect(zero(int, carom_pool_apply(pool, die_thrice, NULL, 0, value, sizeof(value),
					     &CAROM_TASK_OPTIONS(.retry_on_loss = 3), &outcome)));
	cr_expect(eq(u64, outcome.attempt, 3));
	cr_expect(eq(u32, gate->begun, 4));
	end_pool(pool);
}

static int die_always(struct carom_call *call)
{
	atomic_fetch_add(&gate->begun, 1);
	kill(getpid(), SIGKILL);
	return 0;
}

Test(callback, pain_16_poison_is_tried_so_often_and_no_more, .timeout = 30)
{
	struct carom_pool *pool = NULL;
	struct carom_outcome outcome;

	cr_assert(
		zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .retry_on_loss = 3),
					 &pool)));
	cr_expect(eq(int, carom_pool_apply(pool, die_always, NULL, 0, NULL, 0, NULL, &outcome),
		     -EREMOTEIO));
	cr_expect(eq(u32, gate->begun, 4));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
	cr_expect(eq(u64, outcome.attempt, 3));
	cr_expect(eq(int,
		     carom_pool_apply(pool, die_always, NULL, 0, NULL, 0,
				      &CAROM_TASK_OPTIONS(.retry_on_loss = CAROM_NEVER_RETRY),
				      &outcome),
		     -EREMOTEIO));
	cr_expect(eq(u32, gate->begun, 5));
	end_pool(pool);
}

/* ---- no more tasks than workers ---- */

static int submit_held(struct carom_pool *pool, enum carom_wait_for_slot wait)
{
	return carom_pool_apply_async(pool, hold, NULL, 0,
				      &CAROM_TASK_OPTIONS(.wait_for_slot = wait), NULL);
}

static void *submit_one(void *userdata)
{
	return (void *)(intptr_t)submit_held(userdata, CAROM_SLOT_WAIT_DEFAULT);
}

/* PM-03 */
Test(callback, a_full_pool_says_so_or_makes_wait, .timeout = 30)
{
	struct carom_pool *pool = NULL;
	pthread_t thread;
	void *answer = NULL;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .put_locks = 1),
					   &pool)));
	cr_expect(zero(int, submit_held(pool, CAROM_SLOT_WAIT_NEVER)));
	cr_expect(zero(int, submit_held(pool, CAROM_SLOT_WAIT_NEVER)));
	cr_expect(eq(int, submit_held(pool, CAROM_SLOT_WAIT_NEVER), -EAGAIN));
	cr_expect(zero(int, submit_held(pool, CAROM_SLOT_WAIT_IGNORE)));
	pthread_create(&thread, NULL, submit_one, pool);
	gate_open(gate, 1);
	pthread_join(thread, &answer);
	cr_expect(zero(int, (int)(intptr_t)answer));
	end_pool(pool);
}

Test(callback, who_waits_is_told_when_the_pool_is_closed, .timeout = 30)
{
	struct carom_pool *pool = NULL;
	pthread_t thread;
	void *answer = NULL;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .put_locks = 1),
					   &pool)));
	cr_expect(zero(int, submit_held(pool, CAROM_SLOT_WAIT_NEVER)));
	pthread_create(&thread, NULL, submit_one, pool);
	carom_pool_close(pool);
	pthread_join(thread, &answer);
	cr_expect(eq(int, (int)(intptr_t)answer, -ESHUTDOWN));
	gate_open(gate, 1);
	end_pool(pool);
}

/* RP-11 */
Test(callback, a_death_gives_its_place_back, .timeout = 30)
{
	struct carom_pool *pool = NULL;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .put_locks = 1),
					   &pool)));
	for (int i = 0; i < 20; i++)
		cr_assert(zero(int, carom_pool_apply_async(pool, i % 2 ? kill_self : nothing, NULL,
							   0, NULL, NULL)));
	end_pool(pool);
}

static int submit_three(struct carom_result *result, void *userdata)
{
	struct chain *chain = userdata;

	for (int i = 0; i < 3; i++)
		cr_expect(zero(int, carom_pool_apply_async(chain->pool, leave_a_trace, NULL, 0,
							   NULL, NULL)));
	atomic_store(&chain->left, 0);
	return 0;
}

/* it is the thread that gives places back, and it waits for one: for itself, so to say */
static void submit_more_than_fit_in_a_callback(const struct carom_pool_options *options)
{
	struct chain chain = { .left = 1 };

	cr_assert(zero(int, carom_pool_new(options, &chain.pool)));
	cr_assert(zero(int, carom_pool_apply_async(chain.pool, nothing, NULL, 0,
						   &CAROM_TASK_OPTIONS(.callback = submit_three,
								       .userdata = &chain),
						   NULL)));
	while (options->polled && atomic_load(&chain.left))
		cr_assert(ge(int, carom_pool_poll(chain.pool, CAROM_NO_DEADLINE), 0));
	await(!atomic_load(&chain.left));
	end_pool(chain.pool);
	cr_expect(eq(u32, gate->begun, 3));
}

Test(callback, one_may_wait_until_there_is_a_place, .timeout = 30)
{
	submit_more_than_fit_in_a_callback(&CAROM_POOL_OPTIONS(.worker_count = 1, .put_locks = 1));
}

static void *grow_by_one(void *userdata)
{
	return (void *)(intptr_t)carom_pool_grow(userdata, 1);
}

static int submit_beyond_who_is_held(struct carom_result *result, void *userdata)
{
	struct chain *chain = userdata;
	pthread_t thread;
	void *answer;

	pthread_create(&thread, NULL, grow_by_one, chain->pool);
	for (int i = 0; i < 2; i++)
		cr_expect(zero(int, submit_held(chain->pool, CAROM_SLOT_WAIT_DEFAULT)));
	pthread_join(thread, &answer);
	cr_expect(zero(int, (int)(intptr_t)answer));
	atomic_store(&chain->left, 0);
	return 0;
}

Test(callback, one_that_waits_for_a_place_hears_of_those_that_are_new, .timeout = 30)
{
	struct chain chain = { .left = 1 };

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .put_locks = 1),
					   &chain.pool)));
	cr_assert(zero(int, carom_pool_apply_async(
				    chain.pool, nothing, NULL, 0,
				    &CAROM_TASK_OPTIONS(.callback = submit_beyond_who_is_held,
							.userdata = &chain),
				    NULL)));
	await(!atomic_load(&chain.left));
	gate_open(gate, 1);
	end_pool(chain.pool);
}

struct counts {
	_Atomic int acquired;
	_Atomic int released;
	_Atomic int cleared;
};

static int acquire(void *userdata, int may_wait)
{
	struct counts *counts = userdata;

	if (!may_wait && atomic_load(&counts->acquired) - atomic_load(&counts->released) >= 3)
		return -EAGAIN;
	atomic_fetch_add(&counts->acquired, 1);
	return 0;
}

static void release(void *userdata)
{
	atomic_fetch_add(&((struct counts *)userdata)->released, 1);
}

static void clear(void *userdata)
{
	atomic_fetch_add(&((struct counts *)userdata)->cleared, 1);
}

/* PC-16 */
Test(callback, a_semaphore_of_the_programs_sees_pairs, .timeout = 30)
{
	struct carom_pool *pool = NULL;
	struct counts counts = { 0 };

	cr_assert(zero(
		int,
		carom_pool_new(
			&CAROM_POOL_OPTIONS(.worker_count = 1,
					    .semaphore = &CAROM_SEMAPHORE_HOOKS(.userdata = &counts,
										.acquire = acquire,
										.release = release,
										.clear = clear)),
			&pool)));
	for (int i = 0; i < 3; i++)
		cr_expect(zero(int, submit_held(pool, CAROM_SLOT_WAIT_NEVER)));
	cr_expect(eq(int, submit_held(pool, CAROM_SLOT_WAIT_NEVER), -EAGAIN));
	gate_open(gate, 1);
	end_pool(pool);
	cr_expect(eq(int, counts.acquired, 3));
	cr_expect(eq(int, counts.released, 3));
	cr_expect(eq(int, counts.cleared, 1));
}

/** struct semaphore - of one, that waits where it is told to */
struct semaphore {
	pthread_mutex_t lock;
	pthread_cond_t given;
	int value;
};

static int semaphore_acquire(void *userdata, int may_wait)
{
	struct semaphore *semaphore = userdata;
	int r = 0;

	pthread_mutex_lock(&semaphore->lock);
	while (!semaphore->value && may_wait)
		pthread_cond_wait(&semaphore->given, &semaphore->lock);
	if (semaphore->value)
		semaphore->value--;
	else
		r = -EAGAIN;
	pthread_mutex_unlock(&semaphore->lock);
	return r;
}

static void semaphore_release(void *userdata)
{
	struct semaphore *semaphore = userdata;

	pthread_mutex_lock(&semaphore->lock);
	semaphore->value++;
	pthread_cond_signal(&semaphore->given);
	pthread_mutex_unlock(&semaphore->lock);
}

static void submit_more_than_a_semaphore_allows(bool polled)
{
	struct semaphore semaphore = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 1 };

	submit_more_than_fit_in_a_callback(
		&CAROM_POOL_OPTIONS(.worker_count = 1, .polled = polled,
				    .semaphore =
					    &CAROM_SEMAPHORE_HOOKS(.userdata = &semaphore,
								   .acquire = semaphore_acquire,
								   .release = semaphore_release)));
	cr_expect(eq(int, semaphore.value, 1));
}

Test(callback, one_may_wait_for_the_programs_semaphore, .timeout = 30)
{
	submit_more_than_a_semaphore_allows(false);
}

Test(callback, a_pool_without_threads_may_wait_for_the_programs_semaphore, .timeout = 30)
{
	submit_more_than_a_semaphore_allows(true);
}

Test(callback, a_semaphore_that_is_half_there_is_refused)
{
	struct carom_pool *pool = NULL;

	cr_expect(eq(int,
		     carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							.semaphore = &CAROM_SEMAPHORE_HOOKS(
									.acquire = acquire)),
				    &pool),
		     -EINVAL));
}

Test(callback, options_of_no_meaning_are_refused, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);

	cr_expect(eq(int,
		     carom_pool_apply_async(pool, nothing, NULL, 0,
					    &CAROM_TASK_OPTIONS(.wait_for_slot = 77), NULL),
		     -EINVAL));
	end_pool(pool);
}

static _Atomic uint64_t told_late;

static int tell_late(struct carom_result *result, void *userdata)
{
	gate_await(&gate->opened, 1);
	atomic_fetch_add(&told_late, 1);
	return 0;
}

static int submit_told_late(struct carom_pool *pool, uint64_t wait)
{
	return carom_pool_apply_async(
		pool, nothing, NULL, 0,
		&CAROM_TASK_OPTIONS(.callback = tell_late, .wait_for_slot = wait), NULL);
}

static void *submit_one_told_late(void *userdata)
{
	return (void *)(intptr_t)submit_told_late(userdata, CAROM_SLOT_WAIT_DEFAULT);
}

Test(callback, those_that_are_slow_hold_up_who_submits, .timeout = 30)
{
	struct carom_pool *pool = NULL;
	pthread_t thread;
	void *answer = NULL;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .slot_count = 4),
					   &pool)));
	for (int i = 0; i < 4; i++)
		cr_assert(zero(int, submit_told_late(pool, CAROM_SLOT_WAIT_DEFAULT)));
	cr_expect(eq(int, submit_told_late(pool, CAROM_SLOT_WAIT_NEVER), -EAGAIN));
	cr_expect(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)),
		  "not those who do not want to be told");
	pthread_create(&thread, NULL, submit_one_told_late, pool);
	gate_open(gate, 1);
	pthread_join(thread, &answer);
	cr_expect(zero(int, (int)(intptr_t)answer));
	end_pool(pool);
	cr_expect(eq(u64, told_late, 5));
}

/* ---- terminating ---- */

static struct carom_outcome outcome_of(struct carom_result *result)
{
	struct carom_outcome outcome;

	cr_assert(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
	cr_assert(zero(int, carom_result_outcome(result, &outcome)));
	return outcome;
}

/* PM-21 */
/* ER-08 */
/* RS-11 */
Test(callback, terminating_a_task_kills_its_worker_and_no_other, .timeout = 30)
{
	struct carom_pool *pool = new_pool(2);
	struct carom_result *first = keep_busy(pool, NULL), *second = keep_busy(pool, NULL);
	struct carom_outcome outcome;
	int64_t pids[2], pid = 0, x = 3, y = 0;
	char text[160];

	cr_assert(eq(int, carom_result_worker_pids(first, &pids[0], 1), 1));
	cr_assert(eq(int, carom_result_worker_pids(second, &pids[1], 1), 1));
	cr_expect(zero(int, carom_result_terminate(first, 0)));
	outcome = outcome_of(first);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_TERMINATED));
	cr_expect(eq(int, outcome.signal, SIGTERM));
	carom_outcome_exception(&outcome, 0, text, sizeof(text));
	cr_expect(eq(str, text, (char *)"Terminated(15)"));
	cr_expect(not(carom_result_ready(second)));
	cr_expect(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
	cr_expect(eq(i64, y, 9), "the worker was replaced");
	gate_open(gate, 1);
	cr_expect(eq(int, outcome_of(second).kind, CAROM_OUTCOME_OK));
	cr_expect(eq(int, carom_result_worker_pids(second, &pid, 1), 1));
	cr_expect(eq(i64, pid, pids[1]));
	carom_result_free(first);
	carom_result_free(second);
	end_pool(pool);
}

/* RS-09 */
/* EL-15 */
Test(callback, terminating_what_waits_keeps_it_from_running, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct carom_result *running = keep_busy(pool, NULL), *waiting;
	struct log log = { 0 };

	cr_assert(zero(
		int, carom_pool_apply_async(pool, leave_a_trace, NULL, 0, &CALLS(&log), &waiting)));
	cr_expect(zero(int, carom_result_terminate(waiting, SIGQUIT)));
	cr_expect(eq(int, outcome_of(waiting).kind, CAROM_OUTCOME_TERMINATED));
	cr_expect(eq(int, outcome_of(waiting).signal, SIGQUIT));
	gate_open(gate, 1);
	cr_expect(zero(int, carom_result_wait(running, CAROM_NO_DEADLINE)));
	carom_result_free(running);
	carom_result_free(waiting);
	end_pool(pool);
	cr_expect(eq(u32, gate->begun, 1));
	cr_expect(eq(str, log.text, (char *)"e"), "never accepted");
}

/* PM-22 */
Test(callback, terminating_what_has_ended_touches_nothing, .timeout = 60)
{
	struct carom_pool *pool = new_pool(1);
	struct carom_result *ended, *next;
	int64_t before = 0, after = 0;
	int hit = 0;

	cr_assert(zero(int, carom_pool_apply_async(pool, nothing, NULL, 0, NULL, &ended)));
	cr_assert(zero(int, carom_result_wait(ended, CAROM_NO_DEADLINE)));
	next = keep_busy(pool, NULL);
	cr_expect(eq(int, carom_result_terminate(ended, 0), -ESRCH));
	gate_open(gate, 1);
	cr_expect(eq(int, outcome_of(next).kind, CAROM_OUTCOME_OK));
	carom_result_free(ended);
	carom_result_free(next);
	/* whoever is hit says so, and the next task never is */
	for (int i = 0; i < 500; i++) {
		cr_assert(zero(int, carom_pool_apply_async(pool, nothing, NULL, 0, NULL, &ended)));
		cr_assert(zero(int, carom_pool_apply_async(pool, own_pid, NULL, 0, NULL, &next)));
		if (i % 2)
			sched_yield();
		hit += carom_result_terminate(ended, SIGKILL) == 0;
		before += outcome_of(ended).kind == CAROM_OUTCOME_TERMINATED;
		after += outcome_of(next).kind == CAROM_OUTCOME_OK;
		carom_result_free(ended);
		carom_result_free(next);
	}
	cr_expect(eq(i64, before, hit));
	cr_expect(eq(i64, after, 500));
	end_pool(pool);
}

Test(callback, terminating_by_pid_is_there_too, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct carom_result *running = keep_busy(pool, NULL);
	int64_t pid = 0;

	cr_assert(eq(int, carom_result_worker_pids(running, &pid, 1), 1));
	cr_expect(eq(int, carom_pool_terminate_job(pool, pid + 1000000, 0), -ESRCH));
	cr_expect(eq(int, carom_pool_terminate_job(pool, pid, 9999), -EINVAL));
	cr_expect(zero(int, carom_pool_terminate_job(pool, pid, SIGHUP)));
	cr_expect(eq(int, outcome_of(running).signal, SIGHUP));
	carom_result_free(running);
	end_pool(pool);
}

static int hold_item(struct carom_call *call)
{
	return carom_call_index(call) == 1 ? hold(call) : 0;
}

Test(callback, terminating_a_map_ends_all_of_it, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct carom_outcome outcomes[4];
	struct carom_result *result;
	char items[4] = { 0 };

	cr_assert(zero(
		int, carom_pool_map_async(pool, hold_item, items, 4, 1, NULL, 0,
					  &CAROM_MAP_OPTIONS(.chunk_size = 2, .outcomes = outcomes),
					  &result)));
	gate_await(&gate->begun, 1);
	cr_expect(zero(int, carom_result_terminate(result, 0)));
	cr_expect(eq(int, carom_result_get(result, CAROM_NO_DEADLINE, NULL, 0, NULL), -EREMOTEIO));
	cr_expect(eq(int, outcomes[0].kind, CAROM_OUTCOME_OK));
	for (int i = 1; i < 4; i++)
		cr_expect(eq(int, outcomes[i].kind, CAROM_OUTCOME_TERMINATED), "item %d", i);
	cr_expect(eq(int, carom_result_terminate(result, 0), -ESRCH));
	carom_result_free(result);
	end_pool(pool);
}

/* ---- limits are told ---- */

static int on_timeout(struct carom_result *result, int is_soft, uint64_t limit_ns, void *userdata)
{
	struct log *log = userdata;

	note(log, is_soft ? 'w' : 't');
	log->value = (int64_t)limit_ns;
	return 0;
}

/* of a task that runs: the soft one was told by then, and nobody could say how soon that is */
static void shorten_hard_limit(struct carom_pool *pool, struct carom_result *result,
			       uint64_t limit_ns)
{
	pthread_mutex_lock(&pool->lock);
	pool->tasks[atomic_load(&result->slot)].limit_ns = limit_ns;
	carom_supervisor_limit(pool, carom_now());
	pthread_mutex_unlock(&pool->lock);
}

/* CB-05 */
/* RS-13 */
Test(callback, the_soft_limit_is_told_and_then_the_hard_one, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct log log = { 0 };
	struct carom_task_options options = CALLS(&log);
	struct carom_result *result;

	options.timeout_callback = on_timeout;
	options.soft_limit_ns = CAROM_MILLISECONDS(10);
	options.hard_limit_ns = CAROM_SECONDS(60);
	cr_assert(zero(int, carom_pool_apply_async(pool, hang, NULL, 0, &options, &result)));
	await(atomic_load(&log.length) == 2);
	shorten_hard_limit(pool, result, CAROM_MILLISECONDS(20));
	carom_result_wait(result, CAROM_NO_DEADLINE);
	carom_result_free(result);
	end_pool(pool);
	cr_expect(eq(str, log.text, (char *)"awte"));
	cr_expect(eq(i64, log.value, (int64_t)CAROM_SECONDS(60)), "what it was given");
	cr_expect(eq(int, log.outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
}

static void on_timeout_set(struct carom_result *result, uint64_t soft_ns, uint64_t hard_ns,
			   void *userdata)
{
	note(userdata, soft_ns == CAROM_SECONDS(10) && hard_ns == CAROM_SECONDS(20) ? 'S' : '?');
}

static void on_timeout_cancel(struct carom_result *result, void *userdata)
{
	note(userdata, 'C');
}

/* PC-13 */
/* PC-14 */
/* CB-09 */
Test(callback, hooks_are_told_of_limits_that_are_set_and_cancelled, .timeout = 30)
{
	struct carom_pool *pool = NULL;
	struct log log = { 0 };
	struct carom_pool_hooks hooks =
		CAROM_POOL_HOOKS(.on_timeout_set = on_timeout_set,
				 .on_timeout_cancel = on_timeout_cancel, .userdata = &log);
	struct carom_task_options options = CALLS(&log);
	int64_t x = 1;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .hooks = &hooks),
					   &pool)));
	options.soft_limit_ns = CAROM_SECONDS(10);
	options.hard_limit_ns = CAROM_SECONDS(20);
	cr_assert(zero(int, carom_pool_apply_async(pool, square, &x, 8, &options, NULL)));
	end_pool(pool);
	cr_expect(eq(str, log.text, (char *)"SaCs"));
}

/* ---- options ---- */

/* PH-04 */
Test(callback, options_can_be_read_back, .timeout = 30)
{
	struct carom_pool *pool = NULL;
	struct carom_pool_options options = CAROM_POOL_OPTIONS(.worker_count = 0);

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .put_locks = 1,
							       .synack = 1,
							       .soft_limit_ns = CAROM_SECONDS(1),
							       .hard_limit_ns = CAROM_SECONDS(2),
							       .max_restarts = 7),
					   &pool)));
	cr_assert(zero(int, carom_pool_get_options(pool, &options)));
	cr_expect(eq(u64, options.worker_count, 2));
	cr_expect(eq(u64, options.put_locks, 1));
	cr_expect(eq(u64, options.synack, 1));
	cr_expect(eq(u64, options.soft_limit_ns, CAROM_SECONDS(1)));
	cr_expect(eq(u64, options.hard_limit_ns, CAROM_SECONDS(2)));
	cr_expect(eq(u64, options.max_restarts, 7));
	end_pool(pool);
}
