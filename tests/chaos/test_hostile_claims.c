/*
 * Hostile claims: every field that a worker may write, at every corner of what it may hold, at
 * each step of a task; and those together of which one says what the other may be.
 *
 * There are no processes here: the test is the parent, and does in the hand (see lane_dealer.c)
 * what a worker would, between the parent's looks at it. So a claim costs microseconds, and what
 * the parent must make of it is known. test_hostile.c has processes that write while it reads.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/time.h"
#include "ipc/lane_dealer.h"
#include "tests/chaos/hostile_fields.h"

#define HOSTILE_ONE 0 /* the worker that is dealt to first */
#define OTHER_ONE   1
#define WORKERS     2
#define PAYLOAD     CAROM_KIB(64)
#define VALUE_SIZE  100 /* does not fit into the slot */
#define ITEMS       4
#define SLOTS       16
#define WRITTEN     4096
#define FIRST_PID   1000 /* numbers only */

/*
 * In the place of the C library's: while a test runs, time goes on by being asked for. However
 * busy the machine is, no worker is given up that has had its task for a moment only.
 */
static bool has_own_time;
static int64_t own_ns = INT64_C(1000000000000);

int clock_gettime(clockid_t clock, struct timespec *now)
{
	if (!has_own_time)
		return (int)syscall(SYS_clock_gettime, clock, now);
	own_ns += 100;
	*now = (struct timespec){ own_ns / 1000000000, own_ns % 1000000000 };
	return 0;
}

static void begin_own_time(void)
{
	has_own_time = true;
}

/* where the one task of a hand stands there: the lowest place that is free */
#define AT 0

/**
 * enum step - when the hostile one writes; the parent looks after each
 * @BORN:  before it is seen to be ready
 * @IDLE:  it has ended one task, and has none
 * @BEGUN: before that is seen
 * @ENDED: with the word of its end
 */
enum step { BORN, IDLE, DEALT, BEGUN, SEEN, ENDED, ANSWERED, STEPS };

static const char *const step_names[] = { "born", "idle",  "dealt",   "begun",
					  "seen", "ended", "answered" };

struct spoil {
	const struct hostile_field *field;
	uint64_t value;
};

/**
 * struct scene - a parent and two workers
 * @earlier:   a task that the hostile one had ended before it turned hostile, not given back yet
 * @target:    the one that it has then
 * @others:    one that is dealt to the other worker
 * @dealt_ns:  not before @target was dealt
 * @fault:     what the hostile one was found to have done; NULL: nothing
 * @found_in_time: @target had not ended by then
 * @snapshot:  of its values, when it ended @target: behind WRITTEN they are 0
 */
struct scene {
	struct carom_lane *lane;
	uint64_t flags;
	uint32_t earlier;
	uint32_t target;
	uint32_t others;
	uint64_t dealt_ns;
	const char *fault;
	bool found_in_time;
	const char *fault_of_other;
	pid_t pids[WORKERS];
	const struct spoil *spoils;
	size_t spoil_count;
	enum step when;
	unsigned char snapshot[PAYLOAD];
};

/* ---- saying which one it was ---- */

static const char *told(const struct scene *scene)
{
	static char text[240];
	int used = snprintf(text, sizeof(text), "%s%s, fault \"%s\":", step_names[scene->when],
			    scene->flags & CAROM_TASK_BATCH ? ", of a batch" : "",
			    scene->fault ? scene->fault : "none");

	for (size_t i = 0; i < scene->spoil_count; i++)
		used += snprintf(text + used, sizeof(text) - (size_t)used, " %s=%" PRIx64,
				 scene->spoils[i].field->name, scene->spoils[i].value);
	return text;
}

/* ---- workers ---- */

static struct carom_lane *own_lane(const struct scene *scene, uint32_t worker)
{
	return carom_dealer_lane(scene->lane, worker);
}

