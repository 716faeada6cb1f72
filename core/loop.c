/*
 * Loop
 *
 * What the back ends have in common: the table of watches, the timers, the bell,
 * and the words that no back end can wait for. All of it comes down to
 * descriptors: the bell is an eventfd, the earliest timer or the deadline of a
 * run is one timerfd, and the helper threads of core/word_watch.h ring the bell. So a
 * back end waits for descriptors, without a timeout, and an idle loop sleeps in
 * one system call until something happens.
 *
 *   I1  A token names at most one watch, ever: a slot's generation moves on when
 *       its watch ends. Whatever a kernel interface reports late is dropped in
 *       carom_loop_slot_of(), and nowhere else.
 *   I2  The timerfd is set to the earliest timer whenever carom_loop_run_once()
 *       is not running, so the pollable descriptor tells of timers too.
 *   I3  Slots move when the table grows: a callback may have grown it, so
 *       pointers to slots do not outlive a call into the caller's code.
 *   I4  A loop that is lost touches no descriptor: all numbers are -1 from then on, and
 *       whatever looks at the kernel looks at is_lost before. Helper threads are joined
 *       between the two.
 *   I5  Who rings leaves his reason first (a report, is_rung, a completion), then writes to the bell.
 *       The loop reads the bell first, then takes the reasons. So
 *
 *		the reason is there		what happens
 *		before the bell is read		it is taken now; where the write comes after the
 *						read, one more round finds nothing
 *		between the read and the	likewise
 *		taking
 *		after the taking		the write comes after the read: the bell is
 *						readable, and the next round takes it
 *
 *       and what the loop leaves for the next round it rings for itself.
 */
#include "core/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/loop_backend.h"
#include "core/origin.h"
#include "core/probe.h"
#include "core/time.h"
#include "core/timespec.h"

#define SLOTS_MIN 64

/* --- slots ------------------------------------------------------------- */

uint64_t carom_loop_token(const struct carom_loop *loop, uint32_t index)
{
	return (uint64_t)loop->slots[index].generation << 32 | (index + 1) << 1;
}

struct carom_loop_slot *carom_loop_slot_of(struct carom_loop *loop, uint64_t token)
{
	uint32_t index = ((uint32_t)token >> 1) - 1; /* of NO_TOKEN: beyond any table */

	if (index >= loop->slot_count || !loop->slots[index].watch ||
	    loop->slots[index].generation != token >> 32)
		return NULL;
	return &loop->slots[index];
}

static int grow_slots(struct carom_loop *loop)
{
	uint32_t count = loop->slot_count ? loop->slot_count * 2 : SLOTS_MIN;
	struct carom_loop_slot *slots;

	if (count > INT32_MAX)
		return -ENOSPC;
	slots = reallocarray(loop->slots, count, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = loop->slot_count; i < count; i++)
		slots[i] = (struct carom_loop_slot){ .next = i + 1 };
	loop->slots = slots;
	loop->slot_count = count; /* the last one's next: none */
	return 0;
}

static int take_slot(struct carom_loop *loop, void *watch, uint32_t *ret_index)
{
	struct carom_loop_slot *slot;
	int r;

	/* the free list is empty exactly when it points to the end of the table */
	if (loop->first_free == loop->slot_count) {
		r = grow_slots(loop);
		if (r < 0)
			return r;
	}
	*ret_index = loop->first_free;
	slot = &loop->slots[*ret_index];
	loop->first_free = slot->next;
	*slot = (struct carom_loop_slot){ .watch = watch,
					  .generation = slot->generation,
					  .in_use = true };
	return 0;
}

void carom_loop_release(struct carom_loop *loop, uint32_t index)
{
	struct carom_loop_slot *slot = &loop->slots[index];

	assert(slot->in_use && !slot->is_listed);
	slot->watch = NULL;
	slot->in_use = false;
	slot->generation++; /* I1 */
	slot->next = loop->first_free;
	loop->first_free = index;
}

/* --- watches ----------------------------------------------------------- */

static void settle(struct carom_loop *loop)
{
	if (!loop->is_running && !loop->is_lost && loop->ops->settle)
		loop->ops->settle(loop);
}

