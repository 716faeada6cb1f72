/*
 * Profile
 *
 * Docker and containerd answer EPERM to what their list does not name, and runc makes
 * that ENOSYS for calls newer than all of the list. Podman answers ENOSYS, but EPERM to
 * what it names as denied. What needs a capability is denied with the same EPERM, also
 * where the kernel would have said something else.
 */
#include "tests/containers/profile.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

#define COUNT(array)   (sizeof(array) / sizeof(*(array)))
#define LAST_CALL      600 /* nobody has numbers beyond */
#define FIRST_AFTER_19 424 /* pidfd_send_signal, Linux 5.1: 4.19 has none of these numbers */

/* Rows that tables share. */
#define DENY(call_, error_)                    \
	{                                      \
		.call = call_, .error = error_ \
	}
#define DENY_NEW(number_, error_)                  \
	{                                          \
		.number = number_, .error = error_ \
	}
#define NEEDS(call_, cap_)                                    \
	{                                                     \
		.call = call_, .error = EPERM, .unless = cap_ \
	}
#define NEEDS_NEW(number_, cap_)                                  \
	{                                                         \
		.number = number_, .error = EPERM, .unless = cap_ \
	}
#define NO_FLAG(call_, at_, bit_, error_)                                                    \
	{                                                                                    \
		.call = call_, .error = error_, .argument = at_, .mask = bit_, .value = bit_ \
	}
#define NO_NAMESPACE(bit_)                                                               \
	{                                                                                \
		.call = "clone", .error = EPERM, .unless = CAP_SYS_ADMIN, .argument = 0, \
		.mask = bit_, .value = bit_                                              \
	}
#define NO_ADVICE(advice_)                                                           \
	{                                                                            \
		.call = "madvise", .error = EINVAL, .argument = 2, .mask = ALL_BITS, \
		.value = advice_                                                     \
	}
/* the ioctl(2) requests of a pidfd, whatever size of struct is asked for */
#define NO_PIDFD_INFO                                                                            \
	{                                                                                        \
		.call = "ioctl", .error = ENOTTY, .argument = 1, .mask = 0xffff, .value = 0xff0b \
	}

/* the mask 0x7E020000 that the runtimes' lists have for clone(2), and what else makes one */
#define NEEDS_ADMIN                                                                           \
	NO_NAMESPACE(CLONE_NEWNS), NO_NAMESPACE(CLONE_NEWCGROUP), NO_NAMESPACE(CLONE_NEWUTS), \
		NO_NAMESPACE(CLONE_NEWIPC), NO_NAMESPACE(CLONE_NEWUSER),                      \
		NO_NAMESPACE(CLONE_NEWPID), NO_NAMESPACE(CLONE_NEWNET),                       \
		{ .call = "clone3", .error = ENOSYS, .unless = CAP_SYS_ADMIN },               \
		NEEDS("unshare", CAP_SYS_ADMIN), NEEDS("setns", CAP_SYS_ADMIN),               \
		NEEDS("mount", CAP_SYS_ADMIN), NEEDS("umount2", CAP_SYS_ADMIN),               \
		NEEDS("pivot_root", CAP_SYS_ADMIN), NEEDS("bpf", CAP_SYS_ADMIN)

#define NEEDS_OTHERS                                                                        \
	NEEDS("kcmp", CAP_SYS_PTRACE), NEEDS("pidfd_getfd", CAP_SYS_PTRACE),                \
		NEEDS("perf_event_open", CAP_PERFMON), NEEDS("mbind", CAP_SYS_NICE),        \
		NEEDS("set_mempolicy", CAP_SYS_NICE), NEEDS("get_mempolicy", CAP_SYS_NICE), \
		NEEDS("open_by_handle_at", CAP_DAC_READ_SEARCH)

#define NO_KEYS(error) DENY("add_key", error), DENY("keyctl", error), DENY("request_key", error)

static const struct profile_rule docker[] = {
	NEEDS_ADMIN,
	NEEDS_OTHERS,
	NO_KEYS(EPERM),
	DENY("userfaultfd", EPERM),
	DENY("io_uring_setup", EPERM),
	DENY("io_uring_enter", EPERM),
	DENY("io_uring_register", EPERM),
	NEEDS("process_madvise", CAP_SYS_NICE),
	{ .call = "socket", .error = EPERM, .mask = ALL_BITS, .value = AF_ALG },
};

static const struct profile_rule docker_20[] = {
	NEEDS_ADMIN,
	NEEDS_OTHERS,
	NO_KEYS(EPERM),
	DENY("userfaultfd", EPERM),
	NEEDS("process_vm_readv", CAP_SYS_PTRACE),
	NEEDS("process_vm_writev", CAP_SYS_PTRACE),
	NEEDS("process_madvise", CAP_SYS_PTRACE),
};

