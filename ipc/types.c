/*
 * Types: the table of those that are always there, and what they have in common
 */
#include "ipc/types.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/object_private.h"
#include "ipc/server_private.h"

#define ADDED_MAX 8
#define VIEW_MAX  (4 * CAROM_OBJECT_MEMORY_MAX) /* of pointers, and of lists that grew */

static const struct carom_type *const types[] = {
	&carom_type_array, &carom_type_barrier,   &carom_type_bounded_semaphore,
	&carom_type_cell,  &carom_type_condition, &carom_type_dict,
	&carom_type_event, &carom_type_iterator,  &carom_type_joinable_queue,
	&carom_type_list,  &carom_type_lock,      &carom_type_namespace,
	&carom_type_queue, &carom_type_rlock,     &carom_type_semaphore,
	&carom_type_set,
};

/* Ended by NULL. */
static const struct carom_type *added[ADDED_MAX + 1];

void carom_types_add(const struct carom_type *type)
{
	size_t i = 0;

	while (added[i])
		i++;
	assert(i < ADDED_MAX);
	added[i] = type;
}

int carom_types_register(struct carom_server *server)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(types) / sizeof(*types); i++)
		r = carom_server_register(server, types[i], NULL);
	for (size_t i = 0; r == 0 && added[i]; i++)
		r = carom_server_register(server, added[i], NULL);
	return r;
}

/* ---- views ---- */

int carom_view_new(struct carom_request *request, enum carom_object_kind kind,
		   struct carom_object **ret_view)
{
	return carom_object_new(request->server->scratch, kind, ret_view);
}

int carom_view_begin(struct carom_request *request, enum carom_object_kind kind,
		     struct carom_object **ret_view)
{
	carom_document_clear(request->server->scratch, VIEW_MAX);
	return carom_view_new(request, kind, ret_view);
}

int carom_view_add(struct carom_request *request, struct carom_object *view,
		   const struct carom_object *value)
{
	struct carom_object *items[] = { (struct carom_object *)value };

	return carom_object_add(request->server->scratch, view, items, 1, UINT32_MAX);
}

int carom_view_add_pair(struct carom_request *request, struct carom_object *view,
			const struct carom_object *key, const struct carom_object *value)
{
	struct carom_object *items[] = { (struct carom_object *)key, (struct carom_object *)value };

	return carom_object_add(request->server->scratch, view, items, 2, UINT32_MAX);
}

int carom_view_map(struct carom_request *request, const struct carom_object_map *map,
		   struct carom_object **ret_view)
{
	struct carom_object_map_entry *entry;
	int r = carom_view_begin(request, CAROM_OBJECT_DICT, ret_view);

	for (size_t i = 0; r == 0 && (entry = carom_object_map_next(map, &i));)
		r = carom_view_add_pair(request, *ret_view, carom_document_root(entry->key),
					carom_document_root(entry->value));
	return r;
}

int carom_reply_view(struct carom_request *request, const void *object, carom_view_fn *view,
		     carom_reply_fn *reply)
{
	struct carom_object *whole;
	int r = view(object, request, &whole);

	return r < 0 ? r : reply(request, whole);
}

/* ---- texts ---- */

/* NULL: no memory */
static char *text_of(const struct carom_object *value)
{
	size_t length = carom_object_describe(value, NULL, 0);
	char *text = malloc(length + 1);

	if (text)
		carom_object_describe(value, text, length + 1);
	return text;
}

int carom_reply_text_of(struct carom_request *request, const struct carom_object *value)
{
	char *text = text_of(value);
	int r = text ? carom_request_reply(request, "s", text) : -ENOMEM;

	free(text);
	return r;
}

int carom_reply_braced_text(struct carom_request *request, const struct carom_object *list)
{
	char *text = text_of(list);
	int r = -ENOMEM;

	if (text) {
		text[0] = '{';
		text[strlen(text) - 1] = '}';
		r = carom_request_reply(request, "s", text);
	}
	free(text);
	return r;
}

int carom_reply_call_text(struct carom_request *request, const char *name,
			  const struct carom_object *first, const struct carom_object *second)
{
	char *one = text_of(first), *other = text_of(second), *text = NULL;
	int r = -ENOMEM;

	if (one && other && asprintf(&text, "%s(%s, %s)", name, one, other) >= 0)
		r = carom_request_reply(request, "s", text);
	free(text);
	free(one);
	free(other);
	return r;
}

/* ---- arguments ---- */

bool carom_may_be_key(const struct carom_object *object)
{
	return object && object->is_hashable;
}

bool carom_is_sequence(const struct carom_object *object)
{
	int kind = carom_object_kind(object);

	return kind == CAROM_OBJECT_LIST || kind == CAROM_OBJECT_TUPLE || kind == CAROM_OBJECT_DICT;
}

const struct carom_object *carom_sequence_item(const struct carom_object *sequence, size_t index)
{
	return carom_object_kind(sequence) == CAROM_OBJECT_DICT
		       ? carom_object_key(sequence, index)
		       : carom_object_item(sequence, index);
}

int carom_take_index(const struct carom_object *object, size_t count, size_t *ret_index)
{
	int64_t index;

	if (carom_object_int(object, &index) < 0)
		return -EINVAL;
	if (index < 0)
		index += (int64_t)count;
	if (index < 0 || (uint64_t)index >= count)
		return -ERANGE;
	*ret_index = (size_t)index;
	return 0;
}

/* One end of a slice, where it is between @low and @high. */
static int take_end(const struct carom_object *object, int64_t otherwise, int64_t count,
		    int64_t low, int64_t high, int64_t *ret_end)
{
	int64_t end = otherwise;

	if (object && carom_object_kind(object) != CAROM_OBJECT_NONE &&
	    carom_object_int(object, &end) < 0)
		return -EINVAL;
	if (object && carom_object_kind(object) != CAROM_OBJECT_NONE && end < 0)
		end += count;
	*ret_end = end < low ? low : end > high ? high : end;
	return 0;
}

static int take_step(const struct carom_object *object, int64_t *ret_step)
{
	*ret_step = 1;
	if (!object || carom_object_kind(object) == CAROM_OBJECT_NONE)
		return 0;
	if (carom_object_int(object, ret_step) < 0 || *ret_step == 0)
		return -EINVAL;
	if (*ret_step < -INT64_MAX)
		*ret_step = -INT64_MAX;
	return 0;
}

/* As Python's slice.indices(). */
int carom_take_slice(const struct carom_object *object, size_t count, size_t *ret_first,
		     int64_t *ret_step, size_t *ret_count)
{
	int64_t start, stop, step, size = (int64_t)count, low, high;
	size_t parts = carom_object_count(object);
	int r;

	if (carom_object_kind(object) != CAROM_OBJECT_TUPLE || parts < 2 || parts > 3)
		return -EINVAL;
	r = take_step(carom_object_item(object, 2), &step);
	if (r < 0)
		return r;
	low = step > 0 ? 0 : -1;
	high = step > 0 ? size : size - 1;
	r = take_end(carom_object_item(object, 0), step > 0 ? low : high, size, low, high, &start);
	if (r == 0)
		r = take_end(carom_object_item(object, 1), step > 0 ? high : low, size, low, high,
			     &stop);
	if (r < 0)
		return r;
	*ret_first = (size_t)start;
	*ret_step = step;
	if (step > 0)
		*ret_count = start < stop ? (size_t)((stop - start - 1) / step + 1) : 0;
	else
		*ret_count = start > stop ? (size_t)((start - stop - 1) / -step + 1) : 0;
	return 0;
}
