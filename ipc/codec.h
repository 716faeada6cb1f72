/**
 * DOC: codec
 *
 * Types of a program's own in documents. Each has a number, its tag, which means the same in
 * every program that uses it, and two functions: one says in plain objects what a value of
 * the type is, the other makes one of them again:
 *
 *	static struct carom_object *write_point(struct carom_document *document, const void *item)
 *	{
 *		const struct point *point = item;
 *		struct carom_object *pair = carom_document_tuple(document);
 *
 *		carom_document_append(document, pair, carom_document_int(document, point->x));
 *		return carom_document_append(document, pair,
 *					     carom_document_int(document, point->y));
 *	}
 *	...
 *	carom_codec_register(100, &CAROM_CODEC(.write = write_point, .read = read_point));
 *
 *	carom_document_finish(document, carom_document_item(document, 100, &point));
 *	...
 *	r = carom_object_item_of(carom_document_root(document), 100, (void **)&point);
 *
 * Reading a document calls none of them: an object under a tag is data until somebody asks for
 * what it stands for.
 */
#ifndef CAROM_IPC_CODEC_H
#define CAROM_IPC_CODEC_H

#include "document.h"

CAROM_BEGIN_DECLS

/**
 * typedef carom_codec_write_fn - say what @item is
 * Return: an object of @document, or NULL: it cannot be said
 */
typedef struct carom_object *carom_codec_write_fn(struct carom_document *document,
						  const void *item);

/**
 * typedef carom_codec_read_fn - make what @content says
 * @content:  from whoever has sent it: nothing about it is certain but its tag
 * @ret_item: the caller's; how it is ended is between him and this function
 *
 * Return: 0, or a negative errno value; -EBADMSG: it says nothing that can be made
 */
typedef int carom_codec_read_fn(const struct carom_object *content, void **ret_item);

/**
 * struct carom_codec - a type
 * @size_bytes: size of this struct; CAROM_CODEC() fills it in
 */
struct carom_codec {
	size_t size_bytes;
	carom_codec_write_fn *write;
	carom_codec_read_fn *read;
};
#define CAROM_CODEC(...) CAROM_OPTIONS(carom_codec, __VA_ARGS__)

/**
 * carom_codec_register() - make a type known in this program
 * @tag:   below CAROM_TAG_OWN
 * @codec: copied
 *
 * In every program that is to have it: children by "fork" have what their parent had then,
 * those of the fork server what the program had when it was started.
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0 (also if these are its functions already), -EEXIST (the tag is another's), -EINVAL
 * (no such tag, or a function is missing), -E2BIG, -ENOMEM.
 */
CAROM_API int carom_codec_register(uint32_t tag, const struct carom_codec *codec);

/**
 * carom_document_item() - @item under its tag, as its codec writes it
 *
 * Return: as carom_document_tagged(); NULL also, and carom_document_finish() says
 *	-ENOENT  nothing is registered with this tag
 *	-EINVAL  its codec has given no object
 */
CAROM_API struct carom_object *carom_document_item(struct carom_document *document, uint32_t tag,
						   const void *item);

/**
 * carom_object_item_of() - what an object under @tag stands for, as its codec makes it
 * @ret_item: the caller's, who ends it as that type is ended
 *
 * Context: MT-Safe, and otherwise as that function.
 * Return: 0, -EBADMSG (not under this tag), -ENOENT (nothing is registered with it), or what
 * the function says.
 */
CAROM_API int carom_object_item_of(const struct carom_object *object, uint32_t tag,
				   void **ret_item);

CAROM_END_DECLS

#endif
