/*
 * Queue: waiting
 *
 * Who waits sleeps on a bell: one word for all getters, one for all putters, one for all
 * who join. Its lowest bits say that somebody waits, and whether all of them are to be woken;
 * above is a number that each ringing changes.
 *
 *   B1  Whoever changes what somebody may wait for does so by a seq_cst store, and then looks at
 *       the bell.
 *   B2  Who is about to sleep sets the bit (seq_cst), and then looks once more at what it waits
 *       for. So either it sees the change, or it is seen. It sleeps on the bell as it was when it
 *       had set its bit: a ringing since ends the sleep, or never lets it begin.
 *   B3  Ringing clears the bits and changes the number in one exchange, then wakes. So while one
 *       who was woken is on its way nobody wakes another: a batch of messages costs one
 *       system call, not one each.
 *   B4  Therefore who leaves a sleep, for whatever reason, sets the bit again, since others may
 *       still sleep, and rings if there is something for them. It may have been the only one who
 *       was told.
 *   B5  Putters wait for different things: a place, or room for so many bytes. If one does so
 *       for bytes, all are woken, and each finds out for itself.
 *   B6  Who watches the queue beside other things does not sleep on the getters' bell, whose
 *       ringing wakes one who sees to the message: it has its own, which wakes all. That it is
 *       to be rung says a bit in the getters' bell. See ipc/queue_watch.c.
 *
 * The deaths (the kernel wakes one who sleeps for each process that died, shm/roll.h):
 *
 *	after the change, before ringing     the one who is woken rings all bells
 *	after the exchange, before waking    likewise
 *	woken, before B4                     likewise
 *	the one who is woken by a death      likewise: it rings first, and buries then
 *
 * All bells, and everybody: deaths are rare, and who looks once too often does no harm.
 */
#include <errno.h>
#include <limits.h>
#include <time.h>

#include "core/points.h"
#include "core/time.h"
#include "ipc/queue_private.h"
#include "shm/futex.h"
#include "shm/spin.h"

/* Who holds a lock for so long was stopped. */
#define GRACE_NS CAROM_MILLISECONDS(100)

/* ---- bells ---- */

/* B3. Return: what the bell was; without _WAITED and _WATCHED: nothing was done. */
static uint32_t exchange(_Atomic uint32_t *bell, bool even_if_nobody)
{
	uint32_t somebody = QUEUE_BELL_WAITED | QUEUE_BELL_WATCHED;
	uint32_t seen = atomic_load(bell), bits = somebody | QUEUE_BELL_ALL;

	while ((even_if_nobody || (seen & somebody)) &&
	       !atomic_compare_exchange_weak(bell, &seen, (seen & ~bits) + QUEUE_BELL_STEP))
		;
	return seen;
}

/* B6 */
static void ring_watchers(struct queue_state *state)
{
	atomic_fetch_add(&state->watch_bell, 1);
	CAROM_POINT("queue.ringing_watchers");
	carom_futex_wake(&state->watch_bell, INT_MAX);
}

/* The getters' is the only one that has the bit. */
static struct queue_state *state_of(_Atomic uint32_t *get_bell)
{
	return (struct queue_state *)((char *)get_bell - offsetof(struct queue_state, get_bell));
}

void carom_queue_ring_waited(_Atomic uint32_t *bell)
{
	uint32_t seen = exchange(bell, false);

	CAROM_POINT("queue.ringing");
	if (seen & QUEUE_BELL_WAITED)
		carom_futex_wake(bell, seen & QUEUE_BELL_ALL ? INT_MAX : 1);
	if (seen & QUEUE_BELL_WATCHED)
		ring_watchers(state_of(bell));
	CAROM_POINT("queue.rung");
}

static void ring_all(_Atomic uint32_t *bell)
{
	exchange(bell, true);
	CAROM_POINT("queue.ringing");
	carom_futex_wake(bell, INT_MAX);
}

void carom_queue_ring_all(struct carom_queue *queue)
{
	ring_all(&queue->state->get_bell);
	ring_watchers(queue->state);
	ring_all(&queue->state->put_bell);
	ring_all(&queue->state->join_bell);
}

/* B2. A waiter for bytes is not served by what the others were woken for (B5). */
void carom_queue_arm(struct queue_wait *wait, uint32_t flags)
{
	bool is_more = wait->armed && (flags & ~wait->armed);

	if (is_more)
		ring_all(wait->bell);
	wait->armed |= flags;
	wait->seen = atomic_fetch_or(wait->bell, wait->armed) | wait->armed;
}

/* ---- sleeping ---- */

static bool is_worth_a_look(struct queue_wait *wait)
{
	for (; wait->looks > 0; wait->looks--) {
		carom_spin_relax();
		/* relaxed: a guess */
		if (atomic_load_explicit(wait->watched, memory_order_relaxed) != wait->expected)
			return true;
	}
	return false;
}

