/* Cgroup: which group a program's groups are made in, on trees made for the purpose. */
#include "core/cgroup_base.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cgroup_controllers.h"
#include "core/cgroup_group.h"
#include "tests/core/root.h"

/* --- a system of files ------------------------------------------------- */

static void set_up(void)
{
	make_root();
	unsetenv("CAROM_DENY");
}

/* What every group has but the root of the hierarchy. */
static void put_group(const char *path)
{
	static const char *const files[][2] = {
		{ "cgroup.procs", "" },
		{ "cgroup.type", "domain\n" },
		{ "cgroup.events", "populated 1\nfrozen 0\n" },
	};
	char name[PATH_MAX];

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(name, sizeof(name), "%s/%s", path, files[i][0]);
		put(name, files[i][1]);
	}
}

#define V2(top, point) "26 22 0:26 " top " " point " rw,nosuid - cgroup2 cgroup2 rw\n"
#define V1(point)      "27 22 0:27 / " point " rw,nosuid - cgroup cgroup rw,memory\n"

static int look(char *reason, struct carom_cgroup_base *base)
{
	int r;

	base->fd = -1;
	r = carom_cgroup_base_open(root, reason, base);
	if (r == 0)
		close(base->fd);
	return r;
}

/* Whether the base is the group at @path. */
static void expect_base(const char *path)
{
	char reason[CAROM_CGROUP_REASON_SIZE] = "";
	struct carom_cgroup_base base;

	cr_expect(zero(int, look(reason, &base)), "%s", reason);
	cr_expect(eq(str, base.path + strlen(root), (char *)path));
}

/* Whether it is refused, for a reason that has @word. */
static void expect_refusal(int error, const char *word)
{
	char reason[CAROM_CGROUP_REASON_SIZE] = "";
	struct carom_cgroup_base base;

	cr_expect(eq(int, look(reason, &base), error), "%s", reason);
	cr_expect(ne(ptr, strstr(reason, word), NULL), "%s", reason);
}

TestSuite(cgroup_base, .init = set_up, .fini = remove_root, .timeout = 20);

/* --- where it is ------------------------------------------------------- */

Test(cgroup_base, is_the_own_group)
{
	put("/proc/self/cgroup", "0::/user.slice/app.scope\n");
	put("/proc/self/mountinfo", V2("/", "/sys/fs/cgroup"));
	put_group("/sys/fs/cgroup/user.slice/app.scope");
	expect_base("/sys/fs/cgroup/user.slice/app.scope");
}

Test(cgroup_base, is_the_own_group_in_a_cgroup_namespace)
{
	put("/proc/self/cgroup", "0::/\n");
	put("/proc/self/mountinfo", V2("/", "/sys/fs/cgroup"));
	put_group("/sys/fs/cgroup");
	expect_base("/sys/fs/cgroup");
}

Test(cgroup_base, knows_the_root_of_the_hierarchy)
{
	char reason[CAROM_CGROUP_REASON_SIZE];
	struct carom_cgroup_base base;

	put("/proc/self/cgroup", "4:memory:/x\n0::/\n");
	put("/proc/self/mountinfo", V1("/sys/fs/cgroup/memory") V2("/", "/sys/fs/cgroup/unified"));
	put("/sys/fs/cgroup/unified/cgroup.procs", "");
	expect_base("/sys/fs/cgroup/unified");
	cr_assert(zero(int, look(reason, &base)));
	cr_expect(base.is_root);
	put_group("/sys/fs/cgroup/unified");
	cr_assert(zero(int, look(reason, &base)));
	cr_expect(not(base.is_root));
}

Test(cgroup_base, is_found_where_only_a_part_is_mounted)
{
	put("/proc/self/cgroup", "0::/docker/0123/job\n");
	put("/proc/self/mountinfo", V2("/docker/0123", "/sys/fs/cgroup"));
	put_group("/sys/fs/cgroup/job");
	expect_base("/sys/fs/cgroup/job");
}

Test(cgroup_base, is_found_in_the_mount_that_shows_it)
{
	put("/proc/self/cgroup", "0::/a/b\n");
	put("/proc/self/mountinfo",
	    V2("/other", "/mnt/1") V2("/a", "/mnt/2\\040blank") V2("/", "/sys/fs/cgroup"));
	put_group("/mnt/2 blank/b");
	put_group("/sys/fs/cgroup/a/b");
	expect_base("/mnt/2 blank/b");
}

