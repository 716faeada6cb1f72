/* Cgroup: a program's home, made, left, deserted, and found again. */
#include "core/cgroup_home.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/cgroup_file.h"
#include "core/cgroup_group.h"
#include "core/cleanup.h"
#include "core/clone.h"
#include "core/fd.h"
#include "core/leave.h"
#include "core/points.h"
#include "core/time.h"
#include "tests/core/apart.h"
#include "tests/core/groups.h"
#include "tests/needs.h"

TestSuite(cgroup_home, .timeout = 120);

#define ALL  (CAROM_CGROUP_MEMORY | CAROM_CGROUP_PIDS | CAROM_CGROUP_CPU)
#define SOON carom_deadline_after(CAROM_SECONDS(60))

static int base = -1;

/* Does a group, by the path from the test's own, have this process? */
static bool has(const char *group, pid_t pid)
{
	char path[256], line[32], text[4096];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	snprintf(line, sizeof(line), "\n%d\n", pid);
	text[0] = '\n';
	return carom_cgroup_file_read(base, path, text + 1, sizeof(text) - 1) == 0 &&
	       strstr(text, line);
}

static const char *program_of(pid_t pid)
{
	static char path[64];

	snprintf(path, sizeof(path), "carom-%d.0/program", pid);
	return path;
}

static int get(uint32_t controllers)
{
	char reason[CAROM_CGROUP_REASON_SIZE] = "";
	const char *path;
	int fd = -1;
	int r = carom_cgroup_home_get(controllers, reason, &fd, &path);

	if (r < 0)
		fprintf(stderr, "%s\n", reason);
	carom_closep(&fd);
	return r;
}

static pid_t start(void (*body)(void))
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		end_with(parent);
		body();
		_exit(0);
	}
	cr_assert(lt(int, 0, pid));
	return pid;
}

static void stay(void)
{
	for (;;)
		pause();
}

static int end(pid_t pid)
{
	int status = -1;

	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return status;
}

static struct carom_cgroup *new_group(struct carom_cgroup *parent)
{
	struct carom_cgroup *group = NULL;

	CHECK(carom_cgroup_new(&(struct carom_cgroup_options){ .parent = parent, .name = "worker" },
			       NULL, &group) == 0);
	return group;
}

/* --- a life ------------------------------------------------------------ */

Test(cgroup_home, is_stepped_into_and_left)
{
	base = stand_alone();
	cr_assert(zero(int, get(0)));
	cr_expect(has(program_of(getpid()), getpid()));
	cr_assert(zero(int, get(0)));
	cr_expect(eq(sz, groups_in(base), 1));
	cr_expect(zero(int, carom_cgroup_home_leave()));
	cr_expect(has(".", getpid()));
	cr_expect(eq(sz, groups_in(base), 0));
	cr_expect(zero(int, carom_cgroup_home_leave()));
	cr_assert(zero(int, get(0))); /* it may be made again */
	cr_expect(zero(int, carom_cgroup_home_leave()));
}

Test(cgroup_home, hands_controllers_on_and_takes_the_programs_children_along)
{
	pid_t child;

	base = stand_alone_with(ALL);
	child = start(stay);
	cr_assert(zero(int, get(CAROM_CGROUP_MEMORY)));
	cr_expect(has(program_of(getpid()), getpid()));
	cr_expect(has(program_of(getpid()), child));
	cr_expect(eq(str, text_of(base, "cgroup.subtree_control"), (char *)"memory"));
	cr_assert(zero(int, get(ALL)));
	cr_expect(eq(u32, carom_cgroup_controllers(text_of(base, "cgroup.subtree_control")), ALL));
	cr_expect(zero(int, carom_cgroup_home_leave()));
	cr_expect(has(".", getpid()));
	cr_expect(has(".", child));
	cr_expect(eq(str, text_of(base, "cgroup.subtree_control"), (char *)""));
	cr_expect(eq(sz, groups_in(base), 0));
	end(child);
}

