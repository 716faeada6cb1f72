/*
 * Session: a client's connection
 *
 * It never waits. What a client does not take stays in memory of the session, and the session
 * reads nothing more until it has: so that is an answer, and those of the calls that were under
 * way.
 *
 *   I1  What it has of objects is given back when it ends, however that comes: a proper end, the
 *       client's death, or nonsense from there.
 *   I2  Whoever finds that it is over marks it, and it is ended where nobody stands in it.
 *   I3  An answer is sent whole, and in the order in which answers were made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "ipc/object_private.h"
#include "ipc/server_private.h"
#include "ipc/silence.h"

#define BUFFER_SIZE ((size_t)CAROM_KIB(64))
#define LENT_COUNT  64 /* a power of two */

/** struct carom_parcel_out - an answer of which nothing is sent yet */
struct carom_parcel_out {
	struct carom_parcel_out *next;
	size_t size;
	unsigned char data[];
};

/* ---- references ---- */

static struct carom_id_map *references_of(struct carom_session *session)
{
	return session->is_python ? &session->server->python_references : &session->references;
}

bool carom_session_has(struct carom_session *session, uint64_t id)
{
	return carom_id_map_find(references_of(session), id) != NULL;
}

int carom_session_take(struct carom_session *session, struct carom_referent *referent)
{
	struct carom_id_map *references = references_of(session);
	uint64_t *count = carom_id_map_find(references, referent->id);
	int r = count ? 0 : carom_id_map_add(references, referent->id, 1);

	if (count)
		++*count;
	if (r == 0)
		carom_referent_ref(referent);
	return r;
}

int carom_session_give_back(struct carom_session *session, uint64_t id)
{
	struct carom_id_map *references = references_of(session);
	uint64_t *count = carom_id_map_find(references, id);

	if (!count)
		return -ESTALE;
	if (--*count == 0)
		carom_id_map_remove(references, id);
	carom_referent_unref(session->server, carom_referent_find(session->server, id));
	return 0;
}

int carom_session_claim(struct carom_session *session, struct carom_referent *referent)
{
	for (size_t i = 0; session->lent && i < LENT_COUNT; i++)
		if (session->lent[i] == referent->id) {
			session->lent[i] = 0;
			return 0;
		}
	return carom_session_take(session, referent);
}

static void lend_one(struct carom_session *session, uint64_t id)
{
	struct carom_referent *referent = carom_referent_find(session->server, id);
	uint64_t *place = &session->lent[session->lent_next++ % LENT_COUNT];

	if (referent && carom_session_take(session, referent) < 0)
		referent = NULL;
	if (*place)
		carom_session_give_back(session, *place);
	*place = referent ? id : 0;
}

void carom_session_lend(struct carom_session *session, const struct carom_object *value)
{
	if (!value->has_proxy || session->is_python)
		return;
	if (!session->lent)
		session->lent = calloc(LENT_COUNT, sizeof(*session->lent));
	if (!session->lent)
		return;
	if (value->kind == CAROM_OBJECT_PROXY)
		lend_one(session, value->proxy.id);
	else
		for (size_t i = 0; i < value->items.count; i++)
			carom_session_lend(session, value->items.data[i]);
}

static void give_all_back(struct carom_session *session)
{
	const struct carom_id_map *references = &session->references;

	for (size_t i = 0; i < references->room; i++) {
		const struct carom_id_slot *slot = &references->slots[i];

		for (uint64_t n = slot->id ? slot->value : 0; n > 0; n--)
			carom_referent_unref(session->server,
					     carom_referent_find(session->server, slot->id));
	}
	carom_id_map_free(&session->references);
}

/* Every object whose type wants to know that a client has gone. */
static void tell_objects(struct carom_session *session)
{
	struct carom_referent *referent;

	for (referent = session->server->first_referent; referent; referent = referent->next)
		if (referent->kind->type->left)
			referent->kind->type->left(referent->object, session->id);
}

/* ---- sending ---- */

void carom_session_stall(struct carom_session *session)
{
	struct carom_server *server = session->server;
	struct epoll_event event = { .events = EPOLLOUT, .data.ptr = session };

	if (session->is_stalled)
		return;
	session->is_stalled = true;
	carom_loop_unwatch_fd(server->loop, &session->watch);
	if (epoll_ctl(server->outlet_fd, EPOLL_CTL_ADD, session->watch.fd, &event) < 0)
		session->is_ended = true;
}

static void keep_for_later(struct carom_session *session, const void *data, size_t size)
{
	struct carom_parcel_out *parcel = malloc(sizeof(*parcel) + size);

	if (!parcel) { /* I3: what would follow would be another's answer */
		session->is_ended = true;
		return;
	}
	parcel->next = NULL;
	parcel->size = size;
	memcpy(parcel->data, data, size);
	*session->out_end = parcel;
	session->out_end = &parcel->next;
}

/* Return: 0, -EINPROGRESS: it is the connection's; -EAGAIN: it is not sent; the end: I2 */
static int send_now(struct carom_session *session, const void *data, size_t size)
{
	int r = carom_connection_send_bytes(session->connection, data, size, CAROM_PASSED);

	if (r == 0 || r == -EINPROGRESS)
		carom_chute_went(session);
	else if (r != -EAGAIN)
		session->is_ended = true;
	return r;
}

