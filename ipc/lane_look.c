/*
 * Lane: looking at what was dealt
 *
 * Nobody tells the parent that a worker has begun a task, or ended it: whoever wants to know
 * looks at the word in the hand, and moves the parent's own word on. A word that cannot
 * follow the one that was seen before is foul play. See lane_dealer.c.
 */
#include <limits.h>

#include "ipc/lane_dealer.h"
#include "shm/futex.h"

void carom_hand_foul(struct carom_lane *lane, struct lane_hand *hand, const char *what)
{
	struct lane_dealer *dealer = lane->dealer;
	uint64_t rest = hand->used;
	struct lane_deal *deal;

	if (atomic_load(&hand->is_foul))
		return;
	atomic_store(&hand->is_foul, true);
	carom_hand_shut(lane, hand);
	/* whoever sleeps there sleeps on the parent's word from now on, until the burial */
	while ((deal = next_deal(hand, &rest)) != NULL) {
		atomic_store(&hand->lane->own[deal->at].is_void, true);
		carom_futex_wake(slot_futex(lines_of(deal)), INT_MAX);
	}
	if (dealer->foul)
		dealer->foul(hand->worker, what, dealer->userdata);
}

static void see_begin(struct carom_lane *lane, struct lane_deal *deal)
{
	struct carom_slot *task = &lane->view.slots[deal->slot];
	bool was_timed = deal->is_timed;

	if (!deal->is_begun) {
		deal->is_begun = true;
		carom_deal_set_unattended(lane, deal, false);
		carom_hand_set_slow(lane, deal->hand, false);
		task->pid = deal->hand->pid;
		carom_deal_set_word(lane, deal->slot, deal->hand->worker, CAROM_SLOT_RUNNING);
	}
	carom_deal_see_time(lane, deal);
	if (deal->is_timed && !was_timed && task->flags & (CAROM_TASK_BEGIN | CAROM_TASK_LEAVE))
		carom_lane_notice(lane, deal->slot);
}

void carom_deal_see(struct carom_lane *lane, struct lane_deal *deal)
{
	uint64_t word = atomic_load(&lines_of(deal)->word);
	bool is_its = carom_slot_owner(word) == 0;

	if (atomic_load(&deal->hand->is_foul))
		return;
	if (carom_slot_generation(word) != deal->generation) {
		carom_hand_foul(lane, deal->hand, "a slot's generation");
	} else if (carom_slot_state(word) == CAROM_SLOT_DONE && is_its) {
		carom_deal_collect(lane, deal);
	} else if (carom_slot_state(word) == CAROM_SLOT_RUNNING && is_its) {
		see_begin(lane, deal);
		/* a hint, which is kept where it is read */
		if (word & CAROM_SLOT_TOLD)
			atomic_fetch_or(&lane->view.slots[deal->slot].word, CAROM_SLOT_TOLD);
	} else if (carom_slot_state(word) != CAROM_SLOT_READY || deal->is_begun) {
		carom_hand_foul(lane, deal->hand, "a slot's state");
	}
}

void carom_hand_see_all(struct carom_lane *lane, struct lane_hand *hand)
{
	uint64_t rest = hand->used;
	struct lane_deal *deal;

	while ((deal = next_deal(hand, &rest)) != NULL)
		if (!deal->is_evicted)
			carom_deal_see(lane, deal);
}

/* more is to be dealt: there may be room in this hand, for more than one */
static void look_further(struct carom_lane *lane, struct lane_hand *hand)
{
	carom_hand_see_all(lane, hand);
	carom_hand_learn(lane, hand);
	carom_dealer_deal(lane);
}

void carom_lane_look(struct carom_lane *lane, uint32_t slot)
{
	struct lane_deal *deal = deal_of(lane, slot);
	bool had_more;

	if (!deal)
		return;
	had_more = carom_dealer_has_more(lane);
	carom_deal_see(lane, deal);
	if (deal_of(lane, slot) == deal && !deal->is_begun)
		carom_deal_move_if_stalled(lane, deal);
	if (!deal_of(lane, slot) && !lane->dealer->is_dealing &&
	    (had_more || carom_dealer_has_more(lane)))
		look_further(lane, deal->hand);
}

bool carom_dealer_was_dealt(const struct carom_lane *lane, uint32_t slot)
{
	return deal_of(lane, slot) != NULL;
}

struct carom_lane *carom_dealer_task(struct carom_lane *lane, uint32_t slot, uint32_t *ret_slot,
				     uint64_t *ret_word)
{
	struct lane_deal *deal;

	carom_lane_look(lane, slot);
	deal = deal_of(lane, slot);
	if (!deal || atomic_load(&deal->hand->is_foul))
		return NULL;
	*ret_slot = deal->at;
	*ret_word = atomic_load(&lines_of(deal)->word);
	if (carom_slot_state(*ret_word) == CAROM_SLOT_RUNNING)
		return deal->hand->lane;
	carom_lane_look(lane, slot); /* it has ended since: then that counts, and is not struck */
	if (deal_of(lane, slot) != deal || atomic_load(&deal->hand->is_foul))
		return NULL;
	return deal->hand->lane;
}

bool carom_dealer_take_back(struct carom_lane *lane, uint32_t slot)
{
	struct lane_deal *deal;

	carom_lane_look(lane, slot);
	deal = deal_of(lane, slot);
	if (!deal)
		return carom_slot_state(atomic_load(&lane->view.slots[slot].word)) ==
		       CAROM_SLOT_READY; /* it was moved, and waits */
	if (carom_deal_take_back(lane, deal))
		return true;
	carom_lane_look(lane, slot); /* it has been begun meanwhile, or is foul */
	return false;
}

/* its worker is to be killed: what it has not begun is for others, and at once */
static void empty_hand(struct carom_lane *lane, struct lane_hand *hand)
{
	carom_hand_shut(lane, hand);
	carom_hand_take_back_ahead(lane, hand);
	carom_dealer_deal(lane);
}

void carom_dealer_doomed(struct carom_lane *lane, uint32_t slot)
{
	struct lane_deal *deal = deal_of(lane, slot);

	if (deal)
		empty_hand(lane, deal->hand);
}

void carom_dealer_evicted(struct carom_lane *lane, uint32_t slot)
{
	struct lane_deal *deal = deal_of(lane, slot);

	if (!deal)
		return;
	deal->is_evicted = true;
	atomic_store(&lane->dealer->entries[slot].deal, NULL);
	carom_deal_dislodge(deal);
	empty_hand(lane, deal->hand);
}

struct carom_batch *carom_lane_batch_at_hand(struct carom_lane *lane, uint32_t slot)
{
	struct lane_deal *deal = lane->dealer ? deal_of(lane, slot) : NULL;

	return deal && deal->argument_size
		       ? (void *)(deal->hand->lane->view.arguments + deal->argument_offset)
		       : NULL;
}
