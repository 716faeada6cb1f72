/*
 * Word watch
 *
 * One futex_waitv(2) takes 128 words, so every 127 watched words have a thread,
 * whose 128th word, `changes`, the loop's thread counts up when it has added or
 * removed one. The thread sleeps until any of them is not what it expects, looks
 * at all, moves those that changed to the list of reports, and sleeps again.
 *
 * Where there is only futex(2), every watched word has a thread, which sleeps at an
 * alias of it: the loop's thread takes that away when it has removed the word. A
 * thread waits for one word in its life, so no second one is there to confuse it
 * with, and the alias ends with the thread.
 *
 *   I1  Everything but `changes` is guarded by the lock. A thread reads watched
 *       words only under it: after a removal returns, the word's memory may go.
 *       (The kernel may still look at the address. It finds nothing there, says
 *       EFAULT, and `changes` has moved on.)
 *   I2  `changes` is counted up after the table has changed, and the thread reads
 *       it together with the table, under the lock: it cannot fall asleep over an
 *       old table.
 *   I3  There is room for a report of every watched word before it is watched,
 *       so threads need no memory.
 *   I4  A thread rings after it has added a report or set the error, and before it gives
 *       the lock back. Who has heard it, and takes until there is nothing, has missed none.
 */
#include "core/word_watch.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/origin.h"
#include "core/probe.h"
#include "core/thread_private.h"
#include "core/word_alias.h"

#define WORDS_MAX      (FUTEX_WAITV_MAX - 1)
#define FIRST_CAPACITY 128

struct entry {
	_Atomic uint32_t *word;
	uint64_t token;
	uint32_t expected;
};

/**
 * struct waiter - one thread and the words it waits for
 * @is_running:  the thread looks at the table again before it ends
 * @is_joinable: a thread was made and not joined yet
 * @alias:       where it sleeps if it has one word only
 */
struct waiter {
	struct carom_word_watch *watch;
	struct waiter *next;
	pthread_t thread;
	bool is_running;
	bool is_joinable;
	_Atomic uint32_t changes;
	struct carom_word_alias alias;
	unsigned int count;
	struct entry entries[]; /* room for watch->words_per_thread */
};

struct carom_word_watch {
	pthread_mutex_t lock;
	uint64_t origin;
	struct waiter *waiters;
	unsigned int words_per_thread;
	void (*ring)(void *userdata);
	void *userdata;
	int error;
	uint64_t *reports; /* tokens, the newest last */
	size_t report_count;
	size_t entry_count;
	size_t capacity; /* of reports; at least report_count + entry_count (I3) */
};

/* --- the helper threads ------------------------------------------------ */

static void remove_entry(struct waiter *waiter, unsigned int i)
{
	waiter->entries[i] = waiter->entries[--waiter->count];
	waiter->watch->entry_count--;
}

static void report_changed(struct waiter *waiter)
{
	struct carom_word_watch *watch = waiter->watch;
	size_t before = watch->report_count;

	for (unsigned int i = waiter->count; i-- > 0;) {
		const struct entry *entry = &waiter->entries[i];

		/* acquire: whoever is told of the change also sees what was written before it */
		if (atomic_load_explicit(entry->word, memory_order_acquire) == entry->expected)
			continue;
		watch->reports[watch->report_count++] = entry->token;
		remove_entry(waiter, i);
	}
	if (watch->report_count > before)
		watch->ring(watch->userdata); /* I4 */
}

static unsigned int fill_in(struct waiter *waiter, struct futex_waitv *words)
{
	unsigned int n = 0;

	words[n++] = (struct futex_waitv){
		/* relaxed: counted up under the lock that is held here (I2) */
		.val = atomic_load_explicit(&waiter->changes, memory_order_relaxed),
		.uaddr = (uintptr_t)&waiter->changes,
		.flags = FUTEX_32 | FUTEX_PRIVATE_FLAG,
	};
	for (unsigned int i = 0; i < waiter->count; i++)
		words[n++] = (struct futex_waitv){
			.val = waiter->entries[i].expected,
			.uaddr = (uintptr_t)waiter->entries[i].word,
			.flags = FUTEX_32,
		};
	return n;
}

