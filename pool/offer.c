/*
 * Offer
 *
 * What is registered has many kinds: a client that has a key could name what was never meant for
 * it, and have it called as what it is not. So what clients may name stands in a list of its
 * own, each with its kind, and in the registry as well, for workers that know names alone.
 *
 * The list only grows: what was found once stays valid without the lock.
 */
#include "pool/offer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/fork_lock.h"
#include "core/registry.h"
#include "pool/manager_pool.h"

enum kind { TASK, INITIALIZER };

/** struct offer - @function is of the type that @kind says */
struct offer {
	struct offer *next;
	enum kind kind;
	carom_process_fn *function;
	char name[CAROM_FUNCTION_NAME_MAX];
};

static CAROM_FORK_LOCK(lock);
static struct offer *offers;

/* with the lock */
static const struct offer *find(const char *name, enum kind kind)
{
	const struct offer *offer = offers;

	while (offer && (offer->kind != kind || strcmp(offer->name, name) != 0))
		offer = offer->next;
	return offer;
}

static int add(const char *name, enum kind kind, carom_process_fn *function)
{
	struct offer *offer;

	if (find(name, kind))
		return 0;
	offer = malloc(sizeof(*offer));
	if (!offer)
		return -ENOMEM;
	*offer = (struct offer){ .next = offers, .kind = kind, .function = function };
	strcpy(offer->name, name);
	offers = offer;
	return 0;
}

/* the registry sees to it that a name is short, and one function's */
static int offer_function(const char *name, enum kind kind, carom_process_fn *function)
{
	int r = carom_register(name, function);

	if (r < 0)
		return r;
	carom_fork_lock_acquire(&lock);
	r = add(name, kind, function);
	carom_fork_lock_release(&lock);
	return r;
}

static carom_process_fn *find_function(const char *name, enum kind kind)
{
	const struct offer *offer;

	carom_fork_lock_acquire(&lock);
	offer = find(name, kind);
	carom_fork_lock_release(&lock);
	return offer ? offer->function : NULL;
}

int carom_offer_task(const char *name, carom_task_fn *function)
{
	return offer_function(name, TASK, (carom_process_fn *)(void (*)(void))function);
}

int carom_offer_initializer(const char *name, carom_initializer_fn *function)
{
	return offer_function(name, INITIALIZER, (carom_process_fn *)(void (*)(void))function);
}

carom_task_fn *carom_offered_task(const char *name)
{
	return (carom_task_fn *)(void (*)(void))find_function(name, TASK);
}

carom_initializer_fn *carom_offered_initializer(const char *name)
{
	return (carom_initializer_fn *)(void (*)(void))find_function(name, INITIALIZER);
}

/* what only stands in a library is there for who offers something */
__attribute__((constructor)) static void make_known(void)
{
	carom_types_add(&carom_type_pool);
	carom_types_add(&carom_type_async_result);
}
