/*
 * Event
 *
 * The whole state is one futex word: SET, WAITERS, and above them the times that the event
 * was cleared.
 *
 *	0         not set, nobody sleeps
 *	WAITERS   not set, somebody may sleep
 *	SET       set, with or without WAITERS; nobody sleeps
 *
 *   I1  A thread sleeps only on a word with WAITERS and without SET: the kernel compares it.
 *   I2  A word with WAITERS gets SET by the call that wakes all its sleepers, in one step
 *       (FUTEX_WAKE_OP), and never by another instruction. So nobody sleeps on a word with
 *       SET, and a setter that is killed has done both or neither.
 *   I3  SET goes in one step with WAITERS, and with one more time cleared. A clear of a word
 *       without SET changes nothing, so no sleeper's word is ever taken away.
 *   I4  A waiter that finds another count of times cleared than at its start has missed a set:
 *       the event was set meanwhile, and it need not wait for another one.
 *
 * Why two words would not do: between "set" and "wake" a setter can die, and who sleeps then
 * sleeps for ever. Why the setter does not simply store: a sleeper may have come since it
 * looked, and its WAITERS would be lost without a wake-up. What the kernel does is an OR,
 * right whatever has happened since the look: set meanwhile, it stays so; cleared meanwhile,
 * this set comes after that.
 *
 * The count has 30 bits: a waiter that is not woken up while the event is cleared exactly
 * 2^30 times goes on waiting.
 *
 * A waiter leaves nothing behind but WAITERS, which costs the next set a system call: one
 * that dies asleep is forgotten by the kernel.
 *
 * tests/model/event.pml has this protocol, exhaustively.
 */
#include "shm/event.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "core/points.h"
#include "core/time.h"
#include "shm/futex.h"

#define SET     1u
#define WAITERS 2u
#define CLEARED 4u /* one time */

#define COUNT_MASK (~(SET | WAITERS))

/** struct event - what stands in struct carom_event */
struct event {
	_Atomic uint32_t word;
};
_Static_assert(sizeof(struct event) <= sizeof(struct carom_event), "the storage has room");

typedef int futex_wait_fn(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns);

static _Atomic uint32_t *word_of(struct carom_event *event)
{
	return &((struct event *)event)->word;
}

/* A1: sees all that was written before R1 or R2, and with a later count before an earlier set. */
static uint32_t look(const struct carom_event *event)
{
	return atomic_load_explicit(&((const struct event *)event)->word, memory_order_acquire);
}

void carom_event_init(struct carom_event *event)
{
	*event = (struct carom_event){ 0 };
}

void carom_event_set(struct carom_event *event)
{
	_Atomic uint32_t *word = word_of(event);
	/* relaxed: a first guess, which the exchange checks */
	uint32_t seen = atomic_load_explicit(word, memory_order_relaxed);

	while ((seen & (SET | WAITERS)) != WAITERS) {
		/* R1: also if it is set already, for what this process wrote; pairs with A1 */
		if (atomic_compare_exchange_weak_explicit(
			    word, &seen, seen | SET, memory_order_release, memory_order_relaxed))
			return;
	}
	CAROM_POINT("event.wakes");
	carom_futex_or_and_wake_all(word, SET); /* R2, I2 */
	CAROM_POINT("event.woke");
}

void carom_event_clear(struct carom_event *event)
{
	_Atomic uint32_t *word = word_of(event);
	/* relaxed: as above. A read-modify-write carries the release of the set on. */
	uint32_t seen = atomic_load_explicit(word, memory_order_relaxed);

	while (seen & SET)
		if (atomic_compare_exchange_weak_explicit(
			    word, &seen, (seen & COUNT_MASK) + CLEARED, memory_order_release,
			    memory_order_relaxed))
			return;
}

bool carom_event_is_set(const struct carom_event *event)
{
	return look(event) & SET;
}

/* Sleep while the word is @seen, once it says that somebody sleeps. */
static int sleep_on(_Atomic uint32_t *word, uint32_t seen, uint64_t deadline_ns,
		    futex_wait_fn *futex_wait)
{
	uint32_t marked = seen | WAITERS;

	/* relaxed: the kernel compares the word again before it lets us sleep */
	if (seen != marked &&
	    !atomic_compare_exchange_strong_explicit(word, &seen, marked, memory_order_relaxed,
						     memory_order_relaxed))
		return 0;
	CAROM_POINT("event.marked");
	return futex_wait(word, marked, deadline_ns);
}

/* An event that was set in the same moment wins over the deadline and over a signal. */
static int wait_for(struct carom_event *event, uint64_t deadline_ns, futex_wait_fn *futex_wait)
{
	uint32_t seen = look(event), began = seen;
	int saved_errno = errno, r = 0;

	while (!(seen & SET) && (seen & COUNT_MASK) == (began & COUNT_MASK)) { /* I4 */
		if (r == -ETIMEDOUT || r == -EINTR)
			return r;
		r = sleep_on(word_of(event), seen, deadline_ns, futex_wait);
		errno = saved_errno;
		CAROM_POINT("event.awake");
		seen = look(event);
	}
	return 0;
}

static int sleep_through_signals(const _Atomic uint32_t *word, uint32_t expected,
				 uint64_t deadline_ns)
{
	int r = carom_futex_wait(word, expected, deadline_ns);

	return r == -EINTR ? 0 : r;
}

int carom_event_wait(struct carom_event *event, uint64_t deadline_ns)
{
	return wait_for(event, deadline_ns, sleep_through_signals);
}

int carom_event_wait_interruptible(struct carom_event *event, uint64_t deadline_ns)
{
	return wait_for(event, deadline_ns, carom_futex_wait_interruptible);
}

char *carom_event_describe(const struct carom_event *event, char *text, size_t size)
{
	snprintf(text, size, "<Event %s>", carom_event_is_set(event) ? "set" : "not set");
	return text;
}
