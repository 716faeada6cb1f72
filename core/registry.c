/*
 * Registry
 *
 * A list that only grows: what was found once stays valid without the lock. Children
 * by fork inherit it as it is, so the lock is renewed there.
 *
 * A name's number is a hash of it: two programs agree on it without a word between them.
 * Of 63 bits: among a thousand names two share one with a chance of 1 : 10^13, and then
 * the second is refused where it is registered.
 */
#include "core/registry.h"
#include "core/fork_lock.h"
#include "core/registry_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	carom_process_fn *function;
	uint64_t number;
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

static struct entry *find_number(uint64_t number)
{
	struct entry *entry = entries;

	while (entry && entry->number != number)
		entry = entry->next;
	return entry;
}

static struct entry *find_function(carom_process_fn *function)
{
	struct entry *entry = entries;

	while (entry && entry->function != function)
		entry = entry->next;
	return entry;
}

/* FNV-1a */
static uint64_t number_of(const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return hash | CAROM_REGISTRY_NUMBER;
}

static int add(const char *name, carom_process_fn *function)
{
	size_t size = strlen(name) + 1;
	struct entry *entry = find(name);

	if (entry)
		return entry->function == function ? 0 : -EEXIST;
	if (find_number(number_of(name)))
		return -EEXIST;
	entry = malloc(sizeof(*entry) + size);
	if (!entry)
		return -ENOMEM;
	entry->function = function;
	entry->number = number_of(name);
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
	entry = find_function(function);
	carom_fork_lock_release(&lock);
	return entry ? entry->name : NULL;
}

uint64_t carom_registered_number(carom_process_fn *function)
{
	struct entry *entry;

	carom_fork_lock_acquire(&lock);
	entry = find_function(function);
	carom_fork_lock_release(&lock);
	return entry ? entry->number : 0;
}

carom_process_fn *carom_registered_as(uint64_t number)
{
	struct entry *entry;

	carom_fork_lock_acquire(&lock);
	entry = find_number(number);
	carom_fork_lock_release(&lock);
	return entry ? entry->function : NULL;
}
