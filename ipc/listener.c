/*
 * Listener
 *
 * A socket that listens, never waits (so processes that share it may race for a client), and
 * a lobby for clients that have to show the key. The lobby is made by the process that uses
 * it: a forked child makes one of its own.
 *
 *   I1  The path is this listener's from bind(2) on, by its device and inode; whatever else
 *       stands there later is not removed. It is removed by a finalizer, so once, and by no
 *       child.
 *   I2  A stale socket is told by a refused connect(2), and is removed under a lock on its
 *       directory that is held until the new one is bound. "A refused, B refused, A removes,
 *       A binds, B removes A's" is what the lock excludes: B is refused before A removes, and
 *       binds after A, only without it. Who does not take it removes nothing either, and who
 *       can bind at once does not need it.
 *       bind(2) makes the file a moment before the socket can be found by it: "A makes the
 *       file, B refused, A is bound, B removes A's". Both are done while the kernel has the
 *       directory locked; so B has it locked once, too, and looks again.
 *   I3  A client's error is no error of carom_listener_accept().
 */
#include "ipc/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/finalizer.h"
#include "core/options.h"
#include "core/origin.h"
#include "core/temp_dir.h"
#include "ipc/door.h"
#include "ipc/endpoint.h"
#include "ipc/lobby.h"
#include "ipc/stream.h"
#include "ipc/turn.h"

#define BACKLOG_DEFAULT   128
#define TIMEOUT_DEFAULT   CAROM_SECONDS(5)
#define ATTEMPT_COUNT_MAX 100
#define STEP_COUNT_MAX    64 /* for a caller who does not wait */

/**
 * struct carom_listener - @fd is -1 once it is closed, or if it has a @door
 * @turn:         of who accepts
 * @path:         as it was given; NULL: another family
 * @file:         the last part of it
 * @directory_fd: of the path; -1
 * @device, @inode: of the socket's file
 * @finalizer:    removes the file; 0: there is none
 * @key:          the own copy; NULL: whoever comes is let in
 * @lobby:        of the process @origin; NULL
 * @door:         of threads, instead of a socket that listens; NULL: closed, or another family
 */
struct carom_listener {
	struct carom_turn turn;
	int fd;
	int family;
	char *path;
	const char *file;
	int directory_fd;
	dev_t device;
	ino_t inode;
	uint64_t finalizer;
	uint16_t port;
	char host[INET6_ADDRSTRLEN];
	void *key;
	struct carom_secret secret;
	uint64_t timeout_ns;
	struct carom_connection_options options;
	uint64_t origin;
	struct carom_lobby *lobby;
	struct carom_door *door;
	bool has_accepted;
	struct carom_peer last;
};

/* ---- the file ---- */

