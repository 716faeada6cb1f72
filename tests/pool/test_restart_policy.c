/* The policy alone: what comes when, with a clock that is a number. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "core/time.h"
#include "pool/restart_policy.h"

#define START CAROM_SECONDS(1000)

static struct carom_restart_policy policy_of(uint64_t max_restarts)
{
	return (struct carom_restart_policy){
		.max_restarts = max_restarts,
		.window_ns = CAROM_NS_PER_SEC,
		.backoff_ns = CAROM_MILLISECONDS(1),
	};
}

Test(restart_policy, replaces_at_once_what_dies_now_and_then)
{
	struct carom_restart_policy policy = policy_of(1);

	for (uint64_t i = 0; i < 1000; i++)
		cr_expect(carom_restart_policy_step(&policy, START + i * CAROM_NS_PER_SEC));
}

/* RP-01 */
Test(restart_policy, allows_so_many_in_a_window_and_then_no_more)
{
	struct carom_restart_policy policy = policy_of(100);

	for (int i = 0; i < 99; i++)
		cr_assert(carom_restart_policy_step(&policy, START));
	cr_expect(eq(u64, policy.restart_count, 99));
	cr_expect(carom_restart_policy_step(&policy, START + CAROM_MILLISECONDS(500)));
	cr_expect(not(carom_restart_policy_step(&policy, START + CAROM_MILLISECONDS(999))));
	cr_expect(carom_restart_policy_step(&policy, START + CAROM_NS_PER_SEC));
	cr_expect(eq(u64, policy.restart_count, 1));
}

Test(restart_policy, begins_its_window_with_the_first_death)
{
	struct carom_restart_policy policy = policy_of(2);

	cr_expect(carom_restart_policy_step(&policy, START));
	cr_expect(carom_restart_policy_step(&policy, START + CAROM_MILLISECONDS(900)));
	cr_expect(carom_restart_policy_step(&policy, START + CAROM_MILLISECONDS(1000)));
	cr_expect(carom_restart_policy_step(&policy, START + CAROM_MILLISECONDS(1999)));
	cr_expect(not(carom_restart_policy_step(&policy, START + CAROM_MILLISECONDS(1999))));
}

Test(restart_policy, without_a_limit_never_says_no)
{
	struct carom_restart_policy policy = policy_of(0);

	for (int i = 0; i < 100000; i++)
		cr_assert(carom_restart_policy_step(&policy, START));
}

Test(restart_policy, forgets_deaths_when_work_is_done)
{
	struct carom_restart_policy policy = policy_of(3);

	for (int i = 0; i < 100; i++) {
		cr_assert(carom_restart_policy_step(&policy, START));
		cr_assert(carom_restart_policy_step(&policy, START));
		carom_restart_policy_progress(&policy);
	}
}

/* what fails as soon as it may be tried; returns when it was one too many, or after so many */
static uint64_t fail_on(struct carom_restart_policy *policy, uint64_t failures_max, int count,
			uint64_t *ret_tries)
{
	uint64_t now = START;

	for (*ret_tries = 0; count > 0; count--) {
		enum carom_restart verdict = carom_restart_policy_failed(policy, now, failures_max);

		if (verdict == CAROM_RESTART_NEVER)
			break;
		if (verdict == CAROM_RESTART_LATER)
			now = policy->resume_ns;
		(*ret_tries)++;
	}
	return now - START;
}

/* RP-14 */
Test(restart_policy, tries_failing_starts_less_and_less_often)
{
	struct carom_restart_policy policy = policy_of(0);
	uint64_t tries, now = START;

	policy.backoff_ns = CAROM_MILLISECONDS(100);
	for (tries = 0; now < START + CAROM_NS_PER_SEC; tries++)
		if (carom_restart_policy_failed(&policy, now, UINT64_MAX) == CAROM_RESTART_LATER)
			now = policy.resume_ns;
	cr_expect(le(u64, tries, 10));
	cr_expect(ge(u64, tries, 4));
}

