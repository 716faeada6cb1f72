/*
 * Lane: a worker
 *
 *   W1  A task is claimed by one compare-and-swap on its slot, which names the
 *       worker. Killed before it, nothing happened; after it, the slot says who.
 *   W2  The head is moved after the claim, by anybody: a cell whose slot is no
 *       longer READY in the cell's generation is passed by whoever meets it.
 *   W3  Before it sleeps, a worker sets its idle bit and then looks at the ring
 *       once more; who submits writes the ring and then looks at the bits. One of
 *       the two sees the other (both orders are sequentially consistent).
 *   W4  The value is complete before the slot is DONE, and a worker that is asked
 *       to wake somebody does so after: killed in between, the sweep wakes.
 *   W5  With a backlog_max, who submits wakes nobody while a worker is awake. A worker
 *       says so by a bit, which it keeps through all of its tasks and clears, as in
 *       W3, between its idle bit and its last look at the ring; if it dies, the sweep
 *       clears the bit, and then wakes another one if a hint is there. So whoever
 *       published a hint and then saw a bit of this mask, saw it before it was
 *       cleared, and before the look that follows, which finds the hint: no task is
 *       left with all workers asleep. It may wait for the end of the task that the
 *       one awake is at: no more than backlog_max tasks do so while others sleep, for
 *       whoever submits or claims and sees more of them wakes one more.
 *   W6  A worker that is dismissed goes when it has no task and none of its bits is
 *       set, and looks at the ring after that: who submitted before it was seen spinning
 *       no more, or spent a wake-up on it, has another one woken. If it dies before it
 *       has done so, the sweep does.
 *   W7  It does not get past its task, nor past an item of a batch with a time limit,
 *       while the word holds it there (P6): CONDEMNED and SIGNALLING are waited out,
 *       after SOFT the signal is received first, and DOOMED is the end.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>

#include "core/points.h"
#include "core/time.h"
#include "ipc/lane.h"
#include "ipc/lane_private.h"
#include "shm/futex.h"

static uint64_t own_bit(const struct carom_lane *lane)
{
	return UINT64_C(1) << (lane->view.worker % 64);
}

static void mask_set(_Atomic uint64_t *mask, const struct carom_lane *lane)
{
	atomic_fetch_or(&mask[lane->view.worker / 64], own_bit(lane));
}

static void mask_clear(_Atomic uint64_t *mask, const struct carom_lane *lane)
{
	atomic_fetch_and(&mask[lane->view.worker / 64], ~own_bit(lane));
}

static void note_cpu(struct carom_lane *lane, uint32_t cpu)
{
	_Atomic uint32_t *noted = &lane->workers[lane->view.worker].cpu;

	/* relaxed: a hint; the line stays shared while nothing changes */
	if (atomic_load_explicit(noted, memory_order_relaxed) != cpu)
		atomic_store_explicit(noted, cpu, memory_order_relaxed);
}

void carom_lane_await_admission(struct carom_lane *lane)
{
	const struct carom_life *life = &lane->workers[lane->view.worker].life;

	while (atomic_load(&life->word) == 0)
		carom_futex_wait(&life->word, 0, CAROM_NO_DEADLINE);
}

int carom_lane_ready(struct carom_lane *lane)
{
	struct carom_lane_worker *self = &lane->workers[lane->view.worker];
	uint64_t not_yet = 0;

	if (!lane->is_shared)
		carom_life_begin(
			&self->life); /* without the word the pidfd alone announces the death */
	CAROM_POINT("lane.alive");
	if (!atomic_compare_exchange_strong(&self->ready_ns, &not_yet, carom_now()))
		return -ETIMEDOUT;
	if (lane->backlog_max)
		mask_set(lane->header->awake, lane);
	carom_lane_announce_ready(lane);
	return 0;
}

/* ---- claiming ---- */

static bool claim_slot(struct carom_lane *lane, uint32_t slot, uint32_t generation)
{
	_Atomic uint64_t *word = &lane->view.slots[slot].word;
	uint64_t seen = atomic_load(word);

	while (carom_slot_generation(seen) == generation &&
	       carom_slot_state(seen) == CAROM_SLOT_READY) {
		uint64_t mine = CAROM_SLOT_WORD(generation, lane->view.worker,
						seen & CAROM_SLOT_WAITED, CAROM_SLOT_RUNNING);

		CAROM_POINT("lane.claim.before");
		if (atomic_compare_exchange_weak(word, &seen, mine))
			return true;
	}
	return false;
}

