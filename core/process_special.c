/*
 * Process: this one, and its parent
 *
 * Two handles that stand for as long as the process does. A forked copy of the program is
 * another process: it gets its own, at the first call.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/fork_lock.h"
#include "core/origin.h"
#include "core/pidfd.h"
#include "core/process_private.h"
#include "core/time.h"

static CAROM_FORK_LOCK(lock);
static struct carom_process *current, *parent;

static void forget(void)
{
	if (parent)
		carom_closep(&parent->pidfd);
}

__attribute__((constructor)) static void survive_forks(void)
{
	pthread_atfork(NULL, NULL, forget);
}

/* A handle that another process of the family made is a copy, and left alone. */
static struct carom_process *need(struct carom_process **handle)
{
	struct carom_process *process = *handle;

	if (process && carom_origin_is(process->origin))
		return process;
	process = calloc(1, sizeof(*process));
	if (!process)
		abort(); /* these two calls have no error to return */
	process->origin = carom_origin();
	process->is_special = true;
	process->state = PROCESS_STARTED;
	process->pidfd = -1;
	process->type = "Process";
	carom_self_copy(&process->self);
	*handle = process;
	return process;
}

struct carom_process *carom_current_process(void)
{
	struct carom_process *process = carom_thread_process();

	if (process)
		return process;
	carom_fork_lock_acquire(&lock);
	process = need(&current);
	process->pid = getpid();
	process->parent_pid = process->self.parent_pid;
	carom_fork_lock_release(&lock);
	return process;
}

struct carom_process *carom_parent_process(void)
{
	struct carom_process *process = NULL;
	struct carom_self mine;

	carom_self_copy(&mine);
	if (!mine.parent_pid || mine.parent_pid != getppid())
		return NULL;
	carom_fork_lock_acquire(&lock);
	process = need(&parent);
	if (process->pidfd < 0) {
		process->pid = mine.parent_pid;
		memcpy(process->self.name, mine.parent_name, sizeof(mine.parent_name));
		process->pidfd = carom_pidfd_open(mine.parent_pid);
	}
	carom_fork_lock_release(&lock);
	return process;
}

int carom_special_is_alive(struct carom_process *process)
{
	if (!carom_origin_is(process->origin))
		return -ECHILD;
	if (process->pidfd < 0)
		return process->pid == getpid() || process->pid == getppid();
	return carom_descriptor_wait(process->pidfd, CAROM_PASSED) == -ETIMEDOUT;
}

int carom_special_join(struct carom_process *process, uint64_t deadline_ns)
{
	if (!carom_origin_is(process->origin))
		return -ECHILD;
	if (process->pid == getpid())
		return -EDEADLK;
	if (process->pidfd < 0)
		return process->pid == getppid() ? process->pidfd : 0;
	return carom_descriptor_wait(process->pidfd, deadline_ns);
}
