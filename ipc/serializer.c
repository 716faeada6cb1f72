/*
 * Serializer
 *
 * A context has the name of one, which goes to its children as the rest of its options does;
 * what the name means is each program's own to know. The list only grows, and begins with
 * what is always there.
 */
#include "ipc/serializer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/context_private.h"
#include "core/fork_lock.h"
#include "ipc/object_private.h"
#include "ipc/pickle.h"
#include "ipc/serializer_private.h"
#include "ipc/xmlrpc.h"

struct entry {
	const struct carom_serializer *serializer;
	struct entry *next;
};

static const struct carom_serializer pickle =
	CAROM_SERIALIZER(.name = "pickle", .dump = carom_pickle_dump, .load = carom_pickle_load);

static const struct carom_serializer xmlrpc =
	CAROM_SERIALIZER(.name = "xmlrpc", .dump = carom_xmlrpc_dump, .load = carom_xmlrpc_load);

static CAROM_FORK_LOCK(lock);
static struct entry second = { .serializer = &xmlrpc };
static struct entry first = { .serializer = &pickle, .next = &second };

static const struct carom_serializer *find(const char *name)
{
	for (struct entry *entry = &first; entry; entry = entry->next)
		if (strcmp(entry->serializer->name, name) == 0)
			return entry->serializer;
	return NULL;
}

static int add(const struct carom_serializer *serializer)
{
	const struct carom_serializer *known = find(serializer->name);
	struct entry *entry;

	if (known)
		return known == serializer ? 0 : -EEXIST;
	entry = malloc(sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	*entry = (struct entry){ .serializer = serializer, .next = first.next };
	first.next = entry;
	return 0;
}

static int check(const struct carom_serializer *serializer)
{
	if (!serializer || serializer->size_bytes < sizeof(*serializer))
		return -EINVAL;
	if (serializer->size_bytes > sizeof(*serializer))
		return -E2BIG;
	if (!serializer->name || !*serializer->name || !serializer->dump || !serializer->load)
		return -EINVAL;
	return strlen(serializer->name) < CAROM_SERIALIZER_NAME_SIZE ? 0 : -ENAMETOOLONG;
}

int carom_serializer_register(const struct carom_serializer *serializer)
{
	int r = check(serializer);

	if (r < 0)
		return r;
	carom_fork_lock_acquire(&lock);
	r = add(serializer);
	carom_fork_lock_release(&lock);
	return r;
}

int carom_serializer_named(const char *name, const struct carom_serializer **ret_serializer)
{
	const struct carom_serializer *found = &pickle;

	if (*name) {
		carom_fork_lock_acquire(&lock);
		found = find(name);
		carom_fork_lock_release(&lock);
	}
	if (!found)
		return -ENOENT;
	*ret_serializer = found;
	return 0;
}

int carom_serializer_of(struct carom_context *context,
			const struct carom_serializer **ret_serializer)
{
	char name[CAROM_SERIALIZER_NAME_SIZE];

	carom_context_serializer(context, name);
	return carom_serializer_named(name, ret_serializer);
}

int carom_document_dump(const struct carom_document *document,
			const struct carom_serializer *serializer, void **ret_data,
			size_t *ret_size)
{
	return document->root ? serializer->dump(document->root, ret_data, ret_size) : -EINVAL;
}

uint32_t carom_document_fd_count(const struct carom_document *document)
{
	return document->fd_wanted > 0 ? carom_object_fd_count(document->root) : 0;
}
