/*
 * Notice
 *
 * What the program is to be told, one thing after the other: that a task has begun, hit
 * a limit or ended, that a worker has come or gone. Notices are posted wherever things
 * happen, and told by one thread per pool, which is made when the first is to come; in
 * a polled pool by whoever polls. So nothing that the program does in a callback holds
 * up the supervision of the workers.
 */
#ifndef CAROM_POOL_NOTICE_H
#define CAROM_POOL_NOTICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct carom_pool;

/**
 * struct carom_notice - something to be told
 * @tell:  called once for each post, without the lock; may post it again, or free it
 * @at_ns: when it happened: notices are told in this order
 */
struct carom_notice {
	void (*tell)(struct carom_pool *pool, struct carom_notice *notice);
	uint64_t at_ns;
	struct carom_notice *next;
	struct carom_notice *previous;
	bool queued;
};

/**
 * struct carom_notices - of a pool; guarded by its lock
 * @untold_count: what was promised to be told, see carom_notice_promise(), and was not yet
 * @teller:       the thread that tells, while it does
 * @is_waiting:   it is in carom_notice_await()
 */
struct carom_notices {
	struct carom_notice *first;
	struct carom_notice *last;
	uint64_t untold_count;
	pthread_t thread;
	pthread_t teller;
	bool has_thread;
	bool is_telling;
	bool is_waiting;
	bool is_ending;
};

/**
 * carom_notice_promise() - something is to be told some time. With the lock.
 *
 * Makes the thread, if there is none yet. Joining the pool waits until all promises
 * are kept by carom_notice_kept().
 * Return: 0, -EAGAIN (no more threads for this user).
 */
int carom_notice_promise(struct carom_pool *pool);

/** carom_notice_is_full() - is as much to be told as the pool has slots? Not for callbacks. With the lock. */
bool carom_notice_is_full(const struct carom_pool *pool);

/** carom_notice_kept() - it was told, or nobody wants to know any more. With the lock. */
void carom_notice_kept(struct carom_pool *pool);

/** carom_notice_post() - to be told now; one that is queued already keeps its place. With the lock. */
void carom_notice_post(struct carom_pool *pool, struct carom_notice *notice, uint64_t at_ns);

/** carom_notice_look() - queue what the lane has noticed. With the lock. */
void carom_notice_look(struct carom_pool *pool);

/**
 * carom_notice_run() - look at what the lane has noticed, and tell what there is. Without the lock.
 * @most: that is told; if something is left, the bell rings
 * Return: how much was told.
 */
int carom_notice_run(struct carom_pool *pool, int most);

/** carom_notice_is_teller() - is this thread in a callback of the pool? With the lock. */
bool carom_notice_is_teller(const struct carom_pool *pool);

/**
 * carom_notice_await() - in a callback: wait for the next end of a task, or carom_notice_rouse()
 *
 * Not in a polled pool, where carom_pool_sleep() does that. With the lock; lets go of it
 * meanwhile. It may be for nothing: look again.
 */
void carom_notice_await(struct carom_pool *pool, uint64_t deadline_ns);

/** carom_notice_rouse() - let the teller return from carom_notice_await(), if it is there. With the lock. */
void carom_notice_rouse(struct carom_pool *pool);

/** carom_notice_settle() - wait until all promises are kept; not in a callback. With the lock. */
int carom_notice_settle(struct carom_pool *pool, uint64_t deadline_ns);

/** carom_notice_end() - no notice will come any more: end the thread. Without the lock. */
void carom_notice_end(struct carom_pool *pool);

#endif
