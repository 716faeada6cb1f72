/*
 * Event: what the hooks of a pool are told about its workers
 *
 * Each happens in the loop's thread, or in that of who resizes the pool, and is told by
 * the one that calls callbacks. All with the lock; a pool without the hook pays a branch.
 */
#ifndef CAROM_POOL_EVENT_H
#define CAROM_POOL_EVENT_H

#include <stdint.h>

#include "core/exit.h"
#include "pool/hooks.h"

struct carom_pool;
struct incarnation;

/** carom_event_up() - a worker's process was started. Row PC-10 */
void carom_event_up(struct carom_pool *pool, const struct incarnation *born);

/** carom_event_down() - one has ended, and its tasks are seen to. Row PC-11 */
void carom_event_down(struct carom_pool *pool, const struct incarnation *dead,
		      const struct carom_exit *exit, enum carom_exit_reason reason);

/** carom_event_task_down() - the worker of a task is gone. Row PH-11 */
void carom_event_task_down(struct carom_pool *pool, uint64_t task_id, int64_t pid);

/** carom_event_resized() - the pool has so many workers more, or less. Row PH-09 */
void carom_event_resized(struct carom_pool *pool, int64_t count);

#endif
