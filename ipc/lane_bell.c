/*
 * Lane: the bell of a hand
 *
 * A pipe, of which the parent's loop has the other end. See lane_dealer.c.
 *
 *   K4  The bell rings only while it is armed, as in lane_notice.c. It is armed before a task
 *       is dealt, or else the hand is looked at after it was: one of the two sees the other.
 *       Each arming allows one ring: a worker that rings much oftener is foul.
 */
#include <errno.h>
#include <unistd.h>

#include "ipc/lane_dealer.h"

/* so many rings beyond one for each arming: of its beginning, and those that crossed a disarming */
#define RINGS_FREE 64

void carom_hand_arm(struct lane_hand *hand)
{
	struct carom_lane *own = hand->lane;

	if (hand->is_armed)
		return;
	hand->is_armed = true;
	hand->arm_count++;
	own->ticket += 2; /* odd, so never 0 */
	atomic_store(&own->header->armed, own->ticket);
}

void carom_hand_disarm(struct lane_hand *hand)
{
	if (!hand->is_armed)
		return;
	hand->is_armed = false;
	atomic_store(&hand->lane->header->armed, 0);
}

/* is somebody to be told by the loop of what happens to this task, or is more to be dealt? */
bool carom_deal_wants_bell(struct carom_lane *lane, uint32_t slot)
{
	uint32_t waiting;

	return lane->view.slots[slot].flags &
		       (CAROM_TASK_END | CAROM_TASK_BEGIN | CAROM_TASK_LEAVE) ||
	       atomic_load(&lane->view.slots[slot].word) & CAROM_SLOT_WAITED ||
	       atomic_load(&lane->header->watcher_count) || carom_dealer_is_queued(lane, &waiting);
}

void carom_dealer_arm_all(struct carom_lane *lane)
{
	for (uint32_t i = 0; i < lane->used_count; i++) {
		struct lane_hand *hand = hand_of(lane, i);

		if (!hand->used_count || hand->is_armed)
			continue;
		carom_hand_arm(hand);
		carom_hand_see_all(lane, hand);
	}
}

void carom_lane_watch_ends(struct carom_lane *lane)
{
	uint32_t waiting;

	if (!lane->dealer)
		return;
	carom_dealer_arm_all(lane);
	if (carom_dealer_is_queued(lane, &waiting))
		carom_dealer_deal(lane);
}

/* one look takes all that was rung meanwhile; 0, or -EPIPE */
static int take_rings(struct carom_lane *lane, struct lane_hand *hand)
{
	uint64_t rings[512];
	ssize_t size = read(hand->fds[HAND_BELL_READ], rings, sizeof(rings));

	if (size == 0)
		return -EPIPE;
	if (size > 0)
		hand->ring_count += ((uint64_t)size + 7) / 8;
	if (hand->ring_count > hand->arm_count + RINGS_FREE)
		carom_hand_foul(lane, hand, "its bell, which rings without end");
	return 0;
}

/* it may be dealt to once it is ready, which it says by ringing */
static void see_ready(struct carom_lane *lane, struct lane_hand *hand)
{
	if (hand->is_open || hand->is_leaving || atomic_load(&hand->is_foul) || hand->used_count ||
	    lane->dealer->stop == CAROM_LANE_HALT || !hand->pid ||
	    !carom_lane_is_ready(lane, hand->worker))
		return;
	hand->is_open = true;
	carom_hand_set_free(lane, hand, true);
	carom_lane_announce_ready(lane);
}

static void arm_again(struct carom_lane *lane, struct lane_hand *hand)
{
	for (uint32_t i = 0; i < HAND_SLOTS; i++) {
		struct lane_deal *deal = &hand->deals[i];

		if (!deal->is_used || deal->is_evicted || hand->is_armed ||
		    !carom_deal_wants_bell(lane, deal->slot))
			continue;
		carom_hand_arm(hand);
		carom_deal_see(lane, deal);
	}
}

int carom_lane_hand_rang(struct carom_lane *lane, uint32_t worker)
{
	struct lane_hand *hand = hand_of(lane, worker);
	int r = take_rings(lane, hand);

	hand->is_armed = false;
	if (!atomic_load(&hand->is_foul)) {
		see_ready(lane, hand);
		carom_hand_see_all(lane, hand);
		arm_again(lane, hand);
	}
	carom_dealer_deal(lane);
	return r < 0 ? r : lane->dealer->unbegun_count > 0;
}
