/*
 * What the sources share that make a lane deal: the dealer, and the hands it deals to. All
 * of it is the parent's, private, and used with the caller's lock, but for what says otherwise.
 */
#ifndef CAROM_IPC_LANE_DEALER_H
#define CAROM_IPC_LANE_DEALER_H

#include "core/private_fd.h"
#include "ipc/lane.h"
#include "ipc/lane_private.h"

#define HAND_SLOTS 64 /* one bit each in `used` */

struct lane_hand;

/**
 * struct lane_deal - a task in a hand
 * @at:         its slot there, which is always the same one
 * @slot:       its slot in the parent's lane
 * @generation: of the slot in the hand
 * @sequence:   the lower one of two in a hand was dealt first
 * @is_begun, @progress, @is_timed, @started_progress: what was seen of it
 * @is_unattended: it is not begun, and nobody looks whether it is: see lane_move.c
 * @is_evicted: it was answered already
 */
struct lane_deal {
	struct lane_hand *hand;
	uint32_t at;
	uint32_t slot;
	uint32_t generation;
	bool is_begun;
	bool is_unattended;
	bool is_timed;
	bool is_evicted;
	_Atomic uint32_t sleeper_count;
	uint64_t sequence;
	uint64_t progress;
	uint64_t started_progress;
	uint64_t dealt_ns;
	uint64_t argument_offset;
	uint64_t argument_size; /* of its block; 0: none */
};

enum hand_fd { HAND_LANE, HAND_ARGUMENTS, HAND_BELL, HAND_BELL_READ, HAND_READERS, HAND_FDS };

/**
 * struct lane_hand - what the parent has of a worker
 * @lane:     NULL: there has been no worker
 * @fds:      HAND_LANE and HAND_READERS are those of the lane's segments
 * @is_open:  it may be dealt to (K3)
 * @ready_ns: when it was ready, once it was seen to be: it cannot take that back
 * @is_foul:  nothing that it says is heard (K1)
 * @is_stalled: that is because it did not take up what it was dealt
 * @arm_count, @ring_count, @ring_after: K4
 * @used:     a bit for each of its deals
 * @depth, @learnt_count, @learnt_ns: see lane_ahead.c
 * @front_ns: since when the first of its deals has been the first
 */
struct lane_hand {
	struct carom_lane *lane;
	uint32_t worker;
	uint32_t depth;
	pid_t pid;
	bool is_open;
	bool is_leaving;
	_Atomic bool is_foul;
	bool is_stalled;
	bool is_armed;
	uint32_t ring_after;
	_Atomic uint64_t ready_ns;
	uint64_t used;
	uint64_t deal_count;
	uint64_t front_ns;
	uint64_t learnt_ns;
	uint64_t learnt_count;
	uint64_t arm_count;
	uint64_t ring_count;
	uint64_t done_count;
	struct carom_arena arguments;
	int fds[HAND_FDS];
	struct carom_private_fd private_fds[HAND_FDS];
	struct lane_deal deals[HAND_SLOTS];
};

/**
 * struct entry - of a slot in the parent's lane
 * @deal: where its task is; NULL: nowhere
 * @offset, @size: the block that its value was copied to; 0: none
 */
struct entry {
	_Atomic(struct lane_deal *) deal;
	uint64_t offset;
	uint64_t size;
};

/**
 * struct lane_dealer
 * @entries:   one per slot
 * @free:      a bit per hand that may be dealt to and has nothing
 * @room:      a bit per hand that may be dealt to, and more than it has
 * @slow:      a bit per hand that has not taken up what it was dealt: others come first, and
 *             who of them has nothing to do is given that
 * @slow_count: bits that are set there
 * @next:      the hand that is dealt ahead to next
 * @values:    where values are copied to
 * @unattended_count: deals that are
 * @ahead_count: tasks in hands that are not the first there
 * @all_armed: whoever has a task rings when it has ended it
 * @is_dealing: further down the stack
 */
