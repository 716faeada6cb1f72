/* Cgroup: groups of processes, made, filled, limited, killed, removed. */
#include "core/cgroup_group.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cgroup_usage.h"
#include "core/cleanup.h"
#include "core/clone.h"
#include "core/cpu.h"
#include "core/descriptors.h"
#include "core/service.h"
#include "core/time.h"
#include "tests/core/apart.h"
#include "tests/core/groups.h"

TestSuite(cgroup_group, .timeout = 60);

#define MIB  (1024 * 1024)
#define SOON carom_deadline_after(CAROM_SECONDS(40))

static int alone; /* the directory of the group that the test stands in */

static struct carom_cgroup *new_group(struct carom_cgroup *parent,
				      const struct carom_cgroup_limits *limits)
{
	char reason[CAROM_CGROUP_REASON_SIZE] = "";
	struct carom_cgroup *group = NULL;
	int r = carom_cgroup_new(&(struct carom_cgroup_options){ .parent = parent,
								 .name = "worker",
								 .limits = limits },
				 reason, &group);

	if (r < 0)
		fprintf(stderr, "%s\n", reason);
	CHECK(r == 0);
	return group;
}

/* A child that is born in the group, or has entered it, and does what it is told. */
static pid_t start_in(struct carom_cgroup *group, void (*function)(void))
{
	int pidfd = -1, ready[2];
	char byte;
	pid_t pid;

	CHECK(pipe(ready) == 0);
	pid = carom_clone(&(struct carom_clone_options){ .cgroup_fd = carom_cgroup_fd(group) },
			  &pidfd);
	CHECK(pid >= 0);
	if (pid == 0) {
		if (write(ready[1], "", 1) == 1)
			function();
		_exit(0);
	}
	close(ready[1]);
	CHECK(read(ready[0], &byte, 1) >= 0); /* it may have been killed before */
	close(ready[0]);
	close(pidfd);
	return pid;
}

