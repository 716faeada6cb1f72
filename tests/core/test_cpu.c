/* Cpu: counts in trees of files made for the purpose, and on this machine. */
#include "core/cpu.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cgroup.h"
#include "core/cleanup.h"
#include "core/cpu_private.h"
#include "core/log.h"
#include "tests/core/root.h"

/* --- a system of files ------------------------------------------------- */

static void set_up(void)
{
	make_root();
	unsetenv("CAROM_CPU_COUNT");
	unsetenv("PYTHON_CPU_COUNT");
}

static int quota(void)
{
	return carom_cpu_count_below(root, CAROM_CPU_QUOTA);
}

#define OTHER_MOUNTS                                                                    \
	"22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"                     \
	"23 22 0:21 / /proc rw,nosuid shared:5 - proc proc rw\n"                        \
	"24 22 0:30 / /sys/fs/cgroup-cpu rw - cgroup cgroup rw,cpuset,xattr,name=cpu\n" \
	"25 22 0:31 / /mnt rw"

/* v2 at /sys/fs/cgroup with @top for its top, and the own group at @group. */
static void stand(const char *group, const char *top)
{
	char text[1024];

	snprintf(text, sizeof(text), "0::%s\n", group);
	put("/proc/self/cgroup", text);
	snprintf(text, sizeof(text),
		 OTHER_MOUNTS "\n26 22 0:26 %s /sys/fs/cgroup ro,nosuid shared:9 master:2 - "
			      "cgroup2 cgroup2 rw,nsdelegate\n",
		 top);
	put("/proc/self/mountinfo", text);
}

TestSuite(cpu, .init = set_up, .fini = remove_root, .timeout = 20);

/* --- the quota, v2 ------------------------------------------------------ */

Test(cpu, quota_of_the_own_group)
{
	stand("/user.slice/job", "/");
	put("/sys/fs/cgroup/user.slice/job/cpu.max", "200000 100000\n");
	cr_expect(eq(int, quota(), 2));
}

Test(cpu, quota_is_rounded_up_to_whole_cpus)
{
	static const struct {
		const char *text;
		int count;
	} cases[] = {
		{ "200000 100000\n", 2 },          { "200001 100000\n", 3 },
		{ "150000 100000\n", 2 },          { "1000 100000\n", 1 },
		{ "1000 1000000\n", 1 },           { "99999 100000\n", 1 },
		{ "500000 50000\n", 10 },          { "max 100000\n", -ENODATA },
		{ "12800000 100000\n", 128 },      { "18446744073709551 1\n", -ENODATA },
		{ "2147483646 1\n", INT_MAX - 1 },
	};

	stand("/job", "/");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		put("/sys/fs/cgroup/job/cpu.max", cases[i].text);
		cr_expect(eq(int, quota(), cases[i].count), "%s", cases[i].text);
	}
}

