/* Annex: nettle, which makes HMACs. */
#ifndef CAROM_IPC_ANNEX_NETTLE_H
#define CAROM_IPC_ANNEX_NETTLE_H

#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/nettle-meta.h>

#include "core/annex.h"

#define CAROM_NETTLE_NAMES(name)                                                                  \
	name(nettle_base64_decode_final) name(nettle_base64_decode_init)                          \
		name(nettle_base64_decode_update) name(nettle_base64_encode_raw)                  \
			name(nettle_hmac_digest) name(nettle_hmac_set_key)                        \
				name(nettle_hmac_update) name(nettle_md5) name(nettle_memeql_sec) \
					name(nettle_sha256) name(nettle_sha384)                   \
						name(nettle_sha3_256) name(nettle_sha3_384)

CAROM_ANNEX_DECLARE(nettle, CAROM_NETTLE_NAMES);

#endif
