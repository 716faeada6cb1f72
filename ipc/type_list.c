/*
 * Type: list
 *
 * A row of copies, each in memory of its own. Who makes a list of another one's items, or of a
 * value's, makes copies first, so that a failure leaves it as it was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/time.h"
#include "ipc/object_private.h"
#include "ipc/types.h"

#define COUNT_MAX ((uint64_t)1 << 31)

struct list {
	struct carom_server *server;
	struct carom_document **items;
	size_t count;
	size_t room;
};

/* ---- items ---- */

static const struct carom_object *at(const struct list *list, size_t index)
{
	return carom_document_root(list->items[index]);
}

static int make_room(struct list *list, uint64_t count)
{
	size_t room = list->room ? list->room : 8;
	struct carom_document **items;

	if (list->count + count > COUNT_MAX)
		return -ENOSPC;
	while (room < list->count + count)
		room *= 2;
	if (room == list->room)
		return 0;
	items = realloc(list->items, room * sizeof(struct carom_document *));
	if (!items)
		return -ENOMEM;
	list->items = items;
	list->room = room;
	return 0;
}

/* There is room. */
static void open_gap(struct list *list, size_t index, size_t count)
{
	memmove(list->items + index + count, list->items + index,
		(list->count - index) * sizeof(struct carom_document *));
	list->count += count;
}

static void close_gap(struct list *list, size_t index, size_t count)
{
	memmove(list->items + index, list->items + index + count,
		(list->count - index - count) * sizeof(struct carom_document *));
	list->count -= count;
}

static void remove_at(struct list *list, size_t index)
{
	carom_server_drop(list->server, list->items[index]);
	close_gap(list, index, 1);
}

static void drop_all(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		carom_server_drop(list->server, list->items[i]);
	list->count = 0;
}

static void end_row(struct list *list)
{
	drop_all(list);
	free(list->items);
}

static int append(struct list *list, struct carom_request *request,
		  const struct carom_object *value)
{
	int r = make_room(list, 1);

	if (r == 0)
		r = carom_request_keep(request, value, &list->items[list->count]);
	if (r == 0)
		list->count++;
	return r;
}

/* Copies of what is in @values: a list, a tuple, or the keys of a dict; as a row of its own. */
static int copy_values(struct carom_request *request, const struct carom_object *values,
		       struct list *ret_row)
{
	struct list row = { .server = carom_request_server(request) };
	int r = carom_is_sequence(values) ? 0 : -EINVAL;

	for (size_t i = 0; r == 0 && i < carom_object_count(values); i++)
		r = append(&row, request, carom_sequence_item(values, i));
	if (r < 0)
		end_row(&row);
	else
		*ret_row = row;
	return r;
}

/* @row's items are @list's from @index on, and @row is no more. */
static int take_row(struct list *list, size_t index, struct list *row)
{
	int r = make_room(list, row->count);

	if (r < 0) {
		end_row(row);
		return r;
	}
	open_gap(list, index, row->count);
	if (row->count > 0)
		memcpy(list->items + index, row->items,
		       row->count * sizeof(struct carom_document *));
	free(row->items);
	return 0;
}

static int extend(struct list *list, struct carom_request *request,
		  const struct carom_object *values)
{
	struct list row;
	int r = copy_values(request, values, &row);

	return r < 0 ? r : take_row(list, list->count, &row);
}

/* Return: where it is; the count: nowhere */
static size_t find(const struct list *list, const struct carom_object *value, size_t first,
		   size_t end)
{
	for (size_t i = first; i < end && i < list->count; i++)
		if (carom_object_equal(at(list, i), value))
			return i;
	return list->count;
}

/* ---- beginning and end ---- */

static void end_list(void *object)
{
	end_row(object);
	free(object);
}

static int make_list(struct carom_request *request, void **ret_object)
{
	const struct carom_object *values = carom_request_argument(request, 0);
	struct list *list;
	int r = 0;

	if (carom_request_argument_count(request) > 1)
		return -EINVAL;
	list = calloc(1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	list->server = carom_request_server(request);
	if (values)
		r = extend(list, request, values);
	if (r < 0)
		end_list(list);
	else
		*ret_object = list;
	return r;
}

/* ---- views ---- */

static int view_items(const struct list *list, struct carom_request *request,
		      struct carom_object *view)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->count; i++)
		r = carom_view_add(request, view, at(list, i));
	return r;
}

static int view_whole(const void *list, struct carom_request *request,
		      struct carom_object **ret_view)
{
	int r = carom_view_begin(request, CAROM_OBJECT_LIST, ret_view);

