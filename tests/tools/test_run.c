/*
 * carom run, as its users see it: scripts that call the built program.
 *
 * Whether processes are dead is told by a FIFO that they hold open for writing:
 * who reads it comes to its end when the last of them is gone.
 */
#include "tests/tools/shell.h"

#include <dirent.h>

TestSuite(run, .init = shell_enter_directory, .fini = shell_leave_directory, .timeout = 60);

/* --- commands and inputs ----------------------------------------------- */

Test(run, runs_the_command_once_for_each_input)
{
	const struct shell *done = shell("exec $C run -k echo hello {} ::: world 'two words' ''");

	shell_expect_is(done->out, "hello world\nhello two words\nhello \n");
	shell_expect_is(done->err, "");
	cr_expect(zero(int, done->status));
}

Test(run, takes_lines_of_standard_input)
{
	const struct shell *done = shell("printf 'a\\n\\nlast' | $C run -k printf '<%s>'");

	shell_expect_is(done->out, "<a><><last>");
	cr_expect(zero(int, done->status));
}

Test(run, replaces_every_mark_and_appends_only_if_there_is_none)
{
	const struct shell *done = shell("$C run -k printf '%s|' {}{}-{} x{ } {} ::: a {};"
					 "$C run -k {} ::: true /bin/true;"
					 "$C run -k echo ::: -n --");

	shell_expect_is(done->out, "aa-a|x{|}|a|{}{}-{}|x{|}|{}|--\n");
	shell_expect_is(done->err, "");
}

Test(run, replaces_marks_by_parts_of_the_input)
{
	const struct shell *done =
		shell("$C run -k echo {.} {/} {//} {/.} {1} x{1/.}y ::: dir/a.tar.gz /b .profile "
		      "d.d/none a. d//e.x;"
		      "$C run -j 1 echo {#} {%} ::: a b");

	shell_expect_is(done->out, "dir/a.tar a.tar.gz dir a.tar dir/a.tar.gz xa.tary\n"
				   "/b b / b /b xby\n"
				   ".profile .profile . .profile .profile x.profiley\n"
				   "d.d/none none d.d none d.d/none xnoney\n"
				   "a. a. . a. a. xa.y\n"
				   "d//e e.x d e d//e.x xey\n"
				   "1 1\n2 1\n");
}

Test(run, leaves_alone_what_only_looks_like_a_mark)
{
	const struct shell *done =
		shell("exec $C run echo {print} {2} {0} {01.x} {.#} {1#} { {{}} ::: a");

	shell_expect_is(done->out, "{print} {2} {0} {01.x} {.#} {1#} { {a}\n");
}

Test(run, shows_what_it_would_run_and_runs_nothing)
{
	const struct shell *done = shell(
		"$C run --dry-run touch {} 'x y' -- {#} ::: plain \"it's\" '' "
		"\"$(printf 'new\\nline\\0331')\" '$HOME' a=b >lines; ls; cat lines;"
		"mkdir d; cd d; bash ../lines && ls -A | wc -l; test -e \"it's\" && echo there;"
		"test -e \"$(printf 'new\\nline\\0331')\" && echo there");

	shell_expect_is(done->err, "touch: cannot touch '': No such file or directory\n");
	shell_expect_is(done->out, "lines\ntouch plain 'x y' -- 1\ntouch 'it'\\''s' 'x y' -- 2\n"
				   "touch '' 'x y' -- 3\ntouch $'new\\nline\\0331' 'x y' -- 4\n"
				   "touch '$HOME' 'x y' -- 5\ntouch a=b 'x y' -- 6\n"
				   "13\nthere\nthere\n");
}

Test(run, has_no_shell_in_between)
{
	const struct shell *done = shell(
		"$C run -k printf '%s\\n' ::: '$(touch bad)' '; touch bad' '*' '\"' \"'\" '\\n';"
		"test ! -e bad && echo good");

	shell_expect_is(done->out, "$(touch bad)\n; touch bad\n*\n\"\n'\n\\n\ngood\n");
}

Test(run, takes_any_name_with_nul_separators)
{
	const struct shell *done =
		shell("mkdir d && cd d && touch -- ' a' 'new\nline' '-rf' 'quo\"te' \"apos'\" "
		      "'b\\s' '{}' "
		      "\"$(printf '\\377\\001')\" &&"
		      "find . -type f -print0 | sort -z >../names &&"
		      "$C run -0 -k printf '%s\\0' <../names | cmp - ../names && echo same");

	shell_expect_is(done->out, "same\n");
	shell_expect_is(done->err, "");
}

Test(run, takes_inputs_from_a_file)
{
	const struct shell *done =
		shell("printf 'a\\nb\\n' >list; echo no | $C run -k -a list echo;"
		      "echo yes | $C run -a - echo;"
		      "$C run -a /dev/null echo; echo $?");

	shell_expect_is(done->out, "a\nb\nyes\n0\n");
}

Test(run, combines_several_lists_each_with_each)
{
	const struct shell *done = shell("printf '1\\n2\\n' >list;"
					 "$C run -k echo {2}{1} {} {1/} ::: a d/b ::: x y;"
					 "$C run -k -a list printf '%s,' ::: a b; echo;"
					 "echo in | $C run -k -a list -a - printf '%s,'; echo;"
					 "$C run -k printf '%s,' ::: a b :::; echo $?");

	shell_expect_is(done->out, "xa a x a\nya a y a\nxd/b d/b x b\nyd/b d/b y b\n"
				   "1,a,1,b,2,a,2,b,\n1,in,2,in,\n0\n");
	shell_expect_is(done->err, "");
}

