/*
 * Lane: the parent
 *
 *   P1  The tail, the generations and the free list are private. Only the parent
 *       makes a slot READY, and a generation is READY once (again only after the
 *       worker that had begun it is dead).
 *   P2  Publish, then look for sleepers; a worker sets its bit, then looks at the
 *       ring (W3). The fence in carom_lane_submit() is this side's half.
 *   P3  A slot is given back only when it is DONE or LOST, or was never submitted;
 *       RUNNING becomes LOST after its worker's death, or when its worker is evicted:
 *       then the slot is given back only after that death. So nobody writes to a slot
 *       that is used again.
 *   P4  The sweep only repeats what the dead worker may have left undone, and what a
 *       sweep before it did: a slot keeps the dead worker's name until the hint that
 *       it is READY again is in the ring, and one that is LOST for good. Sweeping
 *       twice, or for nothing, wakes somebody for nothing.
 *   P5  A slot may be given back while somebody still sleeps on it: its value was
 *       there, but the worker died, or has not come, to wake. The word does not tell
 *       any more, so who gives the slot back counts the sleepers and wakes them.
 *   P6  What hits one task, or one item of a batch, does not hit the next. Between the
 *       look at the clock and the blow the owner may finish. So a flag goes into the
 *       word first, by a compare-and-swap that fails if the task has ended, and W7
 *       keeps the owner from going on while it stands. In a batch the parent then looks
 *       at the progress; if another item has begun, it takes the flag away again:
 *
 *	  parent                          owner
 *	  reads progress: at item k
 *	                                  progress: k has ended
 *	                                  looks at the word: no flag; goes on to k+1
 *	  sets the flag
 *	  reads progress: not at k
 *	  clears the flag, wakes          (had it ended k+1, it would stand until here)
 *
 *       Both sides write and then look at the other's word, in one total order: either
 *       the parent sees that k has ended, or the owner sees the flag before it begins
 *       k+1: so a flag that it finds there is never k+1's.
 *   P7  SIGNALLING stands until the signal was sent, so that an owner that goes on finds
 *       it delivered or pending, and takes delivery (settle) before it does. It is set
 *       anew for each signal. SOFT stands until the owner has taken delivery: also when
 *       the parent finds, as it is about to send another one, that the item has ended
 *       meanwhile. A parent that dies in between takes its workers along.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>

#include "core/points.h"
#include "ipc/lane.h"
#include "ipc/lane_private.h"
#include "shm/futex.h"

/* ---- free slots: the one that was used last is used next, its lines are still near ---- */

uint32_t carom_lane_take(struct carom_lane *lane)
{
	uint32_t slot;

	if (!lane->free_count)
		return CAROM_LANE_NO_SLOT;
	slot = lane->free_slots[--lane->free_count];
	if (slot >= lane->taken_count)
		lane->taken_count = slot + 1;
	return slot;
}

uint32_t carom_lane_taken_count(const struct carom_lane *lane)
{
	return lane->taken_count;
}

uint32_t carom_lane_used_count(const struct carom_lane *lane)
{
	return lane->view.slot_count - lane->free_count;
}

void carom_lane_give(struct carom_lane *lane, uint32_t slot)
{
	if (lane->dealer)
		carom_dealer_drop(lane, slot);
	/* relaxed: workers look at a slot only by way of a ring cell of its generation */
	atomic_store_explicit(
		&lane->view.slots[slot].word,
		CAROM_SLOT_WORD(lane->own[slot].generation, CAROM_LANE_NOBODY, 0, CAROM_SLOT_FREE),
		memory_order_relaxed);
	lane->free_slots[lane->free_count++] = slot;
	/*
	 * P5: a sleeper raised the count before it saw the slot not ended, and this
	 * thread saw it ended before it reads the count: so it sees the sleeper.
	 */
	if (atomic_load(&lane->own[slot].sleeper_count))
		carom_futex_wake(slot_futex(&lane->view.slots[slot]), INT_MAX);
}

