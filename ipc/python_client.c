/*
 * Python's clients
 *
 * Each thread of theirs has a connection for calls, and each function of the server itself is
 * called through one more, which ends then. So what they have of objects is counted for all of
 * them together, and not given back when one of them is killed: the objects live as long as the
 * server.
 *
 *   I1  What is read is copied into a tree before it is used: in a pickle an object may stand in
 *       many places, and take no time there that it takes here.
 *   I2  An answer is put together from pickled values and a few opcodes more. Names in it are
 *       those below, never a client's.
 */
#include "ipc/python_client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "ipc/object_private.h"
#include "ipc/pickle.h"
#include "ipc/pickle_opcode.h"

#define PROTOCOL_MIN 2
#define PROTOCOL_MAX 5
#define NUMBER_SIZE  24 /* of an object's, as text */

bool carom_python_is(const void *data, size_t size)
{
	const unsigned char *bytes = data;

	return size > 2 && bytes[0] == OP_PROTO && bytes[1] >= PROTOCOL_MIN &&
	       bytes[1] <= PROTOCOL_MAX;
}

/* ---- functions of the server ---- */

static int add_exposed(const struct carom_kind *kind, struct carom_document *document,
		       struct carom_object *tuple)
{
	for (size_t i = 0; i < kind->type->method_count; i++)
		if (kind->type->methods[i].name[0] != '#' && carom_kind_is_exposed(kind, i))
			carom_document_append(
				document, tuple,
				carom_document_text(document, kind->type->methods[i].name));
	return document->error;
}

/* (number, exposed) */
static int reply_created(struct carom_request *request, const struct carom_referent *referent)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	struct carom_object *pair, *exposed;
	char number[NUMBER_SIZE];
	int r = carom_document_new(NULL, &document);

	if (r < 0)
		return r;
	snprintf(number, sizeof(number), "%" PRIx64, referent->id);
	exposed = carom_document_tuple(document);
	add_exposed(referent->kind, document, exposed);
	pair = carom_document_tuple(document);
	carom_document_append(document, pair, carom_document_text(document, number));
	carom_document_append(document, pair, exposed);
	r = carom_document_finish(document, pair);
	return r < 0 ? r : carom_request_reply_value(request, pair);
}

static int do_create(struct carom_request *request)
{
	struct carom_referent *referent;
	int r = carom_dispatch_create(request, &referent);

	if (r < 0)
		return r;
	r = carom_session_take(request->session, referent);
	if (r == 0)
		r = reply_created(request, referent);
	carom_referent_unref(request->server, referent);
	return r;
}

/* A number as text. */
static int take_id(const struct carom_object *object, uint64_t *ret_id)
{
	const char *text;
	char *end;

	if (carom_object_text(object, &text, NULL) < 0)
		return -EINVAL;
	*ret_id = strtoull(text, &end, 16);
	return end == text || *end ? -EINVAL : 0;
}

static int do_incref(struct carom_request *request)
{
	struct carom_referent *referent;
	uint64_t id;
	int r = take_id(carom_request_argument(request, 0), &id);

	if (r < 0)
		return r;
	referent = carom_referent_find(request->server, id);
	return referent ? carom_session_take(request->session, referent) : -ESTALE;
}

static int do_decref(struct carom_request *request)
{
	uint64_t id;
	int r = take_id(carom_request_argument(request, 0), &id);

	return r < 0 ? r : carom_session_give_back(request->session, id);
}

static int do_nothing(struct carom_request *request)
{
	(void)request;
	return 0;
}

static const struct {
	const char *name;
	int (*function)(struct carom_request *request);
} functions[] = {
	{ "accept_connection", do_nothing },
	{ "create", do_create },
	{ "incref", do_incref },
	{ "decref", do_decref },
};

static int call_server(struct carom_request *request)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++)
		if (strcmp(functions[i].name, request->method) == 0)
			return functions[i].function(request);
	return carom_dispatch_call_server(request);
}

/* ---- messages ---- */

/* I1 */
static int load(const void *data, size_t size, struct carom_server *server,
		struct carom_document **ret_document)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	int r = carom_pickle_load(
		data, size, &CAROM_DOCUMENT_LIMITS(.depth_max = server->depth_max + 2), &document);

	if (r == 0)
		r = carom_object_clone(carom_document_root(document), ret_document);
	if (r == 0) /* for what is made of the arguments */
		(*ret_document)->left = CAROM_OBJECT_MEMORY_MAX;
	return r;
}