Test(cpu, quota_is_the_tightest_up_to_the_top)
{
	stand("/a/b/c", "/");
	put("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
	put("/sys/fs/cgroup/a/b/cpu.max", "700000 100000\n");
	put("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
	put("/sys/fs/cgroup/a/x/cpu.max", "100000 100000\n"); /* somebody else's */
	cr_expect(eq(int, quota(), 3));
	put("/sys/fs/cgroup/a/b/c/cpu.max", "250000 200000\n");
	cr_expect(eq(int, quota(), 2));
}

Test(cpu, quota_above_a_group_without_the_controller)
{
	stand("/a/b/c", "/");
	put("/sys/fs/cgroup/a/b/c/cgroup.procs", "");
	put("/sys/fs/cgroup/a/cpu.max", "400000 100000\n");
	cr_expect(eq(int, quota(), 4));
}

Test(cpu, no_quota_is_no_data)
{
	stand("/a", "/");
	put("/sys/fs/cgroup/a/cgroup.procs", "");
	cr_expect(eq(int, quota(), -ENODATA));
}

Test(cpu, nonsense_is_no_quota)
{
	static const char *const texts[] = {
		"",           "\n",          "-1 100000\n", "0 100000\n", "100000\n",
		"100000 0\n", "100000 -5\n", "ten 10\n",    "100000 max", "100000,100000\n",
		" 1 1\n"
	};

	stand("/a", "/");
	put("/sys/fs/cgroup/cpu.max", "500000 100000\n");
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		put("/sys/fs/cgroup/a/cpu.max", texts[i]);
		cr_expect(eq(int, quota(), 5), "%s", texts[i]);
	}
}

/* --- in a container ----------------------------------------------------- */

Test(cpu, quota_in_a_namespace_stands_at_the_top)
{
	stand("/", "/");
	put("/sys/fs/cgroup/cpu.max", "150000 100000\n");
	cr_expect(eq(int, quota(), 2));
}

/* The host's namespace, but of the host's groups only the container's own is mounted. */
Test(cpu, quota_where_only_the_leaf_is_mounted)
{
	stand("/system.slice/docker-1f.scope", "/system.slice/docker-1f.scope");
	put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
	cr_expect(eq(int, quota(), 3));

	stand("/system.slice/docker-1f.scope/job", "/system.slice/docker-1f.scope");
	put("/sys/fs/cgroup/job/cpu.max", "100000 100000\n");
	cr_expect(eq(int, quota(), 1));
}

/* What the path names is not there: the top of the view is still above the own group. */
Test(cpu, quota_at_the_top_where_the_own_group_is_hidden)
{
	stand("/kubepods/pod7/main", "/");
	put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
	cr_expect(eq(int, quota(), 2));
}

/* In a namespace below what is mounted, the names between are not told. */
Test(cpu, quota_of_a_top_above_the_namespace)
{
	stand("/", "/../..");
	put("/sys/fs/cgroup/cpu.max", "600000 100000\n");
	put("/sys/fs/cgroup/a/cpu.max", "100000 100000\n");
	cr_expect(eq(int, quota(), 6));
	stand("/../here", "/../..");
	put("/sys/fs/cgroup/here/cpu.max", "100000 100000\n");
	cr_expect(eq(int, quota(), 6));
}

/* Moved out of the namespace after it was made. */
Test(cpu, quota_of_a_group_outside_the_namespace)
{
	stand("/../batch/job", "/..");
	put("/sys/fs/cgroup/batch/cpu.max", "400000 100000\n");
	cr_expect(eq(int, quota(), 4));
	stand("/../batch/job", "/../batch");
	put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
	put("/sys/fs/cgroup/job/cpu.max", "200000 100000\n");
	cr_expect(eq(int, quota(), 2));
}

Test(cpu, quota_of_others_is_none)
{
	static const char *const places[][2] = {
		{ "/../batch", "/" },      { "/../../a", "/.." }, { "/", "/../other" },
		{ "/container", "/cont" }, { "/a", "/a/b" },
	};

	put("/sys/fs/cgroup/cpu.max", "100000 100000\n");
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		stand(places[i][0], places[i][1]);
		cr_expect(eq(int, quota(), -EOPNOTSUPP), "%s in %s", places[i][0], places[i][1]);
	}
}

/* A group may be called like this. */
Test(cpu, dots_of_a_name_are_no_way_up)
{
	stand("/..a/...", "/..a");
	put("/sys/fs/cgroup/.../cpu.max", "200000 100000\n");
	cr_expect(eq(int, quota(), 2));
	stand("/..a/b", "/");
	put("/sys/fs/cgroup/..a/cpu.max", "100000 100000\n");
	cr_expect(eq(int, quota(), 1));
}

Test(cpu, quota_behind_blanks_and_colons)
{
	put("/proc/self/cgroup", "0::/my job: 1\n");
	put("/proc/self/mountinfo",
	    "26 22 0:26 / /run/c\\040g\\134x rw - cgroup2 my\\040source rw\n");
	put("/run/c g\\x/my job: 1/cpu.max", "200000 100000\n");
	cr_expect(eq(int, quota(), 2));
}

