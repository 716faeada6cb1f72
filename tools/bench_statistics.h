/*
 * Statistics: what many values of one thing tell
 *
 * Times are not normally distributed: they have a floor and a tail. So the median stands
 * for all, its interval is made of ranks, and two samples are compared by ranks.
 */
#ifndef CAROM_TOOLS_BENCH_STATISTICS_H
#define CAROM_TOOLS_BENCH_STATISTICS_H

#include <stddef.h>

/**
 * struct carom_bench_summary - of a sample
 * @low, @high: 95 % of such samples have the true median in between (from 6 values on;
 *              else the smallest and the largest)
 * @deviation:  the standard deviation of the sample
 * @mad:        median distance from the median, times 1.4826: the same where all is normal,
 *              and not moved by outliers
 * @p90, @p99:  values at the nearest rank; 0 with fewer than 10 and 100 values
 */
struct carom_bench_summary {
	double median;
	double low;
	double high;
	double mean;
	double deviation;
	double mad;
	double min;
	double max;
	double p90;
	double p99;
};

/** carom_bench_summarize() - @values, at least one, which it sorts */
void carom_bench_summarize(double *values, size_t count, struct carom_bench_summary *ret_summary);

/**
 * struct carom_bench_comparison - one sample against another
 * @ratio:       of the medians
 * @low, @high:  95 % of such pairs of samples have the true ratio in between
 * @p:           how probable ranks as these are if both were samples of the same
 * @superiority: how often a value of the first is above one of the second, 0 to 1
 */
struct carom_bench_comparison {
	double ratio;
	double low;
	double high;
	double p;
	double superiority;
};

/**
 * carom_bench_compare() - the first sample against the second
 *
 * Both at least one value, sorted, above 0. The interval by a bootstrap whose dice always
 * fall alike; p by the test of Mann and Whitney, by its normal approximation.
 * Return: 0, -ENOMEM.
 */
int carom_bench_compare(const double *first, size_t first_count, const double *second,
			size_t second_count, struct carom_bench_comparison *ret_comparison);

#endif