static void note_foul(uint32_t worker, const char *what, void *userdata)
{
	struct scene *scene = userdata;
	uint64_t word = atomic_load(&carom_lane_slot(scene->lane, scene->target)->word);

	if (worker != HOSTILE_ONE) {
		scene->fault_of_other = what;
		return;
	}
	cr_assert(eq(ptr, (void *)(uintptr_t)scene->fault, NULL), "told twice: %s", told(scene));
	scene->fault = what;
	scene->found_in_time = !carom_slot_ended(word);
}

static void prepare(struct scene *scene, uint32_t worker)
{
	static pid_t pid = FIRST_PID;

	cr_assert(zero(int, carom_lane_prepare(scene->lane, worker)));
	scene->pids[worker] = ++pid;
	carom_lane_admit(scene->lane, worker, pid, pid);
	atomic_store(&own_lane(scene, worker)->workers[0].ready_ns, carom_now());
}

/* in the parent's own memory: a worker knows what it was dealt, whatever stands in the lane by now */
static struct lane_deal *deal_at(const struct scene *scene, uint32_t worker, uint32_t at)
{
	return &hand_of(scene->lane, worker)->deals[at];
}

static const struct carom_slot *task_of(const struct scene *scene, const struct lane_deal *deal)
{
	return carom_lane_slot(scene->lane, deal->slot);
}

static uint64_t progress(uint64_t begun, uint64_t ended)
{
	return begun << 32 | ended;
}

static void set_word(const struct lane_deal *deal, enum carom_slot_state state)
{
	atomic_store(&lines_of(deal)->word, CAROM_SLOT_WORD(deal->generation, 0, 0, state));
}

static void begin(const struct scene *scene, const struct lane_deal *deal)
{
	struct carom_slot *lines = lines_of(deal);

	if (!deal_is_used(deal))
		return;
	lines->started_ns = carom_now();
	if (task_of(scene, deal)->flags & CAROM_TASK_BATCH)
		atomic_store(&lines->value.progress, progress(1, 0));
	set_word(deal, CAROM_SLOT_RUNNING);
}

static void end_one_item(const struct scene *scene, const struct lane_deal *deal)
{
	if (deal_is_used(deal) && task_of(scene, deal)->flags & CAROM_TASK_BATCH)
		atomic_store(&lines_of(deal)->value.progress, progress(2, 1));
}

/* the value is the number of the slot, again and again */
static void end(const struct scene *scene, const struct lane_deal *deal)
{
	struct carom_slot *lines = lines_of(deal);

	if (!deal_is_used(deal))
		return;
	lines->code = 0;
	lines->value_size = VALUE_SIZE;
	lines->value.offset = 64 + deal->at * 128;
	if (task_of(scene, deal)->flags & CAROM_TASK_BATCH)
		atomic_store(&lines->value.progress, progress(ITEMS, ITEMS));
	else
		lines->value.reserved = VALUE_SIZE;
	lines->ended_ns = carom_now();
	memset(deal->hand->lane->view.values + lines->value.offset, (int)deal->slot, VALUE_SIZE);
	set_word(deal, CAROM_SLOT_DONE);
}

/* the other one goes on */
static void do_others(struct scene *scene)
{
	for (int round = 0; round < 3; round++) {
		for (uint32_t at = 0; at < HAND_SLOTS; at++) {
			begin(scene, deal_at(scene, OTHER_ONE, at));
			end(scene, deal_at(scene, OTHER_ONE, at));
		}
		carom_lane_hand_rang(scene->lane, OTHER_ONE);
	}
}

/* ---- the parent ---- */

static uint32_t take(struct scene *scene, uint64_t flags)
{
	uint32_t slot = carom_lane_take(scene->lane);
	struct carom_slot *task = carom_lane_slot(scene->lane, slot);

	task->function = 1;
	task->flags = flags;
	task->argument_size = flags & CAROM_TASK_BATCH ? sizeof(struct carom_batch) : 8;
	task->argument.offset = 64;
	task->started_ns = 0;
	return slot;
}

