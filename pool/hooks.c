/*
 * Hooks
 *
 * Only names stand here; who calls the hooks stands where things happen.
 */
#include "pool/hooks.h"

const char *carom_exit_reason_name(enum carom_exit_reason reason)
{
	static const char *const names[] = {
		[CAROM_EXIT_REASON_ENDED] = "ended",
		[CAROM_EXIT_REASON_RECYCLED] = "recycled",
		[CAROM_EXIT_REASON_LOST] = "lost",
		[CAROM_EXIT_REASON_LIMIT] = "limit",
		[CAROM_EXIT_REASON_TERMINATED] = "terminated",
		[CAROM_EXIT_REASON_INIT_FAILED] = "initializer failed",
		[CAROM_EXIT_REASON_INIT_TIMEOUT] = "initializer timed out",
		[CAROM_EXIT_REASON_MEMORY_LIMIT] = "memory limit",
		[CAROM_EXIT_REASON_PROTOCOL] = "protocol violation",
	};

	return (unsigned int)reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";
}
