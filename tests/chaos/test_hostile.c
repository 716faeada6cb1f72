/*
 * A hostile worker: it has the lane that is its own, and writes there what it likes, when it
 * likes. The program neither crashes nor hangs, believes no answer of its for a task that is
 * another's, and others' tasks go on.
 *
 * CAROM_SEED replays a run; CAROM_HOSTILE_SECONDS makes each random one longer.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "core/points.h"
#include "core/time.h"
#include "ipc/lane_private.h"
#include "pool/answer.h"
#include "pool/call_private.h"
#include "pool/pool_private.h"
#include "pool/exit_code.h"
#include "shm/futex.h"
#include "tests/chaos/hostile_fields.h"
#include "tests/core/sandboxes.h"
#include "tests/pool/work.h"

#define MS(count) CAROM_MILLISECONDS(count)

/* ---- which process is hostile: by pid, which the program takes from nobody ---- */

#define HOSTILE_MAX 65536

struct shared {
	_Atomic uint32_t hostile[HOSTILE_MAX / 32]; /* a bit per pid, modulo */
	_Atomic uint64_t writes;
	_Atomic int is_answered; /* the task that the test has waited for */
};

static struct shared *shared; /* mapped before the fork server is made */

static void share(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	cr_assert(ne(ptr, (void *)shared, MAP_FAILED));
}

TestSuite(hostile, .init = share, .timeout = 120);

static void turn_hostile(void)
{
	uint32_t pid = (uint32_t)getpid() % HOSTILE_MAX;

	atomic_fetch_or(&shared->hostile[pid / 32], UINT32_C(1) << (pid % 32));
}

static bool was_hostile(int64_t pid)
{
	uint32_t at = (uint32_t)pid % HOSTILE_MAX;

	return atomic_load(&shared->hostile[at / 32]) >> (at % 32) & 1;
}

/* ---- chance ---- */

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t seed_of_run(void)
{
	const char *given = getenv("CAROM_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : carom_now() | 1;

	printf("# seed %" PRIu64 " (CAROM_SEED replays it)\n", seed);
	return seed ? seed : 1;
}

static uint64_t end_of_run(uint64_t seconds)
{
	const char *given = getenv("CAROM_HOSTILE_SECONDS");

	return carom_deadline_after((given ? strtoull(given, NULL, 0) : seconds) *
				    CAROM_NS_PER_SEC);
}

/* ---- the pool, and those who go on ---- */

/*
 * What stands still is ended by its limit. What does not has far more time than a busy machine
 * needs, or as much as a test can wait for where both have the same limit.
 */
#define LIMIT_OF_POOL   CAROM_SECONDS(5)
#define LIMIT_OF_ATTACK MS(100)
#define LIMIT_OF_BOTH   MS(600)

#define PAYLOAD CAROM_MIB(64)

static struct carom_pool *isolated_pool(uint64_t workers)
{
	struct carom_pool *pool = NULL;

	cr_assert(
		zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = workers, .isolated = 1,
							     .payload_size = PAYLOAD,
							     .hard_limit_ns = LIMIT_OF_POOL,
							     .grace_ns = CAROM_NO_GRACE,
							     .max_restarts = CAROM_NO_LIMIT),
					 &pool)));
	return pool;
}

/* right, unless a hostile process had it: whose it was, it may do with as it likes */
static void expect_square(struct carom_pool *pool, int64_t x)
{
	struct carom_outcome outcome;
	int64_t y = 0;
	int r = carom_pool_apply(pool, square, &x, sizeof(x), &y, sizeof(y), NULL, &outcome);

	if (r == 0 && y == x * x)
		return;
	cr_assert(was_hostile(outcome.worker_pid), "r %d kind %d y %" PRId64 " pid %d", r,
		  outcome.kind, y, outcome.worker_pid);
}

/* whatever becomes of it: an answer, and within its limit and what a kill takes */
static struct carom_outcome outcome_within(uint64_t limit_ns, struct carom_pool *pool,
					   carom_task_fn *attack, const void *data, size_t size)
{
	struct carom_task_options options = CAROM_TASK_OPTIONS(.hard_limit_ns = limit_ns);
	struct carom_result *result = NULL;
	struct carom_outcome outcome = { .kind = CAROM_OUTCOME_PENDING };

	cr_assert(zero(int, carom_pool_apply_async(pool, attack, data, size, &options, &result)));
	cr_assert(zero(int, carom_result_wait(result, carom_deadline_after(CAROM_SECONDS(30)))));
	carom_result_outcome(result, &outcome);
	carom_result_free(result);
	return outcome;
}

/* of one that ends by itself, or is ended for what it does */
static struct carom_outcome outcome_of_attack(struct carom_pool *pool, carom_task_fn *attack,
					      const void *data, size_t size)
{
	return outcome_within(LIMIT_OF_POOL, pool, attack, data, size);
}

