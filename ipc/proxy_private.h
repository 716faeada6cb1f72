/* The inside of proxies, for managers. */
#ifndef CAROM_IPC_PROXY_PRIVATE_H
#define CAROM_IPC_PROXY_PRIVATE_H

#include "ipc/line.h"
#include "ipc/proxy.h"

/**
 * carom_proxy_new() - of an object, of which the server counts a reference for this connection
 * @line: another reference is taken
 *
 * Return: 0, -ENOMEM: the reference is given back.
 */
int carom_proxy_new(struct carom_line *line, uint64_t id, const char *type,
		    struct carom_proxy **ret_proxy);

/** carom_proxy_take() - of an object by its number; a reference is taken. As carom_proxy_of() */
int carom_proxy_take(struct carom_line *line, uint64_t id, uint64_t deadline_ns,
		     struct carom_proxy **ret_proxy);

/** carom_proxy_line() - the proxy's */
struct carom_line *carom_proxy_line(const struct carom_proxy *proxy);

#endif
