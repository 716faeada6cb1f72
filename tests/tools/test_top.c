/*
 * carom top, as its users see it: scripts that call the built program, with a pool to look at
 * (watched.c) that says when it is ready, and ends when the descriptor 9 is closed.
 */
#include "tests/tools/shell.h"

#include <jansson.h>

#define WATCHED                                                      \
	"mkfifo in out; $CAROM_WATCHED <in >out & P=$!; exec 9>in; " \
	"read ready <out; [ \"$ready\" = ready ] || exit 99; "
#define UNWATCHED "; exec 9>&-; wait $P"

TestSuite(top, .init = shell_enter_directory, .fini = shell_leave_directory, .timeout = 60);

Test(top, shows_what_pools_and_workers_do)
{
	const struct shell *done = shell(WATCHED "$C top $P; echo $?" UNWATCHED);

	shell_expect_has(done->out, "1 pool, workers: 1 busy, 1 idle\n");
	shell_expect_has(done->out, "\na \"pool\"?  pid ");
	shell_expect_has(done->out, "running, 2 workers, up ");
	shell_expect_has(done->out, "  tasks   0 queued, 1 running, 3 done, 1 failed\n");
	shell_expect_has(done->out, "  ran     half in ");
	shell_expect_has(done->out, " busy ");
	shell_expect_has(done->out, " idle ");
	shell_expect_has(done->out, "\n0\n");
	shell_expect_narrower(done->out, 80);
	shell_expect_is(done->err, "");
}

Test(top, finds_pools_by_itself)
{
	const struct shell *done = shell(WATCHED "$C top | grep -c \"pid $P,\"" UNWATCHED);

	shell_expect_is(done->out, "1\n");
}

Test(top, sees_a_pool_that_comes_later)
{
	const struct shell *done =
		shell("mkfifo looks; $C top --json -n 100000 -d 10ms >looks & K=$!; exec 8<looks;"
		      "read first <&8; " WATCHED
		      "grep -m 1 -c \"\\\"pid\\\":$P,\" <&8; kill $K" UNWATCHED);

	shell_expect_is(done->out, "1\n");
}

Test(top, says_that_there_is_no_pool)
{
	const struct shell *done = shell("$C top $$; echo $?");

	shell_expect_has(done->out, "0 pools");
	shell_expect_has(done->out, "'statistics'");
	shell_expect_has(done->out, "\n1\n");
}

Test(top, knows_when_a_pool_has_gone)
{
	const struct shell *done = shell(WATCHED "$C top $P >/dev/null; echo $?; kill -9 $P; "
						 "wait $P; $C top $P >/dev/null; echo $?");

	shell_expect_is(done->out, "0\n1\n");
}

Test(top, tells_programs_the_same)
{
	const struct shell *done = shell(WATCHED "$C top -n 2 -d 10ms --json $P >json" UNWATCHED
						 "; wc -l <json; head -n 1 json >one");
	json_t *look = json_load_file("one", 0, NULL), *pool, *worker;

	shell_expect_is(done->out, "2\n");
	cr_assert(ne(ptr, look, NULL));
	pool = json_array_get(json_object_get(look, "pools"), 0);
	shell_expect_is(json_string_value(json_object_get(pool, "name")), "a \"pool\"\033");
	cr_expect(eq(i64, json_integer_value(json_object_get(pool, "running_count")), 1));
	cr_expect(eq(i64, json_integer_value(json_object_get(pool, "submitted_count")), 5));
	cr_expect(eq(i64, json_integer_value(json_object_get(json_object_get(pool, "ended"), "ok")),
		     3));
	cr_expect(eq(sz, json_array_size(json_object_get(pool, "workers")), 2));
	worker = json_array_get(json_object_get(pool, "workers"), 0);
	cr_expect(lt(i64, 0, json_integer_value(json_object_get(worker, "memory_bytes"))));
	for (size_t i = 0; i < 2; i++) {
		worker = json_array_get(json_object_get(pool, "workers"), i);
		cr_expect(eq(int, json_is_integer(json_object_get(worker, "task_id")),
			     strcmp(json_string_value(json_object_get(worker, "state")), "busy") ==
				     0));
	}
	json_decref(look);
}

