/*
 * Server
 *
 * One loop: the door of the listener, which lets in who has shown the key, the sessions, the
 * deadlines of requests, and the outlet, an epoll of the sessions whose clients do not take what
 * they have asked for.
 *
 *   I1  Nothing here waits but the loop, and whatever comes of one client ends at most that one.
 *   I2  While clients on this machine call without a pause, the loop is only looked at now and
 *       then: see ipc/server_chute.c.
 *   I3  The end is asked for by a flag and a ring of the loop's bell, from anywhere. What was
 *       answered by then is sent, as far as it goes without waiting.
 */
#include "ipc/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

#include "core/fd.h"
#include "core/options.h"
#include "core/origin.h"
#include "core/self.h"
#include "ipc/annex_cbor.h"
#include "ipc/estate.h"
#include "ipc/object_private.h"
#include "ipc/server_private.h"

#define BUFFER_SIZE       ((size_t)CAROM_KIB(64))
#define DEPTH_DEFAULT     32
#define ACCEPT_MAX        64 /* at a time, so that clients who are in are served as well */
#define DOOR_CLOSED_FOR   CAROM_MILLISECONDS(50)
#define UNSTALL_MAX       64
#define FIRST_ID_BITS_OFF 24 /* of a number that counts up, and fits an int64_t */

/* ---- who comes in ---- */

static void open_door(struct carom_loop_timer *timer)
{
	struct carom_server *server = timer->userdata;

	carom_loop_watch_fd(server->loop, &server->door);
}

/* No descriptor is left: look again in a while, and not all the time. */
static void close_door(struct carom_server *server)
{
	carom_loop_unwatch_fd(server->loop, &server->door);
	if (carom_loop_timer_set(server->loop, &server->door_timer,
				 carom_deadline_after(DOOR_CLOSED_FOR)) < 0)
		open_door(&server->door_timer);
}

static void on_door(struct carom_loop_fd *watch)
{
	struct carom_server *server = watch->userdata;
	struct carom_connection *connection;
	int r = 0;

	for (int i = 0; i < ACCEPT_MAX && r == 0; i++) {
		r = carom_listener_accept(server->listener, CAROM_PASSED, &connection);
		if (r == 0)
			carom_session_new_consume(server, connection);
	}
	if (r < 0 && r != -EAGAIN)
		close_door(server);
}

static void on_outlet(struct carom_loop_fd *watch)
{
	struct carom_server *server = watch->userdata;
	struct epoll_event events[UNSTALL_MAX];
	int count = epoll_wait(server->outlet_fd, events, UNSTALL_MAX, 0);

	for (int i = 0; i < count; i++)
		carom_session_unstall(events[i].data.ptr);
	carom_referents_bury(server);
}

/* Sessions that were found to be over where they could not be ended. */
static void on_bell(void *userdata)
{
	struct carom_server *server = userdata;
	struct carom_session *session, *next;

	for (session = server->sessions; session; session = next) {
		next = session->next;
		if (session->is_ended)
			carom_session_end(session);
	}
	carom_referents_bury(server);
}

/* ---- beginning and end ---- */

static int listen_there(struct carom_server *server, const struct carom_server_options *options)
{
	struct carom_self self;
	int r;

	carom_self_copy(&self);
	r = carom_listener_new(
		&CAROM_LISTENER_OPTIONS(.path = options->path, .host = options->host,
					.authkey = options->authkey ? options->authkey
								    : self.authkey.bytes,
					.authkey_size = options->authkey ? options->authkey_size
									 : self.authkey.size,
					.message_max = server->message_max,
					.handshake_timeout_ns = options->handshake_timeout_ns,
					.family = options->family, .backlog = options->backlog,
					.port = options->port,
					.replaces_stale = options->replaces_stale),
		&server->listener);
	explicit_bzero(&self, sizeof(self));
	return r;
}

static int watch_door(struct carom_server *server)
{
	int r;

	server->outlet_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->outlet_fd < 0)
		return -errno;
	server->outlet = (struct carom_loop_fd){ .fd = server->outlet_fd,
						 .ready = on_outlet,
						 .userdata = server };
	server->door = (struct carom_loop_fd){ .fd = carom_listener_fd(server->listener),
					       .ready = on_door,
					       .userdata = server };
	server->door_timer.expired = open_door;
	server->door_timer.userdata = server;
	r = carom_loop_watch_fd(server->loop, &server->outlet);
	return r < 0 ? r : carom_loop_watch_fd(server->loop, &server->door);
}

static int make_memory(struct carom_server *server)
{
	int r;

	server->buffer = malloc(BUFFER_SIZE);
	if (!server->buffer)
		return -ENOMEM;
	r = carom_document_make(CAROM_OBJECT_MEMORY_MAX, &server->document);
	return r < 0 ? r : carom_document_make(CAROM_OBJECT_MEMORY_MAX, &server->scratch);
}

