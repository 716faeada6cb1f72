/*
 * Object
 *
 * A document's memory comes in blocks that are freed together; nothing is freed before.
 *
 *   I1  What stands in an object does not change any more: a list that is held takes nothing
 *       more. So there is no circle, and a depth is final when it is used.
 *   I2  An object may stand in several places. It takes memory once.
 *   I3  No more than @left bytes are taken, whatever a peer sends.
 */
#include "ipc/object.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/object_private.h"

#define FIRST_SIZE ((size_t)960) /* enough for most messages; malloc(3) has such at hand */
#define BLOCK_SIZE ((size_t)4096)
#define ALIGNMENT  alignof(struct carom_object)

struct carom_document_block {
	struct carom_document_block *next;
	size_t size;
	alignas(struct carom_object) unsigned char data[];
};

/* ---- memory ---- */

int carom_document_make(uint64_t memory_max, struct carom_document **ret_document)
{
	struct carom_document *document = calloc(1, sizeof(*document));

	if (!document)
		return -ENOMEM;
	document->left = memory_max;
	document->depth_max = UINT32_MAX;
	*ret_document = document;
	return 0;
}

static void free_blocks(struct carom_document_block *block)
{
	struct carom_document_block *next;

	for (; block; block = next) {
		next = block->next;
		free(block);
	}
}

struct carom_document *carom_document_free(struct carom_document *document)
{
	if (!document)
		return NULL;
	free_blocks(document->blocks);
	for (uint32_t i = 0; i < document->fd_count; i++)
		carom_closep(&document->fds[i]);
	free(document->fds);
	free(document);
	return NULL;
}

void carom_document_freep(struct carom_document **document)
{
	*document = carom_document_free(*document);
}

static int add_block(struct carom_document *document, size_t size)
{
	struct carom_document_block *block = malloc(sizeof(*block) + size);

	if (!block)
		return -ENOMEM;
	block->next = document->blocks;
	block->size = size;
	document->blocks = block;
	document->free = block->data;
	document->free_size = size;
	return 0;
}

int carom_document_make_of(uint64_t size, struct carom_document **ret_document)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	int r = carom_document_make(size, &document);

	if (r == 0)
		r = add_block(document, size);
	if (r == 0)
		*ret_document = carom_take_ptr(document);
	return r;
}

/* The first block is kept if it is an ordinary one. */
void carom_document_clear(struct carom_document *document, uint64_t memory_max)
{
	struct carom_document_block *kept = document->blocks;

	document->left = memory_max;
	document->root = NULL;
	document->error = 0;
	if (!kept)
		return;
	if (kept->size > BLOCK_SIZE) {
		free_blocks(carom_take_ptr(document->blocks));
		document->free_size = 0;
		return;
	}
	free_blocks(carom_take_ptr(kept->next));
	document->free = kept->data;
	document->free_size = kept->size;
}

/* For @size bytes, and others that follow. */
static size_t block_size(const struct carom_document *document, size_t size)
{
	size_t ordinary = document->blocks ? BLOCK_SIZE : FIRST_SIZE;

	return size < ordinary ? ordinary : size;
}

