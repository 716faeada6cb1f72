/*
 * Answer
 */
#include "pool/answer.h"

#include <errno.h>

static uint64_t load_once(const uint64_t *word)
{
	return *(const volatile uint64_t *)word;
}

int carom_answer_in_arena(const struct carom_lane *lane, uint32_t slot, bool batch, uint64_t size,
			  struct carom_answer *ret_answer)
{
	const struct carom_slot *task = carom_lane_slot(lane, slot);
	uint32_t owner = carom_slot_owner(atomic_load(&task->word));
	uint64_t offset = load_once(&task->value.offset);
	uint64_t reserved = batch ? size : load_once(&task->value.reserved);

	if (owner >= carom_lane_worker_count(lane) || size > reserved ||
	    !carom_arena_is_block(carom_lane_payload_size(lane), offset, reserved))
		return -EBADMSG;
	*ret_answer = (struct carom_answer){
		.data = (unsigned char *)carom_lane_values(lane, owner) + offset,
		.size = size,
		.reserved = reserved,
		.offset = offset,
		.worker = owner,
	};
	return 0;
}

uint64_t carom_batch_values_size(uint64_t item_count, uint64_t value_size)
{
	uint64_t size;

	if (__builtin_mul_overflow(item_count, value_size, &size) ||
	    __builtin_add_overflow(size, carom_batch_codes_size(item_count), &size))
		return 0;
	return size;
}