static void expect_violation(struct carom_pool *pool, carom_task_fn *attack, const void *data,
			     size_t size, const char *what)
{
	struct carom_outcome outcome = outcome_of_attack(pool, attack, data, size);
	char text[160];

	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
	cr_expect(ne(ptr, strstr(outcome.message, "protocol violation"), NULL));
	carom_outcome_describe(&outcome, text, sizeof(text));
	cr_expect(ne(ptr, strstr(text, what), NULL), "%s", text);
	expect_square(pool, 7);
}

/* ---- forging ---- */

static _Noreturn void sit_there(void)
{
	for (;;)
		pause();
}

static void set_word(struct carom_call *call, uint64_t word)
{
	atomic_store(&call->slot->word, word);
	carom_futex_wake(slot_futex(call->slot), INT32_MAX);
	carom_lane_wake_noticer(call->lane);
}

/* as a worker that has ended its task, but for what it says of it */
static _Noreturn void forge_end(struct carom_call *call)
{
	uint64_t word = atomic_load(&call->slot->word);

	set_word(call, CAROM_SLOT_WORD(carom_slot_generation(word), 0, 0, CAROM_SLOT_DONE));
	sit_there();
}

static int leave_large_length(struct carom_call *call)
{
	turn_hostile();
	call->slot->code = 0;
	call->slot->value_size = UINT64_MAX;
	call->slot->value.offset = 64;
	call->slot->value.reserved = 64;
	forge_end(call);
}

static int leave_place_outside(struct carom_call *call)
{
	turn_hostile();
	call->slot->code = 0;
	call->slot->value_size = 4096;
	call->slot->value.offset = UINT64_MAX - 4095;
	call->slot->value.reserved = 4096;
	forge_end(call);
}

/* the sum of offset and room is small again */
static int leave_place_that_wraps(struct carom_call *call)
{
	turn_hostile();
	call->slot->code = 0;
	call->slot->value_size = UINT64_C(1) << 40;
	call->slot->value.offset = UINT64_C(0) - (UINT64_C(1) << 40);
	call->slot->value.reserved = UINT64_C(1) << 40;
	forge_end(call);
}

static int be_of_another_generation(struct carom_call *call)
{
	int64_t by;
	uint64_t word = atomic_load(&call->slot->word);

	turn_hostile();
	carom_call_read(call, &by, sizeof(by));
	set_word(call, CAROM_SLOT_WORD(carom_slot_generation(word) + (uint32_t)by, 0, 0,
				       CAROM_SLOT_DONE));
	sit_there();
}

static int be_in_another_state(struct carom_call *call)
{
	int64_t state;
	uint64_t word = atomic_load(&call->slot->word);

	turn_hostile();
	carom_call_read(call, &state, sizeof(state));
	/* it is seen to run first */
	poll(NULL, 0, 30);
	set_word(call,
		 CAROM_SLOT_WORD(carom_slot_generation(word), state == CAROM_SLOT_DONE, 0, state));
	sit_there();
}

Test(hostile, length_or_place_that_cannot_be_ends_it)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(2);

	expect_violation(pool, leave_large_length, NULL, 0, "length");
	expect_violation(pool, leave_place_outside, NULL, 0, "place");
	expect_violation(pool, leave_place_that_wraps, NULL, 0, "place");
}

Test(hostile, generation_that_was_never_dealt_ends_it)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(2);

	expect_violation(pool, be_of_another_generation, &(int64_t){ 1 }, 8, "generation");
	expect_violation(pool, be_of_another_generation, &(int64_t){ -1 }, 8, "generation");
	expect_violation(pool, be_of_another_generation, &(int64_t){ INT32_MIN }, 8, "generation");
}

static int spoil_progress(struct carom_call *call)
{
	turn_hostile();
	/* of a batch: more ended than begun */
	atomic_store(&call->slot->value.progress, 5);
	sit_there();
}

Test(hostile, batch_whose_progress_cannot_be_costs_what_it_had_not_ended)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(2);
	int64_t items[8] = { 0 };
	struct carom_outcome outcomes[8];

	cr_expect(eq(int,
		     carom_pool_map(pool, spoil_progress, items, 8, 8, items, 8,
				    &CAROM_MAP_OPTIONS(.chunk_size = 8, .outcomes = outcomes,
						       .hard_limit_ns = LIMIT_OF_ATTACK)),
		     -EREMOTEIO));
	for (int i = 0; i < 8; i++)
		cr_expect(ne(int, outcomes[i].kind, CAROM_OUTCOME_OK));
	expect_square(pool, 5);
}

/* ---- standing between the items of a map ---- */

#define ITEMS 8

static void set_progress(struct carom_call *call, uint64_t begun, uint64_t ended)
{
	atomic_store(&call->slot->value.progress, carom_progress(begun, ended));
}

/*
 * The rest of a map is done by others: it is item 2 that is hostile. A process turns hostile once
 * it has done its worst: what becomes of it before, the machine has done.
 */
