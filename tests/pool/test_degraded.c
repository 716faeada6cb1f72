/*
 * A pool where the kernel says no: whatever of the mechanisms is denied, one at a time and
 * all together, tasks are answered, a death costs one task, and nothing is left behind.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "core/probe.h"
#include "core/time.h"
#include "tests/core/apart.h"
#include "tests/needs.h"
#include "tests/pool/work.h"

#define ITEMS 100

static int64_t kept; /* by a worker, until it dies */

static int keep(struct carom_call *call)
{
	return carom_reply(call, &(int64_t){ ++kept }, sizeof(kept));
}

static void square_all(struct carom_pool *pool)
{
	int64_t in[ITEMS], out[ITEMS];

	for (int i = 0; i < ITEMS; i++)
		in[i] = i;
	CHECK(carom_pool_map(pool, square, in, ITEMS, sizeof(*in), out, sizeof(*out), NULL) == 0);
	for (int64_t i = 0; i < ITEMS; i++)
		CHECK(out[i] == i * i);
}

static void lose_one(struct carom_pool *pool)
{
	struct carom_outcome outcome;
	int r = carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, &outcome);

	CHECK(r < 0 && outcome.kind == CAROM_OUTCOME_LOST && outcome.signal == SIGKILL);
}

static void use_a_pool(void)
{
	struct carom_pool *pool = NULL;
	int64_t value = 0;
	int fds;

	CHECK(carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1), &pool) == 0);
	carom_pool_free(pool); /* what a first pool makes for all of them is there now */
	fds = count_fds();
	CHECK(carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .statistics = true), &pool) ==
	      0);
	square_all(pool);
	lose_one(pool);
	lose_one(pool);
	square_all(pool);
	CHECK(carom_pool_apply(pool, keep, NULL, 0, &value, sizeof(value), NULL, NULL) == 0);
	CHECK(value == 1);
	carom_pool_free(pool);
	CHECK(count_fds() == fds);
	CHECK(carom_reset_for_tests() == 0);
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
}

/* ---- one at a time ---- */

static bool is_needed(int feature)
{
	return feature == CAROM_FEATURE_TID_ADDRESS || !carom_feature_fallback(feature) ||
	       (feature == CAROM_FEATURE_CLONE_PIDFD && denial_of("clone3"));
}

Test(degraded, whatever_is_denied_tasks_are_answered_and_a_death_costs_one, .timeout = 120)
{
	for (int i = 0; i < CAROM_FEATURE_COUNT; i++)
		if (!is_needed(i))
			cr_expect(zero(int,
				       apart_with("CAROM_DENY", carom_feature_name(i), use_a_pool)),
				  "without %s", carom_feature_name(i));
}

/* ---- as whole environments deny them ---- */

static int be_another_program(struct carom_call *call)
{
	char *arguments[] = { (char *)(uintptr_t) "sleep", (char *)(uintptr_t) "100", NULL };

	execvp("sleep", arguments);
	return -1;
}

/* What no pidfd tells: the process lives on, and it is no worker any more. */
static void lose_one_to_another_program(void)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_outcome outcome;
	int r;

	CHECK(carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1), &pool) == 0);
	r = carom_pool_apply(pool, be_another_program, NULL, 0, NULL, 0, NULL, &outcome);
	CHECK(r < 0 && outcome.kind == CAROM_OUTCOME_LOST && outcome.signal == SIGKILL);
	square_all(pool);
}

Test(degraded, without_ring_and_words_a_thread_waits_for_each_worker, .timeout = 60)
{
	cr_expect(zero(int, apart_with("CAROM_DENY", "io_uring,futex_waitv", use_a_pool)));
	NEEDS("get_robust_list");
	cr_expect(zero(int, apart_with("CAROM_DENY", "io_uring,futex_waitv",
				       lose_one_to_another_program)));
}

Test(degraded, without_clone3_and_pidfd_open_workers_are_held_from_birth, .timeout = 60)
{
	cr_expect(
		zero(int, apart_with("CAROM_DENY", "clone3,pidfd_open,pidfd_signal", use_a_pool)));
}

/* All that there is something else for, except the two that clone3 is the last way without. */
Test(degraded, with_nothing_that_can_be_missed, .timeout = 60)
{
	char all[1024] = "";

	for (int i = 0; i < CAROM_FEATURE_COUNT; i++) {
		if (i == CAROM_FEATURE_TID_ADDRESS || i == CAROM_FEATURE_CLONE_PIDFD)
			continue;
		strcat(all, carom_feature_name(i));
		strcat(all, ",");
	}
	cr_expect(zero(int, apart_with("CAROM_DENY", all, use_a_pool)));
}

/* ---- what there is no pool without ---- */

static void have_none(void)
{
	struct carom_pool *pool = NULL;

	CHECK(carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1), &pool) == -EOPNOTSUPP);
	CHECK(pool == NULL);
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
}

Test(degraded, without_any_clone_there_is_no_pool_and_that_is_said, .timeout = 60)
{
	cr_expect(zero(int, apart_with("CAROM_DENY", "clone3,clone_pidfd", have_none)));
	cr_expect(zero(int, apart_with("CAROM_DENY", "clone3,clone_pidfd,pidfd_open", have_none)));
	cr_expect(zero(int, apart_with("CAROM_DENY", "tid_address", have_none)));
}
