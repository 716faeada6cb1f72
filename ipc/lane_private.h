/* What the sources of the lane share: the layout, and a process's view of it. */
#ifndef CAROM_IPC_LANE_PRIVATE_H
#define CAROM_IPC_LANE_PRIVATE_H

#include "ipc/lane.h"
#include "ipc/patience.h"

#define LANE_MAGIC UINT64_C(0x32656e616c6d7261) /* "armlane2" */

/* instead of the time at which a worker was ready: it will never be */
#define LANE_GIVEN_UP UINT64_MAX

/* who gave the CPU away and got it back as late as this is better off asleep */
#define LANE_YIELD_LONG_NS CAROM_MILLISECONDS(1)

/*
 * The ring has four cells for each slot. Each READY slot has one that counts;
 * the others are hints that went stale (their task was swept up or withdrawn)
 * and disappear when the head passes them. Submitting stops at half, so that a
 * sweep always finds room: it adds one hint for a task that was claimed, and so at
 * least one before it has gone stale at the head.
 */
#define RING_CELLS_PER_SLOT 4

struct lane_header {
	uint64_t magic;
	uint32_t worker_count;
	uint32_t slot_count;
	uint32_t ring_count;
	uint32_t backlog_max;
	uint32_t kind;
	uint32_t arena_count; /* of values */
	uint64_t payload_size;
	uint64_t spin_ns;
	uint64_t workers_offset;
	uint64_t ring_offset;
	uint64_t notices_offset;
	uint64_t slots_offset;
	uint64_t usages_offset;
	uint64_t control_size; /* up to here a worker may write */

	_Alignas(128) _Atomic uint64_t head;
	/* one bit per worker: asleep or about to be; looking for work */
	_Alignas(128) _Atomic uint64_t idle[CAROM_LANE_MASK_WORDS];
	_Alignas(128) _Atomic uint64_t spinning[CAROM_LANE_MASK_WORDS];
	/* not asleep, whatever it does; only where there is a backlog_max */
	_Alignas(128) _Atomic uint64_t awake[CAROM_LANE_MASK_WORDS];
	/* written by the parent only, read after every task */
	_Alignas(128) _Atomic uint32_t stop;
	_Atomic uint32_t watcher_count;
	_Atomic uint32_t used_count; /* of the worker table */
	_Alignas(128) _Atomic uint32_t ended_event;
	_Atomic uint32_t ready_event;
	/* not 0: the parent sleeps, or is about to, and wants to be rung for; see lane_notice.c */
	_Alignas(128) _Atomic uint32_t armed;
	_Atomic uint32_t ring_after; /* of a lane that was dealt: see lane_bell.c */
};

/**
 * struct lane_own_slot - what the parent knows of a slot by itself
 * @generation:    of its latest submission
 * @was_warned:    SOFT stood in its word before carom_lane_warn()
 * @sleeper_count: threads of the parent that sleep on its word, or are about to
 * @is_void:       of a lane that was dealt: nobody is to wait there, whatever the word says
 */
struct lane_own_slot {
	uint32_t generation;
	bool was_warned;
	_Atomic bool is_void;
	_Atomic uint32_t sleeper_count;
};

struct lane_dealer;

/**
 * struct carom_lane - one process's view
 * @used_count, @tail, @head_seen, @own, @free_*: the parent's own: private, and never read from the lane
 * @interrupted, @sleep_count, @arena: a worker's own
 * @is_shared: the mappings are those of another view
 * @arguments_segment: of the parent's in a lane that is dealt: where they stand
 * @dealer: of a lane that deals, see lane_dealer.c
 * @quick_parks, @move_*: see step_aside()
 * @settle:          see carom_lane_on_warned()
 */
struct carom_lane {
	struct carom_lane_view view;
	struct carom_segment *segment;
	struct carom_segment *arguments_segment;
	struct lane_dealer *dealer;
	struct lane_header *header;
	struct carom_lane_worker *workers;
	_Atomic uint64_t *ring;
	_Atomic uint64_t *notices; /* a bit per slot */
	uint32_t ring_count;
	uint32_t backlog_max;
	uint32_t mask_words;
	_Atomic uint32_t used_count; /* read without the lock too, by who spins */
	uint32_t spinner_max;
	struct carom_patience patience;
	int bell_fd;     /* or -1: the bell is a futex */
	uint32_t ticket; /* of the latest arming */
	bool is_dealt;
	uint32_t ended_count; /* of a worker whose lane it is */

	uint64_t tail;
	uint64_t head_seen;
	struct lane_own_slot *own;
	uint32_t *free_slots; /* a stack */
	uint32_t free_count;
	uint32_t taken_count; /* slots that were ever taken are below */

	bool is_shared;
	_Atomic bool interrupted; /* by a signal handler of this process */
	uint32_t last_submit_cpu;
	uint64_t sleep_count;
	uint32_t quick_parks;
	uint64_t move_not_before;
	uint64_t move_pause_ns;
	uint64_t control_size;
	void (*settle)(void);
	struct carom_arena arena;
};

/* A cell holds {lap:16 | slot:16 | generation:32}; the lap tells a new cell from an old one. */
static inline uint64_t ring_lap(const struct carom_lane *lane, uint64_t position)
{
	return (position / lane->ring_count + 1) & 0xffff;
}

static inline uint64_t ring_cell(const struct carom_lane *lane, uint64_t position, uint32_t slot,
				 uint32_t generation)
{
	return ring_lap(lane, position) << 48 | (uint64_t)slot << 32 | generation;
}

static inline _Atomic uint64_t *ring_at(const struct carom_lane *lane, uint64_t position)
{
	return &lane->ring[position & (lane->ring_count - 1)];
}

