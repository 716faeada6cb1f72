/*
 * Histogram
 *
 * A value's bucket is its leading bit and the three bits after that:
 *
 *	value           0 .. 7   8 .. 15   16 .. 31   32 .. 63  ...  2^47 .. 2^48 - 1   above
 *	buckets         0 .. 7   8 .. 15   16 .. 23   24 .. 31  ...      360 .. 367      368
 *	each as wide as 1        1         2          4         ...         2^44
 *
 *   H1  Counts add up: the histogram of two sets of values is the sum of theirs. So
 *       each writer has one of its own, and who reads merges them.
 */
#include "pool/histogram.h"

#define SUB_BITS  3
#define SUB_COUNT (1u << SUB_BITS)
#define LAST      (CAROM_HISTOGRAM_BUCKETS - 1)

_Static_assert(LAST == (48 - SUB_BITS + 1) * SUB_COUNT, "the last bucket begins at the limit");

uint32_t carom_histogram_bucket(uint64_t value)
{
	uint32_t power;

	if (value < SUB_COUNT)
		return (uint32_t)value;
	if (value >= CAROM_HISTOGRAM_LIMIT)
		return LAST;
	power = 63 - (uint32_t)__builtin_clzll(value);
	return (power - SUB_BITS) * SUB_COUNT + (uint32_t)(value >> (power - SUB_BITS));
}

uint64_t carom_histogram_floor(uint32_t bucket)
{
	if (bucket > LAST)
		return UINT64_MAX;
	if (bucket < SUB_COUNT)
		return bucket;
	return (uint64_t)(bucket % SUB_COUNT + SUB_COUNT) << (bucket / SUB_COUNT - 1);
}

void carom_histogram_add(struct carom_histogram *histogram, uint64_t value)
{
	histogram->sum += value;
	if (value > histogram->largest)
		histogram->largest = value;
	histogram->buckets[carom_histogram_bucket(value)]++;
}

void carom_histogram_merge(struct carom_histogram *histogram, const struct carom_histogram *other)
{
	histogram->sum += other->sum;
	if (other->largest > histogram->largest)
		histogram->largest = other->largest;
	for (uint32_t i = 0; i < CAROM_HISTOGRAM_BUCKETS; i++)
		histogram->buckets[i] += other->buckets[i];
}

uint64_t carom_histogram_count(const struct carom_histogram *histogram)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < CAROM_HISTOGRAM_BUCKETS; i++)
		count += histogram->buckets[i];
	return count;
}

uint64_t carom_histogram_mean(const struct carom_histogram *histogram)
{
	uint64_t count = carom_histogram_count(histogram);

	return count ? histogram->sum / count : 0;
}

/* the last bucket has no middle: what is known of its values is the largest */
static uint64_t middle_of(const struct carom_histogram *histogram, uint32_t bucket)
{
	uint64_t floor = carom_histogram_floor(bucket);
	uint64_t middle = floor + (carom_histogram_floor(bucket + 1) - floor) / 2;

	return bucket == LAST || middle > histogram->largest ? histogram->largest : middle;
}

/* the rank of the value that is asked for, from 1 */
static uint64_t rank_of(uint64_t count, double percent)
{
	double rank = percent / 100 * (double)count;
	uint64_t whole = rank > 0 ? (uint64_t)rank : 0;

	if ((double)whole < rank)
		whole++;
	return whole < 1 ? 1 : whole;
}

uint64_t carom_histogram_percentile(const struct carom_histogram *histogram, double percent)
{
	uint64_t count = carom_histogram_count(histogram);
	uint64_t rank = rank_of(count, percent);

	if (rank >= count)
		return histogram->largest;
	for (uint32_t i = 0; i < LAST; i++) {
		if (rank <= histogram->buckets[i])
			return middle_of(histogram, i);
		rank -= histogram->buckets[i];
	}
	return histogram->largest;
}