/* I1; a finalizer */
static int remove_file(void *data)
{
	const struct carom_listener *listener = data;
	struct stat status;

	if (fstatat(listener->directory_fd, listener->file, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || errno == EBADF ? 0 : -errno;
	if (status.st_dev != listener->device || status.st_ino != listener->inode)
		return 0;
	return unlinkat(listener->directory_fd, listener->file, 0) < 0 && errno != ENOENT ? -errno
											  : 0;
}

static int own_file(struct carom_listener *listener, struct carom_endpoint *endpoint)
{
	struct stat status;
	int r;

	if (endpoint->directory_fd < 0) /* abstract */
		return 0;
	listener->directory_fd = carom_take_fd(endpoint->directory_fd);
	listener->file = endpoint->file;
	if (fstatat(listener->directory_fd, listener->file, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	listener->device = status.st_dev;
	listener->inode = status.st_ino;
	r = carom_finalizer_add(CAROM_FINALIZER_LISTENER, remove_file, listener,
				&listener->finalizer);
	if (r < 0)
		remove_file(listener);
	return r;
}

/* ---- binding ---- */

static int bind_once(int fd, const struct carom_endpoint *endpoint)
{
	return bind(fd, &endpoint->address.any, endpoint->size) < 0 ? -errno : 0;
}

/*
 * Is it nobody's? A datagram cannot be sent to a stream, but connect(2) looks first whether the
 * socket is bound; so who listens there does not see a client that is none.
 */
static bool is_stale(const struct carom_endpoint *endpoint)
{
	CAROM_CLEANUP(carom_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && connect(fd, &endpoint->address.any, endpoint->size) < 0 &&
	       errno == ECONNREFUSED;
}

/* I2: a rename that never takes place, but for which the kernel locks the directory. */
static bool is_stale_still(const struct carom_endpoint *endpoint)
{
	renameat2(endpoint->directory_fd, endpoint->file, endpoint->directory_fd, endpoint->file,
		  RENAME_NOREPLACE);
	return is_stale(endpoint);
}

/* I2. Return: the lock, a descriptor; -EADDRINUSE: somebody else has it, or may not be excluded */
static int lock_directory(const struct carom_endpoint *endpoint)
{
	CAROM_CLEANUP(carom_closep)
	int fd = openat(endpoint->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -EADDRINUSE;
	return carom_take_fd(fd);
}

static int replace(int fd, const struct carom_endpoint *endpoint)
{
	struct stat status;

	if (fstatat(endpoint->directory_fd, endpoint->file, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISSOCK(status.st_mode) || !is_stale(endpoint) || !is_stale_still(endpoint))
		return -EADDRINUSE;
	if (unlinkat(endpoint->directory_fd, endpoint->file, 0) < 0 && errno != ENOENT)
		return -errno;
	return bind_once(fd, endpoint);
}

/* I2 */
static int bind_instead(int fd, const struct carom_endpoint *endpoint)
{
	CAROM_CLEANUP(carom_closep) int lock_fd = lock_directory(endpoint);
	int r = lock_fd < 0 ? lock_fd : bind_once(fd, endpoint); /* it may be gone by now */

	return r == -EADDRINUSE && lock_fd >= 0 ? replace(fd, endpoint) : r;
}

static int prepare_socket(int fd, int family)
{
	int on = 1;

	if (family != AF_UNIX && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	return carom_fd_set_blocking(fd, false);
}

static int bind_at(struct carom_listener *listener, const struct carom_endpoint *endpoint,
		   const struct carom_listener_options *options)
{
	int r;

	listener->fd = carom_endpoint_socket(endpoint);
	if (listener->fd < 0)
		return listener->fd;
	r = prepare_socket(listener->fd, listener->family);
	if (r < 0)
		return r;
	r = bind_once(listener->fd, endpoint);
	if (r == -EADDRINUSE && options->replaces_stale && endpoint->directory_fd >= 0)
		r = bind_instead(listener->fd, endpoint);
	return r;
}

/* Where it is now, as clients have to say it. */
static int learn_address(struct carom_listener *listener)
{
	union carom_address address;
	socklen_t size = sizeof(address);

	if (listener->family == AF_UNIX)
		return 0;
	if (getsockname(listener->fd, &address.any, &size) < 0)
		return -errno;
	return carom_address_spell(&address, &listener->port, listener->host,
				   sizeof(listener->host));
}

static int start(struct carom_listener *listener, const struct carom_listener_options *options)
{
	int backlog = options->backlog ? options->backlog : BACKLOG_DEFAULT;

	return listen(listener->fd, backlog) < 0 ? -errno : learn_address(listener);
}

static int begin_at(struct carom_listener *listener, const char *path,
		    const struct carom_listener_options *options)
{
	struct carom_place place = { path, options->host, options->port, options->family };
	struct carom_endpoint endpoint;
	int r = carom_endpoint_begin(&place, &endpoint);

	if (r < 0)
		return r;
	r = bind_at(listener, &endpoint, options);
	if (r == 0)
		r = own_file(listener, &endpoint); /* first: what fails now leaves nothing */
	carom_endpoint_end(&endpoint);
	return r < 0 ? r : start(listener, options);
}

/* ---- a place ---- */

static int make_path(char **ret_path)
{
	const char *directory;
	uint32_t number;
	int r = carom_temp_dir(&directory);

	if (r < 0)
		return r;
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -EAGAIN;
	return asprintf(ret_path, "%s/listener-%08x", directory, number) < 0 ? -ENOMEM : 0;
}

static int begin_somewhere(struct carom_listener *listener,
			   const struct carom_listener_options *options)
{
	int r = -EADDRINUSE;

	for (int i = 0; r == -EADDRINUSE && i < ATTEMPT_COUNT_MAX; i++) {
		free(carom_take_ptr(listener->path));
		carom_closep(&listener->fd);
		r = make_path(&listener->path);
		if (r == 0)
			r = begin_at(listener, listener->path, options);
	}
	return r;
}

static int begin_for_threads(struct carom_listener *listener,
			     const struct carom_listener_options *options)
{
	if (options->path || options->host || options->port || options->authkey ||
	    options->replaces_stale)
		return -EINVAL;
	listener->family = CAROM_FAMILY_THREADS;
	return carom_door_new(&listener->door);
}

static int begin(struct carom_listener *listener, const struct carom_listener_options *options)
{
	struct carom_place place = { options->path, options->host, options->port, options->family };
	int family = carom_place_family(&place);

	if (family < 0)
		return family;
	listener->family = family;
	if (family != AF_UNIX)
		return begin_at(listener, NULL, options);
	if (!options->path)
		return begin_somewhere(listener, options);
	listener->path = strdup(options->path);
	return listener->path ? begin_at(listener, listener->path, options) : -ENOMEM;
}

/* ---- a key ---- */

static int copy_key(struct carom_listener *listener, const struct carom_listener_options *options)
{
	listener->key = malloc(options->authkey_size);
	if (!listener->key)
		return -ENOMEM;
	memcpy(listener->key, options->authkey, options->authkey_size);
	listener->secret.key = listener->key;
	return 0;
}

static int take_key(struct carom_listener *listener, const struct carom_listener_options *options)
{
	int r;

	if (!options->authkey)
		return 0;
	r = carom_secret_take(&CAROM_AUTH_OPTIONS(.key = options->authkey,
						  .key_size = options->authkey_size,
						  .digest = options->digest,
						  .is_md5_refused = options->is_md5_refused),
			      &listener->secret);
	return r < 0 ? r : copy_key(listener, options);
}

static int make_lobby(struct carom_listener *listener)
{
	int r = carom_lobby_new(&listener->secret, listener->fd, listener->timeout_ns,
				&listener->lobby);

	if (r == 0)
		listener->origin = carom_origin();
	return r;
}

/* ---- beginning and end ---- */

static int check(const struct carom_listener_options *options)
{
	if (options->backlog < 0 || options->reserved || options->framing > CAROM_FRAMING_UNSIGNED)
		return -EINVAL;
	if (!options->authkey && options->authkey_size > 0) /* a key was meant */
		return -EINVAL;
	return 0;
}

static int build(struct carom_listener *listener, const struct carom_listener_options *options)
{
	int r;

	if (options->family == CAROM_FAMILY_THREADS)
		return begin_for_threads(listener, options);
	r = take_key(listener, options);
	if (r == 0)
		r = begin(listener, options);
	return r == 0 && listener->key ? make_lobby(listener) : r;
}

int carom_listener_new(const struct carom_listener_options *options,
		       struct carom_listener **ret_listener)
{
	CAROM_CLEANUP(carom_listener_freep) struct carom_listener *listener = NULL;
	struct carom_listener_options o;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r == 0)
		r = check(&o);
	if (r < 0)
		return r;
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return -ENOMEM;
	listener->fd = -1;
	listener->directory_fd = -1;
	listener->timeout_ns = o.handshake_timeout_ns ? o.handshake_timeout_ns : TIMEOUT_DEFAULT;
	listener->options =
		CAROM_CONNECTION_OPTIONS(.message_max = o.message_max ? o.message_max
								      : CAROM_MESSAGE_MAX_DEFAULT,
					 .framing = o.framing);
	r = build(listener, &o);
	if (r == 0)
		*ret_listener = carom_take_ptr(listener);
	return r;
}

void carom_listener_close(struct carom_listener *listener)
{
	if (listener->finalizer)
		carom_finalizer_call(listener->finalizer);
	listener->finalizer = 0;
	listener->lobby = carom_lobby_free(listener->lobby);
	listener->door = carom_door_free(listener->door);
	carom_closep(&listener->fd);
	carom_closep(&listener->directory_fd);
}

struct carom_listener *carom_listener_free(struct carom_listener *listener)
{
	if (!listener)
		return NULL;
	carom_listener_close(listener);
	if (listener->key)
		explicit_bzero(listener->key, listener->secret.key_size);
	free(listener->key);
	free(listener->path);
	free(listener);
	return NULL;
}

void carom_listener_freep(struct carom_listener **listener)
{
	*listener = carom_listener_free(*listener);
}

/* ---- accepting ---- */

/* I3: of accept(2). Not EPERM: a sandbox's would come again for ever. */
static bool is_clients_error(int r)
{
	return r == -ECONNABORTED || r == -EINTR || r == -EPROTO || r == -ENETDOWN ||
	       r == -ENOPROTOOPT || r == -EHOSTDOWN || r == -ENONET || r == -EHOSTUNREACH ||
	       r == -ENETUNREACH;
}

/* Whoever has connected. 0, -EAGAIN, -EMFILE, ... */
static int open_door(struct carom_listener *listener, struct carom_connection **ret_connection)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;
	int r;

	do {
		fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
		r = fd < 0 ? -errno : 0;
	} while (is_clients_error(r));
	if (r == 0)
		r = carom_connection_new_take(fd, &listener->options, ret_connection);
	if (r == 0)
		fd = -1;
	return r;
}

static int accept_anybody(struct carom_listener *listener, uint64_t deadline_ns,
			  struct carom_connection **ret_connection)
{
	struct carom_stream door = { .fd = listener->fd, .waits = true };
	int r;

	do {
		r = open_door(listener, ret_connection);
		if (r != -EAGAIN)
			return r;
		r = carom_stream_wait(&door, POLLIN, deadline_ns);
	} while (r == 0);
	return r;
}

/* Who has not shown the key goes for who may, where there is no descriptor left for it. */
static int open_door_by_force(struct carom_listener *listener,
			      struct carom_connection **ret_connection)
{
	int r;

	do
		r = open_door(listener, ret_connection);
	while ((r == -EMFILE || r == -ENFILE) && carom_lobby_drop_oldest(listener->lobby));
	return r;
}

/* Return: as carom_lobby_step() */
static int let_into_lobby(struct carom_listener *listener, struct carom_connection **ret_connection)
{
	struct carom_connection *connection = NULL;
	int r = open_door_by_force(listener, &connection);

	if (r < 0)
		return r == -EAGAIN ? 1 : r;
	return carom_lobby_enter_consume(listener->lobby, connection, ret_connection);
}

/* A child's is its own; what it has of its parent's it forgets. */
static int own_lobby(struct carom_listener *listener)
{
	if (listener->lobby && carom_origin_is(listener->origin))
		return 0;
	listener->lobby = carom_lobby_free(listener->lobby);
	return make_lobby(listener);
}

/* Until there is something to do in the lobby: 0, -EAGAIN, -ETIMEDOUT */
static int wait_in_lobby(struct carom_listener *listener, uint64_t deadline_ns)
{
	struct carom_stream lobby = { .fd = carom_lobby_fd(listener->lobby), .waits = true };

	return carom_stream_wait(&lobby, POLLIN, deadline_ns);
}

static bool is_over(uint64_t deadline_ns, uint32_t step_count)
{
	if (deadline_ns == CAROM_NO_DEADLINE || step_count < STEP_COUNT_MAX)
		return false;
	return deadline_ns == CAROM_PASSED || carom_now() >= deadline_ns;
}

/* One thing that can be done now, or a wait for it. Return: 0: somebody has the key; 1; ... */
static int do_something(struct carom_listener *listener, uint64_t deadline_ns,
			struct carom_connection **ret_connection)
{
	int r;

	carom_lobby_expire(listener->lobby);
	r = carom_lobby_step(listener->lobby, ret_connection);
	if (r == 2)
		return let_into_lobby(listener, ret_connection);
	if (r != -EAGAIN)
		return r;
	r = wait_in_lobby(listener, deadline_ns);
	return r < 0 ? r : 1;
}

static int accept_who_has_the_key(struct carom_listener *listener, uint64_t deadline_ns,
				  struct carom_connection **ret_connection)
{
	int r = own_lobby(listener);

	if (r < 0)
		return r;
	for (uint32_t i = 0; !is_over(deadline_ns, i); i++) {
		r = do_something(listener, deadline_ns, ret_connection);
		if (r <= 0)
			return r;
	}
	return deadline_ns == CAROM_PASSED ? -EAGAIN : -ETIMEDOUT;
}

static void remember(struct carom_listener *listener, const struct carom_connection *connection)
{
	struct carom_peer gone = { .family = listener->family, .uid = (uid_t)-1, .gid = (gid_t)-1 };

	if (carom_connection_peer(connection, &listener->last) < 0)
		listener->last = gone;
	listener->has_accepted = true;
}

static int accept_one(struct carom_listener *listener, uint64_t deadline_ns,
		      struct carom_connection **ret_connection)
{
	if (listener->door)
		return carom_door_open(listener->door, &listener->options, deadline_ns,
				       ret_connection);
	return listener->key ? accept_who_has_the_key(listener, deadline_ns, ret_connection)
			     : accept_anybody(listener, deadline_ns, ret_connection);
}

static bool is_closed(const struct carom_listener *listener)
{
	return listener->fd < 0 && !listener->door;
}

int carom_listener_accept(struct carom_listener *listener, uint64_t deadline_ns,
			  struct carom_connection **ret_connection)
{
	int r;

	if (is_closed(listener))
		return -EBADF;
	r = carom_turn_take(&listener->turn, deadline_ns);
	if (r < 0)
		return r;
	r = accept_one(listener, deadline_ns, ret_connection);
	if (r == 0)
		remember(listener, *ret_connection);
	carom_turn_give(&listener->turn);
	return r;
}

/* ---- what it is ---- */

int carom_listener_fd(const struct carom_listener *listener)
{
	if (is_closed(listener))
		return -EBADF;
	if (listener->door)
		return carom_door_fd(listener->door);
	return listener->lobby ? carom_lobby_fd(listener->lobby) : listener->fd;
}

int carom_listener_family(const struct carom_listener *listener)
{
	return listener->family;
}

const char *carom_listener_path(const struct carom_listener *listener)
{
	return listener->path;
}

const char *carom_listener_host(const struct carom_listener *listener)
{
	return listener->host[0] ? listener->host : NULL;
}

uint16_t carom_listener_port(const struct carom_listener *listener)
{
	return listener->port;
}

int carom_listener_last_accepted(const struct carom_listener *listener, struct carom_peer *ret_peer)
{
	if (!listener->has_accepted)
		return -ENOENT;
	*ret_peer = listener->last;
	return 0;
}

int carom_listener_door(const struct carom_listener *listener, struct carom_door **ret_door)
{
	if (listener->family != CAROM_FAMILY_THREADS)
		return -EINVAL;
	*ret_door = listener->door;
	return 0;
}

uint64_t carom_listener_refused(const struct carom_listener *listener)
{
	return listener->lobby ? carom_lobby_refused(listener->lobby) : 0;
}