static int watch_descriptor(struct carom_loop *loop, struct carom_loop_fd *watch, bool is_own)
{
	uint32_t index;
	int r;

	if (watch->token != CAROM_LOOP_NO_TOKEN)
		return -EALREADY;
	if (!carom_origin_is(loop->origin))
		return -ECHILD;
	if (loop->is_lost)
		return -EBADF;
	r = take_slot(loop, watch, &index);
	if (r < 0)
		return r;
	loop->slots[index].is_own = is_own;
	r = loop->ops->watch(loop, index);
	if (r < 0) {
		carom_loop_release(loop, index);
		return r;
	}
	watch->token = carom_loop_token(loop, index);
	settle(loop);
	return 0;
}

int carom_loop_watch_own(struct carom_loop *loop, struct carom_loop_fd *watch)
{
	return watch_descriptor(loop, watch, true);
}

int carom_loop_watch_fd(struct carom_loop *loop, struct carom_loop_fd *watch)
{
	return watch_descriptor(loop, watch, false);
}

/* A forked child's copy of the loop shares kernel objects with the parent: they stay as they are. */
static void unwatch_slot(struct carom_loop *loop, struct carom_loop_slot *slot)
{
	uint32_t index = (uint32_t)(slot - loop->slots);

	if (!carom_origin_is(loop->origin)) {
		slot->watch = NULL;
		return;
	}
	if (loop->is_lost) {
		carom_loop_release(loop, index);
		return;
	}
	loop->ops->unwatch(loop, index);
	settle(loop);
}

void carom_loop_unwatch_fd(struct carom_loop *loop, struct carom_loop_fd *watch)
{
	struct carom_loop_slot *slot = carom_loop_slot_of(loop, watch->token);

	watch->token = CAROM_LOOP_NO_TOKEN;
	if (slot)
		unwatch_slot(loop, slot);
}

static void deliver_word(struct carom_loop *loop, struct carom_loop_slot *slot)
{
	struct carom_loop_word *watch = slot->watch;

	carom_loop_release(loop, (uint32_t)(slot - loop->slots));
	watch->token = CAROM_LOOP_NO_TOKEN; /* it may be watched again from inside the callback */
	loop->callback_count++;
	watch->changed(watch);
}

static void deliver_descriptor(struct carom_loop *loop, const struct carom_loop_slot *slot)
{
	struct carom_loop_fd *watch = slot->watch;

	loop->callback_count += !slot->is_own;
	watch->ready(watch);
}

void carom_loop_deliver(struct carom_loop *loop, uint64_t token)
{
	struct carom_loop_slot *slot = carom_loop_slot_of(loop, token);

	if (token & CAROM_LOOP_GUEST) {
		loop->callback_count++;
		loop->guest(loop->userdata, token);
	} else if (slot && slot->is_word) {
		deliver_word(loop, slot);
	} else if (slot) {
		deliver_descriptor(loop, slot);
	}
}

/* any thread */
static void wake(struct carom_loop *loop)
{
	/* else fails only because the counter is full: then it rings already */
	if (carom_loop_is_intact(loop) && eventfd_write(loop->bell.fd, 1) < 0 && errno == EBADF)
		carom_canary_hit(&loop->canary);
}

/* --- words that need helper threads ------------------------------------ */

static void wake_for_words(void *loop)
{
	wake(loop);
}

static void deliver_words(struct carom_loop *loop)
{
	uint64_t token;
	int r = 1;

	/* bounded: a callback may watch a word that has changed already, again and again */
	for (uint32_t i = 0; i < loop->slot_count && r > 0; i++) {
		r = carom_word_watch_take(loop->words, &token);
		if (r > 0)
			carom_loop_deliver(loop, token);
	}
	if (r < 0)
		loop->error = r;
	if (r != 0)
		wake(loop); /* I5 */
}

static int need_word_watch(struct carom_loop *loop)
{
	if (loop->words)
		return 0;
	if (loop->goes_without_threads)
		return -EOPNOTSUPP;
	return carom_word_watch_new(wake_for_words, loop, &loop->words);
}

static int begin_word(struct carom_loop *loop, uint32_t index)
{
	struct carom_loop_word *watch = loop->slots[index].watch;
	int r;

	loop->slots[index].is_word = true;
	if (loop->has_native_words)
		return loop->ops->watch(loop, index);
	r = need_word_watch(loop);
	if (r < 0)
		return r;
	return carom_word_watch_add(loop->words, watch->word, watch->expected,
				    carom_loop_token(loop, index));
}

