/*
 * Column
 *
 * Several arrays of the same length stand one after the other in an argument, each as the
 * program had it, so that nothing is packed and unpacked: row i of them, which are the
 * arguments of one call, is element i of each.
 *
 *	how many | offset and size of each | column 0 | column 1 | ...
 *
 * Each column begins at a multiple of 64 bytes. The parent writes all of it and a worker
 * only reads, so a worker takes it as it is.
 */
#ifndef CAROM_POOL_COLUMN_H
#define CAROM_POOL_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/starmap.h"

/**
 * struct carom_columns - what stands before the columns
 * @offset: from this struct to the column
 * @size:   of one element
 */
struct carom_columns {
	uint64_t count;
	struct {
		uint64_t offset;
		uint64_t size;
	} column[];
};

/** carom_columns_size() - how much @row_count rows take, with what stands before them */
uint64_t carom_columns_size(const struct carom_column *columns, uint64_t column_count,
			    uint64_t row_count);

/** carom_columns_put() - write them to @room, which is aligned to 64 bytes */
void carom_columns_put(void *room, const struct carom_column *columns, uint64_t column_count,
		       uint64_t row_count);

/** carom_columns_at() - the element of a column that belongs to @row */
static inline const void *carom_columns_at(const struct carom_columns *columns, uint64_t position,
					   uint64_t row)
{
	return (const unsigned char *)columns + columns->column[position].offset +
	       row * columns->column[position].size;
}

#endif
