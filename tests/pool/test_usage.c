/* Usage: what each task took, where the pool was asked for that. In groups: see test_group.c. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "tests/core/sandboxes.h"
#include "tests/pool/metered.h"

TestSuite(usage, .timeout = 120);

#define MS CAROM_MILLISECONDS(1)

static struct carom_pool *pool_with(struct carom_pool_options options)
{
	struct carom_pool *pool = NULL;
	int r = carom_pool_new(&options, &pool);

	cr_assert(r == 0, "%s", carom_strerror(r));
	return pool;
}

#define METERED_BY(count, ...) \
	pool_with(CAROM_POOL_OPTIONS(.worker_count = (count), .task_usage = 1, __VA_ARGS__))
#define METERED(...) METERED_BY(1, __VA_ARGS__)

static struct carom_outcome outcome_of(struct carom_pool *pool, carom_task_fn *function,
				       int64_t amount)
{
	struct carom_outcome outcome;

	carom_pool_apply(pool, function, &amount, sizeof(amount), NULL, 0, NULL, &outcome);
	return outcome;
}

static void expect_cpu_of_each(struct carom_pool *pool)
{
	cr_expect(ge(u64, outcome_of(pool, burn, 100 * MS).cpu_ns, 100 * MS));
	cr_expect(lt(u64, outcome_of(pool, nothing, 0).cpu_ns, 50 * MS));
	cr_expect(ge(u64, outcome_of(pool, burn, 60 * MS).cpu_ns, 60 * MS));
}

static void expect_memory_of_each(struct carom_pool *pool)
{
	uint64_t more = outcome_of(pool, borrow, 32 * 1024).peak_bytes;
	uint64_t less = outcome_of(pool, nothing, 0).peak_bytes;

	cr_expect(lt(u64, CAROM_MIB(31), more)); /* the kernel adds up now and then */
	cr_expect(lt(u64, 0, less));
	cr_expect(lt(u64, less + CAROM_MIB(16), more));
}

Test(usage, is_told_of_each_task_under_every_method)
{
	struct carom_context *context;

	EACH_PROCESS_METHOD(context)
	{
		CAROM_CLEANUP(carom_pool_freep)
		struct carom_pool *pool = METERED(.context = context);

		expect_cpu_of_each(pool);
		expect_memory_of_each(pool);
	}
}

Test(usage, of_a_thread_is_its_cpu_time)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = METERED(.context = context_of("thread"));

	expect_cpu_of_each(pool);
	cr_expect(zero(u64, outcome_of(pool, borrow, 1024).peak_bytes));
}

Test(usage, is_told_by_workers_that_are_isolated_and_confined)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT);
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *isolated = METERED(.isolated = 1);
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *confined = METERED(.sandbox = sandbox);

	expect_cpu_of_each(isolated);
	expect_memory_of_each(isolated);
	expect_cpu_of_each(confined);
	expect_memory_of_each(confined);
}

Test(usage, counts_the_children_that_a_task_has_waited_for)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = METERED();

	cr_expect(ge(u64, outcome_of(pool, let_burn, 80 * MS).cpu_ns, 80 * MS));
	cr_expect(lt(u64, outcome_of(pool, nothing, 0).cpu_ns, 50 * MS));
}

Test(usage, of_a_task_that_fails_is_told_as_well)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = METERED();
	struct carom_outcome outcome = outcome_of(pool, burn_and_fail, 50 * MS);

	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_FAILED));
	cr_expect(zero(int, strcmp(outcome.message, "burnt")));
	cr_expect(ge(u64, outcome.cpu_ns, 50 * MS));
	cr_expect(lt(u64, 0, outcome.peak_bytes));
}

/* its own, too, where many are under way in the same few slots */
Test(usage, is_not_mixed_up)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = METERED_BY(2, .slot_count = 8);
	struct carom_result *results[60];

	for (int64_t i = 0; i < 60; i++) {
		int64_t ns = i % 6 == 5 ? (int64_t)(20 * MS) : 0;

		cr_assert(zero(int, carom_pool_apply_async(pool, burn, &ns, sizeof(ns), NULL,
							   &results[i])));
	}
	for (int i = 0; i < 60; i++) {
		struct carom_outcome outcome;

		carom_result_wait(results[i], CAROM_NO_DEADLINE);
		carom_result_outcome(results[i], &outcome);
		if (i % 6 == 5)
			cr_expect(ge(u64, outcome.cpu_ns, 20 * MS), "task %d", i);
		else
			cr_expect(lt(u64, outcome.cpu_ns, 15 * MS), "task %d", i);
		carom_result_free(results[i]);
	}
}

Test(usage, is_not_told_of_what_was_not_measured)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *plain = pool_with(CAROM_POOL_OPTIONS(.worker_count = 1));
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = METERED();
	struct carom_outcome outcomes[100], outcome;
	int64_t in[100] = { 0 }, out[100];

	outcome = outcome_of(plain, burn, 10 * MS);
	cr_expect(zero(u64, outcome.cpu_ns));
	cr_expect(zero(u64, outcome.peak_bytes));
	outcome_of(pool, burn, 10 * MS); /* of which nothing stays */
	outcome = outcome_of(pool, kill_self, 0);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
	cr_expect(zero(u64, outcome.cpu_ns));
	cr_assert(zero(int,
		       carom_pool_map(pool, square, in, 100, sizeof(*in), out, sizeof(*out),
				      &CAROM_MAP_OPTIONS(.chunk_size = 10, .outcomes = outcomes))));
	for (int i = 0; i < 100; i++)
		cr_expect(zero(u64, outcomes[i].cpu_ns | outcomes[i].peak_bytes), "item %d", i);
}

/* who is a task by itself is measured, wherever it comes from */
Test(usage, is_told_of_items_that_are_done_one_by_one)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = METERED_BY(2);
	int64_t in[4] = { 0, 30 * MS, 0, 30 * MS };
	struct carom_outcome outcomes[4];

	cr_assert(zero(int,
		       carom_pool_map(pool, burn, in, 4, sizeof(*in), NULL, 0,
				      &CAROM_MAP_OPTIONS(.chunk_size = 1, .outcomes = outcomes))));
	for (int i = 0; i < 4; i++) {
		cr_expect(eq(int, outcomes[i].cpu_ns >= 30 * MS, i % 2), "item %d", i);
		cr_expect(lt(u64, 0, outcomes[i].peak_bytes), "item %d", i);
	}
}
