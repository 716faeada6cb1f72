/*
 * Frame: what stands before each message of a stream
 *
 * Python's: four bytes, the length as a signed number in network order; where that is too
 * long, -1 and eight bytes more.
 */
#ifndef CAROM_IPC_FRAME_H
#define CAROM_IPC_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/connection.h"

#define CAROM_FRAME_SIZE_MAX 12

/**
 * carom_frame_encode() - for a message of @size bytes
 * Return: how many bytes it takes; -EMSGSIZE: @framing cannot say it.
 */
int carom_frame_encode(enum carom_framing framing, uint64_t size,
		       unsigned char ret_frame[CAROM_FRAME_SIZE_MAX]);

/**
 * carom_frame_decode() - what the first @count bytes say
 * Return: 0; so many bytes have to come before it can be told; -EBADMSG.
 */
int carom_frame_decode(enum carom_framing framing, const unsigned char *frame, size_t count,
		       uint64_t *ret_size);

#endif
