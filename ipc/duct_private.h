/*
 * The inside of a duct: what the processes of an end share, and what its parts do for each
 * other. What it is all about, and which death leaves what, is told in ipc/duct.c.
 */
#ifndef CAROM_IPC_DUCT_PRIVATE_H
#define CAROM_IPC_DUCT_PRIVATE_H

#include <errno.h>
#include <stdalign.h>

#include "ipc/duct.h"
#include "ipc/letter.h"
#include "shm/mutex.h"
#include "shm/mutex_private.h"

#define DUCT_MAGIC UINT64_C(0x3170697065706163)

/* Before the first part of a message: how long all of it is. */
#define DUCT_HEAD_SIZE sizeof(uint64_t)

/** struct duct_sharer - a handle in a process of this end; @origin is 0: nobody; @pid is 0: gone */
struct duct_sharer {
	uint64_t origin;
	uint64_t handle;
	int64_t pid;
	uint64_t born;
};

/**
 * struct carom_duct_end - what the processes of an end share
 * @ring_size:  of each, in bytes
 * @out_index:  which one this end writes to
 * @views:      producer: of the ring out; consumer: of the ring in
 * @sender, @receiver: I2
 * @is_sending, @is_receiving: and it is in a call: if that dies, the message is torn
 * @is_orphan:  I4
 * @is_polled:  somebody has asked for the bell
 * @is_missed:  the locks are such that the kernel hands on: see struct carom_ring
 */
struct carom_duct_end {
	uint64_t magic;
	uint64_t ring_size;
	uint64_t spin_ns;
	uint32_t out_index;
	bool may_send;
	bool may_receive;
	bool is_missed;
	_Atomic bool is_polled;
	bool is_orphan;
	bool is_sending;
	bool is_receiving;
	struct duct_sharer sender;
	struct duct_sharer receiver;
	alignas(CAROM_RING_LINE) struct carom_mutex send_lock;
	alignas(CAROM_RING_LINE) struct carom_mutex receive_lock;
	struct carom_mutex bell_lock;
	struct carom_ring_view views[2];
};

/** carom_duct_fetch() - a descriptor of the letter's, once. Return: it, which stays the duct's; -EMFILE, ... */
int carom_duct_fetch(struct carom_duct *duct, _Atomic int *fd, enum carom_letter_fd which);

/* ---- who shares an end: ipc/duct_sharer.c ---- */

static inline bool carom_duct_is_nobody(const struct duct_sharer *sharer)
{
	return sharer->origin == 0;
}

/** carom_duct_is_me() - this handle */
bool carom_duct_is_me(const struct carom_duct *duct, const struct duct_sharer *sharer);

/** carom_duct_has_gone() - for good; asks the kernel */
bool carom_duct_has_gone(const struct duct_sharer *sharer);

/** carom_duct_be() - it is this handle from now on */
void carom_duct_be(const struct carom_duct *duct, struct duct_sharer *sharer);
void carom_duct_be_nobody(struct duct_sharer *sharer);

/** carom_duct_lock() - 0, -EOWNERDEAD (the lock is held), -EDEADLK (it was), or why it is not */
static inline int carom_duct_lock(struct carom_mutex *mutex, _Atomic bool *begun,
				  uint64_t deadline_ns)
{
	int r;

	/* relaxed: true if it was this thread that set it; else the lock itself tells */
	if (atomic_load_explicit(begun, memory_order_relaxed) && carom_mutex_is_mine(mutex))
		return -EDEADLK;
	r = deadline_ns == CAROM_PASSED ? carom_mutex_try(mutex)
					: carom_mutex_acquire(mutex, deadline_ns);

	if (r == 0 || r == -EOWNERDEAD)
		atomic_store_explicit(begun, true, memory_order_relaxed);
	return r == -EBUSY ? -EAGAIN : r;
}

static inline void carom_duct_unlock(struct carom_mutex *mutex, _Atomic bool *begun)
{
	atomic_store_explicit(begun, false, memory_order_relaxed);
	carom_mutex_release(mutex);
}

/** carom_duct_sign() - what the other end knows this process by, as the writer of a message in parts */
void carom_duct_sign(struct carom_duct *duct);

/** carom_duct_disown() - this process will not send the rest of that message */
void carom_duct_disown(struct carom_duct *duct);

/** carom_duct_has_lost_writer() - has it ended, of the message that comes in? Asks the kernel */
bool carom_duct_has_lost_writer(const struct carom_duct *duct);

/* ---- the other end: ipc/duct_peer.c ---- */

/** carom_duct_peer_has_gone() - for the porter */
void carom_duct_peer_has_gone(struct carom_porter_watch *watch);

/** carom_duct_attend() - from now on this process knows by the rings when the other end has gone */
void carom_duct_attend(struct carom_duct *duct);

/** carom_duct_is_over() - asks the kernel. If so, this end's processes then know it by the rings */
bool carom_duct_is_over(struct carom_duct *duct);

/* ---- the bell: ipc/duct_bell.c ---- */

/** carom_duct_ring_bell() - for the ring out; @userdata: the duct */
void carom_duct_ring_bell(void *userdata);

/** carom_duct_settle_bell() - take out what is too much, as far as nobody else is at it */
void carom_duct_settle_bell(struct carom_duct *duct);

/* ---- waiting: ipc/duct_wait.c ---- */

/** typedef duct_try_fn - one look at a ring. Return: -EAGAIN: look again */
typedef int duct_try_fn(struct carom_duct *duct, void *attempt, uint64_t deadline_ns);

/** carom_duct_wait_for() - after a look in vain: what comes of it by the deadline */
int carom_duct_wait_for(struct carom_duct *duct, struct carom_patience *patience, duct_try_fn *try,
			void *attempt, uint64_t deadline_ns);

#endif
