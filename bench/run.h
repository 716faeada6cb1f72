/*
 * Run
 *
 * A row is one workload in one placement, done by every peer that knows it. Its
 * sides take turns: in each round every side measures one sample, and each round
 * begins with another side, so that what drifts (clock, caches, the neighbours
 * of a virtual machine) meets all sides alike. A ratio is formed within a round.
 */
#ifndef CAROM_BENCH_RUN_H
#define CAROM_BENCH_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/machine.h"
#include "bench/peer.h"
#include "bench/sample.h"
#include "bench/workload.h"

#define BENCH_ROUNDS_MAX 99
#define BENCH_PEERS_MAX  40

/**
 * struct bench_plan - what is to be run
 * @peers, @peer_count: carom first, if it takes part
 * @missing:   why a peer cannot be here, or NULL
 * @cpus:      the caller's and the workers' in the placements that name CPUs
 * @idle_ns:   how long an idle pool is watched
 * @counts_syscalls: in one more sample of each side
 * @is_quick:  sizes are small and times mean nothing
 */
struct bench_plan {
	const struct bench_peer *peers[BENCH_PEERS_MAX];
	const char *missing[BENCH_PEERS_MAX];
	size_t peer_count;
	size_t round_count;
	uint64_t sample_ns;
	uint64_t warm_ns;
	uint64_t idle_ns;
	int cpus[2];
	bool counts_syscalls;
	bool is_quick;
};

/* One sample, in short; the last two are -1 where processes came and went. */
struct bench_round {
	struct bench_summary summary;
	double switches_per_task;
	double cpu_ns_per_task;
};

enum bench_line_state {
	BENCH_MEASURED,
	BENCH_GAVE_UP, /* no answer came in gave_up_ns */
	BENCH_MISSING, /* message says why it is not here */
	BENCH_FAILED,  /* message says what went wrong */
};

/**
 * struct bench_line - one side of a row
 * @rounds:  rounds 0 to @round_count - 1; less than the row's if it is slow
 * @idle:    what its processes used while they had nothing to do
 * @pss_bytes: the memory of all of them but the caller then, shared pages by shares
 */
struct bench_line {
	const struct bench_peer *peer;
	enum bench_line_state state;
	uint64_t gave_up_ns;
	char message[BENCH_MESSAGE_MAX];
	struct bench_round rounds[BENCH_ROUNDS_MAX];
	size_t round_count;
	uint64_t spent_ns;
	struct bench_usage idle;
	uint64_t pss_bytes;
	bool has_syscalls;
	double syscalls_per_task;
};

/**
 * struct bench_row - one workload in one placement
 * @skipped: why none of it was done; empty if it was
 * @line_ns: the cache-line round trip before each round, 0 where unknown
 */
struct bench_row {
	enum bench_workload_id workload_id;
	enum bench_placement_id placement_id;
	struct bench_job job;
	char skipped[BENCH_MESSAGE_MAX];
	struct bench_line lines[BENCH_PEERS_MAX];
	size_t line_count;
	size_t round_count;
	double line_ns[BENCH_ROUNDS_MAX];
	double load;
	uint64_t idle_ns;
};

/**
 * bench_run() - do one row
 * @progress: called before each round, with how many there are; may be NULL
 */
void bench_run(const struct bench_plan *plan, enum bench_workload_id workload_id,
	       enum bench_placement_id placement_id, struct bench_row *ret_row,
	       void (*progress)(const struct bench_row *row, size_t round));

/** bench_line_of() - a peer's line in a row; NULL if it has none or no values in it */
const struct bench_line *bench_line_of(const struct bench_row *row, const char *peer);

/** bench_line_figures() - the median of every figure over the line's rounds */
void bench_line_figures(const struct bench_line *line, struct bench_round *ret_figures);

/** struct bench_ratio - of two medians, and of the pairs of each round */
struct bench_ratio {
	double median;
	double min;
	double max;
};

/** bench_line_ratio() - how many times @other's median @line's is */
void bench_line_ratio(const struct bench_line *line, const struct bench_line *other,
		      struct bench_ratio *ret_ratio);

#endif