Test(cgroup_base, is_taken_from_another_mount_where_one_does_not_serve)
{
	put("/proc/self/cgroup", "0::/a\n");
	put("/proc/self/mountinfo", V2("/", "/mnt") V2("/", "/sys/fs/cgroup"));
	put_group("/sys/fs/cgroup/a");
	expect_base("/sys/fs/cgroup/a");
	put_group("/mnt/a");
	expect_base("/mnt/a");
	put("/mnt/a/cgroup.type", "threaded\n");
	expect_base("/sys/fs/cgroup/a");
}

Test(cgroup_base, is_the_same_for_a_program_and_its_copies)
{
	put("/proc/self/mountinfo", V2("/", "/sys/fs/cgroup"));
	put_group("/sys/fs/cgroup/job");
	put_group("/sys/fs/cgroup/job/carom-17.0");
	put_group("/sys/fs/cgroup/job/carom-17.0/program");
	put_group("/sys/fs/cgroup/job/carom-17.0/worker-1");
	put("/proc/self/cgroup", "0::/job/carom-17.0/program\n");
	expect_base("/sys/fs/cgroup/job");
	/* a worker is limited by its own group, and so is what it starts */
	put("/proc/self/cgroup", "0::/job/carom-17.0/worker-1\n");
	expect_base("/sys/fs/cgroup/job/carom-17.0/worker-1");
	put_group("/sys/fs/cgroup/job/other/program");
	put("/proc/self/cgroup", "0::/job/other/program\n");
	expect_base("/sys/fs/cgroup/job/other/program");
}

Test(cgroup_base, is_not_above_what_is_mounted)
{
	put("/proc/self/cgroup", "0::/carom-17.0/program\n");
	put("/proc/self/mountinfo", V2("/carom-17.0", "/sys/fs/cgroup"));
	put_group("/sys/fs/cgroup");
	put_group("/sys/fs/cgroup/program");
	expect_base("/sys/fs/cgroup/program");
}

/* --- where it cannot be ------------------------------------------------- */

Test(cgroup_base, is_refused_without_v2)
{
	put("/proc/self/cgroup", "4:memory:/x\n");
	put("/proc/self/mountinfo", V1("/sys/fs/cgroup/memory"));
	expect_refusal(-EOPNOTSUPP, "no cgroup v2");
	put("/proc/self/cgroup", "4:memory:/x\n0::/\n");
	expect_refusal(-EOPNOTSUPP, "no cgroup v2");
}

Test(cgroup_base, is_refused_without_proc)
{
	expect_refusal(-EOPNOTSUPP, "/proc/self");
}

Test(cgroup_base, is_refused_where_threads_are_divided)
{
	static const char *const types[] = { "threaded\n", "domain threaded\n", "domain invalid\n",
					     "", "domains\n" };

	put("/proc/self/cgroup", "0::/a\n");
	put("/proc/self/mountinfo", V2("/", "/sys/fs/cgroup"));
	put_group("/sys/fs/cgroup/a");
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		put("/sys/fs/cgroup/a/cgroup.type", types[i]);
		expect_refusal(-EOPNOTSUPP, "cgroup.type");
	}
}

Test(cgroup_base, is_refused_where_it_is_not_shown)
{
	put("/proc/self/cgroup", "0::/a\n");
	put("/proc/self/mountinfo", V2("/b", "/sys/fs/cgroup"));
	expect_refusal(-EOPNOTSUPP, "no cgroup v2");
	put("/proc/self/mountinfo", V2("/", "/sys/fs/cgroup")); /* but it is not there */
	expect_refusal(-EOPNOTSUPP, "/sys/fs/cgroup/a");
}

Test(cgroup_base, that_was_not_delegated_is_refused_with_what_helps)
{
	put("/proc/self/cgroup", "0::/user.slice/session.scope\n");
	put("/proc/self/mountinfo", V2("/", "/sys/fs/cgroup"));
	put_group("/sys/fs/cgroup/user.slice/session.scope");
	if (geteuid() == 0)
		cr_assert(setgroups(0, NULL) == 0 && setresuid(65534, 65534, 0) == 0);
	else
		cr_assert(zero(int, chmod(root, 0755)));
	if (access(root, W_OK) == 0)
		cr_skip_test("skipped: its files are this user's own");
	expect_refusal(-EACCES, "`systemd-run --user --scope -p Delegate=yes PROGRAM`");
	cr_expect(zero(int, setresuid(0, 0, 0)));
}