static void submit(struct scene *scene, const uint32_t *slots, uint32_t count)
{
	bool woke;

	cr_assert(zero(int, carom_lane_submit(scene->lane, slots, count, &woke)));
}

static void hold_and_let_go(struct carom_lane *lane, uint32_t slot)
{
	uint64_t word = carom_lane_word(lane, slot);

	if (carom_slot_state(word) != CAROM_SLOT_RUNNING)
		return;
	carom_lane_warned(lane, slot, carom_lane_warn(lane, slot, word));
	if (carom_lane_condemn(lane, slot, word))
		carom_lane_pardon(lane, slot);
	carom_lane_fetch(lane, slot);
}

/* all that the parent ever reads there */
static void look(struct scene *scene)
{
	struct carom_lane *lane = scene->lane;
	uint32_t slot = scene->target;
	int r;

	carom_lane_hand_rang(lane, HOSTILE_ONE);
	cr_assert(le(u64, carom_lane_ready_ns(lane, HOSTILE_ONE), carom_now()), "%s", told(scene));
	carom_lane_word(lane, slot);
	r = carom_lane_await(lane, slot, carom_lane_generation(lane, slot), CAROM_PASSED, false);
	cr_assert(r == 0 || r == -EAGAIN || r == -ETIMEDOUT, "r %d: %s", r, told(scene));
	carom_lane_item_progress(lane, slot);
	cr_assert(le(u64, carom_lane_started_ns(lane, slot), carom_now()), "%s", told(scene));
	if (scene->flags & CAROM_TASK_BATCH)
		hold_and_let_go(lane, slot);
	carom_lane_watch_ends(lane);
	carom_lane_move_stalled(lane);
}

/* ---- what must hold ---- */

static void expect_value(const struct scene *scene, uint32_t slot)
{
	const struct carom_slot *task = carom_lane_slot(scene->lane, slot);
	const unsigned char *value;

	cr_assert(eq(u64, task->value_size, VALUE_SIZE), "%s", told(scene));
	cr_assert(carom_arena_is_block(PAYLOAD, task->value.offset, VALUE_SIZE), "%s", told(scene));
	value = scene->lane->view.values + task->value.offset;
	for (size_t i = 0; i < VALUE_SIZE; i++)
		cr_assert(eq(int, value[i], (int)slot), "%s", told(scene));
}

static void expect_of_others(const struct scene *scene)
{
	uint64_t word = carom_lane_word(scene->lane, scene->others);

	cr_assert(eq(int, carom_slot_state(word), CAROM_SLOT_DONE), "%s", told(scene));
	cr_assert(eq(int, carom_lane_slot(scene->lane, scene->others)->pid, scene->pids[OTHER_ONE]),
		  "%s", told(scene));
	expect_value(scene, scene->others);
	cr_assert(eq(ptr, (void *)(uintptr_t)scene->fault_of_other, NULL), "%s", told(scene));
}

static bool is_spoilt(const struct scene *scene, const char *name)
{
	for (size_t i = 0; i < scene->spoil_count; i++)
		if (strcmp(scene->spoils[i].field->name, name) == 0 &&
		    scene->spoils[i].field->place == HOSTILE_SLOT)
			return true;
	return false;
}

/* as far as it can be: K9 */
static void expect_times(const struct scene *scene, const struct carom_slot *task)
{
	if (!(scene->flags & CAROM_TASK_TIMED))
		return;
	cr_assert(ge(u64, task->started_ns, scene->dealt_ns), "%s", told(scene));
	cr_assert(ge(u64, task->ended_ns, task->started_ns), "%s", told(scene));
	cr_assert(le(u64, task->ended_ns, carom_now()), "%s", told(scene));
}

/* nor does what was seen move, as long as it is at the same item */
static void expect_started(struct scene *scene, uint64_t started_ns)
{
	if (scene->when >= SEEN && !(scene->flags & CAROM_TASK_BATCH))
		cr_assert(eq(u64, carom_lane_started_ns(scene->lane, scene->target), started_ns),
			  "%s", told(scene));
}