/* Controllers for which the kernel does not ask for an empty group, and then wants one. */
Test(cgroup_home, is_usable_with_any_set_of_controllers)
{
	base = stand_alone_with(ALL);
	for (uint32_t set = 1; set <= ALL; set++) {
		pid_t child = start(stay);

		cr_assert(zero(int, get(set)));
		cr_expect(has(program_of(getpid()), child));
		cr_expect(eq(str, text_of(base, "cgroup.type"), (char *)"domain"), "set %u", set);
		cr_expect(zero(int, carom_cgroup_home_leave()));
		cr_expect(eq(str, text_of(base, "cgroup.subtree_control"), (char *)""));
		end(child);
	}
	cr_expect(eq(sz, groups_in(base), 0));
}

Test(cgroup_home, keeps_no_descriptor)
{
	int before;

	base = stand_alone();
	before = count_fds();
	cr_assert(zero(int, get(controllers_of(base))));
	cr_expect(eq(int, count_fds(), before));
	carom_cgroup_free(new_group(NULL));
	cr_expect(eq(int, count_fds(), before));
	cr_expect(zero(int, carom_cgroup_home_leave()));
	cr_expect(eq(int, count_fds(), before));
}

static void *wait_in_thread(void *unused)
{
	pause();
	return unused;
}

Test(cgroup_home, takes_all_threads)
{
	pthread_t threads[4];
	char path[64];

	base = stand_alone();
	for (int i = 0; i < 4; i++)
		cr_assert(zero(int, pthread_create(&threads[i], NULL, wait_in_thread, NULL)));
	cr_assert(zero(int, get(0)));
	cr_expect(eq(str, text_of(base, "cgroup.procs"), (char *)""));
	snprintf(path, sizeof(path), "carom-%d.0/program/cgroup.threads", getpid());
	cr_expect(zero(int, carom_cgroup_home_leave()));
	cr_expect(eq(sz, groups_in(base), 0));
}

static void leave_by_exit(void)
{
	struct carom_cgroup *group;

	carom_leave_as_child();
	group = new_group(NULL);
	new_group(group); /* nobody frees them */
	exit(0);
}

Test(cgroup_home, is_gone_after_the_programs_regular_end)
{
	base = stand_alone();
	cr_expect(zero(int, apart(leave_by_exit)));
	cr_expect(eq(sz, groups_in(base), 0));
}

/* --- strangers --------------------------------------------------------- */