Test(restart_policy, doubles_its_pauses_up_to_64_times)
{
	struct carom_restart_policy policy = policy_of(0);
	uint64_t tries;
	/* none, 1, 2, ... 64, 64, 64 ms */
	uint64_t took = fail_on(&policy, UINT64_MAX, 10, &tries);

	cr_expect(eq(u64, took, CAROM_MILLISECONDS(127 + 64 + 64)));
	cr_expect(eq(u64, policy.resume_ns - START, took));
}

Test(restart_policy, gives_up_on_starts_that_fail_in_a_row)
{
	struct carom_restart_policy policy = policy_of(0);
	uint64_t tries;

	cr_expect(lt(u64, fail_on(&policy, CAROM_RESTART_FAILURES_MAX, 1000, &tries),
		     CAROM_SECONDS(1)));
	cr_expect(eq(u64, tries, CAROM_RESTART_FAILURES_MAX));
	carom_restart_policy_ready(&policy);
	cr_expect(eq(int,
		     (int)carom_restart_policy_failed(&policy, START + CAROM_SECONDS(2),
						      CAROM_RESTART_FAILURES_MAX),
		     CAROM_RESTART_NOW));
}

Test(restart_policy, takes_all_that_fail_within_a_pause_for_one)
{
	struct carom_restart_policy policy = policy_of(0);

	cr_expect(eq(int, (int)carom_restart_policy_failed(&policy, START, 20), CAROM_RESTART_NOW));
	for (int i = 0; i < 1000; i++)
		cr_assert(eq(int, (int)carom_restart_policy_failed(&policy, START, 20),
			     CAROM_RESTART_LATER));
	cr_expect(eq(u64, policy.failure_count, 2));
	cr_expect(eq(u64, policy.resume_ns, START + CAROM_MILLISECONDS(1)));
}

Test(restart_policy, bears_a_shortage_for_ever_while_nobody_minds)
{
	struct carom_restart_policy policy = policy_of(3);
	uint64_t now = START;

	for (int i = 0; i < 1000; i++) {
		enum carom_restart verdict = carom_restart_policy_refused(&policy, now, false);

		cr_assert(ne(int, (int)verdict, CAROM_RESTART_NEVER));
		if (verdict == CAROM_RESTART_LATER)
			now = policy.resume_ns;
	}
	cr_expect(lt(u64, START + CAROM_SECONDS(900), now));
}

Test(restart_policy, bears_a_shortage_for_ten_seconds_while_somebody_waits)
{
	struct carom_restart_policy policy = policy_of(3);
	enum carom_restart verdict;
	uint64_t now = START;

	carom_restart_policy_refused(&policy, now - CAROM_SECONDS(60), false);
	while ((verdict = carom_restart_policy_refused(&policy, now, true)) != CAROM_RESTART_NEVER)
		now = verdict == CAROM_RESTART_LATER ? policy.resume_ns : now;
	cr_expect(ge(u64, now, START + CAROM_SECONDS(10)));
	cr_expect(lt(u64, now, START + CAROM_SECONDS(12)));
}

Test(restart_policy, counts_a_shortage_anew_after_nobody_waited)
{
	struct carom_restart_policy policy = policy_of(3);

	carom_restart_policy_refused(&policy, START, true);
	carom_restart_policy_refused(&policy, START + CAROM_SECONDS(9), false);
	carom_restart_policy_refused(&policy, START + CAROM_SECONDS(11), true);
	cr_expect(ne(int,
		     (int)carom_restart_policy_refused(&policy, START + CAROM_SECONDS(20), true),
		     CAROM_RESTART_NEVER));
	cr_expect(eq(int,
		     (int)carom_restart_policy_refused(&policy, START + CAROM_SECONDS(21), true),
		     CAROM_RESTART_NEVER));
}

Test(restart_policy, survives_pauses_that_no_clock_has)
{
	struct carom_restart_policy policy = policy_of(0);

	policy.backoff_ns = UINT64_MAX / 2;
	for (int i = 0; i < 5; i++)
		carom_restart_policy_failed(&policy, START, UINT64_MAX);
	cr_expect(eq(u64, policy.resume_ns, START + UINT64_MAX / 2));
	policy.resume_ns = 0;
	policy.failure_count = 5;
	carom_restart_policy_failed(&policy, START, UINT64_MAX);
	cr_expect(eq(u64, policy.resume_ns, CAROM_NO_DEADLINE));
}
