/**
 * DOC: memory_usage
 *
 * How much memory this process has.
 */
#ifndef CAROM_CORE_MEMORY_USAGE_H
#define CAROM_CORE_MEMORY_USAGE_H

#include <stdint.h>

#include "api.h"

CAROM_BEGIN_DECLS

/**
 * struct carom_memory_usage - resident memory, in bytes
 * @current: now: what it shares with others counts in full
 * @peak:    at most, since the process began or executed its program
 *
 * The kernel counts on each CPU by itself and adds up now and then: each may be off by
 * some hundred KiB per CPU.
 */
struct carom_memory_usage {
	uint64_t current;
	uint64_t peak;
};

/**
 * carom_memory_usage() - of the calling process
 *
 * Costs some microseconds, however much memory it is.
 *
 * Context: MT-Safe. Usable in a forked child.
 * Return: 0, or, with *@ret_usage untouched, what open(2) says of /proc/self/status
 * (-ENOENT: /proc is not mounted), -EBADMSG: it does not tell.
 */
CAROM_API int carom_memory_usage(struct carom_memory_usage *ret_usage);

/**
 * carom_memory_private() - of the calling process: what it has for itself
 * @ret_bytes: memory that no other process has, and its part of what is swapped out; not
 *             what it still shares with its parent since its birth
 *
 * The kernel looks at each page: some ten microseconds, and a millisecond more for each
 * few hundred MiB.
 *
 * Context: MT-Safe. Usable in a forked child.
 * Return: 0, or, with *@ret_bytes untouched, what open(2) says of /proc/self/smaps_rollup
 * (-ENOENT: /proc is not mounted), -EBADMSG: it does not tell.
 */
CAROM_API int carom_memory_private(uint64_t *ret_bytes);

CAROM_END_DECLS

#endif
