/* Threads: what the end of a process calls. */
#ifndef CAROM_CORE_THREAD_PRIVATE_H
#define CAROM_CORE_THREAD_PRIVATE_H

#include <pthread.h>

/**
 * carom_thread_create() - a thread that no signal of the process is given to
 *
 * Handlers of the program run in its own threads. Return: 0, -EAGAIN.
 */
int carom_thread_create(pthread_t *ret_thread, void *(*function)(void *), void *userdata);

/**
 * carom_threads_join() - wait until those of carom_thread_start() have ended; but for this one
 *
 * At @deadline_ns it says how many have not (level WARNING).
 */
void carom_threads_join(uint64_t deadline_ns);

/**
 * carom_threads_own() - threads of the library that do its own work, and leave no lock held
 *
 * Those that run the program's functions are not among them. MT-Safe.
 */
unsigned int carom_threads_own(void);

/** carom_threads_count() - one more, before it is made; or one less, after it was joined. MT-Safe. */
void carom_threads_count(int change);

#endif
