/**
 * DOC: auth
 *
 * Two processes show each other that they have the same key, without saying it: one sends
 * something nobody could foresee, the other answers with its HMAC. It is the protocol of
 * `multiprocessing.connection`, the modern one (Python 3.12 and later: SHA-256 and others)
 * and the old one (MD5; older Pythons and billiard), byte for byte; which of them the peer
 * speaks shows by itself.
 *
 * A listener and a client with a key do this by themselves. For any other connection:
 *
 *	struct carom_auth_options auth = CAROM_AUTH_OPTIONS(.key = key, .key_size = key_size);
 *
 *	r = carom_auth_deliver(connection, &auth, deadline_ns);	// the peer shows it
 *	if (r == 0)
 *		r = carom_auth_answer(connection, &auth, deadline_ns);	// and we do
 *
 * while the peer calls them in the other order. What follows is neither encrypted nor
 * signed: who can change what is on its way may take over afterwards.
 */
#ifndef CAROM_IPC_AUTH_H
#define CAROM_IPC_AUTH_H

#include "connection.h"

CAROM_BEGIN_DECLS

/** enum carom_digest - of what the HMAC is made; 0 stands for SHA-256 where one is chosen */
enum carom_digest {
	CAROM_DIGEST_DEFAULT,
	CAROM_DIGEST_MD5,
	CAROM_DIGEST_SHA256,
	CAROM_DIGEST_SHA384,
	CAROM_DIGEST_SHA3_256,
	CAROM_DIGEST_SHA3_384,
};

/**
 * struct carom_auth_options - the key, and what is asked of the peer
 * @size_bytes:     size of this struct; CAROM_AUTH_OPTIONS() fills it in
 * @key:            @key_size bytes, at least one
 * @key_size:       in bytes
 * @digest:         which one the own challenge asks for. A peer may answer by another
 * @is_md5_refused: MD5 is neither taken nor given, and so no old peer gets through
 */
struct carom_auth_options {
	size_t size_bytes;
	const void *key;
	size_t key_size;
	enum carom_digest digest;
	bool is_md5_refused;
	uint8_t reserved[3]; /* 0 */
};
#define CAROM_AUTH_OPTIONS(...) CAROM_OPTIONS(carom_auth_options, __VA_ARGS__)

/**
 * carom_auth_deliver() - have the peer show that it has the key
 * @options: read during the call only
 *
 * Context: MT-Safe, AS-Unsafe heap. Blocks. Nothing else may go through @connection meanwhile.
 * Return: 0, or, and @connection is good for nothing but to be closed,
 *	-EKEYREJECTED  it has not shown it, and was told
 *	-EBADMSG       it sent what is no message, or one of more than 256 bytes
 *	-EINVAL        no key, or one of no length; an unknown digest; or MD5 is both asked
 *	               for and refused
 *	-EOPNOTSUPP    nettle cannot be loaded here; the log says why
 *	-EMFILE, -ENFILE, -ENOMEM  no descriptor, or memory, to load it by just now
 *	-E2BIG         @options sets a field newer than this library
 *	-EAGAIN, -ETIMEDOUT, -EPIPE, -ECONNRESET, -EBADF, ...  as carom_connection_recv_bytes()
 */
CAROM_API int carom_auth_deliver(struct carom_connection *connection,
				 const struct carom_auth_options *options, uint64_t deadline_ns);

/**
 * carom_auth_answer() - show the peer that we have the key
 *
 * Context: as carom_auth_deliver().
 * Return: as carom_auth_deliver(); -EKEYREJECTED: the peer says that it is another key, or
 * asked in no way that is known, or for MD5, which is refused.
 */
CAROM_API int carom_auth_answer(struct carom_connection *connection,
				const struct carom_auth_options *options, uint64_t deadline_ns);

CAROM_END_DECLS

#endif
