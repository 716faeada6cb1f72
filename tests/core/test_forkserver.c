/* Fork server: children that cost little, are the program's own, and are never lost. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "core/descriptors.h"
#include "core/forkserver.h"
#include "core/process.h"
#include "core/time.h"
#include "tests/core/apart.h"

#define SOON carom_deadline_after(CAROM_SECONDS(10))

static int exit_with(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	int status;

	(void)fds;
	memcpy(&status, argument, sizeof(status));
	return size == sizeof(status) && fd_count == 0 ? status : 255;
}

Test(forkserver, makes_children_that_are_the_programs_own, .timeout = 10)
{
	struct carom_forkserver *server = NULL;
	struct carom_exit exit;
	int status = 7, pidfd = -1;
	struct carom_child_request request = {
		.function = exit_with,
		.argument = &status,
		.size = sizeof(status),
	};
	pid_t pid;

	cr_assert(zero(int, carom_forkserver_new(&server)));
	pid = carom_forkserver_spawn(server, &request, SOON, &pidfd);
	cr_assert(gt(int, pid, 0));
	cr_assert(zero(int, carom_process_wait(pidfd, SOON, &exit)));
	cr_expect(eq(int, exit.kind, CAROM_EXIT_EXITED));
	cr_expect(eq(int, exit.status, 7));
	close(pidfd);
	carom_forkserver_free(server);
}
