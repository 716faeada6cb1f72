/*
 * Lane: the parent waits
 *
 * For one task a thread looks at its word for a while, if that has paid of late
 * (patience.h), and then sleeps on it. For any task, or until a worker is ready, it
 * sleeps on a count: it draws a ticket, looks at what it is interested in, and sleeps
 * only as long as the count stands where the ticket says.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>

#include "core/time.h"
#include "ipc/lane.h"
#include "ipc/lane_private.h"
#include "shm/futex.h"

/* at a word, before the clock is looked at: some 0.3 us */
#define LOOKS 8

/* ---- for one task ---- */

/* is somebody at it, or about to take it up, on a CPU other than this one? */
static bool runs_elsewhere(const struct carom_lane *lane, uint64_t word, uint32_t cpu)
{
	bool taken = carom_slot_state(word) == CAROM_SLOT_RUNNING;

	for (uint32_t i = 0; i < lane->used_count; i++) {
		if (taken ? i != carom_slot_owner(word) : lane_is_idle(lane, i))
			continue;
		if (atomic_load_explicit(&lane->workers[i].cpu, memory_order_relaxed) != cpu)
			return true;
	}
	return false;
}

static bool watch(struct carom_slot *task, uint32_t generation, uint64_t *ret_word)
{
	for (int i = 0; i < LOOKS; i++) {
		*ret_word = atomic_load(&task->word);
		if (carom_lane_is_over(*ret_word, generation))
			return true;
		cpu_relax();
	}
	return false;
}

/*
 * On the workers' own CPU looking would keep them from their work. Giving it to them
 * costs less than a sleep and a wake-up, and they end several tasks in one go. If the
 * turn comes back late, others run there too, and a sleeper would have been preferred.
 */
static bool spin_for_end(struct carom_lane *lane, struct carom_slot *task, uint32_t generation,
			 uint64_t begun, uint64_t deadline_ns)
{
	uint32_t cpu = (uint32_t)sched_getcpu();
	uint64_t until = begun + lane->patience.limit_ns;
	bool over, late = false;
	uint64_t word;

	if (until > deadline_ns)
		until = deadline_ns;
	while (!(over = watch(task, generation, &word)) && carom_now() < until) {
		if (runs_elsewhere(lane, word, cpu))
			continue;
		sched_yield();
		late = carom_now() - begun > LANE_YIELD_LONG_NS;
	}
	carom_patience_learn(&lane->patience, over && !late);
	return over;
}

/* a worker that has the lane for itself may mean no good; and the parent may have answered meanwhile */
static bool is_in_vain(const struct carom_lane *lane, uint32_t slot, uint32_t *tries)
{
	return lane->arguments_segment &&
	       (atomic_load(&lane->own[slot].is_void) || ++*tries > LANE_TRIES_MAX);
}

static int sleep_until_over(struct carom_lane *lane, uint32_t slot, uint32_t generation,
			    uint64_t deadline_ns)
{
	struct carom_slot *task = &lane->view.slots[slot];
	uint32_t tries = 0;

	for (;;) {
		uint64_t word = atomic_load(&task->word);

		if (carom_lane_is_over(word, generation))
			return 0;
		if (is_in_vain(lane, slot, &tries))
			return -EAGAIN;
		if (!(word & CAROM_SLOT_WAITED)) {
			if (!atomic_compare_exchange_weak(&task->word, &word,
							  word | CAROM_SLOT_WAITED))
				continue;
			word |= CAROM_SLOT_WAITED;
		}
		if (carom_futex_wait(slot_futex(task), (uint32_t)word, deadline_ns) == -ETIMEDOUT)
			return carom_lane_is_over(atomic_load(&task->word), generation)
				       ? 0
				       : -ETIMEDOUT;
	}
}

/* P5 of lane_parent.c: who gives the slot back looks at the count */
static int sleep_for_end(struct carom_lane *lane, uint32_t slot, uint32_t generation,
			 uint64_t deadline_ns)
{
	int r;

	atomic_fetch_add(&lane->own[slot].sleeper_count, 1);
	r = sleep_until_over(lane, slot, generation, deadline_ns);
	atomic_fetch_sub(&lane->own[slot].sleeper_count, 1);
	return r;
}

