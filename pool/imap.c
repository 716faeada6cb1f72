/*
 * Imap
 *
 * The iterator holds at most a window of results. Whoever asks for the next item
 * fills the window from the input, hands out a result that is ready, and sleeps
 * only when none is: there is no thread in between, and nothing is read ahead of
 * the window. The results are ordinary ones, so a program short of slots can
 * harvest them.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/options.h"
#include "core/origin.h"
#include "pool/map.h"
#include "pool/pool_private.h"

struct flight {
	struct carom_result *result;
	uint64_t index;
};

/**
 * struct carom_iterator
 * @flights: what was submitted and not handed out
 * @current: what was handed out last; its value is valid until the next
 * @pending*: an item of the input that could not be submitted yet
 * @end:     1 while there is input; then 0, or what the input's end was
 */
struct carom_iterator {
	struct carom_pool *pool;
	uint64_t origin;
	carom_task_fn *function;
	carom_next_item_fn *next;
	void *userdata;
	uint64_t limit_ns;
	uint64_t window;
	struct flight *flights;
	uint64_t flight_count;
	struct carom_result *current;
	const void *pending;
	size_t pending_size;
	bool has_pending;
	uint64_t index;
	int end;
};

int carom_pool_imap_unordered(struct carom_pool *pool, carom_task_fn *function,
			      carom_next_item_fn *next, void *userdata,
			      const struct carom_imap_options *options,
			      struct carom_iterator **ret_iterator)
{
	struct carom_iterator *iterator;
	struct carom_imap_options ours;
	int r = carom_options_take(options, &ours, sizeof(ours));

	if (r < 0)
		return r;
	if (!function || !next || ours.window > pool->options.slot_count)
		return -EINVAL;
	r = carom_pool_enter(pool);
	if (r < 0)
		return r;
	carom_pool_leave(pool);
	iterator = calloc(1, sizeof(*iterator));
	if (!iterator)
		return -ENOMEM;
	*iterator = (struct carom_iterator){
		.pool = pool,
		.origin = pool->origin,
		.function = function,
		.next = next,
		.userdata = userdata,
		.limit_ns = carom_pool_limit(pool, ours.hard_limit_ns),
		.window = ours.window ? ours.window : pool->options.worker_count * 4,
		.end = 1,
	};
	if (iterator->window > pool->options.slot_count)
		iterator->window = pool->options.slot_count;
	iterator->flights = calloc(iterator->window, sizeof(*iterator->flights));
	if (!iterator->flights) {
		free(iterator);
		return -ENOMEM;
	}
	*ret_iterator = iterator;
	return 0;
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

/* 0 while it makes sense to go on; else why not. What is not submitted stays pending. */
static int fill_window(struct carom_iterator *iterator)
{
	while (iterator->flight_count < iterator->window && take_input(iterator)) {
		struct flight *flight = &iterator->flights[iterator->flight_count];
		struct submission submission = {
			.function = iterator->function,
			.data = iterator->pending,
			.size = iterator->pending_size,
			.limit_ns = iterator->limit_ns,
			.index = iterator->index,
			.count = 1,
			.wanted = true,
		};
		int r = carom_pool_submit(iterator->pool, &submission, iterator->flight_count == 0,
					  &flight->result);

		if (r < 0)
			return r;
		iterator->has_pending = false;
		flight->index = iterator->index++;
		iterator->flight_count++;
	}
	return 0;
}

/* ---- handing out ---- */

static void hand_out(struct carom_iterator *iterator, uint64_t position, struct carom_item *item)
{
	struct flight *flight = &iterator->flights[position];

	iterator->current = flight->result;
	*item = (struct carom_item){ .index = flight->index };
	carom_result_outcome(flight->result, &item->outcome);
	if (item->outcome.kind == CAROM_OUTCOME_OK) {
		int r = carom_result_data(flight->result, &item->data, &item->size);

		if (r < 0) {
			item->outcome.kind = CAROM_OUTCOME_FAILED;
			item->outcome.code = r;
		}
	}
	*flight = iterator->flights[--iterator->flight_count];
}

static bool hand_out_ready(struct carom_iterator *iterator, struct carom_item *item)
{
	for (uint64_t i = 0; i < iterator->flight_count; i++)
		if (carom_result_ready(iterator->flights[i].result)) {
			hand_out(iterator, i, item);
			return true;
		}
	return false;
}

static int wait_and_hand_out(struct carom_iterator *iterator, uint64_t deadline_ns,
			     struct carom_item *item)
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
	r = fill_window(iterator);
	if (hand_out_ready(iterator, ret_item))
		return 1;
	if (iterator->flight_count)
		return wait_and_hand_out(iterator, deadline_ns, ret_item);
	return r < 0 ? r : iterator->end;
}

struct carom_iterator *carom_iterator_free(struct carom_iterator *iterator)
{
	if (!iterator || !carom_origin_is(iterator->origin))
		return NULL;
	carom_result_free(iterator->current);
	for (uint64_t i = 0; i < iterator->flight_count; i++)
		carom_result_free(iterator->flights[i].result);
	free(iterator->flights);
	free(iterator);
	return NULL;
}

void carom_iterator_freep(struct carom_iterator **iterator)
{
	*iterator = carom_iterator_free(*iterator);
}