/* Both sleep with the lock released. 0: look again; or negative errno: nobody can wait here. */
static int sleep_on_all(struct waiter *waiter)
{
	struct futex_waitv words[FUTEX_WAITV_MAX];
	unsigned int n = fill_in(waiter, words);
	long r;
	int error;

	pthread_mutex_unlock(&waiter->watch->lock);
	r = syscall(SYS_futex_waitv, words, n, 0, NULL, 0);
	error = errno;
	pthread_mutex_lock(&waiter->watch->lock);
	if (r >= 0 || error == EAGAIN || error == EINTR)
		return 0;
	/* relaxed: as in fill_in() */
	if (words[0].val != atomic_load_explicit(&waiter->changes, memory_order_relaxed))
		return 0; /* I1 */
	return -error;
}

static int sleep_on_one(struct waiter *waiter)
{
	struct entry entry = waiter->entries[0];
	int r;

	pthread_mutex_unlock(&waiter->watch->lock);
	r = carom_word_alias_sleep(&waiter->alias, entry.word, entry.expected);
	pthread_mutex_lock(&waiter->watch->lock);
	if (r == -EAGAIN || r == -EINTR || waiter->count == 0)
		return 0;
	return r;
}

static void *run_waiter(void *argument)
{
	struct waiter *waiter = argument;
	struct carom_word_watch *watch = waiter->watch;
	int r = 0;

	pthread_setname_np(pthread_self(), "carom-words");
	pthread_mutex_lock(&watch->lock);
	while (r == 0) {
		report_changed(waiter);
		if (waiter->count == 0)
			break;
		r = watch->words_per_thread > 1 ? sleep_on_all(waiter) : sleep_on_one(waiter);
	}
	if (r < 0) {
		watch->error = r;
		watch->ring(watch->userdata); /* I4 */
	}
	carom_word_alias_deinit(&waiter->alias);
	waiter->is_running = false;
	pthread_mutex_unlock(&watch->lock);
	return NULL;
}

/* --- the loop's side --------------------------------------------------- */

static int create_thread(struct waiter *waiter)
{
	int r;

	carom_threads_count(1);
	r = carom_thread_create(&waiter->thread, run_waiter, waiter);
	if (r < 0)
		carom_threads_count(-1);
	return r;
}

static void join_thread(struct waiter *waiter)
{
	pthread_join(waiter->thread, NULL);
	carom_threads_count(-1);
}

/* Called with the lock held, which the new thread takes first. */
static int start(struct waiter *waiter)
{
	bool started;

	if (waiter->is_running)
		return 0;
	/* one that has ended, or is past its last use of the lock */
	if (waiter->is_joinable)
		join_thread(waiter);
	started = create_thread(waiter) == 0;
	waiter->is_running = started;
	waiter->is_joinable = started;
	return started ? 0 : -ENOMEM;
}

static bool has_one_word(const struct waiter *waiter)
{
	return waiter->watch->words_per_thread == 1;
}

