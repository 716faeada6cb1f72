/*
 * Start by fork
 *
 * The child arms its guard and waits inside carom_fork() until its parent holds the
 * pidfd. Then it is what the parcel says; it has all of it in its copy of the memory.
 */
#include <stdlib.h>
#include <unistd.h>

#include "core/after_fork_private.h"
#include "core/annex.h"
#include "core/bootstrap.h"
#include "core/cleanup.h"
#include "core/clone.h"
#include "core/descriptors.h"
#include "core/guard.h"
#include "core/signals.h"
#include "core/start.h"
#include "core/time.h"

/* Not all that the program has open, of which a child that is to be confined must know nothing. */
static void keep_its_own(const struct carom_parcel *parcel)
{
	int *keep = carom_parcel_kept_fds(parcel);

	if (!keep)
		_exit(EXIT_FAILURE);
	carom_descriptors_close(STDERR_FILENO + 1, keep, parcel->fd_count + 1);
	free(keep);
}

pid_t carom_start_fork(struct carom_parcel *parcel, int *ret_pidfd)
{
	struct carom_guard guard;
	pid_t pid;
	int r = carom_guard_take(&guard);

	if (r < 0)
		return r;
	carom_after_fork_delay(true); /* they come after what carom_bootstrap() does first */
	pid = carom_fork(&guard, parcel->cgroup_fd, carom_deadline_after(CAROM_SECONDS(10)),
			 ret_pidfd);
	carom_after_fork_delay(false);
	if (pid == 0) {
		if (parcel->is_among_threads)
			carom_annexes_settle();
		carom_signals_restore(0); /* whatever the calling thread has blocked */
		parcel->guard_fd = guard.pipe_fd;
		if (parcel->is_exact)
			keep_its_own(parcel);
		carom_bootstrap(parcel);
	}
	carom_closep(&guard.pipe_fd);
	return pid;
}
