/*
 * Lane: dealing
 *
 * A task that waits in the ring is copied into a hand, and goes back into the ring if its
 * worker does not take it up. See lane_dealer.c.
 *
 *   K3  Who may be dealt to is known here: it is ready, neither dismissed nor foul, and has
 *       nothing. Only if there is no such one it may have something: see lane_ahead.c.
 */
#include <errno.h>
#include <string.h>

#include "core/points.h"
#include "core/time.h"
#include "core/trace.h"
#include "ipc/lane_dealer.h"

/* ---- who may be dealt to ---- */

static void set_bit(uint64_t *mask, const struct lane_hand *hand, bool on)
{
	uint64_t bit = UINT64_C(1) << (hand->worker % 64);

	if (on)
		mask[hand->worker / 64] |= bit;
	else
		mask[hand->worker / 64] &= ~bit;
}

void carom_hand_note(struct carom_lane *lane, const struct lane_hand *hand)
{
	struct lane_dealer *dealer = lane->dealer;

	set_bit(dealer->free, hand, hand->is_open && !hand->used);
	set_bit(dealer->room, hand, hand->is_open && carom_hand_count(hand) < hand->depth);
}

void carom_hand_shut(struct carom_lane *lane, struct lane_hand *hand)
{
	hand->is_open = false;
	carom_hand_note(lane, hand);
}

bool carom_hand_is_slow(const struct carom_lane *lane, const struct lane_hand *hand)
{
	return lane->dealer->slow[hand->worker / 64] >> (hand->worker % 64) & 1;
}

void carom_hand_set_slow(struct carom_lane *lane, const struct lane_hand *hand, bool is_slow)
{
	struct lane_dealer *dealer = lane->dealer;

	dealer->slow_count += is_slow;
	dealer->slow_count -= carom_hand_is_slow(lane, hand);
	set_bit(dealer->slow, hand, is_slow);
}

/* ---- what waits ---- */

uint64_t carom_deal_set_word(struct carom_lane *lane, uint32_t slot, uint32_t owner,
			     enum carom_slot_state state)
{
	_Atomic uint64_t *word = &lane->view.slots[slot].word;
	uint64_t seen = atomic_load(word);
	uint64_t kept = CAROM_SLOT_WAITED | CAROM_SLOT_GRANTED | CAROM_SLOT_REFUSED;
	uint64_t next;

	do
		next = CAROM_SLOT_WORD(carom_slot_generation(seen), owner, seen & kept, state);
	while (!atomic_compare_exchange_weak(word, &seen, next));
	return seen;
}

bool carom_dealer_is_queued(struct carom_lane *lane, uint32_t *ret_slot)
{
	/* relaxed throughout: nobody else moves the head, or fills cells, without the lock */
	uint64_t head = atomic_load_explicit(&lane->header->head, memory_order_relaxed);

	for (; head != lane->tail; head++) {
		uint64_t cell = atomic_load_explicit(ring_at(lane, head), memory_order_relaxed);
		uint32_t slot = (uint32_t)(cell >> 32) & 0xffff;
		uint64_t word = atomic_load(&lane->view.slots[slot].word);

		if (carom_slot_state(word) == CAROM_SLOT_READY &&
		    carom_slot_owner(word) == CAROM_LANE_NOBODY &&
		    carom_slot_generation(word) == (uint32_t)cell)
			break;
	}
	atomic_store_explicit(&lane->header->head, head, memory_order_relaxed);
	if (head == lane->tail)
		return false;
	*ret_slot =
		(uint32_t)(atomic_load_explicit(ring_at(lane, head), memory_order_relaxed) >> 32) &
		0xffff;
	return true;
}

void carom_dealer_put_back(struct carom_lane *lane, uint32_t slot)
{
	uint64_t head = atomic_load_explicit(&lane->header->head, memory_order_relaxed);

	if (!head) {
		carom_lane_push(lane, slot);
		return;
	}
	head--; /* of a lane that deals nobody else reads the ring */
	atomic_store_explicit(ring_at(lane, head),
			      ring_cell(lane, head, slot, lane->own[slot].generation),
			      memory_order_relaxed);
	atomic_store_explicit(&lane->header->head, head, memory_order_relaxed);
}

bool carom_dealer_has_more(struct carom_lane *lane)
{
	uint32_t slot;

	return lane->dealer->ahead_count || carom_dealer_is_queued(lane, &slot) ||
	       carom_dealer_has_stranded(lane);
}

/* ---- who gets it ---- */

struct lane_hand *carom_dealer_find_free(const struct carom_lane *lane, bool even_slow)
{
	const struct lane_dealer *dealer = lane->dealer;

	for (uint32_t i = 0; i < lane->mask_words; i++) {
		uint64_t bits = dealer->free[i] & (even_slow ? ~UINT64_C(0) : ~dealer->slow[i]);

		if (bits)
			return hand_of(lane, i * 64 + (uint32_t)__builtin_ctzll(bits));
	}
	return NULL;
}