Test(run, takes_lists_along_with_the_one_before)
{
	const struct shell *done = shell("$C run -k echo {1}{2}{3} ::: 1 2 3 :::+ a b ::: x y;"
					 "$C run -k echo {1}{2}{3} ::: 1 2 ::: a b :::+ x y z;"
					 "$C run --dry-run -k echo ::: 1 2 :::+ 'a b' '';"
					 "$C run -k echo ::: 1 2 :::+");

	shell_expect_is(done->out, "1ax\n1ay\n2bx\n2by\n"
				   "1ax\n1by\n2ax\n2by\n"
				   "echo 1 'a b'\necho 2 ''\n");
}

Test(run, fails_a_combination_that_cannot_be_words)
{
	const struct shell *done =
		shell("printf 'a\\nn\\0l\\n' >list; head -c 70000 /dev/zero | tr '\\0' x >long;"
		      "$C run -k -a list echo ::: b; $C run -a long -a long true;"
		      "$C run -a missing true ::: a; $C run -a . true ::: a; echo $?");

	shell_expect_is(done->out, "a b\n125\n");
	shell_expect_has(done->err, "could not start (the input holds a NUL byte): n b\n");
	shell_expect_has(done->err, "could not start (Argument list too long): xxxxxx");
	shell_expect_has(done->err, "carom run: missing: No such file or directory\n"
				    "carom run: .: Is a directory\n");
}

Test(run, does_nothing_if_the_input_cannot_be_read)
{
	const struct shell *done = shell("mkdir dir; $C run -a missing touch done; echo $?;"
					 "$C run -a dir touch done; echo $?;"
					 "$C run touch done <&-; echo $?;"
					 "$C run touch done <dir; echo $?; ls");

	shell_expect_is(done->out, "125\n125\n125\n125\ndir\n");
	shell_expect_is(done->err, "carom run: missing: No such file or directory\n"
				   "carom run: dir: Is a directory\n"
				   "carom run: standard input: Bad file descriptor\n"
				   "carom run: standard input: Is a directory\n");
}

Test(run, runs_nothing_without_inputs)
{
	const struct shell *done = shell("$C run touch done :::; echo $?;"
					 "$C run touch done </dev/null; echo $?; ls");

	shell_expect_is(done->out, "0\n0\n");
	shell_expect_is(done->err, "");
}

Test(run, fails_a_job_whose_input_cannot_be_a_word)
{
	const struct shell *done =
		shell("{ echo a; head -c 200000 /dev/zero | tr '\\0' x; echo;"
		      "  printf 'n\\0l\\n'; echo b; } | $C run -k echo; echo $?");

	shell_expect_is(done->out, "a\nb\n2\n");
	shell_expect_has(done->err, "carom run: 2 of 4 jobs failed:\n");
	shell_expect_has(done->err, "could not start (Argument list too long): xxxxxx");
	shell_expect_has(done->err, "could not start (the input holds a NUL byte): n\n");
}

Test(run, takes_the_longest_word_there_is)
{
	const struct shell *done = shell(
		"{ head -c 131071 /dev/zero | tr '\\0' x; echo; } | $C run printf %s | wc -c");

	shell_expect_is(done->out, "131071\n");
	shell_expect_is(done->err, "");
}

/* --- jobs -------------------------------------------------------------- */

Test(run, runs_as_many_jobs_at_a_time_as_told)
{
	/* each waits for the other */
	const struct shell *done = shell(
		"mkfifo f; exec $C run -j 2 sh -c 'if [ $1 = a ]; then read x <f; else echo >f; fi'"
		" x ::: a b");

	cr_expect(zero(int, done->status));
	/* each notices the other */
	done = shell("exec $C run -j 1 sh -c 'mkdir busy && echo $1 && rmdir busy' x ::: 1 2 3 4");
	shell_expect_is(done->out, "1\n2\n3\n4\n");
	cr_expect(zero(int, done->status));
}

Test(run, counts_jobs_from_as_many_as_can_run_at_once)
{
	/* the message says how many it took for more than there are descriptors for */
	const struct shell *done = shell(
		"ulimit -n 64; export CAROM_CPU_COUNT=200;"
		"for j in auto 50% 150% 0.5% 200%x +7 +0 +x 1000000%; do $C run -j $j true ::: a;"
		" done 2>&1 | sed -n 's/ at a time.*//; s/.*-j: //p';"
		"CAROM_CPU_COUNT=1 $C run -j 1% echo ::: one");

	shell_expect_is(done->out, "200 jobs\n100 jobs\n300 jobs\n"
				   "'0.5%' is not a number of jobs, 1 to 10000, or auto, 50%, +2\n"
				   "'200%x' is not a number of jobs, 1 to 10000, or auto, 50%, +2\n"
				   "207 jobs\n200 jobs\n"
				   "'+x' is not a number of jobs, 1 to 10000, or auto, 50%, +2\n"
				   "'1000000%' is more than the 10000 jobs\none\n");
}

Test(run, gives_jobs_nothing_but_three_descriptors)
{
	const struct shell *done = shell(
		"ulimit -Sn 200; exec 7</dev/null;"
		"$C run sh -c 'echo /proc/self/fd/*; readlink /proc/self/fd/0; ulimit -Sn' x ::: a"
		" | sed 's|/proc/self/fd/||g'");

	/* dash itself opens no further one to expand a pattern */
	shell_expect_is(done->out, "0 1 2 3\n/dev/null\n200\n");
}

Test(run, keeps_the_order_if_asked_to)
{
	static const char job[] = "'if [ $1 = 1 ]; then read x <f; fi; echo $1;"
				  " if [ $1 = 3 ]; then echo >f; fi'";
	char script[256];
	const struct shell *done;

	snprintf(script, sizeof(script), "mkfifo f; exec $C run -k -j 2 sh -c %s x ::: 1 2 3 4",
		 job);
	done = shell(script);
	shell_expect_is(done->out, "1\n2\n3\n4\n");
	snprintf(script, sizeof(script), "exec $C run -j 2 sh -c %s x ::: 1 2 3", job);
	done = shell(script);
	cr_expect(zero(int, strncmp(done->out, "2\n", 2)), "%s", done->out);
}

