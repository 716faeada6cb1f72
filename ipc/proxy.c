/*
 * Proxy
 *
 *   I1  The server counts one reference for each proxy, for the connection that the proxy has seen
 *       last. Where there is another one, a forked child's, the proxy takes a reference there
 *       before it is used; what was counted for the other one is not its to give back.
 */
#include "ipc/proxy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/object_private.h"
#include "ipc/proxy_private.h"
#include "ipc/server_private.h"
#include "ipc/turn.h"

/**
 * struct carom_proxy - @type stands behind it
 * @gate:       of who takes a reference
 * @connection: the number of the one that the reference is counted for
 */
struct carom_proxy {
	_Atomic uint32_t owner_count;
	struct carom_line *line;
	uint64_t id;
	struct carom_turn gate;
	_Atomic uint64_t connection;
	char type[];
};

int carom_proxy_new(struct carom_line *line, uint64_t id, const char *type,
		    struct carom_proxy **ret_proxy)
{
	size_t size = strlen(type) + 1;
	struct carom_proxy *proxy = calloc(1, sizeof(*proxy) + size);
	uint64_t number = 0;

	if (!proxy) {
		carom_line_tell(line, "decref", id);
		return -ENOMEM;
	}
	carom_line_ready(line, CAROM_PASSED, &number);
	atomic_init(&proxy->owner_count, 1);
	atomic_init(&proxy->connection, number);
	proxy->line = carom_line_ref(line);
	proxy->id = id;
	memcpy(proxy->type, type, size);
	*ret_proxy = proxy;
	return 0;
}

struct carom_proxy *carom_proxy_ref(struct carom_proxy *proxy)
{
	/* relaxed: who gives it on has one already */
	atomic_fetch_add_explicit(&proxy->owner_count, 1, memory_order_relaxed);
	return proxy;
}

static void give_back(struct carom_proxy *proxy)
{
	carom_line_tell_if(proxy->line, atomic_load(&proxy->connection), "decref", proxy->id);
}

struct carom_proxy *carom_proxy_free(struct carom_proxy *proxy)
{
	/* what other owners did with it comes before its end */
	if (!proxy || atomic_fetch_sub_explicit(&proxy->owner_count, 1, memory_order_acq_rel) > 1)
		return NULL;
	give_back(proxy);
	carom_line_unref(proxy->line);
	free(proxy);
	return NULL;
}

void carom_proxy_freep(struct carom_proxy **proxy)
{
	*proxy = carom_proxy_free(*proxy);
}

/* ---- references ---- */

static int take_reference(struct carom_line *line, uint64_t id, uint64_t deadline_ns,
			  struct carom_answered *ret_answer)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *arguments = NULL;
	int r = carom_document_build(&arguments, "(L)", (int64_t)id);

	return r < 0 ? r
		     : carom_line_call(line, CAROM_SERVER_ID, "server", "incref", deadline_ns,
				       carom_document_root(arguments), ret_answer);
}

static int renew(struct carom_proxy *proxy, uint64_t number, uint64_t deadline_ns)
{
	struct carom_answered answer = { 0 };
	int r = carom_turn_take(&proxy->gate, deadline_ns);

	if (r < 0)
		return r;
	if (atomic_load(&proxy->connection) != number)
		r = take_reference(proxy->line, proxy->id, deadline_ns, &answer);
	if (r == 0)
		atomic_store(&proxy->connection, number);
	carom_turn_give(&proxy->gate);
	carom_document_free(answer.document);
	return r;
}

/* I1 */
static int be_ready(struct carom_proxy *proxy, uint64_t deadline_ns)
{
	uint64_t number;
	int r = carom_line_ready(proxy->line, deadline_ns, &number);

	if (r == 0 && atomic_load(&proxy->connection) != number)
		r = renew(proxy, number, deadline_ns);
	return r;
}

int carom_proxy_take(struct carom_line *line, uint64_t id, uint64_t deadline_ns,
		     struct carom_proxy **ret_proxy)
{
	struct carom_answered answer = { 0 };
	const char *type;
	int r = take_reference(line, id, deadline_ns, &answer);

	if (r < 0)
		return r;
	r = carom_object_text(answer.value, &type, NULL);
	if (r == 0)
		r = carom_proxy_new(line, id, type, ret_proxy);
	carom_document_free(answer.document);
	return r;
}

int carom_proxy_of(struct carom_proxy *neighbour, const struct carom_object *object,
		   uint64_t deadline_ns, struct carom_proxy **ret_proxy)
{
	const char *type;
	uint64_t id;
	int r = carom_object_proxy(object, &id, &type);

	return r < 0 ? r : carom_proxy_take(neighbour->line, id, deadline_ns, ret_proxy);
}

struct carom_line *carom_proxy_line(const struct carom_proxy *proxy)
{
	return proxy->line;
}

int carom_object_put_proxy(struct carom_document *document, const struct carom_proxy *proxy,
			   struct carom_object **ret_object)
{
	int r = carom_object_new(document, CAROM_OBJECT_PROXY, ret_object);

	return r < 0 ? r
		     : carom_object_set_proxy(document, *ret_object, proxy->type,
					      strlen(proxy->type), proxy->id);
}

