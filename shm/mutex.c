/*
 * Mutex
 *
 * All that decides is one futex word:
 *
 *	0                   free, nobody sleeps
 *	WAITERS             free, somebody may sleep
 *	tid                 held; with OWNER_DIED: held by one who was told to repair
 *	OWNER_DIED          its holder died; free for whoever repairs
 *
 * WAITERS may be added to each of them. The node of a mutex that is held, being
 * taken or being released stands on the thread's robust list (shm/robust.h), so
 * that the kernel, when the thread dies, turns `tid` into OWNER_DIED and wakes a
 * sleeper.
 *
 *   I1  While anybody sleeps on the word, or was woken and has not looked yet,
 *       WAITERS is set: a taker keeps the bit it finds, so does the kernel, and a
 *       releaser leaves it in the free word. One place clears it, see I3.
 *   I2  A word that became free with WAITERS in it is followed by a wake-up: the
 *       releaser's own, or, if it died in between, the kernel's for its pending
 *       node.
 *   I3  WAITERS is cleared only by a releaser whose wake-up found nobody asleep,
 *       and only if nobody took the mutex since: nobody falls asleep on a free
 *       word (the kernel compares it), so there still is no sleeper. "Since" is
 *       the generation, which every release that leaves WAITERS counts up and
 *       which is compared in the same instruction.
 *   I4  `broken` is written by holders only and never goes back. Whoever takes a
 *       broken mutex releases it again and thereby wakes the next sleeper. A broken one
 *       keeps WAITERS, or OWNER_DIED, for ever: who finds 0 need not look whether it is.
 *
 * The order is nptl's: taking goes pending, word, link, pending off; releasing
 * goes pending, unlink, word, wake, pending off. Death between any two of them:
 *
 *	taking, before the word     not the owner. If the word is free, the kernel
 *	                            wakes a sleeper for the pending node: it may be
 *	                            that this thread had been woken for it.
 *	taking, word but no link    found by the pending node: OWNER_DIED
 *	held                        found on the list: OWNER_DIED
 *	releasing, unlinked         found by the pending node: OWNER_DIED, though all
 *	                            was done: the next holder repairs what is whole
 *	releasing, before the wake  word free, pending: the kernel wakes (I2)
 *	releasing, after the wake   nothing is left to do but to clear WAITERS, which
 *	                            costs the next release a system call, no more
 *
 * Why a generation, as an interleaving without it. R releases, leaves WAITERS,
 * wakes nobody and is preempted before it clears the bit. A takes the mutex; B and
 * E fall asleep; A releases and wakes B. Now R clears the bit. C takes the mutex as
 * if nobody slept; B dies before it looks, and the kernel sees an owner, C, and
 * leaves it at that. C releases without a wake-up, and E sleeps for ever.
 *
 * Why WAITERS stays in the free word, where glibc's mutex stores 0. R frees the
 * word and wakes B. C takes the word before B does, B dies, C releases a word
 * without the bit: again E is never woken.
 *
 * The second kind of wake-up in I2 rests on the kernel waking for a pending node
 * whenever the word names no owner, whatever its flags: Linux 6.2, and the stable
 * series since that time. An older one wakes only for the word 0; there a sleeper
 * whose releaser died within the two instructions waits for the next release.
 *
 * The kernel looks at 2048 nodes of one thread. A thread that has many gives further ones
 * to threads that do nothing else: shm/mutex_keep.c.
 *
 * tests/model/mutex.pml has this protocol, exhaustively.
 */
#include "shm/mutex.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/pid_namespace.h"
#include "core/points.h"
#include "core/probe.h"
#include "core/time.h"
#include "core/timespec.h"
#include "core/trace.h"
#include "shm/describe.h"
#include "shm/futex.h"
#include "shm/mutex_keep.h"
#include "shm/mutex_private.h"
#include "shm/robust.h"
#include "shm/spin.h"

enum mutex_kind {
	KIND_NONE, /* zeroed memory is no mutex */
	KIND_OWN,
	KIND_PTHREAD,
};

enum patience {
	TRY,
	WAIT,
	WAIT_UNTIL_A_SIGNAL,
};