	return r < 0 ? r : view_items(list, request, *ret_view);
}

static int do_copy(void *object, struct carom_request *request)
{
	return carom_reply_view(request, object, view_whole, carom_request_reply_value);
}

static int do_str(void *object, struct carom_request *request)
{
	return carom_reply_view(request, object, view_whole, carom_reply_text_of);
}

static int do_reversed(void *object, struct carom_request *request)
{
	const struct list *list = object;
	struct carom_object *view;
	int r = carom_view_begin(request, CAROM_OBJECT_LIST, &view);

	for (size_t i = list->count; r == 0 && i-- > 0;)
		r = carom_view_add(request, view, at(list, i));
	return r < 0 ? r : carom_request_reply_value(request, view);
}

static int do_add(void *object, struct carom_request *request)
{
	const struct carom_object *more = carom_request_argument(request, 0);
	struct carom_object *view;
	int r = carom_object_kind(more) == CAROM_OBJECT_LIST ? view_whole(object, request, &view)
							     : -EINVAL;

	for (size_t i = 0; r == 0 && i < carom_object_count(more); i++)
		r = carom_view_add(request, view, carom_object_item(more, i));
	return r < 0 ? r : carom_request_reply_value(request, view);
}

/* How often, of what is in the argument; below 0 is 0. */
static int take_factor(const struct list *list, const struct carom_request *request,
		       uint64_t *ret_factor)
{
	int64_t factor;

	if (carom_object_int(carom_request_argument(request, 0), &factor) < 0)
		return -EINVAL;
	if (factor < 0 || list->count == 0)
		factor = 0;
	if (factor > 0 && (uint64_t)factor > COUNT_MAX / list->count)
		return -ENOSPC;
	*ret_factor = (uint64_t)factor;
	return 0;
}

static int do_mul(void *object, struct carom_request *request)
{
	struct carom_object *view;
	uint64_t factor;
	int r = take_factor(object, request, &factor);

	if (r == 0)
		r = carom_view_begin(request, CAROM_OBJECT_LIST, &view);
	for (uint64_t i = 0; r == 0 && i < factor; i++)
		r = view_items(object, request, view);
	return r < 0 ? r : carom_request_reply_value(request, view);
}

/* ---- one item, or a slice ---- */

static bool is_slice(const struct carom_request *request)
{
	return carom_object_kind(carom_request_argument(request, 0)) == CAROM_OBJECT_TUPLE;
}

static int get_slice(const struct list *list, struct carom_request *request)
{
	struct carom_object *view;
	size_t index, count;
	int64_t step;
	int r = carom_take_slice(carom_request_argument(request, 0), list->count, &index, &step,
				 &count);

	if (r == 0)
		r = carom_view_begin(request, CAROM_OBJECT_LIST, &view);
	for (; r == 0 && count > 0; count--, index += (size_t)step)
		r = carom_view_add(request, view, at(list, index));
	return r < 0 ? r : carom_request_reply_value(request, view);
}

static int do_getitem(void *object, struct carom_request *request)
{
	const struct list *list = object;
	size_t index;
	int r;

	if (is_slice(request))
		return get_slice(list, request);
	r = carom_take_index(carom_request_argument(request, 0), list->count, &index);
	return r < 0 ? r : carom_request_reply_value(request, at(list, index));
}

static void replace(struct list *list, size_t index, struct carom_document *value)
{
	carom_server_drop(list->server, list->items[index]);
	list->items[index] = value;
}

/* There is room before anything goes. */
static int replace_slice(struct list *list, size_t index, size_t count, struct list *row)
{
	int r = make_room(list, row->count);

	if (r < 0) {
		end_row(row);
		return r;
	}
	for (size_t i = index; i < index + count; i++)
		carom_server_drop(list->server, list->items[i]);
	close_gap(list, index, count);
	return take_row(list, index, row);
}

/* As many for as many, where there is a step; else any number for any. */
static int set_slice(struct list *list, struct carom_request *request)
{
	size_t index, count;
	struct list row;
	int64_t step;
	int r = carom_take_slice(carom_request_argument(request, 0), list->count, &index, &step,
				 &count);

	if (r == 0)
		r = copy_values(request, carom_request_argument(request, 1), &row);
	if (r < 0)
		return r;
	if (step == 1)
		return replace_slice(list, index, count, &row);
	if (row.count != count) {
		end_row(&row);
		return -EINVAL;
	}
	for (size_t i = 0; i < count; i++, index += (size_t)step)
		replace(list, index, row.items[i]);
	free(row.items);
	return 0;
}

