/*
 * Digest
 *
 * nettle's generic HMAC. What it keeps of the key is wiped.
 */
#include "ipc/digest.h"

#include <assert.h>
#include <nettle/sha3.h>
#include <string.h>

#include "ipc/annex_nettle.h"

static const char *const names[] = {
	[CAROM_DIGEST_MD5] = "md5",           [CAROM_DIGEST_SHA256] = "sha256",
	[CAROM_DIGEST_SHA384] = "sha384",     [CAROM_DIGEST_SHA3_256] = "sha3_256",
	[CAROM_DIGEST_SHA3_384] = "sha3_384",
};

#define COUNT (sizeof(names) / sizeof(*names))

/* Any of them; all of nettle's contexts are plain memory. */
union context {
	struct md5_ctx md5;
	struct sha256_ctx sha256;
	struct sha512_ctx sha384;
	struct sha3_256_ctx sha3_256;
	struct sha3_384_ctx sha3_384;
};

const char *carom_digest_name(enum carom_digest digest)
{
	return digest < COUNT ? names[digest] : NULL;
}

enum carom_digest carom_digest_find(const void *name, size_t size)
{
	for (size_t i = 1; i < COUNT; i++)
		if (strlen(names[i]) == size && memcmp(names[i], name, size) == 0)
			return (enum carom_digest)i;
	return 0;
}

static const struct nettle_hash *hash_of(const struct carom_nettle *nettle,
					 enum carom_digest digest)
{
	switch (digest) {
	case CAROM_DIGEST_MD5:
		return nettle->nettle_md5;
	case CAROM_DIGEST_SHA256:
		return nettle->nettle_sha256;
	case CAROM_DIGEST_SHA384:
		return nettle->nettle_sha384;
	case CAROM_DIGEST_SHA3_256:
		return nettle->nettle_sha3_256;
	case CAROM_DIGEST_SHA3_384:
		return nettle->nettle_sha3_384;
	case CAROM_DIGEST_DEFAULT:
		break;
	}
	return NULL;
}

size_t carom_digest_mac(enum carom_digest digest, const void *key, size_t key_size,
			const void *message, size_t size, unsigned char ret_mac[CAROM_MAC_SIZE_MAX])
{
	const struct carom_nettle *nettle = carom_nettle();
	const struct nettle_hash *hash;
	union context outer, inner, state;

	assert(nettle); /* whoever has a key has it: carom_secret_take() */
	hash = hash_of(nettle, digest);
	assert(hash && hash->context_size <= sizeof(state) &&
	       hash->digest_size <= CAROM_MAC_SIZE_MAX);
	nettle->nettle_hmac_set_key(&outer, &inner, &state, hash, key_size, key);
	nettle->nettle_hmac_update(&state, hash, size, message);
	nettle->nettle_hmac_digest(&outer, &inner, &state, hash, hash->digest_size, ret_mac);
	explicit_bzero(&outer, sizeof(outer));
	explicit_bzero(&inner, sizeof(inner));
	explicit_bzero(&state, sizeof(state));
	return hash->digest_size;
}
