/*
 * Start by spawn
 *
 * The program is executed with a marker for an argument and the number of the memfd
 * with its parcel behind it; carom_main_hook() does the rest there. What it keeps open
 * keeps its number: the descriptors it was given, the parcel, the guard.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/bootstrap.h"
#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/guard.h"
#include "core/log.h"
#include "core/points.h"
#include "core/spawn.h"
#include "core/start.h"

static int name_one(const struct carom_parcel *parcel, carom_process_fn **function,
		    const char **name)
{
	if (!*function)
		return 0;
	*name = carom_registered_name(*function);
	*function = NULL;
	if (*name)
		return 0;
	carom_log(CAROM_LOG_ERROR, "%s: its function is not registered (CAROM_REGISTER())",
		  parcel->self.name);
	return -ENOENT;
}

static int name_functions(struct carom_parcel *parcel)
{
	int r = name_one(parcel, &parcel->function, &parcel->function_name);

	return r < 0 ? r : name_one(parcel, &parcel->run, &parcel->run_name);
}

/* Or it would do in its child all that it does in itself. */
static int check_hook(const struct carom_parcel *parcel)
{
	if (carom_bootstrap_is_ready() || carom_executable_is_set())
		return 0;
	carom_log(CAROM_LOG_ERROR, "%s: main() has not called carom_main_hook()",
		  parcel->self.name);
	return -ENOEXEC;
}

static int pack(const struct carom_parcel *parcel, int *ret_fd)
{
	void *head;
	size_t size;
	int r = carom_parcel_pack(parcel, &head, &size);

	if (r < 0)
		return r;
	r = carom_parcel_file(head, size, parcel->argument, parcel->argument_size, ret_fd);
	free(head);
	return r < 0 ? r : carom_descriptor_lift(ret_fd);
}

/* The environment with billiard's two words, in one block; NULL: the environment as it is. */
static int environment(const struct carom_parcel *parcel, char ***ret_envp)
{
	static char no_fork[] = "MULTIPROCESSING_FORKING_DISABLE=1";
	static char forked[] = "FORKED_BY_MULTIPROCESSING=1";
	char *words[] = { no_fork, forked };
	size_t count = 0;

	*ret_envp = NULL;
	if (!parcel->context.options.billiard_environment)
		return 0;
	while (environ && environ[count])
		count++;
	*ret_envp = calloc(count + 3, sizeof(char *));
	if (!*ret_envp)
		return -ENOMEM;
	memcpy(*ret_envp, words, sizeof(words));
	if (count)
		memcpy(*ret_envp + 2, environ, count * sizeof(char *));
	return 0;
}

static pid_t execute(const struct carom_parcel *parcel, const struct carom_guard *guard,
		     int parcel_fd, int *ret_pidfd)
{
	char executable[PATH_MAX];
	char marker[48];
	char *argv[] = { carom_executable_is_set() ? executable : program_invocation_name, marker,
			 NULL };
	CAROM_CLEANUP(carom_closep) int program_fd = carom_executable_open();
	size_t keep_count = parcel->fd_count + 4;
	int *keep = calloc(keep_count, sizeof(int));
	char **envp = NULL;
	pid_t pid = keep ? environment(parcel, &envp) : -ENOMEM;

	if (pid == 0) {
		carom_executable(executable);
		snprintf(marker, sizeof(marker), CAROM_CHILD_MARKER "%d", parcel_fd);
		if (parcel->fd_count)
			memcpy(keep + 4, parcel->fds, parcel->fd_count * sizeof(int));
		keep[0] = parcel_fd;
		keep[1] = guard->pipe_fd;
		keep[2] = parcel->sandbox_fd;
		keep[3] = program_fd;
		pid = carom_spawn(
			&(struct carom_spawn_options){
				.program = executable,
				.program_fd = program_fd,
				.argv = argv,
				.envp = envp,
				.stdin_fd = -1,
				.stdout_fd = -1,
				.stderr_fd = -1,
				.keep_fds = keep,
				.keep_count = keep_count,
				.guard = guard,
				.cgroup_fd = parcel->cgroup_fd,
			},
			ret_pidfd);
	}
	free(envp);
	free(keep);
	return pid;
}

pid_t carom_start_spawn(struct carom_parcel *parcel, int *ret_pidfd)
{
	CAROM_CLEANUP(carom_closep) int parcel_fd = -1;
	struct carom_guard guard;
	pid_t pid;
	int r;

	r = check_hook(parcel);
	if (r == 0)
		r = name_functions(parcel);
	if (r == 0)
		r = carom_guard_take(&guard);
	if (r < 0)
		return r;
	parcel->guard_fd = guard.pipe_fd;
	pid = pack(parcel, &parcel_fd);
	CAROM_POINT("start.packed");
	if (pid == 0)
		pid = execute(parcel, &guard, parcel_fd, ret_pidfd);
	carom_closep(&guard.pipe_fd);
	return pid;
}
