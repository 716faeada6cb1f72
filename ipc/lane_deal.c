/*
 * Lane: dealing
 *
 * Where workers are not to see, or touch, what is others', the pool's lane is the parent's
 * alone, and all that decides stands there. Each worker has a lane of its own, mapped by
 * nobody else, with a few slots: a hand. The parent deals: it copies a task into the hand
 * of a worker that has nothing to do, and when the worker has ended it, copies the value
 * out again.
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
 *   K1  What stands in a hand is what a stranger says: loaded once, into a local, held
 *       against what the parent knows (the task, the generation, what was seen before, the
 *       arena's size), and copied before it is used. What cannot be is foul: nothing that
 *       this worker says is heard from then on, and whoever made it is told to kill it.
 *   K2  The parent neither waits nor spins for a hand. Compare-and-swaps there are tried
 *       LANE_TRIES_MAX times; who sleeps on a word there is woken by the parent when the
 *       task was answered otherwise, whatever the word says (K5).
 *   K3  Who may be dealt to is known here: it is ready, neither dismissed nor foul, and has
 *       nothing. So no more than one task is in a hand, but for one that was answered
 *       already (evicted), after which the worker is killed.
 *   K4  The bell rings only while it is armed, as in lane_notice.c. It is armed before a task
 *       is dealt, or else the hand is looked at after it was: one of the two sees the other.
 *       Each arming allows one ring: a worker that rings much oftener is foul.
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
 *   K7  A worker dies: what it has ended by then is collected; what it has not begun is READY
 *       with its name, and the sweep puts it into the ring again; what it had begun is
 *       RUNNING with its name, and the sweep asks what becomes of it. That a task was not
 *       begun only the worker says: one that lies about it has its own task begun again.
 *   K8  The argument of a task, as its worker sees it, is mapped there for reading only, by a
 *       descriptor that can do no more, in a file that has nothing else in it.
 *   K9  Times are the worker's where they can be true, between the dealing and now, and do not
 *       move while it is at the same item: so no worker is longer at it than its limit.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/points.h"
#include "core/private_fd.h"
#include "core/time.h"
#include "ipc/lane.h"
#include "ipc/lane_private.h"
#include "shm/futex.h"
#include "shm/segment_private.h"

#define HAND_SLOTS 4

/* so many rings beyond one for each arming: of its beginning, and those that crossed a disarming */
#define RINGS_FREE 64

/* a task whose worker has not noted when it began it counts from when it was dealt */
#define NOTED_LATE_NS CAROM_MILLISECONDS(100)

/*
 * A worker that is awake takes a task up within microseconds, and one that is parked within
 * hundreds. So long, and the task is given to another one, if one has nothing to do.
 */
#define STALLED_NS CAROM_LANE_STALLED_NS

/* If none has, that worker is replaced: nothing is lost, for it has begun nothing. */
#define GIVEN_UP_NS CAROM_SECONDS(1)

/* a large block is empty until its worker asks for another one; its first page has a link */
#define EMPTIED_MIN CAROM_MIB(8)
#define FIRST_PAGE  4096

struct lane_hand;

/**
 * struct lane_deal - a task in a hand
 * @at:         its slot there, which is always the same one
 * @slot:       its slot in the parent's lane
 * @generation: of the slot in the hand
 * @is_begun, @progress, @is_timed, @started_progress: what was seen of it
 * @is_evicted: it was answered already
 */
