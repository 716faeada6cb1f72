/*
 * Lane: dealing ahead of time
 *
 * A worker that has to wait for the parent after each short task does little else. So where
 * tasks wait, it is dealt as many as it is likely to end within AHEAD_NS, and rings when it
 * has ended half of them. How long one takes is learnt by the parent's clock, and counts
 * until it has seen the end: so a worker that says what it likes can make itself slow, and
 * have fewer, or end what it has at once.
 *
 *   A1  A hand has one task, unless no hand is free and more wait; and never more than its
 *       depth, which is 1 until tasks there were seen to be short.
 *   A2  Tasks of one hand are begun in the order in which they were dealt: the first is the
 *       front. A worker that dies had begun no other one; one that plays foul costs its
 *       front, and the rest is given to others (K7).
 *   A3  What stands behind the front is nobody's own: who has nothing to do is given one of
 *       those (lane_move.c), and is told to ring as long as there are any. If the front
 *       takes longer than STALLED_NS, or is not to be ended, they go back to where they
 *       waited. A front that was evicted stays the front: none of them is begun there.
 *   A4  Large arguments are not copied ahead, since they may have to be copied again.
 */
#include "core/time.h"
#include "ipc/lane_dealer.h"

#define AHEAD_NS           CAROM_MICROSECONDS(100)
#define AHEAD_ARGUMENT_MAX CAROM_KIB(64)

struct lane_deal *carom_hand_front(struct lane_hand *hand)
{
	struct lane_deal *front = NULL, *deal;
	uint64_t rest = hand->used;

	while ((deal = next_deal(hand, &rest)) != NULL)
		if (!front || deal->sequence < front->sequence)
			front = deal;
	return front;
}

void carom_hand_set_depth(struct carom_lane *lane, struct lane_hand *hand, uint64_t depth)
{
	hand->depth = (uint32_t)(depth < HAND_SLOTS ? depth : HAND_SLOTS);
	carom_hand_note(lane, hand);
}

void carom_hand_learn_afresh(struct lane_hand *hand, uint64_t now_ns)
{
	hand->learnt_ns = now_ns;
	hand->learnt_count = hand->done_count;
}

/* at most twice as many as before: that they were short so far is no promise */
void carom_hand_learn(struct carom_lane *lane, struct lane_hand *hand)
{
	uint64_t ended = hand->done_count - hand->learnt_count;
	uint64_t now, fit;

	if (!ended)
		return;
	now = carom_now();
	fit = AHEAD_NS * ended / (now - hand->learnt_ns + 1);
	if (fit > hand->depth * UINT64_C(2))
		fit = hand->depth * UINT64_C(2);
	carom_hand_set_depth(lane, hand, fit ? fit : 1);
	carom_hand_learn_afresh(hand, now);
}

/* from @begin on */
static struct lane_hand *find_room_from(const struct carom_lane *lane, uint32_t begin)
{
	const struct lane_dealer *dealer = lane->dealer;

	for (uint32_t i = begin / 64; i < lane->mask_words; i++) {
		uint64_t bits = dealer->room[i] & ~dealer->slow[i];

		if (i == begin / 64)
			bits &= ~UINT64_C(0) << (begin % 64);
		if (bits)
			return hand_of(lane, i * 64 + (uint32_t)__builtin_ctzll(bits));
	}
	return NULL;
}

struct lane_hand *carom_dealer_find_room(struct carom_lane *lane, uint32_t slot)
{
	struct lane_hand *hand;

	if (lane->view.slots[slot].argument_size > AHEAD_ARGUMENT_MAX)
		return NULL;
	hand = find_room_from(lane, lane->dealer->next);
	if (!hand)
		hand = find_room_from(lane, 0);
	if (hand)
		lane->dealer->next = hand->worker + 1;
	return hand;
}
