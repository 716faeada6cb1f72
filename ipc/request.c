/*
 * Request: a call of a client's, until it is answered
 *
 *   I1  It is answered once, or its client has gone.
 *   I2  While it is deferred it stands in its session's list, has a reference of its object, and
 *       memory of its own for its arguments. What ends it takes it out of there first: its answer,
 *       its deadline, the end of its client, the end of the server.
 *   I3  Who has deferred it is told of each end but its own answer, before it is freed.
 */
#include "ipc/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/backtrace.h"
#include "ipc/object_private.h"
#include "ipc/python_client.h"
#include "ipc/server_private.h"

/* ---- what was asked ---- */

const struct carom_object *carom_request_arguments(const struct carom_request *request)
{
	return request->arguments;
}

const struct carom_object *carom_request_argument(const struct carom_request *request, size_t index)
{
	return carom_object_item(request->arguments, index);
}

size_t carom_request_argument_count(const struct carom_request *request)
{
	return carom_object_count(request->arguments);
}

const char *carom_request_method(const struct carom_request *request)
{
	return request->method;
}

struct carom_server *carom_request_server(const struct carom_request *request)
{
	return request->server;
}

struct carom_caller carom_request_caller(const struct carom_request *request)
{
	return (struct carom_caller){ request->session->id, request->thread };
}

/* ---- the answer ---- */

/* In memory that the server has lying about, or else new. */
static struct carom_cbor *begin_answer(struct carom_request *request, enum carom_answer answer,
				       size_t count)
{
	if (!request->reply.data) {
		request->reply = request->server->spare;
		request->server->spare = (struct carom_cbor){ 0 };
	}
	carom_cbor_clear(&request->reply);
	request->reply.size_max = (size_t)request->server->message_max;
	carom_cbor_array(&request->reply, 2 + count);
	carom_cbor_number(&request->reply, request->call);
	carom_cbor_number(&request->reply, answer);
	return &request->reply;
}

static void give_memory_back(struct carom_request *request)
{
	if (request->server->spare.data) {
		carom_cbor_free(&request->reply);
		return;
	}
	request->server->spare = request->reply;
	carom_cbor_clear(&request->server->spare);
	request->reply = (struct carom_cbor){ 0 };
}

int carom_request_reply_value(struct carom_request *request, const struct carom_object *value)
{
	struct carom_cbor *reply = begin_answer(request, CAROM_ANSWER_RETURN, 1);
	int error;

	carom_cbor_object(reply, value);
	error = reply->error;
	if (error)
		carom_cbor_clear(reply);
	else if (value->has_proxy && !request->result_type)
		carom_session_lend(request->session, value);
	return error;
}

int carom_request_reply(struct carom_request *request, const char *format, ...)
{
	struct carom_document *scratch = request->server->scratch;
	struct carom_object *values;
	va_list arguments;
	int r;

	carom_document_clear(scratch, CAROM_OBJECT_MEMORY_MAX);
	va_start(arguments, format);
	r = carom_object_vbuild(scratch, format, arguments, &values);
	va_end(arguments);
	if (r < 0)
		return r;
	return carom_request_reply_value(
		request, carom_object_count(values) == 1 ? carom_object_item(values, 0) : values);
}

int carom_request_reply_referent(struct carom_request *request, struct carom_referent *referent)
{
	struct carom_cbor *reply;
	int r = carom_session_take(request->session, referent);

	if (r < 0)
		return r;
	reply = begin_answer(request, CAROM_ANSWER_PROXY, 2);
	carom_cbor_number(reply, referent->id);
	carom_cbor_text(reply, referent->kind->name);
	r = reply->error;
	if (r < 0)
		carom_session_give_back(request->session, referent->id);
	return r;
}

int carom_request_reply_object(struct carom_request *request, const char *type, void *object)
{
	struct carom_kind *kind = carom_kind_find(request->server, type);
	struct carom_referent *referent;
	int r = kind ? carom_referent_share(request->server, kind, object, false, &referent)
		     : -ENXIO;

	if (r < 0)
		return r;
	r = carom_request_reply_referent(request, referent);
	if (r < 0 && referent->count == 1)
		referent->is_borrowed = true; /* it is the caller's still, who ends it */
	carom_referent_unref(request->server, referent);
	return r;
}

int carom_request_fail(struct carom_request *request, int error, const char *format, ...)
{
	struct carom_backtrace backtrace;
	char way[CAROM_BACKTRACE_TEXT_MAX], *reason = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&reason, format, arguments) < 0)
		reason = NULL;
	va_end(arguments);
	carom_backtrace_capture(&backtrace, 0);
	carom_backtrace_format(&backtrace, way, sizeof(way));
	free(carom_take_ptr(request->text));
	if (asprintf(&request->text, "%s\n%s", reason ? reason : "", way) < 0)
		request->text = NULL;
	free(reason);
	return error;
}

