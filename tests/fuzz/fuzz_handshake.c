/*
 * Fuzz: handshake
 *
 * The input is what a stranger sends who does not have the key, to each of the four roles. It
 * never gets through where it has to show the key, and what it is told is a challenge, an
 * HMAC that is asked for, or a verdict.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promised)
{
	if (!promised)
		abort();
}

static const struct carom_secret secrets[] = {
	{ "secret", 6, CAROM_DIGEST_SHA256, false },
	{ "secret", 6, CAROM_DIGEST_SHA3_384, true },
};

static void answer_anything(const struct carom_secret *secret, const uint8_t *data, size_t size)
{
	unsigned char challenge[CAROM_CHALLENGE_SIZE_MAX], answer[CAROM_ANSWER_SIZE_MAX];
	int n = carom_challenge_answer(secret, data, size, answer);
	int made = carom_challenge_make(secret, challenge);

	require(n == -EKEYREJECTED || (n >= 16 && n <= CAROM_ANSWER_SIZE_MAX));
	if (n > 0)
		require(carom_challenge_verify(secret, data, size, answer, (size_t)n) == 0);
	require(carom_challenge_verify(secret, challenge, (size_t)made, data, size) ==
		-EKEYREJECTED);
}

static void require_documented(int r)
{
	require(r == 0 || r == -EKEYREJECTED || r == -EBADMSG || r == -EPIPE || r == -ECONNRESET);
}

/* The stranger sends in two pieces, and then says no more. */
static int meet(enum carom_handshake_role role, const struct carom_secret *secret,
		const uint8_t *data, size_t size, size_t first)
{
	CAROM_CLEANUP(carom_connection_freep) struct carom_connection *connection = NULL;
	struct carom_handshake handshake;
	int fds[2], r;

	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	require(carom_connection_new_take(fds[0], NULL, &connection) == 0);
	carom_handshake_begin(&handshake, role, secret);
	require(send(fds[1], data, first, 0) == (ssize_t)first);
	r = carom_handshake_go(&handshake, connection, CAROM_PASSED);
	if (r == -EAGAIN) {
		require(send(fds[1], data + first, size - first, 0) == (ssize_t)(size - first));
		shutdown(fds[1], SHUT_WR);
		r = carom_handshake_go(&handshake, connection, CAROM_PASSED);
	}
	close(fds[1]);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct carom_secret *secret;
	enum carom_handshake_role role;
	size_t first;
	int r;

	if (size < 2)
		return 0;
	role = data[0] % 4;
	secret = &secrets[data[0] / 4 % 2];
	size -= 2;
	first = data[1] < size ? data[1] : size;
	r = meet(role, secret, data + 2, size, first);
	require_documented(r);
	require(r < 0 || role == CAROM_HANDSHAKE_ANSWER);
	answer_anything(secret, data + 2, size);
	return 0;
}
