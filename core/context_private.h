/* Context, as the rest of core sees it. */
#ifndef CAROM_CORE_CONTEXT_PRIVATE_H
#define CAROM_CORE_CONTEXT_PRIVATE_H

#include "core/context.h"

enum carom_start_method {
	CAROM_START_FORK,
	CAROM_START_SPAWN,
	CAROM_START_FORKSERVER,
	CAROM_START_METHOD_COUNT,
	CAROM_START_THREAD = CAROM_START_METHOD_COUNT, /* no processes: no child has it */
	CAROM_CONTEXT_COUNT,
};

/** struct carom_context_settings - what a handle keeps of its context, and a child inherits */
struct carom_context_settings {
	enum carom_start_method method;
	struct carom_context_options options;
};

/**
 * carom_context_settings() - as they are now; NULL fixes the default context
 * @ret_type: what processes of this context are called: "Process", "ForkProcess", ...
 * Return: 0, -EOPNOTSUPP (no fork server is possible).
 */
int carom_context_settings(struct carom_context *context,
			   struct carom_context_settings *ret_settings, const char **ret_type);

/**
 * carom_context_serializer() - the name that its options have now; empty: none
 * @context: NULL: the default one, which this does not fix
 */
void carom_context_serializer(struct carom_context *context,
			      char ret_name[CAROM_SERIALIZER_NAME_SIZE]);

/** carom_context_inherit() - in a new child: its default context is its parent's */
void carom_context_inherit(const struct carom_context_settings *settings);

/** carom_executable() - up to PATH_MAX bytes of what "spawn" runs. MT-Safe. */
void carom_executable(char *path);

/**
 * carom_executable_open() - this program, if that is what "spawn" runs: what /proc/self/exe is here
 *
 * To be executed by its descriptor. A child that looks /proc/self up makes the kernel set up a
 * folder for it there, which costs a fifth of all that its start costs.
 * Return: O_PATH, the caller's to close; -1: by carom_executable() only.
 */
int carom_executable_open(void);

/** carom_executable_is_set() - by carom_set_executable() */
bool carom_executable_is_set(void);

/** carom_preload_run() - in a new fork server: load what was asked for */
void carom_preload_run(void);

#endif
