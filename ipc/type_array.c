/*
 * Type: Array
 *
 * Numbers of one of C's types, side by side, as many as there were at the beginning. One that does
 * not fit is refused, as shm/typecode.h says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/time.h"
#include "ipc/object_private.h"
#include "ipc/types.h"
#include "shm/number.h"
#include "shm/typecode.h"

#define SIZE_MAX_HERE CAROM_GIB(1)

struct array {
	char typecode;
	size_t item_size;
	size_t count;
	unsigned char data[];
};

/* ---- items ---- */

static bool is_real(char typecode)
{
	return typecode == CAROM_TYPE_FLOAT || typecode == CAROM_TYPE_DOUBLE;
}

/* @object, as an item of this type. */
static int convert(char typecode, const struct carom_object *object, void *ret_item)
{
	int64_t integer;
	double real;

	if (carom_object_int(object, &integer) == 0)
		return carom_number_convert(CAROM_TYPE_LLONG, &integer, (uint64_t)typecode,
					    ret_item);
	if (!is_real(typecode) || carom_object_float(object, &real) < 0)
		return -EINVAL;
	return carom_number_convert(CAROM_TYPE_DOUBLE, &real, (uint64_t)typecode, ret_item);
}

/* Into an object of this request's; an unsigned one that is no int64_t: -EOVERFLOW */
static int view_item(const struct array *array, struct carom_request *request, size_t index,
		     struct carom_object **ret_object)
{
	const void *item = array->data + index * array->item_size;
	bool real = is_real(array->typecode);
	int r = carom_view_new(request, real ? CAROM_OBJECT_FLOAT : CAROM_OBJECT_INT, ret_object);

	if (r < 0)
		return r;
	r = real ? carom_number_convert((uint64_t)array->typecode, item, CAROM_TYPE_DOUBLE,
					&(*ret_object)->real)
		 : carom_number_convert((uint64_t)array->typecode, item, CAROM_TYPE_LLONG,
					&(*ret_object)->integer);
	return r == -ERANGE ? -EOVERFLOW : r;
}

static int view_items(const struct array *array, struct carom_request *request, size_t index,
		      int64_t step, size_t count, struct carom_object **ret_view)
{
	struct carom_object *item;
	int r = carom_view_begin(request, CAROM_OBJECT_LIST, ret_view);

	for (; r == 0 && count > 0; count--, index += (size_t)step) {
		r = view_item(array, request, index, &item);
		if (r == 0)
			r = carom_view_add(request, *ret_view, item);
	}
	return r;
}

/* ---- beginning ---- */

static int take_typecode(const struct carom_object *object, char *ret_typecode)
{
	const char *text;

	if (carom_object_text(object, &text, NULL) < 0 || strlen(text) != 1 ||
	    carom_typecode_size((uint64_t)*text) == 0 || *text == CAROM_TYPE_CHAR ||
	    *text == CAROM_TYPE_WCHAR)
		return -EINVAL;
	*ret_typecode = *text;
	return 0;
}

/* A number is how many zeros; else what is in a sequence. */
static int take_count(const struct carom_object *object, size_t item_size, size_t *ret_count)
{
	int64_t count = (int64_t)carom_object_count(object);

	if (!carom_is_sequence(object) && carom_object_int(object, &count) < 0)
		return -EINVAL;
	if (count < 0)
		return -EINVAL;
	if ((uint64_t)count > SIZE_MAX_HERE / item_size)
		return -ENOSPC;
	*ret_count = (size_t)count;
	return 0;
}

static int fill(struct array *array, const struct carom_object *values)
{
	int r = 0;

	for (size_t i = 0; r == 0 && carom_is_sequence(values) && i < array->count; i++)
		r = convert(array->typecode, carom_sequence_item(values, i),
			    array->data + i * array->item_size);
	return r;
}

