/* SPDX-License-Identifier: MIT */
/*
 * Gathered content: the same bytes, in memory or in a file that has no name.
 */
#include "server/spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static void
test_small_content_stays_in_memory(void **state)
{
	struct spool *sp = spool_new(10, 0);

	assert_int_equal(spool_add(sp, STR("hello"), NULL), 0);
	assert_int_equal(spool_add(sp, STR(""), NULL), 0);
	assert_int_equal(spool_add(sp, STR("there"), NULL), 0);
	assert_int_equal(spool_fd(sp), -1);
	assert_true(str_eq(spool_data(sp), STR("hellothere")));
	assert_int_equal(spool_length(sp), 10);
	spool_free(sp);
}

static void
test_large_content_goes_to_a_nameless_file(void **state)
{
	struct spool *sp = spool_new(1000, 100000);
	char piece[700], got[700];
	struct stat st;
	unsigned i, k;

	for (i = 0; i < 100; i++) {
		memset(piece, (int)('a' + i % 26), sizeof(piece));
		assert_int_equal(spool_add(sp, str_from(piece, sizeof(piece)),
		    NULL), 0);
	}
	assert_int_not_equal(spool_fd(sp), -1);
	assert_int_equal(fstat(spool_fd(sp), &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_size, 70000);
	assert_int_equal(spool_length(sp), 70000);
	assert_int_equal(spool_data(sp).len, 0);
	for (i = 0; i < 100; i++) {
		assert_int_equal(pread(spool_fd(sp), got, sizeof(got),
		    (off_t)i * 700), 700);
		for (k = 0; k < 700; k++)
			assert_int_equal(got[k], 'a' + i % 26);
	}
	spool_free(sp);
}

static void
test_a_folder_that_cannot_hold_it_is_an_error(void **state)
{
	struct spool *sp = spool_new(1, 0);
	struct error err;

	setenv("TMPDIR", "/nonexistent", 1);
	assert_int_equal(spool_add(sp, STR("hello"), &err), -1);
	assert_int_equal(err.code, ERROR_SYSTEM);
	unsetenv("TMPDIR");
	spool_free(sp);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_content_stays_in_memory),
		cmocka_unit_test(test_large_content_goes_to_a_nameless_file),
		cmocka_unit_test(test_a_folder_that_cannot_hold_it_is_an_error),
	};

	return UNIT_RUN(tests);
}