/**
 * struct mutex_word - the word, and what tells its free states apart
 * @value:      the futex word
 * @generation: releases that left WAITERS; changed by the holder only (I3)
 */
struct mutex_word {
	uint32_t value;
	uint32_t generation;
};

/**
 * struct posix_mutex - what stands in for it
 * @owner:  thread id, which a pthread mutex does not tell
 * @torn:   its holder was told to repair, and has not yet
 * @broken: as above
 * @bell:   a futex word: 1 if anybody waits at it for the mutex to be released
 */
struct posix_mutex {
	pthread_mutex_t pthread;
	_Atomic int32_t owner;
	_Atomic uint32_t torn;
	_Atomic uint32_t broken;
	_Atomic uint32_t bell;
};

/**
 * struct mutex - what stands in struct carom_mutex
 * @kind: written once, before the mutex is shared
 */
struct mutex {
	union {
		struct own_mutex own;
		struct posix_mutex posix;
	};
	uint32_t kind;
};
_Static_assert(sizeof(struct mutex) <= sizeof(struct carom_mutex), "the storage has room");

/**
 * struct holder - for people
 * @tid:     0: nobody
 * @is_torn: its last holder died; who has it now is to repair
 */
struct holder {
	pid_t tid;
	bool is_torn;
	bool is_broken;
};

/* ---- the word ---- */

static uint64_t as_one(uint32_t value, uint32_t generation)
{
	struct mutex_word halves = { .value = value, .generation = generation };
	uint64_t one;

	memcpy(&one, &halves, sizeof(one));
	return one;
}

/* A1: sees all that was written before R1 or R2, or, by the kernel's exchange, by the dead. */
static bool exchange(struct own_mutex *mutex, uint32_t *seen, uint32_t value)
{
	return atomic_compare_exchange_strong_explicit(&mutex->value, seen, value,
						       memory_order_acquire, memory_order_relaxed);
}

/*
 * Return: 0 or -EOWNERDEAD with the mutex taken, -EBUSY or -EDEADLK with *@ret_seen
 * the word that says so.
 */
static int take_if_free(struct own_mutex *mutex, uint32_t tid, uint32_t *ret_seen)
{
	/* relaxed: a first guess, which the exchange checks */
	uint32_t seen = atomic_load_explicit(&mutex->value, memory_order_relaxed);

	while ((seen & FUTEX_TID_MASK) == 0)
		if (exchange(mutex, &seen, seen | tid)) /* I1: flags stay as they are */
			return seen & FUTEX_OWNER_DIED ? -EOWNERDEAD : 0;
	*ret_seen = seen;
	return (seen & FUTEX_TID_MASK) == tid ? -EDEADLK : -EBUSY;
}

/* Sleep while the word is @seen, once it says that somebody sleeps. */
static int sleep_on(struct own_mutex *mutex, uint32_t seen, uint64_t deadline_ns,
		    enum patience patience)
{
	uint32_t marked = seen | FUTEX_WAITERS;

	/* relaxed: the kernel compares the word again before it lets us sleep */
	if (seen != marked &&
	    !atomic_compare_exchange_strong_explicit(&mutex->value, &seen, marked,
						     memory_order_relaxed, memory_order_relaxed))
		return 0;
	CAROM_POINT("mutex.marked");
	CAROM_TRACE(lock_contended, &mutex->value, "mutex");
	if (patience == WAIT_UNTIL_A_SIGNAL)
		return carom_futex_wait_interruptible(&mutex->value, marked, deadline_ns);
	return carom_futex_wait(&mutex->value, marked, deadline_ns);
}

/* Who was woken is told so, and not that its wait was interrupted or too long. */
static int wait_and_take(struct own_mutex *mutex, uint32_t tid, uint64_t deadline_ns,
			 enum patience patience)
{
	int looks = carom_spin_count();
	uint32_t seen;
	int r;

	for (;;) {
		r = take_if_free(mutex, tid, &seen);
		if (r != -EBUSY)
			return r;
		if (looks-- > 0) {
			carom_spin_relax();
			continue;
		}
		r = sleep_on(mutex, seen, deadline_ns, patience);
		if (r == -ETIMEDOUT || (r == -EINTR && patience == WAIT_UNTIL_A_SIGNAL)) {
			/* whoever was woken may have been stopped before it took the mutex */
			int last = take_if_free(mutex, tid, &seen);

			return last == -EBUSY ? r : last;
		}
		CAROM_POINT("mutex.awake");
	}
}

