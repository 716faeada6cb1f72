/*
 * Robust
 *
 * The list of locks a thread holds, which the kernel walks when the thread ends,
 * however it ends: each futex word on it that names the thread gets
 * FUTEX_OWNER_DIED and one of its sleepers is woken. There is one list a thread,
 * glibc has registered it, and a second one would take glibc's away. So nodes of
 * our own stand on glibc's list, among those of its robust mutexes.
 *
 * Every change goes: begin, change the futex word and the list, end. In between
 * the node is the thread's pending one, and the kernel looks at its word whether
 * or not it is linked.
 *
 * Not for signal handlers: there is one pending node a thread, and a handler that
 * interrupts a change would replace it.
 */
#ifndef CAROM_SHM_ROBUST_H
#define CAROM_SHM_ROBUST_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/robust_head.h" /* CAROM_ROBUST_DISTANCE, of a link's `next` */

/**
 * struct carom_robust_link - what glibc's __pthread_list_t is
 * @previous: the `next` of the node before, or the head
 * @next:     the `next` of the node behind, or the head; bit 0 is set if that
 *            node is a mutex with priority inheritance
 */
struct carom_robust_link {
	void *previous;
	void *next;
};

/**
 * struct carom_robust - the calling thread's list
 * @head: glibc's, inside its thread descriptor
 * @tid:  where glibc keeps the thread's id, right in a forked child too; where the kernel
 *        does not tell the place, and before it was asked, somewhere that has none
 * @seen_tid: what stood there when somebody last looked; 0: nobody did
 */
struct carom_robust {
	struct robust_list_head *head;
	const int32_t *tid;
	uint32_t seen_tid;
};

/* initial-exec: one instruction instead of a call, and 24 bytes are always to be had */
extern _Thread_local struct carom_robust carom_robust_list
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/**
 * carom_robust_self() - this thread's list
 *
 * Asks the kernel once a thread. The answer holds in a forked child as well: the
 * child's only thread has the same descriptor at the same address.
 * Return: NULL if the list does not have the layout above.
 */
const struct carom_robust *carom_robust_self(void);

/**
 * carom_robust_known_tid() - this thread's id, if it can be had in one load; 0: ask as above
 *
 * A locked instruction waits for what its operands depend on. That is @seen_tid alone: the
 * comparison with the thread's id, two loads away, is left to a branch, which is predicted.
 */
static inline uint32_t carom_robust_known_tid(void)
{
	uint32_t seen = carom_robust_list.seen_tid;

	return __builtin_expect((uint32_t)*carom_robust_list.tid == seen, 1) ? seen : 0;
}

/** carom_robust_tid() - this thread's id: one load, or gettid(2) where it must be */
uint32_t carom_robust_tid(const struct carom_robust *self);

/* The kernel looks from within this thread: an order of instructions is all it needs. */
#define carom_robust_barrier() atomic_signal_fence(memory_order_seq_cst)

static inline void carom_robust_begin(const struct carom_robust *self,
				      struct carom_robust_link *link)
{
	self->head->list_op_pending = (struct robust_list *)&link->next;
	carom_robust_barrier();
}

static inline void carom_robust_end(const struct carom_robust *self)
{
	carom_robust_barrier();
	self->head->list_op_pending = NULL;
}

/* @next points at a `next`; its `previous` stands right before it, in glibc's head too */
static inline void carom_robust_set_previous(void *next, void *previous)
{
	((void **)((uintptr_t)next & ~(uintptr_t)1))[-1] = previous;
}

static inline void carom_robust_push(const struct carom_robust *self,
				     struct carom_robust_link *link)
{
	void *first = self->head->list.next;

	link->next = first;
	link->previous = &self->head->list;
	carom_robust_set_previous(first, &link->next);
	carom_robust_barrier(); /* whole before it can be found */
	self->head->list.next = (struct robust_list *)&link->next;
	carom_robust_barrier();
}

/* Right after carom_robust_push(): does the thread hold nothing else? */
static inline bool carom_robust_is_alone(const struct carom_robust *self,
					 const struct carom_robust_link *link)
{
	return link->next == &self->head->list;
}

static inline void carom_robust_remove(struct carom_robust_link *link)
{
	void *next = link->next;
	void **previous = (void **)((uintptr_t)link->previous & ~(uintptr_t)1);

	carom_robust_set_previous(next, link->previous);
	*previous = next; /* with bit 0 as it was: it speaks of the node at @next */
	carom_robust_barrier();
}

#endif
