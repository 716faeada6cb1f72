/*
 * Starmap
 *
 * A map of several columns; see map_private.h for how it is done, and column.h for how rows
 * travel.
 */
#include "pool/starmap.h"

#include "pool/pool_private.h"

/* of a function that names its parameters so */
#define REQUEST                                               \
	(&(struct map_request){ .pool = pool,                 \
				.function = function,         \
				.columns = columns,           \
				.column_count = column_count, \
				.item_count = row_count,      \
				.out = out,                   \
				.out_size = out_size,         \
				.options = options })

int carom_pool_starmap(struct carom_pool *pool, carom_task_fn *function,
		       const struct carom_column *columns, size_t column_count, size_t row_count,
		       void *out, size_t out_size, const struct carom_map_options *options)
{
	return carom_map_run(REQUEST);
}

int carom_pool_starmap_async(struct carom_pool *pool, carom_task_fn *function,
			     const struct carom_column *columns, size_t column_count,
			     size_t row_count, void *out, size_t out_size,
			     const struct carom_map_options *options,
			     struct carom_result **ret_result)
{
	return carom_map_begin(REQUEST, ret_result);
}