struct lane_deal {
	struct lane_hand *hand;
	uint32_t at;
	uint32_t slot;
	uint32_t generation;
	bool is_used;
	bool is_begun;
	bool is_timed;
	bool is_evicted;
	_Atomic uint32_t sleeper_count;
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
 * @is_foul:  nothing that it says is heard (K1)
 * @is_stalled: that is because it did not take up what it was dealt
 * @arm_count, @ring_count: K4
 */
struct lane_hand {
	struct carom_lane *lane;
	uint32_t worker;
	uint32_t used_count;
	pid_t pid;
	bool is_open;
	bool is_leaving;
	_Atomic bool is_foul;
	bool is_stalled;
	bool is_armed;
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
 * @slow:      a bit per hand that has not taken up what it was dealt: others come first
 * @values:    where values are copied to
 * @unbegun_count: tasks that were dealt, and not seen to be begun
 * @all_armed: whoever has a task rings when it has ended it
 * @is_dealing: further down the stack
 */
struct lane_dealer {
	struct lane_hand *hands;
	uint32_t hand_count;
	struct entry *entries;
	uint64_t free[CAROM_LANE_MASK_WORDS];
	uint64_t slow[CAROM_LANE_MASK_WORDS];
	struct carom_arena values;
	uint64_t kept_offset;
	uint64_t kept_size;
	uint64_t spin_ns;
	uint64_t unbegun_count;
	bool all_armed;
	bool is_dealing;
	enum carom_lane_stop stop;
	carom_lane_foul_fn *foul;
	void *userdata;
};

/* ---- small things ---- */

static uint64_t load_once(const uint64_t *word)
{
	return *(const volatile uint64_t *)word;
}

static struct lane_hand *hand_of(const struct carom_lane *lane, uint32_t worker)
{
	return &lane->dealer->hands[worker];
}

static struct carom_slot *lines_of(const struct lane_deal *deal)
{
	return &deal->hand->lane->view.slots[deal->at];
}

static struct lane_deal *deal_of(const struct carom_lane *lane, uint32_t slot)
{
	return atomic_load(&lane->dealer->entries[slot].deal);
}

static void set_bit(uint64_t *mask, const struct lane_hand *hand, bool on)
{
	uint64_t bit = UINT64_C(1) << (hand->worker % 64);

	if (on)
		mask[hand->worker / 64] |= bit;
	else
		mask[hand->worker / 64] &= ~bit;
}

static void set_free(struct carom_lane *lane, const struct lane_hand *hand, bool is_free)
{
	set_bit(lane->dealer->free, hand, is_free);
}

static void shut(struct carom_lane *lane, struct lane_hand *hand)
{
	hand->is_open = false;
	set_free(lane, hand, false);
}

/* the parent's own word; who waits may set WAITED meanwhile. What it was */
static uint64_t set_word(struct carom_lane *lane, uint32_t slot, uint32_t owner,
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

/* ---- who sleeps on a deal (K5) ---- */

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
static void dislodge(struct lane_deal *deal)
{
	struct carom_lane *own = deal->hand->lane;

	atomic_store(&own->own[deal->at].is_void, true);
	while (atomic_load(&deal->sleeper_count)) {
		carom_futex_wake(slot_futex(lines_of(deal)), INT_MAX);
		sched_yield();
	}
}

/* ---- foul play ---- */

static void be_foul(struct carom_lane *lane, struct lane_hand *hand, const char *what)
{
	struct lane_dealer *dealer = lane->dealer;

	if (atomic_load(&hand->is_foul))
		return;
	atomic_store(&hand->is_foul, true);
	shut(lane, hand);
	/* whoever sleeps there sleeps on the parent's word from now on, until the burial */
	for (uint32_t i = 0; i < HAND_SLOTS; i++)
		if (hand->deals[i].is_used) {
			atomic_store(&hand->lane->own[i].is_void, true);
			carom_futex_wake(slot_futex(lines_of(&hand->deals[i])), INT_MAX);
		}
	if (dealer->foul)
		dealer->foul(hand->worker, what, dealer->userdata);
}

void carom_dealer_restless(struct carom_lane *lane, uint32_t slot)
{
	struct lane_deal *deal = deal_of(lane, slot);

	if (deal)
		be_foul(lane, deal->hand, "a slot's word that never rests");
}

/* ---- the end of a deal ---- */

static void release(struct carom_lane *lane, struct lane_deal *deal)
{
	struct lane_hand *hand = deal->hand;

	atomic_store(&lane->dealer->entries[deal->slot].deal, NULL);
	atomic_store(&lines_of(deal)->word,
		     CAROM_SLOT_WORD(deal->generation, CAROM_LANE_NOBODY, 0, CAROM_SLOT_FREE));
	dislodge(deal);
	if (deal->argument_size)
		carom_arena_free(&hand->arguments, deal->argument_offset, deal->argument_size);
	deal->argument_size = 0;
	lane->dealer->unbegun_count -= !deal->is_begun;
	deal->is_used = false;
	hand->used_count--;
	if (hand->used_count == 0 && hand->is_open)
		set_free(lane, hand, true);
}

/* it has taken up what it was dealt */
static void quicken(struct carom_lane *lane, const struct lane_hand *hand)
{
	set_bit(lane->dealer->slow, hand, false);
}

/* ---- values ---- */

void carom_dealer_drop(struct carom_lane *lane, uint32_t slot)
{
	struct entry *entry = &lane->dealer->entries[slot];

	if (entry->size)
		carom_arena_free(&lane->dealer->values, entry->offset, entry->size);
	entry->size = 0;
}

/**
 * struct claim - what a worker says about a value
 */
struct claim {
	uint64_t size;
	uint64_t offset;
	uint64_t reserved;
};

static struct claim load_claim(const struct carom_slot *lines, bool is_batch)
{
	struct claim claim = { .size = load_once(&lines->value_size),
			       .offset = load_once(&lines->value.offset) };

	claim.reserved = is_batch ? claim.size : load_once(&lines->value.reserved);
	return claim;
}

static const char *fault_of(const struct carom_lane *own, const struct claim *claim)
{
	if (claim->size > claim->reserved)
		return "a value's length";
	return carom_arena_is_block(own->view.payload_size, claim->offset, claim->reserved)
		       ? NULL
		       : "a value's place";
}

/* into the parent's arena; 0, or -ENOMEM */
static int copy_block(struct carom_lane *lane, const struct lane_deal *deal,
		      const struct claim *claim)
{
	struct entry *entry = &lane->dealer->entries[deal->slot];
	struct carom_slot *task = &lane->view.slots[deal->slot];
	uint64_t offset;
	int r;

	carom_dealer_drop(lane, deal->slot);
	r = carom_arena_alloc(&lane->dealer->values, claim->size, &offset);
	if (r < 0)
		return r;
	memcpy(lane->view.values + offset, deal->hand->lane->view.values + claim->offset,
	       claim->size);
	entry->offset = offset;
	entry->size = claim->size;
	task->value.offset = offset;
	task->value_size = claim->size;
	return 0;
}

/* the worker takes it back when it runs short */
static void give_block_back(const struct lane_deal *deal, const struct claim *claim)
{
	struct carom_lane *own = deal->hand->lane;

	if (claim->reserved > EMPTIED_MIN)
		carom_arena_discard(own->view.values, claim->offset + FIRST_PAGE,
				    carom_arena_room(claim->reserved) - FIRST_PAGE);
	carom_arena_return(own->view.values, &own->workers[0].returned, claim->offset,
			   claim->reserved);
}

void carom_lane_fetch(struct carom_lane *lane, uint32_t slot)
{
	struct lane_deal *deal = lane->dealer ? deal_of(lane, slot) : NULL;
	struct claim claim;

	if (!deal)
		return;
	claim = load_claim(lines_of(deal), true);
	lane->view.slots[slot].value_size = 0;
	if (claim.size <= CAROM_LANE_INLINE || fault_of(deal->hand->lane, &claim) ||
	    copy_block(lane, deal, &claim) < 0)
		return; /* then it has none */
}

/* ---- times (K9) ---- */

static uint64_t believe(uint64_t claim, uint64_t from, uint64_t to, uint64_t otherwise)
{
	return claim >= from && claim <= to ? claim : otherwise;
}

static void see_time(struct carom_lane *lane, struct lane_deal *deal)
{
	struct carom_slot *task = &lane->view.slots[deal->slot];
	const struct carom_slot *lines = lines_of(deal);
	uint64_t progress, claim, now;

	if (!(task->flags & CAROM_TASK_TIMED))
		return;
	/* in this order: with an item's progress comes its time, or that of a later one */
	progress = task->flags & CAROM_TASK_BATCH ? atomic_load(&lines->value.progress) : 0;
	claim = load_once(&lines->started_ns);
	if (deal->is_timed && progress == deal->started_progress)
		return;
	now = carom_now();
	if (!claim && now - deal->dealt_ns < NOTED_LATE_NS)
		return; /* it is about to be noted */
	if (deal->is_timed)
		task->started_ns = believe(claim, task->started_ns, now, now);
	else
		task->started_ns = believe(claim, deal->dealt_ns, now, deal->dealt_ns);
	deal->is_timed = true;
	deal->started_progress = progress;
}

uint64_t carom_lane_started_ns(struct carom_lane *lane, uint32_t slot)
{
	struct lane_deal *deal = lane->dealer ? deal_of(lane, slot) : NULL;

	if (deal && !atomic_load(&deal->hand->is_foul))
		see_time(lane, deal);
	return load_once(&lane->view.slots[slot].started_ns);
}

/* ---- collecting ---- */

/* what is not the worker's to say */
static void note_end(struct carom_lane *lane, const struct lane_deal *deal)
{
	struct carom_slot *task = &lane->view.slots[deal->slot];
	uint64_t now;

	task->pid = deal->hand->pid;
	if (!(task->flags & CAROM_TASK_TIMED))
		return;
	now = carom_now();
	if (!deal->is_timed)
		task->started_ns = believe(load_once(&lines_of(deal)->started_ns), deal->dealt_ns,
					   now, deal->dealt_ns);
	task->ended_ns = believe(load_once(&lines_of(deal)->ended_ns), task->started_ns, now, now);
}

/* NULL, or what is wrong with it */
static const char *take_value(struct carom_lane *lane, struct lane_deal *deal)
{
	struct carom_slot *task = &lane->view.slots[deal->slot];
	const struct carom_slot *lines = lines_of(deal);
	bool is_batch = task->flags & CAROM_TASK_BATCH;
	struct claim claim = load_claim(lines, is_batch);
	uint64_t progress = atomic_load(&lines->value.progress);
	const char *fault;

	task->code = *(const volatile int32_t *)&lines->code;
	if (claim.size <= CAROM_LANE_INLINE) {
		if (is_batch && task->code >= 0)
			return "a batch's length";
		memcpy(task->value.bytes, lines->value.bytes, CAROM_LANE_INLINE);
		task->value_size = claim.size;
		return NULL;
	}
	fault = fault_of(deal->hand->lane, &claim);
	if (fault)
		return fault;
	if (copy_block(lane, deal, &claim) < 0) {
		task->code = -ENOMEM;
		task->value_size = 0;
	}
	give_block_back(deal, &claim);
	if (is_batch)
		atomic_store_explicit(&task->value.progress, progress, memory_order_relaxed);
	else
		task->value.reserved = claim.size;
	return NULL;
}

static void collect(struct carom_lane *lane, struct lane_deal *deal)
{
	struct lane_hand *hand = deal->hand;
	uint32_t slot = deal->slot;
	const char *fault = take_value(lane, deal);
	uint64_t seen;

	if (fault) {
		be_foul(lane, hand, fault);
		return;
	}
	note_end(lane, deal);
	quicken(lane, hand);
	hand->done_count++;
	release(lane, deal);
	CAROM_POINT("deal.collected");
	seen = set_word(lane, slot, hand->worker, CAROM_SLOT_DONE);
	carom_lane_tell_waiters(lane, slot, seen & CAROM_SLOT_WAITED);
}

/* ---- looking ---- */

static void see_begin(struct carom_lane *lane, struct lane_deal *deal)
{
	struct carom_slot *task = &lane->view.slots[deal->slot];
	bool was_timed = deal->is_timed;

	if (!deal->is_begun) {
		deal->is_begun = true;
		lane->dealer->unbegun_count--;
		quicken(lane, deal->hand);
		task->pid = deal->hand->pid;
		set_word(lane, deal->slot, deal->hand->worker, CAROM_SLOT_RUNNING);
	}
	see_time(lane, deal);
	if (deal->is_timed && !was_timed && task->flags & (CAROM_TASK_BEGIN | CAROM_TASK_LEAVE))
		carom_lane_notice(lane, deal->slot);
}

static void see(struct carom_lane *lane, struct lane_deal *deal)
{
	uint64_t word = atomic_load(&lines_of(deal)->word);
	bool is_its = carom_slot_owner(word) == 0;

	if (atomic_load(&deal->hand->is_foul))
		return;
	if (carom_slot_generation(word) != deal->generation) {
		be_foul(lane, deal->hand, "a slot's generation");
	} else if (carom_slot_state(word) == CAROM_SLOT_DONE && is_its) {
		collect(lane, deal);
	} else if (carom_slot_state(word) == CAROM_SLOT_RUNNING && is_its) {
		see_begin(lane, deal);
		/* a hint, which is kept where it is read */
		if (word & CAROM_SLOT_TOLD)
			atomic_fetch_or(&lane->view.slots[deal->slot].word, CAROM_SLOT_TOLD);
	} else if (carom_slot_state(word) != CAROM_SLOT_READY || deal->is_begun) {
		be_foul(lane, deal->hand, "a slot's state");
	}
}

static bool is_queued(struct carom_lane *lane, uint32_t *ret_slot);

/* if it was not begun; then it is nobody's, and waits, but for a place in the ring */
static bool take_back(struct carom_lane *lane, struct lane_deal *deal)
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
		release(lane, deal);
		set_word(lane, slot, CAROM_LANE_NOBODY, CAROM_SLOT_READY);
		return true;
	}
	return false;
}

static struct lane_hand *find_free(const struct carom_lane *lane, bool even_slow);

/* K3: what is not taken up is somebody else's to do, who can do it at once */
static void move_if_stalled(struct carom_lane *lane, struct lane_deal *deal)
{
	uint32_t slot = deal->slot;
	uint64_t age;

	if (lane->dealer->is_dealing || atomic_load(&deal->hand->is_foul))
		return;
	age = carom_now() - deal->dealt_ns;
	if (age < STALLED_NS)
		return;
	set_bit(lane->dealer->slow, deal->hand, true);
	if (find_free(lane, false)) {
		if (take_back(lane, deal))
			carom_lane_push(lane, slot);
	} else if (age > GIVEN_UP_NS) {
		deal->hand->is_stalled = true;
		be_foul(lane, deal->hand, "a task that it does not take up");
	}
}

void carom_lane_look(struct carom_lane *lane, uint32_t slot)
{
	struct lane_deal *deal = deal_of(lane, slot);
	uint32_t waiting;

	if (!deal)
		return;
	see(lane, deal);
	if (deal_of(lane, slot) == deal && !deal->is_begun)
		move_if_stalled(lane, deal);
	if (!deal_of(lane, slot) && !lane->dealer->is_dealing && is_queued(lane, &waiting))
		carom_dealer_deal(lane);
}

static void see_all(struct carom_lane *lane, struct lane_hand *hand)
{
	for (uint32_t i = 0; i < HAND_SLOTS; i++)
		if (hand->deals[i].is_used && !hand->deals[i].is_evicted)
			see(lane, &hand->deals[i]);
}

/* ---- the bell (K4) ---- */

static void arm(struct lane_hand *hand)
{
	struct carom_lane *own = hand->lane;

	if (hand->is_armed)
		return;
	hand->is_armed = true;
	hand->arm_count++;
	own->ticket += 2; /* odd, so never 0 */
	atomic_store(&own->header->armed, own->ticket);
}

static void disarm(struct lane_hand *hand)
{
	if (!hand->is_armed)
		return;
	hand->is_armed = false;
	atomic_store(&hand->lane->header->armed, 0);
}

/* is somebody to be told by the loop of what happens to this task, or is more to be dealt? */
static bool wants_bell(struct carom_lane *lane, uint32_t slot)
{
	uint32_t waiting;

	return lane->view.slots[slot].flags &
		       (CAROM_TASK_END | CAROM_TASK_BEGIN | CAROM_TASK_LEAVE) ||
	       atomic_load(&lane->view.slots[slot].word) & CAROM_SLOT_WAITED ||
	       atomic_load(&lane->header->watcher_count) || is_queued(lane, &waiting);
}

static void arm_all(struct carom_lane *lane)
{
	for (uint32_t i = 0; i < lane->used_count; i++) {
		struct lane_hand *hand = hand_of(lane, i);

		if (!hand->used_count || hand->is_armed)
			continue;
		arm(hand);
		see_all(lane, hand);
	}
}

void carom_lane_watch_ends(struct carom_lane *lane)
{
	uint32_t waiting;

	if (!lane->dealer)
		return;
	arm_all(lane);
	if (is_queued(lane, &waiting))
		carom_dealer_deal(lane);
}

/* ---- dealing ---- */

/* the first that waits; stale hints are passed */
static bool is_queued(struct carom_lane *lane, uint32_t *ret_slot)
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

static struct lane_hand *find_free(const struct carom_lane *lane, bool even_slow)
{
	const struct lane_dealer *dealer = lane->dealer;

