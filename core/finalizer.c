/*
 * Finalizer
 *
 * One list, in the order in which they run: the highest priority first, then the
 * newest. Who unlinks an entry runs it, so each runs once.
 *
 *   N1  The list belongs to the process `origin`. Another process that finds it is a
 *       child; it drops what is in it, and numbers up to `inherited` are its parent's.
 *   N2  The list is whole after each single store: a child may be made between any
 *       two, and gives the entries back.
 */
#include "core/finalizer.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/finalizer_private.h"
#include "core/fork_lock.h"
#include "core/log.h"
#include "core/origin.h"
#include "core/written.h"

struct entry {
	uint64_t number;
	int priority;
	carom_finalizer_fn *function;
	void *userdata;
	_Atomic(struct entry *) next;
};

static CAROM_FORK_LOCK(lock);
static uint64_t origin CAROM_WRITTEN;
static uint64_t last_number;
static uint64_t inherited CAROM_WRITTEN;
static _Atomic(struct entry *) first;

static struct entry *follow(_Atomic(struct entry *) *place)
{
	/* relaxed: under the lock */
	return atomic_load_explicit(place, memory_order_relaxed);
}

static void point(_Atomic(struct entry *) *place, struct entry *entry)
{
	/* release: a child copies memory in any order that is not forbidden; N2 */
	atomic_store_explicit(place, entry, memory_order_release);
}

static struct entry *unlink_entry(_Atomic(struct entry *) *place)
{
	struct entry *entry = follow(place);

	point(place, follow(&entry->next));
	return entry;
}

/* N1 */
static void own_the_list(void)
{
	if (origin && carom_origin_is(origin))
		return;
	while (follow(&first))
		free(unlink_entry(&first));
	inherited = last_number;
	origin = carom_origin();
}

static void acquire(void)
{
	carom_fork_lock_acquire(&lock);
	own_the_list();
}

static void release(void)
{
	carom_fork_lock_release(&lock);
}

/* Where the entry is linked; NULL if it is not, @ret_error saying why. */
static _Atomic(struct entry *) *find(uint64_t number, int *ret_error)
{
	_Atomic(struct entry *) *at = &first;

	while (follow(at) && follow(at)->number != number)
		at = &follow(at)->next;
	if (follow(at))
		return at;
	if (number == 0 || number > last_number)
		*ret_error = -EINVAL;
	else
		*ret_error = number <= inherited ? -ECHILD : -EALREADY;
	return NULL;
}

static int take(uint64_t number, struct entry **ret_entry)
{
	_Atomic(struct entry *) *place;
	int r = 0;

	acquire();
	place = find(number, &r);
	if (place)
		*ret_entry = unlink_entry(place);
	release();
	return r;
}

static void insert(struct entry *entry)
{
	_Atomic(struct entry *) *at = &first;

	entry->number = ++last_number;
	while (follow(at) && follow(at)->priority > entry->priority)
		at = &follow(at)->next;
	point(&entry->next, follow(at));
	point(at, entry);
}

/* ---- for everybody ---- */

int carom_finalizer_add(int priority, carom_finalizer_fn *function, void *userdata,
			uint64_t *ret_finalizer)
{
	struct entry *entry;

	if (!function || (priority == CAROM_FINALIZER_NEVER && !ret_finalizer))
		return -EINVAL;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->priority = priority;
	entry->function = function;
	entry->userdata = userdata;
	acquire();
	insert(entry);
	if (ret_finalizer)
		*ret_finalizer = entry->number;
	release();
	return 0;
}

int carom_finalizer_call(uint64_t finalizer)
{
	struct entry *entry = NULL;
	int r = take(finalizer, &entry);

	if (r == 0)
		r = entry->function(entry->userdata);
	free(entry);
	return r;
}

int carom_finalizer_cancel(uint64_t finalizer)
{
	struct entry *entry = NULL;
	int r = take(finalizer, &entry);

	free(entry);
	return r;
}

bool carom_finalizer_is_active(uint64_t finalizer)
{
	bool is_active;
	int r;

	acquire();
	is_active = find(finalizer, &r) != NULL;
	release();
	return is_active;
}

/* ---- at the end of a process, and at its beginning ---- */

/* The next one to run of those up to number @last; NULL if there is none. */
static struct entry *take_next(int min_priority, uint64_t last)
{
	_Atomic(struct entry *) *at = &first;
	struct entry *entry = NULL;

	acquire();
	while (follow(at) && follow(at)->number > last)
		at = &follow(at)->next;
	if (follow(at) && follow(at)->priority >= min_priority)
		entry = unlink_entry(at);
	release();
	return entry;
}

static uint64_t newest(void)
{
	uint64_t number;

	acquire();
	number = last_number;
	release();
	return number;
}

void carom_finalizers_run(int min_priority)
{
	uint64_t last = newest();
	struct entry *entry;

	while ((entry = take_next(min_priority, last))) {
		int r = entry->function(entry->userdata);

		if (r < 0)
			carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_FINALIZER_FAILED,
					"a finalizer of priority %d failed: %d", entry->priority,
					-r);
		free(entry);
	}
}

void carom_finalizers_clear(void)
{
	carom_fork_locks_renew();
	acquire();
	release();
}