int carom_loop_watch_word(struct carom_loop *loop, struct carom_loop_word *watch)
{
	uint32_t index;
	int r;

	if (watch->token != CAROM_LOOP_NO_TOKEN)
		return -EALREADY;
	if (!carom_origin_is(loop->origin))
		return -ECHILD;
	if (loop->is_lost)
		return -EBADF;
	r = take_slot(loop, watch, &index);
	if (r < 0)
		return r;
	r = begin_word(loop, index);
	if (r < 0) {
		carom_loop_release(loop, index);
		return r;
	}
	watch->token = carom_loop_token(loop, index);
	settle(loop);
	return 0;
}

void carom_loop_unwatch_word(struct carom_loop *loop, struct carom_loop_word *watch)
{
	struct carom_loop_slot *slot = carom_loop_slot_of(loop, watch->token);

	if (slot && !loop->has_native_words && !loop->is_lost && carom_origin_is(loop->origin)) {
		carom_word_watch_remove(loop->words, watch->token);
		carom_loop_release(loop, (uint32_t)(slot - loop->slots));
	} else if (slot) {
		unwatch_slot(loop, slot);
	}
	watch->token = CAROM_LOOP_NO_TOKEN;
}

/* --- timers ------------------------------------------------------------ */

static uint64_t earliest(const struct carom_loop *loop)
{
	const struct carom_loop_timer *first = carom_timer_heap_first(&loop->timers);

	return first ? first->deadline_ns : CAROM_NO_DEADLINE;
}

/* Setting a timerfd also makes it unreadable, so nobody ever has to read it. */
static void set_clock(struct carom_loop *loop, uint64_t at_ns)
{
	struct itimerspec when = { 0 };
	uint64_t ns = at_ns == CAROM_PASSED ? 1 : at_ns; /* 0 would mean never */
	int r;

	if (at_ns == loop->armed_ns || loop->is_lost)
		return;
	if (at_ns != CAROM_NO_DEADLINE)
		when.it_value = carom_timespec(ns);
	r = timerfd_settime(loop->clock.fd, TFD_TIMER_ABSTIME, &when, NULL);
	if (r < 0)
		loop->error = -errno; /* it was taken away */
	loop->armed_ns = at_ns;
}

static void on_clock(struct carom_loop_fd *watch)
{
	(void)watch; /* that the wait ended is all: due timers are looked for in any case */
}

static void call_due_timers(struct carom_loop *loop)
{
	struct carom_loop_timer *timer;

	if (earliest(loop) == CAROM_NO_DEADLINE)
		return;
	loop->round_ns = carom_now();
	while (earliest(loop) <= loop->round_ns) {
		timer = carom_timer_heap_first(&loop->timers);
		carom_timer_heap_remove(&loop->timers, timer);
		loop->callback_count++;
		timer->expired(timer);
	}
	loop->round_ns = 0;
}

int carom_loop_timer_set(struct carom_loop *loop, struct carom_loop_timer *timer,
			 uint64_t deadline_ns)
{
	int r;

	if (!carom_origin_is(loop->origin))
		return -ECHILD;
	/* from a timer's callback: behind all that are due now, or it could starve them */
	if (deadline_ns <= loop->round_ns)
		deadline_ns = loop->round_ns + 1;
	r = carom_timer_heap_set(&loop->timers, timer, deadline_ns);
	if (r == 0 && !loop->is_running)
		set_clock(loop, earliest(loop)); /* I2 */
	return r;
}

void carom_loop_timer_clear(struct carom_loop *loop, struct carom_loop_timer *timer)
{
	carom_timer_heap_remove(&loop->timers, timer);
	if (!loop->is_running && carom_origin_is(loop->origin))
		set_clock(loop, earliest(loop)); /* I2 */
}

/* --- the bell ---------------------------------------------------------- */

static void on_bell(struct carom_loop_fd *watch)
{
	struct carom_loop *loop = watch->userdata;
	eventfd_t rings;

	if (eventfd_read(watch->fd, &rings) < 0) /* first: I5 */
		return;
	if (loop->ops->rung)
		loop->ops->rung(loop);
	if (loop->words)
		deliver_words(loop);
	/* A1 pairs with R1 in carom_loop_ring() */
	if (!atomic_exchange_explicit(&loop->is_rung, false, memory_order_acquire) || !loop->rung)
		return;
	loop->callback_count++;
	loop->rung(loop->userdata);
}

