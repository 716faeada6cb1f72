/*
 * Line
 *
 * Each call has a number, which its answer has, too, so answers may come in any order. Of the
 * threads that wait one reads, for all; when its own answer has come, another goes on.
 *
 *   I1  Who waits stands in the list until its answer is there, the line is over, or its time is.
 *       What comes for nobody is dropped.
 *   I2  A line that is over stays so, in this process: each call is told at once.
 *   I3  A call that the server knows the deadline of is answered by the server by then. What does
 *       not come a little later does not come, or too late; the line goes on.
 *   I4  In a child by fork() nothing of the parent's calls counts, and its connection is left
 *       alone: the child makes another. Whether one is this process's is seen before all else.
 */
#include "ipc/line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cond_wait.h"
#include "core/error.h"
#include "core/origin.h"
#include "ipc/annex_cbor.h"
#include "ipc/line_private.h"
#include "ipc/object_private.h"
#include "ipc/proxy.h"
#include "ipc/server_private.h"
#include "ipc/silence.h"

#define LOOK_NS      CAROM_SECONDS(5) /* for an answer to who does not want to wait there */
#define TELL_NS      CAROM_SECONDS(1) /* for room to send, where no answer is waited for */
#define ERRNO_MAX    4095
#define ANSWER_DEPTH 1 /* of the answer itself */

/** struct waiter - a thread, on whose stack this is */
struct waiter {
	uint64_t call;
	bool is_done;
	int result;
	struct carom_document *document;
	struct waiter *next;
};

/* ---- what was said of an error ---- */

static pthread_key_t error_key;
static pthread_once_t error_once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
	pthread_key_create(&error_key, free);
}

/* @text: the line's from now on; NULL */
static void remember_error(char *text)
{
	pthread_once(&error_once, make_key);
	free(pthread_getspecific(error_key));
	pthread_setspecific(error_key, text);
}

size_t carom_line_error(char *text, size_t size)
{
	const char *error;

	pthread_once(&error_once, make_key);
	error = pthread_getspecific(error_key);
	return (size_t)snprintf(text, size, "%s", error ? error : "");
}

#define DASHES_5  "-----"
#define DASHES_25 DASHES_5 DASHES_5 DASHES_5 DASHES_5 DASHES_5
#define DASHES    DASHES_25 DASHES_25 DASHES_25 "\n"

/* @said: by the method; NULL */
static void tell_error(const char *type, const char *method, int error, const char *said)
{
	char *text;

	if (asprintf(&text, "%s.%s: %s\n%s%s%s", type, method, carom_strerror(error),
		     said ? DASHES : "", said ? said : "", said ? DASHES : "") < 0)
		text = NULL;
	remember_error(text);
}

/* ---- beginning and end ---- */

static int copy_place(struct carom_line *line, const struct carom_client_options *options)
{
	line->options = *options;
	line->path = options->path ? strdup(options->path) : NULL;
	line->host = options->host ? strdup(options->host) : NULL;
	line->key = malloc(options->authkey_size + 1);
	if (!line->key || (options->path && !line->path) || (options->host && !line->host))
		return -ENOMEM;
	memcpy(line->key, options->authkey, options->authkey_size);
	line->options.path = line->path;
	line->options.host = line->host;
	line->options.authkey = line->key;
	return 0;
}

/* I4: whoever held them is no thread of this process. */
static int begin_anew(struct carom_line *line)
{
	line->connection = carom_connection_free(line->connection);
	carom_way_begin_anew(&line->way);
	line->waiters = NULL;
	line->has_reader = false;
	line->next_call = 0;
	line->error = 0;
	pthread_mutex_init(&line->lock, NULL);
	pthread_cond_init(&line->changed, NULL);
	line->number++;
	return 0;
}

static int say_hello(struct carom_line *line, uint64_t deadline_ns);