static int take_message(const struct carom_object *message, struct carom_request *request,
			uint64_t *ret_id)
{
	const struct carom_object *object = carom_object_item(message, 0);
	int r = carom_object_count(message) == 4 ? 0 : -EBADMSG;

	*ret_id = CAROM_SERVER_ID;
	if (r == 0 && carom_object_kind(object) != CAROM_OBJECT_NONE)
		r = take_id(object, ret_id);
	if (r == 0)
		r = carom_object_text(carom_object_item(message, 1), &request->method, NULL);
	request->arguments = carom_object_item(message, 2);
	if (r == 0 && carom_object_kind(request->arguments) != CAROM_OBJECT_TUPLE)
		r = -EBADMSG;
	return r;
}

static int run(struct carom_request *request, uint64_t id)
{
	const struct carom_object *message = carom_document_root(request->document);

	if (carom_object_count(carom_object_item(message, 3)) > 0)
		return -EINVAL; /* keywords */
	return id == CAROM_SERVER_ID ? call_server(request) : carom_dispatch_call(request, id);
}

int carom_python_dispatch(struct carom_session *session, const void *data, size_t size)
{
	struct carom_document *document = NULL;
	struct carom_request *request;
	uint64_t id;
	int r = load(data, size, session->server, &document);

	if (r < 0)
		return r;
	session->is_python = true;
	request = calloc(1, sizeof(*request));
	if (!request) {
		carom_document_free(document);
		return -ENOMEM;
	}
	*request = (struct carom_request){ .server = session->server,
					   .session = session,
					   .document = document,
					   .call = 1,
					   .thread = 1,
					   .deadline_ns = CAROM_NO_DEADLINE };
	r = take_message(carom_document_root(document), request, &id);
	if (r < 0) {
		carom_document_free(document);
		free(request);
		return r;
	}
	carom_request_go(request, run(request, id));
	return 0;
}

/* ---- answers ---- */

struct exception {
	int error;
	const char *type; /* NULL: any */
	const char *method;
	const char *module;
	const char *name;
};

/* The first that fits. */
static const struct exception exceptions[] = {
	{ -ENOENT, "list", NULL, "builtins", "ValueError" },
	{ -ETIMEDOUT, "AsyncResult", NULL, "multiprocessing", "TimeoutError" },
	{ -ETIMEDOUT, "Iterator", NULL, "multiprocessing", "TimeoutError" },
	{ -EINPROGRESS, "AsyncResult", NULL, "builtins", "ValueError" },
	{ -EINVAL, "Pool", "join", "builtins", "ValueError" },
	{ -ESHUTDOWN, "Pool", NULL, "builtins", "ValueError" },
	{ -ENOENT, NULL, NULL, "builtins", "KeyError" },
	{ -ERANGE, NULL, NULL, "builtins", "IndexError" },
	{ -EINVAL, NULL, NULL, "builtins", "TypeError" },
	{ -ENODATA, NULL, NULL, "builtins", "StopIteration" },
	{ -ENOSYS, NULL, NULL, "builtins", "AttributeError" },
	{ -EACCES, NULL, NULL, "builtins", "AttributeError" },
	{ -ESTALE, NULL, NULL, "builtins", "KeyError" },
	{ -ENXIO, NULL, NULL, "builtins", "KeyError" },
	{ -EAGAIN, NULL, "get", "queue", "Empty" },
	{ -EAGAIN, NULL, "get_nowait", "queue", "Empty" },
	{ -ETIMEDOUT, NULL, "get", "queue", "Empty" },
	{ -EAGAIN, NULL, "put", "queue", "Full" },
	{ -EAGAIN, NULL, "put_nowait", "queue", "Full" },
	{ -ETIMEDOUT, NULL, "put", "queue", "Full" },
	{ 0, NULL, NULL, "builtins", "OSError" },
};

static const struct exception *exception_of(const struct carom_request *request, int error)
{
	const char *type = request->referent ? request->referent->kind->name : "";
	const struct exception *exception = exceptions;

	while (exception->error != 0 &&
	       (exception->error != error ||
		(exception->type && strcmp(exception->type, type) != 0) ||
		(exception->method && strcmp(exception->method, request->method) != 0)))
		exception++;
	return exception;
}

/* What stands between the protocol and the end of a pickle of @object. Return: 0, ... */
static int write_object(FILE *file, const struct carom_object *object)
{
	CAROM_CLEANUP(carom_pickle_freep) struct carom_pickle *pickle = NULL;
	const void *data;
	size_t size;
	int r = carom_pickle_new(NULL, &pickle);

	if (r == 0)
		r = carom_pickle_object(pickle, object);
	if (r == 0)
		r = carom_pickle_data(pickle, &data, &size);
	if (r == 0)
		fwrite((const char *)data + 2, 1, size - 3, file);
	return r;
}

