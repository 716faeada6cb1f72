/*
 * Tally: what a pool counts, and where
 *
 *	head | places | ids |  sheet of worker 0 | of worker 1 | ...
 *	    the parent's    |  pages of its own, which nobody else maps for writing
 *
 * Each word has one writer at a time, and is loaded and stored whole. See statistics.h for
 * what the numbers are about.
 */
#ifndef CAROM_POOL_TALLY_H
#define CAROM_POOL_TALLY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/private_fd.h"
#include "ipc/lane.h"
#include "pool/hooks.h"
#include "pool/pool_options.h"
#include "pool/statistics.h"

#define CAROM_TALLY_NAME "carom-pool" /* by which a memfd is found */

/** struct tally_layout - by which a reader knows what it reads; never changes */
struct tally_layout {
	uint64_t magic;
	uint64_t head_size;
	uint64_t place_size;
	uint64_t sheet_size;
	uint64_t capacity;   /* places and sheets */
	uint64_t slot_count; /* ids */
};

/**
 * struct tally_head - of the pool; written by the parent
 * @state, @soft_limit_ns, @hard_limit_ns, @worker_count: change, the others of that group do not
 * @submitted_*, @ended_counts: with the pool's lock; only where is_counted
 * @process_count, @exit_counts: the loop's thread
 */
struct tally_head {
	struct tally_layout layout;
	char name[CAROM_POOL_NAME_MAX];
	uint64_t pid;
	uint64_t is_counted;
	uint64_t created_ns;
	uint64_t max_tasks_per_child;
	uint64_t max_memory_per_child_bytes;
	uint64_t slot_count;
	uint64_t put_locks;
	uint64_t schedule;
	uint64_t state;
	uint64_t soft_limit_ns;
	uint64_t hard_limit_ns;
	uint64_t worker_count;

	_Alignas(128) uint64_t submitted_count;
	uint64_t submitted_item_count;
	uint64_t ended_counts[CAROM_STATISTICS_KINDS]; /* by no worker */

	_Alignas(128) uint64_t process_count;
	uint64_t exit_counts[CAROM_STATISTICS_REASONS];
};

/** struct tally_place - of a worker; written by the parent, in the loop's thread */
struct tally_place {
	uint64_t pid;
	uint64_t born_ns;
	uint64_t process_count;
	uint64_t reserved;
};

/**
 * struct tally_sheet - of a worker; written by its process, and by the parent while there is none
 * @phase:    one of enum carom_worker_state: STARTING, IDLE (or busy: see @at_hand), LEAVING
 * @at_hand:  the task that it is at, see tally_mark(); 0: none
 * @since_ns: since it was begun, or since there is none
 * @ending_kind: how the task that it is at is about to end
 * @ended_counts: raised before the task's answer can be seen
 * @item_count_before: @item_count as it was when the task at hand was begun
 */
struct tally_sheet {
	_Alignas(128) uint64_t phase;
	uint64_t at_hand;
	uint64_t since_ns;
	uint64_t ending_kind;
	uint64_t item_count;
	uint64_t item_count_before;
	uint64_t sleep_count;
	uint64_t reserved;
	uint64_t ended_counts[CAROM_STATISTICS_KINDS];
	struct carom_histogram wait_ns;
	struct carom_histogram run_ns;
};

