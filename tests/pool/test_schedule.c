/* Which worker takes a task, and how soon. */
#include "tests/pool/isolated.h"
#include "tests/pool/asleep.h"

#include "tests/pool/gate.h"
#include "tests/pool/work.h"

#define BACKLOG 16

static struct gate *gate; /* made before the pool */

static int hold(struct carom_call *call)
{
	gate_pass(gate, 0);
	return 0;
}

static struct carom_pool *pool_with(enum carom_schedule schedule)
{
	struct carom_pool *pool = NULL;

	gate = gate_new();
	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .schedule = schedule,
							  .spin_ns = CAROM_SPIN_NEVER),
				      &pool)));
	return pool;
}

static struct carom_result *begin(struct carom_pool *pool, carom_task_fn *function)
{
	struct carom_result *result = NULL;

	cr_assert(zero(int, carom_pool_apply_async(pool, function, NULL, 0, NULL, &result)));
	return result;
}

static struct carom_result *begin_hold(struct carom_pool *pool)
{
	uint32_t before = atomic_load(&gate->begun);
	struct carom_result *held = begin(pool, hold);

	gate_await(&gate->begun, before + 1);
	return held;
}

static int32_t worker_of(struct carom_result *result)
{
	struct carom_outcome outcome;

	cr_assert(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
	cr_assert(zero(int, carom_result_outcome(result, &outcome)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_OK));
	return outcome.worker_index;
}

static uint32_t count_slots(struct carom_pool *pool, enum carom_slot_state state)
{
	uint32_t count = 0;

	for (uint32_t slot = 0; slot < carom_lane_slot_count(pool->lane); slot++)
		count += carom_slot_state(carom_lane_word(pool->lane, slot)) == state;
	return count;
}

/* ---- fair ---- */

/* PC-29 */
Test(schedule, fair_runs_the_next_task_on_another_worker_at_once, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = pool_with(CAROM_SCHEDULE_FAIR);
	struct carom_result *held = begin_hold(pool), *next = begin(pool, nothing);
	int32_t other = worker_of(next);

	cr_expect(not(carom_result_ready(held)));
	gate_open(gate, 1);
	cr_expect(ne(i32, worker_of(held), other));
	carom_result_free(held);
	carom_result_free(next);
}

/* EL-06 */
Test(schedule, pain_28_short_tasks_do_not_wait_behind_a_long_one, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = pool_with(CAROM_SCHEDULE_FAIR);
	struct carom_result *held = begin(pool, hold), *shorts[100];

	for (int i = 0; i < 100; i++)
		shorts[i] = begin(pool, nothing);
	for (int i = 0; i < 100; i++) {
		worker_of(shorts[i]);
		carom_result_free(shorts[i]);
	}
	cr_expect(not(carom_result_ready(held)));
	gate_open(gate, 1);
	worker_of(held);
	carom_result_free(held);
}

Test(schedule, pain_28_items_of_a_map_do_not_wait_behind_a_long_task, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = pool_with(CAROM_SCHEDULE_FAIR);
	struct carom_result *held = begin_hold(pool);
	int64_t in[100], out[100];

	for (int i = 0; i < 100; i++)
		in[i] = i;
	cr_expect(zero(
		int, carom_pool_map(pool, square, in, 100, sizeof(*in), out, sizeof(*out), NULL)));
	for (int i = 0; i < 100; i++)
		cr_expect(eq(i64, out[i], i * i));
	cr_expect(not(carom_result_ready(held)));
	gate_open(gate, 1);
	worker_of(held);
	carom_result_free(held);
}

/* and what waits can be taken back by who submitted it: nobody else has it yet */
/* PX-09 */
Test(schedule, a_worker_has_no_more_than_the_task_it_runs, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = pool_with(CAROM_SCHEDULE_FAIR);
	struct carom_result *results[10];

	for (int i = 0; i < 10; i++)
		results[i] = begin(pool, hold);
	gate_await(&gate->begun, 2);
	cr_expect(eq(u32, count_slots(pool, CAROM_SLOT_RUNNING), 2));
	cr_expect(eq(u32, count_slots(pool, CAROM_SLOT_READY), 8));
	gate_open(gate, 1);
	for (int i = 0; i < 10; i++) {
		worker_of(results[i]);
		carom_result_free(results[i]);
	}
}

/* ---- throughput ---- */

/* PC-29 */
Test(schedule, throughput_leaves_workers_asleep_while_one_is_awake, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = pool_with(CAROM_SCHEDULE_THROUGHPUT);
	struct carom_result *held, *results[BACKLOG];
	int32_t awake;

	SKIP_IF_ISOLATED("the schedule is always fair");
	await_workers_asleep(pool, 2);
	held = begin_hold(pool);
	for (int i = 0; i < BACKLOG; i++)
		results[i] = begin(pool, nothing);
	cr_expect(eq(u32, count_slots(pool, CAROM_SLOT_READY), BACKLOG));
	cr_expect(ne(i32, lane_is_idle(pool->lane, 0), lane_is_idle(pool->lane, 1)));
	gate_open(gate, 1);
	awake = worker_of(held);
	for (int i = 0; i < BACKLOG; i++) {
		cr_expect(eq(i32, worker_of(results[i]), awake));
		carom_result_free(results[i]);
	}
	carom_result_free(held);
}

Test(schedule, throughput_wakes_more_workers_when_tasks_pile_up, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = pool_with(CAROM_SCHEDULE_THROUGHPUT);
	struct carom_result *held, *results[BACKLOG + 1];

	await_workers_asleep(pool, 2);
	held = begin_hold(pool);
	for (int i = 0; i <= BACKLOG; i++)
		results[i] = begin(pool, nothing);
	for (int i = 0; i <= BACKLOG; i++) {
		worker_of(results[i]);
		carom_result_free(results[i]);
	}
	cr_expect(not(carom_result_ready(held)));
	gate_open(gate, 1);
	worker_of(held);
	carom_result_free(held);
}

Test(schedule, throughput_leaves_nothing_to_a_dead_worker, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = pool_with(CAROM_SCHEDULE_THROUGHPUT);

	for (int round = 0; round < 20; round++) {
		struct carom_result *killed = begin(pool, kill_self), *next = begin(pool, nothing);
		struct carom_outcome outcome;

		worker_of(next);
		carom_result_wait(killed, CAROM_NO_DEADLINE);
		carom_result_outcome(killed, &outcome);
		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
		carom_result_free(killed);
		carom_result_free(next);
	}
}

Test(schedule, is_one_of_those_there_are, .timeout = 10)
{
	struct carom_pool *pool = NULL;

	cr_expect(eq(int,
		     carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .schedule = 2), &pool),
		     -EINVAL));
	cr_expect(eq(ptr, pool, NULL));
}