static int say_it_has_ended(struct carom_call *call)
{
	if (carom_call_index(call) != 2)
		return 0;
	set_progress(call, 3, 3);
	turn_hostile();
	sit_there();
}

static int say_it_has_not_begun(struct carom_call *call)
{
	if (carom_call_index(call) != 2)
		return 0;
	set_progress(call, 2, 2);
	turn_hostile();
	sit_there();
}

static int say_this_and_that(struct carom_call *call)
{
	if (carom_call_index(call) != 2)
		return 0;
	turn_hostile();
	for (;;) {
		set_progress(call, 2, 2);
		set_progress(call, 3, 2);
	}
	return 0;
}

static int say_that_none_has_begun(struct carom_call *call)
{
	if (carom_call_index(call) != 0)
		return 0;
	set_progress(call, 0, 0);
	call->slot->started_ns = 0;
	turn_hostile();
	sit_there();
}

static int say_that_all_have_ended(struct carom_call *call)
{
	if (carom_call_index(call) != ITEMS - 1)
		return 0;
	set_progress(call, ITEMS, ITEMS);
	turn_hostile();
	sit_there();
}

/* A process that meant no harm got nothing done for so long. */
static bool was_held(uint64_t limit_ns, const struct carom_outcome *outcome)
{
	return outcome->kind == CAROM_OUTCOME_HARD_LIMIT && !was_hostile(outcome->worker_pid) &&
	       outcome->ended_ns - outcome->started_ns >= limit_ns;
}

/*
 * @item: the one that hits the limit; below 0: none. With others to do it, it would be taken back.
 * The items before and behind it have the same limit: if the machine is too busy for one of them,
 * what the others come to says nothing.
 */
static void expect_limit(carom_task_fn *attack, int item)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(1);
	struct carom_outcome outcomes[ITEMS];
	int64_t items[ITEMS] = { 0 };
	int r = carom_pool_map(pool, attack, items, ITEMS, 8, items, 8,
			       &CAROM_MAP_OPTIONS(.chunk_size = ITEMS, .outcomes = outcomes,
						  .hard_limit_ns = LIMIT_OF_BOTH));

	for (int i = 0; i < ITEMS; i++)
		if (was_held(LIMIT_OF_BOTH, &outcomes[i]))
			return;
	cr_expect(eq(int, r, item < 0 ? 0 : -EREMOTEIO));
	for (int i = 0; i < ITEMS; i++)
		cr_expect(eq(int, outcomes[i].kind,
			     i == item ? CAROM_OUTCOME_HARD_LIMIT : CAROM_OUTCOME_OK),
			  "item %d", i);
	expect_square(pool, 6);
}

Test(hostile, standing_between_items_hits_the_limit_of_the_next)
{
	expect_limit(say_it_has_ended, 3);
	expect_limit(say_it_has_not_begun, 2);
	expect_limit(say_this_and_that, 2);
	expect_limit(say_that_none_has_begun, 0);
	expect_limit(say_that_all_have_ended, -1);
}

struct batch_claim {
	uint64_t value_size;
	uint64_t offset;
};

/* all items, as they should be; what it says of their values is for the last one to tell */
static int claim_for_all(struct carom_call *call)
{
	struct batch_claim claim;

	carom_call_read(call, &claim, sizeof(claim));
	if (carom_call_index(call) != ITEMS - 1)
		return carom_reply(call, &claim, sizeof(claim));
	turn_hostile();
	call->slot->code = 0;
	call->slot->value_size = claim.value_size;
	call->slot->value.offset = claim.offset;
	set_progress(call, ITEMS, ITEMS);
	set_word(call, CAROM_SLOT_WORD(carom_slot_generation(atomic_load(&call->slot->word)), 0, 0,
				       CAROM_SLOT_DONE));
	poll(NULL, 0, 2); /* for the parent to see */
	_exit(0);
}

/* the items' values and codes have their place there, or none of the map's is an answer */
static void expect_room_for_all(struct carom_pool *pool, struct batch_claim claim)
{
	struct batch_claim items[ITEMS], values[ITEMS];
	struct carom_outcome outcomes[ITEMS];
	bool has_room = claim.value_size <= PAYLOAD &&
			claim.value_size >= carom_batch_values_size(ITEMS, sizeof(values[0]));

	for (int i = 0; i < ITEMS; i++)
		items[i] = claim;
	carom_pool_map(pool, claim_for_all, items, ITEMS, sizeof(items[0]), values,
		       sizeof(values[0]),
		       &CAROM_MAP_OPTIONS(.chunk_size = ITEMS, .outcomes = outcomes,
					  .hard_limit_ns = LIMIT_OF_BOTH));
	for (int i = 0; i < ITEMS; i++) {
		cr_expect(ne(int, outcomes[i].kind, CAROM_OUTCOME_PENDING));
		cr_expect(has_room || outcomes[i].kind != CAROM_OUTCOME_OK ||
				  !was_hostile(outcomes[i].worker_pid),
			  "item %d: size %" PRIx64 " offset %" PRIx64, i, claim.value_size,
			  claim.offset);
	}
}