/* of any size that it has said, but within the parent's memory; that of a batch stands there */
static void expect_some_value(const struct scene *scene, const struct carom_slot *task)
{
	bool may_be_small = task->code < 0 || (scene->flags & CAROM_TASK_BATCH) == 0;

	cr_assert(may_be_small || task->value_size > CAROM_LANE_INLINE, "%s", told(scene));
	if (task->value_size > CAROM_LANE_INLINE)
		cr_assert(carom_arena_is_block(PAYLOAD, task->value.offset, task->value_size), "%s",
			  told(scene));
}

static void expect_of_target(const struct scene *scene)
{
	const struct carom_slot *task = carom_lane_slot(scene->lane, scene->target);
	uint64_t word = carom_lane_word(scene->lane, scene->target);
	uint32_t owner = carom_slot_owner(word);

	cr_assert(carom_slot_ended(word), "%" PRIx64 ": %s", word, told(scene));
	cr_assert(eq(u32, carom_slot_generation(word),
		     carom_lane_generation(scene->lane, scene->target)),
		  "%s", told(scene));
	if (carom_slot_state(word) == CAROM_SLOT_LOST) {
		/* for nothing else than what it has said */
		cr_assert(scene->fault || (scene->when <= ENDED && is_spoilt(scene, "word")), "%s",
			  told(scene));
		return;
	}
	cr_assert(owner == OTHER_ONE || !scene->found_in_time, "%s", told(scene));
	cr_assert(eq(int, task->pid, scene->pids[owner]), "%s", told(scene));
	expect_times(scene, task);
	if (owner == OTHER_ONE)
		expect_value(scene, scene->target);
	else
		expect_some_value(scene, task);
}

/* ---- a scene ---- */

static enum carom_sweep_verdict lose(uint32_t slot, void *userdata)
{
	return CAROM_SWEEP_LOST;
}

static void spoil(struct scene *scene, enum step step)
{
	if (step != scene->when)
		return;
	for (size_t i = 0; i < scene->spoil_count; i++)
		hostile_write(own_lane(scene, HOSTILE_ONE), AT, scene->spoils[i].field,
			      scene->spoils[i].value);
}

static void go_on(struct scene *scene, enum step step)
{
	spoil(scene, step);
	look(scene);
}

static void give_all(struct scene *scene)
{
	carom_lane_give(scene->lane, scene->others);
	carom_lane_give(scene->lane, scene->target);
	carom_lane_give(scene->lane, scene->earlier);
}

/* one before: so that there is a value that is none of its any more */
static void end_earlier(struct scene *scene)
{
	scene->earlier = scene->target = take(scene, CAROM_TASK_END);
	submit(scene, &scene->earlier, 1);
	begin(scene, deal_at(scene, HOSTILE_ONE, AT));
	end(scene, deal_at(scene, HOSTILE_ONE, AT));
	do_others(scene);
	carom_lane_hand_rang(scene->lane, HOSTILE_ONE);
	cr_assert(carom_slot_ended(carom_lane_word(scene->lane, scene->earlier)), "%s",
		  told(scene));
}

static void deal_target(struct scene *scene)
{
	uint32_t slots[2];

	slots[0] = scene->target = take(scene, scene->flags);
	slots[1] = scene->others = take(scene, CAROM_TASK_END);
	scene->dealt_ns = carom_now();
	submit(scene, slots, 2);
	/* at once: it would be given to the hostile one if that had nothing to do */
	begin(scene, deal_at(scene, OTHER_ONE, AT));
	carom_lane_hand_rang(scene->lane, OTHER_ONE);
}

