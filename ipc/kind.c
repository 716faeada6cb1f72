/*
 * Kind: the types of one server
 *
 * They stand in a list in the order in which they were registered, which is looked through when
 * an object is made: an object then knows its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/options.h"
#include "ipc/server_private.h"

struct carom_kind *carom_kind_find(const struct carom_server *server, const char *name)
{
	struct carom_kind *kind = server->kinds;

	while (kind && strcmp(kind->name, name) != 0)
		kind = kind->next;
	return kind;
}

const struct carom_method *carom_kind_method(const struct carom_kind *kind, const char *name,
					     size_t *ret_index)
{
	for (size_t i = 0; i < kind->type->method_count; i++)
		if (strcmp(kind->type->methods[i].name, name) == 0) {
			*ret_index = i;
			return &kind->type->methods[i];
		}
	return NULL;
}

bool carom_kind_is_exposed(const struct carom_kind *kind, size_t index)
{
	return !kind->exposed || kind->exposed[index];
}

const char *carom_kind_result_type(const struct carom_kind *kind, size_t index)
{
	if (kind->result_types && kind->result_types[index])
		return kind->result_types[index];
	return kind->type->methods[index].result_type;
}

static void free_kind(struct carom_kind *kind)
{
	for (size_t i = 0; kind->result_types && i < kind->type->method_count; i++)
		free(kind->result_types[i]);
	free(kind->result_types);
	free(kind->exposed);
	free(kind->name);
	free(kind);
}

void carom_kinds_free(struct carom_server *server)
{
	struct carom_kind *kind, *next;

	for (kind = server->kinds; kind; kind = next) {
		next = kind->next;
		free_kind(kind);
	}
	server->kinds = NULL;
}

static int expose(struct carom_kind *kind, const char *const *names)
{
	size_t index;

	kind->exposed = calloc(kind->type->method_count + 1, sizeof(*kind->exposed));
	if (!kind->exposed)
		return -ENOMEM;
	for (; *names; names++) {
		if (!carom_kind_method(kind, *names, &index))
			return -EINVAL;
		kind->exposed[index] = true;
	}
	return 0;
}

static int set_result_type(struct carom_kind *kind, const char *method, const char *type)
{
	size_t index;

	if (!type || !carom_kind_method(kind, method, &index))
		return -EINVAL;
	free(kind->result_types[index]);
	kind->result_types[index] = strdup(type);
	return kind->result_types[index] ? 0 : -ENOMEM;
}

static int set_result_types(struct carom_kind *kind, const char *const *names)
{
	int r = 0;

	kind->result_types = calloc(kind->type->method_count + 1, sizeof(*kind->result_types));
	if (!kind->result_types)
		return -ENOMEM;
	for (; r == 0 && *names; names += 2)
		r = set_result_type(kind, names[0], names[1]);
	return r;
}

static int check(const struct carom_type *type, const char *name)
{
	if (!name || !*name)
		return -EINVAL;
	for (size_t i = 0; i < type->method_count; i++)
		if (!type->methods[i].name || !type->methods[i].function)
			return -EINVAL;
	return 0;
}

static int fill(struct carom_kind *kind, const struct carom_register_options *options)
{
	int r = 0;

	kind->object = options->object;
	kind->name = strdup(options->name ? options->name : kind->type->name);
	if (!kind->name)
		return -ENOMEM;
	if (options->exposed)
		r = expose(kind, options->exposed);
	if (r == 0 && options->result_types)
		r = set_result_types(kind, options->result_types);
	return r;
}

static void append(struct carom_server *server, struct carom_kind *kind)
{
	struct carom_kind **end = &server->kinds;

	while (*end)
		end = &(*end)->next;
	*end = kind;
}

int carom_server_register(struct carom_server *server, const struct carom_type *type,
			  const struct carom_register_options *options)
{
	struct carom_register_options o;
	struct carom_kind *kind;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r == 0)
		r = check(type, o.name ? o.name : type->name);
	if (r < 0)
		return r;
	if (carom_kind_find(server, o.name ? o.name : type->name))
		return -EEXIST;
	kind = calloc(1, sizeof(*kind));
	if (!kind)
		return -ENOMEM;
	kind->type = type;
	r = fill(kind, &o);
	if (r < 0)
		free_kind(kind);
	else
		append(server, kind);
	return r;
}
