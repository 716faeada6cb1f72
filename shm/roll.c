/*
 * Roll
 *
 *   L1  A row's word goes 0 -> keeper's thread id -> OWNER_DIED -> 0, or from the thread
 *       id back to 0 by leaving, or from OWNER_DIED to another thread id (L8). Entering and burying are compare-and-swaps of the whole
 *       sign that was seen, so of several one wins, and who is late buries nobody else.
 *   L2  A row is found by who reads `row_count` after it was entered: the count is raised
 *       before the word is set.
 *   L3  Whoever has entered and sleeps, or was woken and has not looked, is watched by
 *       every sleeper: one who fell asleep before looks again, since entering changes
 *       `entries`, which all sleepers watch.
 *   L4  `generation` is raised by the step that enters. So there is no moment at which a row
 *       is somebody's and has the name of who was there before, and who is about to die
 *       changes nothing of its row's next one.
 *   L5  A death wakes one of those who watch the row, and that one looks at all rows
 *       before it sleeps again or returns. If it dies before, L3 brings the next one.
 *   L6  Who is asleep has `lost` as its thread's pending node: when it dies there, the
 *       kernel wakes another sleeper, which looks at everything.
 *   L7  Nobody buries itself. A death may wake nobody, since all look for dead rows before
 *       they sleep; so a thread of the dying process that still runs must leave its row
 *       as it is, or who is about to sleep misses what that thread leaves undone.
 *   L8  Nor does who has no row yet, since nobody would hear of its own death. Where all rows
 *       are somebody's it sees to what the dead left, and takes one of their rows over: the
 *       exchange that ends the mark is the one that enters.
 *
 *   L9  A sleeper stands at `lost` before its own word is compared: the kernel queues one word
 *       after the other, and `lost` never changes. So whoever ended before that has taken its
 *       wake-up from who changed the word before that, and the comparison tells.
 *
 * Why the row's mark does not do for L6: the kernel decides a process's death for all
 * threads at once, but each of them leaves the queues of the futexes only when it runs
 * next, which may be long after the keeper did (a cgroup whose time is used up):
 *
 *	P asleep, killed           its keeper marks the row, which wakes S
 *	S awake                    buries P; somebody else has the lock: sleeps again
 *	that one releases          FUTEX_WAKE chooses P, which stands there still
 *	P's thread ends            without L6: S sleeps, and the lock is free
 *
 * `lost` is looked at by the kernel after the thread has left the queues, so a wake-up
 * that came to the dead is passed on, from one of the dead to the next if need be.
 *
 * Entering, and the deaths in between:
 *
 *	row_count raised           nobody is in the row yet; a hole that the next one fills
 *	the node pending, word set the kernel marks it: a dead row that held nothing
 *	linked                     likewise
 *	entries not yet changed    sleepers do not watch it; but it has not slept, so was
 *	                           not woken, and has buried nobody: nothing is lost with it
 *
 * L8, as an interleaving without it. A roll of two rows, of a condition:
 *
 *	S waits                    has given up the lock, and not looked at the rows yet
 *	D, with the lock, killed   its row is marked, which wakes nobody; there was something
 *	                           to be notified of
 *	N gets the lock            and is told: to notify is now up to N, which has to enter,
 *	                           finds no room, and buries D
 *	S looks                    finds the row free, and sleeps
 *	N, entering, killed        nobody knows of N; S sleeps for ever
 *
 * With L8 the row is marked until it is N's, and S either does not sleep or watches N.
 *
 * What it costs. Of n processes a sleeper has n + 2 words, and each but the first makes its
 * sleep 0.3 us longer. Two who hand something to and fro on one processor take 1.17 times as
 * long by futex_waitv(2) with two words as by futex(2), with three 1.28, with the four that
 * they have here 1.37; all else that shm/lock.c does then is 3 %. Why not fewer:
 *
 *	one word, with the id of the keeper in it and a node on the keeper's list, so that
 *	the kernel marks and wakes the very word that is slept on (each process with a link of
 *	its own, in a private page behind the word's). S1 and S2 sleep:
 *	  P killed, its keeper ends  the word is R's: nothing happens to it
 *	  R frees the word           FUTEX_WAKE chooses S1
 *	  P's thread, still running  takes the word, for a keeper whose list was walked
 *	  S1 killed, ends            its pending node's word names another: nobody is woken
 *	  P's thread ends            likewise; S2 sleeps for ever
 *	A word that has no id in it would pass S1's wake-up on; `lost` is that. And the one
 *	would have to be proven the living's before anybody sleeps on it: P's thread can take
 *	it between the look at P and the kernel's comparison, too.
 *
 *	one word without an id, and the keeper to watch the rows and to wake: each death would
 *	be heard of one turn of a thread later, and whoever enters would wake all processes
 *
 *	two words, `lost` and one that names the holder's keeper, which has a node for it: 1.18
 *	of futex(2) by themselves, and what a lock does besides is 12 % in the best case (a
 *	sleep on a single word, without all of this, is 1.12; that of shm/mutex.c as well)
 *
 *	one word and a timer, so that who is missed looks again: a timer costs as much as a
 *	word, and the lock was handed over in 1.23
 *
 *	sched_yield(2) before sleeping: 3.7 us to and fro instead of 5.3 and more, as long as
 *	nobody computes there. With one who does, 2 ms instead of 20 us.
 *
 * What is not watched. More than CAROM_ROLL_WATCHED_MAX others: futex_waitv(2) takes 128
 * words. Then, and where there is no futex_waitv (before Linux 5.16), sleepers look
 * again every 100 ms: the price of not being stuck.
 */
