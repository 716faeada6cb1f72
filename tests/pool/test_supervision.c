/* Deaths, restarts, breaking, and ending: what the pool does about its workers, and says. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/loop_backend.h"
#include "core/points.h"
#include "core/service.h"
#include "pool/pool_private.h"
#include "tests/occupy.h"
#include "tests/pool/busy.h"

static uint64_t soon(void)
{
	return carom_deadline_after(CAROM_SECONDS(30));
}

static int ignore_and_hang(struct carom_call *call)
{
	signal(SIGTERM, SIG_IGN);
	gate_pass(gate, UINT32_MAX - 1);
	return 0;
}

static struct carom_outcome outcome_of(struct carom_result *result)
{
	struct carom_outcome outcome;

	cr_assert(zero(int, carom_result_wait(result, soon())));
	carom_result_outcome(result, &outcome);
	carom_result_free(result);
	return outcome;
}

static int64_t pid_of_worker(struct carom_pool *pool, int which)
{
	struct carom_worker_info infos[8];

	carom_pool_workers(pool, infos, 8);
	return infos[which].pid;
}

/* never 0, which would be everybody */
static void kill_worker(struct carom_pool *pool, int which)
{
	int64_t pid;

	while ((pid = pid_of_worker(pool, which)) == 0)
		sched_yield();
	kill((pid_t)pid, SIGKILL);
}

static void skip_without_points(void)
{
	if (carom_point_arm("lane.alive", 1) == -EOPNOTSUPP)
		cr_skip_test("built without points (-Dpoints=true)");
	carom_point_disarm_all();
}

/* from then on nobody looks because some time has passed: what comes is told by the kernel */
static void await_no_timer(struct carom_pool *pool)
{
	const struct carom_loop *loop = carom_service_loop(pool->service);

	while (*(const volatile uint64_t *)&loop->armed_ns != CAROM_NO_DEADLINE)
		sched_yield();
}

/* ---- states ---- */

/* PH-01 */
Test(supervision, tells_the_state_of_a_pool, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);

	cr_expect(eq(int, carom_pool_state(pool), CAROM_POOL_RUNNING));
	carom_pool_close(pool);
	cr_expect(eq(int, carom_pool_state(pool), CAROM_POOL_CLOSED));
	carom_pool_terminate(pool);
	cr_expect(eq(int, carom_pool_state(pool), CAROM_POOL_TERMINATED));
	carom_pool_close(pool);
	cr_expect(eq(int, carom_pool_state(pool), CAROM_POOL_TERMINATED));
	carom_pool_free(pool);
}

/* PH-22 */
Test(supervision, describes_a_pool, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	char text[64];

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 3, .name = "ovens"),
					   &pool)));
	cr_expect(eq(str, carom_pool_describe(pool, text, sizeof(text)),
		     (char *)"<Pool 'ovens' state=running workers=3>"));
	carom_pool_terminate(pool);
	cr_expect(eq(str, carom_pool_describe(pool, text, 12), (char *)"<Pool 'oven"));
}

Test(supervision, tells_what_a_pool_was_made_with, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_pool_options options = CAROM_POOL_OPTIONS(.hard_limit_ns = 1);

	cr_assert(
		zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .max_restarts = 7),
					 &pool)));
	cr_assert(zero(int, carom_pool_grow(pool, 1)));
	cr_assert(zero(int, carom_pool_get_options(pool, &options)));
	cr_expect(eq(u64, options.worker_count, 3));
	cr_expect(eq(u64, options.max_restarts, 7));
	cr_expect(eq(u64, options.worker_limit, 64));
	cr_expect(eq(u64, options.slot_count, 4096));
	cr_expect(zero(u64, options.hard_limit_ns));
	options.size_bytes = 0;
	cr_expect(eq(int, carom_pool_get_options(pool, &options), -EINVAL));
}

/* PM-26 */
Test(supervision, tells_whether_workers_have_started_well, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);

	cr_expect(zero(int, carom_pool_wait_ready(pool, soon())));
	cr_expect(eq(int, carom_pool_did_start_ok(pool), 1));
	kill_worker(pool, 0);
	while (carom_pool_did_start_ok(pool))
		poll(NULL, 0, 1);
	cr_expect(zero(int, carom_pool_wait_ready(pool, soon())));
	carom_pool_close(pool);
	cr_expect(eq(int, carom_pool_wait_ready(pool, soon()), -ESHUTDOWN));
}

