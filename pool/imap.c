/*
 * Imap
 *
 * The iterator holds at most a window of results, in the order of the input. Whoever
 * asks for the next item fills the window from the input, hands out a result that is
 * ready (the first, or any), and sleeps only when there is none: there is no thread in
 * between, and nothing is read ahead of the window. The results are ordinary ones, so
 * a program short of slots can harvest them.
 *
 *   I1  An item that was taken from the input is pending, in flight, or was handed
 *       out: what cannot be submitted now is pending, and goes first next time.
 *   I2  The iterator counts as a reference to the pool (Q3), which so outlives it.
 */
#include "pool/imap.h"

#include <errno.h>
#include <stdlib.h>

#include "core/options.h"
#include "core/origin.h"
#include "pool/pool_private.h"

struct flight {
	struct carom_result *result;
	uint64_t index;
};

/**
 * struct carom_iterator
 * @flights: what was submitted and not handed out: a ring, from @begin on
 * @current: what was handed out last; its value is valid until the next
 * @pending*: an item of the input that could not be submitted yet
 * @index:   of the next item that is submitted
 * @end:     1 while there is input; then 0, or what the input's end was
 */
struct carom_iterator {
	struct carom_pool *pool;
	uint64_t origin;
	carom_task_fn *function;
	carom_next_item_fn *next;
	void *userdata;
	uint64_t limit_ns;
	uint64_t soft_ns;
	uint32_t retry_count;
	bool ordered;
	uint64_t window;
	struct flight *flights;
	uint64_t flight_begin;
	uint64_t flight_count;
	struct carom_result *current;
	const void *pending;
	size_t pending_size;
	bool has_pending;
	uint64_t index;
	int end;
};

static struct flight *flight_at(const struct carom_iterator *iterator, uint64_t position)
{
	return &iterator->flights[(iterator->flight_begin + position) % iterator->window];
}

/* ---- making ---- */

static uint64_t choose_window(const struct carom_pool *pool, uint64_t asked)
{
	uint64_t window = asked ? asked : pool->options.worker_count * 4;

	return window < pool->options.slot_count ? window : pool->options.slot_count;
}

static struct carom_iterator *make_iterator(const struct carom_iterator *plan)
{
	struct carom_iterator *iterator = malloc(sizeof(*iterator));

	if (!iterator)
		return NULL;
	*iterator = *plan;
	iterator->flights = calloc(iterator->window, sizeof(*iterator->flights));
	if (!iterator->flights) {
		free(iterator);
		return NULL;
	}
	return iterator;
}

static int begin_imap(const struct carom_iterator *plan, struct carom_iterator **ret_iterator)
{
	int r = carom_pool_enter(plan->pool);

	if (r < 0)
		return r;
	*ret_iterator = make_iterator(plan);
	if (*ret_iterator)
		plan->pool->reference_count++; /* I2 */
	carom_pool_leave(plan->pool);
	return *ret_iterator ? 0 : -ENOMEM;
}

static int imap(struct carom_pool *pool, bool ordered, carom_task_fn *function,
		carom_next_item_fn *next, void *userdata, const struct carom_imap_options *options,
		struct carom_iterator **ret_iterator)
{
	struct carom_iterator *iterator = NULL;
	struct carom_imap_options ours;
	int r = carom_options_take(options, &ours, sizeof(ours));

	if (r < 0)
		return r;
	if (!function || !next || !ret_iterator || ours.window > pool->options.slot_count)
		return -EINVAL;
	carom_limits_check_order(pool, ours.soft_limit_ns, ours.hard_limit_ns);
	r = begin_imap(
		&(struct carom_iterator){
			.pool = pool,
			.origin = pool->origin,
			.function = function,
			.next = next,
			.userdata = userdata,
			.limit_ns = ours.hard_limit_ns,
			.soft_ns = ours.soft_limit_ns,
			.retry_count = carom_pool_retries(pool, ours.retry_on_loss),
			.ordered = ordered,
			.window = choose_window(pool, ours.window),
			.end = 1,
		},
		&iterator);
	if (r == 0)
		*ret_iterator = iterator;
	return r;
}

