/*
 * Object: copies
 *
 * First how much memory it takes, then the copy (ipc/document.c), in one block of that size:
 * what is kept for long costs what it is. An object may stand in many places of what a peer has sent, and what
 * it takes in all of them together is limited before anything is copied.
 */
#include <errno.h>
#include <stdalign.h>
#include <string.h>

#include "ipc/object_private.h"

static uint64_t rounded(uint64_t size)
{
	return (size + alignof(struct carom_object) - 1) & ~(alignof(struct carom_object) - 1);
}

static bool holds_items(const struct carom_object *object)
{
	return object->kind == CAROM_OBJECT_LIST || object->kind == CAROM_OBJECT_TUPLE ||
	       object->kind == CAROM_OBJECT_DICT;
}

/* What is its own. */
static uint64_t size_of_one(const struct carom_object *object)
{
	uint64_t size = rounded(sizeof(*object));

	if (object->kind == CAROM_OBJECT_BYTES || object->kind == CAROM_OBJECT_TEXT)
		size += rounded((uint64_t)object->bytes.size + 1);
	else if (object->kind == CAROM_OBJECT_PROXY)
		size += rounded((uint64_t)strlen(object->proxy.type) + 1);
	else if (holds_items(object))
		size += rounded(object->items.count * sizeof(struct carom_object *));
	return size;
}

/* Return: 0, -EMSGSIZE, -EINVAL */
static int add_size(const struct carom_object *object, uint64_t *size)
{
	int r = 0;

	if (object->kind == CAROM_OBJECT_TAGGED || object->kind == CAROM_OBJECT_FD)
		return -EINVAL;
	*size += size_of_one(object);
	if (*size > CAROM_OBJECT_MEMORY_MAX)
		return -EMSGSIZE;
	for (size_t i = 0; holds_items(object) && r == 0 && i < object->items.count; i++)
		r = add_size(object->items.data[i], size);
	return r;
}

int carom_object_clone(const struct carom_object *object, struct carom_document **ret_document)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	uint64_t size = 0;
	int r = add_size(object, &size);

	if (r == 0)
		r = carom_document_make_of(size, &document);
	if (r == 0)
		r = carom_document_finish(document, carom_document_copy(document, object));
	if (r == 0)
		*ret_document = carom_take_ptr(document);
	return r;
}