#include "shm/roll.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>

#include "core/pid_namespace.h"
#include "core/points.h"
#include "shm/futex.h"

/* Which of a sleeper's words is the one that is slept on for its own sake. */
#define OWN_WORD 1

size_t carom_roll_size(uint32_t capacity)
{
	return sizeof(struct carom_roll) + capacity * sizeof(struct carom_roll_row);
}

void carom_roll_init(struct carom_roll *roll, uint32_t capacity)
{
	roll->capacity = capacity;
}

/* ---- entering and leaving ---- */

static bool exchange_sign(struct carom_roll *roll, uint32_t row, struct carom_roll_sign seen,
			  struct carom_roll_sign sign)
{
	uint64_t from, to;

	memcpy(&from, &seen, sizeof(from));
	memcpy(&to, &sign, sizeof(to));
	return atomic_compare_exchange_strong(&roll->rows[row].sign, &from, to);
}

/**
 * struct entry
 * @dead: whose row it is to be; 0: nobody's
 * @name: set once it has a row
 */
struct entry {
	struct carom_roll *roll;
	uint32_t row;
	uint32_t dead;
	uint32_t name;
};

static bool is_of_dead(uint32_t row, struct carom_roll_sign sign, uint32_t name)
{
	return sign.word & FUTEX_OWNER_DIED && carom_roll_name(row, sign) == name;
}

/* in the keeper's thread, as nptl takes a robust mutex */
static int begin_life(const struct carom_robust *self, void *userdata)
{
	struct entry *entry = userdata;
	struct carom_roll_sign seen = carom_roll_sign(entry->roll, entry->row);
	struct carom_roll_sign mine = { .word = carom_life_word((pid_t)carom_robust_tid(self)),
					.generation = seen.generation + 1 };
	struct carom_life *life = &entry->roll->rows[entry->row].life;

	if (entry->dead ? !is_of_dead(entry->row, seen, entry->dead) : seen.word != 0)
		return -EBUSY;
	carom_robust_begin(self, &life->link);
	CAROM_POINT("roll.pending");
	if (exchange_sign(entry->roll, entry->row, seen, mine)) { /* L4, L8 */
		CAROM_POINT("roll.taken");
		carom_robust_push(self, &life->link);
		entry->name = carom_roll_name(entry->row, mine);
	}
	carom_robust_end(self);
	return entry->name ? 0 : -EBUSY;
}

