/*
 * Annex: libseccomp
 */
#include "core/annex_seccomp.h"

CAROM_ANNEX_DEFINE(seccomp, CAROM_SECCOMP_NAMES, CAROM_SECCOMP_SONAME, "sandbox",
		   "sandboxes for workers that run code nobody vouches for")
