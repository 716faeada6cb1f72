/**
 * DOC: document
 *
 * Making objects (object.h) piece by piece, from the inside out:
 *
 *	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
 *
 *	r = carom_document_new(NULL, &document);
 *	if (r < 0)
 *		return r;
 *	list = carom_document_list(document);
 *	carom_document_append(document, list, carom_document_int(document, 1));
 *	carom_document_append(document, list, carom_document_text(document, "a"));
 *	r = carom_document_finish(document, list);	// [1, "a"]
 *
 * The first error sticks: what cannot be made is NULL, nothing more is made after that, NULL
 * may be handed on, and one look at the end is enough.
 *
 * Or all at once, from a line that says what follows:
 *
 *	r = carom_document_build(&document, "[is]", 1, "a");
 *
 * An object may stand in several places of its document. What stands in another one takes
 * nothing more: it is filled first. No object holds one of another document, but by
 * carom_document_copy().
 */
#ifndef CAROM_IPC_DOCUMENT_H
#define CAROM_IPC_DOCUMENT_H

#include <stdarg.h>

#include "object.h"

CAROM_BEGIN_DECLS

/**
 * struct carom_document_limits - what a document may take, and so what a peer may make of this process
 * @size_bytes: size of this struct; CAROM_DOCUMENT_LIMITS() fills it in
 * @memory_max: for all objects, in bytes, and up to twice as much again while they are
 *              read; 0 means 256 MiB, and twice the length of what is read; UINT64_MAX: no limit
 * @depth_max:  how deep they may stand in each other; 0 means 32; at most 1000
 * @reserved:   0
 */
struct carom_document_limits {
	size_t size_bytes;
	uint64_t memory_max;
	uint32_t depth_max;
	uint32_t reserved;
};
#define CAROM_DOCUMENT_LIMITS(...) CAROM_OPTIONS(carom_document_limits, __VA_ARGS__)
#define CAROM_DOCUMENT_DEPTH_MAX   1000

/* Tags are from 1 to this; a program's own are below CAROM_TAG_OWN, the library's above. */
#define CAROM_TAG_MAX UINT32_C(0x7fffffff)
#define CAROM_TAG_OWN UINT32_C(0x70000000)

/**
 * carom_document_new() - an empty one
 * @limits:       read during the call only; NULL for all defaults
 * @ret_document: the caller owns it and ends it with carom_document_free()
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, -EINVAL (@limits make no sense), -E2BIG, -ENOMEM.
 */
CAROM_API int carom_document_new(const struct carom_document_limits *limits,
				 struct carom_document **ret_document);

/*
 * Context of all that follow, down to carom_document_finish(): one thread at a time may change
 * a document, until it is finished; AS-Unsafe heap. What they make belongs to the document.
 * They return it, or NULL, and from then on whatever is done, carom_document_finish() says
 *
 *	-EINVAL    no data; no such tag; nothing to copy; it has been finished
 *	-EILSEQ    a text that is no UTF-8
 *	-EMSGSIZE  more memory, or deeper, than @limits allow
 *	-EBADF     @fd is not open
 *	-EMFILE, -ENFILE  no descriptor more can be had, or there are 253 in it already
 *	-ENOMEM
 */
/** carom_document_none() - make None, or whatever else is named; the document's */
CAROM_API struct carom_object *carom_document_none(struct carom_document *document);
CAROM_API struct carom_object *carom_document_bool(struct carom_document *document, bool value);
CAROM_API struct carom_object *carom_document_int(struct carom_document *document, int64_t value);
CAROM_API struct carom_object *carom_document_float(struct carom_document *document, double value);
CAROM_API struct carom_object *carom_document_bytes(struct carom_document *document,
						    const void *data, size_t size);
CAROM_API struct carom_object *carom_document_text(struct carom_document *document,
						   const char *text);

/** carom_document_text_sized() - a text of @size bytes, which may have a NUL among them; the document's */
CAROM_API struct carom_object *carom_document_text_sized(struct carom_document *document,
							 const char *text, size_t size);

/** carom_document_list() - an empty list, tuple or dict, to be filled; the document's */
CAROM_API struct carom_object *carom_document_list(struct carom_document *document);
CAROM_API struct carom_object *carom_document_tuple(struct carom_document *document);
CAROM_API struct carom_object *carom_document_dict(struct carom_document *document);

/** carom_document_tagged() - @content as what @tag says it is; the document's */
CAROM_API struct carom_object *carom_document_tagged(struct carom_document *document, uint32_t tag,
						     struct carom_object *content);

/** carom_document_fd() - a descriptor; a duplicate is kept, so @fd stays the caller's */
CAROM_API struct carom_object *carom_document_fd(struct carom_document *document, int fd);

/**
 * carom_document_fd_at() - the descriptor with this index, for a serializer that reads one
 *
 * It is there once what has carried the bytes has added those that came along. The object is the
 * document's.
 */
CAROM_API struct carom_object *carom_document_fd_at(struct carom_document *document,
						    uint32_t index);

/** carom_document_copy() - an object of another document, with all that it holds; the document's */
CAROM_API struct carom_object *carom_document_copy(struct carom_document *document,
						   const struct carom_object *object);

/**
 * carom_document_append() - at the end of a list or tuple
 *
 * Return: @list, or NULL: as above; -EINVAL: it is none, or stands in something, or in @item
 */
CAROM_API struct carom_object *carom_document_append(struct carom_document *document,
						     struct carom_object *list,
						     struct carom_object *item);

/**
 * carom_document_set() - another pair of a dict
 *
 * Of two keys that are the same, the later counts.
 *
 * Return: @dict, or NULL: as above; -EINVAL also: @key has a list or a dict in it
 */
CAROM_API struct carom_object *carom_document_set(struct carom_document *document,
						  struct carom_object *dict,
						  struct carom_object *key,
						  struct carom_object *value);

/**
 * carom_document_finish() - @root is what it is about, and nothing is added any more
 *
 * Return: 0, or the first error there was; -EINVAL: no @root.
 */
CAROM_API int carom_document_finish(struct carom_document *document, struct carom_object *root);

/**
 * carom_document_build() - make one here
 * @ret_document: the caller owns it and ends it with carom_document_free()
 * @format:       what follows, and what becomes of it:
 *
 *	n           None                        nothing
 *	p           bool                        int
 *	i, l, L     int                         int, long, int64_t
 *	d           float                       double
 *	s           str                         const char *; NULL: None
 *	y           bytes                       const void *, size_t
 *	O           a copy of that object       const struct carom_object *
 *	P           its proxy                   struct carom_proxy *, see ipc/proxy.h
 *	(...)       tuple                       what is between
 *	[...]       list                        what is between
 *	{...}       dict                        keys and values in turn
 *
 * Blanks, commas and colons separate and mean nothing. Of several objects at the top a tuple
 * is made; so it is of none:
 *
 *	r = carom_document_build(&document, "{s: i, s: [d, d]}", "count", 2, "data", 0.5, 1.5);
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_document untouched,
 *	-EINVAL    another letter, a NULL, a bracket without the other, a key without a value, or one that
 *	           cannot be a key
 *	-EILSEQ    a text that is no UTF-8
 *	-EMSGSIZE  deeper than 32, or longer than 256 MiB
 *	-ENOMEM
 */
CAROM_API int carom_document_build(struct carom_document **ret_document, const char *format, ...);
CAROM_API int carom_document_vbuild(struct carom_document **ret_document, const char *format,
				    va_list arguments);

CAROM_END_DECLS

#endif