static int status_of(pid_t pid)
{
	int status = 0;

	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void sleep_on(void)
{
	for (;;)
		pause();
}

Test(cgroup_group, holds_a_process_that_is_born_in_it)
{
	struct carom_cgroup *group;
	size_t count = 0;
	pid_t pid;

	alone = stand_alone();
	group = new_group(NULL, NULL);
	pid = start_in(group, sleep_on);
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
	cr_expect(eq(sz, groups_in(alone), 0));
}

/* All that the test has made is gone. */
static void expect_nothing_left(void)
{
	cr_expect(eq(sz, carom_cgroup_count(), 0));
	cr_expect(zero(int, carom_cgroup_home_leave()));
	cr_expect(eq(sz, groups_in(alone), 0));
}

/* --- processes --------------------------------------------------------- */

/* A daemon: of another session, and nobody's child any more. */
static void leave_a_daemon(void)
{
	if (fork() == 0) {
		setsid();
		if (fork() == 0)
			sleep_on();
		_exit(0);
	}
	wait(NULL);
}

static void kill_daemons(void)
{
	struct carom_cgroup *group, *inner;
	pid_t pid;

	group = new_group(NULL, NULL);
	inner = new_group(group, NULL);
	CHECK(status_of(start_in(group, leave_a_daemon)) == 0);
	pid = start_in(inner, sleep_on);
	CHECK(carom_cgroup_is_populated(group) == 1);
	CHECK(carom_cgroup_kill(group) == 0);
	CHECK(carom_cgroup_wait_empty(group, SOON) == 0);
	CHECK(waitpid(pid, NULL, 0) == pid);
	carom_cgroup_free(inner);
	carom_cgroup_free(group);
	CHECK(carom_cgroup_count() == 0);
	CHECK(carom_cgroup_home_leave() == 0);
}

Test(cgroup_group, is_killed_with_all_that_descends_from_its_processes)
{
	alone = stand_alone();
	cr_expect(zero(int, apart(kill_daemons)));
	expect_nothing_left();
}

Test(cgroup_group, is_killed_one_by_one_before_linux_5_14)
{
	alone = stand_alone();
	cr_expect(zero(int, apart_with("CAROM_DENY", "cgroup_kill", kill_daemons)));
	expect_nothing_left();
}

static void fork_on(void)
{
	for (;;)
		if (fork() < 0)
			usleep(1000);
}

static void kill_a_storm(void)
{
	struct carom_cgroup *group = new_group(NULL, &CAROM_CGROUP_LIMITS(.process_count = 16));
	pid_t pid = start_in(group, fork_on);
	struct carom_cgroup_pids pids = { 0 };

	while (carom_cgroup_pids(group, &pids) == 0 && pids.max_count == 0)
		sched_yield();
	CHECK(pids.current <= 16 && pids.peak <= 16);
	CHECK(carom_cgroup_kill(group) == 0);
	while (carom_cgroup_wait_empty(group, carom_deadline_after(CAROM_NS_PER_SEC)) == -ETIMEDOUT)
		CHECK(carom_cgroup_kill(group) == 0); /* one by one, the last may come too late */
	CHECK(waitpid(pid, NULL, 0) == pid);
	carom_cgroup_free(group);
	CHECK(carom_cgroup_count() == 0);
}

Test(cgroup_group, holds_and_ends_a_storm_of_forks)
{
	struct carom_cgroup *group;

	alone = stand_alone_with(CAROM_CGROUP_PIDS);
	group = new_group(
		NULL,
		&CAROM_CGROUP_LIMITS(.process_count = 1)); /* this test has to step aside first */
	cr_expect(zero(int, apart(kill_a_storm)));
	cr_expect(zero(int, apart_with("CAROM_DENY", "cgroup_kill", kill_a_storm)));
	carom_cgroup_free(group);
	expect_nothing_left();
}

Test(cgroup_group, takes_a_process_in)
{
	struct carom_cgroup *group;
	pid_t pid;
	size_t count = 0;
	int fd;

	alone = stand_alone();
	group = new_group(NULL, NULL);
	pid = fork();
	if (pid == 0)
		sleep_on();
	cr_expect(zero(int, carom_cgroup_admit(group, pid)));
	cr_expect(zero(int, carom_cgroup_process_count(group, &count)));
	cr_expect(eq(sz, count, 1));
	kill(pid, SIGKILL);
	status_of(pid);
	cr_expect(eq(int, carom_cgroup_admit(group, pid), -ESRCH));
	fd = dup(carom_cgroup_fd(group)); /* that one is closed in a copy of this process */
	pid = fork();
	if (pid == 0)
		_exit(carom_cgroup_enter(fd) == 0 && carom_cgroup_file_is_populated(fd) == 1 ? 0
											     : 1);
	cr_expect(zero(int, status_of(pid)));
	close(fd);
	carom_cgroup_free(group);
	expect_nothing_left();
}

/* --- the end ----------------------------------------------------------- */

Test(cgroup_group, that_is_freed_with_processes_is_removed_by_the_loop)
{
	CAROM_CLEANUP(carom_closep) int notify_fd = inotify_init1(IN_CLOEXEC);
	struct carom_service *service;
	struct carom_cgroup *pool, *group;
	char home[PATH_MAX];
	pid_t pid;

	alone = stand_alone();
	cr_assert(zero(int, carom_service_get(&service)));
	pool = new_group(NULL, NULL);
	group = new_group(pool, NULL);
	snprintf(home, sizeof(home), "%.*s",
		 (int)(strrchr(carom_cgroup_path(pool), '/') - carom_cgroup_path(pool)),
		 carom_cgroup_path(pool));
	cr_assert(ge(int, inotify_add_watch(notify_fd, home, IN_DELETE), 0));
	pid = start_in(group, sleep_on);
	pool = carom_cgroup_free(pool);
	group = carom_cgroup_free(group);
	cr_expect(eq(sz, carom_cgroup_count(), 2));
	cr_expect(eq(sz, carom_cgroup_bury(), 2));
	kill(pid, SIGKILL);
	cr_expect(zero(int, carom_descriptor_wait(notify_fd, SOON)));
	cr_expect(eq(int, WTERMSIG(status_of(pid)), SIGKILL));
	expect_nothing_left();
}

Test(cgroup_group, that_is_freed_with_processes_is_removed_by_who_asks)
{
	struct carom_cgroup *group, *watched;
	pid_t pid;

	alone = stand_alone();
	watched = new_group(NULL, NULL);
	group = new_group(watched, NULL);
	pid = start_in(group, sleep_on);
	group = carom_cgroup_free(group);
	cr_expect(eq(sz, carom_cgroup_bury(), 1));
	kill(pid, SIGKILL);
	cr_expect(zero(int, carom_cgroup_wait_empty(watched, SOON)));
	cr_expect(zero(sz, carom_cgroup_bury()));
	watched = carom_cgroup_free(watched);
	status_of(pid);
	expect_nothing_left();
}

Test(cgroup_group, leaves_no_descriptors_and_no_directories)
{
	int before;

	alone = stand_alone();
	carom_cgroup_free(new_group(NULL, NULL));
	before = count_fds();
	for (int i = 0; i < 100; i++) {
		struct carom_cgroup *pool = new_group(NULL, NULL);
		struct carom_cgroup *group = new_group(pool, NULL);

		if (i % 2)
			carom_cgroup_free(pool);
		carom_cgroup_free(group);
		if (i % 2 == 0)
			carom_cgroup_free(pool);
	}
	cr_expect(eq(int, count_fds(), before));
	cr_expect(eq(sz, carom_cgroup_count(), 0));
	expect_nothing_left();
}

/* --- refusals ---------------------------------------------------------- */

static int refused(const struct carom_cgroup_limits *limits, char *reason)
{
	struct carom_cgroup *group = NULL;
	int r = carom_cgroup_new(&(struct carom_cgroup_options){ .limits = limits }, reason,
				 &group);

	cr_expect(eq(ptr, group, NULL));
	return r;
}

Test(cgroup_group, is_refused_where_no_more_are_allowed)
{
	char reason[CAROM_CGROUP_REASON_SIZE] = "";
	struct carom_cgroup *group;

	alone = stand_alone();
	cr_assert(zero(int, carom_cgroup_file_write(alone, "cgroup.max.descendants", "3")));
	group = new_group(NULL, NULL);
	cr_expect(eq(int, refused(NULL, reason), -EAGAIN));
	cr_expect(ne(ptr, strstr(reason, "/group-2: "), NULL), "%s", reason);
	carom_cgroup_free(group);
	expect_nothing_left();
	cr_assert(zero(int, carom_cgroup_file_write(alone, "cgroup.max.descendants", "0")));
	cr_expect(eq(int, refused(NULL, reason), -EAGAIN));
	cr_expect(ne(ptr, strstr(reason, "carom-"), NULL), "%s", reason);
	expect_nothing_left();
}

Test(cgroup_group, with_bad_limits_is_refused_before_anything_is_made)
{
	char reason[CAROM_CGROUP_REASON_SIZE] = "";

	alone = stand_alone();
	cr_expect(eq(int, refused(&CAROM_CGROUP_LIMITS(.memory_bytes = 3), reason), -EINVAL));
	cr_expect(ne(ptr, strstr(reason, "memory_bytes"), NULL), "%s", reason);
	expect_nothing_left();
}

Test(cgroup_group, is_refused_where_the_hierarchy_is_read_only)
{
	char reason[CAROM_CGROUP_REASON_SIZE] = "";
	const char *path;
	char mount_point[PATH_MAX];

	alone = stand_alone();
	path = getenv(BASE_VARIABLE);
	snprintf(mount_point, sizeof(mount_point), "/sys/fs/cgroup%s",
		 access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0 ? "" : "/unified");
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(mount_point, mount_point, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, mount_point, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
		cr_skip_test("skipped: no mount namespace can be made: %s", strerror(errno));
	cr_expect(ne(ptr, (char *)path, NULL));
	/* the writable one below it shows the group as well, and is asked first */
	cr_assert(
		zero(int, mount(NULL, mount_point, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL)));
	cr_expect(eq(int, refused(NULL, reason), -EROFS), "%s", reason);
	cr_expect(ne(ptr, strstr(reason, "read-only"), NULL), "%s", reason);
}

/* --- what is counted ---------------------------------------------------- */

Test(cgroup_group, without_a_controller_counts_nothing)
{
	struct carom_cgroup_memory_events events;
	struct carom_cgroup_pids pids;
	struct carom_cgroup_cpu cpu;
	struct carom_cgroup *group;
	uint64_t bytes;
	int fd;

	alone = stand_alone();
	group = new_group(NULL, NULL);
	cr_expect(eq(int, carom_cgroup_memory_events(group, false, &events), -EOPNOTSUPP));
	cr_expect(eq(int, carom_cgroup_memory_bytes(group, &bytes), -EOPNOTSUPP));
	cr_expect(eq(int, carom_cgroup_memory_peak(group, &bytes), -EOPNOTSUPP));
	cr_expect(eq(int, carom_cgroup_swap_bytes(group, &bytes), -EOPNOTSUPP));
	cr_expect(eq(int, carom_cgroup_peak_open(group, &fd), -EOPNOTSUPP));
	cr_expect(eq(int, carom_cgroup_pids(group, &pids), -EOPNOTSUPP));
	cr_expect(zero(int, carom_cgroup_cpu(group, &cpu))); /* time is counted in every group */
	cr_expect(eq(u64, cpu.period_count, 0));
	carom_cgroup_free(group);
	expect_nothing_left();
}

static void burn(void)
{
	for (;;)
		;
}

Test(cgroup_group, counts_and_limits_the_time_of_its_processes)
{
	struct carom_cgroup_cpu cpu = { 0 };
	struct carom_cgroup *group;
	pid_t pid;

	alone = stand_alone_with(CAROM_CGROUP_CPU);
	group = new_group(NULL, &CAROM_CGROUP_LIMITS(.cpu_quota_ns = CAROM_MILLISECONDS(2),
						     .cpu_period_ns = CAROM_MILLISECONDS(20)));
	pid = start_in(group, burn);
	/* until the test's time is up; how long it was held back is counted when it goes on */
	while (carom_cgroup_cpu(group, &cpu) == 0 && cpu.throttled_ns == 0)
		usleep(1000);
	kill(pid, SIGKILL);
	cr_expect(eq(int, status_of(pid), SIGKILL));
	cr_expect(zero(int, carom_cgroup_cpu(group, &cpu)));
	cr_expect(lt(u64, 0, cpu.usage_ns));
	cr_expect(lt(u64, 0, cpu.throttled_count));
	cr_expect(ge(u64, cpu.period_count, cpu.throttled_count));
	carom_cgroup_free(group);
	expect_nothing_left();
}

static int expected_count;

static void count_cpus(void)
{
	_exit(carom_cpu_count(CAROM_CPU_QUOTA) == expected_count ? 0 : 1);
}

/* PR-33 */
Test(cgroup_group, has_as_many_cpus_as_its_quota)
{
	static const struct {
		uint64_t quota_ms;
		int count;
	} cases[] = { { 10, 1 }, { 100, 1 }, { 101, 2 }, { 200, 2 }, { 250, 3 }, { 0, -ENODATA } };

	alone = stand_alone_with(CAROM_CGROUP_CPU);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct carom_cgroup *group =
			new_group(NULL, &CAROM_CGROUP_LIMITS(.cpu_quota_ns = CAROM_MILLISECONDS(
								     cases[i].quota_ms)));

		expected_count = cases[i].count;
		cr_expect(zero(int, status_of(start_in(group, count_cpus))), "%d",
			  (int)cases[i].quota_ms);
		carom_cgroup_free(group);
	}
	expect_nothing_left();
}

/* --- memory ------------------------------------------------------------ */

static char *take(size_t size)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory != MAP_FAILED)
		memset(memory, 1, size);
	return memory;
}

