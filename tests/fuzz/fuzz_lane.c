/*
 * Fuzz: lane
 *
 * The input is what a hostile worker does to the lane that is its own, and when: writes of
 * any word there, ends that are forged, rings, between the steps of a parent that deals
 * tasks to it and to another one. The parent must see nothing but tasks that end once, in
 * states that it knows, with values that lie within its own memory.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/time.h"
#include "ipc/lane.h"
#include "ipc/lane_private.h"

#define WORKERS 2
#define SLOTS   16
#define PAYLOAD 65536

/* what a worker says is its pid is not believed: these are numbers only */
#define FIRST_PID 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of the input; zeros after its end. */
struct input {
	const uint8_t *data;
	size_t size;
};

/**
 * struct parent - what it knows
 * @held: a bit for each slot that was submitted and not given back
 * @ended: a bit for each of them that was seen to have ended, and then how
 * @foul_count: of the worker's present process
 */
struct parent {
	struct carom_lane *lane;
	uint32_t held;
	uint32_t ended;
	uint64_t words[SLOTS];
	uint32_t foul_count[WORKERS];
	uint32_t born_count;
};

static void require(bool promised)
{
	if (!promised)
		abort();
}

static uint64_t take(struct input *input, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes && input->size > 0; i++, input->data++, input->size--)
		value |= (uint64_t)*input->data << 8 * i;
	return value;
}

/* ---- workers ---- */

static void played_foul(uint32_t worker, const char *what, void *userdata)
{
	struct parent *parent = userdata;

	require(what[0] != '\0' && parent->foul_count[worker]++ == 0);
}

static void be_born(struct parent *parent, uint32_t worker)
{
	struct carom_lane *own;
	pid_t pid;

	require(carom_lane_prepare(parent->lane, worker) == 0);
	parent->foul_count[worker] = 0;
	own = carom_dealer_lane(parent->lane, worker);
	pid = FIRST_PID + (pid_t)++parent->born_count;
	carom_lane_admit(parent->lane, worker, pid, pid);
	atomic_store(&own->workers[0].ready_ns, carom_now());
	carom_lane_hand_rang(parent->lane, worker);
}

static enum carom_sweep_verdict decide(uint32_t slot, void *userdata)
{
	struct parent *parent = userdata;

	require(parent->held >> slot & 1 && !(parent->ended >> slot & 1));
	return slot % 2 ? CAROM_SWEEP_LOST : CAROM_SWEEP_AGAIN;
}

static void die(struct parent *parent, uint32_t worker)
{
	carom_lane_sweep(parent->lane, worker, decide, parent);
}

/* ---- what must hold ---- */

static void require_value(const struct parent *parent, const struct carom_slot *task)
{
	volatile unsigned char last;

	if (task->value_size <= CAROM_LANE_INLINE)
		return;
	require(carom_arena_is_block(PAYLOAD, task->value.offset, task->value_size));
	last = parent->lane->view.values[task->value.offset + task->value_size - 1];
	(void)last;
}

static void see_end(struct parent *parent, uint32_t slot, uint64_t word)
{
	const struct carom_slot *task = carom_lane_slot(parent->lane, slot);

	if (parent->ended >> slot & 1) {
		require(parent->words[slot] == (word & ~CAROM_SLOT_FLAGS));
		return;
	}
	parent->ended |= UINT32_C(1) << slot;
	parent->words[slot] = word & ~CAROM_SLOT_FLAGS;
	if (carom_slot_state(word) != CAROM_SLOT_DONE)
		return;
	require_value(parent, task);
	require(task->pid == 0 ||
		(task->pid > FIRST_PID && task->pid <= FIRST_PID + (int32_t)parent->born_count));
}

static void check(struct parent *parent, uint32_t slot)
{
	uint64_t word = carom_lane_word(parent->lane, slot);
	enum carom_slot_state state = carom_slot_state(word);

	if (!(parent->held >> slot & 1)) {
		require(state == CAROM_SLOT_FREE);
		return;
	}
	require(carom_slot_generation(word) == carom_lane_generation(parent->lane, slot));
	require(state != CAROM_SLOT_FREE && state <= CAROM_SLOT_LOST);
	require(carom_slot_owner(word) < WORKERS || carom_slot_owner(word) == CAROM_LANE_NOBODY);
	if (carom_slot_ended(word))
		see_end(parent, slot, word);
	else
		require(!(parent->ended >> slot & 1));
}

/* ---- the parent's steps ---- */

static void submit(struct parent *parent, struct input *input)
{
	uint32_t slot = carom_lane_take(parent->lane);
	struct carom_slot *task;
	bool woke;

	if (slot == CAROM_LANE_NO_SLOT)
		return;
	task = carom_lane_slot(parent->lane, slot);
	task->function = 1;
	task->flags = take(input, 1) & 0x3f;
	task->argument_size = take(input, 2);
	task->argument.offset = 0; /* that it overlaps others' is nobody's concern here */
	task->started_ns = 0;
	require(carom_lane_submit(parent->lane, &slot, 1, &woke) == 0);
	parent->held |= UINT32_C(1) << slot;
	parent->ended &= ~(UINT32_C(1) << slot);
}

static void give(struct parent *parent, uint32_t slot)
{
	uint64_t word = carom_lane_word(parent->lane, slot);

	check(parent, slot);
	if (!(parent->held & parent->ended & UINT32_C(1) << slot))
		return;
	/* until then it may write there */
	if (carom_slot_state(word) == CAROM_SLOT_LOST && carom_slot_owner(word) < WORKERS) {
		uint32_t owner = carom_slot_owner(word);

		die(parent, owner);
		be_born(parent, owner);
	}
	parent->held &= ~(UINT32_C(1) << slot);
	parent->ended &= ~(UINT32_C(1) << slot);
	carom_lane_give(parent->lane, slot);
}

