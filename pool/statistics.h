/**
 * DOC: statistics
 *
 * What a pool and its workers do and have done, for the program and for others who look
 * on, such as `carom top`:
 *
 *	struct carom_pool_statistics now;
 *
 *	r = carom_pool_statistics(pool, &now);
 *	printf("%s: %" PRIu64 " done, %" PRIu64 " queued, half of them ran less than %" PRIu64
 *	       " ns\n", now.name, now.ended_counts[CAROM_OUTCOME_OK], now.queued_count,
 *	       carom_histogram_percentile(&now.run_ns, 50));
 *
 * A pool made with the option `statistics` counts in memory of its own, which other
 * processes of the same user can find and read, without a word to the pool:
 *
 *	struct carom_statistics_place places[64];
 *	int count = carom_statistics_find(0, places, 64);
 *
 *	for (int i = 0; i < count && i < 64; i++) {
 *		CAROM_CLEANUP(carom_statistics_freep) struct carom_statistics *reader = NULL;
 *
 *		if (carom_statistics_open(places[i].pid, places[i].fd, &reader) < 0)
 *			continue;		// it has ended meanwhile
 *		carom_statistics_pool(reader, &now);
 *		...
 *	}
 *
 * The memory has no name and is gone with the pool, however that ended. It is read while
 * it is written: each number is whole, but two of them may be of different moments. Of a
 * pool that rests, or for one who has the answers to all that he submitted, they agree:
 * what was submitted is the sum of what has ended, what is queued and what runs.
 */
#ifndef CAROM_POOL_STATISTICS_H
#define CAROM_POOL_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/api.h"
#include "../core/cleanup.h"
#include "histogram.h"

CAROM_BEGIN_DECLS

struct carom_pool;
struct carom_statistics;

/* Room for kinds and reasons that are still to come. */
#define CAROM_STATISTICS_KINDS   16
#define CAROM_STATISTICS_REASONS 16
#define CAROM_POOL_NAME_MAX      64

/**
 * enum carom_worker_state - what a worker does
 * @CAROM_WORKER_ABSENT:   there is no process in its place
 * @CAROM_WORKER_ALIVE:    there is; more is known only where the pool counts
 * @CAROM_WORKER_STARTING: it is not ready for its first task
 * @CAROM_WORKER_IDLE:     it waits for a task
 * @CAROM_WORKER_BUSY:     it is at a task
 * @CAROM_WORKER_LEAVING:  it has done its last task
 */
enum carom_worker_state {
	CAROM_WORKER_ABSENT,
	CAROM_WORKER_ALIVE,
	CAROM_WORKER_STARTING,
	CAROM_WORKER_IDLE,
	CAROM_WORKER_BUSY,
	CAROM_WORKER_LEAVING,
};

/** carom_worker_state_name() - "absent", "alive", "starting", ... MT-Safe, AS-Safe; static text. */
CAROM_API const char *carom_worker_state_name(enum carom_worker_state state);

/**
 * struct carom_pool_statistics - of a pool as a whole
 * @name:        as in the options, cut at 63 bytes
 * @pid:         of the program, as it sees itself
 * @is_counted:  1 if the pool was made with `statistics`; if not, all below up to
 *               exit_counts is 0 but for what it was made with
 * @state:       one of enum carom_pool_state
 * @created_ns:  when the pool was made; CLOCK_MONOTONIC
 * @worker_count: how many workers it is to have; @worker_limit: how many it can have
 * @soft_limit_ns, @hard_limit_ns, @max_tasks_per_child, @max_memory_per_child_bytes,
 * @slot_count, @put_locks, @schedule: what holds for its tasks and workers; 0: none
 * @submitted_count: tasks; a chunk of a map is one
 * @submitted_item_count: items of maps, and 1 for each other task; items that were
 *               taken back from one chunk and given out in another count for both
 * @ended_counts: tasks that have ended, by enum carom_outcome_kind. A chunk of a map that
 *               was done is OK, whatever became of its items
 * @queued_count: tasks that no worker has begun
 * @running_count: tasks that a worker is at
 * @item_count:  items, and other tasks, that workers have done
 * @wait_ns:     from when tasks were submitted to when a worker began them
 * @run_ns:      from then to when it had done them; of those that were done
 * @process_count: how many processes have been workers
 * @exit_counts: how many of them have ended, by enum carom_exit_reason
 */
struct carom_pool_statistics {
	char name[CAROM_POOL_NAME_MAX];
	int64_t pid;
	uint64_t is_counted;
	uint64_t state;
	uint64_t created_ns;
	uint64_t worker_count;
	uint64_t worker_limit;
	uint64_t soft_limit_ns;
	uint64_t hard_limit_ns;
	uint64_t max_tasks_per_child;
	uint64_t max_memory_per_child_bytes;
	uint64_t slot_count;
	uint64_t put_locks;
	uint64_t schedule;
	uint64_t submitted_count;
	uint64_t submitted_item_count;
	uint64_t ended_counts[CAROM_STATISTICS_KINDS];
	uint64_t queued_count;
	uint64_t running_count;
	uint64_t item_count;
	struct carom_histogram wait_ns;
	struct carom_histogram run_ns;
	uint64_t process_count;
	uint64_t exit_counts[CAROM_STATISTICS_REASONS];
};