static int sleep_long(const void *data, size_t size)
{
	poll(NULL, 0, 20000);
	return 0;
}

Test(supervision, waits_for_readiness_no_longer_than_it_is_told, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .initializer = sleep_long),
					   &pool)));
	cr_expect(eq(int, carom_pool_wait_ready(pool, carom_deadline_after(CAROM_MILLISECONDS(20))),
		     -ETIMEDOUT));
}

/* ---- what counts ---- */

/* PC-08 */
/* PC-09 */
/* ER-09 */
Test(supervision, breaks_when_too_many_die_in_a_window, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_broken broken;

	skip_without_points();
	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .max_restarts = 3,
							  .restart_window_ns = CAROM_SECONDS(100)),
				      &pool)));
	cr_expect(zero(int, carom_pool_broken(pool, &broken)));
	cr_assert(zero(int, carom_point_arm("lane.alive", 1)));
	kill_worker(pool, 0);
	while (carom_pool_state(pool) == CAROM_POOL_RUNNING)
		poll(NULL, 0, 1);
	cr_expect(eq(int, carom_pool_wait_ready(pool, soon()), -ENOTRECOVERABLE));
	carom_point_disarm_all();
	cr_assert(eq(int, carom_pool_broken(pool, &broken), 1));
	cr_expect(eq(u64, broken.reason, CAROM_BROKEN_RESTART_LIMIT));
	cr_expect(eq(str, broken.text, (char *)"3 in 100s"));
}

/* RP-03 */
Test(supervision, of_a_broken_pool_says_so_to_those_who_wait_and_those_who_come, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *results[3];
	struct carom_outcome outcome;
	char text[160];

	gate = gate_new();
	cr_assert(
		zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .break_on_loss = 1),
					 &pool)));
	occupy(pool, results, 2);
	cr_assert(zero(int, carom_pool_apply_async(pool, nothing, NULL, 0, NULL, &results[2])));
	kill_worker(pool, 0);
	for (int i = 0; i < 3; i++) {
		outcome = outcome_of(results[i]);
		if (outcome.kind == CAROM_OUTCOME_LOST)
			continue;
		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_POOL_BROKEN));
		cr_expect(eq(int, outcome.code, CAROM_BROKEN_LOSS));
		cr_expect(eq(str, carom_outcome_describe(&outcome, text, sizeof(text)),
			     (char *)"pool broken: a worker was lost"));
	}
	cr_expect(eq(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL),
		     -ENOTRECOVERABLE));
	cr_expect(eq(int, carom_pool_maintain(pool), -ENOTRECOVERABLE));
}

static int die_at_3(struct carom_call *call)
{
	if (carom_call_index(call) == 3)
		kill(getpid(), SIGKILL);
	return 0;
}

Test(supervision, of_a_broken_pool_says_so_for_each_item_of_a_map, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_outcome outcomes[200];
	int64_t items[200] = { 0 };
	int broken = 0, others = 0;

	cr_assert(
		zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .break_on_loss = 1),
					 &pool)));
	carom_pool_map(pool, die_at_3, items, 200, 8, NULL, 0,
		       &CAROM_MAP_OPTIONS(.chunk_size = 10, .outcomes = outcomes));
	for (int i = 0; i < 200; i++) {
		broken += outcomes[i].kind == CAROM_OUTCOME_POOL_BROKEN;
		others += outcomes[i].kind != CAROM_OUTCOME_POOL_BROKEN &&
			  outcomes[i].kind != CAROM_OUTCOME_OK &&
			  outcomes[i].kind != CAROM_OUTCOME_LOST;
	}
	cr_expect(zero(int, others));
	cr_expect(lt(int, 0, broken));
	cr_expect(eq(int, outcomes[3].kind, CAROM_OUTCOME_LOST));
}

Test(supervision, ends_the_program_when_its_pool_breaks_if_that_is_asked_for, .timeout = 30)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct carom_pool *pool = NULL;

		carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .break_on_loss = 1,
						   .kill_self_on_break = 1),
			       &pool);
		carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, NULL);
		for (;;)
			pause();
	}
	cr_assert(eq(int, waitpid(child, &status, 0), child));
	cr_expect(eq(int, status, SIGTERM));
}

