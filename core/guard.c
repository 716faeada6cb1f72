/*
 * Guard
 */
#include "core/guard.h"

#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

int carom_die_with_parent(pid_t parent, int signal_number)
{
	if (prctl(PR_SET_PDEATHSIG, signal_number) < 0)
		return -errno;
	/* it does not fire for a parent that died before it was set */
	return getppid() == parent ? 0 : -ESRCH;
}
