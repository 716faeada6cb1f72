/*
 * Annex: expat
 */
#include "ipc/annex_expat.h"

CAROM_ANNEX_DEFINE(expat, CAROM_EXPAT_NAMES, CAROM_EXPAT_SONAME, "xmlrpc",
		   "peers that speak XML-RPC")
