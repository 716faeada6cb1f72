/* One by one: imap, ordered and not, its window, its input's end, and deaths among its items. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <sys/wait.h>

#include "pool/call_private.h"
#include "tests/pool/isolated.h"
#include "tests/pool/gate.h"
#include "tests/pool/work.h"

struct counter {
	int64_t next, end;
	int error;
};

static int count_up(void *userdata, const void **ret_data, size_t *ret_size)
{
	struct counter *counter = userdata;
	static int64_t value;

	if (counter->next == counter->end)
		return counter->error;
	value = counter->next++;
	*ret_data = &value;
	*ret_size = sizeof(value);
	return 1;
}

/* what is handed out until the end, in total; *ret_end is what ended it */
static uint64_t exhaust(struct carom_iterator *iterator, int *ret_end)
{
	struct carom_item item;
	uint64_t count = 0;

	while ((*ret_end = carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item)) == 1)
		count++;
	return count;
}

/* PM-08 */
Test(imap, hands_out_values_in_the_order_of_the_input, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct counter counter = { .end = 20000 };
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;
	uint64_t expected = 0;
	int64_t value;

	cr_assert(zero(int, carom_pool_imap(pool, square, count_up, &counter, NULL, &iterator)));
	while (carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item) == 1) {
		cr_assert(eq(u64, item.index, expected));
		cr_assert(eq(sz, item.size, sizeof(value)));
		memcpy(&value, item.data, sizeof(value));
		cr_assert(eq(i64, value, (int64_t)(expected * expected)));
		expected++;
	}
	cr_expect(eq(u64, expected, 20000));
	cr_expect(zero(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item)));
}

Test(imap, hands_out_every_item_once_if_unordered, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct counter counter = { .end = 20000 };
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	static bool seen[20000];
	struct carom_item item;
	int64_t value;
	int r;

	cr_assert(zero(
		int, carom_pool_imap_unordered(pool, square, count_up, &counter, NULL, &iterator)));
	while ((r = carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item)) == 1) {
		cr_assert(eq(int, item.outcome.kind, CAROM_OUTCOME_OK));
		memcpy(&value, item.data, sizeof(value));
		cr_assert(eq(i64, value, (int64_t)(item.index * item.index)));
		cr_assert(not(seen[item.index]));
		seen[item.index] = true;
	}
	cr_expect(zero(int, r));
	for (int i = 0; i < 20000; i++)
		cr_assert(seen[i]);
	cr_expect(zero(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item)));
}

Test(imap, reads_its_input_only_as_far_as_its_window, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct counter counter = { .end = INT64_MAX };
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;

	cr_assert(
		zero(int, carom_pool_imap_unordered(pool, square, count_up, &counter,
						    &CAROM_IMAP_OPTIONS(.window = 8), &iterator)));
	for (int64_t i = 0; i < 1000; i++) {
		cr_assert(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
		cr_assert(le(i64, counter.next, i + 8));
	}
}

/* PM-13 */
Test(imap, tells_the_error_of_its_input_after_all_items_before_it, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct counter counter = { .end = 10, .error = -EIO };
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;
	int count = 0, r;

	carom_pool_imap_unordered(pool, square, count_up, &counter, NULL, &iterator);
	while ((r = carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item)) == 1)
		count++;
	cr_expect(eq(int, count, 10));
	cr_expect(eq(int, r, -EIO));
}

/* RS-19 */
Test(imap, goes_on_after_an_item_whose_worker_died, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct counter counter = { .end = 500 };
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;
	int lost = 0, fine = 0;

	carom_pool_imap_unordered(pool, die_on_fifty, count_up, &counter, NULL, &iterator);
	while (carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item) == 1) {
		bool dead = item.index % 100 == 50 || item.index % 100 == 51;

		cr_assert(eq(int, item.outcome.kind, dead ? CAROM_OUTCOME_LOST : CAROM_OUTCOME_OK));
		lost += dead;
		fine += !dead;
	}
	cr_expect(eq(int, lost, 10));
	cr_expect(eq(int, fine, 490));
}

