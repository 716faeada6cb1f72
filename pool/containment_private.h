/*
 * Containment from inside: which limits a pool gets, chosen when it is made
 */
#ifndef CAROM_POOL_CONTAINMENT_PRIVATE_H
#define CAROM_POOL_CONTAINMENT_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "pool/containment.h"

struct carom_pool;

/**
 * carom_containment_check() - options that make sense together, with defaults filled in
 * Return: 0, -EINVAL, -E2BIG, which is logged with the reason.
 */
int carom_containment_check(struct carom_pool *pool);

/**
 * carom_containment_choose() - by which means the limits of a new pool are kept
 *
 * Once its start method is chosen, before anything else is made.
 * Return: 0, or, logged with the reason: a limit cannot be kept, or not by the means that
 * are required: -EOPNOTSUPP, or what carom_cgroup_new() says.
 */
int carom_containment_choose(struct carom_pool *pool);

/** carom_containment_has() - the limit of memory that this rung keeps; 0: it does not */
uint64_t carom_containment_has(const struct carom_pool *pool, enum carom_memory_rung rung);

/** carom_containment_wants_proof() - there is to be a worker, to see whether it can. With the lock. */
bool carom_containment_wants_proof(const struct carom_pool *pool);

/**
 * carom_containment_prove() - its workers were made: can they live within their limits?
 * @start_error: 0; else they were not
 *
 * Waits until they are ready, or one of them, or PROOF_MAX_NS, has come to its end; where
 * nothing is limited, for nothing.
 * Return: @start_error; -ERANGE: the limit is below what a worker needs to be ready, which
 * is logged.
 */
int carom_containment_prove(struct carom_pool *pool, int start_error);

/**
 * carom_containment_refutes() - a worker was killed at its limit before it was ready
 *
 * The loop's thread, without the lock. Return: true if the pool was not proven yet: then it is
 * given up, and nothing is to be done about this end.
 */
bool carom_containment_refutes(struct carom_pool *pool);

#endif