/* a worker that turns hostile at that step, and dies in the end, as whoever is found to be does */
static void play(struct scene *scene, enum step when, const struct spoil *spoils, size_t count)
{
	struct lane_deal *deal = deal_at(scene, HOSTILE_ONE, AT);
	uint64_t started_ns;

	scene->when = when;
	scene->spoils = spoils;
	scene->spoil_count = count;
	scene->fault = NULL;
	scene->found_in_time = false;
	prepare(scene, HOSTILE_ONE);
	spoil(scene, BORN);
	carom_lane_hand_rang(scene->lane, HOSTILE_ONE);
	end_earlier(scene);
	go_on(scene, IDLE);
	deal_target(scene);
	go_on(scene, DEALT);
	begin(scene, deal);
	go_on(scene, BEGUN);
	end_one_item(scene, deal);
	look(scene);
	started_ns = carom_lane_started_ns(scene->lane, scene->target);
	go_on(scene, SEEN);
	expect_started(scene, started_ns);
	end(scene, deal);
	memcpy(scene->snapshot, own_lane(scene, HOSTILE_ONE)->view.values, WRITTEN);
	go_on(scene, ENDED);
	go_on(scene, ANSWERED);
	carom_lane_sweep(scene->lane, HOSTILE_ONE, lose, scene);
	do_others(scene);
	expect_of_others(scene);
	expect_of_target(scene);
	expect_value(scene, scene->earlier);
}

static void set_up(struct scene *scene, uint64_t flags)
{
	struct carom_lane_options options = { .worker_count = WORKERS,
					      .slot_count = SLOTS,
					      .payload_size = PAYLOAD,
					      .spin_ns = CAROM_LANE_SPIN_NEVER,
					      .kind = CAROM_LANE_DEALING };

	*scene = (struct scene){ .flags = flags };
	cr_assert(zero(int, carom_lane_new(&options, &scene->lane)));
	carom_lane_on_foul(scene->lane, note_foul, scene);
	*(struct carom_batch *)(void *)(scene->lane->view.arguments + 64) =
		(struct carom_batch){ .item_count = ITEMS, .value_size = 8, .end = ITEMS };
	prepare(scene, HOSTILE_ONE);
	prepare(scene, OTHER_ONE);
	carom_lane_hand_rang(scene->lane, OTHER_ONE);
}

static void tear_down(struct scene *scene)
{
	carom_lane_stop(scene->lane, CAROM_LANE_HALT);
	for (uint32_t worker = 0; worker < WORKERS; worker++)
		carom_lane_sweep(scene->lane, worker, lose, scene);
	carom_lane_free(scene->lane);
}

TestSuite(hostile_claims, .init = begin_own_time, .timeout = 240);

/* by its name in hostile_fields.h */
static const struct hostile_field *field_of(enum hostile_place place, const char *name)
{
	for (size_t i = 0; i < HOSTILE_FIELDS; i++)
		if (hostile_fields[i].place == place && strcmp(hostile_fields[i].name, name) == 0)
			return &hostile_fields[i];
	cr_assert(false, "%s", name);
	return NULL;
}

static void play_out(struct scene *scene, enum step when, const struct spoil *spoils, size_t count)
{
	play(scene, when, spoils, count);
	give_all(scene);
}

#define PLAIN (CAROM_TASK_END | CAROM_TASK_BEGIN | CAROM_TASK_TIMED | CAROM_TASK_METERED)
#define BATCH (CAROM_TASK_END | CAROM_TASK_TIMED | CAROM_TASK_BATCH)

/* ---- one by one ---- */

static int play_each_corner(struct scene *scene, const struct hostile_field *field, enum step when)
{
	int count = 0;

	for (size_t i = 0; i < HOSTILE_CORNERS; i++) {
		struct spoil spoil = { field, hostile_corner(i, PAYLOAD) };

		if (!hostile_corner_fits(field, spoil.value))
			continue;
		play_out(scene, when, &spoil, 1);
		count++;
	}
	return count;
}

static void play_each_field(uint64_t flags)
{
	struct scene scene;
	int count = 0;

	set_up(&scene, flags);
	for (size_t i = 0; i < HOSTILE_FIELDS; i++)
		for (enum step when = BORN; when < STEPS; when++)
			count += play_each_corner(&scene, &hostile_fields[i], when);
	tear_down(&scene);
	printf("# %d fields spoilt\n", count);
}