/* RP-02 */
Test(supervision, does_not_count_workers_that_come_and_go_as_they_should, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_restart_state state;

	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .max_restarts = 1,
							  .restart_window_ns = CAROM_SECONDS(100)),
				      &pool)));
	for (int i = 0; i < 5; i++) {
		cr_expect(zero(int, carom_pool_grow(pool, 2)));
		cr_expect(zero(int, carom_pool_restart(pool, CAROM_RESTART_AT_ONCE, soon())));
		cr_expect(eq(int, carom_pool_shrink(pool, 2, CAROM_SHRINK_AFTER_TASK), 2));
	}
	cr_assert(zero(int, carom_pool_restart_state(pool, &state)));
	cr_expect(zero(u64, state.restart_count));
	cr_expect(zero(u64, state.loss_count));
	cr_expect(eq(int, carom_pool_state(pool), CAROM_POOL_RUNNING));
}

/* MS-07 */
/* RP-04 */
/* RP-05 */
Test(supervision, forgets_deaths_once_a_task_has_begun, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .max_restarts = 2,
							  .restart_window_ns = CAROM_SECONDS(100)),
				      &pool)));
	for (int i = 0; i < 20; i++)
		cr_assert(eq(int, carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, NULL),
			     -EREMOTEIO));
	cr_expect(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
}

/* PH-05 */
Test(supervision, shows_how_far_a_pool_is_from_being_broken, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct carom_restart_state state;

	cr_assert(zero(int, carom_pool_restart_state(pool, &state)));
	cr_expect(eq(u64, state.max_restarts, 200));
	cr_expect(eq(u64, state.window_ns, CAROM_NS_PER_SEC));
	cr_expect(zero(u64, state.restart_count));
	kill_worker(pool, 0);
	while (carom_pool_restart_state(pool, &state) == 0 && !state.restart_count)
		poll(NULL, 0, 1);
	cr_expect(eq(u64, state.restart_count, 1));
	cr_expect(eq(u64, state.loss_count, 1));
}

/* ---- replacing ---- */

/* PM-29 */
/* P3: at full size again, and soon */
Test(supervision, replaces_a_dead_worker_when_the_kernel_says_so, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);

	for (int i = 0; i < 20; i++) {
		int64_t dead = pid_of_worker(pool, 0);

		cr_assert(ne(i64, dead, 0));
		await_no_timer(pool);
		kill((pid_t)dead, SIGKILL);
		while (pid_of_worker(pool, 0) == dead || pid_of_worker(pool, 0) == 0)
			sched_yield();
		cr_assert(zero(int, carom_pool_wait_ready(pool, soon())));
	}
}

/* WK-25 */
Test(supervision, pain_2_idle_workers_hold_nothing_that_others_need, .timeout = 120)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	int64_t x = 3, y = 0;

	for (int i = 0; i < 100; i++) {
		cr_assert(zero(int, carom_pool_wait_ready(pool, soon())));
		kill_worker(pool, 0);
		kill_worker(pool, 1);
		cr_assert(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
	}
}

/* ER-21 */
/* PX-04 */
Test(supervision, pain_11_one_death_costs_one_task, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct carom_result *results[100];
	int lost = 0;

	for (int64_t i = 0; i < 100; i++)
		cr_assert(zero(int, carom_pool_apply_async(pool, i == 50 ? kill_self : square, &i,
							   8, NULL, &results[i])));
	for (int i = 0; i < 100; i++) {
		struct carom_outcome outcome = outcome_of(results[i]);

		cr_expect(i == 50 || outcome.kind == CAROM_OUTCOME_OK);
		lost += outcome.kind == CAROM_OUTCOME_LOST;
	}
	cr_expect(eq(int, lost, 1));
}

/* WL-03 */
Test(supervision, pain_1_the_caller_of_a_killed_worker_is_answered_at_once, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool_with_gate(2);
	struct carom_result *result;
	struct carom_outcome outcome;

	for (int i = 0; i < 5; i++) {
		atomic_store(&gate->begun, 0);
		occupy(pool, &result, 1);
		await_no_timer(pool);
		for (int w = 0; w < 2; w++)
			kill_worker(pool, w);
		outcome = outcome_of(result);
		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
		cr_expect(eq(int, outcome.signal, SIGKILL));
		cr_assert(zero(int, carom_pool_wait_ready(pool, soon())));
	}
}

