/* The inside of objects, for who makes them: see ipc/object.c. */
#ifndef CAROM_IPC_OBJECT_PRIVATE_H
#define CAROM_IPC_OBJECT_PRIVATE_H

#include "ipc/object.h"

/**
 * struct carom_object - one of them
 * @is_held:     a list or dict that stands in another object, and takes nothing more
 * @is_hashable: it may be a key
 * @depth:       1, and 1 more than the deepest of what it holds
 * @bytes:       of bytes and texts; a NUL follows
 * @items:       of lists, tuples and dicts; of these, keys and values in turn
 */
struct carom_object {
	uint8_t kind;
	bool is_held;
	bool is_hashable;
	uint32_t depth;
	union {
		bool truth;
		int64_t integer;
		double real;
		struct {
			const char *data;
			size_t size;
		} bytes;
		struct {
			const struct carom_object **data;
			size_t count;
			size_t room;
		} items;
	};
};

/** carom_document_new() - an empty one, which gets no more than @memory_max bytes. 0, -ENOMEM */
int carom_document_new(uint64_t memory_max, struct carom_document **ret_document);

void carom_document_set_root(struct carom_document *document, const struct carom_object *root);

/** carom_object_new() - of the document's memory; zeroed but for its kind. 0, -ENOMEM, -EMSGSIZE */
int carom_object_new(struct carom_document *document, enum carom_object_kind kind,
		     struct carom_object **ret_object);

/** carom_object_set_bytes() - a copy. 0, -ENOMEM, -EMSGSIZE */
int carom_object_set_bytes(struct carom_document *document, struct carom_object *object,
			   const void *data, size_t size);

/**
 * carom_object_add() - to a list, tuple or dict
 * @items: keys and values in turn, for a dict
 *
 * Return: 0, -ENOMEM; -EMSGSIZE: too deep, or too much memory; -EBADMSG: it would hold itself,
 * or a key cannot be one, or has no value.
 */
int carom_object_add(struct carom_document *document, struct carom_object *object,
		     struct carom_object *const *items, size_t count, uint32_t depth_max);

#endif
