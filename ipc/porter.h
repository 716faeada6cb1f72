/*
 * Porter
 *
 * Says when nobody is at the other end of a socket any more, to those who sleep on a word in
 * shared memory meanwhile, or do not ask the kernel: one thread of the library's own, in each
 * process that ever did so, with all such sockets in one epoll. It wakes for nothing else.
 */
#ifndef CAROM_IPC_PORTER_H
#define CAROM_IPC_PORTER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/origin.h"

/**
 * struct carom_porter_watch - zeroed but for @fd and @gone; stays where it is while watched
 * @fd:   a socket that stays open until it is unwatched
 * @gone: called once, in the porter's thread; calls nothing of this file
 */
struct carom_porter_watch {
	int fd;
	void (*gone)(struct carom_porter_watch *watch);
	uint64_t number;
	uint64_t origin;
	struct carom_porter_watch *next;
};

/** carom_porter_is_watching() - does this process's? MT-Safe */
static inline bool carom_porter_is_watching(const struct carom_porter_watch *watch)
{
	/* acquire: pairs with the release in carom_porter_watch() */
	uint64_t since = __atomic_load_n(&watch->origin, __ATOMIC_ACQUIRE);

	return since && carom_origin_is(since);
}

/**
 * carom_porter_watch() - from now on, if it does not yet. MT-Safe
 * Return: 0, -EAGAIN (no thread can be had), -EMFILE, -ENFILE, -ENOMEM, -ENOSPC.
 */
int carom_porter_watch(struct carom_porter_watch *watch);

/** carom_porter_unwatch() - when it returns, @gone is not being called, and never will be. MT-Safe */
void carom_porter_unwatch(struct carom_porter_watch *watch);

#endif