/* Of a typecode, what is in it, and whether there is a lock, which there always is. */
static int make_array(struct carom_request *request, void **ret_object)
{
	const struct carom_object *values = carom_request_argument(request, 1);
	size_t arguments = carom_request_argument_count(request), count = 0;
	struct array *array;
	char typecode = 0;
	int r = arguments < 2 || arguments > 3
			? -EINVAL
			: take_typecode(carom_request_argument(request, 0), &typecode);

	if (r == 0)
		r = take_count(values, carom_typecode_size((uint64_t)typecode), &count);
	if (r < 0)
		return r;
	array = calloc(1, sizeof(*array) + count * carom_typecode_size((uint64_t)typecode) + 1);
	if (!array)
		return -ENOMEM;
	array->typecode = typecode;
	array->item_size = carom_typecode_size((uint64_t)typecode);
	array->count = count;
	r = fill(array, values);
	if (r < 0)
		free(array);
	else
		*ret_object = array;
	return r;
}

/* ---- methods ---- */

static int do_len(void *object, struct carom_request *request)
{
	const struct array *array = object;

	return carom_request_reply(request, "L", (int64_t)array->count);
}

static int get_slice(const struct array *array, struct carom_request *request)
{
	struct carom_object *view;
	size_t index, count;
	int64_t step;
	int r = carom_take_slice(carom_request_argument(request, 0), array->count, &index, &step,
				 &count);

	if (r == 0)
		r = view_items(array, request, index, step, count, &view);
	return r < 0 ? r : carom_request_reply_value(request, view);
}

static bool is_slice(const struct carom_request *request)
{
	return carom_object_kind(carom_request_argument(request, 0)) == CAROM_OBJECT_TUPLE;
}

static int do_getitem(void *object, struct carom_request *request)
{
	const struct array *array = object;
	struct carom_object *view;
	size_t index;
	int r;

	if (is_slice(request))
		return get_slice(array, request);
	r = carom_take_index(carom_request_argument(request, 0), array->count, &index);
	if (r == 0)
		r = view_items(array, request, index, 1, 1, &view);
	return r < 0 ? r : carom_request_reply_value(request, carom_object_item(view, 0));
}

/* All of them, or none: they are converted first. */
static int set_items(struct array *array, const struct carom_object *values, size_t index,
		     int64_t step, size_t count)
{
	unsigned char *items;
	int r = 0;

	if (!carom_is_sequence(values) || carom_object_count(values) != count)
		return -EINVAL;
	items = malloc(count * array->item_size + 1);
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = convert(array->typecode, carom_sequence_item(values, i),
			    items + i * array->item_size);
	for (size_t i = 0; r == 0 && i < count; i++, index += (size_t)step)
		memcpy(array->data + index * array->item_size, items + i * array->item_size,
		       array->item_size);
	free(items);
	return r;
}

static int do_setitem(void *object, struct carom_request *request)
{
	const struct carom_object *value = carom_request_argument(request, 1);
	struct array *array = object;
	size_t index, count;
	int64_t step;
	int r;

	if (is_slice(request)) {
		r = carom_take_slice(carom_request_argument(request, 0), array->count, &index,
				     &step, &count);
		return r < 0 ? r : set_items(array, value, index, step, count);
	}
	r = carom_take_index(carom_request_argument(request, 0), array->count, &index);
	return r < 0 ? r : convert(array->typecode, value, array->data + index * array->item_size);
}

static int do_copy(void *object, struct carom_request *request)
{
	const struct array *array = object;
	struct carom_object *view;
	int r = view_items(array, request, 0, 1, array->count, &view);

	return r < 0 ? r : carom_request_reply_value(request, view);
}

static int do_str(void *object, struct carom_request *request)
{
	const char typecode[] = { ((const struct array *)object)->typecode, '\0' };
	CAROM_CLEANUP(carom_document_freep) struct carom_document *name = NULL;
	const struct array *array = object;
	struct carom_object *view;
	int r = carom_document_build(&name, "s", typecode);

	if (r == 0)
		r = view_items(array, request, 0, 1, array->count, &view);
	return r < 0 ? r : carom_reply_call_text(request, "array", carom_document_root(name), view);
}

static const struct carom_method methods[] = {
	CAROM_METHOD("__getitem__", do_getitem, 1, 1),
	CAROM_METHOD("__setitem__", do_setitem, 2, 2),
	CAROM_METHOD("__len__", do_len, 0, 0),
	CAROM_METHOD("__str__", do_str, 0, 0),
	CAROM_METHOD("__repr__", do_str, 0, 0),
	CAROM_METHOD("#GETVALUE", do_copy, 0, 0),
};

const struct carom_type carom_type_array = {
	.name = "Array",
	.make = make_array,
	.end = free,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};
