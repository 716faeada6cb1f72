/* A pipe's end is handed to children of every start method by its one descriptor. */
#include "tests/core/methods.h"
#include "tests/ipc/answer.h"
#include "tests/ipc/ends.h"

/* RD-04 */
Test(pipe_methods, end_is_for_children_of_every_method, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		MEMORY(mine, theirs, );
		struct carom_process *process;
		int fd = dup2(carom_connection_fd(theirs), 200);

		cr_assert(eq(int, fd, 200));
		process = START(.context = context, .function = answer_by_pipe, .fds = &fd,
				.fd_count = 1);
		close(fd);
		carom_connection_close(theirs);
		cr_assert(zero(int, give(mine, "hello", 5)));
		expect_message(mine, "hello");
		cr_expect(eq(int, exitcode_of(process), 0), "%s", methods[each_]);
		cr_expect(eq(long, take(mine, NULL, 0), -EPIPE), "%s", methods[each_]);
		carom_process_free(process);
	}
}
