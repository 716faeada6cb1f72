/*
 * Probe: asking the kernel, one function for each feature
 *
 * Return: 0 if the kernel says yes, or how it refuses.
 */
#ifndef CAROM_CORE_PROBE_ASK_H
#define CAROM_CORE_PROBE_ASK_H

int carom_ask_clone3(void);
int carom_ask_clone_pidfd(void);
int carom_ask_tid_address(void);
int carom_ask_robust_list(void);
int carom_ask_io_uring(void);
int carom_ask_io_uring_futex(void);
int carom_ask_futex_waitv(void);
int carom_ask_pidfd_open(void);
int carom_ask_pidfd_signal(void);
int carom_ask_pidfd_wait(void);
int carom_ask_pidfd_info(void);
int carom_ask_close_range(void);
int carom_ask_memfd(void);
int carom_ask_memfd_noexec(void);
int carom_ask_wipe_on_fork(void);
int carom_ask_madv_populate(void);
int carom_ask_membarrier(void);
int carom_ask_cgroup_v2(void);
int carom_ask_cgroup_kill(void);
int carom_ask_seccomp(void);
int carom_ask_landlock(void);

#endif
