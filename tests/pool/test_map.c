/* Many items: map, map_async, and deaths among them. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>

#include "tests/pool/gate.h"
#include "tests/pool/work.h"

#define COUNT 1000

static void number(int64_t *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		items[i] = (int64_t)i;
}

static void expect_squares(const int64_t *out, size_t count)
{
	for (size_t i = 0; i < count; i++)
		cr_assert(eq(i64, out[i], (int64_t)(i * i)));
}

Test(map, puts_each_value_in_its_place, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(3);
	int64_t in[COUNT], out[COUNT];

	number(in, COUNT);
	for (size_t chunk = 0; chunk < 40; chunk += 3) {
		memset(out, 0xff, sizeof(out));
		cr_assert(zero(int, carom_pool_map(pool, square, in, COUNT, sizeof(*in), out,
						   sizeof(*out),
						   &CAROM_MAP_OPTIONS(.chunk_size = chunk))));
		expect_squares(out, COUNT);
	}
	cr_expect(zero(int, carom_pool_map(pool, square, NULL, 0, 8, NULL, 8, NULL)));
	cr_expect(eq(int, carom_pool_map(pool, square, in, SIZE_MAX / 4, 8, out, 8, NULL),
		     -EOVERFLOW));
	cr_expect(eq(int, carom_pool_map(pool, square, in, 1, 0, out, 8, NULL), -EINVAL));
}

static int chunk_of(struct carom_call *call)
{
	static int64_t last = -1, run;
	int64_t x;

	carom_call_read(call, &x, sizeof(x));
	run = x == last + 1 ? run + 1 : 1;
	last = x;
	return (int64_t)carom_call_index(call) == x ? carom_reply(call, &run, 8) : -EIO;
}

Test(map, tells_each_call_its_index, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	int64_t in[10], out[10];

	number(in, 10);
	cr_expect(zero(int, carom_pool_map(pool, chunk_of, in, 10, 8, out, 8, NULL)));
	cr_expect(zero(int, carom_pool_map(pool, chunk_of, in, 10, 8, out, 8,
					   &CAROM_MAP_OPTIONS(.chunk_size = 1))));
}

Test(map, can_be_waited_for_later, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	int64_t in[COUNT], out[COUNT];

	number(in, COUNT);
	cr_assert(
		zero(int, carom_pool_map_async(pool, square, in, COUNT, 8, out, 8, NULL, &result)));
	memset(in, 0, sizeof(in)); /* copied by now */
	cr_assert(zero(int, carom_result_get(result, CAROM_NO_DEADLINE, NULL, 0, NULL)));
	cr_expect(eq(int, carom_result_successful(result), 1));
	expect_squares(out, COUNT);
}

Test(map, may_have_more_chunks_than_the_pool_has_slots, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	static int64_t in[20000], out[20000];

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .slot_count = 16),
					   &pool)));
	number(in, 20000);
	cr_assert(zero(int, carom_pool_map_async(pool, square, in, 20000, 8, out, 8,
						 &CAROM_MAP_OPTIONS(.chunk_size = 1), &result)));
	cr_assert(zero(int, carom_result_get(result, CAROM_NO_DEADLINE, NULL, 0, NULL)));
	expect_squares(out, 20000);
}

static int first_number(struct carom_call *call)
{
	return carom_reply(call, carom_call_data(call, NULL), sizeof(int64_t));
}

/* 40 MiB of arguments through 8 MiB */
Test(map, fits_its_arguments_into_little_room, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	static int64_t in[40000][128], out[40000];

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2,
							       .payload_size = CAROM_MIB(8)),
					   &pool)));
	for (int64_t i = 0; i < 40000; i++)
		in[i][0] = i;
	cr_assert(zero(int, carom_pool_map(pool, first_number, in, 40000, sizeof(*in), out, 8,
					   &CAROM_MAP_OPTIONS(.chunk_size = 100))));
	for (int64_t i = 0; i < 40000; i++)
		cr_assert(eq(i64, out[i], i));
}