Test(hostile_claims, any_field_at_any_corner_and_step_costs_its_own_task)
{
	play_each_field(PLAIN);
	play_each_field(BATCH);
}

/* ---- what one says about another ---- */

static const struct {
	enum hostile_place place;
	const char *name;
	enum hostile_place place_of_other;
	const char *other;
	enum step when;
	bool of_batches_too;
} pairs[] = {
	{ HOSTILE_HEADER, "head", HOSTILE_RING, "ring[0]", IDLE },
	{ HOSTILE_HEADER, "head", HOSTILE_RING, "ring[1]", DEALT },
	{ HOSTILE_HEADER, "head", HOSTILE_HEADER, "ring_count", IDLE },
	{ HOSTILE_HEADER, "idle[0]", HOSTILE_HEADER, "used_count", IDLE },
	{ HOSTILE_HEADER, "idle[1]", HOSTILE_HEADER, "worker_count", IDLE },
	{ HOSTILE_HEADER, "awake[0]", HOSTILE_HEADER, "backlog_max", IDLE },
	{ HOSTILE_HEADER, "armed", HOSTILE_HEADER, "ring_after", BEGUN },
	{ HOSTILE_HEADER, "payload_size", HOSTILE_SLOT, "value.offset", ENDED },
	{ HOSTILE_HEADER, "slots_offset", HOSTILE_HEADER, "slot_count", DEALT },
	{ HOSTILE_WORKER, "ready_ns", HOSTILE_WORKER, "life.word", BORN },
	{ HOSTILE_WORKER, "returned", HOSTILE_SLOT, "value.offset", ENDED },
	{ HOSTILE_SLOT, "argument_size", HOSTILE_SLOT, "argument.offset", BEGUN },
	{ HOSTILE_SLOT, "code", HOSTILE_SLOT, "value_size", ENDED, true },
	{ HOSTILE_SLOT, "flags", HOSTILE_SLOT, "value_size", ENDED },
	{ HOSTILE_SLOT, "value_size", HOSTILE_SLOT, "value.offset", BEGUN, true },
	{ HOSTILE_SLOT, "value_size", HOSTILE_SLOT, "value.offset", ENDED, true },
	{ HOSTILE_SLOT, "value_size", HOSTILE_SLOT, "value.reserved", ENDED },
	{ HOSTILE_SLOT, "started_ns", HOSTILE_SLOT, "ended_ns", ENDED },
	{ HOSTILE_SLOT, "started_ns", HOSTILE_SLOT, "value.reserved", BEGUN, true },
	{ HOSTILE_SLOT, "word", HOSTILE_SLOT, "value_size", ENDED },
	{ HOSTILE_SLOT_BESIDE, "word", HOSTILE_SLOT_BESIDE, "value_size", ENDED },
	{ HOSTILE_USAGE, "cpu_ns", HOSTILE_USAGE, "peak_bytes", ENDED },
};

static int play_each_pair(struct scene *scene, size_t pair)
{
	struct spoil two[2] = { { .field = field_of(pairs[pair].place, pairs[pair].name) },
				{ .field = field_of(pairs[pair].place_of_other,
						    pairs[pair].other) } };
	int count = 0;

	for (size_t i = 0; i < HOSTILE_CORNERS; i++)
		for (size_t j = 0; j < HOSTILE_CORNERS; j++) {
			two[0].value = hostile_corner(i, PAYLOAD);
			two[1].value = hostile_corner(j, PAYLOAD);
			if (!hostile_corner_fits(two[0].field, two[0].value) ||
			    !hostile_corner_fits(two[1].field, two[1].value))
				continue;
			play_out(scene, pairs[pair].when, two, 2);
			count++;
		}
	return count;
}

static void play_pairs(uint64_t flags, bool only_of_batches)
{
	struct scene scene;
	int count = 0;

	set_up(&scene, flags);
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (pairs[i].of_batches_too || !only_of_batches)
			count += play_each_pair(&scene, i);
	tear_down(&scene);
	printf("# %d pairs spoilt\n", count);
}

