/* What the parts of a manager share. */
#ifndef CAROM_IPC_MANAGER_PRIVATE_H
#define CAROM_IPC_MANAGER_PRIVATE_H

#include "ipc/manager.h"

/**
 * carom_manager_ask() - call a function of the server's
 * @arguments: a tuple
 *
 * Return: as carom_proxy_call(); -EINVAL, -ESHUTDOWN: the manager.
 */
int carom_manager_ask(struct carom_manager *manager, const char *function,
		      const struct carom_object *arguments, uint64_t deadline_ns,
		      struct carom_document **ret_document);

#endif