/* ---- calls ---- */

static int call(struct carom_proxy *proxy, const char *method, uint64_t deadline_ns,
		const char *format, va_list arguments, struct carom_answered *ret_answer)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	struct carom_object *tuple;
	int r = carom_document_make(CAROM_OBJECT_MEMORY_MAX, &document);

	if (r == 0)
		r = carom_object_vbuild(document, format, arguments, &tuple);
	if (r == 0)
		r = be_ready(proxy, deadline_ns);
	return r < 0 ? r
		     : carom_line_call(proxy->line, proxy->id, proxy->type, method, deadline_ns,
				       tuple, ret_answer);
}

/* The value becomes what the document is about. */
static int take_value(struct carom_proxy *proxy, struct carom_answered *answer,
		      struct carom_document **ret_document)
{
	if (!answer->value) {
		carom_line_tell(proxy->line, "decref", answer->id);
		carom_document_free(answer->document);
		return -EISNAM;
	}
	carom_document_set_root(answer->document, answer->value);
	if (ret_document)
		*ret_document = answer->document;
	else
		carom_document_free(answer->document);
	return 0;
}

int carom_proxy_vcall(struct carom_proxy *proxy, const char *method, uint64_t deadline_ns,
		      struct carom_document **ret_document, const char *format, va_list arguments)
{
	struct carom_answered answer;
	int r = call(proxy, method, deadline_ns, format, arguments, &answer);

	return r < 0 ? r : take_value(proxy, &answer, ret_document);
}

int carom_proxy_call(struct carom_proxy *proxy, const char *method, uint64_t deadline_ns,
		     struct carom_document **ret_document, const char *format, ...)
{
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = carom_proxy_vcall(proxy, method, deadline_ns, ret_document, format, arguments);
	va_end(arguments);
	return r;
}

int carom_proxy_call_proxy(struct carom_proxy *proxy, const char *method, uint64_t deadline_ns,
			   struct carom_proxy **ret_proxy, const char *format, ...)
{
	struct carom_answered answer;
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = call(proxy, method, deadline_ns, format, arguments, &answer);
	va_end(arguments);
	if (r < 0)
		return r;
	r = answer.value ? -ENOTUNIQ
			 : carom_proxy_new(proxy->line, answer.id, answer.type, ret_proxy);
	carom_document_free(answer.document);
	return r;
}

size_t carom_proxy_error(char *text, size_t size)
{
	return carom_line_error(text, size);
}

int carom_proxy_snapshot(struct carom_proxy *proxy, uint64_t deadline_ns,
			 struct carom_document **ret_document)
{
	return carom_proxy_call(proxy, "#GETVALUE", deadline_ns, ret_document, "");
}

int carom_proxy_methods(struct carom_proxy *proxy, uint64_t deadline_ns,
			struct carom_document **ret_document)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *arguments = NULL;
	struct carom_answered answer;
	int r = carom_document_build(&arguments, "(L)", (int64_t)proxy->id);

	if (r == 0)
		r = be_ready(proxy, deadline_ns);
	if (r == 0)
		r = carom_line_call(proxy->line, CAROM_SERVER_ID, "server", "get_methods",
				    deadline_ns, carom_document_root(arguments), &answer);
	return r < 0 ? r : take_value(proxy, &answer, ret_document);
}

int carom_proxy_next(struct carom_proxy *iterator, uint64_t deadline_ns,
		     struct carom_document **ret_document)
{
	return carom_proxy_call(iterator, "__next__", deadline_ns, ret_document, "");
}

/* ---- what it is ---- */

/* As Python calls its proxies: DictProxy; but IteratorProxy, NamespaceProxy as they are. */
size_t carom_proxy_describe(const struct carom_proxy *proxy, char *text, size_t size)
{
	char first = proxy->type[0];

	if (first >= 'a' && first <= 'z')
		first = (char)(first - 'a' + 'A');
	return (size_t)snprintf(text, size, "<%c%sProxy object, typeid '%s' at 0x%" PRIx64 ">",
				first, first ? proxy->type + 1 : "", proxy->type, proxy->id);
}

static size_t describe_failed(const struct carom_proxy *proxy, char *text, size_t size)
{
	static const char failed[] = "; '__str__()' failed>";
	size_t length = carom_proxy_describe(proxy, text, size) - 1;

	if (length < size)
		snprintf(text + length, size - length, "%s", failed);
	return length + sizeof(failed) - 1;
}

size_t carom_proxy_text(struct carom_proxy *proxy, uint64_t deadline_ns, char *text, size_t size)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	const char *said;
	size_t length;
	int r = carom_proxy_call(proxy, "__repr__", deadline_ns, &document, "");

	if (r == 0)
		r = carom_object_text(carom_document_root(document), &said, &length);
	return r < 0 ? describe_failed(proxy, text, size)
		     : (size_t)snprintf(text, size, "%s", said);
}

bool carom_proxy_same(const struct carom_proxy *a, const struct carom_proxy *b)
{
	return a->id == b->id;
}

uint64_t carom_proxy_id(const struct carom_proxy *proxy)
{
	return proxy->id;
}

const char *carom_proxy_type(const struct carom_proxy *proxy)
{
	return proxy->type;
}
