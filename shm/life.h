/*
 * Life
 *
 * A word in shared memory by which the kernel itself announces the death of a
 * process's main thread: it stands on glibc's robust list for as long as the
 * process lives, and the kernel marks and wakes it before it begins to tear the
 * address space down. For a process that holds 512 MiB that is 60 us after the
 * SIGKILL, where its pidfd takes 39 ms.
 *
 * It is a hint, and the pidfd is the truth: the word is not marked if the process
 * dies before carom_life_begin(), or while more than 2048 robust locks taken later
 * stand on the list; and it is marked, while the process lives on, by execve(2)
 * and by the main thread's pthread_exit().
 */
#ifndef CAROM_SHM_LIFE_H
#define CAROM_SHM_LIFE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shm/robust.h"

/**
 * struct carom_life - the word and its node, as glibc's list wants them
 * @word: 0 before birth; the thread id with FUTEX_WAITERS while it lives;
 *        FUTEX_OWNER_DIED is set by the kernel
 * @pad:  the kernel finds the word CAROM_ROBUST_DISTANCE before the link's `next`; what stands
 *        here is whose the life is to say
 */
struct carom_life {
	_Atomic uint32_t word;
	uint32_t pad[5];
	struct carom_robust_link link;
};

/**
 * carom_life_begin() - announce this process's death here
 * @life: shared memory that stays mapped until the process ends
 *
 * For the main thread of a process. Once.
 * Return: 0, or -EOPNOTSUPP where the robust list has another layout.
 */
int carom_life_begin(struct carom_life *life);

/** carom_life_word() - what the word holds while @pid lives */
uint32_t carom_life_word(pid_t pid);

/** carom_life_ended() - has the kernel marked it? */
bool carom_life_ended(const struct carom_life *life);

#endif
