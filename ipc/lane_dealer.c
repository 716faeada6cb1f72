/*
 * Lane: the dealer
 *
 * Where workers are not to see, or touch, what is others', the pool's lane is the parent's
 * alone, and all that decides stands there. Each worker has a lane of its own, mapped by
 * nobody else, with a few slots: a hand. The parent deals: it copies a task into the hand
 * of a worker that has nothing to do, or will soon have, and when the worker has ended it,
 * copies the value out again.
 *
 *	slot in the parent's lane          slot in the hand
 *	READY, of nobody     it waits
 *	READY(w)             dealt         READY     a copy, which w has not begun
 *	RUNNING(w)           seen begun    RUNNING
 *	DONE(w)              collected     FREE again
 *
 *	submit ----> any hand free? --- yes --> deal, wake its worker
 *	                 | no
 *	              it waits in the ring; whoever is at something is told to ring its bell
 *
 *	who waits for a task sleeps on the word in the hand, and looks when it is woken: so a
 *	round trip is two wake-ups, as in a lane that is shared. The bell is for what nobody
 *	waits for, or where more is to be dealt: the loop looks, and deals.
 *
 * What holds in all of the sources that include lane_dealer.h:
 *
 *   K1  What stands in a hand is what a stranger says: loaded once, into a local, held
 *       against what the parent knows (the task, the generation, what was seen before, the
 *       arena's size), and copied before it is used. What cannot be is foul: nothing that
 *       this worker says is heard from then on, and whoever made it is told to kill it. Who
 *       it is, its pid too, the parent knows by itself.
 *   K2  The parent neither waits nor spins for a hand. Compare-and-swaps there are tried
 *       LANE_TRIES_MAX times; who sleeps on a word there is woken by the parent when the
 *       task was answered otherwise, whatever the word says (K5).
 *   K7  A worker dies: what it has ended by then is collected; what it has not begun is READY
 *       with its name, and the sweep puts it into the ring again; what it had begun is
 *       RUNNING with its name, and the sweep asks what becomes of it. That a task was not
 *       begun only the worker says: one that lies about it has its own task begun again.
 *       It has begun none but the first of those it has (A2), whatever it says; and one that
 *       has played foul counts as having begun that.
 *
 * Who may be dealt to, K3, stands in lane_deal.c, and how far ahead, in lane_ahead.c; the
 * bell, K4, in lane_bell.c; who sleeps on a deal, K5 and K6, in lane_hold.c; what a worker
 * is given, K8, in lane_hand.c; times, K9, in lane_claim.c; what is not taken up, M1 and M2,
 * in lane_move.c. Here is the dealer itself, and
 * what comes of a worker's end.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/points.h"
#include "ipc/lane_dealer.h"

static void init_hands(struct lane_dealer *dealer)
{
	for (uint32_t i = 0; i < dealer->hand_count; i++) {
		struct lane_hand *hand = &dealer->hands[i];

		hand->worker = i;
		for (int fd = 0; fd < HAND_FDS; fd++)
			hand->fds[fd] = -1;
		for (uint32_t at = 0; at < HAND_SLOTS; at++) {
			hand->deals[at].hand = hand;
			hand->deals[at].at = at;
		}
	}
}

int carom_dealer_new(struct carom_lane *lane, const struct carom_lane_options *options)
{
	struct lane_dealer *dealer = calloc(1, sizeof(*dealer));

	if (!dealer)
		return -ENOMEM;
	lane->dealer = dealer; /* which frees it */
	dealer->spin_ns = options->spin_ns;
	dealer->hands = calloc(lane->view.worker_count, sizeof(*dealer->hands));
	dealer->entries = calloc(lane->view.slot_count, sizeof(*dealer->entries));
	if (!dealer->hands || !dealer->entries)
		return -ENOMEM;
	dealer->hand_count = lane->view.worker_count;
	init_hands(dealer);
	carom_arena_init(&dealer->values, lane->view.values, 0, lane->view.payload_size, NULL);
	return 0;
}

struct lane_dealer *carom_dealer_free(struct lane_dealer *dealer)
{
	if (!dealer)
		return NULL;
	for (uint32_t i = 0; i < dealer->hand_count; i++) {
		carom_hand_close(&dealer->hands[i]);
		carom_lane_free(dealer->hands[i].lane);
	}
	free(dealer->hands);
	free(dealer->entries);
	free(dealer);
	return NULL;
}

