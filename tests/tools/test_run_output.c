/*
 * What carom run does with what jobs write: tags, lines, results, and how that
 * goes together.
 */
#include "tests/tools/shell.h"

TestSuite(run_output, .init = shell_enter_directory, .fini = shell_leave_directory, .timeout = 60);

/* --- tags -------------------------------------------------------------- */

Test(run_output, has_the_input_before_each_line_if_asked_to)
{
	const struct shell *done =
		shell("$C run -k --tag sh -c 'echo 1; echo 2' ::: a 'b c';"
		      "$C run --tag sh -c 'echo $1$2 >&2' x ::: d ::: e 2>&1;"
		      "$C run --tag --dry-run echo ::: f; $C run --tag true ::: g");

	shell_expect_is(done->out, "a\t1\na\t2\nb c\t1\nb c\t2\nd e\tde\nf\techo f\n");
	shell_expect_is(done->err, "");
}

Test(run_output, has_tags_on_whole_lines_only)
{
	/* the end of a line is put in where a job did not write it; an input has no effect on lines */
	const struct shell *done = shell(
		"$C run -k --tag printf 'x\\n\\ny%s' ::: a '' \"$(printf 'n\\nl\\tt\\033e')\"");

	shell_expect_is(done->out, "a\tx\na\t\na\tya\n\tx\n\t\n\ty\n"
				   "n\\nl\\tt\\033e\tx\nn\\nl\\tt\\033e\t\nn\\nl\\tt\\033e\tyn\n"
				   "n\\nl\\tt\\033e\tl\tt\033e\n");
}

Test(run_output, tags_any_amount)
{
	const struct shell *done = shell(
		"seq 100000 >list; head -c 300000 /dev/zero | tr '\\0' x >long; echo >>long;"
		"$C run --tag cat ::: list | cut -f 2 | cmp - list && echo same;"
		"$C run --tag cat ::: list | cut -f 1 | sort -u;"
		"$C run --tag cat ::: long | cut -f 2 | cmp - long && echo same;"
		"tag=$(head -c 100000 /dev/zero | tr '\\0' y);"
		"$C run --tag seq 30 ::: 1 2>&1 | wc -l;"
		"$C run --tag sh -c 'seq 30' ::: $tag | cut -f 2 | cmp -n 80 - list && echo same");

	shell_expect_is(done->out, "same\nlist\nsame\n0\nsame\n");
}

/* --- lines ------------------------------------------------------------- */

Test(run_output, shows_whole_lines_of_jobs_that_run)
{
	static struct shell job;
	int out = shell_listen("out"), up = shell_listen("up");

	cr_assert(zero(int, mkfifo("go", 0600)));
	shell_begin(&job, "exec $C run -j 2 --lb --tag sh -c 'echo begin; printf half; echo up >up;"
			  "read x <go; echo; echo end' x ::: a >out");
	shell_await_line(out, "a\tbegin");
	shell_await_line(up, "up");
	cr_assert(zero(int, system("echo on >go")));
	shell_await_line(out, "a\thalf");
	shell_await_line(out, "a\tend");
	shell_end(&job);
	cr_expect(zero(int, job.status));
	shell_expect_is(job.err, "");
}

Test(run_output, never_mixes_lines_of_two_jobs)
{
	const struct shell *done = shell(
		"cat >job <<'E'\nexec awk -v n=$1 'BEGIN { while (length(line) < 5400) line = line "
		"n;"
		" for (i = 0; i < 3000; i++) print n \" \" substr(line, 1, i % 7 * 900);"
		" printf \"%d last\", n }'\n"
		"E\n$C run -j 4 --line-buffer sh ./job ::: 1 2 3 4 >out; echo $?; wc -l <out;"
		"grep -cv -e '^1 1*$' -e '^2 2*$' -e '^3 3*$' -e '^4 4*$' out; grep -c last out;"
		"wc -c <out; $C run -k sh ./job ::: 1 2 3 4 | wc -c");
	char expected[64];
	int line_bytes = 3 * 3000; /* "1 " and its end */

	for (int i = 0; i < 3000; i++)
		line_bytes += i % 7 * 900;
	/* by lines, the end of a last one is put in where its job did not write it */
	snprintf(expected, sizeof(expected), "0\n%d\n4\n4\n%d\n%d\n", 4 * 3001,
		 4 * (line_bytes + 7), 4 * (line_bytes + 6));
	shell_expect_is(done->out, expected);
}

