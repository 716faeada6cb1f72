/*
 * Challenge
 *
 * Which protocol a peer speaks is told by lengths: an old challenge has 20 bytes and an old
 * answer 16, an MD5 without a name; new ones are longer. An old client answers a new
 * challenge as if all of it were chance. An answer of 20 bytes counts as an old one, too,
 * as in Python, and cannot be right.
 */
#include "ipc/challenge.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "ipc/annex_nettle.h"

#define OLD_TEXT_SIZE   20
#define OLD_ANSWER_SIZE 16
#define NAME_END_MAX    9 /* where the brace is at the latest */

int carom_secret_take(const struct carom_auth_options *options, struct carom_secret *ret_secret)
{
	enum carom_digest digest = options->digest ? options->digest : CAROM_DIGEST_SHA256;

	if (!options->key || options->key_size == 0 || !carom_digest_name(digest) ||
	    (digest == CAROM_DIGEST_MD5 && options->is_md5_refused) || options->reserved[0] ||
	    options->reserved[1] || options->reserved[2])
		return -EINVAL;
	if (!carom_nettle())
		return carom_annex_error();
	*ret_secret = (struct carom_secret){ options->key, options->key_size, digest,
					     options->is_md5_refused };
	return 0;
}

/* "{sha256}". Return: its length */
static size_t put_name(enum carom_digest digest, unsigned char *ret_text)
{
	const char *name = carom_digest_name(digest);
	size_t size = strlen(name);

	ret_text[0] = '{';
	memcpy(ret_text + 1, name, size);
	ret_text[size + 1] = '}';
	return size + 2;
}

/* The digest whose name @text begins with, and the length of that; 0: none */
static enum carom_digest take_name(const unsigned char *text, size_t size, size_t *ret_size)
{
	const unsigned char *end;

	if (size == 0 || text[0] != '{')
		return 0;
	end = memchr(text, '}', size < NAME_END_MAX + 1 ? size : NAME_END_MAX + 1);
	if (!end)
		return 0;
	*ret_size = (size_t)(end - text) + 1;
	return carom_digest_find(text + 1, *ret_size - 2);
}

static bool is_allowed(const struct carom_secret *secret, enum carom_digest digest)
{
	return digest != 0 && !(digest == CAROM_DIGEST_MD5 && secret->is_md5_refused);
}

int carom_challenge_make(const struct carom_secret *secret,
			 unsigned char ret_challenge[CAROM_CHALLENGE_SIZE_MAX])
{
	size_t size = CAROM_CHALLENGE_PREFIX_SIZE;

	memcpy(ret_challenge, CAROM_CHALLENGE_PREFIX, size);
	size += put_name(secret->digest, ret_challenge + size);
	if (getrandom(ret_challenge + size, CAROM_CHALLENGE_CHANCE, 0) != CAROM_CHALLENGE_CHANCE)
		return -EAGAIN;
	return (int)(size + CAROM_CHALLENGE_CHANCE);
}

/* The HMAC, without a name if @digest is of an old peer's. */
static int put_answer(const struct carom_secret *secret, enum carom_digest digest, bool is_old,
		      const unsigned char *text, size_t size, unsigned char *ret_answer)
{
	size_t name_size = is_old ? 0 : put_name(digest, ret_answer);

	return (int)(name_size + carom_digest_mac(digest, secret->key, secret->key_size, text, size,
						  ret_answer + name_size));
}

int carom_challenge_answer(const struct carom_secret *secret, const unsigned char *challenge,
			   size_t size, unsigned char ret_answer[CAROM_ANSWER_SIZE_MAX])
{
	const unsigned char *text = challenge + CAROM_CHALLENGE_PREFIX_SIZE;
	enum carom_digest digest;
	size_t name_size;
	bool is_old;

	if (size < CAROM_CHALLENGE_PREFIX_SIZE + OLD_TEXT_SIZE ||
	    memcmp(challenge, CAROM_CHALLENGE_PREFIX, CAROM_CHALLENGE_PREFIX_SIZE) != 0)
		return -EKEYREJECTED;
	size -= CAROM_CHALLENGE_PREFIX_SIZE;
	is_old = size == OLD_TEXT_SIZE;
	digest = is_old ? CAROM_DIGEST_MD5 : take_name(text, size, &name_size);
	if (!is_allowed(secret, digest))
		return -EKEYREJECTED;
	return put_answer(secret, digest, is_old, text, size, ret_answer);
}

int carom_challenge_verify(const struct carom_secret *secret, const unsigned char *challenge,
			   size_t challenge_size, const unsigned char *answer, size_t answer_size)
{
	bool is_old = answer_size == OLD_ANSWER_SIZE || answer_size == OLD_TEXT_SIZE;
	unsigned char expected[CAROM_MAC_SIZE_MAX];
	size_t name_size = 0, size;
	enum carom_digest digest =
		is_old ? CAROM_DIGEST_MD5 : take_name(answer, answer_size, &name_size);

	if (!is_allowed(secret, digest))
		return -EKEYREJECTED;
	size = carom_digest_mac(digest, secret->key, secret->key_size,
				challenge + CAROM_CHALLENGE_PREFIX_SIZE,
				challenge_size - CAROM_CHALLENGE_PREFIX_SIZE, expected);
	if (answer_size - name_size != size)
		return -EKEYREJECTED;
	return carom_nettle()->nettle_memeql_sec(expected, answer + name_size, size)
		       ? 0
		       : -EKEYREJECTED;
}
