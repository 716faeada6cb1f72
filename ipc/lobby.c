/*
 * Lobby
 *
 * A guest is a connection and how far its handshake has come. Guests stand in a list by the
 * time they came, which is the order of their deadlines, since all have the same time.
 *
 *   I1  There are at most CAROM_LOBBY_MAX guests, who have at most half of the descriptors
 *       that this process may open, and each is less than 4 KiB. One who has the key is
 *       through within a few round trips; so of too many the oldest is dropped, and who
 *       floods the door drops those that came before, and after a moment its own.
 *   I2  Only deadlines, the end of a connection and a wrong step drop a guest. None of them
 *       is an error of the listener's.
 *   I3  What a guest sends beyond its handshake stays in its socket: a step reads one
 *       message and no more.
 *   I4  While there is a guest a timer runs that goes off by the oldest's deadline, and is
 *       watched as the sockets are. It may go off for one that has left, and is set anew then.
 */
#include "ipc/lobby.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/timespec.h"
#include "ipc/handshake.h"

/** struct guest - in the list, and in the epoll as its data */
struct guest {
	struct guest *next;
	struct guest **link;
	uint64_t deadline_ns;
	struct carom_connection *connection;
	struct carom_handshake handshake;
};

_Static_assert(sizeof(struct guest) <= 3072, "with its connection, less than 4 KiB");

/**
 * struct carom_lobby - the list begins with the oldest
 * @end: where the next one is linked
 */
struct carom_lobby {
	const struct carom_secret *secret;
	uint64_t timeout_ns;
	int epoll_fd;
	int timer_fd;
	uint32_t count;
	_Atomic uint64_t refused;
	struct guest *first;
	struct guest **end;
};