Test(cgroup_base, is_refused_where_the_environment_says_so)
{
	setenv("CAROM_DENY", "cgroup_v2", 1);
	put("/proc/self/cgroup", "0::/a\n");
	put("/proc/self/mountinfo", V2("/", "/sys/fs/cgroup"));
	put_group("/sys/fs/cgroup/a");
	expect_refusal(-ECANCELED, "CAROM_DENY");
}

/* --- nonsense ---------------------------------------------------------- */

Test(cgroup_base, is_not_found_in_nonsense)
{
	static const char *const groups[] = {
		"",        "\n",       "0",          "0:",
		"0::",     "0::\n",    "::/a\n",     "0:memory:/a\n",
		"x::/a\n", "0:::/a\n", "\xff\xfe\n", "1::/a\n",
	};
	static const char *const mounts[] = {
		"",
		"\n",
		"26\n",
		" - \n",
		"26 22 0:26 / /sys/fs/cgroup rw\n",
		"26 22 0:26 / /sys/fs/cgroup rw - \n",
		"26 22 0:26 / /sys/fs/cgroup rw - cgroup2\n",
		"26 22 0:26 - cgroup2 cgroup2 rw\n",
		"26 22 0:26 / - cgroup2 cgroup2 rw\n",
		"26 22 0:26 / /sys/fs/cgroup\\ rw - cgroup2 cgroup2 rw\n",
		"26 22 0:26 / /sys/fs/cgroup\\0 rw - cgroup2 cgroup2 rw\n",
		"26 22 0:26 /sy\\s/.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"26 22 0:26 /.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"26 22 0:26 /a/.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"- - - - - - - - -\n",
	};
	char reason[CAROM_CGROUP_REASON_SIZE];
	struct carom_cgroup_base base;

	put_group("/sys/fs/cgroup/a");
	put("/proc/self/mountinfo", V2("/", "/sys/fs/cgroup"));
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		put("/proc/self/cgroup", groups[i]);
		cr_expect(eq(int, look(reason, &base), -EOPNOTSUPP), "\"%s\"", groups[i]);
	}
	put("/proc/self/cgroup", "0::/a\n");
	for (size_t i = 0; i < sizeof(mounts) / sizeof(*mounts); i++) {
		put("/proc/self/mountinfo", mounts[i]);
		cr_expect(eq(int, look(reason, &base), -EOPNOTSUPP), "\"%s\"", mounts[i]);
	}
}

Test(cgroup_base, may_have_a_name_that_is_too_long)
{
	char line[3 * PATH_MAX] = "0::";

	memset(line + 3, 'a', 2 * PATH_MAX);
	line[3] = '/';
	put("/proc/self/cgroup", line);
	put("/proc/self/mountinfo", V2("/", "/sys/fs/cgroup"));
	expect_refusal(-ENAMETOOLONG, "too long");
}

/* --- controllers that are missing --------------------------------------- */

Test(cgroup_base, without_a_controller_says_who_has_it)
{
	char reason[CAROM_CGROUP_REASON_SIZE];

	put("/proc/self/cgroup", "4:memory:/x\n0::/\n");
	put("/proc/self/mountinfo", V1("/sys/fs/cgroup/memory") V2("/", "/sys/fs/cgroup/unified"));
	carom_cgroup_explain_missing(root, "/sys/fs/cgroup/unified", CAROM_CGROUP_MEMORY,
				     "hugetlb\n", reason);
	cr_expect(ne(ptr, strstr(reason, "systemd.unified_cgroup_hierarchy=1"), NULL), "%s",
		  reason);
	carom_cgroup_explain_missing(root, "/sys/fs/cgroup/unified", CAROM_CGROUP_PIDS, "hugetlb\n",
				     reason);
	cr_expect(ne(ptr, strstr(reason, "pids"), NULL), "%s", reason);
	cr_expect(ne(ptr, strstr(reason, "hugetlb"), NULL), "%s", reason);
	cr_expect(ne(ptr, strstr(reason, "Delegate=yes"), NULL), "%s", reason);
}
