/*
 * CBOR: objects as a manager's server and its clients send them to each other (RFC 8949)
 *
 * The part of it that objects need, and nothing that has no length in front. A tuple is an array
 * with the tag 0xca70, which nobody else has; a proxy is tag 27, "object by type name", and
 * ["carom.proxy", type, id].
 */
#ifndef CAROM_IPC_CBOR_H
#define CAROM_IPC_CBOR_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/object.h"

#define CAROM_CBOR_DEPTH_MAX 64 /* no reader can be told to go deeper */

/**
 * carom_cbor_load() - read one
 * @data:       @size bytes: all of one item, and nothing behind it; nothing of it is kept
 * @depth_max:  how deep they may stand in each other
 * @document:   empty; what it may take limits what is read. After a failure it is to be cleared
 *
 * Return: 0; -EBADMSG: it is something else; -EOVERFLOW: a number of more than 64 bits with its
 * sign; -EMSGSIZE: deeper, or more memory, than allowed; -ENOMEM;
 * -EOPNOTSUPP: libcbor cannot be loaded.
 */
int carom_cbor_load(const void *data, size_t size, uint32_t depth_max,
		    struct carom_document *document);

/**
 * struct carom_cbor - what is written; zeroed: nothing yet
 * @size_max: it grows no longer; 0: as long as memory lasts
 * @error:    the first one, and then nothing more is written: -EMSGSIZE, -ENOMEM, -EINVAL (an
 *            object of a kind that does not travel), -EOPNOTSUPP (no libcbor)
 */
struct carom_cbor {
	unsigned char *data;
	size_t size;
	size_t room;
	size_t size_max;
	int error;
};

/** carom_cbor_clear() - nothing is written, and the memory is kept, unless it is much */
void carom_cbor_clear(struct carom_cbor *cbor);
void carom_cbor_free(struct carom_cbor *cbor);

void carom_cbor_array(struct carom_cbor *cbor, size_t count); /* that many follow */
void carom_cbor_none(struct carom_cbor *cbor);
void carom_cbor_number(struct carom_cbor *cbor, uint64_t number);
void carom_cbor_text(struct carom_cbor *cbor, const char *text);
void carom_cbor_object(struct carom_cbor *cbor, const struct carom_object *object);

#endif
