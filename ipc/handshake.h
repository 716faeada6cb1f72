/*
 * Handshake: the authentication as a row of steps, each of which may have to wait
 *
 * The same steps serve a caller who waits and a listener that holds many of them:
 *
 *	carom_handshake_begin(&handshake, CAROM_HANDSHAKE_LISTENER, &secret);
 *	r = carom_handshake_go(&handshake, connection, deadline_ns);
 */
#ifndef CAROM_IPC_HANDSHAKE_H
#define CAROM_IPC_HANDSHAKE_H

#include "ipc/challenge.h"

#define CAROM_HANDSHAKE_MESSAGE_MAX 256 /* of a peer that has shown nothing yet */

/** enum carom_handshake_role - who shows what first */
enum carom_handshake_role {
	CAROM_HANDSHAKE_DELIVER,  /* the peer shows that it has the key */
	CAROM_HANDSHAKE_ANSWER,   /* we do */
	CAROM_HANDSHAKE_LISTENER, /* the peer, and then we */
	CAROM_HANDSHAKE_CLIENT,   /* we, and then the peer */
};

/** struct carom_handshake - one of them; its content is private. No heap, nothing to end */
struct carom_handshake {
	const struct carom_secret *secret;
	const unsigned char *steps;
	bool is_rejected;
	unsigned char challenge_size;
	unsigned short message_size;
	unsigned char challenge[CAROM_CHALLENGE_SIZE_MAX];
	unsigned char message[CAROM_HANDSHAKE_MESSAGE_MAX];
};

/** carom_handshake_begin() - @secret, and its key, stay as long as it goes on */
void carom_handshake_begin(struct carom_handshake *handshake, enum carom_handshake_role role,
			   const struct carom_secret *secret);

/**
 * carom_handshake_go() - as far as it goes
 *
 * Return: 0: both sides agree; -EAGAIN, -ETIMEDOUT: call it again; all else is the end:
 * -EKEYREJECTED, -EBADMSG, -EPIPE, -ECONNRESET, ...
 */
int carom_handshake_go(struct carom_handshake *handshake, struct carom_connection *connection,
		       uint64_t deadline_ns);

#endif