void carom_dealer_lose_fds(struct lane_dealer *dealer)
{
	for (uint32_t i = 0; i < dealer->hand_count; i++)
		carom_hand_lose_fds(&dealer->hands[i]);
}

/* K7: it stands as the sweep will want it. What plays foul counts as begun, also an item of it */
static void keep_unfinished(struct carom_lane *lane, struct lane_deal *deal, bool was_foul)
{
	struct carom_slot *task = &lane->view.slots[deal->slot];
	uint64_t progress;

	carom_deal_set_word(lane, deal->slot, deal->hand->worker, CAROM_SLOT_RUNNING);
	if (!(task->flags & CAROM_TASK_BATCH))
		return;
	progress = carom_lane_item_progress(lane, deal->slot);
	if (was_foul)
		progress = carom_deal_charge(lane, deal, progress);
	carom_lane_fetch(lane, deal->slot);
	atomic_store(&task->value.progress, progress);
}

static void bury_deal(struct carom_lane *lane, struct lane_deal *deal, bool was_begun,
		      bool was_foul)
{
	if (deal->is_evicted) {
		carom_hand_drop(lane, deal);
		return;
	}
	if (was_begun)
		keep_unfinished(lane, deal, was_foul);
	else
		carom_deal_set_word(lane, deal->slot, deal->hand->worker, CAROM_SLOT_READY);
	carom_deal_release(lane, deal);
	CAROM_POINT("deal.buried");
}

/*
 * K7: of foul play the task at the front is the price; what stood behind it is given to others,
 * also what it says that it has begun. But of a batch items may have been answered by then.
 */
static bool has_begun(const struct carom_lane *lane, const struct lane_deal *deal,
		      const struct lane_deal *front, bool was_foul)
{
	if (deal == front)
		return deal->is_begun || was_foul;
	return deal->is_begun && lane->view.slots[deal->slot].flags & CAROM_TASK_BATCH;
}

static void bury_all(struct carom_lane *lane, struct lane_hand *hand, bool was_foul)
{
	const struct lane_deal *front = hand->is_stalled ? NULL : carom_hand_front(hand);
	uint64_t rest = hand->used;
	struct lane_deal *deal;

	while ((deal = next_deal(hand, &rest)) != NULL)
		bury_deal(lane, deal, has_begun(lane, deal, front, was_foul),
			  was_foul && deal == front);
}

/* a process that it has left behind may write there yet: from here on it is not heard */
void carom_dealer_bury(struct carom_lane *lane, uint32_t worker)
{
	struct lane_hand *hand = hand_of(lane, worker);

	if (!hand->lane)
		return;
	carom_hand_shut(lane, hand);
	carom_hand_see_all(lane, hand);
	bury_all(lane, hand, atomic_exchange(&hand->is_foul, true));
}

void carom_dealer_stop(struct carom_lane *lane, enum carom_lane_stop how)
{
	lane->dealer->stop = how;
	if (how == CAROM_LANE_DRAIN)
		carom_dealer_deal(lane);
	if (how != CAROM_LANE_HALT)
		return;
	for (uint32_t i = 0; i < lane->used_count; i++) {
		struct lane_hand *hand = hand_of(lane, i);

		carom_hand_shut(lane, hand);
		if (hand->lane)
			carom_lane_stop(hand->lane, how);
	}
}

void carom_dealer_dismiss(struct carom_lane *lane, uint32_t worker)
{
	struct lane_hand *hand = hand_of(lane, worker);

	carom_hand_shut(lane, hand);
	hand->is_leaving = true;
	if (!hand->lane)
		return;
	carom_hand_take_back_ahead(lane, hand);
	carom_lane_dismiss(hand->lane, 0);
	carom_dealer_deal(lane);
}

void carom_dealer_admit(struct carom_lane *lane, uint32_t worker, pid_t pid)
{
	hand_of(lane, worker)->pid = pid;
}

uint64_t carom_lane_done_count(const struct carom_lane *lane, uint32_t worker)
{
	return hand_of(lane, worker)->done_count;
}

void carom_lane_on_foul(struct carom_lane *lane, carom_lane_foul_fn *function, void *userdata)
{
	lane->dealer->foul = function;
	lane->dealer->userdata = userdata;
}

void carom_lane_keep(struct carom_lane *lane, uint64_t offset, uint64_t size)
{
	lane->dealer->kept_offset = offset;
	lane->dealer->kept_size = size;
}