	for (uint32_t i = 0; i < lane->mask_words; i++) {
		uint64_t bits = dealer->free[i] & (even_slow ? ~UINT64_C(0) : ~dealer->slow[i]);

		if (bits)
			return hand_of(lane, i * 64 + (uint32_t)__builtin_ctzll(bits));
	}
	return NULL;
}

static struct lane_hand *choose(struct carom_lane *lane)
{
	struct lane_hand *hand = find_free(lane, false);

	if (!hand && !lane->dealer->all_armed) {
		arm_all(lane); /* some may have ended what they had, of which nobody was told */
		lane->dealer->all_armed = true;
		hand = find_free(lane, false);
	}
	return hand ? hand : find_free(lane, true);
}

static struct lane_deal *take_deal(struct lane_hand *hand)
{
	struct lane_deal *last = &hand->deals[0];

	for (uint32_t i = 0; i < HAND_SLOTS; i++)
		if (!hand->deals[i].is_used) {
			last = &hand->deals[i];
			if (!atomic_load(&last->sleeper_count))
				break;
		}
	dislodge(last);
	return last;
}

static int copy_argument(struct carom_lane *lane, struct lane_deal *deal)
{
	const struct carom_slot *task = &lane->view.slots[deal->slot];
	struct carom_slot *lines = lines_of(deal);
	struct lane_hand *hand = deal->hand;
	int r;

	lines->argument_size = task->argument_size;
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
	lines->flags = (task->flags | CAROM_TASK_END) & 0x7f;
	lines->index = task->index;
	lines->started_ns = 0;
	if (task->flags & CAROM_TASK_BATCH)
		atomic_store_explicit(&lines->value.progress, 0, memory_order_relaxed);
	deal->generation = deal->hand->lane->own[deal->at].generation + 1;
	deal->is_begun = false;
	deal->is_timed = false;
	deal->is_evicted = false;
	deal->progress = 0;
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
	seen = set_word(lane, slot, 0, CAROM_SLOT_DONE);
	carom_lane_tell_waiters(lane, slot, seen & CAROM_SLOT_WAITED);
}

/* the task is off the ring */
static bool deal_to(struct carom_lane *lane, struct lane_hand *hand, uint32_t slot)
{
	struct lane_deal *deal = take_deal(hand);
	bool woke = false;

	if (fill(lane, deal, slot) < 0) {
		refuse(lane, slot);
		return false;
	}
	deal->is_used = true;
	lane->dealer->unbegun_count++;
	hand->used_count++;
	set_free(lane, hand, false);
	atomic_store(&hand->lane->own[deal->at].is_void, false);
	atomic_store(&lane->dealer->entries[slot].deal, deal);
	set_word(lane, slot, hand->worker, CAROM_SLOT_READY); /* K6 */
	CAROM_POINT("deal.named");
	if (wants_bell(lane, slot))
		arm(hand);
	else
		disarm(hand);
	if (carom_lane_submit(hand->lane, &deal->at, 1, &woke) < 0)
		be_foul(lane, hand, "the head of the ring");
	CAROM_POINT("deal.dealt");
	return woke;
}

/* who has nothing, and will get nothing, ends */
static void drain(struct carom_lane *lane)
{
	for (uint32_t i = 0; i < lane->used_count; i++) {
		struct lane_hand *hand = hand_of(lane, i);

		if (!hand->is_open)
			continue;
		shut(lane, hand);
		hand->is_leaving = true;
		carom_lane_stop(hand->lane, CAROM_LANE_DRAIN);
	}
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
	while (is_queued(lane, &slot) && (hand = choose(lane)) != NULL) {
		atomic_fetch_add_explicit(&lane->header->head, 1, memory_order_relaxed);
		woke |= deal_to(lane, hand, slot);
	}
	dealer->is_dealing = false;
	if (!is_queued(lane, &slot)) {
		dealer->all_armed = false;
		if (dealer->stop == CAROM_LANE_DRAIN)
			drain(lane);
	}
	return woke;
}

/* ---- what the parent does to a task that was dealt ---- */

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
	if (take_back(lane, deal))
		return true;
	carom_lane_look(lane, slot); /* it has been begun meanwhile, or is foul */
	return false;
}

