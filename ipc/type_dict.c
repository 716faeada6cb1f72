/*
 * Type: dict
 *
 * Its values are copies, kept as long as they stand in it.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "ipc/object_map.h"
#include "ipc/object_private.h"
#include "ipc/types.h"

struct dict {
	struct carom_server *server;
	struct carom_object_map map;
};

/* ---- values ---- */

static void drop(struct dict *dict, struct carom_object_map_entry entry)
{
	carom_server_drop(dict->server, entry.key);
	carom_server_drop(dict->server, entry.value);
}

static void clear(struct dict *dict)
{
	struct carom_object_map_entry *entry;

	for (size_t i = 0; (entry = carom_object_map_next(&dict->map, &i));)
		drop(dict, carom_object_map_remove(&dict->map, entry));
	carom_object_map_free(&dict->map);
}

static int add(struct dict *dict, struct carom_request *request, const struct carom_object *key,
	       struct carom_document *value)
{
	struct carom_document *copy;
	int r = carom_request_keep(request, key, &copy);

	if (r < 0)
		return r;
	r = carom_object_map_add(&dict->map, copy, value);
	if (r < 0)
		carom_server_drop(dict->server, copy);
	return r;
}

static int set(struct dict *dict, struct carom_request *request, const struct carom_object *key,
	       const struct carom_object *value)
{
	struct carom_object_map_entry *entry;
	struct carom_document *copy;
	int r;

	if (!carom_may_be_key(key) || !value)
		return -EINVAL;
	r = carom_request_keep(request, value, &copy);
	if (r < 0)
		return r;
	entry = carom_object_map_find(&dict->map, key);
	if (entry) {
		carom_server_drop(dict->server, entry->value);
		entry->value = copy;
		return 0;
	}
	r = add(dict, request, key, copy);
	if (r < 0)
		carom_server_drop(dict->server, copy);
	return r;
}

/* Of a dict, or of a sequence of pairs. */
static int update_from(struct dict *dict, struct carom_request *request,
		       const struct carom_object *from)
{
	bool is_dict = carom_object_kind(from) == CAROM_OBJECT_DICT;
	int r = carom_is_sequence(from) ? 0 : -EINVAL;

	for (size_t i = 0; r == 0 && i < carom_object_count(from); i++) {
		const struct carom_object *pair = carom_object_item(from, i);

		if (is_dict)
			r = set(dict, request, carom_object_key(from, i), pair);
		else if (carom_object_count(pair) != 2)
			r = -EINVAL;
		else
			r = set(dict, request, carom_object_item(pair, 0),
				carom_object_item(pair, 1));
	}
	return r;
}

static struct carom_object_map_entry *find_argument(const struct dict *dict,
						    const struct carom_request *request)
{
	const struct carom_object *key = carom_request_argument(request, 0);

	return carom_may_be_key(key) ? carom_object_map_find(&dict->map, key) : NULL;
}

/* What a key that cannot be there is said to be. */
static int missing(const struct carom_request *request)
{
	return carom_may_be_key(carom_request_argument(request, 0)) ? -ENOENT : -EINVAL;
}

/* ---- beginning and end ---- */

static void end_dict(void *object)
{
	clear(object);
	free(object);
}

static int make_dict(struct carom_request *request, void **ret_object)
{
	struct dict *dict =
		carom_request_argument_count(request) > 1 ? NULL : calloc(1, sizeof(*dict));
	int r = 0;

	if (!dict)
		return carom_request_argument_count(request) > 1 ? -EINVAL : -ENOMEM;
	dict->server = carom_request_server(request);
	if (carom_request_argument_count(request) == 1)
		r = update_from(dict, request, carom_request_argument(request, 0));
	if (r < 0)
		end_dict(dict);
	else
		*ret_object = dict;
	return r;
}

/* ---- methods ---- */

static int do_contains(void *object, struct carom_request *request)
{
	if (!carom_may_be_key(carom_request_argument(request, 0)))
		return -EINVAL;
	return carom_request_reply(request, "p", find_argument(object, request) != NULL);
}

static int do_delitem(void *object, struct carom_request *request)
{
	struct dict *dict = object;
	struct carom_object_map_entry *entry = find_argument(dict, request);

	if (!entry)
		return missing(request);
	drop(dict, carom_object_map_remove(&dict->map, entry));
	return 0;
}

static int do_getitem(void *object, struct carom_request *request)
{
	struct carom_object_map_entry *entry = find_argument(object, request);

	return entry ? carom_request_reply_value(request, carom_document_root(entry->value))
		     : missing(request);
}

static int do_setitem(void *object, struct carom_request *request)
{
	return set(object, request, carom_request_argument(request, 0),
		   carom_request_argument(request, 1));
}

