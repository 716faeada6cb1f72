/**
 * DOC: histogram
 *
 * How values are distributed that differ by orders of magnitude, such as lengths of
 * time, in a fixed amount of memory:
 *
 *	struct carom_histogram all = { 0 };
 *
 *	for (...)
 *		carom_histogram_add(&all, took_ns);
 *	printf("half took less than %" PRIu64 " ns, one in a hundred more than %" PRIu64 "\n",
 *	       carom_histogram_percentile(&all, 50), carom_histogram_percentile(&all, 99));
 *
 * Values below 8 have a bucket each, and each power of two above is cut into 8 buckets
 * of the same width. So a bucket is at most an eighth as wide as its values are large,
 * and what is told by its middle is wrong by a sixteenth, 6.25 %, at most. Values from
 * CAROM_HISTOGRAM_LIMIT on (in ns: three days) all go into the last one.
 */
#ifndef CAROM_POOL_HISTOGRAM_H
#define CAROM_POOL_HISTOGRAM_H

#include <stdint.h>

#include "../core/api.h"

CAROM_BEGIN_DECLS

#define CAROM_HISTOGRAM_BUCKETS 369
#define CAROM_HISTOGRAM_LIMIT   (UINT64_C(1) << 48)

/**
 * struct carom_histogram - all zero: no values yet
 * @sum:     of all values
 * @largest: of all values
 * @buckets: how many values each has
 */
struct carom_histogram {
	uint64_t sum;
	uint64_t largest;
	uint64_t buckets[CAROM_HISTOGRAM_BUCKETS];
};

/** carom_histogram_bucket() - the bucket that @value goes into. MT-Safe, AS-Safe. */
CAROM_API uint32_t carom_histogram_bucket(uint64_t value);

/**
 * carom_histogram_floor() - the lowest value that goes into @bucket
 *
 * Context: MT-Safe, AS-Safe.
 * Return: it; UINT64_MAX for a bucket that there is not: so that of the one above the last.
 */
CAROM_API uint64_t carom_histogram_floor(uint32_t bucket);

/** carom_histogram_add() - count one value. The caller's alone meanwhile; AS-Safe. */
CAROM_API void carom_histogram_add(struct carom_histogram *histogram, uint64_t value);

/** carom_histogram_merge() - add all that @other has. The caller's alone meanwhile; AS-Safe. */
CAROM_API void carom_histogram_merge(struct carom_histogram *histogram,
				     const struct carom_histogram *other);

/** carom_histogram_count() - how many values were added. MT-Safe, AS-Safe. */
CAROM_API uint64_t carom_histogram_count(const struct carom_histogram *histogram);

/** carom_histogram_mean() - their average, rounded down; 0 if there are none. MT-Safe, AS-Safe. */
CAROM_API uint64_t carom_histogram_mean(const struct carom_histogram *histogram);

/**
 * carom_histogram_percentile() - so many per cent of the values are not above this
 * @percent: 0 to 100: 50 is the median, 100 the largest value, exactly
 *
 * Context: MT-Safe, AS-Safe.
 * Return: the middle of the bucket it is in, so within 6.25 %, and never more than the
 * largest value; 0 if there are no values.
 */
CAROM_API uint64_t carom_histogram_percentile(const struct carom_histogram *histogram,
					      double percent);

CAROM_END_DECLS

#endif
