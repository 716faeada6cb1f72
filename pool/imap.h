/**
 * DOC: imap
 *
 * The same function over items of any size, which a function of the program gives one
 * by one as workers have room for them; values are handed out as they come or in order,
 * in constant memory however long the input is:
 *
 *	r = carom_pool_imap(pool, count_words, next_path, &walk, NULL, &iterator);
 *	while ((r = carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item)) > 0)
 *		add(item.data, item.size);
 *	iterator = carom_iterator_free(iterator);
 *
 * There is no thread behind it: the input is asked for items, as far as the window goes,
 * by whoever asks the iterator for one. An iterator outlives its pool: what was answered
 * can still be handed out.
 */
#ifndef CAROM_POOL_IMAP_H
#define CAROM_POOL_IMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool.h"

CAROM_BEGIN_DECLS

/**
 * typedef carom_next_item_fn - gives the next item of an imap
 * @userdata: as given to carom_pool_imap()
 * @ret_data: the item; must stay valid until the next call
 * @ret_size: its length in bytes
 *
 * Called by the thread that calls carom_iterator_next(), never by two at once.
 * Return: 1 with an item, 0 at the end, below 0 for an error, which ends the input:
 * carom_iterator_next() returns it once all items before it are handed out.
 */
typedef int carom_next_item_fn(void *userdata, const void **ret_data, size_t *ret_size);

/**
 * struct carom_imap_options - how an imap is done
 * @size_bytes:    size of this struct; CAROM_IMAP_OPTIONS() fills it in
 * @window:        items taken from the input and not yet handed out, at most;
 *                 0 means four for each worker
 * @hard_limit_ns: for each item; 0 means the pool's; CAROM_NO_LIMIT means none
 * @soft_limit_ns: likewise; see pool/soft_limit.h
 * @retry_on_loss: how often each item may be begun again when its worker is lost: 0 means
 *                 as the pool has it; CAROM_NEVER_RETRY means not at all
 */
struct carom_imap_options {
	size_t size_bytes;
	uint64_t window;
	uint64_t hard_limit_ns;
	uint64_t soft_limit_ns;
	uint64_t retry_on_loss;
};
#define CAROM_IMAP_OPTIONS(...) CAROM_OPTIONS(carom_imap_options, __VA_ARGS__)

/**
 * struct carom_item - one item handed out
 * @index:   its place in the input, from 0
 * @data:    its value in place, to be read only; NULL unless the outcome is ok.
 *           Valid until the next call of carom_iterator_next(), and not in a child by fork()
 * @size:    the value's length in bytes
 * @outcome: how it ended
 */
struct carom_item {
	uint64_t index;
	const void *data;
	size_t size;
	struct carom_outcome outcome;
};

struct carom_iterator;

/**
 * carom_pool_imap() - begin to apply @function to what @next gives; values come in order
 * @ret_iterator: the caller owns it and ends it with carom_iterator_free(), before
 *                or after the last item, or after the pool
 *
 * Nothing is taken from the input before the first carom_iterator_next().
 *
 * Context: MT-Safe, AS-Unsafe. Does not block.
 * Return: 0, or, with *@ret_iterator untouched, -EINVAL (no function, no @next, no
 * @ret_iterator, a window above the pool's slot_count), -ESHUTDOWN, -ENOTRECOVERABLE,
 * -ENOMEM, -E2BIG, -ECHILD.
 */
CAROM_API int carom_pool_imap(struct carom_pool *pool, carom_task_fn *function,
			      carom_next_item_fn *next, void *userdata,
			      const struct carom_imap_options *options,
			      struct carom_iterator **ret_iterator);

/** carom_pool_imap_unordered() - the same; values come as items end */
CAROM_API int carom_pool_imap_unordered(struct carom_pool *pool, carom_task_fn *function,
					carom_next_item_fn *next, void *userdata,
					const struct carom_imap_options *options,
					struct carom_iterator **ret_iterator);

/**
 * carom_iterator_next() - hand out the next item, or whichever ends first if unordered
 * @deadline_ns: CLOCK_MONOTONIC
 * @ret_item:    the item; untouched unless 1 is returned
 *
 * Context: one thread at a time. Blocks.
 * Return: 1 with an item (of whatever outcome, and the next ones are not touched by it);
 *	0        after the last
 *	-ETIMEDOUT  none yet; nothing is lost: call again
 *	-ESHUTDOWN, -ENOTRECOVERABLE  the pool was closed, terminated or freed, or is
 *	         broken, with input left: the item taken from it last is not done
 *	-ENOMEM  no room for the next item's bytes: call again, nothing is lost
 *	-ECHILD  the iterator is from before fork()
 * or what @next returned below 0.
 */
CAROM_API int carom_iterator_next(struct carom_iterator *iterator, uint64_t deadline_ns,
				  struct carom_item *ret_item);

/**
 * carom_iterator_ready() - is the input at its end, and has every item ended?
 *
 * Then carom_iterator_next() does not block any more. The end of the input is known only
 * once it was asked for one item too many.
 *
 * Context: one thread at a time. Never blocks. In a forked child: false.
 */
CAROM_API bool carom_iterator_ready(struct carom_iterator *iterator);

/**
 * carom_iterator_length() - how many items the input had
 *
 * Context: one thread at a time. Never blocks.
 * Return: 0, -EINPROGRESS (not at its end yet), -ECHILD.
 */
CAROM_API int carom_iterator_length(const struct carom_iterator *iterator, uint64_t *ret_length);

/**
 * carom_iterator_worker_pids() - who works, or worked, on what was not handed out yet
 * @pids: room for @count
 *
 * An item that no worker has begun is not counted; one that was handed out has its
 * worker in its outcome.
 *
 * Context: one thread at a time. Never blocks for long.
 * Return: how many there are (perhaps more than @count), -ECHILD.
 */
CAROM_API int carom_iterator_worker_pids(struct carom_iterator *iterator, int64_t *pids,
					 size_t count);

/**
 * carom_iterator_free() - drop what was not handed out
 * @iterator: NULL is allowed
 *
 * Items that wait or run are not cancelled; their values are dropped when they come.
 *
 * Context: one thread at a time. Does not block. In a forked child: does nothing.
 * Return: NULL.
 */
CAROM_API struct carom_iterator *carom_iterator_free(struct carom_iterator *iterator);
CAROM_API void carom_iterator_freep(struct carom_iterator **iterator);

CAROM_END_DECLS

#endif