/* The word has more than the holder's id in it. */
__attribute__((noinline)) static void give_to_waiters(struct own_mutex *mutex)
{
	/* relaxed: only the holder changes it, and R2 carries it on */
	uint32_t generation = atomic_load_explicit(&mutex->generation, memory_order_relaxed) + 1;
	uint64_t free_with_waiters = as_one(FUTEX_WAITERS, generation);

	atomic_store_explicit(&mutex->generation, generation, memory_order_relaxed);
	/* R2: as R1. A plain store: others add WAITERS to a held word, no more than that. */
	atomic_store_explicit(&mutex->value, FUTEX_WAITERS, memory_order_release);
	CAROM_POINT("mutex.freed");
	/* relaxed: written by this thread, or brought by A1 */
	if (carom_futex_wake(&mutex->value, 1) > 0 ||
	    atomic_load_explicit(&mutex->broken, memory_order_relaxed))
		return;
	CAROM_POINT("mutex.nobody");
	/* release: the next A1 may read this word instead of R2's */
	atomic_compare_exchange_strong_explicit(&mutex->both, &free_with_waiters,
						as_one(0, generation), memory_order_release,
						memory_order_relaxed);
}

/* R1: publishes what was written under the mutex; pairs with A1 in exchange() */
static inline bool give_if_alone(struct own_mutex *mutex, uint32_t tid)
{
	return atomic_compare_exchange_strong_explicit(&mutex->value, &tid, 0, memory_order_release,
						       memory_order_relaxed);
}

/* The holder lets go of the word; the node is unlinked and pending. */
static void give(struct own_mutex *mutex, uint32_t tid)
{
	if (!give_if_alone(mutex, tid))
		give_to_waiters(mutex);
}

/* ---- the mutex on the robust list ---- */

/* By its own list, or by a keeper's. */
static inline bool own_held_by(const struct own_mutex *mutex, uint32_t tid)
{
	/* relaxed: it is this thread's id only if this thread wrote it, or had it written */
	uint32_t seen = atomic_load_explicit(&mutex->value, memory_order_relaxed);

	return (seen & FUTEX_TID_MASK) == tid || carom_mutex_kept_for(mutex, seen) == tid;
}

void carom_own_mutex_give_up(const struct carom_robust *self, struct own_mutex *mutex)
{
	/* relaxed: others add WAITERS, no more */
	uint32_t seen = atomic_load_explicit(&mutex->value, memory_order_relaxed);

	carom_robust_begin(self, &mutex->link);
	carom_robust_remove(&mutex->link);
	CAROM_POINT("keep.forsaken");
	/* as the kernel does it; release: as R1 */
	while (!atomic_compare_exchange_weak_explicit(&mutex->value, &seen,
						      (seen & FUTEX_WAITERS) | FUTEX_OWNER_DIED,
						      memory_order_release, memory_order_relaxed))
		;
	if (seen & FUTEX_WAITERS)
		carom_futex_wake(&mutex->value, 1);
	carom_robust_end(self);
}

void carom_own_mutex_give_back(const struct carom_robust *self, struct own_mutex *mutex,
			       uint32_t tid)
{
	/* relaxed: the bit is this thread's as long as it holds the mutex */
	uint32_t seen = atomic_load_explicit(&mutex->value, memory_order_relaxed);

	carom_robust_begin(self, &mutex->link);
	CAROM_POINT("mutex.release_pending");
	if (seen & FUTEX_OWNER_DIED)
		atomic_store_explicit(&mutex->broken, 1, memory_order_relaxed); /* carried by R2 */
	carom_robust_remove(&mutex->link);
	CAROM_POINT("mutex.unlinked");
	give(mutex, tid);
	CAROM_POINT("mutex.given");
	carom_robust_end(self);
}

