/*
 * The inside of a manager's server, for its parts
 *
 *	server.c    the loop, the door, the end
 *	session.c   a client's connection: what comes in and goes out
 *	server_chute.c  the short way to clients on this machine
 *	dispatch.c  from a message to a method, and the functions of the server itself
 *	request.c   a call, until it is answered
 *	kind.c      the types that are registered
 *	referent.c  the objects, and who has them
 *	types.c     the types that are always there
 *	estate.c    shared memory with names
 *
 * A message of a client's is [call, object, method, arguments, wait, thread]: a number of its
 * own for the call, which the answer has; 0 for the server itself; how many nanoseconds it waits,
 * or None; and a number of its own for the thread. The answer is [call, answer, ...].
 */
#ifndef CAROM_IPC_SERVER_PRIVATE_H
#define CAROM_IPC_SERVER_PRIVATE_H

#include <stdatomic.h>

#include "core/loop.h"
#include "ipc/cbor.h"
#include "ipc/connection.h"
#include "ipc/id_map.h"
#include "ipc/listener.h"
#include "ipc/server.h"

#define CAROM_SERVER_PROTOCOL  1
#define CAROM_SERVER_DEPTH_MAX 60 /* and a few for what a message puts around */
#define CAROM_SERVER_ID        0  /* as an object: the server itself */

/**
 * enum carom_answer - what follows the call's number
 * @CAROM_ANSWER_RETURN:         the value
 * @CAROM_ANSWER_ERROR:          the errno value, above 0, and None
 * @CAROM_ANSWER_PROXY:          an object's number, and its type
 * @CAROM_ANSWER_TRACEBACK:      the errno value, and a text
 * @CAROM_ANSWER_UNSERIALIZABLE: the same, of a result that cannot be sent
 */
enum carom_answer {
	CAROM_ANSWER_RETURN,
	CAROM_ANSWER_ERROR,
	CAROM_ANSWER_PROXY,
	CAROM_ANSWER_TRACEBACK,
	CAROM_ANSWER_UNSERIALIZABLE,
};

struct carom_session;

/**
 * struct carom_kind - a type as it is registered here
 * @exposed:      which methods can be called; NULL: all
 * @result_types: for each method, or NULL: what @type says
 */
struct carom_kind {
	struct carom_kind *next;
	char *name;
	const struct carom_type *type;
	bool *exposed;
	char **result_types;
	void *object;
};

/**
 * struct carom_referent - an object
 * @count:        who has it: sessions, values that are kept, and requests that are under way
 * @is_borrowed:  it is not ended with the referent
 * @next_dead:    no one has it any more
 * @previous, @next: of all; @next_leaver of those whose type wants to know who leaves
 */
struct carom_referent {
	uint64_t id;
	struct carom_kind *kind;
	void *object;
	uint64_t count;
	bool is_borrowed;
	bool is_dead;
	struct carom_referent *next_dead;
	struct carom_referent *previous;
	struct carom_referent *next;
};

/**
 * struct carom_request - a call that is not answered yet
 * @document:  where @arguments stand; the request's own once it is deferred
 * @reply:     what is to be sent; empty: None
 * @text:      why it failed
 * @cancelled: NULL: it is not deferred
 * @previous, @next: in the session's list, while it is deferred
 */
struct carom_request {
	struct carom_server *server;
	struct carom_session *session;
	struct carom_referent *referent;
	uint64_t call;
	uint64_t thread;
	uint64_t deadline_ns;
	const char *method;
	const char *result_type;
	struct carom_document *document;
	const struct carom_object *arguments;
	struct carom_cbor reply;
	char *text;
	carom_request_cancel_fn *cancelled;
	void *userdata;
	struct carom_loop_timer timer;
	struct carom_request *previous;
	struct carom_request *next;
};

struct carom_parcel_out;
struct carom_served_chute;

