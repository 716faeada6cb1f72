/* A result: waited for, read, outliving its slot; and the outcomes of tasks that end badly. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>

#include "tests/pool/work.h"

/* RS-01 */
/* RS-04 */
Test(result, gives_the_same_value_again, .timeout = 10)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	int64_t x = 7, y = 0;
	size_t size = 0;

	cr_assert(zero(int, carom_pool_apply_async(pool, square, &x, sizeof(x), NULL, &result)));
	for (int i = 0; i < 2; i++) {
		y = 0;
		cr_expect(zero(int,
			       carom_result_get(result, CAROM_NO_DEADLINE, &y, sizeof(y), &size)));
		cr_expect(eq(i64, y, 49));
		cr_expect(eq(sz, size, sizeof(y)));
	}
	cr_expect(carom_result_ready(result));
	cr_expect(eq(int, carom_result_successful(result), 1));
}

/* RS-03 */
/* RS-05 */
/* ER-03 */
Test(result, of_a_running_task_is_not_ready, .timeout = 10)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	struct carom_outcome outcome;
	const void *data;
	size_t size;
	uint64_t begun = carom_now();

	cr_assert(zero(int, carom_pool_apply_async(pool, hang, NULL, 0, NULL, &result)));
	cr_expect(eq(int, carom_result_wait(result, carom_deadline_after(CAROM_MILLISECONDS(50))),
		     -ETIMEDOUT));
	cr_expect(ge(u64, carom_now() - begun, CAROM_MILLISECONDS(50)));
	cr_expect(eq(int, carom_result_get(result, CAROM_PASSED, NULL, 0, NULL), -ETIMEDOUT));
	cr_expect(not(carom_result_ready(result)));
	cr_expect(eq(int, carom_result_successful(result), -EINPROGRESS));
	cr_expect(eq(int, carom_result_data(result, &data, &size), -EINPROGRESS));
	cr_expect(zero(int, carom_result_outcome(result, &outcome)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_PENDING));
}

Test(result, keeps_a_value_that_the_buffer_is_too_small_for, .timeout = 10)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	int64_t x = 3, y = 0;
	int32_t small = 5;
	size_t size = 0;

	cr_assert(zero(int, carom_pool_apply_async(pool, square, &x, sizeof(x), NULL, &result)));
	cr_expect(eq(int, carom_result_get(result, CAROM_NO_DEADLINE, &small, sizeof(small), &size),
		     -EMSGSIZE));
	cr_expect(eq(int, small, 5));
	cr_expect(eq(sz, size, sizeof(y)));
	cr_expect(zero(int, carom_result_get(result, CAROM_NO_DEADLINE, &y, sizeof(y), NULL)));
	cr_expect(eq(i64, y, 9));
	cr_expect(
		eq(int,
		   carom_pool_apply(pool, square, &x, sizeof(x), &small, sizeof(small), NULL, NULL),
		   -EMSGSIZE));
}

Test(result, carries_payloads_of_every_size, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	static const size_t sizes[] = { 0,    1,    31,   32,    33,      63,      64,      65,
					4095, 4096, 4097, 65536, 1000003, 5 << 20, 64 << 20 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		unsigned char *in = malloc(sizes[i] + 1), *out = malloc(sizes[i] + 1);
		CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
		size_t size = 0;

		for (size_t b = 0; b < sizes[i]; b++)
			in[b] = (unsigned char)(b * 31 + i);
		cr_assert(
			zero(int, carom_pool_apply_async(pool, echo, in, sizes[i], NULL, &result)));
		cr_assert(zero(int,
			       carom_result_get(result, CAROM_NO_DEADLINE, out, sizes[i], &size)));
		cr_expect(eq(sz, size, sizes[i]));
		cr_expect(zero(int, memcmp(in, out, sizes[i])));
		free(in);
		free(out);
	}
}

static int reserve_and_shrink(struct carom_call *call)
{
	void *room;
	int r = carom_reply(call, "dropped", 7);

	if (r == 0)
		r = carom_reply_reserve(call, 100000, &room);
	if (r < 0)
		return r;
	memcpy(room, "kept", 4);
	return carom_reply_commit(call, 4);
}