Test(top, tells_monitors_the_same)
{
	const struct shell *done = shell(
		WATCHED "$C top --openmetrics $P >metrics; sed -n 's/,pid=\"[0-9]*\"/,pid=\"P\"/p'"
			" metrics >named; tail -n 1 metrics; cut -d ' ' -f 1-3 metrics |"
			"grep '^# TYPE' | sort | uniq -d" UNWATCHED);

	shell_expect_is(done->out, "# EOF\n");
	done = shell("cat named");
	shell_expect_has(
		done->out,
		"carom_pool_tasks_total{pool=\"a \\\"pool\\\"\033\",pid=\"P\",outcome=\"ok\"} 3\n");
	shell_expect_has(done->out,
			 "carom_pool_busy_workers{pool=\"a \\\"pool\\\"\033\",pid=\"P\"} 1\n");
	shell_expect_has(done->out,
			 "carom_pool_run_seconds_count{pool=\"a \\\"pool\\\"\033\",pid=\"P\"} 4\n");
}

/* The caller's. */
static json_t *workers_in(const char *path)
{
	json_t *look = json_load_file(path, 0, NULL), *workers;

	cr_assert(ne(ptr, look, NULL));
	workers = json_object_get(json_array_get(json_object_get(look, "pools"), 0), "workers");
	json_incref(workers);
	json_decref(look);
	return workers;
}

Test(top, sorts_workers_as_it_is_told)
{
	json_t *by_tasks, *by_age;

	shell(WATCHED
	      "$C top --json --sort tasks $P >tasks; $C top --json --sort age $P >age" UNWATCHED);
	by_tasks = workers_in("tasks");
	by_age = workers_in("age");
	cr_expect(le(
		i64, json_integer_value(json_object_get(json_array_get(by_tasks, 1), "item_count")),
		json_integer_value(json_object_get(json_array_get(by_tasks, 0), "item_count"))));
	shell_expect_is(json_string_value(json_object_get(json_array_get(by_age, 0), "state")),
			"busy");
	json_decref(by_tasks);
	json_decref(by_age);
}

Test(top, takes_the_screen_and_gives_it_back)
{
	const char *seen = shell_on_terminal_with("export TERM=xterm; exec $C top", 40, "q");

	shell_expect_has(seen, "\033[?1049h");
	shell_expect_has(seen, "carom top  ");
	shell_expect_has(seen, "\033[?1049l");
	cr_expect(zero(ptr, strstr(strstr(seen, "\033[?1049l"), "carom top  ")));
}

/* As under nohup(1). */
Test(top, goes_on_ignoring_what_it_was_told_to_ignore)
{
	const struct shell *done = shell(
		WATCHED "mkfifo looks; trap '' HUP; $C top --json -n 2 -d 500ms $P >looks & K=$!;"
			"exec 8<looks; read first <&8; kill -HUP $K; wc -l <&8" UNWATCHED);

	shell_expect_is(done->out, "1\n");
}

Test(top, has_no_colour_where_nobody_wants_it)
{
	const char *seen = shell_on_terminal(
		"export TERM=xterm NO_COLOR=1; $C top --once $$; TERM=dumb $C top --once $$", 80);

	cr_expect(zero(ptr, strstr(seen, "\033")));
}

Test(top, names_what_is_wrong_with_an_option)
{
	const struct shell *done =
		shell("$C top -d x; $C top -d 1ms; $C top -n 0; $C top -s name;"
		      "$C top any; $C top --nonsense; $C top >/dev/full; echo $?");

	shell_expect_is(done->out, "125\n");
	shell_expect_has(done->err, "--delay: 'x' is not a time");
	shell_expect_has(done->err, "--delay: '1ms' is not a time from 10ms on");
	shell_expect_has(done->err, "--count: '0' is not a number from 1 on");
	shell_expect_has(done->err, "--sort: 'name' is none of");
	shell_expect_has(done->err, "'any' is not the number of a process");
	shell_expect_has(done->err, "nonsense");
	shell_expect_has(done->err, "No space left on device");
}

Test(top, has_help_that_fits_a_screen)
{
	shell_expect_fits_a_screen("$C top --help");
}