Test(run_output, shows_the_lines_of_the_job_in_turn_with_keep_order)
{
	static struct shell job;
	int out = shell_listen("out"), up = shell_listen("up");

	cr_assert(zero(int, mkfifo("go", 0600)));
	shell_begin(&job, "exec $C run -k -j 3 --lb sh -c 'echo begin $1; echo up >up;"
			  "if [ $1 = 1 ]; then read x <go; fi; echo end $1' x ::: 1 2 3 >out");
	shell_await_line(out, "begin 1");
	for (int i = 0; i < 3; i++)
		shell_await_line(up, "up");
	cr_assert(zero(int, system("echo on >go")));
	shell_await_line(out, "end 1");
	shell_await_line(out, "begin 2");
	shell_await_line(out, "end 2");
	shell_await_line(out, "begin 3");
	shell_await_line(out, "end 3");
	shell_end(&job);
	cr_expect(zero(int, job.status));
}

Test(run_output, shows_the_lines_of_every_attempt)
{
	const struct shell *done = shell("$C run --lb --retries 2 --results r sh -c 'echo try;"
					 "echo >>n; [ $(wc -l <n) = 2 ]' x ::: a; echo $?;"
					 "cat r/1/a/stdout");

	shell_expect_is(done->out, "try\ntry\n0\ntry\ntry\n");
}

Test(run_output, passes_on_everything_by_lines)
{
	const struct shell *done =
		shell("seq 300000 >list; head -c 3000000 /dev/urandom >data;"
		      "$C run --lb cat ::: list | cmp - list && echo same;"
		      "$C run --lb sh -c 'cat list >&2' x ::: a 2>&1 >/dev/null | cmp - list && "
		      "echo same;"
		      "$C run --lb printf %s ::: x; $C run --lb ./none ::: x; echo $?;"
		      "$C run --lb --results r --joblog log cat ::: data >/dev/null;"
		      "cmp data r/1/data/stdout && echo same; cut -f 6 log | tail -n 1");

	shell_expect_is(done->out, "same\nsame\nx\n1\nsame\n3000000\n");
	shell_expect_has(done->err, "No such file or directory");
}

Test(run_output, lets_a_job_wait_for_a_reader_that_is_slow)
{
	static struct shell job;
	int out, up = shell_listen("up");
	char bytes[4096];

	/* far more than what may wait; the job gets on only while somebody reads */
	cr_assert(zero(int, mkfifo("out", 0600)));
	shell_begin(&job, "exec $C run --lb sh -c 'seq 2000000; echo up >up' x ::: a >out");
	out = open("out", O_RDONLY | O_CLOEXEC);
	cr_assert(ge(int, out, 0));
	while (read(out, bytes, sizeof(bytes)) > 0)
		;
	shell_await_line(up, "up");
	close(out);
	shell_end(&job);
	cr_expect(zero(int, job.status));
#ifndef __SANITIZE_ADDRESS__
	cr_expect(le(long, job.peak_kib, 8 * 1024));
#endif
}

/* --- nobody in between ------------------------------------------------- */

Test(run_output, lets_jobs_write_themselves)
{
	const struct shell *done = shell(
		"$C run -u -j 1 sh -c 'echo $1; echo e$1 >&2' x ::: 1 2;"
		"$C run -u --joblog log sh -c 'readlink /proc/self/fd/1' x ::: a >file; cat file;"
		"wc -l <log");

	shell_expect_has(done->out, "1\n2\n");
	shell_expect_has(done->out, "/file\n2\n");
	shell_expect_is(done->err, "e1\ne2\n");
}

Test(run_output, refuses_what_makes_no_sense_together)
{
	static const char *const options[] = { "-k", "--tag", "--results r" };

	for (size_t i = 0; i < 3; i++) {
		char script[128];
		const struct shell *done;

		snprintf(script, sizeof(script), "exec $C run -u %s touch done ::: a", options[i]);
		done = shell(script);
		cr_expect(eq(int, done->status, 125));
		shell_expect_is(done->out, "");
		shell_expect_has(done->err,
				 "carom run: --ungroup: jobs write the output themselves");
	}
	/* the last one counts */
	shell_expect_is(shell("$C run -u --group -k echo ::: a")->out, "a\n");
}

/* --- results ----------------------------------------------------------- */

Test(run_output, keeps_results_as_gnu_parallel_lays_them_out)
{
	const struct shell *done = shell(
		"$C run -k --results deep/r sh -c 'echo $1-$2; echo e >&2' x ::: a b ::: 1 2;"
		"cd deep/r; find . -type f | sort | head -n 6; cat 1/b/2/2/stdout 1/b/2/2/stderr "
		"1/b/2/2/seq");

	shell_expect_is(done->out, "a-1\na-2\nb-1\nb-2\n"
				   "./1/a/2/1/seq\n./1/a/2/1/stderr\n./1/a/2/1/stdout\n"
				   "./1/a/2/2/seq\n./1/a/2/2/stderr\n./1/a/2/2/stdout\n"
				   "b-2\ne\n4\n");
	shell_expect_is(done->err, "e\ne\ne\ne\n");
}