/* relaxed: each word stands for itself; that a count is seen with its answer, the slot's word sees to */
static inline uint64_t tally_get(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void tally_set(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* by its one writer */
static inline void tally_add(uint64_t *word, uint64_t value)
{
	tally_set(word, tally_get(word) + value);
}

/*
 * A task at hand, and how many the worker had ended before it, as far as that fits: so
 * one look tells whether it has counted this one already.
 */
static inline uint64_t tally_mark(uint64_t ended_count, uint32_t slot, uint32_t generation)
{
	return (ended_count & 0xffff) << 48 | (uint64_t)(slot & 0xffff) << 32 | generation;
}

static inline uint64_t tally_marked_slot(uint64_t mark)
{
	return mark >> 32 & 0xffff;
}

/**
 * carom_tally_read_layout() - of a tally that comes from elsewhere
 * Return: 0: what carom_tally_size() says is there to be mapped, and stays there; or
 * -EBADMSG: it is none, or one of another version.
 */
int carom_tally_read_layout(int fd, struct tally_layout *ret_layout);

/* ---- reading: from its start, a tally of a layout that was checked ---- */

uint64_t carom_tally_size(const struct tally_layout *layout);
const struct tally_place *carom_tally_place(const void *base, uint64_t worker);

/** carom_tally_id() - of the task at hand, as that says; where there are ids */
uint64_t carom_tally_id(const void *base, const struct tally_layout *layout, uint64_t at_hand);

/** carom_tally_sheet() - where there are sheets */
const struct tally_sheet *carom_tally_sheet(const void *base, const struct tally_layout *layout,
					    uint64_t worker);

/* ---- the parent ---- */

/**
 * struct carom_tally - the parent's
 * @fd: of the memory that workers and readers share; -1 where nothing is counted
 */
struct carom_tally {
	struct tally_layout layout;
	struct carom_segment *segment;
	struct carom_private_fd private_fd;
	struct tally_head *head;
	int fd;
};

/**
 * carom_tally_new() - of a pool with these options
 * @capacity: how many workers it can have
 * Return: 0, -ENOMEM, -EMFILE, -ENFILE, -EFBIG.
 */
int carom_tally_new(const struct carom_pool_options *options, uint32_t capacity,
		    struct carom_tally **ret_tally);
struct carom_tally *carom_tally_free(struct carom_tally *tally);

/** carom_tally_lose_fd() - its descriptor was taken away: it is not touched again */
void carom_tally_lose_fd(struct carom_tally *tally);

/** carom_tally_is_on() - are tasks counted? */
static inline bool carom_tally_is_on(const struct carom_tally *tally)
{
	return tally->fd >= 0;
}

/** carom_tally_name() - the task in this slot, before it is submitted. Only if it is on. */
void carom_tally_name(struct carom_tally *tally, uint32_t slot, uint64_t id);

/** carom_tally_submitted() - only if it is on, as all that tasks are counted by. With the pool's lock. */
void carom_tally_submitted(struct carom_tally *tally, uint64_t item_count);

/** carom_tally_answered() - a task has ended without its worker's doing. With the pool's lock. */
void carom_tally_answered(struct carom_tally *tally, uint64_t kind);

/**
 * carom_tally_interrupted() - a dead worker was at this task, which is RUNNING still
 * @item_count: of the task's items, so many it had done
 */
void carom_tally_interrupted(struct carom_tally *tally, uint32_t worker, uint32_t slot,
			     uint32_t generation, uint64_t item_count);

/** carom_tally_born() - the loop's thread: a process is in @worker's place */
void carom_tally_born(struct carom_tally *tally, uint32_t worker, pid_t pid);

/** carom_tally_ended() - the loop's thread: it is dead, and its task is seen to */
void carom_tally_ended(struct carom_tally *tally, uint32_t worker, enum carom_exit_reason reason);

/* ---- a worker ---- */

/**
 * struct carom_tally_writer - a worker's own
 * @sheet: NULL where nothing is counted
 */
struct carom_tally_writer {
	struct tally_sheet *sheet;
	uint64_t ended_count;
	uint64_t begun_ns;
	uint64_t sleep_count_before; /* of processes that were here before */
};

/** carom_tally_attach() - to the sheet of @worker. 0, -EBADMSG, -EINVAL, -ENOMEM. */
int carom_tally_attach(int fd, uint32_t worker, struct carom_tally_writer *ret_writer);

/** carom_tally_share() - the same for a thread of the parent's: nothing if it is off */
void carom_tally_share(const struct carom_tally *tally, uint32_t worker,
		       struct carom_tally_writer *ret_writer);

/** carom_tally_phase() - the worker is ready: CAROM_WORKER_IDLE; or leaves: CAROM_WORKER_LEAVING */
void carom_tally_phase(struct carom_tally_writer *writer, enum carom_worker_state phase);

/** carom_tally_begin() - a task was claimed. Only if there is a sheet, as the next two. */
void carom_tally_begin(struct carom_tally_writer *writer, const struct carom_slot *task,
		       uint32_t slot, uint64_t sleep_count);

/** carom_tally_end() - it is done; before carom_lane_finish() */
void carom_tally_end(struct carom_tally_writer *writer, uint64_t kind, uint64_t item_count);

/** carom_tally_rest() - after carom_lane_finish() */
void carom_tally_rest(struct carom_tally_writer *writer);

#endif
