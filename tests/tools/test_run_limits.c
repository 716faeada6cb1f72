/*
 * carom run: limits of jobs where there are no cgroups, which here are denied, and by which
 * names the ends of jobs go. With groups: test_run_groups.c.
 */
#include "tests/tools/shell.h"

TestSuite(run_limits, .init = shell_enter_directory, .fini = shell_leave_directory, .timeout = 120);

/* Has so much memory, and keeps it: nobody reads from it. */
#define HOLD(size) "dd if=/dev/zero bs=" size " count=1 2>/dev/null | sleep 1000"
#define COLUMN(n)  "cut -f " #n " log | tail -n +2; "

/* --- time -------------------------------------------------------------- */

Test(run_limits, asks_at_the_soft_limit_and_kills_at_the_hard_one)
{
	const struct shell *done = shell(
		"$C run -k -j 4 --soft-timeout 0.3 -t 5 --joblog log sh -c ::: 'exec sleep 1000' "
		"'trap \"exit 3\" TERM; sleep 1000 & wait' 'trap \"exit 0\" TERM; sleep 1000 & "
		"wait' 'exit 0';" COLUMN(7) COLUMN(8)
			COLUMN(10) "$C run --soft-timeout 1 -t 1.3 sh -c 'trap \"\" TERM; while "
				   ":; do sleep 1; "
				   "done' ::: input");

	shell_expect_is(done->out, "0\n0\n0\n0\n"
				   "15\n15\n0\n0\n"
				   "soft-timeout\nsoft-timeout\nok\nok\n");
	shell_expect_has(done->err, "carom run: 2 of 4 jobs failed:\n"
				    "      2  soft time limit of 0.3 s: ");
	shell_expect_has(done->err, "carom run: 1 of 1 job failed:\n"
				    "      1  time limit of 1.3 s: input\n");
}

Test(run_limits, asks_what_is_stopped)
{
	const struct shell *done =
		shell("exec $C run --soft-timeout 0.2 -t 60 sh -c "
		      "'trap \"echo woken; exit 0\" TERM; kill -STOP $$' x ::: a");

	shell_expect_is(done->out, "woken\n");
	cr_expect(zero(int, done->status));
}

Test(run_limits, names_the_causes_of_failures)
{
	const struct shell *done = shell(
		"export CAROM_DENY=cgroup_v2; touch plain;"
		"$C run --joblog log --memory 32M sh -c ::: '" HOLD("64M") "';" COLUMN(
			10) "$C run -k --joblog log --soft-timeout 1 sh -c ::: 'exec sleep 1000' "
			    "'kill -SEGV "
			    "$$' 'exit 3';" COLUMN(
				    10) "$C run -k --joblog log {} ::: ./plain ./missing;" COLUMN(7)
				    COLUMN(10));

	shell_expect_is(done->out, "memory\nsoft-timeout\nsignal\nfailed\n"
				   "126\n127\nstart\nnot-found\n");
	shell_expect_has(done->err, "      1  memory limit of 32 MiB (peak ");
	shell_expect_has(done->err, "      1  soft time limit of 1 s: exec sleep 1000\n");
	shell_expect_has(done->err, "      1  signal SIGSEGV: kill -SEGV $$\n");
	shell_expect_has(done->err, "      1  exit status 3: exit 3\n");
	shell_expect_has(done->err, "      1  not found (No such file or directory): ./missing\n");
	shell_expect_has(done->err, "      1  could not start (Permission denied): ./plain\n");
}

Test(run_limits, retries_by_these_causes)
{
	const struct shell *done = shell(
		"export CAROM_DENY=cgroup_v2;"
		"try() { rm -f tried; $C run -j 2 --retries 1 \"$@\" 2>/dev/null; sort tried | "
		"tr -d '\\n'; echo; };"
		"try --memory 32M --retry-on memory sh -c ::: 'echo m >>tried; " HOLD(
			"64M") "' "
			       "'echo f >>tried; exit 3';"
			       "for cause in timeout failed; do try --soft-timeout 2 --retry-on "
			       "$cause sh -c "
			       "::: 'echo s >>tried; exec sleep 1000' 'echo f >>tried; exit 3'; "
			       "done");

	shell_expect_is(done->out, "fmm\nfss\nffs\n");
}

/* --- without groups ---------------------------------------------------- */