/* I3 */
static int take(struct carom_document *document, uint64_t wanted, void **ret_memory)
{
	size_t size = (wanted + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	int r = 0;

	if (wanted > document->left || size > document->left)
		return -EMSGSIZE;
	if (size > document->free_size)
		r = add_block(document, block_size(document, size));
	if (r < 0)
		return r;
	*ret_memory = document->free;
	document->free += size;
	document->free_size -= size;
	document->left -= size;
	return 0;
}

/* ---- making ---- */

void carom_document_set_root(struct carom_document *document, const struct carom_object *root)
{
	document->root = root;
}

int carom_object_new(struct carom_document *document, enum carom_object_kind kind,
		     struct carom_object **ret_object)
{
	void *memory;
	int r = take(document, sizeof(struct carom_object), &memory);

	if (r < 0)
		return r;
	*ret_object = memset(memory, 0, sizeof(**ret_object));
	(*ret_object)->kind = kind;
	(*ret_object)->depth = 1;
	(*ret_object)->is_hashable = kind != CAROM_OBJECT_LIST && kind != CAROM_OBJECT_DICT;
	(*ret_object)->has_proxy = kind == CAROM_OBJECT_PROXY;
	return 0;
}

int carom_object_set_bytes(struct carom_document *document, struct carom_object *object,
			   const void *data, size_t size)
{
	char *copy;
	int r = take(document, (uint64_t)size + 1, (void **)&copy);

	if (r < 0)
		return r;
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	object->bytes.data = copy;
	object->bytes.size = size;
	return 0;
}

int carom_object_set_proxy(struct carom_document *document, struct carom_object *object,
			   const char *type, size_t type_size, uint64_t id)
{
	char *copy;
	int r = take(document, (uint64_t)type_size + 1, (void **)&copy);

	if (r < 0)
		return r;
	memcpy(copy, type, type_size);
	copy[type_size] = '\0';
	object->proxy.type = copy;
	object->proxy.id = id;
	return 0;
}

int carom_object_reserve(struct carom_document *document, struct carom_object *object, size_t count)
{
	size_t room = object->items.room * 2;
	void *memory;
	int r;

	if (count <= object->items.room - object->items.count)
		return 0;
	if (room < object->items.count + count)
		room = object->items.count + count;
	r = take(document, (uint64_t)room * sizeof(struct carom_object *), &memory);
	if (r < 0)
		return r;
	if (object->items.count > 0)
		memcpy(memory, object->items.data,
		       object->items.count * sizeof(struct carom_object *));
	object->items.data = memory;
	object->items.room = room;
	return 0;
}

/* I1: may @object hold @item from now on? */
static int hold(struct carom_object *object, struct carom_object *item, bool is_key,
		uint32_t depth_max)
{
	if (item == object || carom_object_is_bare_tag(item) || (is_key && !item->is_hashable))
		return -EBADMSG;
	if (item->depth >= depth_max)
		return -EMSGSIZE;
	if (object->depth <= item->depth)
		object->depth = item->depth + 1;
	object->is_hashable &= item->is_hashable;
	object->has_proxy |= item->has_proxy;
	item->is_held = true;
	return 0;
}

int carom_object_add(struct carom_document *document, struct carom_object *object,
		     struct carom_object *const *items, size_t count, uint32_t depth_max)
{
	bool is_dict = object->kind == CAROM_OBJECT_DICT;
	int r;

	if (object->is_held || (is_dict && count % 2 != 0))
		return -EBADMSG;
	r = carom_object_reserve(document, object, count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = hold(object, items[i], is_dict && i % 2 == 0, depth_max);
		if (r == 0)
			object->items.data[object->items.count++] = items[i];
	}
	return r;
}

int carom_object_set_content(struct carom_object *object, struct carom_object *content,
			     uint32_t depth_max)
{
	int r = carom_object_is_bare_tag(object) ? hold(object, content, false, depth_max)
						 : -EBADMSG;

	if (r == 0)
		object->tagged.content = content;
	return r;
}

int carom_object_set_place(struct carom_document *document, struct carom_object *object,
			   uint64_t index)
{
	if (index >= CAROM_DOCUMENT_FDS_MAX)
		return -EBADMSG;
	object->place.document = document;
	object->place.index = (uint32_t)index;
	if (document->fd_wanted <= index)
		document->fd_wanted = (uint32_t)index + 1;
	return 0;
}

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

int carom_document_take_fds(struct carom_document *document, const int *fds, size_t count)
{
	int *copy = count == document->fd_wanted ? calloc(count + 1, sizeof(*fds)) : NULL;

	if (!copy) {
		close_all(fds, count);
		return count == document->fd_wanted ? -ENOMEM : -EBADMSG;
	}
	if (count > 0)
		memcpy(copy, fds, count * sizeof(*fds));
	document->fds = copy;
	document->fd_count = (uint32_t)count;
	return 0;
}

uint32_t carom_object_fd_count(const struct carom_object *object)
{
	uint32_t count = 0;

	if (object->kind == CAROM_OBJECT_FD)
		return object->place.index + 1;
	if (object->kind == CAROM_OBJECT_TAGGED)
		return carom_object_fd_count(object->tagged.content);
	if (object->kind != CAROM_OBJECT_LIST && object->kind != CAROM_OBJECT_TUPLE &&
	    object->kind != CAROM_OBJECT_DICT)
		return 0;
	for (size_t i = 0; i < object->items.count; i++) {
		uint32_t of_item = carom_object_fd_count(object->items.data[i]);

		if (count < of_item)
			count = of_item;
	}
	return count;
}

/* ---- looking ---- */

const struct carom_object *carom_document_root(const struct carom_document *document)
{
	return document->root;
}

static bool is(const struct carom_object *object, enum carom_object_kind kind)
{
	return object && object->kind == kind;
}

int carom_object_kind(const struct carom_object *object)
{
	return object ? object->kind : -EBADMSG;
}

int carom_object_bool(const struct carom_object *object, bool *ret_value)
{
	if (!is(object, CAROM_OBJECT_BOOL))
		return -EBADMSG;
	*ret_value = object->truth;
	return 0;
}

int carom_object_int(const struct carom_object *object, int64_t *ret_value)
{
	if (!is(object, CAROM_OBJECT_INT))
		return -EBADMSG;
	*ret_value = object->integer;
	return 0;
}

int carom_object_float(const struct carom_object *object, double *ret_value)
{
	if (is(object, CAROM_OBJECT_FLOAT))
		*ret_value = object->real;
	else if (is(object, CAROM_OBJECT_INT))
		*ret_value = (double)object->integer;
	else
		return -EBADMSG;
	return 0;
}

int carom_object_bytes(const struct carom_object *object, const void **ret_data, size_t *ret_size)
{
	if (!is(object, CAROM_OBJECT_BYTES))
		return -EBADMSG;
	*ret_data = object->bytes.data;
	*ret_size = object->bytes.size;
	return 0;
}

int carom_object_text(const struct carom_object *object, const char **ret_text, size_t *ret_size)
{
	if (!is(object, CAROM_OBJECT_TEXT))
		return -EBADMSG;
	if (!ret_size && memchr(object->bytes.data, '\0', object->bytes.size))
		return -EBADMSG;
	*ret_text = object->bytes.data;
	if (ret_size)
		*ret_size = object->bytes.size;
	return 0;
}

size_t carom_object_count(const struct carom_object *object)
{
	if (is(object, CAROM_OBJECT_LIST) || is(object, CAROM_OBJECT_TUPLE))
		return object->items.count;
	return is(object, CAROM_OBJECT_DICT) ? object->items.count / 2 : 0;
}

const struct carom_object *carom_object_item(const struct carom_object *object, size_t index)
{
	if (index >= carom_object_count(object))
		return NULL;
	return object->items.data[object->kind == CAROM_OBJECT_DICT ? 2 * index + 1 : index];
}

const struct carom_object *carom_object_key(const struct carom_object *dict, size_t index)
{
	if (!is(dict, CAROM_OBJECT_DICT) || index >= carom_object_count(dict))
		return NULL;
	return dict->items.data[2 * index];
}

static bool is_text(const struct carom_object *object, const char *text, size_t size)
{
	return is(object, CAROM_OBJECT_TEXT) && object->bytes.size == size &&
	       memcmp(object->bytes.data, text, size) == 0;
}

const struct carom_object *carom_object_find(const struct carom_object *dict, const char *key)
{
	size_t size = strlen(key);

	for (size_t i = carom_object_count(dict); i-- > 0;)
		if (is_text(carom_object_key(dict, i), key, size))
			return carom_object_item(dict, i);
	return NULL;
}

int carom_object_tag(const struct carom_object *object, uint32_t *ret_tag)
{
	if (!is(object, CAROM_OBJECT_TAGGED))
		return -EBADMSG;
	*ret_tag = object->tagged.tag;
	return 0;
}

const struct carom_object *carom_object_content(const struct carom_object *object)
{
	return is(object, CAROM_OBJECT_TAGGED) ? object->tagged.content : NULL;
}

int carom_object_fd(const struct carom_object *object, int *ret_fd)
{
	if (!is(object, CAROM_OBJECT_FD) || object->place.index >= object->place.document->fd_count)
		return -EBADMSG;
	*ret_fd = object->place.document->fds[object->place.index];
	return 0;
}

int carom_object_fd_index(const struct carom_object *object, uint32_t *ret_index)
{
	if (!is(object, CAROM_OBJECT_FD))
		return -EBADMSG;
	*ret_index = object->place.index;
	return 0;
}

int carom_object_proxy(const struct carom_object *object, uint64_t *ret_id, const char **ret_type)
{
	if (!is(object, CAROM_OBJECT_PROXY))
		return -EBADMSG;
	*ret_id = object->proxy.id;
	*ret_type = object->proxy.type;
	return 0;
}
