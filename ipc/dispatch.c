/*
 * Dispatch: from a message to what does it
 *
 * A message is read into the server's document, looked at, and is a request then. What is no
 * request at all is the end of its session: a client of this library sends none. What is one is
 * answered, whatever is wrong with it.
 *
 *   I1  A client works on objects of which it has a reference, and on the server itself. With a
 *       number alone, which it may have from anybody, it takes a reference first.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/estate.h"
#include "ipc/object_private.h"
#include "ipc/python_client.h"
#include "ipc/server_private.h"

#define MESSAGE_ITEMS 6
#define MESSAGE_DEPTH 2 /* of the message itself, and its arguments */

/* A value in memory is up to so much longer than it is as a message. */
#define MEMORY_FOR(size) (CAROM_OBJECT_MEMORY_MAX + 2 * (uint64_t)(size))

/* ---- making ---- */

/* An object of @kind, of the arguments that the request has by now. */
static int make(struct carom_request *request, struct carom_kind *kind,
		struct carom_referent **ret_referent)
{
	void *object = kind->object;
	bool is_borrowed = object;
	int r = 0;

	if (!object && !kind->type->make)
		return -EPERM;
	if (!object)
		r = kind->type->make(request, &object);
	if (r < 0)
		return r;
	r = carom_referent_share(request->server, kind, object, is_borrowed, ret_referent);
	if (r < 0 && !is_borrowed && kind->type->end)
		kind->type->end(object);
	return r;
}

static int reply_made(struct carom_request *request, struct carom_referent *referent)
{
	int r;

	carom_cbor_clear(&request->reply);
	r = carom_request_reply_referent(request, referent);
	carom_referent_unref(request->server, referent);
	return r;
}

/* @items are in @document. */
static int make_tuple(struct carom_document *document, const struct carom_object *const *items,
		      size_t count, const struct carom_object **ret_tuple)
{
	struct carom_object *tuple;
	int r = carom_object_new(document, CAROM_OBJECT_TUPLE, &tuple);

	if (r == 0 && count > 0)
		r = carom_object_add(document, tuple, (struct carom_object *const *)items, count,
				     UINT32_MAX);
	if (r == 0)
		*ret_tuple = tuple;
	return r;
}

int carom_dispatch_make(struct carom_request *request, const char *type)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	struct carom_kind *kind = carom_kind_find(request->server, type);
	const struct carom_object *value;
	struct carom_referent *referent;
	int r = kind ? carom_document_make(MEMORY_FOR(request->reply.size), &document) : -ENXIO;

	request->result_type = NULL;
	if (r == 0)
		r = carom_cbor_load(request->reply.data, request->reply.size, CAROM_CBOR_DEPTH_MAX,
				    document);
	if (r < 0)
		return r;
	value = carom_object_item(carom_document_root(document), 2);
	r = make_tuple(document, &value, 1, &request->arguments);
	if (r == 0)
		r = make(request, kind, &referent);
	return r < 0 ? r : reply_made(request, referent);
}

/* ---- functions of the server ---- */

static int do_hello(struct carom_request *request)
{
	struct carom_server *server = request->server;
	int64_t version;

	if (carom_object_int(carom_request_argument(request, 0), &version) < 0 ||
	    version != CAROM_SERVER_PROTOCOL)
		return -EPROTO;
	return carom_request_reply(request, "[iLi]", CAROM_SERVER_PROTOCOL,
				   (int64_t)server->message_max, (int)server->depth_max);
}

static int do_dummy(struct carom_request *request)
{
	(void)request;
	return 0;
}

int carom_dispatch_create(struct carom_request *request, struct carom_referent **ret_referent)
{
	const struct carom_object *arguments = request->arguments;
	struct carom_kind *kind;
	const char *type;
	int r = carom_object_text(carom_object_item(arguments, 0), &type, NULL);

	if (r < 0)
		return -EINVAL;
	kind = carom_kind_find(request->server, type);
	if (!kind)
		return -ENXIO;
	request->method = kind->name;
	r = make_tuple(request->document, arguments->items.data + 1, arguments->items.count - 1,
		       &request->arguments);
	return r < 0 ? r : make(request, kind, ret_referent);
}

