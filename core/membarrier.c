/*
 * Membarrier
 */
#include "core/membarrier.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/probe.h"

static int membarrier(int command)
{
	int r = (int)syscall(SYS_membarrier, command, 0);

	return r < 0 ? -errno : r;
}

bool carom_membarrier_is_possible(void)
{
	return carom_probe(CAROM_FEATURE_MEMBARRIER);
}

int carom_membarrier_join(void)
{
	return membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
}

int carom_membarrier_all(void)
{
	return membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}