Test(imap, keeps_an_unordered_item_that_was_not_waited_for_long_enough, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct counter counter = { .next = 7, .end = 8 };
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;

	carom_pool_imap_unordered(pool, hang_on_seven, count_up, &counter,
				  &CAROM_IMAP_OPTIONS(.hard_limit_ns = CAROM_MILLISECONDS(400)),
				  &iterator);
	cr_expect(eq(int, carom_iterator_next(iterator, CAROM_PASSED, &item), -ETIMEDOUT));
	cr_expect(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
	cr_expect(eq(int, item.outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
	cr_expect(zero(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item)));
}

Test(imap, says_when_the_pool_was_closed_under_it, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct counter counter = { .end = INT64_MAX };
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;
	int r;

	carom_pool_imap_unordered(pool, square, count_up, &counter, NULL, &iterator);
	cr_assert(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
	carom_pool_close(pool);
	while ((r = carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item)) == 1)
		;
	cr_expect(eq(int, r, -ESHUTDOWN));
}

Test(imap, leaves_slots_to_others, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct counter counter = { .end = 100 };
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;
	int64_t x = 3, y = 0;
	int count = 1;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .slot_count = 8),
					   &pool)));
	carom_pool_imap_unordered(pool, square, count_up, &counter,
				  &CAROM_IMAP_OPTIONS(.window = 8), &iterator);
	cr_assert(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
	/* its window holds every slot; another task is done all the same */
	cr_expect(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
	while (carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item) == 1)
		count++;
	cr_expect(eq(int, count, 100));
}

/* ---- what a gate shows ---- */

static struct gate *gate;

/* item x ends once the gate lets number x through */
static int pass_gate(struct carom_call *call)
{
	int64_t x;

	carom_call_read(call, &x, sizeof(x));
	gate_pass(gate, (uint32_t)x);
	return square(call);
}

/* number 0 last: the others pass a gate that is open for them */
static int first_is_slow(struct carom_call *call)
{
	if (carom_call_index(call) == 0)
		gate_pass(gate, 0);
	return square(call);
}

/* PM-11 */
Test(imap, hands_out_a_slow_first_item_last_if_unordered, .timeout = 20)
{
	struct counter counter = { .end = 10 };
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;

	gate = gate_new();
	pool = new_pool(2);
	carom_pool_imap_unordered(pool, first_is_slow, count_up, &counter, NULL, &iterator);
	for (int i = 0; i < 9; i++) {
		cr_assert(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
		cr_assert(ne(u64, item.index, 0));
	}
	gate_open(gate, 1);
	cr_assert(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
	cr_expect(zero(u64, item.index));
}

/* RS-18 */
Test(imap, keeps_an_item_that_was_not_waited_for_long_enough, .timeout = 20)
{
	struct counter counter = { .end = 3 };
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;

	gate = gate_new();
	pool = new_pool(2);
	carom_pool_imap(pool, pass_gate, count_up, &counter, NULL, &iterator);
	for (uint32_t i = 0; i < 3; i++) {
		cr_expect(eq(int, carom_iterator_next(iterator, CAROM_PASSED, &item), -ETIMEDOUT));
		cr_expect(eq(int,
			     carom_iterator_next(
				     iterator, carom_deadline_after(CAROM_MILLISECONDS(20)), &item),
			     -ETIMEDOUT));
		gate_open(gate, i + 1);
		cr_assert(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
		cr_expect(eq(u64, item.index, i));
		cr_expect(eq(int, item.outcome.kind, CAROM_OUTCOME_OK));
	}
	cr_expect(zero(int, carom_iterator_next(iterator, CAROM_PASSED, &item)));
}

Test(imap, keeps_to_its_deadline_where_others_hold_all_slots, .timeout = 20)
{
	struct counter counter = { .end = 1 };
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;
	int64_t zero = 0;

	gate = gate_new();
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .slot_count = 1),
					   &pool)));
	cr_assert(zero(int, carom_pool_apply_async(pool, pass_gate, &zero, 8, NULL, &result)));
	carom_pool_imap(pool, square, count_up, &counter, NULL, &iterator);
	cr_expect(eq(int, carom_iterator_next(iterator, CAROM_PASSED, &item), -ETIMEDOUT));
	cr_expect(eq(
		int,
		carom_iterator_next(iterator, carom_deadline_after(CAROM_MILLISECONDS(20)), &item),
		-ETIMEDOUT));
	gate_open(gate, 1);
	cr_expect(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
	cr_expect(zero(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item)));
}

