/*
 * What the container runtimes answer, call by call, and that each profile answers so.
 *
 * The facts stand here once more, by call and not by runtime, so that the two tables
 * check each other. Every call is harmless: its arguments are wrong, or it only asks.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/containers/profile.h"

#define PROFILES 5
#define YES      0 /* the kernel's own answer, whatever that is */
#define NOBODY   (-2)

static const char *const order[PROFILES] = { "docker", "docker_20", "podman", "gvisor", "old" };

/**
 * struct fact - one call
 * @arguments: that do no harm
 * @answers:   by profile, in the order above
 */
static const struct fact {
	const char *call;
	long number;
	long arguments[6];
	int answers[PROFILES];
} facts[] = {
	{ "io_uring_setup", SYS_io_uring_setup, { 0, 0 }, { EPERM, YES, ENOSYS, ENOSYS, ENOSYS } },
	{ "io_uring_enter",
	  SYS_io_uring_enter,
	  { NOBODY },
	  { EPERM, YES, ENOSYS, ENOSYS, ENOSYS } },
	{ "io_uring_register",
	  SYS_io_uring_register,
	  { NOBODY, IORING_REGISTER_PROBE },
	  { EPERM, YES, ENOSYS, ENOSYS, ENOSYS } },
	{ "clone3", SYS_clone3, { 0, 0 }, { ENOSYS, ENOSYS, YES, YES, ENOSYS } },
	{ "clone, a pidfd",
	  SYS_clone,
	  { CLONE_PIDFD | CLONE_THREAD },
	  { YES, YES, YES, YES, YES } },
	/* without shared signal handlers a thread is refused by every kernel */
	{ "clone, users",
	  SYS_clone,
	  { CLONE_NEWUSER | CLONE_THREAD },
	  { EPERM, EPERM, YES, YES, YES } },
	{ "clone, pids",
	  SYS_clone,
	  { CLONE_NEWPID | CLONE_THREAD },
	  { EPERM, EPERM, YES, YES, YES } },
	{ "clone, mounts",
	  SYS_clone,
	  { CLONE_NEWNS | CLONE_THREAD },
	  { EPERM, EPERM, YES, YES, YES } },
	{ "clone, net",
	  SYS_clone,
	  { CLONE_NEWNET | CLONE_THREAD },
	  { EPERM, EPERM, YES, YES, YES } },
	{ "clone, names",
	  SYS_clone,
	  { CLONE_NEWUTS | CLONE_THREAD },
	  { EPERM, EPERM, YES, YES, YES } },
	{ "clone, ipc",
	  SYS_clone,
	  { CLONE_NEWIPC | CLONE_THREAD },
	  { EPERM, EPERM, YES, YES, YES } },
	{ "clone, cgroups",
	  SYS_clone,
	  { CLONE_NEWCGROUP | CLONE_THREAD },
	  { EPERM, EPERM, YES, YES, YES } },
	{ "unshare", SYS_unshare, { 0x7 }, { EPERM, EPERM, YES, YES, YES } },
	{ "setns", SYS_setns, { NOBODY }, { EPERM, EPERM, YES, YES, YES } },
	{ "pidfd_open", SYS_pidfd_open, { 0 }, { YES, YES, YES, ENOSYS, ENOSYS } },
	{ "pidfd_send_signal",
	  SYS_pidfd_send_signal,
	  { NOBODY },
	  { YES, YES, YES, ENOSYS, ENOSYS } },
	{ "pidfd_getfd", SYS_pidfd_getfd, { NOBODY }, { EPERM, EPERM, YES, YES, ENOSYS } },
	{ "waitid, a pidfd",
	  SYS_waitid,
	  { P_PIDFD, 1 << 30, 0, WEXITED },
	  { YES, YES, YES, YES, YES } },
	{ "memfd_create", SYS_memfd_create, { 0, MFD_CLOEXEC }, { YES, YES, YES, YES, YES } },
	{ "memfd_create, never executable",
	  SYS_memfd_create,
	  { 0, 0x8 },
	  { YES, YES, YES, EINVAL, EINVAL } },
	{ "close_range", SYS_close_range, { -1, -1, 0 }, { YES, YES, YES, YES, ENOSYS } },
	{ "membarrier", SYS_membarrier, { 0 }, { YES, YES, YES, ENOSYS, YES } },
	{ "get_robust_list", SYS_get_robust_list, { 0 }, { YES, YES, YES, ENOSYS, YES } },
	{ "futex", SYS_futex, { 0, 1 << 6 }, { YES, YES, YES, YES, YES } },
	{ "futex_waitv", 449, { 0 }, { YES, YES, EPERM, ENOSYS, ENOSYS } },
	{ "futex_wake", 454, { 0 }, { YES, ENOSYS, EPERM, ENOSYS, ENOSYS } },
	{ "futex_wait", 455, { 0 }, { YES, ENOSYS, EPERM, ENOSYS, ENOSYS } },
	{ "futex_requeue", 456, { 0 }, { YES, ENOSYS, EPERM, ENOSYS, ENOSYS } },
	{ "process_vm_readv", SYS_process_vm_readv, { 0 }, { YES, EPERM, YES, YES, YES } },
	{ "process_vm_writev", SYS_process_vm_writev, { 0 }, { YES, EPERM, YES, YES, YES } },
	{ "process_mrelease", 448, { NOBODY }, { YES, YES, YES, ENOSYS, ENOSYS } },
	{ "landlock_create_ruleset", 444, { 0 }, { YES, YES, YES, ENOSYS, ENOSYS } },
	{ "seccomp", SYS_seccomp, { 99 }, { YES, YES, YES, YES, YES } },
	{ "perf_event_open", SYS_perf_event_open, { 0 }, { EPERM, EPERM, EPERM, ENODEV, YES } },
	{ "userfaultfd", SYS_userfaultfd, { 0x7 }, { EPERM, EPERM, EPERM, ENOSYS, YES } },
	{ "mbind", SYS_mbind, { 0, 0, 99 }, { EPERM, EPERM, YES, YES, YES } },
	{ "set_mempolicy", SYS_set_mempolicy, { 99 }, { EPERM, EPERM, YES, YES, YES } },
	{ "socket, AF_ALG", SYS_socket, { AF_ALG, 99 }, { EPERM, YES, YES, YES, YES } },
	{ "socket, AF_UNIX", SYS_socket, { AF_UNIX, 99 }, { YES, YES, YES, YES, YES } },
	{ "keyctl", SYS_keyctl, { 99 }, { EPERM, EPERM, EPERM, YES, YES } },
	{ "madvise, make pages", SYS_madvise, { 0, 0, 23 }, { YES, YES, YES, EINVAL, EINVAL } },
	{ "madvise, wipe", SYS_madvise, { 0, 0, 18 }, { YES, YES, YES, YES, YES } },
	{ "statx", SYS_statx, { NOBODY }, { YES, YES, YES, YES, YES } },
	{ "faccessat2", 439, { NOBODY }, { YES, YES, YES, YES, ENOSYS } },
	{ "openat2", SYS_openat2, { NOBODY }, { YES, YES, YES, YES, ENOSYS } },
	{ "a call of the future", 599, { 0 }, { ENOSYS, ENOSYS, ENOSYS, ENOSYS, ENOSYS } },
};
#define FACTS (sizeof(facts) / sizeof(*facts))

