/*
 * carom bench, as its users see it: scripts that call the built program.
 *
 * What a machine under load measures says nothing here: commands differ by what they do, or
 * by sleeping, so that only the order of the figures is asked for.
 */
#include "tests/tools/shell.h"

#include <jansson.h>

TestSuite(bench, .init = shell_enter_directory, .fini = shell_leave_directory, .timeout = 60);

/* ---- what it runs ---- */

Test(bench, runs_each_command_as_often_as_it_is_told)
{
	const struct shell *done =
		shell("$C bench -r 7 -w 2 --output log 'echo a' 'echo b' >/dev/null;"
		      "grep -c a log; grep -c b log");

	shell_expect_is(done->out, "9\n9\n");
	cr_expect(zero(int, done->status));
}

Test(bench, takes_turns)
{
	const struct shell *done = shell(
		"$C bench -r 3 -w 0 --output log 'echo a' 'echo b' >/dev/null; tr -d '\\n' <log;"
		"$C bench -r 3 -w 0 --order sequence --output log 'echo a' 'echo b' >/dev/null;"
		"tr -d '\\n' <log");

	shell_expect_is(done->out, "abababaaabbb");
}

Test(bench, prepares_each_run_and_sets_up_and_cleans_up_once)
{
	const struct shell *done =
		shell("$C bench -S -r 2 -w 1 -s 'echo setup >>log' -p 'echo prepare >>log'"
		      " -c 'echo cleanup >>log' 'echo run >>log' >/dev/null; tr '\\n' ' ' <log");

	shell_expect_is(done->out, "setup prepare run prepare run prepare run cleanup ");
}

Test(bench, puts_in_each_combination_of_the_parameters)
{
	const struct shell *done = shell("$C bench -r 1 -w 0 --output log -L x 1,2 -L y a,b "
					 "'echo {x}{y}{z}' >/dev/null; tr '\\n' ' ' <log");

	shell_expect_is(done->out, "1a{z} 1b{z} 2a{z} 2b{z} ");
}

Test(bench, takes_words_apart_without_a_shell)
{
	const struct shell *done = shell(
		"$C bench -r 1 -w 0 --output log \"printf '<%s>' 'a b' \\\"c'd\\\" e\\\\ f ''\""
		" >/dev/null; cat log");

	shell_expect_is(done->out, "<a b><c'd><e f><>");
}

Test(bench, refuses_what_needs_a_shell)
{
	const struct shell *done = shell("for c in 'a | b' 'a $b' 'a *' \"a 'b\" ' '; do "
					 "$C bench \"$c\"; echo $?; done");

	shell_expect_is(done->out, "125\n125\n125\n125\n125\n");
	shell_expect_is(done->err, "carom bench: 'a | b': | needs a shell: carom bench -S\n"
				   "carom bench: 'a $b': $ needs a shell: carom bench -S\n"
				   "carom bench: 'a *': * needs a shell: carom bench -S\n"
				   "carom bench: 'a 'b': a ' is not closed\n"
				   "carom bench: ' ' is no command\n");
}

Test(bench, leaves_nothing_running)
{
	const struct shell *done =
		shell("$C bench -S -r 1 -w 0 'sh -c \"echo \\$\\$ >pid; exec sleep 1000\" & "
		      "while ! grep -q . pid 2>/dev/null; do :; done' >/dev/null;"
		      "while kill -0 $(cat pid) 2>/dev/null; do :; done; echo gone");

	shell_expect_is(done->out, "gone\n");
}

/* ---- what it tells ---- */

/* The caller's. */
static json_t *results_of(const char *path)
{
	json_t *document = json_load_file(path, 0, NULL), *results;

	cr_assert(ne(ptr, document, NULL));
	results = json_object_get(document, "results");
	json_incref(results);
	json_decref(document);
	return results;
}

static double number_of(json_t *results, size_t i, const char *name)
{
	return json_number_value(json_object_get(json_array_get(results, i), name));
}

/* and how sure that is, if no run of the one was held up for as long as the other sleeps */
Test(bench, knows_which_is_faster)
{
	const struct shell *done = shell("$C bench -r 6 --export-json out.json "
					 "'sleep 0.2' 'sleep 0.01'");
	json_t *results = results_of("out.json");

	cr_expect(lt(dbl, 0.2, number_of(results, 0, "min")));
	cr_expect(lt(dbl, 0.01, number_of(results, 1, "min")));
	cr_expect(eq(sz, json_array_size(json_object_get(json_array_get(results, 0), "times")), 6));
	shell_expect_has(done->out,
			 number_of(results, 1, "median") < number_of(results, 0, "median")
				 ? "Fastest: sleep 0.01\n"
				 : "Fastest: sleep 0.2\n");
	if (number_of(results, 1, "max") < number_of(results, 0, "min"))
		shell_expect_has(done->out, "took sleep 0.2: p = 0.00");
	cr_expect(zero(int, done->status));
	json_decref(results);
}