/**
 * struct carom_session - a client's connection
 * @watch:      of what comes; not while it @is_stalled: it takes no answers, and so asks nothing
 * @references: how many it has of each object
 * @is_python:  see ipc/python_client.c: what it has is counted for all of them together
 * @lent:       objects that it was told of last, which stay for a while: a ring
 * @chute:      NULL: all goes through the connection
 * @requests:   those that are deferred
 * @is_ended:   it goes as soon as nobody stands in it
 */
struct carom_session {
	struct carom_server *server;
	struct carom_connection *connection;
	struct carom_loop_fd watch;
	uint64_t id;
	struct carom_id_map references;
	uint64_t *lent;
	uint32_t lent_next;
	bool is_stalled;
	bool is_ended;
	bool is_python;
	struct carom_served_chute *chute;
	struct carom_request *requests;
	struct carom_parcel_out *out;
	struct carom_parcel_out **out_end;
	struct carom_session *previous;
	struct carom_session *next;
};

/**
 * struct carom_guest - what lives in a server's loop, and may outlive the object that it was of
 * @leave: the server ends: it is to leave, at once
 */
struct carom_guest {
	void (*leave)(struct carom_guest *guest);
	struct carom_guest *previous;
	struct carom_guest *next;
};

/**
 * struct carom_server - all of it
 * @outlet_fd:   an epoll of the sessions that are stalled, until they are not
 * @buffer:      what is received; longer messages have memory of their own
 * @document:    of the message at hand
 * @scratch:     of a result that is made
 * @spare:       memory for a reply
 * @warm:        chutes that are looked at all the time
 * @referents:   by their numbers; @by_object by what they stand for
 * @python_references: how many Python's clients have of each object
 * @dead:        to be ended
 * @guests:      who else is to be gone before the loop
 * @estate:      see ipc/estate.h
 * @is_stopped:  carom_server_stop() was called
 */
struct carom_server {
	uint64_t origin;
	struct carom_loop *loop;
	struct carom_listener *listener;
	struct carom_loop_fd door;
	struct carom_loop_timer door_timer;
	int outlet_fd;
	struct carom_loop_fd outlet;
	uint64_t message_max;
	uint64_t silence_ns;
	uint32_t depth_max;
	struct carom_kind *kinds;
	struct carom_session *sessions;
	size_t session_count;
	uint64_t next_session;
	struct carom_id_map referents;
	struct carom_id_map by_object;
	struct carom_id_map python_references;
	struct carom_referent *first_referent;
	struct carom_referent *dead;
	struct carom_guest *guests;
	struct carom_estate *estate;
	uint64_t next_id;
	unsigned char *buffer;
	struct carom_document *document;
	struct carom_document *scratch;
	struct carom_cbor spare;
	struct carom_served_chute *warm;
	size_t chute_count;
	_Atomic bool is_stopped;
};

/* ---- server.c ---- */

bool carom_server_is_stopped(const struct carom_server *server);
void carom_server_welcome(struct carom_server *server, struct carom_guest *guest);
void carom_server_part(struct carom_server *server, struct carom_guest *guest);

/* ---- kind.c ---- */

struct carom_kind *carom_kind_find(const struct carom_server *server, const char *name);
const struct carom_method *carom_kind_method(const struct carom_kind *kind, const char *name,
					     size_t *ret_index);
bool carom_kind_is_exposed(const struct carom_kind *kind, size_t index);
const char *carom_kind_result_type(const struct carom_kind *kind, size_t index);
void carom_kinds_free(struct carom_server *server);

/* ---- types.c ---- */

int carom_types_register(struct carom_server *server);

/* ---- referent.c ---- */

struct carom_referent *carom_referent_find(const struct carom_server *server, uint64_t id);

/** carom_referent_share() - the one of @object under this type, with one reference more. 0, -ENOMEM */
int carom_referent_share(struct carom_server *server, struct carom_kind *kind, void *object,
			 bool is_borrowed, struct carom_referent **ret_referent);
