/* Short tasks are dealt ahead of time to workers that have a lane each, and what stands behind a
 * long one, or one that is lost, is done by others. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ipc/lane_dealer.h"
#include "pool/call_private.h"
#include "pool/pool_private.h"
#include "tests/pool/gate.h"
#include "tests/pool/work.h"

#define BEHIND 8

static struct gate *gate; /* made before the pool */

static int hold(struct carom_call *call)
{
	int64_t number;

	carom_call_read(call, &number, sizeof(number));
	gate_pass(gate, (uint32_t)number);
	return 0;
}

static uint32_t depth_of(struct carom_pool *pool, uint32_t worker)
{
	uint32_t depth;

	pthread_mutex_lock(&pool->lock);
	depth = pool->lane->dealer->hands[worker].depth;
	pthread_mutex_unlock(&pool->lock);
	return depth;
}

static uint64_t ahead_count(struct carom_pool *pool)
{
	uint64_t count;

	pthread_mutex_lock(&pool->lock);
	count = pool->lane->dealer->ahead_count;
	pthread_mutex_unlock(&pool->lock);
	return count;
}

static void submit(struct carom_pool *pool, carom_task_fn *function, int64_t x,
		   struct carom_result **ret_result)
{
	cr_assert(
		zero(int, carom_pool_apply_async(pool, function, &x, sizeof(x), NULL, ret_result)));
}

static void expect_number(struct carom_result *result, int64_t number)
{
	int64_t y = 0;

	cr_expect(zero(int, carom_result_get(result, carom_deadline_after(CAROM_SECONDS(30)), &y,
					     sizeof(y), NULL)));
	cr_expect(eq(i64, y, number));
	carom_result_free(result);
}

static void expect_square(struct carom_result *result, int64_t x)
{
	expect_number(result, x * x);
}

static void do_squares(struct carom_pool *pool)
{
	struct carom_result *results[256];

	for (int64_t i = 0; i < 256; i++)
		submit(pool, square, i, &results[i]);
	for (int64_t i = 0; i < 256; i++)
		expect_square(results[i], i);
}

static struct carom_pool *isolated_pool(uint32_t workers)
{
	struct carom_pool *pool = NULL;

	gate = gate_new();
	cr_assert(
		zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = workers, .isolated = 1,
							     .max_restarts = CAROM_NO_LIMIT),
					 &pool)));
	cr_assert(zero(int, carom_pool_wait_ready(pool, carom_deadline_after(CAROM_SECONDS(20)))));
	return pool;
}

static void set_depth(struct carom_pool *pool, uint64_t depth)
{
	pthread_mutex_lock(&pool->lock);
	for (uint32_t i = 0; i < pool->lane->used_count; i++)
		carom_hand_set_depth(pool->lane, &pool->lane->dealer->hands[i], depth);
	pthread_mutex_unlock(&pool->lock);
}

/* a pool whose workers have shown that they are quick; how quick they are here and now is not asked */
static struct carom_pool *quick_pool(uint32_t workers)
{
	struct carom_pool *pool = isolated_pool(workers);

	do_squares(pool);
	set_depth(pool, 1 + BEHIND);
	return pool;
}

/* each worker is at its own, number 0 for the one that began last; then squares are dealt behind them */
static void fill_hands(struct carom_pool *pool, struct carom_result **held, uint32_t workers,
		       struct carom_result **behind)
{
	for (uint32_t i = 0; i < workers; i++) {
		submit(pool, hold, workers - 1 - i, &held[i]);
		gate_await(&gate->begun, i + 1);
	}
	for (int64_t i = 0; i < BEHIND; i++)
		submit(pool, square, i, &behind[i]);
	/* fewer, where this thread was so late that the front was found to take long */
	printf("# %d of %d were dealt ahead\n", (int)ahead_count(pool), BEHIND);
}