static int fail_on_thirteen(struct carom_call *call)
{
	int64_t x;

	carom_call_read(call, &x, sizeof(x));
	if (x % 100 == 13)
		return carom_call_fail(call, -EDOM, "unlucky");
	return square(call);
}

/* PM-12 */
Test(map, gives_each_item_its_own_failure, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	static struct carom_outcome outcomes[COUNT];
	int64_t in[COUNT], out[COUNT];

	number(in, COUNT);
	for (size_t chunk = 1; chunk < 200; chunk += 60) {
		cr_assert(eq(int,
			     carom_pool_map(
				     pool, fail_on_thirteen, in, COUNT, 8, out, 8,
				     &CAROM_MAP_OPTIONS(.chunk_size = chunk, .outcomes = outcomes)),
			     -EREMOTEIO));
		for (int64_t i = 0; i < COUNT; i++) {
			bool unlucky = i % 100 == 13;

			cr_assert(eq(int, outcomes[i].kind,
				     unlucky ? CAROM_OUTCOME_FAILED : CAROM_OUTCOME_OK));
			cr_assert(eq(i64, out[i], unlucky ? 0 : i * i));
			if (unlucky) {
				cr_assert(eq(int, outcomes[i].code, -EDOM));
				cr_assert(zero(int, strcmp(outcomes[i].message, "unlucky")));
			}
		}
	}
}

/* WL-07 */
/* a death costs one item, in whatever chunk; P3 */
Test(map, loses_only_the_item_that_a_dying_worker_was_at, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(3);
	static struct carom_outcome outcomes[COUNT];
	int64_t in[COUNT], out[COUNT];

	number(in, COUNT);
	for (size_t chunk = 1; chunk < 2000; chunk = chunk * 7) {
		cr_assert(eq(int,
			     carom_pool_map(
				     pool, die_on_fifty, in, COUNT, 8, out, 8,
				     &CAROM_MAP_OPTIONS(.chunk_size = chunk, .outcomes = outcomes)),
			     -EREMOTEIO));
		for (int64_t i = 0; i < COUNT; i++) {
			bool dead = i % 100 == 50 || i % 100 == 51;

			cr_assert(eq(int, outcomes[i].kind,
				     dead ? CAROM_OUTCOME_LOST : CAROM_OUTCOME_OK),
				  "chunk %zu item %ld", chunk, i);
			cr_assert(eq(i64, out[i], dead ? 0 : i * i));
			if (i % 100 == 50)
				cr_assert(eq(int, outcomes[i].signal, SIGKILL));
			if (i % 100 == 51)
				cr_assert(eq(int, outcomes[i].exit_status, 3));
		}
	}
}

#define ITEM_LIMIT_NS CAROM_MILLISECONDS(400)

static void expect_seven_to_hang(int64_t item, const struct carom_outcome *outcome)
{
	char text[160];

	cr_expect(ended_within(ITEM_LIMIT_NS, outcome,
			       item == 7 ? CAROM_OUTCOME_HARD_LIMIT : CAROM_OUTCOME_OK),
		  "item %d: %s", (int)item, carom_outcome_describe(outcome, text, sizeof(text)));
}

Test(map, has_a_time_limit_for_each_item, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct carom_outcome outcomes[20];
	int64_t in[20], out[20];

	number(in, 20);
	for (size_t chunk = 1; chunk < 21; chunk += 19) {
		struct carom_map_options options =
			CAROM_MAP_OPTIONS(.chunk_size = chunk, .outcomes = outcomes,
					  .hard_limit_ns = ITEM_LIMIT_NS);

		cr_assert(eq(int, carom_pool_map(pool, hang_on_seven, in, 20, 8, out, 8, &options),
			     -EREMOTEIO));
		for (int64_t i = 0; i < 20; i++)
			expect_seven_to_hang(i, &outcomes[i]);
	}
}

static int reply_too_much(struct carom_call *call)
{
	char text[64] = "";

	return carom_reply(call, text, sizeof(text));
}