static int connect_it(struct carom_line *line, uint64_t deadline_ns)
{
	int r = begin_anew(line);

	if (r == 0)
		r = carom_client_connect(&line->options, deadline_ns, &line->connection);
	if (r == 0)
		r = carom_silence_limit(carom_connection_fd(line->connection), line->silence_ns);
	return r < 0 ? r : say_hello(line, deadline_ns);
}

static bool is_ours(const struct carom_line *line)
{
	/* acquire: what the thread that has connected has written before A1 */
	return carom_origin_is(atomic_load_explicit(&line->origin, memory_order_acquire));
}

int carom_line_ready(struct carom_line *line, uint64_t deadline_ns, uint64_t *ret_connection_number)
{
	int r = 0;

	if (!is_ours(line)) {
		r = carom_turn_take(&line->gate, deadline_ns);
		if (r < 0)
			return r;
		if (!is_ours(line))
			r = connect_it(line, deadline_ns);
		if (r == 0) /* A1 */
			atomic_store_explicit(&line->origin, carom_origin(), memory_order_release);
		carom_turn_give(&line->gate);
	}
	if (r == 0)
		*ret_connection_number = line->number;
	return r;
}

int carom_line_new(const struct carom_client_options *options,
		   const struct carom_line_limits *limits, uint64_t deadline_ns,
		   struct carom_line **ret_line)
{
	CAROM_CLEANUP(carom_line_unrefp) struct carom_line *line = calloc(1, sizeof(*line));
	uint64_t number;
	int r;

	if (!line)
		return -ENOMEM;
	atomic_init(&line->owner_count, 1);
	line->depth_max = limits->depth_max;
	line->silence_ns = limits->silence_ns;
	line->buffer = malloc(CAROM_LINE_BUFFER_SIZE);
	r = !line->buffer     ? -ENOMEM
	    : carom_libcbor() ? copy_place(line, options)
			      : carom_annex_error();
	if (r == 0)
		r = carom_line_ready(line, deadline_ns, &number);
	if (r == 0)
		*ret_line = carom_take_ptr(line);
	return r;
}

struct carom_line *carom_line_ref(struct carom_line *line)
{
	/* relaxed: who gives it on has one already */
	atomic_fetch_add_explicit(&line->owner_count, 1, memory_order_relaxed);
	return line;
}

struct carom_line *carom_line_unref(struct carom_line *line)
{
	if (!line || atomic_fetch_sub_explicit(&line->owner_count, 1, memory_order_acq_rel) > 1)
		return NULL;
	carom_connection_free(line->connection);
	carom_way_begin_anew(&line->way);
	carom_cbor_free(&line->cbor);
	if (line->key)
		explicit_bzero(line->key, line->options.authkey_size);
	free(line->key);
	free(line->path);
	free(line->host);
	free(line->buffer);
	free(line);
	return NULL;
}

void carom_line_unrefp(struct carom_line **line)
{
	*line = carom_line_unref(*line);
}

const struct carom_client_options *carom_line_place(const struct carom_line *line)
{
	return &line->options;
}

/* ---- sending ---- */

static uint64_t this_thread(void)
{
	static _Atomic uint64_t last;
	static _Thread_local uint64_t mine;

	if (!mine) /* relaxed: nothing but to be different */
		mine = 1 + atomic_fetch_add_explicit(&last, 1, memory_order_relaxed);
	return mine;
}

static void put_wait(struct carom_cbor *cbor, uint64_t deadline_ns)
{
	uint64_t now = carom_now();
	uint64_t wait_ns = deadline_ns > now ? deadline_ns - now : 0;

	if (deadline_ns == CAROM_NO_DEADLINE || wait_ns > INT64_MAX)
		carom_cbor_none(cbor);
	else
		carom_cbor_number(cbor, wait_ns);
}

static int encode(struct carom_line *line, uint64_t call, uint64_t object, const char *method,
		  uint64_t deadline_ns, const struct carom_object *arguments)
{
	struct carom_cbor *cbor = &line->cbor;

	carom_cbor_clear(cbor);
	cbor->size_max = line->send_max;
	carom_cbor_array(cbor, 6);
	carom_cbor_number(cbor, call);
	carom_cbor_number(cbor, object);
	carom_cbor_text(cbor, method);
	carom_cbor_object(cbor, arguments);
	put_wait(cbor, deadline_ns);
	carom_cbor_number(cbor, this_thread());
	return cbor->error;
}