uint32_t carom_lane_generation(const struct carom_lane *lane, uint32_t slot)
{
	return lane->own[slot].generation;
}

/* ---- submitting ---- */

/* passes hints at the head that went stale, as a worker would */
static void help_forward(struct carom_lane *lane)
{
	for (uint32_t i = 0; i < lane->ring_count; i++) {
		uint64_t head = atomic_load(&lane->header->head);
		uint64_t cell = atomic_load(ring_at(lane, head));
		uint32_t slot = (uint32_t)(cell >> 32) & 0xffff;
		uint64_t word = atomic_load(&lane->view.slots[slot % lane->view.slot_count].word);

		if (head == lane->tail || (carom_slot_state(word) == CAROM_SLOT_READY &&
					   carom_slot_generation(word) == (uint32_t)cell))
			return;
		atomic_compare_exchange_strong(&lane->header->head, &head, head + 1);
	}
}

/*
 * By the head as it was seen last, which may be far behind: reading it takes its line
 * away from the worker that is about to move it, which is a cache miss on every task's
 * way. So it is read only when the ring seems full.
 */
static bool has_room(const struct carom_lane *lane, uint32_t count)
{
	uint64_t limit = (uint64_t)lane->ring_count / 2;
	uint64_t used = lane->tail - lane->head_seen;

	return used <= limit && count <= limit - used;
}

static int make_room(struct carom_lane *lane, uint32_t count)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		uint64_t head = atomic_load(&lane->header->head);

		if (lane->tail - head > lane->ring_count)
			return -EBADMSG; /* nonsense, which is not to be kept */
		lane->head_seen = head;
		if (has_room(lane, count))
			return 0;
		help_forward(lane);
	}
	return has_room(lane, count) ? 0 : -EAGAIN;
}

void carom_lane_push(struct carom_lane *lane, uint32_t slot)
{
	uint64_t position = lane->tail++;

	/* R1: publishes the slot; pairs with the load of the cell in pop() */
	atomic_store_explicit(ring_at(lane, position),
			      ring_cell(lane, position, slot, lane->own[slot].generation),
			      memory_order_release);
}

static void make_ready(struct carom_lane *lane, uint32_t slot, uint32_t cpu)
{
	struct carom_slot *task = &lane->view.slots[slot];

	task->submit_cpu = cpu & 0x3fff;
	lane->own[slot].generation++;
	atomic_store_explicit(
		&task->word,
		CAROM_SLOT_WORD(lane->own[slot].generation, CAROM_LANE_NOBODY, 0, CAROM_SLOT_READY),
		memory_order_release);
}

/* by the head as it was seen last, as in has_room(): one miss for as many tasks as may wait */
static bool has_backlog(struct carom_lane *lane)
{
	uint64_t head;

	if (lane->tail - lane->head_seen <= lane->backlog_max)
		return false;
	head = atomic_load(&lane->header->head);
	if (lane->tail - head > lane->ring_count)
		return true; /* nonsense, which is not to be kept */
	lane->head_seen = head;
	return lane->tail - head > lane->backlog_max;
}

/* does a worker look for work already, or will before it sleeps (W5)? */
static bool needs_wake(struct carom_lane *lane)
{
	if (!lane->backlog_max)
		return !lane_has_any(lane, lane->header->spinning);
	return !lane_has_any(lane, lane->header->awake) ||
	       (lane_has_any(lane, lane->header->idle) && has_backlog(lane));
}

int carom_lane_submit(struct carom_lane *lane, const uint32_t *slots, uint32_t count,
		      bool *ret_woke)
{
	uint32_t cpu = (uint32_t)sched_getcpu();
	int r = has_room(lane, count) ? 0 : make_room(lane, count);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < count; i++) {
		make_ready(lane, slots[i], cpu);
		carom_lane_push(lane, slots[i]);
	}
	atomic_thread_fence(memory_order_seq_cst); /* P2 */
	if (lane->dealer)
		*ret_woke = carom_dealer_deal(lane);
	else
		*ret_woke = needs_wake(lane) && carom_lane_wake_one(lane);
	return 0;
}