static void take_too_much(void)
{
	take(64 * MIB);
}

Test(cgroup_group, kills_who_passes_its_limit_of_memory)
{
	struct carom_cgroup_memory_events events;
	struct carom_cgroup *group;
	uint64_t peak = 0;

	alone = stand_alone_with(CAROM_CGROUP_MEMORY);
	group = new_group(NULL, &CAROM_CGROUP_LIMITS(.memory_bytes = 16 * MIB, .oom_group = 1));
	cr_expect(eq(int, WTERMSIG(status_of(start_in(group, take_too_much))), SIGKILL));
	cr_expect(zero(int, carom_cgroup_memory_events(group, false, &events)));
	cr_expect(ge(u64, events.oom_kill, 1));
	cr_expect(zero(int, carom_cgroup_memory_events(group, true, &events)));
	cr_expect(ge(u64, events.oom_kill, 1));
	cr_expect(zero(int, carom_cgroup_memory_peak(group, &peak)));
	cr_expect(eq(u64, peak, 16 * MIB));
	group = carom_cgroup_free(group);
	expect_nothing_left();
	cr_expect(eq(str, text_of(alone, "cgroup.subtree_control"), (char *)""));
}

static void take_with_a_daemon(void)
{
	leave_a_daemon();
	take(64 * MIB);
}

