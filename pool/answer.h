/*
 * Answer
 *
 * What a worker leaves in a slot, seen from the parent: lengths and offsets are
 * loaded once and checked before anything is read through them.
 */
#ifndef CAROM_POOL_ANSWER_H
#define CAROM_POOL_ANSWER_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/lane.h"

/**
 * struct carom_answer - bytes in shared memory
 * @reserved: 0 if they stand in the slot; else the size of their block in an arena
 * @worker: whose arena
 * @offset: where in it
 */
struct carom_answer {
	const void *data;
	uint64_t size;
	uint64_t reserved;
	uint64_t offset;
	uint32_t worker;
};

/** carom_answer_in_arena() - as carom_answer_of(), of one that has this size, and so no room in the slot */
int carom_answer_in_arena(const struct carom_lane *lane, uint32_t slot, bool batch, uint64_t size,
			  struct carom_answer *ret_answer);

/** carom_answer_of() - what stands in a DONE slot (of a batch: all its values). 0, or -EBADMSG: it points outside its arena. */
static inline int carom_answer_of(const struct carom_lane *lane, uint32_t slot, bool batch,
				  struct carom_answer *ret_answer)
{
	const struct carom_slot *task = carom_lane_slot(lane, slot);
	uint64_t size = *(const volatile uint64_t *)&task->value_size;

	if (size > CAROM_LANE_INLINE)
		return carom_answer_in_arena(lane, slot, batch, size, ret_answer);
	*ret_answer = (struct carom_answer){ .data = task->value.bytes, .size = size };
	return 0;
}

/* ---- the values of a batch: a code for each item, then the values one after the other ---- */

/** carom_batch_values_size() - how much a batch's values take; 0 if that overflows */
uint64_t carom_batch_values_size(uint64_t item_count, uint64_t value_size);

/** carom_batch_code() - where item @index has its code */
static inline int32_t *carom_batch_code(void *values, uint64_t index)
{
	return (int32_t *)values + index;
}

/** carom_batch_codes_size() - what the codes take, before the first value */
static inline uint64_t carom_batch_codes_size(uint64_t item_count)
{
	return (item_count * sizeof(int32_t) + CAROM_ARENA_ALIGNMENT - 1) / CAROM_ARENA_ALIGNMENT *
	       CAROM_ARENA_ALIGNMENT;
}

/** carom_batch_value() - where item @index has its value */
static inline void *carom_batch_value(void *values, uint64_t item_count, uint64_t value_size,
				      uint64_t index)
{
	return (unsigned char *)values + carom_batch_codes_size(item_count) + index * value_size;
}

/*
 * The code that a worker leaves when a function gave up at its soft limit: its own code,
 * which is -EINTR or -ETIME, set off so far that it is no errno value and hardly any
 * program's.
 */
#define CAROM_CODE_SOFT_LIMIT INT32_C(0x40000000)

static inline int32_t carom_code_of_soft_limit(int32_t code)
{
	return code - CAROM_CODE_SOFT_LIMIT;
}

/** carom_code_is_soft_limit() - is it such a code? Then *ret_code is the function's own. */
static inline bool carom_code_is_soft_limit(int32_t code, int32_t *ret_code)
{
	if (code != -EINTR - CAROM_CODE_SOFT_LIMIT && code != -ETIME - CAROM_CODE_SOFT_LIMIT)
		return false;
	*ret_code = code + CAROM_CODE_SOFT_LIMIT;
	return true;
}

/* progress: items begun in the high half, items ended in the low half */
static inline uint64_t carom_progress(uint64_t begun, uint64_t ended)
{
	return begun << 32 | ended;
}

#endif