static void hold(struct carom_lane *lane, uint32_t slot, uint64_t how)
{
	uint64_t word = carom_lane_word(lane, slot);

	if (carom_slot_state(word) != CAROM_SLOT_RUNNING)
		return;
	switch (how % 6) {
	case 0:
		carom_lane_evict(lane, slot, word);
		break;
	case 1:
		carom_lane_condemn(lane, slot, word);
		break;
	case 2:
		carom_lane_pardon(lane, slot);
		break;
	case 3:
		carom_lane_doom(lane, slot);
		break;
	case 4:
		carom_lane_warned(lane, slot, carom_lane_warn(lane, slot, word));
		break;
	default:
		carom_lane_give_leave(lane, slot, carom_lane_generation(lane, slot), how / 6);
	}
}

static void ask(struct parent *parent, uint32_t slot)
{
	struct carom_lane *lane = parent->lane;
	int r;

	if (!(parent->held >> slot & 1) || parent->ended >> slot & 1)
		return;
	carom_lane_item_progress(lane, slot);
	require(carom_lane_started_ns(lane, slot) <= carom_now());
	carom_lane_fetch(lane, slot);
	r = carom_lane_await(lane, slot, carom_lane_generation(lane, slot), CAROM_PASSED, false);
	require(r == 0 || r == -EAGAIN || r == -ETIMEDOUT);
}

/* ---- the worker's ---- */

static void write_word(struct carom_lane *own, struct input *input)
{
	uint64_t at = take(input, 2) % (own->control_size / 8);
	uint64_t value = take(input, 8);

	memcpy((unsigned char *)own->header + at * 8, &value, 8);
}

static void write_near_head(struct carom_lane *own, struct input *input)
{
	atomic_fetch_add(&own->header->head, (uint64_t)(int64_t)(int8_t)take(input, 1));
}

/* as it should be, but for what the input says of its value, and of the word */
static void end_task(struct carom_lane *own, struct input *input)
{
	struct carom_slot *task = &own->view.slots[take(input, 1) % own->view.slot_count];
	uint64_t word = atomic_load(&task->word);
	uint64_t what = take(input, 1);

	task->code = (int32_t)take(input, 1) - 1;
	task->value_size = take(input, 3);
	task->value.offset = take(input, 3) * (what & 0x20 ? 1 : CAROM_ARENA_ALIGNMENT);
	task->value.reserved = what & 0x40 ? take(input, 8) : task->value_size;
	task->started_ns = what & 0x80 ? take(input, 8) : carom_now();
	atomic_store(&task->word,
		     CAROM_SLOT_WORD(carom_slot_generation(word) + (what >> 4 & 1), what >> 3 & 1,
				     word & CAROM_SLOT_FLAGS, what & 7));
}

static void ring(struct parent *parent, uint32_t worker, uint64_t count)
{
	static const uint64_t rings[64];
	int fds[CAROM_LANE_HAND_FDS];

	carom_lane_hand_fds(parent->lane, worker, fds);
	if (count && write(fds[2], rings, count % 64 * 8 + count % 3) < 0)
		return; /* it is full */
}

/* ---- all of it ---- */

static void step(struct parent *parent, struct input *input)
{
	uint64_t what = take(input, 1);
	uint32_t worker = what >> 7;
	struct carom_lane *own = carom_dealer_lane(parent->lane, worker);
	uint32_t slot;

	switch (what % 16) {
	case 0:
		return write_word(own, input);
	case 1:
		return write_near_head(own, input);
	case 2:
	case 3:
		return end_task(own, input);
	case 4:
		return ring(parent, worker, take(input, 1));
	case 5:
	case 6:
		return submit(parent, input);
	case 7:
		carom_lane_hand_rang(parent->lane, worker);
		return;
	case 8:
		die(parent, worker);
		return be_born(parent, worker);
	case 9:
		carom_lane_watch_ends(parent->lane);
		return;
	case 10:
		carom_lane_move_stalled(parent->lane);
		return;
	default:
		break;
	}
	slot = (uint32_t)take(input, 1) % SLOTS;
	if (what % 16 == 11)
		give(parent, slot);
	else if (what % 16 == 12)
		hold(parent->lane, slot, what >> 4);
	else if (what % 16 == 13)
		ask(parent, slot);
	else if (what % 16 == 14)
		carom_lane_withdraw(parent->lane, slot);
	else
		check(parent, slot);
}

/* P1: whatever they have done, there is an answer */
static void end_all(struct parent *parent)
{
	carom_lane_stop(parent->lane, CAROM_LANE_HALT);
	for (uint32_t worker = 0; worker < WORKERS; worker++)
		die(parent, worker);
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		if (!(parent->held >> slot & 1))
			continue;
		carom_lane_withdraw(parent->lane, slot);
		check(parent, slot);
		require(parent->ended >> slot & 1);
		carom_lane_give(parent->lane, slot);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct carom_lane_options options = { .worker_count = WORKERS,
					      .slot_count = SLOTS,
					      .payload_size = PAYLOAD,
					      .spin_ns = CAROM_LANE_SPIN_NEVER,
					      .kind = CAROM_LANE_DEALING };
	struct parent parent = { 0 };
	struct input input = { data, size };

	require(carom_lane_new(&options, &parent.lane) == 0);
	carom_lane_on_foul(parent.lane, played_foul, &parent);
	for (uint32_t worker = 0; worker < WORKERS; worker++)
		be_born(&parent, worker);
	while (input.size > 0)
		step(&parent, &input);
	end_all(&parent);
	carom_lane_free(parent.lane);
	return 0;
}