/* a task was answered by this side */
void carom_lane_tell_waiters(struct carom_lane *lane, uint32_t slot, bool waited)
{
	struct carom_slot *task = &lane->view.slots[slot];

	if (waited)
		carom_futex_wake(slot_futex(task), INT_MAX);
	carom_lane_tell_expecting(lane);
	if (task->flags & CAROM_TASK_END)
		carom_lane_notice(lane, slot);
}

bool carom_lane_withdraw(struct carom_lane *lane, uint32_t slot)
{
	struct carom_slot *task = &lane->view.slots[slot];
	uint64_t seen;

	if (lane->dealer && carom_dealer_was_dealt(lane, slot) &&
	    !carom_dealer_take_back(lane, slot))
		return false;
	seen = atomic_load(&task->word);

	while (carom_slot_state(seen) == CAROM_SLOT_READY) {
		uint64_t lost = CAROM_SLOT_WORD(carom_slot_generation(seen), CAROM_LANE_NOBODY, 0,
						CAROM_SLOT_LOST);

		if (!atomic_compare_exchange_weak(&task->word, &seen, lost))
			continue;
		carom_lane_tell_waiters(lane, slot, seen & CAROM_SLOT_WAITED);
		if (lane->dealer)
			carom_dealer_deal(lane); /* who had it has nothing to do now */
		return true;
	}
	return false;
}

bool carom_lane_force_end(struct carom_lane *lane, uint32_t slot)
{
	struct carom_slot *task = &lane->view.slots[slot];
	uint32_t generation = lane->own[slot].generation;
	uint64_t word = atomic_load(&task->word);

	if (carom_slot_ended(word) && carom_slot_generation(word) == generation)
		return false;
	atomic_store(&task->word,
		     CAROM_SLOT_WORD(generation, CAROM_LANE_NOBODY, 0, CAROM_SLOT_LOST));
	carom_futex_wake(slot_futex(task), INT_MAX);
	carom_lane_announce(lane);
	carom_lane_notice(lane, slot);
	return true;
}

/* ---- holding a worker to its task (P6) ---- */

/*
 * Where the word of a task is that its owner looks at: in a lane that deals, it is in the
 * owner's own. Return: that lane, with *@slot and *@word in it; NULL: it has ended, or its
 * owner is past being held, and will be killed.
 */
static struct carom_lane *lane_of(struct carom_lane *lane, uint32_t *slot, uint64_t *word)
{
	return lane->dealer ? carom_dealer_task(lane, *slot, slot, word) : lane;
}

/* sets flags, if it is the same task still and none of @unless stands there; what was seen */
static bool set_flags(struct carom_lane *lane, uint32_t slot, uint64_t word, uint64_t flags,
		      uint64_t unless, uint64_t *ret_seen)
{
	_Atomic uint64_t *truth = &lane->view.slots[slot].word;
	uint64_t seen = word;

	for (uint32_t i = 0; i < LANE_TRIES_MAX; i++) {
		if (!lane_is_same_task(seen, word) || seen & unless)
			return false;
		if (atomic_compare_exchange_weak(truth, &seen, seen | flags)) {
			*ret_seen = seen;
			return true;
		}
	}
	return false;
}

static bool set_lost(struct carom_lane *lane, uint32_t slot, uint64_t word)
{
	struct carom_slot *task = &lane->view.slots[slot];
	uint64_t seen = word;
	uint64_t lost = CAROM_SLOT_WORD(carom_slot_generation(word), carom_slot_owner(word),
					CAROM_SLOT_DOOMED, CAROM_SLOT_LOST);

	for (uint32_t i = 0; i < LANE_TRIES_MAX; i++) {
		if (!lane_is_same_task(seen, word))
			return false;
		if (atomic_compare_exchange_weak(&task->word, &seen, lost))
			return true;
	}
	return false;
}