/* --- v1, and both ------------------------------------------------------- */

static const char hybrid_mounts[] =
	OTHER_MOUNTS "\n30 22 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		     "31 22 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
		     "32 22 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";

Test(cpu, quota_of_v1_in_a_hybrid_hierarchy)
{
	put("/proc/self/cgroup",
	    "5:cpuset:/\n4:cpu,cpuacct:/app/one\n3:cpuacct,cpu2:/no\n1:name=systemd:/x\n0::/x\n");
	put("/proc/self/mountinfo", hybrid_mounts);
	put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/app/one/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu,cpuacct/app/one/cpu.cfs_period_us", "100000\n");
	cr_expect(eq(int, quota(), -ENODATA));
	put("/sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us", "125000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us", "50000\n");
	cr_expect(eq(int, quota(), 3));
	put("/sys/fs/cgroup/unified/x/cpu.max", "max 100000\n");
	cr_expect(eq(int, quota(), 3));
}

Test(cpu, quota_of_v2_in_a_hybrid_hierarchy)
{
	put("/proc/self/cgroup", "5:cpuset:/\n1:name=systemd:/x\n0::/x\n");
	put("/proc/self/mountinfo", hybrid_mounts);
	put("/sys/fs/cgroup/unified/x/cpu.max", "200000 100000\n");
	cr_expect(eq(int, quota(), 2));
}

/* As Docker mounts v1: each controller's own group, read-only, in the place of all. */
Test(cpu, quota_of_v1_in_a_container)
{
	put("/proc/self/cgroup", "4:cpu,cpuacct:/docker/1f\n");
	put("/proc/self/mountinfo", "40 39 0:28 /docker/1f /sys/fs/cgroup/cpu,cpuacct ro - "
				    "cgroup cgroup rw,cpu,cpuacct\n");
	put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
	cr_expect(eq(int, quota(), 2));
}

/* --- what cannot be seen ------------------------------------------------- */

Test(cpu, quota_without_proc_cannot_be_told)
{
	cr_expect(eq(int, quota(), -EOPNOTSUPP));
	put("/proc/self/cgroup", "0::/\n");
	cr_expect(eq(int, quota(), -EOPNOTSUPP));
	put("/proc/self/mountinfo", OTHER_MOUNTS "\ngarbage\n\n1 2 3 - cgroup2\n");
	cr_expect(eq(int, quota(), -EOPNOTSUPP));
	cr_expect(ge(int, carom_cpu_count_below(root, CAROM_CPU_USABLE), 1));
}

Test(cpu, shortage_is_told_but_usable_never_fails)
{
	struct rlimit before, none;
	int told, count;

	stand("/", "/");
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	told = quota();
	count = carom_cpu_count_below(root, CAROM_CPU_USABLE);
	setrlimit(RLIMIT_NOFILE, &before);
	cr_expect(eq(int, told, -EMFILE));
	cr_expect(eq(int, count, carom_cpu_count(CAROM_CPU_AFFINITY)));
}

Test(cpu, kind_that_does_not_exist_is_refused)
{
	cr_expect(eq(int, carom_cpu_count((enum carom_cpu_kind)99), -EINVAL));
}

/* --- the machine, the mask ----------------------------------------------- */

