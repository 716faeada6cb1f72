/*
 * carom run below make: jobs on the whole, and tokens that always come back.
 *
 * Three jobs of GATE wait for each other, so they end only if they run at the same
 * time. make says itself if tokens are missing in the end.
 */
#include "tests/tools/shell.h"

TestSuite(run_jobserver, .init = shell_enter_directory, .fini = shell_leave_directory,
	  .timeout = 60);

#define GATE                                                                        \
	"cat >gate <<'E'\n"                                                         \
	"#!/bin/sh\n"                                                               \
	"case $1 in 1) read x <f1;; 2) read x <f2;; 3) echo >f1; echo >f2;; esac\n" \
	"E\nchmod +x gate; mkfifo f1 f2;"

/* A jobserver without make: 8 is its FIFO, with two tokens in it. */
#define SERVER "mkfifo js; exec 8<>js; printf ab >&8; export MAKEFLAGS=' -j3 --jobserver-auth="
#define TOKENS "timeout 20 head -c 2 <&8 | fold -w 1 | sort | tr -d '\\n';"

Test(run_jobserver, runs_as_many_jobs_as_make_has_tokens_for)
{
	const struct shell *done =
		shell(GATE "printf 'all:\\n\\t+@$$C run -j 8 ./gate ::: 1 2 3\\n' >Makefile;"
			   "timeout 20 make -s -j3; echo $?");

	shell_expect_is(done->out, "0\n");
	shell_expect_is(done->err, "");
}

Test(run_jobserver, runs_no_more_jobs_than_make_allows)
{
	const struct shell *done = shell("printf '#!/bin/sh\\necho + >>log\\n$C run -j 1 true ::: "
					 "a b\\necho - >>log\\n' >job;"
					 "chmod +x job; printf 'all: a b\\na b:\\n\\t+@seq 30 | "
					 "$$C run -j 8 ./job\\n' >Makefile;"
					 "timeout 40 make -s -j3; echo $?; wc -l <log;"
					 "awk '{ n += ($1 == \"+\") ? 1 : -1; if (n > most) most = "
					 "n } END { print most <= 3 }' log");

	shell_expect_is(done->out, "0\n120\n1\n");
	shell_expect_is(done->err, "");
}

Test(run_jobserver, gives_back_the_tokens_when_it_is_killed)
{
	/* the next recipe needs all of them; make says that the first one was killed */
	const struct shell *done = shell(
		GATE
		"printf '#!/bin/sh\\n[ $1 = 1 ] || read x <never\\nkill -KILL $(cat pid)\\n' >job;"
		"chmod +x job; mkfifo never; echo '#!/bin/sh\necho $$ >pid\nexec $C run -j 3 ./job "
		"::: 2 3 1' >first; chmod +x first;"
		"printf 'all: a\\n\\t+@$$C run -j 8 ./gate ::: 1 2 3; echo "
		"$$?\\na:\\n\\t-+@./first\\n' "
		">Makefile; timeout 20 make -s -j3 2>err; echo $?; grep -c INTERNAL err");

	shell_expect_is(done->out, "0\n0\n0\n");
}

Test(run_jobserver, says_when_make_did_not_hand_it_on)
{
	const struct shell *done = shell(
		"printf 'all:\\n\\t@$$C run -j 2 echo ::: a\\n' >Makefile; timeout 20 make -s -j3");

	shell_expect_is(done->out, "a\n");
	shell_expect_is(done->err, "carom run: make's jobserver is not open (the recipe needs a "
				   "'+'): -j alone counts\n");
}

static void takes_and_gives_back(const char *address)
{
	char script[1024];
	const struct shell *done;

	snprintf(
		script, sizeof(script),
		GATE SERVER
		"%s';$C run -j 8 ./gate ::: 1 2 3; echo $?;" TOKENS
		"echo; printf ab >&8; $C run -j 2 true ::: 1 2 3;" TOKENS
		"echo; printf ab >&8; $C run --halt now,fail=1 false ::: 1 2 3 2>/dev/null;" TOKENS,
		address);
	done = shell(script);
	shell_expect_is(done->out, "0\nab\nab\nab");
	shell_expect_is(done->err, "");
}

Test(run_jobserver, takes_tokens_from_a_pipe)
{
	takes_and_gives_back("8,8");
}

