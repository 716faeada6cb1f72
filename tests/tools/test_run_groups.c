/*
 * carom run: jobs in cgroups of their own, where the kernel keeps their limits.
 *
 * carom stands alone in a group that has all controllers, as in the machine of tests/vm.
 * Where there is none these tests are skipped by name.
 */
#include "tests/tools/shell.h"

#include <poll.h>

#include "tests/core/groups.h"

TestSuite(run_groups, .init = shell_enter_directory, .fini = shell_leave_directory, .timeout = 120);

#define ALL (CAROM_CGROUP_MEMORY | CAROM_CGROUP_CPU | CAROM_CGROUP_PIDS)

/* Has so much memory, and keeps it: nobody reads from it. */
#define HOLD(size) "dd if=/dev/zero bs=" size " count=1 2>/dev/null | sleep 1000"
#define COLUMN(n)  "cut -f " #n " log | tail -n +2; "

/* For `c`, which is carom in a group of its own. Skips the test where there are none. */
#define ALONE "c() { (echo 0 >$G/cgroup.procs && exec $C run \"$@\"); }; "

static void need_groups(void)
{
	const char *base = getenv(BASE_VARIABLE);
	uint32_t missing;
	char path[512];
	int fd;

	if (getenv(REASON_VARIABLE))
		shell_skip("skipped: %s", getenv(REASON_VARIABLE));
	snprintf(path, sizeof(path), "%s/test-%d", base, getpid());
	cr_assert(zero(int, mkdir(path, 0755)), "%s: %s", path, strerror(errno));
	fd = open_group(path);
	missing = ALL & ~controllers_of(fd);
	close(fd);
	if (missing)
		shell_skip("skipped: there is no %s controller on cgroup v2 here",
			   carom_cgroup_controller_name((uint32_t)__builtin_ctz(missing)));
	setenv("G", path, 1);
}

static void expect_no_groups(void)
{
	int fd = open_group(getenv("G"));

	cr_expect(zero(sz, groups_in(fd)), "%s", shell("find $G -type d")->out);
	close(fd);
}

Test(run_groups, is_killed_by_the_kernel_at_the_limit_of_memory)
{
	const struct shell *done;

	need_groups();
	done = shell(
		ALONE "c -k -j 2 --memory 16M --require-limits --joblog log sh -c ::: '" HOLD(
			"64M") "' 'sleep 1; echo well'; echo $?;" COLUMN(8) COLUMN(10)
			COLUMN(14) "awk -F '\t' '/memory/ { p = $11; print (p <= 16777216) }' log");
	shell_expect_is(done->out, "well\n1\n9\n0\nmemory\nok\n16777216\n16777216\n1\n");
	shell_expect_has(done->err, "carom run: 1 of 2 jobs failed:\n"
				    "      1  memory limit of 16 MiB (peak ");
	expect_no_groups();
}

/* Killed, and not at its limit: nobody says so. */
Test(run_groups, is_not_blamed_where_memory_was_short_outside)
{
	const struct shell *done;

	need_groups();
	done = shell(ALONE "echo 48M >$G/memory.max; echo 0 >$G/memory.swap.max 2>/dev/null;"
			   "c --memory 256M --require-limits --joblog log sh -c ::: '" HOLD(
				   "96M") "'; echo $?; " COLUMN(8) COLUMN(10));
	shell_expect_is(done->out, "1\n9\nsignal\n");
	shell_expect_has(done->err, "carom run: 1 of 1 job failed:\n"
				    "      1  signal SIGKILL: ");
	expect_no_groups();
}

Test(run_groups, ends_what_has_no_memory_to_begin)
{
	const struct shell *done;

	need_groups();
	done = shell(ALONE "c -j 1 --memory 4k true ::: a b");
	cr_expect(eq(int, done->status, 2));
	shell_expect_has(done->err, "carom run: 2 of 2 jobs failed:\n");
	cr_expect(ne(ptr,
		     strstr(done->err, "memory limit of 4 KiB")
			     ?: strstr(done->err, "could not start (Cannot allocate memory)"),
		     NULL),
		  "%s", done->err);
	expect_no_groups();
}

Test(run_groups, starts_no_more_processes_than_allowed)
{
	const struct shell *done;

	need_groups();
	done = shell(ALONE
		     "c --pids 3 sh -c 'sleep 1000 & sleep 1000 & echo two; sleep 1000 & "
		     "echo three' ::: a; c --pids 4 sh -c 'sleep 1000 & sleep 1000 & sleep 1000 "
		     "& echo three' ::: a");
	shell_expect_is(done->out, "two\nthree\n");
	shell_expect_has(done->err, "1 of 1 job failed");
	expect_no_groups();
}

Test(run_groups, gives_the_time_of_so_many_cpus)
{
	const struct shell *done;

	need_groups();
	done = shell(ALONE "c --cpus 0.5 --pids 10 sh -c 'g=$(sed -n s/^0:://p /proc/self/cgroup);"
			   "cd $G/carom-*/${g##*/} && cat cpu.max pids.max' ::: a");
	shell_expect_is(done->out, "50000 100000\n10\n");
	shell_expect_is(done->err, "");
}

/* Processes that have left the job's session and lost their parents, which hold the FIFO f. */
#define FLEE                                                                                  \
	"(setsid sh -c \"exec 3>f; (exec 3>f; echo there >up; exec sleep 1000) & exit\" &); " \
	"read x <up; "

Test(run_groups, kills_what_a_job_with_limits_leaves_behind)
{
	const struct shell *done;
	int tree = shell_watch("f");

	need_groups();
	cr_assert(zero(int, mkfifo("up", 0600)));
	done = shell(ALONE "c --pids 50 sh -c '" FLEE
			   "echo end' ::: a; c -t 1 --pids 50 sh -c '" FLEE "sleep 1000' ::: a");
	shell_await_nobody(tree);
	shell_expect_is(done->out, "end\n");
	shell_expect_has(done->err, "carom run: 1 of 1 job failed:\n"
				    "      1  time limit of 1 s: a\n");
	expect_no_groups();
}

static void await_nobody_in_group(void)
{
	int fd = open_group(getenv("G"));
	int events_fd = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct pollfd changed = { .fd = events_fd, .events = POLLPRI };

	while (carom_cgroup_file_is_populated(fd) == 1) {
		char text[256];

		cr_assert(eq(int, poll(&changed, 1, 60000), 1));
		cr_assert(lt(int, 0, (int)pread(events_fd, text, sizeof(text), 0)));
	}
	close(events_fd);
	close(fd);
}

static void ends_by(int signal_number)
{
	static struct shell job;
	int up;

	need_groups();
	up = shell_listen("up");
	shell_begin(&job, "echo 0 >$G/cgroup.procs; exec $C run --pids 50 sh -c "
			  "'echo there >up; exec sleep 1000' ::: a");
	shell_await_line(up, "there");
	kill(job.pid, signal_number);
	shell_end(&job);
	cr_expect(eq(int, job.status, -signal_number));
	await_nobody_in_group();
}

Test(run_groups, leaves_no_groups_when_it_is_told_to_end)
{
	ends_by(SIGTERM);
	expect_no_groups();
}

Test(run_groups, leaves_no_process_when_it_is_killed)
{
	ends_by(SIGKILL);
}
