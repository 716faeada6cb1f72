/*
 * Annex: libcbor
 */
#include "ipc/annex_cbor.h"

CAROM_ANNEX_DEFINE(libcbor, CAROM_LIBCBOR_NAMES, CAROM_CBOR_SONAME, "values",
		   "values between managers and their clients")