int carom_pool_imap(struct carom_pool *pool, carom_task_fn *function, carom_next_item_fn *next,
		    void *userdata, const struct carom_imap_options *options,
		    struct carom_iterator **ret_iterator)
{
	return imap(pool, true, function, next, userdata, options, ret_iterator);
}

int carom_pool_imap_unordered(struct carom_pool *pool, carom_task_fn *function,
			      carom_next_item_fn *next, void *userdata,
			      const struct carom_imap_options *options,
			      struct carom_iterator **ret_iterator)
{
	return imap(pool, false, function, next, userdata, options, ret_iterator);
}

/* ---- filling the window ---- */

static bool take_input(struct carom_iterator *iterator)
{
	if (iterator->has_pending)
		return true;
	if (iterator->end != 1)
		return false;
	iterator->end =
		iterator->next(iterator->userdata, &iterator->pending, &iterator->pending_size);
	if (iterator->end > 0)
		iterator->end = 1;
	iterator->has_pending = iterator->end == 1;
	return iterator->has_pending;
}

static int submit_pending(struct carom_iterator *iterator)
{
	struct flight *flight = flight_at(iterator, iterator->flight_count);
	struct submission submission = {
		.function = iterator->function,
		.data = iterator->pending,
		.size = iterator->pending_size,
		.limit_ns = iterator->limit_ns,
		.soft_ns = iterator->soft_ns,
		.retry_count = iterator->retry_count,
		.index = iterator->index,
		.count = 1,
		.wanted = true,
	};
	int r = carom_pool_submit(iterator->pool, &submission, false, &flight->result);

	if (r < 0)
		return r;
	iterator->has_pending = false;
	flight->index = iterator->index++;
	iterator->flight_count++;
	return 0;
}

/* others hold all slots, and nothing of this iterator's is on its way that one could wait for */
static int await_slot(struct carom_iterator *iterator, uint64_t deadline_ns)
{
	struct carom_pool *pool = iterator->pool;
	int r, waited = 0;

	atomic_fetch_add(&pool->slot_waiter_count, 1);
	do {
		uint32_t ticket = carom_lane_expect(pool->lane);

		r = submit_pending(iterator);
		if (r == -EAGAIN && waited == 0)
			waited = carom_pool_await_any(pool, ticket, deadline_ns);
		else if (r == -EAGAIN)
			r = waited;
		carom_lane_unexpect(pool->lane);
	} while (r == -EAGAIN);
	atomic_fetch_sub(&pool->slot_waiter_count, 1);
	return r;
}

/* 0 while it makes sense to go on; else why not. What is not submitted stays pending. */
static int fill_window(struct carom_iterator *iterator, uint64_t deadline_ns)
{
	int r = 0;

	while (r == 0 && iterator->flight_count < iterator->window && take_input(iterator)) {
		r = submit_pending(iterator);
		if (r == -EAGAIN && iterator->flight_count == 0)
			r = await_slot(iterator, deadline_ns);
	}
	return r;
}

/* ---- handing out ---- */

/* the first one takes the place of the one that goes */
static struct flight take_off(struct carom_iterator *iterator, uint64_t position)
{
	struct flight flight = *flight_at(iterator, position);

	*flight_at(iterator, position) = *flight_at(iterator, 0);
	iterator->flight_begin = (iterator->flight_begin + 1) % iterator->window;
	iterator->flight_count--;
	return flight;
}

static void hand_out(struct carom_iterator *iterator, uint64_t position, struct carom_item *item)
{
	struct flight flight = take_off(iterator, position);

	iterator->current = flight.result;
	*item = (struct carom_item){ .index = flight.index };
	carom_result_outcome(flight.result, &item->outcome);
	if (item->outcome.kind == CAROM_OUTCOME_OK) {
		int r = carom_result_data(flight.result, &item->data, &item->size);

		if (r < 0) {
			item->outcome.kind = CAROM_OUTCOME_FAILED;
			item->outcome.code = r;
		}
	}
}