static struct carom_outcome outcome_of(struct carom_result *result)
{
	struct carom_outcome outcome = { .kind = CAROM_OUTCOME_PENDING };

	cr_assert(zero(int, carom_result_wait(result, carom_deadline_after(CAROM_SECONDS(30)))));
	carom_result_outcome(result, &outcome);
	carom_result_free(result);
	return outcome;
}

/* ---- arguments that do not stand in the slot itself ---- */

#define LARGE CAROM_KIB(4)

static int first_byte_if_all_alike(struct carom_call *call)
{
	unsigned char bytes[LARGE];
	int64_t first;

	carom_call_read(call, bytes, sizeof(bytes));
	first = bytes[0];
	for (size_t i = 1; i < sizeof(bytes); i++)
		if (bytes[i] != first)
			first = -1;
	return carom_reply(call, &first, sizeof(first));
}

static struct carom_result *submit_large(struct carom_pool *pool, carom_task_fn *function, int byte,
					 uint64_t limit_ns)
{
	struct carom_result *result = NULL;
	unsigned char bytes[LARGE];

	memset(bytes, byte, sizeof(bytes));
	cr_assert(zero(int, carom_pool_apply_async(pool, function, bytes, sizeof(bytes),
						   &CAROM_TASK_OPTIONS(.hard_limit_ns = limit_ns),
						   &result)));
	return result;
}

/* ---- */

Test(ahead, worker_that_is_quick_is_dealt_more_than_it_is_at, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(1);

	cr_expect(eq(u32, depth_of(pool, 0), 1));
	while (depth_of(pool, 0) < 2)
		do_squares(pool);
	cr_expect(zero(u64, ahead_count(pool)));
}

/* EL-06 */
Test(ahead, what_stands_behind_a_long_task_is_done_by_who_has_nothing_to_do, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = quick_pool(2);
	struct carom_result *held[2], *behind[BEHIND];

	fill_hands(pool, held, 2, behind);
	gate_open(gate, 1);
	for (int64_t i = 0; i < BEHIND; i++)
		expect_square(behind[i], i);
	cr_expect(not(carom_result_ready(held[0])));
	gate_open(gate, 2);
	for (int i = 0; i < 2; i++)
		cr_expect(eq(int, outcome_of(held[i]).kind, CAROM_OUTCOME_OK));
}

Test(ahead, worker_that_dies_costs_none_of_the_tasks_it_has_not_begun, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = quick_pool(1);
	struct carom_result *held, *behind[BEHIND];
	struct carom_worker_info info;

	fill_hands(pool, &held, 1, behind);
	cr_assert(eq(int, carom_pool_workers(pool, &info, 1), 1));
	cr_assert(lt(i64, 0, info.pid));
	kill((pid_t)info.pid, SIGKILL);
	cr_expect(eq(int, outcome_of(held).kind, CAROM_OUTCOME_LOST));
	for (int64_t i = 0; i < BEHIND; i++)
		expect_square(behind[i], i);
}

/* its own, and those that it has, whatever it says of them */
static int spoil_hand(struct carom_call *call)
{
	struct carom_slot *slots = call->lane->view.slots;

	hold(call);
	for (uint32_t i = 0; i < call->lane->view.slot_count; i++)
		if (carom_slot_state(atomic_load(&slots[i].word)) == CAROM_SLOT_READY)
			atomic_store(&slots[i].word, UINT64_MAX);
	return carom_reply(call, "", 1);
}

Test(ahead, foul_play_costs_one_task_and_others_are_done_by_others, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = quick_pool(1);
	struct carom_result *foul, *behind[BEHIND];
	int lost;

	submit(pool, spoil_hand, 0, &foul);
	gate_await(&gate->begun, 1);
	for (int64_t i = 0; i < BEHIND; i++)
		submit(pool, square, i, &behind[i]);
	gate_open(gate, 1);
	lost = outcome_of(foul).kind != CAROM_OUTCOME_OK;
	for (int64_t i = 0; i < BEHIND; i++) {
		int64_t y = 0;

		if (carom_result_get(behind[i], carom_deadline_after(CAROM_SECONDS(30)), &y,
				     sizeof(y), NULL) == 0)
			cr_expect(eq(i64, y, i * i));
		else
			lost++;
		carom_result_free(behind[i]);
	}
	cr_expect(le(int, lost, 1), "%d", lost);
}

