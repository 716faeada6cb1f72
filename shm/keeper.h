/*
 * Keeper
 *
 * A thread of the library's own that ends with its process and not before, so what
 * stands on its robust list (shm/robust.h) is marked by the kernel when the process
 * dies, and only then. A thread of the program's may end while its process goes on.
 *
 * Only a thread itself can change its list, so the keeper is asked to: a hand-over and
 * back, some microseconds. It is for what happens once, not for each acquire.
 *
 * There is none until it is needed, and a second one when the first has its hands full:
 * the kernel looks at 2048 nodes of one thread. They take no signals.
 */
#ifndef CAROM_SHM_KEEPER_H
#define CAROM_SHM_KEEPER_H

#include "shm/robust.h"

/* Nodes that one keeper takes; far enough below what the kernel walks. */
#define CAROM_KEEPER_NODES_MAX 1024

struct carom_keeper;

/**
 * typedef carom_keeper_fn - runs in the keeper's thread
 * @self: its list
 *
 * Changes the list by one node, and blocks for nothing.
 * Return: 0, or negative errno: the list is as it was.
 */
typedef int carom_keeper_fn(const struct carom_robust *self, void *userdata);

/**
 * carom_keeper_hold() - have @function put one node on a keeper's list
 * @ret_keeper: on whose: give it to carom_keeper_drop()
 *
 * Context: MT-Safe, AS-Unsafe lock. In a forked child, that child's own keeper. Blocks
 * until it is done, which nobody else can delay.
 * Return: what @function returned, or, without having run it,
 *	-EOPNOTSUPP  the robust list has another layout
 *	-EAGAIN, -ENOMEM  no more threads for this user, cgroup or process
 */
int carom_keeper_hold(carom_keeper_fn *function, void *userdata, struct carom_keeper **ret_keeper);

/**
 * carom_keeper_drop() - have @function take a node off again
 *
 * Only in the process in which it was put there.
 * Return: what @function returned.
 */
int carom_keeper_drop(struct carom_keeper *keeper, carom_keeper_fn *function, void *userdata);

#endif
