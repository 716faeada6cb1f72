/**
 * DOC: pickle
 *
 * The part of Python's pickles that is data: None, bool, int, float, bytes, str, list, tuple
 * and dict. So what a Python program sends by `connection.send([1, "a"])` arrives with its
 * types, and what is sent from here is what `connection.recv()` returns there:
 *
 *	CAROM_CLEANUP(carom_pickle_freep) struct carom_pickle *pickle = NULL;
 *
 *	r = carom_pickle_new(NULL, &pickle);
 *	if (r < 0)
 *		return r;
 *	carom_pickle_begin_list(pickle);
 *	carom_pickle_int(pickle, 1);
 *	carom_pickle_text(pickle, "a");
 *	carom_pickle_end(pickle);
 *	r = carom_connection_send_pickle(connection, pickle, deadline_ns);
 *
 * The first error sticks, so one look at the end is enough.
 *
 * A program's own types go by a tag: an object under tag 100 is in Python what
 * copyreg.add_extension(module, name, 100) names, called with one argument (codec.h).
 *
 * Reading runs no code and finds no names: what would is refused, as is whatever else is not in
 * the list above, a number of more than 64 bits (-EOVERFLOW), and what holds itself. The
 * protocols 2 to 5 are read, and 4 is written, which Python 3.4 and later read. (bytes of
 * protocol 2 are a call of a function, and so refused.)
 */
#ifndef CAROM_IPC_PICKLE_H
#define CAROM_IPC_PICKLE_H

#include "connection.h"
#include "document.h"

CAROM_BEGIN_DECLS

/* ---- reading ---- */

/**
 * carom_pickle_load() - read one
 * @data:         @size bytes; nothing of it is kept
 * @limits:       read during the call only; NULL for all defaults
 * @ret_document: the caller owns it and ends it with carom_document_free()
 *
 * Context: MT-Safe, AS-Unsafe heap. Never blocks.
 * Return: 0, or, with *@ret_document untouched,
 *	-EBADMSG    it is no pickle, or not all of one, or has what is not data
 *	-EOVERFLOW  an int of more than 64 bits
 *	-EMSGSIZE   deeper, or more memory, than @limits allow
 *	-EINVAL     @limits make no sense
 *	-E2BIG      @limits sets a field newer than this library
 *	-ENOMEM
 */
CAROM_API int carom_pickle_load(const void *data, size_t size,
				const struct carom_document_limits *limits,
				struct carom_document **ret_document);

/* ---- writing ---- */

struct carom_pickle;

/**
 * struct carom_pickle_options - what carom_pickle_new() makes
 * @size_bytes: size of this struct; CAROM_PICKLE_OPTIONS() fills it in
 * @size_max:   it grows no longer, in bytes; 0 means 64 MiB; UINT64_MAX: no limit
 */
struct carom_pickle_options {
	size_t size_bytes;
	uint64_t size_max;
};
#define CAROM_PICKLE_OPTIONS(...) CAROM_OPTIONS(carom_pickle_options, __VA_ARGS__)

#define CAROM_PICKLE_DEPTH_MAX 1000

/**
 * carom_pickle_new() - an empty one
 * @ret_pickle: the caller owns it and ends it with carom_pickle_free()
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0, or, with *@ret_pickle untouched, -E2BIG (@options sets a field newer than this
 * library), -ENOMEM.
 */
CAROM_API int carom_pickle_new(const struct carom_pickle_options *options,
			       struct carom_pickle **ret_pickle);

/** carom_pickle_free() - NULL is allowed. MT-Safe, AS-Unsafe heap. Return: NULL */
CAROM_API struct carom_pickle *carom_pickle_free(struct carom_pickle *pickle);
CAROM_API void carom_pickle_freep(struct carom_pickle **pickle);

/*
 * Context of all that follow, down to carom_pickle_data(): one thread at a time uses a pickle;
 * AS-Unsafe heap. They add one object, or begin one and end it. They return 0 or, and from
 * then on whatever is done,
 *
 *	-EINVAL    it does not fit here: a second root; a key that is a list or a dict, or has one
 *	           in it; an end of nothing, of a dict whose last key has no value, or of a tag
 *	           with none or several; no data; no such tag
 *	-EILSEQ    a text that is no UTF-8
 *	-EMSGSIZE  longer than @size_max, or deeper than CAROM_PICKLE_DEPTH_MAX
 *	-ENOMEM
 */
/** carom_pickle_none() - add None, or whatever else is named */
CAROM_API int carom_pickle_none(struct carom_pickle *pickle);
CAROM_API int carom_pickle_bool(struct carom_pickle *pickle, bool value);
CAROM_API int carom_pickle_int(struct carom_pickle *pickle, int64_t value);
CAROM_API int carom_pickle_float(struct carom_pickle *pickle, double value);
CAROM_API int carom_pickle_bytes(struct carom_pickle *pickle, const void *data, size_t size);
CAROM_API int carom_pickle_text(struct carom_pickle *pickle, const char *text);

/** carom_pickle_begin_list() - what follows stands in a list, tuple or dict */
CAROM_API int carom_pickle_begin_list(struct carom_pickle *pickle);
CAROM_API int carom_pickle_begin_tuple(struct carom_pickle *pickle);
CAROM_API int carom_pickle_begin_dict(struct carom_pickle *pickle); /* keys and values in turn */

/**
 * carom_pickle_begin_tagged() - one object under a tag follows
 * @tag: what copyreg.add_extension() gives a number to in Python
 */
CAROM_API int carom_pickle_begin_tagged(struct carom_pickle *pickle, uint32_t tag);

/** carom_pickle_end() - of what was begun last */
CAROM_API int carom_pickle_end(struct carom_pickle *pickle);

/**
 * carom_pickle_object() - one that was read, and all it holds: in each place where it stands
 *
 * So a few bytes that were read may be very many: @size_max is what bounds them.
 */
CAROM_API int carom_pickle_object(struct carom_pickle *pickle, const struct carom_object *object);

/**
 * carom_pickle_data() - the finished pickle
 * @ret_data: the pickle's, until it is freed
 *
 * Nothing can be added any more.
 *
 * Return: 0; the first error there was; -EINVAL: nothing was added, or not all has ended.
 */
CAROM_API int carom_pickle_data(struct carom_pickle *pickle, const void **ret_data,
				size_t *ret_size);

/**
 * carom_pickle_dump() - a pickle of one object, of 1 GiB at most
 * @ret_data: the caller's, to be freed with free(3)
 *
 * Context: MT-Safe, AS-Unsafe heap. Never blocks.
 * Return: 0, -EINVAL (no @object), -EMSGSIZE, -ENOMEM.
 */
CAROM_API int carom_pickle_dump(const struct carom_object *object, void **ret_data,
				size_t *ret_size);

/** carom_connection_send_pickle() - as carom_pickle_data() and carom_connection_send_bytes() */
CAROM_API int carom_connection_send_pickle(struct carom_connection *connection,
					   struct carom_pickle *pickle, uint64_t deadline_ns);

CAROM_END_DECLS

#endif