Test(map, fails_an_item_whose_value_has_no_room, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct carom_outcome outcomes[4];
	int64_t in[4] = { 0 }, out[4];

	for (size_t chunk = 1; chunk <= 4; chunk += 3) {
		cr_expect(eq(int,
			     carom_pool_map(
				     pool, reply_too_much, in, 4, 8, out, 8,
				     &CAROM_MAP_OPTIONS(.chunk_size = chunk, .outcomes = outcomes)),
			     -EREMOTEIO));
		for (int i = 0; i < 4; i++) {
			cr_expect(eq(int, outcomes[i].kind, CAROM_OUTCOME_FAILED));
			cr_expect(eq(int, outcomes[i].code, -EMSGSIZE));
		}
	}
}

/* ---- who does what, and when ---- */

static struct gate *gate;

/* one of them ends only when all others have */
static int one_waits_for_the_others(struct carom_call *call)
{
	int64_t number[2]; /* which one, of how many */

	carom_call_read(call, number, sizeof(number));
	if ((int64_t)carom_call_index(call) == number[0]) {
		gate_await(&gate->opened, (uint32_t)number[1] - 1);
	} else {
		atomic_fetch_add(&gate->opened, 1);
		carom_futex_wake(&gate->opened, INT_MAX);
	}
	return carom_reply(call, &(int64_t){ 1 }, 8);
}

static void expect_long_one_passed(struct carom_pool *pool, int64_t which, size_t chunk)
{
	int64_t in[101][2], out[101] = { 0 };

	atomic_store(&gate->opened, 0);
	for (int i = 0; i < 101; i++) {
		in[i][0] = which;
		in[i][1] = 101;
	}
	cr_assert(zero(int, carom_pool_map(pool, one_waits_for_the_others, in, 101, sizeof(*in),
					   out, 8, &CAROM_MAP_OPTIONS(.chunk_size = chunk))));
	for (int i = 0; i < 101; i++)
		cr_assert(eq(i64, out[i], 1));
}

/* 1 long and 100 short on 2 workers, also where they are in one chunk: what waits is taken back */
Test(map, pain_28_short_items_do_not_wait_behind_a_long_one, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	gate = gate_new();
	pool = new_pool(2);
	for (int64_t which = 0; which < 101; which += 20)
		for (size_t chunk = 0; chunk < 120; chunk = chunk * 3 + 1)
			expect_long_one_passed(pool, which, chunk);
}

static int fail_or_wait(struct carom_call *call)
{
	if (carom_call_index(call) == 2)
		return -EDOM;
	gate_pass(gate, 0);
	return square(call);
}

/* PM-07 */
/* one failing item among 4 slow ones: when the map is ready differs by the option */
Test(map, fails_fast_if_it_is_told_to, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	struct carom_outcome outcomes[5];
	int64_t in[5], out[5] = { 0 };

	gate = gate_new();
	pool = new_pool(5);
	number(in, 5);
	cr_assert(eq(int,
		     carom_pool_map(pool, fail_or_wait, in, 5, 8, out, 8,
				    &CAROM_MAP_OPTIONS(.chunk_size = 1, .fail_fast = 1,
						       .outcomes = outcomes)),
		     -EREMOTEIO));
	for (int i = 0; i < 5; i++)
		cr_expect(eq(int, outcomes[i].kind,
			     i == 2 ? CAROM_OUTCOME_FAILED : CAROM_OUTCOME_CANCELLED));
	gate_open(gate, 1);
	carom_pool_free(pool);
	gate_open(gate, 0);
	pool = new_pool(5);
	cr_assert(zero(int, carom_pool_map_async(pool, fail_or_wait, in, 5, 8, out, 8,
						 &CAROM_MAP_OPTIONS(.chunk_size = 1), &result)));
	cr_expect(eq(int, carom_result_wait(result, carom_deadline_after(CAROM_MILLISECONDS(50))),
		     -ETIMEDOUT));
	gate_open(gate, 1);
	cr_expect(eq(int, carom_result_get(result, CAROM_NO_DEADLINE, NULL, 0, NULL), -EREMOTEIO));
	cr_expect(eq(i64, out[4], 16));
}