/* RS-20 */
Test(imap, is_ready_after_its_last_item_and_the_end_of_its_input, .timeout = 20)
{
	struct counter counter = { .end = 2 };
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;
	int64_t pids[4];
	uint64_t length = 77;

	gate = gate_new();
	pool = new_pool(2);
	carom_pool_imap(pool, pass_gate, count_up, &counter, NULL, &iterator);
	cr_expect(eq(int, carom_iterator_length(iterator, &length), -EINPROGRESS));
	cr_expect(zero(int, carom_iterator_worker_pids(iterator, pids, 4)));
	cr_expect(eq(int, carom_iterator_next(iterator, CAROM_PASSED, &item), -ETIMEDOUT));
	gate_await(&gate->begun, 2);
	cr_expect(not(carom_iterator_ready(iterator))); /* the length is known, the items run */
	cr_expect(zero(int, carom_iterator_length(iterator, &length)));
	cr_expect(eq(u64, length, 2));
	cr_assert(eq(int, carom_iterator_worker_pids(iterator, pids, 4), 2));
	cr_expect(ne(i64, pids[0], pids[1]));
	gate_open(gate, 2);
	cr_assert(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
	cr_expect(item.outcome.worker_pid == pids[0] || item.outcome.worker_pid == pids[1]);
	cr_assert(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
	cr_expect(carom_iterator_ready(iterator));
	cr_expect(zero(int, carom_iterator_next(iterator, CAROM_PASSED, &item)));
}

/* PX-09 */
Test(imap, begins_no_more_items_than_there_are_workers, .timeout = 20)
{
	struct counter counter = { .end = INT64_MAX };
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;
	int64_t pids[8];

	gate = gate_new();
	pool = new_pool(2);
	carom_pool_imap(pool, pass_gate, count_up, &counter, &CAROM_IMAP_OPTIONS(.window = 8),
			&iterator);
	for (uint32_t i = 0; i < 50; i++) {
		cr_assert(eq(int, carom_iterator_next(iterator, CAROM_PASSED, &item), -ETIMEDOUT));
		gate_await(&gate->begun, i + 2);
		cr_assert(eq(int, carom_iterator_worker_pids(iterator, pids, 8), 2));
		cr_assert(eq(u32, atomic_load(&gate->begun), i + 2));
		cr_assert(eq(i64, counter.next, i + 8));
		gate_open(gate, i + 1);
		cr_assert(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
	}
	gate_open(gate, UINT32_MAX);
}

/* RS-21 */
Test(imap, outlives_its_pool, .timeout = 20)
{
	struct counter counter = { .end = INT64_MAX };
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_pool *pool;
	struct carom_item item;
	int r, count = 1, terminated = 0;

	gate = gate_new();
	pool = new_pool(2);
	carom_pool_imap(pool, pass_gate, count_up, &counter, &CAROM_IMAP_OPTIONS(.window = 8),
			&iterator);
	gate_open(gate, 3);
	cr_assert(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
	gate_await(&gate->begun, 5); /* 0, 1 and 2 have ended; two more are at the gate */
	carom_pool_free(pool);
	while ((r = carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item)) == 1) {
		bool is_at_gate = item.index >= 3 && item.outcome.kind == CAROM_OUTCOME_TERMINATED;

		if (!is_at_gate)
			cr_expect(
				eq(int, item.outcome.kind,
				   item.index < 3 ? CAROM_OUTCOME_OK : CAROM_OUTCOME_POOL_CLOSED));
		terminated += is_at_gate;
		count++;
	}
	cr_expect(eq(int, r, -ESHUTDOWN));
	cr_expect(eq(int, count, 8));
	cr_expect(eq(int, terminated, 2));
	cr_expect(not(carom_iterator_ready(iterator)));
}

/* ---- inputs without an end ---- */

static uint64_t resident_kib(void)
{
	struct carom_memory_usage usage;

	cr_assert(zero(int, carom_memory_usage(&usage)));
	return usage.current / 1024;
}

static int repeat_page(void *userdata, const void **ret_data, size_t *ret_size)
{
	static unsigned char page[65536];

	page[0]++;
	*ret_data = page;
	*ret_size = sizeof(page);
	return 1;
}

/* PM-09 */
/* 20,000 items of 64 KiB, and as much of values: 2.5 GiB through the memory of a few windows */
Test(imap, pain_20_endless_input_in_constant_memory, .timeout = 120)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	uint64_t before = 0, after;
	struct carom_item item;

	cr_assert(zero(int, carom_pool_imap(pool, echo, repeat_page, NULL,
					    &CAROM_IMAP_OPTIONS(.window = 8), &iterator)));
	for (int i = 0; i < 20000; i++) {
		if (i == 1000)
			before = resident_kib();
		cr_assert(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
		cr_assert(eq(sz, item.size, 65536));
	}
	after = resident_kib();
	cr_expect(lt(u64, after, before + 16 * 1024), "%lu KiB, then %lu KiB", before, after);
}

/* PX-08 */
Test(imap, takes_no_more_of_an_endless_input_than_its_window, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct counter counter = { .end = INT64_MAX };
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;

	cr_assert(zero(int, carom_pool_imap(pool, square, count_up, &counter,
					    &CAROM_IMAP_OPTIONS(.window = 8), &iterator)));
	for (int64_t i = 0; i < 1000; i++) {
		cr_assert(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
		cr_assert(eq(u64, item.index, (uint64_t)i));
		cr_assert(le(i64, counter.next, i + 8));
	}
}

/* ---- what each iterator has for itself ---- */

/* PM-10 */
/* no wait for a lost worker is needed, by whatever iterator: its items are answered at once */
Test(imap, has_limits_that_win_over_the_pools, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_imap_options options =
		CAROM_IMAP_OPTIONS(.hard_limit_ns = CAROM_MILLISECONDS(400));
	struct carom_item item;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .hard_limit_ns = CAROM_SECONDS(900)),
					   &pool)));
	for (int unordered = 0; unordered < 2; unordered++) {
		struct counter counter = { .next = 7, .end = 9 };
		CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
		uint64_t begun = carom_now();

		(unordered ? carom_pool_imap_unordered : carom_pool_imap)(
			pool, hang_on_seven, count_up, &counter, &options, &iterator);
		cr_assert(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
		cr_expect(eq(int, item.outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
		cr_expect(eq(u64, item.outcome.limit_ns, CAROM_MILLISECONDS(400)));
		cr_expect(lt(u64, carom_now() - begun, CAROM_SECONDS(5)));
		cr_assert(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
		cr_expect(ended_within(options.hard_limit_ns, &item.outcome, CAROM_OUTCOME_OK));
	}
}

/* PM-30 */
Test(imap, ends_alone_where_its_input_fails, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct counter bad = { .end = 3, .error = -EIO }, good = { .end = 100 };
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *failing = NULL;
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *going = NULL;
	int r;

	carom_pool_imap(pool, square, count_up, &bad, NULL, &failing);
	carom_pool_imap(pool, square, count_up, &good, NULL, &going);
	cr_expect(eq(u64, exhaust(failing, &r), 3));
	cr_expect(eq(int, r, -EIO));
	cr_expect(eq(u64, exhaust(going, &r), 100));
	cr_expect(zero(int, r));
	/* and a pool that is closed with nothing to do ends its workers */
	carom_pool_close(pool);
	cr_expect(zero(int, carom_pool_join(pool, CAROM_NO_DEADLINE)));
}

/* ---- errors ---- */

static int leave_garbage(struct carom_call *call)
{
	void *room;
	int r = carom_reply_reserve(call, 100, &room);

	if (r < 0)
		return r;
	call->offset = UINT64_MAX / 2; /* where its value is said to be */
	return carom_reply_commit(call, 100);
}

Test(imap, fails_an_item_with_a_value_out_of_bounds, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct counter counter = { .end = 5 };
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;

	SKIP_IF_ISOLATED("such a worker is killed");
	carom_pool_imap(pool, leave_garbage, count_up, &counter, NULL, &iterator);
	for (int i = 0; i < 5; i++) {
		cr_assert(eq(int, carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item), 1));
		cr_expect(eq(int, item.outcome.kind, CAROM_OUTCOME_FAILED));
		cr_expect(eq(int, item.outcome.code, -EBADMSG));
		cr_expect(eq(ptr, (void *)(uintptr_t)item.data, NULL));
	}
}

Test(imap, refuses_what_it_cannot_do, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_iterator *iterator = (void *)1;
	struct counter counter = { .end = 5 };
	struct {
		struct carom_imap_options known;
		uint64_t newer;
	} large = { { .size_bytes = sizeof(large) }, 1 };

	cr_expect(
		eq(int, carom_pool_imap(pool, NULL, count_up, &counter, NULL, &iterator), -EINVAL));
	cr_expect(eq(int, carom_pool_imap(pool, square, NULL, &counter, NULL, &iterator), -EINVAL));
	cr_expect(eq(int, carom_pool_imap(pool, square, count_up, &counter, NULL, NULL), -EINVAL));
	cr_expect(eq(int,
		     carom_pool_imap(pool, square, count_up, &counter,
				     &CAROM_IMAP_OPTIONS(.window = 5000), &iterator),
		     -EINVAL));
	cr_expect(eq(int,
		     carom_pool_imap(pool, square, count_up, &counter, &large.known, &iterator),
		     -E2BIG));
	carom_pool_close(pool);
	cr_expect(eq(int, carom_pool_imap(pool, square, count_up, &counter, NULL, &iterator),
		     -ESHUTDOWN));
	cr_expect(eq(ptr, iterator, (void *)1));
	cr_expect(eq(ptr, carom_iterator_free(NULL), NULL));
}

Test(imap, belongs_to_the_process_that_made_it, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct counter counter = { .end = 5 };
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_item item;
	int64_t pid;
	uint64_t length;
	int status, r;
	pid_t child;

	carom_pool_imap(pool, square, count_up, &counter, NULL, &iterator);
	child = fork();
	if (child == 0)
		_exit(carom_iterator_next(iterator, CAROM_PASSED, &item) != -ECHILD ||
		      carom_iterator_length(iterator, &length) != -ECHILD ||
		      carom_iterator_worker_pids(iterator, &pid, 1) != -ECHILD ||
		      carom_iterator_ready(iterator) || carom_iterator_free(iterator));
	cr_assert(eq(int, waitpid(child, &status, 0), child));
	cr_expect(zero(int, status));
	cr_expect(eq(u64, exhaust(iterator, &r), 5));
}
