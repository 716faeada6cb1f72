/*
 * Lane: who waits for a task that is dealt
 *
 * Any thread, without the lock. See lane_dealer.c.
 *
 *   K5  A deal is held (sleeper_count) by who sleeps on it, and found by the slot's entry,
 *       both in the parent's memory:
 *
 *	  waiter                            who ends the deal, with the lock
 *	  sleeper_count++                   entry := none; is_void := true
 *	  is the entry still this deal?     sleeper_count? then wake, until they are gone
 *	  is_void? then go; else sleep
 *
 *       A deal is not used again, nor its lane unmapped, while it is held.
 *   K6  Whoever waits while the task was not dealt sleeps on the parent's own word, and has
 *       set WAITED there. Dealing changes that word: either it sees WAITED, and has the bell
 *       rung for this task, or the waiter sees that it was dealt.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>

#include "core/time.h"
#include "ipc/lane_dealer.h"
#include "shm/futex.h"

/* who looks then has a task that is not taken up moved */
#define SOON_NS (CAROM_LANE_STALLED_NS * 2)

static void let_go(struct lane_deal *deal)
{
	atomic_fetch_sub(&deal->sleeper_count, 1);
}

static struct lane_deal *hold(struct carom_lane *lane, uint32_t slot, uint32_t generation)
{
	struct lane_deal *deal = deal_of(lane, slot);

	if (!deal)
		return NULL;
	atomic_fetch_add(&deal->sleeper_count, 1);
	if (deal_of(lane, slot) == deal && !atomic_load(&deal->hand->is_foul) &&
	    lane->own[slot].generation == generation)
		return deal;
	let_go(deal);
	return NULL;
}

/* who sleeps there wakes up, and looks again, and finds that it is void */
void carom_deal_dislodge(struct lane_deal *deal)
{
	struct carom_lane *own = deal->hand->lane;

	atomic_store(&own->own[deal->at].is_void, true);
	while (atomic_load(&deal->sleeper_count)) {
		carom_futex_wake(slot_futex(lines_of(deal)), INT_MAX);
		sched_yield();
	}
}

/* while the word stands at @word: the task was not dealt, or its worker is foul */
static int sleep_here(struct carom_lane *lane, uint32_t slot, uint64_t word, uint64_t deadline_ns)
{
	struct carom_slot *task = &lane->view.slots[slot];
	uint64_t waited = word | CAROM_SLOT_WAITED;
	int r = 0;

	atomic_fetch_add(&lane->own[slot].sleeper_count, 1);
	if (word == waited || atomic_compare_exchange_strong(&task->word, &word, waited))
		r = carom_futex_wait(slot_futex(task), (uint32_t)waited, deadline_ns);
	atomic_fetch_sub(&lane->own[slot].sleeper_count, 1);
	return r == -ETIMEDOUT ? r : 0;
}

/* -EAGAIN, too, where it is not taken up: who looks then has it moved */
static int await_at_hand(struct lane_deal *deal, uint64_t deadline_ns, bool may_spin)
{
	struct carom_lane *own = deal->hand->lane;
	uint64_t soon = deadline_ns == CAROM_PASSED ? deadline_ns : carom_deadline_after(SOON_NS);
	int r;

	if (soon < deadline_ns) {
		r = carom_lane_await(own, deal->at, deal->generation, soon, may_spin);
		if (r != -ETIMEDOUT)
			return r;
		if (carom_slot_state(atomic_load(&lines_of(deal)->word)) == CAROM_SLOT_READY)
			return -EAGAIN;
	}
	return carom_lane_await(own, deal->at, deal->generation, deadline_ns, may_spin);
}

int carom_dealer_await(struct carom_lane *lane, uint32_t slot, uint32_t generation,
		       uint64_t deadline_ns, bool may_spin)
{
	for (;;) {
		uint64_t word = atomic_load(&lane->view.slots[slot].word);
		struct lane_deal *deal;
		int r;

		if (carom_lane_is_over(word, generation))
			return 0;
		deal = hold(lane, slot, generation);
		if (deal) {
			r = await_at_hand(deal, deadline_ns, may_spin);
			let_go(deal);
			return r == -ETIMEDOUT ? r : -EAGAIN;
		}
		if (deadline_ns == CAROM_PASSED)
			return -ETIMEDOUT;
		if (sleep_here(lane, slot, word, deadline_ns) == -ETIMEDOUT)
			deadline_ns = CAROM_PASSED; /* one more look */
	}
}
