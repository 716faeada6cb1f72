/**
 * DOC: serializer
 *
 * What makes bytes of documents, and documents of bytes. There are
 *
 *	"pickle"   Python's pickles, as far as they are data (pickle.h); used where none is set
 *	"xmlrpc"   XML, as Python's XmlClient and XmlListener exchange it (xmlrpc.h)
 *
 * and a program may bring its own, and set it for a context:
 *
 *	static const struct carom_serializer mine =
 *		CAROM_SERIALIZER(.name = "mine", .dump = dump, .load = load);
 *
 *	r = carom_serializer_register(&mine);		// in each program, before the next one
 *	r = carom_context_configure(context, &CAROM_CONTEXT_OPTIONS(.serializer = "mine"));
 *
 * From then on documents go as it says through queues and connections (exchange.h), and through
 * pools of that context. Its children inherit the name, and find it among what was registered
 * there.
 */
#ifndef CAROM_IPC_SERIALIZER_H
#define CAROM_IPC_SERIALIZER_H

#include "../core/context.h"
#include "document.h"

CAROM_BEGIN_DECLS

/**
 * typedef carom_serializer_dump_fn - bytes that say what @object is
 * @ret_data: malloc'd; the caller's, to be freed with free(3)
 *
 * A descriptor is its index only (carom_object_fd_index()); what carries the bytes carries it.
 *
 * Return: 0, or a negative errno value: -EINVAL for an object that it has no bytes for
 */
typedef int carom_serializer_dump_fn(const struct carom_object *object, void **ret_data,
				     size_t *ret_size);

/**
 * typedef carom_serializer_load_fn - the document of which the bytes speak
 * @data:   from whoever has sent them: anything
 * @limits: NULL for all defaults
 *
 * Return: 0, or a negative errno value: -EBADMSG for bytes that say nothing
 */
typedef int carom_serializer_load_fn(const void *data, size_t size,
				     const struct carom_document_limits *limits,
				     struct carom_document **ret_document);

/**
 * struct carom_serializer - one of them
 * @size_bytes: size of this struct; CAROM_SERIALIZER() fills it in
 * @name:       at most 27 bytes
 */
struct carom_serializer {
	size_t size_bytes;
	const char *name;
	carom_serializer_dump_fn *dump;
	carom_serializer_load_fn *load;
};
#define CAROM_SERIALIZER(...)                                              \
	{                                                                  \
		.size_bytes = sizeof(struct carom_serializer), __VA_ARGS__ \
	}

/**
 * carom_serializer_register() - make one known in this program
 * @serializer: stays there for good, and does not change
 *
 * Context: MT-Safe, AS-Unsafe heap.
 * Return: 0 (also if it is known already), -EEXIST (the name is another's), -EINVAL (no name,
 * or a function is missing), -ENAMETOOLONG, -E2BIG, -ENOMEM.
 */
CAROM_API int carom_serializer_register(const struct carom_serializer *serializer);

/**
 * carom_serializer_of() - which one a context has
 * @context: NULL: the default one
 *
 * Context: MT-Safe.
 * Return: 0, -ENOENT (none of its name is registered in this program).
 */
CAROM_API int carom_serializer_of(struct carom_context *context,
				  const struct carom_serializer **ret_serializer);

CAROM_END_DECLS

#endif