static bool pop(struct carom_lane *lane, uint32_t *ret_slot)
{
	_Atomic uint64_t *head_word = &lane->header->head;

	for (;;) {
		uint64_t head = atomic_load(head_word);
		uint64_t cell = atomic_load(ring_at(lane, head));
		uint32_t slot = (uint32_t)(cell >> 32) & 0xffff;
		bool claimed;

		if (cell >> 48 != ring_lap(lane, head)) {
			if (atomic_load(head_word) != head)
				continue;
			return false;
		}
		claimed = slot < lane->view.slot_count && claim_slot(lane, slot, (uint32_t)cell);
		CAROM_POINT("lane.claim.after");
		atomic_compare_exchange_strong(head_word, &head, head + 1);
		CAROM_POINT("lane.head.moved");
		if (claimed) {
			*ret_slot = slot;
			return true;
		}
	}
}

/* ---- stepping aside ---- */

/*
 * A wake-up often puts the worker on the waker's CPU. There the two can only take
 * turns, 4 us each way, where two CPUs would need 0.2 us. So a worker that was
 * woken there several times, each time so soon that spinning would have met the
 * task, moves to another CPU that it may use. The scheduler is free to move it
 * again at once: its mask is put back.
 *
 * If the other CPU is busy, the move itself takes long; then it is not tried again
 * for a second, two, four ...
 */
#define QUICK_PARKS_BEFORE_MOVE 4
#define MOVE_SLOW_NS            CAROM_MICROSECONDS(500)
#define MOVE_PAUSE_NS           CAROM_MILLISECONDS(10)
#define MOVE_PAUSE_MAX_NS       CAROM_SECONDS(64)

static bool move_away(uint32_t cpu)
{
	cpu_set_t allowed, others;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return false;
	others = allowed;
	CPU_CLR(cpu, &others);
	if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof(others), &others) < 0)
		return false;
	sched_setaffinity(0, sizeof(allowed), &allowed);
	return true;
}

static bool step_aside(struct carom_lane *lane, uint32_t cpu)
{
	uint64_t begun = carom_now();
	uint64_t took;

	if (!lane->patience.limit_ns || lane->quick_parks < QUICK_PARKS_BEFORE_MOVE ||
	    begun < lane->move_not_before)
		return false;
	lane->quick_parks = 0;
	if (!move_away(cpu)) {
		lane->move_not_before = CAROM_NO_DEADLINE;
		return false;
	}
	took = carom_now() - begun;
	if (took < MOVE_SLOW_NS)
		lane->move_pause_ns = MOVE_PAUSE_NS;
	else if (lane->move_pause_ns < CAROM_NS_PER_SEC)
		lane->move_pause_ns = CAROM_NS_PER_SEC;
	else if (lane->move_pause_ns < MOVE_PAUSE_MAX_NS)
		lane->move_pause_ns *= 2;
	lane->move_not_before = begun + took + lane->move_pause_ns;
	return true;
}

/* ---- waiting for work ---- */

static bool look_for(struct carom_lane *lane, uint64_t ns)
{
	uint64_t until = carom_now() + ns;

	do {
		for (int i = 0; i < 32; i++) {
			if (carom_lane_nonempty(lane))
				return true;
			cpu_relax();
		}
	} while (!atomic_load_explicit(&lane->header->stop, memory_order_relaxed) &&
		 carom_now() < until);
	return false;
}

/*
 * On the submitter's own CPU spinning would keep it from submitting. Letting it run
 * once, and looking again after, costs less than a sleep and a wake-up; and what it
 * submits meanwhile piles up, to be done in one go. If others run on this CPU too,
 * the turn comes back late, which counts as a spin that brought nothing.
 */
static bool yield_for_work(struct carom_lane *lane)
{
	uint64_t begun = carom_now();

	sched_yield();
	return carom_lane_nonempty(lane) && carom_now() - begun < LANE_YIELD_LONG_NS;
}

