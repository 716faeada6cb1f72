/*
 * Errors: that each says what it is, and that none is mistaken for another.
 */
#include "tests/pool/work.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <limits.h>
#include <stdio.h>

static char *exception(const struct carom_outcome *outcome)
{
	static char text[160];

	return carom_outcome_exception(outcome, 17, text, sizeof(text));
}

/* ER-07 */
/* PH-13 */
/* RP-09 */
Test(error, a_lost_worker_reads_as_in_billiard, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_outcome outcome, exited = { .kind = CAROM_OUTCOME_LOST, .exit_status = 0 };
	struct carom_result *result;
	char text[160], expected[160];

	cr_assert(zero(int, carom_pool_apply_async(pool, kill_self, NULL, 0, NULL, &result)));
	cr_assert(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
	carom_result_outcome(result, &outcome);
	snprintf(expected, sizeof(expected),
		 "WorkerLostError: Worker exited prematurely: signal 9 (SIGKILL) Job: %llu.",
		 (unsigned long long)carom_result_id(result));
	cr_expect(eq(str,
		     carom_outcome_exception(&outcome, carom_result_id(result), text, sizeof(text)),
		     expected));
	cr_expect(eq(str, exception(&exited),
		     (char *)"WorkerLostError: Worker exited prematurely: exitcode 0 Job: 17."));
	carom_result_free(result);
}

/* ER-05 */
Test(error, a_hard_limit_says_how_long_it_was, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_outcome outcome;

	cr_expect(eq(int, hang_until_limit(pool, CAROM_MILLISECONDS(20), &outcome), -EREMOTEIO));
	cr_expect(eq(str, exception(&outcome), (char *)"TimeLimitExceeded(0.02,)"));
}

Test(error, every_outcome_has_its_words)
{
	struct carom_outcome soft = { .kind = CAROM_OUTCOME_SOFT_LIMIT };
	struct carom_outcome terminated = { .kind = CAROM_OUTCOME_TERMINATED, .signal = 15 };
	struct carom_outcome broken = { .kind = CAROM_OUTCOME_POOL_BROKEN, .message = "100 in 1s" };
	struct carom_outcome ok = { .kind = CAROM_OUTCOME_OK };
	struct carom_outcome failed = { .kind = CAROM_OUTCOME_FAILED, .code = -ENOENT };

	cr_expect(eq(str, exception(&soft), (char *)"SoftTimeLimitExceeded()"));
	cr_expect(eq(str, exception(&terminated), (char *)"Terminated(15)"));
	cr_expect(eq(str, exception(&broken), (char *)"BrokenProcessPool: 100 in 1s"));
	cr_expect(eq(str, exception(&ok), (char *)""));
	cr_expect(
		eq(str, exception(&failed), (char *)"failed: No such file or directory (code -2)"));
}

/* ER-01 */
/* ER-20 */
Test(error, each_kind_has_a_name_of_its_own, .timeout = 10)
{
	static const int errors[] = { EAGAIN,   ETIMEDOUT, EREMOTEIO,  ECANCELED,       ESHUTDOWN,
				      EPIPE,    ESRCH,     EOWNERDEAD, ENOTRECOVERABLE, EBADMSG,
				      EMSGSIZE, ECHILD,    E2BIG,      EOPNOTSUPP };

	for (int kind = CAROM_OUTCOME_PENDING; kind <= CAROM_OUTCOME_POOL_BROKEN; kind++)
		for (int other = CAROM_OUTCOME_PENDING; other < kind; other++)
			cr_expect(ne(str,
				     (char *)(uintptr_t)carom_outcome_name(
					     (enum carom_outcome_kind)kind),
				     (char *)(uintptr_t)carom_outcome_name(
					     (enum carom_outcome_kind)other)));
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		for (size_t j = 0; j < i; j++)
			cr_expect(ne(str, (char *)(uintptr_t)carom_strerror(-errors[i]),
				     (char *)(uintptr_t)carom_strerror(-errors[j])));
}

/* ER-02 */
Test(error, a_value_that_does_not_fit_is_kept, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_result *result;
	char small[4], large[64];
	size_t size = 0;

	cr_assert(zero(int, carom_pool_apply_async(pool, echo, "a value of some length", 23, NULL,
						   &result)));
	cr_expect(eq(int, carom_result_get(result, CAROM_NO_DEADLINE, small, 4, &size), -EMSGSIZE));
	cr_expect(eq(sz, size, 23));
	cr_expect(zero(int, carom_result_get(result, CAROM_PASSED, large, sizeof(large), &size)));
	cr_expect(eq(str, large, (char *)"a value of some length"));
	carom_result_free(result);
}

static int time_out(struct carom_call *call)
{
	return -ETIMEDOUT;
}

/* ER-03 */
Test(error, not_yet_is_not_what_the_task_says, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_outcome outcome;
	struct carom_result *running;

	cr_expect(eq(int, carom_pool_apply(pool, time_out, NULL, 0, NULL, 0, NULL, &outcome),
		     -EREMOTEIO));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_FAILED));
	cr_expect(eq(int, outcome.code, -ETIMEDOUT));
	cr_assert(zero(int, carom_pool_apply_async(pool, hang, NULL, 0, NULL, &running)));
	cr_expect(eq(int, carom_result_get(running, CAROM_PASSED, NULL, 0, NULL), -ETIMEDOUT));
	carom_pool_terminate(pool);
	carom_result_free(running);
}

/* ER-17 */
Test(error, arguments_that_cannot_be_are_refused, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	const struct {
		const char *what;
		int answer;
		int expected;
	} table[] = {
		{ "no function", carom_pool_apply_async(pool, NULL, NULL, 0, NULL, NULL), -EINVAL },
		{ "no data", carom_pool_apply_async(pool, echo, NULL, 8, NULL, NULL), -EINVAL },
		{ "no room", carom_pool_apply(pool, echo, "1", 1, NULL, 1, NULL, NULL), -EINVAL },
		{ "no item size", carom_pool_map(pool, echo, "12", 2, 0, NULL, 0, NULL), -EINVAL },
		{ "too much", carom_pool_map(pool, echo, "12", SIZE_MAX / 2, 8, NULL, 0, NULL),
		  -EOVERFLOW },
		{ "running", carom_pool_join(pool, CAROM_PASSED), -EINVAL },
		{ "no place",
		  carom_pool_apply_async(pool, echo, NULL, 0,
					 &CAROM_TASK_OPTIONS(.wait_for_slot = 9), NULL),
		  -EINVAL },
	};
	struct carom_task_options newer = CAROM_TASK_OPTIONS(.hard_limit_ns = 0);

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		cr_expect(eq(int, table[i].answer, table[i].expected), "%s", table[i].what);
	newer.size_bytes = 3;
	cr_expect(eq(int, carom_pool_apply_async(pool, echo, NULL, 0, &newer, NULL), -EINVAL));
	carom_pool_close(pool);
	cr_expect(
		eq(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL), -ESHUTDOWN));
}
