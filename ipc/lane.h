/*
 * Lane
 *
 * Where tasks meet workers: one sealed memfd with a table of workers, a ring of
 * hints, slots, and room for payloads. One process, the parent, submits; any
 * number of workers, one to a thousand, take.
 *
 * One 64-bit word per slot is the only truth (generation, owner, flags, state):
 *
 *	FREE     -> READY(g+1)    the parent submits
 *	READY    -> RUNNING(g, w) worker w takes it: one compare-and-swap, which names w
 *	RUNNING  -> DONE(g, w)    w has left its value: one compare-and-swap
 *	RUNNING  -> LOST | READY  the parent, once w is certainly dead
 *	RUNNING  -> LOST          the parent, when it begins to kill w for this task
 *	READY    -> LOST          the parent takes back what nobody has begun
 *	DONE | LOST -> FREE       the parent has read it, and w cannot write any more
 *
 * Flags stand beside the state. WAITED: somebody sleeps on the word. The others hold
 * the owner to the task it runs, so that what is meant for this one never hits the next:
 * an owner that has finished sees the flag and goes no further.
 *
 *	CONDEMNED   the parent looks whether it is still the same item: stand still
 *	DOOMED      the parent kills the owner for this task: there is no way on
 *	SOFT        the soft limit has passed: a signal was sent, or is about to be
 *	SIGNALLING  and it is being sent just now: stand still
 *	TOLD        the task knows: no further signal is needed
 *
 * All else (ring cells, idle and spin bits, wake-ups) is a hint, and what a dying
 * worker leaves undone of it is made good by carom_lane_sweep(). No lock is shared
 * between workers. What decides beyond the slot word stands in the parent's private
 * memory; what a worker wrote is read once, checked, then used.
 *
 * Cost of one task that nobody has to be woken for: the parent writes one slot
 * line and one ring cell, the worker takes both, and the result line comes back:
 * three cache-line transfers, no system call. Parked on both sides: one FUTEX_WAKE
 * and one FUTEX_WAIT each.
 */
#ifndef CAROM_IPC_LANE_H
#define CAROM_IPC_LANE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/arena.h"
#include "shm/life.h"
#include "shm/segment.h"

#define CAROM_LANE_WORKERS_MAX 1024
#define CAROM_LANE_SLOTS_MAX   32768
#define CAROM_LANE_MASK_WORDS  (CAROM_LANE_WORKERS_MAX / 64)
#define CAROM_LANE_INLINE      32
#define CAROM_LANE_NO_SLOT     UINT32_MAX

enum carom_slot_state {
	CAROM_SLOT_FREE,
	CAROM_SLOT_READY,
	CAROM_SLOT_RUNNING,
	CAROM_SLOT_DONE,
	CAROM_SLOT_LOST,
};

/* the slot word: generation in the high half; the low half is what waiters sleep on */
#define CAROM_SLOT_WAITED     UINT64_C(0x0100)
#define CAROM_SLOT_CONDEMNED  UINT64_C(0x0200)
#define CAROM_SLOT_DOOMED     UINT64_C(0x0400)
#define CAROM_SLOT_GRANTED    UINT64_C(0x0800)
#define CAROM_SLOT_REFUSED    UINT64_C(0x1000)
#define CAROM_SLOT_SOFT       UINT64_C(0x2000)
#define CAROM_SLOT_SIGNALLING UINT64_C(0x4000)
#define CAROM_SLOT_TOLD       UINT64_C(0x8000)
#define CAROM_SLOT_FLAGS      UINT64_C(0xff00)
#define CAROM_SLOT_WORD(generation, owner, flags, state) \
	((uint64_t)(generation) << 32 | (uint64_t)(owner) << 16 | (flags) | (uint64_t)(state))

