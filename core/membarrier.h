/*
 * Membarrier
 *
 * A memory barrier that one side pays for: who rarely needs it asks the kernel to have
 * every other CPU pass one, so that who often would need it need not. See membarrier(2),
 * MEMBARRIER_CMD_GLOBAL_EXPEDITED, Linux 4.16.
 *
 *	often: x = 1; compiler barrier; read y
 *	rarely: y = 1; carom_membarrier_all(); read x
 *
 * One of the two sees the other.
 */
#ifndef CAROM_CORE_MEMBARRIER_H
#define CAROM_CORE_MEMBARRIER_H

#include <stdbool.h>

/** carom_membarrier_is_possible() - does this kernel, or sandbox, have it? MT-Safe. */
bool carom_membarrier_is_possible(void);

/**
 * carom_membarrier_join() - this process, all its threads, takes part from now on
 *
 * Context: MT-Safe. Not inherited by children: each joins for itself.
 * Return: 0, or what membarrier(2) says: -ENOSYS, -EINVAL, -EPERM.
 */
int carom_membarrier_join(void);

/**
 * carom_membarrier_all() - every thread of those who take part has passed a barrier since the call
 *
 * Costs some microseconds, and an interrupt to each CPU on which one of them runs.
 *
 * Context: MT-Safe.
 * Return: 0; or below 0: nobody has passed anything for certain (-ENOMEM).
 */
int carom_membarrier_all(void);

#endif
