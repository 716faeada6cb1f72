/*
 * Challenge: the messages of the authentication, without the sending
 *
 * The text of a challenge is what stands behind "#CHALLENGE#": the name of a digest in
 * braces and 40 bytes of chance, or, of an old peer, 20 bytes of chance. All of the text is
 * what the answer is the HMAC of.
 */
#ifndef CAROM_IPC_CHALLENGE_H
#define CAROM_IPC_CHALLENGE_H

#include "ipc/digest.h"

#define CAROM_CHALLENGE_PREFIX      "#CHALLENGE#"
#define CAROM_CHALLENGE_PREFIX_SIZE (sizeof(CAROM_CHALLENGE_PREFIX) - 1)
#define CAROM_CHALLENGE_CHANCE      40 /* bytes */
#define CAROM_CHALLENGE_SIZE_MAX    (CAROM_CHALLENGE_PREFIX_SIZE + 10 + CAROM_CHALLENGE_CHANCE)
#define CAROM_ANSWER_SIZE_MAX       (10 + CAROM_MAC_SIZE_MAX)

/** struct carom_secret - what one side knows; the key is somebody else's memory */
struct carom_secret {
	const void *key;
	size_t key_size;
	enum carom_digest digest;
	bool is_md5_refused;
};

/** carom_secret_take() - of @options, checked: 0, -EINVAL, -EOPNOTSUPP (no nettle) */
int carom_secret_take(const struct carom_auth_options *options, struct carom_secret *ret_secret);

/** carom_challenge_make() - a new one, prefix and all. Return: its length; -EAGAIN: no chance yet */
int carom_challenge_make(const struct carom_secret *secret,
			 unsigned char ret_challenge[CAROM_CHALLENGE_SIZE_MAX]);

/**
 * carom_challenge_answer() - to what the peer sent, prefix and all
 * Return: the answer's length; -EKEYREJECTED: it is no challenge, or none to be answered.
 */
int carom_challenge_answer(const struct carom_secret *secret, const unsigned char *challenge,
			   size_t size, unsigned char ret_answer[CAROM_ANSWER_SIZE_MAX]);

/**
 * carom_challenge_verify() - is @answer that of somebody who has the key?
 * @challenge: the own one, prefix and all
 *
 * The time it takes does not depend on the MACs' bytes.
 * Return: 0, -EKEYREJECTED.
 */
int carom_challenge_verify(const struct carom_secret *secret, const unsigned char *challenge,
			   size_t challenge_size, const unsigned char *answer, size_t answer_size);

#endif
