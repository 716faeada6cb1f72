/*
 * Type: Value
 *
 * One value, of any kind: the typecode it was made with says nothing but its name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "ipc/types.h"

struct cell {
	struct carom_server *server;
	struct carom_document *typecode;
	struct carom_document *value;
};

static void end_cell(void *object)
{
	struct cell *cell = object;

	carom_server_drop(cell->server, cell->typecode);
	carom_server_drop(cell->server, cell->value);
	free(cell);
}

/* Of a typecode, a value, and whether there is a lock, which there always is. */
static int make_cell(struct carom_request *request, void **ret_object)
{
	size_t count = carom_request_argument_count(request);
	struct cell *cell;
	int r;

	if (count < 2 || count > 3)
		return -EINVAL;
	cell = calloc(1, sizeof(*cell));
	if (!cell)
		return -ENOMEM;
	cell->server = carom_request_server(request);
	r = carom_request_keep(request, carom_request_argument(request, 0), &cell->typecode);
	if (r == 0)
		r = carom_request_keep(request, carom_request_argument(request, 1), &cell->value);
	if (r < 0)
		end_cell(cell);
	else
		*ret_object = cell;
	return r;
}

static int do_get(void *object, struct carom_request *request)
{
	const struct cell *cell = object;

	return carom_request_reply_value(request, carom_document_root(cell->value));
}

static int do_set(void *object, struct carom_request *request)
{
	struct cell *cell = object;
	struct carom_document *value;
	int r = carom_request_keep(request, carom_request_argument(request, 0), &value);

	if (r < 0)
		return r;
	carom_server_drop(cell->server, cell->value);
	cell->value = value;
	return 0;
}

static int do_str(void *object, struct carom_request *request)
{
	const struct cell *cell = object;

	return carom_reply_call_text(request, "Value", carom_document_root(cell->typecode),
				     carom_document_root(cell->value));
}

static const struct carom_method methods[] = {
	CAROM_METHOD("get", do_get, 0, 0),       CAROM_METHOD("set", do_set, 1, 1),
	CAROM_METHOD("__str__", do_str, 0, 0),   CAROM_METHOD("__repr__", do_str, 0, 0),
	CAROM_METHOD("#GETVALUE", do_get, 0, 0),
};

const struct carom_type carom_type_cell = {
	.name = "Value",
	.make = make_cell,
	.end = end_cell,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};