Test(run, writes_the_output_of_a_job_in_one_piece)
{
	const struct shell *done =
		shell("mkfifo f g; exec $C run -j 2 sh -c 'if [ $1 = a ];"
		      "then echo a1; echo ae >&2; echo >f; read x <g; echo a2 >>/dev/stdout;"
		      "else read x <f; echo b; echo >g; fi' x ::: a b");

	cr_expect(ne(ptr, strstr(done->out, "a1\na2\n"), NULL), "%s", done->out);
	cr_expect(eq(sz, strlen(done->out), strlen("a1\na2\nb\n")));
	shell_expect_is(done->err, "ae\n");
}

Test(run, passes_on_large_output_whole)
{
	const struct shell *done =
		shell("head -c 3000000 /dev/urandom >data;"
		      "$C run cat ::: data | cmp - data && echo same;"
		      "$C run sh -c 'cat data >&2' ::: data 2>&1 | cmp - data && echo same");

	shell_expect_is(done->out, "same\nsame\n");
}

/* --- failures ---------------------------------------------------------- */

Test(run, ends_with_the_number_of_failed_jobs)
{
	const struct shell *done = shell("$C run false ::: 1 2 3; echo $?;"
					 "seq 100 | $C run false; echo $?;"
					 "seq 101 | $C run false; echo $?;"
					 "seq 300 | $C run false; echo $?");

	shell_expect_is(done->out, "3\n100\n101\n101\n");
}

Test(run, runs_again_what_failed)
{
	const struct shell *done =
		shell("$C run -k -j 2 --retries 3 sh -c 'echo $1 >>tried.$1; echo out $1;"
		      "[ $(wc -l <tried.$1) = $1 ]' x ::: 1 2 4 5 2>err; echo $?;"
		      "cat tried.* | sort | uniq -c | tr -s ' '; head -n 2 err");

	/* only the last attempt's output */
	shell_expect_is(done->out, "out 1\nout 2\nout 4\nout 5\n1\n 1 1\n 2 2\n 4 4\n 4 5\n"
				   "carom run: 1 of 4 jobs failed:\n      1  exit status 1: 5\n");
}

Test(run, runs_again_by_cause_only)
{
	const struct shell *done = shell(
		"job='echo $1 >>tried.$1; case $1 in f) exit 3;; s) kill -TERM $$;;"
		" t) sleep 1000;; esac';"
		"try() { rm -f tried.*; $C run --retries 1 \"$@\" sh -c \"$job\" x ::: f s;"
		" $C run -t 2 --retries 1 \"$@\" sh -c \"$job\" x ::: t;"
		" cat tried.* | tr -d '\\n'; echo; };"
		"try --retry-on failed; try --retry-on timeout,signal; try;"
		"$C run --retries 1000000 ./missing ::: a & pid=$!; kill -TERM $pid; wait $pid;"
		"echo $?; printf 'n\\0l\\n' | $C run --retries 1000000 true; echo $?");

	shell_expect_is(done->out, "ffst\nfsstt\nffsstt\n143\n1\n");
}

Test(run, does_not_wait_for_a_retry_when_told_to_end)
{
	static struct shell job;
	int up = shell_listen("up");

	shell_begin(&job, "exec $C run --retries 1 --retry-delay 1h sh -c 'echo there >up; exit 3' "
			  "x ::: a");
	shell_await_line(up, "there");
	kill(job.pid, SIGINT);
	shell_end(&job);
	cr_expect(eq(int, job.status, -SIGINT));
	shell_expect_has(job.err, "      1  exit status 3: a\n");
}

/* Both are due at the same time; as a rule the signal is looked at first. */
Test(run, starts_no_retry_that_is_due_when_it_is_told_to_end)
{
	static struct shell job;
	int up = shell_listen("up");

	shell_begin(&job,
		    "exec $C run --retries 1 --retry-delay 0.5 sh -c '[ ! -e n ] || sleep 1000;"
		    "echo >n; echo there >up; exit 3' x ::: a");
	shell_await_line(up, "there");
	usleep(200000); /* until the job is done; the delay has to pass, too */
	kill(job.pid, SIGSTOP);
	kill(job.pid, SIGTERM);
	usleep(500000);
	kill(job.pid, SIGCONT);
	shell_end(&job);
	cr_expect(eq(int, job.status, -SIGTERM));
}

Test(run, stops_when_enough_have_failed)
{
	const struct shell *done = shell(
		"$C run -j 1 --halt soon,fail=2 sh -c 'echo $1; exit $2' x {1} {2} ::: a b c d e"
		" :::+ 0 1 0 1 1; echo $?;"
		"$C run -j 1 --halt soon,fail=60% sh -c 'echo $1; exit $1' x"
		" ::: 1 1 0 0 0 1 1 1 1 1 | tr -d '\\n'");

	/* 2 of 2 are too few, 5 of 8 are 62% */
	shell_expect_is(done->out, "a\nb\nc\nd\n2\n11000111");
	shell_expect_has(done->err,
			 "carom run: --halt: 2 of 4 jobs failed: waiting for 0 running jobs\n");
}

Test(run, kills_the_rest_when_one_went_well)
{
	const struct shell *done =
		shell("mkfifo up; $C run -j 2 --halt now,success=1 sh -c 'if [ $1 = slow ]; then"
		      " echo there >up; sleep 1000; else read x <up; fi' x ::: slow fast never;"
		      "echo $?");

	shell_expect_is(done->out, "0\n");
	shell_expect_has(done->err, "carom run: --halt: 0 of 1 job failed: killing 1 running job\n"
				    "carom run: 1 of 2 jobs failed:\n"
				    "      1  killed by --halt: slow\n");
}

