/*
 * Index
 *
 * Positions in what is shared, as Python counts them: from 0, and from -1 backwards from
 * the end.
 */
#ifndef CAROM_SHM_INDEX_H
#define CAROM_SHM_INDEX_H

#include <errno.h>
#include <stdint.h>

/** carom_index_find() - which of @count (no more than INT64_MAX) items it is; 0, or -ERANGE */
static inline int carom_index_find(int64_t index, uint64_t count, uint64_t *ret_index)
{
	if (index < -(int64_t)count || index >= (int64_t)count)
		return -ERANGE;
	*ret_index = (uint64_t)(index < 0 ? index + (int64_t)count : index);
	return 0;
}

#endif
