/*
 * Handshake
 *
 * Three messages show that a side has the key: challenge, answer, verdict. A role is a row of
 * steps, and @steps points to the next one, which is repeated until it has been done.
 *
 *   I1  Nothing is answered to a listener's client before it has shown that it has the key:
 *       a stranger learns no HMAC from it.
 *   I2  Nobody's own challenge is answered to who sends it back.
 *   I3  Of each message 256 bytes are read at most, and none is followed by another from the
 *       same side, so that many are all a stranger can have kept.
 */
#include "ipc/handshake.h"

#include <errno.h>
#include <string.h>

#define WELCOME "#WELCOME#"
#define FAILURE "#FAILURE#"

_Static_assert(sizeof(WELCOME) == sizeof(FAILURE), "verdicts");

enum step {
	END,
	MAKE_CHALLENGE,
	SEND_CHALLENGE,
	TAKE_ANSWER,
	SEND_VERDICT,
	TAKE_CHALLENGE,
	SEND_ANSWER,
	TAKE_VERDICT,
};

static const unsigned char roles[][8] = {
	[CAROM_HANDSHAKE_DELIVER] = { MAKE_CHALLENGE, SEND_CHALLENGE, TAKE_ANSWER, SEND_VERDICT },
	[CAROM_HANDSHAKE_ANSWER] = { TAKE_CHALLENGE, SEND_ANSWER, TAKE_VERDICT },
	[CAROM_HANDSHAKE_LISTENER] = { MAKE_CHALLENGE, SEND_CHALLENGE, TAKE_ANSWER, SEND_VERDICT,
				       TAKE_CHALLENGE, SEND_ANSWER, TAKE_VERDICT },
	[CAROM_HANDSHAKE_CLIENT] = { TAKE_CHALLENGE, SEND_ANSWER, TAKE_VERDICT, MAKE_CHALLENGE,
				     SEND_CHALLENGE, TAKE_ANSWER, SEND_VERDICT },
};

void carom_handshake_begin(struct carom_handshake *handshake, enum carom_handshake_role role,
			   const struct carom_secret *secret)
{
	handshake->secret = secret;
	handshake->steps = roles[role];
	handshake->is_rejected = false;
	handshake->challenge_size = 0;
	handshake->message_size = 0;
}

/* What is sent in part goes on by carom_connection_flush(). */
static int send_message(struct carom_connection *connection, const void *data, size_t size,
			uint64_t deadline_ns)
{
	int r = carom_connection_send_bytes(connection, data, size, deadline_ns);

	return r == -EINPROGRESS ? 0 : r;
}

static int take_message(struct carom_handshake *handshake, struct carom_connection *connection,
			uint64_t deadline_ns)
{
	size_t size = 0;
	int r = carom_connection_recv_bytes_into(connection, handshake->message,
						 sizeof(handshake->message), deadline_ns, &size);

	handshake->message_size = (unsigned short)size;
	return r == -EMSGSIZE ? -EBADMSG : r;
}

static int make_challenge(struct carom_handshake *handshake)
{
	int r = carom_challenge_make(handshake->secret, handshake->challenge);

	handshake->challenge_size = r < 0 ? 0 : (unsigned char)r;
	return r < 0 ? r : 0;
}

static int take_answer(struct carom_handshake *handshake, struct carom_connection *connection,
		       uint64_t deadline_ns)
{
	int r = take_message(handshake, connection, deadline_ns);

	if (r < 0)
		return r;
	handshake->is_rejected =
		carom_challenge_verify(handshake->secret, handshake->challenge,
				       handshake->challenge_size, handshake->message,
				       handshake->message_size) < 0;
	return 0;
}

static int send_verdict(struct carom_handshake *handshake, struct carom_connection *connection,
			uint64_t deadline_ns)
{
	int r = send_message(connection, handshake->is_rejected ? FAILURE : WELCOME,
			     sizeof(WELCOME) - 1, deadline_ns);

	return r == 0 && handshake->is_rejected ? -EKEYREJECTED : r;
}

/* I2 */
static bool is_own(const struct carom_handshake *handshake)
{
	return handshake->challenge_size > 0 &&
	       handshake->message_size == handshake->challenge_size &&
	       memcmp(handshake->message, handshake->challenge, handshake->challenge_size) == 0;
}

/* The answer takes the challenge's place. */
static int take_challenge(struct carom_handshake *handshake, struct carom_connection *connection,
			  uint64_t deadline_ns)
{
	unsigned char answer[CAROM_ANSWER_SIZE_MAX];
	int r = take_message(handshake, connection, deadline_ns);

	if (r < 0)
		return r;
	r = is_own(handshake) ? -EKEYREJECTED
			      : carom_challenge_answer(handshake->secret, handshake->message,
						       handshake->message_size, answer);
	if (r < 0)
		return r;
	memcpy(handshake->message, answer, (size_t)r);
	handshake->message_size = (unsigned short)r;
	return 0;
}

static int take_verdict(struct carom_handshake *handshake, struct carom_connection *connection,
			uint64_t deadline_ns)
{
	int r = take_message(handshake, connection, deadline_ns);

	if (r < 0)
		return r;
	return handshake->message_size == sizeof(WELCOME) - 1 &&
			       memcmp(handshake->message, WELCOME, sizeof(WELCOME) - 1) == 0
		       ? 0
		       : -EKEYREJECTED;
}

static int do_step(struct carom_handshake *handshake, struct carom_connection *connection,
		   uint64_t deadline_ns)
{
	switch ((enum step) * handshake->steps) {
	case MAKE_CHALLENGE:
		return make_challenge(handshake);
	case SEND_CHALLENGE:
		return send_message(connection, handshake->challenge, handshake->challenge_size,
				    deadline_ns);
	case TAKE_ANSWER:
		return take_answer(handshake, connection, deadline_ns);
	case SEND_VERDICT:
		return send_verdict(handshake, connection, deadline_ns);
	case TAKE_CHALLENGE:
		return take_challenge(handshake, connection, deadline_ns);
	case SEND_ANSWER:
		return send_message(connection, handshake->message, handshake->message_size,
				    deadline_ns);
	case TAKE_VERDICT:
		return take_verdict(handshake, connection, deadline_ns);
	case END:
		break;
	}
	return 0;
}

int carom_handshake_go(struct carom_handshake *handshake, struct carom_connection *connection,
		       uint64_t deadline_ns)
{
	int r = carom_connection_flush(connection, deadline_ns);

	while (r == 0 && *handshake->steps != END) {
		r = do_step(handshake, connection, deadline_ns);
		if (r == 0)
			handshake->steps++;
	}
	return r == 0 ? carom_connection_flush(connection, deadline_ns) : r;
}