Test(cpu, system_counts_what_is_online)
{
	static const struct {
		const char *text;
		int count;
	} cases[] = { { "0\n", 1 },         { "0-3\n", 4 },     { "0-3,8,10-11\n", 7 },
		      { "0-4095\n", 4096 }, { "1,3,5,7\n", 4 }, { "0-0\n", 1 } };
	static const char *const nonsense[] = { "", "\n", "x\n", "3-1\n", "0-3;\n", "0,\n" };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		put("/sys/devices/system/cpu/online", cases[i].text);
		cr_expect(eq(int, carom_cpu_count_below(root, CAROM_CPU_SYSTEM), cases[i].count));
	}
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(*nonsense); i++) {
		put("/sys/devices/system/cpu/online", nonsense[i]);
		cr_expect(eq(int, carom_cpu_count_below(root, CAROM_CPU_SYSTEM),
			     (int)sysconf(_SC_NPROCESSORS_ONLN)));
	}
}

Test(cpu, affinity_is_that_of_the_calling_thread)
{
	cpu_set_t mask;
	int before = carom_cpu_count(CAROM_CPU_AFFINITY);
	int first = 0;

	cr_assert(zero(int, sched_getaffinity(0, sizeof(mask), &mask)));
	cr_expect(eq(int, before, CPU_COUNT(&mask)));
	while (!CPU_ISSET(first, &mask))
		first++;
	CPU_ZERO(&mask);
	CPU_SET(first, &mask);
	cr_assert(zero(int, sched_setaffinity(0, sizeof(mask), &mask)));
	cr_expect(eq(int, carom_cpu_count(CAROM_CPU_AFFINITY), 1));
	cr_expect(eq(int, carom_cpu_count(CAROM_CPU_USABLE), 1));
	cr_expect(ge(int, carom_cpu_count(CAROM_CPU_SYSTEM), before));
}

/* As a kernel for 8192 CPUs answers: a mask of less than 1024 bytes is too small for it. */
Test(cpu, affinity_grows_its_mask_until_the_kernel_is_content)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_getaffinity, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 1024, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(*code), .filter = code };
	int before = carom_cpu_count(CAROM_CPU_AFFINITY);
	cpu_set_t mask;

	cr_assert(zero(int, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
	cr_assert(zero(int, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)));
	cr_assert(eq(int, sched_getaffinity(0, sizeof(mask), &mask), -1));
	cr_expect(eq(int, carom_cpu_count(CAROM_CPU_AFFINITY), before));
}

Test(cpu, affinity_that_a_sandbox_hides_is_an_error_and_usable_counts_the_machine)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_getaffinity, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(*code), .filter = code };

	put("/sys/devices/system/cpu/online", "0-6\n");
	cr_assert(zero(int, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
	cr_assert(zero(int, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)));
	cr_expect(eq(int, carom_cpu_count(CAROM_CPU_AFFINITY), -EPERM));
	cr_expect(eq(int, carom_cpu_count_below(root, CAROM_CPU_USABLE), 7));
}

/* --- what can be used ---------------------------------------------------- */

Test(cpu, usable_is_the_smaller_of_affinity_and_quota)
{
	int affinity = carom_cpu_count(CAROM_CPU_AFFINITY);

	stand("/", "/");
	put("/sys/fs/cgroup/cpu.max", "50000 100000\n");
	cr_expect(eq(int, carom_cpu_count_below(root, CAROM_CPU_USABLE), 1));
	put("/sys/fs/cgroup/cpu.max", "2147000000 1000\n");
	cr_expect(eq(int, carom_cpu_count_below(root, CAROM_CPU_USABLE), affinity));
	put("/sys/fs/cgroup/cpu.max", "max 100000\n");
	cr_expect(eq(int, carom_cpu_count_below(root, CAROM_CPU_USABLE), affinity));
}

Test(cpu, usable_is_what_the_environment_says)
{
	int counted = carom_cpu_count(CAROM_CPU_USABLE);

	setenv("PYTHON_CPU_COUNT", "7", 1);
	cr_expect(eq(int, carom_cpu_count(CAROM_CPU_USABLE), 7));
	setenv("CAROM_CPU_COUNT", "3", 1);
	cr_expect(eq(int, carom_cpu_count(CAROM_CPU_USABLE), 3));
	setenv("CAROM_CPU_COUNT", "", 1);
	cr_expect(eq(int, carom_cpu_count(CAROM_CPU_USABLE), 7));
	setenv("CAROM_CPU_COUNT", "default", 1);
	cr_expect(eq(int, carom_cpu_count(CAROM_CPU_USABLE), counted));
	unsetenv("CAROM_CPU_COUNT");
	setenv("PYTHON_CPU_COUNT", "default", 1);
	cr_expect(eq(int, carom_cpu_count(CAROM_CPU_USABLE), counted));
}

