/*
 * Sample
 *
 * What one side measured in one round: a value for each operation, and how many
 * tasks were done in how much time. It stands in memory that the side and the
 * program share. A summary is what is kept of it.
 */
#ifndef CAROM_BENCH_SAMPLE_H
#define CAROM_BENCH_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_VALUES_MAX  (1u << 19)
#define BENCH_MESSAGE_MAX 120

/**
 * struct bench_sample - the values of one round
 * @task_count:  tasks done in the time measured
 * @warm_task_count: tasks done before, which have no values
 * @measured_ns: the sum of the operations' times
 * @syscall_count: of all processes of the side, warm-up included; 0 if not counted
 * @gave_up_ns:  0, or: no answer came within this time, and there are no values
 * @error:       0 or a negative errno: there are no values, @message says more
 * @values:      ns for each task of an operation, in the order measured
 */
struct bench_sample {
	uint64_t task_count;
	uint64_t warm_task_count;
	uint64_t measured_ns;
	uint64_t syscall_count;
	uint64_t gave_up_ns;
	int32_t error;
	char message[BENCH_MESSAGE_MAX];
	uint64_t value_count;
	double values[BENCH_VALUES_MAX];
};

/**
 * struct bench_summary - a sample in a few figures, in ns for each task
 * @p99:  0 if there are fewer than 100 values
 * @p999: 0 if there are fewer than 1000 values
 * @per_second: tasks in a second of measured time
 */
struct bench_summary {
	double median;
	double p99;
	double p999;
	double max;
	double per_second;
};

/** bench_sample_begin() - make it empty */
void bench_sample_begin(struct bench_sample *sample);

/** bench_sample_add() - note an operation; what does not fit is counted but has no value */
void bench_sample_add(struct bench_sample *sample, uint64_t ns, uint64_t task_count);

/** bench_sample_fail() - note why there are no values. Return: @error, which is below 0. */
int bench_sample_fail(struct bench_sample *sample, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** bench_sample_summarize() - sorts the values */
void bench_sample_summarize(struct bench_sample *sample, struct bench_summary *ret_summary);

/** bench_median() - of @count values, which it sorts; 0 if there are none */
double bench_median(double *values, size_t count);

#endif