Test(run, sums_up_failures_by_cause)
{
	const struct shell *done =
		shell("exec $C run -j 1 sh -c 'case $1 in k*) kill -SEGV $$;; t*) "
		      "kill -TERM $$;; *) exit $1;;"
		      "esac' x ::: 0 7 k1 3 7 k2 7 7 t '0'");

	cr_expect(eq(int, done->status, 8));
	shell_expect_has(done->err, "carom run: 8 of 10 jobs failed:\n"
				    "      4  exit status 7: 7, 7, 7, ...\n"
				    "      2  signal SIGSEGV: k1, k2\n"
				    "      1  exit status 3: 3\n"
				    "      1  signal SIGTERM: t\n");
}

Test(run, says_why_a_command_could_not_start)
{
	const struct shell *done =
		shell("touch plain; printf 'no format' >odd; chmod +x odd;"
		      "exec $C run {} ::: ./nowhere no-such-command-at-all ./plain ./odd");

	cr_expect(eq(int, done->status, 4));
	shell_expect_has(done->err, "      2  not found (No such file or directory): ");
	shell_expect_has(done->err, "      1  could not start (Permission denied): ./plain\n");
	shell_expect_has(done->err, "      1  could not start (Exec format error): ./odd\n");
}

Test(run, names_inputs_in_a_way_that_cannot_hurt_a_terminal)
{
	const struct shell *done =
		shell("exec $C run -0 false ::: \"$(printf '\\033[2J\\nx')\" "
		      "0123456789012345678901234567890123456789012345678901234567890123456789");

	shell_expect_has(done->err, "?[2J?x");
	shell_expect_has(done->err,
			 "012345678901234567890123456789012345678901234567890123456789...");
}

Test(run, goes_on_when_the_watcher_of_a_job_is_killed)
{
	const struct shell *done = shell(
		"exec $C run -j 1 sh -c '[ $1 = b ] && kill -KILL $PPID; echo $1' x ::: a b c");

	cr_expect(eq(int, done->status, 1));
	shell_expect_has(done->out, "a\n");
	shell_expect_has(done->out, "c\n");
	shell_expect_has(done->err, "      1  lost (the process that watched it was killed): b\n");
}

Test(run, says_when_output_cannot_be_written)
{
	const struct shell *done =
		shell("$C run echo ::: a >/dev/full; echo $?;"
		      "$C run echo ::: a >&-; echo $?;"
		      "{ yes | $C run echo; echo $? >status; } | true; cat status;"
		      "$C --help >/dev/full; echo $?;"
		      "$C run --help >/dev/full; echo $?");

	shell_expect_is(done->out, "125\n125\n125\n125\n125\n");
	shell_expect_is(done->err, "carom run: standard output: No space left on device\n"
				   "carom run: standard output: Bad file descriptor\n"
				   "carom run: standard output: Broken pipe\n"
				   "carom: standard output: No space left on device\n"
				   "carom run: standard output: No space left on device\n");
}

/* --- the log ----------------------------------------------------------- */

#define COLUMNS "awk -F '\\t' -v OFS=, "

Test(run, logs_each_job_in_the_columns_of_gnu_parallel)
{
	const struct shell *done = shell(
		"date +%s >begun; $C run -j 1 -t 1 --joblog log sh -c 'case $1 in"
		" k*) kill -SEGV $$;; t*) sleep 1000;; e*) echo abc; echo d >&2; exit 3;;"
		" esac' x ::: ok exit kill time 'a\tb\n' >/dev/null 2>&1; $C run ./none ::: a "
		"--joblog no 2>/dev/null; $C run --joblog log2 ./none ::: a 2>/dev/null;" COLUMNS
		"'{ print $1, $2, $5, $6, $7, $8, $10, NF }' log log2;" COLUMNS
		"'NR > 1 && ($3 < '$(cat begun)' || $3 > '$(date +%s)' + 1 || $4 < 0 || $11 <= 0)' "
		"log;" COLUMNS "'$1 == 4 && $4 < 1' log; cut -f 9 log | tail -n 1");

	shell_expect_is(
		done->out,
		"Seq,Host,Send,Receive,Exitval,Signal,Cause,15\n"
		"1,:,0,0,0,0,ok,15\n"
		"2,:,0,6,3,0,failed,15\n"
		"3,:,0,0,0,11,signal,15\n"
		"4,:,0,0,0,9,timeout,15\n"
		"5,:,0,0,0,0,ok,15\n"
		"Seq,Host,Send,Receive,Exitval,Signal,Cause,15\n"
		"1,:,0,0,127,0,not-found,15\n"
		"sh -c 'case $1 in k*) kill -SEGV $$;; t*) sleep 1000;; e*) echo abc; echo d >&2; "
		"exit 3;; esac' x $'a\\tb\\n'\n");
}

Test(run, logs_memory_and_processor_time_of_a_job)
{
	const struct shell *done =
		shell("$C run -j 1 --joblog log sh -c ::: 'head -c 30000000 /dev/zero | tail -c "
		      "30000000 | wc -c'"
		      " 'i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done' >/dev/null;" COLUMNS
		      "'NR == 2 { print ($11 > 20000000) } NR == 3 { print ($12 > 0.01) }' log");

	shell_expect_is(done->out, "1\n1\n");
}

Test(run, goes_on_where_the_log_ends)
{
	const struct shell *done =
		shell("try() { $C run -k -j 2 --joblog log \"$@\" sh -c 'echo $1 | tr -d \"\\n\";"
		      "[ ! -e bad.$1 ]' x ::: 1 2 3 4 5 2>/dev/null; echo \" $?\"; };"
		      "touch bad.2 bad.4; try; try --resume; try --retry-failed; rm bad.2;"
		      "try --retry-failed; try --retry-failed; rm bad.4; sed -i '/^3/d' log;"
		      "try --dry-run --retry-failed | tail -c 6; try --resume; try --resume "
		      "--retry-failed;"
		      "try --resume --retry-failed; try; wc -l <log");

	shell_expect_is(done->out,
			"12345 2\n 0\n24 2\n24 1\n4 1\n 4\n 0\n3 0\n4 0\n 0\n12345 0\n6\n");
}

