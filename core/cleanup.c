/*
 * Cleanup
 */
#include "core/cleanup.h"

#include <errno.h>
#include <unistd.h>

void carom_closep(int *fd)
{
	int saved_errno = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved_errno;
}
