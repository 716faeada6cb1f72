/*
 * Column
 */
#include "pool/column.h"

#include <string.h>

#include "ipc/arena.h"

static uint64_t round_up(uint64_t size)
{
	return (size + CAROM_ARENA_ALIGNMENT - 1) / CAROM_ARENA_ALIGNMENT * CAROM_ARENA_ALIGNMENT;
}

static uint64_t head_size(uint64_t column_count)
{
	const struct carom_columns *head = NULL;

	return round_up(sizeof(*head) + column_count * sizeof(head->column[0]));
}

uint64_t carom_columns_size(const struct carom_column *columns, uint64_t column_count,
			    uint64_t row_count)
{
	uint64_t size = head_size(column_count);

	for (uint64_t i = 0; i < column_count; i++)
		size += round_up(columns[i].size * row_count);
	return size;
}

void carom_columns_put(void *room, const struct carom_column *columns, uint64_t column_count,
		       uint64_t row_count)
{
	struct carom_columns *head = room;
	uint64_t offset = head_size(column_count);

	head->count = column_count;
	for (uint64_t i = 0; i < column_count; i++) {
		head->column[i].offset = offset;
		head->column[i].size = columns[i].size;
		memcpy((unsigned char *)room + offset, columns[i].data,
		       columns[i].size * row_count);
		offset += round_up(columns[i].size * row_count);
	}
}