/* some may have ended what they had, of which nobody was told */
void carom_dealer_ask_all(struct carom_lane *lane)
{
	if (lane->dealer->all_armed)
		return;
	carom_dealer_arm_all(lane, RING_LOW);
	lane->dealer->all_armed = true;
}

static struct lane_hand *choose(struct carom_lane *lane, uint32_t slot)
{
	struct lane_hand *hand = carom_dealer_find_free(lane, false);

	if (hand)
		return hand;
	carom_dealer_ask_all(lane);
	hand = carom_dealer_find_free(lane, false);
	if (!hand) /* that it was late once is no reason to wait behind another task */
		hand = carom_dealer_find_free(lane, true);
	return hand ? hand : carom_dealer_find_room(lane, slot);
}

/* ---- dealing ---- */

/* there is one that is not used */
static struct lane_deal *take_deal(struct lane_hand *hand)
{
	struct lane_deal *last = NULL;

	for (uint64_t rest = ~hand->used; rest; rest &= rest - 1) {
		last = &hand->deals[__builtin_ctzll(rest)];
		if (!atomic_load(&last->sleeper_count))
			break;
	}
	carom_deal_dislodge(last);
	return last;
}

static int copy_argument(struct carom_lane *lane, struct lane_deal *deal)
{
	const struct carom_slot *task = &lane->view.slots[deal->slot];
	struct carom_slot *lines = lines_of(deal);
	struct lane_hand *hand = deal->hand;
	int r;

	lines->argument_size = task->argument_size;
	deal->argument_size = 0; /* an evicted one left its own */
	if (task->argument_size <= CAROM_LANE_INLINE) {
		lines->argument = task->argument;
		return 0;
	}
	r = carom_arena_alloc(&hand->arguments, task->argument_size, &deal->argument_offset);
	if (r < 0)
		return r;
	deal->argument_size = task->argument_size;
	lines->argument.offset = deal->argument_offset;
	memcpy(hand->lane->view.arguments + deal->argument_offset,
	       lane->view.arguments + task->argument.offset, task->argument_size);
	return 0;
}

static int fill(struct carom_lane *lane, struct lane_deal *deal, uint32_t slot)
{
	const struct carom_slot *task = &lane->view.slots[slot];
	struct carom_slot *lines = lines_of(deal);
	int r;

	deal->slot = slot;
	r = copy_argument(lane, deal);
	if (r < 0)
		return r;
	lines->function = task->function;
	lines->flags = (task->flags | CAROM_TASK_END) & ((1u << CAROM_TASK_FLAG_BITS) - 1);
	lines->index = task->index;
	lines->started_ns = 0;
	deal->progress = carom_deal_first_progress(lane, task);
	if (task->flags & CAROM_TASK_BATCH)
		atomic_store_explicit(&lines->value.progress, deal->progress, memory_order_relaxed);
	deal->generation = deal->hand->lane->own[deal->at].generation + 1;
	deal->is_begun = false;
	deal->is_unattended = false;
	deal->is_timed = false;
	deal->is_evicted = false;
	deal->dealt_ns = carom_now();
	return 0;
}

/* there is no room for it in any hand, which are all alike */
static void refuse(struct carom_lane *lane, uint32_t slot)
{
	struct carom_slot *task = &lane->view.slots[slot];
	uint64_t seen;

	task->code = -ENOMEM;
	task->value_size = 0;
	task->pid = 0;
	task->started_ns = 0; /* the one before it in this slot has left its own */
	task->ended_ns = carom_now();
	if (task->flags & CAROM_TASK_METERED)
		*carom_lane_usage(lane, slot) = (struct carom_lane_usage){ 0 };
	seen = carom_deal_set_word(lane, slot, 0, CAROM_SLOT_DONE);
	carom_lane_tell_waiters(lane, slot, seen & CAROM_SLOT_WAITED);
}

static void begin(struct carom_lane *lane, struct lane_deal *deal)
{
	struct lane_hand *hand = deal->hand;

	if (!hand->used) {
		hand->front_ns = deal->dealt_ns;
		carom_hand_learn_afresh(hand, deal->dealt_ns);
	} else {
		lane->dealer->ahead_count++;
	}
	deal->sequence = hand->deal_count++;
	hand->used |= UINT64_C(1) << deal->at;
	carom_hand_note(lane, hand);
}

/* K4 */
static void set_bell(struct carom_lane *lane, const struct lane_deal *deal)
{
	enum lane_ring when = carom_deal_ring(lane, deal->slot);

	if (when != RING_NEVER) {
		carom_hand_arm(deal->hand, when);
		return;
	}
	lane->dealer->all_armed = false;
	if (carom_hand_count(deal->hand) == 1)
		carom_hand_disarm(deal->hand);
}

/* it waits on; there is no room for it behind what this one has */
static void postpone(struct carom_lane *lane, struct lane_hand *hand, uint32_t slot)
{
	carom_hand_set_depth(lane, hand, carom_hand_count(hand));
	carom_dealer_put_back(lane, slot);
}

