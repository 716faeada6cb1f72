/**
 * DOC: listener
 *
 * Where other processes connect to: clients of this library, of Python's
 * `multiprocessing.connection` or of billiard's.
 *
 *	CAROM_CLEANUP(carom_listener_freep) struct carom_listener *listener = NULL;
 *
 *	r = carom_listener_new(&CAROM_LISTENER_OPTIONS(.path = "/run/jobs", .authkey = key,
 *						       .authkey_size = key_size), &listener);
 *	while ((r = carom_listener_accept(listener, CAROM_NO_DEADLINE, &connection)) == 0)
 *		serve(connection);
 *
 * With a key only who has it is let in. Clients show it all at the same time: one that is
 * silent, slow or hostile holds up nobody, is given a few seconds and less than 4 KiB, and is
 * dropped; there are at most 1024 of them, or half as many as descriptors are allowed here, and
 * the oldest goes for one more, or where there is no descriptor left. No client makes
 * carom_listener_accept() fail.
 *
 * A child by fork() may go on accepting; whoever was about to show the key stays its parent's.
 *
 * Of CAROM_FAMILY_THREADS it is reached by its handle alone, by threads of this program and
 * children by fork(), for connections as carom_pipe_new() makes them.
 */
#ifndef CAROM_IPC_LISTENER_H
#define CAROM_IPC_LISTENER_H

#include "auth.h"
#include "client.h"
#include "connection.h"
#include "peer.h"

CAROM_BEGIN_DECLS

struct carom_listener;

/**
 * struct carom_listener_options - what carom_listener_new() makes
 * @size_bytes:     size of this struct; CAROM_LISTENER_OPTIONS() fills it in
 * @path, @host:    as in struct carom_client_options. Neither, nor a @port, and no @family or
 *                  AF_UNIX: a new path in the directory for temporary files; another @family:
 *                  the loopback
 * @authkey, @authkey_size, @digest, @is_md5_refused, @framing, @message_max: as in
 *                  struct carom_client_options; the key is copied
 * @handshake_timeout_ns: how long a client has to show the key; 0 means 5 s
 * @family:         as in struct carom_client_options; CAROM_FAMILY_THREADS: there is no place,
 *                  and no @authkey
 * @backlog:        how many clients may wait to be accepted; 0 means 128. Of
 *                  CAROM_FAMILY_THREADS: some hundred, whatever is said
 * @port:           of @host; 0: one that is free
 * @replaces_stale: a socket at @path to which nobody listens any more is removed
 */
struct carom_listener_options {
	size_t size_bytes;
	const char *path;
	const char *host;
	const void *authkey;
	size_t authkey_size;
	uint64_t message_max;
	uint64_t handshake_timeout_ns;
	int family;
	int backlog;
	enum carom_digest digest;
	enum carom_framing framing;
	uint16_t port;
	bool is_md5_refused;
	bool replaces_stale;
	uint32_t reserved; /* 0 */
};
#define CAROM_LISTENER_OPTIONS(...) CAROM_OPTIONS(carom_listener_options, __VA_ARGS__)

/**
 * carom_listener_new() - listen
 * @options:      read during the call only; NULL for all defaults
 * @ret_listener: the caller owns it and ends it with carom_listener_free()
 *
 * Context: MT-Safe, AS-Unsafe heap. Usable in a forked child. Looking up a host's name blocks.
 * Return: 0, or, with *@ret_listener untouched and nothing left open or behind,
 *	-EINVAL         two places; one, or an @authkey, of CAROM_FAMILY_THREADS; one of no length, or a length of none; a @backlog
 *	                below 0; an unknown digest or framing
 *	-EAFNOSUPPORT   another @family
 *	-EADDRINUSE     somebody listens there; or, without @replaces_stale, there is something
 *	                at @path
 *	-ENAMETOOLONG   an abstract name above 107 bytes, or a file name above about 90
 *	-EADDRNOTAVAIL  no such host, or not here
 *	-ENOENT, -ENOTDIR, -EACCES, -EROFS, ...  see bind(2)
 *	-EOPNOTSUPP     there is a key, and nettle cannot be loaded here
 *	-E2BIG          @options sets a field newer than this library
 *	-EMFILE, -ENFILE, -ENOMEM, -ENOSPC
 */
