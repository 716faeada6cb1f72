/*
 * Estate
 *
 *   I1  All of it stands in the list of its server, from before anybody is told the name.
 *   I2  Each name is the tracker's of this process (core/tracker.h), from before the memory is
 *       there. A server that a manager has started has a tracker of its own, which sees it end,
 *       however it does; any other is ended with its program.
 */
#include "ipc/estate.h"

#include <errno.h>
#include <stdlib.h>

#include "ipc/server_private.h"
#include "shm/shareable_list.h"
#include "shm/shared_memory.h"

/** struct carom_estate - one piece: @memory, or @list */
struct carom_estate {
	struct carom_estate *next;
	struct carom_shared_memory *memory;
	struct carom_shareable_list *list;
};

static struct carom_shared_memory *memory_of(const struct carom_estate *piece)
{
	return piece->list ? carom_shareable_list_memory(piece->list) : piece->memory;
}

static void end_piece(struct carom_estate *piece)
{
	struct carom_shared_memory *memory = memory_of(piece);

	if (memory)
		carom_shared_memory_unlink(memory);
	carom_shareable_list_free(piece->list);
	carom_shared_memory_free(piece->memory);
	free(piece);
}

/* I1. Who is not told has no use of it. */
static int hand_out(struct carom_request *request, struct carom_estate *piece)
{
	struct carom_server *server = carom_request_server(request);
	int r = carom_request_reply(request, "s", carom_shared_memory_name(memory_of(piece)));

	if (r < 0) {
		end_piece(piece);
		return r;
	}
	piece->next = server->estate;
	server->estate = piece;
	return 0;
}

int carom_estate_make_memory(struct carom_request *request)
{
	struct carom_estate *piece;
	int64_t size;
	int r;

	if (carom_object_int(carom_request_argument(request, 0), &size) < 0 || size < 1)
		return -EINVAL;
	piece = calloc(1, sizeof(*piece));
	if (!piece)
		return -ENOMEM;
	r = carom_shared_memory_new(&CAROM_SHARED_MEMORY_OPTIONS(.size = (uint64_t)size),
				    &piece->memory);
	if (r == 0)
		return hand_out(request, piece);
	end_piece(piece);
	return r;
}

/* ---- lists ---- */

static int take_element(const struct carom_object *object, struct carom_element *ret_element)
{
	const char *text;
	size_t size;
	bool is;

	*ret_element = carom_element_none();
	switch (carom_object_kind(object)) {
	case CAROM_OBJECT_NONE:
		return 0;
	case CAROM_OBJECT_BOOL:
		carom_object_bool(object, &is);
		*ret_element = carom_element_bool(is);
		return 0;
	case CAROM_OBJECT_INT:
		ret_element->type = CAROM_ELEMENT_INT;
		return carom_object_int(object, &ret_element->integer);
	case CAROM_OBJECT_FLOAT:
		ret_element->type = CAROM_ELEMENT_FLOAT;
		return carom_object_float(object, &ret_element->real);
	case CAROM_OBJECT_TEXT:
		carom_object_text(object, &text, &size);
		*ret_element = carom_element_text(text, size);
		return 0;
	case CAROM_OBJECT_BYTES:
		ret_element->type = CAROM_ELEMENT_BYTES;
		return carom_object_bytes(object, &ret_element->data, &ret_element->size);
	default:
		return -EINVAL;
	}
}

static int make_list(const struct carom_object *items, struct carom_shareable_list **ret_list)
{
	size_t count = carom_object_count(items);
	struct carom_element *elements = calloc(count + 1, sizeof(*elements));
	int r = elements ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = take_element(carom_object_item(items, i), &elements[i]);
	if (r == 0)
		r = carom_shareable_list_new(elements, count, NULL, ret_list);
	free(elements);
	return r;
}

int carom_estate_make_list(struct carom_request *request)
{
	const struct carom_object *items = carom_request_argument(request, 0);
	struct carom_estate *piece;
	int r;

	if (!items || carom_object_kind(items) != CAROM_OBJECT_LIST)
		return -EINVAL;
	piece = calloc(1, sizeof(*piece));
	if (!piece)
		return -ENOMEM;
	r = make_list(items, &piece->list);
	if (r == 0)
		return hand_out(request, piece);
	end_piece(piece);
	return r;
}

/* ---- the end ---- */

void carom_estate_end(struct carom_server *server)
{
	struct carom_estate *piece;

	while ((piece = server->estate)) {
		server->estate = piece->next;
		end_piece(piece);
	}
}