static int do_create(struct carom_request *request)
{
	struct carom_referent *referent;
	int r = carom_dispatch_create(request, &referent);

	return r < 0 ? r : reply_made(request, referent);
}

static int find_by_argument(struct carom_request *request, struct carom_referent **ret_referent)
{
	int64_t id;

	if (carom_object_int(carom_request_argument(request, 0), &id) < 0)
		return -EINVAL;
	*ret_referent = carom_referent_find(request->server, (uint64_t)id);
	return *ret_referent ? 0 : -ESTALE;
}

static int do_incref(struct carom_request *request)
{
	struct carom_referent *referent;
	int r = find_by_argument(request, &referent);

	if (r == 0)
		r = carom_session_claim(request->session, referent);
	return r < 0 ? r : carom_request_reply(request, "s", referent->kind->name);
}

static int do_decref(struct carom_request *request)
{
	int64_t id;

	if (carom_object_int(carom_request_argument(request, 0), &id) < 0)
		return -EINVAL;
	return carom_session_give_back(request->session, (uint64_t)id);
}

static int do_number_of_objects(struct carom_request *request)
{
	return carom_request_reply(request, "L",
				   (int64_t)carom_server_object_count(request->server));
}

/* A list that grows in the server's scratch. */
static int begin_list(struct carom_request *request, struct carom_object **ret_list)
{
	carom_document_clear(request->server->scratch, CAROM_OBJECT_MEMORY_MAX);
	return carom_object_new(request->server->scratch, CAROM_OBJECT_LIST, ret_list);
}

static int add_text(struct carom_request *request, struct carom_object *list, const char *text)
{
	struct carom_document *scratch = request->server->scratch;
	struct carom_object *item;
	int r = carom_object_new(scratch, CAROM_OBJECT_TEXT, &item);

	if (r == 0)
		r = carom_object_set_bytes(scratch, item, text, strlen(text));
	return r < 0 ? r : carom_object_add(scratch, list, &item, 1, UINT32_MAX);
}

static bool is_hidden(const char *name)
{
	return name[0] == '#' || strcmp(name, "__str__") == 0 || strcmp(name, "__repr__") == 0;
}

static int do_get_methods(struct carom_request *request)
{
	struct carom_referent *referent;
	struct carom_object *list;
	int r = find_by_argument(request, &referent);

	if (r == 0)
		r = begin_list(request, &list);
	for (size_t i = 0; r == 0 && i < referent->kind->type->method_count; i++) {
		const char *name = referent->kind->type->methods[i].name;

		if (!is_hidden(name) && carom_kind_is_exposed(referent->kind, i))
			r = add_text(request, list, name);
	}
	return r < 0 ? r : carom_request_reply_value(request, list);
}

/* As Python's: a number, how often it is had, and what it is. */
static int print_objects(struct carom_server *server, FILE *file)
{
	struct carom_referent *referent = server->first_referent;

	for (; referent; referent = referent->next)
		fprintf(file, "  %llx:       refcount=%llu\n    <%s object>\n",
			(unsigned long long)referent->id, (unsigned long long)referent->count,
			referent->kind->name);
	return fclose(file) == 0 ? 0 : -ENOMEM;
}

static int do_debug_info(struct carom_request *request)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	int r = file ? print_objects(request->server, file) : -ENOMEM;

	if (r == 0)
		r = carom_request_reply(request, "s", text);
	free(text);
	return r;
}

static int do_shutdown(struct carom_request *request)
{
	carom_server_stop(request->server);
	return 0;
}

static const struct {
	const char *name;
	int (*function)(struct carom_request *request);
} functions[] = {
	{ "incref", do_incref },
	{ "decref", do_decref },
	{ "create", do_create },
	{ "hello", do_hello },
	{ "dummy", do_dummy },
	{ "chute", carom_chute_offer },
	{ "shared_memory", carom_estate_make_memory },
	{ "shareable_list", carom_estate_make_list },
	{ "get_methods", do_get_methods },
	{ "number_of_objects", do_number_of_objects },
	{ "debug_info", do_debug_info },
	{ "shutdown", do_shutdown },
};

int carom_dispatch_call_server(struct carom_request *request)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++)
		if (strcmp(functions[i].name, request->method) == 0)
			return functions[i].function(request);
	return -ENOSYS;
}

/* ---- methods ---- */

