/*
 * Noise: what makes results worth less than they look, and why
 */
#ifndef CAROM_TOOLS_BENCH_NOISE_H
#define CAROM_TOOLS_BENCH_NOISE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/bench_series.h"

/** struct carom_bench_noise - the machine when the measurement began */
struct carom_bench_noise {
	uint64_t busy_ticks;
	uint64_t stolen_ticks;
	uint64_t all_ticks;
};

void carom_bench_noise_begin(struct carom_bench_noise *ret_noise);

/** carom_bench_noise_tell_machine() - a line for each thing that disturbs here and now */
void carom_bench_noise_tell_machine(const struct carom_bench_noise *begun, FILE *file);

/**
 * carom_bench_noise_tell_series() - what the runs themselves tell: outliers, and what was
 * different in them
 * @has_shell: the time of a shell is in the figures
 * Return: 0, -ENOMEM.
 */
int carom_bench_noise_tell_series(const struct carom_bench_series *series, bool has_shell,
				  FILE *file);

#endif
