/*
 * Occupy
 *
 * For tests in which descriptors run out. The limit is also how many descriptors of the same
 * user, in whatever programs, may be under way between sockets before an unprivileged one is
 * refused (ETOOMANYREFS): a limit of three would be about those. So the low numbers are taken
 * first, and the limit is set among the numbers above.
 */
#ifndef CAROM_TESTS_OCCUPY_H
#define CAROM_TESTS_OCCUPY_H

#include <fcntl.h>
#include <unistd.h>

#define OCCUPIED 256

/* Before anything else is opened: whatever is, has a number of OCCUPIED or above. */
static inline void occupy_low_descriptors(void)
{
	int fd;

	do
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	while (fd >= 0 && fd < OCCUPIED - 1);
}

#endif
