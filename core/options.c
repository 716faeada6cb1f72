/*
 * Options
 */
#include "core/options.h"

#include <errno.h>
#include <string.h>

int carom_options_take(const void *theirs, void *ours, size_t size)
{
	const unsigned char *bytes = theirs;
	size_t their_size;

	memset(ours, 0, size);
	if (!theirs)
		return 0;
	memcpy(&their_size, theirs, sizeof(their_size));
	if (their_size < sizeof(their_size))
		return -EINVAL;
	for (size_t i = size; i < their_size; i++)
		if (bytes[i])
			return -E2BIG;
	memcpy(ours, theirs, their_size < size ? their_size : size);
	memcpy(ours, &size, sizeof(size));
	return 0;
}
