/* Features: what the kernel has, what it lacks and why, as a program can read it. */
#include "core/features.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/probe.h"

static const struct carom_feature_info *find(const char *name)
{
	const struct carom_feature_info *feature = NULL;

	do
		feature = carom_feature_next(feature);
	while (feature && strcmp(feature->name, name) != 0);
	cr_assert(feature != NULL, "no feature is called %s", name);
	return feature;
}

Test(features, are_listed_each_with_all_that_there_is_to_say, .timeout = 20)
{
	const struct carom_feature_info *feature = NULL;
	int count = 0;

	while ((feature = carom_feature_next(feature))) {
		cr_expect(eq(int, feature->error, carom_probe_error(count)), "%s", feature->name);
		cr_expect(zero(int, strcmp(feature->name, carom_feature_name(count))));
		cr_expect(lt(sz, 10, strlen(feature->use)));
		cr_expect(eq(int, feature->reason != NULL, feature->error != 0));
		cr_expect(le(int, feature->error, 0));
		count++;
	}
	cr_expect(eq(int, count, CAROM_FEATURE_COUNT));
}

/* CX-22 */
Test(features, that_are_denied_are_told_with_what_is_done_instead, .timeout = 20)
{
	const struct carom_feature_info *feature;

	setenv("CAROM_DENY", "clone3,io_uring,cgroup_v2,memfd_noexec", 1);
	feature = find("clone3");
	cr_expect(eq(int, feature->error, -ECANCELED));
	cr_expect(ne(ptr, (void *)strstr(feature->reason, "CAROM_DENY"), NULL));
	cr_expect(ne(ptr, (void *)strstr(feature->fallback, "clone(2)"), NULL));
	cr_expect(eq(int, find("io_uring")->error, -ECANCELED));
	cr_expect(ne(ptr, (void *)strstr(find("io_uring")->fallback, "epoll"), NULL));
	cr_expect(eq(int, find("cgroup_v2")->error, -ECANCELED));
	cr_expect(ne(ptr, (void *)strstr(find("cgroup_v2")->fallback, "rlimits"), NULL));
	cr_expect(eq(int, find("memfd_noexec")->error, -ECANCELED));
	cr_expect(zero(int, find("clone_pidfd")->error));
}

Test(features, fall_with_what_they_are_part_of, .timeout = 20)
{
	setenv("CAROM_DENY", "io_uring", 1);
	cr_expect(eq(int, find("io_uring_futex")->error, -ECANCELED));
}

Test(features, that_are_needed_have_no_fallback_and_are_there, .timeout = 20)
{
	static const char *const names[] = { "pidfd_wait", "memfd", "wipe_on_fork" };

	setenv("CAROM_DENY", "pidfd_wait,memfd,wipe_on_fork", 1);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		cr_expect(eq(ptr, (void *)find(names[i])->fallback, NULL), "%s", names[i]);
		cr_expect(zero(int, find(names[i])->error), "%s", names[i]);
	}
}

#define SYS_FUTEX_WAITV 449 /* newer than the headers */

#define DENY(number, error)                                  \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

Test(features, tell_how_the_kernel_refuses, .timeout = 20)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		DENY(SYS_FUTEX_WAITV, EPERM),
		DENY(SYS_clone3, ENOSYS),
		DENY(SYS_pidfd_open, ENOSYS),
		DENY(SYS_pidfd_send_signal, EPERM),
		DENY(SYS_memfd_create, EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(*code), .filter = code };

	cr_assert(zero(int, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
	cr_assert(zero(int, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)));
	cr_expect(eq(int, find("futex_waitv")->error, -EPERM));
	cr_expect(ne(ptr, (void *)strstr(find("futex_waitv")->reason, "EPERM"), NULL));
	cr_expect(eq(int, find("clone3")->error, -ENOSYS));
	cr_expect(ne(ptr, (void *)strstr(find("clone3")->reason, "ENOSYS"), NULL));
	cr_expect(eq(int, find("pidfd_open")->error, -ENOSYS));
	cr_expect(eq(int, find("pidfd_signal")->error, -EPERM));
	cr_expect(eq(int, find("memfd")->error, -EINVAL));
	cr_expect(eq(int, find("memfd_noexec")->error, -EINVAL));
	cr_expect(zero(int, find("pidfd_wait")->error));
}

/* As in most containers: it is there to look at. */
Test(features, tell_that_cgroups_are_read_only, .timeout = 20)
{
	const char *folder = "/sys/fs/cgroup";

	if (access("/sys/fs/cgroup/cgroup.procs", F_OK) < 0)
		folder = "/sys/fs/cgroup/unified";
	if (access(folder, F_OK) < 0)
		cr_skip_test("no cgroup v2");
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(NULL, folder, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		cr_skip_test("nothing can be mounted: %s", strerror(errno));
	cr_expect(eq(int, find("cgroup_v2")->error, -EROFS));
	cr_expect(ne(ptr, (void *)strstr(find("cgroup_v2")->reason, "read-only"), NULL));
}

static void *list(void *unused)
{
	(void)unused;
	return (void *)find("clone_pidfd");
}

Test(features, are_the_same_for_many_threads, .timeout = 20)
{
	pthread_t threads[8];
	void *found[8];

	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, list, NULL);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], &found[i]);
		cr_expect(eq(ptr, found[i], found[0]));
	}
}