static inline uint32_t carom_slot_generation(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static inline uint32_t carom_slot_owner(uint64_t word)
{
	return (uint32_t)(word >> 16) & 0xffff;
}

static inline enum carom_slot_state carom_slot_state(uint64_t word)
{
	return (enum carom_slot_state)(word & 0xff);
}

static inline bool carom_slot_ended(uint64_t word)
{
	return (word & 0xff) >= CAROM_SLOT_DONE;
}

/* what a slot's `flags` say */
#define CAROM_TASK_TIMED   1u   /* the worker notes when it began and ended */
#define CAROM_TASK_BATCH   2u   /* the argument is a struct carom_batch and columns */
#define CAROM_TASK_END     4u   /* the parent is to notice its end: see carom_lane_notice() */
#define CAROM_TASK_BEGIN   8u   /* and that it has begun */
#define CAROM_TASK_LEAVE   16u  /* its worker asks for leave to begin: see carom_lane_ask_leave() */
#define CAROM_TASK_COLUMNS 32u  /* the argument is a struct carom_columns, see pool/column.h */
#define CAROM_TASK_AWAITED 64u  /* who submits it waits for it at once: carom_lane_await() */
#define CAROM_TASK_METERED 128u /* the worker leaves what it has used: see carom_lane_usage() */

#define CAROM_TASK_FLAG_BITS  8
#define CAROM_TASK_INDEX_BITS 42

/**
 * struct carom_slot - a task and its value; two cache lines, the parent's and the worker's
 * @index:    which item of a map or imap it is
 * @argument: up to 32 bytes in place, else the offset in the lane's argument arena
 * @value:    up to 32 bytes in place, else the offset in the worker's value arena
 * @code:     what the function returned
 * @pid:      of the worker
 * @reserved: of a value in the arena: its block was allocated for so many bytes
 * @progress: of a batch: items begun in the high half, items ended in the low half
 */
struct carom_slot {
	_Alignas(128) _Atomic uint64_t word;
	uint64_t function;
	uint64_t argument_size;
	uint64_t submit_cpu : 14; /* a hint */
	uint64_t flags : CAROM_TASK_FLAG_BITS;
	uint64_t index : CAROM_TASK_INDEX_BITS;
	union {
		unsigned char bytes[CAROM_LANE_INLINE];
		uint64_t offset;
	} argument;

	_Alignas(64) int32_t code;
	int32_t pid;
	uint64_t value_size;
	uint64_t started_ns;
	uint64_t ended_ns;
	union {
		unsigned char bytes[CAROM_LANE_INLINE];
		struct {
			uint64_t offset;
			union {
				_Atomic uint64_t progress;
				uint64_t reserved;
			};
		};
	} value;
};

/**
 * struct carom_lane_usage - what a METERED task has used, as its worker says
 * @peak_bytes: 0: not known
 *
 * Beside the slots, and never touched where nobody measures; see pool/meter.h.
 */
struct carom_lane_usage {
	uint64_t cpu_ns;
	uint64_t peak_bytes;
};

/**
 * struct carom_batch - what stands before the items of a batch, which are columns
 * @first_index: the index of item 0 in the whole map
 * @begin:       the first item to do; those before it were done by a worker that died
 * @end:         items from here on are not to be begun any more: the parent has taken
 *               them back. With CAROM_BATCH_UNDECIDED it will be known in a moment
 * @stops_at_failure: no item is begun after one that failed
 */
struct carom_batch {
	_Alignas(64) uint64_t first_index;
	uint64_t item_count;
	uint64_t value_size;
	uint64_t begin;
	_Atomic uint64_t end;
	uint64_t stops_at_failure;
};

#define CAROM_BATCH_UNDECIDED (UINT64_C(1) << 63)

/**
 * struct carom_lane_worker - a worker's entry in the table
 * @wake:     its futex word; 1 says: look again
 * @cpu:      where it ran last: a hint for those who think of spinning
 * @dismissed: 1: it is to end after its task; see carom_lane_dismiss()
 * @life:     announces its death; 0 until the worker is admitted
 * @ready_ns: when it was ready to take work; 0 before; see carom_lane_give_up()
 * @returned: blocks of its value arena that the parent gives back
 */
struct carom_lane_worker {
	_Alignas(128) _Atomic uint32_t wake;
	_Atomic uint32_t cpu;
	_Atomic uint32_t dismissed;
	_Alignas(64) struct carom_life life;
	_Atomic uint64_t ready_ns;
	_Alignas(64) _Atomic uint64_t returned;
};

struct carom_lane;

/* no worker: the parent, or who owns a slot that nobody has claimed */
#define CAROM_LANE_NOBODY 0xffffu

/**
 * struct carom_lane_view - where a lane's parts are in this process; each lane begins with it
 * @worker: whose view it is; CAROM_LANE_NOBODY: the parent's
 * @is_dealing: the parent's of a lane that deals
 *
 * For the accessors below, which are on every task's way.
 */
struct carom_lane_view {
	struct carom_slot *slots;
	struct carom_lane_usage *usages;
	unsigned char *arguments;
	unsigned char *values;
	uint64_t payload_size;
	uint32_t worker_count;
	uint32_t slot_count;
	uint32_t worker;
	bool is_dealing;
};

static inline const struct carom_lane_view *carom_lane_view(const struct carom_lane *lane)
{
	return (const struct carom_lane_view *)lane;
}

/**
 * enum carom_lane_kind - who has the lane
 * @CAROM_LANE_SHARED:  the parent and all workers, which take tasks from it
 * @CAROM_LANE_DEALING: the parent alone, which deals tasks to workers that have a lane each
 * @CAROM_LANE_DEALT:   the parent and one worker: such a lane. See lane_dealer.c
 */
enum carom_lane_kind { CAROM_LANE_SHARED, CAROM_LANE_DEALING, CAROM_LANE_DEALT };

/**
 * struct carom_lane_options - what carom_lane_new() makes
 * @worker_count: places in the table; all are used until carom_lane_use() says otherwise
 * @payload_size: address space for arguments, and for each worker's values; 0 means
 *                16 GiB, halved until it fits
 * @spin_ns:      see struct carom_pool_options
 * @backlog_max:  0: a submission wakes a worker if one sleeps. Else only where none is awake,
 *                or more tasks than this wait: see W5
 */
struct carom_lane_options {
	uint32_t worker_count;
	uint32_t slot_count;
	uint32_t backlog_max;
	uint64_t payload_size;
	uint64_t spin_ns;
	enum carom_lane_kind kind;
};

#define CAROM_LANE_SPIN_NEVER UINT64_MAX

/* ---- both sides ---- */

/** carom_lane_new() - the parent's. 0, -ENOMEM, -EMFILE, -ENFILE, -EFBIG, -EOVERFLOW. */
int carom_lane_new(const struct carom_lane_options *options, struct carom_lane **ret_lane);

/**
 * carom_lane_attach() - a worker's view of the lane
 * @fd:        stays the caller's
 * @arguments_fd: of a lane that was dealt: where arguments stand; else -1. The caller's
 * @worker:    which worker this is
 * @begin, @end: the range of its value arena that it may allocate from
 *
 * Arguments are mapped for reading only; of the values only the worker's own.
 * The mappings do not pass to processes that the worker forks.
 * Return: 0, -EBADMSG (not a lane, or of another version), -EINVAL (@worker is none
 * of the lane's), -ENOMEM.
 */
int carom_lane_attach(int fd, int arguments_fd, uint32_t worker, uint64_t begin, uint64_t end,
		      struct carom_lane **ret_lane);

/**
 * carom_lane_share() - a worker's view for a thread of the parent's own process
 * @lane: the parent's, which outlives it
 *
 * The mappings are the parent's: arguments can be written, and forked children have
 * them as far as the parent's do. Otherwise as carom_lane_attach().
 * Return: 0, -EINVAL, -ENOMEM.
 */
int carom_lane_share(const struct carom_lane *lane, uint32_t worker, uint64_t begin, uint64_t end,
		     struct carom_lane **ret_lane);
struct carom_lane *carom_lane_free(struct carom_lane *lane);

int carom_lane_fd(const struct carom_lane *lane);

/** carom_lane_lose_fds() - the parent's descriptors, the bell too, were taken away: touch them no more */
void carom_lane_lose_fds(struct carom_lane *lane);

static inline uint32_t carom_lane_worker_count(const struct carom_lane *lane)
{
	return carom_lane_view(lane)->worker_count;
}

static inline uint32_t carom_lane_slot_count(const struct carom_lane *lane)
{
	return carom_lane_view(lane)->slot_count;
}

/**
 * carom_lane_taken_count() - no slot from this one on was ever taken
 *
 * The parent's, for who looks at all slots: mostly far below the slot count, as the
 * slot that was given back last is taken first.
 */
uint32_t carom_lane_taken_count(const struct carom_lane *lane);
struct carom_lane_worker *carom_lane_worker(const struct carom_lane *lane, uint32_t worker);

static inline uint64_t carom_lane_payload_size(const struct carom_lane *lane)
{
	return carom_lane_view(lane)->payload_size;
}

static inline struct carom_slot *carom_lane_slot(const struct carom_lane *lane, uint32_t slot)
{
	return &carom_lane_view(lane)->slots[slot];
}

/** carom_lane_usage() - of the task in a slot, once it is DONE, if it is METERED */
static inline struct carom_lane_usage *carom_lane_usage(const struct carom_lane *lane,
							uint32_t slot)
{
	return &carom_lane_view(lane)->usages[slot];
}

/** carom_lane_arguments() - where offset 0 of the argument arena is mapped */
static inline void *carom_lane_arguments(const struct carom_lane *lane)
{
	return carom_lane_view(lane)->arguments;
}

/** carom_lane_values() - where offset 0 of @worker's value arena is mapped (a worker: its own) */
static inline void *carom_lane_values(const struct carom_lane *lane, uint32_t worker)
{
	const struct carom_lane_view *view = carom_lane_view(lane);

	return view->worker == CAROM_LANE_NOBODY && !view->is_dealing
		       ? view->values + worker * view->payload_size
		       : view->values;
}

/** carom_lane_look() - what a worker has done to the task that it was dealt; see carom_lane_word() */
void carom_lane_look(struct carom_lane *lane, uint32_t slot);

/**
 * carom_lane_word() - the slot's word, as it can be relied on
 *
 * The parent's; in a lane that deals with the caller's lock.
 */
static inline uint64_t carom_lane_word(struct carom_lane *lane, uint32_t slot)
{
	if (carom_lane_view(lane)->is_dealing)
		carom_lane_look(lane, slot);
	return atomic_load(&carom_lane_slot(lane, slot)->word);
}

/* ---- the parent: submitting; one thread at a time (the pool's lock sees to it) ---- */

/** carom_lane_take() - a free slot, whose lines the caller may then fill; or CAROM_LANE_NO_SLOT */
uint32_t carom_lane_take(struct carom_lane *lane);

/** carom_lane_used_count() - slots that were taken and not given back */
uint32_t carom_lane_used_count(const struct carom_lane *lane);

/** carom_lane_give() - the slot is free again */
void carom_lane_give(struct carom_lane *lane, uint32_t slot);

/**
 * carom_lane_submit() - make slots known to the workers, and wake one if need be
 *
 * Return: 0, or with nothing submitted
 *	-EAGAIN   the ring is full of stale hints until a worker passes them
 *	-EBADMSG  a worker wrote nonsense into the lane's head
 */
int carom_lane_submit(struct carom_lane *lane, const uint32_t *slots, uint32_t count,
		      bool *ret_woke);

/** carom_lane_generation() - of the slot's latest submission: what carom_lane_await() waits for */
uint32_t carom_lane_generation(const struct carom_lane *lane, uint32_t slot);

/**
 * carom_lane_withdraw() - take back a task that no worker has begun
 * Return: true if it is LOST now; false if a worker has it, or had it.
 */
bool carom_lane_withdraw(struct carom_lane *lane, uint32_t slot);

/**
 * carom_lane_force_end() - with no worker left: a slot that was taken, and has not ended, is LOST
 *
 * Only nonsense that a worker wrote there brings it to that.
 * Return: true if it is LOST now; false if it had ended.
 */
bool carom_lane_force_end(struct carom_lane *lane, uint32_t slot);

/**
 * carom_lane_evict() - answer a task that runs, without its owner
 * @word: the slot's word as it was seen: RUNNING
 *
 * The owner, which is to be killed, does not get past this task. The slot must not be
 * given back before its death: until then it may write there.
 * Return: true if it is LOST now; false: it has ended.
 */
bool carom_lane_evict(struct carom_lane *lane, uint32_t slot, uint64_t word);

/**
 * carom_lane_condemn() - hold a worker to the task that it runs
 * @word: the slot's word as it was seen: RUNNING
 * Return: true: the owner will not get past this task, or the item it is at, before it
 * is pardoned or doomed; false: it has got past the task.
 */
bool carom_lane_condemn(struct carom_lane *lane, uint32_t slot, uint64_t word);

/** carom_lane_pardon() - let it go on after all */
void carom_lane_pardon(struct carom_lane *lane, uint32_t slot);

/** carom_lane_doom() - it does not go on: it is to be killed, and the sweep decides about the rest */
void carom_lane_doom(struct carom_lane *lane, uint32_t slot);

/**
 * carom_lane_warn() - the soft limit has passed; a signal is going to be sent
 * @word: the slot's word as it was seen: RUNNING
 *
 * May be called again for the same task. To be followed by carom_lane_warned().
 * Return: true: the owner will not get past this task, or the item it is at, until then;
 * false: it has got past the task, or is condemned.
 */
bool carom_lane_warn(struct carom_lane *lane, uint32_t slot, uint64_t word);

/** carom_lane_warned() - @sent: the signal was sent; else it was not, and was not due */
void carom_lane_warned(struct carom_lane *lane, uint32_t slot, bool sent);

/* ---- the parent: waiting; any thread ---- */

/**
 * carom_lane_await() - wait until a slot has ended, was given back, or is in use again
 * @generation: of the task that is waited for
 * @may_spin:   false after a submission that had to wake a worker
 * Return: 0 or -ETIMEDOUT. In a lane that deals also -EAGAIN: it may have ended, which
 * carom_lane_look() sees, with the lock; then ask again.
 */
int carom_lane_await(struct carom_lane *lane, uint32_t slot, uint32_t generation,
		     uint64_t deadline_ns, bool may_spin);

/**
 * carom_lane_watch_end() - have who sleeps on the slot's word woken when the task has ended
 * @ret_word, @ret_expected: to sleep on, beside others; look again whenever that changes
 *
 * In a lane that workers share. Return: 0, and carom_lane_unwatch_end() is due; 1: it has ended.
 */
int carom_lane_watch_end(struct carom_lane *lane, uint32_t slot, uint32_t generation,
			 const _Atomic uint32_t **ret_word, uint32_t *ret_expected);
void carom_lane_unwatch_end(struct carom_lane *lane, uint32_t slot);

/**
 * carom_lane_expect() - before looking at several slots: whatever ends from now on is noticed
 * Return: a ticket for carom_lane_await_any(). Each expect needs one unexpect.
 */
uint32_t carom_lane_expect(struct carom_lane *lane);
void carom_lane_unexpect(struct carom_lane *lane);

/** carom_lane_ended_word() - is the ticket as long as nothing has ended since */
const _Atomic uint32_t *carom_lane_ended_word(const struct carom_lane *lane);

/** carom_lane_tell_expecting() - as if something had ended, to those who expect that */
void carom_lane_tell_expecting(struct carom_lane *lane);

/** carom_lane_await_any() - wait until some slot has ended since the ticket. 0 or -ETIMEDOUT. */
int carom_lane_await_any(struct carom_lane *lane, uint32_t ticket, uint64_t deadline_ns);

/** carom_lane_announce() - let all those return who wait for any */
void carom_lane_announce(struct carom_lane *lane);

/** carom_lane_ready_ticket() - before looking at workers: whoever is ready from now on is noticed */
uint32_t carom_lane_ready_ticket(const struct carom_lane *lane);

/** carom_lane_await_ready() - until a worker is ready, or has died, since the ticket. 0, -ETIMEDOUT. */
int carom_lane_await_ready(struct carom_lane *lane, uint32_t ticket, uint64_t deadline_ns);

/** carom_lane_announce_ready() - let those return who wait for that; both sides */
void carom_lane_announce_ready(struct carom_lane *lane);

/* ---- notices: see lane_notice.c ---- */

/**
 * carom_lane_notice() - have the parent look at a slot; both sides
 *
 * What the parent is to see there must be written before.
 */
void carom_lane_notice(struct carom_lane *lane, uint32_t slot);

/** carom_lane_ring() - have the parent's carom_lane_await_notice() return; both sides */
void carom_lane_ring(struct carom_lane *lane);

/**
 * carom_lane_noticed() - the parent: which slots are to be looked at; one thread at a time
 * @begin: look on from here
 * Return: the first one from @begin on, which is not told again, or CAROM_LANE_NO_SLOT.
 */
uint32_t carom_lane_noticed(struct carom_lane *lane, uint32_t begin);

/** carom_lane_await_notice() - until somebody rings. One thread. 0 or -ETIMEDOUT. */
int carom_lane_await_notice(struct carom_lane *lane, uint64_t deadline_ns);

/**
 * carom_lane_arm() - before it sleeps on something else than carom_lane_await_notice()
 *
 * From now on the next ring makes the bell's descriptor readable, once.
 * Return: true; false: there is a notice already, so do not sleep.
 */
bool carom_lane_arm(struct carom_lane *lane);

/**
 * carom_lane_set_bell() - ring by a descriptor; each side before its first notice
 * @fd: an eventfd(2), not blocking; stays the caller's
 */
void carom_lane_set_bell(struct carom_lane *lane, int fd);

/**
 * carom_lane_ask_leave() - a worker: wait until the parent lets it begin a task
 * Return: true: begin; false: leave it.
 */
bool carom_lane_ask_leave(struct carom_lane *lane, uint32_t slot);

/**
 * carom_lane_give_leave() - the parent's answer
 * Return: true if it is the first one for a task that runs; false: it has ended, or was answered.
 */
bool carom_lane_give_leave(struct carom_lane *lane, uint32_t slot, uint32_t generation,
			   bool granted);

/* ---- the parent: supervising; one thread ---- */

/**
 * carom_lane_use() - only the first @count places of the table are in use
 *
 * Before the first worker is made, and, for more of them, before the first of those is:
 * nobody looks at the others, so that room for many workers costs few nothing.
 */
void carom_lane_use(struct carom_lane *lane, uint32_t count);

/**
 * carom_lane_prepare() - a worker is about to be made: reset its entry, or make its lane
 * Return: 0; a lane that deals also -ENOMEM, -EMFILE, -ENFILE, -EFBIG, -EOPNOTSUPP (no /proc).
 */
int carom_lane_prepare(struct carom_lane *lane, uint32_t worker);

/** carom_lane_life() - a worker's life word, until its place is prepared for another */
struct carom_life *carom_lane_life(const struct carom_lane *lane, uint32_t worker);

/**
 * carom_lane_admit() - the process that was made for @worker may take work
 * @pid: its
 * @tid: what its main thread is called where it lives, which becomes its life word
 *
 * Not before somebody holds it and will see it die: what it had begun until then,
 * nobody would sweep.
 */
void carom_lane_admit(struct carom_lane *lane, uint32_t worker, pid_t pid, pid_t tid);

/**
 * carom_lane_dismiss() - have a worker end once it has no task
 *
 * One that is idle ends at once, one that runs a task after it. Whatever else it was
 * woken for is passed on.
 */
void carom_lane_dismiss(struct carom_lane *lane, uint32_t worker);

/** carom_lane_is_ready() - has this worker's process come to be ready? */
bool carom_lane_is_ready(const struct carom_lane *lane, uint32_t worker);

/** carom_lane_ready_ns() - when the worker was ready to take work; 0 if it is not, or never will be */
uint64_t carom_lane_ready_ns(const struct carom_lane *lane, uint32_t worker);

/**
 * carom_lane_give_up() - a worker that is not ready yet will not be any more
 * Return: true: it takes no task, and may be killed; false: it is ready.
 */
bool carom_lane_give_up(struct carom_lane *lane, uint32_t worker);

enum carom_sweep_verdict { CAROM_SWEEP_LOST, CAROM_SWEEP_AGAIN };

/**
 * typedef carom_sweep_fn - what becomes of a task that a dead worker had begun
 * Called before the slot's word changes: nobody else touches the slot meanwhile.
 */
typedef enum carom_sweep_verdict carom_sweep_fn(uint32_t slot, void *userdata);

/**
 * carom_lane_sweep() - make good what a dead worker left undone
 *
 * May be called again for the same death, and must be when it was interrupted.
 * @worker must be dead for certain: its life word says so, or its pidfd.
 */
void carom_lane_sweep(struct carom_lane *lane, uint32_t worker, carom_sweep_fn *verdict,
		      void *userdata);

enum carom_lane_stop { CAROM_LANE_RUN, CAROM_LANE_DRAIN, CAROM_LANE_HALT };

/** carom_lane_stop() - DRAIN: workers end once nothing is ready; HALT: after their task */
void carom_lane_stop(struct carom_lane *lane, enum carom_lane_stop how);

/** carom_lane_progress() - a figure that changes when a task is begun, and seldom otherwise */
uint64_t carom_lane_progress(const struct carom_lane *lane);

/** carom_lane_anything_ready() - is there a task that no worker has begun? */
bool carom_lane_anything_ready(struct carom_lane *lane);

/* ---- a lane that deals; with the caller's lock, but for what says otherwise ---- */

/** carom_lane_deals() - do workers have a lane each? Without the lock */
static inline bool carom_lane_deals(const struct carom_lane *lane)
{
	return carom_lane_view(lane)->is_dealing;
}

#define CAROM_LANE_HAND_FDS 3

/**
 * carom_lane_hand_fds() - what the process that is made for @worker is given
 * @ret_fds: its lane, its arguments, its bell: they stay the lane's
 */
void carom_lane_hand_fds(const struct carom_lane *lane, uint32_t worker,
			 int ret_fds[CAROM_LANE_HAND_FDS]);

/** carom_lane_handed_over() - it has them, or will not be: they are closed here */
void carom_lane_handed_over(struct carom_lane *lane, uint32_t worker);

/** carom_lane_hand_bell() - readable when this worker wants to be looked at; stays the lane's */
int carom_lane_hand_bell(const struct carom_lane *lane, uint32_t worker);

/**
 * carom_lane_hand_rang() - its bell is readable: look at what it has done, and deal
 * Return: 0; -EPIPE: it has closed its end, so nothing comes any more.
 */
int carom_lane_hand_rang(struct carom_lane *lane, uint32_t worker);

#define CAROM_LANE_STALLED_NS CAROM_MILLISECONDS(10)

/**
 * typedef carom_lane_unattended_fn - is there a task that was dealt, and that nobody looks after?
 * @any: true: carom_lane_move_stalled() is to be called CAROM_LANE_STALLED_NS later, if that is
 *       not to come anyway; false: there is none any more. With the lock
 *
 * Who waits for a task looks whether it is taken up. So nobody does for one that is not
 * waited for, or that was waited for before it was dealt.
 */
typedef void carom_lane_unattended_fn(bool any, void *userdata);

void carom_lane_on_unattended(struct carom_lane *lane, carom_lane_unattended_fn *function,
			      void *userdata);

/** carom_lane_has_unattended() - as that function would be told now */
bool carom_lane_has_unattended(const struct carom_lane *lane);

/**
 * carom_lane_move_stalled() - what was dealt so long ago, and was not begun, is dealt to others
 * Return: when it is to be called again; CAROM_NO_DEADLINE: there is nothing unattended.
 */
uint64_t carom_lane_move_stalled(struct carom_lane *lane);

/**
 * typedef carom_lane_foul_fn - a worker has written what it may not
 * @what: static text: which field. Called once for each process, with the lock
 */
typedef void carom_lane_foul_fn(uint32_t worker, const char *what, void *userdata);

void carom_lane_on_foul(struct carom_lane *lane, carom_lane_foul_fn *function, void *userdata);

/** carom_lane_keep() - these bytes of the argument arena stand in each worker's at the same place */
void carom_lane_keep(struct carom_lane *lane, uint64_t offset, uint64_t size);

/** carom_lane_watch_ends() - before carom_lane_await_any(): whoever is at a task tells of its end */
void carom_lane_watch_ends(struct carom_lane *lane);

/** carom_lane_hand_values() - where a worker's own value arena is mapped: it may write there */
const void *carom_lane_hand_values(const struct carom_lane *lane, uint32_t worker);

/** carom_lane_done_count() - how many tasks the process in this place has ended */
uint64_t carom_lane_done_count(const struct carom_lane *lane, uint32_t worker);

/* ---- of a task that runs, in any lane: what its worker says, as far as it can be believed ---- */

/** carom_lane_item_progress() - of a batch */
uint64_t carom_lane_item_progress(struct carom_lane *lane, uint32_t slot);

/** carom_lane_started_ns() - when it, or its item, was begun; 0 if that is not noted */
uint64_t carom_lane_started_ns(struct carom_lane *lane, uint32_t slot);

/** carom_lane_fetch() - have the values of a batch that its worker has not ended where they are read */
void carom_lane_fetch(struct carom_lane *lane, uint32_t slot);

/** carom_lane_batch_at_hand() - the header of a batch that its worker reads; NULL: it is the parent's own */
struct carom_batch *carom_lane_batch_at_hand(struct carom_lane *lane, uint32_t slot);

/* ---- a worker; its main thread, or the thread that it is ---- */

/** carom_lane_await_admission() - until the parent has called carom_lane_admit() */
void carom_lane_await_admission(struct carom_lane *lane);

/**
 * carom_lane_ready() - announce this worker: life word, ready time
 *
 * A thread's life word stands as it is: nobody needs to be told of its death.
 * Return: 0, or -ETIMEDOUT: the parent has given it up.
 */
int carom_lane_ready(struct carom_lane *lane);

/**
 * carom_lane_claim() - wait for a task and take it
 * Return: 0, -ESHUTDOWN (stopped or dismissed), -EINTR (after carom_lane_interrupt()).
 */
int carom_lane_claim(struct carom_lane *lane, uint32_t *ret_slot);

/**
 * carom_lane_interrupt() - this worker claims no more, and a claim that waits returns
 *
 * AS-Safe (keeps errno). In the worker's own process, for good.
 */
void carom_lane_interrupt(struct carom_lane *lane);

/** carom_lane_pass_on() - a worker that will claim no more: if there is work, another is woken */
void carom_lane_pass_on(struct carom_lane *lane);

/**
 * carom_lane_on_warned() - how to take delivery of a signal that was sent
 * @settle: called when a task, or an item, has ended for which the parent has sent one;
 *          when it returns, the signal has come
 */
void carom_lane_on_warned(struct carom_lane *lane, void (*settle)(void));

/**
 * carom_lane_go_on() - after each item of a batch that has a time limit, when its progress says so
 * Return: 0; -ECANCELED: this worker is doomed, and should end.
 */
int carom_lane_go_on(struct carom_lane *lane, uint32_t slot);

/**
 * carom_lane_finish() - the value is left: tell whoever waits
 * Return: 0; -ECANCELED: nobody wants it; this worker is doomed, and should end.
 */
int carom_lane_finish(struct carom_lane *lane, uint32_t slot);

/** carom_lane_sleep_count() - how often this worker has slept for want of work */
uint64_t carom_lane_sleep_count(const struct carom_lane *lane);

/** carom_lane_arena() - this worker's arena for values */
struct carom_arena *carom_lane_arena(struct carom_lane *lane);

#endif