static bool spin_for_work(struct carom_lane *lane)
{
	uint32_t cpu = (uint32_t)sched_getcpu();
	bool good;

	if (lane->last_submit_cpu == cpu && step_aside(lane, cpu))
		cpu = (uint32_t)sched_getcpu();
	note_cpu(lane, cpu);
	if (carom_lane_spinner_count(lane) >= lane->spinner_max ||
	    !carom_patience_may_spin(&lane->patience))
		return false;
	mask_set(lane->header->spinning, lane);
	good = lane->last_submit_cpu == cpu ? yield_for_work(lane)
					    : look_for(lane, lane->patience.limit_ns);
	CAROM_POINT("lane.spin.found");
	carom_patience_learn(&lane->patience, good);
	if (!carom_lane_nonempty(lane))
		return false; /* park() clears the bit, after it has set the other */
	mask_clear(lane->header->spinning, lane);
	return true;
}

/* relaxed: set by this thread, or with a wake-up after it */
static bool is_interrupted(const struct carom_lane *lane)
{
	return atomic_load_explicit(&lane->interrupted, memory_order_relaxed);
}

static void sleep_until_woken(struct carom_lane *lane, _Atomic uint32_t *wake)
{
	uint64_t begun = carom_now();

	lane->sleep_count++;
	while (!atomic_load(wake) && !atomic_load(&lane->header->stop) && !is_interrupted(lane))
		carom_futex_wait(wake, 0, CAROM_NO_DEADLINE);
	if (carom_now() - begun < lane->patience.limit_ns) {
		carom_patience_learn(&lane->patience, true); /* a spin would have found it */
		lane->quick_parks++;
	} else {
		lane->quick_parks = 0;
	}
}

/* the spinning bit is cleared after the idle bit is set, so that one of them always tells */
static void park(struct carom_lane *lane)
{
	_Atomic uint32_t *wake = &lane->workers[lane->view.worker].wake;

	atomic_store(wake, 0);
	CAROM_POINT("lane.park.reset");
	mask_set(lane->header->idle, lane);
	CAROM_POINT("lane.park.idle");
	mask_clear(lane->header->spinning, lane);
	if (lane->backlog_max)
		mask_clear(lane->header->awake, lane);
	CAROM_POINT("lane.park.look");
	if (!carom_lane_nonempty(lane) && !atomic_load(&lane->header->stop) &&
	    !atomic_load(&lane->workers[lane->view.worker].dismissed))
		sleep_until_woken(lane, wake);
	CAROM_POINT("lane.park.woken");
	if (lane->backlog_max)
		mask_set(lane->header->awake, lane);
	mask_clear(lane->header->idle, lane);
	CAROM_POINT("lane.park.left");
}

/* are there more hints from the head on than may wait? The tail is not for workers to see. */
static bool has_backlog(const struct carom_lane *lane)
{
	uint64_t beyond = atomic_load(&lane->header->head) + lane->backlog_max;

	return atomic_load(ring_at(lane, beyond)) >> 48 == ring_lap(lane, beyond);
}

/* one wake-up was spent on this worker; where there is more work it is passed on */
static void pass_wake_on(struct carom_lane *lane)
{
	bool needed;

	if (!carom_lane_nonempty(lane) || !lane_has_any(lane, lane->header->idle))
		return;
	needed =
		lane->backlog_max ? has_backlog(lane) : !lane_has_any(lane, lane->header->spinning);
	if (needed)
		carom_lane_wake_one(lane);
}

/* relaxed: a wake-up comes after it; and it is on the line that note_cpu() has in hand */
static bool is_dismissed(const struct carom_lane *lane)
{
	return atomic_load_explicit(&lane->workers[lane->view.worker].dismissed,
				    memory_order_relaxed);
}

/* W6 */
static int go(struct carom_lane *lane, int why)
{
	CAROM_POINT("dismiss.seen");
	if (lane->backlog_max)
		mask_clear(lane->header->awake, lane);
	atomic_thread_fence(memory_order_seq_cst);
	if (carom_lane_nonempty(lane))
		carom_lane_wake_one(lane);
	CAROM_POINT("dismiss.passed");
	return why;
}

int carom_lane_claim(struct carom_lane *lane, uint32_t *ret_slot)
{
	for (;;) {
		uint32_t stop = atomic_load_explicit(&lane->header->stop, memory_order_acquire);

		if (stop == CAROM_LANE_HALT)
			return -ESHUTDOWN;
		if (is_dismissed(lane))
			return go(lane, -ESHUTDOWN);
		if (is_interrupted(lane))
			return go(lane, -EINTR);
		if (pop(lane, ret_slot))
			break;
		if (stop == CAROM_LANE_DRAIN)
			return -ESHUTDOWN;
		if (!spin_for_work(lane))
			park(lane);
	}
	lane->last_submit_cpu = lane->view.slots[*ret_slot].submit_cpu;
	note_cpu(lane, (uint32_t)sched_getcpu());
	pass_wake_on(lane);
	return 0;
}

