/*
 * Pidfd info: the request PIDFD_GET_INFO, which the headers of Debian 12 do not have yet
 */
#ifndef CAROM_CORE_PIDFD_INFO_H
#define CAROM_CORE_PIDFD_INFO_H

#include <stdint.h>
#include <sys/ioctl.h>

/** struct carom_pidfd_info - as of Linux 6.15, whose beginning that of 6.13 is */
struct carom_pidfd_info {
	uint64_t mask;
	uint64_t cgroup_id;
	uint32_t pids[3];
	uint32_t ids[8];
	int32_t exit_code;
};
_Static_assert(sizeof(struct carom_pidfd_info) == 64, "the size is part of the request's number");

#define CAROM_PIDFD_INFO_REQUEST _IOWR(0xFF, 11, struct carom_pidfd_info)

/* A bit of @mask: the exit status, of one that has ended. */
#define CAROM_PIDFD_INFO_EXIT (UINT64_C(1) << 3)

#endif