Test(run, says_how_to_run_again_what_failed)
{
	const struct shell *done = shell(
		"$C run --joblog log sh -c 'exit $1' x ::: 0 3; $C run --joblog log true ::: a");

	shell_expect_is(done->err,
			"carom run: 1 of 2 jobs failed:\n      1  exit status 3: 3\n"
			"the same command with --resume --retry-failed runs these again\n");
}

Test(run, takes_a_torn_line_for_a_job_that_is_not_done)
{
	const struct shell *done =
		shell("$C run -k -j 1 --joblog log echo ::: 1 2 3 >/dev/null;"
		      "head -c -1 log | sed '$ s/\\t[01]\\t.*//' | head -c -1 >torn;"
		      "$C run -k --resume --joblog torn echo ::: 1 2 3; tail -n 1 torn | cut -f 1");

	shell_expect_is(done->out, "3\n3\n");
}

Test(run, logs_nothing_whose_output_was_not_written)
{
	const struct shell *done =
		shell("$C run -j 1 --joblog log echo ::: 1 2 3 >/dev/full; echo $?; wc -l <log;"
		      "$C run -k -j 2 --resume --joblog log echo ::: 1 2 3; echo $?; wc -l <log");

	shell_expect_is(done->out, "125\n1\n1\n2\n3\n0\n4\n");
}

Test(run, logs_nothing_that_was_killed_with_the_run)
{
	static struct shell job;
	int up = shell_listen("up");

	shell_begin(&job,
		    "exec $C run -j 1 --joblog log sh -c '[ $1 = a ] || { echo there >up; sleep "
		    "1000; }' x ::: a b c");
	shell_await_line(up, "there");
	kill(job.pid, SIGTERM);
	shell_end(&job);
	cr_expect(eq(int, job.status, -SIGTERM));
	shell_expect_is(shell("cut -f 1,10 log")->out, "Seq\tCause\n1\tok\n");
}

Test(run, loses_nothing_that_was_logged_when_it_is_killed)
{
	const struct shell *done;

	shell_write_file("job", "#!/bin/sh\necho $1\n[ $1 != 50 ] || kill -KILL $(cat pid)\n");
	done = shell("seq 200 >list; echo $$ >pid;"
		     "exec $C run -j 2 --joblog log -a list ./job >out");
	cr_expect(eq(int, done->status, -SIGKILL));
	done = shell("sort out >shown; sed 1d log | cut -f 1 | sort | comm -23 - shown;"
		     "$C run -j 2 --resume --joblog log -a list echo >>out; echo $?;"
		     "sort -un out | cmp - list && echo all; sed 1d log | wc -l");
	shell_expect_is(done->out, "0\nall\n200\n");
}

Test(run, stops_when_there_is_no_room_for_the_log)
{
	const struct shell *done =
		shell("seq 100 >list; (ulimit -f 1; $C run -j 1 --joblog log -a list "
		      "echo >out; echo $?); [ $(wc -l <out) -lt 20 ] && echo few;"
		      "$C run -j 2 --resume --joblog log -a list echo >>out; echo $?;"
		      "sort -un out | cmp - list && echo all");

	shell_expect_is(done->out, "125\nfew\n0\nall\n");
	shell_expect_is(done->err, "carom run: log: File too large\n");
}

Test(run, lets_jobs_die_of_the_limit_of_files)
{
	shell_expect_has(shell("$C run sh -c 'kill -XFSZ $$' ::: a")->err, "signal SIGXFSZ: a\n");
}

Test(run, says_when_the_log_cannot_be_written)
{
	const struct shell *done = shell("mkdir d; $C run --joblog d touch done ::: a; echo $?;");

	shell_expect_is(done->out, "125\n");
	shell_expect_is(done->err, "carom run: d: Is a directory\n");
}

/* --- whole trees ------------------------------------------------------- */

/* A job that has it all: children in the background, in other sessions, orphans. All hold the FIFO f. */
#define HOLD "exec 3>f; exec sleep 1000"
#define FAMILY                                                 \
	"sh -c 'exec 3>f; setsid sh -c \"" HOLD "\" & "        \
	"(setsid sh -c \"exec 3>f; (" HOLD ") & exit\" & ) ; " \
	"echo there >up; sleep 1000' x "

static void kills_the_whole_tree_at_the_time_limit(void)
{
	static struct shell job;
	int tree = shell_watch("f"), up = shell_listen("up");

	shell_begin(&job, "exec $C run --timeout 0.5s " FAMILY "::: input");
	shell_end(&job);
	shell_expect_nobody(tree);
	close(up);
	cr_expect(eq(int, job.status, 1));
	shell_expect_has(job.err, "carom run: 1 of 1 job failed:\n"
				  "      1  time limit of 0.5 s: input\n");
}

Test(run, kills_the_whole_tree_at_the_time_limit)
{
	kills_the_whole_tree_at_the_time_limit();
}

Test(run, finds_the_tree_where_the_kernel_does_not_list_children)
{
	setenv("CAROM_TREE", "scan", 1);
	kills_the_whole_tree_at_the_time_limit();
}

Test(run, leaves_nothing_of_a_job_when_it_is_killed_itself)
{
	static struct shell job;
	int tree = shell_watch("f"), up = shell_listen("up");

	shell_begin(&job, "exec $C run " FAMILY "::: input");
	shell_await_line(up, "there");
	kill(job.pid, SIGKILL);
	shell_await_nobody(tree);
	shell_end(&job);
	cr_expect(eq(int, job.status, -SIGKILL));
}

/* A job that says when its tree has grown, and how that ends. */
static void kills_tree(const char *script)
{
	static struct shell job;
	int tree = shell_watch("f"), up = shell_listen("up");

	shell_begin(&job, script);
	shell_await_line(up, "there");
	kill(job.pid, SIGTERM);
	shell_end(&job);
	shell_expect_nobody(tree);
	cr_expect(eq(int, job.status, -SIGTERM));
}

