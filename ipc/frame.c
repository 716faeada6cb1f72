/*
 * Frame
 *
 * A length that no memory has, 2^63 and more, is nonsense, as is a negative one: the mark
 * of the long form aside, and that stands for itself where there is no long form.
 */
#include "ipc/frame.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define SHORT_SIZE 4
#define LONG_MARK  UINT32_MAX

_Static_assert(SHORT_SIZE + sizeof(uint64_t) == CAROM_FRAME_SIZE_MAX, "the long form");

static uint64_t short_max(enum carom_framing framing)
{
	return framing == CAROM_FRAMING_UNSIGNED ? UINT32_MAX : INT32_MAX;
}

static int put_short(uint32_t value, unsigned char *ret_frame)
{
	value = htobe32(value);
	memcpy(ret_frame, &value, sizeof(value));
	return SHORT_SIZE;
}

static int put_long(uint64_t size, unsigned char *ret_frame)
{
	put_short(LONG_MARK, ret_frame);
	size = htobe64(size);
	memcpy(ret_frame + SHORT_SIZE, &size, sizeof(size));
	return CAROM_FRAME_SIZE_MAX;
}

int carom_frame_encode(enum carom_framing framing, uint64_t size,
		       unsigned char ret_frame[CAROM_FRAME_SIZE_MAX])
{
	if (size <= short_max(framing))
		return put_short((uint32_t)size, ret_frame);
	if (framing != CAROM_FRAMING_PYTHON || size > INT64_MAX)
		return -EMSGSIZE;
	return put_long(size, ret_frame);
}

static int decode_long(const unsigned char *frame, size_t count, uint64_t *ret_size)
{
	uint64_t size;

	if (count < CAROM_FRAME_SIZE_MAX)
		return (int)(CAROM_FRAME_SIZE_MAX - count);
	memcpy(&size, frame + SHORT_SIZE, sizeof(size));
	size = be64toh(size);
	if (size > INT64_MAX)
		return -EBADMSG;
	*ret_size = size;
	return 0;
}

int carom_frame_decode(enum carom_framing framing, const unsigned char *frame, size_t count,
		       uint64_t *ret_size)
{
	uint32_t value;

	if (count < SHORT_SIZE)
		return (int)(SHORT_SIZE - count);
	memcpy(&value, frame, sizeof(value));
	value = be32toh(value);
	if (value == LONG_MARK && framing == CAROM_FRAMING_PYTHON)
		return decode_long(frame, count, ret_size);
	if (value > short_max(framing))
		return -EBADMSG;
	*ret_size = value;
	return 0;
}
