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
#include "core/process_private.h"
#include "core/start.h"
#include "core/temp_dir_private.h"

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

void carom_process_parcel(const struct carom_process *process, struct carom_parcel *ret_parcel)
{
	*ret_parcel = (struct carom_parcel){
		.self = process->self,
		.context = process->settings,
		.function = process->function,
		.function_name = process->function_name,
		.run = process->run,
		.fds = process->fds,
		.fd_count = process->fd_count,
		.guard_fd = -1,
		.sandbox_fd = -1,
		.argument = process->argument,
		.argument_size = process->argument_size,
	};
}

/* No other child ever has it: one that is started again after a failure has a new one. */
static int make_page(struct carom_process *process, struct carom_parcel *parcel)
{
	int r;

	if (carom_sandbox_is_none(process->sandbox))
		return 0;
	process->page = carom_sandbox_page_free(process->page);
	r = carom_sandbox_page_new(process->sandbox, &process->page);
	if (r == 0)
		parcel->sandbox_fd = carom_sandbox_page_fd(process->page);
	parcel->namespaces = carom_sandbox_namespaces(process->sandbox);
	return r;
}

static int make_group(struct carom_process *process, struct carom_parcel *parcel)
{
	return process->limits ? carom_process_limits_begin(process->limits, process->self.name,
							    &parcel->cgroup_fd)
			       : 0;
}

pid_t carom_process_birth(struct carom_process *process, int *ret_pidfd)
{
	struct carom_parcel parcel;
	int *fds = NULL;
	pid_t pid;
	int r = above_standard(process, &fds);

	if (r < 0)
		return r;
	carom_process_parcel(process, &parcel);
	parcel.temp_dir = carom_temp_dir_made();
	parcel.fds = fds;
	carom_log_export(&parcel.log);
	fflush(stdout); /* a copy of what stands there would be written by the child as well */
	fflush(stderr);
	pid = make_page(process, &parcel);
	if (pid == 0)
		pid = make_group(process, &parcel);
	if (pid == 0)
		pid = carom_start(&parcel, ret_pidfd);
	if (pid < 0 && process->limits)
		carom_process_limits_end(process->limits);
	carom_sandbox_page_close(process->page);
	close_own(fds, process->fd_count);
	return pid;
}
