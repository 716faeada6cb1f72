/*
 * Probe
 *
 * What this kernel and this container allow, found out once by calling it
 * harmlessly, never by version number. EPERM counts like ENOSYS: containers
 * answer either. Each answer that is "no" is logged once at INFO with what
 * carom does instead. CAROM_DENY, a comma-separated list of the names below,
 * makes answers "no" for tests; where there is nothing to do instead, it does not.
 */
#ifndef CAROM_CORE_PROBE_H
#define CAROM_CORE_PROBE_H

#include <stdbool.h>
#include <stddef.h>

enum carom_feature {
	CAROM_FEATURE_CLONE3,
	CAROM_FEATURE_CLONE_PIDFD, /* legacy clone(2) with CLONE_PIDFD */
	CAROM_FEATURE_TID_ADDRESS, /* prctl(PR_GET_TID_ADDRESS) gives glibc's tid */
	CAROM_FEATURE_ROBUST_LIST, /* glibc's robust list has the layout we know */
	CAROM_FEATURE_IO_URING,
	CAROM_FEATURE_IO_URING_FUTEX, /* IORING_OP_FUTEX_WAIT, Linux 6.7 */
	CAROM_FEATURE_FUTEX_WAITV,    /* Linux 5.16 */
	CAROM_FEATURE_PIDFD_OPEN,     /* Linux 5.3 */
	CAROM_FEATURE_PIDFD_SIGNAL,   /* pidfd_send_signal(2), Linux 5.1 */
	CAROM_FEATURE_PIDFD_WAIT,     /* waitid(P_PIDFD), Linux 5.4; no way without it */
	CAROM_FEATURE_PIDFD_INFO,     /* PIDFD_GET_INFO with exit status, Linux 6.15 */
	CAROM_FEATURE_CLOSE_RANGE,
	CAROM_FEATURE_MEMFD,         /* with seals; no way without it */
	CAROM_FEATURE_MEMFD_NOEXEC,  /* MFD_NOEXEC_SEAL, Linux 6.3 */
	CAROM_FEATURE_WIPE_ON_FORK,  /* MADV_WIPEONFORK; no way without it */
	CAROM_FEATURE_MADV_POPULATE, /* MADV_POPULATE_WRITE, Linux 5.14 */
	CAROM_FEATURE_MEMBARRIER,    /* MEMBARRIER_CMD_GLOBAL_EXPEDITED, Linux 4.16 */
	CAROM_FEATURE_CGROUP_V2,     /* the own cgroup v2 directory is writable */
	CAROM_FEATURE_CGROUP_KILL,   /* cgroup.kill, Linux 5.14 */
	CAROM_FEATURE_SECCOMP,  /* filters by seccomp(2), Linux 4.14, and libseccomp to make them */
	CAROM_FEATURE_LANDLOCK, /* Linux 5.13 */
	CAROM_FEATURE_COUNT,
};

/** carom_probe() - is it there? The first call probes all; later ones read a word. MT-Safe. */
bool carom_probe(enum carom_feature feature);

/** carom_probe_error() - 0 if it is there, else what the kernel said; -ECANCELED: CAROM_DENY */
int carom_probe_error(enum carom_feature feature);

/** carom_feature_name() - as CAROM_DENY spells it: "clone3", "io_uring_futex", ... */
const char *carom_feature_name(enum carom_feature feature);

/** carom_feature_use() - what is done with it, for people */
const char *carom_feature_use(enum carom_feature feature);

/** carom_feature_fallback() - what is done without it, for people; NULL: there is no way */
const char *carom_feature_fallback(enum carom_feature feature);

#endif