/* Have it look at the table again. */
static void tell(struct waiter *waiter)
{
	/* relaxed: see fill_in() */
	atomic_fetch_add_explicit(&waiter->changes, 1, memory_order_relaxed);
	syscall(SYS_futex, &waiter->changes, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static struct waiter *new_waiter(struct carom_word_watch *watch)
{
	size_t room = watch->words_per_thread * sizeof(struct entry);
	struct waiter *waiter = calloc(1, sizeof(*waiter) + room);

	if (!waiter)
		return NULL;
	waiter->watch = watch;
	waiter->next = watch->waiters;
	watch->waiters = waiter;
	return waiter;
}

static bool has_room(const struct waiter *waiter)
{
	if (has_one_word(waiter) && waiter->is_running)
		return false; /* on a word that was removed, perhaps, for an instant still */
	return waiter->count < waiter->watch->words_per_thread;
}

static struct waiter *waiter_with_room(struct carom_word_watch *watch)
{
	for (struct waiter *waiter = watch->waiters; waiter; waiter = waiter->next)
		if (has_room(waiter))
			return waiter;
	return new_waiter(watch);
}

static int reserve_report(struct carom_word_watch *watch)
{
	size_t needed = watch->report_count + watch->entry_count + 1;
	size_t capacity = watch->capacity ? watch->capacity * 2 : FIRST_CAPACITY;
	uint64_t *reports;

	if (needed <= watch->capacity)
		return 0;
	reports = reallocarray(watch->reports, capacity, sizeof(*reports));
	if (!reports)
		return -ENOMEM;
	watch->reports = reports;
	watch->capacity = capacity;
	return 0;
}

static int add_locked(struct carom_word_watch *watch, const struct entry *entry)
{
	struct waiter *waiter;
	int r = reserve_report(watch);

	if (r < 0)
		return r;
	waiter = waiter_with_room(watch);
	if (!waiter)
		return -ENOMEM;
	r = start(waiter);
	if (r == 0 && has_one_word(waiter))
		r = carom_word_alias_show(&waiter->alias, entry->word);
	if (r < 0)
		return r; /* a thread without a word ends */
	waiter->entries[waiter->count++] = *entry;
	watch->entry_count++;
	if (!has_one_word(waiter))
		tell(waiter);
	return 0;
}

int carom_word_watch_add(struct carom_word_watch *watch, _Atomic uint32_t *word, uint32_t expected,
			 uint64_t token)
{
	struct entry entry = { .word = word, .expected = expected, .token = token };
	int r;

	pthread_mutex_lock(&watch->lock);
	r = add_locked(watch, &entry);
	pthread_mutex_unlock(&watch->lock);
	return r;
}

/* With the lock held: the thread cannot end in between, and its alias with it. */
static void interrupt(struct waiter *waiter)
{
	if (has_one_word(waiter))
		carom_word_alias_take_away(&waiter->alias, waiter->entries[0].word);
	else
		tell(waiter);
}

static bool remove_from_waiter(struct waiter *waiter, uint64_t token)
{
	for (unsigned int i = 0; i < waiter->count; i++)
		if (waiter->entries[i].token == token) {
			remove_entry(waiter, i);
			interrupt(waiter);
			return true;
		}
	return false;
}

static void remove_report(struct carom_word_watch *watch, uint64_t token)
{
	for (size_t i = 0; i < watch->report_count; i++)
		if (watch->reports[i] == token)
			watch->reports[i] = watch->reports[--watch->report_count];
}

void carom_word_watch_remove(struct carom_word_watch *watch, uint64_t token)
{
	struct waiter *waiter;

	pthread_mutex_lock(&watch->lock);
	for (waiter = watch->waiters; waiter; waiter = waiter->next)
		if (remove_from_waiter(waiter, token))
			break;
	if (!waiter)
		remove_report(watch, token);
	pthread_mutex_unlock(&watch->lock);
}

int carom_word_watch_take(struct carom_word_watch *watch, uint64_t *ret_token)
{
	int r = 0;

	pthread_mutex_lock(&watch->lock);
	if (watch->report_count > 0) {
		*ret_token = watch->reports[--watch->report_count];
		r = 1;
	} else {
		r = watch->error;
	}
	pthread_mutex_unlock(&watch->lock);
	return r;
}

int carom_word_watch_new(void (*ring)(void *userdata), void *userdata,
			 struct carom_word_watch **ret_watch)
{
	struct carom_word_watch *watch;

	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	watch->ring = ring;
	watch->userdata = userdata;
	pthread_mutex_init(&watch->lock, NULL);
	watch->origin = carom_origin();
	watch->words_per_thread = carom_probe(CAROM_FEATURE_FUTEX_WAITV) ? WORDS_MAX : 1;
	*ret_watch = watch;
	return 0;
}

static void stop(struct waiter *waiter)
{
	pthread_mutex_lock(&waiter->watch->lock);
	if (waiter->count > 0)
		interrupt(waiter);
	waiter->count = 0;
	pthread_mutex_unlock(&waiter->watch->lock);
	if (waiter->is_joinable)
		join_thread(waiter);
}

struct carom_word_watch *carom_word_watch_free(struct carom_word_watch *watch)
{
	if (!watch)
		return NULL;
	while (watch->waiters) {
		struct waiter *waiter = watch->waiters;

		watch->waiters = waiter->next;
		if (carom_origin_is(watch->origin))
			stop(waiter);
		free(waiter);
	}
	free(watch->reports);
	free(watch);
	return NULL;
}
