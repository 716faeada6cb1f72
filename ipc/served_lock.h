/*
 * Served lock: what Lock, RLock and Condition of a server stand on
 *
 * A Lock is somebody's so that it can be given back when that client goes; anybody may release
 * it. An RLock is one thread's of one client, and that thread's alone to release.
 */
#ifndef CAROM_IPC_SERVED_LOCK_H
#define CAROM_IPC_SERVED_LOCK_H

#include "ipc/server.h"
#include "ipc/waiting.h"

/**
 * struct carom_served_lock
 * @depth: how often its owner has it; 0: it is free
 */
struct carom_served_lock {
	bool is_recursive;
	uint64_t depth;
	struct carom_caller owner;
	struct carom_waiting waiting;
};

/** carom_served_lock_of() - what a Lock or an RLock is; NULL: @type is neither */
struct carom_served_lock *carom_served_lock_of(const struct carom_type *type, void *object);

/** carom_served_lock_new() - NULL: no memory; ended with free(3) */
struct carom_served_lock *carom_served_lock_new(bool is_recursive);

/** carom_served_lock_is_owned() - is it the caller's, whose a Lock is as well? */
bool carom_served_lock_is_owned(const struct carom_served_lock *lock,
				const struct carom_request *request);

/** carom_served_lock_acquire() - acquire(blocking, timeout), as a method: True or False */
int carom_served_lock_acquire(struct carom_served_lock *lock, struct carom_request *request);

/** carom_served_lock_release() - once. 0, -EOVERFLOW: it is not held; -EPERM: by another */
int carom_served_lock_release(struct carom_served_lock *lock, const struct carom_request *request);

/**
 * carom_served_lock_drop() - however often it is held
 * Return: how often it was.
 */
uint64_t carom_served_lock_drop(struct carom_served_lock *lock);

/**
 * carom_served_lock_give() - to a waiter, as soon as it is free
 *
 * The waiter has it @waiter->count times then, and its request the result @waiter->flag.
 */
void carom_served_lock_give(struct carom_served_lock *lock, struct carom_waiter *waiter);

/** carom_served_lock_left() - a client has gone: what it held is free */
void carom_served_lock_left(struct carom_served_lock *lock, uint64_t session);

#endif
