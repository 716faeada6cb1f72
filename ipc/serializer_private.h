/* Serializers by their names, for who keeps a context's options: see ipc/serializer.c. */
#ifndef CAROM_IPC_SERIALIZER_PRIVATE_H
#define CAROM_IPC_SERIALIZER_PRIVATE_H

#include "ipc/serializer.h"

/** carom_serializer_named() - @name as in a context's options; empty: the default. 0, -ENOENT */
int carom_serializer_named(const char *name, const struct carom_serializer **ret_serializer);

/** carom_document_dump() - its bytes. 0, -EINVAL (it is not finished), or what @serializer says */
int carom_document_dump(const struct carom_document *document,
			const struct carom_serializer *serializer, void **ret_data,
			size_t *ret_size);

/** carom_document_fd_count() - so many of its descriptors have to go along: the first ones */
uint32_t carom_document_fd_count(const struct carom_document *document);

#endif
