/*
 * Groups: a cgroup for each test, in which it stands alone
 *
 * Criterion's runner stands in the group that the suite was started in, and only a group
 * without processes hands controllers on. So the runner steps into BASE/runner for as long
 * as it runs, with who has started it if that is a script in a session without a terminal, and
 * each test that asks for it into BASE/test-PID. Where cgroup v2 cannot be
 * written, such tests are skipped by name, with the reason.
 */
#ifndef TESTS_CORE_GROUPS_H
#define TESTS_CORE_GROUPS_H

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cgroup_base.h"
#include "core/cgroup_controllers.h"
#include "core/cgroup_file.h"
#include "core/cgroup_group.h"
#include "core/cgroup_home.h"
#include "core/cgroup_remove.h"

#define BASE_VARIABLE   "CAROM_TEST_BASE"   /* the directory, for the tests' processes */
#define REASON_VARIABLE "CAROM_TEST_REASON" /* or why there is none */

static inline int open_group(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Controllers that the group has, and could hand on. */
static inline uint32_t controllers_of(int fd)
{
	uint32_t controllers = 0;

	carom_cgroup_controllers_read(fd, "cgroup.controllers", &controllers);
	return controllers;
}

/*
 * Not of a test of another suite that stands in it now, nor the groups that it has made; and not
 * of one that has made it and is about to enter.
 */
static inline int remove_if_tests(int parent_fd, const char *name, void *unused)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (strncmp(name, "test-", 5) == 0 && kill((pid_t)atoi(name + 5), 0) < 0 &&
	    carom_cgroup_file_is_populated(fd) == 0)
		carom_cgroup_remove(parent_fd, name);
	close(fd);
	return 0;
}

static inline void remove_tests_groups(int base_fd)
{
	carom_cgroup_file_groups(base_fd, remove_if_tests, NULL);
}

struct from_to {
	int from_fd;
	int to_fd;
	int count;
};

/* A session without a terminal is nobody's shell. */
static inline int move_one(pid_t pid, void *userdata)
{
	struct from_to *way = userdata;

	if (pid == 0 || getsid(pid) != getsid(0))
		return 0;
	way->count++;
	return carom_cgroup_file_write_number(way->to_fd, "cgroup.procs", (uint64_t)pid);
}

/* Again and again, as the list is not one of one instant. */
static inline void move_all(int from_fd, int to_fd)
{
	struct from_to way = { from_fd, to_fd, 0 };

	for (int i = 0; i < 10 && open("/dev/tty", O_RDONLY | O_CLOEXEC) < 0; i++) {
		way.count = 0;
		if (carom_cgroup_file_members(from_fd, move_one, &way) == 0 && way.count == 0)
			break;
	}
}

static inline void step_aside_for_tests(const struct carom_cgroup_base *base)
{
	char reason[CAROM_CGROUP_REASON_SIZE] = "";
	int fd;

	mkdirat(base->fd, "runner", 0755);
	fd = openat(base->fd, "runner", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	move_all(base->fd, fd);
	if (carom_cgroup_enable(base->fd, base->path, controllers_of(base->fd), reason) < 0)
		setenv(REASON_VARIABLE, reason, 1);
	close(fd);
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
	char reason[CAROM_CGROUP_REASON_SIZE] = "";
	struct carom_cgroup_base base;

	(void)tests;
	if (carom_cgroup_base_open("", reason, &base) < 0) {
		setenv(REASON_VARIABLE, reason, 1);
		return;
	}
	setenv(BASE_VARIABLE, base.path, 1);
	remove_tests_groups(base.fd);
	if (!base.is_root && controllers_of(base.fd))
		step_aside_for_tests(&base);
	close(base.fd);
}

static inline void step_back(int base_fd)
{
	int fd = openat(base_fd, "runner", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	for (uint32_t i = 0; i < CAROM_CGROUP_CONTROLLER_COUNT; i++) {
		char word[16];

		snprintf(word, sizeof(word), "-%s", carom_cgroup_controller_name(i));
		carom_cgroup_file_write(base_fd, "cgroup.subtree_control", word);
	}
	move_all(fd, base_fd);
	close(fd);
	carom_cgroup_remove(base_fd, "runner");
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
	const char *path = getenv(BASE_VARIABLE);
	int fd = path ? open_group(path) : -1;

	(void)stats;
	if (fd < 0)
		return;
	remove_tests_groups(fd);
	step_back(fd);
	close(fd);
}

/* Stand alone in a group. Return: its directory, the caller's. Skips the test where it cannot be. */
static inline int stand_alone(void)
{
	const char *path = getenv(BASE_VARIABLE);
	char name[32];
	int base_fd, fd;

	if (getenv(REASON_VARIABLE))
		cr_skip_test("skipped: %s", getenv(REASON_VARIABLE));
	base_fd = path ? open_group(path) : -1;
	snprintf(name, sizeof(name), "test-%d", getpid());
	cr_assert(base_fd >= 0 && mkdirat(base_fd, name, 0755) == 0, "%s: %s", path,
		  strerror(errno));
	fd = openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(fd >= 0 && carom_cgroup_enter(fd) == 0);
	close(base_fd);
	return fd;
}

/* Likewise, with controllers. */
static inline int stand_alone_with(uint32_t controllers)
{
	int fd = stand_alone();
	uint32_t missing = controllers & ~controllers_of(fd);

	if (missing)
		cr_skip_test("skipped: there is no %s controller on cgroup v2 here",
			     carom_cgroup_controller_name((uint32_t)__builtin_ctz(missing)));
	return fd;
}

static inline int count_group(int parent_fd, const char *name, void *count)
{
	++*(size_t *)count;
	return 0;
}

/* How many groups stand in a group. */
static inline size_t groups_in(int fd)
{
	size_t count = 0;

	carom_cgroup_file_groups(fd, count_group, &count);
	return count;
}

/* What a file of a group says, until the next call. */
static inline char *text_of(int fd, const char *file)
{
	static char text[4096];
	int r = carom_cgroup_file_read(fd, file, text, sizeof(text));

	if (r < 0)
		snprintf(text, sizeof(text), "%s: %s", file, strerror(-r));
	text[strcspn(text, "\n")] = '\0';
	return text;
}

#endif