bool carom_lane_evict(struct carom_lane *lane, uint32_t slot, uint64_t word)
{
	uint32_t own_slot = slot;
	uint64_t own_word = word;
	struct carom_lane *owner = lane->dealer ? lane_of(lane, &own_slot, &own_word) : NULL;

	if (owner && !set_lost(owner, own_slot, own_word))
		carom_lane_look(lane, slot); /* it has ended meanwhile, or is foul */
	else if (owner)
		carom_futex_wake(slot_futex(&owner->view.slots[own_slot]), INT_MAX);
	if (!set_lost(lane, slot, word))
		return false;
	if (lane->dealer)
		carom_dealer_evicted(lane, slot);
	carom_lane_tell_waiters(lane, slot, true); /* and an owner that stands */
	return true;
}

bool carom_lane_condemn(struct carom_lane *lane, uint32_t slot, uint64_t word)
{
	uint64_t truth = word, seen;
	uint32_t at = slot;
	struct carom_lane *owner = lane_of(lane, &at, &truth);

	if (!owner)
		return lane_is_same_task(atomic_load(&lane->view.slots[slot].word), word);
	return set_flags(owner, at, truth, CAROM_SLOT_CONDEMNED, 0, &seen);
}

void carom_lane_pardon(struct carom_lane *lane, uint32_t slot)
{
	uint64_t word;

	lane = lane_of(lane, &slot, &word);
	if (!lane)
		return;
	atomic_fetch_and(&lane->view.slots[slot].word, ~CAROM_SLOT_CONDEMNED);
	carom_futex_wake(slot_futex(&lane->view.slots[slot]), INT_MAX);
}

void carom_lane_doom(struct carom_lane *lane, uint32_t slot)
{
	uint32_t at = slot;
	uint64_t word;
	struct carom_lane *owner = lane_of(lane, &at, &word);

	if (!owner)
		return;
	atomic_fetch_or(&owner->view.slots[at].word, CAROM_SLOT_DOOMED);
	atomic_fetch_and(&owner->view.slots[at].word, ~CAROM_SLOT_CONDEMNED);
	carom_futex_wake(slot_futex(&owner->view.slots[at]), INT_MAX);
	if (lane->dealer)
		carom_dealer_doomed(lane, slot);
}

bool carom_lane_warn(struct carom_lane *lane, uint32_t slot, uint64_t word)
{
	uint64_t seen;

	lane = lane_of(lane, &slot, &word);
	if (!lane || !set_flags(lane, slot, word, CAROM_SLOT_SOFT | CAROM_SLOT_SIGNALLING,
				CAROM_SLOT_CONDEMNED | CAROM_SLOT_DOOMED, &seen))
		return false;
	lane->own[slot].was_warned = seen & CAROM_SLOT_SOFT;
	return true;
}

void carom_lane_warned(struct carom_lane *lane, uint32_t slot, bool sent)
{
	uint64_t flags = CAROM_SLOT_SIGNALLING;
	uint64_t word;

	lane = lane_of(lane, &slot, &word);
	if (!lane)
		return;
	if (!sent && !lane->own[slot].was_warned) /* P7 */
		flags |= CAROM_SLOT_SOFT;
	atomic_fetch_and(&lane->view.slots[slot].word, ~flags);
	carom_futex_wake(slot_futex(&lane->view.slots[slot]), INT_MAX);
}

/* ---- supervising ---- */

void carom_lane_use(struct carom_lane *lane, uint32_t count)
{
	lane->used_count = count;
	atomic_store(&lane->header->used_count, count);
}

int carom_lane_prepare(struct carom_lane *lane, uint32_t worker)
{
	struct carom_lane_worker *entry = &lane->workers[worker];

	if (lane->dealer)
		return carom_dealer_prepare(lane, worker);
	atomic_store(&entry->wake, 0);
	atomic_store(&entry->dismissed, 0);
	atomic_store(&entry->life.word, 0);
	atomic_store(&entry->ready_ns, 0);
	atomic_store(&entry->returned, 0);
	return 0;
}

