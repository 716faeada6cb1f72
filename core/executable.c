/*
 * Executable: what "spawn" runs
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/context.h"
#include "core/context_private.h"
#include "core/descriptors.h"
#include "core/fork_lock.h"
#include "core/self.h"

static CAROM_FORK_LOCK(lock);
static char executable[PATH_MAX];

/* A relative path means the directory that the program was started in, wherever it is now. */
int carom_set_executable(const char *path)
{
	char whole[PATH_MAX] = "";
	bool is_relative = path && path[0] != '/' && strchr(path, '/');
	int n = 0;

	if (path && !*path)
		return -EINVAL;
	if (path)
		n = snprintf(whole, sizeof(whole), "%s%s%s",
			     is_relative ? carom_self_directory() : "", is_relative ? "/" : "",
			     path);
	if (n >= (int)sizeof(whole))
		return -ENAMETOOLONG;
	carom_fork_lock_acquire(&lock);
	memcpy(executable, whole, sizeof(executable));
	carom_fork_lock_release(&lock);
	return 0;
}

#define THIS_PROGRAM "/proc/self/exe"

void carom_executable(char *path)
{
	carom_fork_lock_acquire(&lock);
	strcpy(path, executable[0] ? executable : THIS_PROGRAM);
	carom_fork_lock_release(&lock);
}

bool carom_executable_is_set(void)
{
	bool is_set;

	carom_fork_lock_acquire(&lock);
	is_set = executable[0] != '\0';
	carom_fork_lock_release(&lock);
	return is_set;
}

int carom_executable_open(void)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;

	if (carom_executable_is_set())
		return -1;
	fd = open(THIS_PROGRAM, O_PATH | O_CLOEXEC);
	return fd >= 0 && carom_descriptor_lift(&fd) == 0 ? carom_take_fd(fd) : -1;
}
