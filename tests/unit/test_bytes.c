/* SPDX-License-Identifier: MIT */
/* common/bytes: contents and references. */
#include "common/bytes.h"
#include "tests/unit/unit.h"

static void
the_last_reference_frees(void **state)
{
	struct bytes *b = bytes_new(STR("he\0llo"));

	(void)state;
	assert_non_null(b);
	unit_check_str(bytes_str(b), STR("he\0llo"), "the contents");
	assert_ptr_equal(bytes_ref(b), b);
	assert_int_equal(b->refs, 2);
	bytes_unref(b);
	unit_check_str(bytes_str(b), STR("he\0llo"), "still there");
	bytes_unref(b);		/* the leak checker sees the rest */
	bytes_unref(NULL);
}

static void
sizes_at_the_edges(void **state)
{
	volatile size_t huge = SIZE_MAX;
	struct bytes *b = bytes_new((struct str){NULL, 0});

	(void)state;
	assert_non_null(b);
	assert_int_equal(b->len, 0);
	bytes_unref(b);
	assert_null(bytes_alloc(huge));
	assert_null(bytes_alloc(huge - 8));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_reference_frees),
		cmocka_unit_test(sizes_at_the_edges),
	};

	return UNIT_RUN(tests);
}
