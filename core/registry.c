/*
 * Registry
 *
 * A list that only grows: what was found once stays valid without the lock. Children
 * by fork inherit it as it is, so the lock is renewed there.
 */
#include "core/registry.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	carom_process_fn *function;
	struct entry *next;
	char name[];
};

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct entry *entries;

static void hold(void)
{
	pthread_rwlock_wrlock(&lock);
}

static void let_go(void)
{
	pthread_rwlock_unlock(&lock);
}

__attribute__((constructor)) static void survive_forks(void)
{
	pthread_atfork(hold, let_go, let_go);
}

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
	pthread_rwlock_wrlock(&lock);
	r = add(name, function);
	pthread_rwlock_unlock(&lock);
	return r;
}

carom_process_fn *carom_registered(const char *name)
{
	struct entry *entry;

	pthread_rwlock_rdlock(&lock);
	entry = name ? find(name) : NULL;
	pthread_rwlock_unlock(&lock);
	return entry ? entry->function : NULL;
}

const char *carom_registered_name(carom_process_fn *function)
{
	struct entry *entry;

	pthread_rwlock_rdlock(&lock);
	entry = entries;
	while (entry && entry->function != function)
		entry = entry->next;
	pthread_rwlock_unlock(&lock);
	return entry ? entry->name : NULL;
}
