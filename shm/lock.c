/*
 * Lock
 *
 * All that decides is one word: the name of the process that holds it (shm/roll.h), or 0;
 * and WAITERS, if anybody may sleep.
 *
 *   I1  Only a word without a holder, or with one that is dead, is taken; the
 *       compare-and-swap that takes it is the only way in.
 *   I2  Nobody sleeps but on a word that has a holder and WAITERS: who is about to sets
 *       the bit, and the kernel compares.
 *   I3  A release takes WAITERS off the word and wakes one. Who slept takes the word with
 *       WAITERS in it, since it cannot know whether others sleep; and marks it again
 *       before it gives up, so that a wake-up that came to one who no longer wants it
 *       is not the last.
 *   I4  A row is buried only when the word does not name it, or no longer: a word may
 *       name nobody but say that its holder died. Should a thread of a dying process
 *       take the word after that, the name tells that it is nobody's.
 *   I5  A release ends the hold that it found, and no later one: a thread of a dying
 *       process that still gets there has been overtaken by who was told of the death.
 *       Once that hold has ended there was a moment at which nobody alive had the lock.
 *
 * The deaths, told by what happens next (see shm/roll.h: each wakes one sleeper):
 *
 *	a holder                      the sleeper finds a word that names the dead, takes it
 *	                              and is told
 *	a releaser before its wake    the word is free; the sleeper that the death woke takes
 *	                              it (a releaser has a row as well)
 *	one that was woken            likewise: it is the death that wakes the next one
 *	one that was told of a death  it had the lock: a holder like any other
 *
 * I3 and the last two lines together are what the generation in shm/mutex.c is for: there
 * nobody is told of the death of one who was only waiting.
 *
 * Uncontended: a compare-and-swap each way, no system call.
 *
 * tests/model/lock.pml has this protocol.
 */
#include "shm/lock.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/options.h"
#include "core/points.h"
#include "core/time.h"
#include "core/trace.h"
#include "shm/describe.h"
#include "shm/futex.h"
#include "shm/primitive.h"
#include "shm/spin.h"

#define WAITERS     FUTEX_WAITERS
#define HOLDER_MASK CAROM_ROLL_NAME_MASK

_Static_assert((WAITERS & HOLDER_MASK) == 0, "both fit into the word");

/**
 * struct lock_state - in shared memory
 * @tid: the thread that acquired it, for people
 */
struct lock_state {
	_Atomic uint32_t word;
	_Atomic int32_t tid;
};

struct carom_lock {
	struct carom_primitive base;
};

/* I4 */
static void bury_the_dead(struct carom_primitive *base)
{
	_Atomic uint32_t *word = &((struct lock_state *)base->file->state)->word;

	carom_roll_each_dead(base->roll, carom_primitive_name(base), dead) {
		uint32_t seen = atomic_load(word);

		while ((seen & HOLDER_MASK) == dead &&
		       !atomic_compare_exchange_weak(word, &seen,
						     CAROM_ROLL_NAME_DEAD | (seen & WAITERS)))
			;
		carom_primitive_bury(base, dead);
	}
}

static const struct carom_primitive_kind lock_kind = {
	.magic = UINT64_C(0x313030636b636f6c), /* "lockc001" in memory */
	.name = "lock",
	.state_size = sizeof(struct lock_state),
	.bury = bury_the_dead,
};

static struct lock_state *state_of(const struct carom_lock *lock)
{
	return (struct lock_state *)lock->base.file->state;
}

/* ---- making and ending ---- */

int carom_lock_new(const struct carom_lock_options *options, struct carom_lock **ret_lock)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = NULL;
	struct carom_lock_options o;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r < 0)
		return r;
	if (o.reserved)
		return -EINVAL;
	lock = calloc(1, sizeof(*lock));
	if (!lock)
		return -ENOMEM;
	r = carom_primitive_init(&lock->base, &lock_kind, o.name, o.process_max);
	if (r < 0)
		return r;
	*ret_lock = carom_take_ptr(lock);
	return 0;
}

int carom_lock_attach_dup(int fd, struct carom_lock **ret_lock)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = calloc(1, sizeof(*lock));
	int r;

	if (!lock)
		return -ENOMEM;
	r = carom_primitive_attach(&lock->base, &lock_kind, fd);
	if (r < 0)
		return r;
	*ret_lock = carom_take_ptr(lock);
	return 0;
}

