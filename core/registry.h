/**
 * DOC: registry
 *
 * What a child runs is a function of the program. Within one program image (fork,
 * fork server) it travels as an address. Across exec (spawn) addresses mean nothing:
 * there it travels by the name under which both programs have registered it.
 *
 *	static int count_lines(const void *argument, size_t size, const int *fds, size_t fd_count)
 *	...
 *	CAROM_REGISTER(count_lines);
 */
#ifndef CAROM_CORE_REGISTRY_H
#define CAROM_CORE_REGISTRY_H

#include <stddef.h>

#include "api.h"

CAROM_BEGIN_DECLS

/* The longest name, with its NUL. */
#define CAROM_FUNCTION_NAME_MAX 128

/**
 * typedef carom_process_fn - what a child runs
 * @argument: a copy of the parent's bytes, aligned for any type; the child's own
 * @fds:      the descriptors it was given, in order; the child's own
 *
 * Return: the exit status, 0 to 255; or a negative errno value, which is reported on
 * standard error as "Process NAME: ..." and becomes the exit status 1.
 */
typedef int carom_process_fn(const void *argument, size_t size, const int *fds, size_t fd_count);

/**
 * carom_register() - make a function known by a name
 * @name:     copied; unique in the program
 * @function: under a name that it has already, nothing changes
 *
 * Do so before carom_main_hook(), in every program that is to run it. A function
 * may have several names.
 *
 * Context: MT-Safe.
 * Return: 0, -EEXIST (the name is another function's), -EINVAL (NULL or an empty
 * name), -ENAMETOOLONG, -ENOMEM.
 */
CAROM_API int carom_register(const char *name, carom_process_fn *function);

/**
 * CAROM_REGISTER() - at file level: registers @function by its own name before main()
 *
 * Also task functions, initializers and hooks of pools whose workers are made by
 * "spawn": what a function takes and returns is checked where it is used. Those are
 * given to carom_register() by a cast, as it is done here.
 */
#define CAROM_REGISTER(function)                                                           \
	__attribute__((constructor)) static void carom_register_##function(void)           \
	{                                                                                  \
		carom_register(#function, (carom_process_fn *)(void (*)(void))(function)); \
	}                                                                                  \
	struct carom_register_needs_a_semicolon

/**
 * carom_registered() - the function of that name, or NULL
 *
 * Context: MT-Safe.
 */
CAROM_API carom_process_fn *carom_registered(const char *name);

/**
 * carom_registered_name() - a name of that function, or NULL; stays the registry's
 *
 * Context: MT-Safe.
 */
CAROM_API const char *carom_registered_name(carom_process_fn *function);

CAROM_END_DECLS

#endif
