/*
 * Lane: taking back what was dealt
 *
 * A task that its worker has not begun may be taken from it, by a compare-and-swap in the
 * hand: one of the two has it then, and never both. See lane_dealer.c.
 *
 *   M1  A worker that does not take up its front within STALLED_NS is slow: others come first,
 *       and the first of them that has nothing to do is given that task, or those behind it.
 *       If there is none for GIVEN_UP_NS, the slow one is replaced.
 *   M2  For that somebody has to look. Who waits for a task looks each SOON_NS, if it found it
 *       dealt (lane_hold.c). All others are unattended: not waited for, or waited for by
 *       somebody who sleeps on the parent's word since before it was dealt. As long as there
 *       are such ones, whoever made the lane looks: it is told of the first and of the last.
 */
#include "core/time.h"
#include "ipc/lane_dealer.h"

/*
 * A worker that is awake takes a task up within microseconds, and one that is parked within
 * hundreds. So long, and the task is given to another one, if one has nothing to do.
 */
#define STALLED_NS CAROM_LANE_STALLED_NS

/* If none has, that worker is replaced: nothing is lost, for it has begun nothing. */
#define GIVEN_UP_NS CAROM_SECONDS(1)

/* K4: fewer ends are to come than it was told to count */
static void expect_fewer(struct carom_lane *lane, struct lane_hand *hand)
{
	if (hand->is_armed && hand->used && carom_hand_arm(hand, RING_EACH))
		carom_hand_see_all(lane, hand);
}

bool carom_deal_take_back(struct carom_lane *lane, struct lane_deal *deal)
{
	_Atomic uint64_t *word = &lines_of(deal)->word;
	uint64_t seen = atomic_load(word);
	uint64_t lost = CAROM_SLOT_WORD(deal->generation, CAROM_LANE_NOBODY, 0, CAROM_SLOT_LOST);
	uint32_t slot = deal->slot;

	for (uint32_t i = 0; i < LANE_TRIES_MAX && !atomic_load(&deal->hand->is_foul); i++) {
		if (carom_slot_state(seen) != CAROM_SLOT_READY ||
		    carom_slot_generation(seen) != deal->generation)
			return false;
		if (!atomic_compare_exchange_weak(word, &seen, lost))
			continue;
		carom_deal_release(lane, deal);
		carom_deal_set_word(lane, slot, CAROM_LANE_NOBODY, CAROM_SLOT_READY);
		expect_fewer(lane, deal->hand);
		return true;
	}
	return false;
}

/* ---- what stands behind another task (A3) ---- */

static bool stands_behind(const struct lane_deal *deal, const struct lane_deal *front)
{
	return deal != front && !deal->is_begun && !deal->is_evicted;
}

/* of those that were dealt before @before; NULL: none */
static struct lane_deal *last_behind(struct lane_hand *hand, uint64_t before)
{
	const struct lane_deal *front = carom_hand_front(hand);
	struct lane_deal *last = NULL, *deal;
	uint64_t rest = hand->used;

	while ((deal = next_deal(hand, &rest)) != NULL)
		if (stands_behind(deal, front) && deal->sequence < before &&
		    (!last || deal->sequence > last->sequence))
			last = deal;
	return last;
}

static struct lane_deal *first_behind(struct lane_hand *hand)
{
	const struct lane_deal *front = carom_hand_front(hand);
	struct lane_deal *first = NULL, *deal;
	uint64_t rest = hand->used;

	while ((deal = next_deal(hand, &rest)) != NULL)
		if (stands_behind(deal, front) && (!first || deal->sequence < first->sequence))
			first = deal;
	return first;
}

/* the last first: so they wait in the order in which they were dealt */
void carom_hand_take_back_ahead(struct carom_lane *lane, struct lane_hand *hand)
{
	uint64_t before = UINT64_MAX;
	struct lane_deal *deal;

	while ((deal = last_behind(hand, before)) != NULL) {
		before = deal->sequence;
		if (carom_deal_take_back(lane, deal))
			carom_dealer_put_back(lane, deal->slot);
	}
	carom_hand_set_depth(lane, hand, 1);
}

static struct lane_hand *find_fullest(const struct carom_lane *lane)
{
	struct lane_hand *fullest = NULL;

	for (uint32_t i = 0; i < lane->used_count; i++) {
		struct lane_hand *hand = hand_of(lane, i);

		if (carom_hand_count(hand) > 1 && !atomic_load(&hand->is_foul) &&
		    (!fullest || carom_hand_count(hand) > carom_hand_count(fullest)))
			fullest = hand;
	}
	return fullest;
}

/* the first, so that tasks are begun in the order in which they came, as far as can be */
bool carom_dealer_steal(struct carom_lane *lane, uint32_t *ret_slot)
{
	struct lane_hand *hand = find_fullest(lane);
	struct lane_deal *deal = NULL;

	if (hand)
		carom_hand_see_all(lane, hand);
	if (hand)
		deal = first_behind(hand);
	if (!deal)
		return false;
	*ret_slot = deal->slot;
	return carom_deal_take_back(lane, deal);
}

/* ---- what is not taken up (M1) ---- */