/* the entry of a worker, which is in its own lane if it has one; NULL: there is none yet */
static struct carom_lane_worker *entry_of(const struct carom_lane *lane, uint32_t worker)
{
	if (!lane->dealer)
		return &lane->workers[worker];
	lane = carom_dealer_lane(lane, worker);
	return lane ? &lane->workers[0] : NULL;
}

struct carom_life *carom_lane_life(const struct carom_lane *lane, uint32_t worker)
{
	return &entry_of(lane, worker)->life;
}

void carom_lane_admit(struct carom_lane *lane, uint32_t worker, pid_t pid, pid_t tid)
{
	struct carom_life *life = carom_lane_life(lane, worker);

	if (lane->dealer)
		carom_dealer_admit(lane, worker, pid);
	atomic_store(&life->word, carom_life_word(tid));
	/* all: who watched over the one before may sleep here yet, and would take the only wake-up */
	carom_futex_wake(&life->word, INT_MAX);
}

uint64_t carom_lane_ready_ns(const struct carom_lane *lane, uint32_t worker)
{
	uint64_t ready_ns = lane->dealer ? carom_dealer_ready_ns(lane, worker)
					 : atomic_load(&lane->workers[worker].ready_ns);

	return ready_ns == LANE_GIVEN_UP ? 0 : ready_ns;
}

bool carom_lane_give_up(struct carom_lane *lane, uint32_t worker)
{
	struct carom_lane_worker *entry = entry_of(lane, worker);
	uint64_t not_yet = 0;

	if (lane->dealer && carom_dealer_ready_ns(lane, worker))
		return false;
	/* one of this and carom_lane_ready()'s exchange comes first, and the other fails */
	return !entry || atomic_compare_exchange_strong(&entry->ready_ns, &not_yet, LANE_GIVEN_UP);
}

/*
 * A READY slot that names a dead worker has no hint yet that counts (P4). Afterwards
 * it names nobody, or who has claimed it already.
 */
static void offer_again(struct carom_lane *lane, uint32_t slot, uint32_t worker)
{
	_Atomic uint64_t *truth = &lane->view.slots[slot].word;
	uint64_t word = atomic_load(truth);

	carom_lane_push(lane, slot); /* there is room: see RING_CELLS_PER_SLOT */
	CAROM_POINT("sweep.offered");
	while (carom_slot_state(word) == CAROM_SLOT_READY && carom_slot_owner(word) == worker)
		if (atomic_compare_exchange_weak(
			    truth, &word, word | CAROM_SLOT_WORD(0, CAROM_LANE_NOBODY, 0, 0)))
			return;
}

static void settle(struct carom_lane *lane, uint32_t slot, uint64_t word, bool again)
{
	struct carom_slot *task = &lane->view.slots[slot];
	uint64_t next;

	/* only a waiter's flag can appear meanwhile: the owner is dead */
	do {
		next = CAROM_SLOT_WORD(carom_slot_generation(word), carom_slot_owner(word),
				       word & CAROM_SLOT_WAITED,
				       again ? CAROM_SLOT_READY : CAROM_SLOT_LOST);
	} while (!atomic_compare_exchange_weak(&task->word, &word, next));
	CAROM_POINT("sweep.settled");
	if (again)
		offer_again(lane, slot, carom_slot_owner(word));
	else
		carom_futex_wake(slot_futex(task), INT_MAX);
}

static void sweep_slot(struct carom_lane *lane, uint32_t slot, uint64_t word,
		       carom_sweep_fn *verdict, void *userdata)
{
	if (carom_slot_state(word) == CAROM_SLOT_RUNNING)
		settle(lane, slot, word, verdict(slot, userdata) == CAROM_SWEEP_AGAIN);
	else if (carom_slot_state(word) == CAROM_SLOT_READY)
		offer_again(lane, slot, carom_slot_owner(word));
	else if (carom_slot_ended(word) && word & CAROM_SLOT_WAITED)
		carom_futex_wake(slot_futex(&lane->view.slots[slot]), INT_MAX);
	if (lane->view.slots[slot].flags & CAROM_TASK_END) /* N3 */
		carom_lane_notice(lane, slot);
}

