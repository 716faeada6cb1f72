/*
 * Thread worker: a worker that is a thread of the program
 */
#ifndef CAROM_POOL_THREAD_WORKER_H
#define CAROM_POOL_THREAD_WORKER_H

#include <stdbool.h>

struct carom_exit;
struct carom_pool;
struct carom_thread_worker;
struct worker;

/**
 * carom_thread_worker_new() - a thread that waits for its admission to the lane
 * @worker: whose place it takes; its start is filled in
 * Return: 0, -ENOMEM, -EAGAIN (see pthread_create(3)).
 */
int carom_thread_worker_new(struct worker *worker, struct carom_thread_worker **ret_thread);

/** carom_thread_worker_watch() - have its end told, once, in the loop's thread. There. */
void carom_thread_worker_watch(struct carom_thread_worker *thread,
			       void (*ended)(void *userdata, const struct carom_exit *exit),
			       void *userdata);

/** carom_thread_worker_free() - after its end was told: nothing of it is left */
struct carom_thread_worker *carom_thread_worker_free(struct carom_thread_worker *thread);

/** carom_thread_worker_is_of() - is the calling thread a worker of that pool? */
bool carom_thread_worker_is_of(const struct carom_pool *pool);

#endif