static void write_text(FILE *file, const char *text)
{
	uint32_t size = (uint32_t)strlen(text);
	unsigned char head[] = { OP_BINUNICODE, (unsigned char)size, (unsigned char)(size >> 8),
				 (unsigned char)(size >> 16), (unsigned char)(size >> 24) };

	fwrite(head, 1, sizeof(head), file);
	fwrite(text, 1, size, file);
}

/* I2: "c" is find this name */
static void write_name(FILE *file, const char *module, const char *name)
{
	fprintf(file, "c%s\n%s\n", module, name);
}

static int write_exception(const struct carom_request *request, FILE *file, int error)
{
	const struct exception *exception = exception_of(request, error);

	write_text(file, "#ERROR");
	write_name(file, exception->module, exception->name);
	write_text(file, carom_strerror(error));
	fprintf(file, "%c%c", OP_TUPLE1, OP_REDUCE);
	return 0;
}

static int write_said(FILE *file, const char *kind, const struct carom_object *said)
{
	const char *text = "";

	carom_object_text(said, &text, NULL);
	write_text(file, kind);
	write_text(file, text);
	return 0;
}

/* (exposed, token): the client knows where the server is. */
static int write_proxy(const struct carom_request *request, FILE *file,
		       const struct carom_object *answer)
{
	const struct carom_referent *referent = carom_referent_find(
		request->server, (uint64_t)carom_object_item(answer, 2)->integer);
	char number[NUMBER_SIZE];

	if (!referent)
		return -ESTALE;
	snprintf(number, sizeof(number), "%" PRIx64, referent->id);
	write_text(file, "#PROXY");
	fputc(OP_MARK, file);
	for (size_t i = 0; i < referent->kind->type->method_count; i++)
		if (carom_kind_is_exposed(referent->kind, i))
			write_text(file, referent->kind->type->methods[i].name);
	fputc(OP_TUPLE, file);
	write_name(file, "multiprocessing.managers", "Token");
	write_text(file, referent->kind->name);
	fputc(OP_NONE, file);
	write_text(file, number);
	fprintf(file, "%c%c%c", OP_TUPLE3, OP_REDUCE, OP_TUPLE2);
	return 0;
}

static int write_answer(const struct carom_request *request, FILE *file,
			const struct carom_object *answer)
{
	int64_t kind = -1, error = 0;

	carom_object_int(carom_object_item(answer, 1), &kind);
	carom_object_int(carom_object_item(answer, 2), &error);
	switch (kind) {
	case CAROM_ANSWER_RETURN:
		write_text(file, "#RETURN");
		return write_object(file, carom_object_item(answer, 2));
	case CAROM_ANSWER_PROXY:
		return write_proxy(request, file, answer);
	case CAROM_ANSWER_TRACEBACK:
		return write_said(file, "#TRACEBACK", carom_object_item(answer, 3));
	case CAROM_ANSWER_UNSERIALIZABLE:
		return write_said(file, "#UNSERIALIZABLE", carom_object_item(answer, 3));
	default:
		return write_exception(request, file, (int)-error);
	}
}

static int make_pickle(const struct carom_request *request, FILE *file)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	int r = carom_document_make(CAROM_OBJECT_MEMORY_MAX + 2 * (uint64_t)request->reply.size,
				    &document);

	if (r == 0)
		r = carom_cbor_load(request->reply.data, request->reply.size, CAROM_CBOR_DEPTH_MAX,
				    document);
	fprintf(file, "%c%c", OP_PROTO, 4);
	if (r == 0)
		r = write_answer(request, file, carom_document_root(document));
	fprintf(file, "%c%c", OP_TUPLE2, OP_STOP);
	return fclose(file) == 0 ? r : -ENOMEM;
}

static const char unserializable[] = "\x80\x04"
				     "X\x0f\0\0\0#UNSERIALIZABLE"
				     "X\0\0\0\0\x86.";

void carom_python_answer(struct carom_request *request)
{
	char *data = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&data, &size);
	int r = file ? make_pickle(request, file) : -ENOMEM;

	if (r < 0)
		carom_session_send(request->session, unserializable, sizeof(unserializable) - 1);
	else
		carom_session_send(request->session, data, size);
	free(data);
}