Test(hostile, values_of_a_batch_that_have_no_room_are_none)
{
	/* another one would be given a part of the items */
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(1);

	for (size_t i = 0; i < HOSTILE_CORNERS; i++) {
		uint64_t corner = hostile_corner(i, PAYLOAD);

		expect_room_for_all(pool, (struct batch_claim){ corner, 4096 });
		expect_room_for_all(pool, (struct batch_claim){ 4096, corner });
		expect_square(pool, (int64_t)i);
	}
}

/* ---- a state that cannot follow ---- */

Test(hostile, state_that_cannot_be_is_no_answer)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(2);

	for (int64_t state = 0; state < 12; state++) {
		/* as if it had not begun yet, or were at it still */
		bool may_be = state == CAROM_SLOT_READY || state == CAROM_SLOT_RUNNING;
		struct carom_outcome outcome =
			outcome_within(may_be ? LIMIT_OF_ATTACK : LIMIT_OF_POOL, pool,
				       be_in_another_state, &state, 8);

		if (may_be)
			continue;
		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST), "state %d kind %d", (int)state,
			  outcome.kind);
		expect_square(pool, state);
	}
}

/* ---- ends that are none ---- */

static int exit_as_told(struct carom_call *call)
{
	int64_t status;

	turn_hostile();
	carom_call_read(call, &status, sizeof(status));
	_exit((int)status);
}

Test(hostile, clean_exit_that_is_forged_is_a_loss)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(2);

	for (int64_t status = 0; status < 256; status += 155) {
		struct carom_outcome outcome = outcome_of_attack(pool, exit_as_told, &status, 8);

		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
		cr_expect(eq(int, outcome.exit_status, (int)status));
		expect_square(pool, status);
	}
}

static _Atomic int end_reasons[CAROM_STATISTICS_REASONS];

static void count_end(const struct carom_worker_event *event, void *userdata)
{
	atomic_fetch_add(&end_reasons[event->reason], 1);
}

static void *end_as_replaced(void *userdata)
{
	while (!atomic_load(&shared->is_answered))
		sched_yield();
	_exit(CAROM_WORKER_EXIT_RECYCLE);
}

/* its task is well: it ends between two, with the status of one that is to be replaced */
static int end_after_this(struct carom_call *call)
{
	pthread_t thread;

	turn_hostile();
	return -pthread_create(&thread, NULL, end_as_replaced, NULL);
}

/* Who could say so would be made anew again and again, and no limit of restarts would end that. */
Test(hostile, being_replaced_that_nobody_asked_for_is_a_loss)
{
	struct carom_pool_hooks hooks = CAROM_POOL_HOOKS(.on_process_down = count_end);
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .isolated = 1,
							       .hooks = &hooks,
							       .max_restarts = CAROM_NO_LIMIT),
					   &pool)));
	cr_expect(zero(int, carom_pool_apply(pool, end_after_this, NULL, 0, NULL, 0, NULL, NULL)));
	atomic_store(&shared->is_answered, 1);
	while (!atomic_load(&end_reasons[CAROM_EXIT_REASON_LOST]) &&
	       !atomic_load(&end_reasons[CAROM_EXIT_REASON_RECYCLED]))
		sched_yield();
	cr_expect(zero(int, atomic_load(&end_reasons[CAROM_EXIT_REASON_RECYCLED])));
	expect_square(pool, 4);
}

/* ---- floods ---- */

static int ring_without_end(struct carom_call *call)
{
	turn_hostile();
	for (;;)
		carom_lane_wake_noticer(call->lane);
	return 0;
}

Test(hostile, flood_of_wake_ups_ends_it)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(2);

	expect_violation(pool, ring_without_end, NULL, 0, "bell");
}

static int close_bell(struct carom_call *call)
{
	turn_hostile();
	close(call->lane->bell_fd);
	sit_there();
}

Test(hostile, bell_that_is_closed_ends_it)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(2);
	struct carom_outcome outcome = outcome_of_attack(pool, close_bell, NULL, 0);

	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
	expect_square(pool, 3);
}

/* the word on which its caller sleeps never rests */
static int never_rest(struct carom_call *call)
{
	uint64_t word = atomic_load(&call->slot->word);
	uint64_t i = 0;

	turn_hostile();
	for (;;) {
		atomic_store(&call->slot->word, word ^ (i++ & 3) << 9);
		carom_futex_wake(slot_futex(call->slot), INT32_MAX);
	}
	return 0;
}

Test(hostile, word_that_never_rests_keeps_nobody_from_an_answer)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(2);

	for (int i = 0; i < 5; i++) {
		struct carom_outcome outcome =
			outcome_within(LIMIT_OF_ATTACK, pool, never_rest, NULL, 0);

		cr_expect(outcome.kind == CAROM_OUTCOME_LOST ||
				  outcome.kind == CAROM_OUTCOME_HARD_LIMIT,
			  "%d", outcome.kind);
		expect_square(pool, i);
	}
}