static void send_or_keep(struct carom_session *session, const void *data, size_t size)
{
	int r = session->is_stalled ? -EAGAIN : send_now(session, data, size);

	if (r == -EAGAIN)
		keep_for_later(session, data, size);
	if (r == -EAGAIN || r == -EINPROGRESS)
		carom_session_stall(session);
}

void carom_session_send(struct carom_session *session, const void *data, size_t size)
{
	if (!session->is_ended && !carom_chute_answer(session, data, size))
		send_or_keep(session, data, size);
}

void carom_session_nudge(struct carom_session *session)
{
	send_or_keep(session, "", 0);
}

static void drop_first(struct carom_session *session)
{
	struct carom_parcel_out *parcel = session->out;

	session->out = parcel->next;
	if (!session->out)
		session->out_end = &session->out;
	free(parcel);
}

static int send_what_was_kept(struct carom_session *session)
{
	int r = carom_connection_flush(session->connection, CAROM_PASSED);

	while (r == 0 && session->out) {
		r = send_now(session, session->out->data, session->out->size);
		if (r == 0 || r == -EINPROGRESS)
			drop_first(session);
	}
	return r == -EINPROGRESS ? -EAGAIN : r;
}

void carom_session_unstall(struct carom_session *session)
{
	struct carom_server *server = session->server;
	int r = send_what_was_kept(session);

	if (r == -EAGAIN)
		return;
	epoll_ctl(server->outlet_fd, EPOLL_CTL_DEL, session->watch.fd, NULL);
	session->is_stalled = false;
	if (r == 0)
		r = carom_loop_watch_fd(server->loop, &session->watch);
	if (r < 0)
		carom_session_end(session);
	else
		carom_chute_resume(session);
}

/* ---- receiving ---- */

/* What came before it through the chute is done first; and that may be all that it says. */
static int take(struct carom_session *session, const void *data, size_t size)
{
	int r = carom_chute_empty(session);

	if (r == 0 && (size > 0 || !session->chute))
		r = carom_dispatch(session, data, size);
	if (r == 0)
		carom_chute_came(session);
	return r;
}

/* Return: what came of it; -EAGAIN: not all of one is there */
static int receive(struct carom_session *session)
{
	struct carom_server *server = session->server;
	void *data = NULL;
	size_t size;
	int r = carom_connection_recv_bytes_into(session->connection, server->buffer, BUFFER_SIZE,
						 CAROM_PASSED, &size);

	if (r == 0)
		return take(session, server->buffer, size);
	if (r == -EMSGSIZE)
		r = carom_connection_recv_bytes(session->connection, 0, CAROM_PASSED, &data, &size);
	if (r == 0)
		r = take(session, data, size);
	else if (r != -EAGAIN)
		carom_chute_empty(session);
	free(data);
	return r;
}

static void on_ready(struct carom_loop_fd *watch)
{
	struct carom_session *session = watch->userdata;
	struct carom_server *server = session->server;
	int r = receive(session);

	if ((r < 0 && r != -EAGAIN) || session->is_ended)
		carom_session_end(session);
	carom_referents_bury(server);
}

/* ---- beginning and end ---- */

static void link_it(struct carom_session *session)
{
	struct carom_server *server = session->server;

	session->next = server->sessions;
	if (session->next)
		session->next->previous = session;
	server->sessions = session;
	server->session_count++;
}

static void unlink_it(struct carom_session *session)
{
	struct carom_server *server = session->server;

	if (session->previous)
		session->previous->next = session->next;
	else
		server->sessions = session->next;
	if (session->next)
		session->next->previous = session->previous;
	server->session_count--;
}

static int prepare(struct carom_session *session)
{
	int r = carom_connection_set_blocking(session->connection, false);

	session->watch.fd = carom_connection_fd(session->connection);
	if (r == 0)
		r = carom_silence_limit(session->watch.fd, session->server->silence_ns);
	session->watch.ready = on_ready;
	session->watch.userdata = session;
	return r < 0 ? r : carom_loop_watch_fd(session->server->loop, &session->watch);
}

void carom_session_new_consume(struct carom_server *server, struct carom_connection *connection)
{
	struct carom_session *session = calloc(1, sizeof(*session));

	if (!session) {
		carom_connection_free(connection);
		return;
	}
	session->server = server;
	session->connection = connection;
	session->id = ++server->next_session;
	session->out_end = &session->out;
	if (prepare(session) < 0) {
		carom_connection_free(connection);
		free(session);
		return;
	}
	link_it(session);
}

/* I1; in no method */
void carom_session_end(struct carom_session *session)
{
	session->is_ended = true;
	while (session->requests)
		carom_request_cancel(session->requests, -EPIPE);
	tell_objects(session);
	give_all_back(session);
	unlink_it(session);
	if (session->is_stalled)
		epoll_ctl(session->server->outlet_fd, EPOLL_CTL_DEL, session->watch.fd, NULL);
	else
		carom_loop_unwatch_fd(session->server->loop, &session->watch);
	while (session->out)
		drop_first(session);
	carom_chute_end(session);
	carom_connection_free(session->connection);
	free(session->lent);
	free(session);
}