Test(cgroup_group, kills_all_its_processes_for_one_that_passes_the_limit)
{
	struct carom_cgroup *group;

	alone = stand_alone_with(CAROM_CGROUP_MEMORY);
	group = new_group(NULL, &CAROM_CGROUP_LIMITS(.memory_bytes = 16 * MIB, .oom_group = 1));
	cr_expect(eq(int, WTERMSIG(status_of(start_in(group, take_with_a_daemon))), SIGKILL));
	cr_expect(zero(int, carom_cgroup_wait_empty(group, SOON)));
	carom_cgroup_free(group);
	expect_nothing_left();
}

static void take_a_bit_and_stay(void)
{
	take(12 * MIB);
	sleep_on();
}

/* One limit around groups that each may have as much. */
/* PC-21 */
Test(cgroup_group, limits_the_groups_in_it_together)
{
	struct carom_cgroup *pool, *groups[4];
	struct carom_cgroup_memory_events events;
	uint64_t bytes = 0, peak = 0;
	int alive = 0, killed = 0;
	pid_t pids[4];

	alone = stand_alone_with(CAROM_CGROUP_MEMORY);
	pool = new_group(NULL, &CAROM_CGROUP_LIMITS(.memory_bytes = 32 * MIB));
	for (int i = 0; i < 4; i++) {
		groups[i] = new_group(
			pool, &CAROM_CGROUP_LIMITS(.memory_bytes = 24 * MIB, .oom_group = 1));
		pids[i] = start_in(groups[i], take_a_bit_and_stay);
	}
	do /* four times 12 do not fit: at least one is killed, and at least one is not */
		cr_assert(zero(int, carom_cgroup_memory_events(pool, false, &events)));
	while (events.oom_kill == 0);
	cr_expect(zero(int, carom_cgroup_memory_peak(pool, &peak)));
	cr_expect(le(u64, peak, 32 * MIB));
	cr_expect(zero(int, carom_cgroup_kill(pool)));
	for (int i = 0; i < 4; i++) {
		status_of(pids[i]);
		cr_expect(zero(int, carom_cgroup_memory_events(groups[i], true, &events)));
		cr_expect(eq(u64, events.max, 0)); /* it was not its own limit */
		killed += events.oom_kill > 0;
		alive += events.oom_kill == 0;
	}
	cr_expect(ge(int, killed, 1));
	cr_expect(ge(int, alive, 1));
	cr_expect(zero(int, carom_cgroup_memory_bytes(pool, &bytes)));
	for (int i = 0; i < 4; i++)
		carom_cgroup_free(groups[i]);
	carom_cgroup_free(pool);
	expect_nothing_left();
}