Test(run, kills_a_tree_that_forks_as_fast_as_it_can)
{
	/* each process forks its successor and is gone; left alone it ends after a minute or so */
	kills_tree("exec $C run sh -c 'exec 3>f; echo there >up;"
		   "comet() { [ $1 = 0 ] || comet $(($1 - 1)) & }; comet 50000; sleep 1000' x ::: "
		   "input");
}

Test(run, kills_a_deep_tree)
{
	kills_tree("exec $C run sh -c 'exec 3>f; down() { if [ $1 = 0 ]; then echo there >up; "
		   "sleep 1000;"
		   "else (down $(($1 - 1))); : ; fi }; down 100' x ::: input");
}

Test(run, leaves_alone_what_a_job_left_behind)
{
	/* the second job is killed with its tree; the background process of the first is not part of it */
	const struct shell *done =
		shell("mkfifo f; exec 4<>f;"
		      "$C run -k -j 1 -t 2 sh -c 'if [ $1 = a ]; then sleep 1000 & echo $!;"
		      "else sleep 1000; fi' x ::: a b >pid; echo $?;"
		      "kill -KILL $(cat pid) && echo was there");

	shell_expect_is(done->out, "1\nwas there\n");
}

Test(run, keeps_time_limits_while_nobody_reads_its_output)
{
	const struct shell *done = shell(
		"mkfifo f; $C run -j 2 -t 2 sh -c 'if [ $1 = a ]; then head -c 1000000 /dev/zero;"
		"else exec 3>f; sleep 1000; fi' x ::: a b | { cat f; wc -c; }");

	shell_expect_is(done->out, "1000000\n");
}

/* --- signals ----------------------------------------------------------- */

/* Jobs that say they are there and wait to be told to go on. */
#define GATES "sh -c 'echo $1 >up; read x <go; echo end $1' x "

Test(run, interrupted_once_waits_for_what_runs)
{
	static struct shell job;
	int up = shell_listen("up"), err = shell_listen("err");

	cr_assert(zero(int, mkfifo("go", 0600)));
	shell_begin(&job, "exec $C run -j 1 " GATES "::: a b c 2>err");
	shell_await_line(up, "a");
	kill(job.pid, SIGINT);
	shell_await_line(err, "carom run: interrupted: waiting for 1 running job (");
	cr_assert(zero(int, system("echo on >go")));
	shell_end(&job);
	shell_expect_is(job.out, "end a\n");
	cr_expect(eq(int, job.status, -SIGINT));
}

Test(run, interrupted_twice_kills_what_runs)
{
	static struct shell job;
	int tree = shell_watch("f"), up = shell_listen("up"), err = shell_listen("err");

	shell_begin(&job, "exec $C run " FAMILY "::: input 2>err");
	shell_await_line(up, "there");
	kill(job.pid, SIGINT);
	shell_await_line(err, "interrupted");
	kill(job.pid, SIGINT);
	shell_await_nobody(tree);
	shell_end(&job);
	cr_expect(eq(int, job.status, -SIGINT));
}

Test(run, told_to_terminate_kills_what_runs)
{
	static struct shell job;
	int tree = shell_watch("f"), up = shell_listen("up");

	shell_begin(&job, "exec $C run " FAMILY "::: input");
	shell_await_line(up, "there");
	kill(job.pid, SIGTERM);
	shell_await_nobody(tree);
	shell_end(&job);
	cr_expect(eq(int, job.status, -SIGTERM));
	shell_expect_has(job.err, "carom run: SIGTERM: killing 1 running job\n");
	shell_expect_has(job.err, "      1  killed when told to end: input\n");
}

/* What a pipe takes, so that who writes there waits. */
static void fill_pipe(int fd)
{
	char bytes[4096] = { 0 };

	cr_assert(zero(int, fcntl(fd, F_SETFL, O_NONBLOCK)));
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	cr_assert(zero(int, fcntl(fd, F_SETFL, 0)));
}

/* Jobs end by the first signal, and what was left to tell by the second. */
static void expect_end_by_two_signals(struct shell *job, int alive)
{
	kill(job->pid, SIGTERM);
	shell_await_nobody(alive);
	kill(job->pid, SIGTERM);
	shell_end(job);
	cr_expect(eq(int, job->status, -SIGTERM));
}

Test(run, ends_while_nobody_reads_what_it_writes)
{
	static struct shell job;
	int alive = shell_watch("f"), up = shell_listen("up"), out = shell_listen("out");

	fill_pipe(out);
	shell_begin(&job, "exec $C run -j 2 --lb sh -c 'exec 3>f; printf \"x\\nhalf\"; echo there"
			  " >up; exec sleep 1000' x ::: a b >out 2>&1");
	shell_await_line(up, "there");
	shell_await_line(up, "there");
	expect_end_by_two_signals(&job, alive);
}

Test(run, waits_for_a_reader_of_its_report_until_it_is_told_to_end)
{
	static struct shell job;
	int alive = shell_watch("f"), up = shell_listen("up"), err = shell_listen("err");

	fill_pipe(err);
	shell_begin(&job, "exec $C run sh -c 'exec 3>f; echo there >up; exec sleep 1000' x ::: a"
			  " 2>err");
	shell_await_line(up, "there");
	expect_end_by_two_signals(&job, alive);
}

Test(run, goes_on_behind_what_is_done_while_nobody_reads_its_output)
{
	static struct shell job;
	int up = shell_listen("up"), out;

	shell("$C run -j 1 --joblog log true ::: 1 2 3 4; sed -i '/^[14]\t/d' log");
	out = shell_listen("out");
	shell_begin(&job,
		    "exec $C run -j 1 --joblog log --resume sh -c '[ $1 = 4 ] && echo there >up"
		    " || seq 100000' x ::: 1 2 3 4 >out");
	shell_await_line(up, "there");
	kill(job.pid, SIGKILL);
	shell_end(&job);
	close(out);
}