static const struct profile_rule podman[] = {
	NO_KEYS(EPERM),
	NEEDS("perf_event_open", CAP_PERFMON),
	NEEDS("bpf", CAP_SYS_ADMIN),
	DENY("userfaultfd", EPERM),
	DENY("io_uring_setup", ENOSYS),
	DENY("io_uring_enter", ENOSYS),
	DENY("io_uring_register", ENOSYS),
	DENY_NEW(449, EPERM), /* futex_waitv */
	DENY_NEW(454, EPERM), /* futex_wake, futex_wait, futex_requeue */
	DENY_NEW(455, EPERM),
	DENY_NEW(456, EPERM),
};

/*
 * A kernel of its own, and what that lacks. As it was before April 2026. Whether it marks
 * the locks of the dead is uncertain, which no filter can imitate: who cannot ask for the
 * list of locks does not rely on that.
 */
static const struct profile_rule gvisor[] = {
	DENY("io_uring_setup", ENOSYS),
	DENY("io_uring_enter", ENOSYS),
	DENY("io_uring_register", ENOSYS),
	DENY("pidfd_open", ENOSYS),
	DENY("pidfd_send_signal", ENOSYS),
	DENY("get_robust_list", ENOSYS),
	DENY("membarrier", ENOSYS), /* some of its platforms have it */
	DENY("userfaultfd", ENOSYS),
	DENY("perf_event_open", ENODEV),
	DENY("landlock_create_ruleset", ENOSYS),
	DENY("landlock_add_rule", ENOSYS),
	DENY("landlock_restrict_self", ENOSYS),
	DENY_NEW(448, ENOSYS), /* process_mrelease */
	DENY_NEW(449, ENOSYS), /* futex_waitv */
	NO_PIDFD_INFO,
	NO_ADVICE(22), /* MADV_POPULATE_READ, MADV_POPULATE_WRITE */
	NO_ADVICE(23),
	NO_FLAG("memfd_create", 1, 0x08, EINVAL), /* MFD_NOEXEC_SEAL, MFD_EXEC */
	NO_FLAG("memfd_create", 1, 0x10, EINVAL),
};

/* CLONE_PIDFD and waitid(P_PIDFD) are newer too, but there is no way without them. */
static const struct profile_rule old[] = {
	NO_PIDFD_INFO,
	NO_ADVICE(20), /* MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE */
	NO_ADVICE(21),
	NO_ADVICE(22),
	NO_ADVICE(23),
	NO_FLAG("memfd_create", 1, 0x08, EINVAL),
	NO_FLAG("memfd_create", 1, 0x10, EINVAL),
};

#define PROFILE(name_, is_, first_unknown_)                                            \
	{                                                                              \
		.name = #name_, .is = is_, .rules = name_, .rule_count = COUNT(name_), \
		.first_unknown = first_unknown_                                        \
	}

const struct profile profiles[] = {
	PROFILE(docker, "Docker since 25, containerd since 2.0", 467),
	PROFILE(docker_20, "Docker 20.10, as Debian 12 has it", 450),
	PROFILE(podman, "Podman and CRI-O", 457),
	PROFILE(gvisor, "gVisor, as it was until April 2026", 450),
	PROFILE(old, "no system call newer than Linux 4.19", FIRST_AFTER_19),
};
const size_t profile_count = COUNT(profiles);

const struct profile *profile_find(const char *name)
{
	for (size_t i = 0; i < profile_count; i++)
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	return NULL;
}

/* A call that this machine never had is not there to be denied. */
static int add_rule(scmp_filter_ctx filter, const struct profile_rule *rule)
{
	int number = rule->call ? seccomp_syscall_resolve_name(rule->call) : rule->number;
	const struct scmp_arg_cmp when =
		SCMP_CMP(rule->argument, SCMP_CMP_MASKED_EQ, rule->mask, rule->value);

	if (number < 0)
		return number == __NR_SCMP_ERROR ? -EINVAL : 0;
	return seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((uint32_t)rule->error), number,
				      rule->mask != 0, &when);
}

static bool applies(const struct profile_rule *rule, uint64_t capabilities)
{
	return !rule->unless || !(capabilities & (UINT64_C(1) << rule->unless));
}

static int add_all(scmp_filter_ctx filter, const struct profile *profile, uint64_t capabilities)
{
	int r = 0;

	for (size_t i = 0; i < profile->rule_count && r == 0; i++)
		if (applies(&profile->rules[i], capabilities))
			r = add_rule(filter, &profile->rules[i]);
	for (int number = profile->first_unknown; number <= LAST_CALL && r == 0; number++)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), number, 0);
	return r;
}

int profile_load(const struct profile *profile, uint64_t capabilities)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int r = filter ? 0 : -ENOMEM;

	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, geteuid() != 0);
	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = add_all(filter, profile, capabilities);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}