Test(bench, counts_time_and_memory_of_what_a_command_starts)
{
	shell("$C bench -S -r 1 -w 0 --export-json out.json "
	      "'(i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done); true' true;");
	json_t *results = results_of("out.json");

	cr_expect(lt(dbl, number_of(results, 1, "user"), number_of(results, 0, "user")));
	cr_expect(
		lt(dbl, 0.0,
		   json_number_value(json_array_get(
			   json_object_get(json_array_get(results, 0), "memory_usage_byte"), 0))));
	json_decref(results);
}

/* One command on one processor cannot have had more of it than it has taken. */
Test(bench, counts_each_run_for_itself)
{
	json_t *results;

	shell("$C bench -r 20 -w 3 --export-json out.json "
	      "\"sh -c 'i=0; while [ \\$i -lt 20000 ]; do i=\\$((i + 1)); done'\"");
	results = results_of("out.json");
	cr_expect(lt(dbl, 0, number_of(results, 0, "user")));
	cr_expect(lt(dbl, number_of(results, 0, "user") + number_of(results, 0, "system"),
		     2 * number_of(results, 0, "mean")));
	json_decref(results);
}

Test(bench, has_one_group_for_all_runs_if_that_counts_no_memory)
{
	const struct shell *done =
		shell("at=$(awk '$3 == \"cgroup2\" { print $2; exit }' /proc/mounts);"
		      "$C bench -q -r 4 -w 1 --output log 'cat /proc/self/cgroup' >/dev/null;"
		      "grep '^0::.*/bench-' log | sort -u | wc -l;"
		      "grep -c memory \"$at/cgroup.controllers\"");

	if (done->out[0] == '0')
		shell_skip("skipped: there are no cgroups to be had here");
	if (strstr(done->out, "\n1\n"))
		shell_skip("skipped: cgroups count memory here");
	shell_expect_is(done->out, "1\n0\n");
}

Test(bench, has_another_group_after_a_run_that_made_some_in_its_own)
{
	const struct shell *done =
		shell("at=$(awk '$3 == \"cgroup2\" { print $2; exit }' /proc/mounts);"
		      "echo 'mkdir '$at'$(sed -n s/^0:://p /proc/self/cgroup)/sub' >a;"
		      "$C bench -q -r 3 -w 0 'sh a' 2>&1 >/dev/null; echo $?;"
		      "$C bench -q -r 1 -w 0 --output log 'cat /proc/self/cgroup' >/dev/null;"
		      "grep -c '^0::.*/bench-' log");

	if (strcmp(done->out + strlen(done->out) - 2, "0\n") == 0)
		shell_skip("skipped: there are no cgroups to be had here");
	shell_expect_is(done->out, "0\n1\n");
}

Test(bench, fails_where_it_is_told_to)
{
	const struct shell *done = shell(
		"$C bench -r 8 -n work 'sleep 0.01' --export-json old.json >/dev/null; echo $?;"
		"$C bench -r 8 -n work 'sleep 0.3' --compare old.json --fail-on +50% "
		">/dev/null; echo $?;"
		"$C bench -r 8 -n work true --compare old.json --fail-on 50% >/dev/null;"
		"echo $?;"
		"$C bench -r 8 'sleep 0.01' 'sleep 0.3' --fail-on 50% >/dev/null; echo $?");

	shell_expect_is(done->out, "0\n2\n0\n2\n");
}

Test(bench, compares_with_nothing_that_is_not_there)
{
	const struct shell *done =
		shell("$C bench -q -r 1 -w 0 -n work true --export-json old.json >/dev/null;"
		      "$C bench -q -r 1 -w 0 --compare old.json 'touch a' true --fail-on 50%");

	cr_expect(eq(int, done->status, 125));
	shell_expect_is(done->out, "");
	shell_expect_has(done->err, "--compare: 'touch a' is not in old.json\n");
	shell_expect_has(done->err, "-n gives a command the name that it has there\n");
	cr_expect(eq(int, access("a", F_OK), -1));
}

Test(bench, writes_tables_that_programs_read)
{
	const struct shell *done =
		shell("$C bench -q -r 1 -L x 1,2 -n 'a,b' 'true {x}' --export-csv out.csv"
		      " --export-markdown out.md --export-svg out.svg >/dev/null;"
		      "cut -d, -f1-2 out.csv; head -1 out.md;"
		      "grep -c '<circle' out.svg; ls");

	cr_expect(zero(int, done->status));
	shell_expect_has(done->out, "\n\"a,b 1\"\n\"a,b 2\"\n");
	shell_expect_has(done->out, "| Command | Median [ms] |");
	shell_expect_has(done->out, "2\nout.csv\nout.md\nout.svg\n");
}

Test(bench, draws_a_command_of_any_bytes)
{
	const struct shell *done =
		shell("$C bench -q -r 1 -w 0 -n \"$(printf 'a<b&\\377')\" true "
		      "--export-svg out.svg >/dev/null;"
		      "iconv -f UTF-8 -t UTF-8 out.svg | grep -o 'a&lt[^<]*</te';"
		      "grep -o 'a dot: a run' out.svg");

	cr_expect(zero(int, done->status));
	shell_expect_is(done->out, "a&lt;b&amp;?</te\na dot: a run\n");
}

