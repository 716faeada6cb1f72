/*
 * Sample
 *
 * A quantile is the value at the nearest rank. A quantile of fewer values than it
 * has ranks would only be another name for the maximum, so it is left out.
 */
#include "bench/sample.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void bench_sample_begin(struct bench_sample *sample)
{
	sample->task_count = 0;
	sample->warm_task_count = 0;
	sample->measured_ns = 0;
	sample->syscall_count = 0;
	sample->gave_up_ns = 0;
	sample->error = 0;
	sample->message[0] = '\0';
	sample->value_count = 0;
}

void bench_sample_add(struct bench_sample *sample, uint64_t ns, uint64_t task_count)
{
	sample->task_count += task_count;
	sample->measured_ns += ns;
	if (sample->value_count < BENCH_VALUES_MAX)
		sample->values[sample->value_count++] = (double)ns / (double)task_count;
}

int bench_sample_fail(struct bench_sample *sample, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sample->message, sizeof(sample->message), format, arguments);
	va_end(arguments);
	sample->error = error;
	return error;
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(const struct bench_sample *sample, double q, uint64_t value_count_min)
{
	uint64_t count = sample->value_count;

	if (count < value_count_min)
		return 0;
	return sample->values[(uint64_t)(q * (double)(count - 1) + 0.5)];
}

void bench_sample_summarize(struct bench_sample *sample, struct bench_summary *ret_summary)
{
	uint64_t ns = sample->measured_ns;

	qsort(sample->values, sample->value_count, sizeof(*sample->values), compare_double);
	*ret_summary = (struct bench_summary){
		.median = quantile(sample, 0.5, 1),
		.p99 = quantile(sample, 0.99, 100),
		.p999 = quantile(sample, 0.999, 1000),
		.max = quantile(sample, 1, 1),
		.per_second = ns ? (double)sample->task_count * 1e9 / (double)ns : 0,
	};
}

double bench_median(double *values, size_t count)
{
	if (count == 0)
		return 0;
	qsort(values, count, sizeof(*values), compare_double);
	if (count % 2)
		return values[count / 2];
	return (values[count / 2 - 1] + values[count / 2]) / 2;
}
