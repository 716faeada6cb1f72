/**
 * DOC: address
 *
 * Names of AF_UNIX sockets.
 */
#ifndef CAROM_CORE_ADDRESS_H
#define CAROM_CORE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "api.h"

CAROM_BEGIN_DECLS

/**
 * carom_address_is_abstract() - is it a name that stands in no file system?
 * @name: as in sun_path, not NUL-terminated
 * @size: its bytes; a socket without a name has none
 *
 * True for what begins with a NUL. Such a name needs no removal, and no permission to
 * connect to.
 *
 * Context: MT-Safe, AS-Safe.
 */
CAROM_API bool carom_address_is_abstract(const char *name, size_t size);

CAROM_END_DECLS

#endif
