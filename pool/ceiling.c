/*
 * Ceiling
 *
 * Not RLIMIT_AS: address space is what a worker has plenty of that costs nothing, the
 * arenas that it shares with the program first of all. Private memory is counted when it
 * is mapped for writing, so what a program has reserved without access, as malloc(3) does
 * for its threads, does not count.
 */
#include "pool/ceiling.h"

#include <errno.h>
#include <sys/resource.h>

#include "core/memory_usage_private.h"

int carom_ceiling_set(uint64_t bytes)
{
	struct rlimit limit;
	uint64_t now;
	int r = carom_memory_data(&now);

	if (r < 0)
		return r;
	if (getrlimit(RLIMIT_DATA, &limit) < 0)
		return -errno;
	bytes = bytes > RLIM_INFINITY - now ? RLIM_INFINITY : now + bytes;
	if (bytes < limit.rlim_cur)
		limit.rlim_cur = bytes;
	if (bytes < limit.rlim_max)
		limit.rlim_max = bytes;
	return setrlimit(RLIMIT_DATA, &limit) < 0 ? -errno : 0;
}