Test(run_limits, looks_after_memory_where_there_are_no_groups)
{
	const struct shell *done =
		shell("export CAROM_DENY=cgroup_v2;"
		      "$C run -k -j 2 --memory 32M --joblog log sh -c ::: '" HOLD(
			      "64M") "' "
				     "'sleep 0.3; echo well' 2>err; echo $?;" COLUMN(8) COLUMN(10)
					     COLUMN(14) "awk -F '\t' '/memory/ { print ($11 > "
							"33554432) }' log; cat err >&2");

	shell_expect_is(done->out, "well\n1\n9\n0\nmemory\nok\n33554432\n33554432\n1\n");
	shell_expect_has(done->err, "carom run: --memory is kept by a look at the job every 10 ms "
				    "only: CAROM_DENY names cgroup_v2\n"
				    "'carom doctor' tells");
	shell_expect_has(done->err, "      1  memory limit of 32 MiB (peak ");
}

Test(run_limits, counts_all_processes_of_a_job_together)
{
	const struct shell *done =
		shell("CAROM_DENY=cgroup_v2 exec $C run --memory 64M sh -c 'setsid sh -c \"" HOLD(
			"40M") "\" & " HOLD("40M") "' ::: input");

	cr_expect(eq(int, done->status, 1));
	shell_expect_has(done->err, "      1  memory limit of 64 MiB (peak ");
}

Test(run_limits, says_once_what_is_not_in_force)
{
	const struct shell *done =
		shell("CAROM_DENY=cgroup_v2 exec $C run -j 1 --cpus 0.5 --pids 9 "
		      "echo ::: a b");

	cr_expect(zero(int, done->status));
	shell_expect_is(done->out, "a\nb\n");
	shell_expect_is(done->err, "carom run: --cpus is not in force: CAROM_DENY names cgroup_v2\n"
				   "carom run: --pids is not in force: the same\n"
				   "'carom doctor' tells what limits can rest on here\n");
}

Test(run_limits, says_nothing_in_a_dry_run)
{
	const struct shell *done =
		shell("CAROM_DENY=cgroup_v2 exec $C run --memory 1M --require-limits --dry-run "
		      "echo ::: a");

	shell_expect_is(done->out, "echo a\n");
	shell_expect_is(done->err, "");
}

Test(run_limits, runs_nothing_without_the_limits_that_are_required)
{
	const struct shell *done = shell("CAROM_DENY=cgroup_v2 exec $C run --memory 1G --pids 5 "
					 "--require-limits touch done ::: a");

	cr_expect(eq(int, done->status, 125));
	shell_expect_is(done->err,
			"carom run: --memory cannot be enforced: CAROM_DENY names cgroup_v2\n"
			"carom run: --pids cannot be enforced: the same\n"
			"'carom doctor' tells what limits can rest on here\n");
	cr_expect(lt(int, access("done", F_OK), 0));
}

/* --- the command line -------------------------------------------------- */

Test(run_limits, names_each_mistake_and_runs_nothing)
{
	static const char *const mistakes[][2] = {
		{ "--memory 0", "--memory: '0' leaves a job no memory" },
		{ "--memory 4095", "--memory: '4095' leaves a job no memory" },
		{ "--memory 1x", "--memory: '1x' is not a size" },
		{ "--memory ''", "--memory: '' is not a size" },
		{ "--memory 9999999T", "--memory: '9999999T' is not a size" },
		{ "--cpus 0", "--cpus: '0' is not a number of CPUs, 0.01 to" },
		{ "--cpus 0.009", "--cpus: '0.009' is not a number" },
		{ "--cpus 1s", "--cpus: '1s' is not a number" },
		{ "--cpus -1", "--cpus: '-1' is not a number" },
		{ "--cpus 10001", "--cpus: '10001' is not a number" },
		{ "--pids 0", "--pids: '0' is not a number of processes, 1 to" },
		{ "--pids ''", "--pids: '' is not a number" },
		{ "--pids 1k", "--pids: '1k' is not a number" },
		{ "--pids 4194305", "--pids: '4194305' is not a number" },
		{ "--pids 99999999999999999999", "is not a number" },
		{ "--soft-timeout 0", "--soft-timeout: '0' leaves a job no time" },
		{ "--soft-timeout x", "--soft-timeout: 'x' is not a time" },
		{ "--soft-timeout 2 -t 2", "--soft-timeout is to be shorter than --timeout" },
	};

	for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
		char script[256];
		const struct shell *done;

		snprintf(script, sizeof(script), "exec $C run %s true ::: a", mistakes[i][0]);
		done = shell(script);
		cr_expect(eq(int, done->status, 125), "%s", mistakes[i][0]);
		shell_expect_is(done->out, "");
		shell_expect_has(done->err, mistakes[i][1]);
	}
}
