/*
 * Lane: taking back what was dealt
 *
 * A task that its worker has not begun may be taken from it, by a compare-and-swap in the
 * hand: one of the two has it then, and never both. See lane_dealer.c.
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
		return true;
	}
	return false;
}

void carom_deal_move_if_stalled(struct carom_lane *lane, struct lane_deal *deal)
{
	uint32_t slot = deal->slot;
	uint64_t age;

	if (lane->dealer->is_dealing || atomic_load(&deal->hand->is_foul))
		return;
	age = carom_now() - deal->dealt_ns;
	if (age < STALLED_NS)
		return;
	carom_hand_set_slow(lane, deal->hand, true);
	if (carom_dealer_find_free(lane, false)) {
		if (carom_deal_take_back(lane, deal))
			carom_lane_push(lane, slot);
	} else if (age > GIVEN_UP_NS) {
		deal->hand->is_stalled = true;
		carom_hand_foul(lane, deal->hand, "a task that it does not take up");
	}
}

/* is it still to be taken up, after a look, and a chance to be given to another one? */
static bool is_not_taken_up(struct carom_lane *lane, const struct lane_deal *deal)
{
	if (!deal->is_used || deal->is_evicted || deal->is_begun)
		return false;
	carom_lane_look(lane, deal->slot);
	return deal->is_used && !deal->is_begun;
}

bool carom_lane_move_stalled(struct carom_lane *lane)
{
	bool again = false;

	for (uint32_t i = 0; i < lane->used_count; i++) {
		const struct lane_hand *hand = hand_of(lane, i);

		for (uint32_t at = 0; hand->used_count && at < HAND_SLOTS; at++)
			again |= is_not_taken_up(lane, &hand->deals[at]);
	}
	return again;
}
