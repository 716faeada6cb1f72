/* Digest: HMACs by the names that the authentication knows. */
#ifndef CAROM_IPC_DIGEST_H
#define CAROM_IPC_DIGEST_H

#include "ipc/auth.h"

#define CAROM_MAC_SIZE_MAX 48

/** carom_digest_name() - "sha256"; NULL: no such digest. Static. */
const char *carom_digest_name(enum carom_digest digest);

/** carom_digest_find() - by its name, which has @size bytes. 0: there is none */
enum carom_digest carom_digest_find(const void *name, size_t size);

/** carom_digest_mac() - the HMAC of @message. Return: its length. MT-Safe. */
size_t carom_digest_mac(enum carom_digest digest, const void *key, size_t key_size,
			const void *message, size_t size,
			unsigned char ret_mac[CAROM_MAC_SIZE_MAX]);

#endif