/* it says that it has begun all that it has */
static int claim_hand(struct carom_call *call)
{
	struct carom_slot *slots = call->lane->view.slots;

	hold(call);
	for (uint32_t i = 0; i < call->lane->view.slot_count; i++) {
		uint64_t word = atomic_load(&slots[i].word);

		if (carom_slot_state(word) == CAROM_SLOT_READY)
			atomic_store(&slots[i].word, CAROM_SLOT_WORD(carom_slot_generation(word), 0,
								     0, CAROM_SLOT_RUNNING));
	}
	return kill_self(call);
}

Test(ahead, worker_that_says_it_has_begun_all_costs_no_more_than_one_task, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = quick_pool(1);
	struct carom_result *held, *behind[BEHIND];

	submit(pool, claim_hand, 0, &held);
	gate_await(&gate->begun, 1);
	for (int64_t i = 0; i < BEHIND; i++)
		submit(pool, square, i, &behind[i]);
	gate_open(gate, 1);
	cr_expect(eq(int, outcome_of(held).kind, CAROM_OUTCOME_LOST));
	for (int64_t i = 0; i < BEHIND; i++)
		expect_square(behind[i], i);
}

Test(ahead, arguments_are_whole_after_a_task_that_had_one_hit_its_limit, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = quick_pool(1);
	struct carom_result *held, *behind[BEHIND];

	held = submit_large(pool, hang, 0, CAROM_MILLISECONDS(20));
	cr_expect(eq(int, outcome_of(held).kind, CAROM_OUTCOME_HARD_LIMIT));
	for (int round = 0; round < 2; round++) { /* by the next worker */
		do_squares(pool);
		set_depth(pool, 1 + BEHIND);
		submit(pool, hold, round, &held);
		gate_await(&gate->begun, (uint32_t)round + 1);
		for (int i = 0; i < BEHIND; i++)
			behind[i] = submit_large(pool, first_byte_if_all_alike, i + 1, 0);
		gate_open(gate, (uint32_t)round + 1);
		cr_expect(eq(int, outcome_of(held).kind, CAROM_OUTCOME_OK));
		for (int i = 0; i < BEHIND; i++)
			expect_number(behind[i], i + 1);
	}
}

/* ---- a worker that stands still, with what nobody waits for ---- */

static _Atomic int64_t done_by; /* who has done the last such task */

static int note_who(struct carom_result *result, void *userdata)
{
	struct carom_outcome outcome;

	(void)userdata;
	carom_result_outcome(result, &outcome);
	atomic_store(&done_by, outcome.worker_pid);
	gate_pass(gate, 0);
	return 0;
}

static void submit_unattended(struct carom_pool *pool)
{
	int64_t x = 3;

	cr_assert(
		zero(int, carom_pool_apply_async(pool, square, &x, sizeof(x),
						 &CAROM_TASK_OPTIONS(.callback = note_who), NULL)));
}

static int64_t pid_of(struct carom_pool *pool, int index)
{
	struct carom_worker_info infos[2];

	cr_assert(lt(int, index, carom_pool_workers(pool, infos, 2)));
	cr_assert(lt(i64, 0, infos[index].pid));
	return infos[index].pid;
}

static int64_t stop_worker(struct carom_pool *pool, int index)
{
	int64_t pid = pid_of(pool, index);
	char path[64], state = 0;
	FILE *stat;

	kill((pid_t)pid, SIGSTOP);
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	while (state != 'T') {
		stat = fopen(path, "re");
		cr_assert(stat && fscanf(stat, "%*d (%*[^)]) %c", &state) == 1);
		fclose(stat);
	}
	return pid;
}