/* The thread holds others, too. */
__attribute__((noinline)) static int own_acquired_another(struct own_mutex *mutex)
{
	int r = carom_mutex_make_room(mutex);

	if (r < 0)
		carom_own_mutex_give_back(&carom_robust_list, mutex, carom_robust_known_tid());
	return r;
}

/*
 * The usual case, in few instructions: nobody has it or waits for it, nothing is to be
 * repaired, and it is not broken (I4). -EAGAIN: nothing has happened.
 */
static inline int own_acquire_free(struct own_mutex *mutex)
{
	const struct carom_robust self = carom_robust_list; /* which no store below changes */
	uint32_t tid = carom_robust_known_tid(), nobody = 0;

	if (!tid)
		return -EAGAIN;
	carom_robust_begin(&self, &mutex->link);
	CAROM_POINT("mutex.pending");
	if (!exchange(mutex, &nobody, tid)) {
		carom_robust_end(&self);
		return -EAGAIN;
	}
	CAROM_POINT("mutex.taken");
	carom_robust_push(&self, &mutex->link);
	CAROM_POINT("mutex.linked");
	carom_robust_end(&self);
	return carom_robust_is_alone(&self, &mutex->link) ? 0 : own_acquired_another(mutex);
}

/* Somebody began to wait meanwhile. */
__attribute__((noinline)) static int own_release_to_waiters(struct own_mutex *mutex)
{
	give_to_waiters(mutex);
	CAROM_POINT("mutex.given");
	carom_robust_end(&carom_robust_list);
	return 0;
}

/* @r: what came of it: the mutex is this thread's, and linked */
static int own_acquired(const struct carom_robust *self, struct own_mutex *mutex, uint32_t tid,
			int r)
{
	int full;

	if (r == -EOWNERDEAD) {
		CAROM_TRACE(owner_died, &mutex->value, "mutex");
		carom_mutex_outlive_holder(mutex);
	}
	/* relaxed: A1 has brought it */
	if (atomic_load_explicit(&mutex->broken, memory_order_relaxed)) {
		carom_own_mutex_give_back(self, mutex, tid);
		return -ENOTRECOVERABLE;
	}
	full = carom_robust_is_alone(self, &mutex->link) ? 0 : carom_mutex_make_room(mutex);
	if (full == 0)
		return r;
	if (r == -EOWNERDEAD)
		carom_own_mutex_give_up(self, mutex);
	else
		carom_own_mutex_give_back(self, mutex, tid);
	return full;
}

static int own_acquire(struct own_mutex *mutex, uint64_t deadline_ns, enum patience patience)
{
	const struct carom_robust *self = carom_robust_self();
	uint32_t tid, seen;
	int r;

	if (!self)
		return -EOPNOTSUPP;
	tid = carom_robust_tid(self);
	if (own_held_by(mutex, tid))
		return -EDEADLK;
	carom_robust_begin(self, &mutex->link);
	CAROM_POINT("mutex.pending");
	r = take_if_free(mutex, tid, &seen);
	if (r == -EBUSY && patience != TRY)
		r = wait_and_take(mutex, tid, deadline_ns, patience);
	if (r == 0 || r == -EOWNERDEAD) {
		CAROM_POINT("mutex.taken");
		carom_robust_push(self, &mutex->link);
		CAROM_POINT("mutex.linked");
	}
	carom_robust_end(self);
	return r == 0 || r == -EOWNERDEAD ? own_acquired(self, mutex, tid, r) : r;
}

static int own_release(struct own_mutex *mutex)
{
	const struct carom_robust *self = carom_robust_self();
	uint32_t tid;

	if (!self)
		return -EPERM;
	tid = carom_robust_tid(self);
	if (!own_held_by(mutex, tid))
		return -EPERM;
	if (carom_mutex_kept_for(mutex, atomic_load_explicit(&mutex->value, memory_order_relaxed)))
		return carom_mutex_release_kept(mutex);
	carom_own_mutex_give_back(self, mutex, tid);
	return 0;
}

