/* Histograms: vectors. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "pool/histogram.h"

Test(histogram, tells_how_values_are_distributed)
{
	struct carom_histogram all = { 0 };

	for (uint64_t value = 1; value <= 1000; value++)
		carom_histogram_add(&all, value);
	cr_expect(eq(u64, carom_histogram_count(&all), 1000));
	cr_expect(eq(u64, carom_histogram_mean(&all), 500));
	cr_expect(eq(u64, carom_histogram_percentile(&all, 50), 496)); /* of 480 .. 511 */
	cr_expect(eq(u64, carom_histogram_percentile(&all, 99), 992)); /* of 960 .. 1023 */
	cr_expect(eq(u64, carom_histogram_percentile(&all, 100), 1000));
}

Test(histogram, has_a_bucket_for_each_value)
{
	static const struct {
		uint64_t value;
		uint32_t bucket;
	} vectors[] = {
		{ 0, 0 },
		{ 1, 1 },
		{ 7, 7 },
		{ 8, 8 },
		{ 15, 15 },
		{ 16, 16 },
		{ 17, 16 },
		{ 18, 17 },
		{ 31, 23 },
		{ 32, 24 },
		{ 1000, 63 },
		{ 1023, 63 },
		{ 1024, 64 },
		{ 1000000, 143 },
		{ 1000000000, 222 },
		{ (UINT64_C(1) << 48) - 1, 367 },
		{ UINT64_C(1) << 48, 368 },
		{ UINT64_MAX, 368 },
	};

	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++)
		cr_expect(eq(u32, carom_histogram_bucket(vectors[i].value), vectors[i].bucket));
}

Test(histogram, has_buckets_without_gaps)
{
	for (uint32_t bucket = 0; bucket < CAROM_HISTOGRAM_BUCKETS; bucket++) {
		uint64_t floor = carom_histogram_floor(bucket);

		cr_expect(eq(u32, carom_histogram_bucket(floor), bucket));
		if (bucket)
			cr_expect(eq(u32, carom_histogram_bucket(floor - 1), bucket - 1));
	}
	cr_expect(eq(u64, carom_histogram_floor(CAROM_HISTOGRAM_BUCKETS), UINT64_MAX));
	cr_expect(eq(u64, carom_histogram_floor(UINT32_MAX), UINT64_MAX));
}

/* each value alone, beside one that is larger, so that its bucket's middle is told */
Test(histogram, is_wrong_by_a_sixteenth_at_most)
{
	for (uint64_t value = 1; value < CAROM_HISTOGRAM_LIMIT / 3; value += 1 + value / 100) {
		struct carom_histogram two = { 0 };
		uint64_t told;

		carom_histogram_add(&two, value);
		carom_histogram_add(&two, 3 * value);
		told = carom_histogram_percentile(&two, 50);
		cr_expect(le(u64, told > value ? told - value : value - told, value / 16 + 1));
		cr_expect(told * 16 >= value * 15 && told * 16 <= value * 17 + 15);
	}
}

Test(histogram, of_nothing_is_zero)
{
	struct carom_histogram none = { 0 };

	cr_expect(zero(u64, carom_histogram_count(&none)));
	cr_expect(zero(u64, carom_histogram_mean(&none)));
	cr_expect(zero(u64, carom_histogram_percentile(&none, 0)));
	cr_expect(zero(u64, carom_histogram_percentile(&none, 50)));
	cr_expect(zero(u64, carom_histogram_percentile(&none, 100)));
}

Test(histogram, of_one_value_is_that_value)
{
	struct carom_histogram one = { 0 };

	carom_histogram_add(&one, 12345);
	cr_expect(eq(u64, carom_histogram_percentile(&one, 0), 12345));
	cr_expect(eq(u64, carom_histogram_percentile(&one, 50), 12345));
	cr_expect(eq(u64, carom_histogram_percentile(&one, 100), 12345));
}

Test(histogram, takes_percentages_of_any_kind)
{
	struct carom_histogram two = { 0 };

	carom_histogram_add(&two, 3);
	carom_histogram_add(&two, 5);
	cr_expect(eq(u64, carom_histogram_percentile(&two, -1), 3));
	cr_expect(eq(u64, carom_histogram_percentile(&two, 50), 3));
	cr_expect(eq(u64, carom_histogram_percentile(&two, 50.1), 5));
	cr_expect(eq(u64, carom_histogram_percentile(&two, 1000), 5));
}

Test(histogram, keeps_the_largest_of_those_beyond_its_limit)
{
	struct carom_histogram far = { 0 };

	carom_histogram_add(&far, CAROM_HISTOGRAM_LIMIT);
	carom_histogram_add(&far, CAROM_HISTOGRAM_LIMIT * 5);
	carom_histogram_add(&far, CAROM_HISTOGRAM_LIMIT * 2);
	cr_expect(eq(u64, carom_histogram_percentile(&far, 1), CAROM_HISTOGRAM_LIMIT * 5));
	cr_expect(eq(u64, carom_histogram_count(&far), 3));
}

Test(histogram, of_two_sets_is_the_sum_of_theirs)
{
	struct carom_histogram all = { 0 }, even = { 0 }, odd = { 0 };

	for (uint64_t value = 0; value < 10000; value++) {
		carom_histogram_add(&all, value * value);
		carom_histogram_add(value % 2 ? &odd : &even, value * value);
	}
	carom_histogram_merge(&even, &odd);
	cr_expect(zero(int, memcmp(&even, &all, sizeof(all))));
}