Test(bench, draws_a_long_name_in_part_and_tells_all_of_it_beside)
{
	const struct shell *done =
		shell("n=$(printf '\\303\\244%.0s' $(seq 200));"
		      "$C bench -q -r 1 -w 0 -n $n true --export-svg out.svg >/dev/null;"
		      "grep -c \"<title>$n</title>\" out.svg;"
		      "sed -n 's/.*<.title>\\(.*\\)<.text>/\\1/p' out.svg >shown;"
		      "export LC_ALL=C.UTF-8;"
		      "wc -m <shown; grep -c '[.]\\{3\\}$' shown");

	cr_expect(zero(int, done->status));
	shell_expect_is(done->out, "1\n114\n1\n"); /* 110, three dots, and the line's end */
}

Test(bench, writes_a_file_whole_or_not_at_all)
{
	const struct shell *done = shell(
		"echo old >kept; $C bench -r 1 true --export-json no/where "
		"--export-csv /dev/full --export-json kept/x >/dev/null; echo $?; cat kept; ls");

	shell_expect_is(done->out, "125\nold\nkept\n");
	shell_expect_has(done->err, "/dev/full: No space left on device");
}

Test(bench, writes_beside_the_report_where_that_goes)
{
	const struct shell *done =
		shell("$C bench -r 1 true --export-csv - | tail -n 2 | cut -c 1-8");

	shell_expect_is(done->out, "command,\ntrue,0.0\n");
}

/* ---- how it ends ---- */

Test(bench, says_how_a_command_failed)
{
	const struct shell *done = shell("$C bench false >/dev/null; echo $?;"
					 "$C bench -i -r 2 false >/dev/null; echo $?;"
					 "$C bench ./no-such-command; echo $?;"
					 "$C bench --timeout 0.1 'sleep 1000'; echo $?;"
					 "$C bench -S 'kill -9 $$'; echo $?");

	shell_expect_is(done->out, "1\n0\n1\n1\n1\n");
	shell_expect_is(done->err,
			"carom bench: 'false': exitcode 1\n-i goes on all the same\n"
			"carom bench: './no-such-command': cannot be started: "
			"No such file or directory\n"
			"carom bench: 'sleep 1000': timed out\n-i goes on all the same\n"
			"carom bench: 'kill -9 $$': signal 9 (SIGKILL)\n-i goes on all the same\n");
}

Test(bench, names_what_is_wrong_with_an_option)
{
	const struct shell *done = shell(
		"$C bench; $C bench -r x true; $C bench -r 0 true; $C bench --time 0 true;"
		"$C bench --cpus 0-x true; $C bench --cpus 1023 true; $C bench --memory 1x true;"
		"$C bench --order any true; $C bench --until no true; $C bench -L x;"
		"$C bench -m 5 -M 4 true; $C bench -n a -n b true; $C bench --fail-on 1% true;"
		"$C bench -p a -p b true; $C bench --nonsense; $C bench -r 1 true "
		"--compare /dev/null");

	cr_expect(eq(int, done->status, 125));
	shell_expect_is(done->out, "");
	shell_expect_has(done->err, "which command?");
	shell_expect_has(done->err, "-r: 'x' is not a number");
	shell_expect_has(done->err, "-r: '0' is less than 1");
	shell_expect_has(done->err, "--time: '0' is not a time");
	shell_expect_has(done->err, "--cpus: '0-x' is not a list");
	shell_expect_has(done->err, "--cpus: '1023' names a CPU");
	shell_expect_has(done->err, "--memory: '1x' is not a size");
	shell_expect_has(done->err, "--order: 'any' is none of");
	shell_expect_has(done->err, "--until: 'no' is not a share");
	shell_expect_has(done->err, "-L: 'x' has no values");
	shell_expect_has(done->err, "-m 5 is more than -M 4");
	shell_expect_has(done->err, "-n: 'b' is a name without a command");
	shell_expect_has(done->err, "--fail-on: there is nothing to compare");
	shell_expect_has(done->err, "-p: give it once");
	shell_expect_has(done->err, "nonsense");
	shell_expect_has(done->err, "--compare: /dev/null: ");
}

Test(bench, tells_what_there_was_after_an_interrupt)
{
	static struct shell job;
	int gate = shell_listen("gate");

	shell_begin(&job, "exec $C bench -w 0 -r 1000000 -S 'echo x >>log; [ $(wc -l <log) -lt 20 ]"
			  " || { echo up >gate; exec sleep 1000; }'");
	shell_await_line(gate, "up");
	kill(job.pid, SIGINT);
	shell_end(&job);
	cr_expect(eq(int, job.status, 130));
	shell_expect_has(job.out, "19 runs\n");
}

Test(bench, goes_on_ignoring_what_it_was_told_to_ignore)
{
	const struct shell *done =
		shell("trap '' HUP INT; $C bench -w 0 -r 3 -S 'kill -HUP $PPID; kill -INT $PPID';"
		      "echo $?");

	shell_expect_has(done->out, "3 runs\n");
	shell_expect_has(done->out, "\n0\n");
}

Test(bench, has_help_that_fits_a_screen)
{
	shell_expect_fits_a_screen("$C bench --help");
}
