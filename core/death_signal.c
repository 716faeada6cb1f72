/*
 * Death signal
 */
#include "core/death_signal.h"

#include <errno.h>
#include <sys/prctl.h>

int carom_death_signal(void)
{
	int number = 0;

	prctl(PR_GET_PDEATHSIG, &number);
	return number;
}

int carom_death_signal_set(int number)
{
	return prctl(PR_SET_PDEATHSIG, (unsigned long)number) < 0 ? -errno : 0;
}