Test(run, in_the_background_goes_on_ignoring_what_it_was_told_to_ignore)
{
	const struct shell *done =
		shell("trap '' INT; $C run sh -c 'kill -INT $1; echo on' x $$ ::: a; echo $?");

	shell_expect_is(done->out, "on\n0\n");
}

/* --- bounds ------------------------------------------------------------ */

static int count_entries(const char *path)
{
	DIR *directory = opendir(path);
	int count = 0;

	cr_assert(ne(ptr, directory, NULL), "%s", path);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static int count_descriptors(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	return count_entries(path);
}

static int count_children(pid_t pid)
{
	char path[64];
	int count = 0, child;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "re");
	cr_assert(ne(ptr, file, NULL));
	while (fscanf(file, "%d", &child) == 1)
		count++;
	fclose(file);
	return count;
}

Test(run, grows_in_nothing_over_ten_thousand_jobs, .timeout = 300)
{
	static struct shell job;
	int up = shell_listen("up"), descriptors, children;

	cr_assert(zero(int, mkfifo("go", 0600)));
	shell_write_file("gate", "#!/bin/sh\necho there >up; read x <go\n");
	/* both slots have had a job before the first count */
	shell_begin(&job, "{ seq 100 | sed s,.*,/bin/true,; echo ./gate;"
			  "  seq 9898 | sed s,.*,/bin/true,; echo ./gate; } >list;"
			  "exec $C run -j 2 -a list {}");
	shell_await_line(up, "there");
	descriptors = count_descriptors(job.pid);
	children = count_children(job.pid);
	cr_assert(zero(int, system("echo on >go")));
	shell_await_line(up, "there");
	/* the other slot may be in the middle of a job, now or then: two memfds */
	cr_expect(le(int, count_descriptors(job.pid), descriptors + 2));
	cr_expect(le(int, count_children(job.pid), children));
	cr_assert(zero(int, system("echo on >go")));
	shell_end(&job);
	cr_expect(zero(int, job.status));
	shell_expect_is(job.err, "");
}

Test(run, reads_an_endless_input_in_constant_memory)
{
	static struct shell job;
	int up = shell_listen("up");

	cr_assert(zero(int, mkfifo("endless", 0600)));
	shell_begin(
		&job,
		"yes >endless & exec $C run -j 1 -a endless sh -c 'echo there >up; sleep 1000'");
	shell_await_line(up, "there");
	kill(job.pid, SIGTERM);
	shell_end(&job);
	cr_expect(eq(int, job.status, -SIGTERM));
#ifndef __SANITIZE_ADDRESS__
	cr_expect(le(long, job.peak_kib, 8 * 1024));
#endif
	/* a line without end, which is one job that fails; not in a pipe that `yes` may still write to */
	cr_assert(zero(int, mkfifo("long", 0600)));
	shell_begin(&job,
		    "head -c 100000000 /dev/zero | tr '\\0' x >long & exec $C run -a long true");
	shell_end(&job);
	cr_expect(eq(int, job.status, 1));
	shell_expect_has(job.err, "1 of 1 job failed");
#ifndef __SANITIZE_ADDRESS__
	cr_expect(le(long, job.peak_kib, 8 * 1024));
#endif
}

Test(run, stays_responsive_on_an_input_that_never_waits)
{
	const struct shell *done = shell("$C run true </dev/zero & pid=$!;"
					 "kill -TERM $pid; wait $pid; echo $?");

	shell_expect_is(done->out, "143\n");
}

Test(run, keeps_order_with_few_descriptors)
{
	/* the first job holds up the output of all others: far more than there are descriptors for */
	const struct shell *done = shell("mkfifo f; ulimit -n 64; seq 500 | $C run -j 2 -k sh -c"
					 " 'if [ $1 = 1 ]; then read x <f; fi; if [ $1 = 9 ]; then "
					 "echo >f; fi; echo $1' x >out;"
					 "echo $?; seq 500 | cmp - out && echo same");

	shell_expect_is(done->out, "0\nsame\n");
	shell_expect_is(done->err, "");
}

/* --- the command line -------------------------------------------------- */

struct mistake {
	const char *words;
	const char *message;
};

