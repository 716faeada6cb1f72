/*
 * Isolation: what a pool does about workers that have a lane each. Nothing, where they have not.
 */
#ifndef CAROM_POOL_ISOLATION_H
#define CAROM_POOL_ISOLATION_H

#include <stdbool.h>

struct carom_outcome;
struct carom_pool;
struct incarnation;

/**
 * carom_isolation_choose() - may these options be had together? With the start method chosen
 *
 * CAROM_ISOLATED=1 in the environment isolates where it can be had: for tests.
 * Return: 0, -EOPNOTSUPP.
 */
int carom_isolation_choose(struct carom_pool *pool);

/** carom_isolation_begin() - with the lane made */
void carom_isolation_begin(struct carom_pool *pool);

/** carom_isolation_end() - the loop's thread, with no worker left */
void carom_isolation_end(struct carom_pool *pool);

/** carom_isolation_watch() - the loop's thread: look when it rings. 0, -ENOMEM, -ENOSPC. */
int carom_isolation_watch(struct incarnation *alive);

/** carom_isolation_unwatch() - the loop's thread: it is dead, or rings no more */
void carom_isolation_unwatch(struct incarnation *dead);

/** carom_isolation_describe() - that a task was lost because its worker has played foul */
void carom_isolation_describe(const struct incarnation *dead, struct carom_outcome *outcome);

/** carom_isolation_believes_recycling() - can it be that this worker was to be replaced, as it says? */
bool carom_isolation_believes_recycling(const struct incarnation *dead);

#endif
