/*
 * Private descriptors
 *
 * A list under a lock that is held for a few instructions and across fork(), so that the
 * child finds it whole.
 */
#include "core/private_fd.h"

#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct carom_private_fd *list;

static void hold(void)
{
	pthread_mutex_lock(&lock);
}

static void let_go(void)
{
	pthread_mutex_unlock(&lock);
}

static void forget(void)
{
	for (struct carom_private_fd *owner = list; owner; owner = owner->next) {
		close(owner->fd);
		owner->link = NULL; /* it is removed in the child, too, perhaps */
	}
	list = NULL;
	pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void survive_forks(void)
{
	pthread_atfork(hold, let_go, forget);
}

void carom_private_fd_add(struct carom_private_fd *owner, int fd)
{
	pthread_mutex_lock(&lock);
	owner->fd = fd;
	owner->next = list;
	owner->link = &list;
	if (list)
		list->link = &owner->next;
	list = owner;
	pthread_mutex_unlock(&lock);
}

void carom_private_fd_remove(struct carom_private_fd *owner)
{
	pthread_mutex_lock(&lock);
	if (owner->link) {
		*owner->link = owner->next;
		if (owner->next)
			owner->next->link = owner->link;
		owner->link = NULL;
	}
	pthread_mutex_unlock(&lock);
}