static int build(struct carom_server *server, const struct carom_server_options *options)
{
	int r = make_memory(server);

	if (r == 0 &&
	    getrandom(&server->next_id, sizeof(server->next_id), 0) != sizeof(server->next_id))
		r = -EAGAIN;
	server->next_id = (server->next_id >> FIRST_ID_BITS_OFF << 8) + 1;
	if (r == 0)
		r = carom_types_register(server);
	if (r == 0)
		r = carom_loop_new(CAROM_LOOP_AUTO, on_bell, server, &server->loop);
	if (r == 0)
		r = listen_there(server, options);
	return r < 0 ? r : watch_door(server);
}

static int check(const struct carom_server_options *options)
{
	if (options->depth_max > CAROM_SERVER_DEPTH_MAX || options->reserved)
		return -EINVAL;
	return !options->authkey && options->authkey_size > 0 ? -EINVAL : 0;
}

int carom_server_new(const struct carom_server_options *options, struct carom_server **ret_server)
{
	CAROM_CLEANUP(carom_server_freep) struct carom_server *server = NULL;
	struct carom_server_options o;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r == 0)
		r = check(&o);
	if (r == 0 && !carom_libcbor())
		r = carom_annex_error();
	if (r < 0)
		return r;
	server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	server->origin = carom_origin();
	server->outlet_fd = -1;
	server->message_max = o.message_max ? o.message_max : CAROM_MESSAGE_MAX_DEFAULT;
	server->silence_ns = o.silence_ns;
	server->depth_max = o.depth_max ? o.depth_max : DEPTH_DEFAULT;
	r = build(server, &o);
	if (r == 0)
		*ret_server = carom_take_ptr(server);
	return r;
}

/* ---- guests ---- */

void carom_server_welcome(struct carom_server *server, struct carom_guest *guest)
{
	guest->next = server->guests;
	if (guest->next)
		guest->next->previous = guest;
	server->guests = guest;
}

void carom_server_part(struct carom_server *server, struct carom_guest *guest)
{
	*(guest->previous ? &guest->previous->next : &server->guests) = guest->next;
	if (guest->next)
		guest->next->previous = guest->previous;
}

/* ---- the end ---- */

static void end_clients(struct carom_server *server)
{
	bool is_ours = carom_origin_is(server->origin); /* else nothing is said to anybody */
	struct carom_session *session, *next;

	/* of all, first: what ends for one may be the answer of another */
	for (session = server->sessions; session; session = session->next)
		session->is_ended |= !is_ours;
	for (session = server->sessions; session; session = session->next)
		while (session->requests)
			carom_request_cancel(session->requests, -ECANCELED);
	for (session = server->sessions; session; session = next) {
		next = session->next;
		carom_session_end(session);
	}
	carom_referents_free(server);
}

static void close_all(struct carom_server *server)
{
	if (server->loop && server->outlet_fd >= 0) {
		carom_loop_timer_clear(server->loop, &server->door_timer);
		carom_loop_unwatch_fd(server->loop, &server->door);
		carom_loop_unwatch_fd(server->loop, &server->outlet);
	}
	server->listener = carom_listener_free(server->listener);
	carom_closep(&server->outlet_fd);
	server->loop = carom_loop_free(server->loop);
}

struct carom_server *carom_server_free(struct carom_server *server)
{
	if (!server)
		return NULL;
	end_clients(server);
	while (server->guests)
		server->guests->leave(server->guests);
	close_all(server);
	carom_id_map_free(&server->python_references);
	carom_kinds_free(server);
	carom_estate_end(server);
	carom_document_free(server->document);
	carom_document_free(server->scratch);
	carom_cbor_free(&server->spare);
	free(server->buffer);
	free(server);
	return NULL;
}

void carom_server_freep(struct carom_server **server)
{
	*server = carom_server_free(*server);
}

/* ---- serving ---- */

bool carom_server_is_stopped(const struct carom_server *server)
{
	/* acquire: nothing stands behind it but the flag; orders the bell before it */
	return atomic_load_explicit(&server->is_stopped, memory_order_acquire);
}

int carom_server_serve(struct carom_server *server, uint64_t deadline_ns)
{
	int r = 0;

	if (!carom_origin_is(server->origin))
		return -ECHILD;
	while (!carom_server_is_stopped(server)) {
		bool is_busy = carom_chutes_serve(server);

		r = carom_loop_run_once(server->loop, is_busy ? CAROM_PASSED : deadline_ns);
		if (r < 0 && r != -ENOMEM)
			return r;
		if (r == 0 && deadline_ns == CAROM_PASSED)
			return -EAGAIN;
		if (r == 0 && carom_now() >= deadline_ns)
			return -ETIMEDOUT;
	}
	return 0;
}

void carom_server_stop(struct carom_server *server)
{
	atomic_store_explicit(&server->is_stopped, true, memory_order_release);
	carom_loop_ring(server->loop);
}

/* ---- what it is ---- */

const char *carom_server_path(const struct carom_server *server)
{
	return carom_listener_path(server->listener);
}

const char *carom_server_host(const struct carom_server *server)
{
	return carom_listener_host(server->listener);
}

uint16_t carom_server_port(const struct carom_server *server)
{
	return carom_listener_port(server->listener);
}

size_t carom_server_object_count(const struct carom_server *server)
{
	return server->referents.count;
}

size_t carom_server_client_count(const struct carom_server *server)
{
	return server->session_count;
}
