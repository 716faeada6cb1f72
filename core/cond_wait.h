/*
 * Cond wait: pthread_cond_wait(3) until a point in time
 */
#ifndef CAROM_CORE_COND_WAIT_H
#define CAROM_CORE_COND_WAIT_H

#include <pthread.h>
#include <stdint.h>

/**
 * carom_cond_wait() - pthread_cond_wait(3), with a deadline
 * Return: 0, also where nothing has happened, or -ETIMEDOUT. A cancellation point.
 */
int carom_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_ns);

#endif