/* hints of what was taken back may fill the ring of a worker that is at something for long */
static void was_not_submitted(struct carom_lane *lane, struct lane_deal *deal, int error)
{
	bool is_foul = error != -EAGAIN || carom_hand_count(deal->hand) == 1;
	uint32_t slot = deal->slot;

	carom_deal_release(lane, deal); /* it was never offered, so that it cannot be the price */
	carom_deal_set_word(lane, slot, CAROM_LANE_NOBODY, CAROM_SLOT_READY);
	postpone(lane, deal->hand, slot);
	if (is_foul)
		carom_hand_foul(lane, deal->hand, "the head of the ring");
}

/* M2 */
static bool is_attended(const struct carom_lane *lane, uint32_t slot, uint64_t word)
{
	return lane->view.slots[slot].flags & CAROM_TASK_AWAITED && !(word & CAROM_SLOT_WAITED);
}

/* the task is off the ring */
static bool deal_to(struct carom_lane *lane, struct lane_hand *hand, uint32_t slot)
{
	struct lane_deal *deal = take_deal(hand);
	bool woke = false;
	uint64_t seen;
	int r;

	if (fill(lane, deal, slot) < 0) {
		if (hand->used)
			postpone(lane, hand, slot);
		else
			refuse(lane, slot);
		return false;
	}
	begin(lane, deal);
	atomic_store(&hand->lane->own[deal->at].is_void, false);
	atomic_store(&lane->dealer->entries[slot].deal, deal);
	seen = carom_deal_set_word(lane, slot, hand->worker, CAROM_SLOT_READY); /* K6 */
	carom_deal_set_unattended(lane, deal, !is_attended(lane, slot, seen));
	CAROM_POINT("deal.named");
	set_bell(lane, deal);
	r = carom_lane_submit(hand->lane, &deal->at, 1, &woke);
	if (r < 0)
		was_not_submitted(lane, deal, r);
	CAROM_POINT("deal.dealt");
	CAROM_TRACE(deal, slot, hand->worker);
	return woke;
}

/* who has nothing, and will get nothing, ends */
static void drain(struct carom_lane *lane)
{
	for (uint32_t i = 0; i < lane->used_count; i++) {
		struct lane_hand *hand = hand_of(lane, i);

		if (!hand->is_open)
			continue;
		carom_hand_shut(lane, hand);
		hand->is_leaving = true;
		carom_lane_stop(hand->lane, CAROM_LANE_DRAIN);
	}
}

/* the next task, and who gets it; false: none, or nobody */
static bool draw(struct carom_lane *lane, uint32_t *ret_slot, struct lane_hand **ret_hand)
{
	if (carom_dealer_is_queued(lane, ret_slot)) {
		*ret_hand = choose(lane, *ret_slot);
		if (*ret_hand)
			atomic_fetch_add_explicit(&lane->header->head, 1, memory_order_relaxed);
		return *ret_hand != NULL;
	}
	*ret_hand = lane->dealer->ahead_count ? carom_dealer_find_free(lane, true) : NULL;
	if (*ret_hand && carom_dealer_steal(lane, ret_slot))
		return true;
	/* not to a slow one, which would be rescued from at once */
	*ret_hand = carom_dealer_has_stranded(lane) ? carom_dealer_find_free(lane, false) : NULL;
	return *ret_hand && carom_dealer_rescue(lane, ret_slot);
}

bool carom_dealer_deal(struct carom_lane *lane)
{
	struct lane_dealer *dealer = lane->dealer;
	struct lane_hand *hand;
	bool woke = false;
	uint32_t slot;

	if (dealer->is_dealing)
		return false;
	dealer->is_dealing = true;
	while (draw(lane, &slot, &hand))
		woke |= deal_to(lane, hand, slot);
	dealer->is_dealing = false;
	if (carom_dealer_has_more(lane))
		return woke;
	dealer->all_armed = false;
	if (dealer->stop == CAROM_LANE_DRAIN)
		drain(lane);
	return woke;
}

void carom_hand_drop(struct carom_lane *lane, struct lane_deal *deal)
{
	struct lane_hand *hand = deal->hand;

	carom_deal_set_unattended(lane, deal, false);
	hand->used &= ~(UINT64_C(1) << deal->at);
	lane->dealer->ahead_count -= hand->used != 0;
	carom_hand_note(lane, hand);
}

void carom_deal_release(struct carom_lane *lane, struct lane_deal *deal)
{
	struct lane_hand *hand = deal->hand;

	atomic_store(&lane->dealer->entries[deal->slot].deal, NULL);
	atomic_store(&lines_of(deal)->word,
		     CAROM_SLOT_WORD(deal->generation, CAROM_LANE_NOBODY, 0, CAROM_SLOT_FREE));
	carom_deal_dislodge(deal);
	if (deal->argument_size)
		carom_arena_free(&hand->arguments, deal->argument_offset, deal->argument_size);
	deal->argument_size = 0;
	carom_hand_drop(lane, deal);
}
