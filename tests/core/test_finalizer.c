/* Finalizers: run once, in their order, in the process that added them. */
#include "core/finalizer.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "core/finalizer_private.h"
#include "tests/core/apart.h"

static char order[64];

/* Notes the letter at @userdata. */
static int note(void *userdata)
{
	strncat(order, userdata, 1);
	return 0;
}

static bool noted(const char *letters)
{
	return strcmp(order, letters) == 0;
}

static int fail(void *userdata)
{
	note(userdata);
	return -EIO;
}

static uint64_t add(int priority, carom_finalizer_fn *function, const char *letter)
{
	uint64_t finalizer = 0;

	CHECK(carom_finalizer_add(priority, function, (void *)letter, &finalizer) == 0);
	CHECK(finalizer != 0);
	return finalizer;
}

/* ---- once ---- */

/* UT-01 */
Test(finalizer, runs_once_and_not_again_at_the_exit)
{
	uint64_t finalizer = add(CAROM_FINALIZER_DEFAULT, note, "a");

	cr_expect(carom_finalizer_is_active(finalizer));
	cr_expect(zero(int, carom_finalizer_call(finalizer)));
	cr_expect(not(carom_finalizer_is_active(finalizer)));
	cr_expect(eq(int, carom_finalizer_call(finalizer), -EALREADY));
	cr_expect(eq(int, carom_finalizer_cancel(finalizer), -EALREADY));
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	cr_expect(noted("a"));
}

Test(finalizer, hands_on_what_its_function_returns)
{
	cr_expect(eq(int, carom_finalizer_call(add(0, fail, "a")), -EIO));
}

Test(finalizer, that_was_cancelled_never_runs)
{
	uint64_t finalizer = add(CAROM_FINALIZER_DEFAULT, note, "a");

	cr_expect(zero(int, carom_finalizer_cancel(finalizer)));
	cr_expect(not(carom_finalizer_is_active(finalizer)));
	cr_expect(eq(int, carom_finalizer_call(finalizer), -EALREADY));
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	cr_expect(noted(""));
}

Test(finalizer, that_nobody_could_run_is_refused)
{
	uint64_t finalizer = 7;

	cr_expect(eq(int, carom_finalizer_add(0, NULL, NULL, &finalizer), -EINVAL));
	cr_expect(eq(int, carom_finalizer_add(CAROM_FINALIZER_NEVER, note, (void *)"a", NULL),
		     -EINVAL));
	cr_expect(eq(u64, finalizer, 7));
	cr_expect(zero(int, carom_finalizer_add(0, note, (void *)"a", NULL)));
	cr_expect(eq(int, carom_finalizer_call(0), -EINVAL));
	cr_expect(eq(int, carom_finalizer_call(1000), -EINVAL));
	cr_expect(eq(int, carom_finalizer_cancel(1000), -EINVAL));
}

static _Atomic int runs;
static uint64_t contested;

static int count(void *userdata)
{
	(void)userdata;
	runs++;
	return 0;
}

static void *call_it(void *userdata)
{
	pthread_barrier_wait(userdata);
	carom_finalizer_call(contested);
	return NULL;
}

Test(finalizer, is_run_by_one_of_several_threads)
{
	pthread_barrier_t start;
	pthread_t threads[2];

	pthread_barrier_init(&start, NULL, 2);
	for (int round = 1; round <= 200; round++) {
		contested = add(0, count, NULL);
		for (int i = 0; i < 2; i++)
			pthread_create(&threads[i], NULL, call_it, &start);
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		cr_assert(eq(int, runs, round));
	}
}

/* ---- in their order ---- */

