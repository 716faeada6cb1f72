/* More workers, less of them, new ones; nothing is lost by it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include "core/points.h"
#include "tests/pool/busy.h"

#define WORKERS_MAX 64

/* ---- who is there ---- */

static int64_t pids_of(struct carom_pool *pool, int64_t pids[WORKERS_MAX])
{
	struct carom_worker_info infos[WORKERS_MAX];
	int count = carom_pool_workers(pool, infos, WORKERS_MAX);

	for (int i = 0; i < count; i++)
		pids[i] = infos[i].pid;
	return count;
}

static bool has_pid(const int64_t *pids, int64_t count, int64_t pid)
{
	while (count-- > 0)
		if (pids[count] == pid)
			return true;
	return false;
}

static uint64_t soon(void)
{
	return carom_deadline_after(CAROM_SECONDS(30));
}

static void expect_gone(int64_t pid)
{
	uint64_t deadline = soon();

	while (kill((pid_t)pid, 0) == 0 && carom_now() < deadline)
		poll(NULL, 0, 1);
	cr_expect(kill((pid_t)pid, 0) < 0, "worker %d is still there", (int)pid);
}

static int64_t pid_of(struct carom_result *result)
{
	int64_t pid = 0;

	cr_expect(zero(int, carom_result_get(result, soon(), &pid, sizeof(pid), NULL)));
	carom_result_free(result);
	return pid;
}

/* ---- growing ---- */

/* PM-24 */
Test(resize, has_more_workers_as_soon_as_it_has_grown, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool_with_gate(2);
	struct carom_result *results[5];
	int64_t pids[WORKERS_MAX];

	cr_assert(zero(int, carom_pool_grow(pool, 3)));
	cr_assert(eq(i64, pids_of(pool, pids), 5));
	for (int i = 0; i < 5; i++)
		cr_expect(zero(int, kill((pid_t)pids[i], 0)));
	occupy(pool, results, 5);
	gate_open(gate, 5);
	for (int i = 0; i < 5; i++)
		pid_of(results[i]);
	cr_expect(zero(int, carom_pool_grow(pool, 0)));
}

Test(resize, grows_up_to_its_limit, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t pids[WORKERS_MAX];

	cr_assert(
		zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .worker_limit = 3),
					 &pool)));
	cr_expect(eq(int, carom_pool_grow(pool, 2), -ENOSPC));
	cr_expect(eq(int, carom_pool_grow(pool, UINT64_MAX), -ENOSPC));
	cr_expect(eq(i64, pids_of(pool, pids), 2));
	cr_expect(zero(int, carom_pool_grow(pool, 1)));
	cr_expect(eq(int, carom_pool_grow(pool, 1), -ENOSPC));
	cr_expect(eq(int, carom_pool_shrink(pool, 1, CAROM_SHRINK_AFTER_TASK), 1));
	cr_expect(zero(int, carom_pool_grow(pool, 1)));
}

static void *grow_by_one(void *pool)
{
	return (void *)(intptr_t)carom_pool_grow(pool, 1);
}

static uint64_t wanted(struct carom_pool *pool)
{
	struct carom_pool_statistics statistics;

	cr_assert(zero(int, carom_pool_statistics(pool, &statistics)));
	return statistics.worker_count;
}

/* The place is free only once who had it has gone, and nobody can be made for it then. */
Test(resize, does_not_wait_for_what_cannot_be_made, .timeout = 30)
{
	struct rlimit limit, none;
	struct carom_pool *pool = NULL;
	int64_t pids[WORKERS_MAX];
	pthread_t thread;
	void *r;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .isolated = 1,
							       .max_restarts = CAROM_NO_LIMIT),
					   &pool)));
	cr_assert(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
	cr_assert(eq(i64, pids_of(pool, pids), 2));
	cr_assert(zero(int, kill((pid_t)pids[1], SIGSTOP)));
	cr_assert(eq(int, carom_pool_shrink(pool, 1, CAROM_SHRINK_AFTER_TASK), 1));
	cr_assert(zero(int, pthread_create(&thread, NULL, grow_by_one, pool)));
	while (wanted(pool) != 2)
		sched_yield();
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
	cr_assert(zero(int, kill((pid_t)pids[1], SIGCONT)));
	pthread_join(thread, &r);
	setrlimit(RLIMIT_NOFILE, &limit);
	cr_expect(eq(i64, (intptr_t)r, 0));
	cr_expect(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
	carom_pool_free(pool);
}

Test(resize, has_a_limit_that_holds_its_workers, .timeout = 30)
{
	struct carom_pool *pool = NULL;

	cr_expect(
		eq(int,
		   carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 3, .worker_limit = 2), &pool),
		   -EINVAL));
	cr_expect(eq(int,
		     carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 3,
							.worker_limit = CAROM_WORKERS_MAX + 1),
				    &pool),
		     -EINVAL));
}

