/*
 * carom run: jobs in a sandbox.
 *
 * bash makes a socket when it is asked for a file in /dev/tcp, which is a call that no
 * sandbox has.
 */
#include "tests/needs.h"
#include "tests/tools/shell.h"

TestSuite(run_sandbox, .init = shell_enter_directory, .fini = shell_leave_directory, .timeout = 60);

#define RUN    "$C run --sandbox basic "
#define SOCKET "bash -c 'echo >/dev/tcp/127.0.0.1/9'"

static void need_sandbox(void)
{
	const struct shell *done = shell("exec " RUN "true ::: a");

	if (done->status != 0)
		shell_skip("skipped: %.*s", (int)strcspn(done->err, "\n"), done->err);
}

Test(run_sandbox, names_the_call_that_a_job_may_not_make)
{
	const struct shell *done;

	need_sandbox();
	NEEDS("unshare"); /* what is denied from outside is not heard of */
	done = shell(RUN "-j 1 --joblog log --retries 1 --retry-on sandbox sh -c ::: \"echo once >>"
			 "/dev/stdout; " SOCKET
			 "; echo survived\" 'unshare -U true' 'exit 3'; cut -f "
			 "7,8,10,15 log");
	shell_expect_is(done->out,
			"once\nExitval\tSignal\tCause\tSystemCall\n0\t31\tsandbox\tsocket\n"
			"0\t31\tsandbox\tunshare\n3\t0\tfailed\t-\n");
	shell_expect_has(done->err, "      1  sandbox violation (socket): echo once");
	shell_expect_has(done->err, "      1  sandbox violation (unshare): unshare -U true\n");
	shell_expect_has(done->err, "      1  exit status 3: exit 3\n");
}

Test(run_sandbox, lets_ordinary_commands_live)
{
	const struct shell *done;

	need_sandbox();
	done = shell(
		"mkdir w; printf 'b\\na\\n' >in; " RUN
		"-k --writable w sh -c ::: 'sort in | tr a-z A-Z' 'ls -l in | wc -l' "
		"'cp -p in w/copy; cat w/copy' 'gzip -c in | gunzip' 'id -u >/dev/null; (sleep "
		"0.1; echo late) & wait' 'x=$(bash -c \"echo \\$((6 * 7))\"); echo $x' 'awk "
		"\"END { print NR }\" in' 2>err; echo $?; cat err >&2");
	shell_expect_is(done->out, "A\nB\n1\nb\na\nb\na\nlate\n42\n2\n0\n");
}

Test(run_sandbox, keeps_jobs_from_writing_but_where_they_may)
{
	const struct shell *done;

	need_sandbox();
	done = shell("mkdir w; echo old >file; " RUN
		     "-k --writable w sh -c ::: 'echo new >file' 'rm file' 'mkdir d' "
		     "'echo new >w/file; mkdir w/d; mv w/file w/d; cat w/d/file' "
		     "'chmod 777 file' 2>/dev/null; echo $?; cat file; stat -c %a file w/d/file");
	shell_expect_is(done->out, "new\n4\nold\n644\n644\n");
}

Test(run_sandbox, keeps_jobs_from_others)
{
	const struct shell *done;

	need_sandbox();
	done = shell(RUN "-k sh -c ::: 'kill -KILL $PPID || echo no' 'grep -c ^NoNewPrivs:.1 "
			 "/proc/self/status' 'grep ^CapEff /proc/self/status | tr -d 0' "
			 "2>/dev/null");
	if (strncmp(done->out, "no\n", 3) != 0) /* before Linux 6.12 it is a violation */
		shell_expect_has(done->err, "");
	shell_expect_has(done->out, "1\nCapEff:\t\n");
}

Test(run_sandbox, kills_all_of_a_job_at_its_violation)
{
	const struct shell *done;
	int tree = shell_watch("f");

	need_sandbox();
	shell_write_file("job", "#!/bin/sh\nexec 3>f\n(setsid sh -c 'exec sleep 1000' &)\n" SOCKET
				"\nsleep 1000\n");
	done = shell("exec " RUN "--writable f ./job ::: a");
	shell_expect_nobody(tree);
	cr_expect(eq(int, done->status, 1));
	shell_expect_has(done->err, "carom run: 1 of 1 job failed:\n"
				    "      1  sandbox violation (socket): a\n");
}

Test(run_sandbox, goes_along_with_other_limits)
{
	const struct shell *done;

	need_sandbox();
	done = shell(
		"CAROM_DENY=cgroup_v2 " RUN "-j 1 -t 1 --memory 32M sh -c ::: 'sleep 1000' 'dd "
		"if=/dev/zero bs=64M count=1 2>/dev/null | sleep 1000'; " RUN "./missing ::: a");
	shell_expect_has(done->err, "      1  time limit of 1 s: sleep 1000\n");
	shell_expect_has(done->err, "      1  memory limit of 32 MiB (peak ");
	shell_expect_has(done->err, "      1  not found (No such file or directory): a\n");
}

Test(run_sandbox, runs_nothing_where_there_is_none)
{
	bool is_denied = shell("exec " RUN "true ::: a")->status != 0; /* and says what, first */
	const struct shell *done = shell(
		"for d in landlock seccomp; do CAROM_DENY=$d " RUN "touch done ::: a; echo $?;"
		"done; " RUN "--writable /nowhere touch done ::: a; echo $?; test -e done || "
		"echo none");

	shell_expect_is(done->out, "125\n125\n125\nnone\n");
	shell_expect_has(done->err, "carom run: --sandbox basic: no landlock here");
	if (!is_denied) {
		shell_expect_has(done->err, "carom run: --sandbox basic: no seccomp here");
		shell_expect_has(done->err, "carom run: --sandbox basic: /nowhere: No such file");
	}
	shell_expect_has(done->err, "'carom doctor' tells what sandboxes can rest on here\n");
}

Test(run_sandbox, refuses_what_cannot_hold_for_a_command)
{
	static const char *const mistakes[][2] = {
		{ "--sandbox strict", "--sandbox: 'strict' is for functions: a command opens" },
		{ "--sandbox x", "--sandbox: 'x' is none of none, basic" },
		{ "--writable .", "--writable is for --sandbox basic" },
		{ "--sandbox none --writable .", "--writable is for --sandbox basic" },
	};

	for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
		char script[256];
		const struct shell *done;

		snprintf(script, sizeof(script), "exec $C run %s touch done ::: a", mistakes[i][0]);
		done = shell(script);
		cr_expect(eq(int, done->status, 125), "%s", mistakes[i][0]);
		shell_expect_has(done->err, mistakes[i][1]);
	}
	cr_expect(lt(int, access("done", F_OK), 0));
}