void carom_loop_ring(struct carom_loop *loop)
{
	int saved_errno = errno;

	/* R1 pairs with A1 in on_bell(): who is called sees what was written before this */
	atomic_store_explicit(&loop->is_rung, true, memory_order_release);
	wake(loop);
	errno = saved_errno;
}

void carom_loop_ring_again(struct carom_loop *loop)
{
	/* relaxed: A1 is what takes it; who sets it after this look writes after it, too */
	if (atomic_load_explicit(&loop->is_rung, memory_order_relaxed))
		wake(loop);
}

/* --- the loss of its descriptors --------------------------------------- */

static void on_guard(struct carom_loop_fd *watch)
{
	struct carom_loop *loop = watch->userdata;

	loop->error = -EBADF;
}

int carom_loop_guard(struct carom_loop *loop)
{
	int r = carom_canary_init(&loop->canary, !loop->goes_without_threads);

	if (r < 0)
		return r == -EOPNOTSUPP ? 0 : r;
	loop->guard = (struct carom_loop_fd){ .fd = loop->canary.fds[1],
					      .ready = on_guard,
					      .userdata = loop };
	return carom_loop_watch_own(loop, &loop->guard);
}

bool carom_loop_is_intact(const struct carom_loop *loop)
{
	return !loop->is_lost && (!loop->canary.cookies[0] || carom_canary_lives(&loop->canary));
}

bool carom_loop_must_wake(const struct carom_loop *loop)
{
	return loop->canary.cookies[0] && !loop->goes_without_threads;
}

/* I4; what was unwatched and waits for the kernel waits no more */
static void let_go_of_slots(struct carom_loop *loop)
{
	for (uint32_t i = 0; i < loop->slot_count; i++) {
		struct carom_loop_slot *slot = &loop->slots[i];

		slot->is_armed = false;
		slot->is_listed = false;
		if (slot->in_use && !slot->watch)
			carom_loop_release(loop, i);
	}
}

void carom_loop_lose(struct carom_loop *loop)
{
	if (loop->is_lost)
		return;
	loop->is_lost = true; /* before the threads are joined, which look at it: I4 */
	loop->words = carom_word_watch_free(loop->words);
	loop->ops->lose(loop);
	let_go_of_slots(loop);
	loop->bell.fd = -1;
	loop->clock.fd = -1;
}

bool carom_loop_is_lost(const struct carom_loop *loop)
{
	return loop->is_lost;
}

void carom_loop_tell_lost(struct carom_loop *loop)
{
	for (uint32_t i = 0; i < loop->slot_count; i++) {
		const struct carom_loop_slot *slot = &loop->slots[i];
		struct carom_loop_fd *watch = slot->watch;

		if (!watch || slot->is_word || slot->is_own)
			continue;
		watch->fd = -1;
		watch->ready(watch);
	}
}

/* --- a loop's life ----------------------------------------------------- */

static int open_uring(struct carom_loop *loop)
{
#if CAROM_HAVE_LIBURING
	int r;

	if (!carom_probe(CAROM_FEATURE_IO_URING))
		return -EOPNOTSUPP;
	loop->ops = &carom_loop_uring_ops;
	r = loop->ops->open(loop);
	return r == 0 || r == -EMFILE || r == -ENFILE || r == -ENOMEM ? r : -EOPNOTSUPP;
#else
	(void)loop;
	return -EOPNOTSUPP;
#endif
}

static int open_epoll(struct carom_loop *loop)
{
	loop->ops = &carom_loop_epoll_ops;
	return loop->ops->open(loop);
}

static int open_either(struct carom_loop *loop)
{
	int r = open_uring(loop);

	if (r == 0 || r == -EMFILE || r == -ENFILE)
		return r;
	/* -ENOMEM: before Linux 5.12 rings count as locked memory, and 64 KiB is soon used up */
	if (r == -ENOMEM)
		carom_log_event(CAROM_LOG_INFO, CAROM_LOG_EVENT_LOOP_FALLBACK,
				"loop: no memory for an io_uring: using epoll");
	return open_epoll(loop);
}

static int open_named(struct carom_loop *loop)
{
	const char *name = getenv("CAROM_LOOP");

	if (!name || !*name)
		return open_either(loop);
	if (strcmp(name, "io_uring") == 0)
		return open_uring(loop);
	return strcmp(name, "epoll") == 0 ? open_epoll(loop) : -EINVAL;
}