static int count_and_fail_on_thirteen(struct carom_call *call)
{
	atomic_fetch_add(&gate->begun, 1);
	return carom_call_index(call) == 13 ? -EDOM : square(call);
}

Test(map, that_fails_fast_begins_nothing_more_of_a_chunk, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	static struct carom_outcome outcomes[COUNT];
	int64_t in[COUNT], out[COUNT], x = 2, y = 0;

	gate = gate_new();
	pool = new_pool(1);
	number(in, COUNT);
	for (size_t chunk = 1; chunk < 2000; chunk = chunk * 7) {
		struct carom_map_options options =
			CAROM_MAP_OPTIONS(.chunk_size = chunk, .outcomes = outcomes,
					  .fail_fast = 1);

		atomic_store(&gate->begun, 0);
		cr_assert(eq(int,
			     carom_pool_map(pool, count_and_fail_on_thirteen, in, COUNT, 8, out, 8,
					    &options),
			     -EREMOTEIO));
		for (int64_t i = 0; i < COUNT; i++) {
			int kind = outcomes[i].kind;

			if (i < 13)
				cr_assert(eq(int, kind, CAROM_OUTCOME_OK));
			else if (i == 13)
				cr_assert(eq(int, kind, CAROM_OUTCOME_FAILED));
			else if ((size_t)i / chunk == 13 / chunk)
				cr_assert(eq(int, kind, CAROM_OUTCOME_CANCELLED));
			else /* other chunks may have run until the failure was seen */
				cr_assert(kind == CAROM_OUTCOME_OK ||
					  kind == CAROM_OUTCOME_CANCELLED);
			cr_assert(eq(i64, out[i], kind == CAROM_OUTCOME_OK ? i * i : 0));
		}
		if (chunk >= COUNT)
			cr_expect(eq(u32, atomic_load(&gate->begun), 14));
		cr_assert(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
		cr_assert(eq(i64, y, 4));
	}
}

/* all slots, so that nothing of a map that is over keeps one */
Test(map, that_fails_fast_leaves_no_slot_behind, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t in[200], out[200];

	gate = gate_new();
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 3, .slot_count = 16),
					   &pool)));
	number(in, 200);
	for (size_t i = 0; i < 300; i++)
		cr_assert(eq(
			int,
			carom_pool_map(pool, count_and_fail_on_thirteen, in, 200, 8, out, 8,
				       &CAROM_MAP_OPTIONS(.chunk_size = 1 + i % 5, .fail_fast = 1)),
			-EREMOTEIO));
	cr_expect(zero(int, carom_pool_map(pool, square, in, 200, 8, out, 8, NULL)));
	expect_squares(out, 200);
}

/* ---- callbacks ---- */

struct told {
	_Atomic uint32_t ended;
	_Atomic uint32_t failed;
	int64_t *out;
	int64_t sum;
	int answer;
};

static int tell_sum(struct carom_result *result, void *userdata)
{
	struct told *told = userdata;
	int answer = told->answer; /* the test may be over once it knows */

	for (int i = 0; carom_result_successful(result) == 1 && told->out && i < COUNT; i++)
		told->sum += told->out[i];
	atomic_fetch_add(&told->ended, 1);
	carom_futex_wake(&told->ended, INT_MAX);
	return answer;
}

static int tell_failure(struct carom_result *result, void *userdata)
{
	struct told *told = userdata;
	int answer = told->answer;

	atomic_fetch_add(&told->failed, 1);
	carom_futex_wake(&told->failed, INT_MAX);
	return answer;
}

static struct carom_map_options calling(struct told *told, size_t chunk)
{
	return CAROM_MAP_OPTIONS(.chunk_size = chunk, .callback = tell_sum,
				 .error_callback = tell_failure, .userdata = told);
}