/* UT-02 */
Test(finalizer, of_the_highest_priority_runs_first_and_of_these_the_newest)
{
	uint64_t by_hand = add(CAROM_FINALIZER_NEVER, note, "n");

	add(0, note, "a");
	add(10, fail, "b");
	add(-1, note, "c");
	add(0, note, "d");
	add(10, note, "e");
	add(INT_MAX, note, "f");
	add(CAROM_FINALIZER_NEVER + 1, note, "g");

	carom_finalizers_run(0);
	cr_expect(noted("febda"));
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	cr_expect(noted("febdacg"));
	cr_expect(carom_finalizer_is_active(by_hand));
	cr_expect(zero(int, carom_finalizer_call(by_hand)));
}

/* UT-03 */
Test(finalizer, priorities_end_what_stands_on_something_before_it)
{
	add(CAROM_FINALIZER_TEMP_DIR, note, "t");
	add(CAROM_FINALIZER_QUEUE_JOIN, note, "j");
	add(CAROM_FINALIZER_LISTENER, note, "l");
	add(CAROM_FINALIZER_QUEUE, note, "q");
	add(CAROM_FINALIZER_POOL, note, "p");
	carom_finalizers_run(0);
	cr_expect(noted("pql"));
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	cr_expect(noted("pqljt"));

	cr_expect(eq(int, CAROM_FINALIZER_POOL, 15));
	cr_expect(eq(int, CAROM_FINALIZER_PROXY, 10));
	cr_expect(eq(int, CAROM_FINALIZER_QUEUE, 10));
	cr_expect(zero(int, CAROM_FINALIZER_LISTENER));
	cr_expect(zero(int, CAROM_FINALIZER_LOCK));
	cr_expect(zero(int, CAROM_FINALIZER_MANAGER));
	cr_expect(eq(int, CAROM_FINALIZER_QUEUE_JOIN, -5));
	cr_expect(eq(int, CAROM_FINALIZER_TEMP_DIR, -100));
}

static uint64_t victim;

static int cancel_and_add(void *userdata)
{
	note(userdata);
	CHECK(carom_finalizer_cancel(victim) == 0);
	add(50, cancel_and_add, "x");
	return 0;
}

Test(finalizer, may_cancel_others_and_add_some_for_the_next_round)
{
	victim = add(0, note, "v");
	add(1, cancel_and_add, "a");
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	cr_expect(noted("a"));
	victim = add(0, note, "v");
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	cr_expect(noted("ax"));
}

/* ---- in their process ---- */

static uint64_t of_the_parent;

static void be_a_child(void)
{
	uint64_t own;

	CHECK(!carom_finalizer_is_active(of_the_parent));
	CHECK(carom_finalizer_call(of_the_parent) == -ECHILD);
	CHECK(carom_finalizer_cancel(of_the_parent) == -ECHILD);
	own = add(0, note, "c");
	carom_finalizers_clear();
	CHECK(carom_finalizer_is_active(own));
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	CHECK(noted("c"));
}

/* BO-10 */
Test(finalizer, of_the_parent_does_not_run_in_a_child_and_its_own_does)
{
	of_the_parent = add(0, note, "p");
	cr_expect(zero(int, apart(be_a_child)));
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	cr_expect(noted("p"));
}

static void be_an_idle_child(void)
{
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	CHECK(noted(""));
}

/* SN-04 */
Test(finalizer, of_the_parent_does_not_run_at_the_exit_of_a_child)
{
	of_the_parent = add(0, note, "p");
	cr_expect(zero(int, apart(be_an_idle_child)));
	cr_expect(carom_finalizer_is_active(of_the_parent));
}

static _Atomic bool is_over;

static void *add_and_cancel(void *userdata)
{
	while (!is_over)
		carom_finalizer_cancel(add(0, count, userdata));
	return NULL;
}

Test(finalizer, list_is_whole_in_a_child_forked_while_it_changes, .timeout = 60)
{
	pthread_t threads[2];

#ifdef __SANITIZE_ADDRESS__
	cr_skip_test("AddressSanitizer's own locks are inherited as they are");
#endif
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, add_and_cancel, NULL);
	for (int i = 0; i < 500; i++)
		cr_assert(zero(int, apart(be_an_idle_child)));
	is_over = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}
