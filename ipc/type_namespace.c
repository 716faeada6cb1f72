/*
 * Type: Namespace
 *
 * Values under names. What begins with an underscore is nobody's business but the proxy's, in
 * Python; here it is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "ipc/object_map.h"
#include "ipc/types.h"

struct names {
	struct carom_server *server;
	struct carom_object_map map;
};

/* Return: 0, -EINVAL: no name; -EACCES: not from here */
static int check_name(const struct carom_object *object)
{
	const char *name;

	if (carom_object_text(object, &name, NULL) < 0 || !*name)
		return -EINVAL;
	return *name == '_' ? -EACCES : 0;
}

static void drop(struct names *names, struct carom_object_map_entry entry)
{
	carom_server_drop(names->server, entry.key);
	carom_server_drop(names->server, entry.value);
}

static int set(struct names *names, struct carom_request *request, const struct carom_object *name,
	       const struct carom_object *value)
{
	struct carom_object_map_entry *entry, copies = { 0 };
	int r = check_name(name);

	if (r == 0)
		r = carom_request_keep(request, value, &copies.value);
	if (r < 0)
		return r;
	entry = carom_object_map_find(&names->map, name);
	if (entry) {
		carom_server_drop(names->server, entry->value);
		entry->value = copies.value;
		return 0;
	}
	r = carom_request_keep(request, name, &copies.key);
	if (r == 0)
		r = carom_object_map_add(&names->map, copies.key, copies.value);
	if (r < 0)
		drop(names, copies);
	return r;
}

/* ---- beginning and end ---- */

static void end_namespace(void *object)
{
	struct names *names = object;
	struct carom_object_map_entry *entry;

	for (size_t i = 0; (entry = carom_object_map_next(&names->map, &i));)
		drop(names, carom_object_map_remove(&names->map, entry));
	carom_object_map_free(&names->map);
	free(names);
}

/* Of nothing, or of a dict of what is in it. */
static int make_namespace(struct carom_request *request, void **ret_object)
{
	const struct carom_object *from = carom_request_argument(request, 0);
	struct names *names;
	int r = 0;

	if (carom_request_argument_count(request) > 1 ||
	    (from && carom_object_kind(from) != CAROM_OBJECT_DICT))
		return -EINVAL;
	names = calloc(1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	names->server = carom_request_server(request);
	for (size_t i = 0; r == 0 && i < carom_object_count(from); i++)
		r = set(names, request, carom_object_key(from, i), carom_object_item(from, i));
	if (r < 0)
		end_namespace(names);
	else
		*ret_object = names;
	return r;
}

/* ---- methods ---- */

static int find(struct names *names, const struct carom_request *request,
		struct carom_object_map_entry **ret_entry)
{
	const struct carom_object *name = carom_request_argument(request, 0);
	int r = check_name(name);

	if (r < 0)
		return r;
	*ret_entry = carom_object_map_find(&names->map, name);
	return *ret_entry ? 0 : -ENOENT;
}

static int do_get(void *object, struct carom_request *request)
{
	struct carom_object_map_entry *entry;
	int r = find(object, request, &entry);

	return r < 0 ? r : carom_request_reply_value(request, carom_document_root(entry->value));
}

static int do_set(void *object, struct carom_request *request)
{
	return set(object, request, carom_request_argument(request, 0),
		   carom_request_argument(request, 1));
}

static int do_delete(void *object, struct carom_request *request)
{
	struct names *names = object;
	struct carom_object_map_entry *entry;
	int r = find(names, request, &entry);

	if (r == 0)
		drop(names, carom_object_map_remove(&names->map, entry));
	return r;
}

static int do_copy(void *object, struct carom_request *request)
{
	const struct names *names = object;
	struct carom_object *view;
	int r = carom_view_map(request, &names->map, &view);

	return r < 0 ? r : carom_request_reply_value(request, view);
}

static int print_entry(const struct carom_object_map_entry *entry, const char *before, FILE *file)
{
	const struct carom_object *value = carom_document_root(entry->value);
	size_t size = carom_object_describe(value, NULL, 0) + 1;
	char *text = malloc(size);
	const char *name = "";

	if (!text)
		return -ENOMEM;
	carom_object_describe(value, text, size);
	carom_object_text(carom_document_root(entry->key), &name, NULL);
	fprintf(file, "%s%s=%s", before, name, text);
	free(text);
	return 0;
}

static int print(const struct names *names, FILE *file)
{
	struct carom_object_map_entry *entry;
	const char *before = "";
	int r = 0;

	fputs("Namespace(", file);
	for (size_t i = 0; r == 0 && (entry = carom_object_map_next(&names->map, &i));) {
		r = print_entry(entry, before, file);
		before = ", ";
	}
	fputs(")", file);
	return fclose(file) == 0 ? r : -ENOMEM;
}

static int do_str(void *object, struct carom_request *request)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	int r = file ? print(object, file) : -ENOMEM;

	if (r == 0)
		r = carom_request_reply(request, "s", text);
	free(text);
	return r;
}

static const struct carom_method methods[] = {
	CAROM_METHOD("__getattribute__", do_get, 1, 1), CAROM_METHOD("__setattr__", do_set, 2, 2),
	CAROM_METHOD("__delattr__", do_delete, 1, 1),   CAROM_METHOD("__str__", do_str, 0, 0),
	CAROM_METHOD("__repr__", do_str, 0, 0),         CAROM_METHOD("#GETVALUE", do_copy, 0, 0),
};

const struct carom_type carom_type_namespace = {
	.name = "Namespace",
	.make = make_namespace,
	.end = end_namespace,
	.methods = methods,
	.method_count = CAROM_METHOD_COUNT(methods),
};