CAROM_API int carom_listener_new(const struct carom_listener_options *options,
				 struct carom_listener **ret_listener);

/**
 * carom_listener_free() - close it, and free the handle
 * @listener: NULL is allowed
 *
 * Context: MT-Safe, AS-Unsafe heap. No thread may use @listener any more.
 * Return: NULL.
 */
CAROM_API struct carom_listener *carom_listener_free(struct carom_listener *listener);
CAROM_API void carom_listener_freep(struct carom_listener **listener);

/**
 * carom_listener_close() - close it, and keep the handle
 *
 * The path is removed, once, by the process that made it, unless something else stands there
 * by now; at the latest at that process's exit. Whoever was connecting is refused. Closing
 * twice is allowed.
 *
 * Context: AS-Unsafe heap. No other thread may be in a call with @listener.
 */
CAROM_API void carom_listener_close(struct carom_listener *listener);

/**
 * carom_listener_accept() - the next client, which has shown the key if there is one
 * @ret_connection: the caller owns it and ends it with carom_connection_free()
 *
 * Of threads that accept one does at a time.
 *
 * Context: MT-Safe, AS-Unsafe heap. Blocks. A signal does not end the wait.
 * Return: 0, or, with *@ret_connection untouched,
 *	-EAGAIN     none now, and @deadline_ns is CAROM_PASSED
 *	-ETIMEDOUT  none by @deadline_ns
 *	-EBADF      closed
 *	-EMFILE, -ENFILE, -ENOMEM, -ENOSPC  a client waits on, or is lost (-ENOSPC: the user
 *	            may watch no more descriptors, see epoll_ctl(2))
 */
CAROM_API int carom_listener_accept(struct carom_listener *listener, uint64_t deadline_ns,
				    struct carom_connection **ret_connection);

/**
 * carom_listener_fd() - a descriptor that is readable when carom_listener_accept() has work
 *
 * It has, but perhaps no client yet: call it with CAROM_PASSED. It stays the listener's. In a
 * forked child it is another one, once the child has called carom_listener_accept().
 *
 * Context: MT-Safe, AS-Safe.
 * Return: the number, -EBADF (closed).
 */
CAROM_API int carom_listener_fd(const struct carom_listener *listener);

/** carom_listener_family() - AF_UNIX, AF_INET, AF_INET6 or CAROM_FAMILY_THREADS. MT-Safe, AS-Safe. */
CAROM_API int carom_listener_family(const struct carom_listener *listener);

/** carom_listener_path() - of AF_UNIX, as clients have to say it; else NULL. The listener's. MT-Safe. */
CAROM_API const char *carom_listener_path(const struct carom_listener *listener);

/** carom_listener_host() - of AF_INET and AF_INET6, in digits; else NULL. The listener's. MT-Safe. */
CAROM_API const char *carom_listener_host(const struct carom_listener *listener);

/** carom_listener_port() - of AF_INET and AF_INET6, the real one; else 0. MT-Safe, AS-Safe. */
CAROM_API uint16_t carom_listener_port(const struct carom_listener *listener);

/**
 * carom_listener_last_accepted() - who was accepted last
 *
 * Context: AS-Safe. No other thread may accept meanwhile.
 * Return: 0, -ENOENT (nobody yet).
 */
CAROM_API int carom_listener_last_accepted(const struct carom_listener *listener,
					   struct carom_peer *ret_peer);

/**
 * carom_listener_refused() - how many clients did not show the key
 *
 * Those that were silent, spoke another protocol or had gone among them.
 *
 * Context: MT-Safe, AS-Safe.
 */
CAROM_API uint64_t carom_listener_refused(const struct carom_listener *listener);

CAROM_END_DECLS

#endif
