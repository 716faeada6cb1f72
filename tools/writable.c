/*
 * Writable
 */
#include "tools/writable.h"

#include <poll.h>

bool carom_writable_now(int fd)
{
	struct pollfd output = { .fd = fd, .events = POLLOUT };

	return poll(&output, 1, 0) == 1;
}
