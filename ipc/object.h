/**
 * DOC: object
 *
 * Values as programs of other languages send them: nothing, truth, numbers, bytes, texts, and
 * lists, tuples and dictionaries of them; and what a program has given a number of its own, a
 * tag (codec.h). A document is one such object with all it holds: made by reading, or piece by
 * piece (document.h), from then on only looked at, and freed as a whole:
 *
 *	r = carom_connection_recv_document(connection, NULL, deadline_ns, &document);
 *	list = carom_document_root(document);
 *	r = carom_object_int(carom_object_item(list, 0), &number);	// of [1, "a"]
 *	r = carom_object_text(carom_object_item(list, 1), &text, NULL);
 *	...
 *	document = carom_document_free(document);
 *
 * Every look is checked, so one may look before one asks: what is not there is NULL, a NULL has
 * nothing in it, and -EBADMSG says that a peer sent something else than was expected.
 *
 * Objects and what they give belong to the document, and do not change.
 */
#ifndef CAROM_IPC_OBJECT_H
#define CAROM_IPC_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"

CAROM_BEGIN_DECLS

struct carom_document;
struct carom_object;

/**
 * enum carom_object_kind - what an object is, and Python's word for it
 * @CAROM_OBJECT_NONE:  None
 * @CAROM_OBJECT_BOOL:  bool
 * @CAROM_OBJECT_INT:   int, of 64 bits with its sign
 * @CAROM_OBJECT_FLOAT: float, a double
 * @CAROM_OBJECT_BYTES: bytes
 * @CAROM_OBJECT_TEXT:  str, as UTF-8
 * @CAROM_OBJECT_LIST:  list
 * @CAROM_OBJECT_TUPLE: tuple
 * @CAROM_OBJECT_DICT:  dict
 * @CAROM_OBJECT_TAGGED: of a type of the program's: its tag, and one object that says what it is
 * @CAROM_OBJECT_FD:    a descriptor
 * @CAROM_OBJECT_PROXY: of an object that a server has, see ipc/proxy.h; no pickle has one
 */
enum carom_object_kind {
	CAROM_OBJECT_NONE,
	CAROM_OBJECT_BOOL,
	CAROM_OBJECT_INT,
	CAROM_OBJECT_FLOAT,
	CAROM_OBJECT_BYTES,
	CAROM_OBJECT_TEXT,
	CAROM_OBJECT_LIST,
	CAROM_OBJECT_TUPLE,
	CAROM_OBJECT_DICT,
	CAROM_OBJECT_TAGGED,
	CAROM_OBJECT_FD,
	CAROM_OBJECT_PROXY,
};

/**
 * carom_document_free() - with all objects in it
 * @document: NULL is allowed
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: NULL.
 */
CAROM_API struct carom_document *carom_document_free(struct carom_document *document);
CAROM_API void carom_document_freep(struct carom_document **document);

/** carom_document_root() - the object that the others stand in; the document's. MT-Safe, AS-Safe. */
CAROM_API const struct carom_object *carom_document_root(const struct carom_document *document);

/** carom_object_kind() - what it is; -EBADMSG if @object is NULL. MT-Safe, AS-Safe. */
CAROM_API int carom_object_kind(const struct carom_object *object);

/** carom_object_bool() - 0, -EBADMSG (no bool). MT-Safe, AS-Safe. */
CAROM_API int carom_object_bool(const struct carom_object *object, bool *ret_value);

/** carom_object_int() - 0, -EBADMSG (no int). MT-Safe, AS-Safe. */
CAROM_API int carom_object_int(const struct carom_object *object, int64_t *ret_value);

/** carom_object_float() - 0, -EBADMSG (no float, and no int). MT-Safe, AS-Safe. */
CAROM_API int carom_object_float(const struct carom_object *object, double *ret_value);

/**
 * carom_object_bytes() - what is in it
 * @ret_data: the document's; followed by a NUL that does not count
 * @ret_size: in bytes
 *
 * Context: MT-Safe, AS-Safe.
 * Return: 0, -EBADMSG (no bytes).
 */