void carom_dealer_evicted(struct carom_lane *lane, uint32_t slot)
{
	struct lane_deal *deal = deal_of(lane, slot);

	if (!deal)
		return;
	deal->is_evicted = true;
	shut(lane, deal->hand);
	atomic_store(&lane->dealer->entries[slot].deal, NULL);
	dislodge(deal);
}

uint64_t carom_lane_item_progress(struct carom_lane *lane, uint32_t slot)
{
	struct lane_deal *deal;
	uint64_t progress, begun, ended;

	if (lane->dealer)
		carom_lane_look(lane, slot);
	deal = lane->dealer ? deal_of(lane, slot) : NULL;
	if (!deal)
		return atomic_load(&lane->view.slots[slot].value.progress);
	if (!(lane->view.slots[slot].flags & CAROM_TASK_BATCH))
		return 0; /* there is, or will be, a value */
	progress = atomic_load(&lines_of(deal)->value.progress);
	begun = progress >> 32;
	ended = progress & UINT32_MAX;
	if (begun < ended || ended < (deal->progress & UINT32_MAX))
		be_foul(lane, deal->hand, "a batch's progress");
	else
		deal->progress = progress;
	return deal->progress;
}

struct carom_batch *carom_lane_batch_at_hand(struct carom_lane *lane, uint32_t slot)
{
	struct lane_deal *deal = lane->dealer ? deal_of(lane, slot) : NULL;

