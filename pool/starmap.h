/**
 * DOC: starmap
 *
 * A map for functions of several arguments: each comes from an array of its own, and
 * call i gets element i of each:
 *
 *	static int area(struct carom_call *call)
 *	{
 *		const double *width = carom_call_argument(call, 0, NULL);
 *		const double *height = carom_call_argument(call, 1, NULL);
 *
 *		return carom_reply(call, &(double){ *width * *height }, sizeof(double));
 *	}
 *
 *	r = carom_pool_starmap(pool, area,
 *			       (struct carom_column[]){ { widths, sizeof(*widths) },
 *							{ heights, sizeof(*heights) } },
 *			       2, count, areas, sizeof(*areas), NULL);
 *
 * In all else it is carom_pool_map(), which is a starmap of one column.
 */
#ifndef CAROM_POOL_STARMAP_H
#define CAROM_POOL_STARMAP_H

#include <stddef.h>
#include <stdint.h>

#include "map.h"

CAROM_BEGIN_DECLS

#define CAROM_COLUMNS_MAX 16

/**
 * struct carom_column - where one of the arguments comes from
 * @data: an array with an element for each call
 * @size: of an element, in bytes; not 0
 */
struct carom_column {
	const void *data;
	size_t size;
};

/**
 * carom_pool_starmap() - apply @function to each row and wait for all values
 * @columns:      @column_count of them, read during the call, as is what they point to
 * @column_count: 1 to CAROM_COLUMNS_MAX
 * @row_count:    how many elements each column has; 0 is allowed and does nothing
 * @out:          @row_count times @out_size bytes, as in carom_pool_map()
 * @options:      NULL for all defaults
 *
 * Context: MT-Safe, AS-Unsafe. Blocks.
 * Return: as carom_pool_map(); -EINVAL also for a wrong @column_count.
 */
CAROM_API int carom_pool_starmap(struct carom_pool *pool, carom_task_fn *function,
				 const struct carom_column *columns, size_t column_count,
				 size_t row_count, void *out, size_t out_size,
				 const struct carom_map_options *options);

/**
 * carom_pool_starmap_async() - the same without waiting
 * @columns:    what they point to is copied during the call
 * @out:        as in carom_pool_map_async()
 * @ret_result: the caller owns it; its value is empty, the values are in @out
 *
 * Context: MT-Safe, AS-Unsafe. Blocks as carom_pool_map_async().
 * Return: as carom_pool_map_async(); -EINVAL also for a wrong @column_count.
 */
CAROM_API int carom_pool_starmap_async(struct carom_pool *pool, carom_task_fn *function,
				       const struct carom_column *columns, size_t column_count,
				       size_t row_count, void *out, size_t out_size,
				       const struct carom_map_options *options,
				       struct carom_result **ret_result);

CAROM_END_DECLS

#endif