static int rounds[2];

static void take_in_rounds(void)
{
	char byte;

	munmap(take(8 * MIB), 8 * MIB);
	if (write(rounds[1], "", 1) == 1 && read(rounds[1], &byte, 1) == 1) {
		munmap(take(2 * MIB), 2 * MIB);
		if (write(rounds[1], "", 1) < 0)
			_exit(1);
	}
}

/* So the peak of each task of a worker can be told. */
Test(cgroup_group, has_a_peak_that_can_be_begun_anew)
{
	struct carom_cgroup *group;
	uint64_t peak = 0;
	int peak_fd = -1, r;
	char byte;
	pid_t pid;

	alone = stand_alone_with(CAROM_CGROUP_MEMORY);
	cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM, 0, rounds)));
	group = new_group(NULL, &CAROM_CGROUP_LIMITS(.memory_bytes = 64 * MIB));
	r = carom_cgroup_peak_open(group, &peak_fd);
	if (r == -EOPNOTSUPP)
		cr_skip_test("skipped: a peak cannot be begun anew before Linux 6.12");
	cr_assert(zero(int, r));
	pid = start_in(group, take_in_rounds);
	cr_assert(eq(int, (int)read(rounds[0], &byte, 1), 1));
	cr_expect(zero(int, carom_cgroup_peak_read(peak_fd, &peak)));
	cr_expect(ge(u64, peak, 8 * MIB));
	cr_expect(zero(int, carom_cgroup_peak_reset(peak_fd)));
	cr_assert(eq(int, (int)write(rounds[0], "", 1), 1));
	cr_assert(eq(int, (int)read(rounds[0], &byte, 1), 1));
	cr_expect(zero(int, carom_cgroup_peak_read(peak_fd, &peak)));
	cr_expect(ge(u64, peak, 2 * MIB));
	cr_expect(lt(u64, peak, 8 * MIB));
	cr_expect(zero(int, carom_cgroup_memory_peak(group, &peak)));
	cr_expect(ge(u64, peak, 8 * MIB));
	close(peak_fd);
	status_of(pid);
	carom_cgroup_free(group);
	expect_nothing_left();
}