/* more than fit a word of the lane's masks */
Test(resize, works_with_workers_beyond_the_sixtyfourth, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *results[70];

	gate = gate_new();
	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .worker_limit = 200),
				      &pool)));
	cr_assert(zero(int, carom_pool_grow(pool, 69)));
	occupy(pool, results, 70);
	cr_expect(eq(int, carom_pool_shrink(pool, 69, CAROM_SHRINK_IDLE_ONLY), 0));
	cr_expect(eq(int, carom_pool_shrink(pool, 69, CAROM_SHRINK_AFTER_TASK), 69));
	gate_open(gate, 70);
	for (int i = 0; i < 70; i++)
		pid_of(results[i]);
	cr_expect(eq(int, carom_pool_workers(pool, NULL, 0), 1));
	cr_expect(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
}

/* ---- shrinking ---- */

/* PM-25 */
Test(resize, sends_idle_workers_away_and_leaves_busy_ones, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool_with_gate(3);
	struct carom_result *results[2];
	int64_t before[WORKERS_MAX], after[WORKERS_MAX], busy[2];

	occupy(pool, results, 2);
	pids_of(pool, before);
	cr_expect(eq(int, carom_pool_shrink(pool, 2, CAROM_SHRINK_IDLE_ONLY), 1));
	cr_expect(eq(i64, pids_of(pool, after), 2));
	for (int i = 0; i < 3; i++)
		if (!has_pid(after, 2, before[i]))
			expect_gone(before[i]);
	gate_open(gate, 2);
	for (int i = 0; i < 2; i++)
		cr_expect(has_pid(after, 2, busy[i] = pid_of(results[i])));
	cr_expect(ne(i64, busy[0], busy[1]));
}

Test(resize, lets_busy_workers_end_their_task, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool_with_gate(2);
	struct carom_result *results[2];
	int64_t left[WORKERS_MAX], pids[2];

	occupy(pool, results, 2);
	cr_expect(eq(int, carom_pool_shrink(pool, 1, CAROM_SHRINK_AFTER_TASK), 1));
	cr_expect(eq(i64, pids_of(pool, left), 1));
	gate_open(gate, 2);
	for (int i = 0; i < 2; i++)
		pids[i] = pid_of(results[i]);
	expect_gone(pids[0] == left[0] ? pids[1] : pids[0]);
	cr_expect(zero(int, kill((pid_t)left[0], 0)));
}