int carom_lane_await(struct carom_lane *lane, uint32_t slot, uint32_t generation,
		     uint64_t deadline_ns, bool may_spin)
{
	struct carom_slot *task = &lane->view.slots[slot];
	uint64_t begun;
	int r;

	if (carom_lane_is_over(atomic_load(&task->word), generation))
		return 0;
	if (lane->dealer)
		return carom_dealer_await(lane, slot, generation, deadline_ns, may_spin);
	if (deadline_ns == CAROM_PASSED)
		return -ETIMEDOUT;
	if (!may_spin || !lane->patience.limit_ns)
		return sleep_for_end(lane, slot, generation, deadline_ns);
	begun = carom_now();
	if (carom_patience_may_spin(&lane->patience) &&
	    spin_for_end(lane, task, generation, begun, deadline_ns))
		return 0;
	r = sleep_for_end(lane, slot, generation, deadline_ns);
	if (carom_now() - begun < lane->patience.limit_ns)
		carom_patience_learn(&lane->patience, true); /* a spin would have seen it */
	return r;
}

/* P5 of lane_parent.c, as in sleep_for_end() */
int carom_lane_watch_end(struct carom_lane *lane, uint32_t slot, uint32_t generation,
			 const _Atomic uint32_t **ret_word, uint32_t *ret_expected)
{
	struct carom_slot *task = &lane->view.slots[slot];
	uint64_t word = atomic_load(&task->word);

	atomic_fetch_add(&lane->own[slot].sleeper_count, 1);
	do {
		if (carom_lane_is_over(word, generation)) {
			carom_lane_unwatch_end(lane, slot);
			return 1;
		}
	} while (!(word & CAROM_SLOT_WAITED) &&
		 !atomic_compare_exchange_weak(&task->word, &word, word | CAROM_SLOT_WAITED));
	*ret_word = slot_futex(task);
	*ret_expected = (uint32_t)(word | CAROM_SLOT_WAITED);
	return 0;
}

void carom_lane_unwatch_end(struct carom_lane *lane, uint32_t slot)
{
	atomic_fetch_sub(&lane->own[slot].sleeper_count, 1);
}

/* ---- for any task, or any worker ---- */

/*
 * The count is raised before the caller looks at slots, and a worker reads it after
 * its slot is DONE: either the caller sees the slot, or the worker sees the count.
 */
uint32_t carom_lane_expect(struct carom_lane *lane)
{
	atomic_fetch_add(&lane->header->watcher_count, 1);
	return atomic_load(&lane->header->ended_event);
}

void carom_lane_unexpect(struct carom_lane *lane)
{
	atomic_fetch_sub(&lane->header->watcher_count, 1);
}

int carom_lane_await_any(struct carom_lane *lane, uint32_t ticket, uint64_t deadline_ns)
{
	while (atomic_load(&lane->header->ended_event) == ticket)
		if (carom_futex_wait(&lane->header->ended_event, ticket, deadline_ns) == -ETIMEDOUT)
			return -ETIMEDOUT;
	return 0;
}

const _Atomic uint32_t *carom_lane_ended_word(const struct carom_lane *lane)
{
	return &lane->header->ended_event;
}

void carom_lane_tell_expecting(struct carom_lane *lane)
{
	if (atomic_load(&lane->header->watcher_count))
		carom_lane_announce(lane);
}

void carom_lane_announce(struct carom_lane *lane)
{
	atomic_fetch_add(&lane->header->ended_event, 1);
	carom_futex_wake(&lane->header->ended_event, INT_MAX);
}

uint32_t carom_lane_ready_ticket(const struct carom_lane *lane)
{
	return atomic_load(&lane->header->ready_event);
}

int carom_lane_await_ready(struct carom_lane *lane, uint32_t ticket, uint64_t deadline_ns)
{
	while (atomic_load(&lane->header->ready_event) == ticket)
		if (carom_futex_wait(&lane->header->ready_event, ticket, deadline_ns) == -ETIMEDOUT)
			return -ETIMEDOUT;
	return 0;
}
