/*
 * Start: which way, and whether it may be gone
 */
#include "core/start.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/annex.h"
#include "core/cleanup_private.h"
#include "core/log.h"
#include "core/pidfd.h"
#include "core/thread_private.h"

typedef pid_t start_fn(struct carom_parcel *parcel, int *ret_pidfd);

static start_fn *const ways[] = {
	[CAROM_START_FORK] = carom_start_fork,
	[CAROM_START_SPAWN] = carom_start_spawn,
	[CAROM_START_FORKSERVER] = carom_start_forkserver,
};

static long thread_count(void)
{
	CAROM_CLEANUP(carom_fclosep) FILE *file = fopen("/proc/self/status", "re");
	char line[128];
	long count = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Threads: %ld", &count) == 1)
			break;
	return count;
}

/* A thread that was joined is seen in /proc for an instant more: it has begun to end by then. */
static long ending_count(void)
{
	CAROM_CLEANUP(carom_closedirp) DIR *folder = opendir("/proc/self/task");
	struct dirent *entry;
	long count = 0;

	while (folder && (entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			count += carom_thread_is_ending((pid_t)atoi(entry->d_name));
	return count;
}

/* threads of the program beside the one that it has anyway */
static long strangers(void)
{
	long count = thread_count() - 1 - (long)carom_threads_own();

	return count > 0 ? count - ending_count() : 0;
}

/* Row BO-15 */
static int check_threads(struct carom_parcel *parcel)
{
	const struct carom_context_settings *context = &parcel->context;
	long count = context->method == CAROM_START_FORK ? strangers() : 0;

	if (count <= 0)
		return 0;
	if (context->options.refuse_threads)
		return -EBUSY;
	carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_FORK_WITH_THREADS,
			"fork of a program with %ld more threads: locks that they hold stay held "
			"in the child for ever",
			count);
	carom_annexes_load(); /* in the child the loader's locks may be held, too */
	parcel->is_among_threads = true;
	return 0;
}

/* Only a child of the fork server has a parent whose end it can hear of from there. */
static int check_birthplace(const struct carom_parcel *parcel)
{
	if (!parcel->namespaces || parcel->context.method == CAROM_START_FORKSERVER)
		return 0;
	carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_SANDBOX_REFUSED,
			"only the fork server makes children in a pid namespace of their own");
	return -EOPNOTSUPP;
}

pid_t carom_start(struct carom_parcel *parcel, int *ret_pidfd)
{
	struct carom_self mine;
	int r;

	carom_self_copy(&mine);
	if (mine.is_daemon && parcel->context.options.no_daemon_children)
		return -EPERM;
	r = check_threads(parcel);
	if (r == 0)
		r = check_birthplace(parcel);
	if (r < 0)
		return r;
	memcpy(parcel->self.parent_name, mine.name, sizeof(mine.name));
	return ways[parcel->context.method](parcel, ret_pidfd);
}
