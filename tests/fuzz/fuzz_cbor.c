/*
 * Fuzz: CBOR
 *
 * The input is an object of a manager's, or none. What is read is written, read and written
 * again, and the same both times.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/cbor.h"
#include "ipc/object_private.h"

#define DOCUMENT CAROM_CLEANUP(carom_document_freep) struct carom_document *

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promised)
{
	if (!promised)
		abort();
}

static void write_again(const struct carom_cbor *written)
{
	DOCUMENT document = NULL;
	struct carom_cbor again = { 0 };

	require(carom_document_make(1 << 20, &document) == 0);
	require(carom_cbor_load(written->data, written->size, 20, document) == 0);
	carom_cbor_object(&again, carom_document_root(document));
	require(again.error == 0 && again.size == written->size &&
		memcmp(again.data, written->data, again.size) == 0);
	carom_cbor_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DOCUMENT document = NULL;
	struct carom_cbor cbor = { 0 };
	char text[64];
	int r;

	require(carom_document_make(1 << 16, &document) == 0);
	r = carom_cbor_load(data, size, 20, document);
	require(r == 0 || r == -EBADMSG || r == -EOVERFLOW || r == -EMSGSIZE);
	if (r < 0)
		return 0;
	carom_object_describe(carom_document_root(document), text, sizeof(text));
	carom_cbor_object(&cbor, carom_document_root(document));
	require(cbor.error == 0);
	write_again(&cbor);
	carom_cbor_free(&cbor);
	return 0;
}