Test(cpu, environment_changes_only_what_is_usable)
{
	int system = carom_cpu_count(CAROM_CPU_SYSTEM);

	setenv("CAROM_CPU_COUNT", "99", 1);
	cr_expect(eq(int, carom_cpu_count(CAROM_CPU_SYSTEM), system));
	cr_expect(le(int, carom_cpu_count(CAROM_CPU_AFFINITY), system));
}

static void count_warnings(const struct carom_log_record *record, void *count)
{
	*(int *)count += record->event == CAROM_LOG_EVENT_COUNT_UNKNOWN &&
			 strstr(record->text, "CAROM_CPU_COUNT: \"0\"") != NULL;
}

Test(cpu, nonsense_in_the_environment_is_told_once_and_ignored)
{
	static const char *const texts[] = {
		"0", "0", "-1", "2x", " 2", "many", "99999999999999999999", "2147483648"
	};
	int counted = carom_cpu_count(CAROM_CPU_USABLE);
	int warnings = 0;

	carom_log_to(count_warnings, &warnings);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		setenv("CAROM_CPU_COUNT", texts[i], 1);
		cr_expect(eq(int, carom_cpu_count(CAROM_CPU_USABLE), counted), "%s", texts[i]);
	}
	cr_expect(eq(int, warnings, 1));
	setenv("PYTHON_CPU_COUNT", "5", 1);
	cr_expect(eq(int, carom_cpu_count(CAROM_CPU_USABLE), 5));
}

/* --- this machine --------------------------------------------------------- */

struct own_group {
	char path[PATH_MAX];
};

static int find_own(const struct carom_cgroup_place *place, void *userdata)
{
	struct own_group *own = userdata;

	if (place->is_v2 && place->is_own)
		snprintf(own->path, sizeof(own->path), "%s/cpu.max", place->path);
	return 0;
}

/*
 * The quota that is set for a moment is more than the machine has, and so does no harm
 * to anybody in the group, not even if this test is killed.
 */
Test(quota, of_this_process_by_the_kernel, .timeout = 20)
{
	struct own_group own = { "" };
	int before = carom_cpu_count(CAROM_CPU_QUOTA);
	int count = carom_cpu_count(CAROM_CPU_SYSTEM) + 5;
	char old[64] = "", text[64];
	CAROM_CLEANUP(carom_closep) int fd = -1;

	carom_cgroup_places("", NULL, find_own, &own);
	if (!own.path[0])
		cr_skip_test("no cgroup v2 that shows this process's group");
	fd = open(own.path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		cr_skip_test("%s: %s", own.path, strerror(errno));
	cr_assert(lt(int, 0, (int)read(fd, old, sizeof(old) - 1)));
	if (before > 0)
		cr_skip_test("this process has a quota of %d CPUs already", before);
	snprintf(text, sizeof(text), "%d 100000", count * 100000 - 50000);
	/* the top of a namespace cannot be changed from inside it */
	if (pwrite(fd, text, strlen(text), 0) < 0 && errno == EPERM)
		cr_skip_test("%s: cannot be set", own.path);
	cr_expect(eq(int, carom_cpu_count(CAROM_CPU_QUOTA), count));
	cr_assert(eq(int, (int)pwrite(fd, old, strlen(old), 0), (int)strlen(old)));
	cr_expect(eq(int, carom_cpu_count(CAROM_CPU_QUOTA), -ENODATA));
}
