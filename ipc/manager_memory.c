/*
 * Manager's memory
 *
 * What the server says is a name. Between its making and the attaching nobody takes it away but
 * the end of the server.
 */
#include "ipc/manager_memory.h"

#include <errno.h>

#include "ipc/manager_private.h"
#include "ipc/object_private.h"

static int ask_for_name(struct carom_manager *manager, const char *function,
			const struct carom_document *arguments, uint64_t deadline_ns,
			struct carom_document **ret_document, const char **ret_name)
{
	int r = carom_manager_ask(manager, function, carom_document_root(arguments), deadline_ns,
				  ret_document);

	if (r == 0 && carom_object_text(carom_document_root(*ret_document), ret_name, NULL) < 0)
		r = -EBADMSG;
	return r;
}

int carom_manager_shared_memory(struct carom_manager *manager, uint64_t size, uint64_t deadline_ns,
				struct carom_shared_memory **ret_memory)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *arguments = NULL;
	CAROM_CLEANUP(carom_document_freep) struct carom_document *answer = NULL;
	const char *name;
	int r = size > INT64_MAX ? -EFBIG : carom_document_build(&arguments, "(L)", (int64_t)size);

	if (r == 0)
		r = ask_for_name(manager, "shared_memory", arguments, deadline_ns, &answer, &name);
	return r < 0 ? r : carom_shared_memory_attach(name, size, ret_memory);
}

/* ---- lists ---- */

static struct carom_object *make_item(struct carom_document *document,
				      const struct carom_element *element)
{
	switch (element->type) {
	case CAROM_ELEMENT_NONE:
		return carom_document_none(document);
	case CAROM_ELEMENT_BOOL:
		return carom_document_bool(document, element->integer != 0);
	case CAROM_ELEMENT_INT:
		return carom_document_int(document, element->integer);
	case CAROM_ELEMENT_FLOAT:
		return carom_document_float(document, element->real);
	case CAROM_ELEMENT_STR:
		return carom_document_text_sized(document, element->data, element->size);
	case CAROM_ELEMENT_BYTES:
		return carom_document_bytes(document, element->data, element->size);
	default: /* which is remembered: there is no such thing */
		return carom_document_tagged(document, 0, NULL);
	}
}

static int make_arguments(const struct carom_element *items, size_t count,
			  struct carom_document **ret_document)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	struct carom_object *list, *tuple;
	int r = carom_document_new(NULL, &document);

	if (r < 0)
		return r;
	list = carom_document_list(document);
	for (size_t i = 0; i < count; i++)
		carom_document_append(document, list, make_item(document, &items[i]));
	tuple = carom_document_tuple(document);
	carom_document_append(document, tuple, list);
	r = carom_document_finish(document, tuple);
	if (r == 0)
		*ret_document = carom_take_ptr(document);
	return r;
}

int carom_manager_shareable_list(struct carom_manager *manager, const struct carom_element *items,
				 size_t count, uint64_t deadline_ns,
				 struct carom_shareable_list **ret_list)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *arguments = NULL;
	CAROM_CLEANUP(carom_document_freep) struct carom_document *answer = NULL;
	const char *name;
	int r = make_arguments(items, count, &arguments);

	if (r == 0)
		r = ask_for_name(manager, "shareable_list", arguments, deadline_ns, &answer, &name);
	return r < 0 ? r : carom_shareable_list_attach(name, ret_list);
}