void carom_referent_ref(struct carom_referent *referent);
void carom_referent_unref(struct carom_server *server, struct carom_referent *referent);

/** carom_referents_bury() - end those that nobody has; in no method */
void carom_referents_bury(struct carom_server *server);
void carom_referents_free(struct carom_server *server);

/* ---- request.c ---- */

/** carom_request_go() - what came of the method; answers, unless it is deferred */
void carom_request_go(struct carom_request *request, int result);

/** carom_request_cancel() - a deferred one, for this reason */
void carom_request_cancel(struct carom_request *request, int reason);

/** carom_request_reply_referent() - the result is a proxy of it, of which the session gets a reference */
int carom_request_reply_referent(struct carom_request *request, struct carom_referent *referent);

/* ---- dispatch.c ---- */

/** carom_dispatch_make() - the reply is a proxy of a new object of @type, made of what was replied */
int carom_dispatch_make(struct carom_request *request, const char *type);

/** carom_dispatch_create() - a new object, as the arguments say. 0, -ENXIO, -EINVAL, ... */
int carom_dispatch_create(struct carom_request *request, struct carom_referent **ret_referent);

/** carom_dispatch_call_server() - a function of the server's. As a method's result */
int carom_dispatch_call_server(struct carom_request *request);

/** carom_dispatch_call() - a method of an object's. As a method's result; -ESTALE */
int carom_dispatch_call(struct carom_request *request, uint64_t id);

/** carom_dispatch() - a message. 0; a negative errno value: the session is over */
int carom_dispatch(struct carom_session *session, const void *data, size_t size);

/* ---- session.c ---- */

void carom_session_new_consume(struct carom_server *server, struct carom_connection *connection);
void carom_session_end(struct carom_session *session);
void carom_session_send(struct carom_session *session, const void *data, size_t size);
void carom_session_stall(struct carom_session *session);
void carom_session_unstall(struct carom_session *session);

/** carom_session_nudge() - an empty message through the socket; see ipc/chute.h */
void carom_session_nudge(struct carom_session *session);

/** carom_session_has() - a reference of that object? */
bool carom_session_has(struct carom_session *session, uint64_t id);

/** carom_session_take() - one reference more of this object. 0, -ENOMEM */
int carom_session_take(struct carom_session *session, struct carom_referent *referent);

/** carom_session_claim() - the same, of one that was lent it is that one. 0, -ENOMEM */
int carom_session_claim(struct carom_session *session, struct carom_referent *referent);

/** carom_session_give_back() - one less. 0, -ESTALE: it has none */
int carom_session_give_back(struct carom_session *session, uint64_t id);

/** carom_session_lend() - what stands in @value stays for a while, to be taken */
void carom_session_lend(struct carom_session *session, const struct carom_object *value);

/* ---- server_chute.c ---- */

/** carom_chute_offer() - as a function of the server's: a chute for this client. -EOPNOTSUPP, ... */
int carom_chute_offer(struct carom_request *request);

/** carom_chute_end() - the session's, if it has one */
void carom_chute_end(struct carom_session *session);

/** carom_chute_answer() - Return: did it go, or is it clear that nothing will? */
bool carom_chute_answer(struct carom_session *session, const void *data, size_t size);

/** carom_chute_went() - an answer went through the connection */
void carom_chute_went(struct carom_session *session);

/** carom_chute_empty() - do what has come through it. 0; a negative errno value: it is over */
int carom_chute_empty(struct carom_session *session);

/** carom_chute_came() - a message came through the connection: more may come soon */
void carom_chute_came(struct carom_session *session);

/** carom_chute_resume() - the session is not stalled any more */
void carom_chute_resume(struct carom_session *session);

/**
 * carom_chutes_serve() - whatever comes through those that are warm, for a while
 * Return: are there still some? Then nobody may sleep
 */
bool carom_chutes_serve(struct carom_server *server);

#endif
