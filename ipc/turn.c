/*
 * Turn
 *
 * One futex word: of which process it speaks, and FREE, HELD, or WANTED: held, and somebody
 * may sleep.
 *
 *   I1  A word of another process is as good as FREE: it was copied by fork().
 *   I2  Whoever has slept takes it as WANTED, since others may sleep still; so whoever
 *       gives it back wakes the next.
 */
#include "ipc/turn.h"

#include <errno.h>
#include <stdbool.h>

#include "core/origin.h"
#include "core/time.h"
#include "shm/futex.h"

enum { FREE, HELD, WANTED, STATE_MASK = 3 };

/* Of this process. Two that are parent and child have the same one time in 2^30. */
static uint32_t mark(void)
{
	return (uint32_t)(carom_origin() * UINT64_C(0x9e3779b97f4a7c15) >> 32) &
	       ~(uint32_t)STATE_MASK;
}

/* I1 */
static bool is_free(uint32_t word, uint32_t mine)
{
	return (word & STATE_MASK) == FREE || (word & ~(uint32_t)STATE_MASK) != mine;
}

static bool change(struct carom_turn *turn, uint32_t from, uint32_t to)
{
	/* A1: what the holder before did is seen; pairs with R1 in carom_turn_give() */
	return atomic_compare_exchange_strong_explicit(&turn->word, &from, to, memory_order_acquire,
						       memory_order_relaxed);
}

/* Sleeps until @turn, seen as @word, may be free. 0 or -ETIMEDOUT. */
static int sleep_on(struct carom_turn *turn, uint32_t word, uint32_t mine, uint64_t deadline_ns)
{
	if ((word & STATE_MASK) != WANTED && !change(turn, word, mine | WANTED))
		return 0;
	return carom_futex_wait(&turn->word, mine | WANTED, deadline_ns) == -ETIMEDOUT ? -ETIMEDOUT
										       : 0;
}

int carom_turn_take(struct carom_turn *turn, uint64_t deadline_ns)
{
	uint32_t mine = mark(), held = HELD;
	int r = 0;

	for (;;) {
		/* relaxed: A1 follows, or nothing was taken */
		uint32_t word = atomic_load_explicit(&turn->word, memory_order_relaxed);

		if (is_free(word, mine)) {
			if (change(turn, word, mine | held))
				return 0;
			continue;
		}
		if (deadline_ns == CAROM_PASSED)
			return -EAGAIN;
		if (r < 0)
			return r;
		r = sleep_on(turn, word, mine, deadline_ns);
		held = WANTED; /* I2 */
	}
}

void carom_turn_give(struct carom_turn *turn)
{
	/* R1: pairs with A1 in change() */
	uint32_t word = atomic_exchange_explicit(&turn->word, FREE, memory_order_release);

	if ((word & STATE_MASK) == WANTED)
		carom_futex_wake(&turn->word, 1);
}
