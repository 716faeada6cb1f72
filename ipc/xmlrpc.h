/**
 * DOC: xmlrpc
 *
 * Values as XML-RPC writes them, for peers that shall read no pickles: what `XmlListener` and
 * `XmlClient` of Python's `multiprocessing.connection` send and receive. As a serializer
 * (serializer.h) it is called "xmlrpc":
 *
 *	r = carom_context_configure(context, &CAROM_CONTEXT_OPTIONS(.serializer = "xmlrpc"));
 *	carom_connection_set_context(connection, context);
 *	r = carom_connection_recv_document(connection, NULL, deadline_ns, &document);
 *
 * A message is one `<params>` with one value, in UTF-8: `<nil/>`, `<boolean>`, `<int>`,
 * `<double>`, `<string>`, `<base64>` (which is bytes), `<array>` (a list) and `<struct>` (a
 * dict whose keys are texts). A tuple is written as an array, so it arrives as a list. An int
 * of more than 32 bits is written as `<i8>`, which Python reads, though it writes none.
 *
 * Reading expands no entities: a document type is refused, as are attributes, dates, and all
 * else that is not named above.
 */
#ifndef CAROM_IPC_XMLRPC_H
#define CAROM_IPC_XMLRPC_H

#include "document.h"

CAROM_BEGIN_DECLS

/**
 * carom_xmlrpc_load() - read one
 * @data:         @size bytes; nothing of it is kept
 * @limits:       read during the call only; NULL for all defaults
 * @ret_document: the caller owns it and ends it with carom_document_free()
 *
 * Context: MT-Safe, AS-Unsafe heap. Never blocks.
 * Return: 0, or, with *@ret_document untouched,
 *	-EBADMSG    it is no such message, or not all of one, or has what is refused
 *	-EOVERFLOW  an int of more than 64 bits
 *	-EMSGSIZE   deeper, or more memory, than @limits allow
 *	-EOPNOTSUPP this library was built without expat, or cannot load it here
 *	-EINVAL     @limits make no sense
 *	-E2BIG      @limits sets a field newer than this library
 *	-EMFILE, -ENFILE  no descriptor to load expat by, or nettle where there are bytes
 *	-ENOMEM
 */
CAROM_API int carom_xmlrpc_load(const void *data, size_t size,
				const struct carom_document_limits *limits,
				struct carom_document **ret_document);

/**
 * carom_xmlrpc_dump() - the message of one object, of 1 GiB at most
 * @ret_data: the caller's, to be freed with free(3)
 *
 * Context: MT-Safe, AS-Unsafe heap. Never blocks.
 * Return: 0, or, with the outputs untouched,
 *	-EINVAL     no @object; in it a descriptor, a tag or a proxy, or a key that is no text
 *	-EILSEQ     a text with a character that XML does not have, such as most below a blank
 *	-EMSGSIZE   it would be longer
 *	-EOPNOTSUPP this library was built without expat, and so could read no answer; or has
 *	            bytes to write, and cannot load nettle
 *	-EMFILE, -ENFILE  no descriptor to load that by
 *	-ENOMEM
 */
CAROM_API int carom_xmlrpc_dump(const struct carom_object *object, void **ret_data,
				size_t *ret_size);

CAROM_END_DECLS

#endif