Test(run_output, keeps_results_of_any_input_below_the_directory)
{
	const struct shell *done =
		shell("long=$(head -c 300 /dev/zero | tr '\\0' x);"
		      "$C run -k -j 1 --results r echo ::: ../../up /etc . .. "
		      "'' 'a\\b' \"$(printf 't\\tn\\nl')\""
		      " $long ${long}y >/dev/null; echo $?; ls; ls -bA r/1 | cut "
		      "-c 1-20; cat r/1/x*1/stdout | "
		      "tail -c 3");

	shell_expect_has(done->out, "0\nr\n");
	shell_expect_has(done->out, "\\\\.\n");
	shell_expect_has(done->out, "\\\\..\n");
	shell_expect_has(done->out, "..\\\\_..\\\\_up\n");
	shell_expect_has(done->out, "\\\\_etc\n");
	shell_expect_has(done->out, "a\\\\\\\\b\n");
	shell_expect_has(done->out, "\\\\e\n");
	shell_expect_has(done->out, "t\\\\tn\\nl\n");
	shell_expect_has(shell("ls -b r/1")->out, "xxx\\\\#8\n");
	shell_expect_has(shell("ls -b r/1")->out, "xxx\\\\#9\n");
}

Test(run_output, runs_nothing_if_results_cannot_be_kept)
{
	const struct shell *done =
		shell("touch file; $C run --results file touch done ::: a; echo $?;"
		      "$C run --results file/r touch done ::: a; echo $?;"
		      "$C run --results /proc/none touch done ::: a; echo $?;"
		      "$C run --results '' touch done ::: a; echo $?;"
		      "$C run --results new --dry-run echo ::: a; ls");

	shell_expect_is(done->out, "125\n125\n125\n125\necho a\nfile\n");
	shell_expect_is(done->err, "carom run: file: Not a directory\n"
				   "carom run: file/r: Not a directory\n"
				   "carom run: /proc/none: No such file or directory\n"
				   "carom run: : No such file or directory\n");
}

Test(run_output, keeps_the_results_of_failures_and_of_the_last_attempt)
{
	const struct shell *done =
		shell("$C run --results r --retries 2 sh -c 'echo >>n; wc -l <n; exit 1' x ::: a;"
		      "cat r/1/a/stdout; $C run --results r ./none ::: b; ls r/1/b");

	shell_expect_is(done->out, "3\n3\nseq\nstderr\nstdout\n");
}

Test(run_output, follows_nothing_that_a_job_put_in_the_way_of_results)
{
	const struct shell *done =
		shell("mkdir -p w/r/1/b w/r/1/d/stdout away; echo old >old; cd w/r/1; ln -s "
		      "../../../away c;"
		      "ln -s ../../../../old b/stdout; mkfifo b/stderr; ln -s ../../../../new "
		      "b/seq; cd ../../..;"
		      "$C run --results w/r echo ::: b; echo $?; cat old w/r/1/b/*; ls;"
		      "$C run --results w/r echo ::: c; echo $?; ls away;"
		      "$C run --results w/r echo ::: d; echo $?");

	shell_expect_is(done->out, "b\n0\nold\n1\nb\naway\nold\nw\nc\n125\nd\n125\n");
	shell_expect_is(done->err,
			"carom run: w/r: Not a directory\ncarom run: w/r: Is a directory\n");
}

Test(run_output, logs_no_job_whose_lines_cannot_be_kept)
{
	const struct shell *done = shell("(ulimit -f 100; $C run --lb --joblog log sh -c 'seq "
					 "30000; exit 0' ::: a >/dev/null;"
					 "echo $?); wc -l <log");

	shell_expect_is(done->out, "125\n1\n");
	shell_expect_is(done->err, "carom run: output: File too large\n");
}

/* A file system of 64 KiB on "small". */
#define ON_SMALL_DISK(script)                                                                \
	"unshare -rm sh -c \"mkdir -p small; mount -t tmpfs -o size=64k none small || exit " \
	"77;" script "\""

Test(run_output, says_when_there_is_no_room_for_results)
{
	/* what is in the log has whole files, and --resume brings the rest */
	const struct shell *done = shell(ON_SMALL_DISK(
		"$C run -j 1 --joblog log --results small/r head -c {} /dev/zero ::: 10 "
		"1000 1000000 20 >/dev/null; echo \\$?; sed 1d log | cut -f 1;"
		"ls small/r/1/1000000"));

	if (done->status == 77 || strstr(done->err, "unshare: "))
		shell_skip("skipped: no file system can be mounted here");
	shell_expect_is(done->out, "125\n1\n2\nstdout\n");
	shell_expect_is(done->err, "carom run: small/r: No space left on device\n");
	done = shell("$C run -j 1 --resume --joblog log --results r head -c {} /dev/zero ::: 10 "
		     "1000 1000000 20 >/dev/null; echo $?; wc -c <r/1/1000000/stdout; ls r/1");
	shell_expect_is(done->out, "0\n1000000\n1000000\n20\n");
}
