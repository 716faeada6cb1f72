/**
 * DOC: map
 *
 * The same function over many items.
 *
 * carom_pool_map() takes and gives arrays; items travel in chunks, one task each,
 * but each item has its own outcome: when a worker dies within a chunk, the item
 * it was at is lost, the ones before it count and the ones after it run elsewhere.
 *
 * carom_pool_imap_unordered() pulls items of any size from a function of the
 * program as workers have room for them, and hands out values as they come, in
 * constant memory:
 *
 *	r = carom_pool_imap_unordered(pool, count_words, next_path, &walk, NULL, &iterator);
 *	while ((r = carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item)) > 0)
 *		add(item.data, item.size);
 */
#ifndef CAROM_POOL_MAP_H
#define CAROM_POOL_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "pool.h"

CAROM_BEGIN_DECLS

/**
 * struct carom_map_options - how a map is done
 * @size_bytes:    size of this struct; CAROM_MAP_OPTIONS() fills it in
 * @chunk_size:    items per task; 0 means a quarter of each worker's share, as
 *                 multiprocessing has it
 * @hard_limit_ns: for each item; 0 means the pool's; CAROM_NO_LIMIT means none
 * @outcomes:      NULL, or one for each item, filled in as items end; the caller's,
 *                 must live as long as the map runs
 */
struct carom_map_options {
	size_t size_bytes;
	size_t chunk_size;
	uint64_t hard_limit_ns;
	struct carom_outcome *outcomes;
};
#define CAROM_MAP_OPTIONS(...) CAROM_OPTIONS(carom_map_options, __VA_ARGS__)

/**
 * carom_pool_map() - apply @function to each item and wait for all values
 * @items:      @item_count times @item_size bytes, read during the call
 * @item_count: 0 is allowed and does nothing
 * @item_size:  bytes of an item; not 0
 * @out:        @item_count times @out_size bytes; value i goes to place i. The
 *              place of an item without a value is filled with zeros. NULL if
 *              @out_size is 0
 * @options:    NULL for all defaults
 *
 * Context: MT-Safe, AS-Unsafe. Blocks.
 * Return: 0 if every item has a value; -EREMOTEIO if at least one has none (all
 * others have theirs; see @options->outcomes); -EOVERFLOW if the sizes multiply
 * beyond an address space; else as carom_pool_apply_async(): then no item was begun.
 * A pool that is terminated meanwhile gives -EREMOTEIO.
 */
CAROM_API int carom_pool_map(struct carom_pool *pool, carom_task_fn *function, const void *items,
			     size_t item_count, size_t item_size, void *out, size_t out_size,
			     const struct carom_map_options *options);

/**
 * carom_pool_map_async() - the same without waiting
 * @items:      copied during the call
 * @out:        must live until the result is ready or freed; written while
 *              somebody waits for the result, looks whether it is ready, or frees it
 * @ret_result: the caller owns it; its value is empty, the values are in @out
 *
 * Blocks while there are more chunks than the pool has slots.
 *
 * Context: MT-Safe, AS-Unsafe.
 * Return: as carom_pool_map(), without -EREMOTEIO: that is carom_result_get()'s;
 * -EINVAL too if @ret_result is NULL.
 */
CAROM_API int carom_pool_map_async(struct carom_pool *pool, carom_task_fn *function,
				   const void *items, size_t item_count, size_t item_size,
				   void *out, size_t out_size,
				   const struct carom_map_options *options,
				   struct carom_result **ret_result);

/**
 * typedef carom_next_item_fn - gives the next item of an imap
 * @userdata: as given to carom_pool_imap_unordered()
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
 */
struct carom_imap_options {
	size_t size_bytes;
	uint64_t window;
	uint64_t hard_limit_ns;
};
#define CAROM_IMAP_OPTIONS(...) CAROM_OPTIONS(carom_imap_options, __VA_ARGS__)

/**
 * struct carom_item - one item handed out
 * @index:   its place in the input, from 0
 * @data:    its value in place, to be read only; NULL unless the outcome is ok.
 *           Valid until the next call of carom_iterator_next()
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
 * carom_pool_imap_unordered() - begin to apply @function to what @next gives
 * @ret_iterator: the caller owns it and ends it with carom_iterator_free(), before
 *                or after the last item
 *
 * Context: MT-Safe, AS-Unsafe.
 * Return: 0, -EINVAL (no function, no @next, a window above the pool's slot_count),
 * -ESHUTDOWN, -ENOMEM, -E2BIG, -ECHILD.
 */
CAROM_API int carom_pool_imap_unordered(struct carom_pool *pool, carom_task_fn *function,
					carom_next_item_fn *next, void *userdata,
					const struct carom_imap_options *options,
					struct carom_iterator **ret_iterator);

/**
 * carom_iterator_next() - hand out an item that has ended, whichever comes first
 * @deadline_ns: CLOCK_MONOTONIC
 * @ret_item:    the item; untouched unless 1 is returned
 *
 * Context: one thread at a time. Blocks.
 * Return: 1 with an item (of whatever outcome); 0 after the last; -ETIMEDOUT (call
 * again); what @next returned; -ESHUTDOWN (the pool was closed with input left: the item
 * taken from it last is not done);
 * -ENOMEM (no room for the next item's bytes: call again, nothing is lost); -ECHILD.
 */
CAROM_API int carom_iterator_next(struct carom_iterator *iterator, uint64_t deadline_ns,
				  struct carom_item *ret_item);

/** carom_iterator_free() - drop what was not handed out. NULL is allowed; returns NULL. */
CAROM_API struct carom_iterator *carom_iterator_free(struct carom_iterator *iterator);
CAROM_API void carom_iterator_freep(struct carom_iterator **iterator);

CAROM_END_DECLS

#endif