int carom_queue_sleep(struct queue_wait *wait)
{
	struct carom_primitive *base = &wait->queue->base;
	int r;

	if (wait->deadline_ns == CAROM_PASSED)
		return -EAGAIN;
	if (wait->is_last)
		return -ETIMEDOUT;
	if (is_worth_a_look(wait))
		return 0;
	CAROM_POINT("queue.sleeping");
	r = carom_roll_sleep(base->roll, base->row, wait->bell, wait->seen, wait->deadline_ns, 0);
	CAROM_POINT("queue.awake");
	wait->has_slept = true;
	wait->is_last = r == -ETIMEDOUT;
	carom_queue_bury(wait->queue);
	return 0;
}

/* B4 */
void carom_queue_wait_end(struct queue_wait *wait, bool is_ready)
{
	if (!wait->has_slept)
		return;
	atomic_fetch_or(wait->bell, wait->armed);
	if (is_ready)
		carom_queue_ring(wait->bell);
}

/* ---- locks ---- */

/* Who holds very many locks waits for room for one more, as in carom_mutex_enter(). */
static int acquire(struct carom_mutex *mutex, uint64_t deadline_ns)
{
	const struct timespec a_while = { .tv_nsec = (long)CAROM_MILLISECONDS(1) };
	int r;

	while ((r = carom_mutex_acquire(mutex, deadline_ns)) == -EAGAIN || r == -ENOMEM)
		nanosleep(&a_while, NULL);
	return r;
}

static int lock(struct carom_mutex *mutex, uint64_t deadline_ns)
{
	uint64_t grace;
	int r;

	if (deadline_ns == CAROM_NO_DEADLINE)
		return acquire(mutex, deadline_ns);
	r = carom_mutex_try(mutex);
	if (r == 0 || r == -EOWNERDEAD)
		return r;
	grace = carom_deadline_after(GRACE_NS);
	return acquire(mutex, deadline_ns > grace ? deadline_ns : grace);
}

/* Return: @r, with 0 for -EOWNERDEAD. A thread may have died alone, without a word to the others. */
static int mend_put(struct carom_queue *queue, int r)
{
	if (r != -EOWNERDEAD)
		return r;
	atomic_store(&queue->state->leaks, 1);
	carom_mutex_consistent(&queue->state->put_lock);
	carom_queue_ring_all(queue);
	return 0;
}

static int mend_get(struct carom_queue *queue, int r)
{
	if (r != -EOWNERDEAD)
		return r;
	atomic_store(&queue->state->leaks, 1);
	carom_queue_recount(queue);
	CAROM_POINT("queue.recounted");
	carom_mutex_consistent(&queue->state->get_lock);
	carom_queue_ring_all(queue);
	return 0;
}

int carom_queue_lock_put(struct carom_queue *queue, uint64_t deadline_ns)
{
	return mend_put(queue, lock(&queue->state->put_lock, deadline_ns));
}

/* Who has shut it down may have died before that was done. */
static void empty(struct carom_queue *queue)
{
	if (carom_queue_is_empty(queue))
		return;
	carom_queue_discard(queue);
	carom_queue_ring_all(queue);
}

int carom_queue_lock_get(struct carom_queue *queue, uint64_t deadline_ns)
{
	int r = mend_get(queue, lock(&queue->state->get_lock, deadline_ns));

	if (r == 0 && __builtin_expect(atomic_load(&queue->state->life) == QUEUE_SHUT_NOW, 0))
		empty(queue);
	return r;
}

/* ---- the dead ---- */

bool carom_queue_is_alive(const struct carom_queue *queue)
{
	return carom_roll_lives(queue->base.roll, queue->base.name);
}

/* Q8: not @is_last: it is done again, with both locks */
static void bury_one(struct carom_queue *queue, uint32_t name, bool is_last)
{
	struct carom_roll *roll = queue->base.roll;

	carom_queue_bury_tasks(queue, name);
	atomic_store(&roll->rows[carom_roll_row_of(name)].role, 0);
	CAROM_POINT("queue.burying");
	carom_queue_ring_all(queue);
	CAROM_POINT("queue.told");
	if (is_last)
		carom_primitive_bury(&queue->base, name);
}

void carom_queue_bury(struct carom_queue *queue)
{
	const struct carom_roll *roll = queue->base.roll;
	uint32_t mine = carom_primitive_name(&queue->base);
	bool may_put;

	if (!carom_roll_next_dead(roll, 0, mine))
		return;
	may_put = carom_queue_lock_put(queue, CAROM_PASSED) == 0;
	/* if somebody was stopped with a lock the row is still there at the next look */
	if (carom_queue_lock_get(queue, CAROM_PASSED) == 0) {
		carom_roll_each_dead(roll, mine, name)
			bury_one(queue, name, may_put);
		carom_mutex_release(&queue->state->get_lock);
	}
	if (may_put)
		carom_mutex_release(&queue->state->put_lock);
}
