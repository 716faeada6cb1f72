/*
 * Result: as something to wait for beside other things
 *
 * What tells that a task has ended:
 *
 *	by its word    a single task of a lane that workers share: its worker wakes who sleeps on
 *	               the word. While somebody does, its slot is not harvested, since its next
 *	               task could make the word what it was.
 *	by the ends    everything else (maps, tasks that were dealt, callbacks that come first, and
 *	               where very much is waited for): the count of all ends of the lane.
 *	by the pool    a pool without threads: its descriptor, and who waits does what is due.
 */
#include <errno.h>

#include "ipc/waitable.h"
#include "pool/pool_private.h"
#include "pool/poll.h"
#include "pool/result.h"

enum how {
	BY_WORD = 1,
	BY_ENDS,
	BY_POOL,
};

static struct carom_result *result_of(struct carom_waitable *waitable)
{
	return (struct carom_result *)((char *)waitable - offsetof(struct carom_result, waitable));
}

static int look(struct carom_waitable *waitable)
{
	struct carom_result *result = result_of(waitable);
	int r = carom_result_wait(result, CAROM_PASSED);

	if (r == -ETIMEDOUT && result->pool->options.polled) {
		carom_pool_do_due(result->pool);
		r = carom_result_wait(result, CAROM_PASSED);
	}
	if (r == -ETIMEDOUT)
		return 0;
	return r < 0 ? r : 1;
}

/* ---- by its word ---- */

static void let_go(struct carom_result *result)
{
	struct carom_pool *pool = result->pool;

	pthread_mutex_lock(&pool->lock);
	if (--result->reader_count == 0)
		carom_pool_tell_slot(pool); /* somebody may have passed it by */
	pthread_mutex_unlock(&pool->lock);
}

/* Return: 0; 1: it was harvested, so it has ended */
static int hold(struct carom_result *result, uint32_t *ret_slot)
{
	struct carom_pool *pool = result->pool;

	pthread_mutex_lock(&pool->lock);
	*ret_slot = carom_result_slot(result);
	result->reader_count += *ret_slot != CAROM_LANE_NO_SLOT;
	pthread_mutex_unlock(&pool->lock);
	return *ret_slot == CAROM_LANE_NO_SLOT;
}

static int begin_by_word(struct carom_result *result, struct carom_wait_set *set)
{
	struct carom_lane *lane = result->pool->lane;
	const _Atomic uint32_t *word;
	uint32_t slot, expected;
	int r = hold(result, &slot);

	if (r != 0)
		return r;
	r = carom_lane_watch_end(lane, slot, result->generation, &word, &expected);
	if (r == 0) {
		r = carom_wait_set_add_word(set, word, expected);
		if (r < 0)
			carom_lane_unwatch_end(lane, slot);
	}
	if (r != 0)
		let_go(result);
	return r;
}

static void end_by_word(struct carom_result *result)
{
	carom_lane_unwatch_end(result->pool->lane, carom_result_slot(result));
	let_go(result);
}

/* ---- by the ends ---- */

static int begin_by_ends(struct carom_result *result, struct carom_wait_set *set)
{
	struct carom_pool *pool = result->pool;
	uint32_t ticket = carom_lane_expect(pool->lane);
	int r;

	carom_pool_watch_ends(pool);
	if (result->map)
		carom_map_mind(result->map);
	r = look(&result->waitable);
	if (r == 0)
		r = carom_wait_set_add_word(set, carom_lane_ended_word(pool->lane), ticket);
	if (r != 0)
		carom_lane_unexpect(pool->lane);
	return r;
}

/* ---- all of it ---- */

static enum how way_of(const struct carom_result *result, const struct carom_wait_set *set)
{
	if (result->pool->options.polled)
		return BY_POOL;
	if (result->map || set->is_crowded || carom_lane_deals(result->pool->lane) ||
	    (result->calls && result->pool->options.callbacks_first))
		return BY_ENDS;
	return BY_WORD;
}

static int begin(struct carom_waitable *waitable, struct carom_wait_set *set, uint32_t *ret_how)
{
	struct carom_result *result = result_of(waitable);
	enum how how = way_of(result, set);
	int fd;

	*ret_how = how;
	if (how == BY_WORD)
		return begin_by_word(result, set);
	if (how == BY_ENDS)
		return begin_by_ends(result, set);
	fd = carom_pool_fd(result->pool);
	return fd < 0 ? fd : carom_wait_set_add_fd(set, fd);
}

static void end(struct carom_waitable *waitable, uint32_t how)
{
	struct carom_result *result = result_of(waitable);

	if (how == BY_WORD)
		end_by_word(result);
	else if (how == BY_ENDS)
		carom_lane_unexpect(result->pool->lane);
}

const struct carom_waitable_kind carom_result_waitable_kind = {
	.look = look,
	.begin = begin,
	.end = end,
};

struct carom_waitable *carom_result_waitable(struct carom_result *result)
{
	return &result->waitable;
}
