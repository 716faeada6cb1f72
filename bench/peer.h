/*
 * Peer
 *
 * Somebody who can do the work: carom, or what it is compared with. For each
 * workload that a peer knows it has an act: make ready, perform one operation,
 * clear away. Every side of a comparison runs in a process of its own
 * (bench/side.h), so an act may change the process as it likes: affinity,
 * environment, memory, children.
 */
#ifndef CAROM_BENCH_PEER_H
#define CAROM_BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bench/sample.h"
#include "bench/workload.h"

/**
 * struct bench_job - the work as one side is to do it
 * @caller_cpu, @worker_cpu: where the caller and the workers run; -1 for anywhere
 * @warm_ns:      operations before the measured ones, for so long; 0 for none
 * @sample_ns:    measured operations, for so long and at least one
 * @give_up_ns:   after so long without an answer it is taken that none comes
 * @module:       the peer's
 * @counts_syscalls: fill in the sample's syscall_count
 * @worker_count, @task_count, @child_count, @held_bytes, @parent_bytes,
 * @parent_thread_count: as the workload has it, or less in a quick run and for an act
 *                that is small
 */
struct bench_job {
	enum bench_workload_id workload_id;
	const struct bench_workload *workload;
	int caller_cpu;
	int worker_cpu;
	uint64_t warm_ns;
	uint64_t sample_ns;
	uint64_t give_up_ns;
	uint64_t worker_count;
	uint64_t task_count;
	uint64_t child_count;
	uint64_t held_bytes;
	uint64_t parent_bytes;
	uint64_t parent_thread_count;
	const char *module;
	bool counts_syscalls;
};

/**
 * struct bench_operation - what came of one operation
 * @ns:      how long it took; 0 leaves the clock to the caller
 * @gave_up: no answer came in the job's give_up_ns
 */
struct bench_operation {
	uint64_t ns;
	bool gave_up;
};

/**
 * struct bench_act - how a peer does one workload
 * @setup:    make the pool, place its workers. 0, or below 0 with the reason in @sample
 * @operate:  do @task_count tasks, or one death, or one spawn. 0 or negative errno
 * @measure:  instead of @operate: fill a whole sample, warm-up included
 * @rest:     after a sample, so that nothing of the side runs while others
 *            measure; may be NULL
 * @teardown: end it all
 * @is_small: the caller has 10 MiB and one thread, whatever the workload says
 * @touches:  has the caller's memory itself: its pool is another process's
 * @is_apart: takes its turns after the other sides have ended, for want of memory
 */
struct bench_act {
	enum bench_workload_id workload_id;
	int (*setup)(const struct bench_job *job, struct bench_sample *sample, void **ret_state);
	int (*operate)(void *state, uint64_t task_count, struct bench_operation *operation);
	int (*measure)(void *state, const struct bench_job *job, struct bench_sample *sample);
	void (*rest)(void *state);
	void (*teardown)(void *state);
	bool is_small;
	bool touches;
	bool is_apart;
};

#define BENCH_ACT_LISTS_MAX 12

/**
 * struct bench_peer - who does the work
 * @module:      NULL, or where its acts are (bench/module.h)
 * @without:     why it cannot be here if that was not built
 * @missing:     NULL, or says why it cannot be here; NULL from it means it can
 * @patience_ns: upper bound for the job's give_up_ns
 * @acts:        ended by one without setup
 * @more_acts:   the same, of other files; ended by NULL
 */
struct bench_peer {
	const char *name;
	const char *summary;
	const char *module;
	const char *without;
	const char *(*missing)(void);
	uint64_t patience_ns;
	const struct bench_act *acts;
	const struct bench_act *more_acts[BENCH_ACT_LISTS_MAX];
};

/* What a peer's file offers to the table in bench/bench.c. */
extern const struct bench_peer bench_peer_carom;
extern const struct bench_peer bench_peer_carom_parked;
extern const struct bench_peer bench_peer_carom_open;
extern const struct bench_peer bench_peer_carom_isolated;
extern const struct bench_peer bench_peer_carom_sandboxed;
extern const struct bench_peer bench_peer_carom_copy;
extern const struct bench_peer bench_peer_carom_small;
extern const struct bench_peer bench_peer_memcpy;
extern const struct bench_peer bench_peer_futex;
extern const struct bench_peer bench_peer_pipe;
extern const struct bench_peer bench_peer_libuv;
extern const struct bench_peer bench_peer_multiprocessing;
extern const struct bench_peer bench_peer_billiard;
extern const struct bench_peer bench_peer_pidfd;
extern const struct bench_peer bench_peer_fork;
extern const struct bench_peer bench_peer_posix_spawn;
extern const struct bench_peer bench_peer_clone3;
extern const struct bench_peer bench_peer_carom_mutex;
extern const struct bench_peer bench_peer_carom_rlock;
extern const struct bench_peer bench_peer_pthread;
extern const struct bench_peer bench_peer_pthread_robust;
extern const struct bench_peer bench_peer_semaphore;
extern const struct bench_peer bench_peer_socketpair;
extern const struct bench_peer bench_peer_boost;
extern const struct bench_peer bench_peer_interprocess;
extern const struct bench_peer bench_peer_mq;
extern const struct bench_peer bench_peer_zeromq;
extern const struct bench_peer bench_peer_nng;
extern const struct bench_peer bench_peer_iceoryx;
extern const struct bench_peer bench_peer_xargs;
extern const struct bench_peer bench_peer_make;
extern const struct bench_peer bench_peer_parallel;
extern const struct bench_peer bench_peer_hyperfine;

/* What carom does without a pool, with large values, at a pool's begin and end, and by its locks and queues. */
extern const struct bench_act bench_carom_process_acts[];
extern const struct bench_act bench_carom_echo_acts[];
extern const struct bench_act bench_carom_life_acts[];
extern const struct bench_act bench_carom_lock_acts[];
extern const struct bench_act bench_carom_event_acts[];
extern const struct bench_act bench_carom_condition_acts[];
extern const struct bench_act bench_carom_queue_acts[];
extern const struct bench_act bench_carom_manager_acts[];
extern const struct bench_act bench_carom_message_acts[];

/* What its program does. */
extern const struct bench_act bench_carom_command_acts[];

/* Commands by posix_spawn() alone. */
extern const struct bench_act bench_spawn_command_acts[];

/* Messages through the kernel's pipes. */
extern const struct bench_act bench_pipe_message_acts[];

/* What the pthread library has beside a mutex. */
extern const struct bench_act bench_pthread_condition_acts[];

/* What the kernel's futex does beside a round trip. */
extern const struct bench_act bench_futex_event_acts[];

/**
 * bench_be_child() - this program as the peer posix_spawn starts it; else comes back
 *
 * Called first thing in main().
 */
void bench_be_child(int argc, char **argv);

/** bench_peer_missing() - why it cannot be here; NULL if it can */
const char *bench_peer_missing(const struct bench_peer *peer);

/** bench_peer_act() - what @peer does for a workload; NULL if it does not know it */
const struct bench_act *bench_peer_act(const struct bench_peer *peer, enum bench_workload_id id);

/* Tell the CPU that this is a loop that waits for another one. */
static inline void bench_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
