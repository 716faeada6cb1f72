/*
 * Statistics
 *
 * The bootstrap draws both samples anew 2,000 times. A median of n values drawn with
 * replacement from a sorted sample is the value at a drawn rank, which has the distribution
 * of the middle of n uniform numbers: Beta, near to normal for n from 10 on. Ranks are
 * drawn one by one all the same while that is cheap, and by the normal law where there are
 * many, so that a comparison takes milliseconds whatever the samples are.
 */
#include "tools/bench_statistics.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define REDRAWS   2000
#define FEW       200 /* values that are drawn one by one */
#define Z_95      1.959964
#define MAD_SCALE 1.4826

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_of(const double *sorted, size_t count)
{
	return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

/* ---- a sample ---- */

static double quantile(const double *sorted, size_t count, double q, size_t count_min)
{
	return count < count_min ? 0 : sorted[(size_t)(q * (double)(count - 1) + 0.5)];
}

static double deviation_of(const double *values, size_t count, double mean)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += (values[i] - mean) * (values[i] - mean);
	return count > 1 ? sqrt(sum / (double)(count - 1)) : 0;
}

/* Two pointers from the middle outwards: the distances come in order without another array. */
static double mad_of(const double *sorted, size_t count, double median)
{
	size_t left = count / 2, right = count / 2;
	double distance = 0;

	for (size_t i = 0; i <= count / 2; i++) {
		if (left > 0 &&
		    (right == count || median - sorted[left - 1] < sorted[right] - median))
			distance = median - sorted[--left];
		else
			distance = sorted[right++] - median;
	}
	return MAD_SCALE * distance;
}

/* How many of n values are below the true median is a throw of n coins: normal from 6 on. */
static void set_interval(const double *sorted, size_t count, struct carom_bench_summary *summary)
{
	double half = Z_95 * sqrt((double)count) / 2;
	double low = floor((double)count / 2 - half), high = ceil((double)count / 2 + half);

	summary->low = sorted[low > 0 ? (size_t)low : 0];
	summary->high = sorted[high < (double)count ? (size_t)high : count - 1];
}

void carom_bench_summarize(double *values, size_t count, struct carom_bench_summary *ret_summary)
{
	struct carom_bench_summary summary = { 0 };

	qsort(values, count, sizeof(*values), compare_doubles);
	for (size_t i = 0; i < count; i++)
		summary.mean += values[i] / (double)count;
	summary.median = median_of(values, count);
	summary.deviation = deviation_of(values, count, summary.mean);
	summary.mad = mad_of(values, count, summary.median);
	summary.min = values[0];
	summary.max = values[count - 1];
	summary.p90 = quantile(values, count, 0.9, 10);
	summary.p99 = quantile(values, count, 0.99, 100);
	set_interval(values, count, &summary);
	*ret_summary = summary;
}

/* ---- dice ---- */

/* splitmix64 */
static uint64_t throw(uint64_t * state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static double throw_share(uint64_t *state)
{
	return (double)(throw(state) >> 11) * 0x1p-53;
}

static double throw_normal(uint64_t *state)
{
	double radius = sqrt(-2 * log(1 - throw_share(state)));

	return radius * cos(2 * 3.14159265358979323846 * throw_share(state));
}

/* The median of a sample drawn anew from a sorted one. */
static double redraw_median(const double *sorted, size_t count, uint64_t *state)
{
	double drawn[FEW];
	double rank;

	if (count <= FEW) {
		for (size_t i = 0; i < count; i++)
			drawn[i] = sorted[throw(state) % count];
		qsort(drawn, count, sizeof(*drawn), compare_doubles);
		return median_of(drawn, count);
	}
	rank = (double)count / 2 + throw_normal(state) * sqrt((double)count) / 2;
	rank = fmin(fmax(rank, 0), (double)(count - 1));
	return sorted[(size_t)rank];
}

/* ---- two samples ---- */

/*
 * For each of the first how many of the second are below, ties by half: U. And the correction
 * for ties, of those in which the first takes part.
 */
static double count_above(const double *first, size_t first_count, const double *second,
			  size_t second_count, double *ret_ties)
{
	size_t below = 0, i = 0;
	double above = 0, ties = 0;

	while (i < first_count) {
		size_t alike = i, equal;
		double t;

		while (alike < first_count && first[alike] == first[i])
			alike++;
		while (below < second_count && second[below] < first[i])
			below++;
		equal = below;
		while (equal < second_count && second[equal] == first[i])
			equal++;
		above += (double)(alike - i) * ((double)below + (double)(equal - below) / 2);
		t = (double)(alike - i + equal - below);
		ties += t * t * t - t;
		i = alike;
	}
	*ret_ties = ties;
	return above;
}

static void test_ranks(const double *first, size_t first_count, const double *second,
		       size_t second_count, struct carom_bench_comparison *comparison)
{
	double n = (double)first_count, m = (double)second_count, all = n + m;
	double ties;
	double above = count_above(first, first_count, second, second_count, &ties);
	double variance = n * m / 12 * (all + 1 - ties / (all * (all - 1)));
	double distance = fabs(above - n * m / 2) - 0.5;

	comparison->superiority = above / (n * m);
	comparison->p = variance > 0 && distance > 0 ? erfc(distance / sqrt(2 * variance)) : 1;
}

int carom_bench_compare(const double *first, size_t first_count, const double *second,
			size_t second_count, struct carom_bench_comparison *ret_comparison)
{
	struct carom_bench_comparison comparison;
	double *ratios = malloc(REDRAWS * sizeof(*ratios));
	uint64_t state = 1;

	if (!ratios)
		return -ENOMEM;
	for (size_t i = 0; i < REDRAWS; i++)
		ratios[i] = redraw_median(first, first_count, &state) /
			    redraw_median(second, second_count, &state);
	qsort(ratios, REDRAWS, sizeof(*ratios), compare_doubles);
	comparison.ratio = median_of(first, first_count) / median_of(second, second_count);
	comparison.low = ratios[REDRAWS / 40];
	comparison.high = ratios[REDRAWS - 1 - REDRAWS / 40];
	free(ratios);
	test_ranks(first, first_count, second, second_count, &comparison);
	*ret_comparison = comparison;
	return 0;
}