/* PM-05 */
/* also if nobody waits for it */
Test(map, calls_back_once_with_all_values, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	static struct told all[3]; /* the last callback may still be returning */
	static int64_t in[COUNT], out[COUNT];

	number(in, COUNT);
	for (size_t chunk = 0; chunk < 3; chunk++) {
		struct told *told = &all[chunk];
		struct carom_map_options options = calling(told, chunk * chunk * 100);
		struct carom_result *result = NULL;

		told->out = out;
		cr_assert(zero(int, carom_pool_map_async(pool, square, in, COUNT, 8, out, 8,
							 &options, &result)));
		cr_expect(eq(ptr, carom_result_userdata(result), told));
		gate_await(&told->ended, 1);
		cr_assert(zero(int, carom_result_get(result, CAROM_NO_DEADLINE, NULL, 0, NULL)));
		carom_result_free(result);
		cr_expect(eq(i64, told->sum, 332833500));
		cr_expect(eq(u32, atomic_load(&told->ended), 1));
		cr_expect(zero(u32, atomic_load(&told->failed)));
	}
}

Test(map, of_nothing_calls_back_too, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	static struct told told;
	struct carom_map_options options = calling(&told, 0);

	cr_assert(zero(int,
		       carom_pool_map_async(pool, square, NULL, 0, 8, NULL, 8, &options, &result)));
	gate_await(&told.ended, 1);
	cr_expect(eq(int, carom_pool_map(pool, square, NULL, 0, 8, NULL, 8, &options), -EINVAL));
	carom_pool_close(pool);
	cr_expect(zero(int, carom_pool_join(pool, CAROM_NO_DEADLINE)));
	cr_expect(eq(int,
		     carom_pool_map_async(pool, square, NULL, 0, 8, NULL, 8, &options, &result),
		     -ESHUTDOWN));
	cr_expect(eq(u32, atomic_load(&told.ended), 1));
}

