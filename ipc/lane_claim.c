/*
 * Lane: what a worker claims
 *
 * About a task that it was dealt: its value, how far it is, when it began and ended. All of
 * it is loaded once, and held against what can be; then it is copied to the parent's own
 * slot. See lane_dealer.c.
 *
 *   K9  Times are the worker's where they can be true, between the dealing and now, and do not
 *       move while it is at the same item: so no worker is longer at it than its limit.
 */
#include <errno.h>
#include <string.h>

#include "core/points.h"
#include "core/time.h"
#include "ipc/lane_dealer.h"

/* a task whose worker has not noted when it began it counts from when it was dealt */
#define NOTED_LATE_NS CAROM_MILLISECONDS(100)

/* a large block is empty until its worker asks for another one; its first page has a link */
#define EMPTIED_MIN CAROM_MIB(8)
#define FIRST_PAGE  4096

/* ---- values ---- */

void carom_dealer_drop(struct carom_lane *lane, uint32_t slot)
{
	struct entry *entry = &lane->dealer->entries[slot];

	if (entry->size)
		carom_arena_free(&lane->dealer->values, entry->offset, entry->size);
	entry->size = 0;
}

/**
 * struct claim - what a worker says about a value
 */
struct claim {
	uint64_t size;
	uint64_t offset;
	uint64_t reserved;
};

static struct claim load_claim(const struct carom_slot *lines, bool is_batch)
{
	struct claim claim = { .size = load_once(&lines->value_size),
			       .offset = load_once(&lines->value.offset) };

	claim.reserved = is_batch ? claim.size : load_once(&lines->value.reserved);
	return claim;
}

static const char *fault_of(const struct carom_lane *own, const struct claim *claim)
{
	if (claim->size > claim->reserved)
		return "a value's length";
	return carom_arena_is_block(own->view.payload_size, claim->offset, claim->reserved)
		       ? NULL
		       : "a value's place";
}

/* into the parent's arena; 0, or -ENOMEM */
static int copy_block(struct carom_lane *lane, const struct lane_deal *deal,
		      const struct claim *claim)
{
	struct entry *entry = &lane->dealer->entries[deal->slot];
	struct carom_slot *task = &lane->view.slots[deal->slot];
	uint64_t offset;
	int r;

	carom_dealer_drop(lane, deal->slot);
	r = carom_arena_alloc(&lane->dealer->values, claim->size, &offset);
	if (r < 0)
		return r;
	memcpy(lane->view.values + offset, deal->hand->lane->view.values + claim->offset,
	       claim->size);
	entry->offset = offset;
	entry->size = claim->size;
	task->value.offset = offset;
	task->value_size = claim->size;
	return 0;
}

/* the worker takes it back when it runs short */
static void give_block_back(const struct lane_deal *deal, const struct claim *claim)
{
	struct carom_lane *own = deal->hand->lane;

	if (claim->reserved > EMPTIED_MIN)
		carom_arena_discard(own->view.values, claim->offset + FIRST_PAGE,
				    carom_arena_room(claim->reserved) - FIRST_PAGE);
	carom_arena_return(own->view.values, &own->workers[0].returned, claim->offset,
			   claim->reserved);
}

void carom_lane_fetch(struct carom_lane *lane, uint32_t slot)
{
	struct lane_deal *deal = lane->dealer ? deal_of(lane, slot) : NULL;
	struct claim claim;

	if (!deal)
		return;
	claim = load_claim(lines_of(deal), true);
	lane->view.slots[slot].value_size = 0;
	if (claim.size <= CAROM_LANE_INLINE || fault_of(deal->hand->lane, &claim) ||
	    copy_block(lane, deal, &claim) < 0)
		return; /* then it has none */
}

/* ---- times (K9) ---- */

/* it cannot have begun it before it had ended what it had before */
static uint64_t begun_at_the_latest(const struct lane_deal *deal)
{
	uint64_t front_ns = deal->hand->front_ns;

	return front_ns > deal->dealt_ns ? front_ns : deal->dealt_ns;
}

static uint64_t believe(uint64_t claim, uint64_t from, uint64_t to, uint64_t otherwise)
{
	return claim >= from && claim <= to ? claim : otherwise;
}

void carom_deal_see_time(struct carom_lane *lane, struct lane_deal *deal)
{
	struct carom_slot *task = &lane->view.slots[deal->slot];
	const struct carom_slot *lines = lines_of(deal);
	uint64_t progress, claim, now;

	if (!(task->flags & CAROM_TASK_TIMED))
		return;
	/* in this order: with an item's progress comes its time, or that of a later one */
	progress = task->flags & CAROM_TASK_BATCH ? atomic_load(&lines->value.progress) : 0;
	claim = load_once(&lines->started_ns);
	if (deal->is_timed && progress <= deal->started_progress)
		return; /* it does not go back */
	now = carom_now();
	if (!claim && now - begun_at_the_latest(deal) < NOTED_LATE_NS)
		return; /* it is about to be noted */
	if (deal->is_timed)
		task->started_ns = believe(claim, task->started_ns, now, now);
	else
		task->started_ns = believe(claim, deal->dealt_ns, now, begun_at_the_latest(deal));
	deal->is_timed = true;
	deal->started_progress = progress;
}

uint64_t carom_lane_started_ns(struct carom_lane *lane, uint32_t slot)
{
	struct lane_deal *deal = lane->dealer ? deal_of(lane, slot) : NULL;

	if (deal && !atomic_load(&deal->hand->is_foul))
		carom_deal_see_time(lane, deal);
	return load_once(&lane->view.slots[slot].started_ns);
}

/* ---- progress ---- */

