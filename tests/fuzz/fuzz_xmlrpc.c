/*
 * Fuzz: XML-RPC
 *
 * The input is a message, or none. What is read can be written (a text that came by XML can go
 * by it); that is read and written again, and the same both times.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/xmlrpc.h"

#define DOCUMENT CAROM_CLEANUP(carom_document_freep) struct carom_document *

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promised)
{
	if (!promised)
		abort();
}

static void require_same_again(const void *data, size_t size)
{
	DOCUMENT document = NULL;
	void *again = NULL;
	size_t size_again = 0;

	require(carom_xmlrpc_load(data, size, NULL, &document) == 0);
	require(carom_xmlrpc_dump(carom_document_root(document), &again, &size_again) == 0);
	require(size == size_again && memcmp(data, again, size) == 0);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DOCUMENT document = NULL;
	void *written = NULL;
	size_t written_size = 0;
	int r = carom_xmlrpc_load(data, size,
				  &CAROM_DOCUMENT_LIMITS(.memory_max = 1 << 16, .depth_max = 20),
				  &document);

	require(r == 0 || r == -EBADMSG || r == -EOVERFLOW || r == -EMSGSIZE || r == -EOPNOTSUPP);
	if (r < 0)
		return 0;
	require(carom_xmlrpc_dump(carom_document_root(document), &written, &written_size) == 0);
	require_same_again(written, written_size);
	free(written);
	return 0;
}