/* @data: a guest; the lobby itself: its timer; NULL: the door */
static int watch(struct carom_lobby *lobby, int fd, void *data)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = data };

	return epoll_ctl(lobby->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int prepare(struct carom_lobby *lobby, int door_fd)
{
	int r;

	lobby->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (lobby->epoll_fd < 0)
		return -errno;
	lobby->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (lobby->timer_fd < 0)
		return -errno;
	r = watch(lobby, lobby->timer_fd, lobby);
	return r < 0 ? r : watch(lobby, door_fd, NULL);
}

int carom_lobby_new(const struct carom_secret *secret, int door_fd, uint64_t timeout_ns,
		    struct carom_lobby **ret_lobby)
{
	struct carom_lobby *lobby = calloc(1, sizeof(*lobby));
	int r;

	if (!lobby)
		return -ENOMEM;
	lobby->secret = secret;
	lobby->timeout_ns = timeout_ns;
	lobby->end = &lobby->first;
	lobby->epoll_fd = -1;
	lobby->timer_fd = -1;
	r = prepare(lobby, door_fd);
	if (r < 0)
		carom_lobby_free(lobby);
	else
		*ret_lobby = lobby;
	return r;
}

int carom_lobby_fd(const struct carom_lobby *lobby)
{
	return lobby->epoll_fd;
}

/* ---- coming and going ---- */

static void link_last(struct carom_lobby *lobby, struct guest *guest)
{
	guest->next = NULL;
	guest->link = lobby->end;
	*lobby->end = guest;
	lobby->end = &guest->next;
	lobby->count++;
}

static void unlink_guest(struct carom_lobby *lobby, struct guest *guest)
{
	*guest->link = guest->next;
	if (guest->next)
		guest->next->link = guest->link;
	else
		lobby->end = guest->link;
	lobby->count--;
}

/* Its connection, which nobody watches any more. */
static struct carom_connection *leave(struct carom_lobby *lobby, struct guest *guest)
{
	struct carom_connection *connection = guest->connection;

	epoll_ctl(lobby->epoll_fd, EPOLL_CTL_DEL, carom_connection_fd(connection), NULL);
	unlink_guest(lobby, guest);
	free(guest);
	return connection;
}

static void drop(struct carom_lobby *lobby, struct guest *guest)
{
	carom_connection_free(leave(lobby, guest));
	/* relaxed: a number, and nothing that belongs to it */
	atomic_fetch_add_explicit(&lobby->refused, 1, memory_order_relaxed);
}

/* No EPOLL_CTL_DEL: a child has the parent's epoll, and the parent's guests stand in it. */
struct carom_lobby *carom_lobby_free(struct carom_lobby *lobby)
{
	struct guest *guest, *next;

	for (guest = lobby ? lobby->first : NULL; guest; guest = next) {
		next = guest->next;
		carom_connection_free(guest->connection);
		free(guest);
	}
	if (lobby) {
		carom_closep(&lobby->epoll_fd);
		carom_closep(&lobby->timer_fd);
	}
	free(lobby);
	return NULL;
}

/* ---- time ---- */

/* I4. Nobody: it stops. It has not gone off any more. */
static void set_timer(struct carom_lobby *lobby)
{
	uint64_t ns = lobby->first ? lobby->first->deadline_ns : 0;
	struct itimerspec at = { .it_value = carom_timespec(ns) };

	timerfd_settime(lobby->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

void carom_lobby_expire(struct carom_lobby *lobby)
{
	uint64_t now = lobby->first ? carom_now() : 0;

	while (lobby->first && lobby->first->deadline_ns <= now)
		drop(lobby, lobby->first);
}

/* ---- steps ---- */

/* Return: 0: it has shown the key; 1 */
static int serve(struct carom_lobby *lobby, struct guest *guest,
		 struct carom_connection **ret_connection)
{
	int r = carom_handshake_go(&guest->handshake, guest->connection, CAROM_PASSED);

	if (r == -EAGAIN)
		return 1;
	if (r < 0) {
		drop(lobby, guest);
		return 1;
	}
	*ret_connection = leave(lobby, guest);
	return 0;
}

/* I1. The limit may change at any time. */
static uint32_t guest_max(void)
{
	uint64_t half = carom_fd_limit(false) / 2;

	return half < CAROM_LOBBY_MAX ? (uint32_t)half : CAROM_LOBBY_MAX;
}

bool carom_lobby_drop_oldest(struct carom_lobby *lobby)
{
	if (!lobby->first)
		return false;
	drop(lobby, lobby->first);
	return true;
}

int carom_lobby_enter_consume(struct carom_lobby *lobby, struct carom_connection *connection,
			      struct carom_connection **ret_connection)
{
	struct guest *guest = malloc(sizeof(*guest));
	uint32_t max = guest_max();
	int r;

	if (!guest) {
		carom_connection_free(connection);
		return -ENOMEM;
	}
	while (lobby->count >= max && carom_lobby_drop_oldest(lobby))
		;
	guest->connection = connection;
	guest->deadline_ns = carom_deadline_after(lobby->timeout_ns);
	carom_handshake_begin(&guest->handshake, CAROM_HANDSHAKE_LISTENER, lobby->secret);
	r = watch(lobby, carom_connection_fd(connection), guest);
	if (r < 0) {
		carom_connection_free(connection);
		free(guest);
		return r;
	}
	link_last(lobby, guest);
	if (lobby->first == guest)
		set_timer(lobby);
	return serve(lobby, guest, ret_connection); /* nothing comes before the challenge went */
}

int carom_lobby_step(struct carom_lobby *lobby, struct carom_connection **ret_connection)
{
	struct epoll_event event;
	int n;

	do
		n = epoll_wait(lobby->epoll_fd, &event, 1, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -EAGAIN;
	if (event.data.ptr == lobby) {
		set_timer(lobby);
		return 1;
	}
	return event.data.ptr ? serve(lobby, event.data.ptr, ret_connection) : 2;
}

uint64_t carom_lobby_refused(const struct carom_lobby *lobby)
{
	/* relaxed: see drop() */
	return atomic_load_explicit(&lobby->refused, memory_order_relaxed);
}
