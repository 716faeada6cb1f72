/*
 * Counters: what the processor counts while a command runs, by perf_event_open(2)
 *
 * Opened in the process that starts the command, they begin to count in its child at exec,
 * and go on in whatever that starts.
 */
#ifndef CAROM_TOOLS_BENCH_COUNTERS_H
#define CAROM_TOOLS_BENCH_COUNTERS_H

#include <stdint.h>

#define CAROM_BENCH_COUNTERS 4

/** carom_bench_counter_names - "cycles", "instructions", ... */
extern const char *const carom_bench_counter_names[CAROM_BENCH_COUNTERS];

/** struct carom_bench_counters - open ones; -1 where there is none */
struct carom_bench_counters {
	int fds[CAROM_BENCH_COUNTERS];
};

/**
 * carom_bench_counters_open() - for the next child; all or none
 * Return: 0, or what perf_event_open(2) says: -ENOENT where the machine has none, as most
 * virtual ones; -EACCES where the user may not (kernel.perf_event_paranoid).
 */
int carom_bench_counters_open(struct carom_bench_counters *ret_counters);

/**
 * carom_bench_counters_take() - read and close them, once the command has ended
 * @ret_values: scaled up where the processor had to take turns
 * Return: 0, or -EIO.
 */
int carom_bench_counters_take(struct carom_bench_counters *counters,
			      uint64_t ret_values[CAROM_BENCH_COUNTERS]);

#endif
