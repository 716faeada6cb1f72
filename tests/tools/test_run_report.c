/*
 * What carom run says in the end, and what a new user meets first: nothing, very
 * much, odd names, full disks, readers that go away.
 */
#include "tests/tools/shell.h"

TestSuite(run_report, .init = shell_enter_directory, .fini = shell_leave_directory, .timeout = 60);

/* --- the report -------------------------------------------------------- */

Test(run_report, names_the_slowest_and_the_biggest)
{
	const struct shell *done = shell(
		"exec $C run --report sh -c 'case $1 in slow) sleep 0.3;; big) head -c 50000000 "
		"/dev/zero | tail -c 50000000 | wc -c;; esac' x ::: a slow b big c 2>&1 "
		">/dev/null");

	shell_expect_has(done->out, "carom run: 5 jobs in ");
	shell_expect_has(done->out, "\nslowest: ");
	shell_expect_has(strstr(done->out, "slowest: "), "  slow");
	shell_expect_has(done->out, "\nbiggest: ");
	cr_expect(ne(ptr, strstr(strstr(done->out, "biggest: "), " MB  big, "), NULL), "%s",
		  done->out);
	cr_expect(zero(int, done->status));
}

Test(run_report, is_for_terminals_or_who_asks)
{
	const char *text = shell_on_terminal("TERM=xterm $C run true ::: a b; echo and;"
					     "TERM=xterm $C run true ::: one; echo and;"
					     "TERM=xterm $C run --quiet false ::: a b",
					     80);
	const struct shell *done =
		shell("$C run true ::: a b; $C run --quiet false ::: a b; echo $?;"
		      "$C run --report --dry-run true ::: a");

	shell_expect_has(text, "carom run: 2 jobs in ");
	shell_expect_has(text, "slowest: ");
	shell_expect_has(text, "and\r\nand\r\n");
	cr_expect(eq(ptr, strstr(text, "failed"), NULL), "%s", text);
	shell_expect_is(done->out, "2\ntrue a\n");
	shell_expect_is(done->err, "");
}

Test(run_report, has_a_line_that_runs_again_what_failed)
{
	const struct shell *done = shell(
		"try() { sed -n 's/^these again: carom/exec $C/p' err >again; cat again; sh "
		"./again; };"
		"$C run -j 1 sh -c 'echo $1; exit ${1%% *}' x {} ::: 0 '3 a' \"4'b\" 0 "
		">/dev/null 2>err;"
		"try; echo $?; $C run -j 1 false {1} {2} ::: a b ::: 1 2 2>err; tail -n 1 err;"
		"printf 'p\\nq r\\n' | $C run -j 1 false 2>&1 | tail -n 1");

	shell_expect_is(
		done->out,
		"exec $C run -j 1 sh -c 'echo $1; exit ${1%% *}' x '{}' ::: '3 a' '4'\\''b'\n"
		"3 a\n4'b\n2\n"
		"these again: carom run -j 1 false '{1}' '{2}' ::: a a b b :::+ 1 2 1 2\n"
		"these again: carom run -j 1 false ::: p 'q r'\n");
}

Test(run_report, has_no_such_line_where_it_would_not_do)
{
	const struct shell *done = shell("seq 100 | $C run false 2>&1 | grep -c again;"
					 "echo a >list; $C run -a list false 2>&1 | grep -c again;"
					 "printf 'n\\0l\\n' | $C run false 2>&1 | grep -c again;"
					 "$C run --joblog log false ::: a 2>&1 | tail -n 1");

	shell_expect_is(done->out,
			"0\n0\n0\nthe same command with --resume --retry-failed runs these "
			"again\n");
}

/* --- a new user -------------------------------------------------------- */

Test(run_report, does_nothing_on_an_empty_input)
{
	const struct shell *done =
		shell("for o in '' -k --lb -u --tag '--results r' '--joblog log' --bar --report; do"
		      " $C run $o touch done </dev/null || echo $?; done; cat log | wc -l; ls");

	shell_expect_is(done->out, "1\nlog\nr\n");
	shell_expect_has(done->err, "carom run: 0 jobs in ");
}