/* WL-04 */
/* WL-05 */
Test(supervision, what_a_dying_worker_had_not_begun_runs_elsewhere, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t x = 9, y = 0;

	skip_without_points();
	pool = new_pool(2);
	cr_assert(zero(int, carom_point_arm("lane.claim.before", 2)));
	for (int i = 0; i < 200; i++) {
		y = 0;
		cr_assert(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
		cr_assert(eq(i64, y, 81));
	}
	cr_expect(lt(uint, 20, carom_point_hits("lane.claim.before")));
	carom_point_disarm_all();
}

/* RP-10 */
Test(supervision, goes_on_replacing_workers_until_a_closed_pool_has_done_its_work, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool_with_gate(1);
	struct carom_result *results[4];

	occupy(pool, results, 1);
	for (int i = 1; i < 4; i++)
		cr_assert(zero(int,
			       carom_pool_apply_async(pool, nothing, NULL, 0, NULL, &results[i])));
	carom_pool_close(pool);
	kill_worker(pool, 0);
	cr_expect(eq(int, outcome_of(results[0]).kind, CAROM_OUTCOME_LOST));
	for (int i = 1; i < 4; i++)
		cr_expect(eq(int, outcome_of(results[i]).kind, CAROM_OUTCOME_OK));
	cr_expect(zero(int, carom_pool_join(pool, soon())));
}

/* ---- a shortage ---- */

/* PM-27 */
/* ER-19 */
Test(supervision, maintaining_says_what_workers_cannot_be_made_for, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct rlimit before, none;
	int r;

	occupy_low_descriptors();
	pool = new_pool(2);
	cr_expect(zero(int, carom_pool_maintain(pool)));
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = OCCUPIED;
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &none)));
	kill_worker(pool, 0);
	while ((r = carom_pool_maintain(pool)) == 0)
		poll(NULL, 0, 1);
	cr_expect(eq(int, r, -EMFILE));
	setrlimit(RLIMIT_NOFILE, &before);
	cr_expect(zero(int, carom_pool_wait_ready(pool, soon())));
	cr_expect(zero(int, carom_pool_maintain(pool)));
	cr_expect(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
}

/* ---- hooks ---- */

struct counts {
	_Atomic int up, down, grown, shrunk, task_down;
	_Atomic int64_t indices;
	struct carom_worker_event last_down;
};

static void count_up(const struct carom_worker_event *event, void *userdata)
{
	struct counts *counts = userdata;

	counts->up++;
	atomic_fetch_or(&counts->indices, INT64_C(1) << event->index);
}

static void count_down(const struct carom_worker_event *event, void *userdata)
{
	struct counts *counts = userdata;

	counts->last_down = *event;
	counts->down++;
}

static void count_grow(uint64_t count, void *userdata)
{
	((struct counts *)userdata)->grown += (int)count;
}

static void count_shrink(uint64_t count, void *userdata)
{
	cr_expect(eq(u64, count, 1));
	((struct counts *)userdata)->shrunk++;
}

static void count_task_down(uint64_t task_id, int64_t pid, void *userdata)
{
	((struct counts *)userdata)->task_down++;
}

static struct carom_pool *new_pool_with_hooks(uint64_t workers, struct counts *counts)
{
	struct carom_pool *pool = NULL;

	cr_assert(zero(
		int,
		carom_pool_new(
			&CAROM_POOL_OPTIONS(.worker_count = workers,
					    .hooks =
						    &CAROM_POOL_HOOKS(.userdata = counts,
								      .on_process_up = count_up,
								      .on_process_down = count_down,
								      .on_grow = count_grow,
								      .on_shrink = count_shrink,
								      .on_job_process_down =
									      count_task_down)),
			&pool)));
	return pool;
}

static void await_count(_Atomic int *count, int value)
{
	uint64_t deadline = soon();

	while (*count < value && carom_now() < deadline)
		poll(NULL, 0, 1);
	cr_expect(eq(int, *count, value));
}

/* PC-10 */
Test(supervision, calls_a_hook_for_each_worker_that_was_started, .timeout = 30)
{
	struct counts counts = { 0 };
	struct carom_pool *pool = new_pool_with_hooks(3, &counts);

	await_count(&counts.up, 3);
	cr_expect(eq(i64, counts.indices, 7));
	carom_pool_free(pool);
}

