/* Streams at the end of a process: what can be written is, and nothing is an error. */
#include "core/streams.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "core/context.h"
#include "core/process.h"
#include "tests/core/apart.h"

static int ends_of_pipe[2];

/* What it prints stands in the buffer until somebody flushes. */
static void print_into(int fd)
{
	static char buffer[BUFSIZ];

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	if (fd >= 0)
		dup2(fd, STDOUT_FILENO);
	else
		close(STDOUT_FILENO);
	printf("words");
}

static void print_into_pipe(void)
{
	print_into(ends_of_pipe[1]);
	carom_streams_flush();
}

Test(streams, are_written_out)
{
	char text[16] = "";

	cr_assert(zero(int, pipe(ends_of_pipe)));
	cr_expect(zero(int, apart(print_into_pipe)));
	cr_expect(eq(int, (int)read(ends_of_pipe[0], text, sizeof(text)), 5));
	cr_expect(zero(int, strcmp(text, "words")));
}

static void print_into_nothing(void)
{
	print_into(-1);
	carom_streams_flush();
}

/* UT-22 */
Test(streams, that_are_closed_are_no_error)
{
	cr_expect(zero(int, apart(print_into_nothing)));
}

Test(streams, that_nobody_reads_do_not_kill)
{
	cr_assert(zero(int, pipe(ends_of_pipe)));
	close(ends_of_pipe[0]);
	cr_expect(zero(int, apart(print_into_pipe)));
}

static int print_and_return(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	print_into(ends_of_pipe[1]);
	return 3;
}

static void have_a_child(void)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
	struct carom_context *context = NULL;
	int code = -1;

	CHECK(carom_context_get("fork", &context) == 0);
	CHECK(carom_process_new(
		      &CAROM_PROCESS_OPTIONS(.context = context, .function = print_and_return),
		      &process) == 0);
	CHECK(carom_process_start(process) == 0);
	CHECK(carom_process_join(process, CAROM_NO_DEADLINE) == 0);
	CHECK(carom_process_exitcode(process, &code) == 0 && code == 3);
}

Test(streams, that_nobody_reads_do_not_change_the_status_of_a_child, .timeout = 20)
{
	cr_assert(zero(int, pipe(ends_of_pipe)));
	close(ends_of_pipe[0]);
	cr_expect(zero(int, apart(have_a_child)));
}

static void keep_what_was_pending(void)
{
	sigset_t set, now;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGPIPE);
	print_into_pipe();
	sigpending(&now);
	CHECK(sigismember(&now, SIGPIPE) == 1);
	sigprocmask(SIG_SETMASK, NULL, &now);
	CHECK(sigismember(&now, SIGPIPE) == 1);
}

Test(streams, leave_a_signal_that_was_there_before)
{
	cr_assert(zero(int, pipe(ends_of_pipe)));
	close(ends_of_pipe[0]);
	cr_expect(zero(int, apart(keep_what_was_pending)));
}