struct lane_dealer {
	struct lane_hand *hands;
	uint32_t hand_count;
	struct entry *entries;
	uint64_t free[CAROM_LANE_MASK_WORDS];
	uint64_t room[CAROM_LANE_MASK_WORDS];
	uint64_t slow[CAROM_LANE_MASK_WORDS];
	uint32_t slow_count;
	uint32_t next;
	struct carom_arena values;
	uint64_t kept_offset;
	uint64_t kept_size;
	uint64_t spin_ns;
	uint64_t unattended_count;
	uint64_t ahead_count;
	bool all_armed;
	bool is_dealing;
	enum carom_lane_stop stop;
	carom_lane_foul_fn *foul;
	void *userdata;
	carom_lane_unattended_fn *unattended;
	void *unattended_userdata;
};

static inline uint64_t load_once(const uint64_t *word)
{
	return *(const volatile uint64_t *)word;
}

static inline struct lane_hand *hand_of(const struct carom_lane *lane, uint32_t worker)
{
	return &lane->dealer->hands[worker];
}

static inline struct carom_slot *lines_of(const struct lane_deal *deal)
{
	return &deal->hand->lane->view.slots[deal->at];
}

static inline struct lane_deal *deal_of(const struct carom_lane *lane, uint32_t slot)
{
	return atomic_load(&lane->dealer->entries[slot].deal);
}

static inline uint32_t carom_hand_count(const struct lane_hand *hand)
{
	return (uint32_t)__builtin_popcountll(hand->used);
}

static inline bool deal_is_used(const struct lane_deal *deal)
{
	return deal->hand->used >> deal->at & 1;
}

/* the next one of those in @rest, which is a copy of @used */
static inline struct lane_deal *next_deal(struct lane_hand *hand, uint64_t *rest)
{
	int at;

	*rest &= hand->used; /* a look at one may have ended others */
	if (!*rest)
		return NULL;
	at = __builtin_ctzll(*rest);
	*rest &= *rest - 1;
	return &hand->deals[at];
}

/* ---- lane_deal.c ---- */

/** carom_hand_note() - after a change: may it be dealt to at once, or ahead? */
void carom_hand_note(struct carom_lane *lane, const struct lane_hand *hand);

/** carom_hand_shut() - nothing more is dealt to it */
void carom_hand_shut(struct carom_lane *lane, struct lane_hand *hand);

bool carom_hand_is_slow(const struct carom_lane *lane, const struct lane_hand *hand);

/** carom_hand_set_slow() - it has not taken up what it was dealt: others come first */
void carom_hand_set_slow(struct carom_lane *lane, const struct lane_hand *hand, bool is_slow);

/** carom_dealer_has_more() - is there anything that a hand would be given that has nothing? */
bool carom_dealer_has_more(struct carom_lane *lane);

/** carom_dealer_ask_all() - who has a task tells when it has ended some, and what has ended is seen */
void carom_dealer_ask_all(struct carom_lane *lane);

/** carom_dealer_find_free() - a hand that may be dealt to at once; NULL: none */
struct lane_hand *carom_dealer_find_free(const struct carom_lane *lane, bool even_slow);

/** carom_deal_set_word() - the parent's own; who waits may set WAITED meanwhile. Return: what it was */
uint64_t carom_deal_set_word(struct carom_lane *lane, uint32_t slot, uint32_t owner,
			     enum carom_slot_state state);

/** carom_hand_drop() - its place in the hand is free */
void carom_hand_drop(struct carom_lane *lane, struct lane_deal *deal);

/** carom_deal_release() - likewise, and whoever sleeps there goes */
void carom_deal_release(struct carom_lane *lane, struct lane_deal *deal);

/** carom_dealer_put_back() - a task that is nobody's is the first that waits */
void carom_dealer_put_back(struct carom_lane *lane, uint32_t slot);

/** carom_dealer_is_queued() - the first task that waits; stale hints are passed */
bool carom_dealer_is_queued(struct carom_lane *lane, uint32_t *ret_slot);

/* ---- lane_move.c ---- */

/** carom_deal_take_back() - if it was not begun; then it is nobody's, and waits, but for a place in the ring */
bool carom_deal_take_back(struct carom_lane *lane, struct lane_deal *deal);

/** carom_hand_take_back_ahead() - all that stands there behind another one waits again, and in front */
void carom_hand_take_back_ahead(struct carom_lane *lane, struct lane_hand *hand);