static int do_setitem(void *object, struct carom_request *request)
{
	struct list *list = object;
	struct carom_document *value;
	size_t index;
	int r;

	if (is_slice(request))
		return set_slice(list, request);
	r = carom_take_index(carom_request_argument(request, 0), list->count, &index);
	if (r == 0)
		r = carom_request_keep(request, carom_request_argument(request, 1), &value);
	if (r == 0)
		replace(list, index, value);
	return r;
}

/* From behind, so that what goes next stays where it is. */
static int delete_slice(struct list *list, struct carom_request *request)
{
	size_t index, count;
	int64_t step;
	int r = carom_take_slice(carom_request_argument(request, 0), list->count, &index, &step,
				 &count);

	if (r < 0 || count == 0)
		return r;
	if (step > 0) {
		index += (count - 1) * (size_t)step;
		step = -step;
	}
	for (; count > 0; count--, index += (size_t)step)
		remove_at(list, index);
	return 0;
}

static int do_delitem(void *object, struct carom_request *request)
{
	struct list *list = object;
	size_t index;
	int r;

	if (is_slice(request))
		return delete_slice(list, request);
	r = carom_take_index(carom_request_argument(request, 0), list->count, &index);
	if (r == 0)
		remove_at(list, index);
	return r;
}

/* ---- other methods ---- */

static int do_contains(void *object, struct carom_request *request)
{
	const struct list *list = object;

	return carom_request_reply(request, "p",
				   find(list, carom_request_argument(request, 0), 0, list->count) <
					   list->count);
}

static int do_len(void *object, struct carom_request *request)
{
	const struct list *list = object;

	return carom_request_reply(request, "L", (int64_t)list->count);
}

static int do_append(void *object, struct carom_request *request)
{
	return append(object, request, carom_request_argument(request, 0));
}

static int do_extend(void *object, struct carom_request *request)
{
	return extend(object, request, carom_request_argument(request, 0));
}

static int do_clear(void *object, struct carom_request *request)
{
	(void)request;
	drop_all(object);
	return 0;
}

static int do_count(void *object, struct carom_request *request)
{
	const struct list *list = object;
	int64_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		count += carom_object_equal(at(list, i), carom_request_argument(request, 0));
	return carom_request_reply(request, "L", count);
}

/* One of the two ends between which is looked. */
static int take_bound(const struct list *list, const struct carom_object *object, size_t otherwise,
		      size_t *ret_bound)
{
	int64_t bound;

	*ret_bound = otherwise;
	if (!object)
		return 0;
	if (carom_object_int(object, &bound) < 0)
		return -EINVAL;
	if (bound < 0)
		bound += (int64_t)list->count;
	*ret_bound = bound < 0 ? 0 : (size_t)bound;
	return 0;
}

static int do_index(void *object, struct carom_request *request)
{
	const struct list *list = object;
	size_t first, end, index;
	int r = take_bound(list, carom_request_argument(request, 1), 0, &first);

	if (r == 0)
		r = take_bound(list, carom_request_argument(request, 2), list->count, &end);
	if (r < 0)
		return r;
	index = find(list, carom_request_argument(request, 0), first, end);
	return index < list->count ? carom_request_reply(request, "L", (int64_t)index) : -ENOENT;
}

/* A place beyond either end means that end. */
static int do_insert(void *object, struct carom_request *request)
{
	struct list *list = object;
	struct carom_document *value;
	size_t index;
	int r = take_bound(list, carom_request_argument(request, 0), 0, &index);

	if (r == 0)
		r = make_room(list, 1);
	if (r == 0)
		r = carom_request_keep(request, carom_request_argument(request, 1), &value);
	if (r < 0)
		return r;
	if (index > list->count)
		index = list->count;
	open_gap(list, index, 1);
	list->items[index] = value;
	return 0;
}

static int do_pop(void *object, struct carom_request *request)
{
	struct list *list = object;
	size_t index = list->count - 1;
	int r = list->count > 0 ? 0 : -ERANGE;

	if (r == 0 && carom_request_argument(request, 0))
		r = carom_take_index(carom_request_argument(request, 0), list->count, &index);
	if (r == 0)
		r = carom_request_reply_value(request, at(list, index));
	if (r == 0)
		remove_at(list, index);
	return r;
}

static int do_remove(void *object, struct carom_request *request)
{
	struct list *list = object;
	size_t index = find(list, carom_request_argument(request, 0), 0, list->count);

	if (index == list->count)
		return -ENOENT;
	remove_at(list, index);
	return 0;
}

static int do_reverse(void *object, struct carom_request *request)
{
	struct list *list = object;

	(void)request;
	for (size_t i = 0, j = list->count; i + 1 < j; i++) {
		struct carom_document *other = list->items[--j];

		list->items[j] = list->items[i];
		list->items[i] = other;
	}
	return 0;
}

