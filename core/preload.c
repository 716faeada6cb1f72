/*
 * Preload: what the fork server loads before its first child
 *
 * The list is the program's, and the server's by the fork that made it; it is run
 * there, once the server has proved that no lock is held.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/context.h"
#include "core/context_private.h"
#include "core/fork_lock.h"
#include "core/log.h"
#include "core/registry.h"

static CAROM_FORK_LOCK(lock);
static char **list; /* ended by NULL */

static void list_free(char **names)
{
	for (char **name = names; name && *name; name++)
		free(*name);
	free(names);
}

static int list_copy(const char *const *names, char ***ret_list)
{
	size_t count = 0;
	char **copy;

	while (names[count])
		if (!*names[count++])
			return -EINVAL;
	copy = calloc(count + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < count; i++) {
		copy[i] = strdup(names[i]);
		if (!copy[i]) {
			list_free(copy);
			copy = NULL;
		}
	}
	if (!copy)
		return -ENOMEM;
	*ret_list = copy;
	return 0;
}

int carom_set_forkserver_preload(const char *const *names)
{
	char **copy = NULL;
	char **old;
	int r = names ? list_copy(names, &copy) : 0;

	if (r < 0)
		return r;
	carom_fork_lock_acquire(&lock);
	old = list;
	list = copy;
	carom_fork_lock_release(&lock);
	list_free(old);
	return 0;
}

static bool is_object(const char *name)
{
	size_t length = strlen(name);

	return strchr(name, '/') || (length > 3 && strcmp(name + length - 3, ".so") == 0);
}

static void load(const char *name)
{
	carom_process_fn *function;

	if (is_object(name)) {
		if (!dlopen(name, RTLD_NOW | RTLD_GLOBAL))
			carom_log_event(CAROM_LOG_INFO, CAROM_LOG_EVENT_PRELOAD_FAILED,
					"preload: %s", dlerror());
		return;
	}
	function = carom_registered(name);
	if (function)
		function(NULL, 0, NULL, 0);
	else
		carom_log_event(CAROM_LOG_INFO, CAROM_LOG_EVENT_PRELOAD_FAILED,
				"preload: no function is registered as \"%s\"", name);
}

void carom_preload_run(void)
{
	for (char **name = list; name && *name; name++)
		load(*name);
}
