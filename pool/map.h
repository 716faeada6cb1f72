/**
 * DOC: map
 *
 * The same function over many items.
 *
 * carom_pool_map() takes and gives arrays; items travel in chunks, one task each,
 * but each item has its own outcome: when a worker dies within a chunk, the item
 * it was at is lost, the ones before it count and the ones after it run elsewhere.
 * While somebody waits for a map, no item waits behind a long one of its chunk as long as
 * a worker has nothing to do: what was not begun is shared out.
 *
 *	r = carom_pool_map(pool, square, in, 1000, sizeof(*in), out, sizeof(*out), NULL);
 *
 * For functions of several arguments see pool/starmap.h; for items of any size, or more
 * than fit in memory, pool/imap.h.
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
 * @fail_fast:     1: the first item that fails, in whatever way, ends the map: what was
 *                 not begun is `cancelled`, and so is what runs at that moment: it is
 *                 not stopped, but its value is dropped. 0: every item is done. Whoever
 *                 waits for the map sees to it, or its callbacks
 * @callback:      called once, when every item has a value. See task.h for callbacks; a
 *                 map without a result, carom_pool_map(), has none: -EINVAL
 * @error_callback: called once, when the map is ready and at least one item has none
 * @userdata:      handed to them; see also carom_result_userdata()
 * @callbacks_propagate: 1: a callback of it that returns below 0 breaks the pool
 * @soft_limit_ns: for each item, as @hard_limit_ns; see pool/soft_limit.h
 * @retry_on_loss: how often each item may be begun again when its worker is lost: 0 means
 *                 as the pool has it; CAROM_NEVER_RETRY means not at all
 */
struct carom_map_options {
	size_t size_bytes;
	size_t chunk_size;
	uint64_t hard_limit_ns;
	struct carom_outcome *outcomes;
	uint64_t fail_fast;
	carom_callback_fn *callback;
	carom_callback_fn *error_callback;
	void *userdata;
	uint64_t callbacks_propagate;
	uint64_t soft_limit_ns;
	uint64_t retry_on_loss;
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
 * struct carom_map_info - how a map is done
 * @item_count:    as it was asked for
 * @chunk_size:    items per task; the last chunk may have fewer
 * @waiting_count: chunks that have not ended, or whose values nobody has looked for yet;
 *                 one that was shared out counts for each of its parts
 */
struct carom_map_info {
	uint64_t item_count;
	uint64_t chunk_size;
	uint64_t waiting_count;
};

/**
 * carom_result_map_info() - how far a map is
 *
 * Context: MT-Safe, AS-Unsafe lock. Never blocks for long.
 * Return: 0, -EINVAL (not the result of a map), -ECHILD.
 */
CAROM_API int carom_result_map_info(struct carom_result *result, struct carom_map_info *ret_info);

CAROM_END_DECLS

#endif