static int reserve_only(struct carom_call *call)
{
	void *room;

	carom_reply_reserve(call, 1000, &room);
	return carom_reply_commit(call, 1001) == -EINVAL ? 0 : -EIO;
}

Test(result, is_what_was_committed_last, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	char text[8] = "";

	for (int i = 0; i < 1000; i++) {
		CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
		size_t size = 99;

		cr_assert(zero(int, carom_pool_apply_async(pool, reserve_and_shrink, NULL, 0, NULL,
							   &result)));
		cr_assert(zero(int, carom_result_get(result, CAROM_NO_DEADLINE, text, 8, &size)));
		cr_expect(eq(sz, size, 4));
		cr_expect(zero(int, memcmp(text, "kept", 4)));
	}
	cr_expect(zero(int, carom_pool_apply(pool, reserve_only, NULL, 0, NULL, 0, NULL, NULL)));
}

Test(result, can_be_read_in_place, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	char text[1000];
	const void *data;
	size_t size;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .slot_count = 4),
					   &pool)));
	memset(text, 'x', sizeof(text));
	carom_pool_apply_async(pool, echo, text, sizeof(text), NULL, &result);
	carom_result_wait(result, CAROM_NO_DEADLINE);
	cr_assert(zero(int, carom_result_data(result, &data, &size)));
	/* its place stays its own however many tasks come after */
	for (int i = 0; i < 100; i++) {
		char other[1000] = { 'y' };

		carom_pool_apply_async(pool, echo, other, sizeof(other), NULL, NULL);
	}
	cr_expect(eq(sz, size, sizeof(text)));
	cr_expect(zero(int, memcmp(data, text, sizeof(text))));
}

static void *wait_for_it(void *result)
{
	int64_t y = 0;

	carom_result_get(result, CAROM_NO_DEADLINE, &y, sizeof(y), NULL);
	return (void *)(intptr_t)y;
}

static int slow_square(struct carom_call *call)
{
	uint64_t until = carom_now() + CAROM_MILLISECONDS(30);

	while (carom_now() < until)
		;
	return square(call);
}

static struct carom_pool *new_small_pool(void)
{
	struct carom_pool *pool = NULL;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .slot_count = 1),
					   &pool)));
	return pool;
}

static void *submit_nothing(void *pool)
{
	return (void *)(intptr_t)carom_pool_apply_async(pool, nothing, NULL, 0, NULL, NULL);
}

/* whoever has found no slot is asleep a while later, or is not yet there: both must do */
Test(result, that_was_read_in_place_makes_room_when_it_is_freed, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_small_pool();

	for (int i = 0; i < 20; i++) {
		struct carom_result *result;
		const void *data;
		void *answer;
		pthread_t thread;
		size_t size;

		cr_assert(zero(int, carom_pool_apply_async(pool, echo, "x", 1, NULL, &result)));
		cr_assert(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
		cr_assert(zero(int, carom_result_data(result, &data, &size)));
		pthread_create(&thread, NULL, submit_nothing, pool);
		poll(NULL, 0, i);
		carom_result_free(result);
		pthread_join(thread, &answer);
		cr_assert(zero(int, (int)(intptr_t)answer));
	}
}

/* Only who reads in place keeps the slot; a copy is a copy, of whatever size. */
Test(result, that_was_copied_makes_room_for_others, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_small_pool();
	CAROM_CLEANUP(carom_result_freep) struct carom_result *first = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *second = NULL;
	char large[8192] = "large", copy[sizeof(large)] = "";

	cr_assert(
		zero(int, carom_pool_apply_async(pool, echo, large, sizeof(large), NULL, &first)));
	cr_expect(zero(int, carom_result_get(first, CAROM_NO_DEADLINE, copy, sizeof(copy), NULL)));
	cr_assert(zero(int, carom_pool_apply_async(pool, nothing, NULL, 0, NULL, &second)));
	cr_expect(zero(int, carom_result_wait(second, CAROM_NO_DEADLINE)));
	memset(copy, 0, sizeof(copy));
	cr_expect(zero(int, carom_result_get(first, CAROM_PASSED, copy, sizeof(copy), NULL)));
	cr_expect(eq(str, copy, (char *)"large"));
}

Test(result, may_be_waited_for_by_several_threads, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	pthread_t threads[4];
	int64_t x = 11;

	carom_pool_apply_async(pool, slow_square, &x, sizeof(x), NULL, &result);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, wait_for_it, result);
	for (int i = 0; i < 4; i++) {
		void *seen;

		pthread_join(threads[i], &seen);
		cr_expect(eq(i64, (intptr_t)seen, 121));
	}
}