/* as the parent has it; NULL: it is none */
static const struct carom_batch *batch_of(const struct carom_lane *lane,
					  const struct carom_slot *task)
{
	if (!(task->flags & CAROM_TASK_BATCH) || task->argument_size < sizeof(struct carom_batch))
		return NULL;
	return (const void *)(lane->view.arguments + task->argument.offset);
}

static uint64_t item_count(const struct carom_lane *lane, const struct carom_slot *task)
{
	const struct carom_batch *batch = batch_of(lane, task);

	return batch ? batch->item_count : UINT32_MAX;
}

uint64_t carom_deal_first_progress(const struct carom_lane *lane, const struct carom_slot *task)
{
	const struct carom_batch *batch = batch_of(lane, task);

	return batch ? batch->begin << 32 | batch->begin : 0;
}

/* items are begun one by one, in order, and there are no more than there are */
static bool can_be_progress(struct carom_lane *lane, const struct lane_deal *deal,
			    uint64_t progress)
{
	uint64_t begun = progress >> 32, ended = progress & UINT32_MAX;

	/* the first one that is begun here may be any: see @begin of struct carom_batch */
	return begun >= ended && begun <= ended + 1 &&
	       begun <= item_count(lane, &lane->view.slots[deal->slot]) &&
	       ended >= (deal->progress & UINT32_MAX);
}

uint64_t carom_deal_charge(const struct carom_lane *lane, const struct lane_deal *deal,
			   uint64_t progress)
{
	uint64_t ended = progress & UINT32_MAX;

	if (ended >= item_count(lane, &lane->view.slots[deal->slot]))
		return progress;
	return (ended + 1) << 32 | ended;
}

uint64_t carom_lane_item_progress(struct carom_lane *lane, uint32_t slot)
{
	struct lane_deal *deal;
	uint64_t progress;

	if (lane->dealer)
		carom_lane_look(lane, slot);
	deal = lane->dealer ? deal_of(lane, slot) : NULL;
	if (!deal)
		return atomic_load(&lane->view.slots[slot].value.progress);
	if (!(lane->view.slots[slot].flags & CAROM_TASK_BATCH))
		return 0; /* there is, or will be, a value */
	progress = atomic_load(&lines_of(deal)->value.progress);
	if (can_be_progress(lane, deal, progress))
		deal->progress = progress;
	else
		carom_hand_foul(lane, deal->hand, "a batch's progress");
	return deal->progress;
}

/* ---- the end ---- */

static void take_usage(struct carom_lane *lane, const struct lane_deal *deal)
{
	const struct carom_lane_usage *claim = carom_lane_usage(deal->hand->lane, deal->at);

	*carom_lane_usage(lane, deal->slot) = (struct carom_lane_usage){
		.cpu_ns = load_once(&claim->cpu_ns),
		.peak_bytes = load_once(&claim->peak_bytes),
	};
}

/* what is not the worker's to say, and what is its word */
static void note_end(struct carom_lane *lane, const struct lane_deal *deal)
{
	struct carom_slot *task = &lane->view.slots[deal->slot];
	uint64_t now;

	task->pid = deal->hand->pid;
	if (task->flags & CAROM_TASK_METERED)
		take_usage(lane, deal);
	if (!(task->flags & CAROM_TASK_TIMED))
		return;
	now = carom_now();
	if (!deal->is_timed)
		task->started_ns = believe(load_once(&lines_of(deal)->started_ns), deal->dealt_ns,
					   now, begun_at_the_latest(deal));
	task->ended_ns = believe(load_once(&lines_of(deal)->ended_ns), task->started_ns, now, now);
}

/* NULL, or what is wrong with it */
static const char *take_value(struct carom_lane *lane, struct lane_deal *deal)
{
	struct carom_slot *task = &lane->view.slots[deal->slot];
	const struct carom_slot *lines = lines_of(deal);
	bool is_batch = task->flags & CAROM_TASK_BATCH;
	struct claim claim = load_claim(lines, is_batch);
	uint64_t progress = atomic_load(&lines->value.progress);
	const char *fault;

	task->code = *(const volatile int32_t *)&lines->code;
	if (claim.size <= CAROM_LANE_INLINE) {
		if (is_batch && task->code >= 0)
			return "a batch's length";
		memcpy(task->value.bytes, lines->value.bytes, CAROM_LANE_INLINE);
		task->value_size = claim.size;
		return NULL;
	}
	fault = fault_of(deal->hand->lane, &claim);
	if (fault)
		return fault;
	if (copy_block(lane, deal, &claim) < 0) {
		task->code = -ENOMEM;
		task->value_size = 0;
	}
	give_block_back(deal, &claim);
	if (is_batch)
		atomic_store_explicit(&task->value.progress, progress, memory_order_relaxed);
	else
		task->value.reserved = claim.size;
	return NULL;
}

void carom_deal_collect(struct carom_lane *lane, struct lane_deal *deal)
{
	struct lane_hand *hand = deal->hand;
	uint32_t slot = deal->slot;
	const char *fault = take_value(lane, deal);
	uint64_t seen;

	if (fault) {
		carom_hand_foul(lane, hand, fault);
		return;
	}
	note_end(lane, deal);
	carom_hand_set_slow(lane, hand, false);
	hand->done_count++;
	carom_deal_release(lane, deal);
	if (hand->used)
		hand->front_ns = carom_now();
	CAROM_POINT("deal.collected");
	seen = carom_deal_set_word(lane, slot, hand->worker, CAROM_SLOT_DONE);
	carom_lane_tell_waiters(lane, slot, seen & CAROM_SLOT_WAITED);
}
