/* The soft limit, for the worker that calls task functions; in the thread that does. */
#ifndef CAROM_POOL_SOFT_LIMIT_PRIVATE_H
#define CAROM_POOL_SOFT_LIMIT_PRIVATE_H

#include <stdint.h>

#include "ipc/lane.h"

/** carom_soft_limit_install() - a worker process begins: SIGUSR1 is the lane's to send */
void carom_soft_limit_install(struct carom_lane *lane);

/** carom_soft_limit_enter() - a task was claimed; before its beginning can be seen */
void carom_soft_limit_enter(struct carom_slot *slot);

/** carom_soft_limit_begin() - a function is about to be called, for it or for an item of it */
void carom_soft_limit_begin(void);

/**
 * carom_soft_limit_end() - it has returned
 * Return: the code to be left: @code, or what stands for it if the soft limit was the reason.
 */
int32_t carom_soft_limit_end(int code);

/** carom_soft_limit_stray_count() - how many SIGUSR1 came to this process that were not the pool's */
uint64_t carom_soft_limit_stray_count(void);

#endif