/* PC-11 */
/* PH-11 */
Test(supervision, calls_a_hook_for_each_worker_that_has_ended, .timeout = 30)
{
	struct counts counts = { 0 };
	struct carom_pool *pool = new_pool_with_hooks(2, &counts);

	cr_expect(eq(int, carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, NULL),
		     -EREMOTEIO));
	await_count(&counts.down, 1);
	cr_expect(eq(int, counts.last_down.signal, SIGKILL));
	cr_expect(eq(int, counts.last_down.exit_status, -1));
	cr_expect(eq(u64, counts.last_down.reason, CAROM_EXIT_REASON_LOST));
	await_count(&counts.task_down, 1);
	carom_pool_free(pool);
	cr_expect(eq(int, counts.down, counts.up));
}

/* PH-09 */
Test(supervision, calls_hooks_when_the_pool_grows_and_shrinks, .timeout = 30)
{
	struct counts counts = { 0 };
	struct carom_pool *pool = new_pool_with_hooks(1, &counts);

	cr_assert(zero(int, carom_pool_grow(pool, 3)));
	cr_assert(eq(int, carom_pool_shrink(pool, 2, CAROM_SHRINK_AFTER_TASK), 2));
	await_count(&counts.grown, 3);
	await_count(&counts.shrunk, 2);
	await_count(&counts.down, 2);
	cr_expect(eq(u64, counts.last_down.reason, CAROM_EXIT_REASON_ENDED));
	cr_expect(zero(int, counts.last_down.exit_status));
	carom_pool_free(pool);
}

static void terminate_pool(const struct carom_worker_event *event, void *userdata)
{
	carom_pool_terminate(*(struct carom_pool **)userdata);
}

/* PM-32 */
Test(supervision, may_be_ended_from_a_hook, .timeout = 30)
{
	struct carom_pool *pool = NULL;

	cr_assert(zero(
		int,
		carom_pool_new(
			&CAROM_POOL_OPTIONS(.worker_count = 2,
					    .hooks = &CAROM_POOL_HOOKS(.userdata = &pool,
								       .on_process_down =
									       terminate_pool)),
			&pool)));
	carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, NULL);
	while (carom_pool_join(pool, soon()) == -EINVAL)
		poll(NULL, 0, 1);
	cr_expect(eq(int, carom_pool_state(pool), CAROM_POOL_TERMINATED));
	carom_pool_free(pool);
}

/* ---- what is logged ---- */

static struct {
	_Atomic int errors, unfinished;
	char text[128];
} said;

static void listen_to(const struct carom_log_record *record, void *userdata)
{
	if (record->event == CAROM_LOG_EVENT_WORKER_ENDED && record->level >= CAROM_LOG_ERROR) {
		snprintf(said.text, sizeof(said.text), "%s", record->text);
		said.errors++;
	}
	said.unfinished += record->event == CAROM_LOG_EVENT_POOL_UNFINISHED;
}

/* RP-08 */
/* WK-01 */
Test(supervision, logs_the_ends_of_workers_that_nobody_wanted, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	char expected[128];

	carom_log_to(listen_to, NULL);
	snprintf(expected, sizeof(expected),
		 "Process 'ForkServerPoolWorker-1' pid:%d exited with 'signal 9 (SIGKILL)'",
		 (int)pid_of_worker(pool, 0));
	carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, NULL);
	await_count(&said.errors, 1);
	cr_expect(eq(str, said.text, expected));
	cr_expect(zero(int, carom_pool_restart(pool, CAROM_RESTART_AT_ONCE, soon())));
	carom_pool_close(pool);
	cr_expect(zero(int, carom_pool_join(pool, soon())));
	carom_pool_free(pool);
	carom_log_to(NULL, NULL);
	cr_expect(eq(int, said.errors, 1));
}

/* PH-23 */
Test(supervision, warns_of_tasks_that_a_freed_pool_has_not_done, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);

	carom_log_to(listen_to, NULL);
	carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL);
	carom_pool_free(pool);
	cr_expect(zero(int, said.unfinished));
	pool = new_pool(1);
	cr_assert(zero(int, carom_pool_apply_async(pool, hang, NULL, 0, NULL, NULL)));
	carom_pool_free(pool);
	carom_log_to(NULL, NULL);
	cr_expect(eq(int, said.unfinished, 1));
}

/* ---- ending ---- */

