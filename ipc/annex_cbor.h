/* Annex: libcbor, which writes and reads the bytes of values. */
#ifndef CAROM_IPC_ANNEX_CBOR_H
#define CAROM_IPC_ANNEX_CBOR_H

#include <cbor/callbacks.h>
#include <cbor/encoding.h>
#include <cbor/streaming.h>

#include "core/annex.h"

#define CAROM_LIBCBOR_NAMES(name)                                                               \
	name(cbor_encode_array_start) name(cbor_encode_bool) name(cbor_encode_bytestring_start) \
		name(cbor_encode_double) name(cbor_encode_map_start) name(cbor_encode_negint)   \
			name(cbor_encode_null) name(cbor_encode_string_start)                   \
				name(cbor_encode_tag) name(cbor_encode_uint)                    \
					name(cbor_stream_decode)

CAROM_ANNEX_DECLARE(libcbor, CAROM_LIBCBOR_NAMES);

#endif
