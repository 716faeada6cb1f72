/*
 * Workload
 *
 * What is measured, and the bars that the measurements have to clear. A workload
 * says what one operation is; who performs it is a peer (bench/peer.h).
 */
#ifndef CAROM_BENCH_WORKLOAD_H
#define CAROM_BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_workload_id {
	BENCH_ROUND_TRIP_PARKED,
	BENCH_ROUND_TRIP_SPINNING,
	BENCH_ROUND_TRIP,
	BENCH_ROUND_TRIP_CONFINED,
	BENCH_THROUGHPUT,
	BENCH_BATCH,
	BENCH_BATCH_CHUNKED,
	BENCH_MAP,
	BENCH_IMAP,
	BENCH_ECHO_64K,
	BENCH_ECHO_64K_MANY,
	BENCH_ECHO_1M,
	BENCH_ECHO_1M_MANY,
	BENCH_DEATH,
	BENCH_DEATH_LARGE,
	BENCH_RECOVERY,
	BENCH_REPLACEMENT,
	BENCH_REPLACEMENT_LARGE_WORKER,
	BENCH_REPLACEMENT_LARGE_PARENT,
	BENCH_LIMIT,
	BENCH_START,
	BENCH_START_LARGE_PARENT,
	BENCH_START_FIRST_LARGE_PARENT,
	BENCH_START_AT_WORK,
	BENCH_START_AT_WORK_LARGE_PARENT,
	BENCH_DRAIN,
	BENCH_TERMINATE,
	BENCH_SPAWN,
	BENCH_CHILD,
	BENCH_CHILD_LARGE_PARENT,
	BENCH_SPAWN_EXEC,
	BENCH_SPAWN_EXEC_RUN,
	BENCH_WATCH_SENTINEL,
	BENCH_WATCH_JOIN,
	BENCH_WATCH_LOG,
	BENCH_WATCH,
	BENCH_LOCK,
	BENCH_LOCK_2,
	BENCH_LOCK_4,
	BENCH_LOCK_HAND_OVER,
	BENCH_LOCK_DEATH,
	BENCH_LOCK_DEATH_LARGE,
	BENCH_SEMAPHORE,
	BENCH_CONDITION,
	BENCH_EVENT,
	BENCH_QUEUE,
	BENCH_MANAGER_DICT,
	BENCH_MANAGER_DICT_8,
	BENCH_MANAGER_QUEUE,
	BENCH_MANAGER_QUEUE_8,
	BENCH_MESSAGE_8,
	BENCH_MESSAGE_64,
	BENCH_MESSAGE_PARKED_8,
	BENCH_MESSAGE_PARKED_64,
	BENCH_MESSAGE_SOCKET_64,
	BENCH_MESSAGE_SOCKET_64K,
	BENCH_MESSAGE_64K,
	BENCH_MESSAGE_1M,
	BENCH_MESSAGE_PLACE_64K,
	BENCH_MESSAGE_PLACE_1M,
	BENCH_STREAM_64,
	BENCH_STREAM_64_BATCH,
	BENCH_STREAM_64K,
	BENCH_STREAM_1M,
	BENCH_STREAM_PLACE_64K,
	BENCH_STREAM_PLACE_1M,
	BENCH_IDLE,
	BENCH_IDLE_64,
	BENCH_COMMANDS,
	BENCH_COMMANDS_QUEUED,
	BENCH_COMMANDS_TIMED,
	BENCH_TOP,
	BENCH_WORKLOAD_COUNT,
};

/* Where the caller and the workers run; a set of these is a mask of 1 << id. */
enum bench_placement_id {
	BENCH_ONE_CPU,
	BENCH_TWO_CPUS,
	BENCH_FREE,
	BENCH_PLACEMENT_COUNT,
};
#define BENCH_ON(placement) (1u << (placement))
#define BENCH_ANYWHERE      (BENCH_ON(BENCH_ONE_CPU) | BENCH_ON(BENCH_TWO_CPUS) | BENCH_ON(BENCH_FREE))

/* For task_count: as many as fill the time of a sample. */
#define BENCH_MANY 0

/* For a bar's workload. */
#define BENCH_EVERY_WORKLOAD BENCH_WORKLOAD_COUNT

/* Tasks in flight at most when they are submitted one by one. */
#define BENCH_WINDOW 1024

/**
 * struct bench_workload - one kind of work
 * @placements:   mask of the placements that make sense for it
 * @worker_count: workers of the pool
 * @task_count:   tasks of one operation; BENCH_MANY for throughput
 * @quick_task_count: in a quick run, if that is less than what is usual there
 * @cold:         operations are not repeated to warm up
 * @is_one_way:   messages are not answered
 * @is_idle:      nothing is done: sides are watched while they have nothing to do
 * @child_count:  children that live all the time
 * @payload_bytes: of an argument, and of its value
 * @limit_ns:     the task's time limit, which it does not keep
 * @held_bytes:   memory that the worker's task touches before it is killed
 * @parent_bytes: memory that the caller touches after the pool was made
 * @parent_thread_count: threads that the caller has besides its own
 */
struct bench_workload {
	const char *name;
	const char *title;
	unsigned int placements;
	uint64_t worker_count;
	uint64_t task_count;
	uint64_t quick_task_count;
	bool cold;
	bool is_one_way;
	bool is_idle;
	uint64_t child_count;
	uint64_t payload_bytes;
	uint64_t limit_ns;
	uint64_t held_bytes;
	uint64_t parent_bytes;
	uint64_t parent_thread_count;
};

extern const struct bench_workload bench_workloads[BENCH_WORKLOAD_COUNT];
extern const char *const bench_placement_names[BENCH_PLACEMENT_COUNT];

enum bench_bar_kind {
	BENCH_AT_MOST_TIMES,     /* carom's median over the peer's: at most limit */
	BENCH_TIMES_FASTER,      /* the peer's median over carom's: at least limit */
	BENCH_AT_MOST_NS,        /* carom's median: at most limit */
	BENCH_WORST_AT_MOST_NS,  /* the slowest that carom ever was in any round */
	BENCH_TAIL,              /* carom's p99 over its median: at most limit */
	BENCH_AT_MOST_SWITCHES,  /* context switches of the whole row: at most limit */
	BENCH_AT_MOST_CPU_NS,    /* CPU time of the whole row: at most limit */
	BENCH_AT_MOST_CPU_SHARE, /* the same, as a share of one CPU */
	BENCH_PSS_AT_MOST_TIMES, /* memory for each worker over the peer's: at most limit */
	BENCH_PSS_AT_MOST_BYTES, /* memory for 1,000 tasks: at most limit */
};

/**
 * struct bench_bar - what carom has to reach
 * @workload:   or BENCH_EVERY_WORKLOAD: each one that both have done
 * @placements: mask of the placements in which it counts
 * @peer:       whom carom is compared with; NULL where nobody is
 */
struct bench_bar {
	enum bench_workload_id workload;
	unsigned int placements;
	enum bench_bar_kind kind;
	const char *peer;
	double limit;
};

extern const struct bench_bar bench_bars[];
extern const size_t bench_bar_count;

#endif