/* What every object can do, if its type says nothing about it. */
static int call_fallback(struct carom_request *request)
{
	char text[160];

	if (strcmp(request->method, "__str__") != 0 && strcmp(request->method, "__repr__") != 0)
		return -ENOSYS;
	snprintf(text, sizeof(text), "<%.100s object at 0x%llx>", request->referent->kind->name,
		 (unsigned long long)request->referent->id);
	return carom_request_reply(request, "s", text);
}

static int call_method(struct carom_request *request)
{
	struct carom_referent *referent = request->referent;
	size_t index, count = carom_request_argument_count(request);
	const struct carom_method *method =
		carom_kind_method(referent->kind, request->method, &index);

	if (!method)
		return call_fallback(request);
	if (!carom_kind_is_exposed(referent->kind, index))
		return -EACCES;
	if (count < method->argument_min || count > method->argument_max)
		return -EINVAL;
	request->method = method->name;
	request->result_type = carom_kind_result_type(referent->kind, index);
	return method->function(referent->object, request);
}

/* I1 */
static int find_object(struct carom_request *request, uint64_t id)
{
	if (!carom_session_has(request->session, id))
		return -ESTALE;
	request->referent = carom_referent_find(request->server, id);
	carom_referent_ref(request->referent);
	return 0;
}

/* ---- messages ---- */

/* An int from 0 on. */
static int take_number(const struct carom_object *object, uint64_t *ret_number)
{
	int64_t number;

	if (carom_object_int(object, &number) < 0 || number < 0)
		return -EBADMSG;
	*ret_number = (uint64_t)number;
	return 0;
}

static int take_wait(const struct carom_object *object, uint64_t *ret_deadline_ns)
{
	uint64_t wait_ns;
	int r = carom_object_kind(object) == CAROM_OBJECT_NONE ? 1 : take_number(object, &wait_ns);

	if (r < 0)
		return r;
	if (r == 1)
		*ret_deadline_ns = CAROM_NO_DEADLINE;
	else
		*ret_deadline_ns = wait_ns == 0 ? CAROM_PASSED : carom_deadline_after(wait_ns);
	return 0;
}

static int take_message(const struct carom_object *message, struct carom_request *request,
			uint64_t *ret_id)
{
	int r = carom_object_count(message) == MESSAGE_ITEMS ? 0 : -EBADMSG;

	if (r == 0)
		r = take_number(carom_object_item(message, 0), &request->call);
	if (r == 0)
		r = take_number(carom_object_item(message, 1), ret_id);
	if (r == 0)
		r = carom_object_text(carom_object_item(message, 2), &request->method, NULL);
	if (r == 0)
		r = take_wait(carom_object_item(message, 4), &request->deadline_ns);
	if (r == 0)
		r = take_number(carom_object_item(message, 5), &request->thread);
	request->arguments = carom_object_item(message, 3);
	if (r == 0 && carom_object_kind(request->arguments) != CAROM_OBJECT_TUPLE)
		r = -EBADMSG;
	return r;
}

static int load(struct carom_server *server, const void *data, size_t size)
{
	carom_document_clear(server->document, MEMORY_FOR(size));
	return carom_cbor_load(data, size, server->depth_max + MESSAGE_DEPTH, server->document);
}

int carom_dispatch_call(struct carom_request *request, uint64_t id)
{
	int r = find_object(request, id);

	return r < 0 ? r : call_method(request);
}

static int run(struct carom_request *request, uint64_t id)
{
	return id == CAROM_SERVER_ID ? carom_dispatch_call_server(request)
				     : carom_dispatch_call(request, id);
}

int carom_dispatch(struct carom_session *session, const void *data, size_t size)
{
	struct carom_server *server = session->server;
	struct carom_request *request;
	uint64_t id;
	int r;

	if (carom_python_is(data, size))
		return carom_python_dispatch(session, data, size);
	r = load(server, data, size);
	if (r < 0)
		return r;
	request = calloc(1, sizeof(*request));
	if (!request)
		return -ENOMEM;
	request->server = server;
	request->session = session;
	request->document = server->document;
	r = take_message(carom_document_root(server->document), request, &id);
	if (r < 0)
		free(request);
	else
		carom_request_go(request, run(request, id));
	return r;
}
