/* Serializers by their names, for who keeps a context's options: see ipc/serializer.c. */
#ifndef CAROM_IPC_SERIALIZER_PRIVATE_H
#define CAROM_IPC_SERIALIZER_PRIVATE_H

#include "ipc/serializer.h"

/** carom_serializer_named() - @name as in a context's options; empty: the default. 0, -ENOENT */
int carom_serializer_named(const char *name, const struct carom_serializer **ret_serializer);

#endif
