/* Cgroup: groups of processes, made, filled, limited, killed, removed. */
#include "core/cgroup_group.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cgroup_usage.h"
#include "core/cleanup.h"
#include "core/clone.h"
#include "core/time.h"
#include "tests/core/groups.h"

TestSuite(cgroup_group, .timeout = 60);

#define MIB (1024 * 1024)

static struct carom_cgroup *new_group(struct carom_cgroup *parent,
				      const struct carom_cgroup_limits *limits)
{
	char reason[CAROM_CGROUP_REASON_SIZE] = "";
	struct carom_cgroup *group = NULL;
	int r = carom_cgroup_new(&(struct carom_cgroup_options){ .parent = parent,
								 .name = "worker",
								 .limits = limits },
				 reason, &group);

	cr_assert(eq(int, r, 0), "%s", reason);
	return group;
}

/* A child that is born in the group and does what it is told. */
static pid_t start_in(struct carom_cgroup *group, void (*function)(void))
{
	int pidfd = -1;
	pid_t pid = carom_clone(
		&(struct carom_clone_options){ .cgroup_fd = carom_cgroup_fd(group) }, &pidfd);

	cr_assert(ge(int, pid, 0));
	if (pid == 0) {
		function();
		_exit(0);
	}
	close(pidfd);
	return pid;
}

static int status_of(pid_t pid)
{
	int status = 0;

	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	return status;
}

static void sleep_on(void)
{
	for (;;)
		pause();
}

Test(cgroup_group, holds_a_process_that_is_born_in_it)
{
	CAROM_CLEANUP(carom_closep) int fd = stand_alone();
	struct carom_cgroup *group = new_group(NULL, NULL);
	pid_t pid = start_in(group, sleep_on);
	size_t count = 0;

	cr_expect(eq(int, carom_cgroup_is_populated(group), 1));
	cr_expect(zero(int, carom_cgroup_process_count(group, &count)));
	cr_expect(eq(sz, count, 1));
	cr_expect(zero(int, carom_cgroup_kill(group)));
	cr_expect(eq(int, WTERMSIG(status_of(pid)), SIGKILL));
	cr_expect(
		zero(int, carom_cgroup_wait_empty(group, carom_deadline_after(CAROM_SECONDS(20)))));
	group = carom_cgroup_free(group);
	cr_expect(eq(sz, carom_cgroup_count(), 0));
	cr_expect(zero(int, carom_cgroup_home_leave()));
	cr_expect(eq(sz, groups_in(fd), 0));
}

static void take_too_much(void)
{
	size_t size = 64 * MIB;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(memory, 1, size);
}

Test(cgroup_group, kills_who_passes_its_limit_of_memory)
{
	CAROM_CLEANUP(carom_closep) int fd = stand_alone_with(CAROM_CGROUP_MEMORY);
	struct carom_cgroup *group =
		new_group(NULL, &CAROM_CGROUP_LIMITS(.memory_bytes = 16 * MIB, .oom_group = 1));
	struct carom_cgroup_memory_events events;
	uint64_t peak = 0;
	int status = status_of(start_in(group, take_too_much));

	cr_expect(eq(int, WTERMSIG(status), SIGKILL));
	cr_expect(zero(int, carom_cgroup_memory_events(group, false, &events)));
	cr_expect(ge(u64, events.oom_kill, 1));
	cr_expect(zero(int, carom_cgroup_memory_events(group, true, &events)));
	cr_expect(ge(u64, events.oom_kill, 1));
	cr_expect(zero(int, carom_cgroup_memory_peak(group, &peak)));
	cr_expect(eq(u64, peak, 16 * MIB));
	group = carom_cgroup_free(group);
	cr_expect(zero(int, carom_cgroup_home_leave()));
	cr_expect(eq(sz, groups_in(fd), 0));
	cr_expect(eq(str, text_of(fd, "cgroup.subtree_control"), (char *)""));
}