/*
 * The flag first, then the word: a claim that has not reset the word yet sees the flag
 * before it sleeps, and one that has does not sleep on a word that is 1.
 */
void carom_lane_interrupt(struct carom_lane *lane)
{
	_Atomic uint32_t *wake = &lane->workers[lane->view.worker].wake;
	int saved_errno = errno;

	atomic_store(&lane->interrupted, true);
	atomic_store(wake, 1);
	carom_futex_wake(wake, 1); /* the handler may run in a thread of the task's */
	errno = saved_errno;
}

void carom_lane_pass_on(struct carom_lane *lane)
{
	go(lane, 0);
}

/* ---- finishing ---- */

void carom_lane_on_warned(struct carom_lane *lane, void (*settle)(void))
{
	lane->settle = settle;
}

#define HOLDS   (CAROM_SLOT_CONDEMNED | CAROM_SLOT_SIGNALLING)
#define CONCERN (HOLDS | CAROM_SLOT_DOOMED | CAROM_SLOT_SOFT)

/* until the parent has made up its mind; it is about to */
static uint64_t stand_still(struct carom_slot *task, uint64_t word)
{
	while (word & HOLDS && !(word & CAROM_SLOT_DOOMED)) {
		carom_futex_wait(slot_futex(task), (uint32_t)word, CAROM_NO_DEADLINE);
		word = atomic_load(&task->word);
	}
	return word;
}

/* W7: until nothing holds this worker to what it has just done. Once settled, SOFT may be cleared. */
static bool may_go_on(struct carom_lane *lane, struct carom_slot *task, uint64_t *word)
{
	*word = stand_still(task, *word);
	if (*word & CAROM_SLOT_DOOMED)
		return false;
	if (*word & CAROM_SLOT_SOFT && lane->settle)
		lane->settle();
	return true;
}

int carom_lane_go_on(struct carom_lane *lane, uint32_t slot)
{
	struct carom_slot *task = &lane->view.slots[slot];
	uint64_t seen = atomic_load(&task->word);
	uint64_t clean;

	do {
		if (!(seen & CONCERN))
			return 0;
		if (!may_go_on(lane, task, &seen))
			return -ECANCELED;
		clean = seen & ~(CAROM_SLOT_SOFT | CAROM_SLOT_TOLD);
	} while (!atomic_compare_exchange_weak(&task->word, &seen, clean));
	return 0;
}

int carom_lane_finish(struct carom_lane *lane, uint32_t slot)
{
	struct carom_slot *task = &lane->view.slots[slot];
	uint64_t seen = atomic_load(&task->word);
	bool noticed = task->flags & CAROM_TASK_END; /* once it is DONE the slot may be another's */
	uint64_t mine;

	do {
		if (seen & CONCERN && !may_go_on(lane, task, &seen))
			return -ECANCELED;
		if (carom_slot_state(seen) != CAROM_SLOT_RUNNING ||
		    carom_slot_owner(seen) != lane->view.worker)
			return 0;
		mine = (seen & ~(UINT64_C(0xff) | CAROM_SLOT_FLAGS)) | (seen & CAROM_SLOT_WAITED) |
		       CAROM_SLOT_DONE;
		CAROM_POINT("lane.done.before");
	} while (!atomic_compare_exchange_weak(&task->word, &seen, mine));
	CAROM_POINT("lane.done.after");
	if (mine & CAROM_SLOT_WAITED)
		carom_futex_wake(slot_futex(task), INT_MAX);
	CAROM_POINT("lane.done.woken");
	if (atomic_load(&lane->header->watcher_count))
		carom_lane_announce(lane);
	if (lane->is_dealt)
		carom_lane_tell_dealer(lane);
	else if (noticed)
		carom_lane_notice(lane, slot);
	return 0;
}

uint64_t carom_lane_sleep_count(const struct carom_lane *lane)
{
	return lane->sleep_count;
}

struct carom_arena *carom_lane_arena(struct carom_lane *lane)
{
	return &lane->arena;
}
