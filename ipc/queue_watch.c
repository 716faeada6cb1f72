/*
 * Queue: watching
 *
 * To wait for what is to be got, beside other things, by one word: `watch_bell`. Each ringing
 * that is for who watches changes it, and wakes all who sleep there.
 *
 *   V1  Who watches takes no wake-up that is meant for another: a getter that is rung for sees to
 *       a message; one who watches may never. So it may die, or turn to something else, at any
 *       moment, and owes nobody anything.
 *   V2  It reads the bell, sets its bit in the getters' (seq_cst), and then looks. So either it
 *       sees the change, or it is seen (B1, B2 of ipc/queue_wait.c), and then the bell is no
 *       longer what it has read.
 *   V3  Of a death the kernel tells one sleeper only, and that one has to see to it, and to be
 *       replaced if it dies (shm/roll.h). Who watches cannot: the kernel may take its wake-up
 *       from a thread, or a ring, of which nothing is known. So its process has a minder, a
 *       thread that sleeps as a getter does, but for nothing else than deaths: it buries, which
 *       rings all bells.
 *
 * The minder is made by the first wait, and ends with the handle: where there is futex_waitv(2)
 * it costs nothing but its memory. Where there is none, it sleeps as all do there (shm/roll.c),
 * but only while somebody watches.
 */
#include <errno.h>

#include "core/fork_lock.h"
#include "core/origin.h"
#include "core/points.h"
#include "core/probe.h"
#include "core/thread_private.h"
#include "core/time.h"
#include "ipc/queue_private.h"
#include "shm/futex.h"

/* In a minder's word. */
#define STOP    1u
#define WATCHER 2u

/* Minders are made and counted under it: for moments. */
static CAROM_FORK_LOCK(lock);

/* ---- the minder ---- */

static void sleep_once(struct carom_queue *queue, uint32_t seen)
{
	struct carom_primitive *base = &queue->base;
	const _Atomic uint32_t *word = &queue->minder.word;

	if (seen < WATCHER && !carom_probe(CAROM_FEATURE_FUTEX_WAITV)) {
		carom_futex_wait(word, seen, CAROM_NO_DEADLINE);
		return;
	}
	carom_queue_bury(queue);
	carom_roll_sleep(base->roll, base->row, word, seen, CAROM_NO_DEADLINE, 0);
}

static void *mind(void *userdata)
{
	struct carom_queue *queue = userdata;
	uint32_t seen;

	pthread_setname_np(pthread_self(), "carom-minder");
	while (!((seen = atomic_load(&queue->minder.word)) & STOP))
		sleep_once(queue, seen);
	return NULL;
}

/* What a child by fork() has of its parent's counts for nothing. */
static void begin_anew(struct queue_minder *minder)
{
	if (minder->origin == carom_origin())
		return;
	minder->origin = 0;
	atomic_store(&minder->word, 0);
}

static int start(struct carom_queue *queue)
{
	struct queue_minder *minder = &queue->minder;
	int r;

	if (minder->origin)
		return 0;
	carom_threads_count(1);
	r = carom_thread_create(&minder->thread, mind, queue);
	if (r < 0)
		carom_threads_count(-1);
	else
		minder->origin = carom_origin();
	return r < 0 ? -ENOMEM : 0;
}

static int begin_minding(struct carom_queue *queue)
{
	struct queue_minder *minder = &queue->minder;
	int r;

	carom_fork_lock_acquire(&lock);
	begin_anew(minder);
	r = start(queue);
	if (r == 0 && atomic_fetch_add(&minder->word, WATCHER) < WATCHER &&
	    !carom_probe(CAROM_FEATURE_FUTEX_WAITV))
		carom_futex_wake(&minder->word, 1);
	carom_fork_lock_release(&lock);
	return r;
}

static void end_minding(struct carom_queue *queue)
{
	atomic_fetch_sub(&queue->minder.word, WATCHER);
}

void carom_queue_end_minder(struct carom_queue *queue)
{
	struct queue_minder *minder = &queue->minder;

	if (!minder->origin || !carom_origin_is(minder->origin))
		return;
	atomic_fetch_or(&minder->word, STOP);
	carom_futex_wake(&minder->word, 1);
	pthread_join(minder->thread, NULL);
	carom_threads_count(-1);
	minder->origin = 0;
}

/* ---- as something to wait for ---- */

static struct carom_queue *queue_of(struct carom_waitable *waitable)
{
	return (struct carom_queue *)((char *)waitable - offsetof(struct carom_queue, waitable));
}

static int look(struct carom_waitable *waitable)
{
	return carom_queue_is_gettable(queue_of(waitable));
}

/* V2 */
static int arm(struct carom_queue *queue, struct carom_wait_set *set)
{
	struct queue_state *state = queue->state;
	uint32_t seen = atomic_load(&state->watch_bell);

	atomic_fetch_or(&state->get_bell, QUEUE_BELL_WATCHED);
	CAROM_POINT("queue.watching");
	if (carom_queue_is_gettable(queue))
		return 1;
	return carom_wait_set_add_word(set, &state->watch_bell, seen);
}

static int begin(struct carom_waitable *waitable, struct carom_wait_set *set, uint32_t *ret_how)
{
	struct carom_queue *queue = queue_of(waitable);
	uint32_t row;
	int r = carom_primitive_row(&queue->base, &row);

	if (r < 0)
		return r == -EUSERS ? r : -ENOMEM;
	r = begin_minding(queue);
	if (r < 0)
		return r;
	carom_queue_bury(queue);
	r = arm(queue, set);
	if (r != 0)
		end_minding(queue);
	return r;
}

static void end(struct carom_waitable *waitable, uint32_t how)
{
	end_minding(queue_of(waitable));
}

const struct carom_waitable_kind carom_queue_waitable_kind = {
	.look = look,
	.begin = begin,
	.end = end,
};