/**
 * struct carom_worker_statistics - of one place in a pool; processes come and go, it counts on
 * @pid:      of the process there, as the program sees it; 0: none
 * @state:    one of enum carom_worker_state
 * @born_ns:  when that process was made
 * @since_ns: BUSY: when it began its task; IDLE: when it ended the last one. 0: never yet
 * @process_count: how many processes it has been
 * @ended_counts: tasks that it left a value or a failure for, by enum carom_outcome_kind
 * @item_count: items, and other tasks, that it has done
 * @sleep_count: how often it went to sleep for want of work
 * @task_id: BUSY: of the task that it is at, see carom_result_id(); a chunk of a map has
 *           one of its own. Else 0
 */
struct carom_worker_statistics {
	int64_t pid;
	uint64_t state;
	uint64_t born_ns;
	uint64_t since_ns;
	uint64_t process_count;
	uint64_t ended_counts[CAROM_STATISTICS_KINDS];
	uint64_t item_count;
	uint64_t sleep_count;
	struct carom_histogram wait_ns;
	struct carom_histogram run_ns;
	uint64_t task_id;
};

/**
 * carom_pool_statistics() - of a pool of this program. Rows EL-09, EL-11
 * @ret_statistics: for a pool without the option `statistics`, what it was made with, its
 *                  state, and its processes
 *
 * Context: MT-Safe, AS-Unsafe. Never blocks for long.
 * Return: 0, -ECHILD.
 */
CAROM_API int carom_pool_statistics(struct carom_pool *pool,
				    struct carom_pool_statistics *ret_statistics);

/**
 * carom_pool_worker_statistics() - of one of its workers
 * @index: 0 to worker_limit - 1
 *
 * Context: MT-Safe, AS-Unsafe. Never blocks for long.
 * Return: 0, -EINVAL (no such worker), -ECHILD.
 */
CAROM_API int carom_pool_worker_statistics(struct carom_pool *pool, uint64_t index,
					   struct carom_worker_statistics *ret_statistics);

/**
 * struct carom_statistics_place - where a pool counts
 * @pid: of its program, as the caller sees it
 * @fd:  a descriptor there
 */
struct carom_statistics_place {
	int64_t pid;
	int64_t fd;
};

/**
 * carom_statistics_find() - look for pools that count
 * @pid:        of a program; 0: all that the caller may look into, which for users other
 *              than root are their own
 * @ret_places: room for @count; may be NULL if that is 0
 *
 * Context: MT-Safe, AS-Unsafe. Reads /proc.
 * Return: how many there are, perhaps more than @count; or
 *	-ESRCH   there is no process @pid
 *	-EACCES  it may not be looked into
 *	-ENOENT, -EMFILE, -ENFILE, -ENOMEM  from opendir(3) on /proc
 */
CAROM_API int carom_statistics_find(int64_t pid, struct carom_statistics_place *ret_places,
				    size_t count);

/**
 * carom_statistics_open() - look at a pool of any program of this user
 * @pid, @fd:   from carom_statistics_find()
 * @ret_reader: the caller owns it, and ends it with carom_statistics_free()
 *
 * It is mapped for reading only, and what stands there is believed in nothing that
 * could hurt the reader.
 *
 * Context: MT-Safe, AS-Unsafe.
 * Return: 0, or, with *@ret_reader untouched,
 *	-ENOENT  that process, or its descriptor, is no more
 *	-EACCES  it may not be looked into
 *	-EBADMSG that is no pool, or one of another version of the library
 *	-ENOMEM, -EMFILE, -ENFILE  from open(2), mmap(2)
 */
CAROM_API int carom_statistics_open(int64_t pid, int64_t fd, struct carom_statistics **ret_reader);

/** carom_statistics_free() - look no more; NULL is allowed. MT-Safe, AS-Unsafe. Returns NULL. */
CAROM_API struct carom_statistics *carom_statistics_free(struct carom_statistics *reader);
CAROM_API void carom_statistics_freep(struct carom_statistics **reader);

/**
 * carom_statistics_is_live() - does its program still run?
 *
 * Context: MT-Safe, AS-Safe. Never blocks.
 */
CAROM_API bool carom_statistics_is_live(const struct carom_statistics *reader);

/** carom_statistics_pool() - as carom_pool_statistics(), of that pool. MT-Safe, AS-Safe. Never blocks. */
CAROM_API void carom_statistics_pool(const struct carom_statistics *reader,
				     struct carom_pool_statistics *ret_statistics);

/**
 * carom_statistics_worker() - as carom_pool_worker_statistics()
 *
 * Context: MT-Safe, AS-Safe. Never blocks.
 * Return: 0, -EINVAL.
 */
CAROM_API int carom_statistics_worker(const struct carom_statistics *reader, uint64_t index,
				      struct carom_worker_statistics *ret_statistics);

CAROM_END_DECLS

#endif