CAROM_API int carom_object_bytes(const struct carom_object *object, const void **ret_data,
				 size_t *ret_size);

/**
 * carom_object_text() - what is in it, as UTF-8
 * @ret_text: ends with a NUL
 * @ret_size: in bytes, without it; may be NULL, and then a text with a NUL within is refused
 *
 * Context: MT-Safe, AS-Safe.
 * Return: 0, -EBADMSG (no str).
 */
CAROM_API int carom_object_text(const struct carom_object *object, const char **ret_text,
				size_t *ret_size);

/** carom_object_count() - of a list, tuple or dict: how many (pairs) it has; else 0. MT-Safe, AS-Safe. */
CAROM_API size_t carom_object_count(const struct carom_object *object);

/** carom_object_item() - of a list or tuple, or of a dict the value; NULL: none. MT-Safe, AS-Safe. */
CAROM_API const struct carom_object *carom_object_item(const struct carom_object *object,
						       size_t index);

/** carom_object_key() - of a dict, in the order in which they came; NULL: none. MT-Safe, AS-Safe. */
CAROM_API const struct carom_object *carom_object_key(const struct carom_object *dict,
						      size_t index);

/**
 * carom_object_find() - the value of a key that is a text
 *
 * Looks at each key; of two that are the same, the later counts.
 *
 * Context: MT-Safe, AS-Safe.
 * Return: the value; NULL: there is no such key, or @dict is no dict.
 */
CAROM_API const struct carom_object *carom_object_find(const struct carom_object *dict,
						       const char *key);

/** carom_object_tag() - 0, -EBADMSG (not tagged). MT-Safe, AS-Safe. */
CAROM_API int carom_object_tag(const struct carom_object *object, uint32_t *ret_tag);

/** carom_object_content() - what stands under the tag; NULL: not tagged. MT-Safe, AS-Safe. */
CAROM_API const struct carom_object *carom_object_content(const struct carom_object *object);

/**
 * carom_object_fd() - the descriptor
 * @ret_fd: the document's, which closes it when it is freed
 *
 * Context: MT-Safe, AS-Safe.
 * Return: 0, -EBADMSG (no descriptor, or it did not come along).
 */
CAROM_API int carom_object_fd(const struct carom_object *object, int *ret_fd);

/** carom_object_fd_index() - which of its document's it is, for a serializer. 0, -EBADMSG. MT-Safe, AS-Safe. */
CAROM_API int carom_object_fd_index(const struct carom_object *object, uint32_t *ret_index);

/**
 * carom_object_proxy() - which object of a server it stands for
 * @ret_id:   its number there
 * @ret_type: the name of its type; the document's
 *
 * carom_proxy_of() makes a proxy of it. MT-Safe, AS-Safe.
 * Return: 0, -EBADMSG (no proxy).
 */
CAROM_API int carom_object_proxy(const struct carom_object *object, uint64_t *ret_id,
				 const char **ret_type);

/**
 * carom_object_equal() - as Python's ==: 1, 1.0 and True are the same; dicts have no order
 *
 * Context: MT-Safe, AS-Safe.
 */
CAROM_API bool carom_object_equal(const struct carom_object *a, const struct carom_object *b);

/**
 * carom_object_compare() - as Python's <: numbers, texts, bytes, and lists or tuples of them
 * @ret_order: below, above or 0
 *
 * Context: MT-Safe, AS-Safe.
 * Return: 0, -EINVAL (they have no order), -EDOM (a NaN).
 */
CAROM_API int carom_object_compare(const struct carom_object *a, const struct carom_object *b,
				   int *ret_order);

/**
 * carom_object_describe() - as Python's repr() says it
 * @text: cut at @size bytes, always with a NUL; NULL if @size is 0
 *
 * Context: MT-Safe.
 * Return: its full length, as snprintf(3) does.
 */
CAROM_API size_t carom_object_describe(const struct carom_object *object, char *text, size_t size);

CAROM_END_DECLS

#endif
