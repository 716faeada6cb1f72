/*
 * Lane: the bell of a hand
 *
 * A pipe, of which the parent's loop has the other end. See lane_dealer.c.
 *
 *   K4  The bell rings only while it is armed, as in lane_notice.c. It is armed before a task
 *       is dealt, or else the hand is looked at after it was: one of the two sees the other.
 *       Each arming allows one ring: a worker that rings much oftener is foul.
 *
 * Where a worker has more than one task it need not ring at each end: it counts those that
 * it has ended, and rings once ring_after are, of which half a hand is left. It reads that
 * after the word is DONE; who wants it sooner writes it, and looks at the words after that.
 * So what the worker has counted without ringing is seen here; and what is taken back, so
 * that fewer will end than was thought, makes it sooner.
 */
#include <errno.h>
#include <unistd.h>

#include "core/time.h"
#include "ipc/lane_dealer.h"

/* so many rings beyond one for each arming: of its beginning, and those that crossed a disarming */
#define RINGS_FREE 64

/* by its count of tasks that it has ended, which is at least this side's */
static uint32_t ring_after(const struct lane_hand *hand, enum lane_ring when)
{
	uint32_t count = when == RING_EACH ? 1 : (carom_hand_count(hand) + 1) / 2;

	return (uint32_t)hand->done_count + count;
}

bool carom_hand_arm(struct lane_hand *hand, enum lane_ring when)
{
	struct carom_lane *own = hand->lane;
	uint32_t after = ring_after(hand, when);

	if (hand->is_armed && (int32_t)(after - hand->ring_after) >= 0)
		return false;
	hand->ring_after = after;
	atomic_store(&own->header->ring_after, after);
	if (hand->is_armed)
		return true;
	hand->is_armed = true;
	hand->arm_count++;
	own->ticket += 2; /* odd, so never 0 */
	atomic_store(&own->header->armed, own->ticket);
	return true;
}

void carom_hand_disarm(struct lane_hand *hand)
{
	if (!hand->is_armed)
		return;
	hand->is_armed = false;
	atomic_store(&hand->lane->header->armed, 0);
}

static bool is_awaited(const struct carom_lane *lane, uint32_t slot)
{
	return lane->view.slots[slot].flags &
		       (CAROM_TASK_END | CAROM_TASK_BEGIN | CAROM_TASK_LEAVE) ||
	       atomic_load(&lane->view.slots[slot].word) & CAROM_SLOT_WAITED;
}

static enum lane_ring ring_of(struct carom_lane *lane, bool is_any_awaited)
{
	if (is_any_awaited || atomic_load(&lane->header->watcher_count))
		return RING_EACH;
	return carom_dealer_has_more(lane) ? RING_LOW : RING_NEVER;
}

enum lane_ring carom_deal_ring(struct carom_lane *lane, uint32_t slot)
{
	return ring_of(lane, is_awaited(lane, slot));
}

void carom_dealer_arm_all(struct carom_lane *lane, enum lane_ring when)
{
	for (uint32_t i = 0; i < lane->used_count; i++) {
		struct lane_hand *hand = hand_of(lane, i);

		if (hand->used && carom_hand_arm(hand, when))
			carom_hand_see_all(lane, hand);
	}
}

void carom_lane_watch_ends(struct carom_lane *lane)
{
	if (!lane->dealer)
		return;
	carom_dealer_arm_all(lane, RING_EACH);
	if (carom_dealer_has_more(lane))
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

uint64_t carom_dealer_ready_ns(const struct carom_lane *lane, uint32_t worker)
{
	struct lane_hand *hand = hand_of(lane, worker);
	uint64_t known = atomic_load(&hand->ready_ns);
	uint64_t claim, now;

	if (known || !hand->lane)
		return known;
	claim = atomic_load(&hand->lane->workers[0].ready_ns);
	if (!claim || claim == LANE_GIVEN_UP)
		return 0;
	now = carom_now();
	atomic_compare_exchange_strong(&hand->ready_ns, &known, claim < now ? claim : now);
	return atomic_load(&hand->ready_ns);
}

/* it may be dealt to once it is ready, which it says by ringing */
static void see_ready(struct carom_lane *lane, struct lane_hand *hand)
{
	if (hand->is_open || hand->is_leaving || atomic_load(&hand->is_foul) || hand->used ||
	    lane->dealer->stop == CAROM_LANE_HALT || !hand->pid ||
	    !carom_lane_is_ready(lane, hand->worker))
		return;
	hand->is_open = true;
	carom_hand_note(lane, hand);
	carom_lane_announce_ready(lane);
}

static void arm_again(struct carom_lane *lane, struct lane_hand *hand)
{
	bool is_any_awaited = false;
	uint64_t rest = hand->used;
	struct lane_deal *deal;
	enum lane_ring when;

	while ((deal = next_deal(hand, &rest)) != NULL)
		is_any_awaited |= !deal->is_evicted && is_awaited(lane, deal->slot);
	when = hand->used ? ring_of(lane, is_any_awaited) : RING_NEVER;
	if (when == RING_NEVER)
		lane->dealer->all_armed = false;
	else if (carom_hand_arm(hand, when))
		carom_hand_see_all(lane, hand);
}

int carom_lane_hand_rang(struct carom_lane *lane, uint32_t worker)
{
	struct lane_hand *hand = hand_of(lane, worker);
	int r = take_rings(lane, hand);

	hand->is_armed = false;
	if (!atomic_load(&hand->is_foul)) {
		see_ready(lane, hand);
		carom_hand_see_all(lane, hand);
		carom_hand_learn(lane, hand);
		arm_again(lane, hand);
	}
	carom_dealer_deal(lane);
	return r;
}
