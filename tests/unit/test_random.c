/* SPDX-License-Identifier: MIT */
/* common/random: the published sequence, hex digits, no repeats. */
#include <stdio.h>
#include <stdlib.h>

#include "common/random.h"
#include "tests/unit/unit.h"

#define DRAWS 20000

static uint64_t drawn[DRAWS];

static int
compare(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Worked out by hand from the definition: s = {1, 2, 3, 4}. */
static void
the_sequence_is_that_of_xoshiro256starstar(void **state)
{
	struct random r = {{1, 2, 3, 4}};

	(void)state;
	assert_int_equal(random_u64(&r), 11520);
	assert_int_equal(random_u64(&r), 0);
	assert_int_equal(random_u64(&r), 1509978240);
}

static void
numbers_do_not_repeat(void **state)
{
	struct random a, b;

	(void)state;
	random_init(&a);
	random_init(&b);
	for (size_t i = 0; i < DRAWS; i++)
		drawn[i] = random_u64(i % 2 == 0 ? &a : &b);
	qsort(drawn, DRAWS, sizeof(drawn[0]), compare);
	for (size_t i = 1; i < DRAWS; i++)
		assert_true(drawn[i - 1] != drawn[i]);
}

static void
hex_writes_exactly_its_digits(void **state)
{
	struct random r;
	unsigned seen = 0;

	(void)state;
	random_init(&r);
	for (size_t bytes = 0; bytes <= 64; bytes++) {
		char out[130];

		memset(out, '#', sizeof(out));
		random_hex(&r, bytes, out);
		for (size_t i = 0; i < 2 * bytes; i++) {
			const char *digits = "0123456789abcdef";
			const char *at = strchr(digits, out[i]);

			assert_non_null(at);
			seen |= 1u << (at - digits);
		}
		for (size_t i = 2 * bytes; i < sizeof(out); i++)
			assert_int_equal(out[i], '#');
	}
	assert_int_equal(seen, 0xffff);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sequence_is_that_of_xoshiro256starstar),
		cmocka_unit_test(numbers_do_not_repeat),
		cmocka_unit_test(hex_writes_exactly_its_digits),
	};

	return UNIT_RUN(tests);
}