Test(hostile_claims, any_two_corners_that_belong_together_cost_their_own_task)
{
	play_pairs(PLAIN, false);
	play_pairs(BATCH, true);
}

/* ---- values: of what is claimed either all is right, or the worker is found out ---- */

/* a block is a power of two, stands within the arena, and where blocks stand */
static bool can_be_block(uint64_t offset, uint64_t reserved)
{
	uint64_t room = 64;

	if (reserved > PAYLOAD || offset > PAYLOAD)
		return false;
	while (room < reserved)
		room *= 2;
	return offset + room <= PAYLOAD && offset % 64 == 0;
}

static const char *fault_of_value(const struct spoil three[3])
{
	if (three[0].value <= CAROM_LANE_INLINE)
		return NULL;
	if (three[0].value > three[2].value)
		return "a value's length";
	return can_be_block(three[1].value, three[2].value) ? NULL : "a value's place";
}

static void expect_snapshot(const struct scene *scene, uint64_t size, uint64_t offset)
{
	const struct carom_slot *task = carom_lane_slot(scene->lane, scene->target);

	if (task->code == -ENOMEM) { /* the parent has others' values there, too */
		cr_assert(zero(u64, task->value_size), "%s", told(scene));
		cr_assert(ge(u64, size, PAYLOAD / 2), "%s", told(scene));
		return;
	}
	cr_assert(eq(u64, task->value_size, size), "%s", told(scene));
	if (size > CAROM_LANE_INLINE)
		cr_assert(zero(int, memcmp(scene->lane->view.values + task->value.offset,
					   scene->snapshot + offset, size)),
			  "%s", told(scene));
}

static void play_value(struct scene *scene, const struct spoil three[3])
{
	const char *expected = fault_of_value(three);

	play(scene, ENDED, three, 3);
	if (expected)
		cr_assert(scene->fault && strcmp(scene->fault, expected) == 0, "not \"%s\": %s",
			  expected, told(scene));
	else
		cr_assert(scene->fault == NULL, "%s", told(scene));
	if (!expected)
		expect_snapshot(scene, three[0].value, three[1].value);
	give_all(scene);
}

static const uint64_t sizes[] = {
	0,
	1,
	CAROM_LANE_INLINE,
	CAROM_LANE_INLINE + 1,
	63,
	64,
	65,
	0x7fffffff,
	0xffffc001,
	0xffffffff,
	UINT64_C(0x100000000),
	UINT64_C(0x8000000000000000),
	UINT64_MAX - 63,
	UINT64_MAX - 1,
	UINT64_MAX,
	PAYLOAD / 2,
	PAYLOAD / 2 + 1,
	PAYLOAD - 64,
	PAYLOAD - 1,
	PAYLOAD,
	PAYLOAD + 1,
	UINT64_C(0) - PAYLOAD, /* and with it, 0 again */
};

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

Test(hostile_claims, value_of_any_length_place_and_room_is_right_or_foul)
{
	struct spoil three[3] = { { .field = field_of(HOSTILE_SLOT, "value_size") },
				  { .field = field_of(HOSTILE_SLOT, "value.offset") },
				  { .field = field_of(HOSTILE_SLOT, "value.reserved") } };
	struct scene scene;

	set_up(&scene, PLAIN);
	for (size_t i = 0; i < SIZES * SIZES * SIZES; i++) {
		three[0].value = sizes[i / SIZES / SIZES];
		three[1].value = sizes[i / SIZES % SIZES];
		three[2].value = sizes[i % SIZES];
		play_value(&scene, three);
	}
	tear_down(&scene);
}

/* ---- progress ---- */

static const uint32_t counts[] = { 0,          1,          2,          ITEMS - 1,
				   ITEMS,      ITEMS + 1,  0x7fffffff, 0x80000000,
				   0x80000001, 0xffffc001, 0xfffffffe, 0xffffffff };

#define COUNTS (sizeof(counts) / sizeof(counts[0]))