static void sweep_slots(struct carom_lane *lane, uint32_t worker, carom_sweep_fn *verdict,
			void *userdata)
{
	for (uint32_t slot = 0; slot < lane->taken_count; slot++) {
		uint64_t word = atomic_load(&lane->view.slots[slot].word);

		if (carom_slot_owner(word) == worker)
			sweep_slot(lane, slot, word, verdict, userdata);
	}
}

static void wake_worker(struct carom_lane *lane, uint32_t worker)
{
	atomic_store(&lane->workers[worker].wake, 1);
	carom_futex_wake(&lane->workers[worker].wake, 1);
}

/* Not who is dead, or where all die at once each death would wake all. */
static bool may_be_stranded(const struct carom_lane *lane, uint32_t worker)
{
	bool is_idle = atomic_load(&lane->header->idle[worker / 64]) >> (worker % 64) & 1;

	return !is_idle && !carom_life_ended(&lane->workers[worker].life);
}

/*
 * The dead worker may have taken another one's idle bit without waking it: so each
 * worker without that bit is woken, even if its word says it was. And it may have
 * been the one that was woken for work that is still there.
 */
static void sweep_hints(struct carom_lane *lane, uint32_t worker)
{
	uint64_t bit = UINT64_C(1) << (worker % 64);

	atomic_fetch_and(&lane->header->idle[worker / 64], ~bit);
	atomic_fetch_and(&lane->header->spinning[worker / 64], ~bit);
	atomic_fetch_and(&lane->header->awake[worker / 64], ~bit); /* W5: before the look below */
	for (uint32_t other = 0; other < lane->used_count; other++)
		if (other != worker && may_be_stranded(lane, other))
			wake_worker(lane, other);
	if (carom_lane_nonempty(lane))
		carom_lane_wake_one(lane);
}

static void tell_of_death(struct carom_lane *lane)
{
	carom_lane_tell_expecting(lane);
	carom_lane_announce_ready(lane);
	carom_lane_wake_noticer(lane);
}

void carom_lane_sweep(struct carom_lane *lane, uint32_t worker, carom_sweep_fn *verdict,
		      void *userdata)
{
	if (lane->dealer)
		carom_dealer_bury(lane, worker);
	sweep_slots(lane, worker, verdict, userdata);
	CAROM_POINT("sweep.slots");
	atomic_thread_fence(memory_order_seq_cst); /* P2, for what was offered again */
	if (lane->dealer)
		carom_dealer_deal(lane);
	else
		sweep_hints(lane, worker);
	tell_of_death(lane);
	CAROM_POINT("sweep.hints");
}

void carom_lane_stop(struct carom_lane *lane, enum carom_lane_stop how)
{
	atomic_store(&lane->header->stop, how);
	if (lane->dealer) {
		carom_dealer_stop(lane, how);
		return;
	}
	for (uint32_t worker = 0; worker < lane->used_count; worker++)
		wake_worker(lane, worker);
}

/* the word, then the wake-up, as in park(): the worker sees the one or the other */
void carom_lane_dismiss(struct carom_lane *lane, uint32_t worker)
{
	if (lane->dealer) {
		carom_dealer_dismiss(lane, worker);
		return;
	}
	atomic_store(&lane->workers[worker].dismissed, 1);
	wake_worker(lane, worker);
}

bool carom_lane_is_ready(const struct carom_lane *lane, uint32_t worker)
{
	return carom_lane_ready_ns(lane, worker) != 0;
}

uint64_t carom_lane_progress(const struct carom_lane *lane)
{
	return atomic_load(&lane->header->head);
}

bool carom_lane_anything_ready(struct carom_lane *lane)
{
	for (uint32_t slot = 0; slot < lane->taken_count; slot++)
		if (carom_slot_state(carom_lane_word(lane, slot)) == CAROM_SLOT_READY)
			return true;
	return false;
}