static int open_backend(struct carom_loop *loop, enum carom_loop_backend backend)
{
	switch (backend) {
	case CAROM_LOOP_AUTO:
		return open_named(loop);
	case CAROM_LOOP_IO_URING:
		return open_uring(loop);
	case CAROM_LOOP_EPOLL:
		return open_epoll(loop);
	}
	return -EINVAL;
}

static int open_own_fds(struct carom_loop *loop)
{
	int r;

	loop->bell.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->bell.fd < 0)
		return -errno;
	loop->clock.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->clock.fd < 0)
		return -errno;
	r = carom_loop_watch_own(loop, &loop->bell);
	return r < 0 ? r : carom_loop_watch_own(loop, &loop->clock);
}

int carom_loop_new(enum carom_loop_backend backend, void (*rung)(void *userdata), void *userdata,
		   struct carom_loop **ret_loop)
{
	CAROM_CLEANUP(carom_loop_freep) struct carom_loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (!loop)
		return -ENOMEM;
	loop->origin = carom_origin();
	loop->rung = rung;
	loop->userdata = userdata;
	loop->armed_ns = CAROM_NO_DEADLINE;
	loop->bell = (struct carom_loop_fd){ .fd = -1, .ready = on_bell, .userdata = loop };
	loop->clock = (struct carom_loop_fd){ .fd = -1, .ready = on_clock, .userdata = loop };
	r = open_backend(loop, backend);
	if (r < 0)
		return r;
	r = open_own_fds(loop);
	if (r < 0)
		return r;
	*ret_loop = carom_take_ptr(loop);
	return 0;
}

struct carom_loop *carom_loop_free(struct carom_loop *loop)
{
	bool is_copy;

	if (!loop)
		return NULL;
	is_copy = !carom_origin_is(loop->origin);
	assert(!loop->is_running || is_copy); /* not from a callback, but a callback may fork */
	loop->words = carom_word_watch_free(loop->words);
	if (loop->state)
		loop->ops->close(loop, is_copy);
	carom_closep(&loop->clock.fd);
	carom_closep(&loop->bell.fd);
	carom_canary_deinit(&loop->canary);
	carom_timer_heap_deinit(&loop->timers);
	free(loop->slots);
	free(loop);
	return NULL;
}

void carom_loop_freep(struct carom_loop **loop)
{
	*loop = carom_loop_free(*loop);
}

void carom_loop_go_without_threads(struct carom_loop *loop)
{
	loop->goes_without_threads = true;
}

const char *carom_loop_backend_name(const struct carom_loop *loop)
{
	return loop->ops->name;
}

static int run_round(struct carom_loop *loop, uint64_t deadline_ns)
{
	bool block = deadline_ns != CAROM_PASSED;
	uint64_t timer_ns = earliest(loop);
	int r;

	set_clock(loop, block && deadline_ns < timer_ns ? deadline_ns : timer_ns);
	if (loop->error < 0)
		return loop->error;
	r = loop->ops->wait(loop, block);
	if (r >= 0 && loop->error == 0)
		call_due_timers(loop);
	return r;
}

int carom_loop_run_once(struct carom_loop *loop, uint64_t deadline_ns)
{
	int r;

	assert(!loop->is_running); /* not from inside a callback */
	if (!carom_origin_is(loop->origin))
		return -ECHILD;
	if (!carom_loop_is_intact(loop))
		return -EBADF;
	loop->callback_count = 0;
	loop->error = 0;
	loop->is_running = true;
	/* again if all that came was meant for watches that are gone; not after a signal (0) */
	do
		r = run_round(loop, deadline_ns);
	while (r > 0 && loop->callback_count == 0 && loop->error == 0 && carom_now() < deadline_ns);
	loop->is_running = false;
	if (r < 0 || loop->error < 0)
		return r < 0 ? r : loop->error;
	set_clock(loop, earliest(loop)); /* I2 */
	settle(loop);
	return loop->callback_count;
}

void carom_loop_welcome(struct carom_loop *loop, void (*guest)(void *userdata, uint64_t data))
{
	loop->guest = guest;
}

int carom_loop_pollable_fd(struct carom_loop *loop)
{
	if (!carom_origin_is(loop->origin))
		return -ECHILD;
	return loop->is_lost ? -EBADF : loop->ops->pollable_fd(loop);
}