Test(resize, keeps_one_worker, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(3);

	cr_expect(eq(int, carom_pool_shrink(pool, 100, CAROM_SHRINK_AFTER_TASK), 2));
	cr_expect(zero(int, carom_pool_shrink(pool, 1, CAROM_SHRINK_AFTER_TASK)));
	cr_expect(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
}

/* ---- replacing ---- */

static void expect_all_new(struct carom_pool *pool, const int64_t *before, int64_t count)
{
	int64_t after[WORKERS_MAX];

	cr_expect(eq(i64, pids_of(pool, after), count));
	for (int i = 0; i < count; i++) {
		cr_expect(ne(i64, after[i], 0));
		cr_expect(not(has_pid(before, count, after[i])));
		expect_gone(before[i]);
	}
}

/* PC-18 */
/* PM-23 */
Test(resize, replaces_idle_workers_without_a_task, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(4);
	int64_t before[WORKERS_MAX];

	pids_of(pool, before);
	cr_assert(zero(int, carom_pool_restart(pool, CAROM_RESTART_AT_ONCE, soon())));
	expect_all_new(pool, before, 4);
	cr_expect(eq(int, carom_pool_did_start_ok(pool), 1));
}

Test(resize, replaces_its_workers_one_after_the_other, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(4);
	int64_t before[WORKERS_MAX];

	pids_of(pool, before);
	cr_assert(zero(int, carom_pool_restart(pool, CAROM_RESTART_ROLLING, soon())));
	expect_all_new(pool, before, 4);
}

Test(resize, replaces_a_busy_worker_after_its_task, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool_with_gate(2);
	struct carom_result *results[1];
	int64_t before[WORKERS_MAX];

	pids_of(pool, before);
	occupy(pool, results, 1);
	cr_expect(
		eq(int, carom_pool_restart(pool, CAROM_RESTART_AT_ONCE, CAROM_PASSED), -ETIMEDOUT));
	cr_expect(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
	gate_open(gate, 1);
	cr_expect(has_pid(before, 2, pid_of(results[0])));
	expect_gone(before[0]);
	expect_gone(before[1]);
	cr_expect(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
}

Test(resize, of_a_rolling_restart_stops_where_it_takes_too_long, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool_with_gate(3);
	struct carom_result *results[3];
	int64_t before[WORKERS_MAX], after[WORKERS_MAX];
	int same = 0;

	pids_of(pool, before);
	occupy(pool, results, 3);
	cr_expect(eq(int,
		     carom_pool_restart(pool, CAROM_RESTART_ROLLING,
					carom_deadline_after(CAROM_MILLISECONDS(20))),
		     -ETIMEDOUT));
	gate_open(gate, 3);
	for (int i = 0; i < 3; i++)
		pid_of(results[i]);
	expect_gone(before[0]);
	pids_of(pool, after);
	for (int i = 1; i < 3; i++)
		same += before[i] == after[i];
	cr_expect(eq(int, same, 2));
}

/* ---- indices ---- */

static void expect_indices(struct carom_pool *pool, int count)
{
	struct carom_worker_info infos[WORKERS_MAX];

	cr_assert(eq(int, carom_pool_workers(pool, infos, WORKERS_MAX), count));
	for (int i = 0; i < count; i++)
		cr_expect(eq(u64, infos[i].index, (uint64_t)i));
}

/* PC-25 */
Test(resize, keeps_indices_small_and_gives_them_to_replacements, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(3);
	struct carom_worker_info infos[3];

	cr_assert(zero(int, carom_pool_grow(pool, 2)));
	expect_indices(pool, 5);
	cr_assert(eq(int, carom_pool_shrink(pool, 3, CAROM_SHRINK_AFTER_TASK), 3));
	expect_indices(pool, 2);
	cr_assert(zero(int, carom_pool_grow(pool, 1)));
	expect_indices(pool, 3);
	carom_pool_workers(pool, infos, 3);
	kill((pid_t)infos[1].pid, SIGKILL);
	expect_gone(infos[1].pid);
	cr_assert(zero(int, carom_pool_wait_ready(pool, soon())));
	carom_pool_workers(pool, infos, 3);
	cr_expect(eq(u64, infos[1].replaced_count, 1));
	expect_indices(pool, 3);
}

/* ---- when it cannot be ---- */

static void expect_no_change(struct carom_pool *pool, int error)
{
	cr_expect(eq(int, carom_pool_grow(pool, 1), error));
	cr_expect(eq(int, carom_pool_shrink(pool, 1, CAROM_SHRINK_AFTER_TASK), error));
	cr_expect(eq(int, carom_pool_restart(pool, CAROM_RESTART_AT_ONCE, CAROM_PASSED), error));
	cr_expect(eq(int, carom_pool_restart(pool, CAROM_RESTART_ROLLING, CAROM_PASSED), error));
}

Test(resize, is_refused_by_a_pool_that_ends, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);

	carom_pool_close(pool);
	expect_no_change(pool, -ESHUTDOWN);
	carom_pool_terminate(pool);
	expect_no_change(pool, -ESHUTDOWN);
}

Test(resize, is_refused_by_a_broken_pool, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	cr_assert(
		zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .break_on_loss = 1),
					 &pool)));
	cr_expect(eq(int, carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, NULL),
		     -EREMOTEIO));
	cr_assert(eq(int, carom_pool_wait_ready(pool, soon()), -ENOTRECOVERABLE));
	expect_no_change(pool, -ENOTRECOVERABLE);
}

