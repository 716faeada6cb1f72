/*
 * Registry
 *
 * A list that only grows: what was found once stays valid without the lock. Children
 * by fork inherit it as it is, so the lock is renewed there.
 */
#include "core/registry.h"
#include "core/fork_lock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	carom_process_fn *function;
	struct entry *next;
	char name[];
};

static CAROM_FORK_LOCK(lock);
static struct entry *entries;

static struct entry *find(const char *name)
{
	struct entry *entry = entries;

	while (entry && strcmp(entry->name, name) != 0)
		entry = entry->next;
	return entry;
}

static int add(const char *name, carom_process_fn *function)
{
	size_t size = strlen(name) + 1;
	struct entry *entry = find(name);

	if (entry)
		return entry->function == function ? 0 : -EEXIST;
	entry = malloc(sizeof(*entry) + size);
	if (!entry)
		return -ENOMEM;
	entry->function = function;
	memcpy(entry->name, name, size);
	entry->next = entries;
	entries = entry;
	return 0;
}

int carom_register(const char *name, carom_process_fn *function)
{
	int r;

	if (!function || !name || !*name)
		return -EINVAL;
	if (strlen(name) >= CAROM_FUNCTION_NAME_MAX)
		return -ENAMETOOLONG;
	carom_fork_lock_acquire(&lock);
	r = add(name, function);
	carom_fork_lock_release(&lock);
	return r;
}

carom_process_fn *carom_registered(const char *name)
{
	struct entry *entry;

	carom_fork_lock_acquire(&lock);
	entry = name ? find(name) : NULL;
	carom_fork_lock_release(&lock);
	return entry ? entry->function : NULL;
}

const char *carom_registered_name(carom_process_fn *function)
{
	struct entry *entry;

	carom_fork_lock_acquire(&lock);
	entry = entries;
	while (entry && entry->function != function)
		entry = entry->next;
	carom_fork_lock_release(&lock);
	return entry ? entry->name : NULL;
}