	return deal && deal->argument_size
		       ? (void *)(deal->hand->lane->view.arguments + deal->argument_offset)
		       : NULL;
}

/* ---- waiting; any thread, without the lock ---- */

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
	uint64_t soon =
		deadline_ns == CAROM_PASSED ? deadline_ns : carom_deadline_after(STALLED_NS * 2);
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

/* ---- hands ---- */

static void close_fd(struct lane_hand *hand, enum hand_fd which)
{
	carom_private_fd_remove(&hand->private_fds[which]);
	if (which == HAND_LANE && hand->lane)
		carom_segment_close_fd(hand->lane->segment);
	else if (which == HAND_READERS && hand->lane)
		carom_segment_close_fd(hand->lane->arguments_segment);
	else
		carom_closep(&hand->fds[which]);
	hand->fds[which] = -1;
}

static void close_all(struct lane_hand *hand)
{
	for (int i = 0; i < HAND_FDS; i++)
		close_fd(hand, (enum hand_fd)i);
}

static int open_for_reading(int fd)
{
	char path[64];
	int opened;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	opened = open(path, O_RDONLY | O_CLOEXEC);
	if (opened >= 0)
		return opened;
	return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -EOPNOTSUPP;
}

static int open_fds(struct lane_hand *hand)
{
	int bell[2];

	hand->fds[HAND_LANE] = carom_segment_fd(hand->lane->segment);
	hand->fds[HAND_READERS] = carom_segment_fd(hand->lane->arguments_segment);
	hand->fds[HAND_ARGUMENTS] = open_for_reading(hand->fds[HAND_READERS]);
	if (hand->fds[HAND_ARGUMENTS] < 0)
		return hand->fds[HAND_ARGUMENTS];
	if (pipe2(bell, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	hand->fds[HAND_BELL_READ] = bell[0];
	hand->fds[HAND_BELL] = bell[1];
	for (int i = 0; i < HAND_FDS; i++)
		carom_private_fd_add(&hand->private_fds[i], hand->fds[i]);
	return 0;
}

static void begin_anew(struct carom_lane *lane, struct lane_hand *hand)
{
	hand->pid = 0;
	hand->is_open = false;
	hand->is_leaving = false;
	atomic_store(&hand->is_foul, false);
	hand->is_stalled = false;
	hand->is_armed = false;
	hand->arm_count = 0;
	hand->ring_count = 0;
	hand->done_count = 0;
	hand->used_count = 0;
	set_free(lane, hand, false);
	quicken(lane, hand);
}

/* what every worker is to find at the same place */
static void put_kept(const struct carom_lane *lane, struct lane_hand *hand)
{
	const struct lane_dealer *dealer = lane->dealer;
	struct carom_lane *own = hand->lane;
	uint64_t begin =
		dealer->kept_size ? dealer->kept_offset + carom_arena_room(dealer->kept_size) : 0;

	if (dealer->kept_size)
		memcpy(own->view.arguments + dealer->kept_offset,
		       lane->view.arguments + dealer->kept_offset, dealer->kept_size);
	carom_arena_init(&hand->arguments, own->view.arguments, begin, own->view.payload_size,
			 NULL);
}

int carom_dealer_prepare(struct carom_lane *lane, uint32_t worker)
{
	struct carom_lane_options options = {
		.worker_count = 1,
		.slot_count = HAND_SLOTS,
		.payload_size = lane->view.payload_size,
		.spin_ns = lane->dealer->spin_ns,
		.kind = CAROM_LANE_DEALT,
	};
	struct lane_hand *hand = hand_of(lane, worker);
	int r;

	close_all(hand);
	hand->lane = carom_lane_free(hand->lane);
	begin_anew(lane, hand);
	r = carom_lane_new(&options, &hand->lane);
	if (r < 0)
		return r;
	r = open_fds(hand);
	if (r < 0) {
		close_all(hand);
		hand->lane = carom_lane_free(hand->lane);
		return r;
	}
	put_kept(lane, hand);
	if (lane->dealer->stop == CAROM_LANE_HALT)
		carom_lane_stop(hand->lane, CAROM_LANE_HALT);
	return 0;
}

/* K7: what had been begun stands as the sweep will want it; foul play counts as begun */
static void keep_unfinished(struct carom_lane *lane, struct lane_deal *deal)
{
	struct carom_slot *task = &lane->view.slots[deal->slot];
	uint64_t progress;

	set_word(lane, deal->slot, deal->hand->worker, CAROM_SLOT_RUNNING);
	if (!(task->flags & CAROM_TASK_BATCH))
		return;
	progress = carom_lane_item_progress(lane, deal->slot);
	carom_lane_fetch(lane, deal->slot);
	atomic_store(&task->value.progress, progress);
}

static void bury_deal(struct carom_lane *lane, struct lane_deal *deal, bool was_foul)
{
	if (deal->is_evicted) {
		deal->is_used = false;
		deal->hand->used_count--;
		return;
	}
	if (deal->is_begun || (was_foul && !deal->hand->is_stalled))
		keep_unfinished(lane, deal);
	release(lane, deal);
	CAROM_POINT("deal.buried");
}

/* a process that it has left behind may write there yet: from here on it is not heard */
void carom_dealer_bury(struct carom_lane *lane, uint32_t worker)
{
	struct lane_hand *hand = hand_of(lane, worker);
	bool was_foul;

	if (!hand->lane)
		return;
	shut(lane, hand);
	see_all(lane, hand);
	was_foul = atomic_exchange(&hand->is_foul, true);
	for (uint32_t i = 0; i < HAND_SLOTS; i++)
		if (hand->deals[i].is_used)
			bury_deal(lane, &hand->deals[i], was_foul);
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

		shut(lane, hand);
		if (hand->lane)
			carom_lane_stop(hand->lane, how);
	}
}

void carom_dealer_dismiss(struct carom_lane *lane, uint32_t worker)
{
	struct lane_hand *hand = hand_of(lane, worker);

	shut(lane, hand);
	hand->is_leaving = true;
	if (hand->lane)
		carom_lane_dismiss(hand->lane, 0);
}

void carom_dealer_admit(struct carom_lane *lane, uint32_t worker, pid_t pid)
{
	hand_of(lane, worker)->pid = pid;
}

struct carom_lane *carom_dealer_lane(const struct carom_lane *lane, uint32_t worker)
{
	return hand_of(lane, worker)->lane;
}

void carom_lane_hand_fds(const struct carom_lane *lane, uint32_t worker,
			 int ret_fds[CAROM_LANE_HAND_FDS])
{
	const struct lane_hand *hand = hand_of(lane, worker);

	ret_fds[0] = hand->fds[HAND_LANE];
	ret_fds[1] = hand->fds[HAND_ARGUMENTS];
	ret_fds[2] = hand->fds[HAND_BELL];
}

void carom_lane_handed_over(struct carom_lane *lane, uint32_t worker)
{
	struct lane_hand *hand = hand_of(lane, worker);

	close_fd(hand, HAND_LANE);
	close_fd(hand, HAND_READERS);
	close_fd(hand, HAND_ARGUMENTS);
	close_fd(hand, HAND_BELL);
}

int carom_lane_hand_bell(const struct carom_lane *lane, uint32_t worker)
{
	return hand_of(lane, worker)->fds[HAND_BELL_READ];
}

const void *carom_lane_hand_values(const struct carom_lane *lane, uint32_t worker)
{
	return hand_of(lane, worker)->lane->view.values;
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

/* ---- when the bell has rung ---- */

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
		be_foul(lane, hand, "its bell, which rings without end");
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
	set_free(lane, hand, true);
	carom_lane_announce_ready(lane);
}

static void arm_again(struct carom_lane *lane, struct lane_hand *hand)
{
	for (uint32_t i = 0; i < HAND_SLOTS; i++) {
		struct lane_deal *deal = &hand->deals[i];

		if (!deal->is_used || deal->is_evicted || hand->is_armed ||
		    !wants_bell(lane, deal->slot))
			continue;
		arm(hand);
		see(lane, deal);
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

int carom_lane_hand_rang(struct carom_lane *lane, uint32_t worker)
{
	struct lane_hand *hand = hand_of(lane, worker);
	int r = take_rings(lane, hand);

	hand->is_armed = false;
	if (!atomic_load(&hand->is_foul)) {
		see_ready(lane, hand);
		see_all(lane, hand);
		arm_again(lane, hand);
	}
	carom_dealer_deal(lane);
	return r < 0 ? r : lane->dealer->unbegun_count > 0;
}

/* ---- the dealer ---- */

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
		close_all(&dealer->hands[i]);
		carom_lane_free(dealer->hands[i].lane);
	}
	free(dealer->hands);
	free(dealer->entries);
	free(dealer);
	return NULL;
}

static void lose_fds(struct lane_hand *hand)
{
	for (int i = 0; i < HAND_FDS; i++) {
		carom_private_fd_remove(&hand->private_fds[i]);
		hand->fds[i] = -1;
	}
	if (!hand->lane)
		return;
	carom_segment_lose_fd(hand->lane->segment);
	carom_segment_lose_fd(hand->lane->arguments_segment);
}

void carom_dealer_lose_fds(struct lane_dealer *dealer)
{
	for (uint32_t i = 0; i < dealer->hand_count; i++)
		lose_fds(&dealer->hands[i]);
}