/* ---- what it cannot reach ---- */

static int reach_for_arguments(struct carom_call *call)
{
	size_t size;
	void *data = (void *)(uintptr_t)carom_call_data(call, &size);
	void *page = (void *)((uintptr_t)data & ~UINT64_C(4095));
	int64_t successes = 0;

	successes |= mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0;
	successes |= (madvise(page, 4096, MADV_REMOVE) == 0) << 1;
	return carom_reply(call, &successes, sizeof(successes));
}

static int write_argument(struct carom_call *call)
{
	*(volatile char *)(uintptr_t)carom_call_data(call, NULL) = 1;
	return 0;
}

Test(hostile, argument_cannot_be_written)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(1);
	static const char large[8192];
	struct carom_outcome outcome;
	int64_t successes = -1;

	cr_assert(zero(int, carom_pool_apply(pool, reach_for_arguments, large, sizeof(large),
					     &successes, sizeof(successes), NULL, NULL)));
	cr_expect(zero(i64, successes));
	outcome = outcome_of_attack(pool, write_argument, large, sizeof(large));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
}

struct seen {
	int64_t lanes;
	int64_t arguments;
	int64_t writable_arguments;
	int64_t descriptors;
};

static void note_mapping(const char *line, struct seen *seen, uint64_t *lane_inode)
{
	unsigned long long begin, end, offset, inode;
	char rights[8], device[16];

	if (sscanf(line, "%llx-%llx %7s %llx %15s %llu", &begin, &end, rights, &offset, device,
		   &inode) != 6)
		return;
	if (strstr(line, "carom-lane") && inode != *lane_inode) {
		*lane_inode = inode;
		seen->lanes++;
	}
	seen->arguments += strstr(line, "carom-arguments") != NULL;
	seen->writable_arguments += strstr(line, "carom-arguments") && rights[1] == 'w';
}

static int look_around(struct carom_call *call)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	struct seen seen = { 0 };
	uint64_t lane_inode = 0;
	char line[512], path[64];

	while (maps && fgets(line, sizeof(line), maps))
		note_mapping(line, &seen, &lane_inode);
	for (int fd = 0; fd < 1024; fd++) {
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, line, sizeof(line) - 1);
		line[length < 0 ? 0 : length] = '\0';
		seen.descriptors += strstr(line, "memfd:") != NULL;
	}
	return carom_reply(call, &seen, sizeof(seen));
}

static void expect_alone(const char *method)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *other = isolated_pool(2);
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_context *context = NULL;
	struct seen seen;

	cr_assert(zero(int, carom_pool_wait_ready(other, carom_deadline_after(CAROM_SECONDS(20)))));
	cr_assert(zero(int, carom_context_get(method, &context)));
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 3, .isolated = 1,
							       .context = context),
					   &pool)));
	cr_assert(zero(int, carom_pool_wait_ready(pool, carom_deadline_after(CAROM_SECONDS(20)))));
	for (int i = 0; i < 6; i++) {
		cr_assert(zero(int, carom_pool_apply(pool, look_around, NULL, 0, &seen,
						     sizeof(seen), NULL, NULL)));
		cr_expect(eq(i64, seen.lanes, 1), "%s", method);
		cr_expect(eq(i64, seen.arguments, 1), "%s", method);
		cr_expect(zero(i64, seen.writable_arguments), "%s", method);
		cr_expect(zero(i64, seen.descriptors), "%s", method);
	}
}

Test(hostile, worker_has_nothing_but_its_own_lane)
{
	expect_alone("forkserver");
	expect_alone("fork");
}

static int cut_everything(struct carom_call *call)
{
	int64_t successes = 0;

	turn_hostile();
	for (int fd = 3; fd < 1024; fd++) {
		successes += fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0;
		successes += ftruncate(fd, 0) == 0;
	}
	return carom_reply(call, &successes, sizeof(successes));
}

static int unmap_everything(struct carom_call *call)
{
	struct carom_lane *lane = call->lane;

	turn_hostile();
	munmap(lane->view.values, lane->view.payload_size);
	munmap(lane->view.arguments, lane->view.payload_size);
	munmap(lane->header, lane->control_size);
	return 0;
}

Test(hostile, lane_cannot_be_cut_short_and_is_the_parents_when_unmapped)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(1);
	struct carom_outcome outcome;
	int64_t successes = -1;

	cr_assert(zero(int, carom_pool_apply(pool, cut_everything, NULL, 0, &successes,
					     sizeof(successes), NULL, NULL)));
	cr_expect(zero(i64, successes));
	for (int i = 0; i < 3; i++) {
		outcome = outcome_of_attack(pool, unmap_everything, NULL, 0);
		cr_expect(ne(int, outcome.kind, CAROM_OUTCOME_OK));
		expect_square(pool, i);
	}
}