/* A process that descends from this test no more, and ends with the write end of @report. */
static pid_t start_stranger(int *ret_fd)
{
	int report[2], hold[2];
	pid_t pid, stranger = 0;

	cr_assert(pipe(report) == 0 && pipe(hold) == 0);
	pid = fork();
	if (pid == 0) {
		stranger = fork();
		if (stranger == 0) {
			char byte;

			stranger = getpid();
			close(hold[1]);
			if (write(report[1], &stranger, sizeof(stranger)) < 0 ||
			    read(hold[0], &byte, 1) < 0)
				_exit(1);
		}
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	cr_assert(eq(int, (int)read(report[0], &stranger, sizeof(stranger)), sizeof(stranger)));
	close(report[0]), close(report[1]), close(hold[0]);
	*ret_fd = hold[1];
	return stranger;
}

Test(cgroup_home, is_refused_beside_a_stranger_and_nothing_is_changed)
{
	char reason[CAROM_CGROUP_REASON_SIZE] = "", pid_text[16];
	const char *path;
	pid_t stranger, child;
	int fd, hold_fd;

	base = stand_alone_with(CAROM_CGROUP_MEMORY);
	stranger = start_stranger(&hold_fd);
	child = start(stay);
	cr_expect(eq(int, carom_cgroup_home_get(CAROM_CGROUP_MEMORY, reason, &fd, &path), -EBUSY));
	snprintf(pid_text, sizeof(pid_text), "process %d", stranger);
	cr_expect(ne(ptr, strstr(reason, pid_text), NULL), "%s", reason);
	cr_expect(ne(ptr, strstr(reason, "--scope -p Delegate=yes"), NULL), "%s", reason);
	cr_expect(has(".", getpid()) && has(".", child) && has(".", stranger));
	cr_expect(eq(str, text_of(base, "cgroup.subtree_control"), (char *)""));
	cr_expect(eq(sz, groups_in(base), 0));
	/* what needs no controllers is there, and what was there stays */
	cr_assert(zero(int, get(0)));
	cr_expect(eq(int, get(CAROM_CGROUP_MEMORY), -EBUSY));
	cr_expect(has(program_of(getpid()), getpid()) && has(".", child) && has(".", stranger));
	close(hold_fd);
	cr_expect(zero(int, carom_cgroup_home_leave()));
	end(child);
}

Test(cgroup_home, without_a_controller_is_refused)
{
	char reason[CAROM_CGROUP_REASON_SIZE] = "";
	uint32_t missing;
	const char *path;
	int fd;

	base = stand_alone();
	missing = ALL & ~controllers_of(base);
	if (!missing)
		cr_skip_test("skipped: this group has all controllers");
	cr_expect(eq(int, carom_cgroup_home_get(missing, reason, &fd, &path), -ENODEV));
	cr_expect(ne(ptr, strstr(reason, "controller"), NULL), "%s", reason);
	cr_expect(has(".", getpid()));
	cr_expect(eq(sz, groups_in(base), 0));
}

/* --- copies ------------------------------------------------------------ */

static struct carom_cgroup *parents_group;

static void be_a_copy(void)
{
	struct carom_cgroup *group;
	size_t count;

	CHECK(carom_cgroup_count() == 0);
	CHECK(carom_cgroup_kill(parents_group) == -ECHILD);
	CHECK(carom_cgroup_is_populated(parents_group) == -ECHILD);
	CHECK(carom_cgroup_process_count(parents_group, &count) == -ECHILD);
	CHECK(carom_cgroup_admit(parents_group, getpid()) == -ECHILD);
	CHECK(carom_cgroup_wait_empty(parents_group, CAROM_PASSED) == -ECHILD);
	CHECK(carom_cgroup_new(&(struct carom_cgroup_options){ .parent = parents_group }, NULL,
			       &group) == -ECHILD);
	CHECK(carom_cgroup_set_limits(parents_group, NULL, NULL) == -ECHILD);
	carom_cgroup_free(parents_group);
	group = new_group(NULL);
	CHECK(groups_in(base) == 2 && has(program_of(getpid()), getpid()));
	carom_cgroup_free(group);
	CHECK(carom_cgroup_home_leave() == 0 ||
	      true); /* whether it can go back is not its choice */
}

Test(cgroup_home, of_a_forked_copy_is_its_own_beside_the_first)
{
	base = stand_alone();
	parents_group = new_group(NULL);
	cr_expect(zero(int, apart(be_a_copy)));
	cr_expect(eq(int, carom_cgroup_is_populated(parents_group), 0));
	cr_expect(eq(sz, carom_cgroup_count(), 1));
	parents_group = carom_cgroup_free(parents_group);
	cr_expect(zero(int, carom_cgroup_home_leave()));
	cr_expect(eq(sz, groups_in(base), 0));
}

static void come_and_go(void)
{
	for (int i = 0; i < 20; i++) {
		CHECK(get(controllers_of(base)) == 0);
		carom_cgroup_free(new_group(NULL));
		if (i % 3)
			carom_cgroup_home_leave();
	}
	carom_cgroup_home_leave();
}

Test(cgroup_home, is_made_by_many_at_once)
{
	pid_t pids[6];
	int status = 0;

	base = stand_alone();
	cr_assert(zero(int, get(controllers_of(base))));
	for (int i = 0; i < 6; i++)
		pids[i] = start(come_and_go);
	for (int i = 0; i < 6; i++) {
		cr_expect(eq(int, waitpid(pids[i], &status, 0), pids[i]));
		cr_expect(zero(int, status));
	}
	cr_expect(zero(int, carom_cgroup_home_leave()));
	cr_expect(eq(sz, groups_in(base), 0));
	cr_expect(has(".", getpid()));
}

/* --- those that are deserted ------------------------------------------- */

static void be_killed(void)
{
	struct carom_cgroup *pool = new_group(NULL);

	new_group(pool);
	new_group(pool);
	raise(SIGKILL);
}

Test(cgroup_home, that_a_killed_program_left_is_removed_by_the_next)
{
	base = stand_alone();
	cr_expect(eq(int, apart(be_killed), SIGKILL));
	cr_expect(eq(sz, groups_in(base), 1));
	cr_assert(zero(int, get(0)));
	cr_expect(eq(sz, groups_in(base), 1));
	cr_expect(has(program_of(getpid()), getpid()));
	cr_expect(zero(int, carom_cgroup_home_leave()));
	cr_expect(eq(sz, groups_in(base), 0));
}

static int killed_copy_fd[2];

static void leave_a_copy_behind(void)
{
	char byte;

	new_group(NULL);
	if (fork() == 0) {
		close(killed_copy_fd[1]);
		_exit(read(killed_copy_fd[0], &byte, 1) < 0);
	}
	raise(SIGKILL);
}

Test(cgroup_home, in_which_a_copy_of_the_program_lives_is_left_alone)
{
	base = stand_alone();
	cr_assert(zero(int, pipe(killed_copy_fd)));
	cr_expect(eq(int, apart(leave_a_copy_behind), SIGKILL));
	cr_assert(zero(int, get(0)));
	cr_expect(eq(sz, groups_in(base), 2));
	close(killed_copy_fd[1]);
	carom_cgroup_home_leave();
}

static const char *point;

static void be_killed_at_point(void)
{
	struct carom_cgroup *group;

	CHECK(get(controllers_of(base)) == 0);
	group = new_group(NULL);
	carom_cgroup_free(group);
	carom_cgroup_home_leave();
	CHECK(get(0) == 0);
}

/* Copies of this test, which has a home in the same base. */
Test(cgroup_home, is_removed_wherever_its_program_was_killed)
{
	size_t count = 0;

	base = stand_alone();
	if (carom_point_arm("cgroup.made", 0) == -EOPNOTSUPP)
		cr_skip_test("skipped: built without -Dpoints=true");
	for (size_t i = 0; (point = carom_point_name(i)); i++) {
		pid_t pid;
		int status = -1;

		if (strncmp(point, "cgroup.", 7) != 0)
			continue;
		count++;
		cr_assert(zero(int, get(controllers_of(base))), "%s", point);
		cr_assert(zero(int, carom_point_arm_once(point, 1, SIGKILL)));
		pid = start(be_killed_at_point);
		waitpid(pid, &status, 0);
		carom_point_arm(point, 0);
		cr_expect(eq(int, status & ~SIGKILL, 0), "%s: %x", point, status);
		cr_expect(zero(int, carom_cgroup_home_leave()), "%s", point);
		cr_expect(eq(sz, groups_in(base), 0), "%s", point);
		cr_expect(eq(str, text_of(base, "cgroup.subtree_control"), (char *)""), "%s",
			  point);
	}
	cr_expect(ge(sz, count, 6));
}

/* Somebody moves the program out, and what is left looks deserted. */
static void take_away(char *name, size_t size)
{
	base = stand_alone();
	cr_assert(zero(int, get(0)));
	cr_assert(zero(int, carom_cgroup_enter(base)));
	snprintf(name, size, "carom-%d.0", getpid());
	cr_assert(zero(int, carom_cgroup_remove(base, name)));
}

static void expect_another(void)
{
	struct carom_cgroup *group = new_group(NULL);

	cr_expect(eq(int, carom_cgroup_is_populated(group), 0));
	cr_expect(has(program_of(getpid()), getpid()));
	group = carom_cgroup_free(group);
	cr_expect(zero(int, carom_cgroup_home_leave()));
	cr_expect(eq(sz, groups_in(base), 0));
}

Test(cgroup_home, is_made_anew_when_it_was_taken_away)
{
	char name[64];

	take_away(name, sizeof(name));
	expect_another();
}

static void make_twice(void)
{
	char reason[CAROM_CGROUP_REASON_SIZE] = "";
	struct carom_cgroup *group;

	base = stand_alone();
	CHECK(carom_cgroup_new(&(struct carom_cgroup_options){ .name = "worker" }, reason,
			       &group) == 0);
	CHECK(reason[0] == '\0'); /* of the first try */
	carom_cgroup_free(group);
	CHECK(carom_cgroup_home_leave() == 0);
}

/* While it is looked at. */
Test(cgroup_home, that_is_taken_away_leaves_no_reason_behind)
{
	int status = -1, its_base;
	char name[64];
	pid_t pid;

	base = stand_alone();
	if (carom_point_arm_once("cgroup.base_enabled", 1, SIGSTOP) == -EOPNOTSUPP)
		cr_skip_test("skipped: built without -Dpoints=true");
	pid = start(make_twice);
	cr_assert(eq(int, waitpid(pid, &status, WUNTRACED), pid));
	cr_assert(ne(int, WIFSTOPPED(status), 0), "%x", status);
	carom_point_disarm_all();
	snprintf(name, sizeof(name), "../test-%d", pid);
	its_base = openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(
		zero(int, carom_cgroup_file_write_number(its_base, "cgroup.procs", (uint64_t)pid)));
	snprintf(name, sizeof(name), "carom-%d.0", pid);
	cr_assert(zero(int, carom_cgroup_remove(its_base, name)));
	close(its_base);
	kill(pid, SIGCONT);
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_expect(zero(int, status));
}

/* As a program does that has the same pid, in another pid namespace. */
Test(cgroup_home, is_not_what_somebody_else_has_made_in_its_place)
{
	char name[64];

	take_away(name, sizeof(name));
	cr_assert(zero(int, mkdirat(base, name, 0755)));
	expect_another();
}

static void close_all(void)
{
	struct carom_cgroup *group;
	int fds[64];

	CHECK(get(0) == 0);
	carom_fd_close_except(NULL, 0);
	for (int i = 0; i < 64; i++) /* other directories in their place */
		fds[i] = open("/tmp", O_RDONLY | O_DIRECTORY);
	CHECK(fds[0] == 0);
	CHECK(carom_cgroup_new(&(struct carom_cgroup_options){ .name = "worker" }, NULL, &group) ==
	      0);
	CHECK(access("/tmp/worker-1", F_OK) < 0);
	CHECK(strstr(carom_cgroup_path(group), ".0/worker-"));
	carom_cgroup_free(group);
	CHECK(carom_cgroup_home_leave() == 0);
	for (int i = 0; i < 64; i++)
		CHECK(close(fds[i]) == 0); /* they are the program's own */
}

Test(cgroup_home, stays_when_all_descriptors_were_taken_away)
{
	base = stand_alone();
	cr_expect(zero(int, apart(close_all)));
	cr_expect(eq(sz, groups_in(base), 0));
}

/* --- out of sight ------------------------------------------------------ */

#define NO_MOUNTS 77

/** struct veil - by which the path to the home leads there no more */
static const struct veil {
	const char *name;
	bool is_chroot;
	bool is_elsewhere;
} veils[] = { { "hidden", false, false }, { "elsewhere", false, true }, { "chroot", true, false } };

static const struct veil *veil;
static int root_fd;

static void have_own_mounts(void)
{
	root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if ((unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		_exit(NO_MOUNTS);
}

/* A process of its own, in a group of its own. */
static void under(void (*body)(void))
{
	int status = apart(body);

	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_MOUNTS)
		cr_skip_test("skipped: there are no mounts of one's own here");
	cr_expect(zero(int, status), "%s", veil->name);
}

static void under_each(void (*body)(void))
{
	NEEDS("unshare");
	close(stand_alone());
	for (veil = veils; veil < veils + 3; veil++)
		under(body);
}

static void draw(void)
{
	if (veil->is_chroot) {
		CHECK(chroot("/dev") == 0 && chdir("/") == 0);
		return;
	}
	if (veil->is_elsewhere)
		CHECK(mount("/sys/fs/cgroup", "/tmp", NULL, MS_BIND | MS_REC, NULL) == 0);
	CHECK(mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL) == 0);
}

static void lift(void)
{
	if (veil->is_chroot)
		CHECK(fchdir(root_fd) == 0 && chroot(".") == 0);
	else
		CHECK(umount("/sys/fs/cgroup") == 0);
}

static struct carom_cgroup_limits some_limits(void)
{
	struct carom_cgroup_limits limits = CAROM_CGROUP_LIMITS();

	if (controllers_of(base) & CAROM_CGROUP_PIDS)
		limits.process_count = 7;
	return limits;
}

static struct carom_cgroup *new_limited(struct carom_cgroup *parent, bool holds_groups)
{
	struct carom_cgroup_limits limits = some_limits();
	struct carom_cgroup *group = NULL;

	CHECK(carom_cgroup_new(&(struct carom_cgroup_options){ .parent = parent,
							       .limits = &limits,
							       .holds_groups = holds_groups },
			       NULL, &group) == 0);
	return group;
}

static void go_on_with_groups(void)
{
	struct carom_cgroup *first, *second, *inner;
	struct carom_cgroup_limits limits;

	base = stand_alone();
	have_own_mounts();
	first = new_limited(NULL, false);
	limits = some_limits();
	limits.process_count += limits.process_count > 0;
	draw();
	CHECK(carom_cgroup_set_limits(first, &limits, NULL) == 0);
	inner = new_limited(first, false);
	second = new_limited(NULL, false);
	CHECK(groups_in(base) == 1); /* no other home */
	CHECK(groups_in(carom_cgroup_fd(first)) == 1);
	inner = carom_cgroup_free(inner);
	second = carom_cgroup_free(second);
	CHECK(carom_cgroup_home_leave() == 0);
	CHECK(groups_in(base) == 0);
	first = carom_cgroup_free(first);
}

Test(cgroup_home, out_of_sight_is_found_from_a_group_in_it)
{
	under_each(go_on_with_groups);
}

static void leave_without_groups(void)
{
	base = stand_alone();
	have_own_mounts();
	CHECK(get(0) == 0);
	draw();
	CHECK(carom_cgroup_home_leave() == -ENOENT);
	CHECK(carom_cgroup_home_leave() == -ENOENT);
	CHECK(groups_in(base) == 1);
	if (veil->is_elsewhere) {
		CHECK(get(0) == 0); /* another, which takes the first one along */
		CHECK(groups_in(base) == 2);
		CHECK(carom_cgroup_home_leave() == 0);
		CHECK(groups_in(base) == 0);
		return;
	}
	lift();
	CHECK(carom_cgroup_home_leave() == 0);
	CHECK(groups_in(base) == 0);
}

Test(cgroup_home, out_of_sight_with_no_group_in_it_is_said_to_stay)
{
	under_each(leave_without_groups);
}

static void go_on_in_whole(void)
{
	struct carom_cgroup *whole, *one, *other;
	struct carom_cgroup_limits limits;
	int before;

	base = stand_alone();
	have_own_mounts();
	limits = some_limits();
	CHECK(get(0) == 0);
	before = count_fds();
	whole = new_limited(NULL, true);
	one = new_limited(whole, false);
	CHECK(count_fds() == before + 1);
	draw();
	other = new_limited(whole, false);
	CHECK(carom_cgroup_is_populated(whole) == 0);
	one = carom_cgroup_free(one);
	other = carom_cgroup_free(other);
	one = new_limited(whole, false);
	CHECK(carom_cgroup_set_limits(whole, &limits, NULL) == 0);
	whole = carom_cgroup_free(whole);
	CHECK(carom_cgroup_count() == 2);
	one = carom_cgroup_free(one);
	CHECK(carom_cgroup_count() == 0);
	if (veil->is_chroot)
		lift(); /* to where there is /proc */
	CHECK(count_fds() == before);
}

/* Nor does a group that holds others need a descriptor, or a path. */
Test(cgroup_home, a_group_of_groups_is_found_from_one_in_it)
{
	under_each(go_on_in_whole);
}

static void lose_one_of_whole(void)
{
	struct carom_cgroup *whole, *one, *other;

	base = stand_alone();
	whole = new_limited(NULL, true);
	one = new_limited(whole, false);
	other = new_limited(whole, false);
	close(carom_cgroup_fd(one));
	carom_cgroup_lose(one);
	carom_cgroup_free(other);
	CHECK(carom_cgroup_is_populated(whole) == 0);
	carom_cgroup_free(whole);
	CHECK(carom_cgroup_count() == 0);
	CHECK(carom_cgroup_home_leave() == 0);
	CHECK(groups_in(base) == 0);
}

Test(cgroup_home, a_group_of_groups_goes_when_one_in_it_was_lost)
{
	close(stand_alone());
	cr_expect(zero(int, apart(lose_one_of_whole)));
}

static void set_fd_limit(rlim_t limit)
{
	struct rlimit limits;

	CHECK(getrlimit(RLIMIT_NOFILE, &limits) == 0);
	limits.rlim_cur = limit;
	CHECK(setrlimit(RLIMIT_NOFILE, &limits) == 0);
}

static void free_without_descriptors(void)
{
	struct carom_cgroup *whole, *one;

	base = stand_alone();
	have_own_mounts();
	CHECK(get(0) == 0);
	whole = new_limited(NULL, true);
	one = new_limited(whole, false);
	draw();
	set_fd_limit(0);
	carom_cgroup_free(one);
	CHECK(carom_cgroup_count() == 2); /* it is the way to the other one */
	set_fd_limit(1024);
	CHECK(carom_cgroup_bury() == 0);
	CHECK(carom_cgroup_is_populated(whole) == 0);
	carom_cgroup_free(whole);
	CHECK(carom_cgroup_count() == 0);
}

Test(cgroup_home, the_last_in_a_group_stays_until_there_is_a_descriptor_for_that)
{
	under_each(free_without_descriptors);
}

/* --- the end of groups ------------------------------------------------- */

/* One that was populated when it was freed; until the caller ends who is in it. */
static pid_t free_populated(char *name, size_t size)
{
	struct carom_cgroup *group = new_group(NULL);
	pid_t pid = start(stay);

	CHECK(carom_cgroup_admit(group, pid) == 0);
	snprintf(name, size, "%s", carom_cgroup_path(group) + strlen(getenv(BASE_VARIABLE)) + 1);
	carom_cgroup_free(group);
	CHECK(carom_cgroup_bury() == 1);
	return pid;
}

static void lose_to_somebody(void)
{
	const char *mounted = getenv(BASE_VARIABLE);
	char name[256], *in_base;
	pid_t pid;

	base = stand_alone(); /* on the mount that stays as it is */
	have_own_mounts();
	CHECK(mount(mounted, mounted, NULL, MS_BIND, NULL) == 0);
	pid = free_populated(name, sizeof(name));
	end(pid);
	in_base = strchr(name, '/');
	CHECK(in_base && carom_cgroup_remove(base, in_base + 1) == 0);
	CHECK(mount(NULL, mounted, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
	CHECK(carom_cgroup_bury() == 0);
	CHECK(mount(NULL, mounted, NULL, MS_REMOUNT | MS_BIND, NULL) == 0);
	CHECK(carom_cgroup_home_leave() == 0);
	CHECK(groups_in(base) == 0);
}

Test(cgroup_home, of_a_group_that_is_gone_is_told_so_where_nothing_can_be_written)
{
	NEEDS("unshare");
	close(stand_alone());
	veil = veils;
	under(lose_to_somebody);
}

static uint64_t own_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * CAROM_NS_PER_SEC + (uint64_t)now.tv_nsec;
}

static void wait_without_descriptors(void)
{
	char name[256];
	uint64_t before;
	pid_t pid;

	close(stand_alone());
	pid = free_populated(name, sizeof(name));
	carom_fd_close_except(NULL, 0);
	before = own_cpu_ns();
	CHECK(carom_cgroup_bury_until(carom_deadline_after(CAROM_SECONDS(1))) == 1);
	CHECK(own_cpu_ns() - before < CAROM_NS_PER_SEC / 2); /* in slices, not at once again */
	end(pid);
}

Test(cgroup_home, waits_and_does_not_spin_for_groups_whose_descriptors_are_lost)
{
	close(stand_alone());
	cr_expect(zero(int, apart(wait_without_descriptors)));
}

/* --- homes in homes ---------------------------------------------------- */

static void have_a_home_inside(void)
{
	uint32_t controllers = controllers_of(base);

	CHECK(get(0) == 0);
	if (controllers)
		CHECK(get(controllers) == 0);
	new_group(NULL);
	_exit(0);
}

Test(cgroup_home, of_a_worker_is_in_its_own_group_and_goes_with_it)
{
	struct carom_cgroup *group;
	int pidfd = -1, status = -1;
	pid_t pid;

	base = stand_alone();
	cr_assert(zero(int, get(controllers_of(base))));
	group = new_group(NULL);
	pid = carom_clone(&(struct carom_clone_options){ .cgroup_fd = carom_cgroup_fd(group) },
			  &pidfd);
	if (pid == 0)
		have_a_home_inside();
	cr_expect(eq(int, waitpid(pid, &status, 0), pid));
	cr_expect(zero(int, status));
	cr_expect(ge(sz, groups_in(carom_cgroup_fd(group)), 1));
	group = carom_cgroup_free(group);
	cr_expect(eq(sz, carom_cgroup_count(), 0));
	cr_expect(zero(int, carom_cgroup_home_leave()));
	cr_expect(eq(sz, groups_in(base), 0));
	close(pidfd);
}