/* With the turn. Nobody waits for the answer: see carom_way_receive(). */
static void ask_for_chute(struct carom_line *line, uint64_t until_ns)
{
	static const struct carom_object none = { .kind = CAROM_OBJECT_TUPLE };

	if (encode(line, CAROM_LINE_CHUTE_CALL, CAROM_SERVER_ID, "chute", CAROM_NO_DEADLINE,
		   &none) == 0)
		carom_way_send(line, CAROM_LINE_CHUTE_CALL, until_ns);
}

/* With the turn, so that calls are sent in the order of their numbers. */
static uint64_t give_number(struct carom_line *line, struct waiter *waiter)
{
	uint64_t call;

	pthread_mutex_lock(&line->lock);
	call = waiter->call = ++line->next_call;
	pthread_mutex_unlock(&line->lock);
	return call;
}

/* @waiter: NULL: nobody waits for an answer */
static int send_call(struct carom_line *line, struct waiter *waiter, uint64_t object,
		     const char *method, uint64_t deadline_ns, uint64_t until_ns,
		     const struct carom_object *arguments)
{
	int r = carom_turn_take(&line->turn, until_ns);
	uint64_t call;

	if (r < 0)
		return r;
	call = waiter ? give_number(line, waiter) : 0;
	if (carom_way_may_ask(line, call))
		ask_for_chute(line, until_ns);
	r = encode(line, call, object, method, deadline_ns, arguments);
	if (r == 0)
		r = carom_way_send(line, call, until_ns);
	carom_turn_give(&line->turn);
	return r;
}

/* ---- receiving ---- */

static uint64_t call_of(const struct carom_document *document)
{
	int64_t call = 0;

	carom_object_int(carom_object_item(carom_document_root(document), 0), &call);
	return (uint64_t)call;
}

/* The answer of who was asked for a chute: is there one? */
static void note_chute(struct carom_line *line, const struct carom_document *document)
{
	int64_t kind = CAROM_ANSWER_ERROR;

	carom_object_int(carom_object_item(carom_document_root(document), 1), &kind);
	line->way.is_due = kind == CAROM_ANSWER_RETURN;
}

/* An answer; or NULL: it was for nobody. */
static int receive(struct carom_line *line, uint64_t until_ns, struct carom_document **ret_document)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	const void *data = NULL;
	void *memory = NULL;
	size_t size = 0;
	int r = carom_way_receive(line, until_ns, &memory, &data, &size);

	if (r == 0)
		r = carom_document_make(CAROM_OBJECT_MEMORY_MAX + 2 * (uint64_t)size, &document);
	if (r == 0)
		r = carom_cbor_load(data, size, line->depth_max + ANSWER_DEPTH, document);
	free(memory);
	if (r == 0 && call_of(document) == CAROM_LINE_CHUTE_CALL)
		note_chute(line, document);
	else if (r == 0)
		*ret_document = carom_take_ptr(document);
	return r == -EOVERFLOW ? -EBADMSG : r;
}

/* ---- who waits ---- */

static void enter(struct carom_line *line, struct waiter *waiter)
{
	waiter->next = line->waiters;
	line->waiters = waiter;
}

static void leave(struct carom_line *line, const struct waiter *waiter)
{
	struct waiter **place = &line->waiters;

	while (*place != waiter)
		place = &(*place)->next;
	*place = waiter->next;
	if (line->waiters && !line->has_reader)
		pthread_cond_broadcast(&line->changed); /* one of them reads on */
}

/* I2 */
static void end_line(struct carom_line *line, int error)
{
	line->error = error;
	for (struct waiter *waiter = line->waiters; waiter; waiter = waiter->next) {
		if (!waiter->is_done)
			waiter->result = error;
		waiter->is_done = true;
	}
	pthread_cond_broadcast(&line->changed);
}