Test(run_jobserver, takes_tokens_from_a_fifo)
{
	takes_and_gives_back("fifo:'$PWD/js'");
}

static void gives_back_at(int signal_number)
{
	static struct shell job;
	int up = shell_listen("up");
	char command[64];

	shell_begin(&job,
		    SERVER "8,8'; $C run -j 8 sh -c 'echo up >up; sleep 1000' x ::: 1 2 3 4 5 &"
			   " echo $! >pid; wait $!;" TOKENS);
	for (int i = 0; i < 3; i++)
		shell_await_line(up, "up");
	snprintf(command, sizeof(command), "kill -%d $(cat pid)", signal_number);
	cr_assert(zero(int, system(command)));
	shell_end(&job);
	shell_expect_has(job.out, "ab");
	close(up);
	cr_assert(zero(int, system("rm -f up js")));
}

/* SIGQUIT is ignored in the background. */
Test(run_jobserver, gives_back_the_tokens_at_any_signal)
{
	static const int signals[] = { SIGTERM, SIGHUP, SIGUSR1, SIGSEGV, SIGKILL };

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		gives_back_at(signals[i]);
}

Test(run_jobserver, gives_back_the_tokens_at_control_c)
{
	static struct shell job;
	int up = shell_listen("up"), err = shell_listen("err"), js;
	char tokens[2];

	shell_begin(&job,
		    "mkfifo js; exec 8<>js; printf ab >&8; export MAKEFLAGS=--jobserver-auth=8,8;"
		    "exec $C run -j 8 sh -c 'echo up >up; sleep 1000' x ::: 1 2 3 4 2>err");
	for (int i = 0; i < 3; i++)
		shell_await_line(up, "up");
	js = open("js", O_RDWR | O_CLOEXEC);
	kill(job.pid, SIGINT);
	shell_await_line(err, "interrupted");
	kill(job.pid, SIGINT);
	shell_end(&job);
	cr_expect(eq(int, job.status, -SIGINT));
	cr_expect(eq(int, (int)read(js, tokens, 1), 1));
	cr_expect(eq(int, (int)read(js, tokens + 1, 1), 1));
	close(js);
}

Test(run_jobserver, goes_on_alone_if_the_jobserver_is_broken)
{
	const struct shell *done = shell(
		GATE
		"touch plain; for a in 97,98 -2,-2 x fifo:missing fifo:plain 0,1; do"
		" MAKEFLAGS=\"-j --jobserver-auth=$a\" $C run -j 3 ./gate ::: 1 2 3; echo $?; done;"
		"MAKEFLAGS='-j -- X=--jobserver-auth=x' $C run true ::: a; MAKEFLAGS= $C run true "
		"::: a");

	shell_expect_is(done->out, "0\n0\n0\n0\n0\n0\n");
	shell_expect_is(
		done->err,
		"carom run: make's jobserver is not open (the recipe needs a '+'): -j alone "
		"counts\n"
		"carom run: make's jobserver is not open (the recipe needs a '+'): -j alone "
		"counts\n"
		"carom run: make's jobserver, x: Invalid argument: -j alone counts\n"
		"carom run: make's jobserver, fifo:missing: No such file or directory: -j "
		"alone counts\n"
		"carom run: make's jobserver, fifo:plain: No such device or address: -j "
		"alone counts\n"
		"carom run: make's jobserver is not open (the recipe needs a '+'): -j alone "
		"counts\n");
}

Test(run_jobserver, leaves_tokens_alone_while_there_is_no_input_for_them)
{
	static struct shell job;
	int up = shell_listen("up"), in;

	cr_assert(zero(int, mkfifo("in", 0600)));
	shell_begin(&job,
		    "mkfifo js; exec 8<>js; printf ab >&8; export MAKEFLAGS=--jobserver-auth=8,8;"
		    "exec $C run -j 8 -a in sh -c 'echo up >up; head -c 2 js >got; echo took >up'");
	in = open("in", O_WRONLY | O_CLOEXEC);
	cr_assert(eq(int, (int)write(in, "1\n", 2), 2));
	shell_await_line(up, "up");
	shell_await_line(up, "took"); /* the job itself: both were there */
	close(in);
	shell_end(&job);
	cr_expect(zero(int, job.status));
}