/* More of itself: @factor in all. */
static int do_imul(void *object, struct carom_request *request)
{
	struct list *list = object, row = { .server = list->server };
	uint64_t factor;
	int r = take_factor(list, request, &factor);

	for (uint64_t n = 1; r == 0 && n < factor; n++)
		for (size_t i = 0; r == 0 && i < list->count; i++)
			r = append(&row, request, at(list, i));
	if (r < 0) {
		end_row(&row);
		return r;
	}
	if (factor == 0)
		drop_all(list);
	return take_row(list, list->count, &row);
}

/* ---- sorting ---- */

/*
 * By merging, which keeps what is equal in its order. Where two items have no order, or there is
 * one less memory, all stay where they are.
 */
static int merge(struct carom_document **from, struct carom_document **to, size_t half,
		 size_t count, int sign)
{
	size_t left = 0, right = half;

	for (size_t i = 0; i < count; i++) {
		int order = -1, r = 0;

		if (left == half)
			order = 1;
		else if (right < count)
			r = carom_object_compare(carom_document_root(from[left]),
						 carom_document_root(from[right]), &order);
		if (r < 0)
			return r;
		if (left < half && right < count)
			order *= sign;
		to[i] = order <= 0 ? from[left++] : from[right++];
	}
	return 0;
}

static int sort(struct carom_document **items, struct carom_document **scratch, size_t count,
		int sign)
{
	size_t half = count / 2;
	int r;

	if (count < 2)
		return 0;
	r = sort(items, scratch, half, sign);
	if (r == 0)
		r = sort(items + half, scratch, count - half, sign);
	if (r == 0)
		r = merge(items, scratch, half, count, sign);
	if (r == 0)
		memcpy(items, scratch, count * sizeof(struct carom_document *));
	return r;
}

static int do_sort(void *object, struct carom_request *request)
{
	struct list *list = object;
	struct carom_document **copy;
	bool reverse = false;
	int r;

	if (carom_request_argument(request, 0) &&
	    carom_object_bool(carom_request_argument(request, 0), &reverse) < 0)
		return -EINVAL;
	copy = calloc(2 * list->count + 1, sizeof(struct carom_document *));
	if (!copy)
		return -ENOMEM;
	if (list->count > 0)
		memcpy(copy, list->items, list->count * sizeof(struct carom_document *));
	r = sort(copy, copy + list->count, list->count, reverse ? -1 : 1);
	if (r == 0 && list->count > 0)
		memcpy(list->items, copy, list->count * sizeof(struct carom_document *));
	free(copy);
	return r == -EDOM ? -EINVAL : r;
}

static const struct carom_method methods[] = {
	CAROM_METHOD("__getitem__", do_getitem, 1, 1),
	CAROM_METHOD("__setitem__", do_setitem, 2, 2),
	CAROM_METHOD("__delitem__", do_delitem, 1, 1),
	CAROM_METHOD("__len__", do_len, 0, 0),
	CAROM_METHOD("append", do_append, 1, 1),
	CAROM_METHOD("__add__", do_add, 1, 1),
	CAROM_METHOD("__contains__", do_contains, 1, 1),
	CAROM_METHOD("__iadd__", do_extend, 1, 1),
	CAROM_METHOD("__imul__", do_imul, 1, 1),
	CAROM_METHOD("__mul__", do_mul, 1, 1),
	CAROM_METHOD("__reversed__", do_reversed, 0, 0),
	CAROM_METHOD("__rmul__", do_mul, 1, 1),
	CAROM_METHOD("clear", do_clear, 0, 0),
	CAROM_METHOD("copy", do_copy, 0, 0),
	CAROM_METHOD("count", do_count, 1, 1),
	CAROM_METHOD("extend", do_extend, 1, 1),
	CAROM_METHOD("index", do_index, 1, 3),
	CAROM_METHOD("insert", do_insert, 2, 2),
	CAROM_METHOD("pop", do_pop, 0, 1),
	CAROM_METHOD("remove", do_remove, 1, 1),
	CAROM_METHOD("reverse", do_reverse, 0, 0),
	CAROM_METHOD("sort", do_sort, 0, 1),
	CAROM_METHOD("__str__", do_str, 0, 0),
	CAROM_METHOD("__repr__", do_str, 0, 0),
	CAROM_METHOD("#GETVALUE", do_copy, 0, 0),
};

const struct carom_type carom_type_list = {
	.name = "list",
	.make = make_list,
	.end = end_list,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};
