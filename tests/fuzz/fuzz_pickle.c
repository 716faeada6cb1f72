/*
 * Fuzz: pickle
 *
 * The input is a pickle, or none. What is read is written, read and written again, and the
 * same both times.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/pickle.h"

#define DOCUMENT CAROM_CLEANUP(carom_document_freep) struct carom_document *
#define PICKLE   CAROM_CLEANUP(carom_pickle_freep) struct carom_pickle *

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promised)
{
	if (!promised)
		abort();
}

/* Return: 0; -EMSGSIZE: what stands in many places is too long in all of them */
static int write_pickle(const struct carom_document *document, struct carom_pickle **ret_pickle,
			const void **ret_data, size_t *ret_size)
{
	require(carom_pickle_new(&CAROM_PICKLE_OPTIONS(.size_max = 1 << 16), ret_pickle) == 0);
	carom_pickle_object(*ret_pickle, carom_document_root(document));
	return carom_pickle_data(*ret_pickle, ret_data, ret_size);
}

static void require_same_again(const void *data, size_t size)
{
	DOCUMENT document = NULL;
	PICKLE pickle = NULL;
	const void *again;
	size_t size_again;

	require(carom_pickle_load(data, size, NULL, &document) == 0);
	require(write_pickle(document, &pickle, &again, &size_again) == 0);
	require(size == size_again && memcmp(data, again, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DOCUMENT document = NULL;
	PICKLE pickle = NULL;
	const void *written;
	size_t written_size;
	int r = carom_pickle_load(data, size,
				  &CAROM_DOCUMENT_LIMITS(.memory_max = 1 << 16, .depth_max = 20),
				  &document);

	require(r == 0 || r == -EBADMSG || r == -EOVERFLOW || r == -EMSGSIZE);
	if (r < 0)
		return 0;
	r = write_pickle(document, &pickle, &written, &written_size);
	require(r == 0 || r == -EMSGSIZE);
	if (r == 0)
		require_same_again(written, written_size);
	return 0;
}
