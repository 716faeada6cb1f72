/*
 * Annex: nettle
 */
#include "ipc/annex_nettle.h"

CAROM_ANNEX_DEFINE(nettle, CAROM_NETTLE_NAMES, CAROM_NETTLE_SONAME, "authentication",
		   "listeners, connections and managers with keys")