/* the next one from @begin on that is slow and has something; NULL: none */
static struct lane_hand *find_stranded(const struct carom_lane *lane, uint32_t begin)
{
	if (!lane->dealer->slow_count)
		return NULL;
	for (uint32_t i = begin; i < lane->used_count; i++) {
		struct lane_hand *hand = hand_of(lane, i);

		if (carom_hand_is_slow(lane, hand) && hand->used && !atomic_load(&hand->is_foul))
			return hand;
	}
	return NULL;
}

bool carom_dealer_has_stranded(const struct carom_lane *lane)
{
	return find_stranded(lane, 0) != NULL;
}

static bool take_front(struct carom_lane *lane, struct lane_hand *hand, uint32_t *ret_slot)
{
	struct lane_deal *front;

	carom_hand_see_all(lane, hand);
	front = carom_hand_front(hand);
	if (!front || front->is_begun || front->is_evicted)
		return false;
	*ret_slot = front->slot;
	return carom_deal_take_back(lane, front);
}

bool carom_dealer_rescue(struct carom_lane *lane, uint32_t *ret_slot)
{
	struct lane_hand *hand = find_stranded(lane, 0);

	while (hand && !take_front(lane, hand, ret_slot))
		hand = find_stranded(lane, hand->worker + 1);
	return hand != NULL;
}

/* K3: it is somebody else's to do, who can do it at once */
static void move_front(struct carom_lane *lane, struct lane_deal *deal, uint64_t age)
{
	uint32_t slot = deal->slot;

	carom_hand_set_slow(lane, deal->hand, true);
	carom_dealer_ask_all(lane);
	if (!deal_is_used(deal) || deal->is_begun || atomic_load(&deal->hand->is_foul))
		return; /* it was looked at as well */
	if (carom_dealer_find_free(lane, false)) {
		if (carom_deal_take_back(lane, deal))
			carom_dealer_put_back(lane, slot);
	} else if (age > GIVEN_UP_NS) {
		deal->hand->is_stalled = true;
		carom_hand_foul(lane, deal->hand, "a task that it does not take up");
	}
}

void carom_deal_move_if_stalled(struct carom_lane *lane, struct lane_deal *deal)
{
	struct lane_hand *hand = deal->hand;
	uint64_t age;

	if (lane->dealer->is_dealing || atomic_load(&hand->is_foul))
		return;
	carom_hand_see_all(lane, hand); /* what stands before it may have ended */
	if (!deal_is_used(deal) || deal->is_begun || atomic_load(&hand->is_foul))
		return;
	age = carom_now() - hand->front_ns;
	if (age < STALLED_NS)
		return;
	if (deal == carom_hand_front(hand))
		move_front(lane, deal, age);
	else
		carom_hand_take_back_ahead(lane, hand);
}

/* ---- what nobody looks at (M2) ---- */

void carom_lane_on_unattended(struct carom_lane *lane, carom_lane_unattended_fn *function,
			      void *userdata)
{
	lane->dealer->unattended = function;
	lane->dealer->unattended_userdata = userdata;
}

bool carom_lane_has_unattended(const struct carom_lane *lane)
{
	return lane->dealer && lane->dealer->unattended_count > 0;
}

void carom_deal_set_unattended(struct carom_lane *lane, struct lane_deal *deal, bool is_unattended)
{
	struct lane_dealer *dealer = lane->dealer;

	if (is_unattended == deal->is_unattended)
		return;
	deal->is_unattended = is_unattended;
	dealer->unattended_count += is_unattended;
	dealer->unattended_count -= !is_unattended;
	if (dealer->unattended && (is_unattended || !dealer->unattended_count))
		dealer->unattended(is_unattended, dealer->unattended_userdata);
}

static void move_from(struct carom_lane *lane, struct lane_hand *hand)
{
	uint64_t rest = hand->used;
	struct lane_deal *deal;

	while ((deal = next_deal(hand, &rest)) != NULL)
		if (!deal->is_evicted && !deal->is_begun)
			carom_lane_look(lane, deal->slot);
}

static bool has_unattended(struct lane_hand *hand)
{
	uint64_t rest = hand->used;
	struct lane_deal *deal;

	while ((deal = next_deal(hand, &rest)) != NULL)
		if (deal->is_unattended)
			return true;
	return false;
}

/* of one that is slow already all is known but whether it will ever move */
static uint64_t next_look(const struct carom_lane *lane, struct lane_hand *hand)
{
	if (!has_unattended(hand) || atomic_load(&hand->is_foul))
		return CAROM_NO_DEADLINE;
	return hand->front_ns + (carom_hand_is_slow(lane, hand) ? GIVEN_UP_NS : STALLED_NS);
}

uint64_t carom_lane_move_stalled(struct carom_lane *lane)
{
	uint64_t soonest = carom_deadline_after(STALLED_NS);
	uint64_t next = CAROM_NO_DEADLINE;

	for (uint32_t i = 0; i < lane->used_count; i++)
		move_from(lane, hand_of(lane, i));
	for (uint32_t i = 0; i < lane->used_count; i++) {
		uint64_t due = next_look(lane, hand_of(lane, i));

		next = due < next ? due : next;
	}
	return next < soonest ? soonest : next;
}