Test(resize, refuses_ways_that_there_are_not, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);

	cr_expect(eq(int, carom_pool_shrink(pool, 1, (enum carom_shrink)7), -EINVAL));
	cr_expect(eq(int, carom_pool_restart(pool, (enum carom_restart_order)7, CAROM_PASSED),
		     -EINVAL));
}

/* ---- under load ---- */

struct load {
	pthread_t thread;
	struct carom_pool *pool;
	_Atomic bool stop;
	uint64_t done;
	uint64_t wrong;
	bool may_lose;
};

static void *submit_and_check(void *userdata)
{
	struct load *load = userdata;

	for (int64_t x = 0; !load->stop; x++) {
		struct carom_outcome outcome;
		int64_t y = -1;
		int r = carom_pool_apply(load->pool, square, &x, 8, &y, 8, NULL, &outcome);
		bool lost = r == -EREMOTEIO && outcome.kind == CAROM_OUTCOME_LOST;

		load->wrong += !(r == 0 && y == x * x) && !(load->may_lose && lost);
		load->done++;
	}
	return NULL;
}

static void begin_load(struct load *loads, int count, struct carom_pool *pool)
{
	for (int i = 0; i < count; i++) {
		loads[i] = (struct load){ .pool = pool, .may_lose = loads[i].may_lose };
		pthread_create(&loads[i].thread, NULL, submit_and_check, &loads[i]);
	}
}

static uint64_t end_load(struct load *loads, int count)
{
	uint64_t done = 0;

	for (int i = 0; i < count; i++)
		loads[i].stop = true;
	for (int i = 0; i < count; i++) {
		pthread_join(loads[i].thread, NULL);
		cr_expect(zero(u64, loads[i].wrong));
		done += loads[i].done;
	}
	return done;
}

static void resize_at_random(struct carom_pool *pool, uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1;
	switch (*state >> 60) {
	case 0 ... 5:
		carom_pool_grow(pool, *state >> 32 & 3);
		break;
	case 6 ... 12:
		cr_expect(ge(int,
			     carom_pool_shrink(pool, *state >> 32 & 3,
					       *state >> 40 & 1 ? CAROM_SHRINK_AFTER_TASK
								: CAROM_SHRINK_IDLE_ONLY),
			     0));
		break;
	default:
		carom_pool_restart(pool, CAROM_RESTART_AT_ONCE, CAROM_PASSED);
	}
}

static void resize_under_load(struct load *loads, int count, int rounds)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	uint64_t state = (uint64_t)seed_from_environment();

	cr_assert(
		zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .worker_limit = 8),
					 &pool)));
	begin_load(loads, count, pool);
	for (int i = 0; i < rounds; i++)
		resize_at_random(pool, &state);
	cr_expect(lt(u64, 0, end_load(loads, count)));
	cr_expect(zero(int, carom_pool_wait_ready(pool, soon())));
	cr_expect(eq(int, carom_pool_state(pool), CAROM_POOL_RUNNING));
}

/* SN-12 */
Test(resize, pain_29_grows_and_shrinks_at_random_under_load, .timeout = 60)
{
	struct load loads[3] = { 0 };

	resize_under_load(loads, 3, 600);
}

/* A worker that is told to go, and killed on its way out, takes nothing with it. */
Test(resize, survives_the_death_of_who_is_about_to_go, .timeout = 120)
{
	static const char *const steps[] = { "dismiss.seen", "dismiss.passed" };

	if (carom_point_arm("lane.alive", 1) == -EOPNOTSUPP)
		cr_skip_test("built without points (-Dpoints=true)");
	carom_point_disarm_all();
	for (int i = 0; i < 2; i++) {
		struct load loads[3] = { 0 };

		cr_assert(zero(int, carom_point_arm(steps[i], 2)));
		resize_under_load(loads, 3, 300);
		cr_expect(lt(uint, 20, carom_point_hits(steps[i])));
		carom_point_disarm_all();
	}
}