/** carom_dealer_steal() - one that stands behind another one in some hand; it is nobody's now */
bool carom_dealer_steal(struct carom_lane *lane, uint32_t *ret_slot);

/** carom_dealer_has_stranded() - is there one that a slow hand has not taken up? */
bool carom_dealer_has_stranded(const struct carom_lane *lane);

/** carom_dealer_rescue() - such a one; it is nobody's now */
bool carom_dealer_rescue(struct carom_lane *lane, uint32_t *ret_slot);

/** carom_deal_set_unattended() - its worker was not seen to begin it, and who looks whether it does? */
void carom_deal_set_unattended(struct carom_lane *lane, struct lane_deal *deal, bool is_unattended);

/** carom_deal_move_if_stalled() - what is not taken up is for somebody who can do it at once */
void carom_deal_move_if_stalled(struct carom_lane *lane, struct lane_deal *deal);

/* ---- lane_ahead.c ---- */

/** carom_hand_front() - the first that its worker has not ended, as far as is known, evicted or not; NULL: none */
struct lane_deal *carom_hand_front(struct lane_hand *hand);

/** carom_hand_learn() - how long tasks take there, and so how many it may have */
void carom_hand_learn(struct carom_lane *lane, struct lane_hand *hand);

/** carom_hand_learn_afresh() - it had nothing, and is given something */
void carom_hand_learn_afresh(struct lane_hand *hand, uint64_t now_ns);

/** carom_hand_set_depth() - so many it may have */
void carom_hand_set_depth(struct carom_lane *lane, struct lane_hand *hand, uint64_t depth);

/** carom_dealer_find_room() - who may have @slot ahead of time; NULL: nobody */
struct lane_hand *carom_dealer_find_room(struct carom_lane *lane, uint32_t slot);

/* ---- lane_claim.c ---- */

/** carom_deal_see_time() - note when it, or its item, was begun */
void carom_deal_see_time(struct carom_lane *lane, struct lane_deal *deal);

/** carom_deal_first_progress() - of a batch before its worker begins: that of those who had it before */
uint64_t carom_deal_first_progress(const struct carom_lane *lane, const struct carom_slot *task);

/** carom_deal_charge() - @progress, with the item after those that have ended begun, if there is one */
uint64_t carom_deal_charge(const struct carom_lane *lane, const struct lane_deal *deal,
			   uint64_t progress);

/** carom_deal_collect() - its worker says that it has ended */
void carom_deal_collect(struct carom_lane *lane, struct lane_deal *deal);

/* ---- lane_look.c ---- */

/** carom_hand_foul() - nothing that it says is heard any more; @what: static text */
void carom_hand_foul(struct carom_lane *lane, struct lane_hand *hand, const char *what);

/** carom_deal_see() - what its worker has done to it by now; it may have ended then */
void carom_deal_see(struct carom_lane *lane, struct lane_deal *deal);
void carom_hand_see_all(struct carom_lane *lane, struct lane_hand *hand);

/* ---- lane_bell.c ---- */

/**
 * enum lane_ring - when a worker rings
 * @RING_LOW:  when it has ended half of what it has
 * @RING_EACH: when it has ended, or begun, the next one
 */
enum lane_ring { RING_NEVER, RING_LOW, RING_EACH };

/** carom_hand_arm() - as soon as that, or as was said before. True: what it has is to be looked at */
bool carom_hand_arm(struct lane_hand *hand, enum lane_ring when);
void carom_hand_disarm(struct lane_hand *hand);

/** carom_dealer_arm_all() - all that have a task, and look at each */
void carom_dealer_arm_all(struct carom_lane *lane, enum lane_ring when);

/** carom_deal_ring() - is the loop to tell somebody of this task, or is more to be dealt? */
enum lane_ring carom_deal_ring(struct carom_lane *lane, uint32_t slot);

/* ---- lane_hold.c ---- */

/** carom_deal_dislodge() - who sleeps there wakes up, and looks again, and finds that it is void */
void carom_deal_dislodge(struct lane_deal *deal);

/* ---- lane_hand.c ---- */

void carom_hand_close(struct lane_hand *hand);
void carom_hand_lose_fds(struct lane_hand *hand);

#endif
