/*
 * Wait
 *
 * Round by round: each thing is asked, and what tells of it is put into a set (ipc/wait_set.h);
 * if none is ready the set is slept on; then those that it may have told of are asked again.
 *
 *   W1  Who is asked may be ready for nothing that a descriptor or a word tells of: a message of
 *       which a part was read already. So all are asked before a sleep, and what was ready then
 *       counts whatever the descriptors say.
 *   W2  A thing that has begun to tell is asked once more by itself, behind that, so nothing
 *       comes between the question and the sleep.
 *   W3  A descriptor may be readable for nothing, and a word change for it. Then another round
 *       follows; it is the same deadline.
 */
#include "ipc/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "ipc/connection_private.h"
#include "ipc/waitable.h"

/**
 * struct watched - an item in this round
 * @how:      of carom_waitable_kind.begin
 * @is_begun: its end is due
 * @fd:       where its descriptor stands in the set, if it is not a waitable
 */
struct watched {
	size_t fd;
	uint32_t how;
	bool is_begun;
	bool is_ready;
};

/**
 * struct wait - a call
 * @ready_count: of this round
 */
struct wait {
	const struct carom_wait_item *items;
	size_t count;
	size_t ready_count;
	struct watched *watched;
	struct watched few[CAROM_WAIT_SET_FEW];
	struct carom_wait_set set;
};

static void mark(struct wait *wait, size_t i)
{
	wait->watched[i].is_ready = true;
	wait->ready_count++;
}

/* ---- before a sleep ---- */

static int fd_of(const struct carom_wait_item *item)
{
	if (item->connection)
		return carom_connection_poll_fd(item->connection);
	if (item->listener)
		return carom_listener_fd(item->listener);
	return item->fd < 0 ? -EBADF : item->fd;
}

/* W1 */
static int begin_fd(struct wait *wait, size_t i)
{
	const struct carom_wait_item *item = &wait->items[i];
	int fd = fd_of(item);
	int r;

	wait->watched[i].fd = wait->set.fd_count;
	r = fd < 0 ? fd : carom_wait_set_add_fd(&wait->set, fd);
	if (r == 0 && item->connection && carom_connection_has_message(item->connection))
		mark(wait, i);
	return r;
}

/* Once one is ready there will be no sleep: the others are only asked. */
static int begin_waitable(struct wait *wait, size_t i, bool may_sleep)
{
	struct carom_waitable *waitable = wait->items[i].waitable;
	struct watched *watched = &wait->watched[i];
	int r = waitable->kind->look(waitable);

	if (r == 0 && may_sleep && wait->ready_count == 0) {
		r = waitable->kind->begin(waitable, &wait->set, &watched->how);
		watched->is_begun = r == 0;
	}
	if (r > 0)
		mark(wait, i);
	return r < 0 ? r : 0;
}

static int begin_all(struct wait *wait, bool may_sleep)
{
	int r = 0;

	memset(wait->watched, 0, wait->count * sizeof(*wait->watched));
	wait->ready_count = 0;
	carom_wait_set_clear(&wait->set);
	for (size_t i = 0; r == 0 && i < wait->count; i++)
		r = wait->items[i].waitable ? begin_waitable(wait, i, may_sleep)
					    : begin_fd(wait, i);
	return r;
}

/* ---- after it ---- */

/* Return: 0, -EBADF */
static int end_fd(struct wait *wait, size_t i, short events)
{
	const struct carom_wait_item *item = &wait->items[i];

	if (events & POLLNVAL)
		return -EBADF;
	if (events && !wait->watched[i].is_ready &&
	    (!item->connection || carom_connection_confirm(item->connection)))
		mark(wait, i);
	return 0;
}

static int end_waitable(struct wait *wait, size_t i)
{
	struct carom_waitable *waitable = wait->items[i].waitable;
	int r;

	if (!wait->watched[i].is_begun)
		return 0;
	waitable->kind->end(waitable, wait->watched[i].how);
	r = waitable->kind->look(waitable);
	if (r > 0)
		mark(wait, i);
	return r < 0 ? r : 0;
}

/* @was_polled: the set's descriptors were asked. Return: @r, or what has gone wrong here */
static int end_all(struct wait *wait, int r, bool was_polled)
{
	for (size_t i = 0; i < wait->count; i++) {
		int one = 0;

		if (wait->items[i].waitable)
			one = end_waitable(wait, i);
		else if (was_polled)
			one = end_fd(wait, i, wait->set.fds[wait->watched[i].fd].revents);
		if (r == 0 || r == -ETIMEDOUT)
			r = one < 0 ? one : r;
	}
	return r;
}

/* ---- rounds ---- */

/* Return: 0: some may be ready; -ETIMEDOUT: likewise, and it was the last round; or why not. */
static int run_round(struct wait *wait, uint64_t deadline_ns)
{
	int r = begin_all(wait, deadline_ns != CAROM_PASSED);
	bool is_first = r == 0;

	if (r == 0)
		r = carom_wait_set_sleep(&wait->set,
					 wait->ready_count ? CAROM_PASSED : deadline_ns);
	return end_all(wait, r, is_first && (r == 0 || r == -ETIMEDOUT));
}

static int run(struct wait *wait, uint64_t deadline_ns)
{
	for (;;) {
		int r = run_round(wait, deadline_ns);

		if (r < 0 && r != -ETIMEDOUT)
			return r;
		if (wait->ready_count)
			return (int)wait->ready_count;
		if (deadline_ns == CAROM_PASSED)
			return -EAGAIN;
		if (deadline_ns != CAROM_NO_DEADLINE && carom_now() >= deadline_ns)
			return -ETIMEDOUT;
	}
}

static int wait_for(struct wait *wait, uint64_t deadline_ns)
{
	int r;

	wait->watched = wait->few;
	if (wait->count > CAROM_WAIT_SET_FEW)
		wait->watched = reallocarray(NULL, wait->count, sizeof(*wait->watched));
	if (!wait->watched)
		return -ENOMEM;
	carom_wait_set_init(&wait->set, wait->count > CAROM_WAIT_SET_FEW);
	r = run(wait, deadline_ns);
	carom_wait_set_deinit(&wait->set);
	return r;
}

int carom_wait(struct carom_wait_item *items, size_t count, uint64_t deadline_ns)
{
	struct wait wait;
	int r;

	if (count == 0)
		return -EINVAL;
	wait.items = items; /* the rest is not worth zeroing */
	wait.count = count;
	r = wait_for(&wait, deadline_ns);
	for (size_t i = 0; r > 0 && i < count; i++)
		items[i].is_ready = wait.watched[i].is_ready;
	if (wait.watched != wait.few)
		free(wait.watched);
	return r;
}
