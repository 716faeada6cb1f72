/*
 * Lane: notices
 *
 * Most tasks have somebody who waits for them, whom the worker wakes itself. The
 * others, those with callbacks for instance, leave the parent a notice: a bit per
 * slot that says "look at it". The parent looks when it likes, clearing the bit
 * first; before it sleeps it arms the bell, which the next notice rings, once. So a
 * burst of tasks costs one wake-up, and a task without notices pays for none of this.
 *
 *	worker                            parent
 *	word := DONE                      armed := a new ticket
 *	bit  := 1                         any bit?      yes: do not sleep
 *	armed? then ring, armed := 0      sleep until rung
 *
 *   N1  The bit is set after what it is about, and cleared before the slot is looked
 *       at: so who clears it sees that, or there is another notice to come.
 *   N2  The bit is set before `armed` is read, and `armed` is set before the bits are
 *       read; all in one total order: the worker sees it armed, or the parent sees
 *       the bit.
 *   N3  A worker may die at any step. Before the bit: the sweep sets it for each slot
 *       that bears its name. Between the bit and the ring: the sweep rings. A notice
 *       too many is a look for nothing.
 *   N4  A worker may be stopped at any step, and is not dead then: that may hold up its
 *       own task, but not the notices of others. So nobody takes the bell out of the
 *       others' hands before it was rung: the futex is cleared and woken in one system
 *       call, and the descriptor is written to before `armed` is cleared, which is done
 *       by compare-and-swap from the ticket that was seen: when the parent has been
 *       there meanwhile, and armed again, it has no effect.
 *
 * Leave to begin (a pool with `synack`): the worker that has claimed a task leaves a
 * notice and waits for one of two flags in the slot's word, of which only the first
 * that is set counts, by compare-and-swap. If the parent dies, so does the worker.
 */
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "core/points.h"
#include "core/time.h"
#include "ipc/lane.h"
#include "ipc/lane_private.h"
#include "shm/futex.h"

/* ---- both sides ---- */

void carom_lane_set_bell(struct carom_lane *lane, int fd)
{
	lane->bell_fd = fd;
}

static void write_bell(struct carom_lane *lane)
{
	static const uint64_t one = 1;

	if (write(lane->bell_fd, &one, sizeof(one)) < 0)
		return; /* full: then it is readable */
}

void carom_lane_wake_noticer(struct carom_lane *lane)
{
	if (lane->bell_fd < 0)
		carom_futex_clear(&lane->header->armed);
	else
		write_bell(lane);
}

void carom_lane_ring(struct carom_lane *lane)
{
	_Atomic uint32_t *armed = &lane->header->armed;
	uint32_t ticket = atomic_load(armed);

	if (!ticket)
		return;
	if (lane->bell_fd < 0) {
		carom_futex_clear(armed);
		return;
	}
	write_bell(lane);
	CAROM_POINT("bell.rung");
	atomic_compare_exchange_strong(armed, &ticket, 0); /* N4 */
}

void carom_lane_notice(struct carom_lane *lane, uint32_t slot)
{
	CAROM_POINT("lane.notice.before");
	atomic_fetch_or(&lane->notices[slot / 64], UINT64_C(1) << (slot % 64));
	CAROM_POINT("lane.notice.set");
	carom_lane_ring(lane);
}

/* it looks at the slots by itself: what it wants to be told is that so many have ended */
void carom_lane_tell_dealer(struct carom_lane *lane)
{
	int32_t beyond;

	CAROM_POINT("lane.notice.before");
	beyond = (int32_t)(++lane->ended_count - atomic_load(&lane->header->ring_after));
	CAROM_POINT("lane.notice.set");
	if (beyond >= 0)
		carom_lane_ring(lane);
}

/* ---- the parent ---- */

uint32_t carom_lane_noticed(struct carom_lane *lane, uint32_t begin)
{
	uint32_t words = (lane->view.slot_count + 63) / 64;

	for (uint32_t i = begin / 64; i < words; i++) {
		uint64_t bits = atomic_load(&lane->notices[i]);
		uint32_t slot;

		if (i == begin / 64)
			bits &= ~UINT64_C(0) << (begin % 64);
		if (!bits)
			continue;
		slot = i * 64 + (uint32_t)__builtin_ctzll(bits);
		atomic_fetch_and(&lane->notices[i], ~(bits & -bits));
		if (slot < lane->view.slot_count)
			return slot;
	}
	return CAROM_LANE_NO_SLOT;
}

bool carom_lane_arm(struct carom_lane *lane)
{
	lane->ticket += 2; /* odd, so never 0 */
	atomic_store(&lane->header->armed, lane->ticket);
	for (uint32_t i = 0; i < (lane->view.slot_count + 63) / 64; i++)
		if (atomic_load(&lane->notices[i])) {
			atomic_store(&lane->header->armed, 0);
			return false;
		}
	return true;
}

int carom_lane_await_notice(struct carom_lane *lane, uint64_t deadline_ns)
{
	_Atomic uint32_t *armed = &lane->header->armed;

	uint32_t ticket;

	while ((ticket = atomic_load(armed)) != 0)
		if (carom_futex_wait(armed, ticket, deadline_ns) == -ETIMEDOUT)
			return -ETIMEDOUT;
	return 0;
}

/* ---- leave to begin ---- */

#define ANSWERS (CAROM_SLOT_GRANTED | CAROM_SLOT_REFUSED | CAROM_SLOT_DOOMED)

bool carom_lane_ask_leave(struct carom_lane *lane, uint32_t slot)
{
	struct carom_slot *task = &lane->view.slots[slot];
	uint64_t word;

	carom_lane_notice(lane, slot);
	while (word = atomic_load(&task->word), !(word & ANSWERS))
		carom_futex_wait(slot_futex(task), (uint32_t)word, CAROM_NO_DEADLINE);
	return word & CAROM_SLOT_GRANTED;
}

bool carom_lane_give_leave(struct carom_lane *lane, uint32_t slot, uint32_t generation,
			   bool granted)
{
	struct carom_slot *task = &lane->view.slots[slot];
	uint64_t seen = atomic_load(&task->word);
	uint64_t answer = granted ? CAROM_SLOT_GRANTED : CAROM_SLOT_REFUSED;

	do {
		if (carom_slot_generation(seen) != generation ||
		    carom_slot_state(seen) != CAROM_SLOT_RUNNING ||
		    seen & (CAROM_SLOT_GRANTED | CAROM_SLOT_REFUSED))
			return false;
	} while (!atomic_compare_exchange_weak(&task->word, &seen, seen | answer));
	if (lane->dealer) {
		lane = carom_dealer_task(lane, slot, &slot, &seen);
		if (!lane)
			return true; /* and it will be killed */
		task = &lane->view.slots[slot];
		atomic_fetch_or(&task->word, answer);
	}
	carom_futex_wake(slot_futex(task), INT_MAX);
	return true;
}