/* ---- holes ---- */

#define HOLE_SIZE CAROM_MIB(16)

static void *punch(void *userdata)
{
	struct carom_lane *lane = userdata;

	for (;;)
		madvise(lane->view.values, CAROM_MIB(64), MADV_REMOVE);
	return NULL;
}

static int leave_holes(struct carom_call *call)
{
	pthread_t thread;
	void *room;
	int r = carom_reply_reserve(call, HOLE_SIZE, &room);

	turn_hostile();
	if (r < 0)
		return r;
	memset(room, 1, HOLE_SIZE);
	pthread_create(&thread, NULL, punch, call->lane);
	return carom_reply_commit(call, HOLE_SIZE);
}

static uint64_t resident_bytes(void)
{
	uint64_t size = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (file) {
		if (fscanf(file, "%" SCNu64 " %" SCNu64, &size, &resident) != 2)
			resident = 0;
		fclose(file);
	}
	return resident * 4096;
}

Test(hostile, holes_read_as_zeros_and_cost_no_more_than_the_value)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(2);
	unsigned char *value = malloc(HOLE_SIZE);
	uint64_t before;

	memset(value, 0, HOLE_SIZE);
	before = resident_bytes();
	for (int i = 0; i < 8; i++) {
		size_t ones = 0;
		int r = carom_pool_apply(pool, leave_holes, NULL, 0, value, HOLE_SIZE,
					 &CAROM_TASK_OPTIONS(.hard_limit_ns = LIMIT_OF_ATTACK),
					 NULL);

		for (size_t at = 0; r == 0 && at < HOLE_SIZE; at += 4096)
			ones += value[at] > 1;
		cr_expect(zero(sz, ones));
		expect_square(pool, i);
	}
#ifndef __SANITIZE_ADDRESS__
	/* the value's, the copy's, and what the lanes of two workers hold of one each */
	cr_expect(lt(u64, resident_bytes(), before + 6 * HOLE_SIZE));
#else
	cr_expect(lt(u64, 0, before)); /* what was freed is kept */
#endif
	free(value);
}

/* ---- double fetches ---- */

static void *flip(void *userdata)
{
	struct carom_slot *slot = userdata;

	for (;;) {
		*(volatile uint64_t *)&slot->value_size = 4096;
		*(volatile uint64_t *)&slot->value.offset = 4096;
		*(volatile uint64_t *)&slot->value.reserved = 4096;
		*(volatile uint64_t *)&slot->value_size = UINT64_MAX;
		*(volatile uint64_t *)&slot->value.offset = UINT64_MAX & ~UINT64_C(63);
		*(volatile uint64_t *)&slot->value.reserved = UINT64_MAX;
		*(volatile uint64_t *)&slot->value_size = 64;
		*(volatile uint64_t *)&slot->value.reserved = CAROM_GIB(1);
	}
	return NULL;
}

static int race(struct carom_call *call)
{
	pthread_t thread;

	turn_hostile();
	call->slot->code = 0;
	call->slot->value_size = 64;
	pthread_create(&thread, NULL, flip, call->slot);
	sched_yield();
	forge_end(call);
}

Test(hostile, value_that_changes_while_it_is_read_is_within_its_bounds_or_none)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(2);
	uint64_t end = end_of_run(2);
	int count = 0;

	for (; carom_now() < end; count++) {
		struct carom_outcome outcome = outcome_within(LIMIT_OF_ATTACK, pool, race, NULL, 0);

		cr_assert(outcome.kind == CAROM_OUTCOME_OK || outcome.kind == CAROM_OUTCOME_LOST ||
				  outcome.kind == CAROM_OUTCOME_HARD_LIMIT,
			  "%d", outcome.kind);
		expect_square(pool, count);
	}
	printf("# %d values raced\n", count);
}

/* ---- any word, any value ---- */

/**
 * struct corner - what is written
 * @address: of which word in the lane
 * @how:     see spoil_at()
 */
struct corner {
	uint64_t address;
	uint64_t size;
	uint64_t value;
	uint64_t how;
};

static void write_corner(struct carom_lane *lane, const struct corner *corner)
{
	void *address = (unsigned char *)lane->header + corner->address;

	if (corner->size == 8)
		atomic_store((_Atomic uint64_t *)address, corner->value);
	else
		atomic_store((_Atomic uint32_t *)address, (uint32_t)corner->value);
}

static void write_and_end(struct carom_call *call, const struct corner *corner)
{
	struct carom_lane *lane = call->lane;

	write_corner(lane, corner);
	if (corner->how == 0) {
		uint64_t seen = atomic_load(&call->slot->word);

		set_word(call, CAROM_SLOT_WORD(carom_slot_generation(seen), 0, 0, CAROM_SLOT_DONE));
		return;
	}
	/* and again, when the library has said what it has to say */
	carom_lane_finish(lane, (uint32_t)(call->slot - lane->view.slots));
	write_corner(lane, corner);
	carom_lane_wake_noticer(lane);
}

