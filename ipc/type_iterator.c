/*
 * Type: Iterator
 *
 * It goes over whatever says what is next. Where that is a list, it is one of its own, copied
 * when it was made: what it is of may change meanwhile.
 */
#include <errno.h>
#include <stdlib.h>

#include "ipc/types.h"

/** struct iterator - @object: what it goes over; NULL: it was closed */
struct iterator {
	const struct carom_iteration *iteration;
	void *object;
};

static void close_iterator(struct iterator *iterator)
{
	if (iterator->object)
		iterator->iteration->end(iterator->object);
	iterator->object = NULL;
}

static void end_iterator(void *object)
{
	close_iterator(object);
	free(object);
}

int carom_reply_iteration(struct carom_request *request, const struct carom_iteration *iteration,
			  void *object)
{
	struct iterator *iterator = malloc(sizeof(*iterator));
	int r;

	if (!iterator)
		return -ENOMEM;
	*iterator = (struct iterator){ .iteration = iteration, .object = object };
	r = carom_request_reply_object(request, carom_type_iterator.name, iterator);
	if (r < 0)
		free(iterator);
	return r;
}

static int do_next(void *object, struct carom_request *request)
{
	struct iterator *iterator = object;

	return iterator->object ? iterator->iteration->next(iterator->object, request) : -ENODATA;
}

static int do_close(void *object, struct carom_request *request)
{
	(void)request;
	close_iterator(object);
	return 0;
}

static const struct carom_method methods[] = {
	CAROM_METHOD("__next__", do_next, 0, 1),
	CAROM_METHOD("close", do_close, 0, 0),
};

const struct carom_type carom_type_iterator = {
	.name = "Iterator",
	.end = end_iterator,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};

/* ---- over a list ---- */

/** struct list - @next: the index of the item that is next */
struct list {
	struct carom_server *server;
	struct carom_document *items;
	size_t next;
};

static void end_list(void *object)
{
	struct list *list = object;

	carom_server_drop(list->server, list->items);
	free(list);
}

static int next_of_list(void *object, struct carom_request *request)
{
	struct list *list = object;
	const struct carom_object *item =
		carom_object_item(carom_document_root(list->items), list->next);
	int r;

	if (carom_request_argument_count(request) > 0)
		return -EINVAL;
	if (!item)
		return -ENODATA;
	r = carom_request_reply_value(request, item);
	if (r == 0)
		list->next++;
	return r;
}

static const struct carom_iteration over_list = { .next = next_of_list, .end = end_list };

int carom_reply_iterator(struct carom_request *request, const struct carom_object *items)
{
	struct list *list = calloc(1, sizeof(*list));
	int r;

	if (!list)
		return -ENOMEM;
	list->server = carom_request_server(request);
	r = carom_request_keep(request, items, &list->items);
	if (r == 0)
		r = carom_reply_iteration(request, &over_list, list);
	if (r < 0)
		end_list(list);
	return r;
}