static int do_len(void *object, struct carom_request *request)
{
	const struct dict *dict = object;

	return carom_request_reply(request, "L", (int64_t)dict->map.count);
}

/* The second argument, or None. */
static int reply_default(struct carom_request *request)
{
	const struct carom_object *otherwise = carom_request_argument(request, 1);

	return otherwise ? carom_request_reply_value(request, otherwise) : 0;
}

static int do_get(void *object, struct carom_request *request)
{
	struct carom_object_map_entry *entry = find_argument(object, request);

	if (entry)
		return carom_request_reply_value(request, carom_document_root(entry->value));
	return missing(request) == -ENOENT ? reply_default(request) : -EINVAL;
}

static int do_clear(void *object, struct carom_request *request)
{
	(void)request;
	clear(object);
	return 0;
}

static int do_pop(void *object, struct carom_request *request)
{
	struct dict *dict = object;
	struct carom_object_map_entry *entry = find_argument(dict, request);
	int r;

	if (!entry && carom_request_argument_count(request) == 2 && missing(request) == -ENOENT)
		return reply_default(request);
	if (!entry)
		return missing(request);
	r = carom_request_reply_value(request, carom_document_root(entry->value));
	if (r == 0)
		drop(dict, carom_object_map_remove(&dict->map, entry));
	return r;
}

static int do_popitem(void *object, struct carom_request *request)
{
	struct dict *dict = object;
	struct carom_object_map_entry *entry = carom_object_map_last(&dict->map);
	int r;

	if (!entry)
		return -ENOENT;
	r = carom_request_reply(request, "(OO)", carom_document_root(entry->key),
				carom_document_root(entry->value));
	if (r == 0)
		drop(dict, carom_object_map_remove(&dict->map, entry));
	return r;
}

static int do_setdefault(void *object, struct carom_request *request)
{
	struct carom_object_map_entry *entry = find_argument(object, request);
	struct carom_document *none = NULL;
	const struct carom_object *value = carom_request_argument(request, 1);
	int r = 0;

	if (entry)
		return carom_request_reply_value(request, carom_document_root(entry->value));
	if (!value)
		r = carom_document_build(&none, "n");
	if (r == 0)
		r = set(object, request, carom_request_argument(request, 0),
			value ? value : carom_document_root(none));
	carom_document_free(none);
	return r < 0 ? r : reply_default(request);
}

static int do_update(void *object, struct carom_request *request)
{
	const struct carom_object *from = carom_request_argument(request, 0);

	return from ? update_from(object, request, from) : 0;
}

/* ---- views ---- */

enum part { KEYS, VALUES, ITEMS };

static int view_pair(struct carom_request *request, struct carom_object *view,
		     const struct carom_object_map_entry *entry)
{
	struct carom_object *pair;
	int r = carom_view_new(request, CAROM_OBJECT_TUPLE, &pair);

	if (r == 0)
		r = carom_view_add(request, pair, carom_document_root(entry->key));
	if (r == 0)
		r = carom_view_add(request, pair, carom_document_root(entry->value));
	return r < 0 ? r : carom_view_add(request, view, pair);
}

static int view_part(const struct dict *dict, struct carom_request *request, enum part part,
		     struct carom_object *view)
{
	struct carom_object_map_entry *entry;
	int r = 0;

	for (size_t i = 0; r == 0 && (entry = carom_object_map_next(&dict->map, &i));) {
		if (part == ITEMS)
			r = view_pair(request, view, entry);
		else
			r = carom_view_add(
				request, view,
				carom_document_root(part == KEYS ? entry->key : entry->value));
	}
	return r;
}

static int reply_part(const struct dict *dict, struct carom_request *request, enum part part)
{
	struct carom_object *view;
	int r = carom_view_begin(request, CAROM_OBJECT_LIST, &view);

	if (r == 0)
		r = view_part(dict, request, part, view);
	return r < 0 ? r : carom_request_reply_value(request, view);
}

static int do_items(void *object, struct carom_request *request)
{
	return reply_part(object, request, ITEMS);
}

static int do_keys(void *object, struct carom_request *request)
{
	return reply_part(object, request, KEYS);
}

static int do_values(void *object, struct carom_request *request)
{
	return reply_part(object, request, VALUES);
}

static int view_whole(const void *object, struct carom_request *request,
		      struct carom_object **ret_view)
{
	const struct dict *dict = object;

	return carom_view_map(request, &dict->map, ret_view);
}

static int do_copy(void *object, struct carom_request *request)
{
	return carom_reply_view(request, object, view_whole, carom_request_reply_value);
}

static int do_str(void *object, struct carom_request *request)
{
	return carom_reply_view(request, object, view_whole, carom_reply_text_of);
}

