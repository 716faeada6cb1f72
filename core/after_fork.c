/*
 * After fork
 *
 *   F1  `ran_in` is the process in which the functions have run. A page that the
 *       kernel wipes in every child (core/origin.h) decides, so that a child by
 *       fork(), which runs them from atfork, and again by whoever made it, runs
 *       them once.
 *   F2  The list is whole after each single store, because a child may be made
 *       between any two: an entry is complete before it is linked, and unlinked
 *       before it is given back.
 *   F3  `next` is the entry that the walk comes to after the running function. Who
 *       removes that very entry moves it on.
 */
#include "core/after_fork.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/after_fork_private.h"
#include "core/fork_lock.h"
#include "core/log.h"
#include "core/origin.h"

struct entry {
	uint64_t number;
	carom_after_fork_fn *function;
	void *userdata;
	_Atomic(struct entry *) next;
};

static CAROM_FORK_LOCK(lock);
static _Atomic(struct entry *) first;
static uint64_t last_number;
static struct entry *next; /* F3 */
static uint64_t ran_in;    /* F1 */
static bool is_following;
static _Thread_local bool is_spared;
static _Thread_local bool is_delayed;

static struct entry *follow(_Atomic(struct entry *) *place)
{
	/* relaxed: under the lock, or in a child's only thread */
	return atomic_load_explicit(place, memory_order_relaxed);
}

static void point(_Atomic(struct entry *) *place, struct entry *entry)
{
	/* release: a child copies memory in any order that is not forbidden; F2 */
	atomic_store_explicit(place, entry, memory_order_release);
}

/* ---- in the child ---- */

static void run_one(const struct entry *entry)
{
	int r = entry->function(entry->userdata);

	if (r < 0)
		carom_log_event(CAROM_LOG_INFO, CAROM_LOG_EVENT_AFTER_FORK_FAILED,
				"a function that runs after fork failed: %d", -r);
}

/* The next one that was there when the walk began. */
static struct entry *step(uint64_t last)
{
	struct entry *entry;

	carom_fork_lock_acquire(&lock);
	entry = next;
	if (entry)
		next = follow(&entry->next);
	carom_fork_lock_release(&lock);
	return entry && entry->number <= last ? entry : NULL;
}

static void run_all(void)
{
	uint64_t last = last_number;
	struct entry *entry;

	next = follow(&first);
	while ((entry = step(last)))
		run_one(entry);
	next = NULL;
}

void carom_after_fork_run(void)
{
	uint64_t origin = carom_origin();
	bool spared = is_spared;

	if (ran_in == origin)
		return;
	ran_in = origin;
	carom_fork_locks_renew();
	is_spared = false; /* that was the parent's word for this child, not for the next */
	if (!spared)
		run_all();
}

void carom_after_fork_spare(bool spared)
{
	is_spared = spared;
}

void carom_after_fork_delay(bool delayed)
{
	is_delayed = delayed;
}

static void forked(void)
{
	if (!is_delayed)
		carom_after_fork_run();
	is_delayed = false;
}

/* ---- in the parent ---- */

/* Not before main(): these functions come after all that the library does at a fork. */
static int follow_forks(void)
{
	if (is_following)
		return 0;
	if (pthread_atfork(NULL, NULL, forked) != 0)
		return -ENOMEM;
	ran_in = carom_origin();
	is_following = true;
	return 0;
}

static void append(struct entry *entry)
{
	_Atomic(struct entry *) *end = &first;

	entry->number = ++last_number;
	while (follow(end))
		end = &follow(end)->next;
	point(end, entry);
}

int carom_after_fork_add(carom_after_fork_fn *function, void *userdata)
{
	struct entry *entry;
	int r;

	if (!function)
		return -EINVAL;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->function = function;
	entry->userdata = userdata;
	carom_fork_lock_acquire(&lock);
	r = follow_forks();
	if (r == 0)
		append(entry);
	carom_fork_lock_release(&lock);
	if (r < 0)
		free(entry);
	return r;
}

/* Where the last one of its kind is linked; NULL if there is none. */
static _Atomic(struct entry *) *find(carom_after_fork_fn *function, const void *userdata)
{
	_Atomic(struct entry *) *found = NULL;

	for (_Atomic(struct entry *) *at = &first; follow(at); at = &follow(at)->next)
		if (follow(at)->function == function && follow(at)->userdata == userdata)
			found = at;
	return found;
}

int carom_after_fork_remove(carom_after_fork_fn *function, void *userdata)
{
	_Atomic(struct entry *) *place;
	struct entry *entry = NULL;

	carom_fork_lock_acquire(&lock);
	place = find(function, userdata);
	if (place) {
		entry = follow(place);
		if (next == entry)
			next = follow(&entry->next);
		point(place, follow(&entry->next));
	}
	carom_fork_lock_release(&lock);
	free(entry);
	return place ? 0 : -ENOENT;
}
