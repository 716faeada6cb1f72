/*
 * Birth: how a worker comes to be
 *
 * The supervisor decides when a place is to be filled, and what becomes of who fills it.
 * Here stands what a worker is told, and who makes it.
 */
#ifndef CAROM_POOL_BIRTH_H
#define CAROM_POOL_BIRTH_H

#include "core/forkserver.h"

struct worker;

/**
 * typedef carom_born_fn - what came of a birth; in the loop's thread
 * @reply: the worker, whose pidfd is the callee's, or why there is none
 */
typedef void carom_born_fn(struct worker *worker, const struct carom_child_reply *reply);

/**
 * carom_birth_begin() - have @worker made; in the loop's thread, without the pool's lock
 * @worker: its range of the value arena is chosen, and its entry in the lane prepared
 * @born:   called exactly once, perhaps before this returns
 */
void carom_birth_begin(struct worker *worker, carom_born_fn *born);

#endif