static int end_life(const struct carom_robust *self, void *userdata)
{
	struct carom_life *life = userdata;

	carom_robust_begin(self, &life->link);
	carom_robust_remove(&life->link);
	CAROM_POINT("roll.unlinked");
	atomic_store(&life->word, 0);
	carom_robust_end(self);
	return 0;
}

/* as the kernel would, after it */
static int break_off_life(const struct carom_robust *self, void *userdata)
{
	struct carom_life *life = userdata;

	carom_robust_begin(self, &life->link);
	carom_robust_remove(&life->link);
	CAROM_POINT("roll.unlinked");
	atomic_store(&life->word, FUTEX_OWNER_DIED);
	CAROM_POINT("roll.broken_off");
	carom_futex_wake(&life->word,
			 1); /* killed before, the kernel does it for the pending node */
	carom_robust_end(self);
	return 0;
}

/* A row that nobody has, counted in (L2); or CAROM_ROLL_NOBODY. */
static uint32_t find_free(struct carom_roll *roll, uint32_t from)
{
	uint32_t count = atomic_load(&roll->row_count);

	for (uint32_t row = from; row < count; row++)
		if (atomic_load(&roll->rows[row].life.word) == 0)
			return row;
	while (count < roll->capacity)
		if (atomic_compare_exchange_weak(&roll->row_count, &count, count + 1))
			return count;
	return CAROM_ROLL_NOBODY;
}

static void announce(struct carom_roll *roll, uint32_t row)
{
	/* relaxed: for people */
	atomic_store_explicit(&roll->rows[row].pid, carom_pid_outside(), memory_order_relaxed);
	CAROM_POINT("roll.entered");
	atomic_fetch_add(&roll->entries, 1); /* L3 */
	carom_futex_wake(&roll->entries, INT32_MAX);
}

static int enter(struct entry *entry, uint32_t *ret_name, struct carom_keeper **ret_keeper)
{
	int r = carom_keeper_hold(begin_life, entry, ret_keeper);

	if (r < 0)
		return r;
	announce(entry->roll, entry->row);
	*ret_name = entry->name;
	return 0;
}

int carom_roll_enter(struct carom_roll *roll, uint32_t *ret_name, struct carom_keeper **ret_keeper)
{
	struct entry entry = { .roll = roll };
	int r = -EBUSY;

	for (; r == -EBUSY; entry.row++) {
		entry.row = find_free(roll, entry.row);
		if (entry.row == CAROM_ROLL_NOBODY)
			return -EUSERS;
		r = enter(&entry, ret_name, ret_keeper);
	}
	return r;
}

int carom_roll_take_over(struct carom_roll *roll, uint32_t dead, uint32_t *ret_name,
			 struct carom_keeper **ret_keeper)
{
	struct entry entry = { .roll = roll, .row = carom_roll_row_of(dead), .dead = dead };

	return enter(&entry, ret_name, ret_keeper);
}

void carom_roll_leave(struct carom_roll *roll, uint32_t row, struct carom_keeper *keeper)
{
	carom_keeper_drop(keeper, end_life, &roll->rows[row].life);
}

void carom_roll_break_off(struct carom_roll *roll, uint32_t row, struct carom_keeper *keeper)
{
	carom_keeper_drop(keeper, break_off_life, &roll->rows[row].life);
}

/* ---- the dead ---- */

uint32_t carom_roll_next_dead(const struct carom_roll *roll, uint32_t row, uint32_t mine)
{
	uint32_t count = atomic_load(&roll->row_count);

	for (; row < count; row++) {
		struct carom_roll_sign sign = carom_roll_sign(roll, row);
		uint32_t name = carom_roll_name(row, sign);

		if (sign.word & FUTEX_OWNER_DIED && name != mine) /* L7 */
			return name;
	}
	return 0;
}

void carom_roll_bury(struct carom_roll *roll, uint32_t name)
{
	uint32_t row = carom_roll_row_of(name);
	struct carom_roll_sign seen = carom_roll_sign(roll, row), nobody = seen;

	nobody.word = 0;
	if (is_of_dead(row, seen, name))
		exchange_sign(roll, row, seen, nobody); /* L1 */
}