Test(result, that_nobody_waits_for_is_dropped, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *result;
	int64_t x = 11, y = 0;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .slot_count = 8),
					   &pool)));
	for (int i = 0; i < 1000; i++) {
		carom_pool_apply_async(pool, square, &x, sizeof(x), NULL, &result);
		carom_result_free(result);
	}
	cr_expect(zero(int,
		       carom_pool_apply(pool, square, &x, sizeof(x), &y, sizeof(y), NULL, NULL)));
}

/* ---- outcomes ---- */

static void expect_outcome(carom_task_fn *function, enum carom_outcome_kind kind, const char *words,
			   struct carom_outcome *ret_outcome)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	char text[160];
	int64_t x = 1, y = 0;

	cr_assert(eq(
		int,
		carom_pool_apply(pool, function, &x, sizeof(x), &y, sizeof(y), NULL, ret_outcome),
		-EREMOTEIO));
	cr_expect(eq(int, ret_outcome->kind, (int)kind));
	carom_outcome_describe(ret_outcome, text, sizeof(text));
	cr_expect(ne(ptr, strstr(text, words), NULL), "'%s' should contain '%s'", text, words);
	/* the next task finds a pool in full size */
	cr_expect(zero(int,
		       carom_pool_apply(pool, square, &x, sizeof(x), &y, sizeof(y), NULL, NULL)));
}

Test(outcome, of_a_function_that_fails, .timeout = 20)
{
	struct carom_outcome outcome;

	expect_outcome(fail_with_message, CAROM_OUTCOME_FAILED, "no user nobody", &outcome);
	cr_expect(eq(int, outcome.code, -ENOENT));
	cr_expect(zero(int, strcmp(outcome.message, "no user nobody")));
}

static int fail_after_reply(struct carom_call *call)
{
	carom_reply(call, "a value that is none", 21);
	return -EIO;
}

static int fail_then_reply(struct carom_call *call)
{
	int r = carom_call_fail(call, -EDOM, "why");

	carom_reply(call, "abc", 3);
	return r;
}

static int succeed_after_all(struct carom_call *call)
{
	carom_call_fail(call, -EDOM, "why");
	return 0;
}

Test(outcome, has_the_words_of_a_failure_and_nothing_else, .timeout = 20)
{
	struct carom_outcome outcome;

	expect_outcome(fail_after_reply, CAROM_OUTCOME_FAILED, "failed", &outcome);
	cr_expect(zero(int, strcmp(outcome.message, "")));
	expect_outcome(fail_then_reply, CAROM_OUTCOME_FAILED, "why", &outcome);
	cr_expect(zero(int, strcmp(outcome.message, "why")));
}

Test(outcome, of_a_function_that_succeeds_has_no_words, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	char text[8];
	size_t size = 99;

	carom_pool_apply_async(pool, succeed_after_all, NULL, 0, NULL, &result);
	cr_expect(
		zero(int, carom_result_get(result, CAROM_NO_DEADLINE, text, sizeof(text), &size)));
	cr_expect(zero(sz, size));
}

static int reply_so_much(struct carom_call *call)
{
	uint64_t size;
	void *room;
	int r = carom_call_read(call, &size, sizeof(size));

	if (r == 0)
		r = carom_reply_reserve(call, size, &room);
	return r < 0 ? r : carom_reply_commit(call, size);
}

