/* Cgroup: the texts of a group's files, and nonsense in their place. */
#include "core/cgroup_file.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cgroup_base.h"
#include "core/cgroup_controllers.h"

static char directory[] = "/tmp/carom-cgroup-file-XXXXXX";
static int dir_fd = -1;

static void make_directory(void)
{
	cr_assert(ne(ptr, mkdtemp(directory), NULL));
	dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(ge(int, dir_fd, 0));
}

static void remove_directory(void)
{
	unlinkat(dir_fd, "file", 0);
	unlinkat(dir_fd, "cgroup.procs", 0);
	unlinkat(dir_fd, "cgroup.events", 0);
	close(dir_fd);
	rmdir(directory);
}

static void put_bytes(const char *file, const char *text, size_t size)
{
	int fd = openat(dir_fd, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	cr_assert(ge(int, fd, 0));
	cr_assert(eq(sz, (size_t)write(fd, text, size), size));
	close(fd);
}

static void put(const char *file, const char *text)
{
	put_bytes(file, text, strlen(text));
}

TestSuite(cgroup_file, .init = make_directory, .fini = remove_directory, .timeout = 20);

Test(cgroup_file, number_is_the_whole_file)
{
	static const struct {
		const char *text;
		int r;
		uint64_t number;
	} cases[] = {
		{ "0\n", 0, 0 },
		{ "4096", 0, 4096 },
		{ "max\n", 0, UINT64_MAX },
		{ "18446744073709551615\n", 0, UINT64_MAX },
		{ "18446744073709551616\n", -EBADMSG, 0 },
		{ "99999999999999999999999999999\n", -EBADMSG, 0 },
		{ "", -EBADMSG, 0 },
		{ "\n", -EBADMSG, 0 },
		{ "-1\n", -EBADMSG, 0 },
		{ "+1\n", -EBADMSG, 0 },
		{ " 1\n", -EBADMSG, 0 },
		{ "1 2\n", -EBADMSG, 0 },
		{ "1\n2\n", -EBADMSG, 0 },
		{ "0x10\n", -EBADMSG, 0 },
		{ "12a\n", -EBADMSG, 0 },
		{ "maximum\n", -EBADMSG, 0 },
		{ "m\n", -EBADMSG, 0 },
		{ "\xff\xff\n", -EBADMSG, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t number = 77;

		put("file", cases[i].text);
		cr_expect(eq(int, carom_cgroup_file_number(dir_fd, "file", &number), cases[i].r),
			  "\"%s\"", cases[i].text);
		cr_expect(eq(u64, number, cases[i].r == 0 ? cases[i].number : 77), "\"%s\"",
			  cases[i].text);
	}
}

Test(cgroup_file, number_is_not_looked_for_in_a_long_text)
{
	char text[8192];
	uint64_t number;

	memset(text, '1', sizeof(text));
	put_bytes("file", text, sizeof(text));
	cr_expect(eq(int, carom_cgroup_file_number(dir_fd, "file", &number), -EBADMSG));
	put_bytes("file", "12\0003\n", 6);
	cr_expect(eq(int, carom_cgroup_file_number(dir_fd, "none", &number), -ENOENT));
}

Test(cgroup_file, field_is_found_by_its_whole_name)
{
	static const struct {
		const char *text;
		int r;
		uint64_t number;
	} cases[] = {
		{ "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\n", 0, 4 },
		{ "oom_kill 5", 0, 5 },
		{ "oom_kill_other 9\noom_kill 6\n", 0, 6 },
		{ "oom 9\noom_kill max\n", 0, UINT64_MAX },
		{ "oom_kill\n", -ENOENT, 0 },
		{ "oom_kill", -ENOENT, 0 },
		{ "", -ENOENT, 0 },
		{ "\n\n\n", -ENOENT, 0 },
		{ " oom_kill 4\n", -ENOENT, 0 },
		{ "xoom_kill 4\n", -ENOENT, 0 },
		{ "oom_kill\t4\n", -ENOENT, 0 },
		{ "oom_kill  4\n", -EBADMSG, 0 },
		{ "oom_kill -4\n", -EBADMSG, 0 },
		{ "oom_kill \n", -EBADMSG, 0 },
		{ "oom_kill 4x\n", -EBADMSG, 0 },
		{ "oom_kill 18446744073709551616\n", -EBADMSG, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t number = 77;

		cr_expect(eq(int, carom_cgroup_text_field(cases[i].text, "oom_kill", &number),
			     cases[i].r),
			  "\"%s\"", cases[i].text);
		cr_expect(eq(u64, number, cases[i].r == 0 ? cases[i].number : 77), "\"%s\"",
			  cases[i].text);
	}
}

Test(cgroup_file, populated_is_yes_or_no_or_nonsense)
{
	static const struct {
		const char *text;
		int r;
	} cases[] = {
		{ "populated 1\nfrozen 0\n", 1 },
		{ "populated 0\nfrozen 0\n", 0 },
		{ "frozen 1\npopulated 1\n", 1 },
		{ "frozen 0\n", -EBADMSG },
		{ "", -EBADMSG },
		{ "populated yes\n", -EBADMSG },
		{ "populated\n", -EBADMSG },
	};

	cr_expect(eq(int, carom_cgroup_file_is_populated(dir_fd), -ENOENT));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		put("cgroup.events", cases[i].text);
		cr_expect(eq(int, carom_cgroup_file_is_populated(dir_fd), cases[i].r), "\"%s\"",
			  cases[i].text);
	}
}

Test(cgroup_file, controllers_are_whole_words)
{
	cr_expect(eq(u32, carom_cgroup_controllers("cpuset cpu io memory hugetlb pids\n"),
		     CAROM_CGROUP_MEMORY | CAROM_CGROUP_PIDS | CAROM_CGROUP_CPU));
	cr_expect(eq(u32, carom_cgroup_controllers("cpuset cpuacct memory2 xpids\n"), 0));
	cr_expect(eq(u32, carom_cgroup_controllers("  \n\n  cpu"), CAROM_CGROUP_CPU));
	cr_expect(eq(u32, carom_cgroup_controllers(""), 0));
}

/* --- members ----------------------------------------------------------- */

struct sum {
	size_t count;
	int64_t pids;
	pid_t end_at;
};

static int add_up(pid_t pid, void *userdata)
{
	struct sum *sum = userdata;

	sum->count++;
	sum->pids += pid;
	return pid == sum->end_at ? -EBUSY : 0;
}

Test(cgroup_file, members_are_the_lines)
{
	static const struct {
		const char *text;
		int r;
		size_t count;
	} cases[] = {
		{ "", 0, 0 },
		{ "1\n", 0, 1 },
		{ "0\n17\n4194304\n", 0, 3 },
		{ "1\n2", -EBADMSG, 1 },
		{ "1\n\n2\n", -EBADMSG, 1 },
		{ "1\n-2\n", -EBADMSG, 1 },
		{ "1\n2147483648\n", -EBADMSG, 1 },
		{ "1 2\n", -EBADMSG, 0 },
		{ "max\n", -EBADMSG, 0 },
		{ "one\n", -EBADMSG, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct sum sum = { .end_at = -1 };

		put("cgroup.procs", cases[i].text);
		cr_expect(eq(int, carom_cgroup_file_members(dir_fd, add_up, &sum), cases[i].r),
			  "\"%s\"", cases[i].text);
		cr_expect(eq(sz, sum.count, cases[i].count), "\"%s\"", cases[i].text);
	}
}

Test(cgroup_file, members_may_be_more_than_are_read_at_once)
{
	struct sum sum = { .end_at = -1 };
	char *text = malloc(400000), *at = text;

	for (int i = 1; i <= 50000; i++)
		at += sprintf(at, "%d\n", i);
	put("cgroup.procs", text);
	cr_expect(zero(int, carom_cgroup_file_members(dir_fd, add_up, &sum)));
	cr_expect(eq(sz, sum.count, 50000));
	cr_expect(eq(i64, sum.pids, INT64_C(50000) * 50001 / 2));
	sum = (struct sum){ .end_at = 30000 };
	cr_expect(eq(int, carom_cgroup_file_members(dir_fd, add_up, &sum), -EBUSY));
	cr_expect(eq(sz, sum.count, 30000));
	memset(text, '1', 5000);
	put_bytes("cgroup.procs", text, 5000);
	cr_expect(eq(int, carom_cgroup_file_members(dir_fd, add_up, &sum), -EBADMSG));
	free(text);
}

/* --- names ------------------------------------------------------------- */

Test(cgroup_file, home_is_known_by_its_name)
{
	static const char *const others[] = { "",           "carom-",      "carom-1",   "carom-1.",
					      "carom-.1",   "carom-1.1x",  "carom-x.1", "Carom-1.1",
					      "xcarom-1.1", "carom-1.1.1", "carom-1 .1" };

	cr_expect(carom_cgroup_home_is_name("carom-1.0"));
	cr_expect(carom_cgroup_home_is_name("carom-4194304.999"));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		cr_expect(not(carom_cgroup_home_is_name(others[i])), "%s", others[i]);
}
