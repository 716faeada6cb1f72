/*
 * Wait set
 *
 * Descriptors alone are one ppoll(2); words alone, as many as the kernel takes, are one
 * futex_waitv(2), or one futex(2). Where both are waited for, or more words, other threads
 * sleep on the words, for as long as this sleep lasts (core/word_watch.h), and tell of them by
 * a descriptor: so it is where there is no futex_waitv(2), too, with a thread for each
 * word. None of these wakes up but for what it waits for.
 */
#include "ipc/wait_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/private_fd.h"
#include "core/probe.h"
#include "core/time.h"
#include "core/timespec.h"
#include "core/word_watch.h"
#include "shm/futex.h"

/* ---- what is in it ---- */

void carom_wait_set_init(struct carom_wait_set *set, bool is_crowded)
{
	set->fds = set->few_fds;
	set->words = set->few_words;
	set->fd_room = set->word_room = CAROM_WAIT_SET_FEW;
	set->is_crowded = is_crowded;
	carom_wait_set_clear(set);
}

void carom_wait_set_deinit(struct carom_wait_set *set)
{
	if (set->fds != set->few_fds)
		free(set->fds);
	if (set->words != set->few_words)
		free(set->words);
}

void carom_wait_set_clear(struct carom_wait_set *set)
{
	set->fd_count = set->word_count = 0;
}

/* Room for one more; @few: where they stand as long as they are few. */
static int grow(void **items, size_t *room, size_t count, size_t item_size, const void *few)
{
	bool had_few = *items == few;
	void *grown;

	if (count < *room)
		return 0;
	grown = reallocarray(had_few ? NULL : *items, *room * 2, item_size);
	if (!grown)
		return -ENOMEM;
	if (had_few)
		memcpy(grown, few, count * item_size);
	*items = grown;
	*room *= 2;
	return 0;
}

int carom_wait_set_add_fd(struct carom_wait_set *set, int fd)
{
	int r = grow((void **)&set->fds, &set->fd_room, set->fd_count, sizeof(*set->fds),
		     set->few_fds);

	if (r == 0)
		set->fds[set->fd_count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	return r;
}

static bool is_last(const struct carom_wait_set *set, const struct futex_waitv *word)
{
	const struct futex_waitv *last;

	if (set->word_count == 0)
		return false;
	last = &set->words[set->word_count - 1];
	return last->uaddr == word->uaddr && last->val == word->val;
}

int carom_wait_set_add_word(struct carom_wait_set *set, const _Atomic uint32_t *word,
			    uint32_t expected)
{
	struct futex_waitv entry = { .val = expected, .uaddr = (uintptr_t)word, .flags = FUTEX_32 };
	int r;

	if (is_last(set, &entry))
		return 0;
	r = grow((void **)&set->words, &set->word_room, set->word_count, sizeof(*set->words),
		 set->few_words);
	if (r == 0)
		set->words[set->word_count++] = entry;
	return r;
}

/* ---- sleeping ---- */

/* Return: 0, -ETIMEDOUT, ... */
static int sleep_on_fds(struct carom_wait_set *set, uint64_t deadline_ns)
{
	uint64_t now = deadline_ns == CAROM_PASSED ? 0 : carom_now();
	struct timespec left = carom_timespec(deadline_ns > now ? deadline_ns - now : 0);
	int n = ppoll(set->fds, set->fd_count, deadline_ns == CAROM_NO_DEADLINE ? NULL : &left,
		      NULL);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}

static bool can_sleep_on_words(const struct carom_wait_set *set)
{
	if (set->word_count == 1)
		return true;
	return set->word_count <= FUTEX_WAITV_MAX && carom_probe(CAROM_FEATURE_FUTEX_WAITV);
}

static const _Atomic uint32_t *word_of(const struct futex_waitv *entry)
{
	return (const _Atomic uint32_t *)(uintptr_t)entry->uaddr;
}

static int sleep_on_words(const struct carom_wait_set *set, uint64_t deadline_ns)
{
	int r;

	if (set->word_count == 1)
		r = carom_futex_wait(word_of(set->words), (uint32_t)set->words->val, deadline_ns);
	else
		r = carom_futex_wait_any(set->words, (unsigned int)set->word_count, 0, true,
					 deadline_ns);
	return r == -EAGAIN || r == -EINTR ? 0 : r;
}

static int watch_words(const struct carom_wait_set *set, struct carom_word_watch *watch)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < set->word_count; i++)
		r = carom_word_watch_add(watch, (_Atomic uint32_t *)word_of(&set->words[i]),
					 (uint32_t)set->words[i].val, i);
	return r;
}

static void ring(void *bell_fd)
{
	(void)eventfd_write(*(const int *)bell_fd, 1);
}

/* The bell stands behind the other descriptors meanwhile. */
static int sleep_with_bell(struct carom_wait_set *set, int bell_fd, uint64_t deadline_ns)
{
	struct carom_word_watch *watch;
	int r = carom_word_watch_new(ring, &bell_fd, &watch);

	if (r < 0)
		return r;
	r = carom_wait_set_add_fd(set, bell_fd);
	if (r == 0) {
		r = watch_words(set, watch);
		if (r == 0)
			r = sleep_on_fds(set, deadline_ns);
		set->fd_count--;
	}
	carom_word_watch_free(watch);
	return r;
}

static int sleep_on_both(struct carom_wait_set *set, uint64_t deadline_ns)
{
	CAROM_CLEANUP(carom_closep) int bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct carom_private_fd private_fd = { 0 };
	int r;

	if (bell_fd < 0)
		return -errno;
	carom_private_fd_add(&private_fd, bell_fd);
	r = sleep_with_bell(set, bell_fd, deadline_ns);
	carom_private_fd_remove(&private_fd);
	return r;
}

int carom_wait_set_sleep(struct carom_wait_set *set, uint64_t deadline_ns)
{
	if (set->word_count == 0 || deadline_ns == CAROM_PASSED)
		return sleep_on_fds(set, deadline_ns);
	if (set->fd_count == 0 && can_sleep_on_words(set))
		return sleep_on_words(set, deadline_ns);
	return sleep_on_both(set, deadline_ns);
}