/* whatever sizes came before: with nothing held there is room */
Test(result, finds_room_after_any_sizes, .timeout = 60)
{
	static const uint64_t sizes[] = {
		1000000, 1000, 100000, 300000, 40, 900000, 50000, 1000000
	};
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	static char out[1000000];

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .payload_size = CAROM_MIB(8)),
					   &pool)));
	for (int round = 0; round < 50; round++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
			cr_assert(zero(int, carom_pool_apply(pool, reply_so_much, &sizes[i], 8, out,
							     sizeof(out), NULL, NULL)));
}

/* WL-01 */
/* RS-02 */
Test(outcome, of_a_worker_that_is_killed, .timeout = 20)
{
	struct carom_outcome outcome;

	expect_outcome(kill_self, CAROM_OUTCOME_LOST, "signal 9 (SIGKILL)", &outcome);
	cr_expect(eq(int, outcome.signal, SIGKILL));
	cr_expect(eq(int, outcome.exit_status, -1));
	cr_expect(lt(int, 0, outcome.worker_pid));
}

Test(outcome, of_a_function_that_crashes, .timeout = 20)
{
	struct carom_outcome outcome;

	expect_outcome(crash, CAROM_OUTCOME_LOST, "signal 11 (SIGSEGV)", &outcome);
	cr_expect(eq(int, outcome.signal, SIGSEGV));
}

/* WK-17 */
/* WL-06 */
Test(outcome, of_a_function_that_exits, .timeout = 20)
{
	struct carom_outcome outcome;

	expect_outcome(exit_7, CAROM_OUTCOME_LOST, "exited with status 7", &outcome);
	cr_expect(eq(int, outcome.exit_status, 7));
	cr_expect(zero(int, outcome.signal));
}

/* ---- time limits ---- */

Test(limit, kills_who_runs_longer, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_outcome outcome;
	int64_t x = 2, y = 0;
	uint64_t begun;

	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							  .hard_limit_ns = CAROM_MILLISECONDS(50)),
				      &pool)));
	begun = carom_now();
	cr_expect(eq(int, carom_pool_apply(pool, hang, NULL, 0, NULL, 0, NULL, &outcome),
		     -EREMOTEIO));
	cr_expect(ge(u64, carom_now() - begun, CAROM_MILLISECONDS(50)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
	cr_expect(eq(u64, outcome.limit_ns, CAROM_MILLISECONDS(50)));
	cr_expect(ge(u64, outcome.ended_ns - outcome.started_ns, CAROM_MILLISECONDS(50)));
	cr_expect(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8,
					     &CAROM_TASK_OPTIONS(.hard_limit_ns = CAROM_NO_LIMIT),
					     NULL)));
}

/* PC-22 */
Test(limit, of_one_task_holds_in_a_pool_without, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_outcome outcome;

	cr_expect(eq(int, hang_until_limit(pool, CAROM_MILLISECONDS(20), &outcome), -EREMOTEIO));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
}

/* PM-03 */
Test(limit, of_the_pool_can_be_lifted_for_one_task, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t x = 5, y = 0;

	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							  .hard_limit_ns = CAROM_MILLISECONDS(5)),
				      &pool)));
	cr_expect(zero(int, carom_pool_apply(pool, slow_square, &x, 8, &y, 8,
					     &CAROM_TASK_OPTIONS(.hard_limit_ns = CAROM_NO_LIMIT),
					     NULL)));
	cr_expect(eq(i64, y, 25));
}

static int take_half_a_second(struct carom_call *call)
{
	uint64_t until = carom_now() + CAROM_MILLISECONDS(500);

	while (carom_now() < until)
		poll(NULL, 0, 10);
	return 0;
}

