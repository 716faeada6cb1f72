/*
 * Type: Iterator
 *
 * What it goes over is a list of its own, copied when it was made: what it is of may change
 * meanwhile.
 */
#include <errno.h>
#include <stdlib.h>

#include "ipc/types.h"

/** struct iterator - @next: the index of the one that is next */
struct iterator {
	struct carom_server *server;
	struct carom_document *items;
	size_t next;
};

static void end_iterator(void *object)
{
	struct iterator *iterator = object;

	carom_server_drop(iterator->server, iterator->items);
	free(iterator);
}

int carom_reply_iterator(struct carom_request *request, const struct carom_object *items)
{
	struct iterator *iterator = calloc(1, sizeof(*iterator));
	int r;

	if (!iterator)
		return -ENOMEM;
	iterator->server = carom_request_server(request);
	r = carom_request_keep(request, items, &iterator->items);
	if (r == 0)
		r = carom_request_reply_object(request, carom_type_iterator.name, iterator);
	if (r < 0)
		end_iterator(iterator);
	return r;
}

static int do_next(void *object, struct carom_request *request)
{
	struct iterator *iterator = object;
	const struct carom_object *item = NULL;
	int r;

	if (iterator->items)
		item = carom_object_item(carom_document_root(iterator->items), iterator->next);
	if (!item)
		return -ENODATA;
	r = carom_request_reply_value(request, item);
	if (r == 0)
		iterator->next++;
	return r;
}

static int do_close(void *object, struct carom_request *request)
{
	struct iterator *iterator = object;

	(void)request;
	iterator->items = carom_server_drop(iterator->server, iterator->items);
	return 0;
}

static const struct carom_method methods[] = {
	CAROM_METHOD("__next__", do_next, 0, 0),
	CAROM_METHOD("close", do_close, 0, 0),
};

const struct carom_type carom_type_iterator = {
	.name = "Iterator",
	.end = end_iterator,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};