/* I1 */
static void deliver(struct carom_line *line, struct carom_document *document)
{
	struct waiter *waiter = line->waiters;
	uint64_t call = call_of(document);

	carom_way_answered(line, call);
	while (waiter && waiter->call != call)
		waiter = waiter->next;
	if (!waiter || waiter->is_done) {
		carom_document_free(document);
		return;
	}
	waiter->document = document;
	waiter->is_done = true;
	if (waiter->next || waiter != line->waiters)
		pthread_cond_broadcast(&line->changed);
}

/* For all, once. Return: 0, -ETIMEDOUT */
static int read_for_all(struct carom_line *line, uint64_t until_ns)
{
	struct carom_document *document = NULL;
	int r;

	line->has_reader = true;
	pthread_mutex_unlock(&line->lock);
	r = receive(line, until_ns, &document);
	pthread_mutex_lock(&line->lock);
	line->has_reader = false;
	if (r == 0 && document)
		deliver(line, document);
	else if (r < 0 && r != -ETIMEDOUT && r != -EAGAIN)
		end_line(line, r);
	return r == -ETIMEDOUT || r == -EAGAIN ? -ETIMEDOUT : 0;
}

static int await(struct carom_line *line, struct waiter *waiter, uint64_t until_ns)
{
	int r = 0;

	while (!waiter->is_done && r == 0) {
		if (line->has_reader)
			r = carom_cond_wait(&line->changed, &line->lock, until_ns);
		else
			r = read_for_all(line, until_ns);
	}
	return waiter->is_done ? waiter->result : r;
}

/* ---- answers ---- */

static int take_failure(const struct carom_object *answer, const char *type, const char *method)
{
	const char *said = NULL;
	int64_t error;

	if (carom_object_int(carom_object_item(answer, 2), &error) < 0 || error < 1 ||
	    error > ERRNO_MAX)
		return -EBADMSG;
	carom_object_text(carom_object_item(answer, 3), &said, NULL);
	tell_error(type, method, (int)-error, said);
	return (int)-error;
}

static int take_proxy(const struct carom_object *answer, struct carom_answered *ret_answer)
{
	int64_t id;

	if (carom_object_int(carom_object_item(answer, 2), &id) < 0 || id < 0)
		return -EBADMSG;
	ret_answer->id = (uint64_t)id;
	return carom_object_text(carom_object_item(answer, 3), &ret_answer->type, NULL);
}

static int take_answer(struct carom_document *document, const char *type, const char *method,
		       struct carom_answered *ret_answer)
{
	const struct carom_object *answer = carom_document_root(document);
	int64_t kind;

	*ret_answer = (struct carom_answered){ .document = document };
	if (carom_object_int(carom_object_item(answer, 1), &kind) < 0)
		return -EBADMSG;
	switch (kind) {
	case CAROM_ANSWER_RETURN:
		ret_answer->value = carom_object_item(answer, 2);
		return ret_answer->value ? 0 : -EBADMSG;
	case CAROM_ANSWER_PROXY:
		return take_proxy(answer, ret_answer);
	case CAROM_ANSWER_ERROR:
	case CAROM_ANSWER_TRACEBACK:
	case CAROM_ANSWER_UNSERIALIZABLE:
		return take_failure(answer, type, method);
	default:
		return -EBADMSG;
	}
}

/* ---- calls ---- */

/* I3: how long this side waits for what the server says by @deadline_ns. */
static uint64_t patience(uint64_t deadline_ns)
{
	if (deadline_ns == CAROM_NO_DEADLINE)
		return CAROM_NO_DEADLINE;
	if (deadline_ns == CAROM_PASSED)
		return carom_deadline_after(LOOK_NS);
	return deadline_ns > CAROM_NO_DEADLINE - CAROM_PROXY_GRACE_NS
		       ? CAROM_NO_DEADLINE
		       : deadline_ns + CAROM_PROXY_GRACE_NS;
}

