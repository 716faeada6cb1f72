/*
 * Executable: what "spawn" runs
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/context.h"
#include "core/context_private.h"
#include "core/self.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char executable[PATH_MAX];

static void hold(void)
{
	pthread_mutex_lock(&lock);
}

static void let_go(void)
{
	pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void survive_forks(void)
{
	pthread_atfork(hold, let_go, let_go);
}

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
	pthread_mutex_lock(&lock);
	memcpy(executable, whole, sizeof(executable));
	pthread_mutex_unlock(&lock);
	return 0;
}

void carom_executable(char *path)
{
	pthread_mutex_lock(&lock);
	strcpy(path, executable[0] ? executable : "/proc/self/exe");
	pthread_mutex_unlock(&lock);
}

bool carom_executable_is_set(void)
{
	bool is_set;

	pthread_mutex_lock(&lock);
	is_set = executable[0] != '\0';
	pthread_mutex_unlock(&lock);
	return is_set;
}
