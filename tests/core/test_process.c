#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

#include "core/clone.h"
#include "tests/core/methods.h"

/* --- every way out, under every method --------------------------------- */

/* PR-21 */
/* BO-02 */
/* CX-01 */
Test(process, gives_its_status_under_every_method, .timeout = 60)
{
	static const int statuses[] = { 0, 1, 7, 255 };
	struct carom_context *context;

	EACH_METHOD(context)
	for (size_t i = 0; i < 4; i++) {
		int got = RUN(.context = context, .function = return_status,
			      .argument = &statuses[i], .argument_size = sizeof(int));

		cr_expect(got == statuses[i], "%s: %d for %d", methods[each_], got, statuses[i]);
	}
}

/* BO-05 */
/* BO-08 */
Test(process, exit_gives_eight_bits, .timeout = 60)
{
	static const int statuses[] = { -241, 300 };
	static carom_process_fn *const ways[] = { call_exit, call_exit_now };
	static const int expected[] = { 15, 44 };
	struct carom_context *context;

	EACH_METHOD(context)
	for (size_t i = 0; i < 4; i++) {
		int got = RUN(.context = context, .function = ways[i / 2],
			      .argument = &statuses[i % 2], .argument_size = sizeof(int));

		cr_expect(got == expected[i % 2], "%s: %d", methods[each_], got);
	}
}

/* BO-07 */
Test(process, killed_by_a_signal_has_its_negative_number, .timeout = 60)
{
	static const int signals[] = { SIGKILL, SIGTERM, SIGSEGV, SIGABRT };
	struct carom_context *context;

	EACH_METHOD(context)
	for (size_t i = 0; i < 4; i++) {
		int got = RUN(.context = context, .function = kill_self, .argument = &signals[i],
			      .argument_size = sizeof(int));

		cr_expect(got == -signals[i], "%s: %d", methods[each_], got);
	}
}

/* BO-03 */
Test(process, that_fails_says_so_with_its_name, .timeout = 60)
{
	struct carom_context *context;
	int failure = -ENOENT;

	EACH_METHOD(context)
	{
		int ends[2], kept = dup(STDERR_FILENO);
		char text[256];

		cr_assert(pipe(ends) == 0);
		carom_stop_forkserver(); /* its children have the standard error that it was made with */
		dup2(ends[1], STDERR_FILENO);
		cr_expect(RUN(.context = context, .function = return_status, .name = "Failing",
			      .argument = &failure, .argument_size = sizeof(int)) == 1);
		carom_stop_forkserver();
		dup2(kept, STDERR_FILENO);
		close(ends[1]);
		read_all(ends[0], text, sizeof(text));
		cr_expect(strstr(text, "Process Failing: No such file or directory\n") != NULL,
			  "%s: '%s'", methods[each_], text);
		close(ends[0]);
		close(kept);
	}
}

Test(process, without_a_function_ends_with_0, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	cr_expect(RUN(.context = context) == 0);
}

/* --- what it is given --------------------------------------------------- */

/* FS-02 */
Test(process, is_given_an_argument_of_any_size, .timeout = 120)
{
	static const size_t sizes[] = { 1, 4096, 100000, 10 << 20 };
	unsigned char *bytes = malloc(sizes[3]);
	unsigned char *back = malloc(sizes[3]);
	struct carom_context *context;

	for (size_t i = 0; i < sizes[3]; i++)
		bytes[i] = (unsigned char)(i * 31 >> 3);
	EACH_METHOD(context)
	for (size_t i = 0; i < 4; i++) {
		struct carom_process *process;
		size_t length = 0;
		ssize_t n;
		int ends[2];

		cr_assert(pipe(ends) == 0);
		process = START(.context = context, .function = echo, .argument = bytes,
				.argument_size = sizes[i], .fds = &ends[1], .fd_count = 1);
		close(ends[1]);
		while ((n = read(ends[0], back + length, sizes[3] - length)) > 0)
			length += (size_t)n;
		cr_expect(length == sizes[i] && memcmp(bytes, back, length) == 0, "%s: %zu",
			  methods[each_], length);
		cr_expect(exitcode_of(process) == 0);
		carom_process_free(process);
		close(ends[0]);
	}
	free(bytes);
	free(back);
}

/* FS-06 */
Test(process, is_given_more_descriptors_than_one_packet_holds, .timeout = 60)
{
	struct carom_context *context;
	enum { MANY = 600 };
	int fds[MANY];

	EACH_METHOD(context)
	{
		struct carom_process *process;
		char text[16];
		int ends[2];

		cr_assert(pipe(ends) == 0);
		for (int i = 0; i < MANY; i++)
			fds[i] = dup(i == MANY - 1 ? ends[1] : ends[0]);
		cr_assert(fds[MANY - 1] >= 0);
		process = START(.context = context, .function = echo, .argument = "last",
				.argument_size = 4, .fds = fds, .fd_count = MANY);
		close(ends[1]);
		for (int i = 0; i < MANY; i++)
			close(fds[i]);
		read_all(ends[0], text, sizeof(text));
		cr_expect(strcmp(text, "last") == 0, "%s: '%s'", methods[each_], text);
		cr_expect(exitcode_of(process) == 0);
		carom_process_free(process);
		close(ends[0]);
	}
}

/* --- who it is ---------------------------------------------------------- */

/* PR-24 */
/* PR-25 */
/* CX-09 */
Test(process, knows_its_name_method_and_parent, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		char text[256], expected[256];
		struct carom_process *process;
		int ends[2];

		cr_assert(pipe(ends) == 0);
		process = START(.context = context, .function = tell_self, .name = "Somebody",
				.fds = &ends[1], .fd_count = 1, .daemon = CAROM_YES);
		close(ends[1]);
		read_all(ends[0], text, sizeof(text));
		snprintf(expected, sizeof(expected), "Somebody\n%s\n1\nMainProcess\n",
			 methods[each_]);
		cr_expect(strcmp(text, expected) == 0, "'%s'", text);
		cr_expect(exitcode_of(process) == 0);
		carom_process_free(process);
		close(ends[0]);
	}
	cr_expect(carom_parent_process() == NULL);
}

/* PR-04 */
Test(process, runs_what_stands_for_its_function, .timeout = 60)
{
	struct {
		int status;
		char more;
	} argument = { 41, 'x' };
	struct carom_context *context;

	EACH_METHOD(context)
	{
		cr_expect(RUN(.context = context, .function = return_status, .run = run_and_add,
			      .argument = &argument, .argument_size = sizeof(int) + 1) == 42);
		cr_expect(RUN(.context = context, .run = run_and_add, .argument = &argument,
			      .argument_size = sizeof(int) + 1) == 1);
		cr_expect(RUN(.context = context, .function_name = "nobody", .run = run_and_add,
			      .argument = &argument, .argument_size = sizeof(int) + 1) == 1);
	}
	cr_expect(carom_run_target(NULL, 0, NULL, 0) == -EINVAL);
}