/* The answer's document. */
static int call(struct carom_line *line, uint64_t object, const char *method, uint64_t deadline_ns,
		const struct carom_object *arguments, struct carom_document **ret_document)
{
	uint64_t until_ns = patience(deadline_ns);
	struct waiter waiter = { 0 };
	int r;

	pthread_mutex_lock(&line->lock);
	enter(line, &waiter);
	if (!line->has_reader)
		carom_way_look_out(line);
	r = line->error;
	pthread_mutex_unlock(&line->lock);
	if (r == 0)
		r = send_call(line, &waiter, object, method, deadline_ns, until_ns, arguments);
	pthread_mutex_lock(&line->lock);
	if (r == 0)
		r = await(line, &waiter, until_ns);
	else if (r == -EPIPE)
		end_line(line, r);
	if (r == -ETIMEDOUT)
		carom_way_unanswered(line);
	leave(line, &waiter);
	pthread_mutex_unlock(&line->lock);
	if (r == 0)
		*ret_document = waiter.document;
	else
		carom_document_free(waiter.document);
	return r;
}

static int call_and_look(struct carom_line *line, uint64_t object, const char *type,
			 const char *method, uint64_t deadline_ns,
			 const struct carom_object *arguments, struct carom_answered *ret_answer)
{
	struct carom_document *document = NULL;
	int r;

	remember_error(NULL);
	r = call(line, object, method, deadline_ns, arguments, &document);
	if (r < 0)
		return r;
	r = take_answer(document, type, method, ret_answer);
	if (r < 0)
		carom_document_free(document);
	return r;
}

int carom_line_call(struct carom_line *line, uint64_t object, const char *type, const char *method,
		    uint64_t deadline_ns, const struct carom_object *arguments,
		    struct carom_answered *ret_answer)
{
	uint64_t number;
	int r = carom_line_ready(line, deadline_ns, &number);

	if (r < 0)
		return r;
	if (arguments->depth > line->depth_max + ANSWER_DEPTH)
		return -EMSGSIZE;
	return call_and_look(line, object, type, method, deadline_ns, arguments, ret_answer);
}

static int make_number(int64_t number, struct carom_document **ret_document)
{
	return carom_document_build(ret_document, "(L)", number);
}

void carom_line_tell(struct carom_line *line, const char *method, uint64_t number)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *arguments = NULL;

	if (is_ours(line) && make_number((int64_t)number, &arguments) == 0)
		send_call(line, NULL, CAROM_SERVER_ID, method, CAROM_PASSED,
			  carom_deadline_after(TELL_NS), carom_document_root(arguments));
}

void carom_line_tell_if(struct carom_line *line, uint64_t connection_number, const char *method,
			uint64_t number)
{
	if (is_ours(line) && line->number == connection_number)
		carom_line_tell(line, method, number);
}

/* The version, and what the server takes. */
static int say_hello(struct carom_line *line, uint64_t deadline_ns)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *arguments = NULL;
	struct carom_answered answer = { 0 };
	int64_t send_max = 0, depth_max = 0;
	int r = carom_document_build(&arguments, "(iL)", CAROM_SERVER_PROTOCOL,
				     (int64_t)line->options.message_max);

	line->send_max = CAROM_KIB(1);
	if (r == 0)
		r = call_and_look(line, CAROM_SERVER_ID, "server", "hello", deadline_ns,
				  carom_document_root(arguments), &answer);
	if (r < 0)
		return r == -EPIPE ? -EPROTO : r;
	if (carom_object_int(carom_object_item(answer.value, 1), &send_max) < 0 ||
	    carom_object_int(carom_object_item(answer.value, 2), &depth_max) < 0 || send_max < 1 ||
	    depth_max < 1)
		r = -EPROTO;
	carom_document_free(answer.document);
	line->send_max = (uint64_t)send_max;
	if ((uint64_t)depth_max < line->depth_max)
		line->depth_max = (uint32_t)depth_max;
	return r;
}