static const struct mistake mistakes[] = {
	{ "", "carom: which command?" },
	{ "frob", "carom: there is no command 'frob'" },
	{ "--frob", "carom: there is no option '--frob'" },
	{ "run", "carom run: which command?" },
	{ "run ::: a", "carom run: which command?" },
	{ "run --frob true ::: a", "carom run: there is no option '--frob'" },
	{ "run -kx true ::: a", "carom run: there is no option '-x'" },
	{ "run --bar=1 true ::: a", "carom run: option '--bar=1' takes no value" },
	{ "run -j", "carom run: option '-j' needs a value" },
	{ "run --jobs", "carom run: option '--jobs' needs a value" },
	{ "run -j 0 true ::: a", "carom run: -j: '0' is not a number of jobs" },
	{ "run -j -1 true ::: a", "carom run: -j: '-1' is not a number of jobs" },
	{ "run -j 0% true ::: a", "carom run: -j: '0%' is not a number of jobs" },
	{ "run -j 2x true ::: a", "carom run: -j: '2x' is not a number of jobs" },
	{ "run -j '' true ::: a", "carom run: -j: '' is not a number of jobs" },
	{ "run -j 10001 true ::: a", "carom run: -j: '10001' is more than" },
	{ "run -j 18446744073709551617 true ::: a",
	  "carom run: -j: '18446744073709551617' is more" },
	{ "run -t 0 true ::: a", "carom run: --timeout: '0' leaves a job no time" },
	{ "run -t 0.0000000001 true ::: a", "leaves a job no time" },
	{ "run -t -1 true ::: a", "carom run: --timeout: '-1' is not a time" },
	{ "run -t 1d true ::: a", "carom run: --timeout: '1d' is not a time" },
	{ "run -t 1e3 true ::: a", "is not a time" },
	{ "run -t 1. true ::: a", "is not a time" },
	{ "run -t .5 true ::: a", "is not a time" },
	{ "run -t nan true ::: a", "is not a time" },
	{ "run -t '' true ::: a", "is not a time" },
	{ "run -t 99999999999h true ::: a", "carom run: --timeout: '99999999999h' is too long" },
	{ "run -t 99999999999999999999999 true ::: a", "is too long" },
	{ "run --retries x true ::: a", "carom run: --retries: 'x' is not a number" },
	{ "run --retries 1000001 true ::: a", "--retries: '1000001' is not a number, 0 to" },
	{ "run --retry-delay x true ::: a", "carom run: --retry-delay: 'x' is not a time" },
	{ "run --retry-on failed,x true ::: a", "carom run: --retry-on: 'x' is none of" },
	{ "run --retry-on '' true ::: a", "carom run: --retry-on: '' is none of" },
	{ "run --halt now true ::: a", "carom run: --halt: 'now' is nothing like" },
	{ "run --halt now,fail=0 true ::: a", "--halt: 'now,fail=0' is nothing like" },
	{ "run --halt soon,fail=101% true ::: a", "is nothing like" },
	{ "run --halt soon,fail=1x true ::: a", "is nothing like" },
	{ "run --results", "carom run: option '--results' needs a value" },
	{ "run --tag=x true ::: a", "carom run: option '--tag=x' takes no value" },
	{ "run --quiet --report true ::: a", "carom run: --quiet and --report are opposites" },
	{ "run --resume true ::: a", "carom run: --resume and --retry-failed need the log" },
	{ "run --joblog /nowhere/log touch done ::: a", "carom run: /nowhere/log: No such file" },
	{ "run --joblog /dev/full touch done ::: a", "carom run: /dev/full: No space left" },
	{ "run -a - -a - true", "carom run: -a: standard input has one end only" },
	{ "run true :::+ a", "carom run: ':::+' goes along with a source before it" },
	{ "run true ::: ::: ::: ::: ::: ::: ::: ::: ::: ::: ::: ::: ::: ::: ::: ::: :::",
	  "carom run: more than the 16 sources" },
};

Test(run, names_each_mistake_and_runs_nothing)
{
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
		char script[256];
		const struct shell *done;

		snprintf(script, sizeof(script), "exec $C %s", mistakes[i].words);
		done = shell(script);
		cr_expect(eq(int, done->status, 125), "%s", mistakes[i].words);
		shell_expect_is(done->out, "");
		shell_expect_has(done->err, mistakes[i].message);
	}
}

Test(run, takes_every_way_to_write_a_time)
{
	const struct shell *done =
		shell("for t in 100 99.5 60s 60000ms 5m 1h 0.5h 5000000h; do"
		      " $C run -t $t true ::: a || echo $t; done;"
		      "$C run -t 1ms sleep ::: 1000 2>&1 | sed -n 2p;"
		      "$C run --timeout=0.0005m sleep ::: 1000 2>&1 | sed -n 2p");

	shell_expect_is(done->out, "      1  time limit of 0.001 s: 1000\n"
				   "      1  time limit of 0.03 s: 1000\n");
}

Test(run, says_when_the_descriptors_do_not_suffice)
{
	const struct shell *done = shell("ulimit -n 100; exec $C run -j 50 touch done ::: a");

	cr_expect(eq(int, done->status, 125));
	shell_expect_is(done->err,
			"carom run: -j: 50 jobs at a time need 182 open files, the limit is 100 "
			"(ulimit -n)\n");
}

Test(run, says_when_the_loop_that_was_asked_for_does_not_exist)
{
	const struct shell *done = shell("CAROM_LOOP=none exec $C run touch done ::: a");

	cr_expect(eq(int, done->status, 125));
	shell_expect_has(done->err, "carom run: event loop: Invalid argument\n");
}

Test(run, has_help_that_fits_a_screen)
{
	shell_expect_fits_a_screen("$C --help");
	shell_expect_fits_a_screen("$C run --help");
	shell_expect_has(shell("$C --version")->out, "carom ");
}

/* --- the bar ----------------------------------------------------------- */

Test(run, shows_a_bar_on_a_terminal)
{
	const char *text;

	text = shell_on_terminal("TERM=xterm NO_COLOR=1 $C run --bar -j 1 sleep ::: 0.1 0.1 0.1",
				 80);
	shell_expect_has(text, "2 of 3 jobs");
	shell_expect_has(text, "running");
	shell_expect_has(text, "\r\033[K");
	cr_expect(eq(ptr, strstr(text, "\033[3"), NULL), "colours in: %s", text);
}

Test(run, shows_a_bar_that_is_never_wider_than_the_terminal)
{
	static const char script[] = "TERM=xterm NO_COLOR=1 $C run --bar -j 1 false ::: a b c 2>&1";

	for (unsigned short columns = 1; columns < 120; columns = (unsigned short)(columns + 17)) {
		const char *text = shell_on_terminal(script, columns);
		const char *summary = strstr(text, "carom run:");

		cr_assert(ne(ptr, (void *)summary, NULL));
		text = strndup(text, (size_t)(summary - text));
		shell_expect_narrower(text, columns + strlen("\033[K"));
		free((void *)text);
	}
}

Test(run, shows_no_bar_where_it_cannot)
{
	const char *text =
		shell_on_terminal("TERM=dumb $C run --bar true ::: a b c; $C run true ::: a", 80);
	const struct shell *done;

	shell_expect_is(text, "");
	done = shell("TERM=xterm $C run --bar true ::: a b c");
	shell_expect_is(done->err, "");
}

Test(run, keeps_the_bar_out_of_the_output_on_a_terminal)
{
	const char *text = shell_on_terminal("TERM=xterm $C run --bar -k echo ::: a b", 80);

	/* what an output line follows is a cleared line */
	shell_expect_has(text, "\r\033[Ka\r\n");
	shell_expect_has(text, "b\r\n");
}