static int own_consistent(struct own_mutex *mutex)
{
	const struct carom_robust *self = carom_robust_self();
	uint32_t seen;

	if (!self || !own_held_by(mutex, carom_robust_tid(self)))
		return -EPERM;
	/* release: a death after this must not hide the repair from the next holder */
	seen = atomic_fetch_and_explicit(&mutex->value, ~(uint32_t)FUTEX_OWNER_DIED,
					 memory_order_release);
	return seen & FUTEX_OWNER_DIED ? 0 : -EINVAL;
}

/*
 * ---- the pthread library's mutex instead ----
 *
 * Giving a mutex up is done here as above (I4) and not by the library: glibc 2.36
 * does not wake the next sleeper when a mutex is not recoverable, because it
 * compares a word that has WAITERS set as a signed number.
 *
 * All atomics are relaxed: `owner` is for people and for the thread that wrote it,
 * the others are read and written by holders only, whom the mutex orders.
 */

#define LOOK_AGAIN_NS CAROM_MILLISECONDS(100)

static int posix_init(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attributes;
	int r = pthread_mutexattr_init(&attributes);

	if (r)
		return -r;
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
	r = pthread_mutex_init(mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return -r;
}

/*
 * The C library's mutex stores 0 when it is released, so a sleeper can be forgotten as
 * told at the top: C releases a word without WAITERS, and E sleeps until somebody
 * contends again. So each sleeper contends again itself, now and then. This is the one
 * place that looks whether something happened, and only where the own one cannot be.
 */
static int posix_wait_until(pthread_mutex_t *mutex, uint64_t until_ns)
{
	struct timespec until = carom_timespec(until_ns);

	return -pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until);
}

static int posix_wait(pthread_mutex_t *mutex, uint64_t deadline_ns)
{
#ifdef __SANITIZE_THREAD__ /* does not know pthread_mutex_clocklock(), and kills nobody */
	if (deadline_ns == CAROM_NO_DEADLINE)
		return -pthread_mutex_lock(mutex);
#endif
	for (;;) {
		uint64_t until = carom_deadline_after(LOOK_AGAIN_NS);
		bool last = until >= deadline_ns;
		int r = posix_wait_until(mutex, last ? deadline_ns : until);

		if (last || r != -ETIMEDOUT)
			return r;
	}
}

/*
 * The library's own wait goes on after signals. This one sleeps at a bell which the next
 * release rings; that of a death rings nowhere, and neither does one that looks at the bell
 * right before this sets it.
 */
static int posix_wait_until_a_signal(struct posix_mutex *mutex, uint64_t deadline_ns)
{
	for (;;) {
		uint64_t until = carom_deadline_after(LOOK_AGAIN_NS);
		bool last = until >= deadline_ns;
		int r;

		atomic_store_explicit(&mutex->bell, 1, memory_order_relaxed);
		r = -pthread_mutex_trylock(&mutex->pthread);
		if (r != -EBUSY)
			return r;
		r = carom_futex_wait_interruptible(&mutex->bell, 1, last ? deadline_ns : until);
		if (r == -EINTR || (last && r == -ETIMEDOUT))
			return r;
	}
}

static bool posix_held(const struct posix_mutex *mutex)
{
	return atomic_load_explicit(&mutex->owner, memory_order_relaxed) == gettid();
}

static void posix_repaired(struct posix_mutex *mutex)
{
	pthread_mutex_consistent(&mutex->pthread);
	atomic_store_explicit(&mutex->torn, 0, memory_order_relaxed);
}

static void posix_give_back(struct posix_mutex *mutex)
{
	uint32_t must_ring;

	if (atomic_load_explicit(&mutex->torn, memory_order_relaxed)) {
		atomic_store_explicit(&mutex->broken, 1, memory_order_relaxed);
		posix_repaired(mutex); /* in the library's eyes */
	}
	atomic_store_explicit(&mutex->owner, 0, memory_order_relaxed);
	must_ring = atomic_exchange_explicit(&mutex->bell, 0, memory_order_relaxed);
	pthread_mutex_unlock(&mutex->pthread);
	if (must_ring)
		carom_futex_wake(&mutex->bell, INT_MAX);
}