/* CB-08 */
/* callbacks of maps that fail, one after the other, and all results come */
Test(map, goes_on_after_callbacks_that_fail, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	static struct told told = { .answer = -EIO };
	static int64_t in[COUNT], out[COUNT];
	int64_t x = 5, y = 0;

	number(in, COUNT);
	for (uint32_t i = 0; i < 20; i++) {
		CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
		struct carom_map_options options = calling(&told, 50);

		cr_assert(zero(int, carom_pool_map_async(pool, i % 2 ? fail_on_thirteen : square,
							 in, COUNT, 8, out, 8, &options, &result)));
		cr_expect(eq(int, carom_result_get(result, CAROM_NO_DEADLINE, NULL, 0, NULL),
			     i % 2 ? -EREMOTEIO : 0));
	}
	gate_await(&told.ended, 10);
	gate_await(&told.failed, 10);
	cr_assert(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
	cr_expect(eq(i64, y, 25));
}

Test(map, that_fails_fast_tells_at_once, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	static struct told told;
	struct carom_map_options options = calling(&told, 1);
	int64_t in[5], out[5];

	gate = gate_new();
	pool = new_pool(5);
	number(in, 5);
	options.fail_fast = 1;
	cr_assert(zero(int, carom_pool_map_async(pool, fail_or_wait, in, 5, 8, out, 8, &options,
						 &result)));
	gate_await(&told.failed, 1); /* the others are still at the gate */
	cr_expect(carom_result_ready(result));
	gate_open(gate, 1);
}

/* ---- what a map is made of ---- */

/* ---- waiting ---- */

/* so many microseconds */
static int spin(struct carom_call *call)
{
	uint64_t begun = carom_now();
	int64_t x = 0;

	carom_call_read(call, &x, sizeof(x));
	while (carom_now() - begun < CAROM_MICROSECONDS((uint64_t)x))
		;
	return 0;
}

static int count_call(struct carom_result *result, void *userdata)
{
	atomic_fetch_add((_Atomic int *)userdata, 1);
	return 0;
}

/* who waits sleeps for a moment first, and the callback thread collects meanwhile */
Test(map, is_waited_for_to_its_end_whoever_collects_it, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct carom_map_options options =
		CAROM_MAP_OPTIONS(.chunk_size = 2, .callback = count_call);
	int64_t in[4] = { 0 };
	_Atomic int count = 0;

	options.userdata = &count;
	for (int i = 0; i < 1000; i++) {
		struct carom_result *result;

		in[0] = in[2] = i % 200;
		cr_assert(zero(int, carom_pool_map_async(pool, spin, in, 4, 8, NULL, 0, &options,
							 &result)));
		cr_assert(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
		carom_result_free(result);
	}
	carom_pool_close(pool);
	cr_expect(zero(int, carom_pool_join(pool, CAROM_NO_DEADLINE)));
	cr_expect(eq(int, atomic_load(&count), 1000));
}

static struct gate *wait_gate;

static int square_at_the_gate(struct carom_call *call)
{
	gate_pass(wait_gate, 0);
	return square(call);
}

static void *shrink_when_begun(void *pool)
{
	gate_await(&wait_gate->begun, 2);
	carom_pool_shrink(pool, 1, CAROM_SHRINK_AFTER_TASK);
	gate_open(wait_gate, 1);
	return NULL;
}

/* with one worker there is nothing to be shared out, but there is something to be waited for */
Test(map, is_waited_for_to_its_end_when_its_pool_shrinks, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t in[8], out[8];

	wait_gate = gate_new();
	pool = new_pool(2);
	number(in, 8);
	for (int i = 0; i < 200; i++) {
		pthread_t thread;

		gate_open(wait_gate, 0);
		atomic_store(&wait_gate->begun, 0);
		memset(out, 0xff, sizeof(out));
		pthread_create(&thread, NULL, shrink_when_begun, pool);
		cr_assert(zero(int, carom_pool_map(pool, square_at_the_gate, in, 8, 8, out, 8,
						   &CAROM_MAP_OPTIONS(.chunk_size = 2))));
		expect_squares(out, 8);
		pthread_join(thread, NULL);
		cr_assert(zero(int, carom_pool_grow(pool, 1)));
	}
}

/* PM-04 */
/* 10 items for 2 workers make chunks of 2, whatever becomes of them */
Test(map, cuts_a_quarter_of_each_workers_share_by_default, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *single = NULL;
	int64_t in[10], out[10];
	struct carom_map_info info;

	number(in, 10);
	cr_assert(zero(int, carom_pool_map_async(pool, square, in, 10, 8, out, 8, NULL, &result)));
	cr_assert(zero(int, carom_result_map_info(result, &info)));
	cr_expect(eq(u64, info.item_count, 10));
	cr_expect(eq(u64, info.chunk_size, 2));
	cr_expect(le(u64, info.waiting_count, 5));
	cr_assert(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
	cr_assert(zero(int, carom_result_map_info(result, &info)));
	cr_expect(zero(u64, info.waiting_count));
	expect_squares(out, 10);
	cr_assert(zero(int, carom_pool_apply_async(pool, square, in, 8, NULL, &single)));
	cr_expect(eq(int, carom_result_map_info(single, &info), -EINVAL));
}

/* chunks end in whatever order the gate lets them */
static int pass_backwards(struct carom_call *call)
{
	uint32_t number = (uint32_t)carom_call_index(call) / 2;

	if (carom_call_index(call) % 2 == 0)
		gate_pass(gate, (number * 3 + 2) % 4);
	return square(call);
}

/* MS-04 */
/* RS-16 */
/* 4 chunks on 4 workers: one after the other ends, in another order, and the rest is left */
Test(map, has_its_values_in_place_in_whatever_order_they_come, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	int64_t in[8], out[8], pids[8];
	struct carom_map_info info;

	gate = gate_new();
	pool = new_pool(4);
	number(in, 8);
	cr_assert(zero(int, carom_pool_map_async(pool, pass_backwards, in, 8, 8, out, 8,
						 &CAROM_MAP_OPTIONS(.chunk_size = 2), &result)));
	gate_await(&gate->begun, 4);
	cr_expect(eq(int, carom_result_worker_pids(result, pids, 8), 8)); /* one for each item */
	cr_expect(eq(i64, pids[0], pids[1]));
	cr_expect(ne(i64, pids[1], pids[2]));
	for (uint32_t i = 0; i < 4; i++) {
		cr_assert(zero(int, carom_result_map_info(result, &info)));
		cr_expect(eq(u64, info.waiting_count, 4 - i));
		gate_open(gate, i + 1);
		while (info.waiting_count > 3 - i) {
			cr_assert(zero(int, carom_result_map_info(result, &info)));
			sched_yield();
		}
	}
	cr_expect(zero(int, carom_result_get(result, CAROM_PASSED, NULL, 0, NULL)));
	expect_squares(out, 8);
}

static int kill_self_at_five(struct carom_call *call)
{
	if (carom_call_index(call) == 5)
		kill(getpid(), SIGKILL);
	return square(call);
}

/* RS-17 */
/* it is answered as soon as the death is known, and not after some time that a pool waits */
Test(map, needs_no_time_to_give_up_a_lost_item, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct carom_outcome outcomes[10];
	int64_t in[10], out[10];
	uint64_t begun = carom_now();

	number(in, 10);
	for (size_t chunk = 0; chunk < 11; chunk += 5)
		cr_expect(eq(int,
			     carom_pool_map(
				     pool, kill_self_at_five, in, 10, 8, out, 8,
				     &CAROM_MAP_OPTIONS(.chunk_size = chunk, .outcomes = outcomes)),
			     -EREMOTEIO));
	cr_expect(lt(u64, carom_now() - begun, CAROM_SECONDS(5)));
	cr_expect(eq(int, outcomes[5].kind, CAROM_OUTCOME_LOST));
	cr_expect(eq(int, outcomes[5].signal, SIGKILL));
}

/* TO-11 */
/* the pool's own limit is for each item too, in chunks as alone, and the others have their values */
Test(map, in_a_pool_with_a_time_limit_loses_the_item_that_hangs, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_outcome outcomes[20];
	int64_t in[20], out[20];

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2,
							       .hard_limit_ns = ITEM_LIMIT_NS),
					   &pool)));
	number(in, 20);
	for (size_t chunk = 0; chunk < 21; chunk += 10) {
		cr_assert(eq(int,
			     carom_pool_map(
				     pool, hang_on_seven, in, 20, 8, out, 8,
				     &CAROM_MAP_OPTIONS(.chunk_size = chunk, .outcomes = outcomes)),
			     -EREMOTEIO));
		for (int64_t i = 0; i < 20; i++) {
			expect_seven_to_hang(i, &outcomes[i]);
			cr_expect(
				eq(i64, out[i], outcomes[i].kind == CAROM_OUTCOME_OK ? i * i : 0));
		}
	}
}