Test(ahead, task_for_which_nobody_waits_is_not_left_with_a_worker_that_stands_still, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(1);
	int64_t stopped;

	do_squares(pool);
	stopped = stop_worker(pool, 0);
	gate_open(gate, 1);
	submit_unattended(pool);
	gate_await(&gate->begun, 1); /* or this does not return */
	cr_expect(ne(i64, atomic_load(&done_by), stopped));
}

/* by somebody else, and, unless that took long, without an end of this one */
static void expect_moved(struct carom_pool *pool, uint64_t begun_ns, int index, int64_t stopped)
{
	int64_t is_there = pid_of(pool, index);

	cr_expect(ne(i64, atomic_load(&done_by), stopped));
	if (carom_now() - begun_ns < CAROM_MILLISECONDS(500))
		cr_expect(eq(i64, is_there, stopped));
}

Test(ahead, task_for_which_nobody_waits_is_done_by_who_has_nothing_to_do, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(2);
	uint64_t begun_ns = carom_now();
	int64_t stopped = stop_worker(pool, 0); /* who is dealt to first */

	gate_open(gate, 1);
	submit_unattended(pool);
	gate_await(&gate->begun, 1);
	expect_moved(pool, begun_ns, 0, stopped);
}

static bool is_slow(struct carom_pool *pool, uint32_t worker)
{
	bool is;

	pthread_mutex_lock(&pool->lock);
	is = carom_hand_is_slow(pool->lane, &pool->lane->dealer->hands[worker]);
	pthread_mutex_unlock(&pool->lock);
	return is;
}

/* the other one is at a task for longer than it takes to see that this one stands still */
Test(ahead, task_that_was_not_taken_up_is_done_by_who_has_nothing_to_do_later, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(2);
	uint64_t begun_ns = carom_now();
	int64_t stopped = stop_worker(pool, 1);
	struct carom_result *held;

	submit(pool, hold, 0, &held);
	gate_await(&gate->begun, 1);
	submit_unattended(pool);
	/* or, on a busy machine, the one that stands still has been replaced before this is seen */
	while (!is_slow(pool, 1) && !atomic_load(&done_by))
		sched_yield();
	gate_open(gate, 2);
	gate_await(&gate->begun, 2);
	expect_moved(pool, begun_ns, 1, stopped);
	cr_expect(eq(int, outcome_of(held).kind, CAROM_OUTCOME_OK));
}

Test(ahead, task_that_stands_behind_another_one_can_be_cancelled, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = quick_pool(1);
	struct carom_result *held, *behind[BEHIND];

	fill_hands(pool, &held, 1, behind);
	for (int i = 0; i < BEHIND; i++) {
		cr_expect(zero(int, carom_result_cancel(behind[i])));
		cr_expect(eq(int, outcome_of(behind[i]).kind, CAROM_OUTCOME_CANCELLED));
	}
	gate_open(gate, 1);
	cr_expect(eq(int, outcome_of(held).kind, CAROM_OUTCOME_OK));
	do_squares(pool);
}

Test(ahead, close_ends_with_all_that_was_dealt_done, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = quick_pool(2);
	struct carom_result *held[2], *behind[BEHIND];

	fill_hands(pool, held, 2, behind);
	cr_assert(zero(int, carom_pool_close(pool)));
	gate_open(gate, 2);
	cr_expect(zero(int, carom_pool_join(pool, carom_deadline_after(CAROM_SECONDS(30)))));
	for (int64_t i = 0; i < BEHIND; i++)
		expect_square(behind[i], i);
	for (int i = 0; i < 2; i++)
		cr_expect(eq(int, outcome_of(held[i]).kind, CAROM_OUTCOME_OK));
}