static inline bool lane_is_idle(const struct carom_lane *lane, uint32_t worker)
{
	return atomic_load_explicit(&lane->header->idle[worker / 64], memory_order_relaxed) >>
		       (worker % 64) &
	       1;
}

/*
 * Words of the masks that may have bits. relaxed: who was told of a task by the ring, or
 * of anything else, sees at least the workers that there were when it was published; one
 * that came later looks at the ring itself before it sleeps.
 */
static inline uint32_t lane_mask_words(const struct carom_lane *lane)
{
	uint32_t used = atomic_load_explicit(&lane->header->used_count, memory_order_relaxed);

	return used < lane->view.worker_count ? (used + 63) / 64 : lane->mask_words;
}

/* is any bit set? */
static inline bool lane_has_any(const struct carom_lane *lane, const _Atomic uint64_t *mask)
{
	uint32_t words = lane_mask_words(lane);

	for (uint32_t i = 0; i < words; i++)
		if (atomic_load(&mask[i]))
			return true;
	return false;
}

/* the half of a slot word that changes while somebody sleeps on it */
static inline _Atomic uint32_t *slot_futex(struct carom_slot *slot)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (_Atomic uint32_t *)(void *)&slot->word;
#else
	return (_Atomic uint32_t *)(void *)&slot->word + 1;
#endif
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* of a compare-and-swap that only a worker that means no good can make fail so often */
#define LANE_TRIES_MAX 10000

/* is it the same task still, whatever flags have come and gone? */
static inline bool lane_is_same_task(uint64_t word, uint64_t seen)
{
	return !((word ^ seen) & ~CAROM_SLOT_FLAGS);
}

/* ---- lane_parent.c ---- */

/** carom_lane_push() - a hint that a slot is READY */
void carom_lane_push(struct carom_lane *lane, uint32_t slot);

/** carom_lane_tell_waiters() - a task was answered by this side */
void carom_lane_tell_waiters(struct carom_lane *lane, uint32_t slot, bool waited);

/* ---- lane_notice.c ---- */

/** carom_lane_tell_dealer() - a worker that has a lane of its own has ended one more task */
void carom_lane_tell_dealer(struct carom_lane *lane);

/* ---- lane_wait.c ---- */

/** carom_lane_is_over() - has the task of @generation ended? A slot that was given back is FREE in it. */
static inline bool carom_lane_is_over(uint64_t word, uint32_t generation)
{
	return carom_slot_ended(word) || carom_slot_state(word) == CAROM_SLOT_FREE ||
	       carom_slot_generation(word) != generation;
}

/* ---- lane_dealer.c and its like: what the parent's functions come to in a lane that deals ---- */

int carom_dealer_new(struct carom_lane *lane, const struct carom_lane_options *options);
struct lane_dealer *carom_dealer_free(struct lane_dealer *dealer);
void carom_dealer_lose_fds(struct lane_dealer *dealer);

/** carom_dealer_deal() - what waits, to who has nothing to do; true if somebody had to be woken */
bool carom_dealer_deal(struct carom_lane *lane);

/**
 * carom_dealer_task() - where a task is that was dealt and has not ended
 * @ret_slot, @ret_word: in the lane that is returned; looked at once
 * Return: that lane; or NULL: it was not dealt, or has ended, or its worker is foul.
 */
struct carom_lane *carom_dealer_task(struct carom_lane *lane, uint32_t slot, uint32_t *ret_slot,
				     uint64_t *ret_word);

/** carom_dealer_was_dealt() - does some worker have it? */
bool carom_dealer_was_dealt(const struct carom_lane *lane, uint32_t slot);

/** carom_dealer_take_back() - a task that was dealt and not begun; true if it is nobody's now */
bool carom_dealer_take_back(struct carom_lane *lane, uint32_t slot);

/** carom_dealer_evicted() - the task in this slot was answered while its worker had it */
void carom_dealer_evicted(struct carom_lane *lane, uint32_t slot);

/** carom_dealer_doomed() - who has it is to be killed, and is dealt nothing more */
void carom_dealer_doomed(struct carom_lane *lane, uint32_t slot);

/** carom_dealer_drop() - what a task has left is not needed any more */
void carom_dealer_drop(struct carom_lane *lane, uint32_t slot);

int carom_dealer_await(struct carom_lane *lane, uint32_t slot, uint32_t generation,
		       uint64_t deadline_ns, bool may_spin);
int carom_dealer_prepare(struct carom_lane *lane, uint32_t worker);

/** carom_dealer_bury() - a worker is dead: what it has ended counts, its lane is nobody's */
void carom_dealer_bury(struct carom_lane *lane, uint32_t worker);
void carom_dealer_stop(struct carom_lane *lane, enum carom_lane_stop how);
void carom_dealer_dismiss(struct carom_lane *lane, uint32_t worker);
void carom_dealer_admit(struct carom_lane *lane, uint32_t worker, pid_t pid);

/** carom_dealer_ready_ns() - when a worker was ready, as it said when this was first seen; 0: not yet */
uint64_t carom_dealer_ready_ns(const struct carom_lane *lane, uint32_t worker);

/** carom_dealer_lane() - of a worker; NULL: it has none */
struct carom_lane *carom_dealer_lane(const struct carom_lane *lane, uint32_t worker);

/** carom_lane_nonempty() - is there a hint at the head of the ring? */
bool carom_lane_nonempty(const struct carom_lane *lane);

/** carom_lane_wake_one() - wake a worker that sleeps; false if none does */
bool carom_lane_wake_one(struct carom_lane *lane);

/** carom_lane_wake_noticer() - ring, whether it was asked for or not */
void carom_lane_wake_noticer(struct carom_lane *lane);

uint32_t carom_lane_spinner_count(const struct carom_lane *lane);

#endif