static int spoil_at(struct carom_call *call, const struct corner *corner)
{
	if (corner->how == 2) {
		write_corner(call->lane, corner);
		return carom_reply(call, corner, 8);
	}
	write_and_end(call, corner);
	poll(NULL, 0, 2); /* for the parent to see */
	_exit(0);
}

static int spoil_word(struct carom_call *call)
{
	struct corner corner;

	turn_hostile();
	carom_call_read(call, &corner, sizeof(corner));
	return spoil_at(call, &corner);
}

/* the field is that of the task at hand, wherever that stands */
static int spoil_field(struct carom_call *call)
{
	struct carom_lane *lane = call->lane;
	struct corner corner;
	unsigned char *field;

	turn_hostile();
	carom_call_read(call, &corner, sizeof(corner));
	field = hostile_address(lane, (uint32_t)(call->slot - lane->view.slots),
				&hostile_fields[corner.address]);
	corner.address = (uint64_t)(field - (unsigned char *)lane->header);
	return spoil_at(call, &corner);
}

static struct carom_result *begin_attack(struct carom_pool *pool, carom_task_fn *attack,
					 const struct corner *corner)
{
	struct carom_task_options options = CAROM_TASK_OPTIONS(.hard_limit_ns = LIMIT_OF_ATTACK);
	struct carom_result *result = NULL;

	cr_assert(zero(int, carom_pool_apply_async(pool, attack, corner, sizeof(*corner), &options,
						   &result)));
	return result;
}

/* whatever becomes of it */
static void expect_answer(struct carom_result *result, const struct corner *corner)
{
	cr_assert(zero(int, carom_result_wait(result, carom_deadline_after(CAROM_SECONDS(30)))),
		  "address %" PRIu64 " value %" PRIx64 " how %" PRIu64, corner->address,
		  corner->value, corner->how);
	carom_result_free(result);
}

/* a square goes on meanwhile */
static void attack_at_each_corner(struct carom_pool *pool, size_t field)
{
	struct carom_result *results[HOSTILE_CORNERS];
	struct corner corners[HOSTILE_CORNERS];
	size_t count = 0;

	for (size_t i = 0; i < HOSTILE_CORNERS; i++) {
		struct corner corner = { .address = field,
					 .size = hostile_fields[field].size,
					 .value = hostile_corner(i, PAYLOAD),
					 .how = (field + i) % 3 };

		if (!hostile_corner_fits(&hostile_fields[field], corner.value))
			continue;
		corners[count] = corner;
		results[count++] = begin_attack(pool, spoil_field, &corner);
	}
	for (size_t i = 0; i < count; i++) {
		expect_square(pool, (int64_t)i);
		expect_answer(results[i], &corners[i]);
	}
}

/* each once, in one of the ways by turns: all of them at each step are in test_hostile_claims.c */
Test(hostile, any_field_at_any_corner_costs_its_own_task)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(4);

	for (size_t field = 0; field < HOSTILE_FIELDS; field++)
		attack_at_each_corner(pool, field);
}

/* where a worker's control part ends: as in its own lane, of which each worker has a new one */
static uint64_t control_words(struct carom_pool *pool)
{
	uint64_t count;

	pthread_mutex_lock(&pool->lock);
	count = carom_dealer_lane(pool->lane, 0)->control_size / 8;
	pthread_mutex_unlock(&pool->lock);
	return count;
}

Test(hostile, any_word_of_any_value_costs_its_own_task)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(2);
	uint64_t word_count = control_words(pool); /* the same for all */
	uint64_t state = seed_of_run();
	uint64_t end = end_of_run(3);
	int count = 0;

	for (; carom_now() < end; count++) {
		struct corner corner = {
			.address = random_next(&state) % word_count * 8,
			.size = 8,
			.value = hostile_corner(random_next(&state) % HOSTILE_CORNERS, PAYLOAD),
			.how = random_next(&state) % 3,
		};

		struct carom_result *result = begin_attack(pool, spoil_word, &corner);

		expect_square(pool, count);
		expect_answer(result, &corner);
	}
	printf("# %d words spoilt\n", count);
}

/* ---- all of it, all the time ---- */

struct scribble {
	struct carom_lane *lane;
	uint64_t state;
};

static void *scribble(void *userdata)
{
	struct scribble *self = userdata;
	unsigned char *base = (void *)self->lane->header;

	for (;;) {
		uint64_t what = random_next(&self->state);
		uint64_t at = random_next(&self->state) % (self->lane->control_size / 8) * 8;

		if (what % 3)
			what = hostile_corner(what % HOSTILE_CORNERS, PAYLOAD);
		atomic_store_explicit((_Atomic uint64_t *)(void *)(base + at), what,
				      memory_order_relaxed);
		if (what % 64 == 0)
			carom_futex_wake((_Atomic uint32_t *)(void *)(base + at), 1);
		atomic_fetch_add_explicit(&shared->writes, 1, memory_order_relaxed);
	}
	return NULL;
}