static void put_error(struct carom_request *request, int error, const char *text)
{
	struct carom_cbor *reply =
		begin_answer(request, text ? CAROM_ANSWER_TRACEBACK : CAROM_ANSWER_ERROR, 2);

	carom_cbor_number(reply, (uint64_t)-error);
	if (text)
		carom_cbor_text(reply, text);
	else
		carom_cbor_none(reply);
}

/* With what was said, unless that is too long. */
static void answer_error(struct carom_request *request, int error)
{
	put_error(request, error, request->text);
	if (request->reply.error == -EMSGSIZE)
		put_error(request, error, NULL);
}

static void answer_unserializable(struct carom_request *request, int error)
{
	struct carom_cbor *reply = begin_answer(request, CAROM_ANSWER_UNSERIALIZABLE, 2);

	carom_cbor_number(reply, (uint64_t)-error);
	carom_cbor_text(reply, "the result cannot be sent");
}

/* The result becomes an object of this type, whose proxy is the result. */
static int make_of_result(struct carom_request *request)
{
	return carom_dispatch_make(request, request->result_type);
}

static void answer(struct carom_request *request, int result)
{
	if (result >= 0 && request->reply.size == 0 && !request->reply.error)
		result = carom_request_reply(request, "n");
	if (result >= 0 && request->result_type)
		result = make_of_result(request);
	if (result == -EMSGSIZE && request->reply.data && !request->text)
		answer_unserializable(request, result);
	else if (result < 0)
		answer_error(request, result);
	if (request->call == 0)
		return; /* nobody waits for it */
	if (request->session->is_python && request->reply.error == 0)
		carom_python_answer(request);
	else if (request->reply.error == 0)
		carom_session_send(request->session, request->reply.data, request->reply.size);
	else
		request->session->is_ended = true; /* no memory even for that */
}

static void free_request(struct carom_request *request)
{
	give_memory_back(request);
	free(request->text);
	if (request->referent)
		carom_referent_unref(request->server, request->referent);
	if (request->document != request->server->document)
		carom_document_free(request->document);
	free(request);
}

void carom_request_go(struct carom_request *request, int result)
{
	if (result == CAROM_REQUEST_LATER)
		return;
	answer(request, result);
	free_request(request);
}

/* ---- later ---- */

/* I2 */
static void take_out(struct carom_request *request)
{
	struct carom_session *session = request->session;

	carom_loop_timer_clear(request->server->loop, &request->timer);
	if (request->previous)
		request->previous->next = request->next;
	else
		session->requests = request->next;
	if (request->next)
		request->next->previous = request->previous;
	request->cancelled = NULL;
}

/* I3 */
void carom_request_cancel(struct carom_request *request, int reason)
{
	carom_request_cancel_fn *cancelled = request->cancelled;
	int result;

	take_out(request);
	result = cancelled(request, request->userdata, reason);
	if (!request->session->is_ended)
		answer(request, result);
	free_request(request);
}

static void on_deadline(struct carom_loop_timer *timer)
{
	struct carom_request *request = timer->userdata;
	struct carom_server *server = request->server;
	struct carom_session *session = request->session;

	carom_request_cancel(request, -ETIMEDOUT);
	if (session->is_ended)
		carom_session_end(session);
	carom_referents_bury(server);
}

static int set_deadline(struct carom_request *request, uint64_t deadline_ns)
{
	request->timer.expired = on_deadline;
	request->timer.userdata = request;
	if (deadline_ns == CAROM_NO_DEADLINE)
		return 0;
	return carom_loop_timer_set(request->server->loop, &request->timer, deadline_ns);
}

/* Its arguments stay where they are, and the server takes other memory for those that follow. */
static int own_document(struct carom_request *request)
{
	struct carom_document *document;
	int r = request->document == request->server->document
			? carom_document_make(CAROM_OBJECT_MEMORY_MAX, &document)
			: 1;

	if (r == 0)
		request->server->document = document;
	return r < 0 ? r : 0;
}

int carom_request_defer(struct carom_request *request, uint64_t deadline_ns,
			carom_request_cancel_fn *cancelled, void *userdata)
{
	struct carom_session *session = request->session;
	int r;

	if (request->deadline_ns < deadline_ns)
		deadline_ns = request->deadline_ns;
	if (deadline_ns != CAROM_NO_DEADLINE && deadline_ns <= carom_now())
		return -ETIMEDOUT;
	r = own_document(request);
	if (r == 0)
		r = set_deadline(request, deadline_ns);
	if (r < 0)
		return r;
	request->cancelled = cancelled;
	request->userdata = userdata;
	request->next = session->requests;
	if (request->next)
		request->next->previous = request;
	session->requests = request;
	return CAROM_REQUEST_LATER;
}

void carom_request_finish(struct carom_request *request, int result)
{
	struct carom_session *session = request->session;

	take_out(request);
	carom_request_go(request, result);
	if (session->is_ended) /* but somebody may stand in it: see its end */
		carom_loop_ring(session->server->loop);
}