static int answer_to(const struct fact *fact)
{
	const long *a = fact->arguments;

	return syscall((int)fact->number, a[0], a[1], a[2], a[3], a[4], a[5]) < 0 ? errno : 0;
}

/* What a process answers each call with, contained or (NULL) not; 0 if it came to its end. */
static int ask_all(const struct profile *profile, uint64_t capabilities, int *answers)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		if (profile && profile_load(profile, capabilities) < 0)
			_exit(2);
		for (size_t i = 0; i < FACTS; i++)
			answers[i] = answer_to(&facts[i]);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static int *share_answers(void)
{
	void *memory = mmap(NULL, FACTS * sizeof(int), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert(ne(ptr, memory, MAP_FAILED));
	return memory;
}

Test(profile, answers_as_its_runtime_does)
{
	int *alone = share_answers(), *contained = share_answers();

	cr_assert(eq(sz, profile_count, PROFILES));
	cr_assert(zero(int, ask_all(NULL, 0, alone)));
	for (size_t p = 0; p < PROFILES; p++) {
		cr_assert(eq(str, (char *)profiles[p].name, (char *)order[p]));
		cr_assert(zero(int, ask_all(&profiles[p], 0, contained)), "%s", order[p]);
		for (size_t i = 0; i < FACTS; i++) {
			int expected = facts[i].answers[p] ? facts[i].answers[p] : alone[i];

			cr_expect(eq(int, contained[i], expected), "%s: %s: %s and not %s",
				  order[p], facts[i].call, strerrorname_np(contained[i]),
				  strerrorname_np(expected));
		}
	}
}

static int answer_of(const int *answers, const char *call)
{
	for (size_t i = 0; i < FACTS; i++)
		if (strcmp(facts[i].call, call) == 0)
			return answers[i];
	return -1;
}

Test(profile, lets_through_what_a_capability_is_for)
{
	const struct profile *docker_20 = profile_find("docker_20");
	int *alone = share_answers(), *contained = share_answers();

	cr_assert(zero(int, ask_all(NULL, 0, alone)));
	cr_assert(zero(int, ask_all(docker_20, UINT64_C(1) << CAP_SYS_PTRACE, contained)));
	cr_expect(eq(int, answer_of(contained, "process_vm_readv"),
		     answer_of(alone, "process_vm_readv")));
	cr_expect(eq(int, answer_of(contained, "pidfd_getfd"), answer_of(alone, "pidfd_getfd")));
	cr_expect(eq(int, answer_of(contained, "clone3"), ENOSYS));
	cr_assert(zero(int, ask_all(docker_20, UINT64_C(1) << CAP_SYS_ADMIN, contained)));
	cr_expect(eq(int, answer_of(contained, "clone3"), answer_of(alone, "clone3")));
	cr_expect(eq(int, answer_of(contained, "process_vm_readv"), EPERM));
}

Test(profile, that_nobody_knows_is_not_found)
{
	cr_expect(eq(ptr, (void *)profile_find("rkt"), NULL));
}
