/**
 * DOC: client
 *
 * A connection to a listener of this library's, of Python's `multiprocessing.connection`
 * or of billiard's:
 *
 *	r = carom_client_connect(&CAROM_CLIENT_OPTIONS(.path = "/run/jobs", .authkey = key,
 *						       .authkey_size = key_size),
 *				 carom_deadline_after(CAROM_SECONDS(1)), &connection);
 *
 * Or to one of this program's own, from thread to thread, as with `multiprocessing.dummy`:
 *
 *	r = carom_client_connect(&CAROM_CLIENT_OPTIONS(.listener = listener), CAROM_NO_DEADLINE,
 *				 &connection);
 */
#ifndef CAROM_IPC_CLIENT_H
#define CAROM_IPC_CLIENT_H

#include "auth.h"
#include "connection.h"

CAROM_BEGIN_DECLS

struct carom_listener;

/* Beside AF_UNIX, AF_INET and AF_INET6: threads of a program, and its children by fork(). */
#define CAROM_FAMILY_THREADS 0x10000

/**
 * struct carom_client_options - where to, and how
 * @size_bytes:     size of this struct; CAROM_CLIENT_OPTIONS() fills it in
 * @path:           of an AF_UNIX socket, of any length; or, after an @, the name of an abstract
 *                  one, which Python writes as "\0name"
 * @host:           instead of @path: a name, or an address in digits; one with a colon is
 *                  of AF_INET6. NULL with a @port: the loopback
 * @authkey:        @authkey_size bytes, at least one: both sides show that they have it; NULL:
 *                  no authentication
 * @authkey_size:   in bytes
 * @message_max:    a longer message is not received; 0 means 64 MiB; UINT64_MAX: no limit
 * @family:         AF_UNIX, AF_INET, AF_INET6, CAROM_FAMILY_THREADS; 0: as @path, @host and
 *                  @listener say, AF_INET for names
 * @digest:         see struct carom_auth_options
 * @framing:        see enum carom_framing
 * @port:           of @host
 * @is_md5_refused: see struct carom_auth_options
 * @listener:       instead of @path and @host: one of CAROM_FAMILY_THREADS. Stays the caller's,
 *                  and open during the call. There is no key: nobody else comes to it
 */
struct carom_client_options {
	size_t size_bytes;
	const char *path;
	const char *host;
	const void *authkey;
	size_t authkey_size;
	uint64_t message_max;
	int family;
	enum carom_digest digest;
	enum carom_framing framing;
	uint16_t port;
	bool is_md5_refused;
	uint8_t reserved; /* 0 */
	const struct carom_listener *listener;
};
#define CAROM_CLIENT_OPTIONS(...) CAROM_OPTIONS(carom_client_options, __VA_ARGS__)

#define CAROM_MESSAGE_MAX_DEFAULT CAROM_MIB(64)

/**
 * carom_client_connect() - connect, and authenticate if there is a key
 * @options:        read during the call only
 * @deadline_ns:    for all of it, but for looking up a host's name, which no deadline ends
 * @ret_connection: the caller owns it and ends it with carom_connection_free()
 *
 * A listener that asks for no key says nothing to a client that has one: only the deadline
 * ends that.
 *
 * Context: MT-Safe, AS-Unsafe heap. Usable in a forked child. Blocks.
 * Return: 0, or, with *@ret_connection untouched and nothing left open,
 *	-EINVAL         no place, or two; an @authkey of no length, or a length of none; an
 *	                unknown digest or framing; a @listener of another family, or with a key
 *	-EAFNOSUPPORT   another @family
 *	-ENAMETOOLONG   an abstract name above 107 bytes, or a file name above about 90
 *	-EADDRNOTAVAIL  no such host
 *	-ENOENT, -ENOTDIR, -EACCES, -ECONNREFUSED, -EHOSTUNREACH, ...  see connect(2)
 *	-ETIMEDOUT      not by @deadline_ns; -EAGAIN if that is CAROM_PASSED
 *	-EKEYREJECTED   the two sides have different keys
 *	-EOPNOTSUPP     there is a key, and nettle cannot be loaded here
 *	-EBADMSG        the listener speaks another protocol
 *	-EPIPE, -ECONNRESET  the listener has closed: perhaps it asks for a key
 *	-E2BIG          @options sets a field newer than this library
 *	-ETOOMANYREFS   of CAROM_FAMILY_THREADS: very many wait to be accepted
 *	-EMFILE, -ENFILE, -ENOMEM
 */
CAROM_API int carom_client_connect(const struct carom_client_options *options, uint64_t deadline_ns,
				   struct carom_connection **ret_connection);

CAROM_END_DECLS

#endif