/* @r: what the library said */
static int posix_acquired(struct posix_mutex *mutex, int r)
{
	if (r != 0 && r != -EOWNERDEAD)
		return r;
	atomic_store_explicit(&mutex->owner, gettid(), memory_order_relaxed);
	if (r == -EOWNERDEAD)
		atomic_store_explicit(&mutex->torn, 1, memory_order_relaxed);
	if (atomic_load_explicit(&mutex->broken, memory_order_relaxed) == 0)
		return r;
	posix_give_back(mutex);
	return -ENOTRECOVERABLE;
}

static int posix_acquire(struct posix_mutex *mutex, uint64_t deadline_ns, enum patience patience)
{
	if (patience == TRY)
		return posix_acquired(mutex, -pthread_mutex_trylock(&mutex->pthread));
	if (patience == WAIT_UNTIL_A_SIGNAL)
		return posix_acquired(mutex, posix_wait_until_a_signal(mutex, deadline_ns));
	return posix_acquired(mutex, posix_wait(&mutex->pthread, deadline_ns));
}

static int posix_release(struct posix_mutex *mutex)
{
	if (!posix_held(mutex))
		return -EPERM;
	posix_give_back(mutex);
	return 0;
}

static int posix_consistent(struct posix_mutex *mutex)
{
	if (!posix_held(mutex))
		return -EPERM;
	if (!atomic_load_explicit(&mutex->torn, memory_order_relaxed))
		return -EINVAL;
	posix_repaired(mutex);
	return 0;
}

/* ---- either ---- */

static struct mutex *inside(struct carom_mutex *mutex)
{
	struct mutex *m = (struct mutex *)mutex;

	assert(m->kind != KIND_NONE); /* carom_mutex_init() was not called */
	return m;
}

int carom_mutex_init(struct carom_mutex *mutex)
{
	struct mutex *m = (struct mutex *)mutex;
	int r;

	memset(mutex, 0, sizeof(*mutex));
	if (carom_probe(CAROM_FEATURE_ROBUST_LIST)) {
		m->kind = KIND_OWN;
		return 0;
	}
	r = posix_init(&m->posix.pthread);
	if (r == 0)
		m->kind = KIND_PTHREAD;
	return r;
}

__attribute__((noinline)) static int acquire_slowly(struct mutex *m, uint64_t deadline_ns,
						    enum patience patience)
{
	if (carom_is_inside()) /* its thread ids are other threads' as well */
		return -EOPNOTSUPP;
	if (m->kind == KIND_OWN)
		return own_acquire(&m->own, deadline_ns, patience);
	return posix_acquire(&m->posix, deadline_ns, patience);
}

static inline int acquire(struct carom_mutex *mutex, uint64_t deadline_ns, enum patience patience)
{
	struct mutex *m = (struct mutex *)mutex;
	int r = m->kind == KIND_OWN ? own_acquire_free(&m->own) : -EAGAIN;

	return r == -EAGAIN ? acquire_slowly(inside(mutex), deadline_ns, patience) : r;
}

int carom_mutex_acquire(struct carom_mutex *mutex, uint64_t deadline_ns)
{
	return acquire(mutex, deadline_ns, WAIT);
}

int carom_mutex_enter(struct carom_mutex *mutex)
{
	const struct timespec a_while = carom_timespec(CAROM_MILLISECONDS(1));
	int r;

	while ((r = carom_mutex_acquire(mutex, CAROM_NO_DEADLINE)) == -EAGAIN || r == -ENOMEM)
		nanosleep(&a_while, NULL);
	return r;
}

int carom_mutex_acquire_interruptible(struct carom_mutex *mutex, uint64_t deadline_ns)
{
	return acquire(mutex, deadline_ns, WAIT_UNTIL_A_SIGNAL);
}

int carom_mutex_try(struct carom_mutex *mutex)
{
	return acquire(mutex, CAROM_PASSED, TRY);
}

__attribute__((noinline)) static int release_slowly(struct mutex *m)
{
	return m->kind == KIND_OWN ? own_release(&m->own) : posix_release(&m->posix);
}