/* as it can be by itself; and it does not go back: the worker has, or will have, ended one item */
static bool can_be_progress(enum step when, uint32_t begun, uint32_t ended)
{
	if (begun > ITEMS || (begun != ended && (begun < ended || begun - ended > 1)))
		return false;
	return when == BEGUN ? ended <= 1 : ended >= 1;
}

static void play_progress(struct scene *scene, enum step when, uint32_t begun, uint32_t ended)
{
	struct spoil spoil = { field_of(HOSTILE_SLOT, "value.reserved"), progress(begun, ended) };
	bool can_be = can_be_progress(when, begun, ended);

	play_out(scene, when, &spoil, 1);
	cr_assert(eq(int, !scene->fault, can_be), "%s", told(scene));
	if (!can_be)
		cr_assert(zero(int, strcmp(scene->fault, "a batch's progress")), "%s", told(scene));
}

Test(hostile_claims, progress_is_one_that_can_be_or_foul)
{
	struct scene scene;

	set_up(&scene, BATCH);
	for (size_t i = 0; i < COUNTS; i++)
		for (size_t j = 0; j < COUNTS; j++) {
			play_progress(&scene, BEGUN, counts[i], counts[j]);
			play_progress(&scene, SEEN, counts[i], counts[j]);
		}
	tear_down(&scene);
}

/* ---- the word ---- */

/* that of the second task in this place of a hand */
#define GENERATION 2

static const char *fault_of_word(enum step when, uint64_t word)
{
	enum carom_slot_state state = carom_slot_state(word);
	bool is_its = carom_slot_owner(word) == 0;

	if (carom_slot_generation(word) != GENERATION)
		return "a slot's generation";
	if ((state == CAROM_SLOT_DONE || state == CAROM_SLOT_RUNNING) && is_its)
		return NULL;
	return state == CAROM_SLOT_READY && when < SEEN ? NULL : "a slot's state";
}

static void play_word(struct scene *scene, enum step when, uint64_t word)
{
	struct spoil spoil = { field_of(HOSTILE_SLOT, "word"), word };
	const char *expected = fault_of_word(when, word);

	play_out(scene, when, &spoil, 1);
	cr_assert(expected ? scene->fault && strcmp(scene->fault, expected) == 0 : !scene->fault,
		  "not \"%s\": %s", expected ? expected : "none", told(scene));
}

static void play_each_flag(struct scene *scene, enum step when, uint64_t word)
{
	play_word(scene, when, word);
	if (carom_slot_generation(word) != GENERATION)
		return;
	for (uint64_t flag = CAROM_SLOT_WAITED; flag <= CAROM_SLOT_TOLD; flag *= 2)
		play_word(scene, when, word | flag);
	play_word(scene, when, word | CAROM_SLOT_FLAGS);
}

static void play_each_word(struct scene *scene, enum step when, uint32_t generation)
{
	static const uint32_t owners[] = { 0, 1, 0x7fff, 0x8000, CAROM_LANE_NOBODY };
	static const uint32_t states[] = { 0, 1, 2, 3, 4, 5, 0x7f, 0x80, 0xff };

	for (size_t owner = 0; owner < sizeof(owners) / sizeof(owners[0]); owner++)
		for (size_t state = 0; state < sizeof(states) / sizeof(states[0]); state++)
			play_each_flag(
				scene, when,
				CAROM_SLOT_WORD(generation, owners[owner], 0, states[state]));
}

Test(hostile_claims, word_is_one_that_can_follow_or_foul)
{
	static const uint32_t generations[] = { GENERATION,     0,
						GENERATION - 1, GENERATION + 1,
						UINT32_MAX,     GENERATION | UINT32_C(0x80000000) };
	struct scene scene;

	set_up(&scene, PLAIN);
	for (enum step when = DEALT; when <= SEEN; when++)
		for (size_t i = 0; i < sizeof(generations) / sizeof(generations[0]); i++)
			play_each_word(&scene, when, generations[i]);
	tear_down(&scene);
}
