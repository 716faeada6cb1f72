/*
 * Start by fork
 *
 * The child arms its guard and waits inside carom_fork() until its parent holds the
 * pidfd. Then it is what the parcel says; it has all of it in its copy of the memory.
 */
#include "core/after_fork_private.h"
#include "core/bootstrap.h"
#include "core/cleanup.h"
#include "core/clone.h"
#include "core/guard.h"
#include "core/signals.h"
#include "core/start.h"

pid_t carom_start_fork(struct carom_parcel *parcel, int *ret_pidfd)
{
	struct carom_guard guard;
	pid_t pid;
	int r = carom_guard_take(&guard);

	if (r < 0)
		return r;
	carom_after_fork_delay(true); /* they come after what carom_bootstrap() does first */
	pid = carom_fork(&guard, parcel->cgroup_fd, ret_pidfd);
	carom_after_fork_delay(false);
	if (pid == 0) {
		carom_signals_restore(0); /* whatever the calling thread has blocked */
		parcel->guard_fd = guard.pipe_fd;
		carom_bootstrap(parcel);
	}
	carom_closep(&guard.pipe_fd);
	return pid;
}