Test(run_report, runs_a_hundred_thousand_jobs_in_constant_memory, .timeout = 300)
{
	static struct shell job;

	shell_begin(
		&job,
		"seq 100000 >list; seq 90001 99999 | awk -v OFS='\\t' '{ print $1, \":\", 0, 0, 0,"
		" 0, 0, 0, \"x\" }' >log; seq 90000 | awk -v OFS='\\t' '{ print $1, \":\", 0, 0, "
		"0, 0, 0, 0, \"x\" }' >>log; exec $C run --resume --joblog log -a list echo");
	shell_end(&job);
	shell_expect_is(job.out, "100000\n");
	shell_expect_is(job.err, "");
	cr_expect(zero(int, job.status));
}

Test(run_report, takes_inputs_with_newlines_and_quotes_everywhere)
{
	const struct shell *done =
		shell("printf 'new\\nline\\0\"q'\\''u\\\\\\0 $(x) ` *\\0' >list;"
		      "$C run -0 -k -a list --tag --results r --joblog log printf '%s|' {};"
		      "find r/1 -name stdout -print0 | sort -z | tr '\\0\\n' ' ~'; echo; sed 1d "
		      "log | cut -f 9;"
		      "sed 1d log | wc -l; $C run -0 --resume --joblog log -a list touch done; ls");

	shell_expect_is(
		done->out,
		"new\\nline\tnew\nnew\\nline\tline|\n\"q'u\\\t\"q'u\\|\n $(x) ` *\t $(x) ` *|\n"
		"r/1/ $(x) ` */stdout r/1/\"q'u\\\\/stdout r/1/new~line/stdout \n"
		"printf '%s|' $'new\\nline'\nprintf '%s|' '\"q'\\''u\\'\nprintf '%s|' ' $(x) ` *'\n"
		"3\nlist\nlog\nr\n");
	shell_expect_is(done->err, "");
	cr_expect(zero(int, done->status));
}

Test(run_report, says_when_the_disk_is_full_and_loses_nothing_that_is_logged)
{
	const struct shell *done = shell("seq 2000 >list; unshare -rm sh -c 'mkdir small; mount -t "
					 "tmpfs -o size=8k none small || exit 77;"
					 " cp small/none . 2>/dev/null; $C run -j 2 --joblog "
					 "small/log -a list echo >out; echo $?;"
					 " cp small/log log'");

	if (strstr(done->err, "unshare: ") || done->status == 77)
		shell_skip("skipped: no file system can be mounted here");
	shell_expect_is(done->out, "125\n");
	shell_expect_is(done->err, "carom run: small/log: No space left on device\n");
	done = shell("sed 1d log | cut -f 1,8 | grep -c '\t0$' | grep -qv '^0$' && echo some;"
		     "sed 1d log | grep -P '^\\d+\t.*\tok\t.*\t' | cut -f 1 | sort >logged; sort "
		     "out | comm -23 "
		     "logged - | wc -l;"
		     "$C run -j 2 --resume --joblog log -a list echo >>out; echo $?; sort -un out "
		     "| cmp - list &&"
		     " echo all");
	shell_expect_is(done->out, "some\n0\n0\nall\n");
}

Test(run_report, says_when_nobody_reads_on_and_runs_the_rest_later)
{
	const struct shell *done =
		shell("seq 1500 >list; { $C run -k --joblog log -a list echo; echo $? >status; } | "
		      "head -n 1;"
		      "cat status; $C run -k --resume --joblog log -a list echo >out; echo $?;"
		      "tail -n 1 out; $C run --lb -a list echo >/dev/full; echo $?");

	shell_expect_is(done->out, "1\n125\n0\n1500\n125\n");
	shell_expect_is(done->err, "carom run: standard output: Broken pipe\n"
				   "carom run: standard output: No space left on device\n");
}

Test(run_report, says_that_there_is_no_such_command)
{
	const struct shell *done = shell("$C run no-such-command {} ::: a b; echo $?");

	shell_expect_is(done->out, "2\n");
	shell_expect_has(done->err, "carom run: 2 of 2 jobs failed:\n      2  ");
	shell_expect_has(done->err, "(No such file or directory): ");
}

Test(run_report, is_whole_on_a_terminal)
{
	const char *text = shell_on_terminal(
		"TERM=xterm NO_COLOR=1 $C run --bar --tag --lb sh -c 'echo $1; exit 1' x ::: a b",
		80);

	shell_expect_has(text, "a\ta\r\n");
	shell_expect_has(text, "b\tb\r\n");
	shell_expect_has(text, "carom run: 2 of 2 jobs failed:\r\n");
	shell_expect_has(text,
			 "these again: carom run --bar --tag --lb sh -c 'echo $1; exit 1' x ::: ");
	shell_expect_has(text, "carom run: 2 jobs in ");
}
