/*
 * Manager's server: the process that a manager starts
 */
#ifndef CAROM_IPC_MANAGER_SERVER_H
#define CAROM_IPC_MANAGER_SERVER_H

#include "core/process.h"
#include "ipc/manager.h"

/**
 * struct carom_manager_place - where it listens
 * @path: of AF_UNIX; or NULL, and
 * @host: of another family
 */
struct carom_manager_place {
	char *path;
	char *host;
	uint16_t port;
};

/**
 * carom_manager_server_start() - and wait until it listens
 * @options:     as the manager has them, with a key
 * @name:        of the process
 * @ret_process: the caller's
 * @ret_place:   the strings are the caller's
 *
 * Return: see carom_manager_start(). Nothing is left behind then.
 */
int carom_manager_server_start(const struct carom_manager_options *options, const char *name,
			       struct carom_process **ret_process,
			       struct carom_manager_place *ret_place);

#endif