Test(supervision, of_a_pool_that_is_drained_ends_by_itself, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct carom_result *results[50];

	for (int i = 0; i < 50; i++)
		cr_assert(zero(int,
			       carom_pool_apply_async(pool, nothing, NULL, 0, NULL, &results[i])));
	cr_expect(zero(int, carom_pool_drain(pool, soon())));
	for (int i = 0; i < 50; i++)
		cr_expect(eq(int, outcome_of(results[i]).kind, CAROM_OUTCOME_OK));
}

/* P9 */
Test(supervision, of_a_pool_that_is_drained_ends_by_the_deadline, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool_with_gate(2);
	struct carom_result *results[5];

	occupy(pool, results, 2);
	for (int i = 2; i < 5; i++)
		cr_assert(zero(int,
			       carom_pool_apply_async(pool, nothing, NULL, 0, NULL, &results[i])));
	cr_expect(eq(int, carom_pool_drain(pool, carom_deadline_after(CAROM_MILLISECONDS(20))), 5));
	for (int i = 0; i < 5; i++)
		cr_expect(eq(int, outcome_of(results[i]).kind,
			     i < 2 ? CAROM_OUTCOME_TERMINATED : CAROM_OUTCOME_POOL_CLOSED));
}

/* PX-07 */
/* WL-02 */
Test(supervision, kills_workers_that_do_not_want_to_end, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool_with_gate(1);
	struct carom_result *result;
	struct carom_outcome outcome;

	cr_assert(zero(int, carom_pool_apply_async(pool, ignore_and_hang, NULL, 0, NULL, &result)));
	gate_await(&gate->begun, 1);
	cr_expect(zero(int, carom_pool_kill(pool)));
	outcome = outcome_of(result);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_TERMINATED));
	cr_expect(eq(int, outcome.signal, SIGKILL));
}

Test(supervision, terminates_those_who_ignore_it_by_force, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *result;

	gate = gate_new();
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .grace_ns = CAROM_MILLISECONDS(50)),
					   &pool)));
	cr_assert(zero(int, carom_pool_apply_async(pool, ignore_and_hang, NULL, 0, NULL, &result)));
	gate_await(&gate->begun, 1);
	cr_expect(zero(int, carom_pool_terminate(pool)));
	cr_expect(eq(int, outcome_of(result).signal, SIGKILL));
}

/* who does not ignore it has until the grace is over */
Test(supervision, terminates_the_others_without_force, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *results[2];

	gate = gate_new();
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2,
							       .grace_ns = CAROM_SECONDS(60)),
					   &pool)));
	occupy(pool, results, 2);
	cr_expect(zero(int, carom_pool_terminate(pool)));
	for (int i = 0; i < 2; i++)
		cr_expect(eq(int, outcome_of(results[i]).signal, SIGTERM));
}

/* PM-31 */
Test(supervision, ends_at_once_whatever_is_queued, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	uint64_t begun;

	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .slot_count = 32768),
				      &pool)));
	cr_assert(zero(int, carom_pool_apply_async(pool, hang, NULL, 0, NULL, NULL)));
	for (int i = 0; i < 32000; i++)
		cr_assert(zero(int, carom_pool_apply_async(pool, nothing, NULL, 0, NULL, NULL)));
	begun = carom_now();
	cr_expect(zero(int, carom_pool_terminate(pool)));
	cr_expect(lt(u64, carom_now() - begun, CAROM_SECONDS(5)));
}

static void *submit_on(void *pool)
{
	int64_t x = 1;

	while (carom_pool_apply(pool, square, &x, 8, NULL, 0, NULL, NULL) != -ESHUTDOWN)
		;
	return NULL;
}

/* as often as there is time; each time at another instant */
Test(supervision, pain_3_ending_never_hangs, .timeout = 120)
{
	uint64_t seed = (uint64_t)seed_from_environment();

	for (int i = 0; i < 60; i++) {
		struct carom_pool *pool = new_pool(2);
		pthread_t thread;
		uint64_t until;

		seed = seed * UINT64_C(6364136223846793005) + 1;
		until = carom_now() + (seed >> 33) % CAROM_MICROSECONDS(2000);
		pthread_create(&thread, NULL, submit_on, pool);
		while (carom_now() < until)
			sched_yield();
		carom_pool_terminate(pool);
		pthread_join(thread, NULL);
		carom_pool_free(pool);
	}
}