/* by this process, by this handle */
static bool is_mine(const struct carom_lock *lock)
{
	if (!lock->base.roll || !carom_primitive_has_entered(&lock->base))
		return false;
	return (atomic_load(&state_of(lock)->word) & HOLDER_MASK) == lock->base.name;
}

struct carom_lock *carom_lock_free(struct carom_lock *lock)
{
	if (!lock)
		return NULL;
	carom_primitive_deinit(&lock->base, is_mine(lock));
	free(lock);
	return NULL;
}

void carom_lock_freep(struct carom_lock **lock)
{
	*lock = carom_lock_free(*lock);
}

int carom_lock_fd(const struct carom_lock *lock)
{
	return lock->base.fd;
}

/* ---- acquiring ---- */

/**
 * struct attempt - one call of one thread
 * @row, @name: its process's
 * @mark:  what it takes the word with besides its row: WAITERS once it slept (I3)
 * @flags: for the sleep
 */
struct attempt {
	struct carom_primitive *base;
	struct lock_state *state;
	struct carom_roll *roll;
	uint64_t deadline_ns;
	uint32_t row;
	uint32_t name;
	uint32_t mark;
	unsigned int flags;
};

/* In few instructions where that is possible: it is asked at each acquire. */
static inline int32_t own_tid(void)
{
	uint32_t known = carom_robust_known_tid();
	const struct carom_robust *self;

	if (known)
		return (int32_t)known;
	self = carom_robust_self();

	return self ? (int32_t)carom_robust_tid(self) : gettid();
}

/* A1: sees all that was written before R1, or by the dead. */
static inline bool exchange(struct lock_state *state, uint32_t *seen, uint32_t mine)
{
	if (!atomic_compare_exchange_strong_explicit(&state->word, seen, mine, memory_order_acquire,
						     memory_order_relaxed))
		return false;
	CAROM_POINT("lock.taken");
	/* relaxed: for people */
	atomic_store_explicit(&state->tid, own_tid(), memory_order_relaxed);
	return true;
}

/*
 * The usual case: nobody has it. The word is not looked at first, since a locked
 * instruction waits for what it is given.
 */
static inline bool take_unseen(struct carom_lock *lock)
{
	uint32_t nobody = 0;

	return carom_primitive_has_entered(&lock->base) &&
	       exchange(state_of(lock), &nobody, lock->base.name);
}

/* Return: 0 or -EOWNERDEAD with the lock taken, or -EBUSY with *@ret_seen the word that says so. */
static int take_if_free(const struct attempt *attempt, uint32_t *ret_seen)
{
	/* relaxed: a first guess, which the exchange checks */
	uint32_t seen = atomic_load_explicit(&attempt->state->word, memory_order_relaxed);

	for (;;) {
		uint32_t holder = seen & HOLDER_MASK;

		if (holder && carom_roll_lives(attempt->roll, holder)) {
			*ret_seen = seen;
			return -EBUSY;
		}
		if (!exchange(attempt->state, &seen,
			      attempt->name | attempt->mark | (seen & WAITERS))) /* I1 */
			continue;
		if (holder)
			CAROM_TRACE(owner_died, &attempt->state->word, "lock");
		return holder ? -EOWNERDEAD : 0;
	}
}

/* Sleep while the word is @seen, once it says that somebody sleeps. */
static int sleep_on(struct attempt *attempt, uint32_t seen)
{
	uint32_t marked = seen | WAITERS;

	bury_the_dead(attempt->base);
	/* relaxed: the kernel compares the word again before it lets us sleep */
	if (seen != marked &&
	    !atomic_compare_exchange_strong_explicit(&attempt->state->word, &seen, marked,
						     memory_order_relaxed, memory_order_relaxed))
		return 0;
	CAROM_POINT("lock.marked");
	CAROM_TRACE(lock_contended, &attempt->state->word, "lock");
	attempt->mark = WAITERS;
	return carom_roll_sleep_for(attempt->roll, attempt->row, &attempt->state->word, marked,
				    marked & HOLDER_MASK, attempt->deadline_ns, attempt->flags);
}

/* Whoever was woken may have been stopped before it took the lock. */
static int look_once_more(const struct attempt *attempt, int r)
{
	uint32_t seen;
	int last = take_if_free(attempt, &seen);

	return last == -EBUSY ? r : last;
}