static int first_passes_gate(struct carom_call *call)
{
	if (carom_call_index(call) == 0)
		gate_pass(gate, 0);
	return square(call);
}

/* what was begun goes on, and nothing else is begun */
Test(map, can_be_cancelled_within_a_chunk, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	static struct carom_outcome outcomes[COUNT];
	int64_t in[COUNT], out[COUNT];

	gate = gate_new();
	pool = new_pool(1);
	number(in, COUNT);
	for (size_t chunk = 1; chunk < 2000; chunk *= 30) {
		CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;

		gate_open(gate, 0);
		atomic_store(&gate->begun, 0);
		cr_assert(zero(int,
			       carom_pool_map_async(pool, first_passes_gate, in, COUNT, 8, out, 8,
						    &CAROM_MAP_OPTIONS(.chunk_size = chunk,
								       .outcomes = outcomes),
						    &result)));
		gate_await(&gate->begun, 1);
		cr_expect(zero(int, carom_result_cancel(result)));
		cr_expect(eq(int, carom_result_cancel(result), -EBUSY));
		gate_open(gate, 1);
		cr_expect(eq(int, carom_result_get(result, CAROM_NO_DEADLINE, NULL, 0, NULL),
			     -EREMOTEIO));
		for (int i = 0; i < COUNT; i++)
			cr_assert(eq(int, outcomes[i].kind,
				     i ? CAROM_OUTCOME_CANCELLED : CAROM_OUTCOME_OK));
	}
}

