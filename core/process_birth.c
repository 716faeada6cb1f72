/*
 * Process: its birth
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/process_private.h"
#include "core/start.h"
#include "core/temp_dir_private.h"

typedef pid_t start_fn(struct carom_parcel *parcel, int *ret_pidfd);

static start_fn *const ways[] = {
	[CAROM_START_FORK] = carom_start_fork,
	[CAROM_START_SPAWN] = carom_start_spawn,
	[CAROM_START_FORKSERVER] = carom_start_forkserver,
};

/* --- may it? ----------------------------------------------------------- */

static long thread_count(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[128];
	long count = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Threads: %ld", &count) == 1)
			break;
	if (file)
		fclose(file);
	return count;
}

/* Row BO-15. One thread is the caller, one the library's, which leaves no lock held. */
static int check_threads(const struct carom_process *process)
{
	long count = process->settings.method == CAROM_START_FORK ? thread_count() - 2 : 0;

	if (count <= 0)
		return 0;
	if (process->settings.options.refuse_threads)
		return -EBUSY;
	carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_FORK_WITH_THREADS,
			"fork of a program with %ld more threads: locks that they hold stay held "
			"in the child for ever",
			count);
	return 0;
}

static int check(const struct carom_process *process, const struct carom_self *mine)
{
	if (mine->is_daemon && process->settings.options.no_daemon_children)
		return -EPERM;
	return check_threads(process);
}

/* --- its descriptors --------------------------------------------------- */

static void close_own(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		carom_closep(&fds[count + i]);
	free(fds);
}

/* @own: the descriptor that was made for it; -1: none had to be */
static int lift(int fd, int *ret_fd, int *own)
{
	if (fd >= 0 && fd <= STDERR_FILENO)
		fd = *own = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	else if (fcntl(fd, F_GETFD) < 0)
		fd = -1;
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/*
 * 0, 1 and 2 are the child's own standard ones; one of these that is handed over gets
 * another number. @ret_fds: the numbers, malloc'd; those at @ret_fds + count are ours to
 * close.
 */
static int above_standard(const struct carom_process *process, int **ret_fds)
{
	size_t count = process->fd_count;
	int *fds = calloc(2 * count + 1, sizeof(int));
	int r = 0;

	if (!fds)
		return -ENOMEM;
	memset(fds + count, 0xff, count * sizeof(int)); /* -1 each */
	for (size_t i = 0; r == 0 && i < count; i++)
		r = lift(process->fds[i], &fds[i], &fds[count + i]);
	if (r < 0) {
		close_own(fds, count);
		return r;
	}
	*ret_fds = fds;
	return 0;
}

/* --- birth ------------------------------------------------------------- */

pid_t carom_process_birth(const struct carom_process *process, int *ret_pidfd)
{
	struct carom_parcel parcel = {
		.self = process->self,
		.context = process->settings,
		.function = process->function,
		.function_name = process->function_name,
		.run = process->run,
		.fd_count = process->fd_count,
		.temp_dir = carom_temp_dir_made(),
		.guard_fd = -1,
		.argument = process->argument,
		.argument_size = process->argument_size,
	};
	struct carom_self mine;
	int *fds = NULL;
	pid_t pid;
	int r;

	carom_self_copy(&mine);
	r = check(process, &mine);
	if (r == 0)
		r = above_standard(process, &fds);
	if (r < 0)
		return r;
	memcpy(parcel.self.parent_name, mine.name, sizeof(mine.name));
	parcel.fds = fds;
	carom_log_export(&parcel.log);
	fflush(stdout); /* a copy of what stands there would be written by the child as well */
	fflush(stderr);
	pid = ways[process->settings.method](&parcel, ret_pidfd);
	close_own(fds, process->fd_count);
	return pid;
}