/* PC-05 */
/* TO-01 */
Test(limit, counts_from_when_a_worker_began, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	CAROM_CLEANUP(carom_result_freep) struct carom_result *first = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *second = NULL;
	struct carom_outcome outcome;
	uint64_t limit_ns = CAROM_MILLISECONDS(400);
	int64_t x = 5, y = 0;
	int r;

	/* the second waits longer than its limit for the only worker, and runs for an instant */
	carom_pool_apply_async(pool, take_half_a_second, NULL, 0, NULL, &first);
	carom_pool_apply_async(pool, square, &x, 8, &CAROM_TASK_OPTIONS(.hard_limit_ns = limit_ns),
			       &second);
	r = carom_result_get(second, CAROM_NO_DEADLINE, &y, 8, NULL);
	carom_result_outcome(second, &outcome);
	cr_expect(ended_within(limit_ns, &outcome, CAROM_OUTCOME_OK));
	if (r == 0)
		cr_expect(eq(i64, y, 25));
}

static int run_to_the_limit(struct carom_call *call)
{
	uint64_t until;

	carom_call_read(call, &until, sizeof(until));
	until += carom_now();
	while (carom_now() < until)
		;
	return carom_reply(call, &until, sizeof(until));
}

/*
 * A task that ends just as its limit comes: the kill never hits the one after it. When the limit
 * comes is the machine's to say, so the tasks go after it: each takes longer if the one before
 * was in time, and else less.
 */
Test(limit, never_hits_the_next_task, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	const uint64_t limit = CAROM_MICROSECONDS(300);
	struct carom_outcome outcome;
	uint64_t until = limit;
	int limited = 0;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1), &pool)));
	for (int i = 0; i < 600; i++) {
		struct carom_result *near, *next;

		carom_pool_apply_async(pool, run_to_the_limit, &until, 8,
				       &CAROM_TASK_OPTIONS(.hard_limit_ns = limit), &near);
		carom_pool_apply_async(pool, nothing, NULL, 0, NULL, &next);
		cr_expect(zero(int, carom_result_get(next, CAROM_NO_DEADLINE, NULL, 0, NULL)));
		carom_result_wait(near, CAROM_NO_DEADLINE);
		carom_result_outcome(near, &outcome);
		cr_assert(outcome.kind == CAROM_OUTCOME_OK ||
				  outcome.kind == CAROM_OUTCOME_HARD_LIMIT,
			  "%d", outcome.kind);
		if (outcome.kind == CAROM_OUTCOME_OK) {
			until += until / 20;
		} else {
			limited++;
			until -= until > limit / 2 ? until / 20 : 0;
		}
		carom_result_free(near);
		carom_result_free(next);
	}
	cr_expect(lt(int, 0, limited));
}

Test(outcome, has_times_when_asked_for, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_outcome outcome;
	int64_t x = 5, y = 0;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .timestamps = 1),
					   &pool)));
	cr_assert(zero(int, carom_pool_apply(pool, slow_square, &x, 8, &y, 8, NULL, &outcome)));
	cr_expect(lt(u64, 0, outcome.submitted_ns));
	cr_expect(ge(u64, outcome.started_ns, outcome.submitted_ns));
	cr_expect(ge(u64, outcome.ended_ns, outcome.started_ns + CAROM_MILLISECONDS(30)));
	cr_expect(zero(int, outcome.worker_index));
	cr_expect(lt(int, 0, outcome.worker_pid));
}

Test(outcome, is_named_for_people, .timeout = 10)
{
	struct carom_outcome outcome = { .kind = CAROM_OUTCOME_FAILED, .code = -5000 };
	char text[160], tiny[6];

	cr_expect(zero(int, strcmp(carom_outcome_name(CAROM_OUTCOME_HARD_LIMIT), "hard limit")));
	cr_expect(zero(int, strcmp(carom_outcome_name((enum carom_outcome_kind)99), "unknown")));
	carom_outcome_describe(&outcome, text, sizeof(text));
	cr_expect(zero(int, strcmp(text, "failed: code -5000")));
	carom_outcome_describe(&outcome, tiny, sizeof(tiny));
	cr_expect(zero(int, strcmp(tiny, "faile")));
}