/* from now on, whatever this process does besides */
static int begin_to_scribble(struct carom_call *call)
{
	static struct scribble self;
	uint64_t seed;
	pthread_t thread;

	turn_hostile();
	carom_call_read(call, &seed, sizeof(seed));
	self = (struct scribble){ .lane = call->lane, .state = seed | 1 };
	pthread_create(&thread, NULL, scribble, &self);
	return 0;
}

Test(hostile, scribbler_costs_no_task_but_its_own)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(3);
	uint64_t state = seed_of_run();
	uint64_t end = end_of_run(6);
	struct carom_result *results[32];
	int count = 0;

	while (carom_now() < end) {
		uint64_t seed = random_next(&state);

		cr_assert(zero(int, carom_pool_apply_async(pool, begin_to_scribble, &seed, 8, NULL,
							   &results[0])));
		for (int64_t i = 1; i < 32; i++)
			cr_assert(zero(int, carom_pool_apply_async(pool, square, &i, 8, NULL,
								   &results[i])));
		for (int64_t i = 0; i < 32; i++, count++) {
			struct carom_outcome outcome;
			int64_t y = 0;
			int r = carom_result_get(
				results[i], carom_deadline_after(CAROM_SECONDS(30)), &y, 8, NULL);

			carom_result_outcome(results[i], &outcome);
			cr_assert(ne(int, r, -ETIMEDOUT), "task %d", (int)i);
			cr_assert(was_hostile(outcome.worker_pid) || (r == 0 && y == i * i),
				  "task %d: r %d kind %d y %" PRId64, (int)i, r, outcome.kind, y);
			carom_result_free(results[i]);
		}
	}
	printf("# %d tasks, %" PRIu64 " words scribbled\n", count, atomic_load(&shared->writes));
}

/* ---- who is isolated ---- */

/* A sandbox is for hostile code: it is isolated, whether or not the pool is asked for that. */
Test(hostile, who_is_in_a_sandbox_is_isolated)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT);
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	cr_assert(
		zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .sandbox = sandbox,
							     .hard_limit_ns = LIMIT_OF_POOL,
							     .max_restarts = CAROM_NO_LIMIT),
					 &pool)));
	expect_violation(pool, leave_large_length, NULL, 0, "length");
}

/* ---- what cannot be had together ---- */

Test(hostile, isolation_is_refused_where_it_cannot_be_had)
{
	struct carom_context *threads = NULL;
	struct carom_pool *pool = (void *)1;

	cr_expect(eq(int,
		     carom_pool_new(
			     &CAROM_POOL_OPTIONS(.worker_count = 1, .isolated = 1, .statistics = 1),
			     &pool),
		     -EOPNOTSUPP));
	cr_assert(zero(int, carom_context_get("thread", &threads)));
	cr_expect(eq(int,
		     carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .isolated = 1,
							.context = threads),
				    &pool),
		     -EOPNOTSUPP));
	cr_expect(eq(ptr, (void *)pool, (void *)1));
}

/* ---- standing still ---- */

static const char *const steps[] = {
	"lane.claim.before", "lane.claim.after", "lane.head.moved",    "lane.done.before",
	"lane.done.after",   "lane.done.woken",  "lane.notice.before", "lane.notice.set",
	"bell.rung",         "lane.park.reset",  "lane.park.idle",     "lane.park.look",
	"lane.park.woken",   "lane.park.left",   "worker.call.before", "worker.call.after",
	"lane.alive",        "lane.spin.found",
};

static void stand_still_at(const char *step)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = isolated_pool(2);
	int lost = 0;

	carom_pool_wait_ready(pool, carom_deadline_after(CAROM_SECONDS(20)));
	cr_assert(zero(int, carom_pool_set_limits(pool, 0, LIMIT_OF_BOTH)));
	cr_assert(zero(int, carom_point_arm_once(step, 1, SIGSTOP)), "%s", step);
	for (int64_t i = 0; i < 20; i++) {
		struct carom_outcome outcome;
		int64_t y = 0;

		if (carom_pool_apply(pool, square, &i, 8, &y, 8, NULL, &outcome) == 0)
			cr_expect(eq(i64, y, i * i));
		else if (outcome.worker_pid == carom_point_last_pid(step) ||
			 !was_held(LIMIT_OF_BOTH, &outcome))
			lost++;
	}
	carom_point_disarm_all();
	cr_expect(le(int, lost, 1), "%s: %d", step, lost);
}

Test(hostile, standing_still_at_any_step_costs_one_task)
{
	if (carom_point_arm_once("lane.claim.before", 1, SIGSTOP) == -EOPNOTSUPP)
		cr_skip_test("built without points (-Dpoints=true)");
	carom_point_disarm_all();
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		stand_still_at(steps[i]);
}