static int wait_and_take(struct attempt *attempt)
{
	int looks = carom_spin_count();
	uint32_t seen;
	int r;

	for (;;) {
		r = take_if_free(attempt, &seen);
		if (r != -EBUSY)
			return r;
		if (looks-- > 0) {
			carom_spin_relax();
			continue;
		}
		r = sleep_on(attempt, seen); /* I3: after a wake-up it marks once more */
		if (r < 0)
			return look_once_more(attempt, r);
	}
}

static int begin(struct carom_lock *lock, struct attempt *attempt)
{
	int r = carom_primitive_row(&lock->base, &attempt->row);

	attempt->base = &lock->base;
	attempt->state = state_of(lock);
	attempt->roll = lock->base.roll;
	if (r == 0)
		attempt->name = lock->base.name;
	return r;
}

__attribute__((noinline)) static int acquire_slowly(struct carom_lock *lock, uint64_t deadline_ns,
						    unsigned int flags)
{
	struct attempt attempt = { .deadline_ns = deadline_ns, .flags = flags };
	int r = begin(lock, &attempt);

	return r < 0 ? r : wait_and_take(&attempt);
}

int carom_lock_acquire(struct carom_lock *lock, uint64_t deadline_ns)
{
	return take_unseen(lock) ? 0 : acquire_slowly(lock, deadline_ns, 0);
}

int carom_lock_acquire_interruptible(struct carom_lock *lock, uint64_t deadline_ns)
{
	return take_unseen(lock) ? 0 : acquire_slowly(lock, deadline_ns, CAROM_ROLL_INTERRUPTIBLE);
}

int carom_lock_try(struct carom_lock *lock)
{
	struct attempt attempt = { 0 };
	uint32_t seen;
	int r = begin(lock, &attempt);

	return r < 0 ? r : take_if_free(&attempt, &seen);
}

/* ---- releasing ---- */

/* It is another process's, or not held, or somebody waits, or this process is new here. */
__attribute__((noinline)) static int release_slowly(struct carom_lock *lock)
{
	struct lock_state *state = state_of(lock);
	uint32_t row, name, seen, holder;
	int r = carom_primitive_row(&lock->base, &row);

	if (r < 0)
		return r;
	name = lock->base.name;
	/* relaxed: a first guess, which the exchange checks */
	seen = atomic_load_explicit(&state->word, memory_order_relaxed);
	holder = seen & HOLDER_MASK;
	if (holder != name && !carom_roll_lives(lock->base.roll, name))
		return -EOVERFLOW; /* I5: this process is about to end, and the hold may be a later one */
	do {
		if (holder == 0 || (seen & HOLDER_MASK) != holder) /* I5 */
			return -EOVERFLOW;
		/* R1: publishes what was written under the lock; pairs with A1 in exchange() */
	} while (!atomic_compare_exchange_weak_explicit(
		&state->word, &seen, 0, memory_order_release, memory_order_relaxed));
	CAROM_POINT("lock.freed");
	if (seen & WAITERS)
		carom_futex_wake(&state->word, 1);
	return 0;
}

/* The usual case: this process has it, and nobody waits. R1, as above. */
static inline bool give_unseen(struct carom_lock *lock)
{
	uint32_t mine = lock->base.name;

	return carom_primitive_has_entered(&lock->base) &&
	       atomic_compare_exchange_strong_explicit(&state_of(lock)->word, &mine, 0,
						       memory_order_release, memory_order_relaxed);
}

int carom_lock_release(struct carom_lock *lock)
{
	if (!give_unseen(lock))
		return release_slowly(lock);
	CAROM_POINT("lock.freed");
	return 0;
}

/* ---- for people ---- */

int carom_lock_is_locked(const struct carom_lock *lock)
{
	uint32_t holder = atomic_load(&state_of(lock)->word) & HOLDER_MASK;

	return holder && carom_roll_lives(lock->base.roll, holder);
}

char *carom_lock_describe(const struct carom_lock *lock, char *text, size_t size)
{
	uint32_t holder = atomic_load(&state_of(lock)->word) & HOLDER_MASK;
	char who[CAROM_DESCRIBE_MAX];

	if (!holder)
		snprintf(text, size, "<Lock owner=nobody>");
	else if (!carom_roll_lives(lock->base.roll, holder))
		snprintf(text, size, "<Lock owner died>");
	else
		snprintf(
			text, size, "<Lock owner=%s>",
			carom_describe_thread(atomic_load(&state_of(lock)->tid), who, sizeof(who)));
	return text;
}
