/* The soft limit, for the worker that calls task functions; in the thread that does. */
#ifndef CAROM_POOL_SOFT_LIMIT_PRIVATE_H
#define CAROM_POOL_SOFT_LIMIT_PRIVATE_H

#include <errno.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/lane.h"
#include "pool/soft_limit.h"

/** carom_soft_limit_install() - a worker process begins: SIGUSR1 is the lane's to send */
void carom_soft_limit_install(struct carom_lane *lane);

/**
 * struct soft_limit - of the function that runs in this thread
 * @expired:  its limit has passed
 * @called:   and the program's own function has been called
 */
struct soft_limit {
	struct carom_slot *_Atomic slot;
	_Atomic bool expired;
	_Atomic bool called;
	carom_soft_limit_fn *_Atomic function;
	void *_Atomic userdata;
	sigjmp_buf *_Atomic jump;
};

/* initial-exec: found without an allocation, which a handler could not make */
extern _Thread_local struct soft_limit carom_soft_limit_at_hand
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/** carom_soft_limit_enter() - a task was claimed; before its beginning can be seen */
static inline void carom_soft_limit_enter(struct carom_slot *slot)
{
	atomic_store_explicit(&carom_soft_limit_at_hand.slot, slot, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
}

/** carom_soft_limit_begin() - a function is about to be called, for it or for an item of it */
static inline void carom_soft_limit_begin(void)
{
	/* relaxed: see soft_limit.c */
	atomic_store_explicit(&carom_soft_limit_at_hand.expired, false, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
}

/** carom_soft_limit_judge() - a function that could have been ended by the limit has ended so */
int32_t carom_soft_limit_judge(int code);

/**
 * carom_soft_limit_end() - it has returned
 * Return: the code to be left: @code, or what stands for it if the soft limit was the reason.
 */
static inline int32_t carom_soft_limit_end(int code)
{
	atomic_signal_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&carom_soft_limit_at_hand.jump, memory_order_relaxed))
		atomic_store_explicit(&carom_soft_limit_at_hand.jump, NULL, memory_order_relaxed);
	if (atomic_load_explicit(&carom_soft_limit_at_hand.function, memory_order_relaxed))
		atomic_store_explicit(&carom_soft_limit_at_hand.function, NULL,
				      memory_order_relaxed);
	return code == -EINTR || code == -ETIME ? carom_soft_limit_judge(code) : code;
}

/** carom_soft_limit_stray_count() - how many SIGUSR1 came to this process that were not the pool's */
uint64_t carom_soft_limit_stray_count(void);

#endif