/* ---- at most once ---- */

#define STORM 20000

static _Atomic uint32_t *starts; /* how often each item was begun */

static int count_start(struct carom_call *call)
{
	atomic_fetch_add(&starts[carom_call_index(call)], 1);
	return square(call);
}

static void kill_a_worker(struct carom_pool *pool, unsigned *seed)
{
	struct carom_worker_info infos[4];

	carom_pool_workers(pool, infos, 4);
	for (int i = 0; i < 4; i++) {
		const struct carom_worker_info *info = &infos[rand_r(seed) % 4];

		if (info->pid > 0) {
			kill((pid_t)info->pid, SIGKILL);
			return;
		}
	}
}

/* SN-14 */
/* workers are killed while items of a map run, and are shared out: none is begun twice */
Test(map, begins_no_item_twice_in_a_storm_of_kills, .timeout = 100)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	static struct carom_outcome outcomes[STORM];
	static int64_t in[STORM], out[STORM];
	unsigned seed = (unsigned)seed_from_environment();

	starts = mmap(NULL, STORM * sizeof(*starts), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pool = new_pool(4);
	number(in, STORM);
	for (size_t round = 0; round < 12; round++) {
		CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
		struct carom_map_options options =
			CAROM_MAP_OPTIONS(.chunk_size = round % 4 * 500, .outcomes = outcomes);

		memset((void *)starts, 0, STORM * sizeof(*starts));
		cr_assert(zero(int, carom_pool_map_async(pool, count_start, in, STORM, 8, out, 8,
							 &options, &result)));
		for (int kills = 0; kills < 5; kills++) {
			kill_a_worker(pool, &seed);
			carom_result_wait(result, carom_deadline_after(CAROM_MILLISECONDS(2)));
		}
		cr_assert(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
		for (int64_t i = 0; i < STORM; i++) {
			bool ok = outcomes[i].kind == CAROM_OUTCOME_OK;

			cr_assert(ok || outcomes[i].kind == CAROM_OUTCOME_LOST);
			cr_assert(le(u32, atomic_load(&starts[i]), 1), "item %ld, seed %u", i,
				  seed);
			cr_assert(ge(u32, atomic_load(&starts[i]), ok));
			cr_assert(eq(i64, out[i], ok ? i * i : 0));
		}
	}
}

static _Atomic uint32_t *tries; /* by item; shared */

static int die_at_some(struct carom_call *call)
{
	uint64_t item = carom_call_index(call);
	uint32_t before = atomic_fetch_add(&tries[item], 1);

	if ((item == 3 && before < 2) || item == 7)
		raise(SIGKILL);
	return 0;
}

Test(map, begins_items_again_that_may_be, .timeout = 60)
{
	struct carom_pool *pool = NULL;
	struct carom_outcome outcomes[10];
	char items[10] = { 0 };

	tries = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert(ne(ptr, (void *)tries, MAP_FAILED));
	pool = new_pool(2);
	for (size_t chunk = 1; chunk <= 10; chunk += 9) {
		memset((void *)tries, 0, 4096);
		cr_expect(eq(
			int,
			carom_pool_map(pool, die_at_some, items, 10, 1, NULL, 0,
				       &CAROM_MAP_OPTIONS(.chunk_size = chunk, .retry_on_loss = 2,
							  .outcomes = outcomes)),
			-EREMOTEIO));
		for (int i = 0; i < 10; i++) {
			cr_expect(eq(int, outcomes[i].kind,
				     i == 7 ? CAROM_OUTCOME_LOST : CAROM_OUTCOME_OK),
				  "item %d by %zu", i, chunk);
			cr_expect(eq(u32, tries[i], i == 3 || i == 7 ? 3 : 1), "item %d by %zu", i,
				  chunk);
		}
	}
	carom_pool_free(pool);
}
