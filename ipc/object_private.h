/* The inside of objects, for who makes them: see ipc/object.c. */
#ifndef CAROM_IPC_OBJECT_PRIVATE_H
#define CAROM_IPC_OBJECT_PRIVATE_H

#include "core/time.h"
#include "ipc/document.h"

#define CAROM_OBJECT_MEMORY_MAX CAROM_MIB(256) /* where nobody says another limit */

struct carom_proxy;

/**
 * struct carom_object - one of them
 * @is_held:     a list or dict that stands in another object, and takes nothing more
 * @is_hashable: it may be a key
 * @has_proxy:   it is a proxy, or holds one
 * @depth:       1, and 1 more than the deepest of what it holds
 * @bytes:       of bytes and texts; a NUL follows
 * @items:       of lists, tuples and dicts; of these, keys and values in turn
 * @tagged:      @content is NULL as long as it is only a tag, which nothing may hold
 * @place:       of a descriptor: which of @document's it is
 * @proxy:       its type's name has a NUL. @is_counted: this copy holds a reference in a server
 */
struct carom_object {
	uint8_t kind;
	bool is_held;
	bool is_hashable;
	bool has_proxy;
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
		struct {
			const struct carom_object *content;
			uint32_t tag;
		} tagged;
		struct {
			const struct carom_document *document;
			uint32_t index;
		} place;
		struct {
			const char *type;
			uint64_t id;
			bool is_counted;
		} proxy;
	};
};

/* Of a document's descriptors: no more than go through a connection at a time. */
#define CAROM_DOCUMENT_FDS_MAX 253

/**
 * struct carom_document - its memory
 * @free, @free_size: of the first block
 * @left:      how much it may still take
 * @depth_max: of what is added by carom_document_append() and its like
 * @error:     the first that these had
 * @fds:       the document's own, closed with it
 * @fd_wanted: so many have to be there for all of its objects
 */
struct carom_document {
	struct carom_document_block *blocks;
	unsigned char *free;
	size_t free_size;
	uint64_t left;
	const struct carom_object *root;
	uint32_t depth_max;
	int error;
	int *fds;
	uint32_t fd_count;
	uint32_t fd_wanted;
};

/** carom_document_take_limits() - with what 0 means, for @size bytes to be read. 0, -EINVAL, -E2BIG */
int carom_document_take_limits(const struct carom_document_limits *limits, size_t size,
			       struct carom_document_limits *ret_limits);

/** carom_document_fail() - the first error sticks. Return: NULL */
void *carom_document_fail(struct carom_document *document, int error);

/** carom_document_make() - an empty one, which gets no more than @memory_max bytes. 0, -ENOMEM */
int carom_document_make(uint64_t memory_max, struct carom_document **ret_document);

/** carom_document_make_of() - one with room for @size bytes, and no more */
int carom_document_make_of(uint64_t size, struct carom_document **ret_document);

/** carom_document_clear() - as it was when it was new, but that it may keep memory to go on with */
void carom_document_clear(struct carom_document *document, uint64_t memory_max);

void carom_document_set_root(struct carom_document *document, const struct carom_object *root);

/** carom_object_new() - of the document's memory; zeroed but for its kind. 0, -ENOMEM, -EMSGSIZE */
int carom_object_new(struct carom_document *document, enum carom_object_kind kind,
		     struct carom_object **ret_object);

/** carom_object_set_bytes() - a copy. 0, -ENOMEM, -EMSGSIZE */
int carom_object_set_bytes(struct carom_document *document, struct carom_object *object,
			   const void *data, size_t size);

/** carom_object_reserve() - room for @count items more, at once. 0, -ENOMEM, -EMSGSIZE */
int carom_object_reserve(struct carom_document *document, struct carom_object *object,
			 size_t count);

/**
 * carom_object_add() - to a list, tuple or dict
 * @items: keys and values in turn, for a dict
 *
 * Return: 0, -ENOMEM; -EMSGSIZE: too deep, or too much memory; -EBADMSG: it would hold itself,
 * or a key cannot be one, or has no value.
 */
int carom_object_add(struct carom_document *document, struct carom_object *object,
		     struct carom_object *const *items, size_t count, uint32_t depth_max);

/** carom_object_is_bare_tag() - a tag that has no content yet */
static inline bool carom_object_is_bare_tag(const struct carom_object *object)
{
	return object->kind == CAROM_OBJECT_TAGGED && !object->tagged.content;
}

/** carom_object_set_content() - of a tag that has none. As carom_object_add() */
int carom_object_set_content(struct carom_object *object, struct carom_object *content,
			     uint32_t depth_max);

/** carom_object_set_place() - of a descriptor. 0, -EBADMSG: there are never so many */
int carom_object_set_place(struct carom_document *document, struct carom_object *object,
			   uint64_t index);

/** carom_object_fd_count() - so many of its document's descriptors it needs: the first ones */
uint32_t carom_object_fd_count(const struct carom_object *object);

/**
 * carom_document_take_fds() - what came along with what was read
 * @fds: the document's from now on, whatever happens
 *
 * Return: 0, -ENOMEM; -EBADMSG: they are fewer, or more, than its objects need.
 */
int carom_document_take_fds(struct carom_document *document, const int *fds, size_t count);

/** carom_object_set_proxy() - @type is copied. 0, -ENOMEM, -EMSGSIZE */
int carom_object_set_proxy(struct carom_document *document, struct carom_object *object,
			   const char *type, size_t type_size, uint64_t id);

/** carom_object_vbuild() - as carom_document_build(), but a tuple, whatever there is in it */
int carom_object_vbuild(struct carom_document *document, const char *format, va_list arguments,
			struct carom_object **ret_tuple);

/** carom_object_put_proxy() - what stands for a proxy: see ipc/proxy.c. 0, -ENOMEM, -EMSGSIZE */
int carom_object_put_proxy(struct carom_document *document, const struct carom_proxy *proxy,
			   struct carom_object **ret_object);

/**
 * carom_object_clone() - a document of its own, in as much memory as it takes
 *
 * Return: 0, -ENOMEM; -EMSGSIZE: more than CAROM_OBJECT_MEMORY_MAX; -EINVAL: it has a tag or a
 * descriptor in it.
 */
int carom_object_clone(const struct carom_object *object, struct carom_document **ret_document);

/** carom_object_hash() - the same of what is equal; of what may be a key */
uint64_t carom_object_hash(const struct carom_object *object);

#endif