/* ---- sleeping ---- */

/**
 * struct watch - what one sleep ends for
 * @is_whole: all rows are in it
 * @is_late:  one of them has died already
 */
struct watch {
	struct futex_waitv words[CAROM_ROLL_WATCHED_MAX + 3];
	unsigned int count;
	bool is_whole;
	bool is_late;
};

static void watch_word(struct watch *watch, const _Atomic uint32_t *word, uint32_t expected)
{
	watch->words[watch->count++] = (struct futex_waitv){ .val = expected,
							     .uaddr = (uintptr_t)word,
							     .flags = FUTEX_32 };
}

static void watch_row(struct watch *watch, const struct carom_roll_row *row)
{
	uint32_t alive = atomic_load(&row->life.word);

	if (alive & FUTEX_OWNER_DIED)
		watch->is_late = true;
	else if (alive && watch->count < CAROM_ROLL_WATCHED_MAX + 3)
		watch_word(watch, &row->life.word, alive);
	else if (alive)
		watch->is_whole = false;
}

static const struct carom_robust *begin_to_be_lost(struct carom_roll *roll)
{
	const struct carom_robust *self = carom_robust_self();

	if (self)
		carom_robust_begin(self, &roll->lost.link);
	return self;
}

/* Who enters after `entries` was read changes it, and the kernel compares (L3). */
static void watch_all(struct watch *watch, const struct carom_roll *roll, uint32_t mine)
{
	uint32_t count;

	watch_word(watch, &roll->entries, atomic_load(&roll->entries));
	count = atomic_load(&roll->row_count);
	for (uint32_t row = 0; row < count; row++)
		if (row != mine)
			watch_row(watch, &roll->rows[row]);
}

int carom_roll_watch(const struct carom_roll *roll, uint32_t row, struct futex_waitv *words,
		     unsigned int *ret_count)
{
	struct watch watch;

	watch.count = 0;
	watch.is_whole = true;
	watch.is_late = false;
	watch_all(&watch, roll, row);
	if (watch.is_late)
		return -EOWNERDEAD;
	if (!watch.is_whole || watch.count > CAROM_ROLL_WATCHED_MAX + 1)
		return -E2BIG;
	memcpy(words, watch.words, watch.count * sizeof(*words));
	*ret_count = watch.count;
	return 0;
}

static int sleep_watching(const struct watch *watch, struct carom_roll *roll, uint64_t deadline_ns,
			  unsigned int flags)
{
	const struct carom_robust *self = begin_to_be_lost(roll); /* L6 */
	int r;

	CAROM_POINT("roll.asleep");
	r = carom_futex_wait_any(watch->words, watch->count, OWN_WORD, watch->is_whole,
				 deadline_ns);
	if (self)
		carom_robust_end(self);
	CAROM_POINT("roll.awake");
	return r == -ETIMEDOUT || (r == -EINTR && flags & CAROM_ROLL_INTERRUPTIBLE) ? r : 0;
}

int carom_roll_sleep_for(struct carom_roll *roll, uint32_t row, const _Atomic uint32_t *word,
			 uint32_t expected, uint32_t name, uint64_t deadline_ns, unsigned int flags)
{
	struct watch watch;

	watch.count = 0; /* the words are not worth zeroing */
	watch.is_whole = true;
	watch.is_late = false;
	watch_word(&watch, &roll->lost.word, 0); /* L9 */
	watch_word(&watch, word, expected);
	watch_all(&watch, roll, row);
	/* only now: whoever lives and is not watched yet changes `entries` */
	if (watch.is_late || (name && !carom_roll_lives(roll, name)))
		return 0;
	return sleep_watching(&watch, roll, deadline_ns, flags);
}

int carom_roll_sleep(struct carom_roll *roll, uint32_t row, const _Atomic uint32_t *word,
		     uint32_t expected, uint64_t deadline_ns, unsigned int flags)
{
	return carom_roll_sleep_for(roll, row, word, expected, 0, deadline_ns, flags);
}