static int do_iter(void *object, struct carom_request *request)
{
	struct carom_object *view;
	int r = carom_view_begin(request, CAROM_OBJECT_LIST, &view);

	if (r == 0)
		r = view_part(object, request, KEYS, view);
	return r < 0 ? r : carom_reply_iterator(request, view);
}

/* The last key first. */
static int do_reversed(void *object, struct carom_request *request)
{
	struct carom_object *forward, *view;
	int r = carom_view_begin(request, CAROM_OBJECT_LIST, &forward);

	if (r == 0)
		r = view_part(object, request, KEYS, forward);
	if (r == 0)
		r = carom_view_new(request, CAROM_OBJECT_LIST, &view);
	for (size_t i = carom_object_count(forward); r == 0 && i-- > 0;)
		r = carom_view_add(request, view, carom_object_item(forward, i));
	return r < 0 ? r : carom_reply_iterator(request, view);
}

/* ---- with another dict ---- */

/* @first, with what @second has instead or besides, as a dict of this request's own. */
static int reply_merged(struct carom_request *request, const struct carom_object *first,
			const struct carom_object *second)
{
	struct dict merged = { .server = carom_request_server(request) };
	int r = update_from(&merged, request, first);

	if (r == 0)
		r = update_from(&merged, request, second);
	if (r == 0)
		r = do_copy(&merged, request);
	clear(&merged);
	return r;
}

static int merge(struct dict *dict, struct carom_request *request, bool is_second)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *own = NULL;
	const struct carom_object *other = carom_request_argument(request, 0);
	struct carom_object *view;
	int r = carom_object_kind(other) == CAROM_OBJECT_DICT ? view_whole(dict, request, &view)
							      : -EINVAL;

	if (r == 0)
		r = carom_object_clone(view, &own);
	if (r < 0)
		return r;
	return is_second ? reply_merged(request, other, carom_document_root(own))
			 : reply_merged(request, carom_document_root(own), other);
}

static int do_or(void *object, struct carom_request *request)
{
	return merge(object, request, false);
}

static int do_ror(void *object, struct carom_request *request)
{
	return merge(object, request, true);
}

/* A dict of the keys that are given, each with the same value. */
static int do_fromkeys(void *object, struct carom_request *request)
{
	const struct carom_object *keys = carom_request_argument(request, 0);
	const struct carom_object *value = carom_request_argument(request, 1);
	struct carom_object *view, *none;
	int r = carom_is_sequence(keys) ? carom_view_begin(request, CAROM_OBJECT_DICT, &view)
					: -EINVAL;

	(void)object;
	if (r == 0)
		r = carom_view_new(request, CAROM_OBJECT_NONE, &none);
	for (size_t i = 0; r == 0 && i < carom_object_count(keys); i++)
		r = carom_view_add_pair(request, view, carom_sequence_item(keys, i),
					value ? value : none);
	if (r < 0)
		return r == -EBADMSG ? -EINVAL : r;
	return carom_request_reply_value(request, view);
}

static const struct carom_method methods[] = {
	CAROM_METHOD("get", do_get, 1, 2),
	CAROM_METHOD("__getitem__", do_getitem, 1, 1),
	CAROM_METHOD("__setitem__", do_setitem, 2, 2),
	CAROM_METHOD("__delitem__", do_delitem, 1, 1),
	CAROM_METHOD("__contains__", do_contains, 1, 1),
	CAROM_METHOD("__len__", do_len, 0, 0),
	CAROM_METHOD("__ior__", do_update, 1, 1),
	CAROM_METHOD("__iter__", do_iter, 0, 0),
	CAROM_METHOD("__or__", do_or, 1, 1),
	CAROM_METHOD("__reversed__", do_reversed, 0, 0),
	CAROM_METHOD("__ror__", do_ror, 1, 1),
	CAROM_METHOD("clear", do_clear, 0, 0),
	CAROM_METHOD("copy", do_copy, 0, 0),
	CAROM_METHOD("fromkeys", do_fromkeys, 1, 2),
	CAROM_METHOD("has_key", do_contains, 1, 1),
	CAROM_METHOD("items", do_items, 0, 0),
	CAROM_METHOD("keys", do_keys, 0, 0),
	CAROM_METHOD("pop", do_pop, 1, 2),
	CAROM_METHOD("popitem", do_popitem, 0, 0),
	CAROM_METHOD("setdefault", do_setdefault, 1, 2),
	CAROM_METHOD("update", do_update, 0, 1),
	CAROM_METHOD("values", do_values, 0, 0),
	CAROM_METHOD("__str__", do_str, 0, 0),
	CAROM_METHOD("__repr__", do_str, 0, 0),
	CAROM_METHOD("#GETVALUE", do_copy, 0, 0),
};

const struct carom_type carom_type_dict = {
	.name = "dict",
	.make = make_dict,
	.end = end_dict,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};