static bool hand_out_ready(struct carom_iterator *iterator, struct carom_item *item)
{
	uint64_t candidates =
		iterator->ordered ? iterator->flight_count > 0 : iterator->flight_count;

	for (uint64_t i = 0; i < candidates; i++)
		if (carom_result_ready(flight_at(iterator, i)->result)) {
			hand_out(iterator, i, item);
			return true;
		}
	return false;
}

static int await_first(struct carom_iterator *iterator, uint64_t deadline_ns,
		       struct carom_item *item)
{
	int r = carom_result_wait(flight_at(iterator, 0)->result, deadline_ns);

	if (r < 0)
		return r;
	hand_out(iterator, 0, item);
	return 1;
}

static int await_any(struct carom_iterator *iterator, uint64_t deadline_ns, struct carom_item *item)
{
	for (;;) {
		uint32_t ticket = carom_lane_expect(iterator->pool->lane);
		bool found = hand_out_ready(iterator, item);
		int r = found ? 0 : carom_pool_await_any(iterator->pool, ticket, deadline_ns);

		carom_lane_unexpect(iterator->pool->lane);
		if (found)
			return 1;
		if (r < 0)
			return hand_out_ready(iterator, item) ? 1 : r;
	}
}

int carom_iterator_next(struct carom_iterator *iterator, uint64_t deadline_ns,
			struct carom_item *ret_item)
{
	int r;

	if (!carom_origin_is(iterator->origin))
		return -ECHILD;
	iterator->current = carom_result_free(iterator->current);
	r = fill_window(iterator, deadline_ns);
	if (hand_out_ready(iterator, ret_item))
		return 1;
	if (iterator->flight_count == 0)
		return r < 0 ? r : iterator->end;
	return iterator->ordered ? await_first(iterator, deadline_ns, ret_item)
				 : await_any(iterator, deadline_ns, ret_item);
}

/* ---- looking ---- */

bool carom_iterator_ready(struct carom_iterator *iterator)
{
	if (!carom_origin_is(iterator->origin) || iterator->end == 1)
		return false;
	for (uint64_t i = 0; i < iterator->flight_count; i++)
		if (!carom_result_ready(flight_at(iterator, i)->result))
			return false;
	return true;
}

int carom_iterator_length(const struct carom_iterator *iterator, uint64_t *ret_length)
{
	if (!carom_origin_is(iterator->origin))
		return -ECHILD;
	if (iterator->end == 1)
		return -EINPROGRESS;
	*ret_length = iterator->index;
	return 0;
}

int carom_iterator_worker_pids(struct carom_iterator *iterator, int64_t *pids, size_t count)
{
	size_t begun = 0;

	if (!carom_origin_is(iterator->origin))
		return -ECHILD;
	for (uint64_t i = 0; i < iterator->flight_count; i++) {
		int64_t pid = carom_result_pid(flight_at(iterator, i)->result);

		if (pid && begun < count)
			pids[begun] = pid;
		begun += pid != 0;
	}
	return (int)begun;
}

/* ---- ending ---- */

struct carom_iterator *carom_iterator_free(struct carom_iterator *iterator)
{
	struct carom_pool *pool;

	if (!iterator || !carom_origin_is(iterator->origin))
		return NULL;
	pool = iterator->pool;
	carom_result_free(iterator->current);
	for (uint64_t i = 0; i < iterator->flight_count; i++)
		carom_result_free(flight_at(iterator, i)->result);
	free(iterator->flights);
	free(iterator);
	pthread_mutex_lock(&pool->lock);
	carom_pool_unref_unlock(pool);
	return NULL;
}

void carom_iterator_freep(struct carom_iterator **iterator)
{
	*iterator = carom_iterator_free(*iterator);
}
