/* SPDX-License-Identifier: MIT */
/* common/histogram: buckets, precision, quantiles, sums. */
#include "common/histogram.h"
#include "tests/unit/unit.h"

static struct histogram h, other;

static int
setup(void **state)
{
	(void)state;
	memset(&h, 0, sizeof(h));
	memset(&other, 0, sizeof(other));
	return 0;
}

static void
every_value_is_known_to_one_percent(void **state)
{
	unsigned last = 0;

	(void)state;
	for (uint64_t us = 0; us <= HISTOGRAM_MAX_US; us += us / 1000 + 1) {
		unsigned i = histogram_index(us);

		assert_in_range(i, last, HISTOGRAM_BUCKETS - 2);
		assert_true(histogram_upper_us(i) >= us);
		assert_true(histogram_upper_us(i) - us <= us / 100);
		assert_true(i == 0 || histogram_upper_us(i - 1) < us);
		last = i;
	}
}

static void
upper_ends_belong_to_their_bucket(void **state)
{
	unsigned top = histogram_index(HISTOGRAM_MAX_US);

	(void)state;
	for (unsigned i = 0; i < top; i++) {
		assert_int_equal(histogram_index(histogram_upper_us(i)), i);
		assert_int_equal(histogram_index(histogram_upper_us(i) + 1),
		    i + 1);
	}
}

static void
a_longer_value_counts_in_the_last(void **state)
{
	const uint64_t long_us[] = {HISTOGRAM_MAX_US + 1, UINT64_C(1) << 40};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(long_us); i++)
		histogram_add(&h, long_us[i], 1);
	assert_int_equal(h.bucket[HISTOGRAM_BUCKETS - 1], 2);
	assert_int_equal(h.sum_us, long_us[0] + long_us[1]);
	assert_int_equal(histogram_count_below(&h, HISTOGRAM_MAX_US), 0);
	assert_int_equal(histogram_count_below(&h, UINT64_MAX), 2);
	assert_int_equal(histogram_quantile_us(&h, 0.5), long_us[1]);
}

static void
quantiles_of_a_hundred_values(void **state)
{
	(void)state;
	assert_int_equal(histogram_quantile_us(&h, 0.5), 0);
	for (unsigned us = 1; us <= 100; us++)
		histogram_add(&h, us, 1);
	assert_int_equal(histogram_quantile_us(&h, 0), 1);
	assert_int_equal(histogram_quantile_us(&h, 0.5), 50);
	assert_int_equal(histogram_quantile_us(&h, 0.505), 51);
	assert_int_equal(histogram_quantile_us(&h, 0.99), 99);
	assert_int_equal(histogram_quantile_us(&h, 1), 100);
	assert_int_equal(histogram_count_below(&h, 0), 0);
	assert_int_equal(histogram_count_below(&h, 42), 42);
	assert_int_equal(histogram_count_below(&h, 5000), 100);
}

static void
a_quantile_never_passes_the_maximum(void **state)
{
	(void)state;
	histogram_add(&h, 1000001, 3);
	assert_int_equal(histogram_quantile_us(&h, 0.5), 1000001);
}

static void
merging_is_counting_together(void **state)
{
	(void)state;
	histogram_add(&h, 10, 2);
	histogram_add(&other, 10, 3);
	histogram_add(&other, 70000, 1);
	histogram_merge(&h, &other);
	assert_int_equal(h.count, 6);
	assert_int_equal(h.sum_us, 70050);
	assert_int_equal(h.max_us, 70000);
	assert_int_equal(h.bucket[10], 5);
	assert_int_equal(other.count, 4);
}

static void
a_bucket_holds_more_than_32_bits(void **state)
{
	(void)state;
	histogram_add(&h, 5, UINT32_MAX);
	histogram_add(&h, 5, UINT32_MAX);
	assert_true(histogram_count_below(&h, 5) == 2 * (uint64_t)UINT32_MAX);
	assert_true(h.sum_us == 10 * (uint64_t)UINT32_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_is_known_to_one_percent),
		cmocka_unit_test(upper_ends_belong_to_their_bucket),
		cmocka_unit_test_setup(a_longer_value_counts_in_the_last,
		    setup),
		cmocka_unit_test_setup(quantiles_of_a_hundred_values, setup),
		cmocka_unit_test_setup(a_quantile_never_passes_the_maximum,
		    setup),
		cmocka_unit_test_setup(merging_is_counting_together, setup),
		cmocka_unit_test_setup(a_bucket_holds_more_than_32_bits,
		    setup),
	};

	return UNIT_RUN(tests);
}