/* The usual case again: the word is the holder's id alone, nobody waits, nothing is torn. */
int carom_mutex_release(struct carom_mutex *mutex)
{
	const struct carom_robust self = carom_robust_list;
	struct mutex *m = (struct mutex *)mutex;
	struct own_mutex *own = &m->own;
	/* relaxed: it is this thread's id only if this thread wrote it */
	uint32_t seen = atomic_load_explicit(&own->value, memory_order_relaxed);

	if (m->kind != KIND_OWN || seen != self.seen_tid || !carom_robust_known_tid())
		return release_slowly(inside(mutex));
	carom_robust_begin(&self, &own->link);
	CAROM_POINT("mutex.release_pending");
	carom_robust_remove(&own->link);
	CAROM_POINT("mutex.unlinked");
	if (!give_if_alone(own, seen))
		return own_release_to_waiters(own);
	CAROM_POINT("mutex.given");
	carom_robust_end(&self);
	return 0;
}

void carom_mutex_releasep(struct carom_mutex **mutex)
{
	if (*mutex)
		carom_mutex_release(*mutex);
	*mutex = NULL;
}

int carom_mutex_consistent(struct carom_mutex *mutex)
{
	struct mutex *m = inside(mutex);

	return m->kind == KIND_OWN ? own_consistent(&m->own) : posix_consistent(&m->posix);
}

__attribute__((noinline)) static bool is_mine_slowly(const struct mutex *m)
{
	const struct carom_robust *self;

	if (m->kind != KIND_OWN)
		return posix_held(&m->posix);
	self = carom_robust_self();
	return self && own_held_by(&m->own, carom_robust_tid(self));
}

bool carom_mutex_is_mine(const struct carom_mutex *mutex)
{
	const struct mutex *m = (const struct mutex *)mutex;
	uint32_t tid = carom_robust_known_tid();

	if (m->kind != KIND_OWN || !tid)
		return is_mine_slowly(m);
	return own_held_by(&m->own, tid);
}

/* Each word is loaded by itself; together they need not be true of any one moment. */
static struct holder find_holder(const struct mutex *m)
{
	struct holder holder;
	uint32_t seen;

	/* relaxed, all of them: out of date at once, whatever the order */
	if (m->kind == KIND_OWN) {
		seen = atomic_load_explicit(&m->own.value, memory_order_relaxed);
		holder.tid = (pid_t)carom_mutex_kept_for(&m->own, seen);
		if (!holder.tid)
			holder.tid = (pid_t)(seen & FUTEX_TID_MASK);
		holder.is_torn = (seen & FUTEX_OWNER_DIED) != 0;
		holder.is_broken = atomic_load_explicit(&m->own.broken, memory_order_relaxed) != 0;
		return holder;
	}
	holder.tid = atomic_load_explicit(&m->posix.owner, memory_order_relaxed);
	holder.is_torn = atomic_load_explicit(&m->posix.torn, memory_order_relaxed) != 0;
	holder.is_broken = atomic_load_explicit(&m->posix.broken, memory_order_relaxed) != 0;
	return holder;
}

pid_t carom_mutex_owner(const struct carom_mutex *mutex)
{
	return find_holder((const struct mutex *)mutex).tid;
}

bool carom_mutex_is_torn(const struct carom_mutex *mutex)
{
	return find_holder((const struct mutex *)mutex).is_torn;
}

bool carom_mutex_is_broken(const struct carom_mutex *mutex)
{
	return find_holder((const struct mutex *)mutex).is_broken;
}

char *carom_mutex_describe_holder(const struct carom_mutex *mutex, char *text, size_t size)
{
	struct holder holder = find_holder((const struct mutex *)mutex);
	char thread[CAROM_DESCRIBE_MAX];

	if (holder.is_broken)
		snprintf(text, size, "broken");
	else if (holder.tid)
		snprintf(text, size, "owner=%s%s",
			 carom_describe_thread(holder.tid, thread, sizeof(thread)),
			 holder.is_torn ? " repairs" : "");
	else
		snprintf(text, size,
			 holder.is_torn ? "owner died, to be repaired" : "owner=nobody");
	return text;
}

char *carom_mutex_describe(const struct carom_mutex *mutex, char *text, size_t size)
{
	char holder[CAROM_DESCRIBE_MAX];

	snprintf(text, size, "<Mutex %s>",
		 carom_mutex_describe_holder(mutex, holder, sizeof(holder)));
	return text;
}
