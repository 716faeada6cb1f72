/*
 * Worker
 *
 * What runs in a worker process: take a task, call its function, leave the value.
 */
#ifndef CAROM_POOL_WORKER_H
#define CAROM_POOL_WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "core/log_private.h"
#include "core/self.h"

/**
 * struct carom_worker_start - the argument that a worker is made with
 * @index:      which worker of the pool
 * @begin, @end: the part of its value arena that it may allocate from
 * @self, @log:  what every child is told by its parent
 */
struct carom_worker_start {
	uint64_t index;
	uint64_t begin;
	uint64_t end;
	struct carom_self self;
	struct carom_log_settings log;
};

/* Exit statuses of a worker, beside 0: rows WK-02, WK-03 */
#define CAROM_WORKER_INIT_FAILED 1   /* before it was ready: its initializer failed */
#define CAROM_WORKER_RECYCLED    155 /* it has done, or has eaten, enough */

/** carom_worker_main() - a carom_child_fn; fds[0] is the lane, fds[1] the bell of a polled pool */
int carom_worker_main(const void *argument, size_t size, const int *fds, size_t fd_count);

#endif
